"""`trmm.tasks` on a stock server."""

import asyncio
from typing import Any

import pytest

from tests.exchanges import AGAIN, NEVER, WINDOWS, ByHand, Case, answer_of, assert_is_recorded
from tests.servers import count, served, stock
from trmm_async import (
    InvalidRequestError,
    NotFoundError,
    UnsupportedError,
)
from trmm_async.calls import Replay
from trmm_async.kinds import Task
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


class TestTasks:
    async def test_are_read_changed_and_removed(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            made = await trmm.tasks.create(name="t", agent=agent_id, script=1, schedule="0 3 * * *")
            assert (await trmm.tasks.get(made)).agent_id == agent_id
            await trmm.tasks.update(made, enabled=False, name=" renamed ")
            task = await trmm.tasks.get(made.id)
            assert (task.enabled, task.name) == (False, "renamed")
            with server.restrict("can_list_agents"):
                assert (await trmm.tasks.get(made)).agent_id is None
                assert {one.agent_id for one in await trmm.tasks.list()} == {None}
                assert made.id in [one.id for one in await trmm.tasks.list(agent=agent_id) if one.agent_id]
            await trmm.tasks.delete(made)
            with pytest.raises(NotFoundError):
                await trmm.tasks.get(made)

    async def test_a_policys_goes_only_if_that_is_said(self) -> None:
        async with stock() as (server, trmm):
            policy = (await trmm.policies.list())[0]
            (task,) = await trmm.policies.tasks(policy)
            for which in (task, task.id):
                with pytest.raises(InvalidRequestError, match=f"all agents of policy {policy.id}: in_use="):
                    await trmm.tasks.delete(which)
            assert "DELETE" not in methods(server)
            await trmm.tasks.delete(task, in_use=True)
            assert await trmm.policies.tasks(policy) == []

    async def test_run(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            made = await trmm.tasks.create(name="t", agent=agent_id, script=1, schedule="0 3 * * *")
            await trmm.tasks.run(made)
            async with asyncio.timeout(30):
                while not server.runs_of(agent_id):
                    await asyncio.sleep(0.01)

    async def test_a_policys_needs_an_agent(self) -> None:
        async with stock() as (server, trmm):
            policy = (await trmm.policies.list())[0]
            task = (await trmm.policies.tasks(policy))[0]
            server.reset_ledger()
            for which in (task, task.id):
                with pytest.raises(InvalidRequestError, match="agent="):
                    await trmm.tasks.run(which)
            assert methods(server) == ["GET"]
            await trmm.tasks.run(task, agent=server.agent_ids[0])
            assert methods(server) == ["GET", "POST"]


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("task_update", lambda it: it.tasks.update(2, enabled=False), replay=AGAIN),
    Case("task_delete", lambda it: it.tasks.delete(550, in_use=True), replay=AGAIN),
    Case("task_run_policy_on_agent", lambda it: it.tasks.run(1, agent=WINDOWS), replay=NEVER),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


class TestTasksByHand:
    def test_the_task_of_an_agent_has_its_id(self) -> None:
        script = ByHand(answer_of("task_get"), b'[{"id": 1, "agent_id": "a"}]')
        task = script.of(lambda it: it.tasks.get(2))
        assert isinstance(task, Task)
        assert (task.id, task.agent_id, task.script) == (2, "a", 2)

    def test_the_task_of_a_policy_has_none(self) -> None:
        task = ByHand(answer_of("tasks_detail_policy")).of(lambda it: it.tasks.get(1))
        assert (task.policy, task.agent_id) == (1, None)

    def test_an_agents_task_runs_as_recorded(self) -> None:
        script = ByHand(answer_of("task_get"), answer_of("task_run"))
        script.of(lambda it: it.tasks.run(2))
        assert_is_recorded(script.calls[1], "task_run")
        assert script.calls[1].replay is Replay.NEVER

    def test_a_policys_task_is_not_run_on_nobody(self) -> None:
        script = ByHand(answer_of("tasks_detail_policy"))
        with pytest.raises(InvalidRequestError, match="name one, agent="):
            script.of(lambda it: it.tasks.run(1))
        assert [call.method for call in script.calls] == ["GET"]


class TestBothKinds:
    async def test_a_wrong_schedule_says_which_field(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="hour '25'"):
                await trmm.tasks.create(name="t", agent="a", script=1, schedule="0 25 * * *")
            with pytest.raises(InvalidRequestError, match="enabled"):
                await trmm.tasks.create(name="t", agent="a", script=1, schedule="0 2 * * *", enabled=1)  # type: ignore[arg-type]
            assert server.requests == []

    @pytest.mark.parametrize("schedule", ["*/5 * * * *", "0 3,15 * * *", "0 3 1 * MON"])
    async def test_a_schedule_that_a_server_has_not_is_said_to_be(self, dialect: str, schedule: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            order: Any = {"name": "t", "agent": server.agent_ids[0], "script": 1, "schedule": schedule}
            if dialect == "gateway":
                assert (await trmm.tasks.create(**order)).schedule == schedule
                return
            with pytest.raises(UnsupportedError, match=r"create several tasks, or use tasks\.set_up"):
                await trmm.tasks.create(**order)
            assert count(server, "POST") == 0
