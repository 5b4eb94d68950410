"""How each event is told."""

from datetime import UTC, datetime
from typing import Any

import pytest

import trmm_async as sdk
from trmm_async.cli.event_lines import row_of, told_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WHO: dict[str, Any] = {"agent_id": "abc"}
ALERT = sdk.Alert(id=7, severity="error", message="C: 97% used")
EVENTS: list[tuple[Any, str]] = [
    (sdk.AgentOnline(**WHO, time=NOON), "came online"),
    (sdk.AgentOffline(**WHO, time=NOON), "went offline"),
    (sdk.AlertEvent(**WHO, alert=ALERT), "alert 7, error: C: 97% used"),
    (sdk.AlertEvent(**WHO, alert=sdk.Alert(id=7, resolved=True)), "alert 7, resolved:"),
    (sdk.AlertEvent(**WHO, alert=sdk.Alert(id=7, snoozed=True)), "alert 7, snoozed:"),
    (sdk.ScriptOutput(**WHO, output="one\x1b[2J\n"), "script says one[2J"),
    (sdk.ScriptOutput(**WHO, done=True, exit_code=3), "script ended with 3"),
    (sdk.Gap(**WHO, since=NOON, until=NOON, dropped=4), "out of sight from "),
    (sdk.ScriptOutput(**WHO, output="one\n", done=True, exit_code=3), "script ended with 3: one"),
    (sdk.Live(**WHO, time=NOON), "up to date again"),
    (
        sdk.DashboardCounts(**WHO, servers=1, servers_offline=0, workstations=0, workstations_offline=0),
        "servers",
    ),
    (sdk.Ended(**WHO, error=sdk.NotFoundError(404, "gone")), "no more events: 404: gone"),
    (sdk.UnknownEvent(**WHO, action="news", raw=b'{"action": "news"}'), "news"),
]


@pytest.mark.parametrize(("event", "words"), EVENTS, ids=lambda value: type(value).__name__)
def test_for_people(event: Any, words: str) -> None:
    text = told_of(event, {"abc": "JADE-PC"}).plain
    assert "  JADE-PC  " in text
    assert words in text
    assert "\n" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("event", "words"), EVENTS, ids=lambda value: type(value).__name__)
def test_for_programs(event: Any, words: str) -> None:
    row = row_of(event, {"abc": "JADE-PC"})
    assert (row["event"], row["hostname"], row["agent_id"]) == (type(event).__name__, "JADE-PC", "abc")
    assert set(event.__struct_fields__) <= set(row)


def test_every_event_was_looked_at() -> None:
    assert {type(event) for event, _ in EVENTS} == set(sdk.Event.__args__)
