"""docs/schedules.md: its lines are the program's, and its codes those that it ends with."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli import pages
from tests.cli.stage import Backstage, in_shell
from trmm_async.cli.exits import Exit

PAGE = (pages.ROOT / "docs" / "schedules.md").read_text()
LINES = re.findall(r"/opt/trmm/bin/trmm ([^|>\n]+)", PAGE)
COMMANDS = dict(pages.commands())


@pytest.mark.parametrize("line", LINES)
def test_each_line_is_one_of_the_program(line: str) -> None:
    words = shlex.split(line.replace("%%", "%"))
    path = next(path for path in (f"trmm {' '.join(words[:2])}", f"trmm {words[0]}") if path in COMMANDS)
    known = {word for option in pages.options(COMMANDS[path]) for word in option.opts}
    known |= {
        word for option in pages.options(COMMANDS.get(f"{path} list", COMMANDS[path])) for word in option.opts
    }
    assert {word for word in words if word.startswith("--")} <= known


def test_its_codes_are_the_programs() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert told == {*Exit} - {Exit.PIPE_CLOSED}


def test_the_line_of_cron_tells_drift_from_failure(stock: Backstage, tmp_path: Path) -> None:
    (line,) = (one for one in PAGE.splitlines() if "has drifted" in one)
    command = (
        line.partition("  trmm  ")[2]
        .replace("/opt/trmm/bin/trmm", "TRMM")
        .replace("/srv/trmm", str(tmp_path))
    )
    assert in_shell(f"TRMM pull {tmp_path}", stock).code == 0
    assert "drifted" not in in_shell(command, stock).out
    snippet = tmp_path / "snippets" / "New.ps1"
    snippet.write_text("# ---\n# name: Another\n# ---\n1")
    assert "the server has drifted" in in_shell(command, stock).out
    snippet.write_text("# ---\n# nonsense: 1\n# ---\n1")
    assert "drifted" not in in_shell(command, stock).out
