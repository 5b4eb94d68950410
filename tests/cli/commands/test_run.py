"""`trmm run`: which agents, whether to go on, what is shown, and the exit code."""

import asyncio
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage, terminal
from trmm_async import Done, Journal, Outcome, ScriptResult, Skipped


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
        assert "agents without confirmation: no terminal. Add --yes" in said.error
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

    def test_arguments_may_look_like_options(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("run", "1", "--agent", "JADE-PC", "--", "-v", "--debug", "--json")
        assert said.code == 0
        assert gateway.do(lambda server: server.runs[0].args) == ("-v", "--debug", "--json")


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
        assert said.error == "1 agent: 1 with another return code (the worst is 3)\n"

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
        assert rows[0]["error"] == "BadRequestError"
        assert rows[0]["retcode"] is None

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


class TestPolicy:
    def test_canaries_go_first_and_stop_the_rest(self, cli: Cli, gateway: Backstage) -> None:
        first = gateway.first
        gateway.do(lambda server: server.script(3, agent_id=first, retcode=1, stderr="Access is denied.\n"))
        said = cli("run", "3", "--client", "34", "--yes", "--canary", "1", "--batch", "50%")
        gateway.do(lambda server: server.script(3, agent_id=first, retcode=0, stderr=""))
        assert said.code == 1
        assert "stopped: a canary did not succeed\n" in said.error
        assert said.error.endswith("1 with another return code (the worst is 1), 3 skipped\n")
        assert ran(gateway) == [first]

    def test_a_run_that_was_stopped_goes_on_when_that_is_said(
        self, cli: Cli, gateway: Backstage, tmp_path: Path
    ) -> None:
        first, journal = gateway.first, str(tmp_path / "run.db")
        gateway.do(lambda server: server.script(3, agent_id=first, retcode=1))
        cli("run", "3", "--client", "34", "--yes", "--canary", "1", "--journal", journal)
        gateway.do(lambda server: server.script(3, agent_id=first, retcode=0))
        said = cli("resume", journal, "--yes")
        assert said.code != 0
        assert said.error.endswith(
            "--retry failed tries those again that failed; --forgive goes on without them\n"
        )
        assert ran(gateway) == [first]
        cli("resume", journal, "--yes", "--forgive")
        assert len(ran(gateway)) == len(set(ran(gateway))) == 4

    def test_another_return_code_may_be_a_success(self, cli: Cli, gateway: Backstage) -> None:
        gateway.do(lambda server: server.script(2, retcode=3010))
        words = ["run", "2", "--agent", "JADE-PC"]
        assert cli(*words).code == 1
        said = cli(*words, "--success", "0,3010")
        gateway.do(lambda server: server.script(2, retcode=0))
        assert (said.code, said.error) == (0, "1 agent: 1 succeeded\n")

    def test_failures_stop_a_run(self, cli: Cli, gateway: Backstage) -> None:
        gateway.do(lambda server: server.script(2, retcode=1))
        said = cli("run", "2", "--all", "--yes", "--max-failures", "10%", "--width", "1", "--splay", "0.001")
        gateway.do(lambda server: server.script(2, retcode=0))
        assert said.code == 1
        assert "stopped: more than 2 failures" in said.error
        assert len(ran(gateway)) == 3

    def test_those_that_are_off_are_skipped_or_waited_for(self, cli: Cli, either: Backstage) -> None:
        either.do(lambda server: server.go_offline(server.agent_ids[0]))
        skipped = cli("run", "3", "--agent", "JADE-PC", "--skip-offline", "--json")
        waited = cli("run", "3", "--agent", "JADE-PC", "--when-online", "1s", "--json")
        either.do(lambda server: server.come_online(server.agent_ids[0]))
        for said in (skipped, waited):
            assert said.code == 1
            assert said.data[0]["outcome"] == "skipped"
            assert "offline" in said.data[0]["reason"]
        assert ran(either) == []

    def test_a_dry_run_runs_nothing_and_asks_nothing(self, cli: Cli, either: Backstage) -> None:
        said = cli("run", "3", "--client", "34", "--dry-run", "--canary", "1", "--json")
        assert said.code == 0
        reasons = {row["hostname"]: row["reason"] for row in said.data}
        assert reasons["JADE-PC"] == "dry run: would run first, as a canary"
        assert ran(either) == []

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--batch", "some"], "--batch is a number as 5, or a share as 10%"),
            (["--when-online", "soon"], "--when-online is a length of time"),
            (["--success", "good"], "--success is return codes as 0,3010"),
            (["--skip-offline", "--when-online", "1h"], "not both"),
            (["--batch", "0%"], "--batch is at least 1, or a share above 0%, not '0%'"),
            (["--max-failures", "101%"], "--max-failures is a share of 100% at most, not '101%'"),
            (["--when-online", "0s"], "--when-online is a length of time above 0, not '0s'"),
            (["--splay", "inf"], "splay"),
        ],
    )
    def test_what_is_wrong_is_said_before_anything_is_asked(
        self, cli: Cli, gateway: Backstage, words: list[str], says: str
    ) -> None:
        for yes in ([], ["--yes"]):
            said = cli("run", "3", "--all", *yes, *words)
            assert (said.code, said.out) == (2, "")
            assert says in said.error

    def test_a_share_may_be_the_whole_or_nothing(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("run", "3", "--client", "34", "--yes", "--batch", "100%", "--max-failures", "0%")
        assert (said.code, said.error) == (0, "4 agents: 4 succeeded\n")


def slow(stage: Backstage, seconds: float) -> None:
    stage.do(lambda server: server.script(3, seconds=seconds))


class TestCtrlC:
    WORDS = ("run", "3", "--client", "34", "--yes", "--width", "2")

    def test_once_waits_for_what_is_under_way(self, gateway: Backstage) -> None:
        slow(gateway, 2.0)
        with terminal(self.WORDS, gateway.environment) as screen:
            wait_for_runs(gateway, 2)
            screen.type("\x03")
            code = screen.finish()
        slow(gateway, 0.01)
        assert code == 130
        assert "Nothing more is sent; what is in progress is waited for" in screen.shown
        assert "stopped: the run was stopped" in screen.shown
        assert "4 agents: 2 succeeded, 2 skipped" in screen.shown
        assert len(ran(gateway)) == 2

    def test_twice_ends_at_once_and_tells_what_is_known(self, gateway: Backstage, tmp_path: Path) -> None:
        slow(gateway, 60.0)
        with terminal((*self.WORDS, "--journal", str(tmp_path / "run.db")), gateway.environment) as screen:
            wait_for_runs(gateway, 2)
            screen.type("\x03")
            screen.wait_for("Ctrl-C again")
            screen.type("\x03")
            code = screen.finish()
        slow(gateway, 0.01)
        assert code == 130
        assert "Traceback" not in screen.shown
        assert "4 agents: 2 unknown, 2 pending" in screen.shown
        assert "trmm resume" in screen.shown

    def test_what_was_never_begun_has_one_name(self, cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
        path = str(tmp_path / "run.db")
        slow(gateway, 2.0)
        with terminal((*self.WORDS, "--journal", path), gateway.environment) as screen:
            wait_for_runs(gateway, 2)
            screen.type("\x03")
            assert screen.finish() == 130
        slow(gateway, 0.01)
        said = cli("results", path)
        assert (said.code, said.error) == (3, "4 agents: 2 succeeded, 2 pending\n")
        assert said.error.strip() in screen.shown

    def test_ends_the_wait_for_those_that_are_off(self, gateway: Backstage) -> None:
        gateway.do(lambda server: server.go_offline(server.agent_ids[0]))
        words = ("run", "3", "--agent", "JADE-PC", "--agent", "DESKTOP-001", "--yes", "--when-online", "1h")
        with terminal(words, gateway.environment) as screen:
            wait_for_runs(gateway, 1)
            screen.type("\x03")
            code = screen.finish()
        gateway.do(lambda server: server.come_online(server.agent_ids[0]))
        assert code == 130
        assert "2 agents: 1 succeeded, 1 skipped" in screen.shown


def wait_for_runs(stage: Backstage, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(ran(stage)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _done(agent_id: str) -> Outcome:
    return Done(agent_id, ScriptResult(retcode=0))


def _skipped(agent_id: str) -> Outcome:
    return Skipped(agent_id, "later")


class TestJournal:
    def test_keeps_a_run_and_shows_it_again(self, cli: Cli, either: Backstage, tmp_path: Path) -> None:
        path = str(tmp_path / "run.db")
        said = cli("run", "3", "--client", "34", "--yes", "--journal", path)
        assert said.code == 0
        again = cli("results", path)
        assert (again.code, again.out, again.error) == (0, said.out, said.error)
        rows = cli("results", path, "--json").data
        assert "JADE-PC" in {row["hostname"] for row in rows}
        csv = cli("results", path, "-o", "csv").out.splitlines()
        assert csv[0].startswith("agent_id,hostname,outcome,retcode")
        assert either.first in cli("results", path, "--ids").out
        assert cli("results", path, "-o", "csv", "--json").code == 2

    def test_adds_up_while_it_is_written(self, cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        assert cli("run", "3", "--all", "--yes", "--journal", str(path)).code == 0
        ended = threading.Event()

        async def write() -> None:
            async with await Journal.resume(path) as journal:
                ids = [agent_id async for agent_id in journal.agent_ids()]
                for outcome in itertools.cycle((_skipped, _done)):
                    if ended.is_set():
                        break
                    # At once, and so in one transaction.
                    await asyncio.gather(
                        *(journal.settle(outcome(each), ok=outcome is _done) for each in ids)
                    )

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(asyncio.run, write())
            try:
                lines = {cli("results", str(path), "--ids").error for _ in range(12)}
            finally:
                ended.set()
            writing.result()
        assert lines <= {"20 agents: 20 succeeded\n", "20 agents: 20 skipped\n"}

    def test_can_be_read_without_a_server(
        self, cli: Cli, gateway: Backstage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = str(tmp_path / "run.db")
        assert cli("run", "3", "--agent", "JADE-PC", "--journal", path).code == 0
        monkeypatch.delenv("TRMM_URL")
        said = cli("results", path)
        assert said.code == 0
        assert gateway.first in said.out
        assert said.error.startswith("without host names: which server?")
        monkeypatch.setenv("TRMM_URL", "https://other.example")
        assert "without host names: the run was on http" in cli("results", path).error

    def test_is_gone_on_with_after_a_crash(self, cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
        path = str(tmp_path / "run.db")
        slow(gateway, 60.0)
        words = ("run", "3", "--client", "34", "--yes", "--width", "2", "--journal", path)
        with terminal(words, gateway.environment) as screen:
            wait_for_runs(gateway, 2)
            screen.process.kill()
            screen.process.wait(20)
        slow(gateway, 0.01)
        begun = ran(gateway)
        halfway = cli("results", path)
        assert halfway.code == 3
        assert halfway.error == "4 agents: 2 pending, 2 in flight\n"

        said = cli("resume", path)
        assert said.code == 4
        assert "refusing to run Clear-TempFiles on 2 agents without confirmation" in said.error
        restriction = gateway.do(lambda server: server.restrict("can_list_scripts"))
        said = cli("resume", path)
        gateway.do(lambda _: restriction.lift())
        assert said.code == 4
        assert "refusing to run script 3 on 2 agents" in said.error
        said = cli("resume", path, "--yes")
        assert said.code == 3
        assert said.error == "4 agents: 2 succeeded, 2 unknown\n"
        assert len(ran(gateway)) == 4
        assert len(set(ran(gateway))) == 4

        said = cli("resume", path, "--retry", "unknown", "--yes", "--json")
        assert said.code == 0
        assert {row["outcome"] for row in said.data} == {"done"}
        assert sorted(ran(gateway)) == sorted([*set(ran(gateway)), *begun])

    def test_those_that_failed_are_run_again_only_if_asked(
        self, cli: Cli, gateway: Backstage, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "run.db")
        gateway.do(lambda server: server.script(2, retcode=5))
        assert cli("run", "2", "--agent", "JADE-PC", "--journal", path).code == 1
        gateway.do(lambda server: server.script(2, retcode=0))
        said = cli("resume", path)
        assert (said.code, said.error) == (1, "1 agent: 1 with another return code (the worst is 5)\n")
        assert cli("resume", path, "--retry", "failed").code == 0
        assert len(ran(gateway)) == 2

    def test_the_question_is_about_those_that_are_run(
        self, cli: Cli, gateway: Backstage, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "run.db")
        gateway.do(lambda server: server.script(2, retcode=3010))
        said = cli("run", "2", "--client", "34", "--yes", "--journal", path)
        assert said.code == 1
        begun = len(ran(gateway))
        assert begun == 4
        again = ("resume", path, "--retry", "failed", "--success", "0,3010")
        said = cli(*again)
        assert said.code == 4
        assert "on 4 agents: " in said.error
        assert len(ran(gateway)) == begun
        said = cli(*again, "--yes")
        assert (said.code, said.error) == (0, "4 agents: 4 succeeded\n")
        assert len(ran(gateway)) == 2 * begun
        gateway.do(lambda server: server.script(2, retcode=0))

    def test_what_succeeded_by_the_rule_of_its_run_stays_so(
        self, cli: Cli, gateway: Backstage, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "run.db")
        gateway.do(lambda server: server.script(2, retcode=3010))
        said = cli("run", "2", "--client", "34", "--yes", "--success", "0,3010", "--journal", path)
        gateway.do(lambda server: server.script(2, retcode=0))
        assert said.code == 0
        for words in (["results", path], ["resume", path, "--retry", "failed"]):
            again = cli(*words)
            assert (again.code, again.error) == (0, "4 agents: 4 succeeded\n")
        assert len(ran(gateway)) == 4
        said = cli("results", path, "--success", "0")
        assert (said.code, said.error) == (1, "4 agents: 4 with another return code (the worst is 3010)\n")

    @pytest.mark.parametrize(
        ("words", "code", "says"),
        [
            (["results", "nothing.db"], 1, "there is no journal nothing.db"),
            (["resume", "nothing.db"], 1, "there is no journal nothing.db"),
            (
                ["resume", "nothing.db", "--retry", "all"],
                2,
                "--retry is failed, unknown or skipped, not 'all'",
            ),
        ],
    )
    def test_what_is_wrong_is_said(
        self, cli: Cli, gateway: Backstage, words: list[str], code: int, says: str
    ) -> None:
        said = cli(*words)
        assert (said.code, said.out) == (code, "")
        assert says in said.error

    def test_one_that_is_there_already(self, cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        path.write_text("")
        said = cli("run", "3", "--agent", "JADE-PC", "--journal", str(path))
        assert said.code == 1
        assert said.error == f"trmm: {path} is there already: `trmm resume {path}` goes on with it\n"
        assert ran(gateway) == []
