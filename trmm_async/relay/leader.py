"""A relay's work while it leads: it reads the server's events and writes them to the log.

The events pass two bounded queues of the subscription: its mailbox, and a consumer's backlog. While the
engine can't be reached, the backlog drops and counts events that it has no room for, so the server is read
all the same. The position is taken when a batch leaves the backlog, and is written with it. So what was not
written is read again by the next leader.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from trmm_async.arguments import agent_id
from trmm_async.engines.faults import EngineAwayError
from trmm_async.errors import RecordedError, TRMMError
from trmm_async.events import Ended, Event, Gap, Live, ScriptOutput, note_host
from trmm_async.models import Agent, ClientRef
from trmm_async.plaintext import log_of
from trmm_async.relay.records import AgentState, Record, record_of
from trmm_async.relay.store import BATCH, LogState, Store
from trmm_async.stream import Consumer, Subscription
from trmm_async.stream.backlog import TOO_SLOW

__all__ = ["Leader", "RelaySource"]

_LOG: Final = log_of("events")
_RETRY: Final = 0.25
_SMALL: Final = 250_000
"""A position of up to so many characters is written with every batch; a larger one once a second."""
_GONE: Final = RecordedError("NotFoundError", "it is no longer one of the relay's agents")


@dataclass(frozen=True, slots=True)
class RelaySource:
    """The source of a relay's events.

    Attributes:
        agents: lists the agents to follow.
        events: makes a subscription to the events of these agents, from a position on if one is given.
        output: whether the output of scripts is relayed.
        relist: seconds after which the agents are listed again; None: they are listed once.
    """

    agents: Callable[[], Awaitable[Sequence[str | Agent]]]
    events: Callable[[Sequence[str | Agent], str | None], Subscription]
    output: bool
    relist: float | None


class Leader:
    """One term as the leader, for one call of `run`.

    Attributes:
        is_reading: whether the subscription to the server's events is open.
        written: how many events were written.
    """

    def __init__(
        self, store: Store, source: RelaySource, log: LogState, *, lease: float, length: int, queue: int
    ) -> None:
        self._store = store
        self._source = source
        self._lease = lease
        self._length = length
        self._queue = queue
        self._begun = log.position
        self._position_size = 0
        self._positioned_at = 0.0
        self._present = {who: AgentState(texts) for who, texts in log.agents.items()}
        self._catching_up = set(self._present)
        self._clients: dict[str, ClientRef] = {}
        self._hosts: dict[str, str] = {}
        self._followed: set[str] = set()
        self._consumer: Consumer | None = None
        self._number = 1
        self.is_reading: bool = False
        self.written: int = 0

    @property
    def dropped(self) -> int:
        """How many events the backlog had no room for."""
        return self._consumer.dropped if self._consumer is not None else 0

    async def run(self, stopped: asyncio.Event) -> float:
        """Lead until `stopped` is set. Returns how many seconds to wait before leading again.

        Raises:
            StaleError: another relay leads, or the log was lost.
            EngineAwayError: the engine could not be reached when the relay was stopped.
            EngineRefusedError: the engine refuses us.
            TRMMError: the server refuses us, or can't be reached at the beginning.
        """
        stopping = asyncio.create_task(stopped.wait(), name="trmm_async relay: its end")
        keeping = asyncio.create_task(self._keep(), name="trmm_async relay: its lease")
        reading = asyncio.create_task(self._read(stopping), name="trmm_async relay: events")
        working = [keeping, reading]
        try:
            await asyncio.wait([stopping, *working], return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() and self.is_reading:
                # What was read is still written, within a lease, for which other relays wait at most.
                await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED, timeout=self._lease)
            for task in working:
                if task.done():
                    task.result()
        finally:
            stopping.cancel()
            for task in working:
                task.cancel()
            await asyncio.gather(stopping, *working, return_exceptions=True)
            self.is_reading = False
        return self._lease / 3

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            try:
                await self._store.renew()
            except EngineAwayError as error:
                _LOG.info("relay %s: %s", self._store.name, error)

    async def _read(self, stopping: "asyncio.Task[Any]") -> None:
        agents = await self._source.agents()
        if not agents:
            _LOG.warning("relay %s: there is no agent to follow", self._store.name)
            return
        self._know(agents)
        events = self._source.events(agents, self._begun or None)
        self._consumer = consumer = events.consumer(queue=self._queue)
        for who in self._present.keys() - self._followed:
            consumer.offer(Ended(agent_id=who, error=_GONE))
        async with events:
            self.is_reading = True
            _LOG.info("relay %s: leads, %d agents", self._store.name, len(agents))
            relisting = asyncio.create_task(self._relist(events, consumer), name="trmm_async relay: agents")
            try:
                while (event := await _next(consumer, stopping)) is not None:
                    await self._write(self._batch(event, events, consumer), stopping)
            finally:
                relisting.cancel()
                await asyncio.gather(relisting, return_exceptions=True)

    def _know(self, agents: Iterable[str | Agent]) -> None:
        for agent in agents:
            if isinstance(agent, Agent):
                self._clients[agent.agent_id] = agent.client
                self._hosts[agent.agent_id] = agent.hostname
            self._followed.add(agent_id(agent))

    async def _relist(self, events: Subscription, consumer: Consumer) -> None:
        """Follow agents that have appeared, and stop following those that are gone."""
        while self._source.relist is not None:
            await asyncio.sleep(self._source.relist)
            try:
                agents = await self._source.agents()
            except TRMMError as error:
                _LOG.warning("relay %s: the agents can't be listed: %s", self._store.name, error)
                continue
            for gone in self._followed - {agent_id(agent) for agent in agents}:
                self._followed.discard(gone)
                events.remove(gone)
                consumer.offer(Ended(agent_id=gone, error=_GONE))
            for agent in [one for one in agents if agent_id(one) not in self._followed]:
                self._know([agent])
                events.add(agent)

    def _batch(self, first: Event, events: Subscription, consumer: Consumer) -> "_Batch":
        batch = _Batch(self._number)
        event: Event | None = first
        while event is not None:
            self._add(event, batch)
            event = consumer.backlog.pop() if len(batch.records) < BATCH else None
        now = time.monotonic()
        if self._position_size <= _SMALL or now - self._positioned_at >= 1.0:
            batch.position = events.position
            self._position_size, self._positioned_at = len(batch.position), now
        self._number += len(batch.records)
        return batch

    def _add(self, event: Event, batch: "_Batch") -> None:
        who = event.agent_id
        present = self._present.setdefault(who, AgentState())
        if isinstance(event, ScriptOutput):
            # A stock server's history is read again from the last position written, so output may repeat.
            if not self._source.output or present.has(event):
                return
        elif who in self._catching_up and present.has(event):
            return
        if isinstance(event, Gap) and event.reason.startswith(TOO_SLOW):
            reason = event.reason.replace(TOO_SLOW, "the relay had no room: its engine was away, or slow")
            event = msgspec.structs.replace(event, reason=reason)
        if event.hostname is None and (host := self._hosts.get(who)):
            note_host(event, host)
        record = record_of(event, self._clients.get(who))
        batch.records.append(record)
        batch.changes.update({(who, key): text for key, text in present.take(event, record).items()})
        if isinstance(event, Ended):
            del self._present[who]
        if isinstance(event, Live | Ended):
            self._catching_up.discard(who)

    async def _write(self, batch: "_Batch", stopping: "asyncio.Task[Any]") -> None:
        while True:
            try:
                await self._store.append(
                    batch.first, batch.records, batch.changes, batch.position, self._length
                )
            except EngineAwayError as error:
                if stopping.done():
                    raise
                _LOG.info("relay %s: %s", self._store.name, error)
                # The batch may have been written. `append` writes nothing twice that has the same number.
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(stopping), _RETRY)
            else:
                self.written += len(batch.records)
                return


@dataclass(slots=True)
class _Batch:
    """The arguments of one `Store.append`."""

    first: int
    records: list[Record] = field(default_factory=list)
    changes: dict[tuple[str, str], str] = field(default_factory=dict)
    position: str = ""


async def _next(consumer: Consumer, stopping: "asyncio.Task[Any]") -> Event | None:
    """The next event; None once the relay was stopped and no event is left."""
    if (event := consumer.backlog.pop()) is not None:
        return event
    waiting: asyncio.Future[Event] = asyncio.ensure_future(anext(consumer))
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
