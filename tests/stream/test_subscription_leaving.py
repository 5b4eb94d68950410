"""Live events: leaving, being cancelled, and being used wrongly."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.stream.fake_gateway import (
    Gateway,
    Rest,
    dialer,
    fill,
    line,
    over,
    quick,
    roll,
    running,
    specs,
    subscribe,
    take,
    until,
)
from trmm_async.calls import StreamSpec
from trmm_async.errors import ClosedError, InvalidRequestError
from trmm_async.events import Gap, ScriptOutput
from trmm_async.limits import RateLimit
from trmm_async.pacing import WindowLimiter
from trmm_async.stream.dialer import Dialer
from trmm_async.stream.sockets import Link

gateway = pytest.fixture(running)


# Leaving.


@asynccontextmanager
async def all_closed(gateway: Gateway) -> AsyncIterator[None]:
    yield
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("trmm_async")]
    await until(lambda: not gateway.connections)


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_subscription_that_was_left_is_held_by_nothing(gateway: Gateway, *, snapshot: bool) -> None:
    async with subscribe(gateway, ["a", "b"], Rest(), snapshot=snapshot, baseline_wait=60.0) as events:
        pass
    held = weakref.ref(events)
    del events
    gc.collect()
    assert held() is None


async def test_breaking_out_of_the_loop_closes_everything_politely(gateway: Gateway) -> None:
    async with all_closed(gateway):
        async with subscribe(gateway, ["a", "b"], Rest()) as events:
            peer = await gateway.peer()
            peer.send(line(1), line(2))
            async for _ in events:
                break
        assert {peer.goodbye for peer in gateway.peers} == {1000}


async def test_an_exception_in_the_block_closes_everything(gateway: Gateway) -> None:
    async with all_closed(gateway):
        with pytest.raises(ZeroDivisionError):
            async with subscribe(gateway, ["a", "b"], Rest(closed=True)):
                raise ZeroDivisionError


async def test_a_peer_that_never_says_goodbye_is_cut_off_in_time(gateway: Gateway) -> None:
    async with all_closed(gateway), asyncio.timeout(30):
        async with subscribe(gateway, close_timeout=0.05):
            (await gateway.peer()).mute = True
            began = time.monotonic()
        assert time.monotonic() - began >= 0.04
        assert gateway.peers[0].goodbye == 1000


async def test_a_full_pipe_does_not_keep_from_leaving(gateway: Gateway) -> None:
    async with all_closed(gateway), subscribe(gateway, queue=1, close_timeout=60.0) as events:
        fill(await gateway.peer(), 300)
        await until(lambda: any(link._deaf for link in roll(events)))
        began = time.monotonic()
    assert time.monotonic() - began < 30


async def test_leaving_can_be_cancelled_and_then_cuts(gateway: Gateway) -> None:
    async with all_closed(gateway):
        events = subscribe(gateway, close_timeout=60.0)
        await events.__aenter__()
        (await gateway.peer()).mute = True
        leaving = asyncio.create_task(events.__aexit__(None, None, None))
        await until(lambda: gateway.peers[0].goodbye is not None)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(30):
                await leaving


@pytest.mark.parametrize("turns", range(14))
async def test_entering_can_be_cancelled_at_any_point(gateway: Gateway, turns: int) -> None:
    gateway.answers["b"] = [(503, {}, "")]
    limiter = WindowLimiter(RateLimit(100, per=60))
    async with all_closed(gateway):
        dial = dialer(gateway.url, limiter)
        events = over(specs(["a", "b"]), dial, Rest(), quick(connect_attempts=1000))
        entering = asyncio.create_task(events.__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(30):
                await entering
    assert ", 0 held," in repr(limiter)


async def test_waiting_for_an_event_can_be_cancelled_without_losing_one(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002):
                    await anext(events)
        (await gateway.peer()).send(line(1), line(2))
        heard = await take(events, 2)
    assert [event.output for event in heard if isinstance(event, ScriptOutput)] == ["1", "2"]


async def test_events_are_read_inside_of_the_block_only(gateway: Gateway) -> None:
    events = subscribe(gateway)
    with pytest.raises(ClosedError, match="async with"):
        await anext(events)
    async with events:
        (await gateway.peer()).send(line(1))
        await until(lambda: events.received == 1)
    with pytest.raises(ClosedError, match="closed"):
        await anext(aiter(events))
    with pytest.raises(ClosedError, match="once"):
        await events.__aenter__()


async def test_a_loop_that_waits_elsewhere_is_told_when_the_block_is_left(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await waiting


async def test_two_loops_at_once_are_an_error(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        with pytest.raises(InvalidRequestError, match="two loops"):
            await anext(events)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first


def test_a_subscription_is_of_at_least_one_agent_and_of_each_once() -> None:
    for agents in ([], ["a", "a"]):
        with pytest.raises(InvalidRequestError):
            over(specs(agents), dialer("http://localhost"), None, quick())


def broken(*_: object) -> Any:
    raise ZeroDivisionError


async def test_a_mistake_in_the_code_under_entering_is_raised_and_not_waited_for(gateway: Gateway) -> None:
    dial = Dialer(gateway.url, headers={}, pace=broken, pause=broken, scrub=str)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(30), over(specs("a"), dial, None, quick()):
            pass


async def test_a_mistake_in_the_code_under_reading_is_raised_and_not_waited_for(gateway: Gateway) -> None:
    spec = StreamSpec(agent_id="a", path="/trmm/a/", read=broken, refusals={})
    async with over([spec], dialer(gateway.url), None, quick()) as events:
        (await gateway.peer()).send(line(1))
        with pytest.raises(ZeroDivisionError):
            await take(events, 1)


async def test_a_mistake_in_the_code_that_fetches_is_raised_and_not_waited_for(gateway: Gateway) -> None:
    with pytest.raises(ZeroDivisionError):
        async with subscribe(gateway, rest=Rest(errors=[ZeroDivisionError()])) as events:
            await take(events, 1)


async def test_a_peer_that_reads_nothing_does_not_fill_our_memory(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        peer = await gateway.peer()
        (link,) = roll(events)
        assert isinstance(link, Link)
        peer.transport.pause_reading()
        async with asyncio.timeout(30):
            while link.lost is None:
                link._ping()
                for _ in range(2000):
                    link._ws.send_ping(b"x" * 125)
                link._flush()
                await asyncio.sleep(0)
        (gap,) = await take(events, 1)
    assert isinstance(gap, Gap)
    assert gap.reason == "the peer does not read"


@pytest.mark.parametrize(
    "use",
    [
        lambda events, consumer: anext(events),
        lambda events, consumer: events.run(),
        lambda events, consumer: anext(consumer),
        lambda events, consumer: events.add("b"),
        lambda events, consumer: events.remove("a"),
        lambda events, consumer: events.consumer(),
    ],
)
async def test_another_event_loop_is_refused_and_does_not_wait_for_ever(gateway: Gateway, use: Any) -> None:
    async with subscribe(gateway, ["a"]) as events:
        consumer = events.consumer()

        async def elsewhere() -> None:
            async with asyncio.timeout(5):
                await use(events, consumer)

        with pytest.raises(ClosedError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, elsewhere())
