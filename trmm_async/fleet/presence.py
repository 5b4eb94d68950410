"""Finds out which agents are offline when a run begins, and which of them come back in time.

If the server pushes events, they show who comes back, for at most twenty agents. In addition, and always on a
stock server, the list of agents is read every few seconds.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Final

from trmm_async.dialects import Pushed
from trmm_async.errors import TRMMError
from trmm_async.events import AgentOnline
from trmm_async.resources import AgentQuery, AgentStream, Api, subscribe
from trmm_async.stream import StreamSettings

__all__ = ["Presence"]

_GONE: Final = frozenset({"offline", "overdue"})
_BY_EVENTS_MOST: Final = 20
"""Each subscription costs a handshake, and each handshake a place under the rate limit."""

Back = Callable[[Iterable[str]], None]
"""Called with the agents that have come back."""


class Presence:
    """Knows which agents are offline, according to the server, and reads this every `poll` seconds.

    The first reading adds the host names of the agents in `of`, or of all, to `hosts`.
    """

    def __init__(
        self, api: Api, poll: float, hosts: dict[str, str] | None = None, of: Collection[str] | None = None
    ) -> None:
        self._api = api
        self._hosts = hosts
        self._of = of
        self._poll = poll
        self._offline: frozenset[str] = frozenset()
        self._followed: set[str] = set()

    async def ask(self) -> None:
        """Ask the server which agents are offline. Raises `TRMMError`.

        The list is read one by one, so that memory does not grow with the number of agents.
        """
        hosts, self._hosts = self._hosts, None
        of = None if hosts is None or self._of is None else frozenset(self._of)
        offline: list[str] = []
        async with AgentStream(self._api, AgentQuery()) as agents:
            async for one in agents:
                if one.status in _GONE:
                    offline.append(one.agent_id)
                if hosts is not None and (of is None or one.agent_id in of):
                    hosts.setdefault(one.agent_id, one.hostname)
        self._offline = frozenset(offline)

    def is_offline(self, agent_id: str) -> bool:
        """Whether the agent was offline when the server was last asked."""
        return agent_id in self._offline

    def came_back(self, agent_ids: Iterable[str]) -> None:
        """Record that these agents are online now."""
        self._offline = self._offline.difference(agent_ids)

    async def watch(self, waiting: set[str], back: Back) -> None:
        """Call `back` with the agents of `waiting` that come back, until cancelled. `waiting` may change."""
        followers: list[asyncio.Task[None]] = []
        try:
            while True:
                new = waiting - self._followed
                if new and len(self._followed) + len(new) <= _BY_EVENTS_MOST:
                    self._followed |= new
                    followers.append(asyncio.create_task(self._follow(sorted(new), back)))
                await asyncio.sleep(self._poll)
                if waiting:
                    await self._look(waiting, back)
        finally:
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)

    async def _look(self, waiting: set[str], back: Back) -> None:
        # If this reading fails, the next one finds the same agents.
        with suppress(TRMMError):
            await self.ask()
            back([agent_id for agent_id in waiting if agent_id not in self._offline])

    async def _follow(self, agent_ids: list[str], back: Back) -> None:
        # If the server pushes no events, or refuses them, the readings of the list go on.
        with suppress(TRMMError):
            if not isinstance((await self._api.dialect()).event_source(), Pushed):
                return
            async with subscribe(self._api, agent_ids, StreamSettings()) as events:
                async for event in events:
                    if isinstance(event, AgentOnline):
                        back([event.agent_id])
