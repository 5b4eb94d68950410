"""What became of each target of a fleet run.

Over `errors` and `models`. Every target of a run gets exactly one of these.
"""

from dataclasses import dataclass

import msgspec

from trmm_async.errors import TRMMError
from trmm_async.models import ScriptResult

__all__ = ["Counts", "Done", "Failed", "Outcome", "Skipped", "Unknown"]


class Done(msgspec.Struct, frozen=True, gc=False):
    """The script ran; its return code may still be other than 0."""

    agent_id: str
    result: ScriptResult


class Failed(msgspec.Struct, frozen=True):
    """The script certainly did not run."""

    agent_id: str
    error: TRMMError


class Unknown(msgspec.Struct, frozen=True):
    """The script may have run: the answer was lost, or the run was left while it was under way."""

    agent_id: str
    error: TRMMError


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """Never tried."""

    agent_id: str
    reason: str


Outcome = Done | Failed | Unknown | Skipped


@dataclass(frozen=True, slots=True)
class Counts:
    """How many targets of a run stand where. The five add up to the number of targets, always."""

    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    pending: int = 0

    @property
    def total(self) -> int:
        """The number of targets."""
        return self.done + self.failed + self.unknown + self.skipped + self.pending
