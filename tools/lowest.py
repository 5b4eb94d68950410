"""Prints the lowest versions that pyproject.toml allows of what the package needs, as constraints for pip.

Where an extra needs a higher one than the package does, that is the lowest at which all can be installed.
"""

import re
import tomllib
from itertools import chain
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
WANTED = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?>=([0-9.]+)")


def numbers(version: str) -> list[int]:
    """Return a version as numbers, to compare."""
    return [int(number) for number in version.split(".")]


lowest: dict[str, str] = {}
for requirement in [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]:
    found = WANTED.fullmatch(requirement)
    if found is None:
        raise SystemExit(f"pyproject.toml: {requirement!r} says no lowest version: write NAME>=VERSION")
    name, version = found.groups()
    lowest[name] = max(lowest.get(name, "0"), version, key=numbers)
for name, version in sorted(lowest.items()):
    print(f"{name}=={version}")
