"""One pipeline for all lists: fields, order, limits, and looking again and again."""

import json
import os
import signal
from typing import Any

import pytest

import trmm_async as sdk
from tests.cli.conftest import Cli
from tests.cli.pages import commands, options
from tests.cli.stage import Backstage, Said, started, terminal
from trmm_async.cli.rows import chosen_fields

LISTS = {
    "trmm agents list", "trmm scripts", "trmm clients", "trmm checks", "trmm tasks list", "trmm history",
    "trmm software", "trmm updates", "trmm services list", "trmm alerts list", "trmm deploy list",
    "trmm profiles list", "trmm runs", "trmm explain",
}  # fmt: skip
SHAPING = {"--output", "-o", "--fields", "--jq", "--limit", "--sort", "--no-headers", "--watch", "--json"}


def test_every_list_has_the_same_options() -> None:
    found = {}
    for name, command in commands():
        words = {word for each in options(command) for word in each.opts}
        if "--limit" in words and "--live" not in words and name != "trmm call":
            found[name] = words >= SHAPING
    assert found == dict.fromkeys(LISTS, True)


class TestFields:
    def test_are_chosen_in_any_form(self, cli: Cli, either: Backstage) -> None:
        words = ["agents", "--fields", "hostname,client.name", "--hostname", "jade*"]
        assert cli(*words, "--json").data == [{"hostname": "JADE-PC", "client.name": "Hermes Network Inc."}]
        assert cli(*words, "-o", "csv").out == "hostname,client.name\nJADE-PC,Hermes Network Inc.\n"
        assert cli(*words, "--no-headers").out == "JADE-PC  Hermes Network Inc.\n"

    def test_of_agents_things_are_told_with_the_host(self, cli: Cli, either: Backstage) -> None:
        for words in (["checks", "JADE-PC"], ["tasks", "JADE-PC"]):
            rows = cli(*words, "--json").data
            assert {row["hostname"] for row in rows} == {"JADE-PC"}
            assert {row["agent_id"] for row in rows} == {either.first}

    def test_that_are_none_are_told_before_anything_is_asked(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRMM_API_KEY", "not-a-key-of-anybody")
        said = cli("--url", "http://127.0.0.1:9", "scripts", "--fields", "nme")
        assert said.code == 2
        assert "--fields: there is no field 'nme'" in said.error

    def test_to_sort_by_and_how_many(self, cli: Cli, either: Backstage) -> None:
        every = cli("agents", "-o", "name").out.splitlines()
        said = cli("agents", "-o", "name", "--sort", "-hostname", "--limit", "2")
        assert said.out.splitlines() == sorted(every, key=str.casefold, reverse=True)[:2]
        assert cli("agents", "--limit", "2").error == f"2 of {len(every)}\n"
        for words in (["agents", "--sort", "nope"], ["agents", "--sort", "hostname,-nope"]):
            assert "--sort: there is no field 'nope'" in cli(*words).error

    def test_of_fields_are_checked_too(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRMM_API_KEY", "not-a-key-of-anybody")
        for option in ("--fields", "--sort"):
            for words, says in (
                (
                    "client.nam",
                    "no field 'client.nam'; there is client.id, client.name; did you mean 'name'?",
                ),
                ("status.x", "there is no field 'status.x'; status has none"),
            ):
                said = cli("--url", "http://127.0.0.1:9", "agents", option, words)  # nobody is asked there
                assert (said.code, said.out) == (2, "")
                assert says in said.error
        assert chosen_fields("extra.anything.at_all,client.name", sdk.Agent, "--fields")


def test_a_list_that_is_cut_to_nothing_is_not_called_empty(cli: Cli, either: Backstage) -> None:
    assert cli("agents", "--limit", "0").error == "0 of 20\n"


class TestWatching:
    def test_tells_programs_what_has_changed(self, gateway: Backstage) -> None:
        words = ["agents", "--watch", "--every", "0.2", "--jsonl", "--fields", "hostname,status"]
        with started(words, gateway.environment) as process:
            assert process.stdout is not None
            first = [json.loads(process.stdout.readline()) for _ in range(20)]
            assert {row["status"] for row in first} == {"online"}
            gateway.do(lambda server: server.go_offline(server.agent_ids[0]))
            assert json.loads(process.stdout.readline()) == {"hostname": "JADE-PC", "status": "offline"}
            gateway.do(lambda server: server.come_online(server.agent_ids[0]))
            os.kill(process.pid, signal.SIGINT)
            process.communicate()
            assert process.wait() == 130

    def test_draws_anew_for_people(self, gateway: Backstage) -> None:
        with terminal(["clients", "-w", "--every", "0.2"], gateway.environment) as screen:
            screen.wait_for("\x1b[2J", times=3)
            screen.type("\x03")
            assert screen.finish() == 130


class TestStockLists:
    @pytest.mark.parametrize(
        ("words", "kind"),
        [
            (["software", "JADE-PC"], sdk.Software),
            (["updates", "--kind", "server"], sdk.WindowsUpdate),
            (["services", "JADE-PC"], sdk.Service),
            (["history"], sdk.HistoryEntry),
        ],
    )
    def test_have_the_fields_and_the_host(
        self, cli: Cli, stock: Backstage, words: list[str], kind: Any
    ) -> None:
        assert cli("run", "3", "--agent", "JADE-PC").code == 0
        rows = cli(*words, "--json").data
        assert rows
        assert all(set(row) == {*kind.__struct_fields__, "agent_id", "hostname"} for row in rows)
        assert all(row["hostname"] for row in rows)
        assert len(cli(*words).out.splitlines()) == len(rows) + 1

    def test_software_by_name_and_updates_that_are_missing(self, cli: Cli, stock: Backstage) -> None:
        rows = cli("software", "--name", "*CHROME*", "--json").data
        assert {row["name"] for row in rows} == {"Google Chrome"}
        assert {row["hostname"] for row in rows} > {"JADE-PC"}
        assert {row["installed"] for row in cli("updates", "--missing", "--json").data} == {False}

    def test_of_a_gateway_are_refused(self, cli: Cli, gateway: Backstage) -> None:
        assert cli("history").code == cli("software", "JADE-PC").code == 4


class TestDoing:
    def test_reboots_those_that_are_meant(self, cli: Cli, stock: Backstage) -> None:
        assert cli("reboot").code == 2
        assert cli("reboot", "--client", "34").code == 4  # nobody is here to be asked
        said = cli("reboot", "--client", "34", "--dry-run")
        assert (said.code, said.error.startswith("would reboot ")) == (0, True)
        rows = cli("reboot", "--client", "34", "--dry-run", "--json").data
        assert {row["reason"] for row in rows} == {"a dry run"}
        assert not any(
            request.path.endswith("/reboot/") for request in stock.do(lambda server: server.requests)
        )
        assert cli("reboot", "JADE-PC", "--json").data[0]["outcome"] == "done"

    def test_maintenance_on_and_off(self, cli: Cli, stock: Backstage) -> None:
        assert cli("maintenance", "on", "--client", "34", "--yes", "--canary", "1").code == 0
        inside = cli("agents", "--where", "maintenance_mode=true", "-o", "name").out.splitlines()
        assert inside == cli("agents", "--client", "34", "-o", "name").out.splitlines()
        assert cli("maintenance", "off", "--all", "--yes").code == 0
        assert cli("agents", "--where", "maintenance_mode=true", "-o", "name").out == ""
        assert cli("maintenance", "perhaps", "--all").code == 2

    def test_services_are_controlled(self, cli: Cli, stock: Backstage) -> None:
        assert cli("services", "stop", "Spooler", "JADE-PC").code == 0
        assert "Spooler" in cli("services", "JADE-PC", "--state", "stopped").out
        assert cli("services", "start", "Spooler", "JADE-PC").code == 0

    def test_a_task_is_created(self, cli: Cli, either: Backstage) -> None:
        words = ["tasks", "create", "Nightly", "Clear-TempFiles", "--schedule", "0 3 * * 0"]
        assert cli(*words).code == 2
        assert cli(*words, "--agent", "JADE-PC").code == 0
        assert "Nightly" in [row["name"] for row in cli("tasks", "JADE-PC", "--json").data]
        said: Said = cli(*words[:-1], "0 30 * * *", "--agent", "JADE-PC")
        assert (said.code, said.out) == (2, "")
        assert "--schedule: schedule '0 30 * * *': hour '30'" in said.error

    def test_a_state_that_is_none_is_told(self, cli: Cli) -> None:
        said = cli("services", "--state", "stoped")
        assert (said.code, "did you mean 'stopped'" in said.error) == (2, True)


class TestSmallHabits:
    def test_help_and_version(self, cli: Cli) -> None:
        assert cli("-V").out == cli("--version").out
        assert cli("help").out == cli("--help").out
        assert cli("help", "agents", "list").out == cli("agents", "list", "--help").out

    def test_a_status_that_is_a_checks_is_told(self, cli: Cli) -> None:
        assert "`trmm checks --result failing`" in cli("checks", "--status", "failing").error

    def test_an_address_stays_whole_in_a_table(self, stock: Backstage) -> None:
        words = ["deploy", "create", "--client", "34", "--site", "41"]
        with terminal(words, stock.environment, 60) as screen:
            assert screen.finish() == 0
        url = next(word for word in screen.shown.split() if word.startswith("http"))
        with terminal(["deploy"], stock.environment, 60) as screen:
            assert screen.finish() == 0
        assert url in screen.shown
