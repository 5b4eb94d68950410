"""`trmm run`: which agents, whether to go on, what is shown, and the exit code."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    stage = next(
        request.getfixturevalue(name)
        for name in ("either", "gateway", "stock")
        if name in request.fixturenames
    )
    stage.do(lambda server: server.reset_ledger())


def ran(stage: Backstage) -> list[str]:
    return stage.do(lambda server: sorted(run.agent_id for run in server.runs))


class TestWhere:
    def test_by_name_needs_no_question(self, cli: Cli, either: Backstage) -> None:
        said = cli("run", "get-diskinfo", "C:", "--agent", "jade-pc")
        assert said.code == 0
        assert "JADE-PC (1) return code 0" in said.out
        assert "Disk C: 50% used" in said.out
        assert said.error == "1 agent: 1 succeeded\n"
        assert ran(either) == [either.first]
        assert either.do(lambda server: server.runs[0].args) == ("C:",)

    def test_several_are_refused_without_a_terminal_and_without_yes(
        self, cli: Cli, either: Backstage
    ) -> None:
        said = cli("run", "Get-DiskInfo", "--client", "34")
        assert (said.code, said.out) == (4, "")
        assert "nobody is here to be asked; --yes goes on. It would run Get-DiskInfo on" in said.error
        assert "JADE-PC" in said.error
        assert ran(either) == []

    def test_by_what_they_have_in_common(self, cli: Cli, either: Backstage) -> None:
        rows = cli("agents", "--client", "34", "--json").data
        said = cli("run", "3", "--client", "34", "--yes", "--jsonl")
        assert said.code == 0
        assert {row["outcome"] for row in said.lines} == {"done"}
        assert sorted(row["agent_id"] for row in said.lines) == sorted(row["agent_id"] for row in rows)
        assert ran(either) == sorted(row["agent_id"] for row in rows)

    def test_from_stdin_and_from_a_file(self, cli: Cli, either: Backstage, tmp_path: Path) -> None:
        hosts = tmp_path / "hosts.txt"
        hosts.write_text(f"# the two\n\njade-pc\n  {either.first}\nDESKTOP-001\n")
        for words, typed in ((["--file", "-"], hosts.read_text()), (["--file", str(hosts)], "")):
            said = cli("run", "3", *words, "--yes", "--json", typed=typed)
            assert sorted(row["hostname"] for row in said.data) == ["DESKTOP-001", "JADE-PC"]

    def test_both_a_list_and_what_they_have_in_common(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("run", "3", "--agent", "jade-pc", "--agent", "DESKTOP-003", "--client", "34", "--json")
        assert [row["hostname"] for row in said.data] == ["JADE-PC"]

    def test_nobody_is_told(self, cli: Cli, gateway: Backstage) -> None:
        for words in (["--hostname", "nobody"], ["--file", "-"]):
            said = cli("run", "3", *words)
            assert (said.code, said.error) == (1, "trmm: no agent matches; nothing was run\n")
        said = cli("run", "3", "--file", "-", typed="JADE-PC\nnobody\n")
        assert (said.code, said.error) == (2, "trmm: there is no agent 'nobody'\n")
        assert ran(gateway) == []


class TestOutcomes:
    def test_the_same_output_is_put_together_the_largest_group_first(
        self, cli: Cli, gateway: Backstage
    ) -> None:
        ids = gateway.do(lambda server: [each.agent_id for each in server.agents[:4]])
        gateway.do(lambda server: server.script(2, agent_id=ids[1], stdout="odd\x1b[2J one\n"))
        said = cli("run", "2", *(f"--agent={each}" for each in ids), "--yes")
        gateway.do(lambda server: server.script(2))
        heads = [line for line in said.out.splitlines() if "return code" in line]
        assert [head.partition("(")[2][0] for head in heads] == ["3", "1"]
        assert "odd[2J one" in said.out
        assert "\x1b" not in said.out
        assert said.error == "4 agents: 4 succeeded\n"

    def test_another_return_code_is_a_failure(self, cli: Cli, either: Backstage) -> None:
        either.do(lambda server: server.script(4, retcode=3, stderr="Access is denied.\n"))
        said = cli("run", "4", "--agent", "JADE-PC")
        assert said.code == 1
        assert "JADE-PC (1) return code 3" in said.out
        assert "Access is denied." in said.out
        assert said.error == "1 agent: 1 with another return code\n"

    def test_what_may_have_run_is_its_own_exit_code(self, cli: Cli, gateway: Backstage) -> None:
        gateway.do(lambda server: server.cut("POST", "/runscript/"))
        said = cli("run", "3", "--agent", "JADE-PC", "--agent", "DESKTOP-001", "--yes", "--width", "1")
        assert said.code == 3
        assert "JADE-PC (1) may have run" in said.out
        assert said.error == "2 agents: 1 succeeded, 1 unknown\n"

    def test_what_did_not_run(self, cli: Cli, gateway: Backstage) -> None:
        gateway.do(lambda server: server.go_offline(server.agent_ids[0]))
        said = cli("run", "3", "--agent", "JADE-PC")
        rows = cli("run", "3", "--agent", "JADE-PC", "--json").data
        gateway.do(lambda server: server.come_online(server.agent_ids[0]))
        assert said.code == 1
        assert "JADE-PC (1) did not run" in said.out
        assert rows[0]["outcome"] == "failed"
        assert rows[0]["error"]["type"] == "BadRequestError"
        assert rows[0]["result"] is None

    def test_a_key_that_may_not_run_scripts(self, cli: Cli, gateway: Backstage) -> None:
        restriction = gateway.do(lambda server: server.restrict("can_run_scripts"))
        said = cli("run", "3", "--agent", "JADE-PC")
        gateway.do(lambda _: restriction.lift())
        assert said.code == 4
        assert "did not run" in said.out

    def test_what_only_a_stock_server_can(self, cli: Cli, either: Backstage) -> None:
        said = cli("run", "3", "--agent", "JADE-PC", "--env", "MODE=quick", "--as-user", "--json")
        if either.do(lambda server: server.dialect) == "stock":
            assert said.code == 0
        else:
            assert said.code in {1, 4}
