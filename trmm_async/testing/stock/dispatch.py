"""Sends scripts and commands to agents, and stores what the agents report.

Below: `bus.py` tells whether a message gets there, `runner.py` runs it. Above: `runs.py` and `bulk.py`. A row
is in the history before anything is sent; its results are the agent's own report and come last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .custom_fields import collect

if TYPE_CHECKING:
    from trmm_async.testing.backend import Backend
    from trmm_async.testing.ledger import Run
    from trmm_async.testing.nouns import Agent, RunRecord
    from trmm_async.testing.runner import Execution, RunOrder

__all__ = ["Dispatch", "command_text", "script_text"]


class Dispatch:
    """Sends orders to agents."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._runner = backend.runner
        self._bus = backend.bus

    def publish(self, agent: Agent, order: RunOrder) -> Execution | None:
        """Send an order without waiting. None if it doesn't reach the agent; the server doesn't learn it."""
        return self._runner.start(agent, order) if self._bus.hears(agent) else None

    async def post(self, agent: Agent, order: RunOrder) -> None:
        """Send an order without waiting, once the server has reached the bus or has given up."""
        if not await self._bus.reached():
            return
        self.publish(agent, order)

    async def ask(self, agent: Agent, order: RunOrder, seconds: float) -> Run | str:
        """Send it and wait for the end; `"timeout"` after so many seconds of silence, or `"natsdown"`."""
        if word := await self._bus.silence(agent, seconds):
            return word
        execution = self._runner.start(agent, order)
        run = await execution.outcome()
        # The agent stops a script at the very moment at which the server stops listening.
        late = execution.too_long and execution.limit >= seconds
        return "timeout" if run.lost or late else run

    def script_report(self, row: RunRecord, run: Run) -> None:
        """Store the result of a script, and its output where the bulk action wants it."""
        row.script_results = {
            "id": row.id,
            "stderr": run.stderr,
            "stdout": run.stdout,
            "retcode": run.retcode,
            "execution_time": run.execution_time,
        }
        agent = self._world.agents.get(row.agent_id)
        if agent is None:
            return
        if row.custom_field is not None:
            collect(self._world, agent, row.custom_field, run.stdout, everything=row.collector_all_output)
        if row.save_to_agent_note:
            self._world.journal.add_note(row.agent_id, username=row.agent_id, note=run.stdout)

    def command_report(self, row: RunRecord, run: Run) -> None:
        """Store what a command printed."""
        agent = self._world.agents.get(row.agent_id)
        row.results = command_text(run, agent.plat if agent else "windows")


def script_text(found: Run | str) -> str:
    """Return what a waiting call is answered: both outputs in one string, without the return code."""
    return found if isinstance(found, str) else found.stdout + found.stderr


def command_text(run: Run, plat: str) -> str:
    """Return what an agent makes of a command's two outputs: Windows keeps only one of them."""
    if plat == "windows":
        return run.stderr or run.stdout
    return f"{run.stdout}\n{run.stderr}" if run.stderr else run.stdout
