"""`PushSource`: receives the events that a server pushes, through one WebSocket for each agent.

It stands above `session` (the stream of one agent) and below `subscription`. There is one task for each
agent, and one more while the server's state is read.
"""

import asyncio
from collections.abc import Callable, Sequence

from trmm_async.calls import StreamSpec
from trmm_async.events import Event
from trmm_async.stream.position import SourcePlace
from trmm_async.stream.session import KeepBudget, LinkOpener, Session, Shared
from trmm_async.stream.settings import StreamSettings
from trmm_async.stream.snapshots import SnapshotLoader, SnapshotSource
from trmm_async.stream.source import Outlet, Start

__all__ = ["PushSource"]


class PushSource:
    """A `Source` for a server that pushes events.

    Args:
        spec_of: returns the description of an agent's socket.
        dial: opens the connections.
        snapshot: reads the server's present state, to catch up; None: this stream can't catch up.
        settings: the settings of the subscription.
    """

    def __init__(
        self,
        spec_of: Callable[[str], StreamSpec],
        dial: LinkOpener,
        snapshot: SnapshotSource | None,
        settings: StreamSettings,
    ) -> None:
        self._spec_of = spec_of
        self._dial = dial
        self._snapshot = snapshot
        self._settings = settings
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<PushSource of {len(self._tasks)} agents>"

    def open(self, outlet: Outlet, begun: SourcePlace | None) -> None:
        del begun
        settings, snapshot = self._settings, self._snapshot
        loader = SnapshotLoader(snapshot, settings.gather, outlet.watch) if snapshot is not None else None
        gate = asyncio.Semaphore(settings.handshakes)
        budget = KeepBudget(settings.queue)
        self.shared: Shared = Shared(
            self._dial, settings, loader, outlet.mailbox, gate, set(), budget, outlet.observers
        )
        self._outlet = outlet

    def follow(self, agent_id: str, start: Start) -> Session:
        session = Session(self._spec_of(agent_id), self.shared, start)
        task = asyncio.create_task(self._run(agent_id, session), name=f"trmm_async: {agent_id}")
        self._tasks[agent_id] = task
        self._outlet.watch(task)
        return session

    def leave(self, agent_id: str) -> None:
        """Stop following an agent. Its connection is closed in the background."""
        self._tasks.pop(agent_id).cancel()

    def place(self, unread: Sequence[Event]) -> None:
        """None: a WebSocket has no history that could be continued."""

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
