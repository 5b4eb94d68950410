from __future__ import annotations

from typing import TYPE_CHECKING

from .replay import recording

if TYPE_CHECKING:
    from tests.testing.kit import Clock, Http
    from trmm_async.testing import Simulator

BODY = {
    "client": 1, "site": 41, "expires": "2026-06-01T12:00:00+02:00", "agenttype": "server", "goarch": "amd64",
    "power": 0, "ping": 1, "rdp": 0,
}  # fmt: skip


async def test_the_new_one_is_found_by_listing(http: Http) -> None:
    answer = await http("POST", "/clients/deployments/", BODY)
    assert answer.json == "The deployment was added successfully"
    (made,) = (await http.get("/clients/deployments/")).items
    assert (made["client_id"], made["client_name"], made["site_id"]) == (34, "Hermes Network Inc.", 41)
    assert (made["expiry"], made["mon_type"], made["goarch"]) == ("2026-06-01T10:00:00Z", "server", "amd64")
    assert made["install_flags"] == {"rdp": 0, "ping": 1, "power": 0}


async def test_the_installer_is_for_anybody_even_when_it_has_expired(
    server: Simulator, http: Http, clock: Clock
) -> None:
    await http("POST", "/clients/deployments/", BODY)
    (made,) = (await http.get("/clients/deployments/")).items
    clock.now += 10 * 365 * 86_400
    answer = await http("GET", f"/clients/{made['uid']}/deploy/", key=None)
    assert answer.status == 200
    assert answer.body.startswith(b"MZ")
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=trmm-hermesnetworkinc-jakartaoffice-server-amd64.exe"
    )
    server.download_redirects = 1
    answer = await http("GET", f"/clients/{made['uid']}/deploy/", key=None)
    assert (answer.status, answer.headers["Location"]) == (
        302,
        f"{server.url}/clients/{made['uid']}/deploy/?hop=1",
    )
    assert len((await http.get("/clients/deployments/")).items) == 1


async def test_an_installer_in_powershell_is_a_file(http: Http) -> None:
    it = recording("installer_powershell")
    answer = await http("POST", "/agents/installer/", it.request["body"])
    recorded = it.response["headers"]
    assert isinstance(recorded, dict)
    assert answer.headers["Content-Disposition"] == recorded["content-disposition"]


async def test_a_deleted_one_is_gone(http: Http) -> None:
    await http("POST", "/clients/deployments/", BODY)
    (made,) = (await http.get("/clients/deployments/")).items
    path = f"/clients/deployments/{made['id']}/"
    assert (await http("DELETE", path)).json == "The deployment was deleted"
    assert (await http("DELETE", path)).status == 404
    assert (await http("GET", f"/clients/{made['uid']}/deploy/", key=None)).status == 404
    assert (await http.get("/clients/deployments/")).items == []


async def test_it_goes_with_its_site(server: Simulator, http: Http) -> None:
    await http("POST", "/clients/deployments/", BODY)
    await http("DELETE", "/clients/sites/41/?move_to_site=42")
    assert server.world.deployments == {}
