"""`trmm.policies`."""

from typing import Any

import pytest

from tests.exchanges import Case, answer_of
from tests.servers import count, served, stock
from trmm_async import (
    BadRequestError,
    DiskSpaceCheck,
    InvalidRequestError,
    NotFoundError,
    PingCheck,
)
from trmm_async.models import (
    Check,
)
from trmm_async.resources.stock import policies
from trmm_async.resources.stock.policies import Policy

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

NOBODY = 999_999


class TestPolicies:
    async def test_are_read(self) -> None:
        async with stock() as (_, trmm):
            policy = (await trmm.policies.list())[0]
            assert policy.agents_count is not None
            assert (await trmm.policies.get(policy)).name == policy.name
            assert (await trmm.policies.related(policy)).agents == ()
            assert all(check.result_id is None for check in await trmm.policies.checks(policy))
            assert all(task.policy == policy.id for task in await trmm.policies.tasks(policy))
            await trmm.policies.delete(policy, with_contents=True)
            assert policy.id not in [other.id for other in await trmm.policies.list()]
            for call in (
                trmm.policies.get(NOBODY),
                trmm.policies.related(NOBODY),
                trmm.policies.delete(NOBODY),
            ):
                with pytest.raises(NotFoundError):
                    await call


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("automation_policies", lambda it: it.policies.list(), list),
    Case("automation_policy", lambda it: it.policies.get(1), Policy),
    Case("automation_policy_checks", lambda it: it.policies.checks(1), list),
    Case("automation_policy_tasks", lambda it: it.policies.tasks(1), list),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


class TestAnswers:
    def test_a_policys_checks_have_no_result(self) -> None:
        call: Any = policies.CHECKS.call(1)
        check = call.decode(answer_of("automation_policy_checks"))[0]
        assert isinstance(check, Check)
        assert (check.status, check.agent_id, check.result_id) == ("unknown", None, None)

    def test_policies(self) -> None:
        listed: Any = policies.LIST.call()
        by_id = {policy.id: policy for policy in listed.decode(answer_of("automation_policies"))}
        one: Any = policies.GET.call(1)
        policy = one.decode(answer_of("automation_policy"))
        assert (policy.name, policy.description, policy.agents_count) == ("Server baseline", "servers", None)
        assert by_id[1].agents_count is not None


async def test_a_policy_is_made_copied_changed_and_removed() -> None:
    async with served("stock", agents=4) as (server, trmm):
        agent = server.agents[2]
        made = await trmm.policies.create(name="Servers", description="d", excluded_agents=[agent.agent_id])
        assert (made.active, made.description, made.excluded_agents) == (True, "d", (agent.pk,))
        await trmm.checks.create(PingCheck(ip="10.0.0.1"), policy=made)
        copy = await trmm.policies.create(name="Copy", copy_of=made, active=False)
        assert copy.active is False
        assert [check.check_type for check in await trmm.policies.checks(copy)] == ["ping"]
        await trmm.policies.update(copy, name="Renamed", enforced=True, description=None, excluded_agents=[])
        changed = await trmm.policies.get(copy)
        assert (changed.name, changed.enforced, changed.description) == ("Renamed", True, None)
        with pytest.raises(InvalidRequestError, match=r"1 checks and 0 tasks: .*say with_contents=True"):
            await trmm.policies.delete(copy)
        assert count(server, "DELETE") == 0
        await trmm.policies.delete(copy, with_contents=True)
        with pytest.raises(NotFoundError):
            await trmm.policies.get(copy)


async def test_what_the_server_would_leave_half_done_is_found_out_before() -> None:
    async with served("stock", agents=1) as (server, trmm):
        before = len(await trmm.policies.list())
        with pytest.raises(NotFoundError):
            await trmm.policies.create(name="Copy of nothing", copy_of=999_999)
        with pytest.raises(InvalidRequestError, match="no agent nobody"):
            await trmm.policies.create(name="x", excluded_agents=["nobody"])
        with pytest.raises(BadRequestError, match="already exists"):
            await trmm.policies.create(name="Server baseline")
        with pytest.raises(InvalidRequestError, match="name must not be empty"):
            await trmm.policies.create(name=" ")
        assert len(await trmm.policies.list()) == before
        assert count(server, "POST", "policies") == 1


async def test_it_reaches_the_agents_of_where_it_is_set() -> None:
    async with served("stock", agents=12) as (server, trmm):
        agent = next(one for one in server.agents if one.monitoring_type == "server")
        policy = await trmm.policies.create(name="Servers")
        await trmm.checks.create(PingCheck(ip="10.9.9.9"), policy=policy)

        async def has_it() -> bool:
            await trmm.core.clear_cache()  # on an agent it would show within ten minutes
            return any(one.name.endswith("10.9.9.9") for one in await trmm.checks.list(agent=agent.agent_id))

        places: list[dict[str, Any]] = [
            {"agent": agent.agent_id},
            {"site": agent.site.id, "monitoring_type": "server"},
            {"client": agent.site.client.name},
            {"everywhere": True},
        ]
        for place in places:
            assert not await has_it()
            await trmm.policies.assign(policy, **place)
            assert await has_it()
            with pytest.raises(InvalidRequestError, match="in use by"):
                await trmm.policies.delete(policy)
            await trmm.policies.assign(None, **place)
        await trmm.policies.assign(policy, client=agent.site.client.id, monitoring_type="workstation")
        assert not await has_it()
        (client,) = [one for one in await trmm.policies.overview() if one.id == agent.site.client.id]
        assert client.workstation_policy is not None
        assert (client.workstation_policy.name, client.server_policy) == ("Servers", None)
        with pytest.raises(InvalidRequestError, match="with_contents=True"):
            await trmm.policies.delete(policy, in_use=True)
        with pytest.raises(InvalidRequestError, match="in_use=True"):
            await trmm.policies.delete(policy, with_contents=True)
        await trmm.policies.delete(policy, with_contents=True, in_use=True)
        wrong: dict[str, Any]
        for wrong in ({}, {"agent": "a", "site": 1}, {"agent": "a", "monitoring_type": "server"}):
            with pytest.raises(InvalidRequestError, match=r"policies\.assign"):
                await trmm.policies.assign(None, **wrong)


async def test_its_checks_and_tasks_run_on_all_that_it_reaches() -> None:
    async with served("stock", agents=6) as (server, trmm):
        agent = server.agents[0]
        policy = (await trmm.policies.list())[0]
        (task,) = await trmm.policies.tasks(policy)
        await trmm.policies.assign(policy, agent=agent.agent_id)
        check = await trmm.checks.create(DiskSpaceCheck(disk="Y:", error_threshold=5), policy=policy)
        assert await trmm.checks.results(check) == []
        await trmm.checks.run(agent.agent_id)
        (result,) = await trmm.checks.results(check)
        assert (result.agent_id, result.hostname, result.status) == (
            agent.agent_id,
            agent.hostname,
            "passing",
        )

        (pending,) = await trmm.tasks.results(task)
        assert (pending.agent_id, pending.status) == (agent.agent_id, "pending")
        with server.restrict("can_list_agents"):
            for results in (await trmm.checks.results(check), await trmm.tasks.results(task)):
                assert [(one.agent_id, one.hostname) for one in results] == [(None, agent.hostname)]
        await trmm.tasks.run_everywhere(task)
        assert [run.agent_id for run in server.runs_of(agent.agent_id)] == [agent.agent_id]
        for look in (trmm.tasks.run_everywhere, trmm.tasks.results, trmm.checks.results):
            with pytest.raises(NotFoundError):
                await look(999_999)
        own = await trmm.tasks.create(name="t", agent=agent.agent_id, script=1, schedule="0 3 * * *")
        with pytest.raises(InvalidRequestError, match="no task of a policy"):
            await trmm.tasks.run_everywhere(own)
        assert count(server, "POST", f"tasks/{own.id}") == 0
