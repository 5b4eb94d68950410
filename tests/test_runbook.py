"""Which row of the history is which run: never a wrong one, whatever else is run at the same time."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trmm_async.models import HistoryEntry, ScriptResult
from trmm_async.runbook import Batch, Mixed, NotRun, Patience, RunBook, Silent, Told

START = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
OURS, THEIRS = "us", "them"


def row(
    number: int, agent: str = "a", *, user: str = OURS, script: int = 1, out: str | None = None
) -> HistoryEntry:
    return HistoryEntry(
        id=number,
        agent_id=agent,
        script=script,
        username=user,
        time=START + timedelta(seconds=number),
        result=None if out is None else ScriptResult(retcode=0, stdout=out),
    )


def sent(book: RunBook, *agents: str, at: float = 0.0, **how: Any) -> Batch:
    """A sending that was answered at that moment."""
    fields = {"mark": book.newest[0], "moment": book.newest[1], "bulk": len(agents) > 1} | how
    batch = Batch(script=1, timeout=30, agent_ids=agents, **fields)
    book.open(batch)
    book.sent(batch, at)
    return batch


def test_the_row_above_the_mark_is_the_run() -> None:
    book = RunBook()
    book.note([row(4, out="old")])
    batch = sent(book, "a")
    book.read([row(4, out="old"), row(5)], now=1)
    assert batch.take() == {}
    book.read([row(4, out="old"), row(5, out="new")], now=2)
    assert batch.take() == {"a": Told(ScriptResult(retcode=0, stdout="new"))}
    assert not batch.pending
    assert book.username == OURS


@pytest.mark.parametrize("other", [row(5, "b", out="x"), row(5, script=2, out="x")])
def test_rows_of_other_agents_and_scripts_are_not_it(other: HistoryEntry) -> None:
    book = RunBook()
    batch = sent(book, "a")
    book.read([other], now=1)
    assert batch.take() == {}


def test_once_our_user_is_known_others_rows_are_not_it() -> None:
    book = RunBook()
    first = sent(book, "a")
    book.read([row(1, out="one")], now=1)
    book.close(first, now=16)
    batch = sent(book, "a", at=2)
    book.read([row(1, out="one"), row(2, user=THEIRS, out="theirs"), row(3, out="ours")], now=3)
    assert batch.take() == {"a": Told(ScriptResult(retcode=0, stdout="ours"))}


@pytest.mark.parametrize("agents", ["a", "ab"])
def test_a_name_that_proves_to_be_wrong_is_forgotten(agents: str) -> None:
    book = RunBook(Patience(row=15, bulk_row=60))
    book.username = THEIRS
    first = sent(book, *agents)
    rows = [row(number, one) for number, one in enumerate(agents, 1)]
    book.read(rows, now=60)
    assert {type(how) for how in first.take().values()} == {Silent}
    book.close(first, now=61)
    book.lay(agents, 1, rows)
    second = sent(book, *agents, at=62)
    book.read([*rows, *(row(number, one, out="x") for number, one in enumerate(agents, 11))], now=63)
    assert {type(how) for how in second.take().values()} == {Told}
    assert book.username == OURS


def test_two_rows_that_could_each_be_it_are_neither() -> None:
    book = RunBook()
    batch = sent(book, "a")
    rows = [row(1, out="one"), row(2, user=THEIRS, out="two")]
    book.read(rows, now=1)
    assert batch.take() == {"a": Mixed(tuple(rows))}
    assert book.username is None


def test_a_second_run_waits_until_the_first_row_is_known_and_no_longer() -> None:
    book = RunBook()
    first = sent(book, "a")
    assert book.holder(["b", "a"], 1) is first
    assert book.holder(["a"], 2) is None
    book.read([row(1)], now=1)
    assert book.holder(["a"], 1) is None
    second = sent(book, "a", at=1)
    book.read([row(1), row(2)], now=2)
    book.read([row(1, out="one"), row(2, out="two")], now=3)
    assert first.take()["a"] == Told(ScriptResult(retcode=0, stdout="one"))
    assert second.take()["a"] == Told(ScriptResult(retcode=0, stdout="two"))


def test_a_row_is_claimed_once_even_under_an_old_mark() -> None:
    book = RunBook()
    first = sent(book, "a")
    book.read([row(1)], now=1)
    second = sent(book, "a", at=1, mark=0)
    book.read([row(1, out="one")], now=2)
    book.close(first, now=16)
    book.read([row(1, out="one")], now=3)
    assert second.take() == {}


def test_an_answer_that_was_lost_is_settled_by_the_row() -> None:
    book = RunBook()
    batch = sent(book, "a", lost=True)
    book.read([], now=1)
    assert batch.take() == {}
    book.read([row(1, out="ran")], now=2)
    assert batch.take() == {"a": Told(ScriptResult(retcode=0, stdout="ran"))}
    assert book.username is None, "it may have been somebody else's"


def test_a_row_that_comes_too_late_is_not_taken_for_the_next_run() -> None:
    book = RunBook(Patience(row=15))
    first = sent(book, "a", lost=True)
    book.unread(now=15, took=0)
    assert first.take() == {"a": Silent(started=False, waited=15)}
    book.close(first, now=16)
    second = sent(book, "a", at=15, lost=True)
    book.read([row(1, out="the first's")], now=16)
    assert second.take() == {"a": Mixed((row(1, out="the first's"),))}


def test_a_server_that_failed_before_it_wrote_a_row_ran_nothing() -> None:
    book = RunBook()
    batch = sent(book, "a", lost=True, absent_is_not_run=True)
    book.read([row(1, "b")], now=1)
    assert batch.take() == {"a": NotRun()}


def test_the_same_with_a_row_goes_on() -> None:
    book = RunBook()
    batch = sent(book, "a", lost=True, absent_is_not_run=True)
    book.read([row(1)], now=1)
    book.read([row(1, out="ran")], now=2)
    assert batch.take() == {"a": Told(ScriptResult(retcode=0, stdout="ran"))}


def test_no_report_by_the_deadline() -> None:
    book = RunBook(Patience(report=10))
    batch = sent(book, "a")
    book.read([row(1)], now=1)
    book.read([row(1)], now=40.9)
    assert batch.take() == {}
    book.read([row(1)], now=41)
    assert batch.take() == {"a": Silent(started=True, waited=41)}


def test_no_row_by_its_deadline() -> None:
    book = RunBook(Patience(row=15))
    batch = sent(book, "a", lost=True)
    book.unread(now=14, took=0.1)
    assert batch.take() == {}
    book.unread(now=15, took=0.1)
    assert batch.take() == {"a": Silent(started=False, waited=15)}


class TestMany:
    def test_rows_are_taken_for_ours_when_all_of_them_are_there(self) -> None:
        book = RunBook()
        batch = sent(book, "a", "b")
        book.read([row(1, "a", out="x")], now=1)
        assert batch.take() == {}
        book.read([row(1, "a", out="x"), row(2, "b")], now=2)
        assert batch.take() == {"a": Told(ScriptResult(retcode=0, stdout="x"))}
        book.read([row(1, "a", out="x"), row(2, "b", out="y")], now=3)
        assert batch.take() == {"b": Told(ScriptResult(retcode=0, stdout="y"))}

    def test_a_stranger_on_one_of_them_is_not_taken_for_us(self) -> None:
        book = RunBook()
        batch = sent(book, "a", "b")
        rows = [row(1, "a", user=THEIRS, out="theirs"), row(2, "a", out="ours"), row(3, "b", out="ours")]
        book.read(rows[:1], now=1)
        assert batch.take() == {}
        book.read(rows, now=2)
        assert {how.result.stdout for how in batch.take().values() if isinstance(how, Told)} == {"ours"}
        assert book.username == OURS

    def test_two_who_run_it_on_all_of_them_can_not_be_told_apart(self) -> None:
        book = RunBook()
        batch = sent(book, "a", "b")
        users = {1: OURS, 2: OURS, 3: THEIRS, 4: THEIRS}
        book.read([row(one, "ab"[one % 2], user=user, out="?") for one, user in users.items()], now=1)
        assert {type(how) for how in batch.take().values()} == {Mixed}

    def test_a_second_row_of_our_user_on_one_of_them_may_be_ours_too(self) -> None:
        book = RunBook()
        batch = sent(book, "a", "b")
        book.read([row(1, "a"), row(2, "b")], now=1)
        book.read([row(1, "a", out="?"), row(2, "b", out="ours"), row(3, "a")], now=2)
        told = batch.take()
        assert (type(told["a"]), told["b"]) == (Mixed, Told(ScriptResult(retcode=0, stdout="ours")))

    def test_that_of_a_later_sending_of_ours_is_not(self) -> None:
        book = RunBook()
        first = sent(book, "a", "b")
        rows = [row(1, "a"), row(2, "b")]
        book.read(rows, now=1)
        second = sent(book, "a", "b", at=1)
        rows = [row(1, "a", out="1"), row(2, "b", out="1"), row(3, "a", out="2"), row(4, "b", out="2")]
        book.read(rows, now=2)
        for batch, said in ((first, "1"), (second, "2")):
            assert set(batch.take().values()) == {Told(ScriptResult(retcode=0, stdout=said))}

    def test_a_call_that_was_lost_is_not_waited_for_as_long(self) -> None:
        book = RunBook(Patience(row=15, bulk_row=60))
        batch = sent(book, "a", "b", lost=True)
        book.read([], now=15)
        assert {type(how) for how in batch.take().values()} == {Silent}

    def test_those_that_the_server_never_began(self) -> None:
        book = RunBook(Patience(bulk_row=60))
        batch = sent(book, "a", "b")
        book.read([row(1, "a", out="x")], now=10)
        book.read([row(1, "a", out="x")], now=69)
        assert batch.take() == {}
        book.read([row(1, "a", out="x")], now=70)
        assert batch.take() == {
            "a": Told(ScriptResult(retcode=0, stdout="x")),
            "b": Silent(started=False, waited=70),
        }

    @pytest.mark.parametrize("how", [{}, {"lost": True}, {"lost": True, "recovered": True}])
    def test_rows_are_waited_for_as_long_as_new_ones_come(self, how: dict[str, Any]) -> None:
        book = RunBook(Patience(row=15, bulk_row=60))
        agents = [f"agent {number}" for number in range(20)]
        batch = sent(book, *agents, **how)
        for number in range(1, 20):
            book.read(
                [row(one, agents[one - 1], out="x") for one in range(1, number + 1)], now=10 + 50.0 * number
            )
            assert batch.take() == {}
        rows = [row(one, agents[one - 1], out="x") for one in range(1, 21)]
        book.read(rows, now=10 + 50 * 20)
        assert set(batch.take().values()) == {Told(ScriptResult(retcode=0, stdout="x"))}

    def test_results_are_waited_for_as_long_as_they_come(self) -> None:
        book = RunBook(Patience(report=10))
        batch = sent(book, "a", "b", "c")
        rows = [row(1, "a"), row(2, "b"), row(3, "c")]
        book.read(rows, now=1)
        rows[0] = row(1, "a", out="x")
        book.read(rows, now=40)
        rows[1] = row(2, "b", out="x")
        book.read(rows, now=49)
        batch.take()
        book.read(rows, now=58.9)
        assert batch.take() == {}
        book.read(rows, now=59)
        assert batch.take() == {"c": Silent(started=True, waited=59)}

    def test_one_of_an_earlier_process_does_not_settle_on_the_first_rows(self) -> None:
        book = RunBook(Patience(row=15, bulk_row=60))
        batch = sent(book, "a", "b", "c", at=-3600, lost=True, recovered=True)
        book.read([row(1, "a", out="x"), row(2, "b", out="y")], now=0)
        book.read([row(1, "a", out="x"), row(2, "b", out="y")], now=59)
        assert batch.take() == {}
        book.read([row(1, "a", out="x"), row(2, "b", out="y")], now=60)
        told = batch.take()
        assert {type(told[one]) for one in "ab"} == {Told}
        assert told["c"] == Silent(started=False, waited=3660)

    def test_one_of_an_earlier_process_without_any_row_is_not_waited_for_when_it_is_old(self) -> None:
        book = RunBook(Patience(row=15, bulk_row=60))
        batch = sent(book, "a", "b", at=-50, lost=True, recovered=True)
        book.read([], now=0)
        assert batch.take() == {}
        book.read([], now=10)
        assert {type(how) for how in batch.take().values()} == {Silent}

    def test_fewer_are_expected_where_the_server_leaves_some_out(self) -> None:
        book = RunBook()
        batch = sent(book, "a", "b")
        batch.pending.discard("b")
        batch.expected = 1
        book.read([row(1, "a", out="x")], now=1)
        assert list(batch.take()) == ["a"]


class TestGhosts:
    """Rows of sendings that nobody waits for any more."""

    def left(self, book: RunBook, *agents: str) -> None:
        book.close(sent(book, *agents, bulk=True), now=1)

    def test_are_not_taken_for_those_of_the_next_sending_to_many(self) -> None:
        book = RunBook()
        self.left(book, "a", "b")
        second = sent(book, "a", "b", at=2)
        rows = [row(1, "a", out="the first's"), row(2, "b", out="the first's")]
        book.read(rows, now=3)
        assert second.take() == {"a": Mixed((rows[0],)), "b": Mixed((rows[1],))}

    def test_may_come_after_those_of_the_next_too(self) -> None:
        book = RunBook()
        self.left(book, "a", "b")
        second = sent(book, "a", "b", at=2)
        rows = [row(1, "a", out="?"), row(2, "b", out="?")]
        book.read(rows, now=3)
        assert {type(how) for how in second.take().values()} == {Mixed}
        book.close(second, now=4)
        book.lay(["a", "b"], 1, rows)
        third = sent(book, "a", "b", at=5)
        book.read([*rows, row(3, "a", out="late"), row(4, "b", out="late")], now=6)
        assert {type(how) for how in third.take().values()} == {Mixed}

    def test_spoil_nothing_for_other_agents_and_scripts(self) -> None:
        book = RunBook()
        self.left(book, "a", "x")
        second = sent(book, "a", "b", at=2)
        book.read([row(1, "a", out="?"), row(2, "b", out="ours")], now=3)
        assert second.take()["b"] == Told(ScriptResult(retcode=0, stdout="ours"))
        assert not book.haunted(["a"], 2, now=3)

    def test_are_of_those_too_whose_rows_did_not_come_in_time(self) -> None:
        book = RunBook(Patience(bulk_row=60))
        first = sent(book, "a", "b")
        book.read([row(1, "a", out="x")], now=1)
        book.read([row(1, "a", out="x")], now=61)
        book.close(first, now=61)
        assert book.haunted(["b"], 1, now=62)
        assert not book.haunted(["a"], 1, now=62)

    def test_are_laid_by_their_rows(self) -> None:
        book = RunBook()
        self.left(book, "a", "b")
        assert book.haunted(["a", "b"], 1, now=2)
        old = [row(1, "a"), row(2, "b")]
        book.note(old)
        book.lay(["a", "b"], 1, old)
        assert not book.haunted(["a", "b"], 1, now=2)
        second = sent(book, "a", "b", at=2)
        book.read([*old, row(3, "a", out="x"), row(4, "b", out="y")], now=3)
        assert {type(how) for how in second.take().values()} == {Told}

    def test_are_laid_one_by_each_row(self) -> None:
        book = RunBook()
        self.left(book, "a", "b")
        self.left(book, "a", "b")
        book.lay(["a"], 1, [row(1, "a")])
        assert book.haunted(["a"], 1, now=2)
        book.lay(["a"], 1, [row(1, "a"), row(2, "a")])
        assert not book.haunted(["a"], 1, now=2)

    def test_keep_no_claims_but_those_that_their_own_rows_could_be_taken_for(self) -> None:
        book = RunBook(Patience(bulk_row=60))
        book.username = OURS
        for number in range(1, 500):
            agent, now = "abc"[number % 3], float(number)
            batch = Batch(script=1, timeout=0, agent_ids=(agent,))
            book.open(batch)
            batch.mark, batch.moment = book.newest
            batch.may_be_sent = True
            book.close(batch, now)  # its answer was lost
            rows = [row(number, agent)]
            book.note(rows)
            book.lay([agent], 1, rows)
            assert len(book._claimed) <= 3

    def test_keep_the_claims_of_rows_that_could_be_theirs(self) -> None:
        book = RunBook(Patience(bulk_row=60))
        first = sent(book, "a")
        self.left(book, "a", "b")
        book.read([row(1, "a", out="first")], now=2)
        book.close(first, now=3)
        book.lay(["a"], 1, [row(1, "a", out="first")])
        assert book.haunted(["a"], 1, now=4), "the row was another's"

    def test_do_not_come_for_ever(self) -> None:
        book = RunBook(Patience(bulk_row=60))
        self.left(book, "a", "b")
        assert book.haunted(["a"], 1, now=60)
        assert not book.haunted(["a"], 1, now=61)

    def test_are_looked_for_from_the_mark_of_their_sending_on(self) -> None:
        book = RunBook()
        book.note([row(9)])
        self.left(book, "a", "b")
        assert book.ghosts_since() == START + timedelta(seconds=4)
        book.close(sent(book, "a", bulk=True, moment=None), now=1)
        assert book.ghosts_since() is None


class TestLooks:
    def test_quick_at_first_then_calmer(self) -> None:
        book = RunBook(Patience(report=1000))
        sent(book, "a")
        now, looks = 0.0, []
        while (wait := book.due(now)) is not None and now < 120:
            now += wait
            looks.append(now)
            book.read([row(1)], now)
        gaps = [after - before for before, after in pairwise(looks)]
        assert looks[0] == pytest.approx(0.15)
        assert all(after > before - 1e-9 for before, after in pairwise(gaps))
        assert max(gaps) == pytest.approx(5.0)
        assert len(looks) < 70

    @settings(deadline=None)
    @given(st.lists(st.floats(0.04, 0.3), min_size=30, max_size=120), st.floats(0.0, 0.07))
    def test_come_soon_after_the_last_result_of_many(self, gaps: list[float], took: float) -> None:
        agents = [f"agent {number}" for number in range(len(gaps))]
        reported = list(accumulate(gaps, initial=3.0))[1:]
        book = RunBook()
        batch = sent(book, *agents)
        now = 0.0
        while (wait := book.due(now)) is not None:
            now += wait
            rows = [
                row(number, agent, out="x" if at <= now else None)
                for number, (agent, at) in enumerate(zip(agents, reported, strict=True), 1)
            ]
            now += took
            book.read(rows, now, took)
        assert set(batch.take().values()) == {Told(ScriptResult(retcode=0, stdout="x"))}
        assert now - reported[-1] < 0.3

    def test_a_slow_server_is_asked_less_often(self) -> None:
        book = RunBook()
        sent(book, "a")
        book.read([row(1)], now=3, took=3)
        assert book.due(3) == pytest.approx(3)

    def test_none_while_nobody_waits(self) -> None:
        book = RunBook()
        assert book.due(0) is None
        batch = sent(book, "a")
        book.read([row(1, out="x")], now=1)
        assert book.due(1) is None
        book.close(batch, now=16)
        assert book.due(1) is None

    def test_only_what_is_newer_than_the_mark_is_asked_for(self) -> None:
        book = RunBook()
        book.note([row(100, out="old")])
        sent(book, "a")
        assert book.since(1) == START + timedelta(seconds=100 - 5)
        book.read([row(200)], now=1)
        assert book.since(1) == START + timedelta(seconds=200 - 5)

    def test_all_of_it_once_where_a_row_is_overdue(self) -> None:
        book = RunBook(Patience(row=15))
        book.note([row(100, out="old")])
        batch = sent(book, "a")
        assert book.since(8) is None
        assert book.since(9) is not None
        book.read([row(100, out="old"), row(101, out="x")], now=9, whole=True)
        assert batch.take() == {"a": Told(ScriptResult(retcode=0, stdout="x"))}

    def test_a_history_that_was_emptied_gives_a_new_mark(self) -> None:
        book = RunBook()
        book.note([row(100, out="old")])
        sent(book, "a")
        book.read([row(3)], now=9, whole=True)
        assert book.newest[0] == 3

    def test_all_of_it_where_there_was_no_mark(self) -> None:
        book = RunBook()
        sent(book, "a")
        assert book.since(1) is None


class World:
    """A server on which many run the same script on the same agents, and what each run printed."""

    def __init__(self) -> None:
        self.rows: list[HistoryEntry] = []

    def run(self, agent: str, user: str) -> HistoryEntry:
        number = len(self.rows) + 1
        self.rows.append(row(number, agent, user=user, out=f"output of {number}"))
        return self.rows[-1]


@given(
    st.lists(
        st.tuples(st.sampled_from(["ours", "lost", "never came", "foreign"]), st.sampled_from("ab")),
        max_size=12,
    ),
    st.data(),
)
def test_no_run_is_ever_given_anothers_result(steps: Iterable[tuple[str, str]], data: st.DataObject) -> None:
    """Our own runs among strangers': each ends in its own result, or in none."""
    world, book = World(), RunBook(Patience(row=5, report=5))
    open_batches: list[tuple[Batch, str | None]] = []
    now = 0.0
    for what, agent in steps:
        now += 1
        if what == "foreign":
            world.run(agent, data.draw(st.sampled_from([THEIRS, "third"])))
        elif book.holder([agent], 1) is None:
            known = book.username
            # Before our name is known, a stranger's row could be taken for a run whose answer was lost.
            if known is None and what != "ours":
                continue
            batch = sent(book, agent, at=now, lost=what != "ours")
            ran = None if what == "never came" else world.run(agent, OURS)
            open_batches.append((batch, None if ran is None or ran.result is None else ran.result.stdout))
        if data.draw(st.booleans()):
            book.read(world.rows, now)
    for later in (10.0, 100.0):
        book.read(world.rows, now + later)
    for batch, printed in open_batches:
        (how,) = batch.take().values()
        if isinstance(how, Told):
            assert how.result.stdout == printed
        else:
            assert isinstance(how, Silent | Mixed)


class BusyServer:
    """It writes the rows of what it has accepted when its queue comes to it; we know our own name."""

    def __init__(self) -> None:
        self.now = 0.0
        self.book = RunBook(Patience(report=50, bulk_row=50))
        self.book.username = OURS
        self.rows: list[HistoryEntry] = []
        self.queue: list[tuple[str, str]] = []
        self.ours: list[tuple[Batch, str]] = []

    def send(self, agents: str) -> None:
        if self.book.holder(agents, 1) is not None:
            return
        if self.book.haunted(agents, 1, self.now):
            self.book.lay(agents, 1, self.rows)
        self.book.note(self.rows)
        name = f"run {len(self.ours)} at {self.now}"
        self.ours.append((sent(self.book, *agents, at=self.now), name))
        self.queue.append((agents, name))

    def leave(self, agents: str) -> None:
        if self.ours:
            batch, name = self.ours.pop(0)
            self.check(batch, name)
            self.book.close(batch, self.now)

    def work(self, agents: str = "") -> None:
        if self.queue:
            self.write(*self.queue.pop(0))

    def foreign(self, agents: str) -> None:
        self.write(agents, "theirs", THEIRS)

    def look(self, agents: str = "") -> None:
        self.book.read(self.rows, self.now)

    def write(self, agents: str, out: str, user: str = OURS) -> None:
        first = len(self.rows) + 1
        self.rows.extend(row(number, one, user=user, out=out) for number, one in enumerate(agents, first))

    def check(self, batch: Batch, name: str) -> None:
        told = [how.result.stdout for how in batch.take().values() if isinstance(how, Told)]
        assert told == [name] * len(told)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "send", "leave", "work", "work", "look", "foreign"]),
            st.sampled_from(["ab", "bc", "abc"]),
        ),
        max_size=14,
    )
)
def test_no_sending_to_many_is_ever_given_anothers_results(steps: Iterable[tuple[str, str]]) -> None:
    server = BusyServer()
    for what, agents in steps:
        server.now += 0.5
        getattr(server, what)(agents)
    for later in (1.0, 2.0, 60.0, 200.0):
        server.now += later
        server.work()
        server.look()
    for batch, name in server.ours:
        server.check(batch, name)
        assert not batch.pending
