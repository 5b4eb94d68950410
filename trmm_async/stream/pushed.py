"""Events that the server pushes, over one WebSocket for each agent: the first source.

Over `session`, which is one agent's course; below `subscription`. One task for each agent, and one more for
the time of reading the server's state.
"""

import asyncio
from collections.abc import Callable, Sequence

from trmm_async.calls import StreamSpec
from trmm_async.events import Event
from trmm_async.stream.position import SourcePlace
from trmm_async.stream.session import Opener, Room, Session, Shared
from trmm_async.stream.settings import StreamSettings
from trmm_async.stream.snapshots import SnapshotLoader, SnapshotSource
from trmm_async.stream.source import Outlet, Start

__all__ = ["Sockets"]


class Sockets:
    """See `source.Source`.

    Args:
        spec_of: an agent's socket.
        dial: opens the connections.
        snapshot: reads the server's present state, for the catch-up; None for a stream without one.
        settings: see there.
    """

    def __init__(
        self,
        spec_of: Callable[[str], StreamSpec],
        dial: Opener,
        snapshot: SnapshotSource | None,
        settings: StreamSettings,
    ) -> None:
        self._spec_of = spec_of
        self._dial = dial
        self._snapshot = snapshot
        self._settings = settings
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<Sockets of {len(self._tasks)} agents>"

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        del begun
        settings, snapshot = self._settings, self._snapshot
        loader = SnapshotLoader(snapshot, settings.gather, outlet.watch) if snapshot is not None else None
        gate = asyncio.Semaphore(settings.handshakes)
        room = Room(settings.queue)
        self.shared: Shared = Shared(
            self._dial, settings, loader, outlet.mailbox, gate, set(), room, outlet.observers
        )
        self._outlet = outlet

    def follow(self, agent_id: str, start: Start) -> Session:
        session = Session(self._spec_of(agent_id), self.shared, start)
        task = asyncio.create_task(self._run(agent_id, session), name=f"trmm_async: {agent_id}")
        self._tasks[agent_id] = task
        self._outlet.watch(task)
        return session

    def leave(self, agent_id: str) -> None:
        """See `source.Source`. Its connection says goodbye in the background."""
        self._tasks.pop(agent_id).cancel()

    def place(self, unread: Sequence[Event]) -> None:
        """See `source.Source`: a socket keeps no history."""

    def close(self) -> None:
        for link in list(self.shared.roll):
            link.hang_up()

    def remaining(self) -> list[asyncio.Future[None]]:
        return [link.gone for link in self.shared.roll]

    def cut(self) -> None:
        for link in list(self.shared.roll):
            link.abort()

    async def _run(self, agent_id: str, session: Session) -> None:
        await self._outlet.ended(agent_id, await session.run())
