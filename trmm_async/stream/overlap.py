"""Alerts that are read in two ways at once, all of them by looks and one by one: which answer is newer. Pure.

Below `polling`. An answer can't be older than its question, and that is all that is known: what was asked
before a look was told may be older than that look, and is thrown away; what was asked and answered while a
look was under way stands over what the look shows, and the next look has the last word.
"""

from collections.abc import Collection, Iterable

from trmm_async.models import Alert

__all__ = ["Overlap"]


class Overlap:
    """The order of answers. One question about an alert is under way at a time, and one look."""

    def __init__(self) -> None:
        self._told_looks = 0
        self._is_looking = False
        self._heard: dict[int, Alert] = {}

    def __repr__(self) -> str:
        return f"<Overlap of {self._told_looks} looks with {len(self._heard)} alerts>"

    def begin_look(self) -> None:
        """All alerts are asked for from now on."""
        self._is_looking, self._heard = True, {}

    def end_look(self, alerts: Iterable[Alert]) -> Collection[Alert]:
        """The answer, as it may be told: now."""
        self._told_looks += 1
        heard, self._is_looking, self._heard = self._heard, False, {}
        return ({alert.id: alert for alert in alerts} | heard).values()

    def ask(self) -> int:
        """One alert is asked for from now on; what `hear` is to be given with the answer."""
        return self._told_looks

    def hear(self, asked: int, alert: Alert) -> bool:
        """The answer. Whether it may be told; if so: now."""
        if asked != self._told_looks:
            return False
        if self._is_looking:
            self._heard[alert.id] = alert
        return True
