from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import Http, eventually
from trmm_async.testing import Simulator

if TYPE_CHECKING:
    import aiohttp

    from tests.testing.kit import Answer

SCRIPT: dict[str, object] = {
    "mode": "script", "target": "all", "monType": "all", "osType": "all", "script": 1, "args": ["a"],
    "timeout": 30, "run_as_user": False, "env_vars": ["A=1"],
}  # fmt: skip
COMMAND: dict[str, object] = {
    "mode": "command", "target": "all", "monType": "all", "osType": "all", "shell": "cmd", "cmd": "hostname",
    "timeout": 30, "run_as_user": False,
}  # fmt: skip


async def bulk(http: Http, body: dict[str, object], **changes: object) -> Answer:
    return await http("POST", "/agents/actions/bulk/", body | changes)


def count(answer: Answer) -> int:
    return int(str(answer.json).split(" agents")[0].rsplit(" ", 1)[1])


def finished(server: Simulator) -> int:
    rows = server.world.journal.history.values()
    return sum(row.script_results is not None or row.results is not None for row in rows)


async def test_a_script_runs_on_all_and_the_history_has_the_results(server: Simulator, http: Http) -> None:
    answer = await bulk(http, SCRIPT)
    assert answer.json == (
        "Get-DiskInfo will now be run on 6 agents. Check the History tab on the agent to view the results."
    )
    await eventually(lambda: finished(server) == 6)
    assert {(run.output, run.args, run.env_vars, run.username) for run in server.runs} == {
        ("bulk", ("a",), ("A=1",), "admin")
    }
    assert sorted(run.history or 0 for run in server.runs) == sorted(server.world.journal.history)


async def test_rows_are_written_one_after_the_other_and_then_the_orders_are_sent(
    session: aiohttp.ClientSession,
) -> None:
    async with Simulator(dialect="stock", agents=6, script_seconds=0.0, row_seconds=0.05) as server:
        rows, loop = server.world.journal.history, asyncio.get_running_loop()
        begun = loop.time()
        await bulk(Http(server, session), SCRIPT)
        assert rows == {}
        await eventually(lambda: len(rows) == 1)
        assert server.runs == []
        await eventually(lambda: len(rows) == 6)
        assert loop.time() - begun >= 0.3
        await eventually(lambda: len(server.runs) == 6)


async def test_results_that_come_at_once_are_taken_in_one_after_the_other(
    session: aiohttp.ClientSession,
) -> None:
    async with Simulator(dialect="stock", agents=6, script_seconds=0.0, result_seconds=0.1) as server:
        await bulk(Http(server, session), SCRIPT)
        await eventually(lambda: finished(server) == 1)
        begun = asyncio.get_running_loop().time()
        assert all(run.finished for run in server.runs)
        await eventually(lambda: finished(server) == 6)
        assert asyncio.get_running_loop().time() - begun >= 0.4


async def test_both_take_as_long_as_was_measured(session: aiohttp.ClientSession) -> None:
    async with Simulator(dialect="stock", agents=120, script_seconds=0.0) as server:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await bulk(Http(server, session), SCRIPT)
        await eventually(lambda: len(server.runs) == 120, 20)
        assert loop.time() - begun >= 1.3 * 120 / 195
        written = loop.time()
        await eventually(lambda: finished(server) == 120, 30)
        assert loop.time() - written >= 5.2


async def test_a_command_runs_on_all(server: Simulator, http: Http) -> None:
    assert count(await bulk(http, COMMAND)) == 6
    await eventually(lambda: finished(server) == 6)
    assert {(run.output, run.command, run.shell) for run in server.runs} == {("bulk", "hostname", "cmd")}
    assert {row.type for row in server.world.journal.history.values()} == {"cmd_run"}


async def test_offline_agents_are_counted_and_have_rows_that_stay_empty(
    server: Simulator, http: Http
) -> None:
    server.go_offline(server.agent_ids[0])
    server.hang(server.agent_ids[1])
    assert count(await bulk(http, SCRIPT, offlineAgents=False)) == 6
    await eventually(lambda: finished(server) == 4)
    assert len(server.world.journal.history) == 6
    assert len(server.runs) == 4


async def test_unknown_agents_drop_out_without_a_word(server: Simulator, http: Http) -> None:
    known = server.agent_ids[:2]
    answer = await bulk(http, SCRIPT, target="agents", agents=[*known, "x" * 40, known[0]])
    assert count(answer) == 2


@pytest.mark.parametrize(
    ("changes", "pick"),
    [
        ({"target": "client", "client": 34}, lambda agent: agent.site.client.id == 34),
        ({"target": "site", "site": "41"}, lambda agent: agent.site.id == 41),
        ({"monType": "servers"}, lambda agent: agent.monitoring_type == "server"),
        ({"monType": "workstations"}, lambda agent: agent.monitoring_type == "workstation"),
        ({"osType": "windows"}, lambda agent: agent.plat == "windows"),
        ({"osType": "beos"}, lambda _agent: True),
    ],
)
async def test_who_is_chosen(changes: dict[str, object], pick: object, server: Simulator, http: Http) -> None:
    for agent, kind in zip(server.agents, ("server", "workstation") * 3, strict=True):
        agent.monitoring_type = kind
    assert callable(pick)
    wanted = {agent.agent_id for agent in server.agents if pick(agent)}
    assert count(await bulk(http, SCRIPT, **changes)) == len(wanted)
    await eventually(lambda: {run.agent_id for run in server.runs} == wanted)


async def test_output_can_go_into_a_field_and_a_note(server: Simulator, http: Http) -> None:
    server.script(1, stdout="one\ntwo\n", seconds=0.0)
    tag = server.add_custom_field("tag")
    extras = {"custom_field": tag, "collector_all_output": False, "save_to_agent_note": True}
    await bulk(http, SCRIPT, **extras)
    await eventually(lambda: finished(server) == 6)
    assert [[value.value for value in agent.custom_fields] for agent in server.agents] == [["two"]] * 6
    assert {note.note for note in server.world.journal.notes.values()} == {"one\ntwo\n"}


async def test_without_all_three_extras_none_counts(server: Simulator, http: Http) -> None:
    await bulk(http, SCRIPT, custom_field=99, save_to_agent_note=True)
    await eventually(lambda: finished(server) == 6)
    assert server.world.journal.notes == {}


async def test_an_unknown_field_lets_nothing_happen_behind_a_good_answer(
    server: Simulator, http: Http
) -> None:
    extras = {"custom_field": 99, "collector_all_output": False, "save_to_agent_note": False}
    assert (await bulk(http, SCRIPT, **extras)).status == 200
    await bulk(http, COMMAND)
    await eventually(lambda: finished(server) == 6)
    assert {row.type for row in server.world.journal.history.values()} == {"cmd_run"}


async def test_with_the_bus_down_there_are_rows_and_no_runs(server: Simulator, http: Http) -> None:
    with server.nats_down():
        assert (await bulk(http, SCRIPT)).status == 200
        await eventually(lambda: len(server.world.journal.history) == 6)
        assert (await http.get("/core/version/")).status == 200
    assert server.runs == []


@pytest.mark.parametrize(("how", "words"), [("scan", "Patch status scan"), ("install", "Pending updates")])
async def test_patches(how: str, words: str, server: Simulator, http: Http) -> None:
    assert str((await bulk(http, SCRIPT, mode="patch", patchMode=how)).json).startswith(words)
    assert (await bulk(http, SCRIPT, mode="patch", patchMode="x")).json == "Something went wrong"
    assert (await bulk(http, SCRIPT, mode="patch")).status == 500
    assert server.runs == []


async def test_mistakes(http: Http) -> None:
    for changes in ({"target": "nobody"}, {"mode": "dance"}):
        answer = await bulk(http, SCRIPT, **changes)
        assert (answer.status, answer.json) == (400, "Something went wrong")
    assert (await bulk(http, SCRIPT, script=999)).status == 500
    assert (await bulk(http, SCRIPT, target="client", client="Acme")).status == 500
