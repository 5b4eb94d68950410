"""The events themselves: how they are written, shown and matched."""

import json
from datetime import UTC, datetime

import pytest

from trmm_async import ServerError
from trmm_async.events import (
    DASHBOARD,
    AgentOnline,
    AlertEvent,
    DashboardCounts,
    Ended,
    Gap,
    UnknownEvent,
    note_change,
    note_host,
)
from trmm_async.models import Alert

THEN = datetime(2026, 4, 21, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "written"),
    [
        (AgentOnline(agent_id="a", time=THEN), {"time": "2026-04-21T08:00:00Z"}),
        (
            Gap(agent_id="a", since=THEN, until=THEN, dropped=2),
            {"since": "2026-04-21T08:00:00Z", "until": "2026-04-21T08:00:00Z", "reason": "", "dropped": 2},
        ),
        (UnknownEvent(agent_id="a", action=None, raw=b"\xff{"), {"action": None, "raw": "/3s="}),
        (
            Ended(agent_id="a", error=ServerError(500, "x")),
            {"error": {"type": "ServerError", "text": "500: x"}},
        ),
    ],
)
def test_each_is_written_by_its_name_and_fields(event: AgentOnline, written: dict[str, object]) -> None:
    told = {"event": type(event).__name__, "hostname": None, "agent_id": "a", **written}
    assert event.to_dict() == told
    assert json.loads(json.dumps(event.to_dict())) == told


def test_an_event_of_the_dashboard_is_of_no_agent() -> None:
    counts = DashboardCounts(servers=1, servers_offline=0, workstations=2, workstations_offline=1)
    assert counts.agent_id == DASHBOARD
    assert counts.certificate_days is None


def test_what_is_noted_stands_in_the_event_itself() -> None:
    event = AlertEvent(agent_id="a", alert=Alert(id=1))
    note_host(event, "PC-1")
    note_change(event, "snoozed")
    assert event == AlertEvent(agent_id="a", alert=Alert(id=1), hostname="PC-1", change="snoozed")
    with pytest.raises(AttributeError):
        event.change = "raised"  # type: ignore[misc]


def test_they_are_matched_by_keyword_and_shown_in_short() -> None:
    match AgentOnline(agent_id="a", time=THEN):
        case AgentOnline(agent_id=who, time=when):
            assert (who, when) == ("a", THEN)
        case _:
            raise AssertionError
    shown = repr(UnknownEvent(agent_id="a", action="news", raw=b"x" * 10_000))
    assert shown.startswith("UnknownEvent(agent_id='a', action='news', raw=b'xxx")
    assert len(shown) < 500
