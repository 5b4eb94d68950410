"""The counts of the dashboard: recorded frames and others, read without a server."""

import json
from pathlib import Path

import pytest

from trmm_async.dialects.stock.dashboard import counts
from trmm_async.errors import UnsupportedError
from trmm_async.events import DASHBOARD, DashboardCounts, UnknownEvent

RECORDING = Path(__file__).parents[2] / "recordings" / "ws" / "dashinfo.json"


def test_the_recorded_frames_are_read() -> None:
    frames = json.loads(RECORDING.read_text())["frames"]
    for frame in frames:
        assert counts(DASHBOARD, json.dumps(frame["data"]).encode()) == DashboardCounts(
            servers=103, servers_offline=22, workstations=117, workstations_offline=22, certificate_days=89
        )


@pytest.mark.parametrize(
    ("frame", "action"),
    [
        (b"no json", None),
        (b"[]", None),
        (b'{"action": "news", "data": {}}', "news"),
        (b'{"action": "dashboard.agentcount", "data": {}}', "dashboard.agentcount"),
        (b'{"action": "dashboard.agentcount"}', "dashboard.agentcount"),
        (b'{"action": 5}', None),
    ],
)
def test_any_other_frame_is_an_unknown_event(frame: bytes, action: str | None) -> None:
    assert counts(DASHBOARD, frame) == UnknownEvent(agent_id=DASHBOARD, action=action, raw=frame)


def test_a_frame_of_a_server_before_0_19_0_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"0\.19\.0"):
        counts(DASHBOARD, json.dumps(json.loads(RECORDING.read_text())["frames"][0]["data"]["data"]).encode())
