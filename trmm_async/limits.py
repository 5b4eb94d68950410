"""`RateLimit`: how many requests a server allows. `pacing` enforces it; the dialects have the defaults."""

import sys
from dataclasses import dataclass

from trmm_async.errors import InvalidRequestError

__all__ = ["RateLimit"]

_SURELY_COUNTED_SHARE = 0.04
_SURELY_COUNTED_LEAST = 0.5


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` requests in any period of `per` seconds.

    Without `burst`, the first `count` calls are sent at once, and the next ones wait. With `burst`, the calls
    are spread out: `burst` of them at once, then one every `per / count` seconds.

    Attributes:
        count: the number of requests.
        per: the length of the period, in seconds.
        burst: the number of requests that may be sent at once; None: `count`.

    Raises:
        InvalidRequestError: `count` is below 1, `per` is not above 0, or `burst` is not between 1 and
        `count`.
    """

    count: int
    per: float
    burst: int | None = None

    def __post_init__(self) -> None:
        if not _whole(self.count) or self.count < 1:
            raise InvalidRequestError(f"RateLimit: count must be a whole number from 1, not {self.count!r}")
        if not _number(self.per) or not 0 < self.per <= sys.float_info.max:
            raise InvalidRequestError(f"RateLimit: per must be a number of seconds above 0, not {self.per!r}")
        if self.burst is not None and not (_whole(self.burst) and 1 <= self.burst <= self.count):
            raise InvalidRequestError(f"RateLimit: burst must be from 1 to {self.count}, not {self.burst!r}")

    @property
    def surely_counted(self) -> float:
        """Seconds after a request was written until the server has certainly counted it.

        The estimate is generous, since too short a time would only cause a 429. It is used only for calls
        whose answer takes long (a script that is waited for); for all others the answer itself shows that the
        request was counted.
        """
        return max(_SURELY_COUNTED_LEAST, _SURELY_COUNTED_SHARE * self.per)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, float) or _whole(value)
