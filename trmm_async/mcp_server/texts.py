"""Makes texts from outside safe for a model: shortened, cleaned, and marked as untrusted. Pure."""

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
"""The most characters of a text of several lines."""
LINE_MOST: Final = 120
"""The most characters of a name or another text on one line."""
_HIDDEN: Final = frozenset({"Cf", "Co", "Cs", "Cn"})


@dataclass
class CallNotes:
    """The call in progress: its number in the log, and errors that are logged but not shown to the model."""

    number: str
    crashes: list[str] = field(default_factory=list)


CALL: ContextVar[CallNotes | None] = ContextVar("CALL", default=None)
"""The call that this task handles."""

T = TypeVar("T")


def _bare(text: str | None, most: int) -> tuple[str, bool]:
    """The text without invisible characters, at most `most` characters, and whether it was longer."""
    seen = "".join(one for one in clean(text or "") if unicodedata.category(one) not in _HIDDEN)
    return seen[:most], len(seen) > most


def line(text: str | None) -> str:
    """A text from outside on one line, shortened."""
    return one_line(_bare(text, LINE_MOST)[0])


def untrusted(text: str | None) -> Untrusted:
    """A text from outside, shortened."""
    return Untrusted(*_bare(text, TEXT_MOST))


def known(word: str | None, words: tuple[str, ...]) -> str | None:
    """The word if it is one of `words`; otherwise "other", since a machine may have made it up."""
    return word if word is None or word in words else "other"


def refusal(words: str, told: str = "") -> ToolError:
    """An error for the model. The text from outside (`told`) is marked as untrusted after our words."""
    if not told:
        return ToolError(words)
    text, cut = _bare(told, TEXT_MOST)
    return ToolError(
        f"{words} {json.dumps({'untrusted_text': one_line(text), 'cut': cut}, ensure_ascii=False)}"
    )


def refusing(work: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """Wrap a tool so that its errors are safe for a model: what a server answered is marked as untrusted.

    The text of an unexpected error may come from anywhere. It is only logged.
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
