"""The root and the version."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_it_tells_the_dashboards_version_and_its_health(server: Simulator, http: Http) -> None:
    assert (await http("GET", "/", key=None)).json == {"status": "ok"}
    assert (await http.get("/core/version/")).json == "0.0.203"
    assert {agent.version for agent in server.agents} == {"2.11.0"}
    assert server.add_agent().version == "2.11.0"
