"""Checks as a stock server has them: what it would fail on or take is refused before."""

from typing import Any

import pytest

from tests.servers import served
from trmm_async import (
    CpuLoadCheck,
    DiskSpaceCheck,
    EventLogCheck,
    MemoryCheck,
    PingCheck,
    ScriptCheck,
    ServiceCheck,
)
from trmm_async.dialects.stock.checks import changes_body, details_of
from trmm_async.errors import InvalidRequestError


class TestSetUp:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            (DiskSpaceCheck(disk="C:"), "has to be set"),
            (DiskSpaceCheck(disk="C:\\", warning_threshold=5), "a letter and a colon"),
            (DiskSpaceCheck(disk="C:", warning_threshold=5, error_threshold=10), "above error_threshold"),
            (CpuLoadCheck(warning_threshold=90, error_threshold=80), "below error_threshold"),
            (MemoryCheck(warning_threshold=100), "from 0 to 99"),
            (PingCheck(ip="not an address"), "IP address"),
            (PingCheck(ip="10.0.0.1", severity="critical"), "severity"),  # type: ignore[arg-type]
            (ServiceCheck(service=""), "service"),
            (ScriptCheck(script=True), "script"),
            (ScriptCheck(script=1, args="-Path"), "args"),  # type: ignore[arg-type]
            (ScriptCheck(script=1, warning_return_codes=("two",)), "codes"),  # type: ignore[arg-type]
            (ScriptCheck(script=1, timeout=0), "timeout"),
            (EventLogCheck(name="e", log="applications"), "log"),  # type: ignore[arg-type]
            ("ping", "PingCheck"),
        ],
    )
    async def test_what_the_server_would_fail_on_or_take_is_refused(self, settings: Any, words: str) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=words):
                await trmm.checks.create(settings, agent=server.agent_ids[0])
            assert server.requests == []

    def test_a_type_that_is_not_known_here_is_told_in_extra(self) -> None:
        details, _ = details_of(
            b'{"id": 5, "check_type": "quantum", "readable_desc": "Quantum Check", "spin": 1, "policy": 2}'
        )
        assert (details.name, details.settings, details.extra) == ("Quantum Check", None, {"spin": 1})
        with pytest.raises(InvalidRequestError, match="quantum"):
            changes_body("checks.update", {"name": "x"}, details)
