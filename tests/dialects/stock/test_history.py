"""The history of an agent: the call and its answer against a recording of a real server."""

import pytest

from tests.exchanges import SAFE, WINDOWS, Requested, done, waits
from trmm_async.calls import Replay
from trmm_async.dialects.stock.history import AGENT_HISTORY

MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: AGENT_HISTORY.call("a"), SAFE, None),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


class TestWhatIsRecordedOf:
    def test_history(self) -> None:
        found = done(lambda nouns: nouns.agents.history(WINDOWS), "history_agent")
        assert (found[0].type, found[0].command, found[0].agent_id) == ("cmd_run", "ping google.com", WINDOWS)
