"""What sockets are read into: one buffer, and each byte copied out at once into pieces of its own size.

By itself asyncio takes a new piece of 256 KiB for each look at a socket and cuts it down to what came. What
lives on between such pieces keeps the C library from giving them back: a daemon grows by up to a megabyte a
minute.
"""

import asyncio
import threading
from typing import Final

__all__ = ["Buffered", "is_shared_by"]

_SIZE: Final = 1 << 18
"""Bytes of one read, as asyncio has it: with a quarter of it long lists take a fifth longer."""

_RECORD: Final = 1 << 15
"""Bytes that TLS may hold beside those that it tells of: a record, its padding included."""


class _Buffer(threading.local):
    """One for each thread, and so for each running loop: from `get_buffer` to the copy nothing else runs."""

    def __init__(self) -> None:
        # TLS has to be given views: it cuts pieces off that have to stay the same memory.
        self.view = memoryview(bytearray(_SIZE))


_BUFFER: Final = _Buffer()


class Buffered(asyncio.BufferedProtocol):
    """Makes a protocol that has `data_received` read into the buffer, on loops that `is_shared_by` names."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Callback of the event loop: where the next bytes are to go."""
        view = _BUFFER.view
        # TLS has to find room for all that it holds: what is left in it as the connection ends is lost.
        if len(view) < sizehint + _RECORD:
            view = _BUFFER.view = memoryview(bytearray(2 * (sizehint + _RECORD)))
        return view

    def buffer_updated(self, nbytes: int) -> None:
        """Callback of the event loop: so many have come."""
        self.data_received(bytes(_BUFFER.view[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Of the protocol that this is mixed into."""
        raise NotImplementedError


def is_shared_by(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this loop fills a buffer in the same moment in which it asks for one.

    Others (Windows' proactor, uvloop) may ask long before; they have buffers of their own, and copy.
    """
    return isinstance(loop, asyncio.SelectorEventLoop)
