"""`trmm pull`, `trmm plan`, `trmm apply`."""

from pathlib import Path

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage
from trmm_async.cli.exits import Exit


def test_a_server_is_pulled_planned_and_changed(cli: Cli, stock: Backstage, tmp_path: Path) -> None:
    folder = str(tmp_path / "server")
    pulled = cli("pull", folder)
    assert pulled.code == 0, pulled.error
    assert "policies: 2 written" in pulled.out
    same = cli("plan", folder, "--exit-code")
    assert (same.code, same.out) == (0, "nothing to do: the server is as the folder says\n")
    snippet = tmp_path / "server" / "snippets" / "CliHello.ps1"
    snippet.write_text("# ---\n# name: CliHello\n# ---\nWrite-Output 'hello'\n")
    only = ("--only", "snippets")
    drift = cli("plan", folder, "--exit-code", *only)
    assert drift.code == Exit.DIFFERENT
    assert "+ snippet 'CliHello'" in drift.out
    assert cli("plan", folder, *only).code == 0
    assert cli("plan", folder, "--json", *only).data["steps"][0]["action"] == "create"
    refused = cli("apply", folder, *only)
    assert refused.code == Exit.REFUSED
    assert "Add --yes" in refused.error
    done = cli("apply", folder, "--yes", *only)
    assert done.code == 0, done.error
    assert "+ snippet 'CliHello': done" in done.error
    snippet.unlink()
    left = cli("plan", folder, "--exit-code", *only)
    assert left.code == Exit.DIFFERENT
    assert left.out == "- snippet 'CliHello': would delete\nnothing to do without --delete\n"
    assert "- snippet 'CliHello': done" in cli("apply", folder, "--yes", "--delete", *only).error
    assert cli("plan", folder, "--exit-code").code == 0


def test_a_wrong_file_is_told_by_its_line(cli: Cli, stock: Backstage, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "x.yaml").write_text("name: X\nactive: maybe\n")
    said = cli("plan", str(tmp_path), "--only", "policies")
    assert said.code == Exit.USAGE
    assert "policies/x.yaml:2: active: Expected `bool`" in said.error
    assert cli("plan", str(tmp_path), "--only", "polices").code == Exit.USAGE
