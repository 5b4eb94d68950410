"""Live events: the present state first, `Live`, a stored position, and agents that come and go meanwhile."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.stream.fake_gateway import (
    Gateway,
    Rest,
    all_of,
    an_alert,
    based,
    data,
    drain,
    line,
    roll,
    running,
    subscribe,
    take,
    until,
)
from trmm_async.errors import ClosedError, ConnectionFailedError, InvalidRequestError, PermissionDeniedError
from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Ended, Event, Gap, Live, ScriptOutput

gateway = pytest.fixture(running)


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


# The present state, and then changes.


async def test_the_present_state_then_live_then_changes(gateway: Gateway) -> None:
    rest = Rest(statuses={"a": "offline"})
    rest.keep(an_alert(2), an_alert(1, "full"), an_alert(3, resolved=True), an_alert(4, who="other"))
    before = datetime.now(UTC)
    async with subscribe(gateway, rest=rest, snapshot=True) as events:
        *state, live = await all_of(events, 4)
        (await gateway.peer()).send(line(1))
        assert await all_of(events, 1) == [ScriptOutput(agent_id="a", output="1")]
    assert state == [
        AgentOffline(agent_id="a"),
        AlertEvent(agent_id="a", alert=an_alert(1, "full")),
        AlertEvent(agent_id="a", alert=an_alert(2)),
    ]
    assert isinstance(live, Live)
    assert before <= live.time <= datetime.now(UTC)


async def test_there_is_no_hole_between_the_state_and_the_changes(gateway: Gateway) -> None:
    rest = Rest(closed=True)
    async with subscribe(gateway, rest=rest, snapshot=True) as events:
        peer = await gateway.peer()
        await until(lambda: len(rest.calls) == 1)
        assert events.state == {"a": "catching up"}
        rest.keep(an_alert(1, "second"))
        peer.send(data("alert", id=1, message="first"), data("alert", id=1, message="second"))
        rest.closed = False
        heard = await all_of(events, 4)
        assert events.state == {"a": "live"}
    assert heard[:3] == [
        AgentOnline(agent_id="a"),
        AlertEvent(agent_id="a", alert=an_alert(1, "first")),
        AlertEvent(agent_id="a", alert=an_alert(1, "second"), change="changed"),
    ]
    assert isinstance(heard[3], Live)


async def test_a_state_longer_than_the_queue_keeps_nobody_from_entering(gateway: Gateway) -> None:
    rest = Rest(statuses={"a": "online", "b": "offline"})
    rest.keep(*(an_alert(number) for number in range(20)))
    async with subscribe(gateway, ["a", "b"], rest, snapshot=True, queue=2) as events:
        heard = await all_of(events, 24)
    assert kinds(heard).count("Live") == 2
    assert kinds(heard).count("AlertEvent") == 20


async def test_a_connection_lost_before_the_state_was_told_is_made_again_for_it(gateway: Gateway) -> None:
    rest = Rest(closed=True)
    rest.keep(an_alert(1))
    async with subscribe(gateway, rest=rest, snapshot=True) as events:
        await until(lambda: len(rest.calls) == 1)
        (await gateway.peer()).cut()
        rest.closed = False
        heard = await all_of(events, 4)
    assert kinds(heard) == ["Gap", "AgentOnline", "AlertEvent", "Live"]


async def test_a_state_that_can_not_be_read_at_first_is_read_later(gateway: Gateway) -> None:
    rest = Rest(errors=[ConnectionFailedError("away")])
    async with subscribe(gateway, rest=rest, snapshot=True) as events:
        assert kinds(await all_of(events, 2)) == ["AgentOnline", "Live"]


async def test_a_key_that_may_not_read_the_state_ends_the_stream(gateway: Gateway) -> None:
    rest = Rest(errors=[PermissionDeniedError(403, "no", method="GET", path="/alerts/")])
    with pytest.raises(PermissionDeniedError):
        async with subscribe(gateway, rest=rest, snapshot=True):
            pass


async def test_behind_every_gap_stands_live_when_all_is_caught_up(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        for times in range(3):
            peer = await gateway.peer(times)
            await based(rest, peer, times + 1)
            rest.keep(an_alert(times))
            peer.cut()
            (await gateway.peer(times + 1)).send(line(times))
            heard = await all_of(events, 4)
            assert kinds(heard[:2]) == ["Gap", "AlertEvent"]
            assert sorted(kinds(heard[2:])) == ["Live", "ScriptOutput"]
            gap = heard[0]
            assert isinstance(gap, Gap)
            assert Live(agent_id="a", time=gap.until) in heard


# A stored position.


async def test_what_happened_since_a_position_is_caught_up(gateway: Gateway) -> None:
    rest = Rest()
    rest.keep(an_alert(1), an_alert(2))
    async with subscribe(gateway, rest=rest, snapshot=True) as events:
        await all_of(events, 4)
        position = events.position
        left = datetime.now(UTC)
    rest.keep(an_alert(1, resolved=True), an_alert(3))
    rest.statuses["a"] = "offline"
    async with subscribe(gateway, rest=rest, since=position, snapshot=True) as events:
        gap, *caught_up = await all_of(events, 5)
        after = events.position
    assert isinstance(gap, Gap)
    assert gap.reason == "taken up at a stored position"
    assert gap.since <= left <= gap.until
    assert caught_up[:3] == [
        AgentOffline(agent_id="a"),
        AlertEvent(agent_id="a", alert=an_alert(1, resolved=True), change="resolved"),
        AlertEvent(agent_id="a", alert=an_alert(3)),
    ]
    assert isinstance(caught_up[3], Live)
    async with subscribe(gateway, rest=rest, since=after) as events:
        assert kinds(await all_of(events, 2)) == ["Gap", "Live"]


async def test_what_the_reader_had_not_taken_is_told_again(gateway: Gateway) -> None:
    rest = Rest()
    events = subscribe(gateway, rest=rest, queue=2)
    async with events:
        peer = await gateway.peer()
        await based(rest, peer)
        for number in range(6):
            rest.keep(an_alert(number))
            peer.send(data("alert", id=number, message=""))
        await until(lambda: events.received == 6)
        assert await all_of(events, 1) == [AlertEvent(agent_id="a", alert=an_alert(0))]
    async with subscribe(gateway, rest=rest, since=events.position) as again:
        heard = await all_of(again, 7)
    assert heard[1:6] == [AlertEvent(agent_id="a", alert=an_alert(number)) for number in range(1, 6)]


async def test_an_agent_that_is_not_in_the_position_begins_anew(gateway: Gateway) -> None:
    rest = Rest(statuses={"a": "online", "b": "online"})
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        position = events.position
    async with subscribe(gateway, ["a", "b"], rest, since=position, snapshot=True) as events:
        heard = await all_of(events, 4)
    assert kinds([event for event in heard if event.agent_id == "a"]) == ["Gap", "Live"]
    assert kinds([event for event in heard if event.agent_id == "b"]) == ["AgentOnline", "Live"]


async def test_a_position_from_within_a_gap_begins_where_the_gap_does(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        rest.closed = True
        rest.statuses["a"] = "offline"
        lost = datetime.now(UTC)
        (await gateway.peer()).cut()
        await until(lambda: len(rest.calls) == 2)
        position = events.position
        rest.closed = False
    async with subscribe(gateway, rest=rest, since=position) as events:
        gap, down = await take(events, 2)
    assert isinstance(gap, Gap)
    assert gap.since <= lost
    assert isinstance(down, AgentOffline)


async def test_a_position_before_entering_is_the_one_that_was_given(gateway: Gateway) -> None:
    async with subscribe(gateway, rest=Rest()) as events:
        position = events.position
    assert subscribe(gateway, since=position).position == position
    with pytest.raises(InvalidRequestError):
        subscribe(gateway, since="nonsense")


# Agents that come and go.


async def test_agents_are_added_and_removed_while_it_runs(gateway: Gateway) -> None:
    rest = Rest(statuses={"a": "online", "b": "offline"})
    async with subscribe(gateway, rest=rest, snapshot=True) as events:
        assert kinds(await all_of(events, 2)) == ["AgentOnline", "Live"]
        await events.add("b")
        assert events.state["b"] in {"catching up", "live"}
        assert await take(events, 1) == [AgentOffline(agent_id="b")]
        peer = await gateway.peer(1)
        peer.send(line(1, "b"))
        await until(lambda: events.received == 1)
        events.remove("b")
        assert events.state == {"a": "live"}
        await until(lambda: len(roll(events)) == 1)
        (await gateway.peer()).send(line(2))
        assert await take(events, 1) == [ScriptOutput(agent_id="a", output="2")]
        assert events.received == 2


async def test_adding_what_is_followed_and_removing_what_is_not_change_nothing(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        await events.add("a")
        events.remove("b")
        assert events.state == {"a": "live"}
        assert len(gateway.handshakes) == 1
        with pytest.raises(InvalidRequestError):
            events.add("")


async def test_agents_are_added_and_removed_before_it_runs(gateway: Gateway) -> None:
    events = subscribe(gateway)
    await events.add("b")
    events.remove("a")
    async with events:
        assert events.state == {"b": "live"}
    with pytest.raises(ClosedError):
        events.add("c")
    events.remove("b")


async def test_an_added_agent_that_is_refused_is_told_and_may_be_tried_again(gateway: Gateway) -> None:
    gateway.answers["b"] = [(403, {}, ""), (101, {}, "")]
    async with subscribe(gateway) as events:
        await events.add("b")
        (ended,) = await take(events, 1)
        assert isinstance(ended, Ended)
        assert events.state == {"a": "live", "b": "ended"}
        await events.add("b")
        assert events.state == {"a": "live", "b": "live"}


async def test_a_stream_without_agents_waits_for_some(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        events.remove("a")
        waiting = asyncio.ensure_future(anext(events))
        await events.add("a")
        (await gateway.peer(1)).send(line(1))
        async with asyncio.timeout(30):
            assert await waiting == ScriptOutput(agent_id="a", output="1")


async def test_nothing_can_be_added_when_all_were_refused(gateway: Gateway) -> None:
    gateway.answers = {"a": [(404, {}, "")], "b": [(404, {}, "")]}
    async with subscribe(gateway, ["a", "b"]) as events:
        await drain(events)
        with pytest.raises(ClosedError):
            events.add("c")


async def test_removing_an_agent_lets_the_others_that_waited_for_room_in(gateway: Gateway) -> None:
    async with subscribe(gateway, ["a", "b"], queue=2) as events:
        await until(lambda: len(gateway.peers) == 2)
        peers = {peer.agent_id: peer for peer in gateway.peers}
        peers["a"].send(*(line(number) for number in range(5)))
        await until(lambda: events.received == 5)
        peers["b"].send(line(7, "b"))
        await until(lambda: events.received == 6)
        events.remove("a")
        assert await take(events, 1) == [ScriptOutput(agent_id="b", output="7")]


async def test_an_agent_that_has_ended_is_caught_up_when_it_is_tried_again(gateway: Gateway) -> None:
    rest = Rest(statuses={"a": "online", "b": "online"})
    async with subscribe(gateway, ["a", "b"], rest, snapshot=True) as events:
        await all_of(events, 4)
        peer = next(peer for peer in gateway.peers if peer.agent_id == "b")
        peer.close(4403, "no more")
        assert isinstance((await take(events, 1))[0], Ended)
        rest.statuses["b"] = "offline"
        await events.add("b")
        assert kinds(await all_of(events, 3)) == ["Gap", "AgentOffline", "Live"]


async def test_an_agent_that_was_removed_begins_anew(gateway: Gateway) -> None:
    rest = Rest()
    async with subscribe(gateway, rest=rest) as events:
        await based(rest, await gateway.peer())
        position = events.position
    rest.keep(an_alert(1))
    async with subscribe(gateway, rest=rest, since=position, snapshot=True) as events:
        assert kinds(await all_of(events, 3)) == ["Gap", "AlertEvent", "Live"]
        events.remove("a")
        await events.add("a")
        assert kinds(await all_of(events, 3)) == ["AgentOnline", "AlertEvent", "Live"]
