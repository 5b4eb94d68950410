"""Exit codes, and errors as one line that says what to do.

Below: `signals`, `streams`. Above: everything in the command line.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from io import TextIOWrapper
from typing import Final

import trmm_async as sdk
from trmm_async.cli.signals import like_ctrl_c
from trmm_async.cli.streams import sturdy
from trmm_async.cli.text import clean, one_line

__all__ = ["CommandError", "Exit", "guarded", "missing_library", "printed", "refuse", "told", "usage"]


class Exit(IntEnum):
    """The exit codes of `trmm`, documented in docs/cli.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3
    REFUSED = 4
    DIFFERENT = 5
    INTERRUPTED = 130
    PIPE_CLOSED = 141


class CommandError(Exception):
    """Ends a command, with this exit code. The text says what to do."""

    def __init__(self, code: Exit, text: str) -> None:
        super().__init__(text)
        self.code = code


_ADVICE: Final = (
    (
        "AuthenticationError",
        Exit.REFUSED,
        "the API key is refused: `trmm login` sets another. ",
    ),
    (
        "PermissionDeniedError",
        Exit.REFUSED,
        "not allowed; `trmm doctor` tells what the key may do. ",
    ),
    ("OutcomeUnknownError", Exit.UNKNOWN, "it may have happened or not: look before you repeat it. "),
    ("RateLimitedError", Exit.REFUSED, "the server wants fewer requests: wait a minute. "),
    ("UnsupportedError", Exit.REFUSED, ""),
    ("LimiterUnavailableError", Exit.REFUSED, ""),
    ("BadRequestError", Exit.REFUSED, "the server refuses: "),
    ("InvalidRequestError", Exit.USAGE, ""),
    ("NotFoundError", Exit.FAILED, "the server has no such thing: "),
    ("ConnectionFailedError", Exit.FAILED, "no answer from the server; `trmm doctor` looks why. "),
    ("TimeoutError", Exit.FAILED, "no answer in time; `trmm doctor` looks why. "),
)
"""Exit codes and advice for errors of the SDK; the first that matches. Names, so that none is imported."""


_LIBRARIES: Final = frozenset({"platformdirs", "rich", "tomlkit", "typer", "yaml"})
"""What the extra `[cli]` installs, by the names that are imported."""

_IN_COMMANDS: Final = (
    ("fleet.run_script(agents, script)", "`trmm run SCRIPT`"),
    ("fleet.run_script(journal=…)", "`trmm run --journal`"),
    ("come at once: events()", "come at once: `trmm watch`"),
    ("alerts.acknowledge", "`trmm alerts ack`"),
    ('dialect="stock", or "auto"', "--dialect stock, or auto"),
    ('dialect="stock"', "--dialect stock"),
)
"""Methods and arguments that texts of the SDK advise, and the commands and options in their place."""


def usage(text: str) -> CommandError:
    """An error to raise: the command line is wrong."""
    return CommandError(Exit.USAGE, text)


def refuse(text: str) -> CommandError:
    """An error to raise: this is refused."""
    return CommandError(Exit.REFUSED, text)


def guarded(work: Callable[[], object], *, debug: bool) -> int:
    """Do the work, and return the exit code. An error is one line on stderr; `debug` adds the traceback.

    SIGTERM and SIGHUP act as Ctrl-C does.
    """
    with sturdy(), like_ctrl_c():
        return _guarded(work, debug=debug)


@contextmanager
def printed(done: str) -> Iterator[None]:
    """In the block the result of a finished action is printed; `done` says which.

    If it can't be printed, the error says that the action is done: the command must not look as if nothing
    had happened.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        said = f"{done}, but what came of it can't be printed: {error.strerror or error}"
        raise CommandError(Exit.UNKNOWN, said) from error


def told(error: Exception) -> str:
    """The text of an error, as a command that ended with it would print it."""
    return one_line(clean(_judged(error)[1]))


def _guarded(work: Callable[[], object], *, debug: bool) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for characters that the encoding lacks
    try:
        code = work()
        sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("interrupted")
        return Exit.INTERRUPTED
    except SystemExit as end:
        if not _is_without_reader(end):
            raise
        return _without_reader()
    except Exception as error:  # noqa: BLE001 - users get one line, and a traceback with --debug only
        if _is_without_reader(error):
            return _without_reader()
        if debug:
            print(clean(traceback.format_exc()), end="", file=sys.stderr)
        code, text = _judged(error)
        _complain(text)
        _offer_page(error, code)
        return code
    return code if isinstance(code, int) else Exit.OK


def _is_without_reader(error: BaseException) -> bool:
    """Whether the reader of stdout is gone. typer and rich turn that into a `SystemExit`."""
    if isinstance(error, SystemExit):
        return isinstance(error.__context__, BrokenPipeError)
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_without_reader, error.exceptions))
    return isinstance(error, BrokenPipeError) or getattr(error, "code", None) is Exit.PIPE_CLOSED


def _without_reader() -> Exit:
    """Drop what is not written yet. Python would flush it at the end, and fail once more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return Exit.PIPE_CLOSED


def _complain(text: str) -> None:
    if "_TRMM_COMPLETE" in os.environ:
        return  # a message would end up in the line that is being typed
    print(f"trmm: {one_line(clean(text))}", file=sys.stderr)


def _offer_page(error: Exception, code: int) -> None:
    """Name the page about an error, on a terminal only: programs get one line for each error."""
    if isinstance(error, sdk.TRMMError) and code is not Exit.USAGE and sys.stderr.isatty():
        print(f"trmm: what now: trmm explain {type(error).__name__}", file=sys.stderr)


def missing_library(error: Exception) -> str:
    """What to do if the error is that a library of the extra `[cli]` is missing; else an empty text."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return f'{name} is missing: pip install "trmm-async[cli]"' if name in _LIBRARIES else ""


def _judged(error: Exception) -> tuple[int, str]:
    if isinstance(error, CommandError):
        return error.code, str(error)
    if isinstance(error, sdk.TRMMError):
        return _judged_of_sdk(error)
    if isinstance(error, OSError):
        return Exit.FAILED, str(error)
    said = getattr(error, "format_message", None)
    if said is not None:  # typer raises it for a wrong command line
        text = str(said())
        return Exit.USAGE, f"{text}{'' if text.endswith(('.', '?', ')')) else '.'} {_hint(error)}"
    if type(error).__name__ == "Abort":
        return Exit.INTERRUPTED, "interrupted"
    ours = f"a bug of ours: {type(error).__name__}: {error}; --debug shows where"
    return Exit.FAILED, missing_library(error) or ours


def _hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"See: {getattr(context, 'command_path', 'trmm')} --help"


def _judged_of_sdk(error: "sdk.TRMMError") -> tuple[Exit, str]:
    text = str(error)
    for method, command in _IN_COMMANDS:
        text = text.replace(method, command)
    for kind, code, advice in _ADVICE:
        if isinstance(error, getattr(sdk, kind)):
            return code, f"{advice}{text}"
    return Exit.FAILED, text
