"""The buffer into which sockets are read. The bytes are copied out of it at once, in pieces of their size.

asyncio itself allocates 256 KiB for each read of a socket and shrinks them to the bytes that came. Objects
that stay in memory between such pieces keep the C library from giving memory back: a daemon grows by up to a
megabyte a minute.
"""

import asyncio
import threading
from typing import Final

__all__ = ["Buffered", "is_shared_by"]

_SIZE: Final = 1 << 18
"""Bytes of one read, as in asyncio. With a quarter of it, long lists take a fifth longer."""

_RECORD: Final = 1 << 15
"""Bytes that TLS may hold beyond those that it reports: one record with its padding."""


class _Buffer(threading.local):
    """One buffer for each thread, and so for each loop: nothing runs between `get_buffer` and the copy."""

    def __init__(self) -> None:
        # A memoryview, since TLS takes slices of it, which must be the same memory.
        self.view = memoryview(bytearray(_SIZE))


_BUFFER: Final = _Buffer()


class Buffered(asyncio.BufferedProtocol):
    """Mixin: a protocol with `data_received` reads into the shared buffer. For loops of `is_shared_by`."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Callback of the event loop: where the next bytes are to go."""
        view = _BUFFER.view
        # There must be room for everything that TLS holds: bytes that stay in it when the connection ends are
        # lost.
        if len(view) < sizehint + _RECORD:
            view = _BUFFER.view = memoryview(bytearray(2 * (sizehint + _RECORD)))
        return view

    def buffer_updated(self, nbytes: int) -> None:
        """Callback of the event loop: so many bytes have come."""
        self.data_received(bytes(_BUFFER.view[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Implemented by the protocol that this is mixed into."""
        raise NotImplementedError


def is_shared_by(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this loop fills a buffer at the moment in which it asks for one.

    Other loops (Windows' proactor, uvloop) may ask long before. They have their own buffers, and copy.
    """
    return isinstance(loop, asyncio.SelectorEventLoop)
