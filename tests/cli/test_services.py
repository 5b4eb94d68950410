"""What commands that run until they are stopped have in common."""

import asyncio
import logging
import signal

import pytest

from trmm_async.cli.exits import CommandError, Exit
from trmm_async.cli.services import healthy_at, host_and_port, logged, relay_url, stoppable


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9182", ("127.0.0.1", 9182)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65_535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, found: tuple[str, int]) -> None:
    assert host_and_port(text, "--listen") == found


@pytest.mark.parametrize(
    "text", ["", "9182", ":9182", "host:", "host:x", "host:-1", "host:65536", "host:\u0665"]
)
def test_anything_else_is_a_wrong_use(text: str) -> None:
    with pytest.raises(CommandError, match="--listen is HOST:PORT") as caught:
        host_and_port(text, "--listen")
    assert caught.value.code is Exit.USAGE


def test_the_relay_is_the_one_of_the_option_or_else_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TRMM_RELAY", raising=False)
    with pytest.raises(CommandError, match=r"where is the relay\? --to redis://.* or TRMM_RELAY"):
        relay_url(None, "--to")
    monkeypatch.setenv("TRMM_RELAY", "\ufeffredis://:Sesame@bus/0\n")
    assert relay_url(None, "--to") == "redis://:Sesame@bus/0"
    assert "Sesame" not in repr(relay_url(None, "--to"))
    assert relay_url("nats://other", "--to") == "nats://other"


def test_the_log_is_on_stderr_in_the_block_alone(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("trmm_async.stream")
    before = logging.getLogger("trmm_async").level, list(logging.getLogger("trmm_async").handlers)
    with logged():
        log.info("two\nlines \x1b[2J")
        log.debug("too much")
    log.info("later")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "two lines [2J\n")
    assert (logging.getLogger("trmm_async").level, logging.getLogger("trmm_async").handlers) == before


async def test_the_first_signal_stops_and_the_second_cancels() -> None:
    stopped: list[int] = []

    async def work() -> None:
        with stoppable(lambda: stopped.append(1)):
            signal.raise_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                while not stopped:
                    await asyncio.sleep(0)
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(30)

    before = signal.getsignal(signal.SIGTERM)
    task = asyncio.ensure_future(work())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(stopped) == 2
    assert signal.getsignal(signal.SIGTERM) is before


async def _ask(url: str, request: str) -> tuple[str, str]:
    port = int(url.rpartition(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    async with asyncio.timeout(30):
        answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return head.partition("\r\n")[0], body


async def test_a_health_check_is_answered_by_what_is_the_matter() -> None:
    why = ""
    async with healthy_at("127.0.0.1:0", lambda: "all is well", lambda: why) as url:
        assert url.endswith("/health")
        assert await _ask(url, "GET /health HTTP/1.1\r\n\r\n") == ("HTTP/1.1 200 OK", "all is well\n")
        assert await _ask(url, "HEAD /health HTTP/1.1\r\n\r\n") == ("HTTP/1.1 200 OK", "")
        assert (await _ask(url, "GET / HTTP/1.1\r\n\r\n"))[0] == "HTTP/1.1 404 Not Found"
        why = "the bus is gone"
        said = await _ask(url, "GET /health HTTP/1.1\r\n\r\n")
        assert said == ("HTTP/1.1 503 Service Unavailable", "the bus is gone\n")
        assert await _ask(url, f"GET /{'x' * 9000}\r\n\r\n") == ("", "")
        taken = url.removeprefix("http://").removesuffix("/health")
        with pytest.raises(CommandError, match=f"--health: can't listen on {taken}: ") as caught:
            async with healthy_at(taken, str, str):
                pytest.fail("it is taken")
        assert caught.value.code is Exit.REFUSED
    async with healthy_at(None, str, str) as url:
        assert url == ""
