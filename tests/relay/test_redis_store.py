"""A relay's log in Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_servers import redis_server, told
from tests.relay.buses import Bus, append, check_refused
from tests.servers import served
from trmm_async.engines.redis_link import RedisRefusedError


class TestRedis:
    @pytest.fixture
    def bus(self, tmp_path: Path) -> Iterator[Bus]:
        with redis_server(tmp_path) as engine:
            yield Bus("redis", engine)

    async def test_itself_refuses_an_entry_of_an_earlier_epoch(self, bus: Bus) -> None:
        async with bus.store() as store:
            for _ in range(2):
                assert await store.lead(5.0) is not None
                await append(store, 1, "a")
                await store.resign()
        with pytest.raises(RedisRefusedError, match="equal or smaller"):
            await told(bus.engine, "XADD", "trmm:{relay:acme}:stream", "1-9", "t", "x")

    async def test_begins_a_higher_epoch_though_the_counter_was_lost(self, bus: Bus) -> None:
        async with bus.store() as store:
            for _ in range(3):
                assert await store.lead(5.0) is not None
                await append(store, 1, "a")
                await store.resign()
            await told(bus.engine, "DEL", "trmm:{relay:acme}:epoch")
            assert await store.lead(5.0) is not None
            await append(store, 1, "a")
            assert (await store.end()).last.startswith("4-1@")

    async def test_that_refuses_a_relay_or_a_follower_is_told_of(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, password="Sesame-4711") as engine:
            async with served("gateway", agents=3) as (_, trmm):
                await check_refused(trmm, Bus("redis", engine), "", "refuses the relay")
