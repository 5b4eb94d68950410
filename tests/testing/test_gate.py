from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from trmm_async.testing.gate import Denial, Gate, Limits, Restriction, new_key

if TYPE_CHECKING:
    from .kit import Clock


def gate(clock: Clock, requests: int = 3, deployments: int = 1) -> Gate:
    return Gate("key", Limits((requests, 60.0), (deployments, 60.0), clock))


def test_only_a_known_key_gets_in(clock: Clock) -> None:
    judge = gate(clock).judge
    assert judge("key", permission=None, lane=None) is None
    assert judge(None, permission=None, lane=None) == Denial(401)
    assert judge("other", permission=None, lane=None) == Denial(401)


def test_a_request_with_a_wrong_key_counts_nowhere(clock: Clock) -> None:
    doors = gate(clock)
    doors.judge("other", permission=None, lane=None)
    assert doors.limits.used("key") == doors.limits.used("other") == 0


def test_every_key_has_limits_of_its_own(clock: Clock) -> None:
    doors = gate(clock, requests=1)
    doors.keys.add("second")
    assert doors.judge("key", permission=None, lane=None) is None
    assert doors.judge("second", permission=None, lane=None) is None
    assert doors.judge("key", permission=None, lane=None) == Denial(429, 60.0)


def test_a_deployment_counts_in_both_limits_and_waits_for_the_longer(clock: Clock) -> None:
    doors = gate(clock, requests=2, deployments=1)
    assert doors.judge("key", permission=None, lane=None) is None
    clock.now += 10
    assert doors.judge("key", permission=None, lane="deployments") is None
    assert doors.limits.used("key") == 2
    clock.now += 10
    assert doors.judge("key", permission=None, lane="deployments") == Denial(429, 50.0)


def test_refused_by_one_limit_it_still_counts_in_the_other(clock: Clock) -> None:
    doors = gate(clock, requests=2, deployments=1)
    for _ in range(2):
        doors.judge("key", permission=None, lane="deployments")
    assert doors.limits.used("key") == 2


def test_a_forbidden_request_has_been_counted(clock: Clock) -> None:
    doors = gate(clock)
    with Restriction(doors, ["can_run_scripts"]):
        assert doors.judge("key", permission="can_run_scripts", lane=None) == Denial(403)
        assert doors.judge("key", permission="can_list_agents", lane=None) is None
    assert doors.limits.used("key") == 2
    assert doors.judge("key", permission="can_run_scripts", lane=None) is None


def test_two_restrictions_are_lifted_one_by_one(clock: Clock) -> None:
    doors = gate(clock, requests=100)
    first, second = Restriction(doors, ["can_run_scripts"]), Restriction(doors, ["can_run_scripts"])
    first.lift()
    first.lift()
    assert doors.judge("key", permission="can_run_scripts", lane=None) == Denial(403)
    second.lift()
    assert doors.judge("key", permission="can_run_scripts", lane=None) is None


def test_limits_can_be_changed_and_reset(clock: Clock) -> None:
    limits = Limits((1, 60.0), (1, 60.0), clock)
    assert limits.admit("key", "deployments") is None
    limits.requests, limits.deployments = (5, 60.0), None
    assert (limits.requests, limits.deployments) == ((5, 60.0), None)
    assert limits.admit("key", "deployments") is None
    assert limits.used("key") == 2
    limits.reset()
    assert limits.used("key") == 0
    assert "requests=(5, 60.0)" in repr(limits)


def test_a_made_up_key_looks_like_one() -> None:
    key = new_key(Random(0))
    assert len(key) == 32
    assert key.isalnum()
    assert key == key.upper()
