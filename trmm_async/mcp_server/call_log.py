"""The log of calls: a file that is only ever added to, and what writes each call into it."""

import json
import os
import secrets
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from trmm_async.mcp_server.texts import CALL, CallNotes
from trmm_async.plaintext import clean, one_line

__all__ = ["CallLog", "LoggedCalls"]

_CALLS: Final = {"tools/call": "name", "resources/read": "uri", "prompts/get": "name"}
"""What is a call of something, and under what key that stands."""
_MOST: Final = 4_000
_NO_LOG: Final = -32_001


class CallLog:
    """A file of all calls, one JSON object a line, which is only ever added to."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)

    def add(self, tool: str, what: str, **more: Any) -> None:
        """Write one line, on the disk before it returns.

        Raises:
            OSError: it can't be written.
        """
        told = {"time": datetime.now(UTC).isoformat(), "tool": tool, "what": what}
        if (notes := CALL.get()) is not None:
            told["call"] = notes.number
        line = json.dumps({**told, **more}, default=str)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab", buffering=0) as file:
            written = file.write(line.encode() + b"\n")
            os.fsync(handle)
        if written != len(line.encode()) + 1:
            raise OSError("the disk took a part of a line")


class LoggedCalls:
    """Writes each call before anything is done about it, and what came of it: refused and declined ones, too.

    It stands in front of all that the MCP SDK does: also what has wrong arguments, or no tool, is a call.
    """

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._numbers = count(1)
        self._session = secrets.token_hex(4)  # several processes may write one log

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """The SDK calls it for each message."""
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
            what, so = _end(result)
            told = "; ".join(notes.crashes) or _said(result) if what == "failed" else ""
            self._add(name, what, so, **({"error": _shown(told)} if told else {}))
            return result
        finally:
            CALL.reset(token)

    def _add(self, name: str, what: str, so: str, **more: Any) -> None:
        try:
            self._log.add(_shown(name), what, **more)
        except OSError as error:
            raise MCPError(
                code=_NO_LOG, message=f"the log of calls can't be written, so {so}: {error}"
            ) from error


def _end(result: HandlerResult) -> tuple[str, str]:
    """How a call ended, and what an error has to say if that can't be written any more."""
    told = result if isinstance(result, dict) else {}
    if told.get("isError"):
        return "failed", "how it failed is not in it"
    if told.get("inputRequests"):
        return "asked", "the person is not asked"
    return "answered", "it was carried out, and that is not in it. Make no other call"


def _said(result: HandlerResult) -> str:
    """What a model was told of a call that failed."""
    content = result.get("content", ()) if isinstance(result, dict) else ()
    return " ".join(str(one.get("text", "")) for one in content if isinstance(one, dict))


def _cut(arguments: Any) -> Any:
    text = json.dumps(arguments, default=str)
    return arguments if len(text) <= _MOST else f"{text[:_MOST]}…"


def _shown(text: str) -> str:
    return one_line(clean(text))[:_MOST]
