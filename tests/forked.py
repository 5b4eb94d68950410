"""Programs that run as processes of their own, and don't each import everything: one process has, and forks.

A fork ends as any process does: with an exit code, and with all that Python says when it goes.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType
from typing import Final

__all__ = ["Finished", "Forks", "forks", "program"]

ROOT: Final = Path(__file__).parents[1]
LONGEST: Final = 120
"""Seconds after which a program is killed. A whole number, as alarms want it."""

Finished = subprocess.CompletedProcess[str]


class Forks:
    """The process that forks, seen from the tests. One program at a time, from any thread."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, script: Path) -> Finished:
        """Run the script in its own folder, with warnings as errors, in Python's development mode."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(str(script)) + "\n")
        self._process.stdin.flush()
        code = json.loads(self._process.stdout.readline())
        said = (script.with_suffix(end).read_text() for end in (".out", ".err"))
        return Finished([str(script)], code, *said)


@contextmanager
def forks() -> Iterator[Forks]:
    """A process that has imported the package and pytest, and runs programs until the block ends."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TRMM"))
    }
    command = "import tests.forked; exec(tests.forked.program())"
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Forks(process)
        assert process.stdin is not None
        process.stdin.close()


def program() -> CodeType:
    """In the process that forks: returns in each fork, with what it is to run as `__main__`."""
    import trmm_async
    import trmm_async.testing

    for plugin in entry_points(group="pytest11"):
        plugin.load()
    for room in (trmm_async, trmm_async.testing):
        for name in room.__all__:
            getattr(room, name)  # names are imported when they are first looked at
    for line in sys.stdin:
        script = Path(json.loads(line))
        fork = os.fork()
        if not fork:
            return _become(script)
        _, status = os.waitpid(fork, 0)
        sys.stdout.write(json.dumps(os.waitstatus_to_exitcode(status)) + "\n")
        sys.stdout.flush()
    sys.exit()


def _become(script: Path) -> CodeType:
    signal.alarm(LONGEST)
    with (
        Path(os.devnull).open() as nothing,
        script.with_suffix(".out").open("w") as out,
        script.with_suffix(".err").open("w") as err,
    ):
        for number, file in enumerate((nothing, out, err)):
            os.dup2(file.fileno(), number)
    os.chdir(script.parent)
    sys.argv = [str(script)]
    return compile(script.read_text(), str(script), "exec")
