"""Agents by what they have in common, as options say it: `--where`, `--field`, and the others with them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

import trmm_async as sdk
from tests.cli.conftest import Cli
from tests.cli.pages import commands, options
from tests.cli.stage import Backstage
from trmm_async.cli.conditions import condition, field_value
from trmm_async.cli.exits import CommandError

PICKING = ["--client", "--site", "--kind", "--plat", "--os", "--status", "--hostname", "--where", "--field"]
AGENT = sdk.Agent(
    agent_id="a",
    hostname="WEB-01",
    needs_reboot=True,
    maintenance_mode=False,
    total_ram=15.5,
    pending_actions_count=2,
    version="2.8.0",
    physical_disks=("Samsung SSD 970", "WD Blue"),
)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("needs_reboot=true", True),
        ("needs-reboot = Yes", True),
        ("needs_reboot=false", False),
        ("maintenance_mode=no", True),
        ("has_patches_pending=false", False),  # not known is not False
        ("has_patches_pending=", True),
        ("needs_reboot=", False),
        ("description=", True),
        ("version=2.8.*", True),
        ("version=2.8", False),
        ("hostname=web-?1", True),
        ("make_model=*", True),
        ("total_ram=15.50", True),
        ("pending_actions_count=3", False),
        ("physical_disks=wd*", True),
        ("physical_disks=Seagate*", False),
        ("description=a=b", False),
    ],
)
def test_a_field_is_compared_by_its_type(text: str, fits: bool) -> None:
    assert condition(text)(AGENT) is fits


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("last_seen>-1h", True),
        ("last_seen<-1h", False),
        ("last_seen < -10m", True),
        ("last_seen>=2026-01-01T00:00Z", True),
        ("last_seen<=2026-01-01", False),
        ("last_seen<9999-12-31T00:00Z", True),
        ("last_seen=", False),
        ("boot_time=", True),
        ("boot_time<-1h", False),  # not known is neither
        ("boot_time>-1h", False),
        ("total_ram<16", True),
        ("total_ram<=15.5", True),
        ("total_ram>15.5", False),
        ("pending_actions_count>=2", True),
        ("description=a<b", False),
    ],
)
def test_numbers_and_times_have_an_order(text: str, fits: bool) -> None:
    seen = datetime.now(UTC) - timedelta(minutes=20)
    assert condition(text)(msgspec.structs.replace(AGENT, last_seen=seen)) is fits


def test_a_text_may_have_an_equals_sign() -> None:
    assert condition("description=a=b*")(sdk.Agent(agent_id="a", description="A=B, c"))


@pytest.mark.parametrize("call", ["__import__('os').abort()", "agent.needs_reboot", "1==1"])
def test_it_is_never_python(call: str) -> None:
    with pytest.raises(CommandError, match="--where"):
        condition(call)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--where", "needs_rebot=true"], "no field 'needs_rebot' to compare; did you mean 'needs_reboot'?"),
        (["--where", "zzz=1"], "no field 'zzz' to compare; there is agent_id, hostname, plat,"),
        (["--where", "needs_reboot"], "--where is FIELD=VALUE as needs_reboot=true, not 'needs_reboot'"),
        (["--where", "=true"], "--where is FIELD=VALUE"),
        (["--where", "needs_reboot=maybe"], "--where needs_reboot is true, yes, false or no, not 'maybe'"),
        (["--where", "total_ram=much"], "--where total_ram is a number, not 'much'"),
        (["--where", "client=Acme"], "--where takes no client: use --client"),
        (["--where", "custom_fields=x"], "use --field"),
        (["--where", "last_seen=-7d"], "--where last_seen: a time is compared by < or >, as 'last_seen<-7d'"),
        (
            ["--where", "last_seen<soon"],
            "--where last_seen is a time as -12h, -7d or 2030-01-31T18:00, not 'soon'",
        ),
        (["--where", "last_seen<-7"], "--where last_seen is a length of time as 30m, 12h or 7d, not '7'"),
        (["--where", "last_seen>"], "--where last_seen is a time as"),
        (["--where", "boot_time<7d"], "--where boot_time is a time as -12h, -7d"),
        (["--where", "version<2.8"], "--where version has no order: compare it by =, not by <"),
        (["--where", "needs_reboot>=true"], "--where needs_reboot has no order"),
        (
            ["--where", "status=onlin"],
            "--where status is online, offline, overdue or unknown, not 'onlin'; did",
        ),
        (["--where", "plat=window"], "did you mean 'windows'?"),
        (["--field", "Backup"], "--field is NAME=VALUE as Backup=yes, not 'Backup'"),
        (["--plat", "window"], "--plat is windows, linux or darwin, not 'window'; did you mean 'windows'?"),
        (["--os", ""], "--os is a pattern as '*Server 2019*', not empty"),
        (["--kind", "severs"], "did you mean 'server'?"),
    ],
)
@pytest.mark.parametrize("command", [["agents"], ["run", "1"]], ids=" ".join)
def test_what_can_not_be_is_refused_before_anything_is_sent(
    cli: Cli, command: list[str], words: list[str], says: str
) -> None:
    said = cli(*command, *words)  # without a server to ask
    assert (said.code, said.out, said.error.count("\n")) == (2, "", 1)
    assert says in said.error


def test_every_command_that_has_agents_picks_them_by_all_of_it() -> None:
    picking: dict[str, list[str]] = {}
    for name, command in commands():
        words = [word for each in options(command) for word in each.opts]
        if "--hostname" in words or ("--all" in words and "--agent" in words and "--severity" not in words):
            picking[name] = [word for word in words if word in PICKING]
    looking = (
        "agents list", "watch", "checks", "tasks list", "alerts list", "software", "updates", "history",
        "services list", "export",
    )  # fmt: skip
    doing = (
        "run", "cmd", "patch scan", "patch install", "reboot", "maintenance", "tasks create",
        "services start", "services stop", "services restart",
    )  # fmt: skip
    telling = ("relay", "webhooks")
    assert set(picking) == {f"trmm {name}" for name in (*looking, *doing, *telling)}
    assert all(words == PICKING for words in picking.values())


def test_agents_are_picked_by_fields(cli: Cli, either: Backstage) -> None:
    everyone: list[dict[str, Any]] = cli("agents", "--json").data

    def picked(fits: Callable[[dict[str, Any]], bool], *words: str) -> None:
        found = {row["hostname"] for row in cli("agents", "--json", *words).data}
        assert found == {row["hostname"] for row in everyone if fits(row)}

    windows = ["--plat", "Windows", "--os", "windows*", "--where", "version=2.*"]
    picked(
        lambda row: (
            row["plat"] == "windows"
            and row["operating_system"].startswith("Windows")
            and row["version"].startswith("2.")
        ),
        *windows,
    )
    picked(lambda row: row["needs_reboot"] is True, "--where", "needs_reboot=true")
    picked(
        lambda row: row["needs_reboot"] is False and row["monitoring_type"] == "server",
        *("--where", "needs_reboot=false", "--kind", "server"),
    )
    picked(lambda row: row["needs_reboot"] is None, "--where", "needs_reboot=")


def test_a_run_takes_the_same(cli: Cli, either: Backstage) -> None:
    (row,) = cli("agents", "--json", "--hostname", "JADE-PC").data
    words = ["--where", f"public_ip={row['public_ip']}", "--where", "hostname=j*", "--plat", row["plat"]]
    said = cli("run", "1", *words, "--jsonl")
    assert [line["hostname"] for line in said.lines] == ["JADE-PC"]
    none = cli("run", "1", "--where", "hostname=nobody", "--yes")
    assert (none.code, none.error) == (1, "trmm: no agent matches; nothing was run\n")


class TestCustomFields:
    def test_by_name_and_by_the_fields_type(self, cli: Cli, stock: Backstage) -> None:
        def create(name: str, **more: str) -> str:
            words = [f"--{option}={value}" for option, value in more.items()]
            made = cli(
                "call", "custom_fields.create", f"--name={name}", "--model=agent", *words, "--yes", "--json"
            )
            return str(made.data["id"])

        rack, backed = create("Rack"), create("Backed up", type="checkbox")
        values = f'{{"{rack}": "A3", "{backed}": true}}'
        changed = cli("call", "agents.update", "JADE-PC", "--custom-fields", values, "--yes")
        assert changed.code == 0

        def picked(*words: str) -> list[str]:
            return [line["hostname"] for line in cli("agents", "--jsonl", *words).lines]

        assert picked("--field", "rack=A3", "--field", "Backed up=yes") == ["JADE-PC"]
        assert picked("--field", f"{rack}=A4") == []
        assert "JADE-PC" not in picked("--field", "Rack=")
        for words, says in (
            (["Rak=A3"], "there is no custom field 'Rak'; did you mean 'Rack'?"),
            (["Backed up=perhaps"], "--field Backed up is true, yes, false or no, not 'perhaps'"),
            (["Rack=A3", "--field", f"{rack}=A3"], "--field: 'Rack' is given twice"),
        ):
            said = cli("agents", "--field", *words)
            assert (said.code, said.out) == (2, "")
            assert says in said.error

    def test_are_a_stock_servers(self, cli: Cli, gateway: Backstage) -> None:
        assert cli("agents", "--field", "Rack=A3").code == 4

    @pytest.mark.parametrize(
        ("field", "value", "wanted"),
        [
            (sdk.CustomField(id=1, type="single", options=("red", "blue")), "RED", "red"),
            (sdk.CustomField(id=1, type="number"), "5", "5"),
            (sdk.CustomField(id=1, type="checkbox"), "no", False),
            (sdk.CustomField(id=1, type="text"), "", None),
            (sdk.CustomField(id=1, type="hologram"), "any", "any"),
        ],
    )
    def test_have_values_of_their_type(self, field: sdk.CustomField, value: str, wanted: object) -> None:
        assert field_value(field, value) == wanted

    def test_and_no_others(self) -> None:
        colour = sdk.CustomField(id=1, name="Colour", type="single", options=("red", "blue"))
        with pytest.raises(
            CommandError, match=re.escape("--field Colour is red or blue, not 'rid'; did you mean 'red'?")
        ):
            field_value(colour, "rid")
        with pytest.raises(CommandError, match="--field Pin is a number, not 'x'"):
            field_value(sdk.CustomField(id=2, name="Pin", type="number"), "x")
