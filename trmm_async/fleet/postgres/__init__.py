"""A journal in PostgreSQL, for a run that several hosts work off. The only place that knows psycopg.

`address` says where one is, and imports nothing of it. `store` is the `storage.SharedJournalStore`; below it
`database` (a connection that is made again) and `schema` (what stands there, and its versions).
"""

from trmm_async.fleet.postgres.address import PostgresJournal, StoredRun, postgres_journal

__all__ = ["PostgresJournal", "StoredRun", "postgres_journal"]
