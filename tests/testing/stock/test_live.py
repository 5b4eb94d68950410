"""What an agent is asked to do at once, and how long the server waits for one that does not answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from trmm_async.testing.bus import Bus

if TYPE_CHECKING:
    from tests.testing.kit import Clock, Http
    from trmm_async.testing import Simulator
    from trmm_async.testing.nouns import Agent

OUT_OF_REACH = "Unable to contact the agent"
WAITS = [
    ("GET", "/agents/{}/processes/", None, 5),
    ("DELETE", "/agents/{}/processes/1234/", None, 15),
    ("GET", "/agents/{}/eventlog/System/1/", None, 32),
    ("GET", "/agents/{}/eventlog/Security/1/", None, 182),
    ("POST", "/agents/{}/reboot/", None, 10),
    ("POST", "/agents/{}/shutdown/", None, 10),
    ("POST", "/agents/{}/wmi/", None, 20),
    ("POST", "/agents/{}/meshcentral/recover/", None, 90),
    ("GET", "/services/{}/", None, 10),
    ("GET", "/services/{}/Spooler/", None, 10),
    ("POST", "/services/{}/Spooler/", {"sv_action": "stop"}, 32),
    ("PUT", "/services/{}/Spooler/", {"startType": "manual"}, 10),
    ("POST", "/software/{}/", {"name": "vlc"}, 2),
    ("PUT", "/software/{}/", None, 15),
    ("POST", "/checks/{}/run/", None, 15),
]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait of the server for an agent, in seconds."""
    found: list[float] = []

    async def wait(_bus: Bus, seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(Bus, "wait", wait)
    return found


@pytest.mark.parametrize("call", WAITS)
async def test_how_long_the_server_waits(
    http: Http, server: Simulator, waits: list[float], call: tuple[str, str, object, int]
) -> None:
    method, path, body, seconds = call
    away, hung = server.agent_ids[0], "a" * 40
    agent = server.world.agents[hung] = replace(server.agents[0], agent_id=hung, hung=True)
    assert agent.online
    server.go_offline(away)
    for agent_id in (away, hung):
        answer = await http(method, path.format(agent_id), body)
        assert (answer.status, answer.json) == (400, OUT_OF_REACH)
    assert waits == [seconds, seconds]


async def test_calls_with_words_of_their_own(http: Http, server: Simulator, waits: list[float]) -> None:
    agent = server.agents[0]
    server.go_offline(agent.agent_id)
    path = f"/agents/{agent.agent_id}"
    ping = await http.get(f"{path}/ping/")
    assert (ping.status, ping.json) == (200, {"name": agent.hostname, "status": "offline"})
    answer = await http("POST", f"{path}/recover/", {"mode": "mesh"})
    assert (answer.status, answer.json) == (400, "Unable to complete recovery: timeout")
    answer = await http("PATCH", f"{path}/reboot/", {"datetime": "2030-01-15T23:30"})
    assert (answer.status, answer.json) == (400, "timeout")
    assert waits == [7.5, 60, 10]
    assert (
        await http("POST", f"{path}/recover/", {"mode": "tacagent"})
    ).json == "Recovery will be attempted shortly"
    assert (await http("POST", f"{path}/wol/")).json == f"Wake-on-LAN sent to {agent.hostname}"


@pytest.fixture
def linux(server: Simulator) -> Agent:
    agent = server.agents[1]
    agent.plat = "linux"
    return agent


async def test_what_only_windows_has(http: Http, linux: Agent) -> None:
    name = linux.agent_id
    assert (await http("POST", f"/winupdate/{name}/scan/")).json == "Not available for linux"
    assert (await http("POST", f"/software/{name}/", {"name": "x"})).json == "Not available for linux"
    assert (await http("PUT", f"/software/{name}/")).json == "Not available for linux"
    assert (await http.get(f"/software/{name}/")).json == []
    assert (await http.get(f"/winupdate/{name}/")).json == []
    answer = await http("POST", f"/services/{name}/ssh/", {"sv_action": "stop"})
    assert answer.json == "Please use 'Recover Connection' instead."
    answer = await http("PATCH", f"/agents/{name}/reboot/", {"datetime": "2030-01-15T23:30"})
    assert answer.json == "Not currently implemented for linux"


async def test_what_is_done_to_a_machine_stays_done(http: Http, server: Simulator, clock: Clock) -> None:
    agent = server.agents[0]
    name = agent.agent_id
    assert (await http("DELETE", f"/agents/{name}/processes/1234/")).status == 200
    assert 1234 not in {row["pid"] for row in (await http.get(f"/agents/{name}/processes/")).items}
    assert (await http("POST", f"/services/{name}/Spooler/", {"sv_action": "stop"})).status == 200
    assert (await http.get(f"/services/{name}/Spooler/")).fields["status"] == "stopped"
    await http("PUT", f"/services/{name}/Spooler/", {"startType": "manual"})
    assert (await http.get(f"/services/{name}/Spooler/")).fields["start_type"] == "Manual"
    answer = await http("POST", f"/services/{name}/Spooler/", {"sv_action": "restart"})
    assert answer.json == "The service was restarted successfully"
    for method, body in (("POST", {"sv_action": "stop"}), ("PUT", {"startType": "manual"})):
        assert (await http(method, f"/services/{name}/denied/", body)).json == "Access is denied."
    clock.now += 100
    assert (await http("POST", f"/agents/{name}/reboot/")).json == "ok"
    assert agent.boot_time == clock.now
    assert (await http("POST", f"/agents/{name}/shutdown/")).json == "ok"
    assert not agent.online


async def test_a_reboot_later_is_a_pending_action(http: Http, server: Simulator) -> None:
    agent = server.agents[0]
    answer = await http("PATCH", f"/agents/{agent.agent_id}/reboot/", {"datetime": "2030-01-15T23:30"})
    assert answer.fields["time"] == "January 15, 2030 at 11:30 PM"
    row = (await http.get("/logs/pendingactions/")).items[0]
    assert (row["due"], row["description"], row["agent"]) == (
        "2030-01-15 23:30:00",
        "Device pending reboot",
        agent.pk,
    )
    server.go_offline(agent.agent_id)
    cancelled = await http("DELETE", f"/logs/pendingactions/{row['id']}/")
    assert (cancelled.status, cancelled.json) == (400, "timeout")
