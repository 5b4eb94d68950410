"""Hosts that work one run off together: some in this process, some that are processes of their own."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import psycopg

from tests.forked import Forked, forks
from tests.servers import served
from trmm_async import TRMM, Journal, Outcome, PostgresJournal
from trmm_async.fleet.journal import Order
from trmm_async.testing import Simulator

HOST = """
import asyncio, sys
from trmm_async import TRMM, PostgresJournal
from trmm_async.script_runs import HistoryWaits

async def main() -> None:
    url, key, dialect, database, lease, timeout = sys.argv[1:7]
    settings = {"dialect": dialect, "rate_limit": None, "retries": 1, "timeout": 3.0, "report_grace": 0.5}
    place = PostgresJournal(database, run="one", lease=float(lease), poll=0.05, timeout=float(timeout))
    async with TRMM(url, api_key=key, **settings) as trmm:
        trmm._api.poller.matcher.waits = HistoryWaits(report=0.5, row=1.0, bulk_row=3.0)
        async with trmm.fleet.resume(place) as run:
            async for outcome in run:
                print(type(outcome).__name__, outcome.agent_id, flush=True)
        print("over", run.counts.total - run.counts.pending, flush=True)

asyncio.run(main())
"""

# What a host that is gone has sent is another's to settle a `timeout` after the script must be over.
WAITS = {"report_grace": 0.5, "timeout": 8}


@contextmanager
def host(server: Simulator, database: str, lease: float = 1.0, timeout: float = 30.0) -> Iterator[Forked]:
    """A process that goes on with the run; killed in the end if it is still there."""
    words = [server.url, server.api_key, server.dialect, database, str(lease), str(timeout)]
    with forks("cli").start(HOST, words) as process:
        try:
            yield process
        finally:
            process.kill()


def pause(process: Forked) -> None:
    """It stands still."""
    os.kill(process.pid, signal.SIGSTOP)


def go_on(process: Forked) -> None:
    os.kill(process.pid, signal.SIGCONT)


def place(database: str, **settings: Any) -> PostgresJournal:
    """The run of a test."""
    return PostgresJournal(database, **{"run": "one", "poll": 0.05, **settings})


def rows(database: str, what: str, which: str = "true") -> list[Any]:
    """What stands in the targets' table, in their order."""
    with psycopg.connect(database, autocommit=True) as connection:
        sql = f"SELECT {what} FROM trmm_async.targets WHERE {which} ORDER BY place"
        return connection.execute(sql).fetchall()


def execute(database: str, sql: str) -> int:
    with psycopg.connect(database, autocommit=True) as connection:
        return connection.execute(sql).rowcount


def sent_twice(server: Simulator) -> dict[str, int]:
    ran = Counter(run.agent_id for run in server.runs)
    return {agent_id: times for agent_id, times in ran.items() if times > 1}


def kinds(outcomes: list[Outcome[Any]]) -> dict[str, int]:
    return dict(Counter(type(one).__name__ for one in outcomes))


def fleet(
    dialect: str, agents: int = 12, **world: Any
) -> AbstractAsyncContextManager[tuple[Simulator, TRMM]]:
    world = {"script_seconds": (0.001, 0.02), **world}
    return served(dialect, agents=agents, client=WAITS, longest=100, **world)


@asynccontextmanager
async def another(server: Simulator, **settings: Any) -> AsyncIterator[TRMM]:
    """A client as another host has it."""
    settings = {"rate_limit": None, "retries": 0, **WAITS, **settings}
    settings["dialect"] = server.dialect
    async with TRMM(server.url, api_key=server.api_key, **settings) as trmm:
        yield trmm


async def begun(database: str, server: Simulator, **order: Any) -> PostgresJournal:
    """A run on all agents of which nothing was sent."""
    order = {"server": server.url, "script": 1, "timeout": 1, **order}
    await (await Journal.create(place(database), Order(**order), server.agent_ids)).aclose()
    return place(database)
