"""A raw answer, for calls that have no method of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from trmm_async import codec
from trmm_async.answers import BODY_KEPT
from trmm_async.errors import DecodeError

__all__ = ["RawResponse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """What `TRMM.request_raw` returns. Its repr shows neither headers nor body: they may hold secrets.

    Attributes:
        status: the HTTP status, from 200 to 299.
        headers: found by their names in any case.
        body: the bytes, unpacked.
        attempts: how many requests it took.
        elapsed: seconds that it took, with all waits.
        method: what was asked by.
        path: what was asked for, without the query.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    attempts: int
    elapsed: float
    method: str
    path: str
    _scrub: Callable[[str], str] = field(repr=False)

    def json(self) -> Any:
        """The body, decoded from JSON; None for an empty one.

        Raises:
            DecodeError: it is no JSON.
        """
        if not self.body.strip():
            return None
        try:
            return codec.decoder(object)(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise DecodeError(
                self.status,
                f"the answer is no JSON: {self._scrub(str(error))}",
                method=self.method,
                path=self.path,
                body=self._scrub(self.body.decode(errors="replace"))[:BODY_KEPT],
            ) from None
