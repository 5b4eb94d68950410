"""What became of each target of a fleet run.

Over `errors` and `models`. Every target of a run gets exactly one of these.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias

import msgspec

from trmm_async.errors import TRMMError

if TYPE_CHECKING:
    # The checkers have it with them; it is no dependency.
    from typing_extensions import TypeVar

    from trmm_async.models import ScriptResult

    T_co = TypeVar("T_co", covariant=True, default=ScriptResult)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

__all__ = ["Counts", "Done", "Failed", "Outcome", "Skipped", "Unknown"]


class Done(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """It was done, and this came of it: a script ran, whose return code may still be other than 0."""

    agent_id: str
    result: T_co


class Failed(msgspec.Struct, frozen=True):
    """It certainly was not done: the script did not run, no call that changes something was sent."""

    agent_id: str
    error: TRMMError


class Unknown(msgspec.Struct, frozen=True):
    """It may have been done: the answer was lost, or the run was left while it was under way."""

    agent_id: str
    error: TRMMError


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """Never tried."""

    agent_id: str
    reason: str


Outcome: TypeAlias = Done[T_co] | Failed | Unknown | Skipped
"""What became of a target, by what `Done` has: `Outcome[bool]`. `Outcome` alone is that of a script."""


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
