"""Targets that come as a stream."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.careful import fleet
from tests.servers import at_once
from trmm_async import Counts, InvalidRequestError


class TestStreams:
    async def test_of_targets_are_read_as_it_goes(self, dialect: str) -> None:
        async with fleet(dialect, agents=20) as (server, trmm):

            async def targets() -> AsyncIterator[str]:
                for agent_id in server.agent_ids:
                    yield agent_id

            run = trmm.fleet.run_script(targets(), 1, canary=2, width=3)
            outcomes = await run
            assert {outcome.agent_id for outcome in outcomes} == set(server.agent_ids)
            assert run.counts == Counts(done=20)
            assert at_once(server.runs) <= 3

    async def test_a_target_twice_ends_the_run(self, dialect: str) -> None:
        async with fleet(dialect, agents=2) as (server, trmm):

            async def targets() -> AsyncIterator[str]:
                for agent_id in [*server.agent_ids, server.agent_ids[0]]:
                    yield agent_id

            with pytest.raises(InvalidRequestError, match="more than once"):
                await trmm.fleet.run_script(targets(), 1, width=1)
            assert max(Counter(run.agent_id for run in server.runs).values()) == 1

    @pytest.mark.parametrize("share", [{"batch": 0.5}, {"max_failures": 0.5}])
    async def test_have_no_shares(self, dialect: str, share: dict[str, Any]) -> None:
        async with fleet(dialect, agents=1) as (server, trmm):

            async def targets() -> AsyncIterator[str]:
                yield server.agent_ids[0]

            with pytest.raises(InvalidRequestError, match="a stream"):
                trmm.fleet.run_script(targets(), 1, **share)

    @pytest.mark.parametrize("kept", [False, True])
    async def test_of_ten_thousand_cost_little(self, kept: bool, tmp_path: Path) -> None:
        """With a journal they are in there; without one, no more are asked for than are worked on."""
        many = 10_000
        journal = tmp_path / "a.db" if kept else None

        async def targets() -> AsyncIterator[str]:
            for number in range(many):
                yield f"agent-{number}"

        async with fleet("gateway", agents=1) as (server, trmm):
            server.revoke_key()
            tracemalloc.start()
            try:
                async with trmm.fleet.run_script(targets(), 1, width=4, journal=journal) as run:
                    async for _ in run:
                        break
                    gc.collect()
                    held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert held < 400_000
            assert not kept or run.counts.total == many
