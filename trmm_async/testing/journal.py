"""What the stock server writes down: the history of runs, and the notes on agents.

Below: `nouns.py`. Above: `world.py` has one, the stock dialect fills and shows it. Pure: the clock is handed
in.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from .nouns import Note, RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AgentRecords"]


class AgentRecords:
    """History rows and notes by their ids, in the order of their writing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._row_ids = count(1)
        self._note_ids = count(1)
        self._value_ids = count(1)
        self.history: dict[int, RunRecord] = {}
        self.notes: dict[int, Note] = {}

    def write(
        self,
        agent_id: str,
        *,
        type: str,  # noqa: A002 - the column's name
        username: str,
        command: str = "",
        script: int | None = None,
        time: float | None = None,
    ) -> RunRecord:
        """Add a history row, without results as yet, of now or another time, and return it."""
        when = self._clock() if time is None else time
        row = RunRecord(next(self._row_ids), agent_id, when, type, username, command, script)
        self.history[row.id] = row
        return row

    def history_of(self, agent_id: str) -> list[RunRecord]:
        """Return one agent's history rows."""
        return [row for row in self.history.values() if row.agent_id == agent_id]

    def add_note(self, agent_id: str, *, username: str, note: str) -> Note:
        """Leave a note on an agent and return it."""
        made = Note(next(self._note_ids), agent_id, username, note, self._clock())
        self.notes[made.pk] = made
        return made

    def notes_of(self, agent_id: str) -> list[Note]:
        """Return one agent's notes."""
        return [note for note in self.notes.values() if note.agent_id == agent_id]

    def next_value_id(self) -> int:
        """Return a number for the next value of a custom field."""
        return next(self._value_ids)

    def forget(self, agent_id: str) -> None:
        """Remove everything about an agent."""
        self.history = {key: row for key, row in self.history.items() if row.agent_id != agent_id}
        self.notes = {key: note for key, note in self.notes.items() if note.agent_id != agent_id}

    def forget_script(self, script: int) -> None:
        """Let rows about a deleted script name none, as the server does."""
        for row in self.history.values():
            if row.script == script:
                row.script = None
