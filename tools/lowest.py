"""Prints the lowest versions that pyproject.toml allows of what the package needs, as constraints for pip."""

import re
import tomllib
from itertools import chain
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
WANTED = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?>=([0-9.]+)")

lowest: dict[str, str] = {}
for requirement in [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]:
    found = WANTED.fullmatch(requirement)
    if found is None:
        raise SystemExit(f"pyproject.toml: {requirement!r} says no lowest version: write NAME>=VERSION")
    name, version = found.groups()
    if lowest.setdefault(name, version) != version:
        raise SystemExit(f"pyproject.toml: {name} is wanted from {lowest[name]} and from {version} on")
for name, version in sorted(lowest.items()):
    print(f"{name}=={version}")
