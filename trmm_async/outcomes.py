"""What became of each target of a fleet run.

Over `errors` and `models`. Every target of a run gets exactly one of these.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

import msgspec

from trmm_async.errors import TRMMError
from trmm_async.models import as_plain, short_repr

if TYPE_CHECKING:
    # The checkers have it with them; it is no dependency.
    from typing_extensions import TypeVar

    from trmm_async.models import ScriptResult

    T_co = TypeVar("T_co", covariant=True, default=ScriptResult)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

__all__ = ["Counts", "Done", "Failed", "Outcome", "Skipped", "Unknown", "note_host"]


class _Told(msgspec.Struct, frozen=True, gc=False):
    """What outcomes have in common.

    `hostname` is the target's: if it was given as an object or selected, or the run looked who is offline.
    """

    def to_dict(self) -> dict[str, Any]:
        """All fields by our names, and `outcome`, the class's name, in the types of JSON.

        What a call of `fleet.map` returned is told so, too; what JSON has no type for as its repr.
        """
        return {"outcome": type(self).__name__, **as_plain(self)}

    def __repr__(self) -> str:
        return short_repr(self)


class Done(_Told, Generic[T_co], frozen=True, gc=False):
    """It was done, and this came of it: a script ran, whose return code may still be other than 0."""

    agent_id: str
    """The target."""
    result: T_co
    """What the call returned."""
    hostname: str | None = None


class Failed(_Told, frozen=True, gc=True):
    """It certainly was not done: the script did not run, no call that changes something was sent."""

    agent_id: str
    """The target."""
    error: TRMMError
    """Why it certainly did not run."""
    hostname: str | None = None


class Unknown(_Told, frozen=True, gc=True):
    """It may have been done: the answer was lost, or the run was left while it was under way."""

    agent_id: str
    """The target."""
    error: TRMMError
    """Why it is not known."""
    hostname: str | None = None


class Skipped(_Told, frozen=True, gc=False):
    """Never tried."""

    agent_id: str
    """The target."""
    reason: str
    """Why it was never tried, in words."""
    hostname: str | None = None


def note_host(outcome: "Done[Any] | Failed | Unknown | Skipped", hostname: str) -> None:
    """Say what the target is called, in an outcome that nobody has been given yet."""
    msgspec.structs.force_setattr(outcome, "hostname", hostname)


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
