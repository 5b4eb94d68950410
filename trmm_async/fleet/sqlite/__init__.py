"""A journal in one SQLite file. The only place that knows SQLite.

`threaded` is the `storage.JournalStore`; below it `store` (one file; it blocks), `rows` (what is in it and
what it adds up to) and `files` (whose it is, the lock, the mark).
"""

from trmm_async.fleet.sqlite.files import existing
from trmm_async.fleet.sqlite.threaded import SQLiteJournalStore

__all__ = ["SQLiteJournalStore", "existing"]
