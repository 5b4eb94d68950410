"""What is sent to many agents by one call besides scripts of the library: commands, and work on patches."""

from typing import Any, Literal

from trmm_async.calls import Call
from trmm_async.dialects.base import HistoryRun
from trmm_async.dialects.stock.commands import CommandRun
from trmm_async.dialects.stock.dialect import COMMAND_MANY, PATCH_MANY
from trmm_async.dialects.stock.history import StockCommandHistory

__all__ = ["PatchMode", "command_run", "patch_call"]

PatchMode = Literal["scan", "install"]


def command_run(agent_ids: tuple[str, ...], run: CommandRun) -> HistoryRun:
    """A command to many, or to one: no worker of the server waits for it."""
    more: dict[str, object] = {
        "shell": "custom" if run.custom_shell else run.shell,
        "custom_shell": run.custom_shell,
        "cmd": run.command,
        "timeout": run.timeout,
        "run_as_user": run.run_as_user,
    }
    return HistoryRun(
        send=COMMAND_MANY.call(body=_body("command", agent_ids) | more),
        script=run.command,
        agent_ids=agent_ids,
        timeout=run.timeout,
        history=StockCommandHistory(),
        rows_come_late=True,
    )


def patch_call(agent_ids: tuple[str, ...], mode: PatchMode) -> Call[int | None]:
    """Have Windows agents look for updates, or install what is approved; the others are left out."""
    body = _body("patch", agent_ids, system="windows") | {"patchMode": mode}
    return PATCH_MANY.call(body=body)


def _body(mode: str, agent_ids: tuple[str, ...], *, system: str = "all") -> dict[str, Any]:
    # Whether agents are offline makes no difference to the server, whatever is said of it.
    return {
        "mode": mode,
        "target": "agents",
        "monType": "all",
        "osType": system,
        "agents": agent_ids,
        "client": None,
        "site": None,
        "offlineAgents": False,
    }
