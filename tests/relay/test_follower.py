"""Followers of a relay: each at its own place, whatever is lost or late."""

import asyncio

import pytest

from tests.engine_servers import cutting
from tests.relay.buses import Bus, relayed, relaying
from tests.relay.reading import is_live, messages, says, some, up_to
from tests.servers import served, until
from trmm_async import (
    TRMM,
    AgentOffline,
    AgentOnline,
    AlertEvent,
    ConnectionFailedError,
    Event,
    Gap,
    InvalidRequestError,
    Live,
    StreamSettings,
    StreamState,
    TimeoutError,
)
from trmm_async.models import ClientRef


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
