"""Which row of the history is which run: never a wrong one, whatever else is run at the same time."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async.models import HistoryEntry, ScriptResult
from trmm_async.script_runs.matcher import RunMatcher
from trmm_async.script_runs.tracked import (
    Ambiguous,
    HistoryWaits,
    NoReport,
    NotRun,
    Reported,
    Span,
    TrackedRun,
    Watermark,
)

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


def sent(matcher: RunMatcher, *agents: str, at: float = 0.0, late: bool | None = None) -> TrackedRun:
    """A sending that was answered at that moment; `late`: whether its rows come late, as those of many do."""
    return sent_as(opened(matcher, *agents, late=late), matcher, at)


def lost(matcher: RunMatcher, *agents: str, at: float = 0.0, failed: bool = False) -> TrackedRun:
    """A sending whose answer was lost; `failed`: the server has said that it failed."""
    run = opened(matcher, *agents)
    matcher.lose(run, absent_is_not_run=failed)
    return sent_as(run, matcher, at)


def recovered(matcher: RunMatcher, *agents: str, at: float = 0.0) -> TrackedRun:
    """A sending of an earlier process."""
    run = opened(matcher, *agents)
    matcher.recover(run, matcher.newest)
    return sent_as(run, matcher, at)


def opened(matcher: RunMatcher, *agents: str, late: bool | None = None) -> TrackedRun:
    many = len(agents) > 1 if late is None else late
    run = TrackedRun(script=1, timeout=30, agent_ids=agents, rows_come_late=many)
    matcher.open(run)
    return run


def sent_as(run: TrackedRun, matcher: RunMatcher, at: float) -> TrackedRun:
    matcher.sent(run, at)
    return run


def test_the_row_above_the_watermark_is_the_run() -> None:
    matcher = RunMatcher()
    matcher.note([row(4, out="old")])
    run = sent(matcher, "a")
    matcher.read([row(4, out="old"), row(5)], now=1)
    assert matcher.take(run) == {}
    matcher.read([row(4, out="old"), row(5, out="new")], now=2)
    assert matcher.take(run) == {"a": Reported(ScriptResult(retcode=0, stdout="new"))}
    assert not run.pending
    assert matcher.username == OURS


@pytest.mark.parametrize("other", [row(5, "b", out="x"), row(5, script=2, out="x")])
def test_rows_of_other_agents_and_scripts_are_not_it(other: HistoryEntry) -> None:
    matcher = RunMatcher()
    run = sent(matcher, "a")
    matcher.read([other], now=1)
    assert matcher.take(run) == {}


def test_once_our_user_is_known_others_rows_are_not_it() -> None:
    matcher = RunMatcher()
    first = sent(matcher, "a")
    matcher.read([row(1, out="one")], now=1)
    matcher.close(first, now=16)
    run = sent(matcher, "a", at=2)
    matcher.read([row(1, out="one"), row(2, user=THEIRS, out="theirs"), row(3, out="ours")], now=3)
    assert matcher.take(run) == {"a": Reported(ScriptResult(retcode=0, stdout="ours"))}


@pytest.mark.parametrize("agents", ["a", "ab"])
def test_a_name_that_proves_to_be_wrong_is_forgotten(agents: str) -> None:
    matcher = RunMatcher(HistoryWaits(row=15, bulk_row=60))
    matcher.username = THEIRS
    first = sent(matcher, *agents)
    rows = [row(number, one) for number, one in enumerate(agents, 1)]
    matcher.read(rows, now=60)
    assert {type(how) for how in matcher.take(first).values()} == {NoReport}
    matcher.close(first, now=61)
    matcher.claim_stray_rows(agents, 1, rows)
    second = sent(matcher, *agents, at=62)
    matcher.read([*rows, *(row(number, one, out="x") for number, one in enumerate(agents, 11))], now=63)
    assert {type(how) for how in matcher.take(second).values()} == {Reported}
    assert matcher.username == OURS


def test_two_rows_that_could_each_be_it_are_neither() -> None:
    matcher = RunMatcher()
    run = sent(matcher, "a")
    rows = [row(1, out="one"), row(2, user=THEIRS, out="two")]
    matcher.read(rows, now=1)
    assert matcher.take(run) == {"a": Ambiguous(tuple(rows))}
    assert matcher.username is None


def test_a_second_run_waits_until_the_first_row_is_known_and_no_longer() -> None:
    matcher = RunMatcher()
    first = sent(matcher, "a")
    assert matcher.holder(["b", "a"], 1) is first
    assert matcher.holder(["a"], 2) is None
    matcher.read([row(1)], now=1)
    assert matcher.holder(["a"], 1) is None
    second = sent(matcher, "a", at=1)
    matcher.read([row(1), row(2)], now=2)
    matcher.read([row(1, out="one"), row(2, out="two")], now=3)
    assert matcher.take(first)["a"] == Reported(ScriptResult(retcode=0, stdout="one"))
    assert matcher.take(second)["a"] == Reported(ScriptResult(retcode=0, stdout="two"))


def test_a_row_is_claimed_once_even_under_an_old_watermark() -> None:
    matcher = RunMatcher()
    first = sent(matcher, "a")
    second = opened(matcher, "a")
    matcher.read([row(1)], now=1)
    sent_as(second, matcher, at=1)
    matcher.read([row(1, out="one")], now=2)
    matcher.close(first, now=16)
    matcher.read([row(1, out="one")], now=3)
    assert matcher.take(second) == {}


def test_an_answer_that_was_lost_is_settled_by_the_row() -> None:
    matcher = RunMatcher()
    run = lost(matcher, "a")
    matcher.read([], now=1)
    assert matcher.take(run) == {}
    matcher.read([row(1, out="ran")], now=2)
    assert matcher.take(run) == {"a": Reported(ScriptResult(retcode=0, stdout="ran"))}
    assert matcher.username is None, "it may have been somebody else's"


def test_a_row_that_comes_too_late_is_not_taken_for_the_next_run() -> None:
    matcher = RunMatcher(HistoryWaits(row=15))
    first = lost(matcher, "a")
    matcher.unread(now=15, took=0)
    assert matcher.take(first) == {"a": NoReport(started=False, waited=15)}
    matcher.close(first, now=16)
    second = lost(matcher, "a", at=15)
    matcher.read([row(1, out="the first's")], now=16)
    assert matcher.take(second) == {"a": Ambiguous((row(1, out="the first's"),))}


def test_a_server_that_failed_before_it_wrote_a_row_ran_nothing() -> None:
    matcher = RunMatcher()
    run = lost(matcher, "a", failed=True)
    matcher.read([row(1, "b")], now=1)
    assert matcher.take(run) == {"a": NotRun()}


def test_the_same_with_a_row_goes_on() -> None:
    matcher = RunMatcher()
    run = lost(matcher, "a", failed=True)
    matcher.read([row(1)], now=1)
    matcher.read([row(1, out="ran")], now=2)
    assert matcher.take(run) == {"a": Reported(ScriptResult(retcode=0, stdout="ran"))}


def test_no_report_by_the_deadline() -> None:
    matcher = RunMatcher(HistoryWaits(report=10))
    run = sent(matcher, "a")
    matcher.read([row(1)], now=1)
    matcher.read([row(1)], now=40.9)
    assert matcher.take(run) == {}
    matcher.read([row(1)], now=41)
    assert matcher.take(run) == {"a": NoReport(started=True, waited=41)}


def test_no_row_by_its_deadline() -> None:
    matcher = RunMatcher(HistoryWaits(row=15))
    run = lost(matcher, "a")
    matcher.unread(now=14, took=0.1)
    assert matcher.take(run) == {}
    matcher.unread(now=15, took=0.1)
    assert matcher.take(run) == {"a": NoReport(started=False, waited=15)}


class TestMany:
    def test_rows_are_taken_for_ours_when_all_of_them_are_there(self) -> None:
        matcher = RunMatcher()
        run = sent(matcher, "a", "b")
        matcher.read([row(1, "a", out="x")], now=1)
        assert matcher.take(run) == {}
        matcher.read([row(1, "a", out="x"), row(2, "b")], now=2)
        assert matcher.take(run) == {"a": Reported(ScriptResult(retcode=0, stdout="x"))}
        matcher.read([row(1, "a", out="x"), row(2, "b", out="y")], now=3)
        assert matcher.take(run) == {"b": Reported(ScriptResult(retcode=0, stdout="y"))}

    def test_a_stranger_on_one_of_them_is_not_taken_for_us(self) -> None:
        matcher = RunMatcher()
        run = sent(matcher, "a", "b")
        rows = [row(1, "a", user=THEIRS, out="theirs"), row(2, "a", out="ours"), row(3, "b", out="ours")]
        matcher.read(rows[:1], now=1)
        assert matcher.take(run) == {}
        matcher.read(rows, now=2)
        assert {how.result.stdout for how in matcher.take(run).values() if isinstance(how, Reported)} == {
            "ours"
        }
        assert matcher.username == OURS

    def test_two_who_run_it_on_all_of_them_can_not_be_told_apart(self) -> None:
        matcher = RunMatcher()
        run = sent(matcher, "a", "b")
        users = {1: OURS, 2: OURS, 3: THEIRS, 4: THEIRS}
        matcher.read([row(one, "ab"[one % 2], user=user, out="?") for one, user in users.items()], now=1)
        assert {type(how) for how in matcher.take(run).values()} == {Ambiguous}

    def test_a_second_row_of_our_user_on_one_of_them_may_be_ours_too(self) -> None:
        matcher = RunMatcher()
        run = sent(matcher, "a", "b")
        matcher.read([row(1, "a"), row(2, "b")], now=1)
        matcher.read([row(1, "a", out="?"), row(2, "b", out="ours"), row(3, "a")], now=2)
        told = matcher.take(run)
        assert (type(told["a"]), told["b"]) == (Ambiguous, Reported(ScriptResult(retcode=0, stdout="ours")))

    def test_that_of_a_later_sending_of_ours_is_not(self) -> None:
        matcher = RunMatcher()
        first = sent(matcher, "a", "b")
        rows = [row(1, "a"), row(2, "b")]
        matcher.read(rows, now=1)
        second = sent(matcher, "a", "b", at=1)
        rows = [row(1, "a", out="1"), row(2, "b", out="1"), row(3, "a", out="2"), row(4, "b", out="2")]
        matcher.read(rows, now=2)
        for run, said in ((first, "1"), (second, "2")):
            assert set(matcher.take(run).values()) == {Reported(ScriptResult(retcode=0, stdout=said))}

    def test_a_call_that_was_lost_is_not_waited_for_as_long(self) -> None:
        matcher = RunMatcher(HistoryWaits(row=15, bulk_row=60))
        run = lost(matcher, "a", "b")
        matcher.read([], now=15)
        assert {type(how) for how in matcher.take(run).values()} == {NoReport}

    def test_those_that_the_server_never_began(self) -> None:
        matcher = RunMatcher(HistoryWaits(bulk_row=60))
        run = sent(matcher, "a", "b")
        matcher.read([row(1, "a", out="x")], now=10)
        matcher.read([row(1, "a", out="x")], now=69)
        assert matcher.take(run) == {}
        matcher.read([row(1, "a", out="x")], now=70)
        assert matcher.take(run) == {
            "a": Reported(ScriptResult(retcode=0, stdout="x")),
            "b": NoReport(started=False, waited=70),
        }

    @pytest.mark.parametrize("begun", [sent, lost, recovered])
    def test_rows_are_waited_for_as_long_as_new_ones_come(self, begun: Callable[..., TrackedRun]) -> None:
        matcher = RunMatcher(HistoryWaits(row=15, bulk_row=60))
        agents = [f"agent {number}" for number in range(20)]
        run = begun(matcher, *agents)
        for number in range(1, 20):
            matcher.read(
                [row(one, agents[one - 1], out="x") for one in range(1, number + 1)], now=10 + 50.0 * number
            )
            assert matcher.take(run) == {}
        rows = [row(one, agents[one - 1], out="x") for one in range(1, 21)]
        matcher.read(rows, now=10 + 50 * 20)
        assert set(matcher.take(run).values()) == {Reported(ScriptResult(retcode=0, stdout="x"))}

    def test_results_are_waited_for_as_long_as_they_come(self) -> None:
        matcher = RunMatcher(HistoryWaits(report=10))
        run = sent(matcher, "a", "b", "c")
        rows = [row(1, "a"), row(2, "b"), row(3, "c")]
        matcher.read(rows, now=1)
        rows[0] = row(1, "a", out="x")
        matcher.read(rows, now=40)
        rows[1] = row(2, "b", out="x")
        matcher.read(rows, now=49)
        matcher.take(run)
        matcher.read(rows, now=58.9)
        assert matcher.take(run) == {}
        matcher.read(rows, now=59)
        assert matcher.take(run) == {"c": NoReport(started=True, waited=59)}

    def test_one_of_an_earlier_process_does_not_settle_on_the_first_rows(self) -> None:
        matcher = RunMatcher(HistoryWaits(row=15, bulk_row=60))
        run = recovered(matcher, "a", "b", "c", at=-3600)
        matcher.read([row(1, "a", out="x"), row(2, "b", out="y")], now=0)
        matcher.read([row(1, "a", out="x"), row(2, "b", out="y")], now=59)
        assert matcher.take(run) == {}
        matcher.read([row(1, "a", out="x"), row(2, "b", out="y")], now=60)
        told = matcher.take(run)
        assert {type(told[one]) for one in "ab"} == {Reported}
        assert told["c"] == NoReport(started=False, waited=3660)

    def test_one_of_an_earlier_process_without_any_row_is_not_waited_for_when_it_is_old(self) -> None:
        matcher = RunMatcher(HistoryWaits(row=15, bulk_row=60))
        run = recovered(matcher, "a", "b", at=-50)
        matcher.read([], now=0)
        assert matcher.take(run) == {}
        matcher.read([], now=10)
        assert {type(how) for how in matcher.take(run).values()} == {NoReport}

    def test_fewer_are_expected_where_the_server_leaves_some_out(self) -> None:
        matcher = RunMatcher()
        run = sent(matcher, "a", "b")
        matcher.leave_out(run, ["b"])
        matcher.read([row(1, "a", out="x")], now=1)
        assert list(matcher.take(run)) == ["a"]


class TestStrayRows:
    """Rows of sendings that nobody waits for any more."""

    def left(self, matcher: RunMatcher, *agents: str) -> None:
        matcher.close(sent(matcher, *agents, late=True), now=1)

    def test_are_not_taken_for_those_of_the_next_sending_to_many(self) -> None:
        matcher = RunMatcher()
        self.left(matcher, "a", "b")
        second = sent(matcher, "a", "b", at=2)
        rows = [row(1, "a", out="the first's"), row(2, "b", out="the first's")]
        matcher.read(rows, now=3)
        assert matcher.take(second) == {"a": Ambiguous((rows[0],)), "b": Ambiguous((rows[1],))}

    def test_may_come_after_those_of_the_next_too(self) -> None:
        matcher = RunMatcher()
        self.left(matcher, "a", "b")
        second = sent(matcher, "a", "b", at=2)
        rows = [row(1, "a", out="?"), row(2, "b", out="?")]
        matcher.read(rows, now=3)
        assert {type(how) for how in matcher.take(second).values()} == {Ambiguous}
        matcher.close(second, now=4)
        matcher.claim_stray_rows(["a", "b"], 1, rows)
        third = sent(matcher, "a", "b", at=5)
        matcher.read([*rows, row(3, "a", out="late"), row(4, "b", out="late")], now=6)
        assert {type(how) for how in matcher.take(third).values()} == {Ambiguous}

    def test_spoil_nothing_for_other_agents_and_scripts(self) -> None:
        matcher = RunMatcher()
        self.left(matcher, "a", "x")
        second = sent(matcher, "a", "b", at=2)
        matcher.read([row(1, "a", out="?"), row(2, "b", out="ours")], now=3)
        assert matcher.take(second)["b"] == Reported(ScriptResult(retcode=0, stdout="ours"))
        assert not matcher.has_stray_rows(["a"], 2, now=3)

    def test_are_of_those_too_whose_rows_did_not_come_in_time(self) -> None:
        matcher = RunMatcher(HistoryWaits(bulk_row=60))
        first = sent(matcher, "a", "b")
        matcher.read([row(1, "a", out="x")], now=1)
        matcher.read([row(1, "a", out="x")], now=61)
        matcher.close(first, now=61)
        assert matcher.has_stray_rows(["b"], 1, now=62)
        assert not matcher.has_stray_rows(["a"], 1, now=62)

    def test_are_laid_by_their_rows(self) -> None:
        matcher = RunMatcher()
        self.left(matcher, "a", "b")
        assert matcher.has_stray_rows(["a", "b"], 1, now=2)
        old = [row(1, "a"), row(2, "b")]
        matcher.note(old)
        matcher.claim_stray_rows(["a", "b"], 1, old)
        assert not matcher.has_stray_rows(["a", "b"], 1, now=2)
        second = sent(matcher, "a", "b", at=2)
        matcher.read([*old, row(3, "a", out="x"), row(4, "b", out="y")], now=3)
        assert {type(how) for how in matcher.take(second).values()} == {Reported}

    def test_are_laid_one_by_each_row(self) -> None:
        matcher = RunMatcher()
        self.left(matcher, "a", "b")
        self.left(matcher, "a", "b")
        matcher.claim_stray_rows(["a"], 1, [row(1, "a")])
        assert matcher.has_stray_rows(["a"], 1, now=2)
        matcher.claim_stray_rows(["a"], 1, [row(1, "a"), row(2, "a")])
        assert not matcher.has_stray_rows(["a"], 1, now=2)

    def test_keep_no_claims_but_those_that_their_own_rows_could_be_taken_for(self) -> None:
        matcher = RunMatcher(HistoryWaits(bulk_row=60))
        matcher.username = OURS
        for number in range(1, 500):
            agent, now = "abc"[number % 3], float(number)
            run = TrackedRun(script=1, timeout=0, agent_ids=(agent,))
            matcher.open(run)
            matcher.may_have_left(run, True)
            matcher.close(run, now)  # its answer was lost
            rows = [row(number, agent)]
            matcher.note(rows)
            matcher.claim_stray_rows([agent], 1, rows)
            assert len(matcher._claimed) <= 3

    def test_keep_the_claims_of_rows_that_could_be_theirs(self) -> None:
        matcher = RunMatcher(HistoryWaits(bulk_row=60))
        first = sent(matcher, "a")
        self.left(matcher, "a", "b")
        matcher.read([row(1, "a", out="first")], now=2)
        matcher.close(first, now=3)
        matcher.claim_stray_rows(["a"], 1, [row(1, "a", out="first")])
        assert matcher.has_stray_rows(["a"], 1, now=4), "the row was another's"

    def test_do_not_come_for_ever(self) -> None:
        matcher = RunMatcher(HistoryWaits(bulk_row=60))
        self.left(matcher, "a", "b")
        assert matcher.has_stray_rows(["a"], 1, now=60)
        assert not matcher.has_stray_rows(["a"], 1, now=61)

    def test_are_looked_for_from_the_watermark_of_their_sending_on(self) -> None:
        matcher = RunMatcher()
        matcher.note([row(9)])
        self.left(matcher, "a", "b")
        assert matcher.strays_since() == START + timedelta(seconds=4)
        untimed = opened(matcher, "a", late=True)
        matcher.recover(untimed, Watermark(9, None))
        matcher.close(sent_as(untimed, matcher, at=0), now=1)
        assert matcher.strays_since() is None


class TestLooks:
    def test_quick_at_first_then_calmer(self) -> None:
        matcher = RunMatcher(HistoryWaits(report=1000))
        sent(matcher, "a")
        now, looks = 0.0, []
        while (wait := matcher.due(now)) is not None and now < 120:
            now += wait
            looks.append(now)
            matcher.read([row(1)], now)
        gaps = [after - before for before, after in pairwise(looks)]
        assert looks[0] == pytest.approx(0.15)
        assert all(after > before - 1e-9 for before, after in pairwise(gaps))
        assert max(gaps) == pytest.approx(5.0)
        assert len(looks) < 70

    @settings(max_examples=many(40))
    @given(st.lists(st.floats(0.04, 0.3), min_size=30, max_size=120), st.floats(0.0, 0.07))
    def test_come_soon_after_the_last_result_of_many(self, gaps: list[float], took: float) -> None:
        agents = [f"agent {number}" for number in range(len(gaps))]
        reported = list(accumulate(gaps, initial=3.0))[1:]
        matcher = RunMatcher()
        run = sent(matcher, *agents)
        now = 0.0
        while (wait := matcher.due(now)) is not None:
            now += wait
            rows = [
                row(number, agent, out="x" if at <= now else None)
                for number, (agent, at) in enumerate(zip(agents, reported, strict=True), 1)
            ]
            now += took
            matcher.read(rows, now, took)
        assert set(matcher.take(run).values()) == {Reported(ScriptResult(retcode=0, stdout="x"))}
        assert now - reported[-1] < 0.3

    def test_a_slow_server_is_asked_less_often(self) -> None:
        matcher = RunMatcher()
        sent(matcher, "a")
        matcher.read([row(1)], now=3, took=3)
        assert matcher.due(3) == pytest.approx(3)

    def test_none_while_nobody_waits(self) -> None:
        matcher = RunMatcher()
        assert matcher.due(0) is None
        run = sent(matcher, "a")
        matcher.read([row(1, out="x")], now=1)
        assert matcher.due(1) is None
        matcher.close(run, now=16)
        assert matcher.due(1) is None

    def test_only_what_is_newer_than_the_watermark_is_asked_for(self) -> None:
        matcher = RunMatcher()
        matcher.note([row(100, out="old")])
        sent(matcher, "a")
        assert matcher.span(1).since == START + timedelta(seconds=100 - 5)
        matcher.read([row(200)], now=1)
        assert matcher.span(1).since == START + timedelta(seconds=200 - 5)

    def test_all_of_it_once_where_a_row_is_overdue(self) -> None:
        matcher = RunMatcher(HistoryWaits(row=15))
        matcher.note([row(100, out="old")])
        run = sent(matcher, "a")
        assert matcher.span(8).since is None
        assert matcher.span(9).since is not None
        matcher.read([row(100, out="old"), row(101, out="x")], now=9, span=Span(None))
        assert matcher.take(run) == {"a": Reported(ScriptResult(retcode=0, stdout="x"))}

    def test_a_history_that_was_emptied_gives_a_new_watermark(self) -> None:
        matcher = RunMatcher()
        matcher.note([row(100, out="old")])
        sent(matcher, "a")
        matcher.read([row(3)], now=9, span=Span(None))
        assert matcher.newest.row == 3

    def test_all_of_it_where_there_was_no_watermark(self) -> None:
        matcher = RunMatcher()
        sent(matcher, "a")
        assert matcher.span(1).since is None


class TestOneThatStaysSilent:
    """Rows 1 to 9 of nine agents; that of the fifth has no result yet."""

    NAMES = "abcdefghi"

    def before(self) -> tuple[RunMatcher, TrackedRun, list[HistoryEntry]]:
        matcher = RunMatcher(HistoryWaits(report=20))
        matcher.username = OURS
        run = sent(matcher, *self.NAMES)
        rows = [row(number, one, out=None if one == "e" else "x") for number, one in enumerate(self.NAMES, 1)]
        self.look(matcher, rows, 1)
        assert run.pending == {"e"}
        self.look(matcher, rows, 2)
        return matcher, run, rows

    def look(self, matcher: RunMatcher, rows: Iterable[HistoryEntry], now: float) -> list[int]:
        """A look; which rows it brought."""
        span = matcher.span(now)
        seen = [one for one in rows if span.holds(one) or span.since is None]
        matcher.read(seen, now, span=span)
        return [one.id for one in seen]

    def test_only_its_row_is_read_again(self) -> None:
        matcher, run, rows = self.before()
        assert [self.look(matcher, rows, now) for now in (3, 9, 30)] == [[5]] * 3
        assert matcher.take(run).keys() == {*self.NAMES} - {"e"}

    def test_what_it_reports_is_taken_once_all_has_been_looked_at(self) -> None:
        matcher, run, rows = self.before()
        matcher.take(run)
        rows[4] = row(5, "e", out="late")
        assert self.look(matcher, rows, 9) == [5]
        assert (matcher.take(run), matcher.due(9)) == ({}, 0)
        assert len(self.look(matcher, rows, 9.1)) > 1
        assert matcher.take(run) == {"e": Reported(ScriptResult(retcode=0, stdout="late"))}

    def test_a_further_row_that_was_left_out_makes_it_doubtful(self) -> None:
        matcher, run, rows = self.before()
        matcher.take(run)
        rows[4] = row(5, "e", out="whose")
        rows.append(row(10, "e", out="whose, too"))
        for now in (9.0, 9.1):
            self.look(matcher, rows, now)
        assert matcher.take(run) == {"e": Ambiguous((row(5, "e"), rows[-1]))}

    def test_it_is_given_up_after_a_look_at_all(self) -> None:
        matcher, run, rows = self.before()
        matcher.take(run)
        end = 1 + 30 + 20
        assert self.look(matcher, rows, end - 1) == [5]
        assert len(self.look(matcher, rows, end)) > 1
        assert matcher.take(run) == {"e": NoReport(started=True, waited=end)}

    def test_a_server_that_reads_the_span_otherwise_is_asked_for_all(self) -> None:
        matcher, _, rows = self.before()
        assert matcher.span(3).until is not None
        matcher.read([], 3, span=matcher.span(3))
        for now in (3.1, 4, 5):
            assert len(self.look(matcher, rows, now)) > 1

    def test_what_is_sent_meanwhile_is_looked_for(self) -> None:
        matcher, _, rows = self.before()
        sent(matcher, "z", at=3)
        rows.append(row(10, "z", out="x"))
        assert 10 in self.look(matcher, rows, 4)


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
    world, matcher = World(), RunMatcher(HistoryWaits(row=5, report=5))
    open_runs: list[tuple[TrackedRun, str | None]] = []
    now = 0.0
    for what, agent in steps:
        now += 1
        if what == "foreign":
            world.run(agent, data.draw(st.sampled_from([THEIRS, "third"])))
        elif matcher.holder([agent], 1) is None:
            known = matcher.username
            # Before our name is known, a stranger's row could be taken for a run whose answer was lost.
            if known is None and what != "ours":
                continue
            run = (sent if what == "ours" else lost)(matcher, agent, at=now)
            ran = None if what == "never came" else world.run(agent, OURS)
            open_runs.append((run, None if ran is None or ran.result is None else ran.result.stdout))
        if data.draw(st.booleans()):
            matcher.read(world.rows, now)
    for later in (10.0, 100.0):
        matcher.read(world.rows, now + later)
    for run, printed in open_runs:
        (how,) = matcher.take(run).values()
        if isinstance(how, Reported):
            assert how.result.stdout == printed
        else:
            assert isinstance(how, NoReport | Ambiguous)


def silenced(one: HistoryEntry) -> HistoryEntry:
    return msgspec.structs.replace(one, result=None)


class BusyServer:
    """It writes the rows of what it has accepted when its queue comes to it, and agents report one by one.

    We know our own name, and see of the history what we ask for.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.matcher = RunMatcher(HistoryWaits(report=50, bulk_row=50))
        self.matcher.username = OURS
        self.rows: list[HistoryEntry] = []
        self.queue: list[tuple[str, str]] = []
        self.silent: list[int] = []
        self.ours: list[tuple[TrackedRun, str]] = []

    def send(self, agents: str) -> None:
        if self.matcher.holder(agents, 1) is not None:
            return
        if self.matcher.has_stray_rows(agents, 1, self.now):
            self.matcher.claim_stray_rows(agents, 1, self.rows)
        self.matcher.note(self.rows)
        name = f"run {len(self.ours)} at {self.now}"
        self.ours.append((sent(self.matcher, *agents, at=self.now), name))
        self.queue.append((agents, name))

    def leave(self, agents: str) -> None:
        if self.ours:
            run, name = self.ours.pop(0)
            self.check(run, name)
            self.matcher.close(run, self.now)

    def work(self, agents: str = "") -> None:
        if self.queue:
            self.write(*self.queue.pop(0))

    def foreign(self, agents: str) -> None:
        self.write(agents, "theirs", THEIRS)

    def look(self, agents: str = "") -> None:
        span = self.matcher.span(self.now)
        shown = [one if place not in self.silent else silenced(one) for place, one in enumerate(self.rows)]
        self.matcher.read(list(filter(span.holds, shown)), self.now, span=span)

    def report(self, agents: str = "") -> None:
        if self.silent:
            self.silent.pop(0)

    def write(self, agents: str, out: str, user: str = OURS) -> None:
        first = len(self.rows) + 1
        self.rows.extend(row(number, one, user=user, out=out) for number, one in enumerate(agents, first))
        self.silent.extend(range(first - 1, len(self.rows)))

    def check(self, run: TrackedRun, name: str) -> None:
        told = [how.result.stdout for how in self.matcher.take(run).values() if isinstance(how, Reported)]
        assert told == [name] * len(told)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "send", "leave", "work", "work", "look", "look", "report", "foreign"]),
            st.sampled_from(["ab", "bc", "abc"]),
        ),
        max_size=16,
    )
)
def test_no_sending_to_many_is_ever_given_anothers_results(steps: Iterable[tuple[str, str]]) -> None:
    server = BusyServer()
    for what, agents in steps:
        server.now += 0.5
        getattr(server, what)(agents)
    for later in (1.0, 2.0, 60.0, 200.0, 0.1, 100.0):
        server.now += later
        server.work()
        server.report()
        server.look()
    for run, name in server.ours:
        server.check(run, name)
        assert not run.pending
