"""Outcomes in every form: in groups or as they come, rows of all kinds, a file for each host."""

import csv
import io
import re
import stat
from pathlib import Path

import yaml

from tests.cli.conftest import Cli
from tests.cli.pages import commands, options
from tests.cli.stage import HOSTS, Backstage, started
from trmm_async.cli.forms import OUTCOME

NAMES = ["DESKTOP-001", "JADE-PC"]


def test_all_that_has_outcomes_shows_them_alike() -> None:
    shaping = {
        "-o",
        "--fields",
        "--jq",
        "--sort",
        "--limit",
        "--no-headers",
        "--live",
        "--output-dir",
        "--json",
    }
    found = {}
    for name, command in commands():
        words = {word for each in options(command) for word in each.opts}
        if {"--canary", "--retry", "--html"} & words:
            found[name] = shaping - words
    assert len(found) > 10
    assert set().union(*found.values()) == set()


class TestForms:
    def test_are_of_the_same_rows(self, cli: Cli, either: Backstage) -> None:
        words = ["run", "3", *HOSTS, "--sort", "hostname"]
        expected = cli(*words, "--json").data
        assert [row["hostname"] for row in expected] == NAMES
        assert all(tuple(row) == OUTCOME for row in expected)
        fields = ["--fields", "hostname,outcome,retcode"]
        told = [{"hostname": name, "outcome": "done", "retcode": 0} for name in NAMES]
        assert cli(*words, *fields, "-o", "json").data == told
        assert cli(*words, *fields, "-o", "jsonl").lines == told
        assert yaml.safe_load(cli(*words, *fields, "-o", "yaml").out) == told
        assert cli(*words, *fields, "-o", "csv").out.splitlines() == [
            "hostname,outcome,retcode",
            *(f"{name},done,0" for name in NAMES),
        ]
        assert cli(*words, "-o", "name").out.splitlines() == NAMES
        assert cli(*words, *fields).out.split() == ["hostname", "outcome", "retcode", *_cells(told)]
        assert cli(*words, *fields, "--no-headers").out.split() == _cells(told)

    def test_csv_has_its_titles_whatever_comes(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("run", "3", *HOSTS, "-o", "csv", "--limit", "0")
        assert (said.out, said.error.splitlines()[0]) == (f"{','.join(OUTCOME)}\n", "0 of 2")

    def test_no_cell_is_a_formula(self, cli: Cli, gateway: Backstage) -> None:
        gateway.do(lambda server: server.script(6, stdout="=1+1\n"))
        said = cli("run", "6", "--agent", "JADE-PC", "-o", "csv")
        gateway.do(lambda server: server.script(6))
        (row,) = csv.DictReader(io.StringIO(said.out))
        assert row["stdout"] == "'=1+1\n"

    def test_jq_is_given_all_rows_or_each_line(self, cli: Cli, gateway: Backstage) -> None:
        assert cli("run", "3", *HOSTS, "--jq", "map(.retcode) | add").out == "0\n"
        said = cli("run", "3", *HOSTS, "--jsonl", "--jq", 'select(.hostname == "JADE-PC") | .outcome')
        assert said.out == "done\n"

    def test_a_field_that_is_none_is_told_before_anything_runs(self, cli: Cli, gateway: Backstage) -> None:
        gateway.do(lambda server: server.reset_ledger())
        for words in (["--fields", "hostnam"], ["--sort", "-retcod"], ["--json", "-o", "csv"]):
            assert cli("run", "3", *HOSTS, *words).code == 2
        assert gateway.do(lambda server: server.runs) == []

    def test_a_dry_run_has_them_too(self, cli: Cli, stock: Backstage) -> None:
        words = ["reboot", "JADE-PC", "DESKTOP-001", "--dry-run"]
        assert sorted(cli(*words, "-o", "name").out.splitlines()) == NAMES


def _cells(rows: list[dict[str, object]]) -> list[str]:
    return [str(cell) for row in rows for cell in row.values()]


class TestLive:
    def test_a_command_on_many_is_told_as_it_comes(self, stock: Backstage) -> None:
        stock.do(lambda server: server.hang(server.agent_ids[1]))
        words = ["cmd", "echo hello", *HOSTS, "--shell", "cmd", "--timeout", "300"]
        with started(words, stock.environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "JADE-PC: hello\n"
            assert process.poll() is None
        stock.do(lambda server: server.unhang(server.agent_ids[1]))


class TestAFileForEachHost:
    def test_has_what_it_said(self, cli: Cli, either: Backstage, tmp_path: Path) -> None:
        book, folder, again = str(tmp_path / "run.db"), tmp_path / "deep" / "said", tmp_path / "again"
        either.do(lambda server: server.go_offline(server.agent_ids[0]))
        said = cli("run", "5", *HOSTS, "--timeout", "1", "--journal", book, "--output-dir", str(folder))
        either.do(lambda server: server.come_online(server.agent_ids[0]))
        assert said.code in {1, 3}
        assert sorted(one.name for one in folder.iterdir()) == ["DESKTOP-001.txt", "JADE-PC.txt"]
        rows = {row["hostname"]: row for row in cli("results", book, "--json").data}
        desktop = rows["DESKTOP-001"]
        assert (folder / "DESKTOP-001.txt").read_text() == desktop["stdout"] + desktop["stderr"]
        assert re.match(r"trmm: (did not run|may have run): \w+Error: ", (folder / "JADE-PC.txt").read_text())
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
        assert cli("results", book, "--output-dir", str(again), "-o", "name").code == said.code
        assert {one.name: one.read_bytes() for one in again.iterdir()} == {
            one.name: one.read_bytes() for one in folder.iterdir()
        }

    def test_of_a_command_on_one(self, cli: Cli, stock: Backstage, tmp_path: Path) -> None:
        assert cli("cmd", "JADE-PC", "echo hello", "--output-dir", str(tmp_path)).out == "hello\n"
        assert (tmp_path / "JADE-PC.txt").read_text() == "hello\n"

    def test_a_folder_that_takes_none_is_told_before_anything_runs(
        self, cli: Cli, gateway: Backstage, tmp_path: Path
    ) -> None:
        gateway.do(lambda server: server.reset_ledger())
        (tmp_path / "taken").write_text("")
        said = cli("run", "3", *HOSTS, "--output-dir", str(tmp_path / "taken"))
        assert said.code == 1
        assert "can't be written" in said.error
        assert gateway.do(lambda server: server.runs) == []
        assert cli("run", "3", *HOSTS, "--output-dir", str(tmp_path / "dry"), "--dry-run").code == 0
        assert not (tmp_path / "dry").exists()

    def test_one_that_can_t_be_written_ends_no_run(
        self, cli: Cli, gateway: Backstage, tmp_path: Path
    ) -> None:
        (tmp_path / "JADE-PC.txt").mkdir()
        said = cli("run", "3", *HOSTS, "--output-dir", str(tmp_path))
        assert said.code == 0
        assert "1 files of --output-dir are not written" in said.error
        assert (tmp_path / "DESKTOP-001.txt").read_text()
