"""The servers, in a process of their own, so that what they hold is not counted: `python -m soak.server`.

A gateway and a stock server, without limits, and restless: sockets drop, alerts are raised and resolved, an
agent comes and goes, and of some agents every run's answer gets lost. It prints where they are as one line of
JSON, and ends with its standard input.
"""

import asyncio
import json
import sys
from contextlib import suppress
from itertools import cycle

from trmm_async.testing import Simulator

__all__ = ["AGENTS", "SILENT"]

AGENTS = 12
SILENT = 3
"""Of the first so many agents the answers to runs get lost."""

_ALERTS_KEPT = 200
_LEDGER = 1000


async def _disturb(server: Simulator) -> None:
    """Ten times a second an alert comes, and another goes; every second the sockets drop."""
    names = cycle(server.agent_ids)
    opened: list[int] = []
    for turn in cycle(range(10)):
        await asyncio.sleep(0.1)
        opened.append(server.raise_alert(next(names), severity="error", message="C: drive 95% used"))
        if len(opened) > 20:
            server.resolve_alert(opened.pop(0))
        if turn == 0:
            flap = server.go_offline if server.agents[-1].online else server.come_online
            flap(server.agent_ids[-1])
            server.drop_events()
            alerts = server.world.alerts
            for number in [number for number, one in alerts.items() if one.resolved][:-_ALERTS_KEPT]:
                del alerts[number]
            history = server.world.journal.history
            for row in list(history)[:-_LEDGER]:
                del history[row]


async def _until_we_are_left() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def main() -> None:
    """Serve."""
    gateway = Simulator(agents=AGENTS, rate_limit=None, deployment_rate_limit=None, ledger_limit=_LEDGER)
    stock = Simulator(agents=AGENTS, dialect="stock", rate_limit=None, ledger_limit=_LEDGER)
    async with gateway, stock:
        for server in (gateway, stock):
            server.script(1, stdout="x" * 1000, seconds=0.01)
            for who in server.agent_ids[:SILENT]:
                server.cut("POST", f"/{who}/runscript/", times=None)
        told = {
            server.dialect: {"url": server.url, "key": server.api_key, "agents": server.agent_ids}
            for server in (gateway, stock)
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        disturbing = [asyncio.create_task(_disturb(server)) for server in (gateway, stock)]
        await _until_we_are_left()
        for task in disturbing:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*disturbing)


if __name__ == "__main__":
    asyncio.run(main())
