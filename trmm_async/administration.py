"""Past results of checks."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trmm_async.models import Moment, no_extra

__all__ = ["CheckHistoryPoint"]


class CheckHistoryPoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One past result of a check: a percentage, or 0 and 1, by its type; `results` is what else was kept."""

    time: Moment | None = None
    value: float | None = None
    results: Any = None
    extra: Mapping[str, Any] = no_extra()
