"""The formats in which data is printed: the same things in each, jq, and CSV with its titles."""

import csv
import io
import json
from typing import Any

import pytest
import yaml

import trmm_async as sdk
from tests.cli.conftest import Cli
from tests.cli.stage import Backstage, terminal
from trmm_async.cli.exits import CommandError, Exit
from trmm_async.cli.forms import (
    Showing,
    columns_of,
    complete_fields,
    csv_writer,
    event_fields,
    host_column,
    print_name,
)


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


ROWS = [
    {"id": 1, "name": "=a", "client": {"id": 3, "name": "Acme"}},
    {"id": 2, "name": "b\x1b[2J", "client": {}},
]


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({}, "table"),
        ({"as_json": True}, "json"),
        ({"as_jsonl": True}, "jsonl"),
        ({"form": "csv"}, "csv"),
        ({"jq": "."}, "json"),
        ({"jq": ".", "as_jsonl": True}, "jsonl"),
    ],
)
def test_one_form_is_chosen(options: dict[str, Any], form: str) -> None:
    shown = Showing(**options)
    assert (shown.form, shown.for_people, shown.in_words) == (form, form == "table", form == "table")
    assert not Showing(**options, columns="a").in_words


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"as_json": True, "as_jsonl": True}, "--json and --jsonl are two formats"),
        ({"as_json": True, "form": "json"}, "--json and --output are two formats"),
        ({"form": "jason"}, "did you mean 'json'"),
        ({"form": "csv", "jq": "."}, "--jq filters JSON: leave csv out"),
        ({"jq": ".["}, "^--jq: "),
    ],
)
def test_what_does_not_go_together_is_a_wrong_use(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CommandError, match=says) as caught:
        Showing(**options)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("form", "out"),
    [
        ("csv", "id,name,client_id,client_name,client\n1,'=a,3,Acme,\n2,b\x1b[2J,,,\n"),
        ("name", "=a\nb[2J\n"),
    ],
)
def test_rows_for_programs(capsys: pytest.CaptureFixture[str], form: str, out: str) -> None:
    Showing(form=form).print_rows(ROWS, None, None, None)
    assert capsys.readouterr().out == out


@pytest.mark.parametrize("form", ["json", "jsonl", "yaml"])
def test_rows_are_data_again(capsys: pytest.CaptureFixture[str], form: str) -> None:
    Showing(form=form).print_rows(ROWS, None, None, None)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    read = [json.loads(line) for line in out.splitlines()] if form == "jsonl" else yaml.safe_load(out)
    assert read == ROWS


def test_rows_with_hosts_fields_and_a_name_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    Showing(form="csv").print_rows([{"agent_id": "a", "id": 1}], {"a": "HOST"}, None, None)
    Showing(form="csv").print_rows(ROWS, None, ("client.name", "id"), None)
    Showing(form="name").print_rows([{"id": 7}], None, None, lambda row: f"number {row['id']}")
    Showing(form="csv").print_rows([], None, None, None, ("id", "name"))
    Showing(form="csv").print_rows([], None, None, None)
    assert capsys.readouterr().out.splitlines() == [
        "agent_id,hostname,id", "a,HOST,1", "client.name,id", "Acme,1", ",2", "number 7", "id,name",
    ]  # fmt: skip


def test_a_filter_is_given_all_rows_or_each_and_texts_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    Showing(jq="length").print_rows(ROWS, None, None, None)
    Showing(jq=".id", as_jsonl=True).print_rows(ROWS, None, None, None)
    Showing(jq=".[0].name").print_rows(ROWS, None, None, None)
    assert capsys.readouterr().out.splitlines() == ["2", "1", "2", "=a"]
    with pytest.raises(CommandError, match=r"^--jq: ") as caught:
        Showing(jq=".name.x", as_jsonl=True).print_rows(ROWS, None, None, None)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("options", "first", "last"),
    [
        ({"as_jsonl": True}, '{"id": 1}\n', '{"id": 1}\n{"id": 2}\n'),
        ({"form": "csv"}, "id,name\n1,\n", "id,name\n1,\n2,\n"),
        ({"form": "name"}, "1\n", "1\n2\n"),
        ({"form": "yaml"}, "", "- id: 1\n- id: 2\n"),
        ({"jq": "map(.id) | add"}, "", "3\n"),
        ({}, "", ""),
    ],
)
def test_rows_come_as_soon_as_their_form_allows(
    capsys: pytest.CaptureFixture[str], options: dict[str, Any], first: str, last: str
) -> None:
    told = ""
    with Showing(**options).stream(("id", "name")) as emit:
        emit({"id": 1})
        told += capsys.readouterr().out
        assert told == first
        emit({"id": 2})
    assert told + capsys.readouterr().out == last


def test_what_was_held_is_printed_when_following_ends_and_nothing_before_a_first_row(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for rows in ([], [{"id": 1}]):
        for error in (KeyboardInterrupt, ValueError):
            with pytest.raises(error), Showing(form="yaml").stream(("id",)) as emit:
                for row in rows:
                    emit(row)
                raise error
            assert capsys.readouterr().out == ("- id: 1\n" if rows else "" if error is ValueError else "[]\n")


def test_one_thing_is_shown_in_the_commands_way_or_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    agent = sdk.Agent(agent_id="a", hostname="JADE-PC")

    def never(_agent: sdk.Agent) -> None:
        pytest.fail("it is for programs")

    Showing().one(agent, lambda thing: print_name(f"in words {thing.hostname}"))
    Showing(columns="hostname", as_jsonl=True).one(agent, never)
    Showing(columns="hostname", form="csv").one(agent, never)
    Showing(jq=".hostname").one(agent, never)
    assert capsys.readouterr().out.splitlines() == [
        "in words JADE-PC", '{"hostname": "JADE-PC"}', "hostname", "JADE-PC", "JADE-PC",
    ]  # fmt: skip
    with pytest.raises(CommandError, match="--fields: there is no field 'nope'"):
        Showing(columns="nope").one(agent, never)


def test_without_titles_csv_has_rows_alone(capsys: pytest.CaptureFixture[str]) -> None:
    write = csv_writer(("a", "b"), heads=False)
    write({"b": "x, y", "a": None, "c": 1})
    assert capsys.readouterr().out == ',"x, y"\n'


def test_columns_show_values_in_words_and_names_of_hosts() -> None:
    host, status = columns_of(("hostname", "status"), {"a": "HOST"})
    thing = {"agent_id": "a", "status": "online"}
    assert [(column.title, column.text(thing)) for column in (host, status)] == [
        ("hostname", "HOST"), ("status", "online"),
    ]  # fmt: skip
    assert (host.names, host.styled, status.names, status.styled) == (True, False, False, True)
    assert [host_column({"a": "HOST"}).text({"agent_id": who}) for who in "ab"] == ["HOST", "b"]


class _Context:
    def __init__(self, name: str, parent: "_Context | None" = None) -> None:
        self.info_name, self.parent = name, parent


@pytest.mark.parametrize(
    ("names", "begun", "offered"),
    [
        (("agents", "list"), "hostname,last", "hostname,last_seen"),
        (("trmm", "scripts"), "-na", "-name"),
        (("trmm", "checks"), "", "agent_id"),
        (("trmm", "run"), "ret", "retcode"),
        (("trmm", "watch"), "", "event"),
    ],
)
def test_fields_are_offered_by_the_command(names: tuple[str, str], begun: str, offered: str) -> None:
    context: Any = _Context(names[1], _Context(names[0]))
    found = complete_fields(context, begun)
    assert offered in found
    assert all(each.startswith(begun.rpartition(",")[0]) for each in found)


def test_of_another_command_none_are_offered() -> None:
    context: Any = _Context("login", _Context("trmm"))
    assert complete_fields(context, "") == []


def test_fields_of_events_are_those_of_all_kinds_once() -> None:
    fields = event_fields()
    assert fields[:4] == ("event", "hostname", "agent_id", "time")
    assert len(fields) == len(set(fields))
    assert {*sdk.AlertEvent.__struct_fields__, *sdk.AgentOffline.__struct_fields__} <= set(fields)
