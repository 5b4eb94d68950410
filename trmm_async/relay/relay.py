"""`Relay`: reads the server's events and writes them to a log that many processes can follow.

Of all relays of one name, one leads and the others stand by. When the leader's lease ends, another relay
leads, with a higher epoch, and continues from the position in the log. `leader` is a relay's work
while it leads.
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
from trmm_async.relay.leader import Leader, RelaySource
from trmm_async.relay.store import LogState, StaleError, Store

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
    """A relay of a server's events. `TRMM.relay` makes it; enter it, then await `run`.

        async with trmm.relay(to="redis://bus.internal:6379/1", name="acme") as relay:
            await relay.run()

    Attributes:
        trouble: why the relay can neither lead nor stand by at the moment, as a text; empty if it can.
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
        self._leader: Leader | None = None
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
        """Whether this relay is the one that reads the server now."""
        return self._leader is not None and self._leader.is_reading

    @property
    def written(self) -> int:
        """How many events this relay has written."""
        return self._written + (self._leader.written if self._leader is not None else 0)

    @property
    def dropped(self) -> int:
        """How many events were dropped while the engine could not be reached. A `Gap` has their number."""
        return self._dropped + (self._leader.dropped if self._leader is not None else 0)

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise ClosedError("a relay can be entered once: call trmm.relay() again")
        self._state = "entered"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._state = "ended"
        await self._store.aclose()

    def stop(self) -> None:
        """End `run`. Events that were read are still written, and another relay can lead at once."""
        self._stopped.set()

    async def run(self) -> None:
        """Lead, or stand by until the leader is gone. Returns after `stop`.

        If the server, the engine or the server of the shared limits can't be reached, the relay keeps trying,
        and `trouble` says why. If this is cancelled, the next leader reads those events again that were read
        and not yet written.

        Raises:
            APIError: the server refuses the events of all agents, or the key.
            InvalidRequestError: the engine refuses us.
            ClosedError: the block was not entered, or `run` is in progress already.
        """
        if self._state != "entered":
            raise ClosedError(
                "enter the relay first (async with trmm.relay(…) as relay), and run it only once"
            )
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
        """Lead if no other relay does. Returns how many seconds to wait afterwards."""
        pause = self._lease / 3
        try:
            log = await self._store.lead(self._lease)
            self.trouble = ""
            if log is not None:
                return await self._lead(log)
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

    async def _lead(self, log: LogState) -> float:
        leader = Leader(
            self._store, self._source, log, lease=self._lease, length=self._length, queue=self._queue
        )
        self._leader = leader
        try:
            return await leader.run(self._stopped)
        finally:
            self._leader = None
            self._written += leader.written
            self._dropped += leader.dropped
            with suppress(TRMMError):
                await self._store.resign()
