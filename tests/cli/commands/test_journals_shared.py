"""`trmm run`, `resume`, `results` and `runs` of a journal in PostgreSQL."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage
from trmm_async import Journal
from trmm_async.fleet.journal import Order


def test_a_run_is_kept_in_a_database_and_gone_on_with(cli: Cli, gateway: Backstage, database: str) -> None:
    url = f"{database}?run=tuesday"
    said = cli("run", "3", "--client", "34", "--yes", "--width", "2", "--journal", url)
    assert said.code == 0, said.error
    rows = json.loads(cli("results", url, "--json").out)
    assert {row["outcome"] for row in rows} == {"done"}
    again = cli("resume", url, "--yes", "--json")
    assert again.code == 0, again.error
    assert {row["agent_id"] for row in json.loads(again.out)} == {row["agent_id"] for row in rows}
    said = cli("resume", url, "--yes", "--success", "0,3010")
    assert said.code == 2
    assert "--success: all hosts judge by the --success that this run was begun with" in said.error
    said = cli("run", "3", "--client", "34", "--yes", "--journal", url)
    assert said.code != 0
    assert "is there already" in said.error
    (told,) = json.loads(cli("runs", database, "--json").out)
    assert (told["run"], told["kind"], told["server"]) == ("tuesday", "script", gateway.url)
    assert told["counts"]["done"] == len(rows)
    assert told["under_way"] == 0


def test_runs_are_listed_with_their_age_and_counts(cli: Cli, database: str) -> None:
    assert "no runs" in cli("runs", database).error
    order = Order(server="http://x", kind="command", command="verify", shell="cmd")

    async def make() -> None:
        await (await Journal.create(f"{database}?run=a%20b", order, ["agent1", "agent2"])).aclose()

    asyncio.run(make())
    head, line = cli("runs", database).out.splitlines()
    assert head.split()[:3] == ["Run", "Kind", "Begun"]
    assert line.startswith("a b")
    assert "ago" in line
    assert [each for each in line.split() if each.isdigit()][-7:] == ["2", "0", "0", "0", "0", "2", "0"]


def test_commands_and_updates_can_be_kept_there_too(cli: Cli, stock: Backstage, database: str) -> None:
    said = cli("cmd", "verify", "--hostname", "SRV-*", "--yes", "--journal", f"{database}?run=command")
    assert said.code == 0, said.error
    said = cli("patch", "scan", "--hostname", "SRV-*", "--yes", "--journal", f"{database}?run=patches")
    assert said.code == 0, said.error
    assert [each["run"] for each in json.loads(cli("runs", database, "--json").out)] == ["patches", "command"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("results", "mysql://db/x?run=a"), "mysql:// is neither"),
        (("results", "postgresql://db/x"), "needs the name of its run"),
        (("runs", "run.db"), "postgresql://"),
        (("results", "postgresql://me:secret@127.0.0.1:1/x?run=a"), "can't be used"),
        (("resume", "postgresql://me:secret@127.0.0.1:1/x?run=a"), "can't be used"),
    ],
)
def test_what_is_wrong_is_said_without_a_password(  # noqa: PLR0917 - fixtures
    words: tuple[str, ...],
    said: str,
    cli: Cli,
    gateway: Backstage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    told = cli(*words)
    assert told.code != 0
    assert said in told.error
    assert "secret" not in told.error
    assert "Traceback" not in told.error
    assert list(tmp_path.iterdir()) == []
