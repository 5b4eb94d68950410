"""The pause between two counts on the dashboard's sockets."""

from __future__ import annotations

import asyncio

from trmm_async.testing.stock.interval import Interval


async def test_a_pause_ends_by_itself() -> None:
    interval = Interval()
    assert interval.seconds == 30.0
    interval.seconds = 0.0
    async with asyncio.timeout(30):
        await interval.pause()


async def test_another_length_ends_the_present_pauses_and_holds_for_the_next() -> None:
    interval = Interval()
    pauses = [asyncio.ensure_future(interval.pause()) for _ in range(2)]
    await asyncio.sleep(0)
    interval.seconds = 60.0
    async with asyncio.timeout(30):
        await asyncio.gather(*pauses)
    following = asyncio.ensure_future(interval.pause())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not following.done()
    interval.seconds = 0.0
    async with asyncio.timeout(30):
        await following
