"""The outcomes of a fleet run. Every target gets exactly one: `Done`, `Failed`, `Unknown` or `Skipped`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

import msgspec

from trmm_async.errors import TRMMError
from trmm_async.models import as_plain, short_repr

if TYPE_CHECKING:
    # Type checkers bundle typing_extensions, so it is not a dependency of ours.
    from typing_extensions import TypeVar

    from trmm_async.models import ScriptResult

    T_co = TypeVar("T_co", covariant=True, default=ScriptResult)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

__all__ = ["Counts", "Done", "Failed", "Outcome", "Skipped", "Unknown", "note_host"]


class _Told(msgspec.Struct, frozen=True, gc=False):
    """What all outcomes have in common.

    `hostname` is the target's host name. It is known if the target was given as an object, was selected, or
    if the run has read the list of agents; otherwise it is None.
    """

    def to_dict(self) -> dict[str, Any]:
        """All fields by our names, in the types of JSON, and `outcome`, which is the class's name.

        The return value of a function of `fleet.map` is converted as well; a value for which JSON has no type
        becomes its repr.
        """
        return {"outcome": type(self).__name__, **as_plain(self)}

    def __repr__(self) -> str:
        return short_repr(self)


class Done(_Told, Generic[T_co], frozen=True, gc=False):
    """The script ran to its end, or the call returned. A script's return code may be other than 0."""

    agent_id: str
    """The target."""
    result: T_co
    """The result of the script, or the return value of the call."""
    hostname: str | None = None
    """The target's host name; None if it is not known."""


class Failed(_Told, frozen=True, gc=True):
    """The script certainly did not run: the server refused it, or it never reached the server."""

    agent_id: str
    """The target."""
    error: TRMMError
    """The error that the call raised."""
    hostname: str | None = None
    """The target's host name; None if it is not known."""


class Unknown(_Told, frozen=True, gc=True):
    """The script may have run: it was sent, and the answer was lost, or the run was left meanwhile."""

    agent_id: str
    """The target."""
    error: TRMMError
    """The error that the call raised; it says why the outcome is not known."""
    hostname: str | None = None
    """The target's host name; None if it is not known."""


class Skipped(_Told, frozen=True, gc=False):
    """The target was never tried: nothing was sent for it."""

    agent_id: str
    """The target."""
    reason: str
    """Why it was never tried, as a text."""
    hostname: str | None = None
    """The target's host name; None if it is not known."""


def note_host(outcome: "Done[Any] | Failed | Unknown | Skipped", hostname: str) -> None:
    """Set the host name of an outcome. Only for one that has not been handed out yet, since it is frozen."""
    msgspec.structs.force_setattr(outcome, "hostname", hostname)


Outcome: TypeAlias = Done[T_co] | Failed | Unknown | Skipped
"""The outcome of a target. `Outcome[bool]` is that of a call that returns a bool; `Outcome` is a script's."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many targets of a run have which state. The five numbers always add up to the number of targets.

    Attributes:
        done: the script ran, with any return code.
        failed: it certainly did not run.
        unknown: it may have run.
        skipped: the target was never tried.
        pending: the target has no outcome yet.
    """

    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    pending: int = 0

    @property
    def total(self) -> int:
        """The number of targets."""
        return self.done + self.failed + self.unknown + self.skipped + self.pending
