"""Runs that several hosts work off by a journal in PostgreSQL: one of them sends to each target, once."""

import asyncio
import os
import random
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from tests.fleet.hosts import (
    another,
    begun,
    execute,
    fleet,
    go_on,
    host,
    kinds,
    pause,
    place,
    rows,
    sent_twice,
)
from tests.forked import Forked
from tests.postgres import PostgresServer
from tests.servers import until
from trmm_async import Done, Failed, Journal, JournalError, Outcome, Skipped, Unknown
from trmm_async.testing import Simulator


async def read(database: str) -> list[Outcome[Any]]:
    async with await Journal.read(place(database)) as journal:
        return [one async for one in journal.outcomes()]


def test_what_psycopg_logs_is_printed_nowhere() -> None:
    words = (
        "import logging, trmm_async.fleet.postgres.database; logging.getLogger('psycopg.pq').warning('lost')"
    )
    said = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, timeout=60)
    assert said.stderr == b""


class TestOneHost:
    async def test_works_a_run_off(self, database: str, dialect: str) -> None:
        async with fleet(dialect) as (server, trmm):
            server.script(1, agent_id=server.agent_ids[3], retcode=7, stdout="seven")
            outcomes = await trmm.fleet.run_script(server.agent_ids, 1, journal=place(database))
            assert [one.agent_id for one in outcomes] == server.agent_ids
            assert kinds(outcomes) == {"Done": 12}
            # By its address alone, as another program has it.
            again = await trmm.fleet.resume(f"{database}?run=one")
            assert again == outcomes
            assert len(server.runs) == 12
            failed = await trmm.fleet.resume(place(database), retry="failed")
            assert len(server.runs) == 13
            assert kinds(failed) == {"Done": 12}

    async def test_sends_nothing_before_it_stands_there_as_sending(self, database: str) -> None:
        async with fleet("gateway", agents=3, script_seconds=0.2) as (server, trmm):
            async with trmm.fleet.run_script(server.agent_ids, 1, journal=place(database)) as run:
                await until(lambda: server.runs)
                ran = {one.agent_id for one in server.runs}
                sending = await asyncio.to_thread(rows, database, "agent_id", "state = 'sending'")
                assert ran <= {agent_id for (agent_id,) in sending}
                async for _ in run:
                    pass

    async def test_that_left_early_goes_on(self, database: str, dialect: str) -> None:
        async with fleet(dialect, agents=30) as (server, trmm):
            async with trmm.fleet.run_script(server.agent_ids, 1, journal=place(database), width=3) as run:
                async for _ in run:
                    if run.counts.done >= 5:
                        break
            assert run.counts.total == 30
            assert run.counts.pending == 0
            assert not [state for (state,) in rows(database, "state") if state == "claimed"]
            # What was in flight is another's once its lease has ended, and the script is over.
            execute(
                database,
                "UPDATE trmm_async.targets SET lease_until = '-infinity', sent_at = '2020-01-01' "
                "WHERE state = 'sending'",
            )
            outcomes = await trmm.fleet.resume(place(database))
            assert [one.agent_id for one in outcomes] == server.agent_ids
            assert sent_twice(server) == {}
            assert {type(one) for one in outcomes} <= {Done, Unknown}

    async def test_that_is_stopped_leaves_the_rest_to_others(self, database: str, dialect: str) -> None:
        async with fleet(dialect, agents=20) as (server, trmm):
            async with trmm.fleet.run_script(server.agent_ids, 1, journal=place(database), width=2) as run:
                async for _ in run:
                    run.stop()
            assert run.counts.skipped >= 15
            assert run.counts.unknown == 0
            outcomes = await trmm.fleet.resume(place(database))
            assert kinds(outcomes) == {"Done": 20}
            assert len(server.runs) == 20

    async def test_runs_the_other_kinds_of_orders(self, database: str) -> None:
        async with fleet("stock", agents=6) as (_, trmm):
            agents = [one for one in await trmm.agents.list() if one.plat == "windows"]
            for name, run in (
                (
                    "command",
                    trmm.fleet.run_command(agents, "echo done", journal=place(database, run="command")),
                ),
                (
                    "code",
                    trmm.fleet.run_code(
                        agents, "exit 0", shell="powershell", journal=place(database, run="code")
                    ),
                ),
                ("patches", trmm.fleet.scan_patches(agents, journal=place(database, run="patches"))),
            ):
                outcomes = await run
                assert kinds(outcomes) == {"Done": len(agents)}, name
                again = await trmm.fleet.resume(place(database, run=name))
                assert [one.agent_id for one in again] == [one.agent_id for one in outcomes]
            assert [one.kind for one in await Journal.runs(database)] == ["patches", "code", "command"]

    async def test_who_is_offline_is_skipped_or_waited_for(self, database: str) -> None:
        async with fleet("gateway", agents=5) as (server, trmm):
            laptop = server.agent_ids[2]
            server.go_offline(laptop)
            outcomes = await trmm.fleet.run_script(
                server.agent_ids, 1, skip_offline=True, journal=place(database, run="a")
            )
            assert kinds(outcomes) == {"Done": 4, "Skipped": 1}
            trmm.fleet.poll = 0.1
            run = trmm.fleet.run_script(
                server.agent_ids, 1, when_online=timedelta(seconds=60), journal=place(database, run="b")
            )
            async with run:
                async for outcome in run:  # noqa: B007 - the last is looked at
                    if run.counts.pending == 1:
                        server.come_online(laptop)
            assert isinstance(outcome, Done)
            assert outcome.agent_id == laptop
            server.go_offline(laptop)
            outcomes = await trmm.fleet.run_script(
                server.agent_ids, 1, when_online=timedelta(seconds=0.5), journal=place(database, run="c")
            )
            assert kinds(outcomes) == {"Done": 4, "Skipped": 1}
            assert sorted(run.counts.done for run in await Journal.runs(database) for run in [run]) == [
                4,
                4,
                5,
            ]


async def finished(process: Forked) -> list[str]:
    """What a host printed, once it is over."""
    out, error = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, error
    return out.splitlines()


def check(server: Simulator, outcomes: list[Outcome[Any]]) -> None:
    """One honest outcome a target, and nothing sent twice."""
    assert [one.agent_id for one in outcomes] == server.agent_ids
    assert sent_twice(server) == {}
    ran = {run.agent_id for run in server.runs}
    for outcome in outcomes:
        assert not isinstance(outcome, Skipped)
        if isinstance(outcome, Done):
            assert outcome.agent_id in ran
        elif isinstance(outcome, Failed):
            assert outcome.agent_id not in ran


class TestFaults:
    async def test_hosts_are_killed_and_one_stands_still_for_longer_than_its_lease(
        self, database: str, dialect: str
    ) -> None:
        order = {"width": 6} if dialect == "gateway" else {"batch": 8}
        async with (
            fleet(dialect, agents=40, script_seconds=(0.05, 0.2)) as (server, _),
            AsyncExitStack() as stack,
        ):
            await begun(database, server, **order)
            hosts = [stack.enter_context(host(server, database)) for _ in range(3)]
            for kill in range(3):
                reached = len(server.runs) + 5
                await until(lambda: len(server.runs) >= min(reached, 36))  # noqa: B023 - waited for here
                victim = hosts.pop(random.randrange(len(hosts)))
                victim.kill()
                if kill < 2:
                    hosts.append(stack.enter_context(host(server, database)))
                else:
                    pause(hosts[0])
                    await asyncio.sleep(1.5)  # longer than its lease, which is what this is about
                    go_on(hosts[0])
            told = [await finished(each) for each in hosts]
            check(server, await read(database))
            for lines in told:
                assert lines[-1] == "over 40"
                assert sorted(line.split()[1] for line in lines[:-1]) == sorted(server.agent_ids)

    async def test_the_database_is_killed_and_comes_back(
        self, postgres: PostgresServer, database: str, dialect: str
    ) -> None:
        order = {"width": 4} if dialect == "gateway" else {"batch": 5}
        async with fleet(dialect, agents=30, script_seconds=(0.02, 0.1)) as (server, trmm):
            await begun(database, server, **order)
            async with another(server) as other:
                hosts = asyncio.gather(
                    *(each.fleet.resume(place(database, timeout=60)) for each in (trmm, other))
                )
                for reached in (4, 12):
                    await until(lambda: len(server.runs) >= reached)  # noqa: B023 - waited for here
                    await asyncio.to_thread(postgres.kill)
                    before = len(server.runs)
                    await asyncio.sleep(0.3)
                    # What was on its way has come; nothing more is sent.
                    assert len(server.runs) <= before + 5
                    await asyncio.to_thread(postgres.start)
                one, two = await hosts
            check(server, one)
            check(server, two)
            # A host that was told "may have run" is not told again; the journal has what came of it later.
            for told in (one, two):
                kept = await read(database)
                assert [
                    a for a, b in zip(told, kept, strict=True) if a != b and not isinstance(a, Unknown)
                ] == []

    async def test_the_database_is_gone_for_good(self, postgres: PostgresServer, database: str) -> None:
        async with fleet("gateway", agents=30, script_seconds=0.05) as (server, trmm):
            await begun(database, server, width=3)
            run = trmm.fleet.resume(place(database, timeout=0.3))
            told = []
            with pytest.raises(JournalError, match="can't be used"):
                async with run:
                    async for outcome in run:
                        told.append(outcome)
                        if len(told) == 4:
                            await asyncio.to_thread(postgres.kill)
            sent = {one.agent_id for one in server.runs}
            # What was under way is told for what it is, though it can't be written down any more.
            assert {one.agent_id for one in told if isinstance(one, Done)} == sent
            await asyncio.to_thread(postgres.start)
            execute(
                database,
                "UPDATE trmm_async.targets SET lease_until = '-infinity', sent_at = '2020-01-01' "
                "WHERE lease_until IS NOT NULL",
            )
            check(server, await trmm.fleet.resume(place(database)))

    async def test_connections_are_cut_in_the_middle(self, database: str, dialect: str) -> None:
        order = {"width": 5} if dialect == "gateway" else {"batch": 5}
        async with fleet(dialect, agents=60) as (server, trmm), another(server) as other:
            journal = await begun(database, server, **order)
            hosts = asyncio.gather(trmm.fleet.resume(journal), other.fleet.resume(journal))
            await until(lambda: server.runs)
            for _ in range(12):
                await asyncio.to_thread(
                    execute,
                    database,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'trmm_async' AND random() < 0.5",
                )
                await asyncio.sleep(random.uniform(0, 0.1))
            one, two = await hosts
            check(server, one)
            check(server, two)
            assert kinds(one) == kinds(two) == {"Done": 60}

    async def test_commands_are_cancelled(self, database: str) -> None:
        async with fleet("gateway", agents=60) as (server, trmm):
            await begun(database, server, width=10)
            for steps in range(0, 400, 25):
                run = trmm.fleet.resume(place(database))
                task = asyncio.ensure_future(run._collect())
                for _ in range(steps):
                    await asyncio.sleep(0)
                await asyncio.sleep(steps / 5000)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            execute(
                database,
                "UPDATE trmm_async.targets SET lease_until = '-infinity', sent_at = '2020-01-01' "
                "WHERE lease_until IS NOT NULL",
            )
            check(server, await trmm.fleet.resume(place(database)))
            assert {state for (state,) in rows(database, "state")} <= {"done", "unknown"}

    async def test_a_server_that_takes_no_changes_is_waited_for_and_only_read(
        self, postgres: PostgresServer, database: str
    ) -> None:
        """As a standby is, which may not even have the tables yet, until it has taken over."""

        def takes_changes(yes: bool) -> None:
            default = f"ALTER DATABASE {database.rpartition('/')[2]} SET default_transaction_read_only = "
            execute(postgres.url("postgres"), default + ("off" if yes else "on"))
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trmm_async'"
            )
            execute(postgres.url("postgres"), cut)

        async with fleet("gateway", agents=20, script_seconds=0.02) as (server, trmm):
            await begun(database, server, width=2)
            try:
                takes_changes(False)
                assert kinds(await read(database)) == {}
                with pytest.raises(JournalError, match="session is read-only"):
                    await trmm.fleet.resume(place(database, timeout=60))
                takes_changes(True)
                running = asyncio.ensure_future(trmm.fleet.resume(place(database, timeout=60))._collect())
                await until(lambda: len(server.runs) >= 4)
                takes_changes(False)
                sent = len(server.runs)
                await asyncio.sleep(0.2)
                assert len(server.runs) <= sent + 2
            finally:
                takes_changes(True)
            check(server, await running)
            assert len(server.runs) == 20

    @pytest.mark.skipif(
        "FAULTS" not in os.environ, reason="takes minutes on a busy machine: FAULTS=1 runs it"
    )
    async def test_a_standby_takes_over(self, postgres: PostgresServer, database: str, dialect: str) -> None:
        order = {"width": 3} if dialect == "gateway" else {"batch": 4}
        async with fleet(dialect, agents=20, script_seconds=0.02) as (server, trmm):
            await begun(database, server, **order)
            run = trmm.fleet.resume(place(database, timeout=60))
            async with run:
                async for _ in run:
                    if run.counts.done == 3:
                        await asyncio.to_thread(postgres.promote)
            sent = len(server.runs)
            assert sent < 20
            assert "put in another's place" in run.stopped
            outcomes = await read(database)
            assert sent_twice(server) == {}
            # What was pending may have been sent, for all that this database knows.
            assert kinds(outcomes) == {"Done": sent, "Unknown": 20 - sent}
            assert kinds(await trmm.fleet.resume(place(database), forgive=True)) == kinds(outcomes)
            assert len(server.runs) == sent
            again = await trmm.fleet.resume(place(database), retry="unknown")
            assert kinds(again) == {"Done": 20}
            assert len(server.runs) == 20
