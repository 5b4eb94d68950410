"""The rules of who may import whom catch what they are there for: each is broken here once, and seen."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLANTED = [
    ("codec.py", "aiohttp", "Who may know aiohttp"),
    ("retry.py", "aiohttp", "Who may know aiohttp"),
    ("stream/fanout.py", "websockets", "Who may know websockets"),
    ("relay/nats_store.py", "nats", "Who may know NATS"),
    ("fleet/rollout.py", "sqlite3", "Who may know SQLite"),
    ("fleet/plan.py", "sqlite3", "Who may know SQLite"),
    ("transport/deadlines.py", "trmm_async.transport.sender", "No circle anywhere"),
    ("fleet/guards.py", "trmm_async.fleet.presence", "Inside the fleet, the same"),
    ("testing/world.py", "trmm_async.models", "The floors"),
    ("client.py", "trmm_async.testing.world", "Only the demonstration uses the simulator"),
    ("a_new_room.py", "asyncio", "The floors"),
    ("stream/a_new_part.py", "asyncio", "Inside the stream, the same"),
]


def broken_rules(folder: Path) -> str:
    """The rules that are broken by the package in this folder, as import-linter tells them."""
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache", "--no-logo"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Broken contracts" in done.stdout or done.returncode == 0, done.stdout + done.stderr
    return "\n".join(line for line in done.stdout.splitlines() if " BROKEN" in line)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package, with the rules beside it."""
    shutil.copytree(
        ROOT / "trmm_async", tmp_path / "trmm_async", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("module", "imported", "rule"), PLANTED)
def test_a_wrong_import_is_seen(house: Path, module: str, imported: str, rule: str) -> None:
    path = house / "trmm_async" / module
    path.write_text((path.read_text() if path.exists() else "") + f"\nimport {imported}\n")
    assert rule in broken_rules(house)


def test_what_stands_breaks_none(house: Path) -> None:
    assert broken_rules(house) == ""


def test_no_class_has_the_name_of_another() -> None:
    """The simulator, which shares no code with the rest, has names of its own."""
    places: dict[str, list[str]] = {}
    for path in (ROOT / "trmm_async").rglob("*.py"):
        room = path.relative_to(ROOT / "trmm_async")
        if room.parts[0] != "testing":
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, []).append(str(room))
    twice = {name: rooms for name, rooms in places.items() if len(rooms) > 1}
    assert twice.keys() == {"TRMM"}  # the client, and the one without await, which says so by its module
