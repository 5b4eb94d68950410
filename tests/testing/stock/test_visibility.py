"""A role that sees some clients or sites alone: what the lists show of the rest, and what is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.servers import NOBODY, stock
from trmm_async import TRMM, NotFoundError, PermissionDeniedError
from trmm_async.testing import Simulator
from trmm_async.testing.gate import PERMISSIONS

from .replay import recording

LISTS = ("can_list_agents", "can_list_clients", "can_list_sites")


async def _seen(server: Any, trmm: TRMM, **shown: Any) -> tuple[set[str], set[str], set[str]]:
    key = await trmm.api_keys.create_limited(name="part", permissions=LISTS, **shown)
    async with TRMM(server.url, api_key=key.key, dialect="stock") as limited:
        clients, sites = await limited.clients.list(), await limited.sites.list()
        within = {site.name for client in clients for site in client.sites}
        assert within == {site.name for site in sites}
        agents = {agent.agent_id for agent in await limited.agents.list()}
        for agent in await trmm.agents.list():
            if agent.agent_id not in agents:
                with pytest.raises(PermissionDeniedError):
                    await limited.agents.get(agent)
        return {client.name for client in clients}, within, agents


async def test_some_clients_are_shown_with_all_of_their_sites() -> None:
    async with stock(agents=6) as (server, trmm):
        client = server.agents[0].site.client
        clients, sites, agents = await _seen(server, trmm, clients=[client.id])
        assert clients == {client.name}
        assert sites == {one.name for one in server.world.sites_of(client.id)}
        assert agents == {one.agent_id for one in server.agents if one.site.client is client}


async def test_a_site_is_shown_with_its_client_and_not_those_beside_it() -> None:
    async with stock(agents=6) as (server, trmm):
        site = server.agents[0].site
        clients, sites, agents = await _seen(server, trmm, clients=(), sites=[site.id])
        assert (clients, sites) == ({site.client.name}, {site.name})
        assert agents == {one.agent_id for one in server.agents if one.site is site}


async def test_all_are_shown_where_it_is_said() -> None:
    async with stock(agents=6) as (server, trmm):
        clients, _, agents = await _seen(server, trmm, clients="all")
        assert len(agents) == 6
        assert clients == {one.name for one in server.world.clients.values()}


@asynccontextmanager
async def _limited() -> AsyncIterator[tuple[Simulator, TRMM, TRMM]]:
    """A server with two clients, its administrator, and somebody with every right on one of them."""
    async with stock(agents=6, script_seconds=0.0) as (server, trmm):
        mine = server.agents[0].site.client.id
        rights = sorted(PERMISSIONS)
        key = await trmm.api_keys.create_limited(name="part", permissions=rights, clients=[mine])
        async with TRMM(server.url, api_key=key.key, dialect="stock", rate_limit=None) as limited:
            yield server, trmm, limited


OF_AGENTS = {
    "checks": ("GET", "/checks/", None, "agent"),
    "tasks": ("GET", "/tasks/", None, "agent"),
    "alerts": ("PATCH", "/alerts/", {}, "agent"),
    "alerts at the top": ("PATCH", "/alerts/", {"top": 100}, "agent"),
    "history": ("GET", "/agents/history/", None, "agent"),
    "notes": ("GET", "/agents/notes/", None, "agent_id"),
    "pending actions": ("GET", "/logs/pendingactions/", None, "agent"),
    "software": ("GET", "/software/", None, "agent"),
    "versions": ("GET", "/agents/versions/", None, "agent_id"),
    "debug log": ("PATCH", "/logs/debug/", {}, "agent"),
    "audit log": (
        "PATCH",
        "/logs/audit/",
        {"pagination": {"sortBy": "id", "descending": True, "rowsPerPage": 1000, "page": 1}},
        "agent_id",
    ),
}
"""A list, how it is asked for, and by what its rows name an agent."""


def _rows(answer: Any) -> list[dict[str, Any]]:
    if isinstance(answer, dict):
        return next(value for value in answer.values() if isinstance(value, list) and value != ["2.11.0"])
    assert isinstance(answer, list)
    return answer


async def _fill(server: Simulator, trmm: TRMM) -> None:
    """Let every agent have one of each."""
    for agent in server.agents:
        agent.plat = "windows"
        server.raise_alert(agent.agent_id, severity="error", message="m")
        server.world.journal.add_note(agent.agent_id, username="admin", note="n")
        server.add_pending_action(agent.agent_id)
        server.add_debug_log("said", agent_id=agent.agent_id)
        await trmm.tasks.create(name="t", agent=agent.agent_id, script=1, schedule="0 3 * * 0")
        await trmm.agents.run_script(agent.agent_id, script=1, output="forget")
    server.add_debug_log("of the server itself")
    await trmm.alerts.create(message="of nothing")


@pytest.mark.parametrize("clients", [True, False])
async def test_what_belongs_to_agents_is_shown_with_them_and_what_belongs_to_none_to_all(
    clients: bool,
) -> None:
    async with stock(agents=6, script_seconds=0.0) as (server, trmm):
        site = server.agents[0].site
        seen: dict[str, Any] = (
            {"clients": [site.client.id]} if clients else {"clients": (), "sites": [site.id]}
        )
        key = await trmm.api_keys.create_limited(name="part", permissions=sorted(PERMISSIONS), **seen)
        await _fill(server, trmm)
        mine = [
            one for one in server.agents if (one.site.client is site.client if clients else one.site is site)
        ]
        names: dict[Any, str] = {one.pk: one.agent_id for one in server.agents}
        names |= {one.hostname: one.agent_id for one in server.agents}
        assert 0 < len(mine) < 6
        async with TRMM(server.url, api_key=key.key, dialect="stock", rate_limit=None) as limited:
            for what, (method, path, body, column) in OF_AGENTS.items():
                owners, kept = (
                    {names.get(row.get(column), row.get(column)) for row in _rows(answer)}
                    for answer in [await who.request(method, path, json=body) for who in (trmm, limited)]
                )
                assert owners - {None} == {one.agent_id for one in server.agents}, what
                assert kept - {None} == {one.agent_id for one in mine}, what
                assert (None in owners) is (None in kept), what
            # The one list that the server does not cut down.
            assert len(await limited.agents.script_history()) == 6


PATHS: list[tuple[str, str, Any]] = [
    ("GET", "/agents/{agent}/", None),
    ("GET", "/agents/{agent}/checks/", None),
    ("GET", "/agents/{agent}/history/", None),
    ("POST", "/agents/{agent}/cmd/", {"shell": "cmd", "cmd": "x", "timeout": 5, "run_as_user": False}),
    ("POST", "/agents/{agent}/runscript/", {}),
    ("DELETE", "/agents/{agent}/", None),
    ("GET", "/services/{agent}/", None),
    ("GET", "/software/{agent}/", None),
    ("POST", "/winupdate/{agent}/scan/", None),
    ("POST", "/checks/{agent}/run/", None),
    ("POST", "/scripts/{agent}/test/", {}),
    ("POST", "/agents/{agent}/registry/create-key/", {}),
    ("POST", "/agents/notes/", {"agent_id": "{agent}", "note": "n"}),
    ("GET", "/agents/notes/{note}/", None),
    ("DELETE", "/agents/notes/{note}/", None),
    ("POST", "/checks/", {"agent": "{agent}", "check_type": "ping", "ip": "10.0.0.1", "name": "p"}),
    ("GET", "/checks/{check}/", None),
    ("PUT", "/checks/{check}/", {"name": "p"}),
    ("DELETE", "/checks/{check}/", None),
    ("POST", "/checks/{result}/reset/", None),
    ("PATCH", "/checks/{result}/history/", {"timeFilter": 0}),
    ("POST", "/checks/client/{client}/csbulkrun/", None),
    ("POST", "/checks/site/{site}/csbulkrun/", None),
    ("POST", "/tasks/", {"agent": "{agent}", "name": "t"}),
    ("GET", "/tasks/{task}/", None),
    ("PUT", "/tasks/{task}/", {"name": "t"}),
    ("DELETE", "/tasks/{task}/", None),
    ("POST", "/tasks/{task}/run/", {}),
    ("POST", "/tasks/901/run/", {"agent_id": "{agent}"}),
    ("GET", "/alerts/{alert}/", None),
    ("PUT", "/alerts/{alert}/", {"type": "resolve"}),
    ("DELETE", "/alerts/{alert}/", None),
    ("DELETE", "/logs/pendingactions/{action}/", None),
    ("PUT", "/winupdate/{update}/", {"action": "ignore"}),
    ("POST", "/agents/maintenance/bulk/", {"type": "Client", "id": "{client}", "action": True}),
    ("POST", "/agents/maintenance/bulk/", {"type": "Site", "id": "{site}", "action": True}),
    ("POST", "/automation/patchpolicy/reset/", {"client": "{client}"}),
    ("POST", "/automation/patchpolicy/reset/", {"site": "{site}"}),
    ("GET", "/clients/{client}/", None),
    ("PUT", "/clients/{client}/", {"client": {}}),
    ("DELETE", "/clients/{client}/", None),
    ("GET", "/clients/sites/{site}/", None),
    ("POST", "/clients/sites/", {"site": {"client": "{client}", "name": "n"}}),
    ("POST", "/clients/deployments/", {"site": "{site}"}),
    ("PATCH", "/core/urlaction/run/", {"agent_id": "{agent}", "action": 1}),
]


async def test_what_belongs_to_others_is_refused_wherever_it_is_named() -> None:
    async with _limited() as (server, trmm, limited):
        await _fill(server, trmm)
        mine = server.agents[0].site.client
        other = next(one for one in server.agents if one.site.client is not mine)
        one, number = other.agent_id, {"agent": other.pk}
        rows = {name: _rows(await trmm.request(*how[:2], json=how[2])) for name, how in OF_AGENTS.items()}
        updates = await trmm.request("GET", f"/winupdate/{one}/")
        (result, *_) = await trmm.checks.list(agent=one)
        meant: dict[str, Any] = {
            "agent": one,
            "client": other.site.client.id,
            "site": other.site.id,
            "update": updates[0]["id"],
            "result": result.result_id,
            "note": next(row["pk"] for row in rows["notes"] if row["agent_id"] == one),
            **{
                name: next(row["id"] for row in rows[what] if row["agent"] == number["agent"])
                for name, what in (
                    ("check", "checks"),
                    ("task", "tasks"),
                    ("alert", "alerts"),
                    ("action", "pending actions"),
                )
            },
        }

        def ours(it: Any) -> Any:
            if isinstance(it, dict):
                return {key: ours(value) for key, value in it.items()}
            if isinstance(it, str) and it[:1] == "{":
                return meant[it.strip("{}")]
            return it

        for method, path, body in PATHS:
            with pytest.raises(PermissionDeniedError):
                await limited.request(method, path.format(**meant), json=ours(body))
        assert one in {agent.agent_id for agent in server.agents}
        # An unknown one is 404, as for anybody.
        with pytest.raises(NotFoundError):
            await limited.request("GET", f"/agents/{NOBODY}/")


async def test_whole_fleets_are_those_of_the_role() -> None:
    async with _limited() as (server, trmm, limited):
        mine = [one for one in server.agents if one.site.client is server.agents[0].site.client]
        command = {"cmd": "x", "shell": "cmd", "timeout": 5, "run_as_user": False, "mode": "command"}
        body = {
            **command,
            "monType": "all",
            "osType": "all",
            "agents": [one.agent_id for one in server.agents],
        }
        for target in ("all", "agents"):
            told = await limited.request("POST", "/agents/actions/bulk/", json={**body, "target": target})
            assert told.startswith(f"Command will now be run on {len(mine)} agents")
        await limited.request("POST", "/automation/patchpolicy/reset/", json={})
        alerts = [server.raise_alert(one.agent_id, severity="error", message="m") for one in server.agents]
        numbers = [getattr(one, "id", one) for one in alerts]
        await limited.request("POST", "/alerts/bulk/", json={"bulk_action": "resolve", "alerts": numbers})
        left = {one.agent_id for one in await trmm.alerts.list() if not one.resolved}
        assert left == {one.agent_id for one in server.agents} - {one.agent_id for one in mine}
        (shown,) = await limited.policies.overview()
        assert shown.id == mine[0].site.client.id


async def test_who_makes_a_client_with_a_role_that_names_some_is_shown_it() -> None:
    async with _limited() as (server, trmm, limited):
        it = recording("client_create_by_restricted_user")
        assert await limited.request("POST", "/clients/", json=it.request["body"]) == it.body
        assert "Managed KG" in {client.name for client in await limited.clients.list()}
        (role,) = [each for each in await trmm.roles.list() if each.name == "part"]
        assert len(role.clients) == 2
        # A policy knows no client; a server's script needs a right of its own.
        it = recording("policy_create_by_restricted_user")
        assert await limited.request("POST", "/automation/policies/", json=it.request["body"]) == it.body
        rights = ["can_manage_alerttemplates"]
        key = await trmm.api_keys.create_limited(name="templates", permissions=rights, clients="all")
        async with TRMM(server.url, api_key=key.key, dialect="stock") as other:
            with pytest.raises(PermissionDeniedError):
                await other.request("POST", "/alerts/templates/", json={"name": "x", "action_type": "server"})
            await other.request("POST", "/alerts/templates/", json={"name": "x"})


async def test_sites_alone_leave_every_client_to_be_named() -> None:
    async with stock(agents=6) as (server, trmm):
        site = server.agents[0].site
        key = await trmm.api_keys.create_limited(
            name="part", permissions=sorted(PERMISSIONS), clients=(), sites=[site.id]
        )
        other = next(one.site.client for one in server.agents if one.site.client is not site.client)
        async with TRMM(server.url, api_key=key.key, dialect="stock") as limited:
            assert (await limited.clients.get(other.id)).sites == ()
            made = await limited.sites.create(client=site.client.id, name="New")
            assert {one.name for one in await limited.sites.list()} == {site.name, "New"}
            assert made.name == "New"
