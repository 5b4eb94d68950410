"""Error reporters write the locals of every frame down, along causes and contexts: no key is there."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.peer import Peer, Request, answer, peer
from trmm_async import TRMM, BadRequestError, Deployment, InvalidRequestError, TRMMError, WebhookReceiver

KEY = "SECRET-KEY-31337"
PASSWORD = "Pass-Word-4711"
CODE = "918273"
TOKEN = "token0123abcdef"


def chain(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from chain(error.__cause__, seen)
    yield from chain(error.__context__, seen)


def locals_of(error: BaseException) -> Iterator[str]:
    """All that a reporter would write down of our frames and those of libraries; not of the tests'."""
    for one in chain(error, set()):
        yield f"{one!r} {one} {one.args!r} {vars(one)!r}"
        yield "".join(traceback.TracebackException.from_exception(one, capture_locals=False).format())
        for frame, _ in traceback.walk_tb(one.__traceback__):
            where = frame.f_code.co_filename
            if "/tests/" not in where:
                for name, value in frame.f_locals.items():
                    yield f"{where}:{frame.f_code.co_name}: {name} = {value!r}"


def leaks(error: BaseException, *secrets: str) -> list[str]:
    return [line for line in locals_of(error) for secret in secrets if secret in line]


async def hung_up(writer: asyncio.StreamWriter, request: Request) -> bool:
    return False


def replying(reply: Callable[[Request], bytes]) -> Callable[[asyncio.StreamWriter, Request], Awaitable[bool]]:
    async def handle(writer: asyncio.StreamWriter, request: Request) -> bool:
        writer.write(reply(request))
        await writer.drain()
        return False

    return handle


async def silent(writer: asyncio.StreamWriter, request: Request) -> bool:
    await asyncio.Event().wait()
    return False


async def stalled(writer: asyncio.StreamWriter, request: Request) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[")
    return await silent(writer, request)


def told(request: Request) -> str:
    """A server that says all that it was told."""
    return json.dumps([request.headers.get("x-api-key"), request.body.decode()])


FAULTS = {
    "hung up": hung_up,
    "silent": silent,
    "stalled": stalled,
    "cut": replying(lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n["),
    "no HTTP": replying(lambda request: b"220 mail.example.com ESMTP\r\n\r\n"),
    "unreadable": replying(lambda request: answer(b'[{"agent_id": ')),
    "packed": replying(lambda request: answer(b"[]", Content_Encoding="br")),
    "reset chunks": replying(lambda request: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "302": replying(
        lambda request: answer(b"", "302 Found", Location=f"http://[x/{request.headers.get('x-api-key')}")
    ),
    **{
        str(code): replying(
            lambda request, code=code: answer(  # type: ignore[misc] # bound at once
                told(request).encode(), f"{code} X", X_Echo=request.headers.get("x-api-key", "")
            )
        )
        for code in (400, 401, 403, 404, 429, 500, 503)
    },
}


async def iterate(trmm: TRMM, folder: Path) -> None:
    async with trmm.agents.iter() as agents:
        async for _ in agents:
            pass


async def download(trmm: TRMM, folder: Path) -> None:
    url = f"{trmm._api.transport.server.base_url}/d/a.exe"
    await trmm.deployments.download(Deployment(id=1, download_url=url), folder)


CALLS: dict[str, Callable[[TRMM, Path], Awaitable[Any]]] = {
    "list": lambda trmm, folder: trmm.agents.list(),
    "iter": iterate,
    "download": download,
    "script": lambda trmm, folder: trmm.agents.run_script("a", 1, timeout=1),
    "delete": lambda trmm, folder: trmm.agents.delete("a"),
    "create": lambda trmm, folder: trmm.clients.create(name="c"),
    "request": lambda trmm, folder: trmm.request("PUT", "/x/", json={"a": 1}),
}


@asynccontextmanager
async def faulty(fault: str, **settings: Any) -> AsyncIterator[tuple[TRMM, Peer]]:
    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        return await FAULTS[fault](writer, request)

    settings = {"dialect": "gateway", "rate_limit": None, "retries": 0, "timeout": 0.3, **settings}
    async with asyncio.timeout(30), peer(handle) as server:
        async with TRMM(server.url, api_key=KEY, **settings) as trmm:
            yield trmm, server


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_key_is_in_no_frame_of_a_failure(fault: str, call: str, tmp_path: Path) -> None:
    caught: TRMMError | None = None
    async with faulty(fault) as (trmm, _):
        try:
            await CALLS[call](trmm, tmp_path)
        except TRMMError as error:
            caught = error
    # None where the body says nothing, or is but a file.
    assert caught is not None or call in {"delete", "download"}
    assert caught is None or leaks(caught, KEY) == []


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", ["silent", "stalled"])
async def test_nor_of_a_call_that_is_cancelled(how: str, call: str, tmp_path: Path) -> None:
    async with faulty(how, timeout=30) as (trmm, server):
        task = asyncio.ensure_future(CALLS[call](trmm, tmp_path))
        await server.received(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid", "http://...."])
async def test_nor_where_there_is_no_server(url: str, call: str, tmp_path: Path) -> None:
    with pytest.raises(TRMMError) as caught:
        async with TRMM(
            url, api_key=KEY, dialect="gateway", rate_limit=None, retries=0, allow_http=True
        ) as trmm:
            await CALLS[call](trmm, tmp_path)
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ftp://x"},
        {"timeout": -1},
        {"dialect": "none"},
        {"retries": "many"},
        {"api_key": f"{KEY}\n"},
        {"access_token": f"{KEY} with spaces", "dialect": "stock"},
        {"access_token": KEY, "dialect": "gateway"},
    ],
)
def test_nor_where_a_setting_is_wrong(settings: dict[str, Any]) -> None:
    url = settings.pop("url", "https://x")
    with pytest.raises(TRMMError) as caught:
        TRMM(url, **{"api_key": KEY, **settings})
    assert leaks(caught.value, KEY) == []


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", ["/v2/checkcreds/", "/v2/login/", "/ws/"])
@pytest.mark.parametrize("end", ["fails", "is cancelled"])
async def test_password_code_and_token_are_in_no_frame_of_a_login(fault: str, step: str, end: str) -> None:
    reached = asyncio.Event()

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        path = request.target.partition("?")[0]
        if path.startswith(step):
            reached.set()
            return await FAULTS[fault](writer, request)
        said = {"/v2/checkcreds/": b'{"totp": true}', "/v2/login/": json.dumps({"token": TOKEN}).encode()}
        writer.write(answer(said.get(path, b"{}")))
        return True

    async def log_in(trmm: TRMM) -> None:
        await trmm.login("somebody", PASSWORD, totp=CODE)
        async with trmm.agents.stream_command("a" * 40, "echo") as stream:
            async for _ in stream:
                pass

    timeout = 0.3 if end == "fails" else 30
    async with asyncio.timeout(30), peer(handle) as server:
        async with TRMM(server.url, api_key=KEY, dialect="stock", retries=0, timeout=timeout) as trmm:
            task = asyncio.ensure_future(log_in(trmm))
            if end == "is cancelled":
                await reached.wait()
                task.cancel()
            with suppress(TRMMError, asyncio.CancelledError):
                await task
            caught = asyncio.CancelledError() if task.cancelled() else task.exception()
            if task.cancelled():
                try:
                    task.result()
                except asyncio.CancelledError as error:
                    caught = error
            assert caught is not None
            assert leaks(caught, KEY, PASSWORD, CODE, TOKEN) == []


async def test_names_of_fields_are_scrubbed_as_their_values_are() -> None:
    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        said = {f"a {KEY} b": [f"no {KEY}"], "n" * 5000: "long"}
        writer.write(answer(json.dumps(said).encode(), "400 Bad Request"))
        return True

    async with peer(handle) as server, TRMM(server.url, api_key=KEY, dialect="gateway") as trmm:
        with pytest.raises(BadRequestError) as caught:
            await trmm.clients.create(name="c")
    assert dict(caught.value.fields) == {"a *** b": "no ***", "n" * 300: "long"}


@pytest.mark.parametrize("secret", [PASSWORD + "é", [PASSWORD, ""], (PASSWORD, "None")])
def test_the_secret_of_webhooks_is_in_no_frame_of_its_refusal(secret: Any) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        WebhookReceiver(secret)
    assert leaks(refused.value, PASSWORD) == []


@pytest.mark.parametrize("where", ["receive", "send", "listener"])
async def test_nor_in_one_that_breaks_under_asgi(where: str) -> None:
    receiver = WebhookReceiver(PASSWORD)
    headers = {"X-TRMM-Secret": PASSWORD, "Content-Type": "application/json"}
    body = {"trmm": "1", "alert_id": "5", "resolved": "None", "alert_type": "check"}

    def fail(at: str) -> None:
        if at == where:
            raise LookupError(at)

    async def receive() -> dict[str, Any]:
        fail("receive")
        return {"type": "http.request", "body": json.dumps(body).encode()}

    async def send(message: Any) -> None:
        fail("send")

    receiver.listen(lambda alert, agent: fail("listener"))
    scope = {"type": "http", "method": "POST", "path": "/"}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    with pytest.raises(LookupError) as broken:
        await receiver({**scope, "headers": pairs}, receive, send)
    assert leaks(broken.value, PASSWORD) == []
