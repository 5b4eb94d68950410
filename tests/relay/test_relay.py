"""Events read once and told to many through real engines, whatever is lost, late, killed or stale."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tests.engine_servers import cutting, nats_server, redis_server, told
from tests.forked import forks
from tests.relay.buses import NAME, QUICK, Bus, told_nats
from tests.servers import served, until
from tests.test_frames import leaks
from trmm_async import (
    TRMM,
    AgentOffline,
    AgentOnline,
    AlertEvent,
    ClosedError,
    ConnectionFailedError,
    Ended,
    Event,
    Gap,
    InvalidRequestError,
    Live,
    RecordedError,
    Relay,
    ScriptOutput,
    ServerError,
    StreamSettings,
    StreamState,
    Subscription,
    TimeoutError,
    follow,
)
from trmm_async.engines.redis_link import RedisRefusedError
from trmm_async.events import note_host
from trmm_async.models import ClientRef
from trmm_async.relay.records import AgentState, Record, read, record_of
from trmm_async.relay.store import StaleError, Store
from trmm_async.testing import Simulator

LEASE = 0.6
ENGINES = ["redis", "nats"]


@pytest.fixture(params=ENGINES)
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    if request.param == "nats":
        pytest.importorskip("nats", reason="the library of the extra [nats] is missing")
        with nats_server(tmp_path) as engine:
            yield Bus("nats", engine)
    else:
        with redis_server(tmp_path, "--stream-node-max-entries", "5") as engine:
            yield Bus("redis", engine)


@asynccontextmanager
async def relaying(trmm: TRMM, bus: Bus, url: str = "", **settings: Any) -> AsyncIterator[Relay]:
    """A relay that leads; its block ends by stopping it."""
    settings = {"name": NAME, "lease": LEASE, "settings": QUICK, **settings}
    async with trmm.relay(to=url or bus.url, **settings) as relay:
        running = asyncio.create_task(relay.run())
        try:
            await until(lambda: relay.is_leading or running.done())
            yield relay
        finally:
            relay.stop()
            with suppress(Exception):
                await running


@asynccontextmanager
async def relayed(
    bus: Bus, dialect: str = "gateway", **settings: Any
) -> AsyncIterator[tuple[Simulator, TRMM, Relay]]:
    """A server of three agents, whose present state has been relayed."""
    async with served(dialect, agents=3) as (server, trmm), relaying(trmm, bus, **settings) as relay:
        await until(lambda: relay.written >= 6)
        yield server, trmm, relay


async def check_refused(trmm: TRMM, bus: Bus, user: str, words: str) -> None:
    """An engine with the password Sesame-4711 refuses another one, and none of them is shown."""
    url = bus.url.replace("//", f"//{user}:wrong-Sesame@")
    async with trmm.relay(to=url, name=NAME) as relay:
        with pytest.raises(InvalidRequestError, match=words) as caught:
            await relay.run()
        assert leaks(caught.value, "wrong-Sesame") == []
        assert "Sesame" not in repr(relay)
    with pytest.raises(ConnectionFailedError, match="can't be read") as refused:
        async with follow(url, name=NAME):
            pass
    assert leaks(refused.value, "wrong-Sesame") == []
    right = bus.url.replace("//", f"//{user}:Sesame-4711@")
    async with relaying(trmm, bus, right), follow(right, name=NAME) as events:
        assert "Sesame" not in repr(events) + events.position


async def some(events: Subscription, count: int) -> list[Event]:
    return [await anext(events) for _ in range(count)]


async def up_to(events: Subscription, last: Callable[[Event], bool]) -> list[Event]:
    found: list[Event] = []
    while not found or not last(found[-1]):
        found.append(await anext(events))
    return found


def is_live(event: Event) -> bool:
    return isinstance(event, Live)


def says(message: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, AlertEvent) and event.alert.message == message


def messages(events: list[Event]) -> list[str]:
    return [event.alert.message for event in events if isinstance(event, AlertEvent)]


class TestFollowers:
    async def test_get_what_the_source_tells(self, bus: Bus, dialect: str) -> None:
        async with relayed(bus, dialect) as (server, _, _):
            who = server.agent_ids[0]
            async with bus.follow(snapshot=True) as one, bus.follow() as other:
                first = await some(one, 2 * 3)
                assert {event.agent_id for event in first} == set(server.agent_ids)
                assert sum(map(is_live, first)) == 3
                assert set(one.state.values()) == {StreamState.LIVE}
                server.go_offline(who)
                alert = server.raise_alert(who, severity="error", message="disk")
                for events in (one, other):
                    news = await up_to(events, says("disk"))
                    assert [event.agent_id for event in news if isinstance(event, AgentOffline)] == [who]
                    assert isinstance(news[-1], AlertEvent)
                    assert (news[-1].alert.id, news[-1].change) == (alert, "raised")
                    assert news[-1].hostname == server.agents[0].hostname

    async def test_take_up_where_they_were_and_miss_nothing(self, bus: Bus) -> None:
        async with relayed(bus) as (server, _, relay):
            who = server.agent_ids[0]
            async with bus.follow(snapshot=True) as events:
                await some(events, 6)
                server.raise_alert(who, message="read")
                await up_to(events, says("read"))
                place = events.position
                server.raise_alert(who, message="not read")
                await until(lambda: relay.written >= 8)
            for count in (1, 2):
                server.raise_alert(who, message=f"late {count}")
            async with bus.follow(since=place) as events:
                assert messages(await some(events, 3)) == ["not read", "late 1", "late 2"]
                assert events.position != place

    async def test_who_had_not_read_the_snapshot_are_told_it_again(self, bus: Bus) -> None:
        async with relayed(bus) as (server, _, _):
            who = server.agent_ids[0]
            async with bus.follow(snapshot=True, agent=who) as events:
                await anext(events)
                place = events.position
            async with bus.follow(since=place, agent=who) as events:
                found = await some(events, 3)
            assert [type(event) for event in found] == [Gap, AgentOnline, Live]

    async def test_may_filter(self, bus: Bus) -> None:
        async with relayed(bus) as (server, trmm, _):
            one, other = server.agent_ids[:2]
            client = (await trmm.agents.get(one)).client
            async with (
                bus.follow(agent=one, kind=AlertEvent) as mine,
                bus.follow(severity="error") as errors,
                bus.follow(client=ClientRef(id=client.id), kind=AlertEvent) as of_client,
            ):
                assert list(mine.state) == [one]
                server.raise_alert(other, severity="warning", message="no")
                server.raise_alert(one, severity="error", message="yes")
                for events in (mine, errors):
                    assert messages([await anext(events)]) == ["yes"]
                assert isinstance(await anext(of_client), AlertEvent)
                filtered = of_client.consumer(client=client.name)
                server.raise_alert(one, message="by name")
                assert isinstance(await anext(filtered), AlertEvent)

    async def test_have_handlers_as_any_subscription(self, bus: Bus) -> None:
        seen: list[str] = []
        async with relayed(bus) as (server, _, _), bus.follow() as events:
            events.on(AlertEvent, lambda event: seen.append(event.alert.message))
            server.raise_alert(server.agent_ids[0], message="heard")
            await until(lambda: seen == ["heard"])

    async def test_that_are_too_late_are_told_a_gap_and_how_things_stand(self, bus: Bus) -> None:
        async with relayed(bus, length=5) as (server, _, relay):
            who = server.agent_ids[0]
            # One that is slow while it is connected, and one that comes back late.
            async with bus.follow(settings=StreamSettings(queue=1)) as slow:
                place = slow.position
                for count in range(40):
                    alert = server.raise_alert(who, message=f"number {count}")
                    if count < 39:
                        server.resolve_alert(alert)
                    # Each by itself: what is written at once stays, or goes, at once.
                    await until(lambda: relay.written >= min(6 + 79, 6 + 2 * (count + 1)))  # noqa: B023
                async with bus.follow(since=place) as late:
                    found = [event for event in await up_to(late, is_live) if event.agent_id == who]
                assert isinstance(found[0], Gap)
                assert "no longer in the relay's log" in found[0].reason
                assert messages(found) == ["number 39"]
                seen = [event for event in await up_to(slow, is_live) if event.agent_id == who]
                assert any(isinstance(event, Gap) for event in seen)
                assert messages(seen)[-1] == "number 39"

    @pytest.mark.parametrize("what", ["all", "log"])
    async def test_under_whom_the_log_is_lost_are_told_so(self, bus: Bus, what: str) -> None:
        async with relayed(bus) as (server, _, _):
            who = server.agent_ids[0]
            async with bus.follow(agent=who) as events:
                await bus.lose(what)
                server.go_offline(who)
                found = await up_to(events, is_live)
                assert isinstance(found[0], Gap)
                assert "was lost" in found[0].reason
                server.come_online(who)
                await up_to(events, lambda event: isinstance(event, AgentOnline))

    async def test_whose_engine_is_killed_go_on_when_it_is_back(self, bus: Bus) -> None:
        async with relayed(bus) as (server, _, _):
            who = server.agent_ids[0]
            async with bus.follow(agent=who) as events:
                bus.engine.kill()
                server.go_offline(who)
                await until(lambda: events.state[who] is StreamState.CONNECTING)
                bus.engine.start()
                found = await up_to(events, lambda event: isinstance(event, AgentOffline))
                server.come_online(who)
                await up_to(events, lambda event: isinstance(event, AgentOnline))
            # A Redis server that keeps nothing on a disk has lost everything.
            assert any(isinstance(event, Gap) for event in found) or bus.kind == "nats"

    async def test_by_connections_that_break_get_each_once_and_in_order(self, bus: Bus) -> None:
        async with cutting(bus.engine.port, after=9000) as (port, cuts):
            url = f"{bus.kind}://127.0.0.1:{port}"
            async with relayed(bus, url=url) as (server, _, _):
                who = server.agent_ids[0]
                async with bus.follow(url, agent=who, kind=AlertEvent) as events:
                    found: list[Event] = []
                    for count in range(40):
                        server.raise_alert(who, message=f"number {count}")
                        if count % 4 == 3:
                            found += await up_to(events, says(f"number {count}"))
                assert messages(found) == [f"number {count}" for count in range(40)]
                assert cuts[0] > 1

    async def test_of_a_relay_that_never_was_wait_for_it(self, bus: Bus) -> None:
        async with served("gateway", agents=3) as (_, trmm), bus.follow(snapshot=True) as events:
            async with relaying(trmm, bus):
                assert len(await some(events, 6)) == 6

    async def test_know_when_nobody_leads(self, bus: Bus) -> None:
        async with relayed(bus) as (server, trmm, relay), bus.follow() as events:
            relay.stop()
            who = server.agent_ids[0]
            await until(lambda: events.state[who] is StreamState.CONNECTING)
            async with relaying(trmm, bus):
                await until(lambda: events.state[who] is StreamState.LIVE)
            assert events.reconnects == 3

    async def test_may_be_cancelled_at_any_moment(self, bus: Bus) -> None:
        async with relayed(bus) as (server, _, _), bus.follow() as events:
            who = server.agent_ids[0]
            for _ in range(20):
                waiting = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting])
            server.raise_alert(who, message="not taken by any of them")
            assert messages([await anext(events)]) == ["not taken by any of them"]
            entering = asyncio.ensure_future(bus.follow().__aenter__())
            await asyncio.sleep(0)
            entering.cancel()
            await asyncio.wait([entering])
            assert entering.cancelled()

    async def test_are_sources_of_a_mirror(self, bus: Bus) -> None:
        async with relayed(bus) as (server, trmm, relay):
            who = server.agent_ids[0]
            async with trmm.mirror(source=bus.follow(snapshot=True)) as mirror:
                server.go_offline(who)
                await mirror.wait_until(lambda mirror: mirror[who].status == "offline", timeout=20)
                assert mirror.fresh
                relay.stop()
                await until(lambda: not mirror.fresh)

    async def test_say_when_to_look_to_those_who_wait(self, bus: Bus) -> None:
        """The relay has a client of its own; this one looks twice in all."""
        async with (
            relayed(bus) as (server, _, _),
            TRMM(server.url, api_key=server.api_key, dialect="gateway", rate_limit=None) as other,
        ):
            who = server.agent_ids[0]
            waiting = asyncio.create_task(
                other.agents.wait_until(who, "offline", timeout=20, source=bus.follow())
            )
            poller = other._api.shared_poller
            await until(lambda: poller.polls == 1)
            server.go_offline(who)
            assert (await waiting).status == "offline"
            assert poller.polls <= 2

    async def test_that_wait_are_not_misled_by_a_relay_that_is_late(self, bus: Bus) -> None:
        async with relayed(bus) as (server, trmm, relay):
            who = server.agent_ids[0]
            relay.stop()
            await until(lambda: not relay.is_leading)
            server.go_offline(who)
            with pytest.raises(TimeoutError, match="not so within"):
                await trmm.agents.wait_until(who, "online", timeout=0.3, source=bus.follow(snapshot=True))

    async def test_of_no_server_say_so(self, bus: Bus) -> None:
        with pytest.raises(ConnectionFailedError, match=rf"the relay 'acme' at {bus.kind}://127.0.0.1:9"):
            async with bus.follow(f"{bus.kind}://127.0.0.1:9"):
                pass

    async def test_take_up_no_other_position(self, bus: Bus) -> None:
        async with relayed(bus) as (server, trmm, _):
            async with trmm.events(server.agent_ids) as events:
                place = events.position
            with pytest.raises(InvalidRequestError, match="not a position of the relay 'acme'"):
                bus.follow(since=place)


PROGRAM = """
import asyncio, sys
from trmm_async import TRMM, StreamSettings
url, key, store, lease = sys.argv[1:]

async def main():
    async with TRMM(url, api_key=key, dialect="gateway", rate_limit=None) as trmm:
        settings = StreamSettings(backoff_first=0.05)
        async with trmm.relay(to=store, name="acme", lease=float(lease), settings=settings) as relay:
            await relay.run()

asyncio.run(main())
"""


class TestRelays:
    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
    async def test_stand_by_and_go_on_when_the_leader_is_gone(self, bus: Bus, how: signal.Signals) -> None:
        async with served("gateway", agents=3) as (server, trmm):
            who = server.agent_ids[0]
            words = [server.url, server.api_key, bus.url, str(LEASE)]
            leader = forks("package").start(PROGRAM, words, stdout=None, stderr=2)
            try:
                async with bus.store() as store:
                    while len((await store.state()).agents) < 3:
                        await asyncio.sleep(0.02)
                async with bus.follow(agent=who) as events:
                    server.raise_alert(who, message="by the first")
                    found = await up_to(events, says("by the first"))
                    leader.send_signal(how)
                    async with relaying(trmm, bus):
                        server.raise_alert(who, message="by the second")
                        found += await up_to(events, says("by the second"))
                        # The first comes back, is still connected to the server, and may not write.
                        leader.send_signal(signal.SIGCONT)
                        server.raise_alert(who, message="the last")
                        found += await up_to(events, says("the last"))
                assert messages(found) == ["by the first", "by the second", "the last"]
                assert any(isinstance(event, Gap) for event in found)
            finally:
                leader.send_signal(signal.SIGCONT)
                leader.kill()
                leader.wait()

    async def test_leave_at_once_when_they_are_stopped(self, bus: Bus) -> None:
        async with served("gateway", agents=3) as (_, trmm):
            async with relaying(trmm, bus, lease=60.0) as relay:
                pass
            assert not relay.is_leading
            async with relaying(trmm, bus, lease=60.0) as relay:
                assert relay.is_leading

    async def test_that_are_cancelled_leave_nothing_behind(self, bus: Bus) -> None:
        async with served("gateway", agents=3) as (_, trmm):
            before = asyncio.all_tasks()
            async with trmm.relay(to=bus.url, name=NAME, lease=60.0, settings=QUICK) as relay:
                running = asyncio.create_task(relay.run())
                await until(lambda: relay.is_leading)
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running
            assert {task for task in asyncio.all_tasks() - before if "relay" in task.get_name()} == set()
            async with relaying(trmm, bus, lease=60.0):
                pass

    async def test_read_on_while_the_engine_is_away_and_count_what_they_drop(self, bus: Bus) -> None:
        async with relayed(bus, queue=5) as (server, _, relay):
            who = server.agent_ids[0]
            async with bus.follow(agent=who) as events:
                bus.engine.stop()
                try:
                    server.raise_alert(who, message="taken")
                    for count in range(20):
                        server.raise_alert(who, message=f"number {count}")
                        await asyncio.sleep(0)
                    await until(lambda: relay.dropped >= 5)
                finally:
                    bus.engine.go_on()
                found = await up_to(events, is_live)
                while not says("number 19")(found[-1]) and len(set(messages(found))) < 21:
                    found += await up_to(events, is_live)
            gaps = [event for event in found if isinstance(event, Gap) and event.dropped]
            assert sum(gap.dropped for gap in gaps) == relay.dropped
            assert "the relay had no room" in gaps[0].reason
            assert set(messages(found)) == {"taken", *(f"number {count}" for count in range(20))}

    async def test_follow_agents_that_come_and_let_go_those_that_leave(self, bus: Bus) -> None:
        async with served("gateway", agents=3) as (server, trmm):
            kept, other = server.agent_ids[0], server.agent_ids[1]
            listed = [kept]

            class Selected:
                async def list(self) -> list[str]:
                    return list(listed)

            from trmm_async.relay.leader import RelaySource
            from trmm_async.resources.live import subscribe

            source = RelaySource(
                Selected().list,
                lambda agents, since: subscribe(trmm._api, [agents], QUICK, snapshot=True, since=since),
                output=False,
                relist=0.05,
            )
            async with bus.store() as store, Relay(store, source, lease=5.0, length=100, queue=100) as relay:
                running = asyncio.create_task(relay.run())
                await until(lambda: relay.written >= 2)
                async with bus.follow() as events:
                    listed.append(other)
                    assert {event.agent_id for event in await some(events, 2)} == {other}
                    listed.remove(kept)
                    (ended,) = await some(events, 1)
                    assert isinstance(ended, Ended)
                    assert (ended.agent_id, events.state[kept]) == (kept, StreamState.ENDED)
                async with bus.follow() as events:
                    assert list(events.state) == [other]
                relay.stop()
                await running

    async def test_run_in_their_block_alone_and_once_at_a_time(self, bus: Bus) -> None:
        async with relayed(bus) as (_, trmm, relay):
            with pytest.raises(ClosedError):
                await trmm.relay(to=bus.url, name=NAME).run()
            with pytest.raises(ClosedError):
                await relay.run()

    async def test_wait_for_a_server_and_for_an_engine(self, bus: Bus) -> None:
        async with TRMM("http://127.0.0.1:9", api_key="k", dialect="gateway", retries=0) as trmm:
            async with trmm.relay(to=bus.url, name=NAME, lease=0.1) as relay:
                running = asyncio.create_task(relay.run())
                await until(lambda: "127.0.0.1:9" in relay.trouble)
                bus.engine.kill()
                await until(lambda: f"{bus.url}" in relay.trouble)
                relay.stop()
                await running

    async def test_wait_for_the_server_of_their_shared_limits(self, bus: Bus) -> None:
        limits: dict[str, Any] = {"shared_limits": "redis://127.0.0.1:9/0", "limiter_timeout": 0.1}
        async with TRMM("http://127.0.0.1:9", api_key="k", dialect="gateway", **limits) as trmm:
            async with trmm.relay(to=bus.url, name=NAME, lease=0.1) as relay:
                running = asyncio.create_task(relay.run())
                await until(lambda: "nothing was sent" in relay.trouble)
                assert not running.done()
                relay.stop()
                await running

    async def test_whose_key_is_refused_say_so(self, bus: Bus) -> None:
        async with served("gateway", agents=3) as (server, _):
            async with TRMM(server.url, api_key="wrong", dialect="gateway") as trmm:
                async with trmm.relay(to=bus.url, name=NAME) as relay:
                    with pytest.raises(Exception, match="401"):
                        await relay.run()


class TestStores:
    """What `Store` promises, of each engine."""

    @staticmethod
    def records(*messages: str) -> list[Record]:
        return [record_of(ScriptOutput(agent_id="a", output=message), None) for message in messages]

    async def append(self, store: Store, first: int, *messages: str, position: str = "p") -> None:
        await store.append(first, self.records(*messages), {}, position, 100)

    @staticmethod
    async def outputs(store: Store, after: str = "") -> list[str]:
        found = [read(entry.record) for entry in await store.read(after, 0.0)]
        return [event.output for event in found if isinstance(event, ScriptOutput)]

    async def test_refuse_a_leader_that_was_paused(self, bus: Bus) -> None:
        async with bus.store() as old, bus.store() as new:
            assert await old.lead(0.3) is not None
            assert await new.lead(0.3) is None
            await self.append(old, 1, "a")
            while (look := await new.lead(0.3)) is None:
                await asyncio.sleep(0.02)
            assert look.position == "p"
            # The old one is refused before the new one has written anything, and behind it.
            with pytest.raises(StaleError):
                await self.append(old, 2, "stale")
            await self.append(new, 1, "b")
            with pytest.raises(StaleError):
                await self.append(old, 2, "stale")
            with pytest.raises(StaleError):
                await old.renew()
            await old.resign()  # and takes nobody else's lease
            assert (await new.end()).is_led
            assert await self.outputs(new) == ["a", "b"]

    async def test_take_what_is_written_twice_once(self, bus: Bus) -> None:
        async with bus.store() as store:
            assert await store.lead(5.0) is not None
            for _ in range(3):
                await store.append(
                    1, self.records("a", "b"), {("a", "alert-1"): "text", ("a", "status"): ""}, "p", 100
                )
            await self.append(store, 2, "b", "c", position="")
            assert await self.outputs(store) == ["a", "b", "c"]
            look = await store.state()
            assert (look.position, look.last) == ("p", (await store.end()).last)
            assert look.agents == {"a": {"alert-1": "text"}}

    async def test_notice_that_the_end_of_the_log_is_lost(self, bus: Bus) -> None:
        async with bus.store() as store:
            assert await store.lead(5.0) is not None
            await self.append(store, 1, "a")
            with pytest.raises(StaleError):
                await self.append(store, 3, "c")  # 2 was told to be written

    async def test_chain_their_entries(self, bus: Bus) -> None:
        async with bus.store() as one, bus.store() as other:
            assert await one.lead(5.0) is not None
            await self.append(one, 1, "a", "b")
            await one.resign()
            assert await other.lead(5.0) is not None
            await self.append(other, 1, "c")
            entries = await other.read("", 0.0)
            assert [entry.before for entry in entries] == ["", *(entry.place for entry in entries[:-1])]
            assert (await other.end()).last == entries[-1].place
            assert len(await other.read(entries[-2].place, 0.0)) == 1
            assert await other.read(entries[-1].place, 0.0) == []

    async def test_begin_anew_where_the_state_is_lost(self, bus: Bus) -> None:
        async with bus.store() as store:
            assert await store.lead(5.0) is not None
            await self.append(store, 1, "a")
            await bus.lose("all")
            with pytest.raises(StaleError):
                await store.renew()
            assert (await store.end()) == ("", False)
            assert await store.lead(5.0) is not None
            await self.append(store, 1, "b")
            assert await self.outputs(store) == ["b"]


class TestRedis:
    @pytest.fixture
    def bus(self, tmp_path: Path) -> Iterator[Bus]:
        with redis_server(tmp_path) as engine:
            yield Bus("redis", engine)

    async def test_itself_refuses_an_entry_of_an_earlier_epoch(self, bus: Bus) -> None:
        async with bus.store() as store:
            for _ in range(2):
                assert await store.lead(5.0) is not None
                await TestStores().append(store, 1, "a")
                await store.resign()
        with pytest.raises(RedisRefusedError, match="equal or smaller"):
            await told(bus.engine, "XADD", "trmm:{relay:acme}:stream", "1-9", "t", "x")

    async def test_begins_a_higher_epoch_though_the_counter_was_lost(self, bus: Bus) -> None:
        async with bus.store() as store:
            for _ in range(3):
                assert await store.lead(5.0) is not None
                await TestStores().append(store, 1, "a")
                await store.resign()
            await told(bus.engine, "DEL", "trmm:{relay:acme}:epoch")
            assert await store.lead(5.0) is not None
            await TestStores().append(store, 1, "a")
            assert (await store.end()).last.startswith("4-1@")

    async def test_that_refuses_a_relay_or_a_follower_is_told_of(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, password="Sesame-4711") as engine:
            async with served("gateway", agents=3) as (_, trmm):
                await check_refused(trmm, Bus("redis", engine), "", "refuses the relay")


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
                await TestStores().append(store, 1, "a", "b")
                if store is old:
                    await bus.lose("all")
            # Every number is the same as it was when the old one wrote last.
            with pytest.raises(StaleError):
                await TestStores().append(old, 3, "stale")
            await TestStores().append(new, 3, "c")
            assert await TestStores().outputs(new) == ["a", "b", "c"]

    async def test_takes_what_is_larger_than_a_message(self, bus: Bus) -> None:
        large = [token_hex(1_200_000), token_hex(30)]  # that is no smaller when it is packed
        async with bus.store() as one, bus.store() as other:
            assert await one.lead(5.0) is not None
            await TestStores().append(one, 1, *large, position=token_hex(1_000_000))
            await TestStores().append(one, 3, "c", position="")
            await one.resign()
            look = await other.lead(5.0)
            assert look is not None
            assert len(look.position) == 2_000_000
            assert await TestStores().outputs(other) == [*large, "c"]
            place = (await other.read("", 0.0))[0].place
            assert await TestStores().outputs(other, place) == [large[1], "c"]

    async def test_tells_nothing_of_what_was_written_in_part(self, bus: Bus) -> None:
        from trmm_async.engines.jetstream import ToWrite
        from trmm_async.relay.nats_store import NatsStore

        async with bus.store() as one, bus.store() as other:
            assert isinstance(one, NatsStore)
            assert await one.lead(5.0) is not None
            await TestStores().append(one, 1, "a")
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
            await TestStores().append(other, 1, "b")
            assert await TestStores().outputs(other) == ["a", "b"]
            assert await TestStores().outputs(other, end.last) == ["b"]

    async def test_keeps_how_agents_stand_beyond_its_length(self, bus: Bus) -> None:
        async with bus.store() as one, bus.store() as other:
            assert await one.lead(5.0) is not None
            for number in range(1, 31):
                changes = {(f"a.{number % 4} *>", "status"): f"{number}"} if number < 9 else {}
                changes |= {("a.1 *>", f"alert-{number}"): "open", ("a.1 *>", f"alert-{number - 1}"): ""}
                await one.append(number, TestStores.records(f"{number}"), changes, f"p{number}", 5)
            found = await TestStores().outputs(other)
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
                await one.append(number, TestStores.records("a"), {("a", "status"): f"{number}"}, "p", 5)
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


def test_an_error_travels_by_its_name_and_its_text() -> None:
    event: Event = Ended(agent_id="a", error=ServerError(500, "oops"), hostname="h")
    for _ in range(2):  # and arrives the same at a relay of a relay
        arrived = read(record_of(event, ClientRef(id=3, name="C")))
        assert isinstance(arrived, Ended)
        assert isinstance(arrived.error, RecordedError)
        assert (arrived.hostname, arrived.error.kind, arrived.error.text) == ("h", "ServerError", "500: oops")
        event = arrived
    assert read(Record("OfALaterVersion", None, "{}")) is None


def test_how_an_agent_stands_knows_what_was_told() -> None:
    present = AgentState()
    online: Event = AgentOnline(agent_id="a")
    note_host(online, "h")
    done: Event = ScriptOutput(agent_id="a", cmd_id="7", done=True)
    assert not present.has(online)
    things: dict[str, str] = {}
    for event in (online, done, Live(agent_id="a", time=QUICK.clock())):
        things |= present.take(event, record_of(event, None))
    assert set(things) == {"status", "runs"}
    again = AgentState(things)
    assert again.has(AgentOnline(agent_id="a", time=QUICK.clock()))
    assert not again.has(AgentOffline(agent_id="a"))
    assert again.has(done)
    assert not again.has(ScriptOutput(agent_id="a", cmd_id="8", done=True))
    assert again.records == [record_of(online, None)]
    assert again.take(Ended(agent_id="a", error=ServerError(500, "")), record_of(done, None)) == {
        "status": "",
        "runs": "",
    }
    assert not again.has(online)


@pytest.mark.parametrize(
    ("url", "name", "says"),
    [
        ("http://bus", NAME, "must begin with redis://, rediss:// .TLS. or unix://, or with nats://"),
        ("nats://", NAME, "must name one host"),
        ("redis://bus", "two words", "name must be of letters"),
        ("redis://bus", "", "must not be empty"),
    ],
)
def test_what_can_not_be_is_refused_at_once(url: str, name: str, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        follow(url, name=name)
    trmm = TRMM("https://api.example.com", api_key="k")
    with pytest.raises(InvalidRequestError, match=says):
        trmm.relay(to=url, name=name)


@pytest.mark.parametrize("kind", ["redis", "nats"])
def test_without_the_library_it_says_what_to_install(tmp_path: Path, kind: str) -> None:
    code = f"""
import sys
for name in list(sys.modules):
    if name.startswith(("{kind}", "trmm_async.relay.{kind}_store", "trmm_async.engines.{kind}_link")):
        del sys.modules[name]
sys.modules["{kind}"] = None
from trmm_async import InvalidRequestError, follow
try:
    follow("{kind}://h", name="n")
except InvalidRequestError as error:
    print(error)
"""
    done = forks("package").run(code, cwd=tmp_path)
    assert done.stdout == f'a relay needs a package: pip install "trmm-async[{kind}]"\n', done.stderr
