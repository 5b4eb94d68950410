"""Serve a fleet as it stands, from a mirror: no request to the server for any of those that come here.

python examples/mirror_api.py                # PORT=8000; needs fastapi and uvicorn

GET  /agents            all agents as they are; ?client=, ?site= (ids or names) and ?status= leave others out
GET  /agents/{id}       one of them
GET  /agents/{id}/alerts   its alerts that are not resolved
GET  /changes           each agent that changes, before and after, as server-sent events
GET  /healthz           200 while the mirror is known to be right

What comes out is what `Agent` and `Alert` are, by the names that they have there.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from trmm_async import TRMM, Agent, Mirror


class JSON(Response):
    """Nouns as they are: quicker than by way of dicts, and what they hold is valid already."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """As msgspec writes them."""
        return msgspec.json.encode(content)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The mirror is there as long as the application is."""
    async with TRMM.from_env() as trmm, trmm.mirror() as mirror:
        app.state.mirror = mirror
        yield


app = FastAPI(lifespan=lifespan)


def the_mirror(request: Request) -> Mirror:
    """For those who answer."""
    mirror: Mirror = request.app.state.mirror
    return mirror


Fleet = Annotated[Mirror, Depends(the_mirror)]


@app.get("/agents")
async def agents(
    mirror: Fleet, client: str | None = None, site: str | None = None, status: str | None = None
) -> Response:
    """Those that are asked for."""
    found: list[Agent] = list(mirror.values())
    if client is not None:
        of_client = {agent.agent_id for agent in mirror.by_client(id_or_name(client))}
        found = [agent for agent in found if agent.agent_id in of_client]
    if site is not None:
        of_site = {agent.agent_id for agent in mirror.by_site(id_or_name(site))}
        found = [agent for agent in found if agent.agent_id in of_site]
    return JSON([agent for agent in found if status is None or agent.status == status])


@app.get("/agents/{agent_id}")
async def agent(mirror: Fleet, agent_id: str) -> Response:
    """One, or 404."""
    if agent_id not in mirror:
        raise HTTPException(404, f"there is no agent {agent_id}")
    return JSON(mirror[agent_id])


@app.get("/agents/{agent_id}/alerts")
async def alerts(mirror: Fleet, agent_id: str) -> Response:
    """The open ones of an agent."""
    return JSON(mirror.alerts(agent_id))


@app.get("/changes")
async def changes(mirror: Fleet) -> Response:
    """From now on."""

    async def told() -> AsyncIterator[bytes]:
        async with mirror.changes() as changed:
            yield b": from here on\n\n"
            async for change in changed:
                yield b"data: " + msgspec.json.encode(change) + b"\n\n"

    return StreamingResponse(told(), media_type="text/event-stream")


@app.get("/healthz")
async def health(mirror: Fleet) -> Response:
    """For a load balancer."""
    oldest = max(mirror.freshness.values(), default=0.0)
    told = {"agents": len(mirror), "fresh": mirror.fresh, "oldest": round(oldest, 1)}
    return JSON(told, 200 if mirror.fresh else 503)


def id_or_name(text: str) -> int | str:
    """Ids are numbers."""
    return int(text) if text.isdecimal() else text


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=2)
