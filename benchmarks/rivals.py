"""The same work done without the SDK, each the way that its own manual shows.

What is not installed is skipped: `pip install --group bench` brings all. The libraries are loaded by name, so
that this package can be type-checked where they are not there.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import aiohttp
import msgspec

from trmm_async import Agent, ScriptResult

__all__ = [
    "AGENTS_PATH",
    "HEADERS",
    "PydanticAgents",
    "Reader",
    "bare_reader",
    "chatty_readers",
    "installed",
    "library",
    "worker_pool",
]

HEADERS: Final = {"X-API-KEY": "benchmark"}
AGENTS_PATH: Final = "/api/v3/agents/"

Reader = Callable[[], Awaitable[object]]
"""Fetches and decodes one list of agents."""

library = import_module


def installed(name: str) -> bool:
    """Whether a module can be imported."""
    return find_spec(name) is not None


@asynccontextmanager
async def bare_reader(url: str) -> AsyncIterator[Reader]:
    """The obvious fast way: aiohttp's `read()`, then msgspec into the very Structs that we use."""
    decoder = msgspec.json.Decoder(list[Agent])
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def read() -> list[Agent]:
            async with session.get(url + AGENTS_PATH) as response:
                response.raise_for_status()
                return decoder.decode(await response.read())

        yield read


@asynccontextmanager
async def chatty_readers(url: str) -> AsyncIterator[Mapping[str, Reader]]:
    """By name: what most scripts do. Only those that are installed."""
    readers: dict[str, Reader] = {}
    async with AsyncExitStack() as stack:
        if installed("httpx"):
            client = await stack.enter_async_context(library("httpx").AsyncClient(headers=HEADERS))
            readers["httpx dicts"] = _httpx_dicts(client, url)
            if installed("pydantic"):
                readers["httpx + pydantic"] = _httpx_pydantic(client, url)
        if installed("requests"):
            session = stack.enter_context(library("requests").Session())
            session.headers.update(HEADERS)
            readers["requests + json"] = _requests(session, url)
        yield readers


def _httpx_dicts(client: Any, url: str) -> Reader:
    async def read() -> object:
        response = await client.get(url + AGENTS_PATH)
        response.raise_for_status()
        return response.json()

    return read


def _httpx_pydantic(client: Any, url: str) -> Reader:
    models = PydanticAgents()

    async def read() -> object:
        response = await client.get(url + AGENTS_PATH)
        response.raise_for_status()
        return models.validate(response.json())

    return read


def _requests(session: Any, url: str) -> Reader:
    async def read() -> object:
        response = session.get(url + AGENTS_PATH)
        response.raise_for_status()
        return json.loads(response.content)

    return read


class PydanticAgents:
    """The agent as pydantic models, with the same fields and types as ours."""

    def __init__(self) -> None:
        create: Any = library("pydantic").create_model
        ref = create("Ref", id=(int | None, None), name=(str, ""))
        disk = create("Disk", device=(str, ""), free=(str, ""), total=(str, ""), percent=(float | None, None))
        texts = (
            *("plat", "operating_system", "version", "monitoring_type", "logged_in_username"),
            *("public_ip", "local_ip", "cpu_model"),
        )
        self.agent = create(
            "Agent",
            agent_id=(str, ...),
            hostname=(str, ""),
            client=(ref, ref()),
            site=(ref, ref()),
            last_seen=(datetime | None, None),
            status=(str, "unknown"),
            total_ram=(float | None, None),
            disks=(list[disk], []),
            **dict.fromkeys(texts, (str | None, None)),
        )

    def validate(self, rows: list[Any]) -> list[Any]:
        """One model for each row."""
        return [self.agent.model_validate(row) for row in rows]


class _Result(msgspec.Struct):
    retcode: int | None = None
    stdout: str = ""
    stderr: str = ""
    execution_time: str | float | None = None


_decode_result: Final = msgspec.json.Decoder(_Result).decode


def read_result(body: bytes) -> ScriptResult:
    """What our own dialect makes of a script's answer."""
    sent = _decode_result(body)
    seconds = None if sent.execution_time is None else float(sent.execution_time)
    return ScriptResult(retcode=sent.retcode, stdout=sent.stdout, stderr=sent.stderr, execution_time=seconds)


async def worker_pool(
    targets: list[str], width: int, post: Callable[[str], Awaitable[ScriptResult]]
) -> list[ScriptResult]:
    """`width` workers on one iterator, without limit, retry, or a word about what became of whom."""
    todo = iter(targets)
    results: list[ScriptResult] = []

    async def work() -> None:
        for target in todo:
            results.append(await post(target))  # noqa: PERF401 - the worker next door appends too

    await asyncio.gather(*(work() for _ in range(width)))
    return results
