"""The contract, row by row, over real HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trmm_async.testing import Simulator

from .kit import START, Http

if TYPE_CHECKING:
    import aiohttp

    from .kit import Clock

AGENTS = "/api/v3/agents/"
DEPLOYMENTS = "/api/v3/agents/deployments/"
DEPLOYMENT = {
    "client": 34, "site": 41, "expires": "2026-04-22T10:00:00Z", "arch": "amd64", "install_flags": "-silent",
}  # fmt: skip
AGENT_FIELDS = {
    "agent_id", "hostname", "client", "site", "plat", "operating_system", "version", "last_seen", "status",
    "logged_in_username", "public_ip", "local_ip", "cpu_model", "total_ram", "disks",
}  # fmt: skip


# -- agents --------------------------------------------------------------------------------------------------


async def test_agents_are_listed_with_the_fields_of_the_contract(server: Simulator, http: Http) -> None:
    answer = await http.get(AGENTS)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert [item["agent_id"] for item in answer.items] == server.agent_ids
    first = answer.items[0]
    assert set(first) == AGENT_FIELDS
    assert first["hostname"] == "JADE-PC"
    assert first["client"] == {"id": 34, "name": "Hermes Network Inc."}
    assert first["site"] == {"id": 41, "name": "Jakarta Office"}
    assert first["status"] == "online"
    assert isinstance(first["total_ram"], float)
    assert isinstance(first["disks"], list)
    assert set(first["disks"][0]) == {"device", "free", "total", "percent"}
    assert str(first["last_seen"]).endswith("Z")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("hostname=JADE-PC", lambda a: a.hostname == "JADE-PC"),
        ("hostname=jade-pc", lambda a: False),
        ("client=34", lambda a: a.site.client.id == 34),
        ("site=43", lambda a: a.site.id == 43),
        ("client=34&site=43", lambda a: False),
        ("monitoring_type=server", lambda a: a.monitoring_type == "server"),
        (
            "monitoring_type=workstation&client=34",
            lambda a: a.monitoring_type != "server" and a.site.client.id == 34,
        ),
        ("client=999", lambda a: False),
        ("unknown=1", lambda a: True),
    ],
)
async def test_agents_are_filtered(query: str, expected: object, session: aiohttp.ClientSession) -> None:
    assert callable(expected)
    async with Simulator(agents=40) as server:
        answer = await Http(server, session).get(f"{AGENTS}?{query}")
        assert [item["agent_id"] for item in answer.items] == [
            a.agent_id for a in server.agents if expected(a)
        ]


@pytest.mark.parametrize("query", ["client=x", "site=", "monitoring_type=laptop", "monitoring_type="])
async def test_a_filter_that_makes_no_sense_is_400_and_named(query: str, http: Http) -> None:
    answer = await http.get(f"{AGENTS}?{query}")
    assert answer.status == 400
    assert str(answer.detail).startswith(query.partition("=")[0])


async def test_one_agent_has_further_fields(server: Simulator, http: Http) -> None:
    answer = await http.get(f"{AGENTS}{server.agent_ids[0]}/")
    assert answer.status == 200
    assert set(answer.fields) > AGENT_FIELDS | {"patches_pending", "wmi_detail", "monitoring_type"}
    assert answer.fields["monitoring_type"] == "workstation"


async def test_a_changed_record_shows_in_the_next_answer(server: Simulator, http: Http) -> None:
    server.agents[0].hostname, server.agents[0].status = "RENAMED", "overdue"
    answer = await http.get(f"{AGENTS}{server.agent_ids[0]}/")
    assert (answer.fields["hostname"], answer.fields["status"]) == ("RENAMED", "overdue")


async def test_a_deleted_agent_is_gone(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    answer = await http("DELETE", f"{AGENTS}{who}/")
    assert (answer.status, answer.body) == (204, b"")
    assert who not in server.agent_ids
    assert (await http("DELETE", f"{AGENTS}{who}/")).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{AGENTS}nobody/"),
        ("DELETE", f"{AGENTS}nobody/"),
        ("DELETE", f"{DEPLOYMENTS}999/"),
        ("GET", f"{DEPLOYMENTS}no-such-uuid/download/"),
        ("GET", "/api/v3/clients/999/sites/"),
        ("POST", "/api/v3/alerts/999/acknowledge/"),
        ("POST", "/api/v3/alerts/999/resolve/"),
    ],
)
async def test_what_is_not_there_is_404_in_json(method: str, path: str, http: Http) -> None:
    answer = await http(method, path)
    assert (answer.status, answer.json) == (404, {"detail": "Not found"})


# -- deployments ---------------------------------------------------------------------------------------------


async def test_a_deployment_is_created_listed_and_revoked(server: Simulator, http: Http) -> None:
    created = await http("POST", DEPLOYMENTS, DEPLOYMENT)
    uuid = created.fields["uuid"]
    assert created.status == 201
    assert created.json == {
        "id": 123,
        "uuid": uuid,
        "client": 34,
        "site": 41,
        "expiry": "2026-04-22T10:00:00Z",
        "install_flags": "-silent",
        "download_url": f"{server.url}{DEPLOYMENTS}{uuid}/download/",
    }
    assert (await http.get(DEPLOYMENTS)).json == [created.json]
    assert (await http("DELETE", f"{DEPLOYMENTS}123/")).status == 204
    assert (await http.get(DEPLOYMENTS)).json == []
    assert (await http("DELETE", f"{DEPLOYMENTS}123/")).status == 404
    assert (await http.get(f"{DEPLOYMENTS}{uuid}/download/")).status == 404


async def test_an_expired_deployment_is_not_listed_and_not_served(http: Http, clock: Clock) -> None:
    uuid = (await http("POST", DEPLOYMENTS, DEPLOYMENT)).fields["uuid"]
    clock.now += 2 * 86_400
    assert (await http.get(DEPLOYMENTS)).json == []
    assert (await http.get(f"{DEPLOYMENTS}{uuid}/download/")).status == 404


async def test_an_expiry_comes_back_as_it_was_sent_in_utc(http: Http) -> None:
    body = DEPLOYMENT | {"expires": "2026-04-22T12:00:00.250000+02:00"}
    assert (await http("POST", DEPLOYMENTS, body)).fields["expiry"] == "2026-04-22T10:00:00.250000Z"


@pytest.mark.parametrize("missing", ["client", "site", "expires", "arch"])
async def test_a_deployment_without_a_field_is_400_and_named(missing: str, http: Http) -> None:
    answer = await http("POST", DEPLOYMENTS, {k: v for k, v in DEPLOYMENT.items() if k != missing})
    assert (answer.status, answer.detail) == (400, f"{missing}: This field is required.")


@pytest.mark.parametrize(
    "change",
    [
        {"client": 999},
        {"client": "34"},
        {"site": 999},
        {"site": 43},
        {"expires": "tomorrow"},
        {"expires": "2026-04-21T09:00:00Z"},
        {"expires": "2026-04-22T10:00:00"},
        {"arch": "mips"},
        {"install_flags": 1},
    ],
)
async def test_a_bad_deployment_is_400_and_named(change: dict[str, object], http: Http) -> None:
    answer = await http("POST", DEPLOYMENTS, DEPLOYMENT | change)
    assert answer.status == 400
    assert str(answer.detail).startswith(next(iter(change)))
    assert (await http.get(DEPLOYMENTS)).json == []


async def test_an_installer_is_downloaded_without_a_key(server: Simulator, http: Http) -> None:
    made = (await http("POST", DEPLOYMENTS, DEPLOYMENT | {"arch": "arm64-mac"})).fields
    path = str(made["download_url"]).removeprefix(server.url)
    for count in (1, 2):
        answer = await http("GET", path, key=None)
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(len(answer.body)) == "300000"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert (
            answer.headers["Content-Disposition"] == f'attachment; filename="trmm-agent-{made["uuid"]}.pkg"'
        )
        assert answer.body == server.installer(123)
        assert server.world.deployment(123).downloads == count


async def test_a_download_leads_through_redirects_to_another_host(
    server: Simulator, http: Http, session: aiohttp.ClientSession
) -> None:
    url = str((await http("POST", DEPLOYMENTS, DEPLOYMENT)).fields["download_url"])
    server.reset_ledger()
    server.download_redirects = 2
    server.download_redirect_to = server.url.replace("127.0.0.1", "localhost")
    assert (server.download_redirects, server.download_redirect_to) == (2, server.download_redirect_to)
    async with session.get(url, headers={"X-API-KEY": server.api_key}) as response:
        assert await response.read() == server.installer(123)
    hosts = [row.headers["host"].partition(":")[0] for row in server.requests]
    assert hosts == ["127.0.0.1", "127.0.0.1", "localhost"]
    assert [row.status for row in server.requests] == [302, 302, 200]
    assert "x-api-key" in server.requests[0].headers
    assert server.world.deployment(123).downloads == 1


async def test_a_hop_that_is_no_number_is_400(http: Http) -> None:
    uuid = (await http("POST", DEPLOYMENTS, DEPLOYMENT)).fields["uuid"]
    assert (await http.get(f"{DEPLOYMENTS}{uuid}/download/?hop=x")).status == 400


# -- clients, scripts, checks, tasks -------------------------------------------------------------------------


async def test_clients_have_their_sites(http: Http) -> None:
    answer = await http.get("/api/v3/clients/")
    sites = [{"id": 41, "name": "Jakarta Office"}, {"id": 42, "name": "Surabaya Warehouse"}]
    assert answer.items[0] == {"id": 34, "name": "Hermes Network Inc.", "sites": sites}
    assert (await http.get("/api/v3/clients/34/sites/")).json == sites


async def test_a_client_is_created_once(http: Http) -> None:
    created = await http("POST", "/api/v3/clients/", {"name": "New tenant"})
    assert (created.status, created.json) == (201, {"id": 39, "name": "New tenant", "sites": []})
    assert created.json in (await http.get("/api/v3/clients/")).items
    assert (await http("POST", "/api/v3/clients/", {"name": "New tenant"})).status == 400
    assert (
        await http("POST", "/api/v3/clients/", {"name": ""})
    ).detail == "name: This field may not be blank."


async def test_scripts_are_listed(server: Simulator, http: Http) -> None:
    added = server.add_script("mine", shell="python", description="of my own")
    answer = await http.get("/api/v3/scripts/")
    assert answer.items[0] == {
        "id": 1,
        "name": "Get-DiskInfo",
        "shell": "powershell",
        "description": "Returns disk usage as JSON",
    }
    assert answer.items[-1] == {"id": added, "name": "mine", "shell": "python", "description": "of my own"}


async def test_checks_are_listed_for_all_or_for_one(server: Simulator, http: Http) -> None:
    everybody = (await http.get("/api/v3/checks/")).items
    one = (await http.get(f"/api/v3/checks/?agent={server.agent_ids[0]}")).items
    assert set(one[0]) == {"id", "check_type", "name", "status", "more_info", "last_run"}
    assert one[0]["id"] == 101
    assert one == everybody[: len(one)]
    assert len(everybody) > len(one)
    assert (await http.get("/api/v3/checks/?agent=nobody")).json == []


async def test_a_task_is_created_and_listed(server: Simulator, http: Http) -> None:
    body = {
        "name": "Weekly disk cleanup", "agent": server.agent_ids[1], "script": 3, "schedule": "0 3 * * 0",
        "enabled": False,
    }  # fmt: skip
    created = await http("POST", "/api/v3/tasks/", body)
    assert created.status == 201
    assert created.json == body | {"id": created.fields["id"]}
    assert (await http.get("/api/v3/tasks/")).items[-1] == created.json


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"agent": "nobody"},
        {"agent": 1},
        {"script": 99},
        {"schedule": "0 3 * *"},
        {"schedule": "99 3 * * 0"},
        {"enabled": "yes"},
    ],
)
async def test_a_bad_task_is_400_and_named(change: dict[str, object], server: Simulator, http: Http) -> None:
    body = {"name": "x", "agent": server.agent_ids[0], "script": 3, "schedule": "0 3 * * 0", "enabled": True}
    answer = await http("POST", "/api/v3/tasks/", body | change)
    assert answer.status == 400
    assert str(answer.detail).startswith(next(iter(change)))


# -- alerts --------------------------------------------------------------------------------------------------


async def test_an_alert_is_listed_acknowledged_and_resolved(server: Simulator, http: Http) -> None:
    number = server.raise_alert(server.agent_ids[0], severity="warning", message="C: drive 90% used")
    expected = {
        "id": number,
        "alert_type": "check",
        "agent": server.agent_ids[0],
        "severity": "warning",
        "message": "C: drive 90% used",
        "created_at": "2026-04-21T10:32:15Z",
        "snoozed": False,
        "resolved": False,
    }
    assert START == 1_776_767_535
    assert (await http.get("/api/v3/alerts/")).json == [expected]
    acknowledged = await http("POST", f"/api/v3/alerts/{number}/acknowledge/")
    assert (acknowledged.status, acknowledged.json) == (200, expected)
    assert server.world.alerts[number].acknowledged
    resolved = await http("POST", f"/api/v3/alerts/{number}/resolve/")
    assert (resolved.status, resolved.json) == (200, expected | {"resolved": True})
    assert (await http("POST", f"/api/v3/alerts/{number}/resolve/")).json == resolved.json
    assert (await http.get("/api/v3/alerts/")).json == [resolved.json]


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", "wrong"])
async def test_without_a_good_key_it_is_401(key: str | None, server: Simulator, http: Http) -> None:
    answer = await http("GET", AGENTS, key=key)
    assert (answer.status, answer.json) == (401, {"detail": "Invalid token"})
    assert not server.requests[0].key_ok
    assert server.limits.used(server.api_key) == 0


async def test_a_revoked_key_is_401_and_another_goes_on(server: Simulator, http: Http) -> None:
    second = server.add_key()
    server.revoke_key(server.api_key)
    assert (await http.get(AGENTS)).status == 401
    assert (await http("GET", AGENTS, key=second)).status == 200
    server.revoke_key()
    assert (await http("GET", AGENTS, key=second)).status == 401


@pytest.mark.parametrize(
    ("permission", "method", "path"),
    [
        ("can_list_agents", "GET", AGENTS),
        ("can_uninstall_agents", "DELETE", f"{AGENTS}x/"),
        ("can_run_scripts", "POST", f"{AGENTS}x/runscript/"),
        ("can_list_deployments", "GET", DEPLOYMENTS),
        ("can_manage_deployments", "POST", DEPLOYMENTS),
        ("can_manage_clients", "POST", "/api/v3/clients/"),
        ("can_list_clients", "GET", "/api/v3/clients/"),
        ("can_list_sites", "GET", "/api/v3/clients/34/sites/"),
        ("can_list_scripts", "GET", "/api/v3/scripts/"),
        ("can_list_checks", "GET", "/api/v3/checks/"),
        ("can_list_autotasks", "GET", "/api/v3/tasks/"),
        ("can_manage_autotasks", "POST", "/api/v3/tasks/"),
        ("can_list_alerts", "GET", "/api/v3/alerts/"),
        ("can_manage_alerts", "POST", "/api/v3/alerts/1/resolve/"),
    ],
)
async def test_a_missing_permission_is_403(
    permission: str, method: str, path: str, server: Simulator, http: Http
) -> None:
    with server.restrict(permission):
        answer = await http(method, path, {})
        assert (answer.status, answer.json) == (403, {"detail": "permission denied"})
    assert (await http(method, path, {})).status != 403


async def test_an_unknown_permission_is_a_mistake_of_the_test(server: Simulator) -> None:
    with pytest.raises(ValueError, match=r"no such permission: can_fly; there are .*can_list_agents,"):
        server.restrict("can_fly")


async def test_the_limit_is_a_hundred_a_minute(server: Simulator, http: Http, clock: Clock) -> None:
    for _ in range(100):
        assert (await http.get("/api/v3/clients/")).status == 200
    clock.now += 12.5
    refused = await http.get("/api/v3/clients/")
    assert (refused.status, refused.json) == (429, {"detail": "rate limited"})
    assert refused.headers["Retry-After"] == "48"
    assert server.throttled == 1
    assert [row.refused for row in server.requests[-2:]] == [False, True]
    clock.now += 47.5
    assert (await http.get("/api/v3/clients/")).status == 200


async def test_deployments_have_a_limit_of_twenty_besides(http: Http, clock: Clock) -> None:
    for _ in range(20):
        assert (await http("POST", DEPLOYMENTS, DEPLOYMENT)).status == 201
    assert (await http("POST", DEPLOYMENTS, DEPLOYMENT)).status == 429
    assert (await http.get(DEPLOYMENTS)).status == 200
    clock.now += 60
    assert (await http("POST", DEPLOYMENTS, DEPLOYMENT)).status == 201


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", f"{AGENTS}nobody/", 404), ("POST", "/api/v3/clients/", 400), ("GET", f"{AGENTS}?client=x", 400)],
)
async def test_a_refused_request_with_a_good_key_counts(
    method: str, path: str, status: int, server: Simulator, http: Http
) -> None:
    assert (await http(method, path, {} if method == "POST" else None)).status == status
    assert server.limits.used(server.api_key) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v3/nothing/", 404), ("GET", AGENTS[:-1], 301), ("PUT", AGENTS, 405)],
)
async def test_what_never_reaches_a_view_does_not_count(
    method: str, path: str, status: int, server: Simulator, http: Http
) -> None:
    assert (await http(method, path)).status == status
    assert server.limits.used(server.api_key) == 0


async def test_limits_can_be_changed_while_it_runs(server: Simulator, http: Http) -> None:
    server.limits.requests = (1, 60.0)
    assert (await http.get(AGENTS)).status == 200
    assert (await http.get(AGENTS)).status == 429
    server.limits.requests = None
    assert (await http.get(AGENTS)).status == 200


async def test_an_unknown_path_is_404_in_html(http: Http) -> None:
    answer = await http.get("/api/v3/nothing/")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<h1>Not Found</h1>" in answer.body


async def test_a_wrong_method_is_405(http: Http) -> None:
    answer = await http("PUT", AGENTS)
    assert (answer.status, answer.detail) == (405, 'Method "PUT" not allowed.')
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_path_without_its_slash_is_redirected(method: str, http: Http) -> None:
    answer = await http(method, "/api/v3/agents/a%20b?x=1%202")
    assert (answer.status, answer.body) == (301, b"")
    assert answer.headers["Location"] == "/api/v3/agents/a%20b/?x=1%202"


async def test_a_body_that_is_no_json_object_is_refused(http: Http) -> None:
    kind = {"Content-Type": "application/json"}
    assert (await http("POST", "/api/v3/clients/", data=b"{", headers=kind)).status == 400
    assert (await http("POST", "/api/v3/clients/", [])).status == 400
    assert (await http("POST", "/api/v3/clients/", data=b"name=x")).status == 415
