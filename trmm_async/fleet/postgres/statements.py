"""The SQL by which `rows` reads and writes the rows of a run. All times are by the database's own clock."""

from collections.abc import Mapping
from typing import Final, LiteralString

__all__ = [
    "ADOPT",
    "BEGIN",
    "CLAIM",
    "CREATE",
    "FIND",
    "FORGET",
    "GIVE_BACK",
    "HAS_GONE",
    "HERE",
    "IDENTITY",
    "LOCK",
    "LOSE",
    "OUTCOME",
    "RELEASE",
    "RENEW",
    "RESULT",
    "RETRIES",
    "RUN",
    "SETTLE",
    "STOPPED",
    "UNLOCK",
    "WITHDRAW",
]

HERE: Final = (
    "(SELECT system_identifier FROM pg_control_system())",
    "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer",
)
STOPPED: Final[LiteralString] = (
    f"SELECT stopped, cluster = {HERE[0]} AND timeline = {HERE[1]} "  # noqa: S608
    "FROM trmm_async.runs WHERE id = %s"
)
IDENTITY: Final[LiteralString] = f"SELECT {HERE[0]}, {HERE[1]}"
CREATE: Final[LiteralString] = (
    "INSERT INTO trmm_async.runs (name, kind, cluster, timeline) "  # noqa: S608
    f"VALUES (%s, %s, {HERE[0]}, {HERE[1]}) RETURNING id"
)
RUN: Final = 'SELECT id, kind, "order", username, total, stopped_by FROM trmm_async.runs WHERE name = %s'
LOCK: Final = (
    "SELECT total, ended, under_way, serial, wave_end, settled, failures, is_canary, stopped, stopped_by "
    "FROM trmm_async.runs WHERE id = %s FOR UPDATE"
)
UNLOCK: Final = (
    "UPDATE trmm_async.runs SET ended = %s, under_way = %s, serial = %s, wave_end = %s, settled = %s, "
    "failures = %s, is_canary = %s, stopped = %s, stopped_by = %s WHERE id = %s"
)
CLAIM: Final = """
WITH free AS (
    SELECT place FROM trmm_async.targets
    WHERE run = %(run)s AND state = 'pending' AND agent_id <> ALL(%(out)s::text[])
    ORDER BY place LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
UPDATE trmm_async.targets t
SET state = 'claimed', owner = %(owner)s, fence = nextval('trmm_async.fences'), settler = NULL,
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM free WHERE t.run = %(run)s AND t.place = free.place RETURNING t.place, t.agent_id, t.fence
"""
# If the answer to this statement was lost, it is repeated, and the rows may be sending already.
BEGIN: Final[LiteralString] = f"""
UPDATE trmm_async.targets t
SET state = 'sending', attempts = attempts + (t.state = 'claimed')::integer,
    sent_at = now() + make_interval(secs => mine.call * 1e-6),
    mark = mine.mark, mark_time = mine.mark_time, settled_at = NULL, ok = NULL, retcode = NULL,
    execution_time = NULL, stdout = NULL, stderr = NULL, error = NULL, reason = NULL,
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM unnest(%(places)s::integer[], %(fences)s::bigint[], %(marks)s::bigint[], %(times)s::text[],
        %(calls)s::integer[]) AS mine (place, fence, mark, mark_time, call), trmm_async.runs r
WHERE r.id = %(run)s AND r.stopped = '' AND r.cluster = {HERE[0]} AND r.timeline = {HERE[1]}
    AND t.run = %(run)s AND t.place = mine.place AND t.fence = mine.fence
    AND (t.state = 'claimed' OR (%(again)s AND t.state = 'sending')) AND t.lease_until > clock_timestamp()
RETURNING t.place
"""  # noqa: S608
WITHDRAW: Final = """
UPDATE trmm_async.targets t
SET state = 'claimed', attempts = attempts - 1, sent_at = NULL,
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM unnest(%(places)s::integer[], %(fences)s::bigint[]) AS mine (place, fence)
WHERE t.run = %(run)s AND t.place = mine.place AND t.fence = mine.fence AND t.state = 'sending'
"""
RELEASE: Final = """
UPDATE trmm_async.targets t
SET state = 'pending', attempts = attempts - (t.state = 'sending')::integer, owner = NULL, lease_until = NULL
FROM unnest(%(places)s::integer[], %(fences)s::bigint[]) AS mine (place, fence)
WHERE t.run = %(run)s AND t.place = mine.place AND t.fence = mine.fence AND t.state IN ('claimed', 'sending')
RETURNING 1
"""
RENEW: Final = """
UPDATE trmm_async.targets t
SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM unnest(%(places)s::integer[], %(fences)s::bigint[]) AS mine (place, fence)
WHERE t.run = %(run)s AND t.place = mine.place
    AND ((t.state IN ('claimed', 'sending') AND t.fence = mine.fence)
        OR (t.state = 'settling' AND t.settler = mine.fence))
"""
# What a claim or a takeover got whose answer was lost: it is found as that of a host that is gone.
FORGET: Final = """
UPDATE trmm_async.targets SET lease_until = '-infinity'
WHERE run = %(run)s AND owner = %(owner)s AND state IN ('claimed', 'settling')
    AND place <> ALL(%(places)s::integer[])
"""
GIVE_BACK: Final = """
WITH gone AS (
    SELECT place FROM trmm_async.targets
    WHERE run = %(run)s AND state = 'claimed' AND lease_until < clock_timestamp()
    ORDER BY place FOR UPDATE SKIP LOCKED
)
UPDATE trmm_async.targets t SET state = 'pending', owner = NULL, lease_until = NULL
FROM gone WHERE t.run = %(run)s AND t.place = gone.place
RETURNING 1
"""
ADOPT: Final = """
WITH gone AS (
    SELECT place FROM trmm_async.targets
    WHERE run = %(run)s AND state IN ('sending', 'settling') AND lease_until < clock_timestamp()
        AND sent_at < clock_timestamp() - make_interval(secs => %(patience)s)
    ORDER BY place LIMIT 500 FOR UPDATE SKIP LOCKED
)
UPDATE trmm_async.targets t
SET state = 'settling', owner = %(owner)s, settler = nextval('trmm_async.fences'),
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM gone WHERE t.run = %(run)s AND t.place = gone.place
RETURNING t.place, t.agent_id, t.settler, extract(epoch FROM t.sent_at)::float8, t.mark, t.mark_time
"""
HAS_GONE: Final = (
    "SELECT EXISTS (SELECT FROM trmm_async.targets WHERE run = %s "
    "AND state IN ('claimed', 'sending', 'settling') AND lease_until < clock_timestamp())"
)
FIND: Final = (
    "SELECT place, agent_id, state, fence, settler FROM trmm_async.targets "
    "WHERE run = %s AND agent_id = ANY(%s) ORDER BY place FOR UPDATE"
)
RESULT: Final = ("retcode", "execution_time", "stdout", "stderr", "error", "reason")
SETTLE: Final = """
UPDATE trmm_async.targets
SET state = %(state)s, serial = %(serial)s, settled_at = clock_timestamp(), ok = %(ok)s,
    retcode = %(retcode)s, execution_time = %(execution_time)s, stdout = %(stdout)s,
    stderr = %(stderr)s, error = %(error)s, reason = %(reason)s, lease_until = NULL
WHERE run = %(run)s AND place = %(place)s
"""
RETRIES: Final[Mapping[str, LiteralString]] = {
    "failed": "state = 'failed' OR (state = 'done' AND NOT ok)",
    "unknown": "state = 'unknown'",
    "skipped": "state = 'skipped'",
}
LOSE: Final = """
UPDATE trmm_async.targets
SET state = CASE WHEN %(mark)s > 0 THEN 'sending' ELSE 'unknown' END, attempts = attempts + 1,
    owner = NULL, fence = NULL, settler = NULL, lease_until = '-infinity', sent_at = %(since)s,
    mark = %(mark)s, mark_time = %(mark_time)s, ok = false, error = 'OutcomeUnknownError', reason = %(why)s,
    serial = CASE WHEN %(mark)s > 0 THEN NULL ELSE %(serial)s + place END, settled_at = clock_timestamp()
WHERE run = %(run)s AND state IN ('pending', 'claimed')
RETURNING 1
"""
OUTCOME: Final = "ok, agent_id, state, retcode, execution_time, stdout, stderr, error, reason"
