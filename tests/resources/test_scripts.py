"""`trmm.scripts` on a stock server."""

import asyncio
import json
from typing import Any

import pytest

from tests.exchanges import (
    AGAIN,
    OFFLINE,
    WINDOWS,
    ByHand,
    Case,
    Intent,
    answer_of,
    one_call_is_recorded,
)
from tests.recorded import NEW_SCRIPT
from tests.servers import served, stock
from trmm_async import (
    TRMM,
    BadRequestError,
    InvalidRequestError,
    Manual,
    NotFoundError,
    OutcomeUnknownError,
    ScriptAction,
    ScriptCheck,
)
from trmm_async.calls import Lane, Replay
from trmm_async.errors import AgentLostError, AgentUnreachableError
from trmm_async.models import (
    Script,
    ScriptResult,
)
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


class TestScripts:
    async def test_are_made_read_changed_and_removed(self) -> None:
        async with stock() as (_, trmm):
            made = await trmm.scripts.create(
                name=" Hello ",
                shell="python",
                code="print('hi')\n",
                args=["-x", " y"],
                env_vars={"A": "1"},
                default_timeout=60,
                supported_platforms=["linux"],
            )
            assert (made.name, made.code, made.env_vars) == ("Hello", "print('hi')\n", ("A=1",))
            assert (await trmm.scripts.get(made)).code == made.code
            await trmm.scripts.update(made, code="print(2)", favorite=True, hidden=True, env_vars={})
            await trmm.scripts.update(made, category="Greetings")
            await trmm.scripts.update(made, category=None)
            script = await trmm.scripts.get(made.id)
            assert script.category is None
            assert (script.code, script.favorite, script.hidden, script.env_vars) == (
                "print(2)",
                True,
                True,
                (),
            )
            assert made.id not in {listed.id for listed in await trmm.scripts.list()}
            await trmm.scripts.delete(made, with_code=True)
            with pytest.raises(NotFoundError):
                await trmm.scripts.get(made)

    async def test_one_that_something_runs_is_left_alone(self) -> None:
        async with stock() as (server, trmm):
            made = await trmm.scripts.create(name="mine", shell="python", code="print(1)")
            check = await trmm.checks.create(ScriptCheck(script=made.id), policy=1)
            task = await trmm.tasks.set_up(
                name="t",
                schedule=Manual(),
                actions=[ScriptAction(script=made.id)],
                agent=server.agent_ids[0],
            )
            words = rf"check {check.id}.*, task {task.id} \(t\): in_use=True"
            with pytest.raises(InvalidRequestError, match=words):
                await trmm.scripts.delete(made, with_code=True)
            assert (await trmm.scripts.get(made)).name == "mine"
            await trmm.scripts.delete("mine", with_code=True, in_use=True)
            with pytest.raises(NotFoundError):
                await trmm.checks.get(check)

    async def test_of_the_community_only_the_marks_can_be_changed(self) -> None:
        async with stock() as (server, trmm):
            script_id = server.add_community_script("Community")
            await trmm.scripts.update(script_id, favorite=True)
            with pytest.raises(BadRequestError, match="Community scripts cannot be edited"):
                await trmm.scripts.update(script_id, description="x", favorite=False)
            assert (await trmm.scripts.get(script_id)).favorite
            with pytest.raises(BadRequestError, match="cannot be deleted"):
                await trmm.scripts.delete(script_id, with_code=True)

    async def test_code_is_tried_out(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            result = await trmm.scripts.test(agent_id, shell="python", code="print(1)", timeout=5, args=["a"])
            assert result.ok
            assert result.execution_time is not None
            server.go_offline(agent_id)
            with pytest.raises(AgentLostError, match="timeout"):
                await trmm.scripts.test(agent_id, shell="python", code="print(1)", timeout=1)
            with server.nats_down(), pytest.raises(AgentUnreachableError) as caught:
                await trmm.scripts.test(agent_id, shell="python", code="print(1)", timeout=1)
            assert not isinstance(caught.value, OutcomeUnknownError)
            assert methods(server) == ["POST"] * 3

    async def test_no_more_tests_wait_at_once_than_may(self) -> None:
        async with stock() as (server, _):
            server.slow("POST", "/scripts/*/test/", 0.05, times=None)
            async with TRMM(server.url, api_key=server.api_key, dialect="stock", max_waiting=2) as trmm:
                async with asyncio.TaskGroup() as group:
                    for _ in range(6):
                        group.create_task(trmm.scripts.test(server.agent_ids[0], shell="cmd", code="x"))
                assert server.max_in_flight == 2

    async def test_a_lost_answer_is_never_sent_again(self) -> None:
        async with stock() as (server, trmm):
            server.cut("POST", "/scripts/*/test/")
            with pytest.raises(OutcomeUnknownError):
                await trmm.scripts.test(server.agent_ids[0], shell="python", code="print(1)", timeout=5)
            assert methods(server) == ["POST"]


TRIAL: dict[str, Any] = {
    "code": "Write-Host hi",
    "shell": "powershell",
    "args": ["stderr=warn", "rc=2"],
    "timeout": 5,
}


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("script_get", lambda it: it.scripts.get(1), Script),
    Case("script_delete", lambda it: it.scripts.delete(11, with_code=True, in_use=True), replay=AGAIN),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


PLANS = [
    ("script_update", lambda it: it.scripts.update(11, description="new")),
    ("script_favorite_community", lambda it: it.scripts.update(9, favorite=True)),
    ("script_test", lambda it: it.scripts.test(WINDOWS, **TRIAL)),
]


@pytest.mark.parametrize(("name", "intent"), PLANS, ids=[name for name, _ in PLANS])
def test_a_plan_of_one_call_is_as_recorded(name: str, intent: Intent) -> None:
    one_call_is_recorded(name, intent)


def test_a_new_script_has_its_code() -> None:
    listed = b'[{"id": 1, "name": "API script", "shell": "python", "args": ["a"], "env_vars": ["X=1"]}]'
    made = ByHand(b"[]", b'"ok"', listed).of(lambda it: it.scripts.create(**NEW_SCRIPT))
    assert made.code == "print('hi')\n"


class TestScriptsByHand:
    def test_what_community_scripts_allow_is_sent_apart(self) -> None:
        # With "favorite" in the body, the server drops what else is in it, and says that it was edited.
        script = ByHand(b'""', b'""', b'""')
        script.of(lambda it: it.scripts.update(9, hidden=False, code="x", favorite=True, name="n"))
        bodies = [json.loads(call.body or b"") for call in script.calls]
        assert bodies == [{"script_body": "x", "name": "n"}, {"favorite": True}, {"hidden": False}]
        assert {call.replay for call in script.calls} == {Replay.IDEMPOTENT}

    def test_a_trial_waits_and_holds_a_worker(self) -> None:
        script = ByHand(answer_of("script_test"))
        result = script.of(lambda it: it.scripts.test(WINDOWS, **TRIAL))
        assert isinstance(result, ScriptResult)
        assert (result.retcode, result.stderr) == (2, "warn")
        (call,) = script.calls
        assert call.lanes == (Lane.WORKERS,)
        assert call.answers_within == TRIAL["timeout"]
        assert call.replay is Replay.NEVER

    def test_a_word_in_the_place_of_a_result_is_no_result(self) -> None:
        with pytest.raises(AgentLostError, match="timeout"):
            ByHand(answer_of("script_test_offline")).of(lambda it: it.scripts.test(OFFLINE, **TRIAL))
        with pytest.raises(AgentUnreachableError, match="natsdown") as caught:
            ByHand(b'"natsdown"').of(lambda it: it.scripts.test(OFFLINE, **TRIAL))
        assert not isinstance(caught.value, OutcomeUnknownError)


SUNDAYS_AT_THREE = {"gateway": "0 3 * * SUN", "stock": "0 3 * * 0"}


class TestBothKinds:
    async def test_scripts_checks_and_tasks(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            agent_id = server.agent_ids[0]
            assert all(script.name and script.shell for script in await trmm.scripts.list())
            own = await trmm.checks.list(agent=agent_id)
            assert own
            assert {check.agent_id for check in own} == {agent_id}
            assert len(await trmm.checks.list()) > len(own)
            made = await trmm.tasks.create(name=" t ", agent=agent_id, script=1, schedule="0  3 * * SUN")
            (listed,) = [task for task in await trmm.tasks.list() if task.id == made.id]
            assert (listed.name, listed.agent_id, listed.schedule) == (
                made.name,
                made.agent_id,
                made.schedule,
            )
            assert made.name == "t"
            assert (made.agent_id, made.schedule, made.enabled) == (
                agent_id,
                SUNDAYS_AT_THREE[dialect],
                True,
            )
