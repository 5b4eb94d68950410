"""Keep the state of a fleet, and serve it: as JSON, and by server-sent events.

python examples/fleet_state.py                # PORT=8000; needs fastapi and uvicorn

GET  /state     every agent: host name, whether it is online, its open alerts, and whether that is fresh
GET  /events    the same, and then every agent that changes, as server-sent events
GET  /healthz   200 as long as something is live
POST /hooks     alert webhooks of a stock server, if HOOK_SECRET is set

The state is what the events say: the present one first, then changes; after a gap an agent is not fresh until
`Live` says that everything was caught up.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse

from trmm_async import (
    TRMM,
    AgentOffline,
    AgentOnline,
    AlertEvent,
    Ended,
    Event,
    Gap,
    Live,
    Subscription,
    WebhookReceiver,
)


@dataclass
class Row:
    """What is known of an agent."""

    agent_id: str
    hostname: str
    online: bool | None = None
    fresh: bool = False
    alerts: dict[int, str] = field(default_factory=dict)


@dataclass(eq=False)
class Watcher:
    """Somebody who is told of changes; of an agent that changed twice, once: it can't grow for ever."""

    changed: dict[str, Row] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Fleet:
    """The state of all agents, and who watches it."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.watchers: set[Watcher] = set()

    def apply(self, event: Event) -> None:
        """Take an event in, and tell the watchers."""
        row = self.rows.get(event.agent_id)
        if row is None:
            return
        match event:
            case AgentOnline() | AgentOffline():
                row.online = isinstance(event, AgentOnline)
            case AlertEvent(alert=alert) if alert.resolved:
                row.alerts.pop(alert.id, None)
            case AlertEvent(alert=alert):
                row.alerts[alert.id] = f"{alert.severity}: {alert.message}"
            case Gap() | Ended():
                row.fresh = False
            case Live():
                row.fresh = True
            case _:
                return
        for watcher in self.watchers:
            watcher.changed[row.agent_id] = row
            watcher.news.set()

    async def told(self) -> AsyncIterator[str]:
        """The whole state, and then what changes, as server-sent events."""
        watcher = Watcher(changed=dict(self.rows))
        watcher.news.set()
        self.watchers.add(watcher)
        try:
            while True:
                await watcher.news.wait()
                watcher.news.clear()
                changed, watcher.changed = watcher.changed, {}
                for row in changed.values():
                    yield f"event: agent\ndata: {json.dumps(asdict(row))}\n\n"
        finally:
            self.watchers.discard(watcher)


async def follow(fleet: Fleet, events: Subscription) -> None:
    """Keep the fleet's state, for as long as there are events."""
    async for event in events:
        fleet.apply(event)


def create_app() -> FastAPI:
    """The application; it connects when it starts."""
    fleet = Fleet()
    secret = os.environ.get("HOOK_SECRET")
    hooks = WebhookReceiver(secret) if secret else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with TRMM.from_env(dialect="auto") as trmm:
            agents = await trmm.agents.list()
            fleet.rows.update({agent.agent_id: Row(agent.agent_id, agent.hostname) for agent in agents})
            async with trmm.events(agents, snapshot=True, webhooks=hooks) as events:
                app.state.events = events
                following = asyncio.create_task(follow(fleet, events))
                yield
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    app = FastAPI(lifespan=lifespan)
    if hooks is not None:
        app.mount("/hooks", hooks)

    @app.get("/state")
    async def state() -> list[Row]:
        return list(fleet.rows.values())

    @app.get("/events")
    async def told() -> StreamingResponse:
        return StreamingResponse(fleet.told(), media_type="text/event-stream")

    @app.get("/healthz")
    async def health(response: Response) -> dict[str, int]:
        events: Subscription = app.state.events
        states = Counter(map(str, events.state.values()))
        response.status_code = 200 if states["live"] else 503
        return {**states, "received": events.received, "reconnects": events.reconnects}

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=2)
