"""What commands print, the word a test has in it, and which frames of a live command get lost.

Below: `scripts.py`, for the reply that a command shares with a script. Above: a dialect that sends commands to
agents asks what they do; `switches.py` lays it down. Pure: the only randomness is the generator handed in.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from .scripts import ScriptReply

if TYPE_CHECKING:
    from random import Random
    from types import TracebackType

    from .nouns import Agent
    from .scripts import Span

__all__ = ["Command", "CommandHandler", "Commands", "FrameLoss", "Frame"]

Frame = Mapping[str, object]
"""A frame of a live command, as it would go onto the wire."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that was sent to an agent."""

    agent_id: str
    command: str
    shell: str
    timeout: int
    run_as_user: bool = False
    cmd_id: str = ""


CommandHandler = Callable[[Command], ScriptReply]
"""A function that decides a command for itself."""


class FrameLoss:
    """Frames of live commands that are lost on the way, until `times` of them are or `remove()` is called.

    `hits` counts them. Usable as a context manager, which removes it at the end of the block.
    """

    def __init__(self, meant: Callable[[Frame], bool], times: int | None) -> None:
        if times is not None and times < 1:
            msg = f"times must be at least 1, or None for ever, got {times}"
            raise ValueError(msg)
        self._meant = meant
        self.times = times
        self.hits = 0
        self._removed = False

    def __repr__(self) -> str:
        left = "for ever" if self.times is None else f"{self.times - self.hits} left"
        return f"<FrameLoss hits={self.hits} {left}>"

    @property
    def over(self) -> bool:
        """Whether no further frame will be lost to it."""
        return self._removed or self.hits == self.times

    def takes(self, frame: Frame) -> bool:
        """Tell whether this frame is lost, and count it if it is."""
        if self.over or not self._meant(frame):
            return False
        self.hits += 1
        return True

    def remove(self) -> None:
        """End it; twice is harmless."""
        self._removed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


@dataclass(frozen=True, slots=True)
class Rule:
    """What a test has laid down about commands that fit a pattern; None leaves a matter as it was."""

    pattern: str
    agent_id: str | None
    stdout: str | None = None
    stderr: str | None = None
    retcode: int | None = None
    seconds: float | None = None
    handler: CommandHandler | None = None

    def fits(self, command: Command) -> bool:
        """Tell whether a command is meant."""
        if self.agent_id not in {None, command.agent_id}:
            return False
        return fnmatch.fnmatchcase(command.command, self.pattern)

    def apply(self, command: Command, reply: ScriptReply) -> ScriptReply:
        """Return what the command does by this rule, where `reply` is what it would do without."""
        if self.handler is not None:
            return self.handler(command)
        return ScriptReply(
            stdout=reply.stdout if self.stdout is None else self.stdout,
            stderr=reply.stderr if self.stderr is None else self.stderr,
            retcode=reply.retcode if self.retcode is None else self.retcode,
            seconds=reply.seconds if self.seconds is None else self.seconds,
        )


@dataclass(slots=True)
class Commands:
    """Decides what each command does, and keeps the losses in force.

    `sent` is every command that reached the server, in order. `seconds` is how long one takes that nothing
    else was said of, or the span to draw it from.
    """

    rng: Random
    seconds: float | Span
    sent: list[Command] = field(default_factory=list)
    losses: list[FrameLoss] = field(default_factory=list)
    _rules: list[Rule] = field(default_factory=list)

    def set(self, rule: Rule) -> None:
        """Lay down how commands behave; a later rule goes before an earlier one."""
        self._rules.append(rule)

    def decide(self, command: Command, agent: Agent) -> ScriptReply:
        """Decide one command; the reply always has its `seconds`."""
        reply = by_itself(command.command, agent)
        for rule in self._rules:
            if rule.fits(command):
                reply = rule.apply(command, reply)
        return reply if reply.seconds is not None else replace(reply, seconds=self._draw())

    def lose(self, meant: Callable[[Frame], bool], times: int | None) -> FrameLoss:
        """Have frames be lost from now on."""
        loss = FrameLoss(meant, times)
        self.losses.append(loss)
        return loss

    def is_lost(self, frame: Frame) -> bool:
        """Tell whether a frame is lost on its way."""
        self.losses = [loss for loss in self.losses if not loss.over]
        return any(loss.takes(frame) for loss in self.losses)

    def new_id(self) -> str:
        """Make up an id for a command."""
        return f"{self.rng.getrandbits(128):032x}"

    def _draw(self) -> float:
        return self.rng.uniform(*self.seconds) if isinstance(self.seconds, tuple) else self.seconds


def by_itself(line: str, agent: Agent) -> ScriptReply:
    """Return what a command does that nothing was said of: a shell with four words, else it prints itself."""
    word, _, rest = line.strip().partition(" ")
    if word == "exit":
        return ScriptReply(retcode=int(rest) if rest.strip().isdecimal() else 0)
    said = {"echo": rest, "hostname": agent.hostname, "whoami": agent.logged_in_username or "system"}
    return ScriptReply(stdout=f"{said.get(word, line)}\n")
