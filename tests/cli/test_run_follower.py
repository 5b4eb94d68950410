"""Following a run where the loop takes no signal handlers, as those of Windows don't."""

import asyncio
import signal
from typing import Any

import pytest

from trmm_async import TRMM
from trmm_async.cli.exits import Exit
from trmm_async.cli.outcome_form import OutcomeForm
from trmm_async.cli.run_follower import RunFollower
from trmm_async.testing import Simulator

LONGEST = 120


class WindowsLoop(asyncio.SelectorEventLoop):
    """A loop with the gap that those of Windows have."""

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


async def interrupted(times: int, seconds: float) -> Exit:
    """Follow a run of two at a time over four, with so many Ctrl-C once two are under way."""
    simulator = Simulator(agents=4, rate_limit=None, script_seconds=seconds)
    async with simulator as server, TRMM(server.url, api_key=server.api_key) as trmm:
        job = trmm.fleet.run_script(server.agent_ids, 1, width=2)
        following = asyncio.create_task(RunFollower(OutcomeForm(as_jsonl=True), {}).follow(job))
        async with asyncio.timeout(LONGEST):
            while len(server.runs) < 2:
                await asyncio.sleep(0.01)
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
                await asyncio.sleep(0)
            code = await following
        assert len(server.runs) == 2
    return code


@pytest.mark.parametrize(
    ("times", "seconds", "says"),
    [(1, 0.5, "4 agents: 2 succeeded, 2 skipped"), (2, 60.0, "4 agents: 2 unknown, 2 skipped")],
)
def test_ctrl_c_is_gentle_once_and_ends_it_the_second_time(
    times: int, seconds: float, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with asyncio.Runner(loop_factory=WindowsLoop) as runner:
        assert runner.run(interrupted(times, seconds)) == Exit.INTERRUPTED
    assert signal.getsignal(signal.SIGINT) is before
    told = capsys.readouterr().err
    assert "Nothing more is sent; what is in progress is waited for" in told
    assert says in told
