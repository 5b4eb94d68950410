"""`ReaderPosition`: the stored position of a subscription's reader, as text.

It stands above `position` and `source`, and below `subscription`. A careful reader asks for the position at
every event, and since the last time only one of thousands of agents has changed. So each agent's part of the
text is kept until it changes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from trmm_async.events import Event
from trmm_async.stream.position import SourcePlace, server_text, source_text, written
from trmm_async.stream.source import AgentStreamState, Source

__all__ = ["ReaderPosition"]


class ReaderPosition:
    """Encodes the position of a reader of this server's events (None: the address is not known)."""

    def __init__(self, server: str | None) -> None:
        self._server = server_text(server)
        self._agents: dict[str, tuple[object, bytes]] = {}
        self._source: tuple[SourcePlace | None, bytes] = (None, source_text(None))

    def forget(self, agent_id: str) -> None:
        """Leave an agent out from now on."""
        self._agents.pop(agent_id, None)

    def text(
        self,
        states: Mapping[str, AgentStreamState],
        source: Source,
        waiting: Sequence[Event],
        now: datetime,
        waiting_since: datetime,
    ) -> str:
        """The position up to which all events were read but those in `waiting`.

        Args:
            states: the followed agents.
            source: their source.
            waiting: events that the reader has not got yet.
            now: this machine's time.
            waiting_since: the time at which the oldest of them came.
        """
        unread: dict[str, list[Event]] = {}
        for event in waiting:
            unread.setdefault(event.agent_id, []).append(event)
        kept = self._agents
        for agent_id, state in states.items():
            stamp = state.stamp
            if agent_id in unread:
                kept[agent_id] = None, state.place(now, unread[agent_id], waiting_since).text(agent_id)
            elif (entry := kept.get(agent_id)) is None or stamp is None or entry[0] != stamp:
                kept[agent_id] = stamp, state.place(now, (), waiting_since).text(agent_id)
        place = source.place(waiting)
        if place is not self._source[0]:
            self._source = place, source_text(place)
        return written([text for _, text in kept.values()], self._source[1], self._server)
