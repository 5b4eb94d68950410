"""Filters of agents: checked before anything is sent, and turned into ids."""

from typing import Any

import pytest

from trmm_async import InvalidRequestError
from trmm_async.dialects import AgentFilter
from trmm_async.models import Client, Site
from trmm_async.resources.filters import agent_query


class Listed:
    """Stands for an `Api` whose server has these clients, and counts how often they are listed."""

    def __init__(self) -> None:
        self.lists = 0

    async def send(self, intent: Any) -> list[Client]:
        del intent
        self.lists += 1
        main = [Site(id=11, name="Main"), Site(id=21, name="Main")]
        return [Client(id=1, name="Acme", sites=(main[0],)), Client(id=2, name="Hermes", sites=(main[1],))]


async def resolved(**which: Any) -> tuple[AgentFilter, int]:
    api: Any = Listed()
    given = {"hostname": None, "client": None, "site": None, "monitoring_type": None, **which}
    return await agent_query(**given).resolve(api), api.lists


async def test_ids_are_taken_as_they_are_and_nobody_is_asked() -> None:
    assert await resolved() == (AgentFilter(), 0)
    every: dict[str, Any] = {"hostname": "PC-1", "client": 2, "site": 21, "monitoring_type": "server"}
    assert await resolved(**every) == (AgentFilter(**every), 0)
    assert await resolved(client=Client(id=2, name="x"), site=Site(id=21, name="y")) == (
        AgentFilter(client=2, site=21),
        0,
    )


async def test_names_are_looked_up_at_once_and_a_site_is_one_of_the_client() -> None:
    assert await resolved(client="hermes", site="main") == (AgentFilter(client=2, site=21), 1)
    assert await resolved(site="acme/main") == (AgentFilter(site=11), 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hostname": ""},
        {"hostname": 5},
        {"client": ""},
        {"client": 1.5},
        {"client": True},
        {"site": []},
        {"monitoring_type": "servers"},
        {"monitoring_type": ""},
    ],
)
def test_what_can_not_be_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    given = {"hostname": None, "client": None, "site": None, "monitoring_type": None, **wrong}
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        agent_query(**given)
