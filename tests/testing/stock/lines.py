"""A line to a simulator's sockets, and what is heard on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

    from trmm_async.testing import Simulator

Frames = list[dict[str, object]]


class Line:
    """A session that opens sockets of one simulator."""

    def __init__(self, server: Simulator, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session
        self.agent_id = server.agent_ids[0]

    async def open(self, path: str = "", query: str | None = None) -> aiohttp.ClientWebSocketResponse:
        asked = f"access_token={self.server.new_token()}" if query is None else query
        where = path or f"/ws/agent/{self.agent_id}/cmd/"
        return await self.session.ws_connect(f"{self.server.url}{where}?{asked}", autoping=True)

    async def refused(self, path: str = "", query: str | None = None) -> tuple[int, str]:
        asked = f"access_token={self.server.new_token()}" if query is None else query
        where = path or f"/ws/agent/{self.agent_id}/cmd/"
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        async with self.session.get(f"{self.server.url}{where}?{asked}", headers=headers) as response:
            return response.status, await response.text()


async def frame(socket: aiohttp.ClientWebSocketResponse) -> dict[str, object]:
    found = await socket.receive_json(timeout=5)
    assert isinstance(found, dict)
    return found


async def until_done(socket: aiohttp.ClientWebSocketResponse) -> Frames:
    found: Frames = []
    while not found or not found[-1].get("done"):
        found.append(await frame(socket))
    return found


def output(frames: Frames) -> str:
    return "".join(str(each["output"]) for each in frames if "output" in each)
