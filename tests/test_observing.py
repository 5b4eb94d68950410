"""What a client tells of its work: to the log, to callbacks, in counts, by a raw answer, through a view."""

import asyncio
import logging
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from tests.logs import Log, of
from tests.peer import KEY, always, answer, client, in_turn, peer, status
from tests.servers import served, until
from trmm_async import (
    TRMM,
    CallEnded,
    ClosedError,
    ConnectionFailedError,
    Counts,
    Done,
    Gap,
    InvalidRequestError,
    RateLimit,
    RateLimitedError,
    RunEnded,
    RunOutcome,
    RunStarted,
    ServerError,
    StreamSettings,
    TimeoutError,
)

SLOW = RateLimit(1, per=40)


class TestTheLog:
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

    def test_is_silent_where_nobody_has_set_it_up(self) -> None:
        assert any(isinstance(one, logging.NullHandler) for one in logging.getLogger("trmm_async").handlers)


class TestAnObserver:
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
