"""What a mirror holds: agents, their open alerts, indexes, and who is told of changes. No I/O.

Below `feeds`, which says how things stand. Everything changes in one go, between two awaits of the reader.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from trmm_async.errors import ClosedError, InvalidRequestError
from trmm_async.models import Agent, Alert, Noun
from trmm_async.stream import StreamSettings

__all__ = ["Change", "Changes", "Index", "MirrorSettings", "Picture", "differ"]

_INVENTORY: Final[Mapping[str, object]] = {
    "disks": (),
    "physical_disks": (),
    "cpu_model": None,
    "graphics": None,
    "make_model": None,
    "serial_number": None,
    "total_ram": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSettings:
    """How a mirror is kept up to date.

    Attributes:
        sockets: on a gateway, for how many agents a socket is opened; each is a request for the rate limit.
            The others are kept by one list a `resync`.
        resync: on a gateway, and with `source=`, seconds between two lists of all agents and alerts.
        stream: how often a stock server is looked at, and how sockets are kept.

    Raises:
        InvalidRequestError: `sockets` below 0, or `resync` not above 0.
    """

    sockets: int = 50
    resync: float = 60.0
    stream: StreamSettings = field(default_factory=lambda: StreamSettings(poll_scripts=False))

    def __post_init__(self) -> None:
        if self.sockets < 0:
            raise InvalidRequestError(f"sockets must be at least 0, not {self.sockets!r}")
        if not self.resync > 0:
            raise InvalidRequestError(f"resync must be above 0 seconds, not {self.resync!r}")


class Change(Noun, frozen=True, kw_only=True, gc=False):
    """An agent is not as it was; `before` is None where it was not there, `after` where it is gone."""

    agent_id: str
    """The agent's id."""
    before: Agent | None
    after: Agent | None


class Changes:
    """The changes of a mirror, from the moment it is made: enter it, then iterate it.

        async with mirror.changes() as changes:
            async for change in changes: ...

    A slow reader loses nothing of how things stand: what happens to an agent before its change is read is put
    together with it, and what has come to nothing by then is not told. Ends with `ClosedError` when the
    mirror is left, or with the error that ended the mirror.
    """

    def __init__(self, attach: "Callable[[Changes], Callable[[], None]]") -> None:
        self._waiting: dict[str, Change] = {}
        self._news = asyncio.Event()
        self._end: BaseException | None = None
        self._detach = attach(self)

    def __repr__(self) -> str:
        return f"<Changes, {len(self._waiting)} waiting>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._detach()
        self.finish(ClosedError("these changes were left; call mirror.changes() again"))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """The next change. Safe to cancel."""
        while not self._waiting:
            if self._end is not None:
                raise self._end
            self._news.clear()
            await self._news.wait()
        return self._waiting.pop(next(iter(self._waiting)))

    def put(self, change: Change) -> None:
        """For the picture."""
        earlier = self._waiting.pop(change.agent_id, None)
        if earlier is not None:
            change = Change(agent_id=change.agent_id, before=earlier.before, after=change.after)
        if change.before is None and change.after is None:
            return
        if change.after is None or differ(change.before, change.after):
            self._waiting[change.agent_id] = change
            self._news.set()

    def finish(self, end: BaseException) -> None:
        """For the picture: nothing more comes."""
        self._end = self._end or end
        self._news.set()


def differ(before: Agent | None, after: Agent) -> bool:
    """Whether they differ in more than `last_seen`, which says no more than that it still answers."""
    return before is None or msgspec.structs.replace(before, last_seen=after.last_seen) != after


class Index:
    """Which agents belong where, by a key that many of them share. Kept at each change, never made anew."""

    def __init__(self, key: Callable[[Agent], Hashable]) -> None:
        self._key = key
        self._groups: dict[Hashable, dict[str, None]] = {}

    def move(self, agent_id: str, before: Agent | None, after: Agent | None) -> None:
        """The agent was, or is, there: None if it was not there, or is gone."""
        was = None if before is None else self._key(before)
        now = None if after is None else self._key(after)
        if was == now:
            return
        if was is not None:
            group = self._groups[was]
            del group[agent_id]
            if not group:
                del self._groups[was]
        if now is not None:
            self._groups.setdefault(now, {})[agent_id] = None

    def of(self, fits: Callable[[Any], bool]) -> Iterator[str]:
        """The ids of those whose key fits; as many keys are asked as there are."""
        return (agent_id for key, group in self._groups.items() if fits(key) for agent_id in group)


class Picture:
    """Agents and open alerts, by agent.

    Attributes:
        agents: by id; the same object as long as nothing but `last_seen` of the agent changes.
        alerts: those that are not resolved, by agent and number.
        by_client: by id and name of the client.
        by_site: by id and name of the site.
        by_status: by status.
    """

    def __init__(self, *, inventory: bool, custom_fields: bool) -> None:
        self._left_out: dict[str, Any] = {} if inventory else dict(_INVENTORY)
        if not custom_fields:
            self._left_out["custom_fields"] = ()
        self.agents: dict[str, Agent] = {}
        self.alerts: dict[str, dict[int, Alert]] = {}
        self.by_client: Index = Index(lambda agent: (agent.client.id, agent.client.name))
        self.by_site: Index = Index(lambda agent: (agent.site.id, agent.site.name))
        self.by_status: Index = Index(lambda agent: agent.status)
        self._readers: dict[Changes, None] = {}
        self._waiters: set[asyncio.Event] = set()
        self._end: BaseException | None = None

    # -- what is told to it ----------------------------------------------------------------------------------

    def slim(self, agent: Agent) -> Agent:
        """The agent without what was not asked for."""
        return msgspec.structs.replace(agent, **self._left_out) if self._left_out else agent

    def put(self, agent: Agent) -> None:
        """How an agent stands now; slim."""
        before = self.agents.get(agent.agent_id)
        if before != agent:
            self.exchange(before, agent, is_told=differ(before, agent))

    def exchange(self, before: Agent | None, agent: Agent, *, is_told: bool) -> None:
        """The same, where it is known what differs from how it stood before.

        What is not told differs in `last_seen` alone, which no index has for a key.
        """
        self.agents[agent.agent_id] = agent
        if is_told:
            self._move(agent.agent_id, before, agent)
            self._tell(Change(agent_id=agent.agent_id, before=before, after=agent))

    def drop(self, agent_id: str) -> None:
        """An agent is gone, and its alerts."""
        self.alerts.pop(agent_id, None)
        before = self.agents.pop(agent_id, None)
        if before is not None:
            self._move(agent_id, before, None)
            self._tell(Change(agent_id=agent_id, before=before, after=None))

    def _move(self, agent_id: str, before: Agent | None, after: Agent | None) -> None:
        for index in (self.by_client, self.by_site, self.by_status):
            index.move(agent_id, before, after)

    def hear(self, agent_id: str, alert: Alert) -> None:
        """How one alert stands now."""
        alerts = self.alerts.setdefault(agent_id, {})
        if alert.resolved:
            alerts.pop(alert.id, None)
        else:
            alerts[alert.id] = alert
        if not alerts:
            del self.alerts[agent_id]

    def moved(self) -> None:
        """Something may be as somebody waits for it."""
        for waiter in self._waiters:
            waiter.set()

    def finish(self, end: BaseException) -> None:
        """Nothing is kept up to date any more."""
        self._end = self._end or end
        for reader in self._readers:
            reader.finish(self._end)
        self.moved()

    # -- who reads -------------------------------------------------------------------------------------------

    def changes(self) -> Changes:
        """See `Mirror.changes`."""
        changes = Changes(self._attach)
        if self._end is not None:
            changes.finish(self._end)
        return changes

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Return when it holds. Raises what ended the picture."""
        news = asyncio.Event()
        self._waiters.add(news)
        try:
            while not holds():
                if self._end is not None:
                    raise self._end
                news.clear()
                await news.wait()
        finally:
            self._waiters.discard(news)

    def _attach(self, reader: Changes) -> Callable[[], None]:
        self._readers[reader] = None

        def detach() -> None:
            self._readers.pop(reader, None)

        return detach

    def _tell(self, change: Change) -> None:
        for reader in self._readers:
            reader.put(change)
