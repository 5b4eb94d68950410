"""The values of the intents. (The protocol itself is fulfilled by `gateway` and `stock`.)"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async import ScriptResult
from trmm_async.dialects.base import ScriptRun, SentResult, float_of


@given(st.floats(allow_nan=False))
@settings(max_examples=many(20))
def test_seconds_come_as_a_number_or_as_its_text(seconds: float) -> None:
    assert float_of(seconds) == float_of(str(seconds)) == float_of(f" {seconds}\n") == seconds


@pytest.mark.parametrize("sent", [None, "", "soon", "1,5", "0x10"])
def test_what_is_no_number_is_none(sent: str | None) -> None:
    assert float_of(sent) is None
    assert SentResult(execution_time=sent).result().execution_time is None


def test_a_result_has_all_that_was_sent() -> None:
    sent = SentResult(retcode=3, stdout="out", stderr="err", execution_time="1.5", extra={"id": 7})
    assert sent.result() == ScriptResult(
        retcode=3, stdout="out", stderr="err", execution_time=1.5, extra={"id": 7}
    )
    assert SentResult().result() == ScriptResult()


def test_a_script_that_was_not_looked_up_is_sent_as_none() -> None:
    assert ScriptRun(script=7).script_id == 7
    with pytest.raises(TypeError, match="'Get-DiskInfo' was not looked up"):
        _ = ScriptRun(script="Get-DiskInfo").script_id
