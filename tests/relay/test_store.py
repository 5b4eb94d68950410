"""What `Store` promises, of each engine."""

import asyncio

import pytest

from tests.relay.buses import Bus, append, outputs, records
from trmm_async.relay.store import StaleError


class TestStores:
    """What `Store` promises, of each engine."""

    async def test_refuse_a_leader_that_was_paused(self, bus: Bus) -> None:
        async with bus.store() as old, bus.store() as new:
            assert await old.lead(0.3) is not None
            assert await new.lead(0.3) is None
            await append(old, 1, "a")
            while (look := await new.lead(0.3)) is None:
                await asyncio.sleep(0.02)
            assert look.position == "p"
            # The old one is refused before the new one has written anything, and behind it.
            with pytest.raises(StaleError):
                await append(old, 2, "stale")
            await append(new, 1, "b")
            with pytest.raises(StaleError):
                await append(old, 2, "stale")
            with pytest.raises(StaleError):
                await old.renew()
            await old.resign()  # and takes nobody else's lease
            assert (await new.end()).is_led
            assert await outputs(new) == ["a", "b"]

    async def test_take_what_is_written_twice_once(self, bus: Bus) -> None:
        async with bus.store() as store:
            assert await store.lead(5.0) is not None
            for _ in range(3):
                await store.append(
                    1, records("a", "b"), {("a", "alert-1"): "text", ("a", "status"): ""}, "p", 100
                )
            await append(store, 2, "b", "c", position="")
            assert await outputs(store) == ["a", "b", "c"]
            look = await store.state()
            assert (look.position, look.last) == ("p", (await store.end()).last)
            assert look.agents == {"a": {"alert-1": "text"}}

    async def test_notice_that_the_end_of_the_log_is_lost(self, bus: Bus) -> None:
        async with bus.store() as store:
            assert await store.lead(5.0) is not None
            await append(store, 1, "a")
            with pytest.raises(StaleError):
                await append(store, 3, "c")  # 2 was told to be written

    async def test_chain_their_entries(self, bus: Bus) -> None:
        async with bus.store() as one, bus.store() as other:
            assert await one.lead(5.0) is not None
            await append(one, 1, "a", "b")
            await one.resign()
            assert await other.lead(5.0) is not None
            await append(other, 1, "c")
            entries = await other.read("", 0.0)
            assert [entry.before for entry in entries] == ["", *(entry.place for entry in entries[:-1])]
            assert (await other.end()).last == entries[-1].place
            assert len(await other.read(entries[-2].place, 0.0)) == 1
            assert await other.read(entries[-1].place, 0.0) == []

    async def test_begin_anew_where_the_state_is_lost(self, bus: Bus) -> None:
        async with bus.store() as store:
            assert await store.lead(5.0) is not None
            await append(store, 1, "a")
            await bus.lose("all")
            with pytest.raises(StaleError):
                await store.renew()
            assert (await store.end()) == ("", False)
            assert await store.lead(5.0) is not None
            await append(store, 1, "b")
            assert await outputs(store) == ["b"]
