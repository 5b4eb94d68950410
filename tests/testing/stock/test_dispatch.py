"""What is sent to agents, and what they report."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import eventually
from trmm_async.testing.ledger import Run
from trmm_async.testing.stock.dispatch import command_text, script_text

from .orders import command, run

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_an_agent_that_is_lost_in_the_middle_is_a_timeout_and_reports_nothing(
    server: Simulator, http: Http, jade: str
) -> None:
    server.script(1, seconds=60.0)
    waiting = asyncio.ensure_future(run(http, jade))
    await eventually(lambda: server.runs)
    server.go_offline(jade)
    assert (await waiting).json == "timeout"
    assert server.runs[0].lost
    assert server.world.journal.history[1].script_results is None


async def test_a_script_that_takes_too_long_is_a_timeout_and_the_agent_reports_it(
    server: Simulator, http: Http, jade: str
) -> None:
    server.script(1, seconds=600.0)
    assert (await run(http, jade, timeout=-3)).json == "timeout"
    result = server.world.journal.history[1].script_results
    assert result
    assert (result["retcode"], result["stderr"]) == (98, "Timed out")


async def test_windows_shows_one_output_of_a_command_and_the_others_both(
    server: Simulator, http: Http, jade: str
) -> None:
    server.command(stdout="out", stderr="err", seconds=0.0)
    assert (await command(http, jade)).json == "err"
    server.agents[0].plat = "linux"
    assert (await command(http, jade)).json == "out\nerr"


async def test_a_command_that_takes_too_long_is_answered_with_what_it_printed(
    server: Simulator, http: Http, jade: str
) -> None:
    server.command(stdout="a\nb\n", seconds=600.0)
    answer = await command(http, jade, timeout=0)
    assert (answer.status, answer.json) == (200, "")


async def test_a_deleted_agents_run_reports_to_nobody(server: Simulator, http: Http, jade: str) -> None:
    server.script(1, seconds=0.05)
    await run(http, jade, output="forget")
    assert (await http("DELETE", f"/agents/{jade}/")).status == 200
    await eventually(lambda: server.runs[0].finished)
    assert server.world.journal.history == {}


@pytest.mark.parametrize(
    ("out", "err", "windows", "linux"),
    [
        ("out", "err", "err", "out\nerr"),
        ("out", "", "out", "out"),
        ("", "err", "err", "\nerr"),
        ("", "", "", ""),
    ],
)
def test_what_becomes_of_two_outputs(out: str, err: str, windows: str, linux: str) -> None:
    run = Run(agent_id="a", script=1, stdout=out, stderr=err)
    assert command_text(run, "windows") == windows
    assert command_text(run, "linux") == command_text(run, "darwin") == linux
    assert script_text(run) == out + err


def test_a_word_of_the_server_is_told_as_it_is() -> None:
    assert [script_text(word) for word in ("timeout", "natsdown")] == ["timeout", "natsdown"]
