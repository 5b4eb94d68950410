from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest
import websockets
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from trmm_async.testing import Request, Simulator
from trmm_async.testing.events import BACKLOG, Hub, refusal_rule
from trmm_async.testing.faults import Refusal
from trmm_async.testing.replies import Asked

from .kit import Http, eventually, frame, frames, subscribe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TIME = "2026-04-21T10:32:15Z"


@pytest.fixture
def who(server: Simulator) -> str:
    return server.agent_ids[0]


@pytest.fixture
async def socket(server: Simulator, who: str) -> AsyncIterator[websockets.ClientConnection]:
    async with subscribe(server, who) as made:
        await server.wait_for_subscribers(who)
        yield made


async def lost(socket: websockets.ClientConnection) -> websockets.ConnectionClosed:
    with pytest.raises(websockets.ConnectionClosed) as closed:
        async with asyncio.timeout(30):
            await socket.recv()
    return closed.value


async def test_the_frames_are_those_of_the_contract(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    server.go_offline(who)
    server.come_online(who)
    number = server.raise_alert(who, severity="warning", message="C: drive 90% used")
    server.resolve_alert(number)
    alert = {
        "id": 5001,
        "alert_type": "check",
        "agent": who,
        "severity": "warning",
        "message": "C: drive 90% used",
        "created_at": TIME,
        "snoozed": False,
        "resolved": False,
    }
    assert await frames(socket, 4) == [
        {"action": "agent.offline", "data": {"agent_id": who, "time": TIME}},
        {"action": "agent.online", "data": {"agent_id": who, "time": TIME}},
        {"action": "alert", "data": alert},
        {"action": "alert", "data": alert | {"resolved": True}},
    ]


async def test_acknowledging_is_not_told_and_resolving_over_http_is(
    server: Simulator, who: str, socket: websockets.ClientConnection, http: Http
) -> None:
    number = server.raise_alert(who)
    await http("POST", f"/api/v3/alerts/{number}/acknowledge/")
    await http("POST", f"/api/v3/alerts/{number}/resolve/")
    told = await frames(socket, 2)
    assert [item["data"]["resolved"] for item in told if isinstance(item["data"], dict)] == [False, True]


async def test_only_the_subscribers_of_an_agent_are_told(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    other = server.agent_ids[1]
    async with subscribe(server, who) as second, subscribe(server, other) as stranger:
        await server.wait_for_subscribers(who, 2)
        await server.wait_for_subscribers(other)
        assert (server.subscribers(who), server.subscribers(other), server.subscribers()) == (2, 1, 3)
        server.raise_alert(who)
        server.raise_alert(other)
        told = [await frame(each) for each in (socket, second, stranger)]
    assert [item["data"]["agent"] for item in told if isinstance(item["data"], dict)] == [who, who, other]


async def test_nothing_is_missed_after_the_handshake(server: Simulator, who: str) -> None:
    async with subscribe(server, who) as socket:
        server.raise_alert(who)
        assert (await frame(socket))["action"] == "alert"


async def test_a_handshake_counts_and_is_written_down(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    assert socket.state is websockets.State.OPEN
    assert server.limits.used(server.api_key) == 1
    (row,) = server.requests
    assert (row.method, row.path, row.status, row.key_ok) == ("GET", f"/trmm/{who}/", 101, True)
    assert server.max_in_flight == 0


async def handshake_status(server: Simulator, agent_id: str, key: str | None = None) -> int:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with subscribe(server, agent_id, **({"X-API-KEY": key} if key else {})):
            pass
    return refused.value.response.status_code


async def test_the_handshake_is_refused_over_http(server: Simulator, who: str) -> None:
    assert await handshake_status(server, "nobody") == 404
    with server.restrict("can_list_agents"):
        assert await handshake_status(server, who) == 403
    server.limits.requests = (2, 60.0)
    assert await handshake_status(server, who) == 429
    server.revoke_key()
    assert await handshake_status(server, who) == 401
    assert [row.status for row in server.requests] == [404, 403, 429, 401]


async def test_a_handshake_meets_faults_as_any_request(server: Simulator, who: str) -> None:
    server.fail("GET", "/trmm/", status=502)
    assert await handshake_status(server, who) == 502
    server.cut("GET", "/trmm/", after=False)
    with pytest.raises(websockets.InvalidMessage):
        async with subscribe(server, who):
            pass
    rule = server.fail("GET", "/trmm/", status=502, after=True)
    async with subscribe(server, who):
        pass
    assert rule.hits == 0


async def test_a_plain_request_to_the_socket_is_400(who: str, http: Http) -> None:
    answer = await http.get(f"/trmm/{who}/")
    assert (answer.status, answer.detail) == (400, "a WebSocket handshake was expected")


async def test_refused_with_a_status_for_one_agent(server: Simulator, who: str) -> None:
    rule = server.refuse_events(who, times=1)
    async with subscribe(server, server.agent_ids[1]):
        pass
    assert await handshake_status(server, who) == 403
    assert rule.hits == 1
    async with subscribe(server, who):
        pass
    with server.refuse_events(status=401):
        assert await handshake_status(server, who) == 401
        assert await handshake_status(server, server.agent_ids[1]) == 401
    async with subscribe(server, who):
        pass


@pytest.mark.parametrize(("code", "status"), [(4401, 401), (4403, 403), (4003, 403)])
async def test_refused_after_accepting(code: int, status: int, server: Simulator, who: str) -> None:
    server.refuse_events(who, close_code=code)
    async with subscribe(server, who) as socket:
        said = await frame(socket)
        closed = await lost(socket)
    assert said["status"] == status
    assert isinstance(said["error"], str)
    assert closed.rcvd is not None
    assert closed.rcvd.code == code
    assert server.subscribers(who) == 0
    server.clear_faults()
    async with subscribe(server, who):
        pass


async def test_refused_with_any_other_code(server: Simulator, who: str) -> None:
    server.refuse_events(who, close_code=1000, status=400)
    async with subscribe(server, who) as socket:
        assert await frame(socket) == {"error": "The server ended the connection.", "status": 400}


async def test_dropped_sockets_are_gone_at_once_and_without_a_goodbye(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    async with subscribe(server, server.agent_ids[1]) as other:
        await server.wait_for_subscribers(server.agent_ids[1])
        assert server.drop_events(who) == 1
        assert server.subscribers(who) == 0
        assert (await lost(socket)).rcvd is None
        assert server.drop_events() == 1
        assert (await lost(other)).rcvd is None
    assert server.drop_events() == 0


async def test_raw_frames_are_sent_as_they_are(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    assert server.send_frame(who, '{"action": "new.kind", "data": 1}') == 1
    assert server.send_frame(who, "{") == 1
    assert server.send_frame(who, b"\x00\xff") == 1
    assert server.send_frame(server.agent_ids[1], "nobody hears it") == 0
    assert [await socket.recv() for _ in range(3)] == ['{"action": "new.kind", "data": 1}', "{", b"\x00\xff"]


async def test_pings_are_answered_and_words_are_not(
    server: Simulator, socket: websockets.ClientConnection, who: str
) -> None:
    await socket.send("hello?")
    async with asyncio.timeout(30):
        await (await socket.ping())
    server.raise_alert(who)
    assert (await frame(socket))["action"] == "alert"


async def test_a_stalled_socket_stays_up_and_is_silent(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    assert server.stall_events(who) == 1
    assert server.subscribers(who) == 0
    pong = asyncio.ensure_future(await socket.ping())
    server.raise_alert(who)
    async with subscribe(server, who) as fresh:
        assert server.subscribers(who) == 1
        server.raise_alert(who)
        assert (await frame(fresh))["action"] == "alert"
        async with asyncio.timeout(30):
            await (await fresh.ping())
    assert not pong.done()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await socket.recv()
    await server.__aexit__(None, None, None)
    await lost(socket)
    with pytest.raises(websockets.ConnectionClosed):
        await pong


async def test_frames_queued_for_a_stalled_socket_are_lost(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    server.raise_alert(who)
    server.stall_events()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await socket.recv()


async def test_a_subscriber_that_leaves_is_not_counted(server: Simulator, who: str) -> None:
    async with subscribe(server, who):
        await server.wait_for_subscribers(who)
    await eventually(lambda: server.subscribers(who) == 0)


async def test_waiting_for_subscribers_has_an_end(server: Simulator, who: str) -> None:
    with pytest.raises(TimeoutError, match=r"has 0 subscribers after 0.01 s, not 1"):
        await server.wait_for_subscribers(who, timeout=0.01)


async def test_a_subscriber_that_does_not_keep_up_is_cut_off(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    for _ in range(BACKLOG + 1):
        server.send_frame(who, "x")
    async with asyncio.timeout(30):
        received = await until_closed(socket)
    assert received < BACKLOG


async def until_closed(socket: websockets.ClientConnection) -> int:
    received = 0
    try:
        while await socket.recv():
            received += 1
    except websockets.ConnectionClosedError:
        return received
    return -1


async def test_a_burst_arrives_whole_and_in_order(
    server: Simulator, who: str, socket: websockets.ClientConnection
) -> None:
    for number in range(BACKLOG // 2):
        server.send_frame(who, str(number))
    async with asyncio.timeout(30):
        assert [await socket.recv() for _ in range(BACKLOG // 2)] == [str(n) for n in range(BACKLOG // 2)]


async def test_the_end_of_the_simulator_is_a_goodbye() -> None:
    async with Simulator(agents=1) as server:
        socket = await subscribe(server, server.agent_ids[0])
        server.raise_alert(server.agent_ids[0])
    assert (await frame(socket))["action"] == "alert"
    closed = await lost(socket)
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1001


async def test_a_client_that_does_not_answer_the_goodbye_does_not_hold_up_the_end() -> None:
    started = asyncio.get_running_loop().time()
    async with aiohttp.ClientSession() as session, Simulator(agents=1) as server:
        url = f"{server.url}/trmm/{server.agent_ids[0]}/"
        await session.ws_connect(url, headers={"X-API-KEY": server.api_key})
        await server.wait_for_subscribers(server.agent_ids[0])
    assert asyncio.get_running_loop().time() - started < 2


@pytest.mark.parametrize("compress", [True, False])
async def test_frames_are_deflated_only_if_it_is_wanted(compress: bool) -> None:
    async with Simulator(agents=1, compress=compress) as server:
        who = server.agent_ids[0]
        async with subscribe(server, who) as socket:
            assert ("permessage-deflate" in str(socket.response and socket.response.headers)) is compress
            server.send_frame(who, json.dumps({"action": "x" * 1000}))
            assert await frame(socket) == {"action": "x" * 1000}


@pytest.mark.parametrize("how", ["serve", "decline", "refuse"])
async def test_whoever_leaves_during_the_handshake_leaves_nothing(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub(compress=False)
    hub.refusals.add(refusal_rule("refused", Refusal(403, close_code=4403), None))
    rows: list[Request] = []
    answers: list[web.StreamResponse] = []

    async def leave(request: web.BaseRequest) -> web.StreamResponse:
        row = Request(method="GET", path=request.path, query={}, headers={}, at=0.0)
        rows.append(row)
        assert request.transport is not None
        request.transport.abort()
        asked = Asked({}, row, "", request)
        match how:
            case "decline":
                answers.append(await hub.decline(asked, "{}", 4003))
            case "serve":
                answers.append(await hub.serve(asked, "anybody"))
            case _:
                answers.append(await hub.serve(asked, "refused"))
        return answers[0]

    async with RawTestServer(leave) as listening, aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientError):
            await client.ws_connect(listening.make_url("/"))
    assert {row.status for row in rows} == {None}
    assert not any(isinstance(answer, web.WebSocketResponse) for answer in answers)
    assert hub.count() == 0
    assert not caplog.records
