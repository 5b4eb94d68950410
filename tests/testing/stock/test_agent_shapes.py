"""An agent's three shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import Clock
from trmm_async.testing import Simulator
from trmm_async.testing.stock import agent_shapes as shapes

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing.nouns import Agent


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


@pytest.fixture
def record() -> Agent:
    return Simulator(agents=1, clock=Clock()).agents[0]


def test_an_agent_that_was_never_seen_reports_nothing(record: Agent) -> None:
    record.last_seen, record.status, record.plat = None, "offline", "windows"
    listed, alone = shapes.listed(record, [], 0, None), shapes.alone(record, [], {})
    for shape in (listed, alone):
        assert (shape["last_seen"], shape["boot_time"], shape["public_ip"]) == (None, None, None)
        assert (shape["cpu_model"], shape["make_model"]) == (["unknown cpu model"], "unknown make/model")
    assert (listed["logged_username"], listed["italic"], listed["serial_number"]) == (None, False, "")
    assert [alone[name] for name in ("services", "disks", "wmi_detail", "total_ram")] == [None] * 4


def test_what_a_windows_agent_alone_has(record: Agent) -> None:
    record.plat, record.serial_number = "windows", "SN-1"
    windows = shapes.alone(record, [], {})
    assert shapes.listed(record, [], 0, None)["serial_number"] == "SN-1"
    assert (len(windows["services"]), windows["effective_default_shell"]) == (150, "cmd")  # type: ignore[arg-type]
    assert windows["local_ips"] == record.local_ip
    record.plat = "linux"
    linux = shapes.alone(record, [], {})
    assert shapes.listed(record, [], 0, None)["serial_number"] == ""
    assert (linux["services"], linux["effective_default_shell"]) == (None, "bash")
    assert linux["local_ips"] == f"{record.local_ip}/24"
    assert linux.keys() == windows.keys()


def test_checks_are_counted_by_their_state(record: Agent) -> None:
    server = Simulator(dialect="stock", agents=1)
    checks = server.world.checks_of(server.agent_ids[0])[:3]
    for check, state in zip(checks, ("failing", "passing", "pending"), strict=True):
        check.status = state
    counts = shapes.listed(record, checks, 0, None)["checks"]
    assert counts == {
        "total": 3, "passing": 1, "failing": 1, "warning": 0, "info": 0, "has_failing_checks": True,
    }  # fmt: skip
    counts = shapes.listed(record, checks[1:], 0, None)["checks"]
    assert isinstance(counts, dict)
    assert counts["has_failing_checks"] is False


def test_the_short_form_has_the_number_and_nothing_that_changes(record: Agent) -> None:
    assert shapes.short(record) == {
        "id": record.pk, "hostname": record.hostname, "agent_id": record.agent_id,
        "client": record.site.client.name, "site": record.site.name,
    }  # fmt: skip


def test_rules_for_updates_are_the_usual_ones_and_its_own(record: Agent) -> None:
    record.update_policy = {"critical": "approve"}
    rules = shapes.update_policy(record)
    assert (rules["critical"], rules["important"], rules["agent"], rules["policy"]) == (
        "approve", "inherit", record.pk, None,
    )  # fmt: skip
    assert shapes.UPDATE_POLICY["critical"] == "inherit"
