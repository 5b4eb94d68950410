"""Terminals of agents: what is typed is echoed and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .lines import Line, frame

if TYPE_CHECKING:
    import aiohttp

    from trmm_async.testing import Simulator

SESSION = "a6d6bc2f-d7bf-4383-8bd3-b068b7d09d2a"


async def typed(socket: aiohttp.ClientWebSocketResponse, **content: object) -> None:
    await socket.send_json(content)


async def test_a_terminal_echoes_and_runs_what_is_typed(server: Simulator, line: Line) -> None:
    server.command("dir", stdout="one\n", seconds=0.0)
    async with await line.open(f"/ws/agent/{line.agent_id}/terminal/{SESSION}/") as socket:
        await typed(socket, action="input", data="ignored\r")
        await typed(socket, action="start")
        await typed(socket, action="start", shell="powershell")
        await typed(socket, action="input", data="di")
        await typed(socket, action="input", data="r\r")
        shown = [await frame(socket) for _ in range(5)]
        await typed(socket, action="kill")
        await typed(socket, action="kill")
        shown.append(await frame(socket))
    found = [each["data"] for each in shown]
    assert [each["output"] for each in found] == ["cmd> ", "di", "r\r\n", "one\n", "cmd> ", ""]  # type: ignore[index]
    assert found[-1] == {"output": "", "session_id": SESSION, "exit_code": 0, "done": True, "messageId": "6"}
    assert server.runs[0].output == "terminal"


@pytest.mark.parametrize(
    ("plat", "shell", "code"),
    [
        ("windows", "bash", "invalid_shell"),
        ("windows", r"C:\a & b\cmd.exe", "invalid_shell"),
        ("windows", r"C:\shells\cmd.exe", None),
        ("windows", r"C:\nowhere\x.exe", "terminal_start_failed"),
        ("linux", "powershell", "invalid_shell"),
        ("linux", "/bin/zsh", None),
    ],
)
async def test_which_shells_can_be_started(
    server: Simulator, line: Line, plat: str, shell: str, code: str | None
) -> None:
    server.agents[0].plat = plat
    async with await line.open(f"/ws/agent/{line.agent_id}/terminal/{SESSION}/") as socket:
        await typed(socket, action="start", shell=shell)
        assert (await frame(socket)).get("code") == code


async def test_a_terminal_without_a_bus(server: Simulator, line: Line) -> None:
    async with await line.open(f"/ws/agent/{line.agent_id}/terminal/{SESSION}/") as socket:
        with server.nats_down():
            await typed(socket, action="start")
            assert (await frame(socket))["error"] == "Failed to start terminal session."
    with server.restrict("can_use_terminal"):
        assert await line.refused(f"/ws/agent/{line.agent_id}/terminal/{SESSION}/") == (403, "")
