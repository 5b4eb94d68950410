"""Waits until agents meet a condition. All who wait share the client's polls.

Only a poll decides. If a source of events is given, events say when to poll.
"""

import asyncio
import builtins
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import Final, get_args

from trmm_async import arguments
from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    ConnectionFailedError,
    InvalidRequestError,
    PermissionDeniedError,
    TimeoutError,
    TRMMError,
)
from trmm_async.events import AgentOffline, AgentOnline, Event, Live
from trmm_async.models import Agent
from trmm_async.resources.api import Api
from trmm_async.stream import Events, PollClient, PollRequest, PollResult, StreamSettings
from trmm_async.words import AgentStatus

__all__ = ["Until", "wait_until"]

Until = str | Callable[[Agent], object]
"""A status, or a function of an agent."""

_FINAL: Final = (AuthenticationError, PermissionDeniedError, ClosedError)
_SETTINGS: Final = StreamSettings(poll_scripts=False)
_TOLD: Final = StreamSettings(poll_scripts=False, poll_interval=60.0)
"""If events say when to poll, these polls are for conditions that no event tells of."""

_Kinds = tuple[type[Event], ...]
_NAMED: Final = 3


async def wait_until(
    api: Api,
    agent_ids: Iterable[str],
    until: Until,
    timeout: object,
    *,
    missing_ok: bool = False,
    source: Events | None = None,
) -> list[Agent]:
    """Wait until one poll shows that all agents meet it; returns them. See `Agents.wait_until`."""
    names = tuple(dict.fromkeys(agent_ids))
    holds, telling = _test(until)
    seconds = None if timeout is None else arguments.seconds(timeout, "timeout")
    wants = PollRequest(agent_ids=frozenset(names), whole=True, alerts=False)
    looking = PollClient(api.shared_poller, lambda: wants, _SETTINGS if source is None else _TOLD)
    await api.dialect()
    left: list[str] = list(names)
    trouble: TRMMError | None = None
    limit = asyncio.timeout(seconds)
    try:
        # The events begin before the first poll, so no change after it is missed.
        async with limit, _hurried(looking, source, names, telling) as ended:
            while True:
                look = await _next(looking, ended)
                trouble = look.error
                if isinstance(trouble, _FINAL):
                    raise trouble
                if look.seen is None:
                    continue
                agents = look.seen.agents
                missing = [look.seen.missing[name] for name in names if name in look.seen.missing]
                if missing and not missing_ok:
                    raise missing[0]
                left = [name for name in names if name not in agents or not holds(agents[name])]
                if not left:
                    return [agents[name] for name in names]
    except builtins.TimeoutError:
        if not limit.expired():
            raise
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        said = f"{', '.join(left[:_NAMED])}{more}: not so within {seconds:g} s"
        raise TimeoutError(said if trouble is None else f"{said}; the last look failed: {trouble}") from None


@asynccontextmanager
async def _hurried(
    looking: PollClient, source: Events | None, names: Collection[str], telling: _Kinds
) -> AsyncIterator[asyncio.Task[None] | None]:
    """Poll soon after each event that may have met the condition. The given task ends with the events."""
    if source is None:
        yield None
        return

    async def hear(events: AsyncIterable[Event]) -> None:
        async for event in events:
            if event.agent_id in names and isinstance(event, telling):
                looking.hurry()
        raise ConnectionFailedError("the events that were waited for have ended")

    async with source as events:
        hearing = asyncio.create_task(hear(events), name="trmm_async: what is waited for")
        try:
            yield hearing
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])


async def _next(looking: PollClient, ended: asyncio.Task[None] | None) -> PollResult:
    if ended is None:
        return await looking.next()
    asking = asyncio.create_task(looking.next())
    try:
        await asyncio.wait([asking, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ended.result()
        return asking.result()
    finally:
        asking.cancel()
        await asyncio.wait([asking])


def _test(until: object) -> tuple[Callable[[Agent], object], _Kinds]:
    """The condition as a function, and the kinds of events after which it may be met."""
    if isinstance(until, str):
        status = arguments.choice(until, "until", get_args(AgentStatus))
        return lambda agent: agent.status == status, (AgentOnline if status == "online" else AgentOffline,)
    if not callable(until) or asyncio.iscoroutinefunction(until):
        raise InvalidRequestError(f"until must be a status or a plain function of an Agent, not {until!r}")
    return until, (AgentOnline, AgentOffline, Live)
