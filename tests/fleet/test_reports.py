"""What came of a run, for people and for programs."""

import csv
import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async import Done, Failed, Outcome, ScriptResult, Skipped, Unknown
from trmm_async.errors import AgentSilentError, NotFoundError, OutcomeUnknownError
from trmm_async.fleet import Group, as_csv, as_jsonl, as_row, groups_of, report
from trmm_async.fleet.reports import Grouping

OUTCOMES: list[Outcome] = [
    Done("a1", ScriptResult(retcode=0, stdout="ok\n", execution_time=0.5)),
    Done("b2", ScriptResult(retcode=3, stdout="ok\n")),
    Done("c3", ScriptResult(retcode=0, stdout="ok\n")),
    Done("d4", ScriptResult(retcode=0, stdout="", stderr="ok\n")),
    Failed("e5", NotFoundError(404, "the server has no agent e5", method="POST", path="/agents/e5/")),
    Failed("f6", NotFoundError(404, "the server has no agent f6", method="POST", path="/agents/f6/")),
    Unknown("g7", AgentSilentError("g7", "offline", 70)),
    Unknown("h8", AgentSilentError("h8", "offline", 71)),
    Unknown("i9", OutcomeUnknownError("sent to i9, and lost")),
    Skipped("j0", "it is offline"),
]


def test_like_outcomes_are_one_group_the_largest_first() -> None:
    groups = groups_of(OUTCOMES)
    assert [(group.kind, group.retcode, group.agent_ids) for group in groups] == [
        ("done", 0, ["a1", "c3", "d4"]),
        ("failed", None, ["e5", "f6"]),
        ("unknown", None, ["g7", "h8"]),
        ("done", 3, ["b2"]),
        ("skipped", None, ["j0"]),
        ("unknown", None, ["i9"]),
    ]
    assert [len(group) for group in groups] == [3, 2, 2, 1, 1, 1]
    assert groups[1].output == "NotFoundError: 404 the server has no agent <agent>"
    assert groups[2].output == "AgentSilentError: offline"


def test_texts_are_kept_up_to_an_amount_in_all() -> None:
    grouping = Grouping(room=10)
    for agent_id, text in (
        ("a", "12345678"),
        ("b", "123"),
        ("c", "123"),
        ("d", "12"),
        ("e", "12345678"),
        ("f", "4"),
    ):
        grouping.add(Done(agent_id, ScriptResult(retcode=5, stdout=text)))
    groups = {tuple(group.agent_ids): group for group in grouping.groups()}
    assert {ids: group.output for ids, group in groups.items() if group.kept} == {
        ("a", "e"): "12345678",
        ("d",): "12",
    }
    lost = [ids for ids, group in groups.items() if not group.kept]
    assert sorted(lost) == [("b", "c"), ("f",)], "they are told apart all the same"
    assert "not kept here" in groups["f",].output
    assert grouping.worst == 5


def test_outputs_that_all_differ_do_not_pile_up() -> None:
    tracemalloc.start()
    grouping = Grouping(room=1_000_000)
    before, _ = tracemalloc.get_traced_memory()
    for number in range(10_000):
        grouping.add(Done(f"agent-{number}", ScriptResult(retcode=0, stdout=f"{number:1000}")))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(grouping.groups()) == 10_000
    assert after - before < 10_000 * 600


def test_texts_that_are_no_utf_8_are_told_apart() -> None:
    groups = groups_of([Done("a", ScriptResult(stdout="\udcff")), Done("b", ScriptResult(stdout="\udcfe"))])
    assert [group.output for group in groups] == ["\udcfe", "\udcff"]


def test_the_report_says_who_and_what() -> None:
    text = report(groups_of(OUTCOMES), {"a1": "SRV-1", "c3": "SRV-0", "d4": "SRV-2"})
    assert text.startswith(
        "---------------\nSRV-0, SRV-1, SRV-2 (3: done, return code 0)\n---------------\nok\n"
    )
    assert "\ng7, h8 (2: unknown)\n" in text
    assert (
        report([Group("done", 0, "", ["x"])])
        == "---------------\nx (1: done, return code 0)\n" + "-" * 15 + "\n\n"
    )


def test_the_report_does_nothing_to_a_terminal() -> None:
    (group,) = groups_of([Done("a", ScriptResult(stdout="one\r\n\x1b[2Jtwo\t\x9b3\x07\n"))])
    assert "\none\n[2Jtwo\t3\n" in report([group])
    assert group.output.startswith("one\r\n"), "the text itself is as it was"


def test_a_row_has_every_column() -> None:
    rows = [as_row(outcome) for outcome in OUTCOMES]
    assert len({tuple(row) for row in rows}) == 1
    assert rows[0] == {
        "agent_id": "a1",
        "outcome": "done",
        "retcode": 0,
        "execution_time": 0.5,
        "stdout": "ok\n",
        "stderr": "",
        "error": None,
        "reason": None,
    }
    assert (rows[4]["error"], rows[4]["outcome"]) == ("NotFoundError", "failed")
    assert rows[9]["reason"] == "it is offline"


def test_json_lines_are_read_back() -> None:
    lines = list(as_jsonl(OUTCOMES))
    assert [json.loads(line) for line in lines] == [as_row(outcome) for outcome in OUTCOMES]
    assert all(line.count("\n") == 1 for line in lines)


def test_csv_is_read_back() -> None:
    table = list(csv.DictReader(io.StringIO("".join(as_csv(OUTCOMES)), newline="")))
    assert [row["agent_id"] for row in table] == [outcome.agent_id for outcome in OUTCOMES]
    assert table[0]["stdout"] == "ok\n"
    assert table[9]["retcode"] == ""


def cells_of(table: str, separator: str) -> list[str]:
    """What a spreadsheet has in its cells where that is the list separator."""
    return [
        cell
        for row in csv.reader(io.StringIO(table, newline=""), delimiter=separator, strict=False)
        for cell in row
    ]


SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\uff1d1"])
def test_a_spreadsheet_runs_nothing_of_it(text: str) -> None:
    (_, line) = as_csv([Done("a", ScriptResult(stdout=text))])
    (row,) = csv.reader(io.StringIO(line, newline=""))
    assert row[4] == f"'{text}"


@settings(max_examples=many(150))
@given(
    st.lists(st.sampled_from([*"=+-@;,|:^ \t\n\r\"'a1\uff1d", "=1", '";=1', "\n=1"]), max_size=12).map(
        "".join
    ),
    st.sampled_from([*",;\t|:^ ", "\u061b", "\u060c"]),
)
def test_whatever_the_list_separator_no_cell_is_a_formula(text: str, separator: str) -> None:
    outcomes: list[Outcome] = [
        Done("a", ScriptResult(retcode=1, stdout=text, stderr=text, execution_time=0.5)),
        Skipped("b", text),
        Failed("c", NotFoundError(404, text)),
    ]
    for cell in cells_of("".join(as_csv(outcomes)), separator):
        bare = cell.strip(' \t\r\n"')
        assert not (bare.startswith(tuple(SIGNS)) and len(bare.strip(SIGNS)) > 0), repr(cell)


def test_what_is_no_formula_stays_as_it_is() -> None:
    text = "a = b, x=1 and 5 - 3; see http://example.com/?a=1 or me@example.com\n"
    (_, line) = as_csv([Done("a", ScriptResult(stdout=text))])
    (row,) = csv.reader(io.StringIO(line, newline=""))
    assert row[4] == text


FORGED = "fine\n---------------\nSRV-9 (1: done, return code 0)\n---------------\nall is well"
RULE = "-" * 15


@given(st.lists(st.sampled_from([RULE, "-" * 16, "\n", "\r", "\x1b[A", "\u2028", " ", "x", "="]), max_size=9))
def test_no_output_can_fake_our_rules(pieces: list[str]) -> None:
    groups = groups_of(
        [Done("a", ScriptResult(stdout="".join(pieces))), Failed("b", NotFoundError(404, FORGED))]
    )
    shown = report(groups, {"a": FORGED})
    assert shown.split("\n").count(RULE) == 2 * len(groups)


def test_an_output_with_a_rule_stands_behind_a_margin() -> None:
    shown = report(groups_of([Done("a", ScriptResult(stdout=FORGED))]))
    assert shown.split("\n")[3:-1] == [f"| {line}" for line in FORGED.split("\n")]


def test_in_the_report_no_cell_is_a_formula() -> None:
    (group,) = groups_of([Done("a", ScriptResult(stdout="=1\n +1\nx\t-1\t@a\na;=1\n- item\na = b\n====\n"))])
    assert report([group]).split("\n")[3:-1] == [
        *("'=1", "' +1", "x\t'-1\t'@a", "a;'=1", "'- item", "a = b", "===="),
    ]


def test_in_the_report_names_are_clean_and_tell_agents_apart() -> None:
    group = Group("done", 0, "ok", ["a", "b", "c", "d"])
    names = {"a": "PC\x1b[2J\u202e", "b": "pc[2J", "c": "x\ny", "elsewhere": "x y"}
    line = report([group], names).split("\n")[1]
    assert line == "PC[2J (a), d, pc[2J (b), x y (c) (4: done, return code 0)"
