"""The outcomes of a run: how they are written, and how they are counted."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async import Counts, Done, Failed, Outcome, OutcomeUnknownError, ScriptResult, ServerError, Skipped
from trmm_async import Unknown as Lost
from trmm_async.outcomes import note_host


@pytest.mark.parametrize(
    ("outcome", "written"),
    [
        (
            Done("a", {"seen": (1, object), "share": math.nan}),
            {"outcome": "Done", "result": {"seen": [1, repr(object)], "share": None}},
        ),
        (
            Failed("a", ServerError(502, "no")),
            {"outcome": "Failed", "error": {"type": "ServerError", "text": "502: no"}},
        ),
        (
            Lost("a", OutcomeUnknownError("lost")),
            {"outcome": "Unknown", "error": {"type": "OutcomeUnknownError", "text": "lost"}},
        ),
        (Skipped("a", "it is offline"), {"outcome": "Skipped", "reason": "it is offline"}),
    ],
)
def test_each_is_written_by_its_name_and_fields(outcome: Outcome, written: dict[str, object]) -> None:
    assert outcome.to_dict() == {"agent_id": "a", "hostname": None, **written}
    assert json.loads(json.dumps(outcome.to_dict())) == outcome.to_dict()


def test_a_long_one_is_shown_in_short() -> None:
    shown = repr(Done("a", ScriptResult(retcode=0, stdout="x" * 10_000)))
    assert shown.startswith("Done(agent_id='a', result=ScriptResult(retcode=0, stdout='xxx")
    assert len(shown) < 500
    assert "hostname" not in shown


def test_the_host_is_noted_in_the_outcome_itself() -> None:
    outcome = Skipped("a", "why")
    note_host(outcome, "PC-1")
    assert outcome == Skipped("a", "why", "PC-1")
    with pytest.raises(AttributeError):
        outcome.hostname = "other"  # type: ignore[misc]


@given(st.tuples(*[st.integers(0, 9)] * 5))
@settings(max_examples=many(10))
def test_the_total_is_of_all_five(counts: tuple[int, int, int, int, int]) -> None:
    assert Counts(*counts).total == sum(counts)
