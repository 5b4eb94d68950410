"""The commands that read, and those that change a thing or two, on both kinds of server."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trmm_async as sdk
from tests.cli.conftest import Cli
from tests.cli.stage import Backstage
from trmm_async.cli.selection import labels
from trmm_async.cli.text import folded

AGENT_FIELDS = set(sdk.Agent.__struct_fields__)


class TestAgents:
    def test_are_a_table_for_people(self, cli: Cli, either: Backstage) -> None:
        said = cli("agents")
        lines = said.out.splitlines()
        assert (said.code, said.error, len(lines)) == (0, "", 21)
        assert lines[0].split()[:4] == ["Agent", "Client", "Site", "Status"]
        names = [line.split()[0] for line in lines[1:]]
        assert names == sorted(names, key=str.casefold)
        assert "\x1b" not in said.out

    @pytest.mark.parametrize("form", ["--json", "--jsonl"])
    def test_are_data_for_programs_by_the_names_of_our_fields(
        self, cli: Cli, either: Backstage, form: str
    ) -> None:
        said = cli("agents", form)
        rows = said.data if form == "--json" else said.lines
        assert (said.code, said.error, len(rows)) == (0, "", 20)
        assert all(set(row) == AGENT_FIELDS for row in rows)
        jade = next(row for row in rows if row["hostname"] == "JADE-PC")
        assert jade["client"]["name"] == "Hermes Network Inc."
        assert datetime.fromisoformat(jade["last_seen"]).tzinfo is not None

    def test_can_be_chosen_by_client_site_kind_pattern_and_status(self, cli: Cli, either: Backstage) -> None:
        def names(*words: str) -> set[str]:
            return {row["hostname"] for row in cli("agents", "--json", *words).data}

        everyone = names()
        hermes = names("--client", "hermes network inc.")
        assert hermes == names("--client", "34") < everyone
        jakarta = names("--client", "34", "--site", "Jakarta Office")
        assert jakarta == names("--site", "Hermes Network Inc./jakarta office") == names("--site", "41")
        assert jakarta < hermes
        assert names("--kind", "server") | names("--kind", "workstation") == everyone
        assert names("--hostname", "jade*") == {"JADE-PC"}
        assert names("--status", "online") == everyone
        assert names("--status", "overdue") == set()

    def test_none_is_a_message_or_an_empty_list(self, cli: Cli, either: Backstage) -> None:
        assert cli("agents", "--hostname", "nobody").error == "no agent matches\n"
        assert cli("agents", "--hostname", "nobody", "--json").data == []
        assert cli("agents", "--hostname", "nobody", "--jsonl").out == ""

    def test_columns_and_their_order(self, cli: Cli, either: Backstage) -> None:
        said = cli("agents", "--columns", "hostname,client, disks", "--sort", "-hostname")
        head, *lines = said.out.splitlines()
        assert head.split()[:2] == ["hostname", "client"]
        names = [line.split()[0] for line in lines]
        assert names == sorted(names, key=str.casefold, reverse=True)
        seen = [row["last_seen"] for row in cli("agents", "--json", "--sort", "last_seen").data]
        assert seen == sorted(seen)

    def test_a_field_that_is_none(self, cli: Cli, either: Backstage) -> None:
        for words in (["--columns", "hostname,nope"], ["--sort", "nope"]):
            said = cli("agents", *words)
            assert said.code == 2
            assert "no field 'nope'; there is agent_id, hostname" in said.error


class TestAnAgent:
    def test_by_name_or_id(self, cli: Cli, either: Backstage) -> None:
        said = cli("agent", "jade-pc")
        assert (said.code, said.error) == (0, "")
        assert "JADE-PC" in said.out
        assert cli("agent", either.first, "--json").data["hostname"] == "JADE-PC"
        (row,) = cli("agent", either.first, "--jsonl").lines
        assert set(row) == AGENT_FIELDS

    def test_a_name_that_is_near(self, cli: Cli, either: Backstage) -> None:
        said = cli("agent", "JADE")
        assert (said.code, said.out) == (2, "")
        assert said.error == "trmm: there is no agent 'JADE'; did you mean 'JADE-PC'?\n"

    def test_a_name_that_several_have(self, cli: Cli) -> None:
        with Backstage(agents=3, rate_limit=None) as stage:
            twin = stage.do(lambda server: server.add_agent(hostname="JADE-PC", site=44).agent_id)
            said = cli("--url", stage.url, "agent", "JADE-PC")
            assert "no API key" in said.error
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("TRMM_API_KEY", stage.api_key)
                said = cli("agent", "JADE-PC", "--url", stage.url)
        assert said.code == 2
        assert "2 agents are named 'JADE-PC', give the id: " in said.error
        assert f"{twin} (Ostermann & Söhne GmbH/Hauptsitz Köln)" in said.error


@pytest.fixture(scope="module")
def twins() -> Iterator[Backstage]:
    with Backstage(agents=2, rate_limit=None, script_seconds=0.01) as stage:
        # Another customer's, a clone at the same site, and one that pretends to be the first.
        for name, site in (("JADE-PC", 43), ("jade-pc", 43), ("JADE\u202e-PC", 41)):
            stage.do(lambda server, name=name, site=site: server.add_agent(hostname=name, site=site))  # type: ignore[misc]
        stage.do(lambda server: server.script(3, stdout="same\n"))
        yield stage


class TestTwins:
    """Agents with the same host name are told apart wherever people see names, and never folded into one."""

    @pytest.fixture(autouse=True)
    def used(self, twins: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in twins.environment.items():
            monkeypatch.setenv(name, value)

    @staticmethod
    def names(twins: Backstage) -> list[str]:
        one, _, two, three, four = twins.do(lambda server: server.agent_ids)
        return [f"JADE-PC ({one})", f"JADE-PC ({two})", f"jade-pc ({three})", f"JADE-PC ({four})"]

    def test_in_tables_and_reports(self, cli: Cli, twins: Backstage, tmp_path: Path) -> None:
        journal = str(tmp_path / "run.db")
        for words in (
            ["agents"],
            ["agents", "--columns", "hostname"],
            ["run", "3", "--all", "--yes", "--journal", journal],
            ["results", journal],
        ):
            said = cli(*words)
            assert said.code == 0, said.error
            for name in self.names(twins):
                assert name in said.out, words

    def test_in_the_question(self, cli: Cli, twins: Backstage) -> None:
        said = cli("run", "3", "--all")
        assert said.code == 4
        assert all(name in said.error for name in self.names(twins))

    def test_in_data_they_are_as_they_are(self, cli: Cli, twins: Backstage) -> None:
        rows = cli("run", "3", "--all", "--yes", "--jsonl").lines
        assert sorted(row["hostname"] for row in rows) == sorted(
            ["JADE-PC", "DESKTOP-001", "JADE-PC", "jade-pc", "JADE\u202e-PC"]
        )

    def test_the_client_and_the_site_are_enough_where_they_differ(self) -> None:
        hermes, acme = sdk.ClientRef(id=1, name="Hermes"), sdk.ClientRef(id=2, name="Acme")
        site = sdk.SiteRef(id=1, name="Office")
        agents = [
            sdk.Agent(agent_id="a", hostname="PC", client=hermes, site=site),
            sdk.Agent(agent_id="b", hostname="pc", client=acme, site=site),
            sdk.Agent(agent_id="c", hostname="SRV", client=acme, site=site),
            sdk.Agent(agent_id="d", hostname="PC (Hermes/Office)", client=acme, site=site),
        ]
        assert labels(agents[:3]) == {"a": "PC (Hermes/Office)", "b": "pc (Acme/Office)", "c": "SRV"}
        assert labels(agents) == {
            "a": "PC (a)",
            "b": "pc (Acme/Office)",
            "c": "SRV",
            "d": "PC (Hermes/Office) (d)",
        }
        assert labels(agents, for_people=False)["b"] == "pc"


NAMES = st.sampled_from(["PC", "pc", "P\x1bC", "PC (C/S)", "PC (0)", "PC (1)", "WEB-01"])


@given(st.lists(st.tuples(NAMES, st.sampled_from(["C", "D"])), max_size=6))
def test_no_two_agents_are_called_the_same(found: list[tuple[str, str]]) -> None:
    agents = [
        sdk.Agent(
            agent_id=f"id-{place}",
            hostname=name,
            client=sdk.ClientRef(id=1, name=client),
            site=sdk.SiteRef(id=1, name="S"),
        )
        for place, (name, client) in enumerate(found)
    ]
    told = labels(agents)
    assert len({name.casefold() for name in told.values()}) == len(agents)
    assert folded(told.values()).count("id-") <= len(agents)


class TestLists:
    def test_scripts(self, cli: Cli, either: Backstage) -> None:
        assert "Get-DiskInfo" in cli("scripts").out
        assert [row["name"] for row in cli("scripts", "*DISK*", "--json").data] == ["Get-DiskInfo"]
        assert cli("scripts", "nothing*").error == "no script matches\n"

    def test_clients(self, cli: Cli, either: Backstage) -> None:
        assert "Jakarta Office (41), Surabaya Warehouse (42)" in cli("clients").out
        rows = cli("clients", "--json").data
        hermes = next(row for row in rows if row["id"] == 34)
        assert hermes["sites"][0].items() >= {"id": 41, "name": "Jakarta Office"}.items()

    def test_checks(self, cli: Cli, either: Backstage) -> None:
        assert "Print Spooler" in cli("checks", "JADE-PC").out
        rows = cli("checks", "JADE-PC", "--result", "passing", "--json").data
        assert {row["agent_id"] for row in rows} == {either.first}
        assert cli("checks", "JADE-PC", "--result", "pending").error == "no check matches\n"
        every = cli("checks", "--jsonl").lines
        assert {row["agent_id"] for row in every} == set(either.do(lambda server: server.agent_ids))
        failing = cli("checks", "--result", "failing", "--json").data
        assert sorted(row["id"] for row in failing) == sorted(
            row["id"] for row in every if row["status"] == "failing"
        )
        servers = either.do(
            lambda server: [one.agent_id for one in server.agents if one.monitoring_type == "server"]
        )
        assert {row["agent_id"] for row in cli("checks", "--kind", "server", "--json").data} == set(servers)
        assert cli("checks", "JADE-PC", "--kind", "server", "--json").data == []

    def test_an_agent_is_meant_in_any_form_of_its_name(self, cli: Cli, stock: Backstage) -> None:
        made = stock.do(lambda server: server.add_agent(hostname="Büro-1"))
        try:
            assert cli("agent", "BU\u0308RO-1", "--json").data["agent_id"] == made.agent_id
            (row,) = cli("agents", "--hostname", "bu\u0308ro-*", "--json").data
            assert row["agent_id"] == made.agent_id
        finally:
            stock.do(lambda server: server.world.delete_agent(made.agent_id))

    def test_checks_name_the_agents_that_could_not_be_asked(self, cli: Cli, either: Backstage) -> None:
        with either.do(lambda server: server.fail("GET", "/checks/", status=500, times=None)):
            said = cli("checks", "--kind", "server", "--json")
        servers = either.do(
            lambda server: [one.hostname for one in server.agents if one.monitoring_type == "server"]
        )
        assert (said.code, said.data) == (1, [])
        assert f"{len(servers)} agents could not be asked: " in said.error
        assert any(name in said.error for name in servers)

    def test_tasks(self, cli: Cli, either: Backstage) -> None:
        assert "JADE-PC" in cli("tasks").out
        rows = cli("tasks", "JADE-PC", "--json").data
        assert {row["agent_id"] for row in rows} == {either.first}
        assert set(rows[0]) == {*sdk.Task.__struct_fields__, "hostname"}
        assert {row["hostname"] for row in rows} == {"JADE-PC"}


class TestAlerts:
    @pytest.fixture
    def alert(self, either: Backstage) -> int:
        return either.do(
            lambda server: server.raise_alert(server.agent_ids[0], severity="error", message="C: 97% used")
        )

    def test_are_listed(self, cli: Cli, either: Backstage, alert: int) -> None:
        for words in (
            ["alerts"],
            ["alerts", "list", "--agent", "jade-pc"],
            ["alerts", "--severity", "error"],
        ):
            said = cli(*words)
            assert said.code == 0
            assert "C: 97% used" in said.out
            assert "JADE-PC" in said.out
        rows = cli("alerts", "--json").data
        assert alert in {row["id"] for row in rows}
        assert {row["severity"] for row in rows} == {"error"}
        assert cli("alerts", "--severity", "INFO").error == "no alert is open\n"

    def test_are_resolved(self, cli: Cli, either: Backstage, alert: int) -> None:
        said = cli("alerts", "resolve", str(alert))
        assert (said.code, said.out, said.error) == (0, "", "1 resolved\n")
        assert alert not in {row["id"] for row in cli("alerts", "--json").data}
        everything = {row["id"]: row for row in cli("alerts", "--all", "--json").data}
        assert everything[alert]["resolved"] is True

    def test_one_that_is_not_there(self, cli: Cli, either: Backstage, alert: int) -> None:
        said = cli("alerts", "resolve", "99999")
        assert said.code == 1
        assert said.error.startswith("trmm: the server has no such thing: ")
        said = cli("alerts", "resolve", "99999", str(alert), "--yes")
        assert said.code == 1
        assert "alert 99999: " in said.error
        assert said.error.endswith("1 resolved, 1 not\n")

    def test_several_are_asked_about(self, cli: Cli, either: Backstage, alert: int) -> None:
        said = cli("alerts", "resolve", "1", str(alert))
        assert said.code == 4
        assert "refusing to resolve 2 alerts without confirmation" in said.error
        assert f"Add --yes (resolve 2 alerts: 1, {alert})" in said.error

    def test_acknowledging_is_a_gateways(self, cli: Cli, gateway: Backstage) -> None:
        number = gateway.do(lambda server: server.raise_alert(server.agent_ids[0]))
        assert cli("alerts", "ack", str(number)).error == "1 acknowledged\n"
        said = cli("alerts", "snooze", str(number), "--days", "3")
        assert said.code == 4
        assert "gateway" in said.error

    def test_snoozing_is_a_stock_servers(self, cli: Cli, stock: Backstage) -> None:
        number = stock.do(lambda server: server.raise_alert(server.agent_ids[0]))
        assert cli("alerts", "snooze", str(number), "--days", "3").error == "1 snoozed\n"
        said = cli("alerts", "ack", str(number))
        assert said.code == 4
        assert "snooze" in said.error


class TestDeployments:
    def test_are_made_listed_downloaded_and_revoked(
        self, cli: Cli, either: Backstage, tmp_path: Path
    ) -> None:
        assert cli("deploy").error == "no deployment is active\n"
        where = ["--client", "hermes network inc.", "--site", "41"]
        made = cli("deploy", "create", *where, "--expires", "2d", "--json").data
        assert set(made) == set(sdk.Deployment.__struct_fields__)
        until = datetime.fromisoformat(made["expiry"]) - datetime.now(UTC)
        assert timedelta(days=1) < until <= timedelta(days=2)
        said = cli("deploy")
        assert "Jakarta Office" in said.out
        assert made["download_url"] in said.out

        path = Path(cli("deploy", "download", str(made["id"]), str(tmp_path)).out.strip())
        assert path.read_bytes() == either.do(lambda server: server.installer(made["id"]))
        told = cli("deploy", "download", str(made["id"]), str(tmp_path), "--json").data
        assert told == {"path": str(path), "bytes": path.stat().st_size}

        assert cli("deploy", "revoke", str(made["id"])).error == f"deployment {made['id']} is revoked\n"
        assert cli("deploy", "--json").data == []
        assert cli("deploy", "download", str(made["id"]), str(tmp_path)).code == 1

    def test_the_url_is_all_that_is_on_stdout(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("deploy", "create", "--client", "34", "--site", "41")
        assert said.out.startswith("http")
        assert said.out.count("\n") == 1
        assert "client 34, site 41; it expires in" in said.error

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (
                ["--client", "Hermes", "--site", "41"],
                "no client 'Hermes'; did you mean 'Hermes Network Inc.'?",
            ),
            (["--client", "34", "--site", "44"], "no site '44'"),
            (["--client", "34", "--site", "41", "--expires", "soon"], "12h, 7d, 2w or 2030-01-31T18:00"),
            (["--client", "34", "--site", "41", "--arch", "vax"], "arch"),
            (["--client", "34", "--site", "41", "--expires", "2001-01-01"], "future"),
        ],
    )
    def test_what_is_wrong_is_said(self, cli: Cli, gateway: Backstage, words: list[str], says: str) -> None:
        said = cli("deploy", "create", *words)
        assert (said.code, said.out) == (2, "")
        assert says in said.error


class TestCommand:
    def test_prints_what_the_agent_printed(self, cli: Cli, stock: Backstage) -> None:
        said = cli("cmd", "jade-pc", "echo hello")
        assert (said.code, said.out, said.error) == (0, "hello\n", "")
        told = cli("cmd", "JADE-PC", "echo hello", "--shell", "powershell", "--json").data
        assert (told["hostname"], told["stdout"]) == ("JADE-PC", "hello\r\n")

    def test_of_an_agent_that_is_silent_may_have_run(self, cli: Cli, stock: Backstage) -> None:
        stock.do(lambda server: server.hang(server.agent_ids[1]))
        name = stock.do(lambda server: server.agents[1].hostname)
        said = cli("cmd", name, "echo hello", "--timeout", "1")
        stock.do(lambda server: server.unhang(server.agent_ids[1]))
        assert (said.code, said.out) == (3, "")
        assert said.error.startswith("trmm: it may have happened or not: look before you repeat it.")

    def test_is_a_stock_servers(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("cmd", "JADE-PC", "echo hello")
        assert (said.code, said.out) == (4, "")


def test_json_is_what_msgspec_reads_into_our_nouns_again(cli: Cli, stock: Backstage) -> None:
    rows = cli("agents", "--json").data
    names = {field.name: field.encode_name for field in msgspec.structs.fields(sdk.Agent)}
    wire = [{names[name]: value for name, value in row.items()} for row in rows]
    again = msgspec.json.decode(json.dumps(wire), type=list[sdk.Agent])
    assert [agent.hostname for agent in again] == [row["hostname"] for row in rows]
