"""`trmm.sites`."""

from typing import Any

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import AGAIN, ByHand, Case, Intent, answer_of, assert_is_recorded, one_call_is_recorded
from trmm_async.models import (
    ClientRef,
    CustomFieldValue,
    Site,
)

# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("sites_list", lambda it: it.sites.list(), list),
    Case("client_get", lambda it: it.sites.list(client=1), list),
    Case("site_get", lambda it: it.sites.get(1), Site),
    Case("site_delete", lambda it: it.sites.delete(11), replay=AGAIN),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


PLANS = [
    ("site_update", lambda it: it.sites.update(11, name="Second renamed")),
]


@pytest.mark.parametrize(("name", "intent"), PLANS, ids=[name for name, _ in PLANS])
def test_a_plan_of_one_call_is_as_recorded(name: str, intent: Intent) -> None:
    one_call_is_recorded(name, intent)


def test_a_site_is_made_as_recorded() -> None:
    script = ByHand(b'{"sites": []}', b'"ok"', b'{"sites": [{"id": 11, "name": "Second", "client": 6}]}')
    made = script.of(lambda it: it.sites.create(client=6, name="Second"))
    assert made == Site(id=11, name="Second", client=ClientRef(id=6))
    assert_is_recorded(script.calls[1], "site_create")


class TestAnswers:
    def test_sites_know_their_client(self) -> None:
        call: Any = request_of(NOUNS.sites.get(1))
        assert call.decode(answer_of("site_get")) == Site(
            id=1,
            name="HQ",
            client=ClientRef(id=1, name="Acme Corp"),
            block_policy_inheritance=False,
            custom_fields=(
                CustomFieldValue(field=9, value="1 Main St"),
                CustomFieldValue(field=10, value=["a", "b"]),
            ),
        )
