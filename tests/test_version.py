"""The version: one, in the form of a release, and where the build reads it."""

import re
import tomllib
from pathlib import Path

import trmm_async
from trmm_async._version import __version__

ROOT = Path(__file__).parents[1]


def test_it_is_that_of_a_release_and_the_one_that_is_built() -> None:
    assert trmm_async.__version__ == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", __version__)
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"]["path"]
    assert f'"{__version__}"' in (ROOT / built).read_text()
