"""What a journal takes of a run: targets a second through their three states, in SQLite and in PostgreSQL.

No server is asked anything: each target is claimed or read, begun, and settled with 200 letters of output, as
many at once as a gateway's run has. PostgreSQL is a server on this machine, on the same disk, that keeps to
all its promises; the tests' own helper starts it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.lab import Lab
from benchmarks.measure import Estimate
from benchmarks.report import Row
from tests.postgres import postgres_server
from trmm_async import Done, Journal, PostgresJournal, ScriptResult
from trmm_async.fleet.journal import Order, Place
from trmm_async.fleet.rollout import RolloutPolicy

__all__ = ["journals"]

_WIDTH = 50
_OUTPUT = "x" * 200


async def journals(lab: Lab) -> list[Row]:
    """Targets a second, of both."""
    count, rounds = lab.pick((2000, 3), (300, 1))
    with TemporaryDirectory() as folder, postgres_server() as server:
        database = server.database()
        places: dict[str, Callable[[int], Place]] = {
            "SQLite": lambda number: Path(folder) / f"run{number}.db",
            "PostgreSQL": lambda number: PostgresJournal(database, run=f"run{number}"),
        }
        found = {
            name: [await _targets_per_second(place(number), count) for number in range(rounds)]
            for name, place in places.items()
        }
    ours, theirs = Estimate.of(found["PostgreSQL"]), Estimate.of(found["SQLite"])
    return [
        Row(
            case="journal",
            what=f"{count} targets claimed, begun and settled, {_WIDTH} at once, in PostgreSQL",
            unit="targets/s",
            value=ours.value,
            low=ours.low,
            high=ours.high,
            rivals={"in SQLite": theirs.value},
        )
    ]


async def _targets_per_second(place: Place, count: int) -> float:
    ids = [f"agent{number:05}" for number in range(count)]
    async with await Journal.create(place, Order(server="http://x", script=1), ids) as journal:
        if journal.shared is None:
            claim = partial(asyncio.sleep, 0, ids)
        else:
            await journal.shared.govern(RolloutPolicy(), None)
            claim = partial(journal.shared.claim, _WIDTH, None, ())
        began = time.perf_counter()
        taken = 0
        while taken < count:
            claimed = await claim()
            taken += len(claimed)
            waiting = iter(claimed)
            await asyncio.gather(*(_work(journal, waiting) for _ in range(_WIDTH)))
        return count / (time.perf_counter() - began)


async def _work(journal: Journal, waiting: Iterator[str]) -> None:
    for agent_id in waiting:
        await journal.begin([agent_id], 0, None)
        await journal.settle(Done(agent_id, ScriptResult(retcode=0, stdout=_OUTPUT)), ok=True)
