"""Exit codes, and errors as one line that says what to do.

Below: nothing of the command line. Above: everything in it.
"""

import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

import trmm_async as sdk
from trmm_async.cli.text import clean, one_line

__all__ = ["CommandError", "Exit", "guarded", "refuse", "usage"]


class Exit(IntEnum):
    """What `trmm` ends with; documented in docs/cli.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3
    REFUSED = 4
    INTERRUPTED = 130
    PIPE_CLOSED = 141


class CommandError(Exception):
    """A command can't go on; the text says what to do."""

    def __init__(self, code: Exit, text: str) -> None:
        super().__init__(text)
        self.code = code


def usage(text: str) -> NoReturn:
    """End with "that is not how it is used"."""
    raise CommandError(Exit.USAGE, text)


def refuse(text: str) -> NoReturn:
    """End with "this is not done"."""
    raise CommandError(Exit.REFUSED, text)


def guarded(work: Callable[[], object], *, debug: bool) -> int:
    """Do the work; the exit code, after a line on stderr if it went wrong. With `debug` the traceback too."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has enough (`trmm agents | head`). What is left unwritten must not be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.PIPE_CLOSED
    except KeyboardInterrupt:
        _complain("interrupted")
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - people get a line and never a traceback, unless they ask
        if debug:
            traceback.print_exc()
        code, text = _judged(error)
        _complain(text)
        return code
    return code if isinstance(code, int) else Exit.OK


def _complain(text: str) -> None:
    print(f"trmm: {one_line(clean(text))}", file=sys.stderr)


def _judged(error: Exception) -> tuple[int, str]:
    if isinstance(error, CommandError):
        return error.code, str(error)
    if isinstance(error, sdk.TRMMError):
        return _judged_of_sdk(error)
    if isinstance(error, OSError):
        return Exit.FAILED, str(error)
    said = getattr(error, "format_message", None)
    if said is not None:  # what typer raises of a command line that is wrong
        return Exit.USAGE, f"{said()} {_hint(error)}"
    if type(error).__name__ == "Abort":
        return Exit.INTERRUPTED, "interrupted"
    return Exit.FAILED, f"a bug of ours: {type(error).__name__}: {error}; --debug shows where"


def _hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"See: {getattr(context, 'command_path', 'trmm')} --help"


def _judged_of_sdk(error: "sdk.TRMMError") -> tuple[Exit, str]:
    match error:
        case sdk.AuthenticationError():
            return Exit.REFUSED, f"the server does not take this API key: `trmm login` sets another. {error}"
        case sdk.PermissionDeniedError():
            return Exit.REFUSED, f"the key's user may not do that; `trmm doctor` shows what it may. {error}"
        case sdk.OutcomeUnknownError():
            return Exit.UNKNOWN, f"it may have happened, or not: look before you repeat it. {error}"
        case sdk.RateLimitedError():
            return Exit.REFUSED, f"the server wants fewer requests: wait a minute. {error}"
        case sdk.UnsupportedError():
            return Exit.REFUSED, str(error)
        case sdk.BadRequestError():
            return Exit.REFUSED, f"the server refuses: {error}"
        case sdk.InvalidRequestError():
            return Exit.USAGE, str(error)
        case sdk.NotFoundError():
            return Exit.FAILED, f"the server has no such thing: {error}"
        case sdk.ConnectionFailedError() | sdk.TimeoutError():
            return Exit.FAILED, f"no answer from the server; `trmm doctor` finds out why. {error}"
    return Exit.FAILED, str(error)
