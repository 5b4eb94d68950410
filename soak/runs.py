"""Three processes work off one run of 2,000 targets by a journal in PostgreSQL, over twenty kills.

Of them, of the database, and now and then one stands still for longer than its lease. With each kind of
server. `python -m soak.runs URL KEY DIALECT JOURNAL` is one of the processes.
"""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

from tests.fleet.hosts import kinds, sent_twice
from tests.postgres import postgres_server
from tests.servers import be_patient, until
from trmm_async import TRMM, Done, Failed, Journal, JournalError, PostgresJournal
from trmm_async.fleet.journal import Order
from trmm_async.script_runs import HistoryWaits
from trmm_async.testing import Simulator

__all__ = ["shared_runs"]

_PROCESSES = 3
_TARGETS = 2000
_KILLS = 20
_LEASE = 2.0
_ORDERS: dict[Literal["gateway", "stock"], dict[str, Any]] = {
    "gateway": {"width": 30},
    "stock": {"batch": 40},
}


async def shared_runs(told: Callable[[str], object], targets: int = _TARGETS, kills: int = _KILLS) -> bool:
    """Whether nothing was sent twice, and each target has one outcome, which is true."""
    with postgres_server() as postgres:
        right = True
        for dialect, order in _ORDERS.items():
            place = f"{postgres.url('postgres')}?run={dialect}"
            async with Simulator(
                agents=targets, dialect=dialect, rate_limit=None, script_seconds=(0.2, 1.0)
            ) as server:
                whole = Order(server=server.url, script=1, timeout=2, **order)
                await (await Journal.create(_journal(place), whole, server.agent_ids)).aclose()
                words = (server.url, server.api_key, dialect, place)
                running = [await _started(words) for _ in range(_PROCESSES)]
                for turn in range(kills):
                    goal = targets * (turn + 1) // (kills + 1)
                    await until(lambda: len({run.agent_id for run in server.runs}) >= goal, 300)  # noqa: B023
                    which = turn % _PROCESSES
                    victim = running[which]
                    if turn % 5 == 4:
                        await asyncio.to_thread(postgres.kill)
                        await asyncio.sleep(1)
                        await asyncio.to_thread(postgres.start)
                    if turn % 4 == 3 and victim.returncode is None:
                        victim.send_signal(signal.SIGSTOP)
                        asyncio.get_running_loop().call_later(2 * _LEASE, _go_on, victim)
                        continue
                    if victim.returncode is None:
                        victim.kill()
                        await victim.wait()
                    running[which] = await _started(words)
                codes = [await one.wait() for one in running]
                ran = Counter(run.agent_id for run in server.runs)
                async with await Journal.read(_journal(place)) as journal:
                    outcomes = [one async for one in journal.outcomes()]
                lies = [
                    one.agent_id
                    for one in outcomes
                    if (isinstance(one, Done) and not ran[one.agent_id])
                    or (isinstance(one, Failed) and ran[one.agent_id])
                ]
                told(
                    f"runs, {dialect}: {kills} kills, {len(ran)} of {targets} reached, "
                    f"{len(sent_twice(server))} sent twice, {len(lies)} wrong, "
                    f"outcomes {kinds(outcomes)}, the processes ended with {codes}"
                )
                whole_run = [one.agent_id for one in outcomes] == server.agent_ids
                right = right and whole_run and not (sent_twice(server) or lies or any(codes))
        return right


def _go_on(one: asyncio.subprocess.Process) -> None:
    if one.returncode is None:
        one.send_signal(signal.SIGCONT)


def _journal(place: str) -> PostgresJournal:
    database, _, run = place.partition("?run=")
    return PostgresJournal(database, run=run, lease=_LEASE, poll=0.2, timeout=60)


async def _started(words: tuple[str, ...]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "soak.runs", *words)


async def _work(url: str, key: str, dialect: Literal["gateway", "stock"], place: str) -> None:
    async with TRMM(
        url, api_key=key, dialect=dialect, rate_limit=None, retries=1, timeout=5.0, report_grace=1.0
    ) as trmm:
        be_patient(trmm, HistoryWaits(report=1.0, row=2.0, bulk_row=5.0))
        for _ in range(60):
            # One that begins while the database is killed is refused at once, and begun again.
            with suppress(JournalError):
                await trmm.fleet.resume(_journal(place))
                return
            await asyncio.sleep(0.5)
    raise AssertionError("the database did not come back")


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))  # type: ignore[arg-type]
