"""`InterimAnswers`: finds the final answer to a handshake behind interim ones. Pure."""

import re
from typing import Final

__all__ = ["InterimAnswers"]


class InterimAnswers:
    """Removes interim answers (1xx, but not 101) before the final answer of a handshake. Pure.

    A server, or a proxy before it, may send any number of them (RFC 9110, 15.2), and the library would take
    the first for the final answer. At most `most` are removed, of at most 16 KiB each.
    """

    __slots__ = ("_kept", "_left")

    _INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[ \r]")
    _ENOUGH: Final = len(b"HTTP/1.1 100 ")
    _HEAD_MOST: Final = 2**14

    def __init__(self, most: int = 16) -> None:
        self._kept = b""
        self._left = most

    def feed(self, data: bytes) -> bytes | None:
        """The data that belongs to the final answer; None as long as that has not begun."""
        self._kept += data
        while self._left:
            if len(self._kept) < self._ENOUGH:
                return None
            if self._INTERIM.match(self._kept) is None:
                break
            head, end, rest = self._kept.partition(b"\r\n\r\n")
            if not end and len(head) <= self._HEAD_MOST:
                return None
            self._kept, self._left = (rest, self._left - 1) if end else (head, 0)
        return self.rest()

    def rest(self) -> bytes:
        """The data that was held back, since no more comes."""
        kept, self._kept = self._kept, b""
        return kept
