"""What a release says of itself is so: its Pythons, its pages, what is packed."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from trmm_async._version import __version__

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_workflow_runs_on_each_python_that_the_classifiers_name() -> None:
    named = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    matrix = re.search(r"python: \[(.+)\]", (ROOT / ".github/workflows/tests.yml").read_text())
    assert matrix
    assert re.findall(r"3\.\d+", matrix[1]) == named
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_the_workflow_runs_the_lowest_versions_on_the_lowest_python() -> None:
    job = (ROOT / ".github/workflows/tests.yml").read_text().partition("\n  lowest:")[2]
    assert "make test-versions" in job
    assert f">={job.partition('python-version: ')[2].split()[0].strip(chr(34))}" == PROJECT["requires-python"]


@pytest.mark.parametrize("name", ["Documentation", "Source", "Changelog", "Issues"])
def test_the_project_names_where_it_is(name: str) -> None:
    assert PROJECT["urls"][name].startswith("https://")


def test_the_changelog_tells_of_this_version() -> None:
    heads = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert __version__ in heads


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    told = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert pages == told
