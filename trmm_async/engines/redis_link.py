"""One connection to a Redis or Valkey server: commands and scripts, with two kinds of errors.

The only module that uses the library `redis`. Its errors leave this module neither as a cause nor as a
context, since the frames of a connection hold the password as bytes.

The answer to a command that was cancelled, or came too late, would be taken for the answer to the next one
(redis-py's own fault of 2023). So the connection is always dropped then.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import redis.exceptions as faults
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from trmm_async.engines.address import EngineAddress
from trmm_async.engines.faults import EngineAwayError, EngineRefusedError, cancellations, check_swallowed

__all__ = ["RedisAwayError", "RedisLink", "RedisRefusedError", "LuaScript"]

_ANSWERS_WITHIN: Final = 2.0
"""Seconds that connecting, or one command, may take."""
_FINAL: Final = (
    faults.AuthenticationError,
    faults.AuthenticationWrongNumberOfArgsError,
    faults.NoPermissionError,
)
_TEMPORARY: Final = (
    "LOADING",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "OOM",
    "TRYAGAIN",
    "MISCONF",
    "NOREPLICAS",
    "UNKILLABLE",
)
"""The first words of a server's errors that are temporary."""


class RedisAwayError(EngineAwayError):
    """A Redis server can't be reached, or does not work at present."""


class RedisRefusedError(EngineRefusedError):
    """A Redis server refuses, and will go on to."""


class LuaScript:
    """A Lua script, sent by its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest: str = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class _Login(CredentialProvider):
    """Our credentials. A password that is set directly would be in a `repr` of the library."""

    def __init__(self, address: EngineAddress) -> None:
        self._address = address

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        address = self._address
        return (address.username, address.password) if address.username else (address.password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        # The library's own method logs a warning, and calls the other one.
        return self.get_credentials()


class RedisLink:
    """One connection, opened when it is needed and again after it broke. Belongs to one event loop.

    Args:
        address: the server's address.
    """

    def __init__(self, address: EngineAddress) -> None:
        self.address = address
        self._connection: Any = None
        self._turn = asyncio.Lock()
        self.commands: int = 0

    def __repr__(self) -> str:
        return f"<RedisLink {self.address}, {'open' if self._connection is not None else 'not open'}>"

    async def command(self, *words: Any, within: float | None = None) -> Any:
        """Send a command; the server's answer: bytes, numbers, None, or lists of these.

        If it is cancelled, the command may have been carried out or not.

        Args:
            words: the command.
            within: seconds that it may take, in place of 2.

        Raises:
            RedisAwayError: no answer; it may have been carried out or not.
            RedisRefusedError: the server refuses.
        """
        return await self._in_turn(words, None, within)

    async def run(
        self, script: LuaScript, keys: Sequence[str], words: Sequence[Any], *, within: float | None = None
    ) -> Any:
        """Run a script, by its digest, or by its text if the server doesn't know it. Raises as `command`."""
        arguments = (len(keys), *keys, *words)
        return await self._in_turn(
            ("EVALSHA", script.digest, *arguments), ("EVAL", script.text, *arguments), within
        )

    async def _in_turn(
        self, words: Sequence[Any], else_words: Sequence[Any] | None, within: float | None
    ) -> Any:
        seconds = _ANSWERS_WITHIN if within is None else within
        ends_at = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(ends_at):
                await self._turn.acquire()
        except TimeoutError:
            raise RedisAwayError(f"no answer to another command within {seconds:g} s") from None
        try:
            with suppress(_UnknownScriptError):
                return await self._command(words, ends_at, seconds)
            return await self._command(else_words or words, ends_at, seconds)
        finally:
            self._turn.release()

    async def facts(self) -> dict[str, str]:
        """The server's own report (INFO): version, memory, cluster, replication.

        Raises:
            RedisAwayError, RedisRefusedError: as `command`.
        """
        found: dict[str, str] = {}
        for section in ("server", "memory", "cluster", "replication"):
            text = await self.command("INFO", section)
            lines = text.decode(errors="replace").splitlines() if isinstance(text, bytes) else []
            found.update(tuple(line.split(":", 1)) for line in lines if ":" in line)  # type: ignore[misc]
        return found

    async def aclose(self) -> None:
        """Drop the connection. A later command opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _drop(connection)

    async def _command(self, words: Sequence[Any], ends_at: float, seconds: float) -> Any:
        away = refused = ""
        unknown = False
        cancelled_before = cancellations()
        try:
            async with asyncio.timeout_at(ends_at):
                connection = self._connection or await self._connect()
                self.commands += 1
                await connection.send_command(*words)
                check_swallowed(cancelled_before)
                return await connection.read_response()
        except faults.NoScriptError:
            unknown = True
        except _FINAL as error:
            refused = self._words(error)
        except faults.ResponseError as error:
            # The server has answered, so the connection can be used further.
            said = self._words(error)
            if said.startswith(_TEMPORARY):
                away = said
            else:
                refused = said
        except (TimeoutError, faults.TimeoutError):
            away = f"no answer within {seconds:g} s"
            await self.aclose()
        except (faults.RedisError, OSError, ValueError) as error:
            away = self._words(error)
            await self.aclose()
        except BaseException:
            await self.aclose()
            raise
        check_swallowed(cancelled_before)
        # Raised here, so that the library's error does not become the context of ours.
        if unknown:
            raise _UnknownScriptError
        raise RedisRefusedError(refused) if refused else RedisAwayError(away)

    async def _connect(self) -> Any:
        connection = self._made()
        try:
            await connection.connect()
        except BaseException:
            await _drop(connection)
            raise
        self._connection = connection
        return connection

    def _made(self) -> Any:
        address = self.address
        settings: dict[str, Any] = {
            "db": address.database,
            "protocol": 2,
            # The library must not repeat commands: only the caller knows whether that is harmless.
            "retry": Retry(NoBackoff(), 0),
        }
        if address.password:
            settings["credential_provider"] = _Login(address)
        if address.path:
            return UnixDomainSocketConnection(path=address.path, **settings)
        settings |= {"host": address.host, "port": address.port}
        if not address.is_encrypted:
            return Connection(**settings)
        return SSLConnection(
            # Before its version 6 the library did not check a certificate's host name by default.
            ssl_check_hostname=True,
            ssl_cert_reqs="required",
            **settings,
            **dict[str, Any](address.files),
        )

    def _words(self, error: BaseException) -> str:
        return self.address.scrub(str(error) or type(error).__name__)


class _UnknownScriptError(Exception):
    """The server doesn't know the script: it was restarted, or its scripts were flushed."""


async def _drop(connection: Any) -> None:
    # Without waiting for the server, which may hang.
    with suppress(faults.RedisError, OSError):
        await connection.disconnect(nowait=True)
