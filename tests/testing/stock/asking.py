"""The views of a stock server, asked directly: what they decide, without a socket and without a key."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING

from tests.testing.kit import Answer
from trmm_async.testing.ledger import Request
from trmm_async.testing.replies import AnsweredError, Asked, HTTPReply, RefusedError
from trmm_async.testing.routing import RouteMatch, Router
from trmm_async.testing.world import UnknownThingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from trmm_async.testing import Simulator


class Views:
    """All views of a simulator that was not started; a call is answered as the front would answer it."""

    def __init__(self, server: Simulator) -> None:
        self.server = server
        self._dialect = server._dialect
        self._router = Router(self._dialect.routes())

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str = "admin",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        found = self._router.find(method, path)
        assert isinstance(found, RouteMatch), found
        row = Request(
            method=method, path=path, query=query or {}, headers={"content-type": "application/json"}, at=0.0
        )
        row.headers = {**row.headers, **(headers or {})}
        row.body = b"" if body is None else json.dumps(body).encode()
        asked = Asked(found.params, row, "http://simulated", None, user)  # type: ignore[arg-type]
        try:
            told: HTTPReply | web.StreamResponse = await _awaited(found.route.handler(asked))
        except RefusedError as no:
            told = self._dialect.refusal(no.status, no.detail)
        except AnsweredError as answered:
            told = answered.reply
        except UnknownThingError as error:
            told = self._dialect.unknown(error)
        assert isinstance(told, HTTPReply)
        return Answer(told.status, told.headers, told.body)


async def _awaited(found: object) -> HTTPReply | web.StreamResponse:
    return await found if inspect.isawaitable(found) else found  # type: ignore[return-value]
