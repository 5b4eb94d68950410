"""`Mirror`: a live copy of the fleet, as a mapping."""

import asyncio
import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from operator import eq
from types import TracebackType
from typing import Any, Self

from trmm_async import arguments
from trmm_async.dialects import Polled
from trmm_async.errors import ClosedError, InvalidRequestError, TimeoutError
from trmm_async.mirror.feeds import EventFeed, Feed, PollFeed
from trmm_async.mirror.state import Changes, MirrorSettings, MirrorState
from trmm_async.models import Agent, Alert, Client, ClientRef, Site, SiteRef
from trmm_async.resources import Api, Selector
from trmm_async.stream import Events

__all__ = ["Mirror"]


class Mirror(Mapping[str, Agent]):
    """A live, read-only mapping from agent_id to `Agent`. `TRMM.mirror` makes it; enter it, then read it.

        async with trmm.mirror(client="Acme") as mirror:
            offline = [agent for agent in mirror.values() if agent.status != "online"]

    Entering waits until all agents have been read. The mirror changes only while you await something. An
    agent stays the same object until something other than its `last_seen` changes. After you leave the block,
    no task and no socket remains. A mirror belongs to one event loop, and can be entered once.
    """

    def __init__(
        self,
        api: Api,
        selector: Selector,
        settings: MirrorSettings,
        *,
        inventory: bool,
        custom_fields: bool,
        source: Events | None,
    ) -> None:
        self._api = api
        self._selector = selector
        self._settings = settings
        self._source = source
        self._state = MirrorState(inventory=inventory, custom_fields=custom_fields)
        self._feed: Feed | None = None
        self._task: asyncio.Task[None] | None = None
        self._phase = "new"

    def __repr__(self) -> str:
        fresh = "fresh" if self.fresh else "not fresh"
        return f"<Mirror of {len(self)} agents, {self._phase}, {fresh}>"

    # -- life ------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Wait until all agents and alerts have been read.

        Raises:
            UnknownNameError: there is no client or site of this name.
            TRMMError: the server refuses, or can't be reached.
            ClosedError: the mirror was entered before.
        """
        if self._phase != "new":
            raise ClosedError("a mirror can be entered once: call trmm.mirror() again")
        self._phase = "beginning"
        wanted = await self._selector.matcher()
        polled = isinstance((await self._api.dialect()).event_source(), Polled)
        if self._source is None and polled:
            self._feed = PollFeed(self._api, self._state, wanted, self._settings)
        else:
            self._feed = EventFeed(self._api, self._state, wanted, self._settings, self._source)
        try:
            await self._feed.begin()
        except BaseException:
            self._phase = "ended"
            await self._feed.end()
            raise
        self._phase = "open"
        self._task = asyncio.create_task(self._run(self._feed), name="trmm_async: a mirror")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._phase = "ended"
        self._state.finish(ClosedError("this mirror was left"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._feed is not None:
            await self._feed.end()

    async def _run(self, feed: Feed) -> None:
        try:
            await feed.run()
        except Exception as error:  # noqa: BLE001 - readers get it; otherwise they would wait forever
            end: BaseException = error
            while isinstance(end, BaseExceptionGroup):
                end = end.exceptions[0]
            self._phase = "ended"
            self._state.finish(end)

    # -- reading ---------------------------------------------------------------------------------------------

    def __getitem__(self, agent_id: str) -> Agent:
        return self._state.agents[agent_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._state.agents)

    def __len__(self) -> int:
        return len(self._state.agents)

    def alerts(self, agent: str | Agent) -> list[Alert]:
        """The unresolved alerts of an agent, the oldest first. Empty if the mirror doesn't have the agent.

        Raises:
            InvalidRequestError: this is not an agent or an id.
        """
        known = self._state.alerts.get(arguments.agent_id(agent), {})
        return [known[number] for number in sorted(known)]

    def by_client(self, client: int | str | Client | ClientRef) -> list[Agent]:
        """The agents of a client, given by its id, its name or as an object, in no particular order."""
        return self._among(self._state.by_client.of(_is(client)))

    def by_site(self, site: int | str | Site | SiteRef) -> list[Agent]:
        """The agents of a site, given by its id, its name or as an object, in no particular order."""
        return self._among(self._state.by_site.of(_is(site)))

    def by_status(self, status: str) -> list[Agent]:
        """The agents that have a status ("online", "offline" or "overdue"), in no particular order."""
        return self._among(self._state.by_status.of(partial(eq, status)))

    def _among(self, agent_ids: Iterable[str]) -> list[Agent]:
        return [self[agent_id] for agent_id in agent_ids]

    @property
    def fresh(self) -> bool:
        """Whether the mirror is known to be up to date. It is False between a `Gap` and the next `Live`."""
        return self._phase == "open" and self._feed is not None and self._feed.is_fresh

    @property
    def freshness(self) -> Mapping[str, float]:
        """For each agent, how many seconds old its state may be now. 0.0 if its WebSocket is connected."""
        feed = self._feed
        return {} if feed is None else {agent_id: feed.age(agent_id) for agent_id in self}

    # -- waiting ---------------------------------------------------------------------------------------------

    def changes(self) -> Changes:
        """The changes from now on, as `Changes`. A new `last_seen` alone is not a change."""
        return self._state.changes()

    async def wait_until(
        self, holds: "Callable[[Mirror], object]", *, timeout: float | None = None, missing_ok: bool = False
    ) -> None:
        """Wait until a condition is true. Safe to cancel. Waiting sends no requests.

        Args:
            holds: the condition, a function of the mirror. It is called now, and again after each change.
            timeout: how many seconds to wait at most; None: any time.
            missing_ok: if `holds` looks up an agent that the mirror doesn't have yet, wait for that agent.

        Raises:
            TimeoutError: the condition was not true in time.
            KeyError: `holds` looked up an agent that the mirror doesn't have, and `missing_ok` is False.
            ClosedError: the mirror was not entered, or was left meanwhile.
            TRMMError: the error that ended the mirror. Other exceptions of `holds` are passed on.
        """
        if not callable(holds):
            raise InvalidRequestError(f"wait_until needs a function of the mirror, not {holds!r}")
        if timeout is not None:
            arguments.number(timeout, "timeout", minimum=0)
        if self._feed is None:
            raise ClosedError("enter the mirror first: async with trmm.mirror(…) as mirror")

        def is_so() -> bool:
            try:
                return bool(holds(self))
            except KeyError:
                if not missing_ok:
                    raise
                return False

        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                await self._state.wait_until(is_so)
        except builtins.TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"it did not hold within {timeout} s") from None


def _is(wanted: Any) -> Callable[[tuple[int | None, str | None]], bool]:
    """A test for the key of a client or site: by id, or by name if there is no id."""
    key = wanted if isinstance(wanted, str | int) else wanted.id if wanted.id is not None else wanted.name
    place = 1 if isinstance(key, str) else 0
    return lambda named: named[place] == key
