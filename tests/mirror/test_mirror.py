"""The fleet as it stands, over both kinds of server: what a mirror shows, tells and costs, and who waits."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest

from tests.servers import served, until
from trmm_async import (
    TRMM,
    Agent,
    AgentOffline,
    AgentOnline,
    Alert,
    AlertEvent,
    Change,
    ClientRef,
    ClosedError,
    ConnectionFailedError,
    Event,
    Gap,
    InvalidRequestError,
    Live,
    Mirror,
    MirrorSettings,
    NotFoundError,
    PermissionDeniedError,
    SiteRef,
    StreamSettings,
    TimeoutError,
    UnknownNameError,
)
from trmm_async.mirror.feeds import resync
from trmm_async.mirror.state import MirrorState
from trmm_async.testing import Simulator

QUICK = MirrorSettings(
    resync=0.1,
    stream=StreamSettings(poll_interval=0.05, poll_share=1.0, poll_scripts=False, backoff_first=0.01),
)


@asynccontextmanager
async def mirrored(
    dialect: str, agents: int = 6, settings: MirrorSettings = QUICK, **which: Any
) -> AsyncIterator[tuple[Simulator, TRMM, Mirror]]:
    async with served(dialect, agents=agents) as (server, trmm):
        async with trmm.mirror(settings=settings, **which) as mirror:
            yield server, trmm, mirror


def lists(server: Simulator) -> int:
    """How often all agents were read."""
    return sum(one.method == "GET" and one.path.endswith("/agents/") for one in server.requests)


class TestAMirror:
    async def test_shows_the_agents_as_they_stand(self, dialect: str) -> None:
        async with mirrored(dialect) as (server, trmm, mirror):
            assert sorted(mirror) == sorted(server.agent_ids)
            listed = {agent.agent_id: agent for agent in await trmm.agents.list()}
            for agent_id, agent in mirror.items():
                assert (agent.hostname, agent.status) == (
                    listed[agent_id].hostname,
                    listed[agent_id].status,
                )
            assert len(mirror) == 6
            assert mirror.fresh
            assert repr(mirror) == "<Mirror of 6 agents, open, fresh>"
            with pytest.raises(KeyError):
                mirror["nobody"]

    async def test_keeps_inventory_and_custom_fields_only_if_asked(self, dialect: str) -> None:
        async with mirrored(dialect) as (server, trmm, mirror):
            assert all(agent.disks == () and agent.custom_fields == () for agent in mirror.values())
            async with trmm.mirror(inventory=True, settings=QUICK) as whole:
                assert whole[server.agent_ids[0]].cpu_model

    async def test_tells_what_changes_as_before_and_after(self, dialect: str) -> None:
        async with mirrored(dialect) as (server, trmm, mirror):
            who, other, *_ = server.agent_ids
            async with mirror.changes() as changes:
                before = mirror[who]
                server.go_offline(who)
                change = await anext(changes)
                assert change == Change(agent_id=who, before=before, after=mirror[who])
                assert change.before is before
                assert mirror[who].status == "offline"
                await trmm.agents.delete(other)
                gone = await anext(changes)
                while gone.agent_id == who:  # what a list tells of it besides
                    gone = await anext(changes)
                assert (gone.agent_id, gone.after) == (other, None)
                assert gone.before is not None
                assert other not in mirror

    async def test_is_the_same_object_until_something_changes(self, dialect: str) -> None:
        async with mirrored(dialect) as (server, _, mirror):
            kept = dict(mirror)
            before = lists(server)
            await until(lambda: lists(server) > before + 2)
            # That it was seen again is no change.
            assert {who: agent.hostname for who, agent in kept.items()} == {
                who: agent.hostname for who, agent in mirror.items()
            }
            assert [
                who
                for who in kept
                if kept[who].last_seen == mirror[who].last_seen and kept[who] is not mirror[who]
            ] == []

    async def test_conflates_for_a_slow_reader_and_loses_nothing(self, dialect: str) -> None:
        async with mirrored(dialect) as (server, _, mirror):
            first, second, *_ = server.agent_ids
            async with mirror.changes() as changes:
                for status in ("offline", "online", "offline"):
                    server.go_offline(first) if status == "offline" else server.come_online(first)
                    await until(lambda: mirror[first].status == status)  # noqa: B023 - called at once
                server.go_offline(second)
                await mirror.wait_until(lambda mirror: mirror[second].status == "offline")
                server.come_online(second)
                await mirror.wait_until(lambda mirror: mirror[second].status == "online")
                change = await anext(changes)
                assert change.agent_id == first
                assert change.before is not None
                assert change.after is not None
                assert (change.before.status, change.after.status) == ("online", "offline")
                # What came to nothing is not told.
                assert repr(changes) == "<Changes, 0 waiting>"

    async def test_has_open_alerts_by_agent(self, dialect: str) -> None:
        async with mirrored(dialect) as (server, trmm, mirror):
            who = server.agent_ids[2]
            assert mirror.alerts(who) == []
            numbers = [server.raise_alert(who, message=text) for text in ("one", "two")]
            await mirror.wait_until(lambda mirror: len(mirror.alerts(who)) == 2, timeout=20)
            assert [alert.id for alert in mirror.alerts(mirror[who])] == numbers
            await trmm.alerts.resolve(numbers[0])
            await mirror.wait_until(lambda mirror: [one.id for one in mirror.alerts(who)] == numbers[1:])

    async def test_finds_agents_by_client_site_and_status(self, dialect: str) -> None:
        async with mirrored(dialect, agents=20) as (server, _, mirror):
            server.go_offline(server.agent_ids[3])
            await mirror.wait_until(lambda mirror: mirror[server.agent_ids[3]].status == "offline")
            agent = mirror[server.agent_ids[0]]
            mates = {one for one in mirror.values() if one.client.id == agent.client.id}
            assert mates == {*mirror.by_client(agent.client)} == {*mirror.by_client(agent.client.name)}
            assert agent.client.id is not None
            assert {*mirror.by_client(agent.client.id)} == mates
            near = {one for one in mirror.values() if one.site.id == agent.site.id}
            assert near == {*mirror.by_site(agent.site)}
            assert mirror.by_status("offline") == [mirror[server.agent_ids[3]]]

    async def test_of_a_client_has_its_agents_alone(self, dialect: str) -> None:
        async with served(dialect, agents=30) as (server, trmm):
            agent = await trmm.agents.get(server.agent_ids[0])
            async with trmm.mirror(client=agent.client.name, settings=QUICK) as mirror:
                assert 0 < len(mirror) < 30
                assert {one.client.name for one in mirror.values()} == {agent.client.name}
            with pytest.raises(UnknownNameError):
                async with trmm.mirror(client="No such client"):
                    pass

    async def test_is_not_fresh_while_the_server_can_not_be_seen(self, dialect: str) -> None:
        async with mirrored(dialect) as (server, _, mirror):
            if dialect == "stock":
                server.fail("GET", "/agents/", status=503, times=3)
            else:
                server.drop_connections()
            await until(lambda: not mirror.fresh)
            await mirror.wait_until(lambda mirror: mirror.fresh, timeout=20)

    async def test_ends_with_what_the_server_says_if_it_refuses(self) -> None:
        async with mirrored("stock") as (server, _, mirror):
            async with mirror.changes() as changes:
                server.fail("GET", "/agents/", status=403, times=50)
                with pytest.raises(PermissionDeniedError):
                    async for _ in changes:
                        pass
            with pytest.raises(PermissionDeniedError):
                await mirror.wait_until(lambda mirror: False)
            assert not mirror.fresh

    async def test_that_is_left_ends_who_reads_and_waits(self, dialect: str) -> None:
        async with mirrored(dialect) as (_, trmm, mirror):
            changes = mirror.changes()
            waiting = asyncio.create_task(mirror.wait_until(lambda mirror: False))
            reading = asyncio.create_task(anext(changes))
            await asyncio.sleep(0)
            kept = trmm.mirror()
        for task in (waiting, reading):
            with pytest.raises(ClosedError):
                await task
        with pytest.raises(ClosedError, match="enter the mirror first"):
            await kept.wait_until(lambda mirror: True)
        with pytest.raises(ClosedError, match="entered once"):
            await mirror.__aenter__()

    async def test_waits_until_something_holds(self, dialect: str) -> None:
        async with mirrored(dialect) as (server, _, mirror):
            with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
                await mirror.wait_until(
                    lambda mirror: mirror[server.agent_ids[0]].status == "gone", timeout=0.05
                )
            with pytest.raises(KeyError):
                await mirror.wait_until(lambda mirror: mirror["nobody"], timeout=5)
            with pytest.raises(TimeoutError):
                await mirror.wait_until(lambda mirror: mirror["nobody"], timeout=0.05, missing_ok=True)
            with pytest.raises(ZeroDivisionError):
                await mirror.wait_until(lambda mirror: 1 / 0)
            with pytest.raises(InvalidRequestError):
                await mirror.wait_until("online")  # type: ignore[arg-type]


class TestOnAGateway:
    async def test_only_so_many_have_a_socket_and_the_rest_is_kept_by_lists(self) -> None:
        settings = MirrorSettings(sockets=2, resync=0.1, stream=QUICK.stream)
        async with mirrored("gateway", settings=settings) as (server, _, mirror):
            assert server.subscribers() == 2
            assert sorted(mirror.freshness) == sorted(server.agent_ids)
            await until(lambda: sorted(mirror.freshness.values())[:2] == [0.0, 0.0])
            assert sorted(mirror.freshness.values())[2] > 0
            for agent_id in server.agent_ids:
                server.go_offline(agent_id)
            await mirror.wait_until(lambda mirror: len(mirror.by_status("offline")) == 6, timeout=20)

    async def test_no_list_is_read_for_an_event(self) -> None:
        settings = MirrorSettings(resync=3600, stream=QUICK.stream)
        async with mirrored("gateway", settings=settings) as (server, _, mirror):
            before = len(server.requests)
            for agent_id in server.agent_ids:
                server.go_offline(agent_id)
                server.raise_alert(agent_id)
            await mirror.wait_until(lambda mirror: len(mirror.by_status("offline")) == 6, timeout=20)
            assert len(server.requests) == before

    @pytest.mark.parametrize("wrong", [{"sockets": -1}, {"resync": 0}], ids=str)
    def test_settings_are_checked(self, wrong: Any) -> None:
        with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
            MirrorSettings(**wrong)


class Told:
    """A source of events that is no subscription of ours."""

    def __init__(self, *events: Event) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        for event in events:
            self.queue.put_nowait(event)
        self.is_open = False

    async def __aenter__(self) -> Self:
        self.is_open = True
        return self

    async def __aexit__(self, *error: object) -> None:
        self.is_open = False

    def __aiter__(self) -> "Told":
        return self

    async def __anext__(self) -> Event:
        return await self.queue.get()


async def test_a_mirror_may_be_kept_by_other_events(dialect: str) -> None:
    settings = MirrorSettings(resync=3600)
    now = datetime.now(UTC)
    source = Told()
    async with served(dialect, agents=3) as (server, trmm):
        who = server.agent_ids[0]
        alert = server.raise_alert(who)
        (raised,) = [one for one in await trmm.alerts.list() if one.id == alert]
        await trmm.alerts.resolve(alert)
        async with trmm.mirror(source=source, settings=settings) as mirror:
            assert source.is_open
            before = len(server.requests)
            source.queue.put_nowait(AgentOffline(agent_id=who))
            source.queue.put_nowait(AlertEvent(agent_id=who, alert=raised))
            await mirror.wait_until(lambda mirror: mirror.alerts(who), timeout=20)
            assert mirror[who].status == "offline"
            source.queue.put_nowait(Gap(agent_id=who, since=now, until=now))
            await mirror.wait_until(lambda mirror: not mirror.fresh, timeout=20)
            source.queue.put_nowait(Live(agent_id=who, time=now))
            await mirror.wait_until(lambda mirror: mirror.fresh, timeout=20)
            assert mirror.freshness[who] == 0.0
            assert len(server.requests) == before
        assert not source.is_open


class TestOneLook:
    async def test_serves_mirrors_waiters_and_subscriptions(self) -> None:
        """A hundred waiters, ten mirrors and ten subscriptions cost one look at a time."""
        settings = StreamSettings(poll_interval=0.3, poll_share=1.0, poll_scripts=False)
        async with served("stock", agents=4) as (server, trmm), AsyncExitStack() as stack:
            mirrors = [trmm.mirror(settings=MirrorSettings(stream=settings)) for _ in range(10)]
            streams = [trmm.events(server.agent_ids, settings=settings) for _ in range(10)]
            both = (*mirrors, *streams)
            await asyncio.gather(*(stack.enter_async_context(one) for one in both))  # type: ignore[arg-type]
            entered = lists(server)
            # Those who come while a look is under way get the next.
            assert entered <= 2
            waiting = [trmm.agents.wait_until(server.agent_ids[0], "offline", timeout=60) for _ in range(100)]
            waiters = asyncio.gather(*waiting)
            await until(lambda: lists(server) >= entered + 2)
            server.go_offline(server.agent_ids[0])
            looked = lists(server)
            assert {agent.status for agent in await waiters} == {"offline"}
            assert lists(server) <= looked + 2
            assert len(server.requests) <= 3 * lists(server)

    async def test_is_not_made_while_nobody_asks(self) -> None:
        async with mirrored("stock") as (server, _, _mirror):
            pass
        before = len(server.requests)
        await asyncio.sleep(0.2)
        assert len(server.requests) == before


class TestWaitingForAgents:
    async def test_for_a_status_or_a_predicate(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            who, other, _ = server.agent_ids
            agent = await trmm.agents.wait_until(who, "online", timeout=20)
            assert (agent.agent_id, agent.status) == (who, "online")
            both = await trmm.agents.wait_until([other, agent], lambda agent: agent.hostname, timeout=20)
            assert [one.agent_id for one in both] == [other, who]

    async def test_for_all_of_several(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            who, other, _ = server.agent_ids
            server.go_offline(who)
            with pytest.raises(TimeoutError, match=f"^{who}: not so within"):
                await trmm.agents.wait_until([who, other], "online", timeout=0.3)

    async def test_for_one_that_is_not_there(self, dialect: str) -> None:
        nobody = "NoSuchAgentIsOnThisServerAtAll"
        async with served(dialect, agents=1) as (_, trmm):
            with pytest.raises(NotFoundError):
                await trmm.agents.wait_until(nobody, "online", timeout=20)
            with pytest.raises(TimeoutError):
                await trmm.agents.wait_until(nobody, "online", timeout=0.2, missing_ok=True)

    async def test_outlives_a_look_that_fails(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            server.fail("GET", server.agent_ids[0], status=503)
            assert (
                await trmm.agents.wait_until(server.agent_ids[0], "online", timeout=30)
            ).status == "online"

    async def test_looks_when_events_say_that_it_may_be_so(self, dialect: str) -> None:
        """And believes the server, not them."""
        source = Told()
        async with served(dialect, agents=2) as (server, trmm):
            who, other = server.agent_ids
            server.go_offline(who)
            server.go_offline(other)
            both = trmm.agents.wait_until([who, other], "Online", timeout=20, source=source)
            waiting = asyncio.create_task(both)
            poller = trmm._api.shared_poller
            await until(lambda: poller.polls == 1)
            for told in (AgentOffline(agent_id=who), AgentOnline(agent_id="another")):
                source.queue.put_nowait(told)
            await until(source.queue.empty)
            assert poller.polls == 1
            source.queue.put_nowait(AgentOnline(agent_id=who))
            await until(lambda: poller.polls == 2)
            assert not waiting.done()
            server.come_online(who)
            server.come_online(other)
            source.queue.put_nowait(AgentOnline(agent_id=other))
            assert [agent.status for agent in await waiting] == ["online", "online"]
            assert poller.polls <= 3
            assert not source.is_open

    async def test_ends_with_its_events(self, dialect: str) -> None:
        @asynccontextmanager
        async def none() -> AsyncIterator[AsyncIterator[Event]]:
            async def events() -> AsyncIterator[Event]:
                nothing: tuple[Event, ...] = ()
                for event in nothing:
                    yield event

            yield events()

        async with served(dialect, agents=1) as (server, trmm):
            with pytest.raises(ConnectionFailedError, match="have ended"):
                await trmm.agents.wait_until(server.agent_ids[0], "offline", timeout=20, source=none())
            source = Told()
            with pytest.raises(ZeroDivisionError):
                await trmm.agents.wait_until(server.agent_ids[0], lambda agent: 1 / 0, source=source)
            with pytest.raises(TimeoutError, match="not so within"):
                await trmm.agents.wait_until(server.agent_ids[0], "offline", timeout=0.1, source=source)
            assert not source.is_open

    async def test_that_is_cancelled_leaves_nothing(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            waiting = asyncio.create_task(trmm.agents.wait_until(server.agent_ids[0], "offline"))
            await until(lambda: server.requests)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    @pytest.mark.parametrize("wrong", ["up", 5, None])
    async def test_for_nothing_is_refused(self, wrong: Any) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.wait_until(server.agent_ids[0], wrong)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.wait_until([], "online")
            assert server.requests == []


class TestARebootThatIsWaitedFor:
    async def test_is_over_when_the_boot_time_is_later(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            who = server.agent_ids[0]
            before = (await trmm.agents.get(who)).boot_time
            agent = await trmm.agents.reboot(who, wait=30)
            assert before is not None
            assert agent.boot_time is not None
            assert agent.boot_time > before

    async def test_with_a_time_is_refused(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="exclude each other"):
                await trmm.agents.reboot(server.agent_ids[0], at=datetime.now(UTC), wait=5)  # type: ignore[call-overload]
            assert server.requests == []


class TestAPicture:
    """What a mirror holds, by itself: in counts, so that it is alike on every machine."""

    def agents(self, count: int, seen: datetime, status: str = "online") -> list[Agent]:
        return [
            Agent(
                agent_id=f"agent{number:040}",
                hostname=f"HOST-{number}",
                client=ClientRef(id=number % 9, name="Acme"),
                site=SiteRef(id=number % 30, name="Jakarta Office"),
                operating_system=f"Microsoft Windows 11 Pro, build {number}",
                public_ip=f"203.0.113.{number}",
                local_ip=f"192.168.0.{number}",
                last_seen=seen,
                status=status,
            )
            for number in range(count)
        ]

    async def test_takes_little_more_memory_than_the_agents(self) -> None:
        now = datetime.now(UTC)
        tracemalloc.start()
        try:
            listed = self.agents(4000, now)
            alone = tracemalloc.get_traced_memory()[0]
            state = MirrorState(inventory=True, custom_fields=True)
            await resync(state, listed, [], lambda _: True, lambda _: False)
            del listed
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] <= 1.3 * alone
        finally:
            tracemalloc.stop()
        assert len(state.agents) == 4000

    async def test_gives_the_event_loop_its_turn_while_it_is_brought_up_to_date(self) -> None:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        now = datetime.now(UTC)
        state = MirrorState(inventory=False, custom_fields=False)
        alerts = [Alert(id=number, agent_id=f"agent{number % 1000:040}") for number in range(5000)]
        counting = asyncio.create_task(count_turns())
        for status in ("online", "offline"):
            turns = 0
            await resync(state, self.agents(1000, now, status), alerts, lambda _: True, lambda _: False)
            assert turns >= 1000 / 100 + 5000 / 1000
        counting.cancel()
        assert len(state.alerts) == 1000

    async def test_keeps_the_object_of_what_has_not_changed(self) -> None:
        now = datetime.now(UTC)
        state = MirrorState(inventory=True, custom_fields=True)
        changes = state.changes()
        await resync(state, self.agents(3, now), [], lambda _: True, lambda _: False)
        first = dict(state.agents)
        for _ in range(3):
            assert (await anext(changes)).before is None
        await resync(state, self.agents(3, now), [], lambda _: True, lambda _: False)
        assert all(state.agents[name] is agent for name, agent in first.items())
        await resync(state, self.agents(3, now + timedelta(seconds=9)), [], lambda _: True, lambda _: False)
        assert all(agent.last_seen == now + timedelta(seconds=9) for agent in state.agents.values())
        assert repr(changes) == "<Changes, 0 waiting>"

    async def test_believes_events_over_lists_of_what_is_live(self) -> None:
        state = MirrorState(inventory=True, custom_fields=True)
        now = datetime.now(UTC)
        await resync(state, self.agents(2, now, "offline"), [], lambda _: True, lambda _: False)
        alert = Alert(id=1, agent_id=f"agent{0:040}")
        live = f"agent{0:040}"
        stale = [alert, Alert(id=2, agent_id=f"agent{1:040}")]
        await resync(state, self.agents(2, now), stale, lambda _: True, lambda name: name == live)
        assert [agent.status for agent in state.agents.values()] == ["offline", "online"]
        assert list(state.alerts) == [f"agent{1:040}"]
