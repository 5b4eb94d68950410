"""Any call over many agents: an outcome for each, and no more said of it than is known."""

import asyncio
import re
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, assert_type

import pytest

from tests.fleet.careful import kinds
from tests.servers import count, served, until
from trmm_async import (
    TRMM,
    Agent,
    APIError,
    AuthenticationError,
    ClosedError,
    Counts,
    Done,
    Failed,
    InvalidRequestError,
    Outcome,
    OutcomeUnknownError,
    RateLimit,
    RateLimitedError,
    Skipped,
    TRMMError,
    Unknown,
    UnsupportedError,
    as_jsonl,
    as_row,
)


class TestResults:
    async def test_are_what_the_call_returned_in_the_order_of_the_targets(self, dialect: str) -> None:
        async with served(dialect, agents=12) as (server, trmm):
            targets = server.agent_ids[::-1]
            outcomes = await trmm.fleet.map(targets, trmm.agents.get, width=5)
            assert_type(outcomes, list[Outcome[Agent]])
            assert [outcome.agent_id for outcome in outcomes] == targets
            assert all(one.result.agent_id == one.agent_id for one in outcomes if isinstance(one, Done))
            assert kinds(outcomes) == {Done: 12}

    async def test_come_in_the_order_of_completion(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            slow, *quick = server.agent_ids
            server.slow("GET", f"/agents/{slow}/", 0.3, after=True)
            async with trmm.fleet.map(server.agent_ids, trmm.agents.get) as run:
                order = [outcome.agent_id async for outcome in run]
            assert order[-1] == slow
            assert set(order) == {slow, *quick}
            assert run.counts == Counts(done=3)
            assert run.succeeded == 3

    async def test_no_target_is_no_call(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            assert await trmm.fleet.map([], trmm.agents.get) == []

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_the_call_gets_each_target_as_it_was_given(self, streamed: bool) -> None:
        async with served("gateway", agents=4) as (server, trmm):
            first, second, *_ = await trmm.agents.list()
            targets: list[str | Agent] = [first, server.agent_ids[3], second]
            got: list[object] = []

            async def call(target: str | Agent) -> str:
                got.append(target)
                return "x"

            async def stream() -> AsyncIterator[str | Agent]:
                for target in targets:
                    yield target

            given = stream() if streamed else iter(targets)
            outcomes = await trmm.fleet.map(given, call, width=1)
            assert [one is other for one, other in zip(got, targets, strict=True)] == [True] * 3
            assert kinds(outcomes) == {Done: 3}

    async def test_of_a_selector_the_call_gets_agents(self, dialect: str) -> None:
        async with served(dialect, agents=12) as (_, trmm):

            async def call(agent: Agent) -> str:
                return agent.hostname

            wanted = sorted(one.hostname for one in await trmm.agents.list(monitoring_type="server"))
            run = trmm.fleet.map(trmm.agents.select(monitoring_type="server"), call, batch=0.5)
            assert sorted(one.result for one in await run if isinstance(one, Done)) == wanted
            assert run.counts.done == len(wanted) > 0

    async def test_nothing_is_called_before_the_run_is_used_and_it_is_used_once(self) -> None:
        async with served("gateway", agents=2) as (server, trmm):
            run = trmm.fleet.map(server.agent_ids, trmm.agents.get)
            assert "agents.get" in repr(run).lower()
            assert server.requests == []
            await run
            with pytest.raises(ClosedError):
                await run

    @pytest.mark.parametrize("call", [None, "x", 5])
    async def test_what_is_no_function_is_refused(self, call: Any) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="call must be"):
                trmm.fleet.map(server.agent_ids, call)

    async def test_a_target_twice_or_none_is_refused(self) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="more than once"):
                trmm.fleet.map(server.agent_ids * 2, trmm.agents.get)
            with pytest.raises(InvalidRequestError, match=r"pass \[agent\]"):
                trmm.fleet.map(server.agent_ids[0], trmm.agents.get)

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"journal": "x"}, "journal is not supported by fleet.map(): a function can't be stored"),
            ({"widht": 5}, "fleet.map() got an unexpected keyword 'widht' (did you mean 'width'?)"),
            ({"work": 5}, "fleet.map() got an unexpected keyword 'work'"),
        ],
    )
    async def test_what_it_does_not_take_is_said_by_its_name(self, wrong: Any, said: str) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=f"^{re.escape(said)}"):
                trmm.fleet.map(server.agent_ids, trmm.agents.get, **wrong)


class TestTrouble:
    """`Failed` only if no call that changes something was sent."""

    async def outcome_of(self, call: Callable[[str], Awaitable[Any]], trmm: TRMM, agent_id: str) -> Any:
        (outcome,) = await trmm.fleet.map([agent_id], call)
        return outcome

    async def test_a_read_that_fails_has_changed_nothing(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            server.fail("GET", "/agents/", status=500)
            outcome = await self.outcome_of(trmm.agents.get, trmm, server.agent_ids[0])
            assert isinstance(outcome, Failed)
            assert isinstance(outcome.error, APIError)

    @pytest.mark.parametrize("status", [400, 403, 404, 500, 502])
    async def test_what_was_sent_to_change_something_leaves_it_unknown(self, status: int) -> None:
        async with served("stock", agents=1) as (server, trmm):
            # A stock server refuses some things when half of them is done.
            server.fail("POST", "/reboot/", status=status)
            outcome = await self.outcome_of(trmm.agents.reboot, trmm, server.agent_ids[0])
            assert isinstance(outcome, Unknown)
            assert outcome.error.status == status if isinstance(outcome.error, APIError) else status == 502

    async def test_a_change_before_a_read_that_fails_may_have_been_all(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            server.fail("GET", "/agents/", status=500)

            async def call(agent_id: str) -> Agent:
                await trmm.agents.run_script(agent_id, 1, output="forget")
                return await trmm.agents.get(agent_id)

            assert isinstance(await self.outcome_of(call, trmm, server.agent_ids[0]), Unknown)
            assert len(server.runs) == 1

    async def test_a_read_that_fails_before_the_change_has_changed_nothing(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            server.fail("GET", "/agents/", status=500)

            async def call(agent_id: str) -> None:
                await trmm.agents.get(agent_id)
                await trmm.agents.run_script(agent_id, 1, output="forget")

            assert isinstance(await self.outcome_of(call, trmm, server.agent_ids[0]), Failed)
            assert server.runs == []

    async def test_a_change_in_a_task_that_the_call_begins_counts(self) -> None:
        async with served("gateway", agents=1) as (server, trmm):

            async def call(agent_id: str) -> None:
                await asyncio.create_task(trmm.agents.run_script(agent_id, 1, output="forget"))
                raise TRMMError("enough")

            assert isinstance(await self.outcome_of(call, trmm, server.agent_ids[0]), Unknown)

    async def test_a_change_by_another_client_counts(self) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            other = TRMM(server.url, api_key=server.api_key, dialect="gateway")

            async def call(agent_id: str) -> None:
                async with other:
                    await other.agents.run_script(agent_id, 1, output="forget")
                raise TRMMError("enough")

            assert isinstance(await self.outcome_of(call, trmm, server.agent_ids[0]), Unknown)

    async def test_a_change_for_one_target_is_none_for_the_next(self) -> None:
        async with served("gateway", agents=2) as (server, trmm):
            first, second = server.agent_ids

            async def call(agent_id: str) -> None:
                if agent_id == first:
                    await trmm.agents.run_script(agent_id, 1, output="forget")
                raise TRMMError("enough")

            outcomes = await trmm.fleet.map([first, second], call, width=1)
            assert [type(one) for one in outcomes] == [Unknown, Failed]

    async def test_what_the_throttle_turned_away_was_not_sent(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            server.fail("POST", "/runscript/", status=429)

            async def call(agent_id: str) -> None:
                await trmm.agents.run_script(agent_id, 1, output="forget")

            outcome = await self.outcome_of(call, trmm, server.agent_ids[0])
            assert isinstance(outcome, Failed)
            assert isinstance(outcome.error, RateLimitedError)

    async def test_what_could_not_connect_was_not_sent(self) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            other = TRMM("http://127.0.0.1:9", api_key="k", dialect="gateway", retries=0)

            async def call(agent_id: str) -> None:
                async with other:
                    await other.agents.run_script(agent_id, 1)

            assert isinstance(await self.outcome_of(call, trmm, server.agent_ids[0]), Failed)

    async def test_a_lost_answer_is_unknown(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            server.cut("DELETE", "/agents/", times=None, after=False)
            outcome = await self.outcome_of(trmm.agents.delete, trmm, server.agent_ids[0])
            assert isinstance(outcome, Unknown)
            assert isinstance(outcome.error, OutcomeUnknownError)

    async def test_what_a_server_has_not_is_said_for_each(self) -> None:
        async with served("gateway", agents=2) as (server, trmm):
            outcomes = await trmm.fleet.map(server.agent_ids, trmm.agents.services)
            assert kinds(outcomes) == {Failed: 2}
            assert all(
                isinstance(one, Failed) and isinstance(one.error, UnsupportedError) for one in outcomes
            )

    async def test_a_refused_key_stops_the_run(self, dialect: str) -> None:
        async with served(dialect, agents=8) as (server, trmm):
            server.revoke_key()
            run = trmm.fleet.map(server.agent_ids, trmm.agents.get, width=2)
            outcomes = await run
            assert kinds(outcomes)[Skipped] >= 6
            assert isinstance(outcomes[0], Failed)
            assert isinstance(outcomes[0].error, AuthenticationError)
            assert run.stopped


class TestAMistakeOfTheCall:
    async def test_stops_the_run_and_is_raised_once_what_is_under_way_has_ended(self, dialect: str) -> None:
        async with served(dialect, agents=20) as (server, trmm):
            wrong, *_ = server.agent_ids
            begun = asyncio.Event()

            async def call(agent_id: str) -> str:
                if agent_id == wrong:
                    await begun.wait()
                    raise ZeroDivisionError("oh")
                begun.set()
                await trmm.agents.get(agent_id)
                return agent_id

            outcomes: list[Outcome[str]] = []
            run = trmm.fleet.map(server.agent_ids, call, width=4)
            with pytest.raises(ZeroDivisionError, match="oh"):
                async with run:
                    async for outcome in run:
                        outcomes += [outcome]
            assert len(outcomes) == 20
            assert run.counts.pending == run.counts.unknown == 0
            assert [one.agent_id for one in outcomes if isinstance(one, Failed)] == [wrong]
            assert run.counts.skipped >= 12
            assert "ZeroDivisionError" in run.stopped

    async def test_after_a_change_leaves_the_target_unknown(self) -> None:
        async with served("gateway", agents=1) as (server, trmm):

            async def call(agent_id: str) -> None:
                await trmm.agents.run_script(agent_id, 1, output="forget")
                raise ZeroDivisionError

            run = trmm.fleet.map(server.agent_ids, call)
            with pytest.raises(ZeroDivisionError):
                await run
            assert run.counts == Counts(unknown=1)
            assert kinds(run.rest) == {Unknown: 1}

    async def test_is_what_is_not_awaitable(self) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            with pytest.raises(TypeError, match=r"must be an async function; it returned 'X'"):
                await trmm.fleet.map(server.agent_ids, lambda _: "X")  # type: ignore[arg-type, return-value]

    async def test_what_it_waits_for_may_be_cancelled(self) -> None:
        """A task of the call's own that ended so ends its target alone."""
        async with served("gateway", agents=3) as (server, trmm):

            async def call(agent_id: str) -> str:
                if agent_id == server.agent_ids[1]:
                    task = asyncio.create_task(asyncio.sleep(60))
                    asyncio.get_running_loop().call_soon(task.cancel)
                    await task
                return agent_id

            outcomes = await trmm.fleet.map(server.agent_ids, call)
            assert [type(one) for one in outcomes] == [Done, Failed, Done]


class TestAStop:
    async def test_reaches_those_that_wait_to_send_their_first_call(self) -> None:
        settings = {"rate_limit": RateLimit(5, per=60)}
        async with served("gateway", agents=30, client=settings) as (server, trmm):
            run = trmm.fleet.map(server.agent_ids, trmm.agents.get, width=20)
            waiting = asyncio.ensure_future(_awaited(run))
            await until(lambda: run.counts.done == 5)
            run.stop()
            assert kinds(await waiting) == {Done: 5, Skipped: 25}
            assert len(server.requests) == 5

    async def test_waits_for_what_is_under_way(self, dialect: str) -> None:
        async with served(dialect, agents=10) as (server, trmm):
            server.slow("GET", "/agents/", 0.2, times=None, after=True)
            run = trmm.fleet.map(server.agent_ids, trmm.agents.get, width=3)
            waiting = asyncio.ensure_future(_awaited(run))
            await until(lambda: count(server, "GET", "/agents/") >= 3)
            run.stop()
            assert kinds(await waiting) == {Done: 3, Skipped: 7}

    async def test_waits_for_what_the_call_does_besides(self) -> None:
        async with served("gateway", agents=10) as (server, trmm):
            going, begun = asyncio.Event(), 0

            async def call(agent_id: str) -> str:
                nonlocal begun
                begun += 1
                await going.wait()
                return agent_id

            run = trmm.fleet.map(server.agent_ids, call, width=3)
            waiting = asyncio.ensure_future(_awaited(run))
            await until(lambda: begun == 3)
            run.stop()
            await asyncio.sleep(0)
            going.set()
            assert kinds(await waiting) == {Done: 3, Skipped: 7}
            assert begun == 3

    async def test_a_later_call_of_one_that_has_sent_something_is_waited_for(self) -> None:
        settings = {"rate_limit": RateLimit(3, per=0.6)}
        async with served("gateway", agents=4, client=settings) as (server, trmm):

            async def call(agent_id: str) -> None:
                await trmm.agents.get(agent_id)
                await trmm.agents.get(agent_id)

            run = trmm.fleet.map(server.agent_ids, call, width=3)
            waiting = asyncio.ensure_future(_awaited(run))
            await until(lambda: len(server.requests) == 3)
            run.stop()
            assert kinds(await waiting) == {Done: 3, Skipped: 1}
            assert len(server.requests) == 6


class TestLeaving:
    async def test_early_tells_of_each_what_may_have_been_done(self) -> None:
        async with served("gateway", agents=20) as (server, trmm):
            changing = set(server.agent_ids[:2])
            server.script(1, seconds=30)
            server.slow("GET", "/agents/", 30, times=None, after=True)

            async def call(agent_id: str) -> object:
                if agent_id in changing:
                    return await trmm.agents.run_script(agent_id, 1)
                return await trmm.agents.get(agent_id)

            async with trmm.fleet.map(server.agent_ids, call, width=4) as run:
                await until(lambda: len(server.requests) == 4)
            assert run.counts == Counts(unknown=2, skipped=18)
            assert {one.agent_id for one in run.rest if isinstance(one, Unknown)} == changing
            assert len(run.rest) == 20
            assert [task for task in asyncio.all_tasks() if task.get_name() == "trmm_async: a run"] == []

    async def test_a_task_that_the_call_has_left_behind_counts_for_nobody_else(self) -> None:
        async with served("gateway", agents=2) as (server, trmm):
            first, second = server.agent_ids
            left: list[asyncio.Task[Any]] = []
            gone = asyncio.Event()

            async def later() -> None:
                await gone.wait()
                await trmm.agents.run_script(first, 1, output="forget")

            async def call(agent_id: str) -> None:
                if agent_id == first:
                    left.append(asyncio.create_task(later()))
                    return
                gone.set()
                await left[0]
                raise TRMMError("enough")

            outcomes = await trmm.fleet.map([first, second], call, width=1)
            assert [type(one) for one in outcomes] == [Done, Failed]


class TestPolicies:
    async def test_canary_and_success(self, dialect: str) -> None:
        async with served(dialect, agents=10) as (server, trmm):
            run = trmm.fleet.map(
                server.agent_ids, trmm.agents.get, canary=2, success=lambda agent: agent.hostname == "none"
            )
            outcomes = await run
            assert kinds(outcomes) == {Done: 2, Skipped: 8}
            assert run.stopped == "a canary did not succeed"
            assert run.succeeded == 0

    async def test_max_failures(self) -> None:
        async with served("gateway", agents=20) as (server, trmm):
            server.fail("GET", "/agents/", status=500, times=3)
            run = trmm.fleet.map(server.agent_ids, trmm.agents.get, max_failures=1, width=1)
            assert kinds(await run) == {Failed: 2, Skipped: 18}

    async def test_width_and_batch(self) -> None:
        async with served("gateway", agents=9) as (server, trmm):
            going = most = 0
            order: list[str] = []

            async def call(agent_id: str) -> None:
                nonlocal going, most
                going += 1
                most = max(most, going)
                await asyncio.sleep(0.01)
                going -= 1
                order.append(agent_id)

            await trmm.fleet.map(server.agent_ids, call, width=4, batch=3)
            assert most == 3
            assert [set(order[at : at + 3]) for at in (0, 3, 6)] == [
                set(server.agent_ids[at : at + 3]) for at in (0, 3, 6)
            ]

    async def test_those_that_are_offline(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            away = server.agent_ids[1]
            server.go_offline(away)
            outcomes = await trmm.fleet.map(server.agent_ids, trmm.agents.get, skip_offline=True)
            assert [type(one) for one in outcomes] == [Done, Skipped, Done]
            trmm.fleet.poll = 0.02
            agents = await trmm.agents.list()
            got: list[Agent] = []

            async def call(agent: Agent) -> None:
                got.append(agent)

            async with trmm.fleet.map(agents, call, when_online=timedelta(seconds=20)) as run:
                async for _ in run:
                    if run.counts.pending == 1:
                        server.come_online(away)
            assert run.counts == Counts(done=3)
            assert got[-1] in agents
            assert got[-1].agent_id == away


class TestReports:
    async def test_group_by_short_results(self) -> None:
        async with served("gateway", agents=5) as (server, trmm):

            async def call(agent_id: str) -> object:
                place = server.agent_ids.index(agent_id)
                return [True, True, "text", None, ("a", 1)][place]

            run = trmm.fleet.map(server.agent_ids, call)
            outcomes = await run
            assert [(len(group), group.output, group.retcode) for group in run.groups()] == [
                (2, "true", None), (1, "", None), (1, "(tuple)", None), (1, "text", None)
            ]  # fmt: skip
            assert [as_row(one)["stdout"] for one in outcomes] == ["true", "true", "text", "", '["a",1]']
            assert len(list(as_jsonl(outcomes))) == 5

    async def test_what_is_no_json_is_shown_as_python_shows_it(self) -> None:
        assert as_row(Done("a", {1, 2}.__contains__))["stdout"].startswith("<built-in method")


class Given:
    """Has an id, as an agent has, and can be seen to be gone."""

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id


async def test_what_a_stream_gave_is_let_go() -> None:
    async with served("gateway", agents=40) as (server, trmm):
        alive: list[weakref.ref[Given]] = []

        async def stream() -> AsyncIterator[Any]:
            for agent_id in server.agent_ids:
                yield Given(agent_id)

        async def call(target: Given) -> int:
            alive.append(weakref.ref(target))
            await asyncio.sleep(0)
            return sum(one() is not None for one in alive)

        outcomes = await trmm.fleet.map(stream(), call, width=2)
        assert max(one.result for one in outcomes if isinstance(one, Done)) < 10


async def _awaited(run: Any) -> list[Any]:
    found: list[Any] = await run
    return found
