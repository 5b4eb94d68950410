"""Where policies are assigned: recordings of it."""

import pytest

from tests.exchanges import ByHand, answer_of, one_call_is_recorded
from trmm_async import NotFoundError, PolicyUse
from trmm_async.models import ClientRef, SiteRef
from trmm_async.resources.stock import policy_places

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


def test_a_plan_of_one_call_is_as_recorded() -> None:
    one_call_is_recorded("automation_policy_related", lambda it: it.policies.related(1))


def test_where_a_policy_is_set() -> None:
    use = ByHand(answer_of("automation_policy_related")).of(policy_places.use_of(1))
    assert use == PolicyUse(server_clients=(ClientRef(id=1, name="Acme Corp"),))
    agents = (
        b'{"pk": 1, "agents": [{"agent_id": "a", "hostname": "h"}], "server_sites": [{"id": 3, "name": "s"}]}'
    )
    assert ByHand(agents).of(policy_places.use_of(1)) == PolicyUse(
        agents=("a",), server_sites=(SiteRef(id=3, name="s"),)
    )
    with pytest.raises(NotFoundError, match="no policy 999"):
        ByHand(answer_of("automation_related_404")).of(policy_places.use_of(999))
