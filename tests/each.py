"""Many small cases in one test: an item of pytest's for each would take longer than the check itself."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def for_each(cases: Iterable[T], check: Callable[[T], object]) -> None:
    """Check all of them, those behind one that fails as well; each failure says of which case it is."""
    failed: list[Exception] = []
    checked = 0
    for case in cases:
        checked += 1
        try:
            check(case)
        except Exception as error:  # noqa: BLE001
            error.add_note(f"the case: {case!r}")
            failed.append(error)
    assert checked, "no case at all"
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {checked} cases", failed)
