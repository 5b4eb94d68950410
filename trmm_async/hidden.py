"""Texts and bodies whose `repr` doesn't show them.

Error reporters write down the `repr` of the local variables of every frame: of our frames, and of those of
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
    """A body that contains a secret, or other data that nobody else should see."""

    def __repr__(self) -> str:
        return "b'***'"


@overload
def hide(value: str) -> HiddenText: ...
@overload
def hide(value: T) -> T: ...
def hide(value: object) -> object:
    """The same value; a text is returned as a `HiddenText`."""
    return HiddenText(value) if isinstance(value, str) else value
