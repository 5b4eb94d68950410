"""The formats in which data is printed: the same things in each, jq, and CSV with its titles."""

import csv
import io

import pytest
import yaml

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage, terminal


class TestForms:
    def test_are_of_the_same_things(self, cli: Cli, either: Backstage) -> None:
        expected = cli("agents", "--json", "--limit", "3").data
        assert len(expected) == 3
        assert cli("agents", "-o", "json", "--limit", "3").data == expected
        assert cli("agents", "-o", "jsonl", "--limit", "3").lines == expected
        assert yaml.safe_load(cli("agents", "-o", "yaml", "--limit", "3").out) == expected
        names = [row["hostname"] for row in expected]
        assert cli("agents", "-o", "name", "--limit", "3").out.splitlines() == names
        rows = list(csv.DictReader(io.StringIO(cli("agents", "-o", "csv", "--limit", "3").out)))
        assert [row["hostname"] for row in rows] == names
        assert [row["client_name"] for row in rows] == [row["client"]["name"] for row in expected]

    def test_two_are_too_many_and_others_are_none(self, cli: Cli) -> None:
        assert cli("agents", "--json", "-o", "csv").error.startswith(
            "trmm: --json and --output are two formats"
        )
        assert "--output is table, wide, csv, json, jsonl, yaml or name" in cli("scripts", "-o", "xml").error
        assert cli("scripts", "--jq", ".[]", "-o", "csv").code == 2
        assert "--watch goes with" in cli("scripts", "--watch", "--json").error

    def test_wide_cuts_nothing(self, gateway: Backstage) -> None:
        with terminal(["agents", "-o", "wide", "--no-headers"], gateway.environment, 60) as screen:
            assert screen.finish() == 0, screen.shown
        assert "…" not in screen.shown
        assert "Hostname" not in screen.shown

    def test_of_one_thing(self, cli: Cli, either: Backstage) -> None:
        whole = cli("agents", "get", "JADE-PC", "--json").data
        assert whole == cli("agent", "JADE-PC", "--json").data
        assert yaml.safe_load(cli("agent", "JADE-PC", "-o", "yaml").out)[0] == whole
        assert cli("agent", "JADE-PC", "--jq", ".hostname").out == "JADE-PC\n"
        assert cli("agents", "get", "JADE-PC", "--fields", "hostname,client.name").out.splitlines() == [
            "hostname  client.name",
            f"JADE-PC   {whole['client']['name']}",
        ]


class TestJq:
    def test_is_given_the_whole_list(self, cli: Cli, either: Backstage) -> None:
        assert cli("agents", "--jq", "length").out == "20\n"
        assert cli("agents", "--jq", ".[0] | {hostname}", "--limit", "1").lines[0].keys() == {"hostname"}

    def test_that_is_none_is_told(self, cli: Cli, gateway: Backstage) -> None:
        assert cli("agents", "--jq", ".[").code == 2
        assert "--jq: " in cli("agents", "--jq", ".[0] | .hostname.x").error


class TestCsv:
    @pytest.mark.parametrize("fields", [[], ["--fields", "hostname,client.name,checks,client"]], ids=len)
    def test_has_the_same_titles_with_rows_and_without(
        self, cli: Cli, either: Backstage, fields: list[str]
    ) -> None:
        words = ["agents", "-o", "csv", *fields]
        none, some = cli(*words, "--hostname", "nobody-*").out, cli(*words).out
        assert none == some.partition("\n")[0] + "\n"
        assert "client_name" in none
        assert cli(*words, "--hostname", "nobody-*", "--no-headers").out == ""
        assert cli("agents", "--hostname", "nobody-*", "-o", "json").out == "[]\n"
        assert cli("agents", "--hostname", "nobody-*", "-o", "yaml").out == "[]\n"

    @pytest.mark.parametrize(
        "words",
        [
            ["checks"], ["tasks"], ["alerts"], ["history"], ["software"], ["updates"], ["services"],
            ["scripts"], ["clients"], ["deploy"], ["profiles"], ["call", "users.list"],
        ],
        ids=" ".join,
    )  # fmt: skip
    def test_of_every_list_has_titles(self, cli: Cli, stock: Backstage, words: list[str]) -> None:
        for limit in ("0", "1000"):
            said = cli(*words, "-o", "csv", "--limit", limit)
            assert said.code == 0
            first, *rows = csv.reader(io.StringIO(said.out))
            assert len(first) > 4
            assert all(len(row) == len(first) for row in rows)
