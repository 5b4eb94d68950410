"""A relay's log in JetStream."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

import pytest

from tests.engine_servers import nats_server
from tests.relay.buses import NAME, Bus, append, check_refused, outputs, records, told_nats
from tests.servers import served, until
from trmm_async.relay.store import StaleError


class TestNats:
    @pytest.fixture
    def bus(self, tmp_path: Path) -> Iterator[Bus]:
        pytest.importorskip("nats", reason="the library of the extra [nats] is missing")
        with nats_server(tmp_path) as engine:
            yield Bus("nats", engine)

    async def test_itself_refuses_who_led_before_though_the_stream_was_made_anew(self, bus: Bus) -> None:
        async with bus.store() as old, bus.store() as new:
            for store in (old, new):
                assert await store.lead(5.0) is not None
                await append(store, 1, "a", "b")
                if store is old:
                    await bus.lose("all")
            # Every number is the same as it was when the old one wrote last.
            with pytest.raises(StaleError):
                await append(old, 3, "stale")
            await append(new, 3, "c")
            assert await outputs(new) == ["a", "b", "c"]

    async def test_takes_what_is_larger_than_a_message(self, bus: Bus) -> None:
        large = [token_hex(1_200_000), token_hex(30)]  # that is no smaller when it is packed
        async with bus.store() as one, bus.store() as other:
            assert await one.lead(5.0) is not None
            await append(one, 1, *large, position=token_hex(1_000_000))
            await append(one, 3, "c", position="")
            await one.resign()
            look = await other.lead(5.0)
            assert look is not None
            assert len(look.position) == 2_000_000
            assert await outputs(other) == [*large, "c"]
            place = (await other.read("", 0.0))[0].place
            assert await outputs(other, place) == [large[1], "c"]

    async def test_tells_nothing_of_what_was_written_in_part(self, bus: Bus) -> None:
        from trmm_async.engines.jetstream import ToWrite
        from trmm_async.relay.nats_store import NatsStore

        async with bus.store() as one, bus.store() as other:
            assert isinstance(one, NatsStore)
            assert await one.lead(5.0) is not None
            await append(one, 1, "a")
            # One that is killed between the parts of a batch.
            whole = await one._stream.last(one._subject)
            assert whole is not None
            line, _, rest = whole.data.partition(b"\n")
            words = line.split()
            words[1:6] = b"1 2 2 1 1".split()
            words[-1] = (await other.end()).last.encode()
            one._log.end_of_log = await one._write(
                ToWrite(one._subject, b" ".join(words) + b"\n" + rest[:9], one._log.end_of_log)
            )
            end = await other.end()
            assert end.last == (await other.state()).last == (await other.read("", 0.0))[-1].place
            await one.resign()
            assert await other.lead(5.0) is not None
            await append(other, 1, "b")
            assert await outputs(other) == ["a", "b"]
            assert await outputs(other, end.last) == ["b"]

    async def test_keeps_how_agents_stand_beyond_its_length(self, bus: Bus) -> None:
        async with bus.store() as one, bus.store() as other:
            assert await one.lead(5.0) is not None
            for number in range(1, 31):
                changes = {(f"a.{number % 4} *>", "status"): f"{number}"} if number < 9 else {}
                changes |= {("a.1 *>", f"alert-{number}"): "open", ("a.1 *>", f"alert-{number - 1}"): ""}
                await one.append(number, records(f"{number}"), changes, f"p{number}", 5)
            found = await outputs(other)
            assert found[-5:] == ["26", "27", "28", "29", "30"]
            assert len(found) <= 6
            look = await other.state()
            assert look.position == "p30"
            assert look.agents == {
                "a.1 *>": {"status": "5", "alert-30": "open"},
                **{f"a.{number % 4} *>": {"status": f"{number}"} for number in (6, 7, 8)},
            }
            await one.resign()
            assert await other.lead(5.0) == look

    async def test_writes_a_snapshot_anew_that_is_gone(self, bus: Bus) -> None:
        async with bus.store() as one, bus.store() as other:
            assert await one.lead(5.0) is not None
            for number in range(1, 11):
                await one.append(number, records("a"), {("a", "status"): f"{number}"}, "p", 5)
            await told_nats(bus, "PURGE", {"filter": f"trmm.relay.{NAME}.snapshot"})
            assert (await other.state()).agents == {}
            await one.renew()
            assert (await other.state()).agents == {"a": {"status": "10"}}

    async def test_whose_clock_was_put_back_does_not_prolong_a_lease(self, bus: Bus) -> None:
        from trmm_async.engines.jetstream import Stored, StreamStanding
        from trmm_async.relay.nats_store import NatsStore

        now = datetime.now(UTC)
        lease, standing = Stored(7, b"tag 0.05", now + timedelta(hours=1)), StreamStanding(7, now, {})
        async with bus.store() as store:
            assert isinstance(store, NatsStore)
            assert store._is_held(lease, standing)
            await until(lambda: not store._is_held(lease, standing))
            assert store._is_held(lease._replace(sequence=8), standing)

    async def test_that_refuses_a_relay_or_a_follower_is_told_of(self, bus: Bus, tmp_path: Path) -> None:
        options = ("--user", "worker", "--pass", "Sesame-4711")
        with nats_server(tmp_path / "other", *options) as engine:
            async with served("gateway", agents=3) as (_, trmm):
                await check_refused(trmm, Bus("nats", engine), "worker", r"refuses the relay.*Authorization")
