"""A place in a stream that can be stored, and taken up again by another process. Pure.

Below everything of this floor: `catchup` makes and reads a `Place`, `subscription` puts them together. The
text is JSON, and for nobody but us: it holds what the reader was told last of each agent, in digests.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from trmm_async import codec
from trmm_async.errors import InvalidRequestError

__all__ = ["Place", "Position", "RunsPlace", "read_position"]

_VERSION: Final = 1
_AWARE: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Place(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What the reader of one agent's events has been told.

    Attributes:
        since: when the stream was last known to be good; aware.
        based: it was compared with the server's state; else only what was told is known.
        up: the status that was told last; None if it was not, or was not read.
        mark: the highest id of an alert that was there. Those that are resolved are not kept one by one.
        alerts: alert id to the digest of what was told of it; None if that was not read.
    """

    since: datetime
    based: bool = False
    up: bool | None = None
    mark: int = 0
    alerts: Mapping[int, int | None] = {}


class RunsPlace(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How far a server's history of script runs has been told.

    Attributes:
        after: the server's time from which on rows are compared; None for all.
        told: the rows from then on that were told or were there before: id to the row's time.
    """

    after: datetime | None = None
    told: Mapping[int, datetime] = {}


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A place for each agent, and what their source keeps for all of them together."""

    agents: Mapping[str, Place] = {}
    runs: RunsPlace | None = None
    version: int = _VERSION

    def text(self) -> str:
        """As `read_position` takes it."""
        return codec.encode(self).decode()


def read_position(text: object) -> Position:
    """The position that was stored.

    Raises:
        InvalidRequestError: it is none, or that of another version of this package.
    """
    if not isinstance(text, str):
        raise InvalidRequestError(f"since must be a position (a str), not {type(text).__name__}")
    try:
        position = codec.decoder(Position)(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidRequestError(f"since is no position of a stream: {error}") from error
    runs = position.runs or RunsPlace()
    times = [*(place.since for place in position.agents.values()), *runs.told.values()]
    if position.version != _VERSION or any(time.tzinfo is None for time in [*times, runs.after or _AWARE]):
        raise InvalidRequestError("since is a position of another version of this package")
    return position
