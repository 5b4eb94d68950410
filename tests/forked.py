"""Programs that run as processes of their own, and don't each import everything: one process has, and forks.

A fork has the environment, the streams and the session that it is given, is reached by signals, and ends as
any process does: with an exit code, and with all that Python says when it goes. It has no fresh interpreter:
what Python or a module does when it is loaded (read PYTHONUTF8, import something) needs a real start. Of the
variables that Python reads then, PYTHONIOENCODING alone is heeded.
"""

import asyncio
import atexit
import fcntl
import gc
import importlib
import io
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from types import CodeType
from typing import IO, Any, Final, NoReturn, Self

from tests.forked_client import asked

__all__ = [
    "SUITE",
    "Finished",
    "Forked",
    "Forks",
    "alone",
    "end_all",
    "forks",
    "killed_in_the_end",
    "program",
    "shared_folder",
]

ROOT: Final = Path(__file__).parents[1]
CLIENT: Final = str(ROOT / "tests" / "forked_client.py")
LONGEST: Final = 120
"""Seconds after which a program is killed. A whole number, as alarms want it."""
STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STREAMS: Final = ("stdin", "stdout", "stderr")
FOLDER: Final = "FOLDER_OF_TESTS"
"""The variable by which processes of tests find what they share."""
ENDS_WITH: Final = "alive"
"""A pipe in it that is open for as long as the run: what reads it ends with the run, however that ends."""
SHELL_IS_NAMED: Final = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"

SUITE: Final = "suite"
"""The kind of program that runs tests."""

Finished = subprocess.CompletedProcess[str]

WARM: Final[dict[str, tuple[str, ...]]] = {
    "package": ("trmm_async.testing.plugin", "trmm_async.shared", "pytest", "pytest_asyncio.plugin"),
    # Without typer.rich_utils and keyring, which look at the environment when they are loaded.
    "cli": (
        "trmm_async.cli.console",
        "trmm_async.config",
        "trmm_async.fleet.postgres.store",
        "platformdirs.unix",
        "rich.markdown",
        "rich.progress",
    ),
}
"""By kind of program: what is imported before the forks, beside all that the package's public names need."""

OPTIONS: Final = {"package": ("-W", "error"), "cli": (), SUITE: ()}
"""Of Python."""


class Forked:
    """A program on its way: as much of `subprocess.Popen` as the tests need. Pipes are text."""

    def __init__(self, answers: socket.socket, pipes: Mapping[str, int], encoding: str) -> None:
        self._answers = answers
        self._said = b""
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = (
            os.fdopen(pipes[name], "w" if name == "stdin" else "r", encoding=encoding)
            if name in pipes
            else None
            for name in STREAMS
        )
        self.pid = self._answer(LONGEST)

    def poll(self) -> int | None:
        """Its exit code if it has ended; that of one that a signal ended is negative."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float = LONGEST) -> int:
        if self.returncode is None:
            self.returncode = self._answer(timeout)
            self._answers.close()
        return self.returncode

    def communicate(self, typed: str | bytes = b"", timeout: float = LONGEST) -> tuple[str, str]:
        """Type that, and read what it prints until its end."""
        with _read(self.stdout) as out, _read(self.stderr) as error:
            if self.stdin is not None:
                with suppress(BrokenPipeError), self.stdin:
                    self.stdin.buffer.write(typed.encode() if isinstance(typed, str) else typed)
            self.wait(timeout)
        return "".join(out), "".join(error)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self.stdin, self.stdout, self.stderr:
            if stream is not None:
                stream.close()
        self.wait()

    def _answer(self, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._said:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired("a fork", seconds)
            data = self._answers.recv(4096)
            assert data, "the process that forks is gone"
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        return int(line)


@contextmanager
def _read(stream: IO[str] | None) -> Iterator[list[str]]:
    """What comes of it until its end, read meanwhile."""
    parts: list[str] = []
    if stream is None:
        yield parts
        return
    reader = threading.Thread(target=lambda: parts.append(stream.read()))
    reader.start()
    yield parts
    reader.join(LONGEST)


class Forks:
    """The process that forks, seen from the tests. From any thread, as many programs at once as they like."""

    def __init__(self, kind: str) -> None:
        self.address = str(shared_folder() / kind)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TRMM"))
        }
        command = (
            f"import tests.forked; code = tests.forked.program({kind!r}, {self.address!r})\n"
            "with tests.forked.ended_soon(): exec(code)"
        )
        # To load everything takes seconds: one process of those that run tests has it done for all.
        with alone(kind) as folder, (folder / ENDS_WITH).open("rb", 0) as ends_with:
            if not Path(self.address).exists():
                subprocess.run(
                    [sys.executable, *OPTIONS[kind], "-c", command],
                    cwd=ROOT,
                    env=environment,
                    stdin=ends_with,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                    check=True,
                )

    def start(
        self,
        what: str,
        words: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path = ROOT,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.PIPE,
        start_new_session: bool = False,
        terminal: bool = False,
        ignoring: Sequence[signal.Signals] = (),
    ) -> Forked:
        """Start a program: a module, by its name; a path that ends with ".py"; or else that text.

        Args:
            stdin: the file's number, or PIPE, DEVNULL, STDOUT as subprocess has them; None: it is closed.
            start_new_session: it is the first process of its own session.
            terminal: that session's terminal is stdin.
            ignoring: of the signals that stop a program.
        """
        pipes: dict[str, int] = {}
        theirs: dict[str, int] = {}
        nothing = os.open(os.devnull, os.O_RDWR)
        passing = [nothing]
        try:
            for name, stream in zip(STREAMS, (stdin, stdout, stderr), strict=True):
                if stream == subprocess.PIPE:
                    reading, writing = os.pipe()
                    pipes[name], theirs[name] = (writing, reading) if name == "stdin" else (reading, writing)
                    passing.append(theirs[name])
                elif stream is not None:
                    theirs[name] = {subprocess.DEVNULL: nothing}.get(stream, stream)
                    if stream == subprocess.STDOUT:
                        theirs[name] = theirs["stdout"]
            order = {
                "what": what,
                "words": list(words),
                "environment": dict(os.environ if env is None else env),
                "folder": str(cwd),
                "streams": [STREAMS.index(name) for name in theirs],
                "session": start_new_session,
                "terminal": terminal,
                "ignoring": [int(number) for number in ignoring],
            }
            encoding, _ = _encoding(os.environ if env is None else env)
            return Forked(asked(self.address, order, list(theirs.values())), pipes, encoding)
        finally:
            for number in passing:
                os.close(number)

    def command(self, what: str) -> list[str]:
        """The command that has such a program forked, for what starts programs itself. Words may follow."""
        return [sys.executable, "-I", "-S", CLIENT, self.address, what]

    def run(
        self, what: str, words: Sequence[str] = (), typed: str | bytes = b"", **settings: Any
    ) -> Finished:
        """Run one to its end; see `start`."""
        streams = {"stdin": subprocess.PIPE} if typed else {}
        with self.start(what, words, **{**streams, **settings}) as process:
            try:
                out, error = process.communicate(typed)
            finally:
                process.kill()
        return Finished([what, *words], process.wait(), out, error)


@asynccontextmanager
async def killed_in_the_end(text: str, words: Sequence[str]) -> AsyncIterator[IO[str]]:
    """A program of that text, killed by SIGKILL when the block ends; what it prints."""
    with forks("package").start(text, words, stderr=2) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


@cache
def forks(kind: str) -> Forks:
    """The process that forks programs of this kind, the same for all tests of a run."""
    return Forks(kind)


def shared_folder() -> Path:
    """What all processes that run the tests of a run share; made by the first that asks."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="trmm-tests-")
        fifo = Path(os.environ[FOLDER]) / ENDS_WITH
        os.mkfifo(fifo)
        _OPEN.append(os.open(fifo, os.O_RDWR))
    return Path(os.environ[FOLDER])


@contextmanager
def alone(what: str) -> Iterator[Path]:
    """The shared folder, while no other process of the run does this in it."""
    folder = shared_folder()
    with (folder / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


_OPEN: Final[list[int]] = []


def end_all() -> None:
    """End what forks, if it was begun here, and remove the folder."""
    while _OPEN:
        os.close(_OPEN.pop())
        shutil.rmtree(os.environ.pop(FOLDER))
    forks.cache_clear()


# What follows runs in the process that forks.


def _load(kind: str) -> None:
    if kind == SUITE:
        import pytest

        # Each worker collects the tests for itself, and finds their modules, and all that they need, loaded.
        pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"])
        # After that, since pytest refuses a plugin of its own that is loaded before it.
        from hypothesis import strategies

        # In a fresh clone each would find out, by trying all characters, of which ones a text is made.
        strategies.text().validate()
    else:
        _load_programs(kind)
    gc.collect()
    gc.freeze()  # or each fork, when it ends, would look through all of this: that takes longer than the fork


def _load_programs(kind: str) -> None:
    import trmm_async
    import trmm_async.testing

    for name in WARM[kind]:
        importlib.import_module(name)
    if kind == "cli":
        # Typer reads it while it makes the commands: then the shell is named, and not looked for.
        os.environ[SHELL_IS_NAMED] = "1"
        app = importlib.import_module("trmm_async.cli.app")
        trees = [app.command_tree(word) for word in ("", "--version", *app.MODULES)]
        trees[0].commands["agents"].make_context("agents", [])  # to read options, typer imports pydantic
        del os.environ[SHELL_IS_NAMED]
    for room in (trmm_async, trmm_async.testing):
        for name in room.__all__:
            getattr(room, name)  # names are imported when they are first looked at
    if kind == "package":
        asyncio.run(_warm_up())


async def _warm_up() -> None:
    """What is made at the first call and kept, such as decoders, is there before the forks."""
    from trmm_async import TRMM
    from trmm_async.testing import Simulator

    for dialect in ("gateway", "stock"):
        async with (
            Simulator(agents=2, dialect=dialect, script_seconds=0.01) as server,
            TRMM(server.url, api_key=server.api_key, dialect=dialect) as trmm,
        ):
            await trmm.agents.list()
            await trmm.scripts.list()
            async with trmm.events(server.agent_ids):
                await trmm.fleet.run_script(server.agent_ids, 1)


def program(kind: str, address: str) -> CodeType:
    """Returns in each fork, with what it is to run as `__main__`."""
    _load(kind)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(100)
        if os.fork():
            os._exit(0)  # whoever waits for this process knows by its end that the other one listens
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if listener not in ready:
                sys.exit()
            connection, _ = listener.accept()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if not os.fork():
                break
            connection.close()
    order, files = _received(connection)
    fork = os.fork()
    if fork:
        _watch(fork, connection, files, 0 if kind == SUITE else LONGEST)
    connection.close()
    return _become(order, files)


@contextmanager
def ended_soon() -> Iterator[None]:
    """End the process after the block as Python does, but leave alone what was there before the fork.

    To take apart all modules takes a fork longer than most programs do: it has to copy each page first. Where
    a program ends by an exception, or its streams can't be flushed, Python ends it.
    """
    code: object = 0
    try:
        yield
    except SystemExit as stopped:
        code = stopped.code or 0
    if isinstance(code, int):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        vars(sys.modules["__main__"]).clear()
        gc.collect()
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code & 0xFF)
    sys.exit(code)  # type: ignore[arg-type]


def _received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    data, files, _, _ = socket.recv_fds(connection, 65_536, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(65_536)
    return json.loads(data), list(files)


def _watch(fork: int, connection: socket.socket, files: Sequence[int], longest: int) -> NoReturn:
    """Tell which process it is, and how it ends. With `longest`, kill it after as many seconds."""
    for number in files:
        os.close(number)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(fork, signal.SIGKILL))
    signal.alarm(longest)
    with suppress(OSError):  # nobody asks any more
        connection.sendall(b"%d\n" % fork)
    _, status = os.waitpid(fork, 0)
    with suppress(OSError):
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(order: Mapping[str, Any], files: Sequence[int]) -> CodeType:
    """Have all that a process is given when it is started; what it is to run."""
    for stop in STOPPING:
        ours = signal.default_int_handler if stop is signal.SIGINT else signal.SIG_DFL
        signal.signal(stop, signal.SIG_IGN if stop in order.get("ignoring", ()) else ours)
    if order.get("session"):
        os.setsid()
    for number in range(len(STREAMS)):
        os.close(number)
    for number, file in zip(order["streams"], files, strict=True):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    if order.get("terminal"):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(order["environment"])
    for number, name in enumerate(STREAMS):
        stream = _stream(number) if number in order["streams"] else None
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    time.tzset()
    os.chdir(order["folder"])
    what, words = order["what"], order["words"]
    sys.argv = [what if what.endswith(".py") else "-c", *words]
    if what.endswith(".py"):
        sys.path[0] = str(Path(what).parent)
        return compile(Path(what).read_text(), what, "exec")
    if re.fullmatch(r"[\w.]+", what):
        code = f"import runpy; runpy.run_module({what!r}, run_name='__main__', alter_sys=True)"
        return compile(code, "<string>", "exec")
    return compile(what, "<string>", "exec")


def _encoding(environment: Mapping[str, str]) -> tuple[str, str]:
    """The encoding of the standard streams, and what they do with what it has no letters for."""
    encoding, _, errors = environment.get("PYTHONIOENCODING", "").partition(":")
    return encoding or "utf-8", errors or "strict"


def _stream(number: int) -> io.TextIOWrapper:
    """As Python makes the standard streams when it starts."""
    encoding, errors = _encoding(os.environ)
    raw = io.FileIO(number, "w" if number else "r", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if number else io.BufferedReader(raw),
        encoding=encoding,
        errors="backslashreplace" if number == 2 else errors,
        newline="\n",
        line_buffering=number == 2 or raw.isatty(),
    )
