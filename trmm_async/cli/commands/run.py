"""`trmm run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from trmm_async.cli.exits import usage
from trmm_async.cli.fleet_actions import Careful, careful, chosen, launch, read_text
from trmm_async.cli.options import (
    DO,
    Success,
    Yes,
    examples,
)
from trmm_async.cli.outcome_form import OutcomeForm, tells
from trmm_async.cli.run_options import (
    Agents,
    Arguments,
    AsUser,
    CodeShell,
    Everywhere,
    File,
    ScriptFile,
    ScriptName,
    Timeout,
    Variables,
)
from trmm_async.cli.selection import Where, picks, script_named
from trmm_async.cli.session import connected, runs
from trmm_async.cli.values import choice, codes

if TYPE_CHECKING:
    import trmm_async as sdk

__all__ = ["add_to"]

_SHELLS: Final = {
    ".ps1": "powershell", ".bat": "cmd", ".cmd": "cmd", ".py": "python", ".sh": "shell", ".nu": "nushell",
    ".ts": "deno", ".js": "deno",
}  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    hint = examples(
        "trmm run Get-DiskInfo C: --client Acme --kind server",
        "trmm run 5 --hostname 'WEB-*' --status online --width 10",
        "trmm run Clear-TempFiles --all --canary 3 --batch 10% --max-failures 5 --journal tuesday.db",
        "trmm run Clear-TempFiles --file hosts.txt --when-online 8h --yes --jsonl > outcomes.jsonl",
        "trmm run --script-file fix.ps1 --client Acme --kind server",
        "trmm agents --status online --jsonl | jq -r .agent_id | trmm run 5 --file - --yes",
    )
    app.command("run", rich_help_panel=DO, epilog=hint)(run)


@runs
@picks
@careful
@tells
async def run(
    context: typer.Context,
    script: ScriptName = None,
    args: Arguments = None,
    script_file: ScriptFile = None,
    shell: CodeShell = None,
    agent: Agents = None,
    file: File = None,
    everywhere: Everywhere = False,
    *,
    where: Where,
    timeout: Timeout = 90,
    env: Variables = None,
    as_user: AsUser = False,
    settings: Careful,
    success: Success = "0",
    yes: Yes = False,
    form: OutcomeForm,
) -> int:
    """Run a script once on each of some agents, and print the results.

    Agents with equal results are grouped, the largest group first. --jsonl prints outcomes as they come.
    After one Ctrl-C, nothing more is sent, and what is in progress is waited for. After a second one, it
    ends at once.
    """
    whom = chosen(agent, file, where, everywhere=everywhere)
    good = codes(success, "--success")
    variables = dict(_variable(text) for text in env or ()) or None
    words = list(args or ())
    code = None if script_file is None else read_text(script_file, "--script-file")
    if script_file is not None:
        words = [script, *words] if script is not None else words
    elif script is None:
        raise usage("which script? SCRIPT, a name or an id; or --script-file PATH")
    elif shell is not None:
        raise usage("--shell is for --script-file: a script of the library has its own")
    kind_of_shell = _shell_of(script_file, shell) if script_file is not None else ""

    async with connected(context) as trmm:

        async def begin(targets: list["sdk.Agent"]) -> tuple["sdk.FleetRun[Any]", str]:
            more: dict[str, Any] = {
                "args": words, "timeout": timeout, "env_vars": variables, "run_as_user": as_user,
                "success": good, **settings.settings,
            }  # fmt: skip
            if script_file is None:
                named = await script_named(trmm, script or "")
                return trmm.fleet.run_script(targets, named, **more), f"run {named.name} on"
            job = trmm.fleet.run_code(targets, code or "", shell=kind_of_shell, **more)
            return job, f"run {script_file.name} on"

        return await launch(trmm, form, whom, begin, settings, good=good, yes=yes)


def _shell_of(path: Path, given: str | None) -> Any:
    shell = given or _SHELLS.get(path.suffix.lower())
    if shell is None:
        raise usage(f"--shell: what runs {path.name}? {', '.join(sorted(set(_SHELLS.values())))}")
    return choice(shell, "--shell", tuple(sorted(set(_SHELLS.values()))))


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise usage(f"--env is NAME=VALUE, not {text!r}")
    return name, value
