"""What is told of calls and their waits: to the log and to observers."""

import asyncio
import logging
from typing import Any

import pytest

from tests.clock import skip
from tests.logs import Log, of
from tests.peer import KEY, always, answer, client, in_turn, peer, status
from tests.servers import served, until
from trmm_async import Attempt, CallEnded, RateLimit, Retry, ServerError, Waited, Waiting

SLOW = RateLimit(1, per=40)


class TestTheLog:
    async def test_of_a_long_wait_is_written_when_it_begins_and_when_it_ends(self, log: Log) -> None:
        async with peer(always(answer())) as server, client(server.url, rate_limit=SLOW) as trmm:
            await trmm.scripts.list()
            waiting = [asyncio.create_task(trmm.scripts.list()) for _ in range(2)]
            await until(lambda: log.of("limits"))
            assert log.of("limits") == ["calls waiting for the rate limit: 1; the first may go in 40.0 s"]
            await until(lambda: trmm.stats.waiting == 2)
            skip(40)
            await until(lambda: trmm.stats.waiting == 1)
            await until(lambda: len(log.of("limits")) == 2)
            assert log.of("limits")[1] == "GET /api/v3/scripts/ has waited 40.0 s for the rate limit"
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def test_of_a_short_wait_is_not_written(self, log: Log) -> None:
        async with peer(always(answer())) as server:
            async with client(server.url, rate_limit=RateLimit(1, per=0.05)) as trmm:
                await trmm.scripts.list()
                await trmm.scripts.list()
                assert trmm.stats.waited_s > 0
        assert log.of("limits", logging.DEBUG) == []

    async def test_has_each_retry_and_at_debug_each_attempt(self, log: Log) -> None:
        async with peer(in_turn(status(503), answer())) as server, client(server.url) as trmm:
            await trmm.scripts.list()
        (again,) = log.of("retry")
        assert again.startswith("GET /api/v3/scripts/: attempt 1: answered 503; again in 0.")
        assert log.of("http") == []
        first, second = log.of("http", logging.DEBUG)
        assert first.startswith("GET /api/v3/scripts/: attempt 1: 503 in ")
        assert second.startswith("GET /api/v3/scripts/: attempt 2: 200 in ")

    async def test_says_why_there_was_no_answer(self, log: Log) -> None:
        async with peer(in_turn(None, answer())) as server, client(server.url) as trmm:
            await trmm.scripts.list()
        assert "the server closed the connection before it answered" in log.of("http", logging.DEBUG)[0]

    async def test_never_has_the_key(self, log: Log) -> None:
        """Not even where it stands in the path, or the server sends it back."""
        echo = answer(f'{{"detail": "{KEY}"}}'.encode(), "503 No", **{"X-Said": KEY})
        seen: list[Any] = []
        async with peer(always(echo)) as server, client(server.url, retries=1) as trmm:
            trmm.observe(seen.append)
            with pytest.raises(ServerError) as caught:
                await trmm.request("GET", f"/{KEY}/")
            assert KEY not in f"{caught.value} {caught.value.path}"
        assert len(log.of("http", logging.DEBUG)) == 2
        assert of(CallEnded, seen)
        assert KEY not in repr(seen)

    async def test_of_a_list_that_is_iterated_has_its_attempt(self, log: Log, dialect: str) -> None:
        async with served(dialect, agents=3) as (_, trmm):
            async with trmm.agents.iter() as stream:
                assert len([agent async for agent in stream]) == 3
        assert any("/agents/: attempt 1: 200 in " in line for line in log.of("http", logging.DEBUG))


class TestAnObserver:
    async def test_is_told_all_of_a_call_in_order(self) -> None:
        seen: list[Any] = []
        async with peer(in_turn(status(503), answer())) as server, client(server.url) as trmm:
            trmm.observe(seen.append)
            await trmm.scripts.list()
        assert [type(one) for one in seen] == [Attempt, Retry, Attempt, CallEnded]
        assert {(one.call, one.method, one.path) for one in seen} == {(1, "GET", "/api/v3/scripts/")}
        first, again, last, ended = seen
        assert (first.number, first.status, first.problem) == (1, 503, "")
        assert (again.attempt, again.reason) == (1, "answered 503")
        assert (last.number, last.status) == (2, 200)
        assert (ended.attempts, ended.error) == (2, None)
        assert ended.waited == again.delay
        assert ended.elapsed >= first.elapsed + last.elapsed

    async def test_is_told_what_is_waited_for(self) -> None:
        seen: list[Any] = []
        release = asyncio.Event()

        async def handle(state: Any, request: Any, writer: asyncio.StreamWriter) -> bool:
            await release.wait()
            writer.write(answer())
            return True

        async with peer(handle) as server, client(server.url, max_connections=1, rate_limit=SLOW) as trmm:
            trmm.observe(seen.append)
            calls = [asyncio.create_task(trmm.scripts.list()) for _ in range(2)]
            await until(lambda: of(Waiting, seen))
            # Only the answer that is under way can tell when the next may go.
            assert [(one.reason, one.expected) for one in of(Waiting, seen)] == [("limit", None)]
            assert trmm.stats.next_free_in is None
            assert trmm.stats.rate_limit == SLOW
            assert (trmm.stats.in_flight, trmm.stats.waiting) == (1, 1)
            calls[1].cancel()
            release.set()
            await asyncio.gather(*calls, return_exceptions=True)
            assert [type(one.error) for one in of(CallEnded, seen)] == [asyncio.CancelledError, type(None)]
        async with peer(handle) as server, client(server.url, max_connections=1) as trmm:
            release.clear()
            trmm.observe(seen.append)
            calls = [asyncio.create_task(trmm.scripts.list()) for _ in range(2)]
            await until(lambda: of(Waiting, seen)[-1].reason == "connection")
            release.set()
            await asyncio.gather(*calls)
            assert of(Waited, seen)[-1].reason == "connection"
