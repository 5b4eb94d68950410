"""The switches that only the stock dialect knows: silent agents, a broken bus, and the history.

Below: `world.py`, `bus.py`, `runner.py`, `scripts.py`, each of which does what it is told here. Above:
`simulator.py`. They are like those of `switches.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bus import Outage
from .scripts import Behaviour

if TYPE_CHECKING:
    from .bus import Bus
    from .gate import Gate
    from .nouns import RunRecord
    from .runner import Runner
    from .scripts import Playbook, ScriptHandler
    from .stock.accounts import Accounts
    from .world import World

__all__ = ["AgentSwitches"]


class AgentSwitches:
    """What a test can do to the agents of a stock server, and to the message bus."""

    world: World
    _bus: Bus
    _accounts: Accounts
    _gate: Gate
    _playbook: Playbook
    _runner: Runner

    def command(
        self,
        command: str | None = None,
        *,
        seconds: float | None = None,
        stdout: str | None = None,
        stderr: str | None = None,
        retcode: int | None = None,
        handler: ScriptHandler | None = None,
        agent_id: str | None = None,
    ) -> None:
        """Set how a command behaves (stock dialect), or every command; otherwise as `script`.

        Unless told otherwise, `echo` prints its words and any other command itself.
        """
        if handler is not None and (seconds, stdout, stderr, retcode) != (None,) * 4:
            raise ValueError("a handler decides everything: give it alone")
        self._playbook.set(command, agent_id, Behaviour(seconds, stdout, stderr, retcode, handler))

    def hang(self, agent_id: str) -> None:
        """Make an agent hang: the server takes it for online, but it answers nothing and does nothing.

        Runs in progress on it are lost.
        """
        self.world.agent(agent_id).hung = True
        self._runner.lose(agent_id)

    def unhang(self, agent_id: str) -> None:
        """Have a hung agent answer again."""
        self.world.agent(agent_id).hung = False

    def nats_down(self) -> Outage:
        """Stop the message bus between server and agents until `end()`, or until the end of the block.

        What waits for an agent is answered `"natsdown"` or as though the agent was offline; what does not
        wait is answered as ever, and nothing runs.
        """
        return Outage(self._bus, "up")

    def natsapi_down(self) -> Outage:
        """Stop nats-api, as `nats_down`: what an offline agent is asked then ends in a 500 page at once."""
        return Outage(self._bus, "watched")

    @property
    def report_delay(self) -> float:
        """Seconds between the end of a run and its results in the history; 0.0 unless set."""
        return self._runner.report_delay

    @report_delay.setter
    def report_delay(self, seconds: float) -> None:
        self._runner.report_delay = seconds

    def add_history(
        self,
        agent_id: str,
        script: int | None = None,
        *,
        command: str = "",
        username: str = "somebody",
        stdout: str = "",
        stderr: str = "",
        retcode: int = 0,
        reported: bool = True,
        time: float | None = None,
    ) -> RunRecord:
        """Write a row into the history that no run here has led to, and return its record.

        It is that of a script, or of a command if `script` is None. Without `reported` it has no results.
        """
        kind = "cmd_run" if script is None else "script_run"
        row = self.world.journal.write(
            self.world.agent(agent_id).agent_id,
            type=kind, username=username, command=command, script=script, time=time,
        )  # fmt: skip
        if reported and script is None:
            row.results = stdout + stderr
        elif reported:
            row.script_results = {
                "id": row.id, "stdout": stdout, "stderr": stderr, "retcode": retcode, "execution_time": 0.5,
            }  # fmt: skip
        return row

    def add_custom_field(self, name: str, *, model: str = "agent", type: str = "text") -> int:  # noqa: A002
        """Add a custom field to agents, clients or sites (stock dialect) and return its id."""
        return self.world.add_custom_field(name, model=model, type=type).id

    @property
    def username(self) -> str:
        """Whose key the simulator was started with: `"admin"` unless set. History rows carry it."""
        return self._gate.username

    @username.setter
    def username(self, name: str) -> None:
        self._accounts.rename(self._gate.username, name)
        self._gate.username = name
