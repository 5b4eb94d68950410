"""The rules of who may import whom catch what they are there for: each is broken once here, and seen."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# (a module, what it must not import, the rule that says so)
PLANTED = [
    ("codec", "aiohttp", "Who may know aiohttp"),
    ("retry", "aiohttp", "Who may know aiohttp"),
    ("stream.fanout", "websockets", "Who may know websockets"),
    ("relay.nats_store", "nats", "Who may know NATS"),
    ("fleet.rollout", "sqlite3", "Who may know SQLite"),
    ("fleet.plan", "sqlite3", "Who may know SQLite"),
    ("cli.output", "msgspec", "Who may know msgspec"),
    ("fleet.guards", "trmm_async.fleet.presence", "Inside the fleet"),
    ("webhooks.delivery", "trmm_async.webhooks.receiver", "Inside the webhooks"),
    ("dialects.gateway", "trmm_async.dialects.stock.endpoint", "Inside the dialects"),
    ("dialects.stock.endpoint", "trmm_async.dialects.stock.login", "Inside the stock dialect"),
    ("transport.tracing", "trmm_async.transport.pool", "Inside the transport"),
    ("resources.alerts", "trmm_async.resources.agents", "Nouns' methods"),
    ("cli.commands.watch", "trmm_async.cli.commands.journals", "Commands don't import each other"),
    ("testing.world", "trmm_async.models", "The floors"),
    ("client", "trmm_async.testing.world", "Only the demonstration uses the simulator"),
]
CIRCLES = [
    ("transport.deadlines", "trmm_async.transport.sender"),
    ("resources.stock.policies", "trmm_async.resources.stock.actions"),
    ("cli.text", "trmm_async.cli.output"),
]
TYPE_ALONE = ("stream.source", "trmm_async.client", "The floors")
NEW = [("a_new_room", "The floors"), ("stream.a_new_part", "Inside the stream")]


def told(folder: Path) -> dict[str, str]:
    """What import-linter tells of each broken rule, by the start of the rule's name."""
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)  # older ones write colours into a pipe, too
    _, broken, details = said.partition("Broken contracts")
    assert broken or done.returncode == 0, done.stdout + done.stderr
    sections = re.split(r"^(.+)\n-{4,}$", details, flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


def copied(folder: Path) -> Path:
    """A copy of the package, with the rules beside it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "trmm_async", folder / "trmm_async", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def plant(house: Path, module: str, line: str) -> None:
    path = house / "trmm_async" / f"{module.replace('.', '/')}.py"
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")


def test_each_wrong_import_is_seen(tmp_path: Path) -> None:
    """All are planted at once, since each run of import-linter takes seconds."""
    house = copied(tmp_path)
    expected = [(rule, f"- trmm_async.{module} -> {other} (l.") for module, other, rule in PLANTED]
    for module, other, _ in PLANTED:
        plant(house, module, f"import {other}")
    module, other, rule = TYPE_ALONE
    plant(house, module, f"if TYPE_CHECKING:\n    import {other}")
    expected.append((rule, f"- trmm_async.{module} -> {other} (l."))
    for module, rule in NEW:
        plant(house, module, "import asyncio")
        expected.append((rule, f"- trmm_async.{module}\n"))
    for module, other in CIRCLES:
        plant(house, module, f"import {other}")
        expected.append(("No circle anywhere", f"No cycles are allowed in {other.rpartition('.')[0]}."))
    broken = told(house)
    unseen = [
        (rule, says)
        for rule, says in expected
        if not any(says in details for name, details in broken.items() if name.startswith(rule))
    ]
    assert unseen == [], broken


def test_what_stands_breaks_none(tmp_path: Path) -> None:
    assert told(copied(tmp_path)) == {}


def test_every_foreign_library_has_a_rule() -> None:
    """One without a rule could be imported anywhere."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    ruled = {name for rule in rules for name in rule.get("protected_modules", ())}
    imported: set[str] = set()
    for path in (ROOT / "trmm_async").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    foreign = imported - sys.stdlib_module_names - {"trmm_async"}
    # The first are types alone; the second is imported by a file that Ansible loads, which is in no package.
    assert foreign - ruled == {"typing_extensions", "ansible"}


NOUNS = "Agent Alert Check Client CustomField Deployment Disk Note Script Site Task User"


def test_no_class_has_the_name_of_another() -> None:
    """But for the client without await, and what TRMM is about, which the simulator has, too, for itself."""
    places: dict[str, list[str]] = {}
    for path in (ROOT / "trmm_async").rglob("*.py"):
        for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE):
            places.setdefault(name, []).append(str(path.relative_to(ROOT / "trmm_async")))
    twice = {name: rooms for name, rooms in places.items() if len(rooms) > 1}
    assert twice.keys() == {"TRMM", *NOUNS.split()}, twice
