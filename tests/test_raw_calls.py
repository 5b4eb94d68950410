"""Requests that have no method of their own."""

from typing import Any

import pytest

from tests.peer import always, answer, client, in_turn, peer
from trmm_async import InvalidRequestError, OutcomeUnknownError
from trmm_async.calls import Replay
from trmm_async.raw_calls import raw_call


class TestRawRequests:
    async def test_answer_decoded_json(self) -> None:
        async with peer(always(answer(b'"1.5.1"'))) as server, client(server.url) as trmm:
            assert (
                await trmm.request("get", "/core/version/", params={"a": 1, "b": None, "c": True}) == "1.5.1"
            )
            assert server.requests[0].target == "/core/version/?a=1&c=true"

    async def test_an_empty_answer_is_none(self) -> None:
        async with peer(always(answer(b"", "204 No Content"))) as server, client(server.url) as trmm:
            assert await trmm.request("DELETE", "/x/1/") is None

    async def test_what_changes_something_is_sent_once(self) -> None:
        async with peer(in_turn(None, answer(b"{}"))) as server, client(server.url) as trmm:
            with pytest.raises(OutcomeUnknownError):
                await trmm.request("PUT", "/x/1/", json={"a": 1})
            assert server.bodies() == [b'{"a":1}']

    @pytest.mark.parametrize("params", [{"a": "\ud800"}, {"\ud800": 1}])
    async def test_a_query_that_can_not_be_sent_is_refused(self, params: dict[str, object]) -> None:
        async with peer(always(answer(b"{}"))) as server, client(server.url) as trmm:
            with pytest.raises(InvalidRequestError, match="params"):
                await trmm.request("GET", "/x/", params=params)
            assert server.requests == []

    async def test_a_body_without_an_end_is_refused(self) -> None:
        endless: list[object] = []
        endless.append(endless)
        async with peer(always(answer(b"{}"))) as server, client(server.url) as trmm:
            with pytest.raises(InvalidRequestError, match="json"):
                await trmm.request("POST", "/x/", json=endless)
            assert server.requests == []


# The call itself.


@pytest.mark.parametrize("method", ["get", "Head", "OPTIONS"])
def test_what_only_reads_may_be_sent_again(method: str) -> None:
    call = raw_call(method, "/x/", {"a": None, "b": False, "c": 1.5, "d": ""}, None)
    assert (call.method, call.replay, call.body) == (method.upper(), Replay.SAFE, None)
    assert call.query == {"b": "false", "c": "1.5", "d": ""}


@pytest.mark.parametrize("method", ["post", "PUT", "delete", "PATCH", "PURGE"])
def test_everything_else_is_sent_once(method: str) -> None:
    call = raw_call(method, "/x/", None, [])
    assert (call.replay, call.body, call.query) == (Replay.NEVER, b"[]", {})


@pytest.mark.parametrize(
    ("method", "path", "params", "json", "says"),
    [
        ("", "/x/", None, None, "method"),
        ("GET /", "/x/", None, None, "method"),
        ("GE\u212a", "/x/", None, None, "method"),
        (5, "/x/", None, None, "method"),
        ("GET", "x/", None, None, "path"),
        ("GET", "/x/?a=1", None, None, "path"),
        ("GET", "//other.example/", None, None, "path"),
        ("GET", "/x/", "a=1", None, "params must be a mapping"),
        ("GET", "/x/", {"a": [1]}, None, "params must have text"),
        ("GET", "/x/", {"a": {}}, None, "params must have text"),
        ("POST", "/x/", None, object(), "json can't be encoded"),
        ("POST", "/x/", None, {"a": "\ud800"}, "json can't be encoded"),
    ],
)
def test_what_can_not_be_sent_is_named(method: Any, path: str, params: Any, json: Any, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        raw_call(method, path, params, json)
