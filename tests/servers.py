"""A simulator and a client of it, in either language."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import accumulate
from typing import Any, Final

from trmm_async import TRMM
from trmm_async.script_runs import HistoryWaits
from trmm_async.testing import Run, Simulator

DIALECTS: Final = ("gateway", "stock")
NOBODY: Final = "NoSuchAgentIsOnThisServerAtAll"
"""An id that a stock server takes for one, since it is long enough, and that no agent has."""

GRACE: Final = 0.3
"""Seconds that an agent has here, beyond a script's timeout, to report its end."""

_LONGEST: Final = 120.0
_UNLIMITED: Final[Mapping[str, Any]] = {"rate_limit": None, "deployment_rate_limit": None}
_QUICK: Final[Mapping[str, Any]] = {
    "script_seconds": (0.001, 0.01),
    "row_seconds": 0.0,
    "result_seconds": 0.0,
    "agent_seconds": 0.0,
    "check_seconds": 0.0,
}


@asynccontextmanager
async def served(
    dialect: str,
    *,
    said: str | None = None,
    client: Mapping[str, Any] | None = None,
    waits: HistoryWaits | None = None,
    longest: float = _LONGEST,
    **world: Any,
) -> AsyncIterator[tuple[Simulator, TRMM]]:
    """A simulator that speaks `dialect`, and a client that is told so, or `said`, with `client`'s settings.

    Nothing is limited, scripts take milliseconds, and the history of a stock server is not waited for long.
    """
    settings: dict[str, Any] = {"retries": 0, "report_grace": GRACE, **_UNLIMITED, **(client or {})}
    async with (
        asyncio.timeout(longest),
        Simulator(dialect=dialect, **{**_QUICK, **_UNLIMITED, **world}) as server,
        TRMM(server.url, api_key=server.api_key, dialect=said or dialect, **settings) as trmm,  # type: ignore[arg-type]
    ):
        be_patient(trmm, waits or HistoryWaits(report=settings["report_grace"], row=1.0, bulk_row=5.0))
        yield server, trmm


def stock(*, retries: int = 1, **world: Any) -> AbstractAsyncContextManager[tuple[Simulator, TRMM]]:
    """A small stock server that says at once that an agent is offline, and a client of it."""
    world = {"agents": 4, "offline_hold": 0.01, **world}
    return served("stock", client={"retries": retries}, longest=30.0, **world)


def be_patient(trmm: TRMM, waits: HistoryWaits) -> None:
    """How long this client waits for rows of the history: what users can't set, and tests can't wait for."""
    trmm._api.poller.matcher.waits = trmm._api.commands.matcher.waits = waits


def agent_on(server: Simulator, plat: str) -> str:
    """The id of an agent on this platform."""
    return next(agent.agent_id for agent in server.agents if agent.plat == plat)


def count(server: Simulator, method: str, path: str = "") -> int:
    """How many requests with this method and this part in their path have come."""
    return sum(one.method == method and path in one.path for one in server.requests)


def at_once(runs: Iterable[Run]) -> int:
    """How many of these runs were under way at the same time, at most."""
    turns = [(run.started, 1) for run in runs] + [(run.finished or math.inf, -1) for run in runs]
    return max(accumulate(step for _, step in sorted(turns)), default=0)


async def until(what: Any, seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.005)
