"""What commands that run until they are stopped have in common: signals, a health check, messages.

After one SIGTERM, SIGHUP or Ctrl-C they end cleanly, with 0; after a second one at once.

Below: `output`, `signals`. Above: the commands.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Final

import typer

from trmm_async.cli.exits import refuse, usage
from trmm_async.cli.output import say
from trmm_async.cli.signals import on_stop
from trmm_async.cli.text import clean, one_line
from trmm_async.effective_settings import VARIABLES
from trmm_async.hidden import hide
from trmm_async.saved_text import bare

__all__ = ["Health", "healthy_at", "host_and_port", "logged", "relay_url", "stoppable"]

_HEAD_MOST: Final = 8192
_HEAD_SECONDS: Final = 5.0

Health = Annotated[
    str | None,
    typer.Option(
        "--health",
        metavar="HOST:PORT",
        help="Answer GET /health there: 200, or 503 with the reason. Port 0: any free one.",
    ),
]


def relay_url(given: str | None, option: str) -> str:
    """The URL of the relay: the option's, or else the environment's, where a password is safer."""
    url = hide(bare(given or os.environ.get(VARIABLES["relay"], "")))
    if not url:
        raise usage(
            f"where is the relay? {option} redis://host:6379/0 or nats://host, or {VARIABLES['relay']}"
        )
    return url


def host_and_port(text: str, option: str) -> tuple[str, int]:
    """The host and the port of an option."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise usage(f"{option} is HOST:PORT, as 127.0.0.1:9182; not {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


class _Saying(logging.Handler):
    """Prints log records on stderr, which a service's manager writes into its journal."""

    def emit(self, record: logging.LogRecord) -> None:
        say(one_line(clean(record.getMessage())))


@contextmanager
def logged() -> Iterator[None]:
    """Print the log of the package on stderr in the block, from INFO on."""
    log, handler = logging.getLogger("trmm_async"), _Saying(logging.INFO)
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


@contextmanager
def stoppable(stop: Callable[[], object]) -> Iterator[None]:
    """In the block, the first signal calls `stop` in the loop, and another one cancels the task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    is_stopped = False

    def act() -> None:
        nonlocal is_stopped
        if is_stopped and task is not None:
            loop.call_soon_threadsafe(task.cancel)
        is_stopped = True
        loop.call_soon_threadsafe(stop)

    with on_stop(act):
        yield


@asynccontextmanager
async def healthy_at(
    listen: str | None, how: Callable[[], str], trouble: Callable[[], str]
) -> AsyncIterator[str]:
    """Answer health checks in the block. Gives the address; empty without `listen`.

    Args:
        listen: HOST:PORT, of --health.
        how: gives the text while all is well.
        trouble: gives the reason why it isn't; empty if all is well.
    """
    if listen is None:
        yield ""
        return
    host, port = host_and_port(listen, "--health")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                why = trouble()
                status, text = ("503 Service Unavailable", why) if why else ("200 OK", how())
                if not head.startswith((b"GET /health ", b"HEAD /health ")):
                    status, text = "404 Not Found", "ask for /health"
                body = f"{text}\n".encode()
                lines = [f"HTTP/1.1 {status}", "Content-Type: text/plain; charset=utf-8"]
                lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
                writer.write("\r\n".join(lines).encode() + body * head.startswith(b"GET"))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a request that isn't HTTP gets no answer
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, host, port, limit=_HEAD_MOST)
    except OSError as error:
        raise refuse(f"--health: can't listen on {listen}: {error.strerror or error}") from error
    try:
        bound = server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"http://{shown}:{bound[1]}/health"
    finally:
        server.close()
        await server.wait_closed()
