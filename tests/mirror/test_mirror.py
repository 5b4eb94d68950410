"""The fleet as it stands, over both kinds of server: what a mirror shows, tells and costs, and who waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.mirror.told import Told
from tests.servers import served, until
from trmm_async import (
    TRMM,
    AgentOffline,
    AlertEvent,
    Change,
    ClosedError,
    Gap,
    InvalidRequestError,
    Live,
    Mirror,
    MirrorSettings,
    PermissionDeniedError,
    StreamSettings,
    TimeoutError,
    UnknownNameError,
)
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
