"""The bounded queue between many writers and one reader."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async.stream.mailbox import Mailbox


class EndError(Exception):
    pass


async def test_offer_takes_what_there_is_room_for() -> None:
    mailbox: Mailbox[int] = Mailbox(2)
    assert [mailbox.offer(number) for number in range(3)] == [True, True, False]
    assert [await mailbox.get(), await mailbox.get()] == [0, 1]
    assert len(mailbox) == 0


async def test_waiting_writers_come_in_one_by_one_in_their_order() -> None:
    mailbox: Mailbox[int] = Mailbox(1)
    writers = [asyncio.create_task(mailbox.put(number)) for number in range(4)]
    await asyncio.sleep(0)
    assert repr(mailbox) == "<Mailbox 1/1, 3 writers waiting>"
    assert not mailbox.offer(9)
    assert [await mailbox.get() for _ in range(4)] == [0, 1, 2, 3]
    await asyncio.gather(*writers)
    assert mailbox.offer(9)


async def test_a_writer_that_is_cancelled_while_waiting_is_not_in() -> None:
    mailbox: Mailbox[int] = Mailbox(1)
    writers = [asyncio.create_task(mailbox.put(number)) for number in range(3)]
    await asyncio.sleep(0)
    writers[1].cancel()
    await asyncio.sleep(0)
    assert [await mailbox.get(), await mailbox.get()] == [0, 2]
    await asyncio.wait(writers)


async def test_the_end_comes_after_what_is_in_and_the_first_end_stands() -> None:
    mailbox: Mailbox[int] = Mailbox(2)
    mailbox.offer(1)
    mailbox.finish(EndError("first"))
    mailbox.finish(EndError("second"))
    assert await mailbox.get() == 1
    for _ in range(2):
        with pytest.raises(EndError, match="first"):
            await mailbox.get()


async def test_closing_throws_away_what_is_in_and_wakes_the_reader() -> None:
    mailbox: Mailbox[int] = Mailbox(2)
    reader = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    mailbox.close(EndError("closed"))
    with pytest.raises(EndError):
        await reader
    mailbox.reopen()
    assert mailbox.offer(1)
    assert await mailbox.get() == 1


@given(size=st.integers(1, 4), writers=st.lists(st.integers(0, 6), max_size=5), pauses=st.integers(0, 3))
@settings(max_examples=many(60))
def test_nothing_is_lost_or_reordered_and_the_bound_holds(size: int, writers: list[int], pauses: int) -> None:
    async def scenario() -> None:
        mailbox: Mailbox[tuple[int, int]] = Mailbox(size)

        async def write(who: int, count: int) -> None:
            for number in range(count):
                if not mailbox.offer((who, number)):
                    await mailbox.put((who, number))

        tasks = [asyncio.create_task(write(who, count)) for who, count in enumerate(writers)]
        heard: list[tuple[int, int]] = []
        for turn in range(sum(writers)):
            for _ in range(pauses if turn % 2 else 0):
                await asyncio.sleep(0)
            assert len(mailbox) <= size
            heard.append(await mailbox.get())
        await asyncio.gather(*tasks)
        for who, count in enumerate(writers):
            assert [number for writer, number in heard if writer == who] == [*range(count)]

    asyncio.run(scenario())
