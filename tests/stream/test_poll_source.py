"""Live events of a stock server, which pushes none: by looking at it, over real HTTP."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.clock import skip
from tests.stream.fake_gateway import all_of, until
from trmm_async import TRMM, WebhookReceiver
from trmm_async.errors import (
    AuthenticationError,
    ConnectionFailedError,
    NotFoundError,
    PermissionDeniedError,
    TRMMError,
)
from trmm_async.errors import TimeoutError as TRMMTimeoutError
from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Ended, Event, Gap, ScriptOutput
from trmm_async.models import Alert
from trmm_async.stream.poll_source import DedupQueue, PollSource
from trmm_async.stream.settings import StreamSettings
from trmm_async.testing import Simulator


def quick(**changes: Any) -> StreamSettings:
    settings: dict[str, Any] = {"poll_interval": 0.01, "poll_share": 1.0, "backoff_first": 0.01, **changes}
    return StreamSettings(**settings)


@asynccontextmanager
async def client(server: Simulator, **settings: Any) -> AsyncIterator[TRMM]:
    options: dict[str, Any] = {"dialect": "stock", "retries": 0, **settings}
    async with TRMM(server.url, api_key=server.api_key, **options) as trmm:
        yield trmm


@pytest.fixture
async def server() -> AsyncIterator[Simulator]:
    async with Simulator(agents=4, dialect="stock") as running:
        yield running


def kinds(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def looks(server: Simulator) -> int:
    return sum(request.path == "/alerts/" for request in server.requests)


@pytest.mark.parametrize("dialect", ["stock", "auto"])
async def test_agents_alerts_and_finished_runs_are_told_as_they_change(
    server: Simulator, dialect: str
) -> None:
    who, other, *_ = server.agent_ids
    server.add_history(who, 1, stdout="before")
    server.raise_alert(who, message="before")
    async with client(server, dialect=dialect) as trmm, trmm.events(who, other, settings=quick()) as events:
        assert events.state == {who: "live", other: "live"}
        server.go_offline(who)
        assert await all_of(events, 1) == [AgentOffline(agent_id=who)]
        number = server.raise_alert(who, message="full")
        (raised,) = await all_of(events, 1)
        server.resolve_alert(number)
        (resolved,) = await all_of(events, 1)
        server.come_online(who)
        assert await all_of(events, 1) == [AgentOnline(agent_id=who)]
        row = server.add_history(other, 2, stdout="out\n", stderr="err\n", retcode=3)
        (ran,) = await all_of(events, 1)
        assert "5 received" in repr(events)
    assert isinstance(raised, AlertEvent)
    assert (raised.alert.id, raised.alert.message, raised.alert.resolved) == (number, "full", False)
    assert isinstance(resolved, AlertEvent)
    assert resolved.alert.resolved
    assert ran == ScriptOutput(
        agent_id=other, cmd_id=str(row.id), script=2, output="out\nerr\n", done=True, exit_code=3
    )


async def test_a_run_is_told_when_its_agent_reports(server: Simulator) -> None:
    who = server.agent_ids[0]
    server.script(1, stdout="hello", seconds=0.01)
    async with client(server) as trmm, trmm.events(who, settings=quick()) as events:
        await trmm.agents.run_script(who, script=1, output="forget")
        (ran,) = await all_of(events, 1)
    assert isinstance(ran, ScriptOutput)
    assert (ran.script, ran.output.strip(), ran.done, ran.exit_code) == (1, "hello", True, 0)


async def test_the_present_state_first(server: Simulator) -> None:
    who = server.agent_ids[0]
    server.go_offline(who)
    server.raise_alert(who)
    server.resolve_alert(server.raise_alert(who))
    async with client(server) as trmm, trmm.events(who, snapshot=True, settings=quick()) as events:
        assert kinds(await all_of(events, 3)) == ["AgentOffline", "AlertEvent", "Live"]
        server.come_online(who)
        assert await all_of(events, 1) == [AgentOnline(agent_id=who)]


async def test_one_look_serves_all_agents_and_one_worker_at_a_time() -> None:
    async with Simulator(agents=300, dialect="stock", workers=5) as server, client(server) as trmm:
        async with trmm.events(server.agent_ids, snapshot=True, settings=quick(queue=50)) as events:
            heard = await all_of(events, 600)
            assert looks(server) == 1
            assert server.max_in_flight == 1
            for who in server.agent_ids:
                server.go_offline(who)
            assert len({event.agent_id for event in await all_of(events, 300)}) == 300
    assert kinds(heard).count("Live") == 300


async def test_a_server_that_fails_is_told_as_a_gap_and_then_caught_up(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with client(server) as trmm, trmm.events(who, settings=quick()) as events:
        with server.fail("*", "/alerts/", status=502, times=None):
            await until(lambda: events.state == {who: "connecting"})
            server.go_offline(who)
            server.raise_alert(who)
            server.add_history(who, 1)
        gap, *caught_up = await all_of(events, 5)
        assert events.state == {who: "live"}
        assert events.reconnects == 1
    assert isinstance(gap, Gap)
    assert "502" in gap.reason
    assert gap.since <= gap.until
    assert kinds(caught_up) == ["AgentOffline", "AlertEvent", "ScriptOutput", "Live"]


async def test_a_position_is_taken_up_again_with_the_runs_of_the_meantime(server: Simulator) -> None:
    who = server.agent_ids[0]
    server.add_history(who, 1)
    async with client(server) as trmm:
        async with trmm.events(who, snapshot=True, settings=quick()) as events:
            assert kinds(await all_of(events, 2)) == ["AgentOnline", "Live"]
            row = server.add_history(who, 2, reported=False)
            position = events.position
        server.go_offline(who)
        row.script_results = {"id": 1, "stdout": "late", "stderr": "", "retcode": 0, "execution_time": 0.1}
        async with trmm.events(who, since=position, settings=quick()) as events:
            gap, down, ran, live = await all_of(events, 4)
            assert kinds([gap, down, live]) == ["Gap", "AgentOffline", "Live"]
            assert isinstance(ran, ScriptOutput)
            assert ran.output == "late"
            after = events.position
        async with trmm.events(who, since=after, settings=quick()) as events:
            assert kinds(await all_of(events, 2)) == ["Gap", "Live"]


async def test_an_alert_raised_in_a_gap_is_told_after_a_restart_though_a_later_one_was_read(
    server: Simulator,
) -> None:
    who = server.agent_ids[0]
    async with client(server) as trmm:
        bell = WebhookReceiver("s3cr3t-hook")
        async with trmm.events(who, webhooks=bell, settings=quick(poll_interval=60.0)) as events:
            missed = server.raise_alert(who, message="nobody posted this one")
            number = server.raise_alert(who)
            bell._listeners[0](number, who)
            assert kinds(await all_of(events, 1)) == ["AlertEvent"]
            position = events.position
        server.resolve_alert(missed)
        async with trmm.events(who, since=position, settings=quick()) as events:
            _, told, live = await all_of(events, 3)
    assert isinstance(told, AlertEvent)
    assert (told.alert.id, told.alert.resolved, type(live).__name__) == (missed, True, "Live")


async def test_a_history_that_is_numbered_anew_is_a_gap_and_its_runs_are_told(server: Simulator) -> None:
    who, other, *_ = server.agent_ids
    for _ in range(5):
        server.add_history(who, 1, time=time.time() - 3600)
    async with client(server) as trmm, trmm.events(who, other, settings=quick()) as events:
        assert events.state == {who: "live", other: "live"}
        journal = server.world.journal
        journal.history.clear()
        journal._row_ids = count(1)
        row = server.add_history(who, 2, stdout="after the restore")
        heard = await all_of(events, 5)
    assert sorted(kinds(heard)) == ["Gap", "Gap", "Live", "Live", "ScriptOutput"]
    assert all("restored" in event.reason for event in heard if isinstance(event, Gap))
    (ran,) = (event for event in heard if isinstance(event, ScriptOutput))
    assert ran == ScriptOutput(
        agent_id=who, cmd_id=str(row.id), script=2, output="after the restore", done=True, exit_code=0
    )


class AnyClock:
    """The clock of a server that somebody sets."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


async def test_a_row_dated_far_ahead_hides_no_later_one() -> None:
    """A virtual machine wakes with tomorrow's time, runs something, and is then put right."""
    clock = AnyClock()
    async with Simulator(agents=2, dialect="stock", clock=clock) as server, client(server) as trmm:
        who = server.agent_ids[0]
        server.add_history(who, 1, stdout="before")
        async with trmm.events(who, settings=quick()) as events:
            clock.ahead = 86_400
            server.add_history(who, 1, stdout="tomorrow")
            clock.ahead = 0
            first = await all_of(events, 1)
            server.add_history(who, 1, stdout="today")
            first += await all_of(events, 1)
            position = events.position
        server.add_history(who, 1, stdout="meanwhile")
        async with trmm.events(who, since=position, settings=quick()) as events:
            then = await all_of(events, 3)
            server.add_history(who, 1, stdout="at last")
            then += await all_of(events, 1)
    outputs = [event.output for event in [*first, *then] if isinstance(event, ScriptOutput)]
    assert outputs == ["tomorrow", "today", "meanwhile", "at last"]
    assert kinds(then) == ["Gap", "ScriptOutput", "Live", "ScriptOutput"]


async def test_a_history_whose_newest_rows_are_all_of_tomorrow_is_read_from_today_on() -> None:
    clock = AnyClock()
    async with Simulator(agents=2, dialect="stock", clock=clock) as server, client(server) as trmm:
        who = server.agent_ids[0]
        clock.ahead = 86_400
        for _ in range(9):
            server.add_history(who, 1, stdout="tomorrow")
        clock.ahead = 0
        async with trmm.events(who, settings=quick()) as events:
            server.add_history(who, 1, stdout="today")
            (ran,) = await all_of(events, 1)
            before = looks(server)
            await until(lambda: looks(server) > before + 2)
            assert events.state == {who: "live"}
    assert isinstance(ran, ScriptOutput)
    assert ran.output == "today"


@pytest.mark.parametrize("hidden", [False, True], ids=["seen at once", "behind failing looks"])
async def test_a_server_whose_clock_is_set_back_loses_no_run_and_tells_none_twice(hidden: bool) -> None:
    clock = AnyClock()
    async with Simulator(agents=2, dialect="stock", clock=clock) as server, client(server) as trmm:
        who = server.agent_ids[0]
        for minute in range(100, 0, -1):
            server.add_history(who, 1, stdout="before", time=clock() - 60 * minute)
        async with trmm.events(who, settings=quick()) as events:
            with server.fail("*", "/agents/*", status=502, times=None) if hidden else nullcontext():
                if hidden:
                    await until(lambda: events.state == {who: "connecting"})
                clock.ahead = -3600
                server.add_history(who, 1, stdout="an hour ago")
            heard = await all_of(events, 3 if hidden else 1)
            server.add_history(who, 1, stdout="and later")
            heard += await all_of(events, 1)
            clock.ahead = 0
            server.add_history(who, 1, stdout="now")
            heard += await all_of(events, 1)
            before = looks(server)
            await until(lambda: looks(server) > before + 2)
            assert events.state == {who: "live"}
    outputs = [event.output for event in heard if isinstance(event, ScriptOutput)]
    assert outputs == ["an hour ago", "and later", "now"]


async def test_nothing_holds_the_last_answer_between_two_looks(server: Simulator) -> None:
    who = server.agent_ids[0]
    for _ in range(50):
        server.resolve_alert(server.raise_alert(who))

    def lists() -> list[list[Any]]:
        gc.collect()
        return [each for each in gc.get_objects() if type(each) is list and each and type(each[0]) is Alert]

    # What other tests of this process keep is no fault of the subscription.
    others = {id(each): each for each in lists()}

    def held() -> bool:
        return any(id(each) not in others for each in lists())

    async with client(server) as trmm, trmm.events(who, settings=quick(poll_interval=3600.0)):
        await until(lambda: not held())


async def test_an_unknown_agent_is_refused_and_the_others_go_on(server: Simulator) -> None:
    who, unknown = server.agent_ids[0], "x" * 40
    async with client(server) as trmm:
        with pytest.raises(NotFoundError):
            async with trmm.events(unknown, settings=quick()):
                pass
        async with trmm.events(who, unknown, settings=quick()) as events:
            (ended,) = await all_of(events, 1)
            assert isinstance(ended, Ended)
            assert (ended.agent_id, type(ended.error)) == (unknown, NotFoundError)
            assert events.state == {who: "live", unknown: "ended"}
            server.go_offline(who)
            assert await all_of(events, 1) == [AgentOffline(agent_id=who)]


async def test_many_unknown_agents_keep_nobody_from_entering(server: Simulator) -> None:
    unknown = [f"{number:040}" for number in range(20)]
    async with client(server) as trmm, trmm.events(unknown, settings=quick(queue=2)) as events:
        assert kinds(await all_of(events, 20)) == ["Ended"] * 20
        with pytest.raises(NotFoundError):
            await all_of(events, 1)


async def test_an_agent_that_is_deleted_has_ended(server: Simulator) -> None:
    who, other, *_ = server.agent_ids
    async with client(server) as trmm, trmm.events(who, other, settings=quick()) as events:
        await trmm.agents.delete(other)
        assert isinstance((await all_of(events, 1))[0], Ended)


async def test_a_key_that_may_not_look_is_refused_with_the_error_for_it(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with TRMM(server.url, api_key="wrong", dialect="stock") as trmm:
        with pytest.raises(AuthenticationError):
            async with trmm.events(who, settings=quick()):
                pass
    async with client(server) as trmm, trmm.events(who, settings=quick()) as events:
        with server.fail("GET", "scripthistory", status=403, times=None):
            with pytest.raises(PermissionDeniedError):
                await all_of(events, 1)
            async with trmm.events(who, settings=quick(poll_scripts=False)) as modest:
                assert modest.state == {who: "live"}


async def test_a_server_that_can_not_be_reached_fails_the_entering_in_time(server: Simulator) -> None:
    with server.fail("*", "/agents/", status=502, times=None):
        async with client(server) as trmm:
            with pytest.raises(TRMMError) as caught:
                async with trmm.events(server.agent_ids, settings=quick(connect_attempts=3)):
                    pass
    assert isinstance(caught.value, TRMMError)
    assert len(server.requests) == 3
    async with TRMM("http://127.0.0.1:9", api_key="k", dialect="stock", retries=0) as trmm:
        with pytest.raises(ConnectionFailedError):
            async with trmm.events("a" * 40, settings=quick(connect_attempts=2)):
                pass


async def test_a_list_that_takes_longer_than_its_time_is_told_at_once(server: Simulator) -> None:
    with server.slow("GET", "/agents/", 600.0, times=None) as slow:
        async with client(server, timeout=8.0) as trmm:
            events = trmm.events(server.agent_ids, settings=quick(backoff_first=60.0, backoff_most=60.0))
            entering = asyncio.ensure_future(events.__aenter__())
            await until(lambda: slow.hits > 0)
            # The list of agents has 120 s of its own.
            skip(8 + 120)
            with pytest.raises(TRMMTimeoutError):
                await entering
    assert slow.hits == 1


async def test_entering_does_not_wait_out_the_pauses_behind_slow_answers(server: Simulator) -> None:
    # A look of 0.2 s is followed by a pause of 20 s.
    patient = quick(poll_share=0.01, backoff_most=1.0)
    with (
        server.fail("*", "/agents/", status=502, times=None),
        server.slow("GET", "/agents/", 0.2, times=None),
    ):
        async with client(server) as trmm:
            with pytest.raises(TRMMError):
                async with asyncio.timeout(30):
                    async with trmm.events(server.agent_ids, settings=patient):
                        pass


async def test_agents_come_and_go_while_it_runs(server: Simulator) -> None:
    who, other, *_ = server.agent_ids
    async with client(server) as trmm:
        async with trmm.events(who, snapshot=True, settings=quick(poll_interval=60.0)) as events:
            assert kinds(await all_of(events, 2)) == ["AgentOnline", "Live"]
            await events.add(other)  # sooner than the next look was due
            assert [event.agent_id for event in await all_of(events, 2)] == [other, other]
            events.remove(who)
            events.remove(other)
            assert events.state == {}
            await events.add(who)
            assert kinds(await all_of(events, 2)) == ["AgentOnline", "Live"]


async def test_a_slow_reader_stops_the_looking_and_loses_nothing(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with client(server) as trmm, trmm.events(who, settings=quick(queue=1)) as events:
        numbers = [server.raise_alert(who) for _ in range(5)]
        await until(lambda: events.received == 5)
        before = looks(server)
        position = events.position
        server.go_offline(who)
        heard = await all_of(events, 6)
        assert looks(server) <= before + 2
        assert [event.alert.id for event in heard if isinstance(event, AlertEvent)] == numbers
        async with trmm.events(who, since=position, settings=quick()) as again:
            assert kinds(await all_of(again, 8)) == ["Gap", "AgentOffline", *["AlertEvent"] * 5, "Live"]


async def test_removing_an_agent_that_the_queue_has_no_room_for(server: Simulator) -> None:
    who, other, *_ = server.agent_ids
    async with client(server) as trmm, trmm.events(who, other, settings=quick(queue=1)) as events:
        for _ in range(5):
            server.raise_alert(who)
        await until(lambda: events.received >= 5)
        events.remove(who)
        server.go_offline(other)
        assert await all_of(events, 1) == [AgentOffline(agent_id=other)]


async def test_the_pause_between_looks_grows_with_what_they_cost(server: Simulator) -> None:
    who = server.agent_ids[0]
    server.slow("*", "/alerts/", 0.05, times=None)
    async with client(server) as trmm, trmm.events(who, settings=quick(poll_share=0.1)):
        began, first = time.monotonic(), looks(server)
        await until(lambda: looks(server) > first)
    assert time.monotonic() - began > 0.3


async def test_a_mistake_in_code_ends_the_stream_with_it(server: Simulator) -> None:
    async with client(server) as trmm, trmm.events(server.agent_ids, settings=quick()) as events:
        assert isinstance(events._source, PollSource)
        assert repr(events._source).startswith("<PollSource of 4 agents, ")
        events._source._polls._poller.watch = None  # type: ignore[assignment]
        with pytest.raises(AttributeError):
            await all_of(events, 1)


async def test_leaving_at_any_time_leaves_nothing(server: Simulator) -> None:
    async with client(server) as trmm:
        for turns in range(40):
            events = trmm.events(server.agent_ids, snapshot=True, settings=quick())
            entering = asyncio.ensure_future(events.__aenter__())
            for _ in range(turns * 3):
                await asyncio.sleep(0)
            entering.cancel()
            await asyncio.gather(entering, return_exceptions=True)
            await events.__aexit__(None, None, None)
            assert not events._tasks


BAD = {
    "garbage": lambda server: server.answer("*", "/alerts/", body=b"\xff{", times=3),
    "a page": lambda server: server.answer(
        "*", "/alerts/", body=b"<html>", content_type="text/html", times=3
    ),
    "of another shape": lambda server: server.answer("*", "scripthistory", body=b'{"a": [1]}', times=3),
    "cut": lambda server: server.cut("*", "/alerts/", at="body", times=3),
    "reset": lambda server: server.cut("*", "scripthistory", at="reset", times=3),
    "broken": lambda server: server.fail("*", "/alerts/", status=500, times=3),
    "busy": lambda server: server.fail("*", "/alerts/", status=429, retry_after=0, times=3),
    "late": lambda server: server.slow("*", "/alerts/", 60.0, times=2),
}


@pytest.mark.parametrize("fault", BAD)
async def test_whatever_the_server_does_wrong_is_a_gap_and_then_caught_up(
    server: Simulator, fault: str
) -> None:
    who = server.agent_ids[0]
    async with client(server, timeout=8.0) as trmm, trmm.events(who, settings=quick()) as events:
        with BAD[fault](server) as trouble:
            for hits in (1, 2) if fault == "late" else ():
                await until(lambda: trouble.hits == hits)  # noqa: B023 - it is awaited here
                skip(8)
            gap = (await all_of(events, 1))[0]
            assert isinstance(gap, Gap)
            assert gap.reason
            rest = await all_of(events, 1)
            assert kinds(rest) == ["Live"]
        server.go_offline(who)
        assert await all_of(events, 1) == [AgentOffline(agent_id=who)]


async def test_a_clock_that_jumps_makes_no_event_and_no_gap(server: Simulator) -> None:
    who = server.agent_ids[0]
    ahead = [0.0]

    def clock() -> datetime:
        ahead[0] = -ahead[0] + (86_400 if ahead[0] <= 0 else 0)
        return datetime.now(UTC) + timedelta(seconds=ahead[0])

    async with client(server) as trmm, trmm.events(who, settings=quick(clock=clock)) as events:
        before = looks(server)
        await until(lambda: looks(server) > before + 5)
        server.raise_alert(who)
        assert kinds(await all_of(events, 1)) == ["AlertEvent"]


async def test_removing_an_agent_whose_end_waits_for_room(server: Simulator) -> None:
    who, other, third, _ = server.agent_ids
    async with client(server) as trmm:
        async with trmm.events(who, other, third, settings=quick(queue=1)) as events:
            server.go_offline(third)
            await until(lambda: len(events._mailbox) == 1)
            # One look finds both gone: there is no second while there is no room for what the first found.
            server.slow("GET", "/agents/", 1.0, after=False)
            await until(lambda: not server.faults)
            await asyncio.gather(trmm.agents.delete(who), trmm.agents.delete(other))
            await until(lambda: events.state[who] == events.state[other] == "ended")
            events.remove(who)
            events.remove(other)
            assert await all_of(events, 1) == [AgentOffline(agent_id=third)]
            server.come_online(third)
            assert await all_of(events, 1) == [AgentOnline(agent_id=third)]
            assert events.state == {third: "live"}


async def test_a_queue_without_duplicates_is_bounded_and_done_once() -> None:
    done: list[int] = []

    async def do(number: int) -> None:
        done.append(number)

    queue = DedupQueue(do)
    assert all(queue.add(number) for number in range(1000))
    assert queue.add(5)
    assert not queue.add(1000)
    task = asyncio.create_task(queue.run())
    await until(lambda: not queue)
    assert done == [*range(1000)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
