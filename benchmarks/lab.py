"""What a case works with: the load server's URL, how much time there is, and probes in fresh processes."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from trmm_async import TRMM

__all__ = ["Lab"]

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
        settings.setdefault("rate_limit", None)
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
