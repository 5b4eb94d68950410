"""Policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testing.kit import one, rows

if TYPE_CHECKING:
    from tests.testing.kit import Http


async def test_a_policy_can_be_copied(http: Http) -> None:
    assert (await http("POST", "/automation/policies/", {"name": "copy", "copyId": 1})).json == "ok"
    made = await one(http, "/automation/policies/", name="copy")
    assert len(await rows(http, f"/automation/policies/{made['id']}/checks/")) == 1
    assert len(await rows(http, f"/automation/policies/{made['id']}/tasks/")) == 1
    await http("PUT", f"/automation/policies/{made['id']}/", {"active": True})
    assert (await http.get(f"/automation/policies/{made['id']}/")).fields["active"] is True
    assert (await http("DELETE", f"/automation/policies/{made['id']}/")).json == "ok"
    assert len([row for row in await rows(http, "/checks/") if row["policy"]]) == 1
    assert (await http("POST", "/automation/tasks/901/run/")).json == "Affected agent tasks will run shortly"
