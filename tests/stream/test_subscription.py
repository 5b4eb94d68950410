"""Live events: what is read, what is refused, how a subscription comes in."""

import asyncio
import json
import logging
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.stream.fake_gateway import (
    KEY,
    TLS_CERTIFICATE,
    TLS_KEY,
    Gateway,
    Peer,
    Rest,
    based,
    dialer,
    drain,
    line,
    over,
    quick,
    roll,
    running,
    session,
    specs,
    subscribe,
    take,
    until,
)
from trmm_async.errors import (
    APIError,
    AuthenticationError,
    ConnectionFailedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectedError,
)
from trmm_async.events import (
    Ended,
    Gap,
    ScriptOutput,
    UnknownEvent,
)
from trmm_async.limits import RateLimit
from trmm_async.pacing import WindowLimiter
from trmm_async.stream.dialer import Dialer
from trmm_async.stream.settings import StreamState
from trmm_async.stream.sockets import Link

gateway = pytest.fixture(running)


# Reading.


async def test_events_come_in_order_whatever_the_frames_are(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        peer = await gateway.peer()
        peer.send(*(line(number) for number in range(300)))
        peer.send(json.dumps(line(300)).encode())
        peer.ws.send_text(json.dumps(line(301))[:9].encode(), fin=False)
        peer.ws.send_continuation(b"", fin=False)
        peer.ws.send_continuation(json.dumps(line(301))[9:].encode(), fin=True)
        peer.flush()
        heard = await take(events, 302)
    assert [event.output for event in heard if isinstance(event, ScriptOutput)] == [*map(str, range(302))]


async def test_several_agents_are_merged_each_in_its_order(gateway: Gateway) -> None:
    async with subscribe(gateway, ["a", "b"]) as events:
        await until(lambda: len(gateway.peers) == 2)
        for number in range(50):
            for peer in gateway.peers:
                peer.send(line(number, peer.agent_id))
        heard = [event for event in await take(events, 100) if isinstance(event, ScriptOutput)]
        assert events.received == 100
    for agent in ("a", "b"):
        assert [int(event.output) for event in heard if event.agent_id == agent] == [*range(50)]


async def test_garbage_is_an_unknown_event_with_its_raw_bytes_and_the_stream_goes_on(
    gateway: Gateway,
) -> None:
    frames: list[str | bytes] = ["not json", "", '{"action": "new", "data": {}}', b"\xff\xfe", "[1]", "null"]
    async with subscribe(gateway) as events:
        (await gateway.peer()).send(*frames, line(1))
        *unknown, last = await take(events, 7)
    raws = [frame if isinstance(frame, bytes) else frame.encode() for frame in frames]
    assert [event.raw for event in unknown if isinstance(event, UnknownEvent)] == raws
    assert isinstance(last, ScriptOutput)


async def test_the_handshake_goes_to_the_prefix_with_the_key_and_without_compression(
    gateway: Gateway,
) -> None:
    async with subscribe(gateway):
        assert [agent for agent, _ in gateway.handshakes] == ["a"]
        headers = gateway.headers[0]
    assert headers["x-api-key"] == KEY
    assert headers["user-agent"] == "tests"
    assert "sec-websocket-extensions" not in headers


async def test_state_and_repr_tell_how_it_stands(gateway: Gateway) -> None:
    rest = Rest()
    events = subscribe(gateway, rest=rest)
    assert events.state == {"a": "connecting"}
    async with events:
        assert events.state == {"a": "live"}
        peer = await gateway.peer()
        await based(rest, peer)
        rest.closed = True
        peer.cut()
        await until(lambda: events.state["a"] is StreamState.CATCHING_UP)
        rest.closed = False
        await take(events, 1)
        assert events.state == {"a": "live"}
        assert repr(events) == "<Subscription 1 live; 0 received, 1 reconnects, 1 waiting>"
        assert repr(session(events, "a")) == "<Session a: live, 0 received>"
        assert {repr(link) for link in roll(events)} == {"<Link /trmm/a/: open, 0 frames waiting>"}
    assert events.state == {"a": "ended"}


# Refusals.


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError), (404, NotFoundError)]
)
async def test_a_refused_handshake_raises_its_typed_error_once(
    gateway: Gateway, status: int, kind: type[APIError]
) -> None:
    gateway.answers["a"] = [(status, {}, '{"detail": "no, ' + KEY + '"}')]
    with pytest.raises(kind) as caught:
        async with subscribe(gateway):
            pass
    assert str(caught.value) == f"GET /trmm/a/: {status}: no, ***"
    assert len(gateway.handshakes) == 1


async def test_a_refused_agent_among_several_has_ended_and_the_others_go_on(gateway: Gateway) -> None:
    gateway.answers["b"] = [(403, {}, "")]
    async with subscribe(gateway, ["a", "b"]) as events:
        (ended,) = await take(events, 1)
        assert isinstance(ended, Ended)
        assert ended.agent_id == "b"
        assert isinstance(ended.error, PermissionDeniedError)
        assert events.state == {"a": "live", "b": "ended"}
        (await gateway.peer()).send(line(1))
        assert isinstance((await take(events, 1))[0], ScriptOutput)
    assert len(gateway.handshakes) == 2


async def test_when_all_agents_are_refused_the_stream_ends_with_the_last_error(gateway: Gateway) -> None:
    gateway.answers = {"a": [(404, {}, "")], "b": [(404, {}, "")]}
    async with subscribe(gateway, ["a", "b"], queue=1) as events:
        heard, error = await drain(events)
        assert {type(event) for event in heard} == {Ended}
        assert len(heard) == 2
        assert isinstance(error, NotFoundError)
        assert (await drain(events))[1] is error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (4401, AuthenticationError),
        (4403, PermissionDeniedError),
        (4003, PermissionDeniedError),
        (4404, NotFoundError),
    ],
)
async def test_a_refusal_after_the_handshake_is_typed_and_not_hammered(
    gateway: Gateway, code: int, kind: type[APIError]
) -> None:
    gateway.welcome = lambda peer: peer.close(code, "go away")
    async with subscribe(gateway) as events:
        heard, error = await drain(events)
    assert heard == []
    assert isinstance(error, kind)
    assert error.detail == "go away"
    assert len(gateway.handshakes) == 1


async def test_an_error_frame_before_the_close_is_told_and_explains_the_refusal(gateway: Gateway) -> None:
    frame = '{"error": "no permission for ' + KEY + '", "status": 403}'

    def welcome(peer: Peer) -> None:
        peer.send(line(1), frame)
        peer.close(4003)

    gateway.welcome = welcome
    async with subscribe(gateway) as events:
        heard, error = await drain(events)
    assert [type(event) for event in heard] == [ScriptOutput, UnknownEvent]
    assert isinstance(error, PermissionDeniedError)
    assert error.detail == frame.replace(KEY, "***")


async def test_a_refusal_when_coming_back_ends_the_stream(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        gateway.answers["a"] = [(401, {}, "")]
        (await gateway.peer()).cut()
        assert isinstance((await drain(events))[1], AuthenticationError)
    assert len(gateway.handshakes) == 2


async def test_a_redirect_is_an_error_and_the_key_goes_nowhere(gateway: Gateway) -> None:
    async with Gateway() as elsewhere:
        there = elsewhere.url.replace("http", "ws") + "/trmm/a/"
        gateway.answers["a"] = [(307, {"Location": f"{there}?key={KEY}"}, "")]
        with pytest.raises(RedirectedError) as caught:
            async with subscribe(gateway):
                pass
        assert elsewhere.handshakes == []
    assert caught.value.location == there
    assert len(gateway.handshakes) == 1


async def test_a_proxy_of_the_environment_never_sees_the_key(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Gateway() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with subscribe(gateway):
            assert not proxy.connections


async def test_not_even_at_debug_level_the_key_is_logged(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "trmm_async", "trmm_async.stream.sockets"):
        caplog.set_level(logging.DEBUG, name)
    gateway.answers["b"] = [(403, {}, KEY)]
    async with subscribe(gateway, ["a", "b"]) as events:
        await take(events, 1)
        (await gateway.peer()).cut()
        await take(events, 1)
    logging.getLogger("websockets.client").debug("this one is heard")
    assert "this one is heard" in caplog.text
    assert KEY not in caplog.text


# Coming in.


async def test_a_server_that_recovers_while_entering_is_entered_without_a_gap(gateway: Gateway) -> None:
    gateway.answers["a"] = [(502, {}, "<html>"), (503, {}, ""), (101, {}, "")]
    async with subscribe(gateway) as events:
        (await gateway.peer()).send(line(1))
        assert isinstance((await take(events, 1))[0], ScriptOutput)
        assert events.reconnects == 0
    assert len(gateway.handshakes) == 3


async def test_a_server_that_stays_broken_fails_entering_after_some_attempts(gateway: Gateway) -> None:
    gateway.answers = {"a": [(502, {}, "")], "b": [(404, {}, "")]}
    with pytest.raises(ConnectionFailedError, match="GET /trmm/a/: the server answered 502"):
        async with subscribe(gateway, ["a", "b"], connect_attempts=3):
            pass
    assert [agent for agent, _ in gateway.handshakes].count("a") == 3


async def test_a_refused_connection_costs_no_rate_limit(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    limiter = WindowLimiter(RateLimit(1, per=3600))
    dial = dialer(f"http://127.0.0.1:{port}", limiter)
    assert repr(dial) == f"<Dialer 127.0.0.1:{port}>"
    with pytest.raises(ConnectionFailedError):
        async with asyncio.timeout(30), over(specs("a"), dial, None, quick()):
            pass
    async with asyncio.timeout(30):
        (await limiter.acquire()).give_back()


async def test_an_answered_handshake_counts_against_the_rate_limit(gateway: Gateway) -> None:
    limiter = WindowLimiter(RateLimit(1, per=3600))
    async with over(specs("a"), dialer(gateway.url, limiter), None, quick()):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await limiter.acquire()


async def test_a_server_that_says_nothing_is_given_up_on(gateway: Gateway) -> None:
    gateway.held = []
    dial = dialer(gateway.url)
    dial._open_timeout = 0.05
    with pytest.raises(ConnectionFailedError, match=r"no connection within 0\.05 s"):
        async with over(specs("a"), dial, None, quick(connect_attempts=4)):
            pass
    assert len(gateway.handshakes) == 1  # not after four times its time


async def test_a_server_that_speaks_no_websocket_is_a_failed_connection() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-nonsense\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(ConnectionFailedError, match="broken protocol"):
            async with over(specs("a"), dialer(f"http://127.0.0.1:{port}"), None, quick()):
                pass


async def test_a_429_is_waited_out_as_the_server_asks_and_everybody_is_told(gateway: Gateway) -> None:
    gateway.answers["a"] = [(429, {"Retry-After": "1"}, ""), (101, {}, "")]
    told: list[float] = []
    dial = Dialer(gateway.url, headers={}, pace=WindowLimiter(None).acquire, pause=told.append, scrub=str)
    async with over(specs("a"), dial, None, quick()):
        (_, first), (_, second) = gateway.handshakes
    assert second - first >= 1
    assert told == [1.0]


async def test_a_429_that_stays_is_a_rate_limited_error_with_what_is_known(gateway: Gateway) -> None:
    gateway.answers["a"] = [(429, {}, '{"detail": "rate limited"}')]
    with pytest.raises(RateLimitedError) as caught:
        async with subscribe(gateway, connect_attempts=2):
            pass
    assert (caught.value.detail, caught.value.attempts, caught.value.retry_after) == ("rate limited", 2, None)
    assert caught.value.waited > 0


async def test_an_agent_out_of_reach_is_tried_on_and_its_gap_begins_at_entering(gateway: Gateway) -> None:
    gateway.answers["b"] = [(502, {}, "")]
    before = datetime.now(UTC)
    async with subscribe(gateway, ["a", "b"], connect_attempts=2) as events:
        assert events.state == {"a": "live", "b": "connecting"}
        entered = datetime.now(UTC)
        gateway.answers.clear()
        (gap,) = await take(events, 1)
        assert isinstance(gap, Gap)
        assert gap.agent_id == "b"
        assert before <= gap.since <= entered <= gap.until
        assert events.state == {"a": "live", "b": "live"}


async def test_a_handshake_that_is_cancelled_leaves_no_connection(gateway: Gateway) -> None:
    gateway.held, roll = [], set[Link]()
    dialing = asyncio.create_task(dialer(gateway.url).dial("/trmm/a/", quick(close_timeout=60.0), roll))
    await until(lambda: len(gateway.handshakes) == 1)
    dialing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialing
    await until(lambda: not roll and not gateway.connections)


async def test_few_handshakes_are_under_way_at_once(gateway: Gateway) -> None:
    gateway.held = []
    agents = [f"agent-{number}" for number in range(20)]
    events = subscribe(gateway, agents, handshakes=3)
    entering = asyncio.create_task(events.__aenter__())
    served = 0
    while served < len(agents):
        expected = min(3, len(agents) - served)
        await until(lambda: len(gateway.held or ()) == expected)  # noqa: B023 - it is awaited here
        await asyncio.sleep(0.002)
        assert len(gateway.held) == expected
        served += 1
        gateway.held.pop(0)()
    await entering
    await events.__aexit__(None, None, None)


async def test_an_agent_has_one_task_and_no_more(gateway: Gateway) -> None:
    rest = Rest()
    before = len(asyncio.all_tasks())
    async with subscribe(
        gateway, [f"agent-{number}" for number in range(30)], rest, gather=0.3, handshakes=30
    ):
        await until(lambda: rest.answered >= 1 and all(peer.pings for peer in gateway.peers))
        assert len(asyncio.all_tasks()) - before == 30
    assert len(rest.calls) <= 2


async def test_tls_is_spoken_and_checked(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_text(TLS_CERTIFICATE)
    key.write_text(TLS_KEY)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    async with Gateway(tls=serving) as gateway:
        gateway.welcome = lambda peer: peer.send(line(1))
        async with over(specs("a"), dialer(gateway.url, tls=trusting), None, quick()) as events:
            assert isinstance((await take(events, 1))[0], ScriptOutput)
        distrusting = dialer(gateway.url)
        with pytest.raises(ConnectionFailedError, match="the server's certificate is not trusted: self-sig"):
            async with over(specs("a"), distrusting, None, quick(connect_attempts=1)):
                pass
        assert len(gateway.handshakes) == 1


async def test_the_first_that_stands_is_enough_where_the_others_may_come_later(gateway: Gateway) -> None:
    gateway.held = []
    events = subscribe(gateway, ["a", "b", "c"], wait_for_all=False, handshakes=3)
    entering = asyncio.create_task(events.__aenter__())
    await until(lambda: len(gateway.held or ()) == 3)
    gateway.held.pop(0)()
    await entering
    assert sorted(events.state.values()) == ["connecting", "connecting", "live"]
    (first,) = gateway.peers
    first.send(line(1, first.agent_id))
    (event,) = await take(events, 1)
    assert event.agent_id == first.agent_id
    while gateway.held:
        gateway.held.pop()()
    await until(lambda: set(events.state.values()) == {"live"})
    await events.__aexit__(None, None, None)


async def test_refusals_are_waited_for_where_the_first_that_stands_is_enough(gateway: Gateway) -> None:
    gateway.answers = {"a": [(404, {}, "")], "b": [(404, {}, "")]}
    async with subscribe(gateway, ["a", "b", "c"], wait_for_all=False) as events:
        assert events.state["c"] == "live"
    gateway.answers["c"] = [(404, {}, "")]
    async with subscribe(gateway, ["a", "b", "c"], wait_for_all=False) as events:
        assert set(events.state.values()) == {"ended"}
