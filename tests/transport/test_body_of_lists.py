"""Long lists: decoded while they download, no less exact, no less retried, no less clear in their errors."""

import asyncio
import gzip
import logging
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peer import Peer, Request, answer, client, peer
from tests.properties import many
from trmm_async import TRMM, Agent, ConnectionFailedError, DecodeError, NotFoundError
from trmm_async.codec import decoder


def agents(count: int) -> bytes:
    return msgspec.json.encode(
        [
            {
                "agent_id": f"{number:040x}",
                "hostname": f'PC-{number} }}]}},{{"agent_id":"',
                "status": "online",
                "disks": [{"device": "C:", "percent": number % 100}] * 3,
                "plat": None,
            }
            for number in range(count)
        ]
    )


LONG = agents(3000)
EXPECTED = decoder(list[Agent])(LONG)


def in_pieces(head: bytes, body: bytes, *, cuts: list[int] = [], stay: bool = True) -> Any:  # noqa: B006
    """Answer with the body in pieces, each on its own; `stay`: the connection stays open behind it."""

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(head)
        for start, stop in pairwise([0, *sorted(cuts), len(body)]):
            writer.write(body[start:stop])
            await writer.drain()
            await asyncio.sleep(0)
        return stay

    return handle


def head(length: int, *more: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {length}", *more]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


class TestAnAnswer:
    async def test_that_is_long_is_the_same_list(self) -> None:
        async with peer(in_pieces(head(len(LONG)), LONG)) as server, client(server.url) as trmm:
            assert await trmm.agents.list() == EXPECTED
            assert await trmm.agents.list() == EXPECTED
            assert server.connections == 1

    async def test_that_is_compressed_is_the_same_list(self) -> None:
        packed = gzip.compress(LONG)
        answered = in_pieces(head(len(packed), "Content-Encoding: gzip"), packed, cuts=[1000, 20_000])
        async with peer(answered) as server, client(server.url) as trmm:
            assert await trmm.agents.list() == EXPECTED

    @pytest.mark.parametrize("stay", [True, False])
    async def test_that_comes_in_chunks_is_the_same_list(self, stay: bool) -> None:
        body = b"".join(
            b"%x\r\n%b\r\n" % (len(piece), piece)
            for piece in (LONG[at : at + 9000] for at in range(0, len(LONG), 9000))
        )
        first = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with peer(in_pieces(first, body + b"0\r\n\r\n", stay=stay)) as server:
            async with client(server.url) as trmm:
                assert await trmm.agents.list() == EXPECTED

    @settings(max_examples=many(25))
    @given(st.integers(0, 900), st.lists(st.integers(1, 200_000), max_size=6))
    def test_is_the_same_list_however_long_and_in_whatever_pieces(self, count: int, cuts: list[int]) -> None:
        body = agents(count)

        async def main() -> None:
            answered = in_pieces(head(len(body)), body, cuts=[cut for cut in cuts if cut < len(body)])
            async with peer(answered) as server, client(server.url) as trmm:
                assert await trmm.agents.list() == EXPECTED[:count]

        asyncio.run(main())


class TestAFault:
    async def test_in_the_middle_is_tried_again_from_the_start(self) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            cut = len(LONG) // 2 if request.number == 0 else len(LONG)
            writer.write(head(len(LONG)) + LONG[:cut])
            await writer.drain()
            return request.number > 0

        async with peer(handle) as server, client(server.url) as trmm:
            assert await trmm.agents.list() == EXPECTED
            assert len(server.requests) == 2

    async def test_that_stays_is_a_lost_connection_never_a_short_list(self) -> None:
        cut = in_pieces(head(len(LONG)), LONG[: len(LONG) // 2], stay=False)
        async with peer(cut) as server, client(server.url, retries=1) as trmm:
            with pytest.raises(ConnectionFailedError, match="GET /api/v3/agents/"):
                await trmm.agents.list()
            assert len(server.requests) == 2

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda body: body[:-1],
            lambda body: body[:-1] + b",]",
            lambda body: body + b"[]",
            lambda body: body.replace(b'"agent_id":"' + b"0" * 37 + b"900", b'"agent_id":7,"a":"', 1),
            lambda body: b'{"detail": "' + body.replace(b'"', b"'") + b'"}',
        ],
        ids=["cut", "comma", "more", "shape", "object"],
    )
    async def test_of_the_text_is_an_error_that_says_where(self, spoil: Callable[[bytes], bytes]) -> None:
        body = spoil(LONG)
        async with peer(in_pieces(head(len(body)), body)) as server, client(server.url) as trmm:
            with pytest.raises(DecodeError) as caught:
                await trmm.agents.list()
            assert (caught.value.status, caught.value.path) == (200, "/api/v3/agents/")
            assert caught.value.body.startswith(body[:20].decode())
            assert len(server.requests) == 1
            # What was left of the body is no part of the next answer.
            with pytest.raises(DecodeError):
                await trmm.agents.list()

    @pytest.mark.parametrize("body", [b'[{"agent_id": 7}' + b" " * 100_000 + b"]", b"[{" + b" " * 100_000])
    async def test_of_a_short_text_is_the_same_error(self, body: bytes) -> None:
        async with peer(in_pieces(head(len(body)), body, cuts=[50_000])) as server:
            async with client(server.url) as trmm:
                with pytest.raises(DecodeError) as caught:
                    await trmm.agents.list()
        assert (caught.value.status, caught.value.path) == (200, "/api/v3/agents/")
        assert caught.value.body.startswith(body[:20].decode())

    async def test_of_the_status_is_no_list(self) -> None:
        page = answer(b"<html>" + b"x" * 400_000, "404 Not Found")
        async with peer(in_pieces(b"", page)) as server, client(server.url) as trmm:
            with pytest.raises(NotFoundError) as caught:
                await trmm.agents.list()
            assert caught.value.body.startswith("<html>")


@asynccontextmanager
async def packed_away(body: bytes) -> AsyncIterator[tuple[TRMM, int]]:
    """A client of a server that answers with this, compressed, and to how many bytes."""
    packed = gzip.compress(body)
    answered = in_pieces(head(len(packed), "Content-Encoding: gzip"), packed)
    async with peer(answered) as server, client(server.url) as trmm:
        yield trmm, len(packed)


class TestMemory:
    """Bytes, which are the same on every machine."""

    async def test_a_long_list_never_stands_beside_its_text(self) -> None:
        body = agents(20_000)
        async with peer(in_pieces(head(len(body)), body)) as server, client(server.url) as trmm:
            tracemalloc.start()
            try:
                held = await trmm.agents.list()
                now, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert len(held) == 20_000
            # What is in the socket's and the peer's buffers is not ours, and is counted here all the same.
            assert most - now < len(body) / 2

    async def test_an_iterated_list_is_inflated_in_slices(self) -> None:
        """aiohttp would inflate some eighty times as much as stands in one piece of what comes."""
        async with packed_away(body := agents(40_000)) as (trmm, size):
            tracemalloc.start()
            try:
                async with trmm.agents.iter() as stream:
                    count = sum([1 async for _ in stream])
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert count == 40_000
        assert 10 * size < len(body)
        assert most < 2_500_000

    async def test_the_event_loop_has_its_turn_while_a_list_is_inflated(self) -> None:
        async with packed_away(agents(40_000)) as (trmm, _):
            turns: list[int] = []
            loop, seen = asyncio.get_running_loop(), 0

            is_over = False

            def turn() -> None:
                turns.append(seen)
                if not is_over:
                    loop.call_soon(turn)

            loop.call_soon(turn)
            async with trmm.agents.iter() as stream:
                async for _ in stream:
                    seen += 1
            is_over = True
        # Of the agents, which are 250 bytes each, no more than some hundred kilobytes between two turns.
        assert max(later - earlier for earlier, later in pairwise([*turns, seen])) < 3000


ODD = {"name": 7, "username": 7, "message": 7, "uid": 7, "value": 7, "description": 7, "hostname": 7}


class Turns(logging.Handler):
    """In which turns of the event loop something was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.logged: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.logged.append(self.now)

    def turn(self) -> None:
        self.now += 1


def calls(trmm: TRMM) -> dict[str, Coroutine[Any, Any, object]]:
    """Lists of a stock server, each sent in another way than ours."""
    return {
        "agents": trmm.agents.list(),
        "history": trmm.agents.history("a"),
        "clients": trmm.clients.list(),
        "sites": trmm.sites.list(),
        "scripts": trmm.scripts.list(),
        "tasks": trmm.tasks.list(),
        "checks of a policy": trmm.policies.checks(1),
        "tasks of a policy": trmm.policies.tasks(1),
        "alerts": trmm.alerts.list(),
        "deployments": trmm.deployments.list(),
        "custom fields": trmm.custom_fields.list(),
        "processes": trmm.agents.processes.list("a"),
        "roles": trmm.roles.list(),
        "checks as they are set up": trmm.checks.everywhere(),
    }


@pytest.mark.parametrize(
    ("count", "cuts"),
    [
        pytest.param(400, [], id="read while it comes"),
        pytest.param(252, [3 << 18], id="its end is there before it is read in pieces"),
    ],
)
async def test_the_event_loop_has_its_turn_while_any_list_of_wrong_shape_is_read(
    count: int, cuts: list[int]
) -> None:
    """Each piece of such a list is logged: one in a turn, and with the last what is left."""
    rows = [
        {"id": number, "agent_id": f"{number}", "pid": number, **ODD, "fill": "x" * 3000}
        for number in range(count)
    ]
    body = msgspec.json.encode(rows)
    turns, logger = Turns(), logging.getLogger("trmm_async.codec")
    loop, is_over = asyncio.get_running_loop(), False

    def turn() -> None:
        turns.turn()
        if not is_over:
            loop.call_soon(turn)

    logger.addHandler(turns)
    try:
        async with peer(in_pieces(head(len(body)), body, cuts=cuts)) as server:
            async with client(server.url, dialect="stock") as trmm:
                turn()
                for name, call in calls(trmm).items():
                    turns.logged.clear()
                    await call
                    assert len(turns.logged) >= 4, name
                    assert max(Counter(turns.logged).values()) <= 2, name
                is_over = True
    finally:
        logger.removeHandler(turns)
