"""Agents one by one while their list downloads."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peer import Peer, Request, always, answer, peer
from tests.properties import many
from tests.servers import served
from trmm_async import (
    TRMM,
    Agent,
    ClosedError,
    ConnectionFailedError,
    DecodeError,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

KEY = "key-for-tests"


class TestIteration:
    async def test_yields_what_the_list_holds(self, dialect: str) -> None:
        async with served(dialect, agents=300) as (_, trmm):
            async with trmm.agents.iter() as stream:
                agents = [agent async for agent in stream]
            assert agents == await trmm.agents.list()

    async def test_yields_while_the_list_downloads(self) -> None:
        release = asyncio.Event()
        body = json.dumps(
            [{"agent_id": f"agent-{n:06}", "hostname": "x" * 200} for n in range(5000)]
        ).encode()

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer(body)[: len(body) // 2])
            await writer.drain()
            await release.wait()
            writer.write(answer(body)[len(body) // 2 :])
            return True

        async with peer(handle) as server, TRMM(server.url, api_key=KEY, dialect="gateway") as trmm:
            async with asyncio.timeout(30), trmm.agents.iter() as stream:
                agents = aiter(stream)
                first = await anext(agents)
                assert first.agent_id == "agent-000000"
                release.set()
                assert len([agent async for agent in agents]) == 4999

    async def test_leaving_early_releases_the_connection(self, dialect: str) -> None:
        async with served(dialect, agents=300) as (server, trmm):
            for _ in range(5):
                async with trmm.agents.iter() as stream:
                    async for _ in stream:
                        break
            async with asyncio.timeout(30):
                while server.in_flight:
                    await asyncio.sleep(0.01)

    async def test_leaving_early_frees_its_place_among_the_connections(self, dialect: str) -> None:
        async with served(dialect, agents=50) as (server, _):
            one: Any = {"dialect": dialect, "max_connections": 1}
            async with TRMM(server.url, api_key=server.api_key, **one) as trmm:
                for _ in range(3):
                    async with asyncio.timeout(30), trmm.agents.iter() as stream:
                        async for _ in stream:
                            break
                assert len(await trmm.agents.list()) == 50

    @pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
    async def test_a_body_cut_short_is_an_error(self, headers: dict[str, str]) -> None:
        rows = b'[{"agent_id": "a"}, {"agent_id": "b"}, '
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
        if headers:
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            rows = f"{len(rows):x}\r\n".encode() + rows + b"\r\n"
        async with (
            peer(always(head + rows, stay=False)) as server,
            TRMM(server.url, api_key=KEY, dialect="gateway") as trmm,
        ):
            got: list[Agent] = []
            with pytest.raises(ConnectionFailedError, match="GET /api/v3/agents/: the answer broke off"):
                async with trmm.agents.iter() as stream:
                    async for agent in stream:
                        got.append(agent)  # noqa: PERF401 - what came before the error counts
            assert len(got) <= 2

    @pytest.mark.parametrize(
        "body", [b'[{"agent_id": "a"}', b'{"a": 1}', b"<html>", b"", b"[] x", b'[{"agent_id": 5}]']
    )
    async def test_a_body_that_is_no_list_of_agents_is_an_error(self, body: bytes) -> None:
        async with (
            peer(always(answer(body))) as server,
            TRMM(server.url, api_key=KEY, dialect="gateway") as trmm,
        ):
            with pytest.raises(DecodeError, match="GET /api/v3/agents/: 200: ") as caught:
                async with trmm.agents.iter() as stream:
                    async for _ in stream:
                        pass
            assert caught.value.body == body.decode()

    async def test_opening_it_is_retried_as_any_read(self, dialect: str) -> None:
        async with served(dialect, client={"retries": 1}, agents=3) as (server, trmm):
            server.fail("GET", "/agents/", status=503, times=1)
            async with trmm.agents.iter() as stream:
                assert len([agent async for agent in stream]) == 3

    async def test_it_is_entered_first_and_once(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            stream = trmm.agents.iter()
            with pytest.raises(ClosedError, match="enter"):
                aiter(stream)
            async with stream:
                pass
            with pytest.raises(ClosedError, match="used already"):
                async with stream:
                    pass

    @settings(max_examples=many(40))
    @given(
        st.lists(st.text(max_size=20), max_size=12),
        st.sampled_from(["", " ", "\n\t", " \r\n "]),
        st.lists(st.integers(1, 40), min_size=1, max_size=20),
    )
    def test_any_array_in_any_pieces(self, names: list[str], space: str, cuts: list[int]) -> None:
        async def scenario() -> None:
            rows = [
                {"agent_id": f"a{n}", "hostname": name, "x": [{"},{": "]"}]} for n, name in enumerate(names)
            ]
            text = f"{space}[{space}" + f"{space},{space}".join(map(json.dumps, rows)) + f"{space}]{space}"
            body = text.encode()

            async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                at = 0
                for number in range(len(body)):
                    size = cuts[number % len(cuts)]
                    piece = body[at : at + size]
                    if not piece:
                        break
                    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    await writer.drain()
                    at += size
                writer.write(b"0\r\n\r\n")
                return True

            async with (
                asyncio.timeout(30),
                peer(handle) as server,
                TRMM(server.url, api_key=KEY, dialect="gateway") as trmm,
            ):
                async with trmm.agents.iter() as stream:
                    assert [agent.hostname async for agent in stream] == names

        asyncio.run(scenario())
