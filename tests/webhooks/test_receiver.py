"""Alert webhooks: recorded deliveries replayed, what is refused, and alerts told at once and once."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.servers import served
from tests.stream.fake_gateway import all_of, until
from tests.stream.test_poll_source import client, kinds, quick
from tests.webhooks.deliveries import RECORDINGS, body
from trmm_async import WebhookReceiver
from trmm_async.errors import InvalidRequestError
from trmm_async.events import AgentOffline, AlertEvent
from trmm_async.models import Alert
from trmm_async.stream import Subscription
from trmm_async.testing import Simulator
from trmm_async.webhooks.delivery import Delivery

SECRET = "s3cr3t-hook"
HEADERS = {"Content-Type": "application/json", "X-TRMM-Secret": SECRET}


@dataclass
class Heard:
    """Somebody who listens to a receiver."""

    receiver: WebhookReceiver = field(default_factory=lambda: WebhookReceiver(SECRET))
    rung: list[tuple[int | None, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stop = self.receiver.listen(lambda alert, agent: self.rung.append((alert, agent)))


async def asgi(
    receiver: WebhookReceiver,
    *chunks: bytes,
    method: str = "POST",
    headers: Mapping[str, str] = HEADERS,
    ends: bool = True,
    stalls: bool = False,
    send: Callable[[Any], Awaitable[None]] | None = None,
) -> tuple[int | None, bytes, dict[bytes, bytes]]:
    """One request as an ASGI server makes it; the answer's status, body and headers."""
    last: dict[str, Any] = {"type": "http.request", "body": b"", "more_body": False}
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        + [last if ends else {"type": "http.disconnect"}]
    )
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        message = next(messages)
        if message is last and stalls:
            await asyncio.Event().wait()
        return message

    async def keep(message: Any) -> None:
        sent.append(message)

    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await receiver({"type": "http", "method": method, "headers": pairs}, receive, send or keep)
    if not sent:
        return None, b"", {}
    return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


def dumped(**changes: Any) -> bytes:
    return json.dumps(body(**changes)).encode()


# The recordings.


async def test_every_recorded_delivery_is_taken_or_refused_as_it_should() -> None:
    outcomes: dict[str, tuple[int | None, list[tuple[int | None, str | None]]]] = {}
    for path in sorted(RECORDINGS.glob("*.json")):
        received = json.loads(path.read_text()).get("received")
        if received is None:
            continue
        heard = Heard()
        status, _, _ = await asgi(
            heard.receiver,
            received["body_raw"].encode(),
            method=received["method"],
            headers={key: value for key, value in received["headers"].items() if key != "Content-Length"},
        )
        outcomes[path.stem] = (status, heard.rung)
    assert len(outcomes) > 100
    right = {name for name, (status, _) in outcomes.items() if status == 204}
    assert right == {name for name in outcomes if name.startswith("recommended_")} | {
        "check_deleted_with_open_alert"
    }
    assert outcomes["recommended_check_nasty__1_raised"][1] == [(232, "HOOKN" + "x" * 35)]
    assert {name for name, (status, _) in outcomes.items() if status == 200} == {
        "test_button_agent",
        "test_button_client",
        "test_button_site",
    }
    assert outcomes["test_button_none"][0] == outcomes["secret_key_missing_in_keystore__1_raised"][0] == 401
    assert all(status in {200, 204, 400, 401, 405, 415} for status, _ in outcomes.values())
    assert all(not rung for status, rung in outcomes.values() if status in {200, 401, 405})


# What is taken.


async def test_a_delivery_is_answered_and_then_told_and_twice_is_once() -> None:
    heard = Heard()
    status, said, headers = await asgi(heard.receiver, dumped(alert_id=7, agent_id="a"))
    assert (status, said, headers) == (204, b"", {})
    assert (await asgi(heard.receiver, dumped(alert_id=7)[:20], dumped(alert_id=7)[20:]))[0] == 204
    assert (await asgi(heard.receiver, dumped(alert_id=7, resolved=True)))[0] == 204
    assert heard.rung == [(7, "a"), (7, None)]
    assert repr(heard.receiver) == "<WebhookReceiver 2 received, 1 repeated, 0 refused, 1 listening>"
    heard.stop()
    heard.stop()
    assert (await asgi(heard.receiver, dumped(alert_id=8)))[0] == 204
    assert len(heard.rung) == 2


async def test_either_of_two_secrets_is_taken() -> None:
    receiver = WebhookReceiver(["new", "old"])
    for secret, status in {"new": 204, "old": 204, "other": 401}.items():
        assert (await asgi(receiver, dumped(), headers={**HEADERS, "X-TRMM-Secret": secret}))[0] == status


async def test_what_was_taken_long_ago_is_forgotten() -> None:
    heard = Heard()
    for number in range(1, 10_002):
        heard.receiver._is_repeated(Delivery(number, resolved=False, agent_id=None))
    assert len(heard.receiver._seen) == 10_000
    assert (await asgi(heard.receiver, dumped(alert_id=1)))[0] == 204
    assert heard.rung == [(1, None)]


# What is refused.


@pytest.mark.parametrize(
    "secret",
    [
        "",
        " ",
        "None",
        "{{global.hook_secret}}",
        None,
        [],
        ["right", ""],
        "p\u00e4ss",
        "\u20ac",
        " x",
        "x\n",
        "a\x7f",
    ],
)
def test_what_can_not_be_a_secret_is_refused_at_once(secret: Any) -> None:
    with pytest.raises((InvalidRequestError, TypeError)):
        WebhookReceiver(secret)


def test_a_bound_on_bodies_is_positive() -> None:
    with pytest.raises(InvalidRequestError):
        WebhookReceiver(SECRET, max_body=0)


@pytest.mark.parametrize("secret", ["", "None", "wrong", SECRET[:-1], f"{SECRET}x", "\xe9\xff", None])
async def test_without_the_secret_nothing_is_read(secret: str | None) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != "X-TRMM-Secret"}
    heard = Heard()
    given = headers if secret is None else {**headers, "X-TRMM-Secret": secret}
    assert (await asgi(heard.receiver, dumped(), headers=given))[0] == 401
    assert heard.rung == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_only_posts_are_taken(method: str) -> None:
    status, _, headers = await asgi(WebhookReceiver(SECRET), dumped(), method=method)
    assert status == 405
    assert headers[b"allow"] == b"POST"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_taken(kind: str) -> None:
    assert (await asgi(WebhookReceiver(SECRET), dumped(), headers={**HEADERS, "Content-Type": kind}))[
        0
    ] == 415


async def test_a_body_beyond_the_bound_is_not_read_on() -> None:
    receiver = WebhookReceiver(SECRET, max_body=1000)
    for length in ("1001", "9" * 30):
        assert (await asgi(receiver, headers={**HEADERS, "Content-Length": length}))[0] == 413
    assert (await asgi(receiver, *[b"x" * 300] * 100))[0] == 413
    assert (await asgi(receiver, headers={**HEADERS, "Content-Length": "\xb2"}))[0] == 400


BROKEN = [b"", b"null", b"[]", b'""', b"\xff", b"{", b'"{\\"alert_id\\": \\"5\\"}"', b"[" * 5000]
WRONG: list[dict[str, Any]] = [
    {"alert_id": "0"},
    {"alert_id": "-5"},
    {"alert_id": "5; --"},
    {"alert_id": "\u0665"},
    {"alert_id": "9" * 19},
    {"resolved": "maybe"},
    {"trmm": "2"},
    {"message": "free text"},
    {"alert_id": 5},
]


@pytest.mark.parametrize("raw", [*BROKEN, *(json.dumps(body() | change).encode() for change in WRONG)])
async def test_what_is_not_the_template_is_refused_but_somebody_looks(raw: bytes) -> None:
    heard = Heard()
    status, said, _ = await asgi(heard.receiver, raw)
    assert status == 400
    assert said
    assert heard.rung == [(None, None)]
    assert heard.receiver.refused == 1


async def test_a_sender_that_goes_away_or_dawdles_gets_no_further() -> None:
    heard = Heard(WebhookReceiver(SECRET, body_timeout=0.01))
    assert (await asgi(heard.receiver, dumped()[:5], ends=False))[0] is None

    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    headers = {name.lower(): value for name, value in HEADERS.items()}
    assert (await heard.receiver._judge("POST", headers, never)).status == 408


async def test_what_came_in_whole_is_told_also_where_the_answer_reaches_nobody() -> None:
    heard = Heard()

    async def gone(_: Any) -> None:
        raise OSError("the other side has hung up")

    await asgi(heard.receiver, dumped(alert_id=1), send=gone)
    assert heard.rung == [(1, None)]

    async def stuck(_: Any) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(asgi(heard.receiver, dumped(alert_id=2), send=stuck))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard.rung == [(1, None), (2, None)]


async def test_a_request_that_is_cancelled_half_way_makes_somebody_look() -> None:
    heard = Heard()
    task = asyncio.create_task(asgi(heard.receiver, dumped()[:5], stalls=True))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard.rung == [(None, None)]


async def test_other_questions_of_an_asgi_server() -> None:
    receiver = WebhookReceiver(SECRET)
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(asked)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await receiver({"type": "lifespan"}, receive, send)
    await receiver({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


# In the stream, over real sockets.


@asynccontextmanager
async def mounted(receiver: WebhookReceiver, **settings: Any) -> AsyncIterator[str]:
    app = web.Application()
    app.add_subapp("/hooks/trmm/", receiver.aiohttp_app())
    runner = web.AppRunner(app, **settings)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/trmm/alert"
    finally:
        await runner.cleanup()


async def post(url: str, *, headers: Mapping[str, str] = HEADERS, **changes: Any) -> int:
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=body(**changes), headers=headers) as answer:
            return answer.status


@pytest.fixture
async def server() -> AsyncIterator[Simulator]:
    async with Simulator(agents=4, dialect="stock") as running:
        yield running


@asynccontextmanager
async def subscribed(server: Simulator, *agents: str, **settings: Any) -> AsyncIterator[Any]:
    receiver = WebhookReceiver(SECRET)
    seldom = quick(**{"poll_interval": 60.0, **settings})
    async with mounted(receiver) as url, client(server) as trmm:
        async with trmm.events(*agents, webhooks=receiver, settings=seldom) as events:
            yield url, events, trmm
        assert receiver._listeners == []


async def an_alert(events: Subscription) -> Alert:
    (event,) = await all_of(events, 1)
    assert isinstance(event, AlertEvent)
    return event.alert


def looks(server: Simulator) -> int:
    return sum(request.path == "/alerts/" for request in server.requests)


async def test_an_alert_is_told_at_once_and_not_again_by_the_next_look(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with subscribed(server, who) as (url, events, _):
        number = server.raise_alert(who, message="full")
        assert await post(url, alert_id=number, agent_id=who) == 204
        assert await post(url, alert_id=number, agent_id=who) == 204
        raised = await an_alert(events)
        server.resolve_alert(number)
        assert await post(url, alert_id=number, agent_id=who, resolved=True) == 204
        resolved = await an_alert(events)
        before = looks(server)
        events._source._be_quick()
        await until(lambda: looks(server) > before)
        server.go_offline(who)
        events._source._be_quick()
        assert await all_of(events, 1) == [AgentOffline(agent_id=who)]
    assert (raised.id, raised.message, raised.resolved) == (number, "full", False)
    assert resolved.resolved


async def test_a_missed_delivery_is_found_by_the_next_look(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with subscribed(server, who, poll_interval=0.01) as (_, events, _trmm):
        number = server.raise_alert(who)
        raised = await an_alert(events)
        assert raised.id == number


async def test_a_delivery_that_can_not_be_read_hastens_the_next_look(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with subscribed(server, who) as (url, events, _):
        number = server.raise_alert(who)
        assert await post(url, alert_id=number, message="free text") == 400
        raised = await an_alert(events)
        assert raised.id == number


async def test_an_alert_that_can_not_be_read_is_found_by_a_look_at_once(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with subscribed(server, who) as (url, events, _):
        number = server.raise_alert(who)
        with server.fail("GET", f"/alerts/{number}/", status=502, times=1):
            assert await post(url, alert_id=number) == 204
            raised = await an_alert(events)
        assert raised.id == number


async def test_deliveries_of_other_agents_and_of_alerts_that_are_gone_tell_nothing(server: Simulator) -> None:
    who, other, *_ = server.agent_ids
    async with subscribed(server, who) as (url, events, _):
        foreign = server.raise_alert(other)
        await post(url, alert_id=foreign, agent_id=other)
        await post(url, alert_id=foreign, resolved=True)
        await post(url, alert_id=99_999)
        number = server.raise_alert(who)
        await post(url, alert_id=number, agent_id="None")
        raised = await an_alert(events)
        assert raised.id == number
        asked = [request.path for request in server.requests if request.path.startswith("/alerts/")]
        assert asked.count(f"/alerts/{foreign}/") == 1


async def test_an_answer_that_a_look_has_overtaken_is_not_told_over_it(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with subscribed(server, who, poll_interval=0.01) as (url, events, _):
        number = server.raise_alert(who)
        await all_of(events, 1)
        with server.slow("GET", f"/alerts/{number}/", 0.2, times=1, after=True) as slow:
            await post(url, alert_id=number)
            await until(lambda: slow.hits == 1)
            server.resolve_alert(number)
            resolved = await an_alert(events)
            assert resolved.resolved
            asked = [one for one in server.requests if one.path == f"/alerts/{number}/"]
            await until(lambda: asked[0].status is not None)
        server.go_offline(who)
        assert kinds(await all_of(events, 1)) == ["AgentOffline"]


async def test_what_was_read_during_a_look_is_not_undone_by_it(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with subscribed(server, who) as (url, events, _):
        number = server.raise_alert(who)
        await post(url, alert_id=number)
        await all_of(events, 1)
        source = events._source
        with server.slow("GET", "scripthistory", 0.3, times=1, after=True) as slow:
            source._be_quick()
            await until(lambda: slow.hits == 1)  # it has seen the alerts
            server.resolve_alert(number)
            await post(url, alert_id=number, resolved=True)
            resolved = await an_alert(events)
            assert resolved.resolved
        server.go_offline(who)
        source._be_quick()
        assert kinds(await all_of(events, 1)) == ["AgentOffline"]


async def test_an_alert_that_comes_while_a_look_waits_for_the_reader_stands_behind_it(
    server: Simulator,
) -> None:
    who = server.agent_ids[0]
    async with subscribed(server, who, queue=1) as (url, events, _):
        numbers = [server.raise_alert(who) for _ in range(4)]
        events._source._be_quick()
        await until(lambda: events.received == 4)
        numbers.append(server.raise_alert(who))
        await post(url, alert_id=numbers[-1])
        await until(lambda: events.received == 5)
        server.go_offline(who)
        heard = [(await an_alert(events)).id for _ in range(5)]
        events._source._be_quick()
        assert await all_of(events, 1) == [AgentOffline(agent_id=who)]
    assert heard == numbers


async def test_a_gateway_has_no_use_for_them() -> None:
    receiver = WebhookReceiver(SECRET)
    async with served("gateway", agents=1) as (server, trmm):
        (who,) = server.agent_ids
        async with trmm.events(who, webhooks=receiver) as events:
            server.raise_alert(who)
            assert kinds(await all_of(events, 1)) == ["AlertEvent"]
            assert receiver._listeners == []


async def test_aiohttp_refuses_as_asgi_does(server: Simulator) -> None:
    async with mounted(WebhookReceiver(SECRET, max_body=500)) as url:
        assert await post(url) == 204
        assert await post(url, headers={}) == 401
        assert await post(url, severity="x" * 1000) == 413
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("cancels", [False, True])
async def test_whoever_hangs_up_early_what_came_in_whole_is_told(
    caplog: pytest.LogCaptureFixture, *, cancels: bool
) -> None:
    heard = Heard()
    async with mounted(heard.receiver, handler_cancellation=cancels) as url:
        host, port = url.removeprefix("http://").partition("/")[0].split(":")

        async def post_and_run(number: int) -> None:
            raw = dumped(alert_id=number)
            head = {**HEADERS, "Host": host, "Content-Length": str(len(raw))}
            lines = ["POST /hooks/trmm/ HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
            if number % 2:
                writer.close()  # a goodbye; else the line is cut
                await writer.wait_closed()
            else:
                await writer.drain()
                writer.transport.abort()

        await asyncio.gather(*map(post_and_run, range(1, 101)))
        await until(lambda: len(heard.rung) == 100)
    assert sorted(heard.rung) == [(number, None) for number in range(1, 101)]
    assert (heard.receiver.received, heard.receiver.refused) == (100, 0)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


class Telling:
    """Learns of alerts in some other way, and says so as a receiver of webhooks does."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[int | None, str | None], None]] = []

    def listen(self, listener: Callable[[int | None, str | None], None], /) -> Callable[[], None]:
        self.listeners.append(listener)
        return self.listeners.clear


async def test_anything_that_learns_of_alerts_can_take_the_place_of_a_receiver(server: Simulator) -> None:
    who = server.agent_ids[0]
    telling = Telling()
    async with client(server) as trmm:
        async with trmm.events(who, webhooks=telling, settings=quick(poll_interval=60.0)) as events:
            number = server.raise_alert(who)
            for listener in telling.listeners:
                listener(number, who)
            assert (await an_alert(events)).id == number
        assert telling.listeners == []


async def test_what_does_not_listen_is_refused_before_anything_is_sent(server: Simulator) -> None:
    wrong: Any = "hooks.example.com"
    async with client(server) as trmm:
        with pytest.raises(InvalidRequestError, match=r"WebhookReceiver, not 'hooks\.example\.com'"):
            trmm.events(server.agent_ids[0], webhooks=wrong)
    assert server.requests == []
