"""Recordings of a real server by what they are of: one file a family of operations, found by its being here.

A file has `OPERATIONS`, and where they are needed `DIFFERENT`, `NO_RESULT` and `SPARED`: see
`tests/test_stock_recordings.py`, which replays them all. What is replayed comes out of
`tests/recordings/not_yet_replayed.txt`.
"""

import pkgutil
from importlib import import_module
from typing import Any, Final

FAMILIES: Final = [
    import_module(f"{__name__}.{found.name}")
    for found in pkgutil.iter_modules(__path__)
    if found.name != "operation"
]


def every(what: str) -> dict[str, Any]:
    """What all families say together: `every("DIFFERENT")`. No name may be said twice."""
    found: dict[str, Any] = {}
    for family in FAMILIES:
        more = getattr(family, what, {})
        assert not found.keys() & more.keys(), (family.__name__, found.keys() & more.keys())
        found.update(more)
    return found
