"""Calls for many agents, besides scripts of the library: commands, and work on patches."""

from typing import Literal

from trmm_async.calls import Call
from trmm_async.dialects.base import HistoryRun
from trmm_async.dialects.stock.commands import CommandRun
from trmm_async.dialects.stock.dialect import COMMAND_MANY, PATCH_MANY, body_for_many

__all__ = ["PatchMode", "command_run", "patch_call"]

PatchMode = Literal["scan", "install"]


def command_run(agent_ids: tuple[str, ...], run: CommandRun) -> HistoryRun:
    """A command on many agents, or on one: no worker of the server waits for it."""
    more: dict[str, object] = {
        "shell": "custom" if run.custom_shell else run.shell,
        "custom_shell": run.custom_shell,
        "cmd": run.command,
        "timeout": run.timeout,
        "run_as_user": run.run_as_user,
    }
    return HistoryRun(
        send=COMMAND_MANY.call(body=body_for_many("command", agent_ids) | more),
        script=run.command,
        agent_ids=agent_ids,
        timeout=run.timeout,
        rows_come_late=True,
    )


def patch_call(agent_ids: tuple[str, ...], mode: PatchMode) -> Call[int | None]:
    """Make Windows agents look for updates, or install approved ones; other agents are left out."""
    body = body_for_many("patch", agent_ids, system="windows") | {"patchMode": mode}
    return PATCH_MANY.call(body=body)
