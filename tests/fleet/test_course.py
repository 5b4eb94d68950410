"""How far a run may go: canaries, batches, failures. Pure."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import InvalidRequestError, ScriptResult
from trmm_async.errors import NotFoundError, OutcomeUnknownError
from trmm_async.fleet.course import Course, Policy
from trmm_async.outcomes import Done, Failed, Outcome, Skipped, Unknown

GOOD = Done("a", ScriptResult(retcode=0))
BAD = Done("a", ScriptResult(retcode=1))
REFUSED = Failed("a", NotFoundError(404, "no"))
LOST = Unknown("a", OutcomeUnknownError("lost"))
OFFLINE = Skipped("a", "it is offline")


def settle(course: Course, policy: Policy, *outcomes: Outcome) -> None:
    for outcome in outcomes:
        course.settle(outcome, succeeded=isinstance(outcome, Done) and policy.success(outcome.result))


def test_without_a_policy_all_may_start() -> None:
    course = Course(Policy(), 10)
    course.start(10)
    settle(course, Policy(), *[BAD] * 10)
    assert course.allowance > 0
    assert course.stopped == ""


def test_canaries_go_first_and_then_all() -> None:
    policy = Policy(canary=2)
    course = Course(policy, 10)
    assert course.allowance == 2
    course.start(2)
    assert course.allowance == 0
    settle(course, policy, GOOD)
    assert course.allowance == 0
    settle(course, policy, GOOD)
    assert course.allowance > 8


@pytest.mark.parametrize("outcome", [BAD, REFUSED, LOST])
def test_one_canary_that_does_not_succeed_stops_the_run(outcome: Outcome) -> None:
    policy = Policy(canary=2, max_failures=5)
    course = Course(policy, 10)
    course.start(2)
    settle(course, policy, GOOD, outcome)
    assert course.allowance == 0
    assert course.stopped == "a canary did not succeed"


def test_one_batch_after_the_other() -> None:
    policy = Policy(canary=1, batch=3)
    course = Course(policy, 10)
    sizes: list[int] = []
    while course.allowance and sum(sizes) < 10:
        size = min(course.allowance, 10 - sum(sizes))
        sizes.append(size)
        course.start(size)
        settle(course, policy, *[GOOD] * size)
    assert sizes == [1, 3, 3, 3]


@pytest.mark.parametrize(
    ("batch", "total", "size"), [(0.25, 60, 15), (0.1, 5, 1), (0.5, 3, 2), (0.001, 10, 1), (7, 3, 7)]
)
def test_a_batch_may_be_a_share(batch: float, total: int, size: int) -> None:
    assert Course(Policy(batch=batch), total).allowance == size


@pytest.mark.parametrize(
    ("most", "total", "put_up_with"), [(0, 10, 0), (2, 10, 2), (0.1, 50, 5), (0.1, 5, 0), (0.5, 3, 1)]
)
def test_one_failure_too_many_stops_the_run(most: float, total: int, put_up_with: int) -> None:
    policy = Policy(max_failures=most)
    course = Course(policy, total)
    course.start(total)
    settle(course, policy, *[REFUSED] * put_up_with)
    assert course.stopped == ""
    settle(course, policy, OFFLINE, GOOD)
    assert course.stopped == ""
    settle(course, policy, LOST)
    assert course.stopped == f"more than {put_up_with} failures"
    course.stop("something else")
    assert course.stopped == f"more than {put_up_with} failures"


def test_what_counts_as_success_is_the_users_to_say() -> None:
    policy = Policy(max_failures=0, success=lambda result: result.retcode in {0, 3010})
    course = Course(policy, 3)
    course.start(3)
    settle(course, policy, Done("a", ScriptResult(retcode=3010)))
    assert course.stopped == ""
    settle(course, policy, BAD)
    assert course.stopped


@pytest.mark.parametrize("policy", [Policy(batch=0.5), Policy(max_failures=0.5)])
def test_a_share_needs_to_know_of_how_many(policy: Policy) -> None:
    with pytest.raises(InvalidRequestError, match="how many there are"):
        Course(policy, None)


def test_what_would_become_of_each_target() -> None:
    policy = Policy(canary=2, batch=3)
    assert [policy.words_for(place, 10) for place in (0, 1, 2, 4, 5, 9)] == [
        "would run first, as a canary",
        "would run first, as a canary",
        "would run in batch 1",
        "would run in batch 1",
        "would run in batch 2",
        "would run in batch 3",
    ]
    assert Policy().words_for(7, 10) == "would run"
    assert Policy(canary=1).words_for(7, 10) == "would run, if the canaries succeed"


@given(
    st.one_of(st.none(), st.integers(1, 5)),
    st.one_of(st.none(), st.integers(1, 5), st.floats(0.05, 0.95)),
    st.one_of(st.none(), st.integers(0, 4), st.floats(0.05, 0.95)),
    st.lists(st.sampled_from([GOOD, BAD, REFUSED, LOST, OFFLINE]), max_size=30),
    st.data(),
)
def test_any_course_ends_and_never_goes_too_far(
    canary: int | None,
    batch: float | None,
    most: float | None,
    fates: list[Outcome],
    data: st.DataObject,
) -> None:
    """In any order of starting and ending: no more at once than a wave, until all have ended or it stops."""
    policy = Policy(canary=canary, batch=batch, max_failures=most)
    course = Course(policy, len(fates))
    rest, under_way, tried = deque(fates), 0, 0
    running: list[Outcome] = []
    while (rest and course.allowance) or running:
        may_start = bool(rest) and course.allowance > 0
        if may_start and (not running or data.draw(st.booleans())):
            course.start()
            running.append(rest.popleft())
            tried += 1
            under_way = max(under_way, len(running))
        else:
            settle(course, policy, running.pop(data.draw(st.integers(0, len(running) - 1))))
    assert bool(rest) == bool(course.stopped) or not rest
    if canary is not None and any(one in {BAD, REFUSED, LOST} for one in fates[:canary]):
        assert tried <= canary
    if batch is not None and isinstance(batch, int):
        assert under_way <= max(batch, canary or 0)
    if most is not None and isinstance(most, int) and not course.stopped:
        assert course.failures <= most
