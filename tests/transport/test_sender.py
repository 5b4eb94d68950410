"""The path of a request, over real sockets, against peers that do what real ones do on a bad day."""

import asyncio
import logging
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import aiohttp
import pytest

from tests.clock import skip
from tests.peer import KEY, Peer, Request, always, answer, client, in_turn, peer, status
from tests.servers import until
from trmm_async import (
    TRMM,
    APIError,
    AuthenticationError,
    BadRequestError,
    ClosedError,
    ConnectionFailedError,
    Connector,
    DecodeError,
    Done,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimit,
    RateLimitedError,
    RedirectedError,
    ServerError,
    ServerFaultError,
    TimeoutError,
    TRMMError,
    Unknown,
)
from trmm_async.calls import Call, Lane, Replay, ignore_answer
from trmm_async.pacing import WindowLimiter
from trmm_async.retry import RetryPolicy
from trmm_async.testing import Simulator
from trmm_async.transport import Server, Transport

RESULT = answer(b'{"execution_time":"0.1","retcode":0,"stdout":"","stderr":""}')
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Type: application/json\r\n\r\n[{"


class TestReads:
    @pytest.mark.parametrize("fault", [status(500), status(502), status(503), status(504), None, CUT])
    async def test_are_sent_again_after_a_fault(self, fault: bytes | None) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            if request.number == 0:
                writer.write(fault or b"")
                await writer.drain()
                return False
            writer.write(answer(b"[]"))
            return True

        async with peer(handle) as server, client(server.url) as trmm:
            assert await trmm.scripts.list() == []
            assert len(server.requests) == 2

    async def test_end_in_the_servers_error_when_the_attempts_are_used_up(self) -> None:
        async with peer(always(status(502))) as server, client(server.url, retries=2) as trmm:
            with pytest.raises(ServerError) as caught:
                await trmm.scripts.list()
            assert len(server.requests) == 3
        assert not isinstance(caught.value, OutcomeUnknownError)
        assert (caught.value.status, caught.value.method, caught.value.path) == (
            502,
            "GET",
            "/api/v3/scripts/",
        )

    async def test_are_never_sent_by_aiohttp_behind_our_back(self) -> None:
        """aiohttp sends a GET again by itself when a kept-alive connection breaks: no limiter would know."""
        async with (
            peer(in_turn(answer(b"[]"), None)) as server,
            client(server.url, retries=0) as trmm,
        ):
            await trmm.scripts.list()
            with pytest.raises(ConnectionFailedError):
                await trmm.scripts.list()
            assert len(server.requests) == 2

    async def test_say_that_a_late_answer_was_late(self) -> None:
        async with stalling() as server, client(server.url, timeout=8) as trmm:
            call = asyncio.ensure_future(trmm.scripts.list())
            await server.received(1)
            skip(8)
            with pytest.raises(TimeoutError) as caught:
                await call
            assert len(server.requests) == 1
        assert "GET /api/v3/scripts/" in str(caught.value)

    @pytest.mark.parametrize("body", [b"", b"<html>", b'{"not": "a list"}', b'[{"id": "x"}]', b"[\xff]"])
    async def test_end_in_a_decode_error_on_an_unreadable_answer(self, body: bytes) -> None:
        async with peer(always(answer(body))) as server, client(server.url) as trmm:
            with pytest.raises(DecodeError) as caught:
                await trmm.scripts.list()
            assert len(server.requests) == 1
        error = caught.value
        assert (error.status, error.method, error.path) == (200, "GET", "/api/v3/scripts/")
        assert "/api/v3/scripts/: 200: " in str(error)
        assert error.body == body.decode("utf-8", "replace")

    async def test_wait_for_a_connection_without_a_timeout_of_their_own(self) -> None:
        """Waiting for one of our own connections is no fault of the server's."""
        turn = asyncio.Semaphore(0)

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            await turn.acquire()
            writer.write(answer(b"[]"))
            return True

        async with peer(handle) as server, client(server.url, max_connections=1, timeout=8) as trmm:
            calls = [asyncio.ensure_future(trmm.scripts.list()) for _ in range(4)]
            for number in range(1, 5):
                await server.received(number)
                skip(5)
                turn.release()
            assert await asyncio.gather(*calls) == [[]] * 4


class TestChanges:
    @pytest.mark.parametrize(
        "fault", [status(500), status(502), status(503), status(503, Retry_After="0"), status(504)]
    )
    async def test_are_not_sent_again_after_a_server_error(self, fault: bytes) -> None:
        async with peer(in_turn(fault, RESULT)) as server, client(server.url) as trmm:
            with pytest.raises(ServerFaultError) as caught:
                await trmm.agents.run_script("a", 1)
            assert len(server.requests) == 1
        assert isinstance(caught.value, OutcomeUnknownError)
        assert isinstance(caught.value, ServerError)

    @pytest.mark.parametrize(
        "fault", ["408 Request Timeout", "460 Client Closed", "499 Client Closed Request"]
    )
    async def test_that_time_ran_out_is_no_refusal(self, fault: str) -> None:
        """A proxy says so, and the application behind it may have had all of the call."""
        async with peer(always(answer(b"", fault))) as server, client(server.url) as trmm:
            (outcome,) = await trmm.fleet.run_script(["a"], 1)
            assert isinstance(outcome, Unknown)
            assert f"sent, and answered with {fault[:3]}" in str(outcome.error)
            assert len(server.requests) == 1

    @pytest.mark.parametrize("fault", [None, CUT, b"HTTP/1.1 200 OK\r\nContent-Le", b"garbage\r\n\r\n"])
    async def test_are_not_sent_again_when_the_answer_is_lost(self, fault: bytes | None) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(fault or b"")
            await writer.drain()
            return False

        async with peer(handle) as server, client(server.url) as trmm:
            with pytest.raises(OutcomeUnknownError) as caught:
                await trmm.agents.run_script("a", 1)
            assert len(server.requests) == 1
        assert "POST /api/v3/agents/a/runscript/" in str(caught.value)

    async def test_are_not_sent_again_after_a_reset(self) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False

        async with peer(handle) as server, client(server.url) as trmm:
            with pytest.raises(OutcomeUnknownError):
                await trmm.agents.run_script("a", 1)
            assert len(server.requests) == 1

    async def test_are_not_sent_again_when_the_answer_is_late(self) -> None:
        async with stalling() as server, client(server.url, timeout=8) as trmm:
            call = asyncio.ensure_future(trmm.clients.create(name="x"))
            await server.received(1)
            skip(8)
            with pytest.raises(OutcomeUnknownError):
                await call
            assert len(server.requests) == 1

    @pytest.mark.parametrize("body", [b"", b"<html>", b'"ok"', b"{}"])
    async def test_whose_answer_is_unreadable_have_an_unknown_outcome(self, body: bytes) -> None:
        async with peer(always(answer(body, "201 Created"))) as server, client(server.url) as trmm:
            with pytest.raises(OutcomeUnknownError):
                await trmm.clients.create(name="x")
            assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "proxied",
        [
            status(503, Retry_After="0"),
            status(302, Location="/there/"),
            status(304),
            status(307),
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        ],
    )
    async def test_are_not_sent_again_after_an_answer_that_proves_nothing(self, proxied: bytes) -> None:
        async def created(trmm: TRMM) -> None:
            await trmm.clients.create(name="x")

        async def deployed(trmm: TRMM) -> None:
            later = datetime.now(UTC) + timedelta(days=1)
            await trmm.deployments.create(client=1, site=1, expires=later, arch="amd64")

        async def posted(trmm: TRMM) -> None:
            await trmm.request("POST", "/api/v3/tasks/", json={})

        async def put(trmm: TRMM) -> None:
            await trmm.request("PUT", "/api/v3/tasks/", json={})

        async def ran(trmm: TRMM) -> None:
            await trmm.agents.run_script("a", 1)

        for change in (created, deployed, posted, put, ran):
            async with peer(in_turn(proxied, RESULT)) as server, client(server.url) as trmm:
                with pytest.raises(OutcomeUnknownError):
                    await change(trmm)
                assert len(server.requests) == 1

    async def test_that_were_redirected_say_where_to(self) -> None:
        moved = status(301, Location="https://there.example/api/v3/clients/?token=1")
        async with peer(always(moved)) as server, client(server.url) as trmm:
            for change in (trmm.clients.create(name="x"), trmm.alerts.resolve(1)):
                with pytest.raises(
                    OutcomeUnknownError, match=r"redirected to https://there\.example/"
                ) as caught:
                    await change
                assert isinstance(caught.value.__cause__, RedirectedError)
                assert "token" not in str(caught.value)
            assert len(server.requests) == 2

    async def test_of_a_fleet_are_told_as_unknown(self) -> None:
        busy = status(503, Retry_After="0")
        async with peer(in_turn(busy, busy, RESULT)) as server, client(server.url) as trmm:
            outcomes = await trmm.fleet.run_script(["a", "b", "c"], 1, width=1)
            assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown, Done]
            assert len(server.requests) == 3

    @pytest.mark.parametrize("then", [400, 401, 403, 404, 409, 429])
    async def test_that_are_refused_after_a_lost_answer_are_still_unknown(self, then: int) -> None:
        async with peer(in_turn(None, status(then))) as server, client(server.url, retries=1) as trmm:
            with pytest.raises(
                OutcomeUnknownError, match=f"its answer was lost, .* got {then}: no"
            ) as caught:
                await trmm.alerts.resolve(1)
            assert isinstance(caught.value.__cause__, APIError)
            assert len(server.requests) == 2

    @pytest.mark.parametrize("refusal", [status(429), status(429, Retry_After="0")])
    async def test_that_were_turned_away_are_sent_again(self, refusal: bytes) -> None:
        async with peer(in_turn(refusal, RESULT)) as server, client(server.url) as trmm:
            assert (await trmm.agents.run_script("a", 1)).ok
            assert len(server.requests) == 2

    async def test_that_could_not_connect_are_tried_again_and_certainly_did_not_happen(self) -> None:
        async with client(closed_port(), retries=1) as trmm:
            with pytest.raises(ConnectionFailedError):
                await trmm.agents.run_script("a", 1)

    async def test_that_are_idempotent_are_sent_again(self) -> None:
        async with peer(in_turn(None, status(502), answer(b"{}"))) as server, client(server.url) as trmm:
            await trmm.alerts.resolve(1)
            assert len(server.requests) == 3

    async def test_a_delete_that_finds_nothing_after_a_lost_answer_has_succeeded(self) -> None:
        async with peer(in_turn(None, status(404))) as server, client(server.url) as trmm:
            await trmm.agents.delete("a")
            assert len(server.requests) == 2

    async def test_a_delete_that_finds_nothing_at_once_says_so(self) -> None:
        async with peer(always(status(404))) as server, client(server.url) as trmm:
            with pytest.raises(NotFoundError):
                await trmm.agents.delete("a")

    async def test_a_waiting_script_has_its_own_time_on_top(self) -> None:
        async with Simulator(agents=1) as server:
            server.script(1, seconds=12)
            agent_id = server.agents[0].agent_id
            async with TRMM(server.url, api_key=server.api_key, dialect="gateway", timeout=8) as trmm:
                call = asyncio.ensure_future(trmm.agents.run_script(agent_id, 1, timeout=30))
                await until(lambda: len(server.runs) == 1)
                skip(12)
                assert (await call).ok


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


WEB_CLIENT = b"<!DOCTYPE html><html><head><title>Tactical RMM</title></head></html>"


class TestAWrongAddress:
    HINT = r"is it the API's address \(often api\.…\), and not the web client's\?"

    @staticmethod
    async def web_client(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        """A web server of files, as the web client has it: its one page for every path."""
        page = answer(WEB_CLIENT) if request.method == "GET" else answer(b"<html>", "405 Not Allowed")
        writer.write(page)
        return True

    @pytest.mark.parametrize("dialect", ["gateway", "stock", "auto"])
    async def test_is_said_to_be_one(self, dialect: Any) -> None:
        async with peer(self.web_client) as server, client(server.url, dialect=dialect) as trmm:
            for call in (
                trmm.agents.list(),
                trmm.agents.get("a" * 40),
                trmm.clients.list(),
                self.streamed(trmm),
            ):
                with pytest.raises(TRMMError, match=self.HINT):
                    await call
            with pytest.raises(TRMMError, match=self.HINT):
                async with trmm.events("a" * 40):
                    pass

    @pytest.mark.parametrize("dialect", ["gateway", "stock", "auto"])
    async def test_is_said_to_be_one_by_what_changes_something(self, dialect: Any) -> None:
        async with peer(self.web_client) as server, client(server.url, dialect=dialect) as trmm:
            for call in (trmm.agents.run_script("a" * 40, 1), trmm.request("POST", "/x/", json={})):
                with pytest.raises(TRMMError, match=self.HINT):
                    await call

    async def test_that_takes_what_changes_something_leaves_it_unknown(self) -> None:
        async with peer(always(answer(WEB_CLIENT))) as server, client(server.url) as trmm:
            with pytest.raises(OutcomeUnknownError, match=self.HINT):
                await trmm.clients.create(name="x")

    @pytest.mark.parametrize("body", [b"", b"no JSON", b"{}", b'"<html>"'])
    async def test_is_not_what_is_wrong_elsewhere(self, body: bytes) -> None:
        async with peer(always(answer(body))) as server, client(server.url) as trmm:
            with pytest.raises(DecodeError) as caught:
                await trmm.agents.list()
        assert "address" not in str(caught.value)

    @pytest.mark.parametrize("said", ["gateway", "auto"])
    @pytest.mark.parametrize("behind", ["/api/v3", "/api/v3/"])
    async def test_with_the_path_of_calls_behind_it_is_understood(self, said: Any, behind: str) -> None:
        async with Simulator(agents=1) as server:
            url = server.url + behind
            async with TRMM(url, api_key=server.api_key, dialect=said) as trmm:
                (agent,) = await trmm.agents.list()
                assert trmm.dialect == "gateway"
                assert agent.client is not None
                assert (await trmm.agents.run_script(agent, 1)).ok

    @staticmethod
    async def streamed(trmm: TRMM) -> None:
        async with trmm.agents.iter() as agents:
            async for _ in agents:
                pass


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


class TestLimits:
    async def test_a_burst_never_draws_a_429_from_a_strict_server(self) -> None:
        async with Simulator(agents=1, rate_limit=(20, 0.5), latency=(0.0, 0.01)) as server:
            limit = RateLimit(20, per=0.5)
            async with TRMM(server.url, api_key=server.api_key, dialect="gateway", rate_limit=limit) as trmm:
                await asyncio.gather(*(trmm.scripts.list() for _ in range(70)))
            assert server.throttled == 0

    async def test_deployments_draw_on_both_limits(self) -> None:
        async with Simulator(agents=1, rate_limit=(8, 0.6), deployment_rate_limit=(3, 0.4)) as server:
            async with TRMM(
                server.url,
                api_key=server.api_key,
                dialect="gateway",
                rate_limit=RateLimit(8, per=0.6),
                deployment_rate_limit=RateLimit(3, per=0.4),
            ) as trmm:
                await asyncio.gather(
                    *(create_deployment(trmm, server) for _ in range(7)),
                    *(trmm.scripts.list() for _ in range(8)),
                )
            assert server.throttled == 0
            made = [request for request in server.requests if request.status == 201]
            assert len(made) == 7

    async def test_a_429_from_another_user_of_the_key_is_waited_out(self) -> None:
        replies = in_turn(status(429, Retry_After="0"), status(429), answer(b"[]"))
        async with peer(replies) as server, client(server.url) as trmm:
            await trmm.scripts.list()
            assert len(server.requests) == 3

    async def test_a_429_holds_back_everybody(self) -> None:
        async with peer(in_turn(status(429, Retry_After="20"), answer(b"[]"))) as server:
            async with client(server.url) as trmm:
                limiter = trmm._api.transport._pool.limiter
                assert isinstance(limiter, WindowLimiter)
                first = asyncio.create_task(trmm.scripts.list())
                await until(lambda: limiter.window.wait(limiter.now()) > 0)
                second = asyncio.create_task(trmm.scripts.list())
                skip(10)
                await asyncio.sleep(0.05)
                assert len(server.requests) == 1
                skip(10)
                assert not any(await asyncio.gather(first, second))

    @pytest.mark.parametrize("year", [2020, 2040])
    async def test_a_date_is_waited_for_by_the_server_s_clock(self, year: int) -> None:
        dates = {"Date": f"1 Mar {year} 10:00:00 GMT", "Retry_After": f"1 Mar {year} 10:00:01 GMT"}
        async with peer(in_turn(status(429, **dates), answer(b"[]"))) as server, client(server.url) as trmm:
            started = time.monotonic()
            await trmm.scripts.list()
            assert time.monotonic() - started >= 1
            assert len(server.requests) == 2

    async def test_and_ends_in_an_error_that_says_what_is_known(self) -> None:
        async with (
            peer(always(status(429, Retry_After="0"))) as server,
            client(server.url, retries=2) as trmm,
        ):
            with pytest.raises(RateLimitedError) as caught:
                await trmm.scripts.list()
            assert len(server.requests) == 3
        assert (caught.value.attempts, caught.value.retry_after) == (3, 0.0)
        assert caught.value.waited > 0

    async def test_a_wait_longer_than_our_patience_is_an_error_at_once(self) -> None:
        async with peer(always(status(429, Retry_After="3600"))) as server, client(server.url) as trmm:
            with pytest.raises(RateLimitedError, match="3600") as caught:
                await trmm.scripts.list()
            assert len(server.requests) == 1
        assert caught.value.retry_after == 3600

    async def test_a_cancelled_call_gives_its_place_back(self) -> None:
        limit = RateLimit(2, per=300)
        async with stalling() as server, client(server.url, rate_limit=limit, max_connections=1) as trmm:
            first = asyncio.create_task(trmm.scripts.list())
            second = asyncio.create_task(trmm.scripts.list())
            await server.received(1)
            # The second has a slot and waits for the only connection: nothing of it was sent.
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            third = asyncio.create_task(trmm.scripts.list())
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await server.received(2)
            third.cancel()
            await asyncio.gather(third, return_exceptions=True)


class TestTheKey:
    async def test_is_sent_with_every_request(self) -> None:
        async with peer(always(answer(b"[]"))) as server, client(server.url) as trmm:
            await trmm.scripts.list()
            assert server.requests[0].headers["x-api-key"] == KEY

    async def test_does_not_follow_a_redirect(self) -> None:
        async with peer(always(answer(b"[]"))) as other:
            moved = status(302, Location=f"{other.url}/elsewhere/?token=1")
            async with peer(always(moved)) as server, client(server.url) as trmm:
                with pytest.raises(RedirectedError) as caught:
                    await trmm.scripts.list()
            assert other.requests == []
        assert caught.value.location == f"{other.url}/elsewhere/"
        assert "token" not in str(caught.value)

    async def test_is_in_no_error_repr_or_log(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        quoting = answer(f'{{"detail": "bad key {KEY}"}}'.encode(), "401 No")
        html = answer(f"<title>{KEY}</title>".encode())
        broken = f"HTTP/1.1 200 OK\r\nX: {KEY}\r\n bad header\x00\r\n\r\n".encode()
        for reply in (quoting, html, broken, status(302, Location=f"/{KEY}/")):
            async with peer(always(reply, stay=False)) as server, client(server.url, retries=0) as trmm:
                with pytest.raises(TRMMError) as caught:
                    await trmm.scripts.list()
                for shown in told(caught.value):
                    assert KEY not in shown
                assert KEY not in f"{trmm!r} {trmm._api.transport!r} {trmm._api.transport.server!r}"
        assert KEY not in caplog.text

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (400, BadRequestError),
            (401, AuthenticationError),
            (403, PermissionDeniedError),
            (404, NotFoundError),
        ],
    )
    async def test_refusals_have_their_own_errors_and_are_not_repeated(
        self, code: int, kind: type[TRMMError]
    ) -> None:
        async with peer(always(status(code))) as server, client(server.url) as trmm:
            with pytest.raises(kind, match=f"GET /api/v3/scripts/: {code}: no"):
                await trmm.scripts.list()
            assert len(server.requests) == 1


class TestLifeCycle:
    async def test_a_closed_client_says_so(self) -> None:
        async with client("http://127.0.0.1:9") as trmm:
            await trmm.aclose()
            await trmm.aclose()
            with pytest.raises(ClosedError, match="closed"):
                await trmm.scripts.list()
        assert "closed" in repr(trmm)

    async def test_a_session_of_ones_own_is_used_and_left_open(self) -> None:
        async with (
            peer(always(answer(b"[]"))) as server,
            aiohttp.ClientSession(
                connector=Connector(), headers={"X-Mine": "yes"}, raise_for_status=True
            ) as session,
        ):
            async with client(server.url, session=session) as trmm:
                await trmm.scripts.list()
            assert not session.closed
            assert server.requests[0].headers["x-mine"] == "yes"

    async def test_a_session_that_raises_for_status_does_not_hide_what_the_server_said(self) -> None:
        async with (
            peer(always(status(400))) as server,
            aiohttp.ClientSession(raise_for_status=True) as session,
            client(server.url, session=session) as trmm,
        ):
            with pytest.raises(BadRequestError):
                await trmm.agents.run_script("a", 1)

    async def test_the_middlewares_of_a_session_of_ones_own_are_kept(self) -> None:
        async def tag(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            request.headers["X-Tag"] = "mine"
            return await handler(request)

        async with (
            peer(always(answer(b"[]"))) as server,
            aiohttp.ClientSession(middlewares=(tag,)) as session,
            client(server.url, session=session) as trmm,
        ):
            await trmm.scripts.list()
            assert server.requests[0].headers["x-tag"] == "mine"

    async def test_with_a_connector_of_ones_own_what_may_have_been_sent_counts_as_sent(self) -> None:
        async with (
            stalling() as server,
            aiohttp.ClientSession() as session,
            client(server.url, session=session) as trmm,
        ):
            async with trmm.fleet.run_script(["a", "b", "c"], script=1, width=2) as run:
                await server.received(2)
            assert (run.counts.unknown, run.counts.skipped) == (2, 1)

    async def test_a_session_of_ones_own_that_is_closed_is_said_to_be(self) -> None:
        session = aiohttp.ClientSession()
        await session.close()
        async with client("http://127.0.0.1:9", session=session) as trmm:
            with pytest.raises(ClosedError, match="session was closed"):
                await trmm.scripts.list()

    async def test_closing_while_calls_wait_for_the_limit(self) -> None:
        async with client("http://127.0.0.1:9", rate_limit=RateLimit(1, per=0.2), retries=0) as trmm:
            calls = [asyncio.create_task(trmm.scripts.list()) for _ in range(3)]
            await asyncio.sleep(0)
            await trmm.aclose()
            ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, TRMMError) for error in ended)

    async def test_with_a_session_of_ones_own_nothing_is_sent_twice_either(self) -> None:
        async with (
            peer(in_turn(answer(b"[]"), None)) as server,
            aiohttp.ClientSession() as session,
            client(server.url, session=session, retries=0) as trmm,
        ):
            await trmm.scripts.list()
            with pytest.raises(ConnectionFailedError):
                await trmm.scripts.list()
            assert len(server.requests) == 2

    def test_belongs_to_one_event_loop(self) -> None:
        trmm = TRMM("http://127.0.0.1:9", api_key=KEY, dialect="gateway", retries=0)

        async def use() -> None:
            with pytest.raises(ConnectionFailedError):
                await trmm.scripts.list()
            await trmm._api.transport._pool._session.close()  # type: ignore[union-attr]

        async def use_again() -> None:
            with pytest.raises(ClosedError, match="another event loop"):
                await trmm.scripts.list()
            for stream in (
                trmm.events("a"),
                trmm.events(dashboard=True),
                trmm.agents.stream_script("a", script=1),
                trmm.agents.stream_command("a", "whoami", shell="cmd"),
            ):
                with pytest.raises(ClosedError, match="another event loop"):
                    await stream.__aenter__()

        asyncio.run(use())
        asyncio.run(use_again())

    async def test_closing_ends_the_calls_under_way(self) -> None:
        async with stalling() as server, client(server.url) as trmm:
            call = asyncio.create_task(trmm.scripts.list())
            await server.received(1)
            async with asyncio.timeout(30):
                await trmm.aclose()
                with pytest.raises(TRMMError):
                    await call

    async def test_the_base_urls_prefix_is_kept(self) -> None:
        async with peer(always(answer(b"[]"))) as server, client(f"{server.url}/rmm/") as trmm:
            await trmm.checks.list(agent="a b%2F")
            assert server.requests[0].target == "/rmm/api/v3/checks/?agent=a+b%252F"


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


def told(error: BaseException | None) -> list[str]:
    """All that a traceback would show of an error and what led to it."""
    shown: list[str] = []
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return shown


@asynccontextmanager
async def stalling() -> AsyncIterator[Peer]:
    """A server that reads and never answers."""

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return False

    async with peer(handle) as server:
        yield server


def closed_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


async def create_deployment(trmm: TRMM, server: Simulator) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    await trmm.deployments.create(client=34, site=41, expires=expires, arch="amd64")


@pytest.mark.parametrize("form", ['a"b&c/d', 'a\\"b&c/d', "a&quot;b&amp;c/d", "a%22b%26c%2Fd"])
def test_the_key_is_hidden_in_any_form_that_a_server_may_quote_it_in(form: str) -> None:
    server = Server(base_url="https://x", api_key='a"b&c/d')
    assert server.scrub(f"bad key {form}!") == "bad key ***!"


class TestWorkers:
    """On a stock server a call that waits for an agent holds a worker of the server."""

    @staticmethod
    def waiting(number: int) -> Call[None]:
        return Call(method="GET", path=f"/{number}/", decode=ignore_answer, lanes=(Lane.WORKERS,))

    async def test_only_so_many_hold_one_at_once(self) -> None:
        release = asyncio.Event()

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            if request.target != "/other/":
                await release.wait()
            writer.write(answer(b"[]"))
            return True

        async with peer(handle) as server:
            transport = Transport(Server(base_url=server.url, api_key=KEY), rate_limit=None, max_waiting=2)
            calls = [asyncio.create_task(transport.send(self.waiting(number))) for number in range(5)]
            await server.received(2)
            # Others are not held back by those that wait.
            await transport.send(Call(method="GET", path="/other/", decode=ignore_answer))
            assert [request.target for request in server.requests] == ["/0/", "/1/", "/other/"]
            calls[3].cancel()
            release.set()
            await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
            assert sorted(request.target for request in server.requests) == [
                "/0/", "/1/", "/2/", "/4/", "/other/",
            ]  # fmt: skip
            await transport.aclose()

    async def test_one_that_failed_gives_its_place_back(self) -> None:
        async with peer(always(status(500))) as server:
            policy = RetryPolicy(retries=0)
            transport = Transport(
                Server(base_url=server.url, api_key=KEY), rate_limit=None, max_waiting=1, policy=policy
            )
            for _ in range(3):
                with pytest.raises(ServerError):
                    await asyncio.wait_for(transport.send(self.waiting(1)), 5)
            await transport.aclose()

    @pytest.mark.parametrize("wrong", [0, -1, 1.5, "10", True])
    async def test_the_bound_is_checked(self, wrong: Any) -> None:
        with pytest.raises(InvalidRequestError, match="max_waiting"):
            TRMM("https://rmm.example.com", api_key=KEY, dialect="stock", max_waiting=wrong)
