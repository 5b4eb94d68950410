"""The plan of a run: all of its arguments are checked before anything is sent."""

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from tests.fleet.careful import fleet
from tests.servers import served
from trmm_async import CommandResult, InvalidRequestError, JournalError, PostgresJournal, ScriptResult
from trmm_async.fleet.journal import Order
from trmm_async.fleet.plan import Prints, Resumption, RunPlan, checked_place, checked_policy
from trmm_async.fleet.rollout import RolloutPolicy
from trmm_async.fleet.work import PatchWork


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"canary": 0}, "canary"),
        ({"canary": 1.5}, "canary"),
        ({"batch": 0}, "batch"),
        ({"batch": 1.0}, "share"),
        ({"batch": "5"}, "batch"),
        ({"max_failures": -1}, "max_failures"),
        ({"max_failures": 2.0}, "share"),
        ({"splay": -1}, "splay"),
        ({"skip_offline": 1}, "skip_offline"),
        ({"when_online": 60}, "when_online"),
        ({"when_online": timedelta(0)}, "when_online"),
        ({"when_online": timedelta(1), "skip_offline": True}, "not both"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"success": 0}, "success"),
        ({"journal": ""}, "journal"),
        ({"journal": 5}, "journal"),
    ],
)
async def test_a_wrong_policy_is_refused_before_anything_is_sent(wrong: dict[str, Any], said: str) -> None:
    async with fleet("gateway", agents=1) as (server, trmm):
        with pytest.raises(InvalidRequestError, match=said):
            trmm.fleet.run_script(server.agent_ids, 1, **wrong)
        with pytest.raises(InvalidRequestError, match="retry"):
            trmm.fleet.resume("a.db", retry="all")  # type: ignore[arg-type]
        assert server.requests == []


class TestBeforeSending:
    @pytest.mark.parametrize(
        ("targets", "settings", "said"),
        [
            (["a", "b", "a"], {}, "'a' is given more than once"),
            ("abc", {}, "a collection"),
            (["a", ".."], {}, "dot path"),
            (["a", ""], {}, "empty"),
            (["a"], {"width": 0}, "width"),
            (["a"], {"timeout": 301}, "1 to 300"),
            (["a"], {"args": "C:"}, "sequence"),
            (["a"], {"script": 1.5}, "script"),
        ],
    )
    async def test_what_is_wrong_is_said_and_nothing_sent(
        self, dialect: str, targets: Any, settings: dict[str, Any], said: str
    ) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=said):
                trmm.fleet.run_script(targets, **{"script": 1, **settings})
            assert server.requests == []


PLAN: RunPlan[Any] = RunPlan(work=PatchWork("scan"), targets=[])


@pytest.mark.parametrize(
    ("changes", "total", "at_once"),
    [
        ({}, 10, True),
        ({}, None, False),  # a stream
        ({"width": 10}, 10, True),
        ({"width": 9}, 10, False),
        ({"splay": 1.0}, 10, False),
        ({"policy": RolloutPolicy(max_failures=1)}, 10, False),
        ({"policy": RolloutPolicy(max_failures=1, batch=5)}, 10, True),  # it is stopped between batches
        ({"policy": RolloutPolicy(canary=1)}, 10, True),
    ],
)
def test_one_call_is_for_all_that_start_together_and_need_not_be_stopped(
    changes: dict[str, Any], total: int | None, at_once: bool
) -> None:
    assert dataclasses.replace(PLAN, **changes).is_for_all_at_once(total) is at_once


def test_who_is_offline_is_asked_only_where_it_matters() -> None:
    assert not PLAN.asks_who_is_offline
    assert dataclasses.replace(PLAN, skip_offline=True).asks_who_is_offline
    assert dataclasses.replace(PLAN, when_online=timedelta(1)).asks_who_is_offline


ORDERS = [
    Order(server="s", kind="command", command="whoami", shell="bash", timeout=9, success="root"),
    Order(server="s", kind="code", code="echo", shell="shell", timeout=9, env_vars=("A=1=2",)),
    Order(server="s", kind="patches", patches="install"),
    Order(server="s", script=3, args=("a",), timeout=9, env_vars=("A=",), success=(0, 3)),
    Order(server="s", script=3, timeout=9, canary=1, batch=0.5, max_failures=2, width=4, splay=2.0),
    Order(server="s", script=3, timeout=9, when_online=3600.0),
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_journals_order_becomes_the_same_plan_again(order: Order) -> None:
    plan = Resumption("run.db", (), None, 15.0).plan(order)
    assert plan.order("s") == order
    assert plan.journal == "run.db"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "magic"}, "patches"),
        ({"kind": "patches", "patches": "reboot"}, "patches"),
        ({"env_vars": ("A",)}, "no equals sign"),
        ({"args": "x"}, "args"),
        ({"width": 0}, "width"),
        ({"batch": 1.5}, "share"),
        ({"splay": -1.0}, "splay"),
        ({"skip_offline": 1}, "skip_offline"),
        ({"when_online": 0.0}, "when_online"),
        ({"when_online": 1e300}, "too long"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_an_order_that_was_changed_is_checked_again(changes: dict[str, Any], says: str) -> None:
    order = structs.replace(Order(server="s", script=3, timeout=9), **changes)
    with pytest.raises(JournalError, match=f"run.db can't be resumed, its order is invalid: .*{says}"):
        Resumption("run.db", (), None, 15.0).plan(order)


@pytest.mark.parametrize(
    ("kind", "success", "says"),
    [
        ("patches", [0], "can't be given for patches"),
        ("command", [0], "can't be return codes for commands"),
        ("script", Prints("x"), "can be a text only for commands"),
        ("code", Prints("x"), "can be a text only for commands"),
    ],
)
def test_a_success_that_does_not_fit_is_an_error_of_the_caller(kind: str, success: Any, says: str) -> None:
    order = Order(server="s", kind=kind, command="x", shell="bash", patches="scan", script=1, timeout=9)
    with pytest.raises(InvalidRequestError, match=says) as caught:
        Resumption("run.db", (), success, 15.0).plan(order)
    assert not isinstance(caught.value, JournalError)


def test_a_function_that_no_journal_could_store_has_to_be_given_again_where_it_counts() -> None:
    order = Order(server="s", kind="command", command="x", shell="bash", timeout=9)
    assert Resumption("run.db", (), None, 15.0).plan(order).policy.told is None
    for policy in ({"canary": 1}, {"batch": 2}, {"max_failures": 1}):
        careful = structs.replace(order, **policy)
        with pytest.raises(JournalError, match="give it again"):
            Resumption("run.db", (), None, 15.0).plan(careful)
        given = Resumption("run.db", (), lambda result: result.output == "x", 15.0).plan(careful)
        assert given.policy.success(CommandResult(output="x"))
        assert not given.policy.success(CommandResult(output="y"))


def test_a_success_is_codes_a_text_or_a_function() -> None:
    codes = checked_policy(None, None, None, {3, 0})
    assert codes.told == (0, 3)
    assert [codes.success(ScriptResult(retcode=code)) for code in (0, 1, 3)] == [True, False, True]
    text = checked_policy(None, None, None, Prints("up"))
    assert text.told == "up"
    assert [text.success(CommandResult(output=said)) for said in ("it is up", "down")] == [True, False]
    function = checked_policy(None, None, None, lambda result: result.retcode)
    assert function.told is None
    assert function.success(ScriptResult(retcode=2)) is True
    for wrong in ("up", 3, [0.5], [True]):
        with pytest.raises(InvalidRequestError, match="success"):
            checked_policy(None, None, None, wrong)


def test_the_place_of_a_journal_is_a_path_or_a_run_in_a_database() -> None:
    assert checked_place("run.db") == "run.db"
    assert checked_place(Path("run.db")) == Path("run.db")
    shared = PostgresJournal("postgresql://h/d", run="one")
    assert checked_place(shared) is shared
    for wrong in ("", None, b"run.db", 5):
        with pytest.raises(InvalidRequestError, match="journal must be"):
            checked_place(wrong)
