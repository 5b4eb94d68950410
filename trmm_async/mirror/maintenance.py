"""Maintenance mode for the time of a block: switched on, and off again whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from trmm_async import codec
from trmm_async.atomic_files import replace_file
from trmm_async.errors import ClosedError, JournalError, NotFoundError, StillInMaintenanceError, TRMMError
from trmm_async.models import Agent
from trmm_async.observing import logger

__all__ = ["Maintenance"]

_AT_ONCE: Final = 5
"""How many agents are switched at once: half of the server's workers that `max_waiting` allows us."""

Switch = Callable[[bool, str], Awaitable[object]]
Chosen = Callable[[], Awaitable[Iterable[Agent]]]


class Maintenance:
    """A block in which agents are in maintenance mode; see `TRMM.maintenance`. It can be entered once.

    Args:
        chosen: reads the agents and their present state.
        switch: switches one agent on or off.
        journal: the file that records which agents were switched on; None: no file.
        timeout: how many seconds switching off may take.
    """

    def __init__(self, chosen: Chosen, switch: Switch, journal: Path | None, timeout: float) -> None:
        self._chosen = chosen
        self._switch = switch
        self._journal = journal
        self._timeout = timeout
        self._ours: dict[str, None] = {}
        self._entered = False

    def __repr__(self) -> str:
        return f"<Maintenance of {len(self._ours)} agents>"

    @property
    def agent_ids(self) -> tuple[str, ...]:
        """The agents that were switched on and will be switched off again."""
        return tuple(self._ours)

    async def __aenter__(self) -> Self:
        """Switch on the maintenance mode of those agents that are not in it yet.

        If this fails or is cancelled, the agents that were switched on are switched off again.

        Raises:
            UnsupportedError: the server is a gateway.
            JournalError: the journal can't be read or written; nothing was switched.
            TRMMError: an agent could not be switched, or the server could not be asked.
        """
        if self._entered:
            raise ClosedError("this block was entered before: call trmm.maintenance() again")
        self._entered = True
        agents = await self._chosen()
        self._ours = dict.fromkeys(self._left_behind())
        self._ours |= dict.fromkeys(agent.agent_id for agent in agents if not agent.maintenance_mode)
        self._write()
        try:
            failed = await self._all(True)
            if failed:
                raise next(iter(failed.values()))
        except BaseException as error:
            await self._end(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch the agents off again, within `timeout` seconds, even if this is cancelled meanwhile.

        Raises:
            StillInMaintenanceError: some agents could not be switched off. They stay in the journal. If the
                block was cancelled, this error is logged, and added as a note to the cancellation.
        """
        await self._end(error)

    async def _end(self, error: BaseException | None) -> None:
        task = asyncio.ensure_future(self._switch_off())
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as one:
                if task.done():
                    break
                cancelled = one
            except StillInMaintenanceError:
                break
        still = task.exception()
        stopped = cancelled or (error if isinstance(error, asyncio.CancelledError) else None)
        if still is not None and stopped is None:
            raise still
        if still is not None and stopped is not None:
            stopped.add_note(str(still))
            logger.error("%s", still)
        if cancelled is not None:
            raise cancelled

    async def _switch_off(self) -> None:
        failed: dict[str, TRMMError] = {}
        try:
            async with asyncio.timeout(self._timeout):
                failed = await self._all(False)
        except TimeoutError:
            late = TRMMError(f"not switched off within {self._timeout:g} s")
            failed = dict.fromkeys(self._ours, late)
        self._ours = dict.fromkeys(failed)
        with suppress(JournalError):
            self._write()
        if failed:
            raise StillInMaintenanceError(failed)

    async def _all(self, on: bool) -> dict[str, TRMMError]:
        """Switch all of our agents on or off. Returns the errors of those that could not be switched."""
        gate = asyncio.Semaphore(_AT_ONCE)
        failed: dict[str, TRMMError] = {}

        async def one(agent_id: str) -> None:
            async with gate:
                try:
                    await self._switch(on, agent_id)
                except NotFoundError:
                    pass  # the agent was removed, so it has no maintenance mode
                except TRMMError as error:
                    failed[agent_id] = error
                    return
            if not on:
                self._ours.pop(agent_id, None)

        async with asyncio.TaskGroup() as tasks:
            for agent_id in list(self._ours):
                tasks.create_task(one(agent_id), name="trmm_async: maintenance")
        return failed

    # -- the journal -----------------------------------------------------------------------------------------

    def _left_behind(self) -> list[str]:
        """The agents that an earlier process switched on and did not switch off."""
        if self._journal is None or not self._journal.exists():
            return []
        try:
            return codec.decoder(list[str])(self._journal.read_bytes())
        except (OSError, ValueError, codec.DecodeFailure) as error:
            raise JournalError(f"{self._journal} is not a journal of maintenance(): {error}") from None

    def _write(self) -> None:
        """Write the journal. It is on disk before anything is switched, so a crash loses no agent."""
        path = self._journal
        if path is None:
            return
        try:
            if not self._ours:
                path.unlink(missing_ok=True)
                return
            replace_file(path, codec.encode(list(self._ours)), 0o666)
        except OSError as error:
            raise JournalError(f"{path} can't be written: {error}") from error
