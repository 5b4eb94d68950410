"""Waiting until agents are as somebody wants them; all who wait share the client's looks."""

import asyncio
import builtins
from collections.abc import Callable, Iterable
from typing import Final, get_args

from trmm_async import arguments
from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    InvalidRequestError,
    PermissionDeniedError,
    TimeoutError,
    TRMMError,
)
from trmm_async.models import Agent
from trmm_async.resources.api import Api
from trmm_async.stream import Looking, StreamSettings, Wants
from trmm_async.words import AgentStatus

__all__ = ["Until", "wait_until"]

Until = str | Callable[[Agent], object]
"""A status, or a function of an agent."""

_FINAL: Final = (AuthenticationError, PermissionDeniedError, ClosedError)
_SETTINGS: Final = StreamSettings(poll_scripts=False)
_NAMED: Final = 3


async def wait_until(
    api: Api, agent_ids: Iterable[str], until: Until, timeout: object, *, missing_ok: bool = False
) -> list[Agent]:
    """Wait until one look shows all of them so; as they are then, in that order. See `Agents.wait_until`."""
    names = tuple(dict.fromkeys(agent_ids))
    holds = _test(until)
    seconds = None if timeout is None else arguments.seconds(timeout, "timeout")
    looking = Looking(
        api.looker, lambda: Wants(agent_ids=frozenset(names), whole=True, alerts=False), _SETTINGS
    )
    await api.dialect()
    left: list[str] = list(names)
    trouble: TRMMError | None = None
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            while True:
                look = await looking.next()
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


def _test(until: object) -> Callable[[Agent], object]:
    if isinstance(until, str):
        status = arguments.choice(until, "until", get_args(AgentStatus))
        return lambda agent: agent.status == status
    if not callable(until) or asyncio.iscoroutinefunction(until):
        raise InvalidRequestError(f"until must be a status or a plain function of an Agent, not {until!r}")
    return until
