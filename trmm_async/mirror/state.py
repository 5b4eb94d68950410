"""The data of a mirror: agents, their open alerts, indexes, and the readers of changes. No I/O.

`feeds` writes it. Each change is made at once, between two awaits of a reader.
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

__all__ = ["Change", "Changes", "Index", "MirrorSettings", "MirrorState", "differ"]

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
        sockets: on a gateway, for how many agents a WebSocket is opened. Each handshake counts against the
            rate limit. The other agents are updated from the list of all agents, every `resync` seconds.
        resync: on a gateway, and with `source=`, seconds between two lists of all agents and alerts.
        stream: how often a stock server is polled, and how WebSockets are kept.

    Raises:
        InvalidRequestError: `sockets` is below 0, or `resync` is not above 0.
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
    """An agent of a mirror has changed. `before` is None if it is new, `after` is None if it is gone."""

    agent_id: str
    """The agent's id."""
    before: Agent | None
    after: Agent | None


class Changes:
    """The changes of a mirror from now on. `Mirror.changes` makes it; enter it, then iterate it.

        async with mirror.changes() as changes:
            async for change in changes: ...

    For a slow reader, several changes of one agent are merged into one `Change`, from the first `before` to
    the last `after`; if these are equal, there is none. So the reader always gets the present state, but may
    miss states between. The iteration ends with `ClosedError` when the mirror is left, or with the error that
    ended the mirror.
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
        """The next change. Safe to cancel: no change is lost."""
        while not self._waiting:
            if self._end is not None:
                raise self._end
            self._news.clear()
            await self._news.wait()
        return self._waiting.pop(next(iter(self._waiting)))

    def put(self, change: Change) -> None:
        """Add a change. Called by `MirrorState`."""
        earlier = self._waiting.pop(change.agent_id, None)
        if earlier is not None:
            change = Change(agent_id=change.agent_id, before=earlier.before, after=change.after)
        if change.before is None and change.after is None:
            return
        if change.after is None or differ(change.before, change.after):
            self._waiting[change.agent_id] = change
            self._news.set()

    def finish(self, end: BaseException) -> None:
        """End the iteration. Called by `MirrorState`."""
        self._end = self._end or end
        self._news.set()


def differ(before: Agent | None, after: Agent) -> bool:
    """Whether they differ in more than `last_seen`, which changes whenever the agent answers."""
    return before is None or msgspec.structs.replace(before, last_seen=after.last_seen) != after


class Index:
    """An index of agents by a key that many of them share. Each change updates it; it is not rebuilt."""

    def __init__(self, key: Callable[[Agent], Hashable]) -> None:
        self._key = key
        self._groups: dict[Hashable, dict[str, None]] = {}

    def move(self, agent_id: str, before: Agent | None, after: Agent | None) -> None:
        """Record that an agent has changed; None if it was not there before, or is gone now."""
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
        """The ids of the agents whose key fits. `fits` is called once for each key."""
        return (agent_id for key, group in self._groups.items() if fits(key) for agent_id in group)


class MirrorState:
    """The agents and their open alerts.

    Attributes:
        agents: the agents by id. An agent stays the same object until more than `last_seen` changes.
        alerts: the unresolved alerts, by agent_id and the alert's id.
        by_client: an index by the client's id and name.
        by_site: an index by the site's id and name.
        by_status: an index by status.
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

    # -- writing ---------------------------------------------------------------------------------------------

    def slim(self, agent: Agent) -> Agent:
        """The agent without the fields that were not asked for."""
        return msgspec.structs.replace(agent, **self._left_out) if self._left_out else agent

    def put(self, agent: Agent) -> None:
        """Record the present state of an agent. It must be `slim`."""
        before = self.agents.get(agent.agent_id)
        if before != agent:
            self.exchange(before, agent, is_told=differ(before, agent))

    def exchange(self, before: Agent | None, agent: Agent, *, is_told: bool) -> None:
        """The same, if the caller has compared both states already.

        With `is_told=False` they differ only in `last_seen`, which is not the key of any index.
        """
        self.agents[agent.agent_id] = agent
        if is_told:
            self._move(agent.agent_id, before, agent)
            self._tell(Change(agent_id=agent.agent_id, before=before, after=agent))

    def drop(self, agent_id: str) -> None:
        """Remove an agent and its alerts."""
        self.alerts.pop(agent_id, None)
        before = self.agents.pop(agent_id, None)
        if before is not None:
            self._move(agent_id, before, None)
            self._tell(Change(agent_id=agent_id, before=before, after=None))

    def _move(self, agent_id: str, before: Agent | None, after: Agent | None) -> None:
        for index in (self.by_client, self.by_site, self.by_status):
            index.move(agent_id, before, after)

    def hear(self, agent_id: str, alert: Alert) -> None:
        """Record the present state of one alert."""
        alerts = self.alerts.setdefault(agent_id, {})
        if alert.resolved:
            alerts.pop(alert.id, None)
        else:
            alerts[alert.id] = alert
        if not alerts:
            del self.alerts[agent_id]

    def moved(self) -> None:
        """Wake those that wait for a condition, since something has changed."""
        for waiter in self._waiters:
            waiter.set()

    def finish(self, end: BaseException) -> None:
        """End the readers and waiters, since the mirror is not updated any more."""
        self._end = self._end or end
        for reader in self._readers:
            reader.finish(self._end)
        self.moved()

    # -- reading ---------------------------------------------------------------------------------------------

    def changes(self) -> Changes:
        """Make a reader of the changes from now on."""
        changes = Changes(self._attach)
        if self._end is not None:
            changes.finish(self._end)
        return changes

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Return when the condition is true. Raises the error that ended the mirror."""
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
