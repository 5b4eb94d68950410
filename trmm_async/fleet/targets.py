"""The sources of a run's targets: a list, a stream, a journal, or a journal that several hosts share.

Each source returns its targets page by page, so that a run holds few of them at a time.
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
from trmm_async.resources import Selector

__all__ = [
    "JournalTargets",
    "ListedTargets",
    "SharedTargets",
    "StreamedTargets",
    "Targets",
    "at_most",
    "checked_given",
    "checked_targets",
    "streamed",
]

_PAGE: Final = 256
_CLAIM_MOST: Final = 200
"""How many targets one claim may take, so that other hosts get some as well."""


class Targets(Protocol):
    """A source of targets.

    Attributes:
        total: the number of targets; None while it isn't known.
    """

    total: int | None

    @property
    def is_over(self) -> bool:
        """Whether an empty page means that there are no more targets."""
        ...

    async def page(self) -> list[str]:
        """The next targets; empty if there are no more, or none yet.

        Raises `TRMMError`, and whatever the user's stream raises.
        """
        ...

    async def aclose(self) -> None:
        """Release what the source holds; no more targets are needed."""


class ListedTargets:
    """Targets that are all known from the beginning."""

    is_over: bool = True

    def __init__(self, agent_ids: list[str]) -> None:
        self.total: int | None = len(agent_ids)
        self._rest = iter(agent_ids)

    async def page(self) -> list[str]:
        return list(islice(self._rest, _PAGE))

    async def aclose(self) -> None:
        """Nothing to release."""


class StreamedTargets:
    """Targets of a stream that is read during the run. Only a digest of each is kept, to find duplicates."""

    is_over: bool = True

    def __init__(self, agents: AsyncIterable[str | Agent], hosts: dict[str, str]) -> None:
        self.total: int | None = None
        self._agents = streamed(agents, hosts)
        self._read = 0

    async def page(self) -> list[str]:
        """A page of one target, since the stream may be slow."""
        async for agent_id in self._agents:
            self._read += 1
            return [agent_id]
        self.total = self._read
        return []

    async def aclose(self) -> None:
        """Close the stream; when this returns, its `finally` blocks have run."""
        await self._agents.aclose()


class JournalTargets:
    """The pending targets of a journal."""

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
        """Nothing to release: the run closes its journal."""


class SharedTargets:
    """Targets of a journal that several hosts share. This host claims as many as it can send soon.

    Attributes:
        wanted: returns how many targets this host can send soon.
        width: how many targets may be in progress at once, on all hosts together; None: any number.
        leave_out: targets that this host must not claim.
        is_over: whether there will be nothing more to claim.
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
        """Claim the next targets. If there are none, wait for a moment and return an empty page."""
        if self.is_over:
            return []
        self._moved.clear()
        claimed = await self._shared.claim(min(self.wanted(), _CLAIM_MOST), self.width, self.leave_out)
        if not claimed:
            await at_most(self._shared.poll, self._moved)
        return claimed

    def wake(self) -> None:
        """Look again at once: there may be more targets to claim."""
        self._moved.set()

    def end(self) -> None:
        """Claim no more targets."""
        self.is_over = True
        self.wake()

    async def aclose(self) -> None:
        """Nothing to release: the run closes its journal."""


async def at_most(poll: float, event: asyncio.Event) -> None:
    """Wait for the event, for a random time of up to `poll` seconds, so that hosts don't all ask together.

    Afterwards the event is set in any case; clear it before waiting again.
    """
    soon = poll * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    timer = asyncio.get_running_loop().call_later(soon, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()


def checked_targets(
    agents: object, hosts: dict[str, str]
) -> list[str] | AsyncIterable[str | Agent] | Selector:
    """Check a run's targets. The host names of those that were given as objects are added to `hosts`.

    Raises:
        InvalidRequestError: it is not a collection or a stream, or one target is given twice.
    """
    if isinstance(agents, str | Agent):
        raise InvalidRequestError("agents must be a collection, not a single agent: pass [agent]")
    if isinstance(agents, AsyncIterable | Selector):
        return agents
    if not isinstance(agents, Iterable):
        raise InvalidRequestError(
            f"agents must be a collection, an asynchronous stream or agents.select(…), not {agents!r}"
        )
    several = list(agents)
    agent_ids = _listed(several)
    hosts.update((one.agent_id, one.hostname) for one in several if isinstance(one, Agent))
    return agent_ids


def checked_given(
    agents: object, given: dict[str, str | Agent]
) -> list[str] | AsyncIterable[str | Agent] | Selector:
    """The same. The object that each target was given as is added to `given`, by its id."""
    if isinstance(agents, str | Agent | Selector):
        return checked_targets(agents, {})
    if isinstance(agents, AsyncIterable):
        return _noted(agents, given)
    several = list(agents) if isinstance(agents, Iterable) else agents
    agent_ids = checked_targets(several, {})
    if isinstance(agent_ids, list) and isinstance(several, list):
        given.update(
            (agent_id, agent)
            for agent_id, agent in zip(agent_ids, several, strict=True)
            if agent_id is not agent
        )
    return agent_ids


def _listed(agents: Iterable[str | Agent]) -> list[str]:
    """The ids of the agents of a collection.

    Raises:
        InvalidRequestError: an element is not an agent, or an agent is given twice.
    """
    targets = arguments.agent_ids(agents)
    if len(set(targets)) < len(targets):
        twice = next(target for target, times in Counter(targets).items() if times > 1)
        raise _twice(twice)
    return targets


async def streamed(agents: AsyncIterable[str | Agent], hosts: dict[str, str]) -> AsyncGenerator[str, None]:
    """The same for a stream. The host names of agents that come as objects are added to `hosts`.

    Closes the stream at the end, if it can be closed.
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


async def _noted(
    agents: AsyncIterable[str | Agent], given: dict[str, str | Agent]
) -> AsyncGenerator[str | Agent, None]:
    """Pass a stream on, and add to `given` the object that each target was given as, by its id.

    Closing it closes the stream.
    """
    each = aiter(agents)
    try:
        async for agent in each:
            given[arguments.agent_id(agent)] = agent
            yield agent
    finally:
        if isinstance(each, AsyncGenerator):
            await each.aclose()


def _twice(agent_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"agents: {agent_id!r} is given more than once; a script runs once on each agent"
    )


class Queue:
    """The targets that may be sent next: those read from the source, and those that were put back.

    Attributes:
        given: how many targets were read from the source.
        exhausted: whether the source has no more.
        ready: the targets that may be sent next.
    """

    def __init__(self, source: Targets) -> None:
        self.source = source
        self.given: int = 0
        self.exhausted: bool = False
        self.ready: deque[str] = deque()

    def __len__(self) -> int:
        return len(self.ready)

    async def fill(self) -> None:
        """Read the next page of the source, if the last is used up. Only one task at a time may call this."""
        if not self.ready and not self.exhausted:
            page = await self.source.page()
            self.given += len(page)
            self.exhausted = not page and self.source.is_over
            self.ready.extend(page)

    def take(self) -> str:
        """Remove and return the next target. There must be one."""
        return self.ready.popleft()

    def put_first(self, agent_ids: Iterator[str] | list[str]) -> None:
        """Put targets back, in front of all others."""
        self.ready.extendleft(agent_ids)
