"""Requests that have no method of their own."""

import pytest

from tests.peer import always, answer, client, in_turn, peer
from trmm_async import InvalidRequestError, OutcomeUnknownError


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
