"""The public methods, as users write them."""

import typing
from collections.abc import Iterator

from trmm_async import TRMM


def methods() -> set[str]:
    """All: "trmm.login", "agents.list", "agents.notes.create"; a noun that is called by its own name."""
    return {name if "." in name else f"trmm.{name}" for name in _of(TRMM, "")}


def _of(kind: type, noun: str) -> Iterator[str]:
    bases = [base for base in kind.__mro__ if base.__module__.startswith("trmm_async")]
    for name in (name for base in bases for name in vars(base)):
        if name == "__call__":
            yield noun.rstrip(".")
        elif not name.startswith("_"):
            yield noun + name
    for name, inner in typing.get_type_hints(kind).items():
        if not name.startswith("_"):
            yield from _of(inner, f"{noun}{name}.")
