"""Questions to the user at the terminal, and what is piped in."""

import re

import pytest

from tests.cli.stage import Backstage, terminal


class TestTheQuestion:
    @pytest.mark.parametrize(("answer", "code"), [("y", 0), ("yes", 0), ("n", 4), ("", 4)])
    def test_is_answered(self, gateway: Backstage, answer: str, code: int) -> None:
        gateway.do(lambda server: server.reset_ledger())
        with terminal(["run", "3", "--client", "34"], gateway.environment) as screen:
            screen.wait_for("Go on? [y/N] ")
            screen.type(f"{answer}\r")
            assert screen.finish() == code
        assert re.search(r"Run Clear-TempFiles on \d agents: JADE-PC, DESKTOP-001", screen.shown)
        assert bool(gateway.do(lambda server: server.runs)) == (code == 0)

    @pytest.mark.parametrize("fresh", [True, False])
    def test_is_interrupted(self, gateway: Backstage, fresh: bool) -> None:
        gateway.do(lambda server: server.reset_ledger())
        with terminal(["run", "3", "--client", "34"], gateway.environment, fresh=fresh) as screen:
            screen.wait_for("Go on? [y/N] ")
            screen.type("\x03")
            assert screen.finish() == 130
        assert "Traceback" not in screen.shown
        assert gateway.do(lambda server: server.runs) == []
