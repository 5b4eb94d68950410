"""Running scripts: takes their time, streams their output, loses those whose agent goes offline.

Below: `world.py`, `scripts.py` (which decides what a run does) and `ledger.py`. Above: the dialects start
runs and wait for them. A run lives in a task of its own: it goes on when the client that asked for it has
gone.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .ledger import Run
from .nouns import ScriptEnded, ScriptPrinted, WentOffline

if TYPE_CHECKING:
    from .ledger import Ledger
    from .nouns import Agent, Event
    from .scripts import Playbook, ScriptReply
    from .world import World

__all__ = ["Execution", "Order", "Runner"]

TIMED_OUT = 98


@dataclass(frozen=True, slots=True)
class Order:
    """What a client wants run; `cmd_id=None` has one made up."""

    script: int
    output: str
    args: tuple[str, ...]
    timeout: int
    cmd_id: str | None = None


@dataclass(slots=True)
class Execution:
    """A run that is under way."""

    run: Run
    reply: ScriptReply
    over: asyncio.Event = field(default_factory=asyncio.Event)
    unreachable: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def seconds(self) -> float:
        """How long the script would take if nobody stopped it."""
        return self.reply.seconds or 0.0

    async def outcome(self) -> Run:
        """Wait until the server knows the end, or has given up on it (`run.lost`), and return the run."""
        await self.over.wait()
        return self.run


class Runner:
    """Runs scripts on agents of a world.

    A run whose agent goes offline is lost: it is held until its timeout is over, at most `offline_hold`
    seconds, and its end is never known.
    """

    def __init__(self, world: World, ledger: Ledger, playbook: Playbook, offline_hold: float | None) -> None:
        self._world = world
        self._ledger = ledger
        self._playbook = playbook
        self._hold = math.inf if offline_hold is None else offline_hold
        self._tasks: set[asyncio.Task[None]] = set()
        self._live: defaultdict[str, list[Execution]] = defaultdict(list)
        world.listen(self._notice)

    def start(self, agent: Agent, order: Order) -> Execution:
        """Start a script on an agent that is online; it is in the ledger when this returns."""
        run = Run(
            agent_id=agent.agent_id,
            script=order.script,
            args=order.args,
            timeout=order.timeout,
            output=order.output,
            cmd_id=order.cmd_id or self.new_cmd_id(),
            started=self._world.clock(),
        )
        execution = Execution(run, self._playbook.decide(run, agent))
        self._ledger.add_run(run)
        self._live[agent.agent_id].append(execution)
        task = asyncio.get_running_loop().create_task(self._perform(execution))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return execution

    def new_cmd_id(self) -> str:
        """Make up an id for a run."""
        return f"{self._playbook.rng.getrandbits(128):032x}"

    async def close(self) -> None:
        """Stop all runs where they are and wait until they have stopped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _notice(self, event: Event) -> None:
        if isinstance(event, WentOffline):
            for execution in self._live[event.agent_id]:
                execution.unreachable.set()

    async def _perform(self, execution: Execution) -> None:
        started = asyncio.get_running_loop().time()
        try:
            if await self._print(execution, started):
                self._finish(execution)
            else:
                await self._lose(execution, started)
        finally:
            self._live[execution.run.agent_id].remove(execution)
            execution.over.set()

    async def _print(self, execution: Execution, started: float) -> bool:
        """Stream the output while time passes; False if the agent was lost over it."""
        run, chunks = execution.run, execution.reply.chunks()
        for place, chunk in enumerate(chunks, 1):
            due = execution.seconds * place / len(chunks)
            if due > run.timeout:
                break
            if not await _reachable_until(started + due, execution):
                return False
            run.stdout += chunk
            self._world.publish(ScriptPrinted(run.agent_id, run.cmd_id, run.script, chunk))
        return await _reachable_until(started + min(execution.seconds, run.timeout), execution)

    def _finish(self, execution: Execution) -> None:
        run, reply = execution.run, execution.reply
        timed_out = execution.seconds > run.timeout
        run.retcode = TIMED_OUT if timed_out else reply.retcode
        run.stderr = "Timed out" if timed_out else reply.stderr
        run.execution_time = min(execution.seconds, run.timeout)
        run.finished = self._world.clock()
        if run.output == "collector":
            self._ledger.add_collected(run)
        self._world.publish(ScriptEnded(run.agent_id, run.cmd_id, run.script, run.retcode))

    async def _lose(self, execution: Execution, started: float) -> None:
        execution.run.lost = True
        left = started + execution.run.timeout - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, min(left, self._hold)))


async def _reachable_until(moment: float, execution: Execution) -> bool:
    """Wait until a moment of the loop's clock; False as soon as the agent is out of reach."""
    if moment > asyncio.get_running_loop().time():
        try:
            async with asyncio.timeout_at(moment):
                await execution.unreachable.wait()
        except TimeoutError:
            return True
    return not execution.unreachable.is_set()
