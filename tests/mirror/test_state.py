"""A mirror's state and its indexes, whatever happens to its agents."""

import asyncio
import gc
import tracemalloc
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import eq

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import (
    Agent,
    Alert,
    ClientRef,
    SiteRef,
)
from trmm_async.mirror.feeds import resync
from trmm_async.mirror.state import MirrorState

AGENTS = st.builds(
    lambda name, client, site, status: Agent(
        agent_id=name,
        client=ClientRef(id=client, name=f"client {client}"),
        site=SiteRef(id=site, name=f"site {site}"),
        status=status,
    ),
    st.sampled_from("abcd"),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["online", "offline"]),
)


@given(st.lists(AGENTS | st.sampled_from("abcd"), max_size=20))
def test_an_index_holds_what_a_look_at_all_agents_finds(steps: list[Agent | str]) -> None:
    state = MirrorState(inventory=True, custom_fields=True)
    for step in steps:
        if isinstance(step, str):
            state.drop(step)
        else:
            state.put(step)
    agents = state.agents.values()
    for number in range(1, 4):
        of_client = state.by_client.of(partial(eq, (number, f"client {number}")))
        assert sorted(of_client) == sorted(agent.agent_id for agent in agents if agent.client.id == number)
        near = state.by_site.of(partial(eq, (number, f"site {number}")))
        assert sorted(near) == sorted(agent.agent_id for agent in agents if agent.site.id == number)
    offline = sorted(state.by_status.of(partial(eq, "offline")))
    assert offline == sorted(agent.agent_id for agent in agents if agent.status == "offline")


def test_an_index_asks_as_many_keys_as_there_are() -> None:
    state = MirrorState(inventory=True, custom_fields=True)
    for number in range(100):
        state.put(Agent(agent_id=f"a{number}", status="online"))
    state.put(msgspec.structs.replace(state.agents["a7"], status="offline"))
    asked: list[str] = []

    def is_offline(status: str) -> bool:
        asked.append(status)
        return status == "offline"

    assert list(state.by_status.of(is_offline)) == ["a7"]
    assert sorted(asked) == ["offline", "online"]


class TestTheState:
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
