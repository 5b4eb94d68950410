from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import eventually
from trmm_async.testing import Simulator

from .orders import BODY, command, rows, run

if TYPE_CHECKING:
    from tests.testing.kit import Clock, Http


async def test_wait_answers_both_outputs_in_one_and_the_history_has_the_rest(
    server: Simulator, http: Http, jade: str
) -> None:
    server.script(1, stdout="out\n", stderr="err", retcode=3, seconds=0.0)
    answer = await run(http, jade)
    assert (answer.status, answer.json) == (200, "out\nerr")
    (row,) = await rows(http, jade)
    assert row["script_results"] == {
        "id": row["id"], "stderr": "err", "stdout": "out\n", "retcode": 3, "execution_time": 0.0,
    }  # fmt: skip
    assert (row["type"], row["username"], row["script"]) == ("script_run", "admin", 1)


@pytest.mark.parametrize("output", ["forget", "banana", "email"])
async def test_what_nobody_waits_for_is_answered_with_a_sentence_and_runs(
    output: str, server: Simulator, http: Http, jade: str
) -> None:
    answer = await run(http, jade, output=output, emailMode="default")
    assert answer.json == "Get-DiskInfo will now be run on JADE-PC"
    await eventually(lambda: server.world.journal.history[1].script_results)
    (done,) = server.runs
    assert (done.output, done.history, done.username, done.timeout) == (output, 1, "admin", 30)


async def test_email_lacks_its_mode_after_the_row_is_written_and_before_it_is_sent(
    server: Simulator, http: Http, jade: str
) -> None:
    assert (await run(http, jade, output="email")).status == 500
    assert len(await rows(http, jade)) == 1
    assert server.runs == []


async def test_the_row_is_there_before_the_script_is_sent(server: Simulator, http: Http, jade: str) -> None:
    server.hang(jade)
    assert (await run(http, jade)).json == "timeout"
    (row,) = await rows(http, jade)
    assert row["script_results"] is None
    assert server.runs == []
    server.unhang(jade)
    assert (await run(http, jade)).json != "timeout"


@pytest.mark.parametrize(("output", "word"), [("wait", "timeout"), ("note", "timeout"), ("forget", None)])
async def test_an_offline_agent_is_a_timeout_for_whoever_waits(
    output: str, word: str | None, server: Simulator, http: Http, jade: str
) -> None:
    server.go_offline(jade)
    answer = await run(http, jade, output=output)
    assert (answer.status, answer.json) == (200, word or "Get-DiskInfo will now be run on JADE-PC")
    assert server.runs == []
    assert [note.note for note in server.world.journal.notes.values()] == (
        ["timeout"] if output == "note" else []
    )


async def test_the_agent_may_report_later_than_the_answer(server: Simulator, http: Http, jade: str) -> None:
    server.report_delay = 60.0
    assert server.report_delay == 60.0
    assert (await run(http, jade)).status == 200
    assert (await rows(http, jade))[0]["script_results"] is None
    server.report_delay = 0.0
    await run(http, jade)
    assert (await rows(http, jade))[1]["script_results"] is not None


async def test_a_note_is_left_by_whoever_ran_it(server: Simulator, http: Http, jade: str) -> None:
    answer = await run(http, jade, output="note")
    (note,) = server.world.journal.notes_of(jade)
    assert (note.note, note.username) == (answer.json, "admin")


async def test_rows_carry_the_name_of_the_keys_user(server: Simulator, http: Http, jade: str) -> None:
    server.username = "root"
    key = server.add_key(username="eve")
    await run(http, jade)
    await http("POST", f"/agents/{jade}/runscript/", BODY, key=key)
    assert [row["username"] for row in await rows(http, jade)] == ["root", "eve"]


async def test_run_on_server_runs_on_no_agent(server: Simulator, http: Http, jade: str) -> None:
    answer = await run(http, jade, run_on_server=True)
    assert set(answer.fields) == {"stdout", "stderr", "execution_time", "retcode"}
    assert server.runs == []


async def test_a_command_is_answered_and_is_in_the_history(server: Simulator, http: Http, jade: str) -> None:
    server.command(stdout="anything")
    server.command("hostname", stdout="JADE-PC\r\n", seconds=0.0)
    assert (await command(http, jade)).json == "JADE-PC\r\n"
    (row,) = await rows(http, jade)
    assert (row["type"], row["command"], row["results"]) == ("cmd_run", "hostname", "JADE-PC\r\n")
    assert (row["script"], row["script_results"], "script_name" in row) == (None, None, False)
    (done,) = server.runs
    assert (done.command, done.shell, done.script, done.output) == ("hostname", "cmd", 0, "cmd")


async def test_a_command_can_be_set_for_one_agent(server: Simulator, http: Http, jade: str) -> None:
    server.command("hostname", stdout="special", agent_id=jade)
    server.agents[1].plat = "linux"
    assert (await command(http, jade)).json == "special"
    assert (await command(http, server.agent_ids[1])).json == "hostname\n"
    with pytest.raises(ValueError, match="alone"):
        server.command(handler=lambda _run: None, stdout="x")  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("silence", ["go_offline", "hang"])
async def test_a_silent_agent_cannot_be_contacted(
    silence: str, server: Simulator, http: Http, jade: str
) -> None:
    getattr(server, silence)(jade)
    answer = await command(http, jade)
    assert (answer.status, answer.json) == (400, "Unable to contact the agent")
    assert (await rows(http, jade))[0]["results"] is None


async def test_with_the_bus_down_waiting_calls_say_so_and_nothing_runs(
    server: Simulator, http: Http, jade: str
) -> None:
    with server.nats_down():
        assert (await run(http, jade)).json == "natsdown"
        assert (await run(http, jade, output="forget")).status == 200
        answer = await command(http, jade)
        assert (answer.status, answer.json) == (200, "natsdown")
    assert server.runs == []
    assert (await run(http, jade)).json != "natsdown"


async def test_with_nats_api_down_an_offline_agent_is_a_500_and_a_hung_one_still_a_timeout(
    server: Simulator, http: Http, jade: str
) -> None:
    server.go_offline(jade)
    server.hang(server.agent_ids[1])
    outage = server.natsapi_down()
    assert (await run(http, jade)).status == 500
    assert (await run(http, server.agent_ids[1])).json == "timeout"
    assert (await run(http, server.agent_ids[2])).status == 200
    outage.end()
    assert (await run(http, jade)).json == "timeout"


async def test_the_servers_waits_are_the_real_ones_unless_they_are_capped(clock: Clock) -> None:
    async with Simulator(dialect="stock", agents=1, clock=clock) as server:
        bus, agent = server._bus, server.agents[0]
        server.hang(agent.agent_id)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await bus.silence(agent, 0.05) == "timeout"
        assert loop.time() - began >= 0.05
