"""What scripts print, by themselves or as a test has set it.

Below: `nouns.py` and the `Run` of `ledger.py`. Above: `runner.py`, which asks the playbook what a run will do
and then takes its time over it. Pure: the only randomness is the generator that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .ledger import Run

if TYPE_CHECKING:
    from random import Random

    from .nouns import Agent

__all__ = ["Behaviour", "Playbook", "ScriptHandler", "ScriptReply", "Span"]

Span = tuple[float, float]
"""The least and the most of something that varies, in seconds."""


@dataclass(frozen=True, slots=True)
class ScriptReply:
    """What one run does: what it prints, how it ends and how long it takes.

    The standard output is streamed line by line, evenly over `seconds`. None draws a duration from the
    simulator's `script_seconds`.
    """

    stdout: str = ""
    stderr: str = ""
    retcode: int = 0
    seconds: float | None = None

    def chunks(self) -> list[str]:
        """Return the standard output in the pieces in which it is streamed."""
        return self.stdout.splitlines(keepends=True)


ScriptHandler = Callable[[Run], ScriptReply]
"""A function that decides a run for itself."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a test has set about a script; None leaves a value as it is."""

    seconds: float | None = None
    stdout: str | None = None
    stderr: str | None = None
    retcode: int | None = None
    handler: ScriptHandler | None = None

    def apply(self, run: Run, reply: ScriptReply) -> ScriptReply:
        """Return what `run` does by this behaviour, where `reply` is what it would do without."""
        if self.handler is not None:
            return self.handler(run)
        return ScriptReply(
            stdout=reply.stdout if self.stdout is None else self.stdout,
            stderr=reply.stderr if self.stderr is None else self.stderr,
            retcode=reply.retcode if self.retcode is None else self.retcode,
            seconds=reply.seconds if self.seconds is None else self.seconds,
        )


@dataclass(slots=True)
class Playbook:
    """Decides what each run will do: what the script does by itself, then what a test said of it.

    `script_seconds` is the duration of a run that nothing else was said of, or the span to draw it from.
    """

    rng: Random
    script_seconds: float | Span
    _behaviours: dict[tuple[int | str | None, str | None], Behaviour] = field(default_factory=dict)

    def set(self, what: int | str | None, agent_id: str | None, behaviour: Behaviour) -> None:
        """Lay down how a script behaves, everywhere or on one agent, in place of what was said before.

        A string is a command instead of a script; None is every command.
        """
        self._behaviours[what, agent_id] = behaviour

    def decide(self, run: Run, agent: Agent) -> ScriptReply:
        """Decide one run; the reply always has its `seconds`."""
        text = output(run.script, agent, run.args) if run.command is None else echo(run.command, agent)
        reply = ScriptReply(stdout=text)
        names = (run.script,) if run.command is None else (None, run.command)
        for key in ((name, where) for name in names for where in (None, run.agent_id)):
            if key in self._behaviours:
                reply = self._behaviours[key].apply(run, reply)
        return reply if reply.seconds is not None else replace(reply, seconds=self._draw())

    def _draw(self) -> float:
        if isinstance(self.script_seconds, tuple):
            return self.rng.uniform(*self.script_seconds)
        return self.script_seconds


def output(script_id: int, agent: Agent, args: tuple[str, ...]) -> str:
    """Return what a script of the library prints on an agent; any other script prints its arguments."""
    printer = _PRINTERS.get(script_id)
    return printer(agent, args) if printer else "".join(f"{arg}\n" for arg in args)


def echo(command: str, agent: Agent) -> str:
    """Return what a command prints on an agent: `echo` its words, any other itself."""
    end = "\r\n" if agent.plat == "windows" else "\n"
    return f"{command.removeprefix('echo ')}{end}"


def _disk_info(agent: Agent, args: tuple[str, ...]) -> str:
    wanted = [disk for disk in agent.disks if not args or disk.device in args]
    return "".join(f"Disk {disk.device} {disk.percent}% used\n" for disk in wanted)


def _restart_spooler(_agent: Agent, _args: tuple[str, ...]) -> str:
    return "Stopping Print Spooler...\nRemoved 0 files from the queue\nSpooler is Running\n"


def _clear_temp(agent: Agent, _args: tuple[str, ...]) -> str:
    files = 40 + agent.pk * 37 % 900
    return f"Scanning temporary folders...\nDeleted {files} files, {files * 0.7:.1f} MB\n"


def _installed_software(agent: Agent, _args: tuple[str, ...]) -> str:
    rows = [("7-Zip", "24.08"), ("Google Chrome", "131.0.6778.86"), ("Tactical RMM Agent", agent.version)]
    return "Name                Version\n----                -------\n" + "".join(
        f"{name:<20}{version}\n" for name, version in rows
    )


def _uptime(agent: Agent, _args: tuple[str, ...]) -> str:
    days = int(((agent.last_seen or agent.boot_time) - agent.boot_time) // 86_400)
    return f"up {days} days, {agent.pk % 24}:{agent.pk % 60:02}, load average: 0.{agent.pk % 90:02}, 0.08\n"


def _pending_reboot(agent: Agent, _args: tuple[str, ...]) -> str:
    return f"Updates waiting: {agent.patches_pending}\nNo reboot is pending\n"


_PRINTERS: dict[int, Callable[[Agent, tuple[str, ...]], str]] = {
    1: _disk_info,
    2: _restart_spooler,
    3: _clear_temp,
    4: _installed_software,
    5: _uptime,
    6: _pending_reboot,
}
