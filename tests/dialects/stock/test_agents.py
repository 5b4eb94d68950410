"""Agents, as a stock server spells them: calls and answers against recordings."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.dialects.stock.carried import LINUX, STOCK, follow, one
from tests.recorded import asks_as_recorded, recording, sent_by
from trmm_async.calls import ArrayCall, Call, Replay
from trmm_async.dialects import AgentFilter
from trmm_async.errors import NotFoundError, PermissionDeniedError
from trmm_async.models import Agent, ClientRef, SiteRef

CLIENTS = json.dumps(
    [{"id": 1, "name": "Acme Corp", "sites": [{"id": 1, "name": "HQ"}, {"id": 2, "name": "Warehouse"}]}]
).encode()


class TestAgents:
    @pytest.mark.parametrize(
        "name", ["agents_list_default", "agents_list_client", "agents_list_site", "gzip_accept"]
    )
    def test_a_list_reads(self, name: str) -> None:
        if "alert_template" not in recording(name).body[0]:
            pytest.skip("the short form")
        _, agents = follow(STOCK.list_agents(AgentFilter()), CLIENTS, recording(name).answer)
        assert len(agents) == len(recording(name).body)
        for agent, sent in zip(agents, recording(name).body, strict=True):
            assert (agent.agent_id, agent.hostname, agent.status) == (
                sent["agent_id"],
                sent["hostname"],
                sent["status"],
            )
            assert (agent.client.name, agent.site.name) == (sent["client_name"], sent["site_name"])
            assert agent.pending_actions_count == sent["pending_actions_count"]
            assert agent.checks.total == sent["checks"]["total"]
            assert len(agent.custom_fields) == len(sent["custom_fields"])
            assert agent.last_seen is None or isinstance(agent.last_seen, datetime)

    def test_ids_are_found_by_the_names(self) -> None:
        _, agents = follow(
            STOCK.list_agents(AgentFilter(client=1)), CLIENTS, recording("agents_list_client").answer
        )
        assert {(agent.client, agent.site) for agent in agents} == {
            (ClientRef(id=1, name="Acme Corp"), SiteRef(id=1, name="HQ")),
            (ClientRef(id=1, name="Acme Corp"), SiteRef(id=2, name="Warehouse")),
        }

    @pytest.mark.parametrize(
        ("which", "name"),
        [
            (AgentFilter(), "agents_list_default"),
            (AgentFilter(client=1), "agents_list_client"),
            (AgentFilter(site=1), "agents_list_site"),
        ],
    )
    def test_the_filters_are_asked_for_as_recorded(self, which: AgentFilter, name: str) -> None:
        calls, _ = follow(STOCK.list_agents(which), CLIENTS, b"[]")
        asks_as_recorded(calls[1], name)
        array, _ = _array(which)
        asks_as_recorded(array.call, name)

    def test_a_key_that_may_not_see_clients_still_sees_agents(self) -> None:
        refused = PermissionDeniedError(403, "no", method="GET", path="/clients/")
        item = {"agent_id": "a" * 40, "client_name": "Acme", "site_name": "HQ"}
        _, agents = follow(STOCK.list_agents(AgentFilter()), refused, json.dumps([item]).encode())
        assert agents[0].client == ClientRef(id=None, name="Acme")

    def test_a_site_does_not_make_the_client_forgotten(self) -> None:
        items = [
            {"agent_id": "a" * 40, "client_name": "Acme Corp", "site_name": "HQ"},
            {"agent_id": "b" * 40, "client_name": "Other", "site_name": "HQ"},
        ]
        both = json.dumps([*json.loads(CLIENTS), {"id": 2, "name": "Other", "sites": []}]).encode()
        _, agents = follow(STOCK.list_agents(AgentFilter(client=1, site=1)), both, json.dumps(items).encode())
        assert [agent.agent_id for agent in agents] == ["a" * 40]

    def test_of_a_client_whose_names_can_not_be_seen_there_is_none_by_site(self) -> None:
        refused = PermissionDeniedError(403, "no", method="GET", path="/clients/")
        items = json.dumps([{"agent_id": "a" * 40, "client_name": "Acme", "site_name": "HQ"}]).encode()
        assert follow(STOCK.list_agents(AgentFilter(client=1, site=1)), refused, items)[1] == []
        assert len(follow(STOCK.list_agents(AgentFilter(client=1)), refused, items)[1]) == 1

    def test_a_host_name_is_found_by_the_short_list_and_the_detail(self) -> None:
        short, detail = recording("agents_list_detail_false"), recording("agent_detail_linux")
        name = next(agent["hostname"] for agent in short.body if agent["agent_id"] == LINUX)
        site = recording("site_get").answer
        calls, agents = follow(
            STOCK.list_agents(AgentFilter(hostname=name)), short.answer, detail.answer, site
        )
        asks_as_recorded(calls[0], "agents_list_detail_false")
        asks_as_recorded(calls[1], "agent_detail_linux")
        assert [agent.hostname for agent in agents] == [name]

    def test_one_that_is_removed_while_it_is_looked_for_is_not_found(self) -> None:
        short = json.dumps([{"id": 1, "agent_id": "a" * 40, "hostname": "X"}]).encode()
        gone = NotFoundError(404, "No Agent matches the given query.", method="GET", path="/")
        assert follow(STOCK.list_agents(AgentFilter(hostname="X")), short, gone)[1] == []

    @pytest.mark.parametrize(
        "name",
        ["agent_detail_windows", "agent_detail_linux", "agent_detail_darwin", "agent_detail_never_seen"],
    )
    def test_one_reads_with_all_that_we_have_no_field_for(self, name: str) -> None:
        told = recording(name)
        agent_id = told.body["agent_id"]
        calls, agent = follow(STOCK.get_agent(agent_id), told.answer, recording("site_get").answer)
        asks_as_recorded(calls[0], name)
        assert sent_by(calls[1])[1] == f"/clients/sites/{told.body['site']}/"
        assert (agent.client.id, agent.client.name) == (1, told.body["client"])
        assert (agent.site.id, agent.site.name) == (told.body["site"], told.body["site_name"])
        assert agent.needs_reboot is told.body["needs_reboot"]
        assert "wmi_detail" in agent.extra
        assert "all_timezones" not in agent.extra
        assert (agent.last_seen is None) == (told.body["last_seen"] is None)

    def test_while_it_downloads(self) -> None:
        array, calls = _array(AgentFilter(client=1))
        assert [call.path for call in calls] == ["/clients/"]
        rows, told = array.rows(), recording("agents_list_client").answer
        agents = [
            *(
                agent
                for start in range(0, len(told), 1000)
                for batch in rows.feed(told[start : start + 1000])
                for agent in batch
            ),
            *rows.finish(),
        ]
        assert agents == follow(STOCK.list_agents(AgentFilter(client=1)), CLIENTS, told)[1]

    def test_deleting(self) -> None:
        call = one(STOCK.delete_agent("ZwfDQbVjkyNIhcsXorTEmmWrgnjJewXHPnmKzKid"))
        asks_as_recorded(call, "agent_delete")
        assert (call.replay, call.gone_is_done) == (Replay.IDEMPOTENT, True)

    @pytest.mark.parametrize(
        ("field", "sent", "read"),
        [
            ("boot_time", 0, None),
            ("boot_time", 1e300, None),
            ("boot_time", 1700000000.5, datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)),
            ("local_ips", "10.0.0.5/24, fe80::1/64", "10.0.0.5"),
            ("local_ips", "", None),
            ("cpu_model", ["A", "A"], "A"),
            ("cpu_model", "A", "A"),
            ("cpu_model", [], None),
            ("logged_username", "None", None),
            ("logged_username", "-", None),
            ("physical_disks", ["x", "y"], ("x", "y")),
            ("physical_disks", None, ()),
        ],
    )
    def test_odd_values(self, field: str, sent: Any, read: Any) -> None:
        ours = {"local_ips": "local_ip", "logged_username": "logged_in_username"}.get(field, field)
        item = json.dumps([{"agent_id": "a" * 40, field: sent}]).encode()
        (agent,) = follow(STOCK.list_agents(AgentFilter()), CLIENTS, item)[1]
        assert getattr(agent, ours) == read


def _array(which: AgentFilter) -> tuple[ArrayCall[Agent], list[Call[Any]]]:
    calls, array = follow(STOCK.iter_agents(which), CLIENTS)
    return array, calls
