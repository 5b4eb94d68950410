"""How a mirror is kept up to date: by looks at a server that pushes nothing, or by events and lists.

Over `picture`; `mirror` runs one. A list is read when a mirror is entered and then once a resync, never once
an event.
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
from trmm_async.mirror.picture import MirrorSettings, Picture, differ
from trmm_async.models import Agent, Alert
from trmm_async.resources import Api, subscribe
from trmm_async.stream import Events, Look, Looking, StreamState, Subscription, Wants, emptied, in_turns

__all__ = ["EventsFeed", "Feed", "LooksFeed"]

AgentPredicate = Callable[[Agent], bool]

_FINAL = (AuthenticationError, PermissionDeniedError, ClosedError)
_AGENTS_A_TURN = 50
_ALERTS_A_TURN = 250
"""After so many of a list the event loop has its turn: well below 5 ms of work."""


class Feed(Protocol):
    """Keeps a picture up to date."""

    async def begin(self) -> None:
        """The first whole picture. Raises `TRMMError`."""

    async def run(self) -> None:
        """Go on; ends by being cancelled, or raises why it can't."""

    async def end(self) -> None:
        """Let go of what it holds."""

    @property
    def is_fresh(self) -> bool:
        """Whether the picture is known to be right, but for the time that passes between two looks."""
        ...

    def age(self, agent_id: str) -> float:
        """How many seconds old the state of this agent may be."""
        ...


class LooksFeed:
    """By the looks that all subscriptions and waiters of the client share."""

    def __init__(self, api: Api, picture: Picture, wanted: AgentPredicate, settings: MirrorSettings) -> None:
        self._picture = picture
        self._wanted = wanted
        self._settings = settings
        self._looking = Looking(api.looker, lambda: Wants(agent_ids=None, whole=True), settings.stream)
        self._seen_at = time.monotonic()
        self._lasts = False
        self.is_fresh: bool = False

    async def begin(self) -> None:
        """See `Feed`."""
        while not self.is_fresh:
            error = await self._turn()
            if error is not None and (self._is_final(error) or self._lasts):
                raise error

    async def run(self) -> None:
        """See `Feed`."""
        while True:
            error = await self._turn()
            if error is not None and self._is_final(error):
                raise error

    async def end(self) -> None:
        """See `Feed`."""
        self.is_fresh = False

    def age(self, agent_id: str) -> float:
        """See `Feed`."""
        del agent_id
        return time.monotonic() - self._seen_at

    @staticmethod
    def _is_final(error: TRMMError) -> bool:
        return isinstance(error, _FINAL)

    async def _turn(self) -> TRMMError | None:
        # A method of its own, so that nothing holds the answer between two looks.
        look = await self._looking.next()
        self._lasts = look.lasts or look.attempts >= self._settings.stream.connect_attempts
        if look.seen is None:
            self.is_fresh = False
            self._picture.moved()
            return look.error
        await self._take(look)
        self._seen_at = look.began
        self.is_fresh = True
        self._picture.moved()
        return None

    async def _take(self, look: Look) -> None:
        if look.seen is not None:
            agents = [*look.seen.agents.values()]
            look.seen.agents.clear()
            alerts = emptied(look.seen.alerts)
            await resync(self._picture, emptied(agents), alerts, self._wanted, _nobody)


async def resync(
    picture: Picture,
    agents: Iterable[Agent],
    alerts: Iterable[Alert],
    wanted: AgentPredicate,
    is_live: Callable[[str], bool],
) -> None:
    """Have the picture show what lists have: for a reader, in one go.

    What takes long is worked out before, and the event loop has its turn meanwhile. Of an agent that is live,
    status and alerts are known better than by lists, which may be older than what was told of it.
    """
    there: set[str] = set()
    news: list[tuple[Agent | None, Agent, bool]] = []
    async for listed in in_turns(agents, _AGENTS_A_TURN):
        if wanted(listed):
            there.add(listed.agent_id)
            before, agent = picture.agents.get(listed.agent_id), picture.slim(listed)
            if before is not None and before.status != agent.status and is_live(agent.agent_id):
                agent = msgspec.structs.replace(agent, status=before.status)
            if before != agent:
                news.append((before, agent, differ(before, agent)))
    open_ones = await _open_alerts(alerts, there)
    for agent_id in picture.agents.keys() - there:
        picture.drop(agent_id)
    for before, agent, is_told in news:
        # What is another by now was told of meanwhile, and that is newer.
        if picture.agents.get(agent.agent_id) is before:
            picture.exchange(before, agent, is_told=is_told)
    live = {who: picture.alerts.get(who, {}) for who in filter(is_live, there)}
    old, picture.alerts = picture.alerts, {who: those for who, those in (open_ones | live).items() if those}
    await _throw_away(news, old)


async def _open_alerts(alerts: Iterable[Alert], there: set[str]) -> dict[str, dict[int, Alert]]:
    found: dict[str, dict[int, Alert]] = {}
    async for alert in in_turns(alerts, _ALERTS_A_TURN):
        if not alert.resolved and alert.agent_id in there:
            found.setdefault(alert.agent_id, {})[alert.id] = alert
    return found


async def _throw_away(news: list[Any], alerts: dict[str, Any]) -> None:
    """Bit by bit: tens of thousands of objects that go at once would hold the event loop for long."""
    async for _ in in_turns(range(len(news)), _ALERTS_A_TURN):
        news.pop()
    async for _ in in_turns(range(len(alerts)), _AGENTS_A_TURN):
        alerts.popitem()


def _nobody(agent_id: str) -> bool:
    del agent_id
    return False


class EventsFeed:
    """By events, of a gateway's sockets or of a source that was given, and a list once a resync."""

    def __init__(
        self,
        api: Api,
        picture: Picture,
        wanted: AgentPredicate,
        settings: MirrorSettings,
        source: Events | None,
    ) -> None:
        self._api = api
        self._picture = picture
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
        """See `Feed`. A `Gap` is told when a connection stands again: until then its state says it."""
        states = self._standing.state.values() if self._standing is not None else ()
        broken = any(state in {StreamState.CONNECTING, StreamState.CATCHING_UP} for state in states)
        return not (broken or self._gone_stale or self._list_failed)

    def age(self, agent_id: str) -> float:
        """See `Feed`."""
        if agent_id in self._live:
            return 0.0
        return time.monotonic() - max(self._listed_at, self._gone_stale.get(agent_id, 0.0))

    async def begin(self) -> None:
        """See `Feed`."""
        if self._source is not None:
            # Before the list: what happens meanwhile is told behind it.
            self._events = await self._source.__aenter__()
            if isinstance(self._source, Subscription):
                self._standing = self._source
        await self._list()
        if self._source is None and (
            followed := list(self._picture.agents.values())[: self._settings.sockets]
        ):
            self._ours = self._standing = subscribe(self._api, followed, self._settings.stream, snapshot=True)
            self._source = self._ours
            self._events = await self._ours.__aenter__()
            self._followed = {agent.agent_id for agent in followed}

    async def run(self) -> None:
        """See `Feed`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._resync_on(), name="trmm_async: a mirror's lists")
            if self._events is not None:
                tasks.create_task(self._read(self._events), name="trmm_async: a mirror's events")

    async def end(self) -> None:
        """See `Feed`."""
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
            self._picture.moved()

    async def _list(self) -> None:
        began = time.monotonic()
        agents = await self._api.send(lambda dialect: dialect.list_agents(AgentFilter()))
        alerts = await self._api.send(lambda dialect: dialect.list_alerts())
        await resync(self._picture, agents, alerts, self._wanted, self._live.__contains__)
        self._listed_at, self._list_failed = began, False
        self._follow_others()

    def _follow_others(self) -> None:
        """Sockets for as many as there may be: those that are gone make room for others."""
        if self._ours is None:
            return
        for agent_id in self._followed - self._picture.agents.keys():
            self._ours.remove(agent_id)
            self._forget(agent_id)
        for agent_id, agent in self._picture.agents.items():
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
            self._picture.moved()
        raise ConnectionFailedError("the events of this mirror have ended")

    def _hear(self, event: Any) -> None:
        agent_id = event.agent_id
        match event:
            case AgentOnline() | AgentOffline():
                agent = self._picture.agents.get(agent_id)
                if agent is not None:
                    status = "online" if isinstance(event, AgentOnline) else _down(agent.status)
                    self._picture.put(msgspec.structs.replace(agent, status=status))
            case AlertEvent(alert=alert) if agent_id in self._picture.agents:
                self._picture.hear(agent_id, alert)
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
    """What an agent that is not online is: overdue stays so."""
    return status if status != "online" else "offline"
