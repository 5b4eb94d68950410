"""Runs scripts: lets their time pass, streams their output, and loses those whose agent goes offline.

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
    from collections.abc import Callable, Coroutine

    from .ledger import Ledger
    from .nouns import Agent, Event
    from .scripts import Playbook, ScriptReply
    from .world import World

__all__ = ["Execution", "RunOrder", "Runner"]

TIMED_OUT = 98


@dataclass(slots=True)
class RunOrder:
    """What a client wants run; `cmd_id=None` has one made up.

    The agent stops it `grace` seconds after its timeout. `report` is called with the run once the agent has
    reported its end, `printed` with every piece of its standard output; both are for the stock dialect. What
    else follows `cmd_id` is written down in the `Run`.
    """

    script: int
    output: str
    args: tuple[str, ...]
    timeout: int
    cmd_id: str | None = None
    grace: int = 0
    command: str | None = None
    shell: str = ""
    history: int | None = None
    username: str = ""
    env_vars: tuple[str, ...] = ()
    run_as_user: bool = False
    report: Callable[[Run], None] | None = None
    printed: Callable[[str], None] | None = None


@dataclass(slots=True)
class Execution:
    """A run that is in progress."""

    run: Run
    reply: ScriptReply
    order: RunOrder
    over: asyncio.Event = field(default_factory=asyncio.Event)
    unreachable: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def seconds(self) -> float:
        """How long the script would take if nobody stopped it."""
        return self.reply.seconds or 0.0

    @property
    def limit(self) -> float:
        """After how many seconds the agent stops it."""
        return self.run.timeout + self.order.grace

    @property
    def too_long(self) -> bool:
        """Whether the agent will stop it."""
        return self.seconds > self.limit

    async def outcome(self) -> Run:
        """Wait until the server knows the end, or has given up on it (`run.lost`), and return the run."""
        await self.over.wait()
        return self.run


class Runner:
    """Runs scripts on agents of a world.

    A run whose agent goes offline is lost: it is held until its timeout is over, at most `offline_hold`
    seconds, and its end is never known. `report_delay` is how many seconds after the end of a run the agent
    reports to `RunOrder.report`; reports that come at once are taken in one after the other, each in
    `report_seconds`.
    """

    def __init__(
        self,
        world: World,
        ledger: Ledger,
        playbook: Playbook,
        offline_hold: float | None,
        report_seconds: float = 0.0,
    ) -> None:
        self._world = world
        self._ledger = ledger
        self._playbook = playbook
        self._hold = math.inf if offline_hold is None else offline_hold
        self._tasks: set[asyncio.Task[None]] = set()
        self._live: defaultdict[str, list[Execution]] = defaultdict(list)
        self.report_delay: float = 0.0
        self._report_seconds = report_seconds
        self._taken_in_at = -math.inf
        world.listen(self._notice)

    def start(self, agent: Agent, order: RunOrder) -> Execution:
        """Start a script on an agent that is online; it is in the ledger when this returns."""
        run = Run(
            agent_id=agent.agent_id,
            script=order.script,
            args=order.args,
            timeout=order.timeout,
            output=order.output,
            cmd_id=order.cmd_id or self.new_cmd_id(),
            started=self._world.clock(),
            command=order.command,
            shell=order.shell,
            history=order.history,
            username=order.username,
            env_vars=order.env_vars,
            run_as_user=order.run_as_user,
        )
        execution = Execution(run, self._playbook.decide(run, agent), order)
        self._ledger.add_run(run)
        self._live[agent.agent_id].append(execution)
        self.later(self._perform(execution))
        return execution

    def later(self, work: Coroutine[None, None, None]) -> None:
        """Have something done in the background, until the simulator is closed."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def lose(self, agent_id: str) -> None:
        """Give up the runs in progress on an agent: it will not be heard of again."""
        for execution in self._live[agent_id]:
            execution.unreachable.set()

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
            self.lose(event.agent_id)

    async def _perform(self, execution: Execution) -> None:
        started = asyncio.get_running_loop().time()
        try:
            if reached := await self._print(execution, started):
                self._finish(execution)
            else:
                await self._lose(execution, started)
        finally:
            self._live[execution.run.agent_id].remove(execution)
            execution.over.set()
        if reached and execution.order.report:
            # With no delay the report is there before the answer to a waiting call goes out.
            if self.report_delay > 0:
                await asyncio.sleep(self.report_delay)
            if (seconds := self._queue_report()) > 0:
                await asyncio.sleep(seconds)
            execution.order.report(execution.run)

    def _queue_report(self) -> float:
        """Queue a report behind the others; return the seconds until it is processed."""
        now = asyncio.get_running_loop().time()
        self._taken_in_at = max(now, self._taken_in_at + self._report_seconds)
        return self._taken_in_at - now

    async def _print(self, execution: Execution, started: float) -> bool:
        """Stream the output while time passes; False if the agent was lost over it."""
        run, chunks = execution.run, execution.reply.chunks()
        for place, chunk in enumerate(chunks, 1):
            due = execution.seconds * place / len(chunks)
            if due > execution.limit:
                break
            if not await _reachable_until(started + due, execution):
                return False
            run.stdout += chunk
            if execution.order.printed:
                execution.order.printed(chunk)
            self._world.publish(ScriptPrinted(run.agent_id, run.cmd_id, run.script, chunk))
        return await _reachable_until(started + min(execution.seconds, execution.limit), execution)

    def _finish(self, execution: Execution) -> None:
        run, reply = execution.run, execution.reply
        timed_out = execution.too_long
        run.retcode = TIMED_OUT if timed_out else reply.retcode
        # A command that is stopped leaves what it has printed, and no word of it.
        run.stderr = "Timed out" if timed_out and run.command is None else reply.stderr
        run.execution_time = min(execution.seconds, execution.limit)
        run.finished = self._world.clock()
        if run.output == "collector":
            self._ledger.add_collected(run)
        self._world.publish(ScriptEnded(run.agent_id, run.cmd_id, run.script, run.retcode))

    async def _lose(self, execution: Execution, started: float) -> None:
        execution.run.lost = True
        left = started + execution.limit - asyncio.get_running_loop().time()
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
