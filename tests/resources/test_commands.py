"""Live commands: never twice, never for ever, and honest about what may be missing."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from tests.resources.recorded_commands import read, text
from tests.servers import served
from trmm_async import (
    TRMM,
    AuthenticationError,
    BadRequestError,
    ClosedError,
    CommandOutput,
    CommandResult,
    CommandSettings,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.dialects.stock.live_commands import (
    Refused,
    Taken,
    Unreadable,
)
from trmm_async.errors import AgentSilentError
from trmm_async.models import HistoryEntry
from trmm_async.resources.commands import CommandLog, CommandStream, report_of
from trmm_async.stream import LinkSettings, NoLink
from trmm_async.testing import Simulator

QUICK = CommandSettings(grace=0.2, report=0.3, look_every=0.05)
AT_ONCE = CommandSettings(grace=-2.0, report=0.3, look_every=0.05)
"""Gives up when the command's timeout is over, without the server's 2 s on top."""

Line = tuple[Simulator, TRMM, str]


@asynccontextmanager
async def stock(**world: Any) -> AsyncIterator[Line]:
    async with (
        asyncio.timeout(30),
        Simulator(agents=2, dialect="stock", **world) as server,
        TRMM(
            server.url, api_key=server.api_key, dialect="stock", access_token=server.new_token, retries=0
        ) as trmm,
    ):
        yield server, trmm, server.agent_ids[0]


# -- what comes live -----------------------------------------------------------------------------------------


async def test_output_comes_live_and_then_the_result() -> None:
    async with stock() as (server, trmm, agent):
        server.command("list", seconds=0.2, stdout="one\ntwo\n", stderr="no three\n", retcode=3)
        stream = trmm.agents.stream_command(agent, "list", shell="powershell", timeout=7, run_as_user=True)
        pieces = await read(stream)
        assert text(pieces) == "one\ntwo\nno three\n"
        assert [piece.done for piece in pieces] == [False, False, False, True]
        assert pieces[-1].exit_code == 3
        assert stream.result == CommandResult(exit_code=3, output="one\ntwo\nno three\n")
        assert (stream.complete, stream.why_incomplete, stream.result.ok) == (True, "", False)
        (run,) = server.runs
        assert (run.command, run.shell, run.timeout, run.run_as_user) == ("list", "powershell", 7, True)
        assert {piece.cmd_id for piece in pieces} == {run.cmd_id}


async def test_a_command_that_prints_nothing_ends_well() -> None:
    async with stock() as (server, trmm, agent):
        server.command("quiet", stdout="", retcode=0, seconds=0.01)
        stream = trmm.agents.stream_command(agent, "quiet")
        assert [piece.output for piece in await read(stream)] == [""]
        assert stream.complete
        assert stream.result.ok


async def test_two_at_once_do_not_mix() -> None:
    async with stock() as (server, trmm, agent):
        server.command("a", seconds=0.1, stdout="a1\na2\n")
        server.command("b", seconds=0.1, stdout="b1\nb2\n")
        first, second = (trmm.agents.stream_command(agent, name) for name in "ab")
        assert [text(pieces) for pieces in await asyncio.gather(read(first), read(second))] == [
            "a1\na2\n",
            "b1\nb2\n",
        ]


# -- what gets lost ------------------------------------------------------------------------------------------


async def test_an_end_that_got_lost_is_made_up_and_said() -> None:
    async with stock() as (server, trmm, agent):
        server.command("list", seconds=0.05, stdout="one\ntwo\n", retcode=3)
        with server.omit_done():
            stream = trmm.agents.stream_command(agent, "list", timeout=1, settings=AT_ONCE)
            pieces = await read(stream)
        assert [(piece.output, piece.done) for piece in pieces] == [
            ("one\n", False),
            ("two\n", False),
            ("", True),
        ]
        assert not stream.complete
        assert "no end came within 1 s" in stream.why_incomplete
        assert stream.result == CommandResult(output="one\ntwo\n", from_history=True)


async def test_of_a_command_that_was_too_quick_the_history_has_the_output() -> None:
    async with stock() as (server, trmm, agent):
        server.command("list", seconds=0.01, stdout="one\r\ntwo\r\n")
        with server.lose_frames(lambda _: True):
            stream = trmm.agents.stream_command(agent, "list", timeout=1, settings=AT_ONCE)
            pieces = await read(stream)
        assert [(piece.output, piece.done, piece.exit_code) for piece in pieces] == [
            ("one\ntwo\n", True, None)
        ]
        assert not stream.complete
        assert stream.result == CommandResult(output="one\ntwo\n", from_history=True)


async def test_a_lost_frame_and_end_are_made_up_for_by_the_history() -> None:
    async with stock() as (server, trmm, agent):
        server.command("list", seconds=0.05, stdout="one\ntwo\nthree\n")
        with server.omit_done(), server.lose_frames(lambda frame: frame.get("output") == "two\n"):
            stream = trmm.agents.stream_command(agent, "list", timeout=1, settings=AT_ONCE)
            pieces = await read(stream)
        assert text(pieces) == "one\nthree\n"
        assert stream.result == CommandResult(output="one\ntwo\nthree\n", from_history=True)


async def test_a_burst_may_have_lost_frames_and_the_history_is_asked() -> None:
    lines = "".join(f"line {number}\n" for number in range(1, 151))
    async with stock() as (server, trmm, agent):
        server.command("burst", seconds=0.01, stdout=lines, retcode=0)
        with server.lose_frames(lambda frame: frame.get("output") == "line 77\n"):
            stream = trmm.agents.stream_command(agent, "burst", settings=QUICK)
            pieces = await read(stream)
        assert "line 77\n" not in text(pieces)
        assert pieces[-1].done
        assert not stream.complete
        assert "100 frames" in stream.why_incomplete
        assert stream.result == CommandResult(exit_code=0, output=lines, from_history=True)


async def test_a_report_that_lacks_what_came_live_is_not_taken_for_the_output() -> None:
    # A Windows agent reports the errors alone where there are some.
    async with stock() as (server, trmm, agent):
        server.world.agent(agent).plat = "windows"
        server.command("mixed", seconds=0.05, stdout="one\n", stderr="oops\n")
        with server.omit_done():
            stream = trmm.agents.stream_command(agent, "mixed", timeout=1, settings=AT_ONCE)
            await read(stream)
        assert stream.result == CommandResult(output="one\noops\n")
        assert not stream.complete


async def test_a_connection_that_is_lost_is_told_and_the_command_not_sent_again() -> None:
    async with stock() as (server, trmm, agent):
        server.command("slow", seconds=0.4, stdout="one\ntwo\nthree\nfour\n")
        stream = trmm.agents.stream_command(agent, "slow", timeout=1, settings=QUICK)
        async with stream as output:
            pieces = [await anext(output)]
            server.drop_events(agent)
            pieces += [piece async for piece in output]
        assert pieces[-1].done
        assert not stream.complete
        assert "the command may still run" in stream.why_incomplete
        assert stream.result == CommandResult(output="one\ntwo\nthree\nfour\n", from_history=True)
        assert len(server.runs) == 1


async def test_a_connection_that_is_lost_before_anything_came_is_an_unknown_outcome() -> None:
    async with stock() as (server, trmm, agent):
        server.hang(agent)
        stream = trmm.agents.stream_command(agent, "slow", timeout=1, settings=QUICK)
        with pytest.raises(OutcomeUnknownError, match="it may have run"):
            async with stream as output:
                server.drop_events(agent)
                await anext(output)
        with pytest.raises(ClosedError):
            _ = stream.result


@pytest.mark.parametrize(("reason", "words"), [("offline", "is offline"), ("silent", "is silent")])
async def test_an_agent_that_says_nothing_is_an_error_that_says_which(reason: str, words: str) -> None:
    async with stock() as (server, trmm, agent):
        (server.go_offline if reason == "offline" else server.hang)(agent)
        stream = trmm.agents.stream_command(agent, "echo hi", timeout=1, settings=AT_ONCE)
        with pytest.raises(AgentSilentError, match=words) as caught:
            await read(stream)
        assert (caught.value.reason, caught.value.agent_id) == (reason, agent)
        assert server.runs == []


async def test_nobody_waits_for_the_report_of_an_agent_that_is_offline() -> None:
    async with stock() as (server, trmm, agent):
        server.go_offline(agent)
        settings = CommandSettings(grace=-2.0, report=3600.0)
        with pytest.raises(AgentSilentError):
            await read(trmm.agents.stream_command(agent, "echo hi", timeout=1, settings=settings))


async def test_a_server_without_its_bus_says_so() -> None:
    async with stock(offline_hold=0.05) as (server, trmm, agent):
        with server.nats_down():
            stream = trmm.agents.stream_command(agent, "echo hi", timeout=1, settings=AT_ONCE)
            pieces = await read(stream)
        assert pieces[0].output.startswith("[ERROR] Could not connect to NATS")
        assert pieces[-1].done
        assert "could not reach the agent" in stream.why_incomplete
        assert server.runs == []


async def test_a_wait_that_is_cancelled_loses_no_piece() -> None:
    async with stock() as (server, trmm, agent):
        server.command("list", seconds=0.3, stdout="".join(f"{number}\n" for number in range(120)))
        server.report_delay = 0.3
        pieces: list[CommandOutput] = []
        async with trmm.agents.stream_command(agent, "list", settings=CommandSettings(burst=50)) as output:
            patience = 0.001
            while not pieces or not pieces[-1].done:
                patience *= 1.05
                try:
                    async with asyncio.timeout(patience):
                        pieces.append(await anext(output))
                except TimeoutError:
                    continue
        assert text(pieces) == output.result.output
        assert pieces[-1].exit_code == 0


async def test_the_deadline_is_the_servers_own_and_some() -> None:
    async with stock() as (server, trmm, agent):
        server.command("slow", seconds=60, stdout="one\n" * 60)
        settings = CommandSettings(grace=0.1, report=0.1)
        begun = asyncio.get_running_loop().time()
        stream = trmm.agents.stream_command(agent, "slow", timeout=1, settings=settings)
        pieces = await read(stream)
        assert 3.0 < asyncio.get_running_loop().time() - begun < 30.0
        assert pieces[-1].done
        assert text(pieces) == "one\none\n"
        assert not stream.complete


async def test_a_history_that_may_not_be_read_costs_only_what_it_could_have_told() -> None:
    async with stock() as (server, trmm, agent):
        server.command("list", seconds=0.01, stdout="one\n")
        server.fail("GET", "/history/", status=403, times=None)
        with server.omit_done():
            stream = trmm.agents.stream_command(agent, "list", timeout=1, settings=AT_ONCE)
            await read(stream)
        assert stream.result == CommandResult(output="one\n")


# -- refusals ------------------------------------------------------------------------------------------------


async def refusal(stream: CommandStream) -> BaseException:
    with pytest.raises(TRMMError) as caught:
        async with stream:
            pass
    return caught.value


async def test_without_a_login_nothing_is_sent() -> None:
    async with served("stock", agents=1) as (server, trmm):
        error = await refusal(trmm.agents.stream_command(server.agent_ids[0], "x"))
        assert isinstance(error, AuthenticationError)
        assert "trmm.login(" in str(error)
        assert server.requests == []


async def test_a_user_without_the_permission() -> None:
    async with stock() as (server, trmm, agent):
        server.user().permissions = frozenset({"can_list_agents"})
        error = await refusal(trmm.agents.stream_command(agent, "x"))
        assert isinstance(error, PermissionDeniedError)
        assert "permission" in str(error)
        assert server.runs == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (4401, AuthenticationError),
        (4403, PermissionDeniedError),
        (4003, PermissionDeniedError),
        (1011, OutcomeUnknownError),
    ],
)
async def test_a_socket_that_is_closed_without_a_word(code: int, kind: type[TRMMError]) -> None:
    async def close(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.close(code=code)
        return socket

    app = web.Application()
    app.router.add_get("/ws/agent/{agent}/cmd/", close)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        async with (
            asyncio.timeout(20),
            TRMM(f"http://{host}:{port}", api_key="k", dialect="stock", access_token="t", retries=0) as trmm,
        ):
            with pytest.raises(kind):
                await read(trmm.agents.stream_command("a" * 40, "x", settings=QUICK))
    finally:
        await runner.cleanup()


async def test_an_agent_that_is_too_old_is_told_what_to_use() -> None:
    async with stock() as (server, trmm, agent):
        server.world.agent(agent).version = "2.9.1"
        error = await refusal(trmm.agents.stream_command(agent, "x"))
        assert isinstance(error, UnsupportedError)
        assert "2.10.0" in str(error)
        assert "run_command" in str(error)


async def test_an_agent_that_is_not_there() -> None:
    async with stock() as (_, trmm, _):
        error = await refusal(trmm.agents.stream_command("z" * 40, "x"))
        assert isinstance(error, NotFoundError)
        assert "z" * 40 in str(error)


async def test_a_server_that_fails_is_a_failed_connection() -> None:
    async with stock() as (server, trmm, agent):
        for status in (500, 502):
            with server.fail("GET", "/ws/", status=status):
                error = await refusal(trmm.agents.stream_command(agent, "x"))
            assert isinstance(error, ConnectionFailedError)
        assert server.runs == []


async def test_a_server_that_is_not_there() -> None:
    async with stock() as (server, _, agent):
        url = server.url
    async with TRMM(url, api_key="k", dialect="stock", access_token="t", retries=0) as trmm:
        assert isinstance(await refusal(trmm.agents.stream_command(agent, "x")), ConnectionFailedError)


async def test_a_blocked_user_is_refused_with_a_fresh_token_too() -> None:
    async with stock() as (server, trmm, agent):
        server.user().blocked = True
        error = await refusal(trmm.agents.stream_command(agent, "x"))
        assert isinstance(error, AuthenticationError)
        assert sum("/ws/" in each.path for each in server.requests) == 2


async def test_a_gateway_has_none_of_it() -> None:
    async with served("gateway", agents=1) as (server, trmm):
        error = await refusal(trmm.agents.stream_command(server.agent_ids[0], "x"))
        assert isinstance(error, UnsupportedError)
        assert "agents.stream_command" in str(error)
        assert server.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"command": ""},
        {"command": "a\0b"},
        {"command": None},
        {"shell": ""},
        {"timeout": 0},
        {"timeout": 1.5},
        {"run_as_user": 1},
    ],
)
async def test_wrong_arguments_are_refused_at_once(wrong: dict[str, Any]) -> None:
    async with stock() as (server, trmm, agent):
        with pytest.raises(InvalidRequestError):
            trmm.agents.stream_command(agent, **{"command": "x", **wrong})
        assert server.requests == []


async def test_a_command_that_is_too_long_is_refused_before_anything_is_sent() -> None:
    async with stock() as (server, trmm, agent):
        error = await refusal(trmm.agents.stream_command(agent, "x" * 40_000))
        assert isinstance(error, InvalidRequestError)
        assert server.requests == []


# -- the token -----------------------------------------------------------------------------------------------


async def test_a_refused_token_is_renewed_once_and_the_command_sent_once() -> None:
    async with stock() as (server, trmm, agent):
        await read(trmm.agents.stream_command(agent, "echo one"))
        server.expire_tokens()
        pieces = await read(trmm.agents.stream_command(agent, "echo two"))
        assert text(pieces) == "two\n"
        assert [run.command for run in server.runs] == ["echo one", "echo two"]


async def test_the_token_is_in_no_path_repr_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Simulator(agents=1, dialect="stock") as server:
        token, agent = server.new_token(), server.agent_ids[0]
        async with TRMM(server.url, api_key=server.api_key, dialect="stock", access_token=token) as trmm:
            async with trmm.agents.stream_command(agent, "echo hi") as output:
                (link,) = output._roll
                shown = [repr(link), repr(output), repr(trmm), repr(trmm._api.tokens), repr(vars(link._ws))]
                assert "/cmd/" in repr(link)
            server.expire_tokens()
            error = await refusal(trmm.agents.stream_command(agent, "echo hi"))
            shown += [str(error), repr(error), repr(vars(error))]
    # The server's own access log is not ours.
    shown += [each.getMessage() for each in caplog.records if not each.name.startswith("aiohttp.access")]
    assert [each for each in shown if token in each] == []


# -- its life ------------------------------------------------------------------------------------------------


async def test_leaving_early_leaves_neither_task_nor_socket() -> None:
    async with stock() as (server, trmm, agent):
        before = asyncio.all_tasks()
        server.command("slow", seconds=5, stdout="one\n" * 50)
        async with trmm.agents.stream_command(agent, "slow") as output:
            await anext(output)
            (link,) = output._roll
        assert link.gone.done()
        assert output._roll == set()
        ours = [task for task in asyncio.all_tasks() - before if "testing" not in repr(task.get_coro())]
        assert [task for task in ours if "trmm_async" in repr(task.get_coro())] == []
        assert len(server.runs) == 1


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_cancelled_anywhere_it_leaves_no_socket(turns: int) -> None:
    async with stock() as (server, trmm, agent):
        server.command("slow", seconds=0.02, stdout="one\ntwo\n")
        stream = trmm.agents.stream_command(agent, "slow")
        task = asyncio.create_task(read(stream))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for link in tuple(stream._roll):
            await link.gone
        assert stream._roll == set()
        assert len(server.runs) <= 1


async def test_it_is_entered_first_and_once_and_ends_for_good() -> None:
    async with stock() as (_, trmm, agent):
        output = trmm.agents.stream_command(agent, "echo hi")
        assert "new" in repr(output)
        assert not output.complete
        assert output.why_incomplete
        with pytest.raises(ClosedError, match="enter"):
            await anext(output)
        async with output:
            assert "running" in repr(output)
            with pytest.raises(ClosedError, match="no result"):
                _ = output.result
            async for _ in output:
                pass
            with pytest.raises(StopAsyncIteration):
                await anext(output)
        assert "ended" in repr(output)
        with pytest.raises(ClosedError, match="already"):
            async with output:
                pass


async def test_a_closed_client_sends_nothing() -> None:
    async with stock() as (server, trmm, agent):
        await read(trmm.agents.stream_command(agent, "echo hi"))
        await trmm.aclose()
        assert isinstance(await refusal(trmm.agents.stream_command(agent, "echo hi")), ClosedError)
        assert len(server.runs) == 1


async def test_a_link_sends_what_is_short_and_only_while_it_is_open() -> None:
    async with stock() as (server, trmm, agent):
        roll: set[Any] = set()
        query = f"access_token={server.new_token()}"
        link = await trmm._api.dialer.dial(f"/ws/agent/{agent}/cmd/", LinkSettings(), roll, query=query)
        assert not isinstance(link, NoLink)
        with pytest.raises(InvalidRequestError):
            link.send("x" * 100_000)
        link.send('{"cmd": "echo hi", "cmd_id": "a"}')
        assert json.loads((await link.receive())[0]) == {"cmd_id": "a"}
        link.hang_up()
        with pytest.raises(ConnectionFailedError, match="closed by us"):
            link.send("x")
        await link.gone


# -- the reader, on what was recorded ------------------------------------------------------------------------


def test_a_pause_ends_a_burst() -> None:
    settings = CommandSettings(burst=3, burst_gap=1.0)
    piece = CommandOutput(agent_id="a", output="x")
    for times, suspicious in (
        ([0.0, 0.5, 1.0], True),
        ([0.0, 0.5, 2.0, 2.5], False),
        ([0.0, 2.0, 2.5, 3.0], True),
    ):
        log = CommandLog(settings)
        for when in times:
            log.note(piece, when)
        assert bool(log.why) is suspicious


def test_an_error_after_the_command_was_taken_is_no_refusal() -> None:
    log = CommandLog(CommandSettings())
    log.note(Taken(), 0.0)
    log.note(Refused(BadRequestError(400, "what?")), 0.0)
    assert log.refusal is None
    assert "what?" in log.why


def test_a_frame_that_cannot_be_read_is_one_that_is_missing() -> None:
    log = CommandLog(CommandSettings())
    log.note(Unreadable(), 0.0)
    assert "could not be read" in log.why
    assert "not taken" in repr(log)


# -- the history ---------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 23, 19, 35, 0, tzinfo=UTC)


def row(output: str | None, seconds: float = 1.0, command: str = "x", kind: str = "cmd_run") -> HistoryEntry:
    return HistoryEntry(
        id=1, type=kind, time=NOW + timedelta(seconds=seconds), command=command, output=output
    )


@pytest.mark.parametrize(
    ("rows", "pieces", "report", "may_come"),
    [
        ([], [], None, True),
        ([row("a\r\nb\r\n")], [], "a\nb\n", False),
        ([row("a\r\nb\r\n")], ["a\n", "b\n"], "a\nb\n", False),
        ([row("a\nb\nc\n")], ["a\n", "c\n"], "a\nb\nc\n", False),
        ([row("a\nb\n")], ["b\n", "a\n"], None, False),
        ([row(None)], [], None, True),
        ([row("", 1.0)], [], "", False),
        ([row("other"), row(None)], ["a\n"], None, True),
        ([row("other"), row("a\n")], ["a\n"], "a\n", False),
        ([row("a\n"), row("a\n")], [], "a\n", False),
        ([row("a\n"), row("b\n")], [], None, False),
        ([row("a\n", -1.0)], [], None, True),
        ([row("a\n", command="y"), row("a\n", kind="script_run")], [], None, True),
    ],
)
def test_the_history_tells_only_what_can_be_told_apart(
    rows: list[HistoryEntry], pieces: list[str], report: str | None, may_come: bool
) -> None:
    assert report_of(rows, "x", NOW, pieces) == (report, may_come)
