"""What stands on the pages of the command line, made from the program itself.

`python -m tests.cli.pages` writes it anew: the reference in docs/cli-commands.md, the session in docs/cli.md.
Tests compare.
"""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from tests.cli.stage import Backstage, terminal
from trmm_async.cli.app import assembled

ROOT: Final = Path(__file__).parents[2]
MARKS: Final = {
    "reference": ROOT / "docs" / "cli-commands.md",
    "session": ROOT / "docs" / "cli.md",
}
ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SESSION: Final = (
    "trmm agents --site 'Jakarta Office' --fields hostname,status,operating_system,public_ip",
    "trmm run Clear-TempFiles --agent JADE-PC",
    "trmm run check-pending-reboot --client Hermes --yes",
    "trmm run check-pending-reboot --client 'Hermes Network Inc.' --yes",
    "echo $?",
)


def commands(command: Any = None, path: tuple[str, ...] = ("trmm",)) -> Iterator[tuple[str, Any]]:
    """Every command with what it is called by, from the program's own tree."""
    command = command or get_command(assembled())
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


def options(command: Any) -> list[Any]:
    """The arguments and options of a command, but for --help."""
    return [each for each in command.params if each.name != "help"]


def reference() -> str:
    """The reference: a section for each command."""
    return "\n".join(_section(path, command) for path, command in commands())


def _section(path: str, command: Any) -> str:
    parts = [f"## `{path}`", "", *_paragraphs(command.help or "")]
    rows = [_row(each) for each in options(command)]
    if rows:
        parts += ["| | |", "| --- | --- |", *rows, ""]
    if command.epilog:
        lines = [line for line in command.epilog.replace("\\[", "[").splitlines() if line][1:]
        parts += ["```console", *(f"$ {line}" for line in lines), "```", ""]
    return "\n".join(parts)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield textwrap.fill(" ".join(paragraph.split()), 112, break_on_hyphens=False)
        yield ""


def _row(each: Any) -> str:
    argument = each.param_type_name == "argument"
    words = [each.metavar] if argument else [*each.opts, *each.secondary_opts]
    value = "" if argument or each.is_flag else f" {each.metavar or each.type.name.upper()}"
    default = "" if each.default in {None, False, (), ""} or callable(each.default) else each.default
    told = f" Default: `{default}`." if default and str(default) != "." else ""
    return f"| {', '.join(f'`{word}{value}`' for word in words)} | {each.help or ''}{told} |"


def session() -> str:
    """What people see: a terminal of 80 columns, without colour."""
    with Backstage(agents=40, rate_limit=None, script_seconds=0.0) as stage:
        stage.do(_prepare)
        code, shown = 0, ["```console"]
        for line in SESSION:
            shown.append(f"$ {line}")
            if line == "echo $?":
                shown.append(str(code))
            else:
                code, text = _typed(line, stage)
                shown += text
        return "\n".join([*shown, "```", ""])


def _prepare(server: Any) -> None:
    web = next(agent for agent in server.agents if agent.hostname == "web-020")
    server.go_offline(web.agent_id)
    server.script(6, stdout="No reboot is pending\n")
    odd = next(agent for agent in server.agents if agent.hostname == "DESKTOP-011")
    server.script(6, agent_id=odd.agent_id, retcode=1, stdout="A reboot is pending since Tuesday\n")


def _typed(line: str, stage: Backstage) -> tuple[int, list[str]]:
    plain = {"NO_COLOR": "1", "TERM": "dumb"}  # nothing is drawn over
    with terminal(shlex.split(line)[1:], {**stage.environment, **plain}) as screen:
        code = screen.finish()
    return code, _as_left(screen.shown)


def _as_left(shown: str) -> list[str]:
    """The lines; where a bar was stands nothing."""
    lines = (ESCAPE.sub("", line).rstrip() for line in shown.replace("\r", "").splitlines())
    return [line for line in lines if line and not line.startswith("waiting for the server's answer")]


def replaced(page: str, mark: str, text: str) -> str:
    """The page with the text between its marks."""
    begin, end = f"<!-- {mark}: made by tests/cli/pages.py -->\n", f"<!-- end of {mark} -->"
    head, _, rest = page.partition(begin)
    _, found, tail = rest.partition(end)
    assert found, f"no {begin!r} in the page"
    return f"{head}{begin}\n{text}\n{end}{tail}"


def main() -> None:
    """Write the pages anew."""
    for mark, make in (("reference", reference), ("session", session)):
        page = MARKS[mark]
        page.write_text(replaced(page.read_text(), mark, make()))


if __name__ == "__main__":
    main()
