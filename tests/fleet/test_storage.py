"""Which host may give a target which outcome."""

import pytest

from trmm_async.fleet.storage import may_settle


class TestWhoseItIs:
    @pytest.mark.parametrize(
        "state", ["pending", "claimed", "sending", "settling", "done", "failed", "unknown"]
    )
    @pytest.mark.parametrize("to", ["done", "failed", "unknown", "skipped"])
    def test_what_may_become_of_it(self, state: str, to: str) -> None:
        under_way = state in {"claimed", "sending", "settling"}
        stranger = may_settle(state, to, is_sender=False, is_settler=False)
        assert stranger == (state == "pending" and to == "skipped")
        late = state == "unknown" and to == "done"
        assert may_settle(state, to, is_sender=True, is_settler=False) == (under_way or late or stranger)
        settler = may_settle(state, to, is_sender=False, is_settler=True)
        assert settler == (state == "settling" or stranger)
