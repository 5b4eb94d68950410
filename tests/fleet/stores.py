"""Journals in files: what stands in them, and the database under an open one."""

import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from trmm_async import Done, Outcome, ScriptResult
from trmm_async.fleet.journal import InFlight, Journal, Order
from trmm_async.fleet.sqlite import SQLiteJournalStore

ORDER = Order(server="https://x.example", script=1, args=("a",), timeout=30, batch=0.25, env_vars=("A=1",))
IDS = [f"agent-{number:04}" for number in range(1200)]
AGENTS = [f"agent{number:02}" for number in range(8)]


@dataclass
class State:
    order: Order
    in_flight: list[InFlight]
    pending: list[str]
    ended: list[tuple[Outcome, bool]]


async def state_of(journal: Journal) -> State:
    ended = [each async for each in journal.judged()]
    return State(journal.order, await journal.in_flight(), await journal.to_run(), ended)


async def read(path: Path) -> State:
    async with await Journal.read(path) as journal:
        return await state_of(journal)


async def resumed(path: Path) -> State:
    async with await Journal.resume(path) as journal:
        return await state_of(journal)


async def crash(folder: Path) -> State:
    """What lies in the folder of a run whose process was killed: all was written, nothing closed."""
    folder.mkdir()
    (source := folder.with_name(f"{folder.name}.live")).mkdir()
    async with await Journal.create(source / "run.db", ORDER, AGENTS) as journal:
        await journal.begin(AGENTS[:3], 5, None)
        await journal.settle(Done(AGENTS[0], ScriptResult(retcode=0, stdout="one")), ok=True)
        await journal.withdraw([AGENTS[2]])
        await journal.begin(AGENTS[3:4], 6, None)
        truth = await state_of(journal)
        for name in os.listdir(source):
            if not name.startswith("run.db.lock"):
                shutil.copy2(source / name, folder / name)
    return truth


def side(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def database_of(journal: Journal | None) -> sqlite3.Connection:
    assert journal is not None
    assert isinstance(journal._store, SQLiteJournalStore)
    return journal._store._file.database
