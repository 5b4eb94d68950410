"""The database under an open journal."""

import sqlite3

from trmm_async.fleet.journal import Journal
from trmm_async.fleet.sqlite import SQLiteJournalStore


def database_of(journal: Journal | None) -> sqlite3.Connection:
    assert journal is not None
    assert isinstance(journal._store, SQLiteJournalStore)
    return journal._store._file.database
