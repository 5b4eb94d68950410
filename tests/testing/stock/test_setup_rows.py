"""The server's settings as they are at first."""

from __future__ import annotations

from trmm_async.testing.stock.models import SETTINGS
from trmm_async.testing.stock.setup_rows import CORE_SETTINGS, DASHBOARD

from .replay import recording


def test_they_are_what_the_columns_have_at_first() -> None:
    blank = SETTINGS.blank()
    assert {name: CORE_SETTINGS[name] for name in blank} == blank
    assert SETTINGS.read(CORE_SETTINGS, partial=True) == blank


def test_they_and_what_a_dashboard_is_told_have_the_recorded_keys() -> None:
    for name, rows in (("core_settings", CORE_SETTINGS), ("core_dashinfo", DASHBOARD)):
        body = recording(name).body
        assert isinstance(body, dict)
        assert rows.keys() == body.keys()
