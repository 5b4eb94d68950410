"""A simulator in a thread of its own, and the command line, run as people and programs run it."""

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.forked import Forked, Forks, forks
from trmm_async.testing import Simulator

T = TypeVar("T")
LONGEST = 120.0
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HOSTS = ("--agent", "JADE-PC", "--agent", "DESKTOP-001", "--yes")
"""Words that name two agents and go on without a question."""


class Typist(StringIO):
    """A stdin that is a terminal, at which this is typed."""

    def isatty(self) -> bool:
        return True


class Backstage:
    """A running simulator. What is done to it, and asked of it, happens in its own thread."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = self.api_key = ""
        self.server: Simulator

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with Simulator(**self._settings) as self.server:
            self.url, self.api_key = self.server.url, self.server.api_key
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(LONGEST)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(LONGEST)
        assert not self._thread.is_alive()

    def do(self, work: Callable[[Simulator], T]) -> T:
        """Do something to the simulator, or ask it something."""

        async def inside() -> T:
            return work(self.server)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(10)

    @property
    def environment(self) -> dict[str, str]:
        return {"TRMM_URL": self.url, "TRMM_API_KEY": self.api_key}

    @property
    def first(self) -> str:
        """The id of JADE-PC."""
        return self.do(lambda server: server.agent_ids[0])


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    error: str = ""

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's, without what would make a difference."""
    strange = ("TRMM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "TTY_", "GITHUB_", "PY_COLORS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    return {**kept, "TERM": "xterm-256color", **extra}


COMMAND = "trmm_async.cli"


def forked() -> Forks:
    """What starts the command in a process of its own, quickly."""
    return forks("cli")


def program(
    words: Sequence[str], extra: Mapping[str, str], typed: str | bytes = "", *, fresh: bool = False
) -> Said:
    """The command as a process of its own, without a terminal.

    With `fresh`, or with variables that Python reads when it starts, in an interpreter of its own, too.
    """
    if not fresh and not any(name.startswith("PYTHON") for name in extra.keys() - {"PYTHONIOENCODING"}):
        forked_one = forked().run(COMMAND, words, typed, env=environment(extra), stdin=subprocess.PIPE)
        return Said(forked_one.returncode, forked_one.stdout, forked_one.stderr)
    done = subprocess.run(
        [sys.executable, "-m", COMMAND, *words],
        env=environment(extra),
        input=typed if isinstance(typed, bytes) else typed.encode(),
        capture_output=True,
        timeout=LONGEST,
        check=False,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def in_shell(line: str, stage: Backstage, *, fresh: bool = False) -> Said:
    """A line as a shell runs it; `TRMM` stands for the command. `fresh`: in an interpreter of its own."""
    command = [sys.executable, "-m", COMMAND] if fresh else forked().command(COMMAND)
    done = subprocess.run(
        ["/bin/bash", "-c", line.replace("TRMM", shlex.join(command))],
        env=environment(stage.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


Process = Forked | subprocess.Popen[str]


def _start(
    words: Sequence[str], extra: Mapping[str, str], *, fresh: bool, terminal: bool = False, **settings: Any
) -> Process:
    settings = {**settings, "env": environment(extra), "start_new_session": True}
    if not fresh:
        return forked().start(COMMAND, words, terminal=terminal, **settings)

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    # Safe enough: the child has nothing to lock.
    settings["preexec_fn"] = take_terminal if terminal else None
    return subprocess.Popen([sys.executable, "-m", COMMAND, *words], text=True, **settings)


@contextmanager
def started(
    words: Sequence[str], extra: Mapping[str, str], *, fresh: bool = False, **settings: Any
) -> Iterator[Process]:
    """The command on its way, in a session of its own, with pipes unless `settings` say otherwise.

    With `fresh`, in an interpreter of its own, too.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with _start(words, extra, fresh=fresh, **{**pipes, **settings}) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: Process) -> Said:
    """Its end, waited for."""
    out, error = process.communicate(timeout=LONGEST)
    return Said(process.wait(), out, error)


def lines(shown: str) -> list[str]:
    """What a terminal shows, line by line."""
    return ESCAPE.sub("", shown).replace("\r", "").splitlines()


FLEETING = re.compile(r"\r\x1b\[K(?:[^\r\n]*(?=\r\x1b\[K))?")
"""The line that says why a slow machine is waited for, and that is taken back."""


class Terminal:
    """The command in a terminal of its own: what it shows can be waited for, and keys can be typed.

    Attributes:
        raw: all that has come.
    """

    def __init__(self, process: Process, handle: int) -> None:
        self.process = process
        self._handle = handle
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")
        self.raw = ""

    @property
    def shown(self) -> str:
        """The same without the line that was taken back."""
        return FLEETING.sub("", self.raw)

    def type(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def wait_for(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + LONGEST
        while self.raw.count(text) < times:
            assert self._read(deadline), f"never showed {text!r}: {self.raw}"

    def hang_up(self) -> None:
        """The terminal is gone, as when a connection by ssh ends."""
        os.close(self._handle)
        self._handle = os.open(os.devnull, os.O_RDONLY)

    def finish(self) -> int:
        deadline = time.monotonic() + LONGEST
        while self._read(deadline):
            pass
        return self.process.wait(LONGEST)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._handle], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more came: {self.shown}"
        with suppress(OSError):  # that is how a terminal ends
            data = os.read(self._handle, 65_536)
            self.raw += self._decoder.decode(data)
            return bool(data)
        return False


@contextmanager
def terminal(
    words: Sequence[str],
    extra: Mapping[str, str],
    width: int = 80,
    *,
    output: Path | None = None,
    fresh: bool = False,
) -> Iterator[Terminal]:
    """The command on a terminal of that width; its stdout goes into that file, if one is given.

    With `fresh`, in an interpreter of its own, too.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    stdout = theirs if output is None else os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        process = _start(words, extra, fresh=fresh, terminal=True, stdin=theirs, stdout=stdout, stderr=theirs)
    finally:
        for number in {theirs, stdout}:
            os.close(number)
    try:
        with process:
            yield Terminal(process, ours)
            process.kill()
    finally:
        process.kill()
        os.close(ours)
