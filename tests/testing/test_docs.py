"""The page about testing is run: its tests by pytest with the plugin, the other blocks as scripts."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from trmm_async.testing import Simulator

from .test_plugin import AUTO, ROOT, passed, run

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"^```(?:python|py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TESTS = [block for block in BLOCKS if "asyncio.run(main())" not in block]
SCRIPTS = [block for block in BLOCKS if block not in TESTS]


def test_every_test_block_passes(tmp_path: Path) -> None:
    text = "\n\n".join(TESTS)
    passed(run(tmp_path, text, *AUTO), text.count("async def test_"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_block_runs(script: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_and_every_switch_is_on_the_page() -> None:
    settings = inspect.signature(Simulator).parameters
    every = [name for each in Simulator.__mro__ if each is not object for name in vars(each)]
    switches = {name for name in every if not name.startswith("_")}
    assert {
        name for name in [*settings, *switches] if f"`{name}" not in PAGE and f".{name}" not in PAGE
    } == set()


def test_every_default_on_the_page_is_the_real_one() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE))
    real = {name: each.default for name, each in inspect.signature(Simulator).parameters.items()}
    assert {name: rows[name] for name in rows if name != "clock"} == {
        name: repr(real[name]).replace("'", '"') for name in rows if name != "clock"
    }
    assert len(rows) > 10
