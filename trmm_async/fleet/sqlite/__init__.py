"""A journal in one SQLite file. Only this package of the fleet uses SQLite.

`threaded` implements `storage.JournalStore`. Below it are `store` (one file; its calls block), `inspection`
(checks that a file is what was written), `rows` (rows and checksums) and `files` (owners, the lock and the
mark).
"""

from trmm_async.fleet.sqlite.files import existing
from trmm_async.fleet.sqlite.threaded import SQLiteJournalStore

__all__ = ["SQLiteJournalStore", "existing"]
