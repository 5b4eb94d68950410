"""`trmm.policies`, policies and patch policies."""

from typing import Any

import pytest

from tests.exchanges import ByHand, Case, Intent, answer_of, one_call_is_recorded
from tests.servers import stock
from trmm_async import (
    NotFoundError,
)
from trmm_async.models import (
    Check,
    ClientRef,
    SiteRef,
)
from trmm_async.resources.stock import policies
from trmm_async.resources.stock.policies import Policy, PolicyUse

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


PLANS = [
    ("automation_policy_related", lambda it: it.policies.related(1)),
]


@pytest.mark.parametrize(("name", "intent"), PLANS, ids=[name for name, _ in PLANS])
def test_a_plan_of_one_call_is_as_recorded(name: str, intent: Intent) -> None:
    one_call_is_recorded(name, intent)


class TestAnswers:
    def test_where_a_policy_is_set(self) -> None:
        use = ByHand(answer_of("automation_policy_related")).of(policies.use_of(policies.RELATED.call(1)))
        assert use == PolicyUse(server_clients=(ClientRef(id=1, name="Acme Corp"),))
        agents = (
            b'{"pk": 1, "agents": [{"agent_id": "a", "hostname": "h"}], '
            b'"server_sites": [{"id": 3, "name": "s"}]}'
        )
        assert ByHand(agents).of(policies.use_of(policies.RELATED.call(1))) == PolicyUse(
            agents=("a",), server_sites=(SiteRef(id=3, name="s"),)
        )
        with pytest.raises(NotFoundError, match="no policy 999"):
            ByHand(answer_of("automation_related_404")).of(policies.use_of(policies.RELATED.call(999)))

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
