"""The views of a stock server, asked directly: what they decide, without a socket and without a key."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING

from tests.testing.kit import Answer
from trmm_async.testing.ledger import Request
from trmm_async.testing.replies import AnsweredError, Asked, HTTPReply, RefusedError
from trmm_async.testing.routing import RouteMatch, Router
from trmm_async.testing.world import UnknownThingError

from .replay import differences, recording

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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

    async def tell_values(
        self, name: str, free: Collection[str], numbers: Mapping[int, int] | None = None
    ) -> None:
        """The same as `tell`; of a row each value, too, is as recorded but for the `free` ones."""
        said, row = await self.tell(name, numbers), recording(name).body
        if isinstance(row, dict) and said.status == 200:
            assert {key: said.fields[key] for key in row.keys() - free} == {
                key: row[key] for key in row.keys() - free
            }, name

    async def tell(self, name: str, numbers: Mapping[int, int] | None = None, *, agent: str = "") -> Answer:
        """Ask what was recorded, and hold the answer against the recorded one.

        Args:
            name: the recording.
            numbers: recorded ids, in the path and of `id` in the body, and which they are here.
            agent: the id of the agent that is meant, if one stands in the path.
        """
        it, ours = recording(name), numbers or {}
        path = str(it.request["path"])
        path = re.sub(r"(?<=/agents/)[^/]+", agent, path) if agent else path
        path = re.sub(r"(?<=/)\d+(?=/)", lambda found: str(ours.get(int(found[0]), found[0])), path)
        body, query = it.request["body"], it.request["query"] or {}
        assert isinstance(query, dict)
        if isinstance(body, dict) and body.get("id") in ours:
            body = body | {"id": ours[body["id"]]}
        user = "limited" if "limited" in str(it.request["auth"]) else "admin"
        asked = {key: str(value) for key, value in query.items()}
        said = await self(str(it.request["method"]), path, body, query=asked, user=user)
        assert said.status == it.response["status"], (name, said.body)
        if isinstance(it.body, str) or said.status >= 400:
            assert (said.body.decode() if said.status == 500 else said.json) == it.body, name
        else:
            assert list(differences(it.body, said.json)) == [], name
        return said


async def _awaited(found: object) -> HTTPReply | web.StreamResponse:
    return await found if inspect.isawaitable(found) else found  # type: ignore[return-value]
