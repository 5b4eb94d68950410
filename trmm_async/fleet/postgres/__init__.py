"""A journal in PostgreSQL, for a run that several hosts share. Only this package uses psycopg.

`address` has the place of a journal, and does not import psycopg. `store` implements
`storage.SharedJournalStore`. Below it are `reading` (its reading half), `rows` (the parts of its
transactions), `schema` (the tables, and their versions), `statements` (the SQL) and `database` (a connection
that is opened again when it is lost).
"""

from trmm_async.fleet.postgres.address import PostgresJournal, StoredRun, postgres_journal

__all__ = ["PostgresJournal", "StoredRun", "postgres_journal"]
