"""`trmm.tasks` on a stock server, over real HTTP."""

import asyncio

import pytest

from tests.servers import stock
from trmm_async import (
    InvalidRequestError,
    NotFoundError,
)
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
