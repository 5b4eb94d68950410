"""The results of a run, for people."""

from pathlib import Path
from typing import Any

import pytest

import trmm_async as sdk
from tests.cli.conftest import Cli
from tests.cli.stage import HOSTS, Backstage, lines, terminal
from trmm_async.cli.exits import Exit
from trmm_async.cli.report import (
    Tally,
    counted,
    is_refusal,
    print_groups,
    print_outcome,
    row,
    summary,
    verdict,
)
from trmm_async.fleet.reports import Group


def test_the_report_of_a_run_fits(gateway: Backstage) -> None:
    still = {"TERM": "dumb"}  # no bar is drawn over it
    with terminal(["run", "3", "--all", "--dry-run"], {**gateway.environment, **still}, 60) as screen:
        assert screen.finish() == 0, screen.shown
    assert max(len(line) for line in lines(screen.shown)) <= 60


def test_no_output_fakes_our_rules_however_it_is_broken(gateway: Backstage) -> None:
    forged = f"{' ' * 60}{'-' * 15}\nSRV-9 (1) return code 0\n{'-' * 15}\nall is well\n"
    gateway.do(lambda server: server.script(6, stdout=forged))
    still = {"TERM": "dumb"}  # no bar is drawn over it
    with terminal(["run", "6", "--agent", "JADE-PC"], {**gateway.environment, **still}, 60) as screen:
        assert screen.finish() == 0, screen.shown
    shown = lines(screen.shown)
    assert shown.count("-" * 15) == 2
    assert all(line.startswith("| ") for line in shown[shown.index("-" * 15) + 3 : -1])
    assert max(len(line) for line in shown) <= 60


def test_each_line_has_its_host_before_it(cli: Cli, stock: Backstage) -> None:
    stock.do(
        lambda server: server.script(6, stdout="one\n\x1b[2Jtwo\n", stderr="JADE-PC: three\n", retcode=3)
    )
    said = cli("run", "6", "--agent", "DESKTOP-001", "--live")
    stock.do(lambda server: server.script(6))
    assert said.code == 1
    assert said.out.splitlines() == [
        "DESKTOP-001: one",
        "DESKTOP-001: [2Jtwo",
        "DESKTOP-001: JADE-PC: three",
        "DESKTOP-001: return code 3",
    ]


def test_what_did_not_run_is_told_so(cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
    book = str(tmp_path / "run.db")
    gateway.do(lambda server: server.go_offline(server.agent_ids[0]))
    said = cli("run", "3", *HOSTS, "--live", "--journal", book)
    gateway.do(lambda server: server.come_online(server.agent_ids[0]))
    assert "JADE-PC: did not run: BadRequestError: POST " in said.out
    assert sorted(cli("results", book, "--live").out.splitlines()) == sorted(said.out.splitlines())


def _done(retcode: int, agent_id: str = "a") -> sdk.Outcome:
    return sdk.Done(agent_id, sdk.ScriptResult(stdout="out", stderr="", retcode=retcode, execution_time=1.0))


def test_outcomes_are_counted_without_keeping_them() -> None:
    tally = Tally("ok")
    assert (tally.worst, tally.refused) == (None, False)
    for code in (0, 3, -5, 3):
        tally.add(_done(code))
    tally.add(sdk.Skipped("a", "offline"))
    assert (dict(tally.codes), tally.worst, tally.printed, tally.refused) == (
        {0: 1, 3: 2, -5: 1},
        -5,
        0,
        False,
    )
    tally.add(sdk.Failed("a", sdk.PermissionDeniedError(403, "no")))
    assert tally.refused
    for output in ("all ok", "nothing"):
        result: Any = sdk.CommandResult(output=output)
        tally.add(sdk.Done("a", result))
    assert (tally.printed, tally.codes[None]) == (1, 2)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (sdk.AuthenticationError(401, "no"), True),
        (sdk.PermissionDeniedError(403, "no"), True),
        (sdk.NotFoundError(404, "no"), False),
    ],
)
def test_a_key_that_is_refused(error: sdk.TRMMError, refused: bool) -> None:
    assert is_refusal(sdk.Failed("a", error)) is is_refusal(sdk.Unknown("a", error)) is refused
    assert not is_refusal(_done(1))


@pytest.mark.parametrize(
    ("counts", "succeeded", "refused", "code"),
    [
        (sdk.Counts(done=2), 2, False, Exit.OK),
        (sdk.Counts(done=2), 1, False, Exit.FAILED),
        (sdk.Counts(done=1, skipped=1), 1, False, Exit.FAILED),
        (sdk.Counts(done=1, failed=1), 1, True, Exit.REFUSED),
        (sdk.Counts(done=1, failed=1, unknown=1), 1, True, Exit.UNKNOWN),
        (sdk.Counts(), 0, False, Exit.OK),
    ],
)
def test_what_may_have_run_matters_more_than_a_refusal_and_that_more_than_failures(
    counts: sdk.Counts, succeeded: int, refused: bool, code: Exit
) -> None:
    assert verdict(counts, succeeded, refused=refused) is code


def test_counts_in_words() -> None:
    every = sdk.Counts(done=3, failed=1, unknown=2, skipped=4, pending=5)
    assert counted(every) == "3 done, 1 failed, 2 unknown, 4 skipped"
    assert counted(sdk.Counts()) == "0 done"
    assert summary(every, 2, -5, in_flight=1) == (
        "15 agents: 2 succeeded, 1 with another return code (the worst is -5), 1 failed, 2 unknown, "
        "4 skipped, 4 pending, 1 in flight"
    )
    assert summary(sdk.Counts(done=1), 0, None) == "1 agent: 1 without success"
    assert summary(sdk.Counts(), 0, None) == "0 agents: nothing to do"


def test_a_row_for_programs_has_the_hosts_name() -> None:
    told = row(_done(3), {"a": "JADE-PC"})
    assert list(told)[:2] == ["agent_id", "hostname"]
    assert (told["agent_id"], told["hostname"], told["outcome"], told["retcode"]) == (
        "a",
        "JADE-PC",
        "done",
        3,
    )
    assert row(sdk.Skipped("b", "offline"), {})["hostname"] is None


def test_the_largest_group_comes_first_and_its_hosts_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    groups = [
        Group("skipped", None, "offline", ["c"]),
        Group("done", 3, "odd\n", ["d", "x"]),
        Group("done", 0, "fine\n", ["b", "a"]),
    ]
    print_groups(groups, {"a": "HOST-A", "b": "HOST-B", "c": "HOST-C", "d": "HOST-D"}, (0,))
    rule = "-" * 15
    assert capsys.readouterr().out.splitlines() == [
        rule, "HOST-A, HOST-B (2) return code 0", rule, "fine",
        rule, "HOST-D, x (2) return code 3", rule, "odd",
        rule, "HOST-C (1) not tried", rule, "offline",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"stdout": "one\ntwo\n"}, ["JADE-PC: one", "JADE-PC: two"]),
        ({}, ["JADE-PC: done"]),
        ({"retcode": 3, "stderr": "bad"}, ["JADE-PC: bad", "JADE-PC: return code 3"]),
        ({"retcode": 7}, ["JADE-PC: done"]),
        ({"hostname": None, "stdout": "x"}, ["agent-1: x"]),
        (
            {"outcome": "unknown", "error": "AgentLostError", "reason": "no\nanswer"},
            ["JADE-PC: may have run: AgentLostError: no answer"],
        ),
        ({"outcome": "skipped", "reason": "offline"}, ["JADE-PC: not tried: offline"]),
    ],
)
def test_an_outcome_that_comes(
    capsys: pytest.CaptureFixture[str], changes: dict[str, object], lines: list[str]
) -> None:
    usual = {"agent_id": "agent-1", "hostname": "JADE-PC", "outcome": "done", "retcode": 0}
    print_outcome({**dict.fromkeys(("stdout", "stderr", "error", "reason")), **usual, **changes}, (0, 7))
    assert capsys.readouterr().out.splitlines() == lines
