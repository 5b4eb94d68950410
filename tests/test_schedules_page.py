"""The units and lines of docs/schedules.md, held against systemd, a shell, and the program's own options."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from trmm_async.cli.app import assembled
from trmm_async.cli.exits import Exit

PAGE = (Path(__file__).parents[1] / "docs" / "schedules.md").read_text()
PROGRAM = "/opt/trmm/bin/trmm"
UNITS = dict(re.findall(r"```ini\n# /etc/systemd/system/(\S+)\n(.*?)```", PAGE, re.DOTALL))
CRON = re.findall(r"^\S+ \S+ \* \* \* +trmm +(.*)$", PAGE, re.MULTILINE)
EXECUTED = re.findall(rf"^ExecStart={PROGRAM} (.*)$", PAGE, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    assert len(UNITS) == 3
    for name, text in UNITS.items():
        (tmp_path / name).write_text(text.replace(PROGRAM, shutil.which("true") or ""))
    words = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in UNITS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_program_takes_the_lines() -> None:
    lines = [
        *(line.replace("%%", "%") for line in EXECUTED),
        *(re.split(r" (?:\|\||>) ", line.removeprefix(f"{PROGRAM} "))[0] for line in CRON),
        *re.findall(r"^\$ trmm (.*)$", PAGE, re.MULTILINE),
    ]
    assert len(lines) == 5
    for line in lines:
        group: Any = get_command(assembled())
        words = shlex.split(line)
        context = group.make_context("trmm", [], resilient_parsing=True)
        while hasattr(group, "commands") and not words[0].startswith("-"):
            _, group, words = group.resolve_command(context, words)
            assert group is not None, line
        assert group.make_context("trmm", words, parent=context).command is group, line


@pytest.mark.parametrize(
    ("code", "said"), [(Exit.OK, ""), (Exit.DIFFERENT, "the server has drifted\n"), (Exit.FAILED, "")]
)
def test_the_line_of_cron_tells_a_drift_alone(code: int, said: str) -> None:
    line = next(line for line in CRON if "--exit-code" in line)
    shell = f"trmm() {{ return {int(code)}; }}\n{line.replace(PROGRAM, 'trmm')}"
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == said
