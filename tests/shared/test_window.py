"""The script of a shared window, as a real Redis server runs it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.engine_servers import Engine, talking_to
from trmm_async.engines.redis_link import RedisLink
from trmm_async.shared.window import WINDOW, Window, WindowReply, WindowRequest, read_reply, script_arguments

KEY = "trmm:{test}:all"


SMALL = Window(2, 10.0, 1.0, 0.5)


async def ask(link: RedisLink, key: str, window: Window, asked: WindowRequest) -> WindowReply:
    return read_reply(await link.run(WINDOW, (f"{key}:held", f"{key}:meta"), script_arguments(window, asked)))


@pytest.fixture
async def opened(store: Engine) -> AsyncIterator[RedisLink]:
    """A link to a store whose window is open."""
    async with talking_to(store.url) as link:
        first = await ask(link, KEY, SMALL, WindowRequest(wanted=["x"]))
        assert (first.granted, first.lost) == (0, 1)
        assert first.wait == pytest.approx(SMALL.hold, abs=0.1)
        await link.command("HSET", f"{KEY}:meta", "closed", 0)
        yield link


class TestTheScript:
    async def test_grants_what_is_free_and_says_how_long_to_wait(self, opened: RedisLink) -> None:
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b", "c"]))
        assert told.granted == 2
        # Answered at once, one would be free a window from now.
        assert told.wait == pytest.approx(10, abs=0.1)
        told = await ask(opened, KEY, SMALL, WindowRequest(settled=[("a", 4.0)], wanted=["c"]))
        assert (told.granted, told.lost) == (0, 0)
        assert told.wait == pytest.approx(6, abs=0.1)
        told = await ask(opened, KEY, SMALL, WindowRequest(back=["b"], wanted=["c"]))
        assert told.granted == 1

    async def test_grants_the_same_name_once(self, opened: RedisLink) -> None:
        for _ in range(3):
            told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b"]))
            assert told.granted == 2
        assert (await ask(opened, KEY, SMALL, WindowRequest(wanted=["c"]))).granted == 0

    async def test_frees_nothing_a_second_time(self, opened: RedisLink) -> None:
        await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b"]))
        for _ in range(2):
            assert (await ask(opened, KEY, SMALL, WindowRequest(settled=[("a", 11.0)]))).lost == 0
        assert (await ask(opened, KEY, SMALL, WindowRequest(wanted=["c", "d"]))).granted == 1

    async def test_holds_what_was_counted_though_nobody_knew_of_it(self, opened: RedisLink) -> None:
        await ask(
            opened, KEY, SMALL, WindowRequest(settled=[("a", 0.0)], renewed=[("b", True), ("c", False)])
        )
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["d"], renewed=[("b", True), ("c", False)]))
        assert told.granted == 0
        assert told.renewed == (True, False)

    async def test_is_closed_for_all_that_may_count_when_its_state_is_lost(self, opened: RedisLink) -> None:
        faults: Sequence[tuple[int, Sequence[Any]]] = [
            (1, ("FLUSHALL",)),
            (1, ("DEL", f"{KEY}:meta")),
            (3, ("DEL", f"{KEY}:held")),
            (3, ("ZREM", f"{KEY}:held", "!")),
            (2, ("HSET", f"{KEY}:meta", "run", "another")),
        ]
        for why, command in faults:
            await opened.command("HSET", f"{KEY}:meta", "closed", 0)
            await opened.command(*command)
            told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a"]))
            assert (told.granted, told.lost) == (0, why), command
            assert told.wait == pytest.approx(SMALL.hold, abs=0.1)
            assert (await ask(opened, KEY, SMALL, WindowRequest(wanted=["a"]))).lost == 0

    async def test_holds_a_clock_that_stepped_back_a_little(self, opened: RedisLink) -> None:
        now = (await ask(opened, KEY, SMALL, WindowRequest())).now
        await opened.command("HSET", f"{KEY}:meta", "last", int((now + 0.9) * 1000))
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a"]))
        assert (told.granted, told.lost) == (1, 0)
        assert told.now == pytest.approx(now + 0.9, abs=0.002)

    async def test_begins_anew_behind_one_that_was_set_back(self, opened: RedisLink) -> None:
        await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b"]))
        await opened.command("HSET", f"{KEY}:meta", "last", 2_000_000_000_000, "closed", 1_999_999_999_999)
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a"]))
        assert (told.granted, told.lost) == (0, 4)
        assert told.wait == pytest.approx(SMALL.hold, abs=0.1)

    async def test_keeps_to_the_smallest_limit_for_as_long_as_somebody_has_it(
        self, opened: RedisLink
    ) -> None:
        smaller = Window(1, 20.0, 1.0, 0.5)
        await ask(opened, KEY, smaller, WindowRequest())
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b"]))
        assert (told.granted, told.count) == (1, 1)
        assert told.per == pytest.approx(20.01)
        await opened.command("HSET", f"{KEY}:meta", "until", 1)
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["b"]))
        assert (told.granted, told.count) == (1, 2)
        assert told.per == pytest.approx(10.005)
