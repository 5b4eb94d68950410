"""The results of a run, for people."""

from pathlib import Path

from tests.cli.conftest import Cli
from tests.cli.stage import HOSTS, Backstage, lines, terminal


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
