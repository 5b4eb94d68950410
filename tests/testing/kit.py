"""What the tests of the simulator share: a bare HTTP client, a clock to turn by hand, a bounded wait."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import websockets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp

    from trmm_async.testing import Simulator

START = 1_776_767_535.0
Row = dict[str, object]


@dataclass
class Clock:
    """Seconds since the epoch, turned by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)

    @property
    def items(self) -> list[dict[str, object]]:
        found = self.json
        assert isinstance(found, list)
        return found

    @property
    def fields(self) -> dict[str, object]:
        found = self.json
        assert isinstance(found, dict)
        return found

    @property
    def detail(self) -> object:
        return self.fields["detail"]


class Http:
    """An aiohttp session pointed at a simulator; redirects are not followed."""

    def __init__(self, server: Simulator, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def __call__(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        key: str | None = "valid",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if key is not None:
            sent["X-API-KEY"] = self.server.api_key if key == "valid" else key
        async with (
            asyncio.timeout(600),
            self.session.request(
                method,
                self.server.url + path,
                json=json,
                data=data,
                headers=sent,
                allow_redirects=False,
            ) as response,
        ):
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Answer:
        return await self("GET", path)

    async def run(self, agent_id: str, script: int = 1, **changes: object) -> Answer:
        body = {"script": script, "output": "wait", "args": [], "timeout": 30} | changes
        return await self("POST", f"/api/v3/agents/{agent_id}/runscript/", body)


async def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until a condition holds, at most so long."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def subscribe(server: Simulator, agent_id: str, **headers: str) -> websockets.connect:
    """Open an event socket with the server's key."""
    return websockets.connect(
        f"{server.url.replace('http', 'ws', 1)}/trmm/{agent_id}/",
        additional_headers={"X-API-KEY": server.api_key, **headers},
        ping_interval=None,
        close_timeout=0.1,
    )


async def frame(socket: websockets.ClientConnection) -> dict[str, object]:
    """Receive one JSON object."""
    async with asyncio.timeout(30):
        found = json.loads(await socket.recv())
    assert isinstance(found, dict)
    return found


async def frames(socket: websockets.ClientConnection, count: int) -> list[dict[str, object]]:
    """Receive several of them."""
    return [await frame(socket) for _ in range(count)]


async def rows(http: Http, path: str) -> list[Row]:
    answer = await http.get(path)
    assert answer.status == 200, answer.body
    return answer.items


async def one(http: Http, path: str, **wanted: object) -> Row:
    """Return the row of a list with these values."""
    return next(row for row in await rows(http, path) if wanted.items() <= row.items())
