"""Texts that others wrote, as a model may be given them: cut, cleaned, and named as what they are. Pure."""

import functools
import json
import unicodedata
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from mcp import MCPError
from mcp.server.mcpserver.exceptions import ToolError

from trmm_async.errors import TRMMError
from trmm_async.mcp_server.answers import Untrusted
from trmm_async.plaintext import clean, one_line

__all__ = ["CALL", "LINE_MOST", "TEXT_MOST", "CallNotes", "known", "line", "refusal", "refusing", "untrusted"]

TEXT_MOST: Final = 1_000
"""Characters of a text of several lines."""
LINE_MOST: Final = 120
"""Characters of a name, and whatever else stands on one line."""
_HIDDEN: Final = frozenset({"Cf", "Co", "Cs", "Cn"})


@dataclass
class CallNotes:
    """The call that is under way: its number in the log, and what stands there and is told to no model."""

    number: str
    crashes: list[str] = field(default_factory=list)


CALL: ContextVar[CallNotes | None] = ContextVar("CALL", default=None)
"""The call that this task is about."""

T = TypeVar("T")


def _bare(text: str | None, most: int) -> tuple[str, bool]:
    """A text without what hides in it, and whether it was cut."""
    seen = "".join(one for one in clean(text or "") if unicodedata.category(one) not in _HIDDEN)
    return seen[:most], len(seen) > most


def line(text: str | None) -> str:
    """A text of somebody's on one line, cut."""
    return one_line(_bare(text, LINE_MOST)[0])


def untrusted(text: str | None) -> Untrusted:
    """A text of somebody's, cut."""
    return Untrusted(*_bare(text, TEXT_MOST))


def known(word: str | None, words: tuple[str, ...]) -> str | None:
    """A word if it is one of these; others are told as "other", since a machine may have made them up."""
    return word if word is None or word in words else "other"


def refusal(words: str, told: str = "") -> ToolError:
    """An error as a model is told it: in our words, and what others wrote apart from them."""
    if not told:
        return ToolError(words)
    text, cut = _bare(told, TEXT_MOST)
    return ToolError(
        f"{words} {json.dumps({'untrusted_text': one_line(text), 'cut': cut}, ensure_ascii=False)}"
    )


def refusing(work: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """The same, with errors as a model may be told them: what a server answered is no order.

    Of an error that is none of the SDK's nobody knows who wrote its text: that is for the log alone.
    """

    @functools.wraps(work)
    async def call(*args: Any, **kwargs: Any) -> T:
        try:
            return await work(*args, **kwargs)
        except (ToolError, MCPError):
            raise
        except TRMMError as error:
            raise refusal(f"it was not possible: {type(error).__name__}.", str(error)) from error
        except Exception as error:
            if (notes := CALL.get()) is not None:
                notes.crashes.append(f"{type(error).__name__}: {error}")
            raise refusal(
                "it ended with a mistake of ours; whether anything was done is not known. "
                "The log of calls says what it was"
            ) from error

    return call
