"""What a client tells of its work: to the log, to callbacks, in counts, by a raw answer, through a view."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from tests.clock import skip
from tests.peer import KEY, always, answer, client, in_turn, peer, status
from tests.servers import served, until
from trmm_async import (
    TRMM,
    Attempt,
    CallEnded,
    ClosedError,
    ConnectionFailedError,
    Counts,
    DecodeError,
    Done,
    EventRead,
    Gap,
    InvalidRequestError,
    NotFoundError,
    RateLimit,
    RateLimitedError,
    Retry,
    RunEnded,
    RunOutcome,
    RunStarted,
    ServerError,
    StreamSettings,
    TimeoutError,
    Waited,
    Waiting,
)

SLOW = RateLimit(1, per=40)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator["Log"]:
    caplog.set_level(logging.DEBUG, "trmm_async")
    yield Log(caplog)
    assert KEY not in caplog.text


class Log:
    """What stands in the log, by the room that wrote it."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def of(self, room: str, level: int = logging.INFO) -> list[str]:
        """The lines of one room of this level or a higher one."""
        return [
            one.getMessage()
            for one in self._caplog.records
            if one.name == f"trmm_async.{room}" and one.levelno >= level
        ]


def of(kind: type, seen: list[Any]) -> list[Any]:
    return [one for one in seen if type(one) is kind]


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

    async def test_has_the_beginning_and_the_end_of_a_run_and_where_its_journal_is(
        self, log: Log, dialect: str, tmp_path: Path
    ) -> None:
        async with served(dialect, agents=3) as (_, trmm):
            agents = await trmm.agents.list()
            await trmm.fleet.run_script(agents, script=1, journal=tmp_path / "run.db")
            await trmm.fleet.resume(tmp_path / "run.db")
        first, ended, again, _ = log.of("fleet")
        assert first == "run 1 begins: script 1 on 3 targets"
        assert ended.startswith("run 1 ended after ")
        assert ended.endswith("s: Counts(done=3, failed=0, unknown=0, skipped=0, pending=0)")
        assert again == "run 2 goes on: script 1 on 3 targets"
        assert log.of("journal") == [
            f"{tmp_path / 'run.db'}: run 1 is kept here",
            f"{tmp_path / 'run.db'}: run 2 goes on from here",
        ]
        assert len([line for line in log.of("fleet", logging.DEBUG) if " Done: ok" in line]) == 6

    async def test_has_each_gap(self, log: Log, dialect: str) -> None:
        seen: list[Any] = []
        settings = StreamSettings(poll_interval=0.05, poll_share=1.0, backoff_first=0.01)
        async with served(dialect, agents=1) as (server, trmm):
            trmm.observe(seen.append)
            async with trmm.events(server.agent_ids, settings=settings) as events:
                if dialect == "stock":
                    server.fail("PATCH", "/alerts/", status=503)
                else:
                    server.drop_connections()
                gap = await anext(events)
            assert isinstance(gap, Gap)
            assert of(Gap, seen) == [gap]
            assert gap.since.tzinfo is UTC
        (line,) = log.of("events")
        assert line.startswith(f"{server.agent_ids[0]}: a gap from {gap.since.isoformat()} to ")

    async def test_has_the_handshakes_of_sockets_at_debug(self, log: Log) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            async with trmm.events(server.agent_ids):
                pass
        (line,) = log.of("events", logging.DEBUG)
        assert line.endswith(": the socket stands")

    async def test_of_a_list_that_is_iterated_has_its_attempt(self, log: Log, dialect: str) -> None:
        async with served(dialect, agents=3) as (_, trmm):
            async with trmm.agents.iter() as stream:
                assert len([agent async for agent in stream]) == 3
        assert any("/agents/: attempt 1: 200 in " in line for line in log.of("http", logging.DEBUG))

    def test_is_silent_where_nobody_has_set_it_up(self) -> None:
        assert any(isinstance(one, logging.NullHandler) for one in logging.getLogger("trmm_async").handlers)


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

    async def test_is_told_of_a_run_and_each_of_its_outcomes(self, dialect: str) -> None:
        seen: list[Any] = []
        async with served(dialect, agents=3) as (_, trmm):
            agents = await trmm.agents.list()
            trmm.observe(seen.append)
            outcomes = await trmm.fleet.run_script(agents, script=1)
        (started,) = of(RunStarted, seen)
        assert (started.what, started.targets, started.journal, started.resumed) == (
            "script 1",
            3,
            None,
            False,
        )
        told = {one.outcome.agent_id: one.outcome for one in of(RunOutcome, seen)}
        assert told == {one.agent_id: one for one in outcomes}
        assert all(isinstance(one, Done) for one in outcomes)
        (ended,) = of(RunEnded, seen)
        assert (ended.counts, ended.stopped) == (Counts(done=3), "")
        assert {one.run for one in (started, *of(RunOutcome, seen), ended)} == {1}

    async def test_is_told_for_which_run_a_call_is(self, dialect: str) -> None:
        seen: list[Any] = []
        async with served(dialect, agents=2) as (server, trmm):
            trmm.observe(seen.append)
            await trmm.fleet.map(server.agent_ids, trmm.agents.get)
            await trmm.clients.list()
        runs = {one.run for one in of(CallEnded, seen) if "/agents/" in one.path}
        assert runs == {of(RunStarted, seen)[0].run}
        assert [one.run for one in of(CallEnded, seen) if one.path.endswith("/clients/")] == [None]

    async def test_is_told_how_long_an_event_has_waited_for_its_reader(self, dialect: str) -> None:
        seen: list[Any] = []
        settings = StreamSettings(poll_interval=0.05, poll_share=1.0)
        async with served(dialect, agents=1) as (server, trmm):
            trmm.observe(seen.append)
            async with trmm.events(server.agent_ids, settings=settings) as events:
                server.raise_alert(server.agent_ids[0], severity="error", message="full")
                event = await anext(events)
        (read,) = of(EventRead, seen)
        assert read.event is event
        assert 0 <= read.lag < 60
        assert read.age is not None
        assert read.time > 0

    async def test_is_told_of_each_consumer_what_it_reads_and_the_gaps_that_it_makes(self) -> None:
        seen: list[Any] = []
        async with served("gateway", agents=1) as (server, trmm):
            trmm.observe(seen.append)
            who = server.agent_ids[0]
            async with trmm.events(who) as events:
                slow, quick = events.consumer(queue=1), events.consumer()
                for number in range(3):
                    server.raise_alert(who, severity="error", message=str(number))
                for _ in range(3):
                    await anext(quick)
                await anext(slow)
                gap = await anext(slow)
        assert isinstance(gap, Gap)
        assert (gap.dropped, of(Gap, seen)) == (2, [gap])
        assert len(of(EventRead, seen)) == 4

    async def test_that_fails_changes_nothing_and_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken(observation: object) -> None:
            raise ZeroDivisionError("observer")

        seen: list[Any] = []
        async with peer(always(answer())) as server, client(server.url) as trmm:
            trmm.observe(broken)
            trmm.observe(seen.append)
            assert await trmm.scripts.list() == []
        assert len(of(CallEnded, seen)) == 1
        failed = [one for one in caplog.records if one.name == "trmm_async"]
        assert [one.getMessage() for one in failed] == [
            "a callback of observe() failed on a Attempt",
            "a callback of observe() failed on a CallEnded",
        ]

    async def test_is_told_nothing_once_it_is_detached(self) -> None:
        seen: list[Any] = []
        other: list[Any] = []
        async with peer(always(answer())) as server, client(server.url) as trmm:
            detach = trmm.observe(seen.append)
            trmm.observe(other.append)
            detach()
            detach()
            await trmm.scripts.list()
            assert seen == []
            assert other

    async def test_must_be_a_plain_function(self) -> None:
        async def asynchronous(observation: object) -> None: ...

        async with client("http://127.0.0.1:1") as trmm:
            with pytest.raises(InvalidRequestError, match=r"asyncio\.Queue"):
                trmm.observe(asynchronous)
            with pytest.raises(InvalidRequestError, match="a function of one argument"):
                trmm.observe("callback")  # type: ignore[arg-type]


class TestStats:
    async def test_count_what_was_sent_refused_and_tried_again(self) -> None:
        replies = in_turn(status(429, Retry_After="0"), answer(), status(503), answer())
        async with peer(replies) as server, client(server.url, rate_limit=RateLimit(100, per=60)) as trmm:
            assert trmm.stats.next_free_in in {0.0, None}
            await trmm.scripts.list()
            await trmm.scripts.list()
            stats = trmm.stats
            assert (stats.sent, stats.refused, stats.retried) == (len(server.requests), 1, 2) == (4, 1, 2)
            assert (stats.waiting, stats.in_flight) == (0, 0)
            assert stats.waited_s > 0

    async def test_say_when_the_next_request_may_go(self) -> None:
        async with peer(always(answer())) as server, client(server.url, rate_limit=SLOW) as trmm:
            await trmm.scripts.list()
            assert 39 < (trmm.stats.next_free_in or 0) <= 40
        # Outside of the loop's calls, after the end: no matter.
        assert trmm.stats.sent == 1

    async def test_of_what_never_left_are_none(self) -> None:
        async with client("http://127.0.0.1:1", retries=0) as trmm:
            with pytest.raises(ConnectionFailedError, match=r"127\.0\.0\.1"):
                await trmm.scripts.list()
            assert trmm.stats.sent == 0


class TestAView:
    async def test_has_its_own_settings_and_shares_the_rest(self) -> None:
        async def handle(state: Any, request: Any, writer: asyncio.StreamWriter) -> bool:
            writer.write(status(503))
            return True

        async with peer(handle) as server, client(server.url, retries=1) as trmm:
            view = trmm.with_options(retries=0)
            with pytest.raises(ServerError):
                await view.scripts.list()
            assert len(server.requests) == 1
            with pytest.raises(ServerError):
                await trmm.scripts.list()
            assert len(server.requests) == 3
            assert server.connections == 1
            assert view.stats == trmm.stats
            assert "view of" in repr(view)
            assert "view of" not in repr(trmm)

    async def test_shares_the_limit(self) -> None:
        async with peer(always(answer())) as server, client(server.url, rate_limit=SLOW) as trmm:
            await trmm.with_options(timeout=5).scripts.list()
            waiting = asyncio.create_task(trmm.scripts.list())
            await until(lambda: trmm.stats.waiting == 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def test_may_have_less_time(self) -> None:
        release = asyncio.Event()

        async def handle(state: Any, request: Any, writer: asyncio.StreamWriter) -> bool:
            await release.wait()
            return False

        async with peer(handle) as server, client(server.url) as trmm:
            with pytest.raises(TimeoutError):
                await trmm.with_options(timeout=0.05, retries=0).scripts.list()
            release.set()

    async def test_sends_scripts_by_its_own_settings(self, dialect: str) -> None:
        async with served(dialect, agents=2, client={"retries": 3}) as (server, trmm):
            agents = await trmm.agents.list()
            path = "/runscript/"
            server.fail("POST", path, status=429, times=4)
            (outcome,) = await trmm.with_options(retries=0).fleet.run_script(agents[:1], script=1)
            assert isinstance(getattr(outcome, "error", None), RateLimitedError)
            with pytest.raises(RateLimitedError):
                await trmm.with_options(retries=0).agents.run_script(agents[0], script=1)

    async def test_finds_out_the_dialect_for_all(self) -> None:
        async with served("stock", said="auto", agents=1) as (_, trmm):
            view = trmm.with_options(timeout=5)
            await view.scripts.list()
            assert view.dialect == trmm.dialect == "stock"

    async def test_cannot_be_closed(self) -> None:
        async with peer(always(answer())) as server, client(server.url) as trmm:
            view = trmm.with_options(timeout=5)
            with pytest.raises(InvalidRequestError, match="close the TRMM that it was made from"):
                await view.aclose()
            with pytest.raises(InvalidRequestError, match="can't be entered"):
                async with view:
                    pass
            assert await view.with_options(retries=1).scripts.list() == []
        with pytest.raises(ClosedError):
            await view.scripts.list()

    @pytest.mark.parametrize(
        "wrong", [{"timeout": 0}, {"retries": -1}, {"patience": "1"}, {"max_answer": 0}], ids=str
    )
    async def test_with_a_wrong_setting_is_none(self, wrong: Any) -> None:
        trmm = TRMM("https://rmm.example.com", api_key=KEY)
        with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
            trmm.with_options(**wrong)


class TestARawAnswer:
    async def test_has_all_that_came(self) -> None:
        replies = in_turn(status(503), answer(b'{"a": 1}', X_Total="7"))
        async with peer(replies) as server, client(server.url) as trmm:
            raw = await trmm.request_raw("GET", "/core/version/", params={"a": 1})
        assert (raw.status, raw.headers["x-total"], raw.body, raw.json()) == (200, "7", b'{"a": 1}', {"a": 1})
        assert raw.attempts == 2
        assert 0 < raw.elapsed < 60
        assert "7" not in repr(raw).partition("elapsed")[0]

    async def test_of_success_without_a_body_is_no_json(self) -> None:
        async with peer(always(answer(b"", "204 No Content"))) as server, client(server.url) as trmm:
            raw = await trmm.request_raw("DELETE", "/x/")
        assert (raw.status, raw.body, raw.json()) == (204, b"", None)

    async def test_that_is_no_json_says_so_without_the_key(self) -> None:
        body = f"<html>{KEY}</html>".encode()
        async with peer(always(answer(body))) as server, client(server.url) as trmm:
            raw = await trmm.request_raw("GET", "/x/")
        assert raw.body == body
        with pytest.raises(DecodeError, match="GET /x/: 200: the answer is no JSON") as caught:
            raw.json()
        assert KEY not in caught.value.body

    async def test_of_an_error_is_the_error(self) -> None:
        async with peer(always(status(404))) as server, client(server.url) as trmm:
            with pytest.raises(NotFoundError):
                await trmm.request_raw("GET", "/x/")
