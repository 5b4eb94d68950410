"""The log of calls: an append-only file, and the middleware that writes each call to it."""

import json
import os
import secrets
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from trmm_async.errors import InvalidRequestError
from trmm_async.mcp_server.texts import CALL, CallNotes
from trmm_async.plaintext import clean, one_line

__all__ = ["CallLog", "LoggedCalls"]

_CALLS: Final = {"tools/call": "name", "resources/read": "uri", "prompts/get": "name"}
"""The requests that are logged, and the parameter with the name of what is called."""
_MOST: Final = 4_000
_NO_LOG: Final = -32_001


class CallLog:
    """An append-only file of all calls, with one JSON object per line."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)

    def check(self) -> None:
        """Make the file if it isn't there. Raises `InvalidRequestError` if it can't be written to."""
        try:
            os.close(self._opened())
        except OSError as error:
            raise InvalidRequestError(f"log: the log of calls can't be written: {error}") from None

    def add(self, tool: str, what: str, **more: Any) -> None:
        """Write one line. It is on the disk when this returns.

        Raises:
            OSError: it can't be written.
        """
        entry = {"time": datetime.now(UTC).isoformat(), "tool": tool, "what": what}
        if (notes := CALL.get()) is not None:
            entry["call"] = notes.number
        line = json.dumps({**entry, **more}, default=str)
        handle = self._opened()
        with os.fdopen(handle, "ab", buffering=0) as file:
            written = file.write(line.encode() + b"\n")
            os.fsync(handle)
        if written != len(line.encode()) + 1:
            raise OSError("the disk took a part of a line")

    def _opened(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class LoggedCalls:
    """Logs each call before it is carried out, and its result, also if it was refused.

    This is a middleware before everything that the MCP SDK does. So a call with wrong arguments, or of a tool
    that does not exist, is logged, too.
    """

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._numbers = count(1)
        self._session = secrets.token_hex(4)  # several processes may write one log

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Handle a message; called by the MCP SDK."""
        if ctx.method not in _CALLS:
            return await call_next(ctx)
        params = ctx.params or {}
        name, notes = str(params.get(_CALLS[ctx.method])), CallNotes(f"{self._session}-{next(self._numbers)}")
        token = CALL.set(notes)
        try:
            self._add(name, "called", "nothing is done", arguments=_cut(params.get("arguments")))
            try:
                result = await call_next(ctx)
            except BaseException as error:
                self._add(name, "failed", "it failed", error=_shown(f"{type(error).__name__}: {error}"))
                raise
            what, consequence = _end(result)
            error_text = "; ".join(notes.crashes) or _said(result) if what == "failed" else ""
            self._add(name, what, consequence, **({"error": _shown(error_text)} if error_text else {}))
            return result
        finally:
            CALL.reset(token)

    def _add(self, name: str, what: str, consequence: str, **more: Any) -> None:
        try:
            self._log.add(_shown(name), what, **more)
        except OSError as error:
            raise MCPError(
                code=_NO_LOG, message=f"the log of calls can't be written, so {consequence}: {error}"
            ) from error


def _end(result: HandlerResult) -> tuple[str, str]:
    """How a call ended, and the consequence if that can't be logged any more."""
    answer = result if isinstance(result, dict) else {}
    if answer.get("isError"):
        return "failed", "how it failed is not in it"
    if answer.get("inputRequests"):
        return "asked", "the person is not asked"
    return "answered", "it was carried out, and that is not in it. Make no other call"


def _said(result: HandlerResult) -> str:
    """The text that the model got about a failed call."""
    content = result.get("content", ()) if isinstance(result, dict) else ()
    return " ".join(str(one.get("text", "")) for one in content if isinstance(one, dict))


def _cut(arguments: Any) -> Any:
    text = json.dumps(arguments, default=str)
    return arguments if len(text) <= _MOST else f"{text[:_MOST]}…"


def _shown(text: str) -> str:
    return one_line(clean(text))[:_MOST]
