"""Whether a call is sent again: every replay rule against every fault."""

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trmm_async.calls import Replay
from trmm_async.retry import Again, Final, Meaning, NoReply, Reply, RetryPolicy, Stage, Tries, retry_after

NOW = datetime(2026, 4, 21, 10, 0, tzinfo=UTC)
LONG = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - NOW).total_seconds()
ONCE_MORE = RetryPolicy(retries=1)


def reply(status: int, after: str | None = None) -> Reply:
    return Reply(status, {} if after is None else {"retry-after": after}, b"")


def fault(stage: Stage) -> NoReply:
    return NoReply(stage, "reason")


def tries(replay: Replay, policy: RetryPolicy = ONCE_MORE, **settings: Any) -> Tries:
    return Tries(replay, policy, jitter=lambda: 0.5, **settings)


CASES: dict[str, Reply | NoReply] = {
    "not sent": fault(Stage.NOT_SENT),
    "lost": fault(Stage.LOST),
    "late": fault(Stage.LATE),
    "unreadable": fault(Stage.UNREADABLE),
    "400": reply(400),
    "401": reply(401),
    "403": reply(403),
    "404": reply(404),
    "408": reply(408),
    "409": reply(409),
    "429": reply(429),
    "429 and a time": reply(429, "1"),
    "500": reply(500),
    "501": reply(501),
    "502": reply(502),
    "503": reply(503),
    "503 and a time": reply(503, "1"),
    "504": reply(504),
    "499": reply(499),
    "302": reply(302),
    "304": reply(304),
    "101": reply(101),
}
REPEATED = {
    Replay.SAFE: {"not sent", "lost", "429", "429 and a time", "500", "502", "503", "503 and a time", "504"},
    Replay.IDEMPOTENT: {"not sent", "lost", "429", "429 and a time", "502", "503", "503 and a time", "504"},
    Replay.NEVER: {"not sent", "429", "429 and a time"},
}
REFUSED = {"400", "401", "403", "404", "409", "429", "429 and a time"}
UNKNOWN = set(CASES) - REFUSED - {"not sent"}
"""All but what proves that it did nothing: never sent, or refused."""


@pytest.mark.parametrize("replay", Replay)
@pytest.mark.parametrize("case", CASES)
def test_what_is_sent_again(replay: Replay, case: str) -> None:
    verdict = tries(replay).judge(CASES[case], NOW)
    assert isinstance(verdict, Again) is (case in REPEATED[replay])


@pytest.mark.parametrize("replay", Replay)
@pytest.mark.parametrize("case", CASES)
def test_what_it_means_in_the_end(replay: Replay, case: str) -> None:
    verdict = tries(replay, RetryPolicy(retries=0)).judge(CASES[case], NOW)
    assert isinstance(verdict, Final)
    if replay is not Replay.SAFE and case in UNKNOWN:
        assert verdict.meaning is Meaning.UNKNOWN
    elif isinstance(CASES[case], NoReply):
        assert verdict.meaning is Meaning.FAILED
    else:
        assert verdict.meaning is Meaning.ANSWERED


def test_success_is_an_answer() -> None:
    for status in (200, 201, 204):
        assert tries(Replay.NEVER).judge(reply(status), NOW) == Final(Meaning.ANSWERED)


@pytest.mark.parametrize("lost", ["lost", "502", "503", "503 and a time", "504"])
def test_a_delete_that_finds_nothing_after_a_lost_answer_is_done(lost: str) -> None:
    history = tries(Replay.IDEMPOTENT, gone_is_done=True)
    assert isinstance(history.judge(CASES[lost], NOW), Again)
    assert history.judge(reply(404), NOW) == Final(Meaning.DONE)


@pytest.mark.parametrize("before", ["not sent", "429"])
def test_and_only_after_a_lost_answer(before: str) -> None:
    history = tries(Replay.IDEMPOTENT, gone_is_done=True)
    assert isinstance(history.judge(CASES[before], NOW), Again)
    assert history.judge(reply(404), NOW) == Final(Meaning.ANSWERED)


@pytest.mark.parametrize("then", ["not sent", *sorted(REFUSED)])
def test_once_an_answer_was_lost_the_outcome_stays_unknown(then: str) -> None:
    history = tries(Replay.IDEMPOTENT)
    assert isinstance(history.judge(CASES["lost"], NOW), Again)
    assert history.judge(CASES[then], NOW) == Final(Meaning.UNKNOWN)


@pytest.mark.parametrize("between", ["not sent", "429", "429 and a time"])
def test_also_if_a_later_attempt_certainly_changed_nothing(between: str) -> None:
    history = tries(Replay.IDEMPOTENT, RetryPolicy(retries=2), gone_is_done=True)
    for case in ("lost", between):
        assert isinstance(history.judge(CASES[case], NOW), Again)
    assert history.judge(CASES["not sent"], NOW) == Final(Meaning.UNKNOWN)
    history = tries(Replay.IDEMPOTENT, RetryPolicy(retries=2), gone_is_done=True)
    for case in ("lost", between):
        assert isinstance(history.judge(CASES[case], NOW), Again)
    assert history.judge(reply(404), NOW) == Final(Meaning.DONE)


def test_a_read_whose_answer_was_lost_has_still_changed_nothing() -> None:
    history = tries(Replay.SAFE)
    assert isinstance(history.judge(CASES["lost"], NOW), Again)
    assert history.judge(CASES["not sent"], NOW) == Final(Meaning.FAILED)


def test_success_is_2xx() -> None:
    assert [status for status in range(100, 600) if reply(status).ok] == [*range(200, 300)]


@given(st.lists(st.sampled_from(sorted(CASES)), max_size=6))
def test_what_must_not_run_twice_is_only_repeated_if_no_attempt_may_have_run(cases: list[str]) -> None:
    history = tries(Replay.NEVER, RetryPolicy(retries=10))
    for case in cases:
        verdict = history.judge(CASES[case], NOW)
        assert isinstance(verdict, Again) is (case in REPEATED[Replay.NEVER])
        if isinstance(verdict, Final):
            assert (verdict.meaning is Meaning.UNKNOWN) is (case in UNKNOWN)
            break


@given(st.lists(st.sampled_from(sorted(CASES)), min_size=1, max_size=12), st.sampled_from(Replay))
def test_attempts_and_waiting_are_bounded_and_nothing_unsafe_is_repeated(
    cases: list[str], replay: Replay
) -> None:
    history = Tries(replay, RetryPolicy(retries=4, patience=3.0), jitter=lambda: 1.0)
    for case in cases:
        verdict = history.judge(CASES[case], NOW)
        assert history.sent <= 5
        assert history.waited <= 3.0
        if isinstance(verdict, Final):
            break
        assert case in REPEATED[replay]
        assert verdict.delay > 0


@given(
    st.sampled_from([Replay.IDEMPOTENT, Replay.NEVER]),
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["retry-after", "date", "location"]), st.sampled_from(["1", "soon", ""])),
)
def test_only_success_and_a_refusal_say_what_became_of_a_change(
    replay: Replay, status: int, headers: dict[str, str]
) -> None:
    verdict = tries(replay, RetryPolicy(retries=0)).judge(Reply(status, headers, b""), NOW)
    known = 200 <= status < 300 or (400 <= status < 500 and status not in {408, 460, 499})
    assert verdict == Final(Meaning.ANSWERED if known else Meaning.UNKNOWN)


@given(st.integers(1, 10), st.floats(0, 1))
def test_the_back_off_grows_is_jittered_and_has_an_end(failures: int, jitter: float) -> None:
    history = Tries(Replay.SAFE, RetryPolicy(retries=100, patience=1e9), jitter=lambda: jitter)
    verdict = [history.judge(reply(502), NOW) for _ in range(failures)][-1]
    assert isinstance(verdict, Again)
    full = min(8.0, 0.25 * 2 ** (failures - 1))
    assert full / 2 <= verdict.delay <= full


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    verdict = tries(Replay.NEVER).judge(reply(429, "7"), NOW)
    assert isinstance(verdict, Again)
    assert verdict.everyone
    assert 7.0 <= verdict.delay <= 7.25


@given(st.floats(0, 1))
def test_and_jittered_so_that_not_all_come_back_at_once(jitter: float) -> None:
    history = Tries(Replay.SAFE, RetryPolicy(), jitter=lambda: jitter)
    verdict = history.judge(reply(503, "7"), NOW)
    assert isinstance(verdict, Again)
    assert verdict.delay == 7 + jitter / 4


@pytest.mark.parametrize("case", ["not sent", "lost", "500", "502", "503", "503 and a time", "504"])
def test_nobody_else_waits_for_what_is_no_429(case: str) -> None:
    verdict = tries(Replay.SAFE).judge(CASES[case], NOW)
    assert isinstance(verdict, Again)
    assert not verdict.everyone


@pytest.mark.parametrize("asked", ["0", "0.1", "Tue, 21 Apr 2026 09:00:00 GMT"])
def test_no_wait_is_shorter_than_our_own_back_off(asked: str) -> None:
    history, unasked = (tries(Replay.SAFE, RetryPolicy(retries=9)) for _ in range(2))
    for _ in range(6):
        verdict, own = history.judge(reply(429, asked), NOW), unasked.judge(reply(429), NOW)
        assert isinstance(verdict, Again)
        assert isinstance(own, Again)
        assert own.delay <= verdict.delay <= own.delay + 0.25


def test_what_an_earlier_answer_asked_for_is_forgotten() -> None:
    history = tries(Replay.SAFE, RetryPolicy(retries=2))
    history.judge(reply(429, "7"), NOW)
    verdict = history.judge(reply(502), NOW)
    assert isinstance(verdict, Again)
    assert verdict.delay < 1
    assert history.asked is None


def test_patience_is_for_all_waits_together() -> None:
    history = tries(Replay.SAFE, RetryPolicy(retries=99, patience=60))
    verdicts = [history.judge(reply(429, "20"), NOW) for _ in range(3)]
    assert [type(verdict) for verdict in verdicts] == [Again, Again, Final]
    assert 40 <= history.waited <= 41


def test_thousands_of_attempts_are_as_patient_as_few() -> None:
    history = tries(Replay.SAFE, RetryPolicy(retries=5000, patience=1e9))
    assert all(isinstance(history.judge(reply(502), NOW), Again) for _ in range(5000))


def test_a_wait_without_end_is_the_end() -> None:
    history = tries(Replay.NEVER, RetryPolicy(retries=3, patience=1e300))
    assert history.judge(reply(429, "9" * 400), NOW) == Final(Meaning.ANSWERED)


def test_a_wait_beyond_our_patience_is_the_end() -> None:
    history = tries(Replay.SAFE, RetryPolicy(retries=3, patience=60))
    assert history.judge(reply(429, "3600"), NOW) == Final(Meaning.ANSWERED)
    assert (history.asked, history.waited) == (3600.0, 0.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("0.5", 0.5),
        ("Tue, 21 Apr 2026 10:00:30 GMT", 30.0),
        ("Tue, 21 Apr 2026 10:00:30 -0000", 30.0),
        ("Tue, 21 Apr 2026 12:00:30 +0200", 30.0),
        ("Tue, 21 Apr 2026 09:00:00 GMT", 0.0),
        ("Tue, 21 Apr 2026 10:00:30", 30.0),
        ("Tuesday, 21-Apr-26 10:00:30 GMT", 30.0),
        ("Fri, 31 Dec 9999 23:59:59 +0000", LONG),
        ("Fri, 31 Dec 9999 23:59:59 -2359", LONG + 86_340),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
        ("Mon, 99999999999999999999 Jan 2024 00:00:00 GMT", None),
        ("Mon, 31 Feb 2026 00:00:00 GMT", None),
        ("9" * 400, math.inf),
        ("soon", None),
        ("1e3", None),
        ("nan", None),
        ("7,5", None),
        ("-5", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, NOW) == seconds


@pytest.mark.parametrize("date", ["Tue, 21 Apr 2026 10:00:27 GMT", "Tue, 21 Apr 2026 10:00:27"])
@given(skew=st.timedeltas(timedelta(days=-3650), timedelta(days=3650)))
def test_a_date_is_measured_by_the_clock_of_the_server(date: str, skew: timedelta) -> None:
    headers = {"retry-after": "Tue, 21 Apr 2026 10:00:30 GMT", "date": date}
    assert retry_after(headers, NOW + skew) == 3.0


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 31 Feb 2026 00:00:00 GMT"])
def test_and_by_ours_where_it_shows_none(date: str) -> None:
    assert retry_after({"retry-after": "Tue, 21 Apr 2026 10:00:30 GMT", "date": date}, NOW) == 30.0


def test_a_date_without_a_zone_is_in_utc_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert retry_after({"retry-after": "Tue, 21 Apr 2026 10:00:30 -0000"}, NOW) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


WORDS = [
    "Mon,",
    "Jan",
    "1",
    "31",
    "99999999999999999999",
    "2024",
    "00:00:00",
    "1:2:3:4",
    "+0000",
    "-9999",
    "GMT",
]


@given(st.lists(st.sampled_from([*WORDS, "-", ",", ":", "1.2.3", ".", " "]), max_size=8).map(" ".join))
@example("Mon, 1 Jan 2024 00:00:00 +99999999999999999999")
def test_whatever_looks_like_a_date_is_one_or_none(value: str) -> None:
    found = retry_after({"retry-after": value}, NOW)
    assert found is None or found >= 0


@given(st.text(max_size=40), st.text(max_size=40) | st.just("Mon, 01 Jan 0001 00:00:00 +2359"))
@example("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359")
def test_whatever_stands_in_retry_after_nothing_breaks(value: str, date: str) -> None:
    found = retry_after({"retry-after": value, "date": date}, NOW)
    assert found is None or found >= 0
