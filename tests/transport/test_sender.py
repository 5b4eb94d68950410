"""The path of a request, over real sockets, against peers that do what real ones do on a bad day."""

import asyncio
import socket
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.clock import skip
from tests.peer import (
    KEY,
    RESULT,
    Peer,
    Request,
    always,
    answer,
    client,
    closed_port,
    in_turn,
    peer,
    stalling,
    status,
)
from tests.servers import until
from trmm_async import (
    TRMM,
    APIError,
    BadRequestError,
    ClosedError,
    ConnectionFailedError,
    Connector,
    DecodeError,
    Done,
    NotFoundError,
    OutcomeUnknownError,
    RateLimit,
    RedirectedError,
    ServerError,
    ServerFaultError,
    TimeoutError,
    TRMMError,
    Unknown,
)
from trmm_async.testing import Simulator

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
