"""How Windows updates are dealt with: by the patch policy of a policy, or by an agent's own.

The methods are `policies.patches` and `agents.update`.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, TypedDict

from trmm_async import arguments
from trmm_async.models import Noun, no_extra

__all__ = ["PATCHES", "PatchChanges", "PatchPolicy", "patch_policy_of", "patch_settings"]

PatchAction = Literal["manual", "approve", "ignore", "inherit"]


class PatchPolicy(Noun, frozen=True, kw_only=True, gc=False):
    """How Windows updates are dealt with: of a policy, or an agent's own.

    `critical` to `other`: "manual", "approve", "ignore" or "inherit". `run_time_frequency`: "daily",
    "monthly" or "inherit"; `run_time_hour` by the agent's clock; `run_time_days` of the week, Monday is 0;
    `run_time_day` of the month. `reboot_after_install`: "never", "required", "always" or "inherit".
    """

    id: int
    """The server's id of it."""
    policy: int | None = None
    """The policy that it is part of, by id; None for none."""
    critical: str = ""
    important: str = ""
    """What is done with important updates: "manual", "approve", "ignore" or "inherit"."""
    moderate: str = ""
    """The same with moderate ones."""
    low: str = ""
    """The same with those of low severity."""
    other: str = ""
    run_time_frequency: str = ""
    run_time_hour: int | None = None
    run_time_days: tuple[int, ...] = ()
    run_time_day: int | None = None
    reboot_after_install: str = ""
    reprocess_failed_inherit: bool = False
    """Whether the next three are those from above."""
    reprocess_failed: bool = False
    """Whether what has failed is tried again."""
    reprocess_failed_times: int | None = None
    """How often."""
    email_if_fail: bool = False
    """Whether a failure goes out by e-mail."""
    extra: Mapping[str, Any] = no_extra()


class PatchChanges(TypedDict, total=False):
    """Settings of a patch policy; see `PatchPolicy`."""

    critical: PatchAction
    important: PatchAction
    moderate: PatchAction
    low: PatchAction
    other: PatchAction
    run_time_frequency: Literal["daily", "monthly", "inherit"]
    run_time_hour: int
    run_time_days: Iterable[int]
    run_time_day: int
    reboot_after_install: Literal["never", "required", "always", "inherit"]
    reprocess_failed_inherit: bool
    reprocess_failed: bool
    reprocess_failed_times: int
    email_if_fail: bool


def _days(values: object, what: str) -> list[object]:
    days: Any = arguments.each(partial(arguments.integer, minimum=0, maximum=6))(values, what)
    return sorted({*days})


_action: Final = partial(arguments.choice, allowed=("manual", "approve", "ignore", "inherit"))
PATCHES: Final[arguments.Checks] = {
    **dict.fromkeys(("critical", "important", "moderate", "low", "other"), _action),
    "run_time_frequency": partial(arguments.choice, allowed=("daily", "monthly", "inherit")),
    "run_time_hour": partial(arguments.integer, minimum=0, maximum=23),
    "run_time_days": _days,
    "run_time_day": partial(arguments.integer, minimum=1, maximum=31),
    "reboot_after_install": partial(arguments.choice, allowed=("never", "required", "always", "inherit")),
    "reprocess_failed_inherit": arguments.boolean,
    "reprocess_failed": arguments.boolean,
    "reprocess_failed_times": partial(arguments.integer, minimum=0, maximum=2**15 - 1),
    "email_if_fail": arguments.boolean,
}
"""How the settings of a patch policy are checked."""


def patch_settings(given: Mapping[str, object]) -> dict[str, Any]:
    """Settings of a new patch policy as they are sent; without any, all are inherited."""
    return arguments.settings(given, PATCHES, "policies.patches.create") if given else {}


def patch_policy_of(rows: tuple[PatchPolicy, ...]) -> PatchPolicy | None:
    """The patch policy that counts, of those that a policy has: the first."""
    return rows[0] if rows else None
