"""The two ways to keep a mirror up to date: polling, or events together with lists.

They stand above `state`, and below `mirror`, which runs one of them. A list of all agents is read when a
mirror is entered and then once per `resync`, never because of an event.
"""

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Protocol

import msgspec

from trmm_async.dialects import AgentFilter
from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    ConnectionFailedError,
    PermissionDeniedError,
    TRMMError,
)
from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Ended, Event, Gap, Live
from trmm_async.mirror.state import MirrorSettings, MirrorState, differ
from trmm_async.models import Agent, Alert
from trmm_async.resources import Api, subscribe
from trmm_async.stream import Events, PollClient, PollRequest, StreamState, Subscription, emptied, in_turns

__all__ = ["EventFeed", "Feed", "PollFeed"]

AgentPredicate = Callable[[Agent], bool]

_FINAL = (AuthenticationError, PermissionDeniedError, ClosedError)
_AGENTS_A_TURN = 50
_ALERTS_A_TURN = 250
"""After so many objects of a list, the event loop runs other tasks: that is well below 5 ms of work."""


class Feed(Protocol):
    """Keeps a `MirrorState` up to date."""

    async def begin(self) -> None:
        """Read the first complete state. Raises `TRMMError`."""

    async def run(self) -> None:
        """Update until cancelled. Raises the error that makes updating impossible."""

    async def end(self) -> None:
        """Release connections and tasks."""

    @property
    def is_fresh(self) -> bool:
        """Whether the state is up to date, apart from the time between two polls."""
        ...

    def age(self, agent_id: str) -> float:
        """How many seconds old the state of this agent may be."""
        ...


class PollFeed:
    """Updates a mirror by the polls that all subscriptions of the client share."""

    def __init__(
        self, api: Api, state: MirrorState, wanted: AgentPredicate, settings: MirrorSettings
    ) -> None:
        self._state = state
        self._wanted = wanted
        self._settings = settings
        request = PollRequest(agent_ids=None, whole=True)
        self._polls = PollClient(api.shared_poller, lambda: request, settings.stream)
        self._seen_at = time.monotonic()
        self._lasts = False
        self.is_fresh: bool = False

    async def begin(self) -> None:
        while not self.is_fresh:
            error = await self._turn()
            if error is not None and (self._is_final(error) or self._lasts):
                raise error

    async def run(self) -> None:
        while True:
            error = await self._turn()
            if error is not None and self._is_final(error):
                raise error

    async def end(self) -> None:
        self.is_fresh = False

    def age(self, agent_id: str) -> float:
        del agent_id
        return time.monotonic() - self._seen_at

    @staticmethod
    def _is_final(error: TRMMError) -> bool:
        return isinstance(error, _FINAL)

    async def _turn(self) -> TRMMError | None:
        # A method of its own, so that no variable keeps the answer until the next poll.
        result = await self._polls.next()
        self._lasts = result.lasts or result.attempts >= self._settings.stream.connect_attempts
        if result.seen is None:
            self.is_fresh = False
            self._state.moved()
            return result.error
        agents = [*result.seen.agents.values()]
        result.seen.agents.clear()
        alerts = emptied(result.seen.alerts)
        await resync(self._state, emptied(agents), alerts, self._wanted, _nobody)
        self._seen_at = result.began
        self.is_fresh = True
        self._state.moved()
        return None


async def resync(
    state: MirrorState,
    agents: Iterable[Agent],
    alerts: Iterable[Alert],
    wanted: AgentPredicate,
    is_live: Callable[[str], bool],
) -> None:
    """Update the state from lists of all agents and alerts. A reader sees all changes at once.

    The slow part is computed before, and other tasks run meanwhile. For an agent with a live stream, status
    and alerts are kept, since the lists may be older than its last event.
    """
    there: set[str] = set()
    news: list[tuple[Agent | None, Agent, bool]] = []
    async for listed in in_turns(agents, _AGENTS_A_TURN):
        if wanted(listed):
            there.add(listed.agent_id)
            before, agent = state.agents.get(listed.agent_id), state.slim(listed)
            if before is not None and before.status != agent.status and is_live(agent.agent_id):
                agent = msgspec.structs.replace(agent, status=before.status)
            if before != agent:
                news.append((before, agent, differ(before, agent)))
    open_ones = await _open_alerts(alerts, there)
    for agent_id in state.agents.keys() - there:
        state.drop(agent_id)
    for before, agent, is_told in news:
        # If the agent was changed by an event meanwhile, that is newer than the list.
        if state.agents.get(agent.agent_id) is before:
            state.exchange(before, agent, is_told=is_told)
    live = {who: state.alerts.get(who, {}) for who in filter(is_live, there)}
    old, state.alerts = state.alerts, {who: those for who, those in (open_ones | live).items() if those}
    await _free(news, old)


async def _open_alerts(alerts: Iterable[Alert], there: set[str]) -> dict[str, dict[int, Alert]]:
    found: dict[str, dict[int, Alert]] = {}
    async for alert in in_turns(alerts, _ALERTS_A_TURN):
        if not alert.resolved and alert.agent_id in there:
            found.setdefault(alert.agent_id, {})[alert.id] = alert
    return found


async def _free(news: list[Any], alerts: dict[str, Any]) -> None:
    """Free them little by little: to free tens of thousands of objects at once would block the event loop."""
    async for _ in in_turns(range(len(news)), _ALERTS_A_TURN):
        news.pop()
    async for _ in in_turns(range(len(alerts)), _AGENTS_A_TURN):
        alerts.popitem()


def _nobody(agent_id: str) -> bool:
    del agent_id
    return False


class EventFeed:
    """Updates a mirror by events (a gateway's, or a given source's) and by a list once per `resync`."""

    def __init__(
        self,
        api: Api,
        state: MirrorState,
        wanted: AgentPredicate,
        settings: MirrorSettings,
        source: Events | None,
    ) -> None:
        self._api = api
        self._state = state
        self._wanted = wanted
        self._settings = settings
        self._source = source
        self._ours: Subscription | None = None
        self._standing: Subscription | None = None
        self._events: AsyncIterable[Event] | None = None
        self._followed: set[str] = set()
        self._live: set[str] = set()
        self._gone_stale: dict[str, float] = {}
        self._listed_at = 0.0
        self._list_failed = False

    @property
    def is_fresh(self) -> bool:
        # A `Gap` comes when the connection is back. Until then, only the state of the stream shows the loss.
        states = self._standing.state.values() if self._standing is not None else ()
        broken = any(state in {StreamState.CONNECTING, StreamState.CATCHING_UP} for state in states)
        return not (broken or self._gone_stale or self._list_failed)

    def age(self, agent_id: str) -> float:
        if agent_id in self._live:
            return 0.0
        return time.monotonic() - max(self._listed_at, self._gone_stale.get(agent_id, 0.0))

    async def begin(self) -> None:
        if self._source is not None:
            # Before the list is read: events that come meanwhile are applied after it.
            self._events = await self._source.__aenter__()
            if isinstance(self._source, Subscription):
                self._standing = self._source
        await self._list()
        if self._source is None and (followed := list(self._state.agents.values())[: self._settings.sockets]):
            self._ours = self._standing = subscribe(self._api, followed, self._settings.stream, snapshot=True)
            self._source = self._ours
            self._events = await self._ours.__aenter__()
            self._followed = {agent.agent_id for agent in followed}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._resync_on(), name="trmm_async: a mirror's lists")
            if self._events is not None:
                tasks.create_task(self._read(self._events), name="trmm_async: a mirror's events")

    async def end(self) -> None:
        if self._source is not None and self._events is not None:
            await self._source.__aexit__(None, None, None)

    async def _resync_on(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync)
            try:
                await self._list()
            except _FINAL:
                raise
            except TRMMError:
                self._list_failed = True
            self._state.moved()

    async def _list(self) -> None:
        began = time.monotonic()
        agents = await self._api.send(lambda dialect: dialect.list_agents(AgentFilter()))
        alerts = await self._api.send(lambda dialect: dialect.list_alerts())
        await resync(self._state, agents, alerts, self._wanted, self._live.__contains__)
        self._listed_at, self._list_failed = began, False
        self._follow_others()

    def _follow_others(self) -> None:
        """Open sockets for further agents in place of agents that are gone, up to the allowed number."""
        if self._ours is None:
            return
        for agent_id in self._followed - self._state.agents.keys():
            self._ours.remove(agent_id)
            self._forget(agent_id)
        for agent_id, agent in self._state.agents.items():
            if len(self._followed) >= self._settings.sockets:
                return
            if agent_id not in self._followed:
                self._ours.add(agent)
                self._followed.add(agent_id)

    def _forget(self, agent_id: str) -> None:
        self._followed.discard(agent_id)
        self._live.discard(agent_id)
        self._gone_stale.pop(agent_id, None)

    async def _read(self, events: AsyncIterable[Event]) -> None:
        async for event in events:
            self._hear(event)
            self._state.moved()
        raise ConnectionFailedError("the events of this mirror have ended")

    def _hear(self, event: Any) -> None:
        agent_id = event.agent_id
        match event:
            case AgentOnline() | AgentOffline():
                agent = self._state.agents.get(agent_id)
                if agent is not None:
                    status = "online" if isinstance(event, AgentOnline) else _down(agent.status)
                    self._state.put(msgspec.structs.replace(agent, status=status))
            case AlertEvent(alert=alert) if agent_id in self._state.agents:
                self._state.hear(agent_id, alert)
            case Gap():
                self._live.discard(agent_id)
                self._gone_stale[agent_id] = time.monotonic()
            case Live():
                self._gone_stale.pop(agent_id, None)
                self._live.add(agent_id)
            case Ended():
                self._forget(agent_id)
            case _:
                pass


def _down(status: str) -> str:
    """The status after an agent went offline. "overdue" stays."""
    return status if status != "online" else "offline"
