"""What a case works with: the load server's URL, how much time there is, and probes in fresh processes."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from benchmarks.measure import Cost, Entry
from trmm_async import TRMM

__all__ = ["Lab", "drain"]

T = TypeVar("T")

_PROBE_LONGEST: Final = 120.0


@dataclass(frozen=True, slots=True)
class Lab:
    """One run's circumstances."""

    url: str
    quick: bool

    def pick(self, full: T, quick: T) -> T:
        """The one for a whole run or the one for a quick one."""
        return quick if self.quick else full

    def client(self, place: str, **settings: Any) -> TRMM:
        """A client of the load server's part for a case, without a limit unless given one."""
        settings = {"dialect": "gateway", "rate_limit": None, **settings}
        return TRMM(f"{self.url}/{place}", api_key="benchmark", **settings)

    async def probe(self, name: str, *arguments: object) -> dict[str, float]:
        """Run a probe in a fresh process; what it found."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.probes", name, *map(str, arguments)),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_PROBE_LONGEST):
                found, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise RuntimeError(f"probe {name} {arguments} failed; what it wrote is above")
        return msgspec.json.decode(found, type=dict[str, float])

    @asynccontextmanager
    async def contestant(self, who: str, url: str, calls: int) -> AsyncIterator[Entry]:
        """An entry that does that many calls in a process of its own, which ends with the block."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.contestant", who, url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        ask, answers = child.stdin, child.stdout

        async def enter() -> Cost:
            ask.write(b"%d\n" % calls)
            async with asyncio.timeout(_PROBE_LONGEST):
                return msgspec.json.decode(await answers.readline(), type=Cost)

        try:
            yield enter
        finally:
            if child.returncode is None:
                child.terminate()
            await child.wait()


async def drain(trmm: TRMM) -> None:
    """Iterate all agents, and keep none."""
    async with trmm.agents.iter() as stream:
        async for _ in stream:
            pass
