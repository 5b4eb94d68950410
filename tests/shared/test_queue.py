"""Calls that wait for a shared window: while the store is away, and when its clock is set."""

import asyncio
from typing import Any

import pytest

from tests.engine_servers import Engine
from tests.servers import until
from tests.shared.sharing import PER, client, served
from trmm_async import Done, Failed, LimiterUnavailableError
from trmm_async.shared.queue import clock


class TestAStoreThatIsAway:
    async def test_sends_nothing_and_says_so_in_the_end(self) -> None:
        async with served() as server:
            settings = {"limiter_timeout": 0.3, "retries": 0}
            async with client(server, "redis://127.0.0.1:9", **settings) as trmm:
                began = clock()
                with pytest.raises(
                    LimiterUnavailableError, match=r"redis://127.0.0.1:9/0 could not be asked"
                ) as caught:
                    await trmm.clients.list()
                assert 0.25 < clock() - began < 5
                assert "nothing was sent" in str(caught.value)
                outcomes = await trmm.fleet.run_script(server.agent_ids[:2], script=1)
                assert [type(one) for one in outcomes] == [Failed, Failed]
                assert {type(getattr(one, "error", None)) for one in outcomes} == {LimiterUnavailableError}
            assert server.requests == []

    async def test_for_a_while_delays_and_no_more(
        self, store: Engine, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with served() as server, client(server, store.url) as trmm:
            await trmm.clients.list()
            store.kill()
            waiting = asyncio.ensure_future(trmm.fleet.run_script(server.agent_ids[:2], script=1))
            await until(lambda: "can't be asked" in caplog.text)
            assert trmm.stats.next_free_in is None
            store.start()
            assert [type(one) for one in await waiting] == [Done, Done]
            assert len(server.requests) == 3

    async def test_that_stands_still_is_given_up_in_time(self, store: Engine) -> None:
        async with served() as server, client(server, store.url, limiter_timeout=0.5) as trmm:
            await trmm.clients.list()
            store.stop()
            try:
                with pytest.raises(LimiterUnavailableError, match="no answer within"):
                    await trmm.clients.list()
            finally:
                store.go_on()
            await trmm.clients.list()
            assert server.throttled == 0


async def test_a_clock_that_was_set_forward_closes_the_window(
    store: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as server, client(server, store.url) as trmm:
        await trmm.clients.list()
        limiter: Any = trmm._api.transport._pool.limiter
        ahead, at = limiter._anchor
        limiter._anchor = ahead - 5.0, at  # as if its clock had been 5 s behind what it is now
        began = clock()
        await trmm.clients.list()
        assert clock() - began > PER
        assert "its clock was set forward" in caplog.text
        assert server.throttled == 0
