"""What a server allows, as a value.

Over `errors`. `pacing` keeps to it; the dialects know what their servers allow by default.
"""

import sys
from dataclasses import dataclass

from trmm_async.errors import InvalidRequestError

__all__ = ["RateLimit"]

_SURELY_COUNTED_SHARE = 0.04
_SURELY_COUNTED_LEAST = 0.5


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` requests in any `per` seconds; with `burst`, no more than that many at once.

    Without `burst` the first `count` calls go out at once. With it they are spread: `burst` at once, then one
    every `per / count` seconds.

    Raises:
        InvalidRequestError: `count` below 1, `per` not positive, `burst` not between 1 and `count`.
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
        """Seconds after a request's bytes were written by which the server has certainly counted it.

        Generous, since nothing is gained by being early but a 429. Only for answers that are long in coming
        (a script that is waited for): all others free their slot by the answer itself.
        """
        return max(_SURELY_COUNTED_LEAST, _SURELY_COUNTED_SHARE * self.per)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, float) or _whole(value)
