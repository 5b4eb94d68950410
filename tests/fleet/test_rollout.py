"""How far a run may go: canaries, batches, failures. Pure."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import InvalidRequestError, ScriptResult
from trmm_async.errors import NotFoundError, OutcomeUnknownError
from trmm_async.fleet.rollout import RolloutControl, RolloutPolicy
from trmm_async.outcomes import Done, Failed, Outcome, Skipped, Unknown

GOOD = Done("a", ScriptResult(retcode=0))
BAD = Done("a", ScriptResult(retcode=1))
REFUSED = Failed("a", NotFoundError(404, "no"))
LOST = Unknown("a", OutcomeUnknownError("lost"))
OFFLINE = Skipped("a", "it is offline")


def settle(control: RolloutControl, policy: RolloutPolicy, *outcomes: Outcome) -> None:
    for outcome in outcomes:
        control.settle(outcome, succeeded=isinstance(outcome, Done) and policy.success(outcome.result))


def test_without_a_policy_all_may_start() -> None:
    control = RolloutControl(RolloutPolicy(), 10)
    control.start(10)
    settle(control, RolloutPolicy(), *[BAD] * 10)
    assert control.allowance > 0
    assert control.stopped == ""


def test_canaries_go_first_and_then_all() -> None:
    policy = RolloutPolicy(canary=2)
    control = RolloutControl(policy, 10)
    assert control.allowance == 2
    control.start(2)
    assert control.allowance == 0
    settle(control, policy, GOOD)
    assert control.allowance == 0
    settle(control, policy, GOOD)
    assert control.allowance > 8


@pytest.mark.parametrize("outcome", [BAD, REFUSED, LOST])
def test_one_canary_that_does_not_succeed_stops_the_run(outcome: Outcome) -> None:
    policy = RolloutPolicy(canary=2, max_failures=5)
    control = RolloutControl(policy, 10)
    control.start(2)
    settle(control, policy, GOOD, outcome)
    assert control.allowance == 0
    assert control.stopped == "a canary did not succeed"


def test_one_batch_after_the_other() -> None:
    policy = RolloutPolicy(canary=1, batch=3)
    control = RolloutControl(policy, 10)
    sizes: list[int] = []
    while control.allowance and sum(sizes) < 10:
        size = min(control.allowance, 10 - sum(sizes))
        sizes.append(size)
        control.start(size)
        settle(control, policy, *[GOOD] * size)
    assert sizes == [1, 3, 3, 3]


@pytest.mark.parametrize(
    ("batch", "total", "size"), [(0.25, 60, 15), (0.1, 5, 1), (0.5, 3, 2), (0.001, 10, 1), (7, 3, 7)]
)
def test_a_batch_may_be_a_share(batch: float, total: int, size: int) -> None:
    assert RolloutControl(RolloutPolicy(batch=batch), total).allowance == size


@pytest.mark.parametrize(
    ("most", "total", "put_up_with"), [(0, 10, 0), (2, 10, 2), (0.1, 50, 5), (0.1, 5, 0), (0.5, 3, 1)]
)
def test_one_failure_too_many_stops_the_run(most: float, total: int, put_up_with: int) -> None:
    policy = RolloutPolicy(max_failures=most)
    control = RolloutControl(policy, total)
    control.start(total)
    settle(control, policy, *[REFUSED] * put_up_with)
    assert control.stopped == ""
    settle(control, policy, OFFLINE, GOOD)
    assert control.stopped == ""
    settle(control, policy, LOST)
    assert control.stopped == f"more than {put_up_with} failures"
    control.stop("something else")
    assert control.stopped == f"more than {put_up_with} failures"


def test_what_counts_as_success_is_the_users_to_say() -> None:
    policy = RolloutPolicy(max_failures=0, success=lambda result: result.retcode in {0, 3010})
    control = RolloutControl(policy, 3)
    control.start(3)
    settle(control, policy, Done("a", ScriptResult(retcode=3010)))
    assert control.stopped == ""
    settle(control, policy, BAD)
    assert control.stopped


@pytest.mark.parametrize("policy", [RolloutPolicy(batch=0.5), RolloutPolicy(max_failures=0.5)])
def test_a_share_needs_to_know_of_how_many(policy: RolloutPolicy) -> None:
    with pytest.raises(InvalidRequestError, match="needs the number of targets"):
        RolloutControl(policy, None)


def test_what_would_become_of_each_target() -> None:
    policy = RolloutPolicy(canary=2, batch=3)
    assert [policy.words_for(place, 10) for place in (0, 1, 2, 4, 5, 9)] == [
        "would run first, as a canary",
        "would run first, as a canary",
        "would run in batch 1",
        "would run in batch 1",
        "would run in batch 2",
        "would run in batch 3",
    ]
    assert RolloutPolicy().words_for(7, 10) == "would run"
    assert RolloutPolicy(canary=1).words_for(7, 10) == "would run, if the canaries succeed"


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
    policy = RolloutPolicy(canary=canary, batch=batch, max_failures=most)
    control = RolloutControl(policy, len(fates))
    rest, under_way, tried = deque(fates), 0, 0
    running: list[Outcome] = []
    while (rest and control.allowance) or running:
        may_start = bool(rest) and control.allowance > 0
        if may_start and (not running or data.draw(st.booleans())):
            control.start()
            running.append(rest.popleft())
            tried += 1
            under_way = max(under_way, len(running))
        else:
            settle(control, policy, running.pop(data.draw(st.integers(0, len(running) - 1))))
    assert bool(rest) == bool(control.stopped) or not rest
    if canary is not None and any(one in {BAD, REFUSED, LOST} for one in fates[:canary]):
        assert tried <= canary
    if batch is not None and isinstance(batch, int):
        assert under_way <= max(batch, canary or 0)
    if most is not None and isinstance(most, int) and not control.stopped:
        assert control.failures <= most
