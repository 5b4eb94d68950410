"""A raw answer: all that came, and what is no JSON."""

import pytest

from tests.peer import KEY, always, answer, client, in_turn, peer, status
from trmm_async import DecodeError, NotFoundError


class TestARawAnswer:
    async def test_has_all_that_came(self) -> None:
        replies = in_turn(status(503), answer(b'{"a": 1}', X_Total="7"))
        async with peer(replies) as server, client(server.url) as trmm:
            raw = await trmm.request_raw("GET", "/core/version/", params={"a": 1})
        assert (raw.status, raw.headers["x-total"], raw.body, raw.json()) == (200, "7", b'{"a": 1}', {"a": 1})
        assert raw.attempts == 2
        assert 0 < raw.elapsed < 60
        assert "7" not in repr(raw).partition("elapsed")[0]

    async def test_of_success_without_a_body_is_no_json(self) -> None:
        async with peer(always(answer(b"", "204 No Content"))) as server, client(server.url) as trmm:
            raw = await trmm.request_raw("DELETE", "/x/")
        assert (raw.status, raw.body, raw.json()) == (204, b"", None)

    async def test_that_is_no_json_says_so_without_the_key(self) -> None:
        body = f"<html>{KEY}</html>".encode()
        async with peer(always(answer(body))) as server, client(server.url) as trmm:
            raw = await trmm.request_raw("GET", "/x/")
        assert raw.body == body
        with pytest.raises(DecodeError, match="GET /x/: 200: the answer is no JSON") as caught:
            raw.json()
        assert KEY not in caught.value.body

    async def test_of_an_error_is_the_error(self) -> None:
        async with peer(always(status(404))) as server, client(server.url) as trmm:
            with pytest.raises(NotFoundError):
                await trmm.request_raw("GET", "/x/")
