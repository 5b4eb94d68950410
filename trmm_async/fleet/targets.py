"""Where a run's targets come from: a list, a stream that is read as it goes, a journal, or a shared one.

Each gives them page by page, so that a run holds few of them at a time.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Final, Protocol

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError
from trmm_async.fleet.journal import Journal
from trmm_async.fleet.storage import SharedJournalStore
from trmm_async.models import Agent

__all__ = [
    "JournalTargets",
    "ListedTargets",
    "SharedTargets",
    "StreamedTargets",
    "Targets",
    "at_most",
    "listed",
    "noted",
    "streamed",
]

_PAGE: Final = 256
_CLAIM_MOST: Final = 200
"""Targets of one claim, so that other hosts have some as well."""


class Targets(Protocol):
    """A source of targets.

    Attributes:
        total: how many there are; None while that isn't known.
    """

    total: int | None

    @property
    def is_over(self) -> bool:
        """Whether there are no more, where the last page was empty."""
        ...

    async def page(self) -> list[str]:
        """The next few; none when there are no more, or not yet. Raises `TRMMError`, or as a stream."""
        ...

    async def aclose(self) -> None:
        """No more is wanted of it."""


class ListedTargets:
    """Targets that are known all at once."""

    is_over: bool = True

    def __init__(self, agent_ids: list[str]) -> None:
        self.total: int | None = len(agent_ids)
        self._rest = iter(agent_ids)

    async def page(self) -> list[str]:
        return list(islice(self._rest, _PAGE))

    async def aclose(self) -> None:
        """It holds nothing."""


class StreamedTargets:
    """Targets that are read while the run is under way. Of those read, only a digest is kept."""

    is_over: bool = True

    def __init__(self, agents: AsyncIterable[str | Agent], hosts: dict[str, str]) -> None:
        self.total: int | None = None
        self._agents = streamed(agents, hosts)
        self._read = 0

    async def page(self) -> list[str]:
        """See `Targets`. A small page, since the stream may be slow."""
        async for agent_id in self._agents:
            self._read += 1
            return [agent_id]
        self.total = self._read
        return []

    async def aclose(self) -> None:
        """See `Targets`. What the stream holds is let go: its `finally` has run."""
        await self._agents.aclose()


class JournalTargets:
    """Those of a journal that were never sent."""

    is_over: bool = True

    def __init__(self, journal: Journal, total: int) -> None:
        self.total: int | None = total
        self._journal = journal
        self._place = 0

    async def page(self) -> list[str]:
        rows = await self._journal.pending(self._place)
        if rows:
            self._place = rows[-1][0]
        return [agent_id for _, agent_id in rows]

    async def aclose(self) -> None:
        """See `Targets`. The journal is its run's."""


class SharedTargets:
    """Those of a journal that several hosts work off: claimed, as many as can be sent to soon.

    Attributes:
        wanted: how many these are now.
        width: how many may be under way at once, on all hosts; None: any number.
        leave_out: those that are not claimed.
        is_over: whether nothing more will be to be claimed.
    """

    def __init__(self, shared: SharedJournalStore, total: int) -> None:
        self.total: int | None = total
        self.wanted: Callable[[], int] = lambda: 1
        self.width: int | None = None
        self.leave_out: Collection[str] = ()
        self.is_over: bool = False
        self._shared = shared
        self._moved = asyncio.Event()

    async def page(self) -> list[str]:
        """See `Targets`. With none to be claimed it waits for a moment."""
        if self.is_over:
            return []
        self._moved.clear()
        claimed = await self._shared.claim(min(self.wanted(), _CLAIM_MOST), self.width, self.leave_out)
        if not claimed:
            await at_most(self._shared.poll, self._moved)
        return claimed

    def wake(self) -> None:
        """Something has changed: there may be more."""
        self._moved.set()

    def end(self) -> None:
        """There will be no more."""
        self.is_over = True
        self.wake()

    async def aclose(self) -> None:
        """See `Targets`. The journal is its run's."""


async def at_most(poll: float, event: asyncio.Event) -> None:
    """Wait for the event, for about so long: hosts that wait for the same don't all look at one moment.

    The event is set then, too; whoever waits again clears it first.
    """
    soon = poll * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    timer = asyncio.get_running_loop().call_later(soon, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()


def listed(agents: Iterable[str | Agent]) -> list[str]:
    """The ids of the agents of a collection, each there once.

    Raises:
        InvalidRequestError: one is no agent, or is there twice.
    """
    targets = arguments.agent_ids(agents)
    if len(set(targets)) < len(targets):
        twice = next(target for target, times in Counter(targets).items() if times > 1)
        raise _twice(twice)
    return targets


async def streamed(agents: AsyncIterable[str | Agent], hosts: dict[str, str]) -> AsyncGenerator[str, None]:
    """The same of a stream, as it comes; `hosts` is told what those are called that come as objects.

    Closes the stream in the end, if it can be.
    """
    seen: set[bytes] = set()
    each = aiter(agents)
    try:
        async for agent in each:
            agent_id = arguments.agent_id(agent)
            digest = blake2b(agent_id.encode(), digest_size=16).digest()
            if digest in seen:
                raise _twice(agent_id)
            seen.add(digest)
            if isinstance(agent, Agent):
                hosts[agent_id] = agent.hostname
            yield agent_id
    finally:
        if isinstance(each, AsyncGenerator):
            await each.aclose()


async def noted(
    agents: AsyncIterable[str | Agent], given: dict[str, str | Agent]
) -> AsyncGenerator[str | Agent, None]:
    """The same stream; what each was given as is noted by its id. Closed, it closes the stream."""
    each = aiter(agents)
    try:
        async for agent in each:
            given[arguments.agent_id(agent)] = agent
            yield agent
    finally:
        if isinstance(each, AsyncGenerator):
            await each.aclose()


def _twice(agent_id: str) -> InvalidRequestError:
    return InvalidRequestError(f"agents: {agent_id!r} is there more than once; a script runs once on each")


class Queue:
    """The targets that may be taken now: what the source has given, and what has come back to it.

    Attributes:
        given: how many the source has given.
        exhausted: whether it has no more.
        ready: those that may be taken.
    """

    def __init__(self, source: Targets) -> None:
        self.source = source
        self.given: int = 0
        self.exhausted: bool = False
        self.ready: deque[str] = deque()

    def __len__(self) -> int:
        return len(self.ready)

    async def fill(self) -> None:
        """Take the next page of the source, if nothing is left of the last. Not for two tasks at once."""
        if not self.ready and not self.exhausted:
            page = await self.source.page()
            self.given += len(page)
            self.exhausted = not page and self.source.is_over
            self.ready.extend(page)

    def take(self) -> str:
        """The next one; there must be one."""
        return self.ready.popleft()

    def put_first(self, agent_ids: Iterator[str] | list[str]) -> None:
        """These may be taken next."""
        self.ready.extendleft(agent_ids)
