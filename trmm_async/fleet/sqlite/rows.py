"""The rows of a journal: their columns, their checksums, and the changes that a transaction makes to them.

The checksums are ours, since SQLite has none for its file, and takes a wrong one in its log for the end of
the log.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError, JournalError

__all__ = [
    "COLUMNS",
    "OF_ONE_ROW",
    "OLD_COLUMNS",
    "Change",
    "Page",
    "Seal",
    "as_number",
    "as_text",
    "row_of",
    "sum_of",
    "to_run",
    "told",
    "what_is_wrong",
    "wrapped",
]

_STATES: Final = frozenset({"pending", "sending", "done", "failed", "unknown", "skipped"})
_RETRIES: Final = {
    "failed": "state = 'failed' OR (state = 'done' AND NOT ok)",
    "unknown": "state = 'unknown'",
    "skipped": "state = 'skipped'",
}
COLUMNS: Final = (
    *("place", "agent_id", "state", "attempts", "sent_at", "mark", "mark_time", "settled_at", "ok"),
    *("retcode", "execution_time", "stdout", "stderr", "error", "reason", "owner", "fence", "lease_until"),
)
OLD_COLUMNS: Final = COLUMNS[:15]
"""The columns of version 1."""
_ALL: Final = ", ".join(COLUMNS)
_INSERT: Final = f"INSERT INTO targets ({_ALL}, sum) VALUES ({', '.join('?' * len(COLUMNS))}, ?)"  # noqa: S608
_ADD: Final = "INSERT INTO targets (place, agent_id, state, attempts, sum) VALUES (?, ?, 'pending', 0, ?)"
_NOTHING_YET: Final = (None,) * (len(COLUMNS) - 4)
_FIND: Final = f"SELECT {_ALL}, sum FROM targets WHERE agent_id = ?"  # noqa: S608
_SET: Final = ", ".join(f"{each} = ?" for each in (*COLUMNS[2:], "sum"))
_UPDATE: Final = f"UPDATE targets SET {_SET} WHERE place = ?"  # noqa: S608
_NOT_YET: Final = dict.fromkeys(
    ("settled_at", "ok", "retcode", "execution_time", "stdout", "stderr", "error", "reason")
)

OF_ONE_ROW: Final = (
    *(JournalError, ValueError, OverflowError, TypeError),
    *(sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
)
"""Errors that mean that one value can't be written, and not that the disk fails."""


_encoder: Final = msgspec.msgpack.Encoder()


def sum_of(values: Sequence[object]) -> int:
    """The checksum of a row, of 64 bits. The sum of all checksums is `wrapped`."""
    packed = _encoder.encode(values)
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "big", signed=True)


def wrapped(number: int) -> int:
    """A number reduced to 64 bits, as a signed number."""
    return (number + 2**63) % 2**64 - 2**63


class Seal(NamedTuple):
    """What the whole journal must add up to.

    Attributes:
        commits: how many commits there were.
        rows: how many rows there are.
        total: the sum of their checksums.
    """

    commits: int
    rows: int
    total: int

    def encoded(self, meta: Mapping[str, str]) -> str:
        """The text of the seal in `meta`, with a checksum of all other texts there."""
        of_meta = sum_of(sorted((name, value) for name, value in meta.items() if name != "seal"))
        return f"{self.commits} {self.rows} {self.total} {of_meta}"

    @classmethod
    def decoded(cls, text: str) -> "Seal":
        """Read that text. Raises `ValueError`."""
        commits, rows, total, _ = (int(each) for each in text.split())
        return cls(commits, rows, total)


class Page:
    """The changes that can be made in one transaction of `SQLiteStore.transact`.

    Attributes:
        meta: the texts about the run.
        rows: how many rows there are.
        total: the sum of their checksums.
    """

    def __init__(self, database: sqlite3.Connection, meta: Mapping[str, str], seal: Seal) -> None:
        self._database = database
        self.meta: dict[str, str] = dict(meta)
        self.rows: int = seal.rows
        self.total: int = seal.total

    def note(self, name: str, value: str) -> None:
        """Write a text about the run."""
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        self.meta[name] = value

    def add(self, agent_ids: Sequence[str]) -> None:
        """Append pending targets."""
        rows = [
            (place, each, sum_of((place, each, "pending", 0, *_NOTHING_YET)))
            for place, each in enumerate(agent_ids, self.rows + 1)
        ]
        try:
            self._database.executemany(_ADD, rows)
        except sqlite3.IntegrityError as error:
            said = "agents: one is given more than once; a script runs once on each agent"
            raise InvalidRequestError(said) from error
        self.rows += len(rows)
        self.total = wrapped(self.total + sum(its for _, _, its in rows))

    def begin(self, agent_ids: Iterable[str], at: float, mark: int, mark_time: str | None) -> None:
        """Make pending targets sending. The row itself must say `pending`, whatever an index says."""
        for agent_id in agent_ids:
            row = self._find(agent_id)
            if row["state"] != "pending":
                raise JournalError(f"{agent_id} is {row['state']}, and not pending: it is not sent to again")
            sent = {"state": "sending", "attempts": row["attempts"] + 1, "sent_at": at}
            self._put({**row, **_NOT_YET, **sent, "mark": mark, "mark_time": mark_time})

    def withdraw(self, agent_ids: Iterable[str]) -> None:
        """Make sending targets pending that certainly were not sent to."""
        for agent_id in agent_ids:
            row = self._find(agent_id)
            if row["state"] == "sending":
                attempts = row["attempts"] - 1
                self._put({**row, "state": "pending", "attempts": attempts, "sent_at": None})

    def settle(self, agent_id: str, values: Mapping[str, object]) -> None:
        """Write an outcome. If it can't be written, the target is unknown, so that nothing is sent again."""
        row = self._find(agent_id)
        before = self.total
        try:
            self._put({**row, **_NOT_YET, **{name: _fit(value) for name, value in values.items()}})
        except OF_ONE_ROW as error:
            self.total = before
            said = f"it ended as {values['state']}, but that can't be written down: {told(error)}"
            end = {"state": "unknown", "error": "JournalError", "reason": said, "ok": 0}
            self._put({**row, **_NOT_YET, **end, "settled_at": values["settled_at"]})

    def retry(self, kinds: Iterable[str]) -> None:
        """Make ended targets of these kinds pending."""
        found = self._database.execute(f"SELECT agent_id FROM targets WHERE {to_run(kinds)}")  # noqa: S608
        for (agent_id,) in found.fetchall():
            self._put({**self._find(agent_id), "state": "pending"})

    def _find(self, agent_id: str) -> dict[str, Any]:
        found = self._database.execute(_FIND, (agent_id,)).fetchone()
        if found is None or found[1] != agent_id:
            raise JournalError(f"{agent_id} isn't a target of it")
        *values, was = found
        if sum_of(values) != was:
            raise JournalError(f"the row of {agent_id} is not what was written")
        self._was = was
        return dict(zip(COLUMNS, values, strict=True))

    def _put(self, row: Mapping[str, Any]) -> None:
        values = tuple(row.values())
        now = sum_of(values)
        self._database.execute(_UPDATE, (*values[2:], now, values[0]))
        self.total = wrapped(self.total - self._was + now)
        self._was = now

    def insert(self, row: Mapping[str, Any]) -> None:
        """Append a whole row."""
        values = tuple(row.values())
        now = sum_of(values)
        self._database.execute(_INSERT, (*values, now))
        self.total = wrapped(self.total + now)

    _was = 0


Change = Callable[[Page], None]


def row_of(**values: Any) -> dict[str, Any]:
    """A whole row, with None in all other columns."""
    return {**dict.fromkeys(COLUMNS), **values}


def to_run(retry: Iterable[str]) -> str:
    """The SQL condition of targets that are pending, or are after `retry` of these kinds."""
    return " OR ".join(f"({each})" for each in ("state = 'pending'", *(_RETRIES[kind] for kind in retry)))


def told(error: Exception) -> str:
    """The text of an error, or its name if it has none."""
    return str(error) or type(error).__name__


# -- values that a server may send, and SQLite does not accept -----------------------------------------------


def _fit(value: object) -> object:
    """Turn a text that UTF-8 can't encode into bytes, and a number of over 64 bits into hexadecimals."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        return f"{value:#x}"
    elif isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN, which SQLite stores as NULL
        return None
    return value


def as_text(value: str | bytes | None) -> str | None:
    """The text that `_fit` stored."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def as_number(value: int | str | None) -> int | None:
    """The number that `_fit` stored."""
    return int(value, 16) if isinstance(value, str) else value


def what_is_wrong(row: Mapping[str, Any]) -> str:
    """The name of a column whose value we never write; empty if there is none.

    Checksums alone show only that a row is what somebody computed them for.
    """
    if row["sent_at"] is None and row["settled_at"] is None and row["state"] == "pending":
        return "" if _is_agent_id(row["agent_id"]) and _is_count(row["attempts"]) else "agent_id"
    for column, fits in _FITS.items():
        if not fits(row[column]):
            return column
    if row["state"] == "sending" and (row["sent_at"] is None or row["mark"] is None):
        return "state"
    return ""


def _is_agent_id(value: Any) -> bool:
    try:
        return bool(arguments.agent_id(value) == value)
    except InvalidRequestError:
        return False


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _is_moment(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and abs(value) < 2**53)


def _is_time(value: Any) -> bool:
    if value is None:
        return True
    try:
        return isinstance(value, str) and datetime.fromisoformat(value) is not None
    except ValueError:
        return False


def _is_code(value: Any) -> bool:
    try:
        return as_number(value) is None or isinstance(as_number(value), int)
    except ValueError:
        return False


def _is_text(value: Any) -> bool:
    try:
        return as_text(value) is None or isinstance(as_text(value), str)
    except ValueError:
        return False


_FITS: Final[dict[str, Callable[[Any], bool]]] = {
    "agent_id": _is_agent_id,
    "state": _STATES.__contains__,
    "attempts": _is_count,
    "sent_at": _is_moment,
    "mark": lambda value: value is None or _is_count(value),
    "mark_time": _is_time,
    "ok": (None, 0, 1).__contains__,
    "retcode": _is_code,
    "execution_time": lambda value: value is None or isinstance(value, int | float),
    **dict.fromkeys(("stdout", "stderr", "error", "reason"), _is_text),
}
