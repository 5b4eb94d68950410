"""Users, roles, API keys and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testing.kit import rows

if TYPE_CHECKING:
    from tests.testing.kit import Http


async def test_a_new_key_works(http: Http) -> None:
    assert (await http("POST", "/accounts/apikeys/", {"name": "n", "user": 1})).status == 200
    keys = [str(row["key"]) for row in await rows(http, "/accounts/apikeys/")]
    assert [(await http("GET", "/core/version/", key=key)).status for key in keys] == [200, 200]
    assert (await http("POST", "/accounts/apikeys/", {"name": "n", "user": 77})).status == 400
