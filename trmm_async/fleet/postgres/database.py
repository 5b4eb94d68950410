"""A connection to PostgreSQL: opened when it is needed, opened again when it is lost, cut when it is silent.

Errors of the library and of the server become `JournalError`s here, without a password in them.
"""

import asyncio
import logging
import os
import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from trmm_async.errors import JournalError, TRMMError
from trmm_async.fleet.postgres.address import PostgresJournal

__all__ = ["Connection", "Database", "Work"]

T = TypeVar("T")
# psycopg logs every lost connection, and without logging set up Python prints that. We report it ourselves.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Work = Callable[[Connection, bool], Awaitable[T]]
"""The content of one transaction. Its second argument says whether an earlier attempt may have been carried
out, because the server was lost before it answered."""

_SILENT: Final = 10.0
"""Seconds after which a server that does not answer is taken for lost."""
_PAUSE_FIRST: Final = 0.05
_PAUSE_MOST: Final = 2.0
_LOST: Final = (
    *(psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError),
    *(errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout),
)
"""Errors that may pass: the server is away, is starting, is a standby, or has ended our idle transaction."""
_CONFLICTS: Final = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
"""Errors after which certainly nothing was done."""


class Database:
    """A connection for one transaction at a time. It belongs to one event loop.

    Attributes:
        writes: whether the server must accept changes. A standby does not, and may lag behind, so nothing may
            be read from it; until it has taken over, it counts as a server that is away.
        was_reached: whether the server was reached at this address before, also through another connection.
            Until then the address may be wrong, so a server that is away is an error at once.
    """

    def __init__(self, address: PostgresJournal, name: str) -> None:
        self._address = address
        self._name = name
        self.writes: bool = False
        self.was_reached: bool = False
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._lost_at: float | None = None
        self._is_given_up = False

    def __repr__(self) -> str:
        return f"<Database of {self._name}>"

    async def do(self, work: Work[T], *, patience: float | None = None, silent: float = _SILENT) -> T:
        """Call `work` in one transaction, which is committed when this returns.

        If the server is lost, this tries again for `patience` seconds (the address has the default) since the
        server last carried out a transaction. It must not be cancelled, so shield it.

        Raises:
            JournalError: it could not be done, or it is not known whether it was done.
            psycopg.DataError: a value can't be written; nothing was done.
        """
        patience = self._address.timeout if patience is None else patience
        loop = asyncio.get_running_loop()
        pause, maybe_done = _PAUSE_FIRST, False
        async with self._turn:
            while True:
                try:
                    done = await self._once(work, maybe_done, silent)
                    # A connection alone is no proof: with a full disk, a server accepts it and does nothing.
                    self._lost_at = None
                    return done  # noqa: TRY300 - what follows handles its failure
                except (TRMMError, psycopg.DataError):
                    raise
                except _CONFLICTS:
                    pass
                except _LOST as error:
                    maybe_done = True
                    await self._drop()
                    if not self.was_reached:
                        raise self._unusable(error) from None
                    # The time counts for all callers, since those behind this one wait for the server, too.
                    self._lost_at = self._lost_at or loop.time()
                    if loop.time() >= self._lost_at + patience or self._is_given_up:
                        raise self._unusable(error) from None
                except psycopg.Error as error:
                    raise self._unusable(error) from None
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                pause = min(pause * 2, _PAUSE_MOST)

    async def _once(self, work: Work[T], maybe_done: bool, silent: float) -> T:
        doing = asyncio.ensure_future(self._transact(work, maybe_done))
        done, _ = await asyncio.wait({doing}, timeout=silent)
        if not done:
            if self._connection is not None:
                _cut(self._connection)
            # If the connection was still being opened, its own time limit ends that.
            await asyncio.wait({doing})
        return doing.result()

    async def _transact(self, work: Work[T], maybe_done: bool) -> T:
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        # A pipeline does not wait for answers that nobody needs: two round trips instead of eight.
        async with connection.pipeline(), connection.transaction():
            return await work(connection, maybe_done)

    async def held(self) -> Connection:
        """The connection, for a caller that keeps a transaction open on it for longer. Raises as `do`."""
        async with self._turn:
            try:
                if self._connection is None or self._connection.closed:
                    return await self._connect()
                return self._connection  # noqa: TRY300 - as the other return
            except (*_LOST, psycopg.Error) as error:
                raise self._unusable(error) from None

    async def _connect(self) -> Connection:
        if self._is_given_up:
            raise JournalError(f"{self._name} is closed")
        if not _is_readable(self._address.url):
            # libpq's message quotes the part that can't be read, which usually is the password.
            raise JournalError(
                f"{self._name} can't be used: its URL can't be read. In a password %, :, /, ?, # and @ are "
                "written %25, %3A, %2F, %3F, %23 and %40; or leave it to PGPASSWORD or ~/.pgpass"
            )
        connection = await psycopg.AsyncConnection.connect(
            self._address.url,
            autocommit=True,
            prepare_threshold=None,
            **_settings(self._address, self.writes),
        )
        try:
            await self._set_up(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection, self.was_reached = connection, True
        return connection

    async def _set_up(self, connection: Connection) -> None:
        # A host that hangs in the middle of a transaction must not block others for longer than its lease.
        idle = max(1000, int(self._address.lease * 500))
        await connection.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, false)", (str(idle),)
        )
        # A commit must wait for the disk. A setting that also waits for a standby is left as it is.
        await connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
        )

    def _unusable(self, error: BaseException) -> JournalError:
        said = " ".join(str(error).split()) or type(error).__name__
        return JournalError(f"{self._name} can't be used: {said}")

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()

    def give_up(self) -> None:
        """Open no new connection any more: if the present one is lost, `do` fails at once."""
        self._is_given_up = True

    async def close(self) -> None:
        """Close the connection."""
        self.give_up()
        async with self._turn:
            await self._drop()


def _is_readable(url: str) -> bool:
    try:
        found = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    # If a password contains a slash, libpq takes the part before it for a port.
    return all(port.isdecimal() for port in str(found.get("port", "")).split(",") if port)


def _settings(address: PostgresJournal, writes: bool) -> dict[str, Any]:
    """The settings that limit how long a lost server goes unnoticed, unless the URL sets them."""
    given = address.url.partition("?")[2]
    usual: dict[str, Any] = {
        "connect_timeout": 10,
        "application_name": "trmm_async",
        "tcp_user_timeout": int(_SILENT * 1000),
    }
    if writes:
        usual["target_session_attrs"] = "read-write"
    return {name: value for name, value in usual.items() if f"{name}=" not in given}


def _cut(connection: Connection) -> None:
    """Cut the connection, so that the task that waits for the server gets an error."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
