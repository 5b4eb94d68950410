"""Tests mirror modules: `tests/fleet/test_journal.py` holds what `trmm_async/fleet/journal.py` does.

A file may say which part of it, too: `test_run_endings.py`. Tests of a whole package have its name, in its
folder or beside it: `tests/test_sync.py`, `tests/config/test_config.py`.
"""

from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
PACKAGE: Final = TESTS.parent / "trmm_async"

OF_NO_MODULE: Final = {
    "cli/test_pages": "the pages about the command line",
    "cli/test_schedules": "a page: docs/schedules.md",
    "test_counts": "what a call costs, from end to end",
    "test_coverage_page": "a page: docs/coverage.md",
    "test_deployment": "what is written under deploy/",
    "test_docs": "all pages",
    "test_engine_servers": "the tests' own servers",
    "test_examples": "examples/",
    "test_flags": "bad arguments of all methods",
    "test_frames": "no key in any frame, wherever an error comes from",
    "test_imports": "the rules of who may import whom",
    "test_layout": "this rule",
    "test_old_server": "all that an older server has not",
    "test_public_names": "the package itself",
    "test_release": "what is packed",
    "test_schedules_page": "a page: docs/schedules.md",
    "test_soak": "soak/",
    "test_stock_recordings": "every recording of a stock server",
    "test_to_dict": "all nouns, outcomes and events",
    "testing/stock/test_recordings": "recordings, told by the simulator",
    "testing/stock/test_recordings_more": "recordings, told by the simulator",
    "testing/stock/test_recordings_told": "recordings, told by the simulator",
}

TESTED_BY_OTHERS: Final = {
    "cli/main": "three lines: `python -m trmm_async.cli`",
    "cli/run_options": "declarations of options, without a decision",
    "transport/hooks": "protocols, and a variable of a context",
}
"""Modules that are tested through those that use them, and why. There may be fewer, and never more."""


def modules() -> set[str]:
    found = {path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")}
    return {str(path.with_name(path.name.strip("_"))) for path in found if path.name != "__init__"}


def packages() -> set[str]:
    return {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("__init__.py")} - {"."}


def places_of_tests() -> dict[str, str]:
    """Of each file of tests the module or package that it is named after, or nothing."""
    places = {place: place for place in modules() | packages()}
    places |= {f"{package}/{Path(package).name}": package for package in packages()}
    found = {}
    for path in TESTS.rglob("test_*.py"):
        name = str(path.relative_to(TESTS).with_name(path.stem.removeprefix("test_")))
        named = [place for place in places if name == place or name.startswith(f"{place}_")]
        found[str(path.relative_to(TESTS).with_suffix(""))] = places[max(named, key=len)] if named else ""
    return found


def test_each_file_is_named_after_a_module_or_a_package_or_has_a_reason() -> None:
    assert {name for name, place in places_of_tests().items() if not place} == OF_NO_MODULE.keys()


def test_each_module_has_tests_of_its_name_or_of_its_package() -> None:
    held = set(places_of_tests().values())
    without = {name for name in modules() if name not in held and str(Path(name).parent) not in held}
    assert without == TESTED_BY_OTHERS.keys()
