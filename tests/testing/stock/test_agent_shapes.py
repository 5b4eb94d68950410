"""An agent's three shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_changes_of_a_record_show(server: Simulator, http: Http) -> None:
    agent = server.agents[0]
    agent.version, agent.needs_reboot, agent.policy = "2.9.0", True, 7
    first, *rest = (await http.get("/agents/")).items
    assert (first["version"], first["needs_reboot"], first["policy"]) == ("2.9.0", True, 7)
    assert all("policy" not in item for item in rest)
    alone = (await http.get(f"/agents/{agent.agent_id}/")).fields
    assert (alone["version"], alone["policy"]) == ("2.9.0", 7)


async def test_client_and_site_are_names_but_for_the_site_of_one_alone(server: Simulator, http: Http) -> None:
    item = (await http.get("/agents/")).items[0]
    assert (item["client_name"], item["site_name"]) == ("Hermes Network Inc.", "Jakarta Office")
    assert not {"id", "pk", "client", "site"} & set(item)
    alone = (await http.get(f"/agents/{server.agent_ids[0]}/")).fields
    assert (alone["client"], alone["site"], alone["site_name"]) == (
        "Hermes Network Inc.",
        41,
        "Jakarta Office",
    )


async def test_a_windows_agent_alone_is_big(server: Simulator, http: Http) -> None:
    server.agents[1].plat = "linux"
    big = await http.get(f"/agents/{server.agent_ids[0]}/")
    small = await http.get(f"/agents/{server.agent_ids[1]}/")
    assert len(big.body) > len(small.body) + 20_000


async def test_nobody_logged_in_is_a_dash_only_offline(server: Simulator, http: Http) -> None:
    agent = server.agents[0]
    agent.logged_in_username = ""

    async def shown() -> tuple[object, object]:
        item = (await http.get("/agents/")).items[0]
        return item["logged_username"], item["italic"]

    assert await shown() == (None, True)
    server.go_offline(agent.agent_id)
    assert await shown() == ("-", False)
    agent.logged_in_username = "eve"
    assert await shown() == ("eve", False)
