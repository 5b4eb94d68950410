"""Calls for many agents: what is sent, never twice, and which rows come of it. (Recordings: replays/bulk.)"""

import json
from typing import Any

import pytest

from trmm_async.calls import Replay
from trmm_async.dialects.stock.bulk import PatchMode, command_run, patch_call
from trmm_async.dialects.stock.commands import CommandRun

RUN = CommandRun(command="whoami", shell="bash", custom_shell=None, timeout=30, run_as_user=True)


def test_a_command_is_found_again_by_its_text_in_rows_that_come_late() -> None:
    run = command_run(("a", "b"), RUN)
    assert (run.script, run.agent_ids, run.timeout, run.rows_come_late) == ("whoami", ("a", "b"), 30, True)
    assert run.send.replay is Replay.NEVER
    sent: dict[str, Any] = json.loads(run.send.body or b"")
    assert (sent["mode"], sent["agents"], sent["cmd"], sent["shell"]) == (
        "command",
        ["a", "b"],
        "whoami",
        "bash",
    )
    assert (sent["timeout"], sent["run_as_user"], sent["custom_shell"]) == (30, True, None)


def test_a_shell_of_ones_own_is_told_as_such() -> None:
    own = CommandRun(command="x", shell="cmd", custom_shell="/bin/zsh", timeout=30, run_as_user=False)
    sent: dict[str, Any] = json.loads(command_run(("a",), own).send.body or b"")
    assert (sent["shell"], sent["custom_shell"]) == ("custom", "/bin/zsh")


@pytest.mark.parametrize("mode", ["scan", "install"])
def test_patches_are_for_windows_alone(mode: PatchMode) -> None:
    call = patch_call(("a",), mode)
    sent: dict[str, Any] = json.loads(call.body or b"")
    assert (sent["mode"], sent["patchMode"], sent["osType"], sent["agents"]) == (
        "patch",
        mode,
        "windows",
        ["a"],
    )
    assert call.replay is Replay.NEVER
