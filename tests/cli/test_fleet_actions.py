"""`trmm cmd` on many, `trmm run --script-file`, `trmm patch`, and `trmm resume` for all of them."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import HOSTS, Backstage


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    stage: Backstage = request.getfixturevalue("stock" if "stock" in request.fixturenames else "gateway")
    stage.do(lambda server: server.reset_ledger())


class TestACommandOnMany:
    def test_puts_together_who_printed_the_same(self, cli: Cli, stock: Backstage) -> None:
        said = cli("cmd", "echo hello", *HOSTS, "--shell", "cmd", "--grouped")
        assert said.code == 0
        assert "(2) done" in said.out
        assert "hello" in said.out
        assert said.error == "2 agents: 2 succeeded\n"
        assert stock.do(lambda server: len(server.runs)) == 2

    def test_needs_a_shell_that_all_have(self, cli: Cli, stock: Backstage) -> None:
        said = cli("cmd", "echo hello", "--all", "--yes")
        assert (said.code, said.out) == (2, "")
        assert "some of these agents run Windows and some don't: select one platform by --plat" in said.error
        assert stock.do(lambda server: server.runs) == []

    def test_prints_json_lines(self, cli: Cli, stock: Backstage) -> None:
        said = cli("cmd", "echo hello", *HOSTS, "--shell", "cmd", "--jsonl")
        assert [(one["outcome"], one["retcode"], one["stdout"].strip()) for one in said.lines] == [
            ("done", None, "hello")
        ] * 2

    def test_asks_before(self, cli: Cli, stock: Backstage) -> None:
        said = cli("cmd", "echo hello", *HOSTS[:-1], "--shell", "cmd")
        assert (said.code, said.out) == (4, "")
        assert "run 'echo hello' on" in said.error
        assert stock.do(lambda server: server.runs) == []

    def test_a_canary_goes_by_what_is_printed(self, cli: Cli, stock: Backstage, tmp_path: Path) -> None:
        careful = ("--canary", "1", "--max-failures", "0")
        said = cli("cmd", "echo hello", *HOSTS, "--shell", "cmd", *careful)
        assert said.code == 2
        assert "--canary and --max-failures: on many there are no return codes: say by --success TEXT" in (
            said.error
        )
        book = str(tmp_path / "run.db")
        words = ("cmd", "echo hello", *HOSTS, "--shell", "cmd", "--canary", "1", "--journal", book)
        said = cli(*words, "--success", "good")
        assert said.code == 1
        assert "a canary did not succeed" in said.error
        said = cli("resume", book, "--forgive", "--yes")
        assert stock.do(lambda server: len(server.runs)) == 2
        assert "2 without success" in said.error
        said = cli("resume", book, "--retry", "failed", "--success", "hello", "--yes")
        assert (said.code, said.error) == (0, "2 agents: 2 succeeded\n")
        assert stock.do(lambda server: len(server.runs)) == 4

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["echo x"], "on which agents?"),
            (["JADE-PC", "echo x", "--all"], "and not both"),
            (["JADE-PC", "echo x", "--width", "3"], "name it by --agent"),
        ],
    )
    def test_what_is_wrong_is_said(self, cli: Cli, stock: Backstage, words: list[str], says: str) -> None:
        said = cli("cmd", *words)
        assert said.code == 2
        assert says in said.error
        assert stock.do(lambda server: server.runs) == []


class TestAScriptFile:
    def test_is_run_without_being_in_the_library(self, cli: Cli, stock: Backstage, tmp_path: Path) -> None:
        file = tmp_path / "fix.ps1"
        file.write_text("exit 0")
        said = cli("run", "--script-file", str(file), *HOSTS)
        assert said.code == 0
        assert said.error == "2 agents: 2 succeeded\n"

    def test_its_words_are_its_arguments(self, cli: Cli, stock: Backstage, tmp_path: Path) -> None:
        file = tmp_path / "fix.ps1"
        file.write_text("exit 0")
        assert cli("run", "C:", "D:", "--script-file", str(file), "--agent", "JADE-PC").code == 0
        assert stock.do(lambda server: server.runs[0].args) == ("C:", "D:")

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--agent", "JADE-PC"], "which script?"),
            (["5", "--agent", "JADE-PC", "--shell", "cmd"], "--shell is for --script-file"),
            (
                ["--script-file", "nowhere.ps1", "--agent", "JADE-PC"],
                "--script-file: there is no file nowhere.ps1",
            ),
            (["--script-file", "tests", "--agent", "JADE-PC"], "tests can't be read"),
        ],
    )
    def test_what_is_wrong_is_said(self, cli: Cli, stock: Backstage, words: list[str], says: str) -> None:
        said = cli("run", *words)
        assert said.code == 2
        assert says in said.error

    def test_needs_to_know_what_runs_it(self, cli: Cli, stock: Backstage, tmp_path: Path) -> None:
        file = tmp_path / "fix.txt"
        file.write_text("exit 0")
        said = cli("run", "--script-file", str(file), "--agent", "JADE-PC")
        assert said.code == 2
        assert "--shell: what runs fix.txt?" in said.error
        assert cli("run", "--script-file", str(file), "--agent", "JADE-PC", "--shell", "cmd").code == 0


class TestPatches:
    @pytest.mark.parametrize("mode", ["scan", "install"])
    def test_are_accepted(self, cli: Cli, stock: Backstage, mode: str, tmp_path: Path) -> None:
        book = str(tmp_path / "patches.db")
        said = cli("patch", mode, *HOSTS, "--journal", book)
        assert (said.code, said.error) == (0, "2 agents: 2 succeeded\n")
        assert "(2) done" in said.out
        assert cli("resume", book).code == cli("results", book, "--ids").code == 0
        for word in ("resume", "results"):
            said = cli(word, book, "--success", "0")
            assert said.code == 2
            assert "--success can't be given for patches" in said.error

    def test_are_a_stock_servers(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("patch", "scan", *HOSTS)
        assert (said.code, said.out) == (4, "")
        assert "use `trmm run SCRIPT`" in said.error


def test_a_resumption_knows_the_codes_of_the_run(cli: Cli, stock: Backstage, tmp_path: Path) -> None:
    book = str(tmp_path / "run.db")
    stock.do(lambda server: server.script(3, retcode=3010))
    try:
        words = ("run", "3", *HOSTS, "--journal", book, "--success", "0,3010", "--width", "1")
        stock.do(lambda server: server.fail("POST", "/runscript/", status=400))
        assert cli(*words).code == 1
        said = cli("resume", book, "--success", "hello")
        assert said.code == 2
        assert "--success is return codes as 0,3010" in said.error
        said = cli("resume", book, "--retry", "failed")
        assert said.code == 0
        assert "2 agents: 2 succeeded" in said.error
    finally:
        stock.do(lambda server: server.script(3))
