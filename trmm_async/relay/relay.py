"""Reads the server's events as the only one of its name, and writes them where many can follow.

Over `leading`, which is one relay's time as the leader. One leads, others of the same name stand by; when its
lease ends another leads, in a higher epoch, with `since=` the position that stands in the log.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from trmm_async.engines.faults import EngineAwayError, EngineRefusedError
from trmm_async.errors import (
    ClosedError,
    ConnectionFailedError,
    InvalidRequestError,
    LimiterUnavailableError,
    RateLimitedError,
    ServerError,
    TimeoutError,
    TRMMError,
)
from trmm_async.plaintext import log_of
from trmm_async.relay.leading import Leading, RelaySource
from trmm_async.relay.store import LogLook, StaleError, Store

__all__ = ["Relay"]

_LOG: Final = log_of("events")
_PASSING: Final = (
    ConnectionFailedError,
    LimiterUnavailableError,
    RateLimitedError,
    ServerError,
    TimeoutError,
)


class Relay:
    """Relays a server's events; see `TRMM.relay`.

        async with trmm.relay(to="redis://bus.internal:6379/1", name="acme") as relay:
            await relay.run()

    Attributes:
        trouble: why it can neither lead nor stand by at present; empty if it can.
    """

    def __init__(self, store: Store, source: RelaySource, *, lease: float, length: int, queue: int) -> None:
        self._store = store
        self._source = source
        self._lease = lease
        self._length = length
        self._queue = queue
        self._stopped = asyncio.Event()
        self._state = "new"
        self._written = self._dropped = 0
        self._leading: Leading | None = None
        self.trouble: str = ""

    def __repr__(self) -> str:
        state = "leads" if self.is_leading else self._state
        return f"<Relay {self._store.name!r} to {self._store.where}, {state}, {self.written} written>"

    @property
    def where(self) -> str:
        """The engine's address, without a password."""
        return self._store.where

    @property
    def is_leading(self) -> bool:
        """Whether it is this one that reads the server now."""
        return self._leading is not None and self._leading.is_reading

    @property
    def written(self) -> int:
        """How many events it has written."""
        return self._written + (self._leading.written if self._leading is not None else 0)

    @property
    def dropped(self) -> int:
        """How many it had no room for while the engine was away; each is counted in a `Gap`."""
        return self._dropped + (self._leading.dropped if self._leading is not None else 0)

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise ClosedError("a relay is entered once; call trmm.relay() again")
        self._state = "entered"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._state = "ended"
        await self._store.aclose()

    def stop(self) -> None:
        """Have `run` end: what was read is written before, and another may lead at once."""
        self._stopped.set()

    async def run(self) -> None:
        """Lead, or stand by until the leader is gone; until `stop`, or cancelled.

        A server, an engine or shared limits that can't be reached are tried again for ever, see `trouble`.
        Cancelled, what was read and not written is read again by the next that leads.

        Raises:
            APIError: the server refuses the events of all agents, or the key.
            InvalidRequestError: the engine refuses us.
            ClosedError: outside of the block, or while it runs already.
        """
        if self._state != "entered":
            raise ClosedError("a relay runs inside of `async with`, once at a time")
        self._state = "stands by"
        try:
            while not self._stopped.is_set():
                await self._sleep(await self._turn())
        except EngineRefusedError as error:
            refusal = str(error)
        else:
            return
        finally:
            if self._state == "stands by":
                self._state = "entered"
        raise InvalidRequestError(f"{self._store.where} refuses the relay: {refusal}")

    async def _sleep(self, seconds: float) -> None:
        with suppress(asyncio.TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _turn(self) -> float:
        """Lead if nobody does; how many seconds to wait then."""
        pause = self._lease / 3
        try:
            look = await self._store.lead(self._lease)
            self.trouble = ""
            if look is not None:
                return await self._lead(look)
        except StaleError as error:
            _LOG.warning("relay %s: leads no more: %s", self._store.name, error)
            return 0.0
        except EngineAwayError as error:
            self._note(f"{self._store.where} can't be reached: {error}")
        except _PASSING as error:
            self._note(str(error))
        return pause

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            _LOG.warning("relay %s: %s", self._store.name, trouble)
        self.trouble = trouble

    async def _lead(self, look: LogLook) -> float:
        leading = Leading(
            self._store, self._source, look, lease=self._lease, length=self._length, queue=self._queue
        )
        self._leading = leading
        try:
            return await leading.run(self._stopped)
        finally:
            self._leading = None
            self._written += leading.written
            self._dropped += leading.dropped
            with suppress(TRMMError):
                await self._store.leave()
