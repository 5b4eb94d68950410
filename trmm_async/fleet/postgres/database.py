"""One connection to PostgreSQL: made when it is needed, made again when it was lost, cut when it is silent.

Below `store`. What a library or a server raises becomes a `JournalError` here, without a password in it.
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
# It logs whatever breaks under it, which is ours to tell; Python prints that where nobody has set up logging.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Work = Callable[[Connection, bool], Awaitable[T]]
"""What is done in one transaction. Told whether it may have been done before: the server was lost then."""

_SILENT: Final = 10.0
"""Seconds after which a server that says nothing is taken for lost."""
_PAUSE_FIRST: Final = 0.05
_PAUSE_MOST: Final = 2.0
_LOST: Final = (
    *(psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError),
    *(errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout),
)
"""What may pass: the server is away, is starting, was put in another's place, or has taken our turn back."""
_CONFLICTS: Final = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
"""Of these it is known that nothing was done."""


class Database:
    """A connection for one thing at a time. Belongs to one event loop.

    Attributes:
        writes: a server that takes no changes is not the one that is meant: a standby, which may lag as well,
            so that nothing may be read there. Until it has taken over it counts as one that is away.
    """

    def __init__(self, address: PostgresJournal, name: str) -> None:
        self._address = address
        self._name = name
        self.writes: bool = False
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._was_connected = False
        self._lost_at: float | None = None
        self._is_given_up = False

    def __repr__(self) -> str:
        return f"<Database of {self._name}>"

    async def do(self, work: Work[T], *, patience: float | None = None, silent: float = _SILENT) -> T:
        """Do that in one transaction, committed when this returns; again where the server was lost.

        For `patience` seconds (as the address says) since it last did what was asked. Not to be cancelled:
        shield it.

        Raises:
            JournalError: it could not be done, or can't be known to have been.
            psycopg.DataError: a value can't be written; nothing was done.
        """
        patience = self._address.timeout if patience is None else patience
        loop = asyncio.get_running_loop()
        pause, maybe_done = _PAUSE_FIRST, False
        async with self._turn:
            while True:
                was_connected = self._was_connected
                try:
                    done = await self._once(work, maybe_done, silent)
                    # Not sooner: a server may let everybody in and carry out nothing, as with a full disk.
                    self._lost_at = None
                    return done  # noqa: TRY300 - it is all that may fail
                except (TRMMError, psycopg.DataError):
                    raise
                except _CONFLICTS:
                    pass
                except _LOST as error:
                    maybe_done = True
                    await self._drop()
                    if not was_connected and not self._was_connected:
                        raise self._unusable(error) from None
                    # Those that have waited for their turn meanwhile have waited for the server, too.
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
            # A connection that was only being made has a time limit of its own.
            await asyncio.wait({doing})
        return doing.result()

    async def _transact(self, work: Work[T], maybe_done: bool) -> T:
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        # In a pipeline what needs no answer does not wait for one: two ways there and back, and not eight.
        async with connection.pipeline(), connection.transaction():
            return await work(connection, maybe_done)

    async def held(self) -> Connection:
        """The connection, for who keeps a transaction open on it for longer. Raises as `do`."""
        async with self._turn:
            try:
                if self._connection is None or self._connection.closed:
                    return await self._connect()
                return self._connection  # noqa: TRY300 - what is made is returned by the same way
            except (*_LOST, psycopg.Error) as error:
                raise self._unusable(error) from None

    async def _connect(self) -> Connection:
        if self._is_given_up:
            raise JournalError(f"{self._name} is closed")
        if not _is_readable(self._address.url):
            # What libpq says of it quotes the place where it breaks, which is the password as a rule.
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
        self._connection, self._was_connected = connection, True
        return connection

    async def _set_up(self, connection: Connection) -> None:
        # Who stands still in the middle of a transaction must not make the others wait longer than its lease.
        idle = max(1000, int(self._address.lease * 500))
        await connection.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, false)", (str(idle),)
        )
        # What is committed must have reached the disk; where it has to reach a standby, too, that stays.
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
        """Make no other connection than the one that there is: what is tried again ends with an error."""
        self._is_given_up = True

    async def close(self) -> None:
        """Close it."""
        self.give_up()
        async with self._turn:
            await self._drop()


def _is_readable(url: str) -> bool:
    try:
        found = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    # Behind the first slash of a password libpq reads on as if that were a host's port.
    return all(port.isdecimal() for port in str(found.get("port", "")).split(",") if port)


def _settings(address: PostgresJournal, writes: bool) -> dict[str, Any]:
    """Those that say how soon a server is known to be gone; what the URL says of them holds."""
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
    """Have whoever waits for the server find out that it is gone."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
