"""Texts and bodies that are themselves everywhere but in a `repr`.

Imports nothing. Error reporters write the locals of every frame down, by their `repr`: those of ours, and of
the libraries that hold a key or a password while they send it.
"""

from typing import TypeVar, overload

__all__ = ["HiddenBytes", "HiddenText", "hide"]

T = TypeVar("T")


class HiddenText(str):
    """A key, password, code or token."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class HiddenBytes(bytes):
    """A body that holds one, or what else is nobody's business."""

    def __repr__(self) -> str:
        return "b'***'"


@overload
def hide(value: str) -> HiddenText: ...
@overload
def hide(value: T) -> T: ...
def hide(value: object) -> object:
    """The same, hidden if it is a text."""
    return HiddenText(value) if isinstance(value, str) else value
