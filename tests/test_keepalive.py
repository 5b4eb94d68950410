"""How long an idle connection is trusted with a call that must not be sent twice."""

from hypothesis import given
from hypothesis import strategies as st

from trmm_async.keepalive import IDLE_MOST, KeepAliveTrust

seconds = st.floats(0, 600, allow_nan=False)
sights = st.lists(st.tuples(st.booleans(), seconds), max_size=30)


def seen(*what: tuple[bool, float]) -> KeepAliveTrust:
    trust = KeepAliveTrust()
    for alive, idle in what:
        (trust.survived if alive else trust.died)(idle)
    return trust


def test_a_server_that_was_never_seen_is_not_trusted() -> None:
    assert KeepAliveTrust().limit == 0


def test_half_of_what_a_connection_survived_is_trusted() -> None:
    assert seen((True, 3.0)).limit == 1.5
    assert seen((True, 3.0), (True, 1.0)).limit == 1.5
    assert seen((True, 1.0), (True, 3.0)).limit == 1.5


def test_a_death_takes_trust_back() -> None:
    assert seen((True, 8.0), (False, 2.0)).limit == 1.0
    assert seen((True, 8.0), (False, 0.0)).limit == 0


def test_a_death_after_a_long_time_says_nothing_against_a_short_one() -> None:
    assert seen((True, 2.0), (False, 600.0)).limit == 1.0


def test_a_death_alone_earns_no_trust() -> None:
    assert seen((False, 60.0)).limit == 0


def test_trust_is_earned_anew_after_a_death() -> None:
    assert seen((True, 8.0), (False, 0.0), (True, 4.0)).limit == 2.0


def test_its_text_is_its_state() -> None:
    assert repr(seen((True, 3.0))) == "<KeepAliveTrust up to 1.500 s>"


@given(sights)
def test_no_evidence_counts_beyond_a_few_seconds(what: list[tuple[bool, float]]) -> None:
    assert 0 <= seen(*what).limit <= IDLE_MOST


@given(sights, seconds)
def test_after_a_death_less_is_trusted_than_killed(what: list[tuple[bool, float]], idle: float) -> None:
    limit = seen(*what, (False, idle)).limit
    assert limit <= idle / 2
    assert limit <= seen(*what).limit


@given(st.floats(0.01, 600), st.lists(st.floats(0, 600), max_size=30))
def test_a_server_with_a_fixed_patience_is_never_raced(patience: float, idles: list[float]) -> None:
    """Whatever it was seen to do, what is trusted keeps half of its patience as a distance."""
    limit = seen(*((idle < patience, idle) for idle in idles)).limit
    assert limit <= patience / 2
