"""Which events a subscription is to be told."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.stream.happenings import CLIENTS, down, gap, live, raised, up
from trmm_async.errors import InvalidRequestError
from trmm_async.events import (
    AgentOffline,
    AgentOnline,
    AlertEvent,
    Event,
    UnknownEvent,
)
from trmm_async.models import Agent, Client, ClientRef
from trmm_async.stream.filters import wanted


def passing(
    events: Sequence[Event],
    *,
    kinds: Any = None,
    agent: Any = None,
    client: Any = None,
    severity: Any = None,
    marks: bool = False,
) -> list[Event]:
    wants = wanted(kinds, agent, client, severity, marks=marks)
    return [event for event in events if wants.lets(event, CLIENTS)]


ALL: list[Event] = [up("a"), down("b"), raised(1), raised(2, severity="info", who="b"), gap(), live("b")]


NONE: list[dict[str, Any]] = [
    {"kinds": int},
    {"kinds": ()},
    {"kinds": "AlertEvent"},
    {"kinds": (AlertEvent, int)},
    {"kinds": [AlertEvent]},
    {"agent": ""},
    {"agent": [5]},
    {"client": -1},
    {"client": ""},
    {"severity": "bad"},
]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ALL),
        ({"kinds": AlertEvent}, ALL[2:4]),
        ({"kinds": (AgentOnline, AgentOffline)}, ALL[:2]),
        ({"kinds": AlertEvent, "marks": True}, ALL[2:]),
        ({"agent": "a"}, [ALL[0], ALL[2], ALL[4]]),
        ({"agent": Agent(agent_id="b")}, [ALL[1], ALL[3], ALL[5]]),
        ({"agent": ["a", Agent(agent_id="b")]}, ALL),
        ({"client": 1}, [ALL[0], ALL[2], ALL[4]]),
        ({"client": "Other"}, [ALL[1], ALL[3], ALL[5]]),
        ({"client": Client(id=1)}, [ALL[0], ALL[2], ALL[4]]),
        ({"client": Client(id=7, name="Other")}, [ALL[1], ALL[3], ALL[5]]),
        ({"client": ClientRef(name="Hermes")}, [ALL[0], ALL[2], ALL[4]]),
        ({"client": 7}, []),
        ({"severity": "error"}, [ALL[2]]),
        ({"severity": ["error", "info"], "marks": True}, ALL[2:]),
    ],
)
def test_only_what_is_wanted_passes(given: dict[str, Any], expected: list[Event]) -> None:
    assert passing(ALL, **given) == expected


def test_an_agent_whose_client_is_not_known_is_of_no_client() -> None:
    assert passing([up("c")], client=1) == []


@pytest.mark.parametrize("given", NONE)
def test_a_filter_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        passing([UnknownEvent(agent_id="a", action=None, raw=b"")], **given)
