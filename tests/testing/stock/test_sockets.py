"""Live commands and the dashboard's counts, on real sockets; and the recorded transcripts replayed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.testing.kit import eventually
from trmm_async.testing import ScriptReply, Simulator
from trmm_async.testing.stock import sockets

from .lines import Frames, Line, frame, output, until_done
from .replay import FOLDER, furnish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trmm_async.testing import Run


# -- commands ------------------------------------------------------------------------------------------------


async def test_a_command_streams_its_output_line_by_line(server: Simulator, line: Line) -> None:
    server.command("list", stdout="one\ntwo\n", stderr="no three\n", retcode=3)
    async with await line.open() as socket:
        await socket.send_json({"cmd": "list", "cmd_id": "my-id_1.x"})
        frames = await until_done(socket)
    assert frames[0] == {"cmd_id": "my-id_1.x"}
    assert [each["output"] for each in frames[1:-1]] == ["one\n", "two\n", "no three\n"]
    assert frames[-1] == {"cmd_id": "my-id_1.x", "done": True, "exit_code": 3}


async def test_it_stands_in_the_history_and_in_the_audit_log(server: Simulator, line: Line) -> None:
    async with await line.open() as socket:
        await socket.send_json({"cmd": "echo hello", "shell": "powershell", "run_as_user": True})
        await until_done(socket)
    run = server.runs[0]
    assert (run.command, run.shell, run.run_as_user, run.output) == ("echo hello", "powershell", True, "ws")
    row = server.world.journal.history_of(line.agent_id)[0]
    assert (row.command, row.username, row.type) == ("echo hello", "admin", "cmd_run")
    await eventually(lambda: row.results == "hello\r\n")


async def test_one_socket_carries_several_commands_at_a_time(server: Simulator, line: Line) -> None:
    async with await line.open() as socket:
        for name in ("a", "b"):
            await socket.send_json({"cmd": f"echo {name}", "cmd_id": name})
        frames = [await frame(socket) for _ in range(6)]
    for name in ("a", "b"):
        mine = [each for each in frames if each["cmd_id"] == name]
        assert mine[1:] == [
            {"cmd_id": name, "output": f"{name}\n"},
            {"cmd_id": name, "done": True, "exit_code": 0},
        ]


async def test_an_agent_that_is_not_there_stays_silent_for_ever(server: Simulator, line: Line) -> None:
    server.go_offline(line.agent_id)
    server.hang(server.agent_ids[1])
    for agent_id in server.agent_ids[:2]:
        async with await line.open(f"/ws/agent/{agent_id}/cmd/") as socket:
            await socket.send_json({"cmd": "echo hi", "timeout": 1, "cmd_id": "x"})
            assert await frame(socket) == {"cmd_id": "x"}
            await socket.send_json({})
            assert await frame(socket) == {"error": "Invalid command payload"}
            assert server.world.journal.history_of(agent_id)[0].results is None
    assert server.runs == []


async def test_an_agent_that_goes_in_the_middle_is_silent_from_then_on(server: Simulator, line: Line) -> None:
    server.command("slow", stdout="one\ntwo\n", seconds=60)
    async with await line.open() as socket:
        await socket.send_json({"cmd": "slow", "timeout": 90, "cmd_id": "x"})
        assert await frame(socket) == {"cmd_id": "x"}
        await eventually(lambda: server.runs)
        server.go_offline(line.agent_id)
        await eventually(lambda: server.runs[0].lost)
        await socket.send_json([])
        assert await frame(socket) == {"error": "Invalid command payload"}


async def test_the_server_stops_listening_a_while_after_the_timeout(
    server: Simulator, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "GRACE_SECONDS", 0)
    server.command("slow", stdout="late\n", seconds=0.01)
    async with await line.open() as socket:
        await socket.send_json({"cmd": "slow", "timeout": 0, "cmd_id": "x"})
        assert await frame(socket) == {"cmd_id": "x"}
        await eventually(lambda: server.runs and server.runs[0].finished is not None)
        await socket.send_json({})
        assert await frame(socket) == {"error": "Invalid command payload"}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"shell": "cmd"},
        [1],
        "text",
        None,
        5,
        {"cmd": "x", "timeout": "abc"},
        {"cmd": "x", "timeout": None},
    ],
)
async def test_a_payload_it_cannot_read_is_answered_and_the_socket_stays(line: Line, payload: object) -> None:
    async with await line.open() as socket:
        await socket.send_json(payload)
        assert await frame(socket) == {"error": "Invalid command payload"}
        await socket.send_json({"cmd": "echo ok", "timeout": "2"})
        assert output(await until_done(socket)) == "ok\n"


@pytest.mark.parametrize("sent", ["garbage", b"\x00", '{"cmd": "echo x", "cmd_id": "bad id"}'])
async def test_what_the_server_falls_over_ends_the_connection_without_a_word(
    line: Line, sent: str | bytes
) -> None:
    async with await line.open() as socket:
        await (socket.send_bytes(sent) if isinstance(sent, bytes) else socket.send_str(sent))
        message = await socket.receive(timeout=5)
        assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
    assert socket.close_code == 1006


@pytest.mark.parametrize(("length", "taken"), [(48, True), (49, False)])
async def test_a_cmd_id_may_have_48_letters(line: Line, length: int, taken: bool) -> None:
    async with await line.open() as socket:
        await socket.send_json({"cmd": "echo x", "cmd_id": "a" * length})
        message = await socket.receive(timeout=5)
        assert (message.type is aiohttp.WSMsgType.TEXT) is taken


# -- who may -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "access_token=", "access_token=nope", "x_token=1"])
async def test_without_a_good_token_the_handshake_is_refused(line: Line, query: str) -> None:
    assert await line.refused(query=query) == (403, "")
    assert await line.refused("/ws/dashinfo/", query=query) == (403, "")


async def test_the_token_must_be_the_last_parameter(server: Simulator, line: Line) -> None:
    token = server.new_token()
    assert await line.refused(query=f"access_token={token}&x=1") == (403, "")
    async with await line.open(query=f"x=1&access_token={token}") as socket:
        assert not socket.closed


async def test_neither_an_api_key_nor_a_header_is_good_for_a_socket(server: Simulator, line: Line) -> None:
    assert await line.refused(query=f"access_token={server.api_key}") == (403, "")
    line.session.headers["Authorization"] = f"Token {server.new_token()}"
    line.session.headers["X-API-KEY"] = server.api_key
    assert await line.refused(query="") == (403, "")


async def test_a_user_who_is_blocked_from_the_dashboard_is_refused(server: Simulator, line: Line) -> None:
    token = server.new_token(server.add_user("apionly").username)
    server.user("apionly").blocked = True
    assert await line.refused(query=f"access_token={token}") == (403, "")


async def test_an_expired_token_is_refused(server: Simulator, line: Line) -> None:
    token = server.new_token()
    async with await line.open(query=f"access_token={token}") as socket:
        assert server.expire_tokens() == 1
        assert await line.refused(query=f"access_token={token}") == (403, "")
        await socket.send_json({"cmd": "echo still"})
        assert output(await until_done(socket)) == "still\n"


async def test_without_the_permission_it_is_accepted_only_to_say_so(server: Simulator, line: Line) -> None:
    token = server.new_token(server.add_user("limited", permissions=["can_list_agents"]).username)
    for path in ("", f"/ws/agent/{'z' * 40}/cmd/"):
        async with await line.open(path, f"access_token={token}") as socket:
            words = "You do not have permission to perform this action."
            assert await frame(socket) == {"error": words, "status": 403}
            await socket.receive(timeout=5)
        assert socket.close_code == 4003
    here = f"{server.url}/ws/agent/{line.agent_id}/cmd/?access_token={token}"
    async with line.session.get(here, headers={"Upgrade": "websocket"}) as answer:
        assert answer.status == 400
    with server.restrict("can_send_cmd"):
        async with await line.open() as socket:
            assert (await frame(socket))["status"] == 403


async def test_an_unknown_agent_is_an_error_in_the_server(line: Line) -> None:
    assert await line.refused(f"/ws/agent/{'z' * 40}/cmd/") == (500, "Internal Server Error")


@pytest.mark.parametrize("path", ["/ws/nope/", "/ws/dashinfo"])
async def test_an_unknown_path_is_an_error_in_the_server_too(line: Line, path: str) -> None:
    assert await line.refused(path) == (500, "Internal Server Error")


async def test_an_old_agent_has_no_live_commands(server: Simulator, line: Line) -> None:
    server.agents[0].version = "2.9.1"
    async with await line.open() as socket:
        words = "The streaming feature requires agent version 2.10.0 or higher."
        assert await frame(socket) == {"error": words, "status": 400}
        await socket.receive(timeout=5)
    assert socket.close_code == 1000


async def test_over_plain_http_there_is_nothing(server: Simulator, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{server.url}/ws/dashinfo/?access_token={server.new_token()}") as response:
        assert response.status == 404
        assert response.content_type == "text/html"


async def test_the_ledger_does_not_show_the_token(server: Simulator, line: Line) -> None:
    token = server.new_token()
    async with await line.open(query=f"access_token={token}"):
        pass
    assert server.requests[-1].query == {"access_token": "***"}
    assert token not in repr(server.requests)


# -- what a test does to them --------------------------------------------------------------------------------


async def test_the_switches_for_event_sockets_work_on_them(server: Simulator, line: Line) -> None:
    async with await line.open() as socket:
        await server.wait_for_subscribers(line.agent_id)
        assert server.send_frame(line.agent_id, '{"x": 1}') == 1
        assert await frame(socket) == {"x": 1}
        assert server.drop_events(line.agent_id) == 1
        await socket.receive(timeout=5)
        assert socket.close_code == 1006
    with server.refuse_events(line.agent_id, status=403):
        assert await line.refused() == (403, "")


async def test_no_events_are_pushed(server: Simulator, line: Line) -> None:
    async with await line.open() as socket:
        server.raise_alert(line.agent_id)
        await socket.send_json({"cmd": "echo next", "cmd_id": "x"})
        assert await frame(socket) == {"cmd_id": "x"}


async def test_without_a_bus_it_says_so_and_never_ends(server: Simulator, line: Line) -> None:
    async with await line.open() as socket:
        with server.nats_down():
            await socket.send_json({"cmd": "echo hi", "cmd_id": "x"})
            assert await frame(socket) == {"cmd_id": "x"}
            words = "[ERROR] Could not connect to NATS: nats: no servers available for connection"
            assert await frame(socket) == {"cmd_id": "x", "output": words}
        await socket.send_json({"cmd": "echo hi", "cmd_id": "y"})
        assert [each["cmd_id"] for each in await until_done(socket)] == ["y", "y", "y"]


# -- the dashboard -------------------------------------------------------------------------------------------


async def test_the_dashboard_is_told_how_many_agents_there_are(server: Simulator, line: Line) -> None:
    servers = [agent for agent in server.agents if agent.monitoring_type == "server"]
    async with await line.open("/ws/dashinfo/") as socket:
        first = await frame(socket)
        counts = first["data"]
        assert isinstance(counts, dict)
        assert first["action"] == "dashboard.agentcount"
        assert counts["total_server_count"] == len(servers)
        assert counts["total_workstation_count"] == len(server.agents) - len(servers)
        server.go_offline(servers[0].agent_id)
        server.dashinfo_seconds = 0.005
        assert await frame(socket) == first | {"data": counts | {"total_server_offline_count": 1}}
        assert server.dashinfo_seconds == 0.005
        assert (await frame(socket))["action"] == "dashboard.agentcount"
        await socket.send_str("{}")
        await socket.send_str("garbage")
        async with asyncio.timeout(30):
            while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
    assert socket.close_code == 1006


async def test_who_may_see_no_agents_counts_none(server: Simulator, line: Line) -> None:
    token = server.new_token(server.add_user("norole", permissions=[]).username)
    async with await line.open("/ws/dashinfo/", f"access_token={token}") as socket:
        counts = (await frame(socket))["data"]
        assert isinstance(counts, dict)
        assert (counts["total_server_count"], counts["total_workstation_count"]) == (0, 0)


# -- recorded transcripts ------------------------------------------------------------------------------------

SPARED = {
    "cmd_stream_big_2000_lines": "most of it is loss",
    "cmd_stream_runs_past_timeout": "takes three seconds; tested above",
    "dashinfo": "takes thirty seconds; tested above",
    "terminal_ok": "the prompt came in one frame with the output; tested above",
    "trmmcli_disabled_or_ok": "the server's own terminal: not in the simulator",
}
TRANSCRIPTS = [path.stem for path in sorted((FOLDER / "ws").glob("*.json")) if path.stem not in SPARED]


def agent_of_the_recordings(run: Run) -> ScriptReply:
    words = (run.command or "").removeprefix("nodone ").removeprefix("fast ").split(" ")
    match words[0]:
        case "lines":
            return ScriptReply("".join(f"line {each}\n" for each in range(1, int(words[1]) + 1)), seconds=0.0)
        case "exit":
            return ScriptReply(retcode=int(words[1]), seconds=0.0)
        case "stderr":
            return ScriptReply("partial out\n", f"{words[1]}\n", 1, seconds=0.0)
        case _:
            return ScriptReply(f"{words[1]}\n", seconds=0.0)


def _recorded_server(server: Simulator, name: str) -> str:
    """Make the simulator like the recorded server and return the token that the recording was made with."""
    furnish(server)
    old = next(iter(server.agents[1:2]))
    server.world.agents["aFnYVKwQzpLUCadTrIhEhvLlbOnbncTIsHVcQXPQ"] = old
    server.command(handler=agent_of_the_recordings)
    if "old_agent" in name:
        old.version = "2.6.0"
    if "never_done" in name:
        server.omit_done()
    if "fast_output" in name:
        server.lose_frames(lambda _frame: True)
    if name.startswith("terminal_"):
        server.world.agents["pzvqYMtrbuvZwnZuDMjJxyZLLKcgTAOGSfuihvmu"].plat = "linux"
        server.command(handler=lambda run: ScriptReply(f"you said '{run.command}'\r\n", seconds=0.0))
    limited = any(word in name for word in ("no_permission", "no_role", "limited", "norole"))
    role = ["can_list_agents"] * ("norole" not in name) if limited else None
    user = server.add_user("recorded", permissions=role, blocked="blocked" in name)
    return "0" * 64 if "expired" in name else server.new_token(user.username)


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_a_recorded_transcript(name: str, session: aiohttp.ClientSession) -> None:
    path = FOLDER / "ws" / f"{name}.json"
    real = json.loads(path.read_text())
    async with Simulator(dialect="stock", agents=10, offline_hold=0.0) as server:
        token = _recorded_server(server, name)
        url = server.url + str(real["url"]).replace("<knox>", token)
        headers = real["headers"] or {}
        if real["handshake"]["status"] != 101:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url, headers=headers)
            assert caught.value.status == real["handshake"]["status"]
            return
        async with session.ws_connect(url, headers=headers) as socket:
            ours = [_form(each) for each in await _talk(socket, real)]
            theirs = [_form(each["data"]) for each in real["frames"] if each["dir"] == "server->client"]
            # Two commands at a time are interleaved as it happens.
            assert sorted(ours, key=repr) == sorted(theirs, key=repr)
            assert ours == theirs or "two_commands" in name
            if "close" in real:
                await socket.receive(timeout=5)
                assert socket.close_code == (real["close"]["code"] or 1006)


async def _talk(
    socket: aiohttp.ClientWebSocketResponse, real: Mapping[str, list[dict[str, object]]]
) -> Frames:
    """Send what the recorded client sent, and receive as much as it received."""
    ours: Frames = []
    for each in real["frames"]:
        if each["dir"] == "server->client":
            ours.append(await frame(socket))
            continue
        data = each["data"]
        if isinstance(data, dict) and "_bytes" in data:
            await socket.send_bytes(bytes.fromhex(str(data["_bytes"])))
        else:
            await socket.send_str(data if isinstance(data, str) else json.dumps(data))
    return ours


def _form(each: object) -> object:
    """Return a frame without its made-up id and its counts."""
    assert isinstance(each, dict)
    if each.get("action") == "dashboard.agentcount":
        return {"action": each["action"], "data": sorted(each["data"])}
    return {name: value for name, value in each.items() if name != "cmd_id"} | {"id": "cmd_id" in each}
