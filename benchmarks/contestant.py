"""One contestant over lists of agents, in a process of its own: `python -m benchmarks.contestant WHO URL`.

Side by side in one process, what one leaves behind in the C library's allocator decides what the other pays
for its blocks of megabytes. For each line of standard input, a number of calls, it answers with a line of
JSON: what one of them cost.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from benchmarks.measure import timed
from benchmarks.rivals import Reader, bare_reader
from trmm_async import TRMM

__all__ = ["BARE", "OURS"]

OURS: Final = "trmm_async"
BARE: Final = "aiohttp + msgspec"


@asynccontextmanager
async def _our_reader(url: str) -> AsyncIterator[Reader]:
    async with TRMM(url, api_key="benchmark", dialect="gateway", rate_limit=None) as trmm:
        yield trmm.agents.list


_READERS: Final[dict[str, Any]] = {OURS: _our_reader, BARE: bare_reader}


async def _compete(who: str, url: str) -> None:
    async with _READERS[who](url) as read:
        while line := await asyncio.to_thread(sys.stdin.readline):
            cost = await timed(read, int(line))()
            print(msgspec.json.encode(cost).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(_compete(*sys.argv[1:]))
