"""Events read once and told to many through real engines, whoever is killed, stale or too late."""

import asyncio
import signal
from typing import Any

import pytest

from tests.forked import forks
from tests.relay.buses import LEASE, NAME, QUICK, Bus, relayed, relaying
from tests.relay.reading import is_live, messages, says, some, up_to
from tests.servers import served, until
from trmm_async import TRMM, ClosedError, Ended, Event, Gap, Relay, StreamState

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


def told_dropped(found: list[Event]) -> int:
    return sum(event.dropped for event in found if isinstance(event, Gap))


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
                # Of messages and gaps, the last may come behind the last Live.
                while len(set(messages(found))) < 21 or told_dropped(found) != relay.dropped:
                    found.append(await anext(events))
            gaps = [event for event in found if isinstance(event, Gap) and event.dropped]
            assert told_dropped(found) == relay.dropped
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
