"""The tables of journals in the database, with one step for each version.

They are in the schema `trmm_async`; nothing outside of it is touched. The first process that needs them
creates them, or brings them to the newest version, while other processes wait.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, LiteralString

import psycopg

from trmm_async.errors import JournalError

__all__ = ["STEPS", "Step", "installed", "made"]

_ALONE: Final = 7_205_759_403_792_794
"""The number of the advisory lock under which the schema is made. It is arbitrary, but must be ours alone."""

# Texts that a server or a script wrote are bytea, in UTF-8 with surrogatepass, since a `text` can't contain
# NUL. A return code is numeric, since it may have more than 64 bits. Everything that is counted over all
# hosts is in the one row of the run, and a transaction locks that row to change it.
_FIRST: Final = (
    """
    CREATE TABLE trmm_async.runs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL UNIQUE,
        kind text NOT NULL,
        "order" text NOT NULL DEFAULT '',
        username bytea,
        created timestamptz NOT NULL DEFAULT clock_timestamp(),
        cluster bigint NOT NULL,
        timeline integer NOT NULL,
        total integer NOT NULL DEFAULT 0,
        ended integer NOT NULL DEFAULT 0,
        under_way integer NOT NULL DEFAULT 0,
        serial bigint NOT NULL DEFAULT 0,
        wave_end bigint NOT NULL DEFAULT 0,
        settled integer NOT NULL DEFAULT 0,
        failures integer NOT NULL DEFAULT 0,
        is_canary boolean NOT NULL DEFAULT false,
        stopped text NOT NULL DEFAULT '',
        stopped_by text NOT NULL DEFAULT '' CHECK (stopped_by IN ('', 'policy', 'host', 'database')),
        mark bigint,
        mark_time text
    )
    """,
    """
    CREATE TABLE trmm_async.targets (
        run bigint NOT NULL REFERENCES trmm_async.runs ON DELETE CASCADE,
        place integer NOT NULL,
        agent_id text NOT NULL,
        state text NOT NULL DEFAULT 'pending' CHECK (
            state IN ('pending', 'claimed', 'sending', 'settling', 'done', 'failed', 'unknown', 'skipped')
        ),
        attempts integer NOT NULL DEFAULT 0,
        sent_at timestamptz,
        mark bigint,
        mark_time text,
        owner text,
        fence bigint,
        settler bigint,
        lease_until timestamptz,
        serial bigint,
        settled_at timestamptz,
        ok boolean,
        retcode numeric,
        execution_time double precision,
        stdout bytea,
        stderr bytea,
        error text,
        reason bytea,
        PRIMARY KEY (run, place),
        UNIQUE (run, agent_id)
    )
    """,
    "CREATE INDEX pending ON trmm_async.targets (run, place) WHERE state = 'pending'",
    """
    CREATE INDEX leased ON trmm_async.targets (run, lease_until)
        WHERE state IN ('claimed', 'sending', 'settling')
    """,
    "CREATE INDEX ended ON trmm_async.targets (run, serial) WHERE serial IS NOT NULL",
    "CREATE SEQUENCE trmm_async.fences",
)

Step = Sequence[LiteralString]
STEPS: Final[Sequence[Step]] = (_FIRST,)
"""The statements from version to version. A step that was released is never changed."""


async def installed(connection: psycopg.AsyncConnection[Any], steps: Sequence[Step] = STEPS) -> int:
    """The version of the schema in the database; 0 if there is none.

    Raises:
        JournalError: it is newer than this program.
    """
    # The catalogues show rows as soon as they are committed. A name that was looked up in vain stays unknown
    # to a transaction for longer.
    found = await connection.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
        "ON n.oid = c.relnamespace WHERE n.nspname = 'trmm_async' AND c.relname = 'version')"
    )
    row = await found.fetchone()
    if row is None or not row[0]:
        return 0
    found = await connection.execute("SELECT version FROM trmm_async.version")
    row = await found.fetchone()
    version = 0 if row is None else int(row[0])
    if version > len(steps):
        raise JournalError(
            f"the schema trmm_async is of version {version}; this program knows {len(steps)}: use a newer one"
        )
    return version


async def made(connection: psycopg.AsyncConnection[Any], steps: Sequence[Step] = STEPS) -> None:
    """Create or update the schema, in the open transaction. Raises as `installed`."""
    if await installed(connection, steps) == len(steps):
        return
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ALONE,))
    version = await installed(connection, steps)
    if not version:
        await connection.execute("CREATE SCHEMA IF NOT EXISTS trmm_async")
        await connection.execute("CREATE TABLE IF NOT EXISTS trmm_async.version (version integer NOT NULL)")
        await connection.execute("INSERT INTO trmm_async.version VALUES (0)")
    for statement in chain.from_iterable(steps[version:]):
        await connection.execute(statement)
    await connection.execute("UPDATE trmm_async.version SET version = %s", (len(steps),))
