"""The indexes of a mirror's state, whatever happens to its agents."""

from functools import partial
from operator import eq

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import Agent
from trmm_async.mirror.state import MirrorState
from trmm_async.models import ClientRef, SiteRef

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
