"""What is sent to many agents by one call: a script, a command, work on patches."""

from typing import Any, Final

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, differs, has, names, never, op, texts, whole
from trmm_async.calls import Call
from trmm_async.dialects import HistoryRun, ScriptRun, Stock
from trmm_async.dialects.stock.bulk import command_run, patch_call
from trmm_async.dialects.stock.commands import CommandRun

STOCK: Final = Stock("https://rmm.example.com")
_BULK: Final = "POST /agents/actions/bulk/"


def _script(told: Recording) -> HistoryRun | None:
    sent = has(told)
    run = ScriptRun(
        script=whole(sent.get("script")) or 2,
        args=texts(sent.get("args")),
        timeout=sent["timeout"],
        env_vars=texts(sent.get("env_vars")),
        run_as_user=sent["run_as_user"],
        custom_field=sent.get("custom_field"),
        save_all_output=sent.get("collector_all_output", False),
    )
    return STOCK.run_everywhere(texts(sent.get("agents")), run)


def _command(told: Recording) -> HistoryRun:
    sent = has(told)
    run = CommandRun(
        command=sent.get("cmd", "echo bulk"),
        shell=sent.get("shell", "cmd"),
        custom_shell=sent.get("custom_shell"),
        timeout=sent.get("timeout", 10),
        run_as_user=sent.get("run_as_user", False),
    )
    return command_run(texts(sent.get("agents")), run)


def _patches(told: Recording) -> Call[Any]:
    sent = has(told)
    return patch_call(texts(sent.get("agents")), "install" if sent.get("patchMode") == "install" else "scan")


_SCRIPTS: Final = (
    "bulk_script_agents bulk_script_missing_args bulk_script_missing_collector_all_output "
    "bulk_script_missing_custom_field bulk_script_missing_env_vars "
    "bulk_script_missing_save_to_agent_note bulk_script_missing_script"
)
_NAMED_COMMANDS: Final = (
    "bulk_command_agents bulk_command_missing_client bulk_command_missing_cmd "
    "bulk_command_missing_custom_shell bulk_command_missing_mode bulk_command_missing_monType "
    "bulk_command_missing_offlineAgents bulk_command_missing_osType bulk_command_missing_run_as_user "
    "bulk_command_missing_shell bulk_command_missing_site bulk_command_missing_target "
    "bulk_command_missing_timeout bulk_command_agents_full bulk_command_unknown_agents"
)
_CHOSEN_COMMANDS: Final = (
    "bulk_command_all_darwin bulk_command_all_linux bulk_command_all_servers bulk_command_client "
    "bulk_command_client_servers_windows bulk_command_minimal bulk_command_site "
    "bulk_command_site_workstations bulk_client_unknown bulk_limited_all bulk_limited_other_client_403"
)
_CHOSEN_SCRIPTS: Final = "bulk_script_all bulk_script_client bulk_script_minimal bulk_script_site_windows"
_NOBODY: Final = "bulk_command_missing_agents bulk_command_no_agents"
_OTHER: Final = "bulk_bad_mode bulk_bad_montype_is_all bulk_bad_ostype_is_all bulk_bad_target"


def _targets(told: Recording) -> dict[str, Any]:
    """Which agents, in our words."""
    sent = has(told)
    target = sent["target"]
    chosen: dict[str, Any] = {"everywhere": True} if target == "all" else {target: sent[target]}
    if sent["monType"] != "all":
        chosen["monitoring_type"] = sent["monType"].removesuffix("s")
    if sent["osType"] != "all" and sent["mode"] != "patch":
        chosen["plat"] = sent["osType"]
    return chosen


def _sent(request: Any) -> Call[Any]:
    """The call of a plan behind what it looks up before."""
    steps = request.steps()
    call: Call[Any] = next(steps)
    while call.method == "GET":
        known = frozenset(_AGENTS)
        call = steps.send(known if call.path == "/agents/" else None)
    return call


_AGENTS: Final = (
    "HedcmpMbXDuCLmHoOsFaQfDPrAJfTquWoGsbeKXg",
    "qaxtjRNmHkWvQCFpuzQqmOBZZWmnyoLuniiFwcTe",
    "HNkInOIOnHnINLioVOZwluMumnXmgipiUfqygBAI",
)


def _bulk_command(told: Recording) -> Call[Any]:
    sent = has(told)
    more = {name: sent[name] for name in ("custom_shell", "run_as_user", "timeout") if name in sent}
    return _sent(
        request_of(NOUNS.bulk.run_command(sent["cmd"], shell=sent["shell"], **more, **_targets(told)))
    )


def _bulk_script(told: Recording) -> Call[Any]:
    sent = has(told)
    more: dict[str, Any] = {
        "collector": sent.get("custom_field"),
        "collector_all_output": sent.get("collector_all_output", False),
        "note": sent.get("save_to_agent_note", False),
        "args": sent["args"],
        "env_vars": dict(one.split("=", 1) for one in sent["env_vars"]),
        "timeout": sent["timeout"],
        "run_as_user": sent["run_as_user"],
    }
    return _sent(request_of(NOUNS.bulk.run_script(sent["script"], **more, **_targets(told))))


def _bulk_patches(told: Recording) -> Call[Any]:
    method = NOUNS.bulk.install_patches if has(told)["patchMode"] == "install" else NOUNS.bulk.scan_patches
    return _sent(request_of(method(**_targets(told))))


OPERATIONS = [
    op("bulk.run_command", _BULK, _bulk_command, int, _CHOSEN_COMMANDS),
    op("bulk.run_script", _BULK, _bulk_script, int, _CHOSEN_SCRIPTS),
    op("bulk.scan_patches", _BULK, _bulk_patches, int, "bulk_patch_scan_client bulk_patch_minimal"),
    op(
        "bulk.install_patches",
        _BULK,
        _bulk_patches,
        int,
        "bulk_patch_install_all_servers bulk_patch_install_site",
    ),
    op(
        "fleet.run_script",
        _BULK,
        _script,
        int,
        f"{_SCRIPTS} bulk_script_404 bulk_script_agents_full",
    ),
    op("fleet.run_command", _BULK, _command, int, f"{_NAMED_COMMANDS} {_NOBODY} {_OTHER}"),
    op(
        "fleet.scan_patches",
        _BULK,
        _patches,
        int,
        "bulk_patch_scan bulk_patch_scan_agents bulk_patch_no_patchmode bulk_patch_bad_patchmode",
    ),
]
_WINDOWS: Final = {"osType": "windows", "offlineAgents": False, "patchMode": "scan"}
DIFFERENT = {
    **{
        name: But(
            "its other keys are for commands, and we send every key",
            body={"args": [], "env_vars": [], "custom_field": None, "collector_all_output": False}
            | {"save_to_agent_note": False, "script": 2},
            without=("shell", "cmd", "custom_shell"),
        )
        for name in names(_SCRIPTS)
    },
    **differs(
        "we send every key, and have no output put into notes",
        {"offlineAgents": False, "save_to_agent_note": False},
        "bulk_script_404 bulk_script_agents_full",
    ),
    **differs(
        "we send every key",
        {"mode": "command", "target": "agents", "monType": "all", "osType": "all", "client": None}
        | {"site": None, "shell": "cmd", "cmd": "echo bulk", "timeout": 10, "run_as_user": False}
        | {"custom_shell": None, "offlineAgents": False},
        " ".join(name for name in names(_NAMED_COMMANDS) if "_missing_" in name),
    ),
    **{
        name: But("only Windows is meant, and the other keys are for commands", body=_WINDOWS, without=more)
        for name, more in {
            "bulk_patch_scan": ("shell", "cmd", "custom_shell", "timeout", "run_as_user"),
            "bulk_patch_scan_agents": (),
            "bulk_patch_no_patchmode": (),
            "bulk_patch_bad_patchmode": (),
        }.items()
    },
    **{
        name: But("which makes no difference to the server", without=("offlineAgents",))
        for name in names("bulk_command_all_servers bulk_command_client bulk_command_site")
    },
    **{
        name: But("we send every key", more=True)
        for name in names("bulk_command_minimal bulk_script_minimal")
    },
    **differs(
        "no agents are named beside another target",
        {"agents": []},
        "bulk_client_unknown bulk_limited_all bulk_limited_other_client_403 bulk_script_all "
        "bulk_script_client bulk_script_site_windows bulk_patch_install_all_servers",
    ),
    **differs(
        "only Windows is meant",
        {"agents": [], "osType": "windows", "client": None, "site": None},
        "bulk_patch_minimal",
    ),
    **differs(
        "only Windows is meant",
        {"agents": [], "osType": "windows"},
        "bulk_patch_scan_client bulk_patch_install_site",
    ),
    **never("agents are chosen by their type and system, in words that the server doesn't know", _OTHER),
    **never("we send every key", "bulk_command_missing_agents"),
}
