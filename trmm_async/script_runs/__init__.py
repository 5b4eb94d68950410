"""Scripts whose results are collected from a server's history: sent once, and matched to their rows.

Over the transport and the dialects' values, below the resources. Each module calls only those below it:
`pending` (sends one run and reports its outcomes), `commands` and `poller` (read the history for all runs),
`matcher` (which row is which run; pure), `server_clock`, and `tracked` (a run, and what is found out about
it). Only completion comes back up: a poller wakes the runs that wait.
"""

from trmm_async.script_runs.commands import CommandPoller
from trmm_async.script_runs.matcher import RunMatcher
from trmm_async.script_runs.pending import Before, PendingRun, RecoveredRun, run_script
from trmm_async.script_runs.poller import RunPoller
from trmm_async.script_runs.tracked import HistoryWaits, Watermark

__all__ = [
    "Before",
    "CommandPoller",
    "HistoryWaits",
    "PendingRun",
    "RecoveredRun",
    "RunMatcher",
    "RunPoller",
    "Watermark",
    "run_script",
]
