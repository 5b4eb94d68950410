"""Random events for a simulator that runs by itself: agents come and go, alerts are raised, calls fail.

Below: `simulator.py`. Above: `__main__.py` with `--chaos`. What happens next is decided purely, from the
random numbers that are handed in.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .simulator import Simulator

__all__ = ["chaos", "stir"]

log: logging.Logger = logging.getLogger("trmm_async.testing")

MESSAGES = (
    "C: drive 90% used",
    "CPU load above 95% for 5 minutes",
    "Print Spooler is stopped",
    "No ping reply",
)


MOST_ALERTS = 200
"""If there are more, old ones are removed: a simulator may run for weeks without anybody looking."""


def stir(server: Simulator, rng: Random) -> str:
    """Let one thing happen to a server with agents, and return what it was, in a few words.

    Nothing accumulates if nobody uses the server: at most one call is going to fail, and there are at most
    `MOST_ALERTS` alerts.
    """
    agent = rng.choice(server.agents)
    unresolved = [alert for alert in server.world.alerts.values() if not alert.resolved]
    match rng.choices(("agent", "raise", "resolve", "fail"), (6, 3, 3, 1))[0]:
        case "agent" if agent.online:
            server.go_offline(agent.agent_id)
            return f"{agent.hostname} went offline"
        case "agent":
            server.come_online(agent.agent_id)
            return f"{agent.hostname} came online"
        case "resolve" if unresolved:
            alert = rng.choice(unresolved)
            server.resolve_alert(alert.id)
            return f"alert {alert.id} was resolved"
        case "fail":
            if not server.faults:
                server.fail("GET", "/api/v3/" if server.dialect == "gateway" else "/agents/", status=502)
            return "the next GET is answered 502"
        case _:
            _make_room(server)
            message = rng.choice(MESSAGES)
            number = server.raise_alert(agent.agent_id, rng.choice(("info", "warning", "error")), message)
            return f"alert {number} was raised for {agent.hostname}: {message}"


def _make_room(server: Simulator) -> None:
    alerts = server.world.alerts
    while len(alerts) >= MOST_ALERTS:
        resolved = (alert for alert in alerts.values() if alert.resolved)
        oldest = next(resolved, None) or next(iter(alerts.values()))
        server.resolve_alert(oldest.id)
        del alerts[oldest.id]


@asynccontextmanager
async def chaos(server: Simulator, seed: int = 0, seconds: float = 2.0) -> AsyncIterator[None]:
    """Let something happen about every `seconds`, for the length of the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_live(server, Random(seed), seconds))
        yield
        task.cancel()


async def _live(server: Simulator, rng: Random, seconds: float) -> None:
    while True:
        await asyncio.sleep(rng.uniform(0.5, 1.5) * seconds)
        log.info("%s", stir(server, rng))
