"""`python -m soak [limits runs relay client] [--minutes 60]`: works for long, and says what went wrong.

All parts, one after the other, if none is named; the exit code is 1 if one of them was not right.

* `limits`: four processes share one limit, while they and the store of it are killed (`soak.sharing`).
* `runs`: three processes work off a run of 2,000 targets, over twenty kills (`soak.runs`).
* `relay`: for so long, relays over Redis and NATS that come and go, their engines, too (`soak.relaying`).
* `client`: for so long, all of what a daemon does, and what of it has grown.

Each round of the client does that in fixed amounts: lists, runs that work, break and are cancelled, forgotten
runs, subscriptions that come and go. What stands all the time: a subscription to a gateway whose sockets drop
every second and one that looks at a stock server, each once read and once with consumers that nobody reads.
Behind each round the counts are taken.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Literal

from soak.counts import Sample, growth, take
from soak.relaying import relayed
from soak.runs import shared_runs
from soak.sharing import shared_limits
from trmm_async import TRMM, AlertEvent, StreamSettings, Subscription, TRMMError

__all__ = ["main", "soaked"]

_KEPT = 60
_PARTS = ("limits", "runs", "relay", "client")
QUICKLY = StreamSettings(poll_interval=0.2, poll_share=1.0, backoff_first=0.05)


@asynccontextmanager
async def _servers() -> AsyncIterator[dict[str, Any]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "soak.server", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield json.loads(await child.stdout.readline())
    finally:
        child.stdin.close()
        await child.wait()


@asynccontextmanager
async def _task(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Work:
    """All kinds of it, against two clients. `some` is how much of each there is in a round."""

    def __init__(self, gateway: TRMM, stock: TRMM, names: dict[str, list[str]], some: int) -> None:
        self._gateway = gateway
        self._stock = stock
        self._names = names
        self._some = some

    def kinds(self) -> list[Callable[[], Awaitable[None]]]:
        """Each to be done at the same time as the others."""
        return [self.reads, self.runs, self.cancelled, self.forgotten, self.fleet, self.subscriptions]

    async def reads(self) -> None:
        """Lists, whole and left half way."""
        for trmm in (self._gateway, self._stock):
            for _ in range(self._some):
                await trmm.agents.list()
                await trmm.alerts.list()
                async with trmm.agents.iter() as agents:
                    await anext(aiter(agents))

    async def runs(self) -> None:
        """Of which a quarter breaks."""
        for who in self._names["gateway"][:-1] * max(1, self._some // 4):
            with suppress(TRMMError):
                await self._gateway.agents.run_script(who, script=1)

    async def cancelled(self) -> None:
        """At any moment of a call."""
        for number in range(self._some * 4):
            task = asyncio.create_task(self._gateway.agents.run_script(self._names["gateway"][-2], script=1))
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def forgotten(self) -> None:
        """Runs that nobody waits for, of which a quarter of the answers gets lost."""
        for who in self._names["stock"][:-1] * max(1, self._some // 4):
            with suppress(TRMMError):
                await self._stock.agents.run_script(who, script=1, output="forget")

    async def fleet(self) -> None:
        """On all but the one that comes and goes, with both dialects."""
        for trmm, dialect in ((self._gateway, "gateway"), (self._stock, "stock")):
            await trmm.fleet.run_script(self._names[dialect][:-1], script=1, timeout=1)

    async def subscriptions(self) -> None:
        """That are left at once, with what waits in them."""
        for trmm, dialect in ((self._gateway, "gateway"), (self._stock, "stock")):
            for _ in range(self._some):
                async with trmm.events(self._names[dialect], snapshot=True, settings=QUICKLY) as events:
                    await anext(events)


async def _read(events: Subscription) -> None:
    position = ""
    async for _ in events:
        position = events.position
    assert position


async def soaked(
    samples: list[Sample], *, some: int, goes_on: Callable[[], bool], told: Callable[[str], None]
) -> None:
    """Work in rounds, and put a sample behind each into `samples`."""
    async with _servers() as servers, AsyncExitStack() as stack:
        dialects: tuple[Literal["gateway", "stock"], ...] = ("gateway", "stock")
        clients = {
            dialect: await stack.enter_async_context(
                TRMM(
                    one["url"],
                    api_key=one["key"],
                    dialect=dialect,
                    rate_limit=None,
                    retries=0,
                    report_grace=0.2,
                )
            )
            for dialect, one in ((dialect, servers[dialect]) for dialect in dialects)
        }
        names: dict[str, list[str]] = {dialect: one["agents"] for dialect, one in servers.items()}
        reading: list[asyncio.Task[None]] = []
        for dialect, trmm in clients.items():
            read = await stack.enter_async_context(trmm.events(names[dialect], settings=QUICKLY))
            reading.append(await stack.enter_async_context(_task(_read(read))))
            spread = await stack.enter_async_context(trmm.events(names[dialect], settings=QUICKLY))
            spread.consumer(queue=10)
            spread.on(AlertEvent, lambda event: None, queue=10)
        work = Work(clients["gateway"], clients["stock"], names, some)
        while goes_on():
            began = time.monotonic()
            await asyncio.gather(*(kind() for kind in work.kinds()))
            if len(samples) >= _KEPT:
                del samples[::2]
            samples.append(take())
            counts = samples[-1].counts
            told(
                f"{time.monotonic() - began:.1f} s, {counts['blocks']:,} blocks, "
                f"{counts['tasks']} tasks, {counts['sockets']} sockets, {samples[-1].resident / 1e6:.1f} MB"
            )
            for task in reading:
                if task.done():
                    task.result()


def main(given: Sequence[str] | None = None) -> int:
    """Work, print, judge."""
    parser = argparse.ArgumentParser(
        prog="python -m soak", description="Work for long, and count what is held."
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(_PARTS)} (default: all)")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--rounds", type=int, help="so many rounds, in place of a time")
    parser.add_argument(
        "--some", type=int, default=8, help="how much of each kind is in a round (default: 8)"
    )
    options = parser.parse_args(given)
    parts = options.parts or (_PARTS if options.rounds is None else ["client"])
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}")
    judged: dict[str, Callable[[], Coroutine[Any, Any, bool]]] = {
        "limits": lambda: shared_limits(_say),
        "runs": lambda: shared_runs(_say),
        "relay": lambda: relayed(_say, options.minutes * 60),
    }
    right = [asyncio.run(judge()) for name, judge in judged.items() if name in parts]
    if "client" in parts:
        right.append(_client(options))
    return 0 if all(right) else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _client(options: argparse.Namespace) -> bool:
    samples: list[Sample] = []
    ends_at = time.monotonic() + options.minutes * 60
    left = options.rounds

    def goes_on() -> bool:
        nonlocal left
        if left is not None:
            left -= 1
            return bool(left >= 0)
        return len(samples) < 3 or time.monotonic() < ends_at

    asyncio.run(soaked(samples, some=options.some, goes_on=goes_on, told=_say))
    grown = growth(samples)
    for one in grown:
        print(f"grown: {one.name}: {one.before:,.0f} to {one.after:,.0f}")
    print("flat" if not grown else f"{len(grown)} counts have grown")
    return not grown


if __name__ == "__main__":
    sys.exit(main())
