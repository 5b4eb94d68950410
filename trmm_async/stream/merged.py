"""Several sources as one: some names come from one of their own, all others from the rest.

Beside `pushed` and `polling`, which it knows only as `Source`; below `subscription`.
"""

import asyncio
from collections.abc import Mapping, Sequence

from trmm_async.events import Event
from trmm_async.stream.position import SourcePlace
from trmm_async.stream.source import AgentStreamState, Outlet, Source, Start

__all__ = ["Merged"]


class Merged:
    """See `source.Source`.

    Args:
        special: the source of each of these names.
        rest: the source of all others, which alone tells script runs.
    """

    def __init__(self, special: Mapping[str, Source], rest: Source) -> None:
        self._special = special
        self._rest = rest

    def __repr__(self) -> str:
        return f"<Merged {', '.join(map(repr, self._all()))}>"

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        """See `source.Source`."""
        for source in self._all():
            source.open(outlet, begun)

    def follow(self, agent_id: str, start: Start) -> AgentStreamState:
        """See `source.Source`."""
        return self._of(agent_id).follow(agent_id, start)

    def leave(self, agent_id: str) -> None:
        """See `source.Source`."""
        self._of(agent_id).leave(agent_id)

    def place(self, unread: Sequence[Event]) -> SourcePlace | None:
        """See `source.Source`."""
        return self._rest.place(unread)

    def close(self) -> None:
        """See `source.Source`."""
        for source in self._all():
            source.close()

    def remaining(self) -> list[asyncio.Future[None]]:
        """See `source.Source`."""
        return [future for source in self._all() for future in source.remaining()]

    def cut(self) -> None:
        """See `source.Source`."""
        for source in self._all():
            source.cut()

    def _all(self) -> list[Source]:
        return [self._rest, *self._special.values()]

    def _of(self, agent_id: str) -> Source:
        return self._special.get(agent_id, self._rest)
