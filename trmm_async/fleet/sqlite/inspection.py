"""Checks that a journal's database is what was written. It reads all of it, and changes nothing."""

import sqlite3
from pathlib import Path
from typing import Any, Final

from trmm_async.errors import JournalError
from trmm_async.fleet.sqlite.files import GO_ON, Mark
from trmm_async.fleet.sqlite.rows import COLUMNS, OLD_COLUMNS, Seal, sum_of, what_is_wrong, wrapped

__all__ = ["FORMAT", "OLD", "VERSION", "Inspection"]

FORMAT: Final = "trmm_async.journal"
VERSION: Final = 2
OLD: Final = 1
_NAMES: Final = frozenset({"meta", "targets", "by_state", "sqlite_autoindex_targets_1"})


class Inspection:
    """One look at one database, at one moment.

    Attributes:
        meta: what stands there about the run.
    """

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.meta: dict[str, str] = {}
        self._path = path
        self._database = database

    def __repr__(self) -> str:
        return f"<Inspection of {self._path}>"

    def is_whole(self, mark: Mark | None) -> bool:
        """Raise `JournalError` unless all of it is what was written; False if only the mark is missing."""
        self._check_layout()
        self.meta = dict(self._rows("SELECT name, value FROM meta"))
        if self.meta.get("format") != FORMAT:
            raise JournalError(f"{self._path} is no journal of a run")
        version = self.meta.get("version")
        if version not in {str(OLD), str(VERSION)}:
            raise JournalError(
                f"{self._path} is a journal of version {version}; this program reads {OLD} to {VERSION}"
            )
        said = self._rows("PRAGMA integrity_check(1)")
        if said != [("ok",)]:
            raise self._damaged(f"SQLite says {said[0][0] if said else 'nothing'}")
        if version == str(OLD):
            self._check_rows(is_summed=False)
            self._check_begun()
            return True
        is_whole = self._check_mark(mark)
        self._check_rows(is_summed=True)
        self._check_begun()
        return is_whole

    def _check_begun(self) -> None:
        if "order" not in self.meta:
            raise JournalError(
                f"{self._path} was not begun: its targets were never all written, and nothing was sent. "
                "Remove it, and start the run anew"
            )

    def _check_layout(self) -> None:
        """Refuse any other table or trigger, since a trigger would write what we did not."""
        found = self._rows("SELECT type, name FROM sqlite_schema")
        odd = [
            f"{kind} {name}" for kind, name in found if name not in _NAMES or kind not in {"table", "index"}
        ]
        lacking = sorted(_NAMES - {name for _, name in found})
        if odd or lacking:
            what = f"it has {', '.join(odd)}" if odd else f"it lacks {', '.join(lacking)}"
            raise JournalError(f"{self._path} is no journal of a run, or was tampered with: {what}")

    def _check_mark(self, mark: Mark | None) -> bool:
        try:
            seal = Seal.decoded(self.meta["seal"])
            is_same = seal.encoded(self.meta) == self.meta["seal"]
            run, state = self.meta["run"], self.meta["state"]
        except (KeyError, ValueError):
            raise self._damaged("its seal can't be read") from None
        if not is_same:
            raise self._damaged("what it says of the run is not what was written")
        if mark is None:
            return state == "closed"
        if mark.run != run:
            raise JournalError(
                f"{self._path} is not the one that the .mark beside it was written for. {GO_ON}"
            )
        if mark.commits > seal.commits:
            raise JournalError(
                f"{self._path} isn't whole: {mark.commits - seal.commits} of {mark.commits} commits are "
                f"missing; its -wal was lost, cut or damaged. {GO_ON}"
            )
        return True

    def _check_rows(self, *, is_summed: bool) -> None:
        columns = (*COLUMNS, "sum") if is_summed else OLD_COLUMNS
        found = self._database.execute(f"SELECT {', '.join(columns)} FROM targets NOT INDEXED ORDER BY place")  # noqa: S608
        rows = total = 0
        for values in found:  # one by one, since all rows may not fit into memory
            rows += 1
            if is_summed and sum_of(values[:-1]) != values[-1]:
                raise self._damaged(f"row {rows} is not what was written")
            wrong = what_is_wrong(dict(zip(columns, values, strict=True)))
            if wrong or values[0] != rows:
                raise self._damaged(f"row {rows} has an impossible {wrong or 'place'}")
            total += values[-1] if is_summed else 0
        if not is_summed:
            return
        seal = Seal.decoded(self.meta["seal"])
        if rows != seal.rows or wrapped(total) != seal.total:
            raise self._damaged("its rows are not those that were written")

    def _damaged(self, what: str) -> JournalError:
        return JournalError(f"{self._path} is damaged, or was tampered with: {what}. {GO_ON}")

    def _rows(self, sql: str) -> list[Any]:
        return self._database.execute(sql).fetchall()
