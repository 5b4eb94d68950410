"""`trmm.checks` of one agent of a stock server."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import AGAIN, NEVER, WINDOWS, Case, answer_of
from tests.servers import stock
from trmm_async import (
    Check,
    InvalidRequestError,
    NotFoundError,
)
from trmm_async.calls import Call, Lane
from trmm_async.errors import AgentLostError
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

NOBODY = 999_999


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


class TestChecks:
    async def test_run_on_an_agent(self) -> None:
        async with stock() as (server, trmm):
            await trmm.checks.run(server.agent_ids[0])
            server.go_offline(server.agent_ids[1])
            with pytest.raises(AgentLostError):
                await trmm.checks.run(server.agent_ids[1])
            assert methods(server) == ["POST", "POST"]

    async def test_are_reset_by_their_result(self) -> None:
        async with stock() as (server, trmm):
            check = (await trmm.checks.list(agent=server.agent_ids[0]))[0]
            await trmm.checks.reset(check)
            await trmm.checks.reset(agent=server.agent_ids[0])
            assert server.requests[1].path == f"/checks/{check.result_id}/reset/"
            with pytest.raises(NotFoundError):
                await trmm.checks.reset(Check(id=check.id, result_id=NOBODY))

    async def test_have_a_history(self) -> None:
        async with stock() as (server, trmm):
            check = (await trmm.checks.list(agent=server.agent_ids[0]))[0]
            everything = await trmm.checks.history(check)
            assert everything
            assert everything[0].time is not None
            assert len(await trmm.checks.history(check, days=1)) <= len(everything)

    @pytest.mark.parametrize("bad", [1, None, "x", Check(id=1)])
    async def test_without_a_result_nothing_is_sent(self, bad: Any) -> None:
        async with stock() as (server, trmm):
            for call in (trmm.checks.reset(bad), trmm.checks.history(bad)):
                with pytest.raises(InvalidRequestError, match="result"):
                    await call
            assert server.requests == []


async def test_all_checks_as_they_are_set_up_come_in_one_call() -> None:
    async with stock() as (server, trmm):
        everywhere = await trmm.checks.everywhere()
        assert [one.path for one in server.requests if one.path.startswith("/checks/")] == ["/checks/"]
        assert {one.agent_id for one in everywhere} == {None, *server.agent_ids}
        assert {one.policy for one in everywhere if one.agent_id is None} == {1}
        (one,) = [one for one in everywhere if one.policy == 1]
        assert one == await trmm.checks.get(one.id)
        with server.restrict("can_list_agents"):
            assert {one.agent_id for one in await trmm.checks.everywhere()} == {None}
            (on_agent, *_) = [check for check in everywhere if check.agent_id is not None]
            assert (await trmm.checks.get(on_agent.id)).agent_id is None


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("check_run", lambda it: it.checks.run(WINDOWS), replay=NEVER),
    Case("check_reset", lambda it: it.checks.reset(Check(id=9, result_id=1)), replay=AGAIN),
    Case("check_resetall", lambda it: it.checks.reset(agent=WINDOWS), replay=AGAIN),
    Case("check_history", lambda it: it.checks.history(Check(id=9, result_id=1), days=1), list),
    Case("check_history_all", lambda it: it.checks.history(Check(id=9, result_id=1)), list),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


class TestAnswers:
    def test_running_checks_holds_a_worker(self) -> None:
        call = request_of(NOUNS.checks.run(WINDOWS))
        assert isinstance(call, Call)
        assert (call.lanes, call.answers_within) == ((Lane.WORKERS,), 15)

    def test_history_points(self) -> None:
        call: Any = request_of(NOUNS.checks.history(Check(id=9, result_id=1), days=1))
        first, second, *_ = call.decode(answer_of("check_history"))
        assert (first.time, first.value, first.results) == (
            datetime(2026, 11, 23, 19, 20, 42, 826581, UTC),
            16.0,
            None,
        )
        assert first.time > second.time
