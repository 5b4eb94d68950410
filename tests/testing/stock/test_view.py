"""What the views of the stock API share: how a body is read, and its refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_a_body_of_any_other_kind_is_not_read(server: Simulator, http: Http) -> None:
    path = f"/agents/{server.agent_ids[0]}/"
    assert (await http("PUT", path, data=b"{}", headers={"Content-Type": "text/plain"})).status == 415
    assert (await http("PUT", path, [1])).status == 500
    assert (await http("PUT", path, {"custom_fields": 3})).status == 500
    assert (await http("PUT", path, {"custom_fields": [3]})).status == 500
