"""`trmm.scripts` on a stock server, over real HTTP."""

import asyncio

import pytest

from tests.servers import stock
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
from trmm_async.errors import AgentLostError, AgentUnreachableError
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
