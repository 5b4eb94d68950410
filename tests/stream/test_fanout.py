"""Handlers, and several consumers of one subscription, each at its own pace."""

import asyncio
import logging
from typing import Any

import pytest

from tests.servers import served
from tests.stream.fake_gateway import (
    Gateway,
    Rest,
    an_alert,
    data,
    line,
    running,
    subscribe,
    until,
)
from trmm_async.errors import ClosedError, InvalidRequestError, NotFoundError
from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Ended, Event, Gap, Live, ScriptOutput
from trmm_async.stream.fanout import Consumer

gateway = pytest.fixture(running)


async def taken(consumer: Consumer, count: int) -> list[Event]:
    async with asyncio.timeout(30):
        return [await anext(consumer) for _ in range(count)]


def texts(events: list[Any]) -> list[str]:
    return [event.output for event in events]


# Handlers.


async def test_callbacks_are_called_with_the_events_of_their_type(gateway: Gateway) -> None:
    lines: list[ScriptOutput] = []
    alerts: list[AlertEvent] = []

    async def keep(event: AlertEvent) -> None:
        await asyncio.sleep(0)
        alerts.append(event)

    events = subscribe(gateway)
    events.on(ScriptOutput, lines.append)
    async with events:
        handler = events.on(AlertEvent, keep)
        (await gateway.peer()).send(line(1), data("alert", id=1, message="full"), line(2))
        await until(lambda: len(lines) == 2 and len(alerts) == 1)
        assert texts(lines) == ["1", "2"]
        assert alerts == [AlertEvent(agent_id="a", alert=an_alert(1, "full"))]
        assert (handler.calls, handler.errors, handler.dropped) == (1, 0, 0)
        assert "1 calls, 0 errors, 0 dropped" in repr(handler)
        assert repr(events._fanout) == "<Fanout to 2 consumers, 2 of them handlers>"
        handler.remove()
        handler.remove()
        (await gateway.peer()).send(data("alert", id=2, message=""), line(3))
        await until(lambda: len(lines) == 3)
        assert len(alerts) == 1


async def test_what_a_callback_raises_is_reported_and_ends_nothing(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    errors: list[tuple[ScriptOutput, Exception]] = []

    def fail(event: ScriptOutput) -> None:
        seen.append(event.output)
        raise ValueError(event.output)

    def report(event: ScriptOutput, error: Exception) -> None:
        errors.append((event, error))
        raise KeyError

    async with subscribe(gateway) as events:
        handler = events.on(ScriptOutput, fail, on_error=report)
        with caplog.at_level(logging.ERROR, "trmm_async.events"):
            (await gateway.peer()).send(line(1), line(2))
            await until(lambda: len(errors) == 2 and handler.errors == 2)
        assert events.state == {"a": "live"}
    assert seen == ["1", "2"]
    assert [str(error) for _, error in errors] == ["1", "2"]
    assert len(caplog.records) == 4
    assert caplog.records[0].exc_info is not None


async def test_running_goes_on_until_the_server_refuses_and_handlers_finish(gateway: Gateway) -> None:
    seen: list[str] = []

    async def slowly(event: ScriptOutput) -> None:
        await asyncio.sleep(0.01)
        seen.append(event.output)

    async with subscribe(gateway) as events:
        events.on(ScriptOutput, slowly)
        peer = await gateway.peer()
        peer.send(line(1), line(2))
        peer.close(4404, "deleted")
        with pytest.raises(NotFoundError):
            async with asyncio.timeout(30):
                await events.run()
    assert seen == ["1", "2"]


async def test_running_ends_when_the_block_is_left_and_only_goes_inside_of_it(gateway: Gateway) -> None:
    events = subscribe(gateway)
    with pytest.raises(ClosedError):
        await events.run()
    async with events:
        run = asyncio.ensure_future(events.run())
        await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await run
    with pytest.raises(ClosedError):
        await events.run()


async def test_leaving_ends_a_callback_that_is_under_way(gateway: Gateway) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang(event: ScriptOutput) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with subscribe(gateway) as events:
        events.on(ScriptOutput, hang)
        (await gateway.peer()).send(line(1))
        async with asyncio.timeout(30):
            await started.wait()
    assert ended.is_set()


async def test_a_slow_callback_is_called_with_the_last_state_in_the_end(gateway: Gateway) -> None:
    go_on = asyncio.Event()
    seen: list[str] = []

    async def slowly(event: AlertEvent) -> None:
        await go_on.wait()
        seen.append(event.alert.message)

    async with subscribe(gateway) as events:
        handler = events.on(AlertEvent, slowly, queue=1)
        (await gateway.peer()).send(*(data("alert", id=1, message=str(number)) for number in range(9)))
        await until(lambda: handler.dropped in {7, 8})
        go_on.set()
        await until(lambda: seen[-1:] == ["8"])
    assert len(seen) <= 3
    assert handler.errors == 0


# Consumers.


async def test_a_slow_consumer_holds_up_nobody_and_is_told_what_it_missed(gateway: Gateway) -> None:
    async with subscribe(gateway, queue=10) as events:
        quick, slow = events.consumer(), events.consumer(queue=5)
        peer = await gateway.peer()
        peer.send(*(line(number) for number in range(50)), data("alert", id=1, message="last"))
        assert texts((await taken(quick, 51))[:50]) == [*map(str, range(50))]
        assert slow.dropped == 46
        assert repr(slow) == "<Consumer <Backlog 5/5, 46 dropped>>"
        heard = await taken(slow, 8)
        assert texts(heard[:5]) == [*map(str, range(5))]
        gap, alert, live = heard[5:]
        assert isinstance(gap, Gap)
        assert gap.dropped == 46
        assert alert == AlertEvent(agent_id="a", alert=an_alert(1, "last"))
        assert isinstance(live, Live)
        peer.send(line(51))
        assert texts(await taken(slow, 1)) == texts(await taken(quick, 1)) == ["51"]


async def test_consumers_take_what_they_want_and_the_marks(gateway: Gateway) -> None:
    rest = Rest(statuses={"a": "online", "b": "online"})
    async with subscribe(gateway, ["a", "b"], rest, snapshot=True) as events:
        with events.consumer(AgentOnline, agent="b") as some:
            assert [type(event) for event in await taken(some, 2)] == [AgentOnline, Live]
        with pytest.raises(ClosedError):
            await anext(some)
        some.close()


async def test_all_consumers_end_with_the_stream_and_later_ones_at_once(gateway: Gateway) -> None:
    gateway.answers = {"a": [(404, {}, "")], "b": [(404, {}, "")]}
    async with subscribe(gateway, ["a", "b"]) as events:
        first = events.consumer()
        assert [type(event) for event in await taken(first, 2)] == [Ended, Ended]
        for consumer in (first, first, events.consumer()):
            with pytest.raises(NotFoundError):
                await taken(consumer, 1)


async def test_a_consumer_is_read_by_one_loop_and_the_subscription_by_none_besides(gateway: Gateway) -> None:
    async with subscribe(gateway) as events:
        consumer = events.consumer()
        with pytest.raises(InvalidRequestError):
            await anext(events)
        waiting = asyncio.ensure_future(anext(consumer))
        await asyncio.sleep(0)
        with pytest.raises(InvalidRequestError):
            await anext(consumer)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        (await gateway.peer()).send(line(1))
        assert texts(await taken(consumer, 1)) == ["1"]
        last = asyncio.ensure_future(anext(consumer))
        await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await last


async def test_a_removed_agent_is_gone_from_all_queues(gateway: Gateway) -> None:
    async with subscribe(gateway, ["a", "b"]) as events:
        consumer = events.consumer()
        await until(lambda: len(gateway.peers) == 2)
        for peer in gateway.peers:
            peer.send(line(1, peer.agent_id))
        await until(lambda: len(consumer.backlog) == 2)
        events.remove("a")
        assert [event.agent_id for event in await taken(consumer, 1)] == ["b"]
        assert len(consumer.backlog) == 0


async def test_a_position_counts_what_consumers_and_callbacks_have_dealt_with(gateway: Gateway) -> None:
    rest = Rest()
    go_on = asyncio.Event()

    async def slowly(event: AgentOffline) -> None:
        await go_on.wait()

    async with subscribe(gateway, rest=rest, snapshot=True) as events:
        consumer = events.consumer()
        handler = events.on(AgentOffline, slowly)
        await taken(consumer, 2)
        rest.statuses["a"] = "offline"
        rest.keep(an_alert(1))
        peer = await gateway.peer()
        peer.send(data("agent.offline", time="2026-04-21T08:00:00Z"), data("alert", id=1, message=""))
        await until(lambda: handler.calls == 1 and len(consumer.backlog) == 2)
        nothing = events.position
        await taken(consumer, 1)
        still = events.position
        go_on.set()
        await until(lambda: not handler.unread())
        one = events.position
        await taken(consumer, 1)
        both = events.position
    for position, count in {nothing: 2, still: 2, one: 1, both: 0}.items():
        async with subscribe(gateway, rest=rest, since=position) as again:
            heard = [await anext(again) for _ in range(count + 2)]
            assert (type(heard[0]), type(heard[-1])) == (Gap, Live)


async def test_filters_by_client_want_to_know_the_clients() -> None:
    async with served("gateway", agents=6) as (server, trmm):
        agents = await trmm.agents.list()
        first, *others = agents
        other = next(agent for agent in others if agent.client.id != first.client.id)
        async with trmm.events(first, other) as events:
            consumer = events.consumer(AgentOffline, client=other.client)
            server.go_offline(first.agent_id)
            server.go_offline(other.agent_id)
            assert [event.agent_id for event in await taken(consumer, 1)] == [other.agent_id]
            unknown = next(agent for agent in agents if agent not in {first, other})
            with pytest.raises(InvalidRequestError, match="objects"):
                events.add(unknown.agent_id)
            await events.add(unknown)
        async with trmm.events(first.agent_id) as events:
            with pytest.raises(InvalidRequestError, match="objects"):
                events.on(AlertEvent, print, client=first.client)
            with pytest.raises(InvalidRequestError):
                events.consumer(queue=0)
