"""Scripts: what runs, how long, what is heard of it."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest

from trmm_async.testing import Run, ScriptReply, Simulator

from .kit import Http, eventually, frame, frames, subscribe

if TYPE_CHECKING:
    import aiohttp

    from .kit import Clock


async def test_wait_answers_the_result(server: Simulator, http: Http, clock: Clock) -> None:
    who = server.agents[0]
    server.script(1, seconds=0.02, stderr="careful\n", retcode=3)
    answer = await http.run(who.agent_id, args=["C:"], timeout=90, cmd_id="5e1f")
    assert answer.status == 200
    assert answer.json == {
        "execution_time": "0.02",
        "retcode": 3,
        "stdout": f"Disk C: {who.disks[0].percent}% used\n",
        "stderr": "careful\n",
    }
    assert server.runs == [
        Run(
            agent_id=who.agent_id,
            script=1,
            args=("C:",),
            timeout=90,
            output="wait",
            cmd_id="5e1f",
            started=clock.now,
            finished=clock.now,
            retcode=3,
            stdout=f"Disk C: {who.disks[0].percent}% used\n",
            stderr="careful\n",
            execution_time=0.02,
        )
    ]


async def test_forget_answers_at_once(server: Simulator, http: Http) -> None:
    server.script(1, seconds=0.05)
    answer = await http.run(server.agent_ids[0], output="forget", cmd_id="abc")
    assert (answer.status, answer.json) == (200, {"cmd_id": "abc"})
    assert server.runs[0].finished is None
    await eventually(lambda: server.runs[0].finished is not None)
    assert server.collected == []


async def test_collector_stores_the_result(server: Simulator, http: Http) -> None:
    answer = await http.run(server.agent_ids[0], output="collector")
    await eventually(lambda: server.collected)
    assert server.collected == server.runs
    assert answer.json == {"cmd_id": server.runs[0].cmd_id}


@pytest.mark.parametrize("field", ["script", "output", "args", "timeout"])
async def test_every_field_is_required(field: str, server: Simulator, http: Http) -> None:
    body: dict[str, object] = {"script": 1, "output": "wait", "args": [], "timeout": 30}
    del body[field]
    answer = await http("POST", f"/api/v3/agents/{server.agent_ids[0]}/runscript/", body)
    assert (answer.status, answer.detail) == (400, f"{field}: This field is required.")
    assert server.runs == []


@pytest.mark.parametrize(
    "change",
    [
        {"script": "1"},
        {"script": True},
        {"output": "email"},
        {"args": "C:"},
        {"args": [1]},
        {"timeout": 0},
        {"timeout": 301},
        {"timeout": 1.5},
        {"cmd_id": 7},
    ],
)
async def test_a_bad_field_is_400_and_named(change: dict[str, object], server: Simulator, http: Http) -> None:
    answer = await http.run(server.agent_ids[0], **change)  # type: ignore[arg-type]
    assert answer.status == 400
    assert str(answer.detail).startswith(next(iter(change)))
    assert server.runs == []


async def test_an_unknown_script_is_404_and_an_unknown_field_is_ignored(
    server: Simulator, http: Http
) -> None:
    assert (await http.run(server.agent_ids[0], script=99)).status == 404
    assert (await http.run(server.agent_ids[0], run_as_user=False)).status == 200


async def test_an_offline_agent_runs_nothing(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    server.go_offline(who)
    answer = await http.run(who)
    assert (answer.status, answer.json) == (400, {"detail": "Unable to contact the agent"})
    assert (await http.run(who, output="forget", cmd_id="abc")).json == {"cmd_id": "abc"}
    assert len(str((await http.run(who, output="collector")).fields["cmd_id"])) == 32
    assert server.runs == []
    server.come_online(who)
    assert (await http.run(who)).status == 200


@pytest.mark.parametrize("hold", [0.0, None])
async def test_an_agent_lost_in_the_middle_ends_in_504(
    hold: float | None, session: aiohttp.ClientSession
) -> None:
    async with Simulator(agents=1, offline_hold=hold) as server, asyncio.TaskGroup() as tasks:
        http, who = Http(server, session), server.agent_ids[0]
        server.script(1, seconds=10, lines=["one"] * 1000)
        started = asyncio.get_running_loop().time()
        call = tasks.create_task(http.run(who, timeout=1))
        await eventually(lambda: server.runs and server.runs[0].stdout)
        server.go_offline(who)
        server.come_online(who)
        answer = await call
        took = asyncio.get_running_loop().time() - started
        assert (took >= 1) is (hold is None)
        assert answer.status == 504
        assert b"504 Gateway Time-out" in answer.body
        (run,) = server.runs
        assert run.lost
        assert (run.finished, run.retcode, run.execution_time) == (None, None, None)
        assert run.stdout.startswith("one\n")


async def test_an_agent_lost_between_two_runs_loses_neither(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    await http.run(who)
    server.go_offline(who)
    server.come_online(who)
    assert (await http.run(who)).status == 200
    assert [run.lost for run in server.runs] == [False, False]


async def test_a_script_over_its_timeout_is_stopped(server: Simulator, http: Http) -> None:
    long, endless = server.agent_ids[:2]
    server.script(1, seconds=30, lines=["line"] * 60, agent_id=long)
    server.script(1, seconds=math.inf, lines=["line"] * 60, agent_id=endless)
    one, other = await asyncio.gather(http.run(long, timeout=1), http.run(endless, timeout=1))
    stopped = {"execution_time": "1.00", "retcode": 98, "stderr": "Timed out"}
    assert one.json == stopped | {"stdout": "line\n" * 2}
    assert other.json == stopped | {"stdout": ""}
    assert [run.finished is None for run in server.runs] == [False, False]


async def test_output_streams_line_by_line_and_ends_with_done(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    server.script(1, lines=["one", "two\n"], retcode=7)
    async with subscribe(server, who) as socket:
        await server.wait_for_subscribers(who)
        await http.run(who, cmd_id="5e1f")
        told = await frames(socket, 3)
    run = {"agent_id": who, "cmd_id": "5e1f", "script": 1}
    assert told == [
        {"action": "script.output", "data": run | {"output": "one\n", "done": False}},
        {"action": "script.output", "data": run | {"output": "two\n", "done": False}},
        {"action": "script.output", "data": run | {"output": "", "done": True, "exit_code": 7}},
    ]


async def test_a_line_arrives_before_the_script_has_ended(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    server.script(1, lines=["one", "two"], seconds=60)
    async with subscribe(server, who) as socket, asyncio.TaskGroup() as tasks:
        await server.wait_for_subscribers(who)
        server.script(1, lines=["x"] * 1000, seconds=10)
        call = tasks.create_task(http.run(who))
        assert (await frame(socket))["action"] == "script.output"
        assert not call.done()
        call.cancel()


async def test_a_server_may_not_know_cmd_id(session: aiohttp.ClientSession) -> None:
    async with Simulator(agents=1, knows_cmd_id=False, script_seconds=0) as server:
        assert (await Http(server, session).run(server.agent_ids[0], cmd_id="mine")).status == 200
        assert server.runs[0].cmd_id not in {"", "mine"}


async def test_scripts_take_the_time_that_is_set(session: aiohttp.ClientSession) -> None:
    async with Simulator(agents=1, script_seconds=(0.01, 0.02)) as server:
        answer = await Http(server, session).run(server.agent_ids[0])
        assert answer.fields["execution_time"] in {"0.01", "0.02"}
        assert 0.01 <= (server.runs[0].execution_time or 0) <= 0.02


async def test_one_agent_can_behave_differently(server: Simulator, http: Http) -> None:
    one, other = server.agent_ids[:2]
    server.script(1, stdout="ok\n")
    server.script(1, retcode=1, stderr="boom\n", agent_id=one)
    assert (await http.run(one)).fields["retcode"] == 1
    assert (await http.run(one)).fields["stdout"] == "ok\n"
    assert (await http.run(other)).fields["retcode"] == 0


async def test_a_handler_decides_by_the_run(server: Simulator, http: Http) -> None:
    number = server.add_script("echo")
    server.script(number, handler=lambda run: ScriptReply("".join(reversed(run.args)), retcode=len(run.args)))
    answer = await http.run(server.agent_ids[0], script=number, args=["a", "b"])
    assert (answer.fields["stdout"], answer.fields["retcode"]) == ("ba", 2)


def test_words_that_contradict_each_other_are_a_mistake() -> None:
    server = Simulator(agents=1)
    with pytest.raises(ValueError, match="not both"):
        server.script(1, stdout="x", lines=["x"])
    with pytest.raises(ValueError, match="give it alone"):
        server.script(1, handler=lambda _run: ScriptReply(), retcode=1)
    with pytest.raises(LookupError, match="no script 99"):
        server.script(99, retcode=1)
    with pytest.raises(LookupError, match="no agent 'nobody'"):
        server.script(1, retcode=1, agent_id="nobody")
