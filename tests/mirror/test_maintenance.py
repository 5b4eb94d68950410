"""Maintenance mode for a while: off again for those that were switched on, whatever happens in between."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.forked import forks
from tests.servers import count, served
from trmm_async import (
    TRMM,
    ClosedError,
    InvalidRequestError,
    JournalError,
    ServerError,
    StillInMaintenanceError,
    UnsupportedError,
)


async def on(trmm: TRMM) -> set[str]:
    return {agent.agent_id for agent in await trmm.agents.list() if agent.maintenance_mode}


async def test_is_on_in_the_block_and_off_behind_it_for_those_that_it_was_switched_on_for() -> None:
    async with served("stock", agents=4) as (server, trmm):
        first, second, third, _ = server.agent_ids
        await trmm.agents.set_maintenance(True, agent=first)
        block = trmm.maintenance(first, second, third)
        async with block as maintenance:
            assert maintenance.agent_ids == (second, third)
            assert await on(trmm) == {first, second, third}
        assert await on(trmm) == {first}
        with pytest.raises(ClosedError):
            await block.__aenter__()


async def test_of_a_site_is_for_its_agents() -> None:
    async with served("stock", agents=20) as (server, trmm):
        site = (await trmm.agents.get(server.agent_ids[0])).site
        there = {agent.agent_id for agent in await trmm.agents.list(site=site)}
        async with trmm.maintenance(site=site):
            assert await on(trmm) == there
        assert await on(trmm) == set()


async def test_is_off_after_an_error_and_after_a_cancellation() -> None:
    async with served("stock", agents=2) as (server, trmm):
        with pytest.raises(ZeroDivisionError):
            async with trmm.maintenance(*server.agent_ids):
                raise ZeroDivisionError
        assert await on(trmm) == set()
        inside = asyncio.Event()

        async def work() -> None:
            async with trmm.maintenance(*server.agent_ids):
                inside.set()
                await asyncio.sleep(3600)

        working = asyncio.create_task(work())
        await inside.wait()
        working.cancel()
        await asyncio.sleep(0)
        working.cancel()  # once more, while it switches off
        with pytest.raises(asyncio.CancelledError):
            await working
        assert await on(trmm) == set()


async def test_that_can_not_be_switched_on_is_switched_off_again() -> None:
    async with served("stock", agents=3) as (server, trmm):
        server.fail("PUT", server.agent_ids[1], status=500)
        with pytest.raises(ServerError):
            async with trmm.maintenance(*server.agent_ids):
                raise AssertionError
        assert await on(trmm) == set()


async def test_names_who_stayed_on() -> None:
    async with served("stock", agents=3) as (server, trmm):
        who = server.agent_ids[1]
        with pytest.raises(
            StillInMaintenanceError, match=f"still in maintenance mode: {who} .*500"
        ) as caught:
            async with trmm.maintenance(*server.agent_ids):
                server.fail("PUT", who, status=500, times=5)
        assert list(caught.value.failed) == [who]
        assert await on(trmm) == {who}


async def test_that_is_cancelled_and_stays_on_says_so_at_the_cancellation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served("stock", agents=1) as (server, trmm):
        (who,) = server.agent_ids
        with pytest.raises(asyncio.CancelledError) as caught:
            async with trmm.maintenance(who):
                server.fail("PUT", who, status=500, times=5)
                raise asyncio.CancelledError
        assert "still in maintenance mode" in caught.value.__notes__[0]
        assert "still in maintenance mode" in caplog.text


async def test_takes_no_longer_than_it_may() -> None:
    async with served("stock", agents=1, client={"timeout": 60}) as (server, trmm):
        (who,) = server.agent_ids
        with pytest.raises(StillInMaintenanceError, match=r"not switched off within 0\.1 s"):
            async with trmm.maintenance(who, timeout=0.1):
                server.slow("PUT", who, 30)


async def test_with_a_journal_is_switched_off_after_a_crash(tmp_path: Path) -> None:
    journal = tmp_path / "maintenance"
    async with served("stock", agents=3) as (server, trmm):
        first, second, _ = server.agent_ids
        crashed = trmm.maintenance(first, journal=journal)
        await crashed.__aenter__()  # and its process dies
        assert first in journal.read_text()
        async with trmm.maintenance(second, journal=journal) as maintenance:
            assert set(maintenance.agent_ids) == {first, second}
        assert await on(trmm) == set()
        assert not journal.exists()


KILLED = """
import asyncio, sys
from trmm_async import TRMM

async def main(url, key, who, journal):
    async with TRMM(url, api_key=key, dialect="stock") as trmm, trmm.maintenance(who, journal=journal):
        print("on", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_process_that_was_killed_leaves_nobody_in_it_for_good(tmp_path: Path) -> None:
    program, journal = tmp_path / "killed.py", tmp_path / "maintenance"
    program.write_text(KILLED)
    async with served("stock", agents=2) as (server, trmm):
        first, second = server.agent_ids
        words = (server.url, server.api_key, first, str(journal))
        with forks("package").start(str(program), words) as process:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "on\n"
            process.kill()
        assert await on(trmm) == {first}
        async with trmm.maintenance(second, journal=journal):
            pass
        assert await on(trmm) == set()


async def test_with_a_journal_that_is_none_switches_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "maintenance"
    journal.write_text("{")
    async with served("stock", agents=1) as (server, trmm):
        with pytest.raises(JournalError, match="is not a journal of maintenance"):
            async with trmm.maintenance(server.agent_ids[0], journal=journal):
                raise AssertionError
        with pytest.raises(JournalError, match="can't be written"):
            async with trmm.maintenance(server.agent_ids[0], journal=tmp_path / "no" / "folder"):
                raise AssertionError
        assert count(server, "PUT") == 0


async def test_an_agent_that_is_gone_by_then_is_no_failure() -> None:
    async with served("stock", agents=2) as (server, trmm):
        async with trmm.maintenance(*server.agent_ids):
            await trmm.agents.delete(server.agent_ids[0])
        assert await on(trmm) == set()


async def test_a_gateway_has_none() -> None:
    async with served("gateway", agents=1) as (server, trmm):
        with pytest.raises(UnsupportedError):
            async with trmm.maintenance(server.agent_ids[0]):
                raise AssertionError
        assert server.requests == []


@pytest.mark.parametrize("wrong", [{}, {"client": 1, "site": 1}, {"site": 1, "timeout": -1}], ids=str)
async def test_of_nobody_in_particular_is_refused(wrong: Any) -> None:
    async with served("stock", agents=1) as (_, trmm):
        with pytest.raises(InvalidRequestError):
            trmm.maintenance(**wrong)
