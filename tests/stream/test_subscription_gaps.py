"""Live events: lost connections, what a gap hid, and slow readers."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.clock import skip
from tests.stream.fake_gateway import (
    Gateway,
    Peer,
    Rest,
    all_of,
    an_alert,
    based,
    data,
    drain,
    fill,
    line,
    roll,
    running,
    subscribe,
    take,
    until,
)
from trmm_async.errors import APIError, AuthenticationError, ConnectionFailedError, PermissionDeniedError
from trmm_async.events import AgentOffline, AlertEvent, Gap, Live, ScriptOutput

gateway = pytest.fixture(running)


# Losing the connection.


async def test_a_gap_and_then_what_it_hid_and_then_live(gateway: Gateway) -> None:
    rest = Rest()
    rest.keep(an_alert(1), an_alert(2))
    before = datetime.now(UTC)
    async with subscribe(gateway, rest=rest) as events:
        peer = await gateway.peer()
        await based(rest, peer)
        peer.send(data("alert", id=3, message="live"))
        await take(events, 1)
        rest.statuses["a"] = "offline"
        rest.keep(an_alert(2, resolved=True), an_alert(3, "live"), an_alert(4))
        peer.close(1012, "restart")
        peer = await gateway.peer(1)
        peer.send(line(1))
        gap, *caught_up = await take(events, 5)
    assert isinstance(gap, Gap)
    assert gap.reason == "closed by the server (1012 restart)"
    assert before < gap.since <= gap.until <= datetime.now(UTC)
    assert caught_up == [
        AgentOffline(agent_id="a"),
        AlertEvent(agent_id="a", alert=an_alert(2, resolved=True), change="resolved"),
        AlertEvent(agent_id="a", alert=an_alert(4)),
        ScriptOutput(agent_id="a", output="1"),
    ]


async def test_what_comes_live_while_catching_up_stands_behind_it_without_repeats(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        rest.closed = True
        (await gateway.peer()).cut()
        peer = await gateway.peer(1)
        await until(lambda: events.state["a"] == "catching up" and len(rest.calls) == 2)
        when = datetime(2026, 4, 21, tzinfo=UTC)
        rest.statuses["a"] = "offline"
        rest.keep(an_alert(1), an_alert(2, "second"))
        peer.send(line(1), data("agent.offline", time=when.isoformat()))
        peer.send(data("alert", id=2, message="first"), data("alert", id=2, message="second"))
        rest.closed = False
        heard = await take(events, 6)
        peer.send(data("alert", id=1, message=""), line(2))
        heard += await take(events, 1)
    assert heard[1:] == [
        AlertEvent(agent_id="a", alert=an_alert(1)),
        ScriptOutput(agent_id="a", output="1"),
        AgentOffline(agent_id="a", time=when),
        AlertEvent(agent_id="a", alert=an_alert(2, "first")),
        AlertEvent(agent_id="a", alert=an_alert(2, "second"), change="changed"),
        ScriptOutput(agent_id="a", output="2"),
    ]


async def test_what_was_on_its_way_when_the_state_was_read_is_not_told_twice(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        rest.closed = True
        (await gateway.peer()).cut()
        peer = await gateway.peer(1)
        await until(lambda: len(rest.calls) == 2)
        peer.on_the_way = []
        peer.send(data("alert", id=1, message="first"), data("alert", id=1, message="second"))
        rest.keep(an_alert(1, "second"))
        rest.closed = False
        await until(lambda: peer.pings == 1)
        peer.arrive()
        peer.send(line(1))
        heard = await take(events, 4)
    assert heard[1:] == [
        AlertEvent(agent_id="a", alert=an_alert(1, "first")),
        AlertEvent(agent_id="a", alert=an_alert(1, "second"), change="changed"),
        ScriptOutput(agent_id="a", output="1"),
    ]


async def test_lost_before_the_baseline_no_old_alert_is_told_and_nothing_new_is_missed(
    gateway: Gateway,
) -> None:
    rest = Rest(closed=True)
    rest.keep(an_alert(1))
    async with subscribe(gateway, rest=rest) as events:
        peer = await gateway.peer()
        await until(lambda: len(rest.calls) == 1)
        rest.statuses["a"] = "offline"
        rest.keep(an_alert(2, at=datetime.now(UTC) - timedelta(minutes=1)))
        peer.cut()
        rest.closed = False
        gap, down, raised = await take(events, 3)
        (await gateway.peer(1)).send(line(1))
        assert await take(events, 1) == [ScriptOutput(agent_id="a", output="1")]
    assert down == AgentOffline(agent_id="a")
    assert isinstance(gap, Gap)
    assert isinstance(raised, AlertEvent)
    assert raised.alert.id == 2


async def test_a_change_that_only_the_baseline_shows_is_still_told_when_its_frame_gets_lost(
    gateway: Gateway,
) -> None:
    rest = Rest()

    def welcome(peer: Peer) -> None:
        peer.flush()
        peer.mute = len(gateway.peers) == 1

    gateway.welcome = welcome
    rest.keep(an_alert(1, at=datetime.now(UTC)))
    async with subscribe(gateway, rest=rest) as events:
        peer = await gateway.peer()
        await until(lambda: rest.answered == 1 and peer.pings == 1)
        peer.send(data("alert", id=1, message=""))
        peer.cut()
        _, _, raised = await take(events, 3)
    assert isinstance(raised, AlertEvent)


async def test_a_baseline_that_fails_is_fetched_again(gateway: Gateway) -> None:
    rest = Rest(errors=[ConnectionFailedError("away")])
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        rest.statuses["a"] = "offline"
        (await gateway.peer()).cut()
        assert isinstance((await take(events, 2))[1], AgentOffline)


async def test_a_baseline_waits_until_a_slow_reader_has_what_came_before_it(gateway: Gateway) -> None:
    rest = Rest(closed=True)
    async with subscribe(gateway, rest=rest, queue=1) as events:
        peer = await gateway.peer()
        fill(peer, 60)
        await until(lambda: any(link._deaf for link in roll(events)))
        rest.closed = False
        await until(lambda: rest.answered >= 2)
        assert peer.pings == 0
        await take(events, 60)
        await based(rest, peer)
        rest.statuses["a"] = "offline"
        peer.cut()
        assert [type(event) for event in await take(events, 2)] == [Gap, AgentOffline]


async def test_a_catch_up_that_fails_is_tried_again_and_told_as_one_gap(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        rest.errors = [ConnectionFailedError("away"), ConnectionFailedError("still")]
        lost = datetime.now(UTC)
        rest.statuses["a"] = "offline"
        (await gateway.peer()).cut()
        gap, offline = await take(events, 2)
        (await gateway.peer(1)).send(line(1))
        assert isinstance((await take(events, 1))[0], ScriptOutput)
    assert isinstance(gap, Gap)
    assert gap.since <= lost + timedelta(seconds=1)
    assert isinstance(offline, AgentOffline)
    assert len(rest.calls) == 4


@pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
async def test_a_catch_up_that_is_refused_ends_the_stream(gateway: Gateway, kind: type[APIError]) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        gateway.welcome = lambda peer: peer.send(line(1))
        rest.errors = [kind(403, "no", method="GET", path="/alerts/")]
        (await gateway.peer()).cut()
        heard, error = await drain(events)
    assert isinstance(error, kind)
    assert [type(event) for event in heard] in ([Gap, ScriptOutput], [])
    assert len(gateway.handshakes) == 2


async def test_lost_again_while_catching_up_is_one_gap_and_keeps_what_had_come(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        first = await gateway.peer()
        await based(rest, first)
        rest.closed = True
        lost = datetime.now(UTC)
        first.cut()
        second = await gateway.peer(1)
        await until(lambda: len(rest.calls) == 2)
        second.send(line(1), data("alert", id=1, message="old"))
        await until(lambda: any(link._frames for link in roll(events)))
        second.cut()
        rest.keep(an_alert(1, "new"))
        third = await gateway.peer(2)
        await until(lambda: events.state["a"] == "catching up")
        rest.closed = False
        gap, *heard = await take(events, 4)
        third.send(line(2))
        heard += await take(events, 1)
    assert isinstance(gap, Gap)
    assert gap.since <= lost + timedelta(seconds=1)
    assert heard == [
        ScriptOutput(agent_id="a", output="1"),
        AlertEvent(agent_id="a", alert=an_alert(1, "old")),
        AlertEvent(agent_id="a", alert=an_alert(1, "new"), change="changed"),
        ScriptOutput(agent_id="a", output="2"),
    ]


async def test_what_does_not_fit_while_catching_up_is_counted_in_the_gap(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest, queue=3) as events:
        await based(rest, await gateway.peer())
        rest.closed = True
        (await gateway.peer()).cut()
        second = await gateway.peer(1)
        await until(lambda: len(rest.calls) == 2)
        second.send(*(line(number) for number in range(8)))
        await until(lambda: any(len(link._frames) == 8 for link in roll(events)))
        second.cut()
        await gateway.peer(2)
        rest.closed = False
        gap, *heard = await take(events, 4)
        assert events.dropped == 5
    assert isinstance(gap, Gap)
    assert gap.dropped == 5
    assert [event.output for event in heard if isinstance(event, ScriptOutput)] == ["0", "1", "2"]


async def test_what_is_kept_while_catching_up_is_bounded_for_all_agents_together(gateway: Gateway) -> None:
    agents = [f"agent-{number}" for number in range(10)]
    rest = Rest(dict.fromkeys(agents, "online"))
    async with subscribe(gateway, agents, rest, queue=3, handshakes=10) as events:
        await until(lambda: rest.answered >= 1 and all(peer.pings for peer in gateway.peers))
        for turn in (1, 2):
            rest.closed = True
            for peer in list(gateway.peers)[-10:]:
                peer.cut()
            await until(lambda turn=turn: len(gateway.peers) == 20 * turn)  # type: ignore[misc]
            second = list(gateway.peers)[-10:]
            for peer in second:
                peer.send(*(line(number, peer.agent_id) for number in range(4)))
            await until(lambda: sum(len(link._frames) for link in roll(events)) == 40)
            for peer in second:
                peer.cut()
            await until(lambda turn=turn: len(gateway.peers) == 10 + 20 * turn)  # type: ignore[misc]
            rest.closed = False
            heard = await all_of(events, 10 + 3 + 10)
            assert sum(isinstance(event, ScriptOutput) for event in heard) == 3
            assert sum(event.dropped for event in heard if isinstance(event, Gap)) == 37


async def test_where_sockets_drop_again_and_again_agents_are_live_in_between(gateway: Gateway) -> None:
    def drop_soon(peer: Peer) -> None:
        asyncio.get_running_loop().call_later(0.3, peer.cut)

    gateway.welcome = drop_soon
    rest = Rest()
    # The pause before the state is read doubles as long as reads follow one another: to 5 s, in the end.
    async with subscribe(gateway, ["a", "b", "c"], rest, snapshot=True, gather=0.05) as events:
        async with asyncio.timeout(30):
            lives = 0
            while lives < 30:
                lives += isinstance(await anext(events), Live)


async def test_without_a_snapshot_source_there_is_a_gap_and_no_catch_up(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        (await gateway.peer()).cut()
        (await gateway.peer(1)).send(line(1))
        assert [type(event) for event in await take(events, 2)] == [Gap, ScriptOutput]


async def test_a_clock_that_was_set_back_gives_an_empty_gap_and_not_a_negative_one(gateway: Gateway) -> None:
    now = [datetime(2026, 4, 21, 12, tzinfo=UTC)]
    async with subscribe(gateway, clock=lambda: now[0]) as events:
        now[0] -= timedelta(hours=1)
        (await gateway.peer()).cut()
        (gap,) = await take(events, 1)
    assert isinstance(gap, Gap)
    assert gap.since == gap.until == now[0]


# Slowness.


async def test_a_slow_reader_loses_nothing(gateway: Gateway) -> None:
    agents = ["a", "b", "c"]
    async with subscribe(gateway, agents, queue=1) as events:
        await until(lambda: len(gateway.peers) == 3)
        for peer in gateway.peers:
            peer.send(*(line(number, peer.agent_id) for number in range(400)))
        heard: list[ScriptOutput] = []
        async with asyncio.timeout(30):
            async for event in events:
                assert isinstance(event, ScriptOutput)
                assert len(events._mailbox) <= 1
                heard.append(event)
                if len(heard) % 50 == 0:
                    await asyncio.sleep(0.001)
                if len(heard) == 1200:
                    break
    for agent in agents:
        assert [int(event.output) for event in heard if event.agent_id == agent] == [*range(400)]


async def test_our_own_slowness_does_not_look_like_a_dead_peer(gateway: Gateway) -> None:
    async with subscribe(gateway, queue=1, ping_interval=9.0, ping_timeout=8.0) as events:
        peer = await gateway.peer()
        fill(peer, 60)
        await until(lambda: any(link._deaf for link in roll(events)))
        for _ in range(4):
            skip(9)
            await asyncio.sleep(0.01)
        heard = await take(events, 60)
        assert [type(event) for event in heard] == [ScriptOutput] * 60
        assert peer.pings == 0
        skip(9)
        await until(lambda: peer.pings > 0)
    assert len(gateway.handshakes) == 1


async def test_what_had_come_before_a_loss_is_told_before_its_gap_however_slow_the_reader(
    gateway: Gateway,
) -> None:
    async with subscribe(gateway, queue=1) as events:
        peer = await gateway.peer()
        peer.send(*(line(number) for number in range(100)))
        await until(lambda: any(link._frames or events.received for link in roll(events)))
        peer.close(1001)
        await peer.gone.wait()
        *outputs, gap = await take(events, 101)
    assert [event.output for event in outputs if isinstance(event, ScriptOutput)] == [*map(str, range(100))]
    assert isinstance(gap, Gap)


async def test_a_catch_up_goes_through_a_full_pipe(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        rest.closed = True
        (await gateway.peer()).cut()
        fill(await gateway.peer(1), 100)
        await until(lambda: any(link._deaf for link in roll(events)))
        rest.closed = False
        gap, *outputs = await take(events, 101)
    assert isinstance(gap, Gap)
    assert [type(event) for event in outputs] == [ScriptOutput] * 100
