"""Relays that come and go, on an engine that is killed and stands still, behind a line that breaks.

Over Redis and over NATS at the same time. Each alert has a number, so a follower knows what it must be told
next: whatever is missing, or comes twice, is inside of a told gap.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.engine_servers import Engine, cutting, nats_server, redis_server
from trmm_async import TRMM, AlertEvent, ConnectionFailedError, Gap, Live, StreamSettings, follow
from trmm_async.testing import Simulator

__all__ = ["relayed", "relays"]

_NAME: Final = "soak"
_LEASE: Final = 0.6
_OPEN: Final = 4
_BYTES: Final = 60_000
_SETTLE: Final = 60.0
_QUICK: Final = StreamSettings(backoff_first=0.02, poll_interval=0.1, poll_share=1.0, ping_interval=0.2)


class Round:
    """One server, one engine, and who follows."""

    def __init__(self, server: Simulator, trmm: TRMM, engine: Engine) -> None:
        self._server = server
        self._trmm = trmm
        self._engine = engine
        self._raised = dict.fromkeys(server.agent_ids, 0)
        self._open: dict[str, list[int]] = {who: [] for who in server.agent_ids}
        self.is_over = False
        self.events = self.gaps = 0
        self.wrong: list[str] = []

    async def lead(self, url: str, stopped: asyncio.Event) -> None:
        """A relay after the other, each for some seconds."""
        while not stopped.is_set():
            relaying = self._trmm.relay(to=url, name=_NAME, lease=_LEASE, length=400, settings=_QUICK)
            async with relaying as relay:
                running = asyncio.create_task(relay.run())
                with suppress(TimeoutError):
                    async with asyncio.timeout(random.uniform(2, 12)):
                        await stopped.wait()
                if random.random() < 0.5:
                    relay.stop()
                else:
                    running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def follow(self, url: str, who: str) -> None:
        """Follow one agent, with `since=` after each connection, until the last alert has come."""
        place, last, is_in_gap = None, -1, False
        while not (self.is_over and last >= self._raised[who] - 1):
            with suppress(ConnectionFailedError, TimeoutError):
                async with follow(url, name=_NAME, agent=who, since=place, settings=_QUICK) as events:
                    ends_at = time.monotonic() + random.uniform(1, 10)
                    try:
                        while time.monotonic() < ends_at:
                            async with asyncio.timeout(0.5):
                                event = await anext(events)
                            self.events += 1
                            if isinstance(event, Gap | Live):
                                is_in_gap = isinstance(event, Gap)
                                self.gaps += is_in_gap
                            elif isinstance(event, AlertEvent) and event.change != "resolved":
                                number = int(event.alert.message)
                                # What was raised before it has connected is not for it.
                                if last >= 0 and number != last + 1 and not is_in_gap:
                                    self.wrong.append(f"{who}: {number} behind {last}")
                                last = max(last, number)
                    finally:
                        place = events.position

    def raise_one(self, who: str) -> None:
        """One more alert of this agent; some stay open, so that a snapshot has the last."""
        number = self._raised[who]
        self._raised[who] += 1
        self._open[who].append(self._server.raise_alert(who, message=f"{number}"))
        if len(self._open[who]) > _OPEN:
            self._server.resolve_alert(self._open[who].pop(0))

    async def happen(self, ends_at: float) -> None:
        """Alerts, and what befalls the engine."""
        next_at = time.monotonic() + 5
        while time.monotonic() < ends_at:
            self.raise_one(random.choice(self._server.agent_ids))
            await asyncio.sleep(random.choice([0, 0, 0.01, 0.1]))
            if time.monotonic() > next_at:
                if random.random() < 0.5:
                    self._engine.kill()
                    await asyncio.sleep(0.5)
                    await asyncio.to_thread(self._engine.start)
                else:
                    self._engine.stop()
                    await asyncio.sleep(2 * _LEASE)
                    self._engine.go_on()
                next_at = time.monotonic() + random.uniform(3, 8)


async def relays(engine: Engine, seconds: float, told: Callable[[str], object]) -> bool:
    """Whether each alert came to each follower once and in its order, or inside of a told gap."""
    async with (
        cutting(engine.port, after=_BYTES) as (port, cuts),
        Simulator(agents=3, rate_limit=None) as server,
        TRMM(server.url, api_key=server.api_key, dialect="gateway", rate_limit=None) as trmm,
    ):
        work, stopped, ended = Round(server, trmm, engine), asyncio.Event(), asyncio.Event()
        urls = (engine.url, f"{engine.scheme}://127.0.0.1:{port}")
        leading = [asyncio.create_task(work.lead(url, stopped)) for url in urls]
        following = [asyncio.create_task(work.follow(url, who)) for url in urls for who in server.agent_ids]
        await work.happen(time.monotonic() + seconds)
        stopped.set()
        await asyncio.gather(*leading)
        # The last of each agent, and one relay that goes on until it was heard of by all.
        for who in server.agent_ids:
            work.raise_one(who)
        work.is_over = True
        last = asyncio.create_task(work.lead(engine.url, ended))
        _, late = await asyncio.wait(following, timeout=_SETTLE)
        ended.set()
        await last
        for task in late:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        told(
            f"relay over {engine.scheme}: {work.events} events, {work.gaps} gaps, {cuts[0]} cuts, "
            f"{len(late)} followers late, wrong: {work.wrong}"
        )
        return not work.wrong and not late


async def relayed(told: Callable[[str], object], seconds: float) -> bool:
    """The same over both engines at once."""
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server(Path(folder)) as one,
        nats_server(Path(folder)) as other,
    ):
        found = await asyncio.gather(*(relays(engine, seconds, told) for engine in (one, other)))
    return all(found)
