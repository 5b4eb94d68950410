"""A journal in PostgreSQL by itself: whose a target is and until when, what goes in, where it is."""

import asyncio
import math
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fleet.hosts import execute, place, rows
from tests.postgres import PostgresServer
from tests.properties import many
from trmm_async import (
    Counts,
    Done,
    Failed,
    InvalidRequestError,
    Journal,
    JournalError,
    Outcome,
    OutcomeUnknownError,
    PostgresJournal,
    RecordedError,
    ScriptResult,
    Skipped,
    Unknown,
)
from trmm_async.fleet.journal import Order
from trmm_async.fleet.postgres.database import Connection, Database
from trmm_async.fleet.postgres.schema import STEPS, installed, made
from trmm_async.fleet.postgres.store import PostgresJournalStore
from trmm_async.fleet.rollout import RolloutPolicy
from trmm_async.fleet.storage import ClaimLostError, SharedJournalStore

ORDER = Order(server="https://x.example", script=1, args=("a",), timeout=30, env_vars=("A=1",))
IDS = [f"agent{number:04}" for number in range(12)]
EXPIRE = "UPDATE trmm_async.targets SET lease_until = '-infinity' WHERE lease_until IS NOT NULL"


def shared(journal: Journal) -> SharedJournalStore:
    assert journal.shared is not None
    return journal.shared


@asynccontextmanager
async def host(database: str, policy: RolloutPolicy | None = None, **settings: Any) -> AsyncIterator[Journal]:
    async with await Journal.resume(place(database, **settings)) as journal:
        await shared(journal).govern(policy or RolloutPolicy(), journal.username)
        yield journal


async def make(database: str, ids: list[str] = IDS) -> None:
    await (await Journal.create(place(database), ORDER, ids)).aclose()


def states(database: str) -> list[str]:
    return [state for (state,) in rows(database, "state")]


class TestWhoseItIs:
    async def test_a_target_is_claimed_by_one_host(self, database: str) -> None:
        await make(database)
        async with host(database) as one, host(database) as two:
            first, second = await asyncio.gather(
                shared(one).claim(5, None, ()), shared(two).claim(5, None, ())
            )
            assert first + second == IDS[:10] or second + first == IDS[:10]
            assert await shared(two).claim(5, None, [IDS[10]]) == [IDS[11]]
            with pytest.raises(ClaimLostError, match="another host's"):
                await two.begin(first, 0, None)
            await one.begin(first, 0, None)
            assert await one.counts() == Counts(pending=12)
            assert sorted(each.agent_id for each in await two.in_flight()) == first

    async def test_at_most_as_many_as_the_width_are_under_way(self, database: str) -> None:
        await make(database)
        async with host(database) as one, host(database) as two:
            assert len(await shared(one).claim(9, 4, ())) == 4
            assert await shared(two).claim(9, 4, ()) == []
            await one.settle(Failed(IDS[0], InvalidRequestError("x")), ok=False)
            assert await shared(two).claim(9, 4, ()) == [IDS[4]]

    async def test_a_claim_whose_lease_has_ended_goes_back_and_can_not_be_sent(self, database: str) -> None:
        await make(database)
        async with host(database) as one, host(database) as two:
            await shared(one).claim(3, None, ())
            await one.begin(IDS[:1], 0, None)
            execute(database, EXPIRE)
            with pytest.raises(ClaimLostError):
                await one.begin(IDS[1:2], 0, None)
            # What was sent never goes back; it is settled.
            assert await shared(two).adopt(1e6) == []
            assert states(database)[:3] == ["sending", "pending", "pending"]
            (row,) = await shared(two).adopt(0.0)
            assert row[0] == IDS[0]
            assert states(database)[0] == "settling"
            assert await shared(one).adopt(0.0) == []
            assert await shared(two).claim(2, None, ()) == IDS[1:3]
            with pytest.raises(ClaimLostError):
                await one.begin(IDS[1:2], 0, None)
            await two.begin(IDS[1:3], 0, None)

    async def test_a_late_result_turns_unknown_into_done_and_done_into_nothing(self, database: str) -> None:
        await make(database)
        async with host(database) as one, host(database) as two:
            await shared(one).claim(3, None, ())
            await one.begin(IDS[:3], 0, None)
            execute(database, EXPIRE)
            assert len(await shared(two).adopt(0.0)) == 3
            assert await two.settle(Unknown(IDS[0], OutcomeUnknownError("x")), ok=False)
            assert await two.settle(Unknown(IDS[1], OutcomeUnknownError("x")), ok=False)
            assert await two.settle(Done(IDS[2], ScriptResult(retcode=0)), ok=True)
            assert await one.settle(Done(IDS[0], ScriptResult(retcode=0, stdout="late")), ok=True)
            assert not await one.settle(Failed(IDS[1], InvalidRequestError("x")), ok=False)
            assert not await one.settle(Failed(IDS[2], InvalidRequestError("x")), ok=False)
            assert states(database)[:3] == ["done", "unknown", "done"]
            assert await one.counts() == Counts(done=2, unknown=1, pending=9)
            standing = await shared(one).standing()
            assert (standing.ended, standing.under_way) == (3, 0)

    async def test_leases_are_renewed_while_a_host_moves(self, database: str) -> None:
        await make(database)
        async with host(database, lease=0.3) as one, host(database) as two:
            await shared(one).claim(2, None, ())
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                await asyncio.sleep(0.1)
                assert await shared(two).claim(1, 2, ()) == []
            renewed = rows(
                database, "lease_until > clock_timestamp() - interval '1 second'", "state = 'claimed'"
            )
            assert renewed == [(True,)] * 2

    async def test_a_call_must_begin_soon_after_it_stands_there(self, database: str) -> None:
        await make(database)
        async with host(database, lease=4) as one:
            await shared(one).claim(1, None, ())
            before = time.monotonic()
            until = await one.begin(IDS[:1], 0, None)
            assert until is not None
            assert before < until <= time.monotonic() + 2
        async with host(database, lease=60) as one:
            await shared(one).claim(1, None, ())
            until = await one.begin(IDS[1:2], 0, None)
            assert until is not None
            assert until <= time.monotonic() + 5

    async def test_who_closes_gives_back_what_was_only_claimed(self, database: str) -> None:
        await make(database)
        async with host(database) as one:
            await shared(one).claim(3, None, ())
            await one.begin(IDS[:1], 0, None)
        assert states(database)[:3] == ["sending", "pending", "pending"]
        async with host(database) as one:
            assert (await shared(one).standing()).under_way == 1

    async def test_a_claim_that_nobody_waits_for_goes_back(self, database: str) -> None:
        await make(database)
        async with host(database) as one:
            for steps in range(12):
                task = asyncio.ensure_future(shared(one).claim(2, None, ()))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(30):
                store = one._store
                assert isinstance(store, PostgresJournalStore)
                while store._tasks or (await store.standing()).under_way:
                    await asyncio.sleep(0.01)
            assert set(states(database)) == {"pending"}

    async def test_a_claim_goes_back_that_comes_as_nobody_waits_for_it_any_more(self, database: str) -> None:
        await make(database)
        async with host(database) as one, asyncio.timeout(30):
            store = one._store
            assert isinstance(store, PostgresJournalStore)
            for steps in range(4):
                task = asyncio.ensure_future(store.claim(2, None, ()))
                while not store._ours:
                    await asyncio.sleep(0)
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                (told,) = await asyncio.gather(task, return_exceptions=True)
                if isinstance(told, list):
                    await store.release(told)
                assert set(states(database)) == {"pending"}
                assert store._ours == {}

    async def test_what_an_answer_brought_that_was_lost_is_soon_there_again(self, database: str) -> None:
        await make(database)
        async with host(database) as other, host(database) as one:
            store = one._store
            assert isinstance(store, PostgresJournalStore)
            rows, lose = store._rows, store._database.do
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trmm_async'"
            )
            assert await store.claim(1, None, ()) == IDS[:1]
            assert len(await lose(lambda connection, _: rows.claim(connection, 3, None, ()))) == 3
            execute(database, cut)
            assert await store.claim(2, None, ()) == IDS[4:6]
            assert await store.adopt(0.0) == []
            assert await store.claim(3, None, ()) == IDS[1:4]
            assert (await store.standing()).under_way == 6

            assert await shared(other).claim(1, None, ()) == IDS[6:7]
            await other.begin(IDS[6:7], 0, None)
            execute(database, f"{EXPIRE} AND state = 'sending'")
            assert len(await lose(lambda connection, _: rows.adopt(connection, 0.0))) == 1
            execute(database, cut)
            ((agent_id, *_),) = await store.adopt(0.0)
            assert agent_id == IDS[6]
            # What was known stays ours all the time.
            await one.begin([*IDS[:6]], 0, None)

    async def test_what_is_withdrawn_is_ours_still(self, database: str) -> None:
        await make(database)
        async with host(database) as one:
            await shared(one).claim(2, None, ())
            await one.begin(IDS[:2], 0, None)
            await one.withdraw(IDS[:2])
            assert rows(database, "state, attempts, sent_at", "place < 3") == [("claimed", 0, None)] * 2
            await one.begin(IDS[:2], 7, None)
            await one.release(IDS[:1])
            assert rows(database, "state, attempts, mark", "place < 3") == [
                ("pending", 0, 7),
                ("sending", 1, 7),
            ]

    async def test_nothing_is_begun_once_it_was_stopped(self, database: str) -> None:
        await make(database)
        async with host(database) as one, host(database) as two:
            await shared(one).claim(2, None, ())
            await shared(two).stop("401 \0 Invalid")
            with pytest.raises(ClaimLostError, match="401"):
                await one.begin(IDS[:1], 0, None)
            assert await shared(one).claim(2, None, ()) == []
            assert (await shared(one).standing()).stopped.startswith("401")
            await one.retry(())  # what `resume` does
            await one.begin(IDS[:1], 0, None)


class TestWhatGoesIn:
    @given(
        st.lists(
            st.tuples(
                st.one_of(st.none(), st.integers(), st.just(2**64 - 1), st.just(-(2**200))),
                st.text(),
                st.text(),
                st.one_of(st.none(), st.floats(allow_nan=False)),
            ),
            min_size=1,
            max_size=5,
        )
    )
    @settings(max_examples=many(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_is_whatever_a_server_sends(self, postgres: PostgresServer, told: list[Any]) -> None:
        texts = [*told, (0, "a\0b\ud800", "\udfff\0", math.inf)]
        outcomes: list[Outcome] = [
            Done(
                f"agent{number}",
                ScriptResult(retcode=code, stdout=out, stderr=error, execution_time=seconds),
            )
            for number, (code, out, error, seconds) in enumerate(texts)
        ]
        outcomes.append(Unknown("agentx", OutcomeUnknownError(texts[0][1] + "\0\ud800")))
        if not TestWhatGoesIn.databases:
            TestWhatGoesIn.databases.append(postgres.database())
        asyncio.run(self.kept(TestWhatGoesIn.databases[0], outcomes))

    databases: ClassVar[list[str]] = []

    async def kept(self, database: str, outcomes: list[Outcome]) -> None:
        where = place(database, run=secrets.token_hex(8))
        ids = [one.agent_id for one in outcomes]
        async with await Journal.create(where, ORDER, ids) as journal:
            await shared(journal).govern(RolloutPolicy(), None)
            assert await shared(journal).claim(100, None, ()) == ids
            await journal.begin(ids, 0, None)
            await asyncio.gather(*(journal.settle(one, ok=True) for one in outcomes))
            await journal.remember_user("Ärger\0\ud800")
            assert [each async for each, _ in journal.judged()][:-1] == outcomes[:-1]
        async with await Journal.resume(where) as other:
            news = [outcome for _, outcome, _ in await other.news(0)]
            assert min(news, key=lambda each: each.agent_id) == outcomes[0]
            assert other.username == "Ärger\0\ud800"
            last = next(each for each in news if each.agent_id == "agentx")
            assert isinstance(last, Unknown)
            assert isinstance(last.error, RecordedError)

    async def test_costs_itself_alone_where_it_can_not_be_written(self, database: str) -> None:
        await make(database)
        async with host(database) as journal:
            await shared(journal).claim(3, None, ())
            await journal.begin(IDS[:3], 0, None)
            too_much = ScriptResult(retcode=10**140_000)
            await asyncio.gather(
                journal.settle(Done(IDS[0], ScriptResult(retcode=0)), ok=True),
                journal.settle(Done(IDS[1], too_much), ok=False),
                journal.settle(Done(IDS[2], ScriptResult(retcode=2)), ok=False),
            )
            assert states(database)[:3] == ["done", "unknown", "done"]
            outcomes = [each async for each in journal.outcomes()]
            assert isinstance(outcomes[1], Unknown)
            assert "can't be written down" in str(outcomes[1].error)

    async def test_is_read_page_by_page_and_still(self, database: str) -> None:
        await make(database)
        async with host(database) as journal:
            await shared(journal).claim(12, None, ())
            await journal.begin(IDS, 0, None)
            for each in IDS[:6]:
                await journal.settle(Done(each, ScriptResult(retcode=0, stdout="x" * 400_000)), ok=True)
            async with await Journal.read(place(database)) as reader:
                assert len(await reader._store.ended(0)) == 2
                async with reader.still():
                    await journal.settle(Done(IDS[6], ScriptResult(retcode=3010)), ok=True)
                    assert [each.agent_id async for each in reader.outcomes()] == IDS[:6]
                    assert await reader.counts() == Counts(done=6, pending=6)
                assert await reader.successes() == {0: 6, 3010: 1}
                with pytest.raises(JournalError, match="open for writing"):
                    async with journal.still():
                        pass

    @pytest.mark.parametrize(("kinds", "pending"), [((), 8), (("failed",), 10), (("unknown", "skipped"), 10)])
    async def test_may_be_tried_again(self, kinds: tuple[str, ...], pending: int, database: str) -> None:
        await make(database)
        async with host(database) as journal:
            await shared(journal).claim(5, None, ())
            await journal.begin(IDS[:5], 0, None)
            await journal.settle(Done(IDS[0], ScriptResult(retcode=0)), ok=True)
            await journal.settle(Done(IDS[1], ScriptResult(retcode=1)), ok=False)
            await journal.settle(Failed(IDS[2], InvalidRequestError("x")), ok=False)
            await journal.settle(Unknown(IDS[3], OutcomeUnknownError("x")), ok=False)
            await journal.settle(Skipped(IDS[4], "x"), ok=False)
            again = await journal.to_run(kinds)
            await journal.retry(kinds)
            assert len(again) == pending - 1
            assert await journal.to_run() == again
            assert (await journal.counts()).pending == pending - 1


class TestTheSchema:
    async def test_is_made_once_by_any_number_who_need_it(self, database: str) -> None:
        journals = await asyncio.gather(
            *(Journal.create(place(database, run=f"run{number}"), ORDER, IDS) for number in range(6))
        )
        await asyncio.gather(*(each.aclose() for each in journals))
        assert [one.run for one in await Journal.runs(database)].count("run0") == 1
        assert len(await Journal.runs(database)) == 6
        with psycopg.connect(database) as connection:
            assert connection.execute("SELECT version FROM trmm_async.version").fetchall() == [(len(STEPS),)]
            found = connection.execute(
                "SELECT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' GROUP BY 1"
            )
            assert found.fetchall() == [("trmm_async",)]

    async def test_goes_from_version_to_version(self, database: str) -> None:
        await make(database)
        steps = (*STEPS, ("ALTER TABLE trmm_async.runs ADD COLUMN more integer", "SELECT 1"))
        async with await psycopg.AsyncConnection.connect(database) as connection:
            await made(connection, steps)
            await made(connection, steps)
            assert await installed(connection, steps) == len(steps)
        # This program does not know that one.
        for doing in (Journal.read(place(database)), Journal.resume(place(database)), Journal.runs(database)):
            with pytest.raises(JournalError, match="use a newer one"):
                await doing
        with pytest.raises(JournalError, match="use a newer one"):
            await make(database)

    async def test_can_be_used_by_somebody_who_is_nobody_special(
        self, postgres: PostgresServer, database: str
    ) -> None:
        execute(database, "CREATE ROLE worker LOGIN")
        try:
            execute(database, f"GRANT CREATE ON DATABASE {database.rpartition('/')[2]} TO worker")
            theirs = postgres.url(database.rpartition("/")[2], "worker")
            await make(theirs)
            async with host(theirs) as journal:
                assert await shared(journal).claim(1, None, ()) == IDS[:1]
                await journal.begin(IDS[:1], 0, None)
                assert await shared(journal).adopt(0.0) == []
        finally:
            execute(database, "DROP OWNED BY worker CASCADE")
            execute(database, "DROP ROLE worker")

    async def test_commits_are_on_the_disk_when_they_are_said_to_be(self, database: str) -> None:
        execute(database, "ALTER ROLE trmm SET synchronous_commit = off")
        try:
            await make(database)
            async with host(database) as journal:
                connection = await journal._store._database.held()  # type: ignore[attr-defined]
                found = await connection.execute("SHOW synchronous_commit")
                assert await found.fetchone() == ("on",)
        finally:
            execute(database, "ALTER ROLE trmm RESET synchronous_commit")


class TestMaking:
    async def test_is_whole_or_not_at_all(self, database: str) -> None:
        async def targets() -> AsyncIterator[str]:
            yield IDS[0]
            with pytest.raises(JournalError, match="no run"):
                await Journal.read(place(database))
            raise ConnectionResetError("the list broke")

        with pytest.raises(ConnectionResetError):
            await Journal.create(place(database), ORDER, targets())
        assert await Journal.runs(database) == []
        await make(database)
        with pytest.raises(JournalError, match=r"is there already: fleet\.resume"):
            await make(database)

    async def test_a_target_twice_is_refused(self, database: str) -> None:
        with pytest.raises(InvalidRequestError, match="more than once"):
            await Journal.create(place(database), ORDER, [*IDS, IDS[0]])
        assert await Journal.runs(database) == []

    async def test_a_run_that_is_not_there(self, database: str) -> None:
        for opening in (Journal.read, Journal.resume):
            with pytest.raises(JournalError, match="there is no run"):
                await opening(place(database))
        await make(database)
        with pytest.raises(JournalError, match="there is no run"):
            await Journal.read(place(database, run="other"))

    async def test_a_server_that_is_not_there(self) -> None:
        nowhere = PostgresJournal("postgresql://me:secret@127.0.0.1:1/x", run="one")
        before = time.monotonic()
        for opening in (Journal.read, Journal.resume):
            with pytest.raises(JournalError, match="can't be used") as caught:
                await opening(nowhere)
            assert "secret" not in repr(caught.value)
            assert caught.value.__cause__ is None
        # Not tried again: it may be a mistake in the address.
        assert time.monotonic() - before < 5

    @pytest.mark.parametrize(
        "place",
        [
            "//me:SEC%zz@h/x",
            "//h/x?password=SEC%zz",
            "//h/x?passwordSEC",
            "//localhost:SEC/RET@127.0.0.1:1/x",
        ],
    )
    async def test_an_address_that_can_not_be_read_is_not_quoted(self, place: str) -> None:
        where = PostgresJournal(f"postgresql:{place}", run="one")
        with pytest.raises(JournalError, match=r"its URL can't be read\. In a password %") as caught:
            await Journal.read(where)
        assert "SEC" not in str(caught.value)

    async def test_a_run_that_was_removed(self, database: str) -> None:
        await make(database)
        async with host(database) as journal:
            execute(database, "DELETE FROM trmm_async.runs")
            with pytest.raises(JournalError, match="was removed"):
                await shared(journal).claim(1, None, ())

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("disk_full", "No space left"),
            ("query_canceled", "timeout"),
            ("read_only_sql_transaction", "read-only"),
        ],
    )
    async def test_a_server_that_lets_in_and_writes_nothing(
        self, code: str, said: str, database: str
    ) -> None:
        await make(database)
        execute(
            database,
            "CREATE FUNCTION trmm_async.refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{said}' USING ERRCODE = '{code}'; END $$",
        )
        async with host(database, timeout=0.2) as journal, asyncio.timeout(30):
            refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON trmm_async.targets EXECUTE FUNCTION "
            execute(database, f"{refuse} trmm_async.refuse()")
            with pytest.raises(JournalError, match=f"can't be used: {said}"):
                await shared(journal).claim(1, None, ())
            assert set(states(database)) == {"pending"}
            execute(database, "DROP TRIGGER refuse ON trmm_async.targets")
            assert await shared(journal).claim(1, None, ()) == IDS[:1]

    async def test_its_second_connection_waits_for_the_server_that_the_first_has_reached(
        self, postgres: PostgresServer, database: str
    ) -> None:
        name = database.rpartition("/")[2]
        await make(database)
        async with host(database) as journal:
            execute(postgres.url("postgres"), f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            looking = asyncio.create_task(shared(journal).standing())
            await asyncio.wait({looking}, timeout=0.3)
            execute(postgres.url("postgres"), f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            assert (await looking).total == len(IDS)

    async def test_each_loss_of_a_server_has_its_whole_time(self, database: str) -> None:
        fails = iter([True, True, True, False, True, False])

        async def work(connection: Connection, maybe_done: bool) -> bool:
            if next(fails):
                await connection.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$")
            return maybe_done

        lost = Database(place(database, timeout=30), "it")
        await lost.do(_nothing)
        with pytest.raises(JournalError):
            await lost.do(work, patience=0.0)
        # Who had waited for their turn meanwhile have waited for the server, too.
        with pytest.raises(JournalError):
            await lost.do(work, patience=0.0)
        assert await lost.do(work)
        # Less than the pause before it was tried again, which is not counted any more.
        assert await lost.do(work, patience=0.02)
        await lost.close()


async def _nothing(connection: Connection, maybe_done: bool) -> None:
    del connection, maybe_done


NEEDS_NOTHING = """
import sys
import trmm_async
for name in trmm_async.__all__:
    getattr(trmm_async, name)
assert not [name for name in sys.modules if name.startswith("psycopg")]
class Nothing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "psycopg":
            raise ImportError("No module named 'psycopg'")
sys.meta_path.insert(0, Nothing())
import asyncio
try:
    asyncio.run(trmm_async.Journal.read("postgresql://h/x?run=a"))
except trmm_async.JournalError as error:
    print(error)
"""


def test_nobody_needs_the_library_who_does_not_ask_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", NEEDS_NOTHING], capture_output=True, text=True, check=True)
    assert "pip install 'trmm-async[postgres]'" in done.stdout
