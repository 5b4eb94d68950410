"""Connections: kept as long as they are trusted, and none that has bytes which nobody asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import aiohttp
import pytest

from tests.clock import skip
from tests.peer import RESULT, Peer, Request, always, answer, client, peer
from trmm_async import TRMM, Connector, Done
from trmm_async.calls import Call, Replay


class TestKeepAlive:
    """A server that closes idle connections must not cost anyone an unknown outcome."""

    IDLE: ClassVar = 1.0
    """Seconds after which the server closes. A busy machine is late by much less."""

    async def idle(self, share: float) -> None:
        """Let this share of them pass. The last 20 ms take their time, so that the two sides race."""
        skip(self.IDLE - 0.02)
        await asyncio.sleep(0.02 + self.IDLE * (share - 1))

    async def test_a_script_is_never_sent_on_a_connection_that_is_about_to_close(self) -> None:
        async with peer(always(RESULT), idle=self.IDLE) as server, client(server.url) as trmm:
            for step in range(80):
                await trmm.agents.run_script("a", 1)
                # Around the moment of closing, a little earlier or later each time.
                await self.idle(0.99 + step / 4000)
            assert len(server.requests) == 80

    async def test_a_late_look_at_an_idle_connection_proves_no_more_than_one_in_time(self) -> None:
        async with peer(always(RESULT)) as server, client(server.url) as trmm:
            # The first is set aside, idle for 1 s, and looked at 0.05 s later: in truth 1.9 s later.
            for idle in (0, 1, 1.9, 1.2):
                skip(idle)
                await asyncio.sleep(0)
                await trmm.agents.run_script("a", 1)
            # What was idle for 1.9 s is trusted for half of it.
            assert server.connections == 4

    async def test_reads_in_between_change_nothing(self) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(RESULT if request.method == "POST" else answer(b"[]"))
            return True

        async with peer(handle, idle=self.IDLE) as server, client(server.url) as trmm:
            for step in range(60):
                await trmm.scripts.list()
                await self.idle(0.99 + step / 3000)
                await trmm.agents.run_script("a", 1)
            assert len([request for request in server.requests if request.method == "POST"]) == 60

    async def test_a_server_that_closes_after_every_answer_without_a_word(self) -> None:
        async with peer(always(RESULT, stay=False)) as server, client(server.url) as trmm:
            for _ in range(50):
                await trmm.agents.run_script("a", 1)
            assert len(server.requests) == 50

    async def test_and_under_a_fan_out(self) -> None:
        async with peer(always(RESULT, stay=False)) as server, client(server.url) as trmm:
            targets = [f"agent-{number}" for number in range(200)]
            async with trmm.fleet.run_script(targets, 1, width=20) as run:
                async for _ in run:
                    pass
            assert (run.counts.done, len(server.requests)) == (200, 200)

    async def test_connections_are_reused_once_the_server_has_shown_patience(self) -> None:
        async with peer(always(RESULT)) as server, client(server.url) as trmm:
            async with asyncio.timeout(30):
                while server.connections == len(server.requests):
                    await trmm.agents.run_script("a", 1)
                    await asyncio.sleep(0.005)
            opened = server.connections
            for _ in range(20):
                await trmm.agents.run_script("a", 1)
            assert server.connections <= opened + 1

    async def test_a_pause_that_recurs_is_learnt_to_be_harmless(self) -> None:
        """One is watched for longer than any was idle; twice the pause would never be seen otherwise."""
        async with peer(always(RESULT)) as server, client(server.url) as trmm:
            async with asyncio.timeout(30):
                while server.connections >= len(server.requests):
                    await trmm.agents.run_script("a", 1)
                    await asyncio.sleep(0.15)
            async with asyncio.timeout(30):
                opened = -1
                while server.connections > opened:
                    opened = server.connections
                    await asyncio.sleep(0.15)
                    await trmm.agents.run_script("a", 1)

    async def test_where_aiohttp_does_not_say_when_one_is_free_none_is_trusted(self) -> None:
        class Silent(Connector):
            def _release(self, key: Any, protocol: Any, **how: Any) -> None:
                aiohttp.TCPConnector._release(self, key, protocol, **how)

        async with peer(always(RESULT)) as server, aiohttp.ClientSession(connector=Silent()) as session:
            async with client(server.url, session=session) as trmm:
                for _ in range(5):
                    await trmm.agents.run_script("a", 1)
            assert server.connections == 5

    async def test_reads_reuse_connections_from_the_start(self) -> None:
        async with peer(always(answer(b"[]"))) as server, client(server.url) as trmm:
            for _ in range(10):
                await trmm.scripts.list()
            assert server.connections == 1


class TestBytesThatNobodyAskedFor:
    """They are no answer to the next call: a script would be told as done that never ran."""

    STRANGER = answer(b'{"execution_time":"0.1","retcode":0,"stdout":"a stranger","stderr":""}')
    HALVES = (STRANGER, STRANGER[:9], b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n", b"x")

    @staticmethod
    @asynccontextmanager
    async def trusting(url: str, connector: aiohttp.BaseConnector, **settings: Any) -> AsyncIterator[TRMM]:
        """A client that uses its connections again for everything, as after ten seconds of quiet."""
        if isinstance(connector, Connector):
            connector._keep_alive.survived(60)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with client(url, session=session, **settings) as trmm:
                yield trmm

    @pytest.mark.parametrize("kind", [Connector, aiohttp.TCPConnector])
    @pytest.mark.parametrize("delay", [0, 0.001, 0.02])
    @pytest.mark.parametrize("turns", [0, 1, 5])
    async def test_before_it(self, kind: Any, delay: float, turns: int) -> None:
        brought = 0

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            own = answer(
                self.STRANGER.partition(b"\r\n\r\n")[2].replace(b"a stranger", request.body or b"get")
            )
            late.append(asyncio.get_running_loop().call_later(delay, bring, writer))
            writer.write(own)
            return True

        def bring(writer: asyncio.StreamWriter) -> None:
            nonlocal brought
            brought += 1
            if not writer.is_closing():
                writer.write(self.STRANGER)

        late: list[asyncio.TimerHandle] = []
        async with peer(handle) as server, self.trusting(server.url, kind()) as trmm:
            for number in range(12):
                if number % 2:
                    said = await trmm.request("POST", "/x/", json=number)
                    assert said["stdout"] == str(number)
                else:
                    assert (await trmm.request("GET", "/x/"))["stdout"] == "get"
                async with asyncio.timeout(30):
                    while brought <= number:
                        await asyncio.sleep(0)
                for _ in range(turns):
                    await asyncio.sleep(0)
            assert len(server.requests) == 12
            assert server.connections == 12

    @pytest.mark.parametrize("bytes_", HALVES)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_between_the_last_look_and_the_first_byte(self, bytes_: bytes, method: str) -> None:
        writers: list[asyncio.StreamWriter] = []

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writers.append(writer)
            writer.write(RESULT)
            return True

        call = Call(method=method, path="/x/", decode=bytes.decode, replay=Replay.NEVER, body=b"{}")
        async with peer(handle) as server, self.trusting(server.url, Connector()) as trmm:
            transport = trmm._api.transport
            await transport.send(call)

            def bring(begins: bool) -> None:
                # It has a connection: the request's first byte is still to be written.
                if begins and len(writers) == 1:
                    writers[0].write(bytes_)

            assert await transport.send(call, bring) in RESULT.decode()
            assert (len(server.requests), server.connections) == (2, 2)

    @pytest.mark.parametrize("bytes_", HALVES)
    async def test_however_little(self, bytes_: bytes) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(RESULT)
            await writer.drain()
            went.set()
            async with asyncio.timeout(30):
                await idle.wait()
            writer.write(bytes_)
            brought.set()
            return True

        went, idle, brought = asyncio.Event(), asyncio.Event(), asyncio.Event()
        async with peer(handle) as server, self.trusting(server.url, Connector()) as trmm:
            for number in range(1, 5):
                await trmm.agents.run_script("a", 1)
                idle.set()
                await brought.wait()
                # Till it is read, and an answer that was cut no longer shows in the socket.
                for _ in range(5):
                    await asyncio.sleep(0)
                assert server.connections == number
                idle.clear()
                brought.clear()

    @pytest.mark.parametrize("cut", [1, 4, 9, 12, 17, 19, 40])
    async def test_the_beginning_of_a_head_in_the_packet_of_the_answer(self, cut: int) -> None:
        """Its rest, which comes when the next call was written, would be that call's answer, or break it."""

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(RESULT + self.STRANGER[:cut])
            await writer.drain()
            return True

        async with peer(handle) as server, self.trusting(server.url, Connector()) as trmm:
            for number in range(1, 7):
                assert (await trmm.agents.run_script("a", 1)).retcode == 0
                assert (len(server.requests), server.connections) == (number, number)

    async def test_on_a_fleet(self) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            name = request.target.split("/")[4].encode()
            own = answer(self.STRANGER.partition(b"\r\n\r\n")[2].replace(b"a stranger", name))
            writer.write(own + self.STRANGER)
            return True

        async with peer(handle) as server, self.trusting(server.url, Connector()) as trmm:
            outcomes = await trmm.fleet.run_script([f"agent-{n}" for n in range(60)], 1, width=4)
            assert all(isinstance(one, Done) and one.result.stdout == one.agent_id for one in outcomes)
            assert (len(server.requests), server.connections) == (60, 60)
