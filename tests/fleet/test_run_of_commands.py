"""Commands, code that is in no library, and work on patches, over many agents of a stock server."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.careful import kinds
from tests.properties import many
from tests.servers import NOBODY, count, served, until
from trmm_async import (
    TRMM,
    CommandResult,
    Counts,
    Done,
    Failed,
    InvalidRequestError,
    Journal,
    JournalError,
    NotFoundError,
    OutcomeUnknownError,
    ScriptResult,
    Skipped,
    Unknown,
    UnsupportedError,
    as_row,
)
from trmm_async.fleet.journal import Order

BULK = "/agents/actions/bulk/"


class TestACommand:
    @pytest.mark.parametrize("agents", [3, 40])
    async def test_is_one_call_and_its_output_comes_from_the_history(self, agents: int) -> None:
        async with served("stock", agents=agents) as (server, trmm):
            await trmm.fleet.run_command(server.agent_ids, "echo old")
            outcomes = await trmm.fleet.run_command(server.agent_ids, "echo hello", shell="cmd")
            assert count(server, "POST", BULK) == 2
            assert count(server, "POST", "/cmd/") == 0
            assert [one.agent_id for one in outcomes] == server.agent_ids
            for outcome in outcomes:
                assert isinstance(outcome, Done)
                assert isinstance(outcome.result, CommandResult)
                assert outcome.result.output.strip() == "hello"
                assert outcome.result.retcode is None
            assert as_row(outcomes[0])["stdout"].strip() == "hello"

    async def test_the_same_command_again_is_told_by_its_own_row(self) -> None:
        """Also by another process, whose runs are not known here."""
        async with served("stock", agents=2) as (server, trmm):
            said = iter("ab")
            for _ in range(2):
                word = next(said)
                server.command("date", stdout=word)
                outcomes = await trmm.fleet.run_command(server.agent_ids, "date")
                assert {one.result.output for one in outcomes if isinstance(one, Done)} == {word}
                trmm._api.commands.matcher._claimed.clear()

    async def test_width_sends_to_each_by_itself(self) -> None:
        async with served("stock", agents=5) as (server, trmm):
            run = trmm.fleet.run_command(server.agent_ids, "echo x", width=2)
            assert kinds(await run) == {Done: 5}
            assert count(server, "POST", BULK) == 5
            assert run.succeeded == 5
            assert "x" in run.report()

    async def test_silent_and_unknown_agents(self) -> None:
        async with served("stock", agents=3, offline_hold=0.05) as (server, trmm):
            server.go_offline(server.agent_ids[1])
            outcomes = await trmm.fleet.run_command([*server.agent_ids, NOBODY], "echo x", timeout=1)
            assert [type(one) for one in outcomes] == [Done, Unknown, Done, Failed]
            assert isinstance(outcomes[3], Failed)
            assert isinstance(outcomes[3].error, NotFoundError)

    async def test_a_lost_answer_is_found_in_the_history(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            server.cut("POST", BULK)
            assert kinds(await trmm.fleet.run_command(server.agent_ids, "echo x")) == {Done: 3}
            assert Counter(run.agent_id for run in server.runs) == dict.fromkeys(server.agent_ids, 1)

    @pytest.mark.parametrize("policy", [{"canary": 1}, {"batch": 2}, {"max_failures": 0}])
    async def test_a_policy_needs_to_know_what_a_success_is(self, policy: dict[str, Any]) -> None:
        async with served("stock", agents=3) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="no return codes of commands"):
                trmm.fleet.run_command(server.agent_ids, "echo x", **policy)
            with pytest.raises(InvalidRequestError, match="must be a text or a function"):
                trmm.fleet.run_command(server.agent_ids, "echo x", success=0, **policy)  # type: ignore[arg-type]
            outcomes = await trmm.fleet.run_command(server.agent_ids, "echo x", success="x", **policy)
            assert kinds(outcomes) == {Done: 3}

    async def test_a_canary_that_prints_something_else_stops_the_run(self) -> None:
        async with served("stock", agents=5) as (server, trmm):
            run = trmm.fleet.run_command(server.agent_ids, "echo x", canary=2, success="good")
            assert kinds(await run) == {Done: 2, Skipped: 3}
            assert run.succeeded == 0
            assert len(server.runs) == 2

    @pytest.mark.parametrize(
        ("wrong", "word"),
        [
            ({"command": ""}, "command"),
            ({"shell": ""}, "shell"),
            ({"timeout": 0}, "timeout"),
            ({"custom_shell": "/bin/x", "shell": "powershell"}, "custom_shell"),
            ({"run_as_user": 1}, "run_as_user"),
        ],
    )
    async def test_wrong_arguments_are_refused_at_once(self, wrong: dict[str, Any], word: str) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=word):
                given: dict[str, Any] = {"command": "x", **wrong}
                trmm.fleet.run_command(server.agent_ids, **given)
            assert server.requests == []

    @pytest.mark.parametrize("wrong", ["success_codes", "agents_", "work", "skip_ofline"])
    async def test_a_keyword_that_there_is_not_is_said_of_the_method(self, wrong: str) -> None:
        async with served("stock", agents=1) as (server, trmm):
            fleet: Any = trmm.fleet
            for name, given in [
                ("run_command", ("echo x",)),
                ("run_code", ("echo x",)),
                ("scan_patches", ()),
                ("install_patches", ()),
            ]:
                more = {"shell": "cmd"} if name.startswith("run") else {}
                with pytest.raises(
                    InvalidRequestError, match=rf"^fleet\.{name}\(\) got an unexpected keyword '{wrong}'"
                ):
                    getattr(fleet, name)(server.agent_ids, *given, **more, **{wrong: 1})
            with pytest.raises(InvalidRequestError, match=r"^fleet\.scan_patches\(\) got .* 'success'"):
                fleet.scan_patches(server.agent_ids, success=[0])
            assert server.requests == []


class TestCode:
    async def test_is_run_on_each_with_a_return_code(self) -> None:
        async with served("stock", agents=6, client={"max_waiting": 2}) as (server, trmm):
            run = trmm.fleet.run_code(server.agent_ids, "exit 0", shell="powershell", args=["a"])
            outcomes = await run
            assert all(isinstance(one, Done) and isinstance(one.result, ScriptResult) for one in outcomes)
            assert run.succeeded == count(server, "POST", "/test/") == 6

    async def test_a_lost_answer_stays_unknown(self) -> None:
        async with served("stock", agents=2) as (server, trmm):
            server.cut("POST", "/test/")
            outcomes = await trmm.fleet.run_code(server.agent_ids, "exit 0", shell="cmd", width=1)
            assert [type(one) for one in outcomes] == [Unknown, Done]

    async def test_the_policies_go_by_the_return_code(self) -> None:
        async with served("stock", agents=4) as (server, trmm):
            run = trmm.fleet.run_code(server.agent_ids, "exit 0", shell="cmd", canary=1, success=[7])
            assert kinds(await run) == {Done: 1, Skipped: 3}


class TestPatches:
    @pytest.mark.parametrize("mode", ["scan", "install"])
    @pytest.mark.parametrize("width", [None, 2])
    async def test_accepted_is_done_and_whom_the_server_left_out_has_failed(
        self, mode: str, width: int | None
    ) -> None:
        async with served("stock", agents=12) as (server, trmm):
            agents = await trmm.agents.list()
            windows = {agent.agent_id for agent in agents if agent.plat == "windows"}
            assert 0 < len(windows) < 12
            act = trmm.fleet.scan_patches if mode == "scan" else trmm.fleet.install_patches
            outcomes = await act([*server.agent_ids, NOBODY], width=width)
            assert {one.agent_id for one in outcomes if isinstance(one, Done)} == windows
            assert all(one.result is None for one in outcomes if isinstance(one, Done))
            assert {type(one.error) for one in outcomes if isinstance(one, Failed)} == {
                NotFoundError,
                UnsupportedError,
            }
            assert len(outcomes) == 13

    @pytest.mark.parametrize("mode", ["scan", "install"])
    async def test_a_dry_run_tells_whom_the_server_would_leave_out(self, mode: str) -> None:
        async with served("stock", agents=12) as (server, trmm):
            systems = {one.agent_id: one.plat for one in await trmm.agents.list()}
            act = trmm.fleet.scan_patches if mode == "scan" else trmm.fleet.install_patches
            outcomes = await act([*server.agent_ids, NOBODY], batch=5, dry_run=True)
            said = {one.agent_id: one.reason for one in outcomes if isinstance(one, Skipped)}
            assert said.pop(NOBODY) == (
                f"dry run: would fail in batch 3: the server has no agent {NOBODY} that this key may see"
            )
            for agent_id, system in systems.items():
                how = "run" if system == "windows" else "fail"
                assert re.match(rf"dry run: would {how} in batch [123]", said[agent_id])
                assert (f": agent {agent_id} runs {system}: it has no" in said[agent_id]) is (how == "fail")
            assert count(server, "POST") == 0
            really = await act([*server.agent_ids, NOBODY])
            assert {one.agent_id for one in really if isinstance(one, Failed)} == {
                one.agent_id
                for one in outcomes
                if "would fail" in one.reason  # type: ignore[union-attr]
            }

    async def test_none_is_left_out_of_windows_agents_and_nothing_more_is_asked(self) -> None:
        async with served("stock", agents=12) as (server, trmm):
            windows = [one.agent_id for one in await trmm.agents.list() if one.plat == "windows"]
            before = len(server.requests)
            assert kinds(await trmm.fleet.scan_patches(windows)) == {Done: len(windows)}
            assert len(server.requests) - before == 1

    async def test_where_it_can_not_be_found_out_whom_nothing_is_said(self) -> None:
        async with served("stock", agents=12) as (server, trmm):
            server.fail("GET", "/agents/", status=500, times=None)
            server.fail("GET", "/clients/", status=500, times=None)
            outcomes = await trmm.fleet.scan_patches(server.agent_ids)
            assert kinds(outcomes) == {Unknown: 12}

    async def test_a_lost_answer_is_unknown(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            server.cut("POST", BULK)
            outcomes = await trmm.fleet.install_patches(server.agent_ids)
            assert kinds(outcomes) == {Unknown: 3}
            assert all(
                isinstance(one, Unknown) and isinstance(one.error, OutcomeUnknownError) for one in outcomes
            )


@pytest.mark.parametrize("what", ["run_command", "run_code", "scan_patches", "install_patches"])
async def test_a_gateway_has_none_of_it_and_no_journal_is_made(what: str, tmp_path: Path) -> None:
    async with served("gateway", agents=2) as (server, trmm):
        given: dict[str, Any] = {
            "run_command": {"command": "x"},
            "run_code": {"code": "x", "shell": "cmd"},
        }.get(what, {})
        run: Any = getattr(trmm.fleet, what)(server.agent_ids, **given, journal=tmp_path / "run.db")
        with pytest.raises(UnsupportedError, match=r"fleet\.run_script"):
            await run
        assert list(tmp_path.iterdir()) == []


class TestAJournal:
    async def test_of_commands_is_gone_on_with(self, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        async with served("stock", agents=6) as (server, trmm):
            run = trmm.fleet.run_command(
                server.agent_ids, "echo x", width=1, max_failures=3, success="x", journal=path
            )
            async with run:
                async for _ in run:
                    if run.counts.done == 2:
                        break
            async with await Journal.read(path) as journal:
                assert (journal.order.kind, journal.order.command, journal.order.success) == (
                    "command", "echo x", "x"
                )  # fmt: skip
            resumed = trmm.fleet.resume(path)
            outcomes = await resumed
            assert kinds(outcomes) == {Done: 6}
            assert all(isinstance(one.result, CommandResult) for one in outcomes if isinstance(one, Done))
            assert resumed.succeeded == 6
            assert Counter(one.agent_id for one in server.runs) == dict.fromkeys(server.agent_ids, 1)

    async def test_what_was_in_flight_is_settled_by_the_history(self, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        async with served("stock", agents=4) as (server, trmm):
            server.command("slow", seconds=0.3, stdout="late")
            async with trmm.fleet.run_command(server.agent_ids, "slow", journal=path) as run:
                await until(lambda: len(server.runs) == 4)
            assert run.counts == Counts(unknown=4)
            async with TRMM(server.url, api_key=server.api_key, dialect="stock") as later:
                outcomes = await later.fleet.resume(path)
            assert {one.result.output for one in outcomes if isinstance(one, Done)} == {"late"}
            assert len(server.runs) == len(outcomes) == 4

    async def test_by_a_function_of_success_it_has_to_be_given_again(self, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        async with served("stock", agents=3) as (server, trmm):
            good: Any = {"success": lambda result: "x" in result.output}
            async with trmm.fleet.run_command(
                server.agent_ids, "echo x", canary=1, journal=path, **good
            ) as run:
                async for _ in run:
                    break
            with pytest.raises(JournalError, match="give it again"):
                await trmm.fleet.resume(path)
            assert kinds(await trmm.fleet.resume(path, **good)) == {Done: 3}

    @pytest.mark.parametrize(
        ("order", "success", "said"),
        [
            (
                {"kind": "command", "command": "x", "shell": "cmd"},
                [0],
                "can't be return codes for commands",
            ),
            ({"kind": "script", "script": 1}, "done", "can be a text only for commands"),
            ({"kind": "code", "code": "x", "shell": "cmd"}, "done", "can be a text only for commands"),
            ({"kind": "patches", "patches": "scan"}, "done", "can't be given for patches"),
            ({"kind": "patches", "patches": "scan"}, lambda _: True, "can't be given for patches"),
            ({"kind": "command", "command": "x", "shell": "cmd"}, "", "success must not be empty"),
        ],
    )
    async def test_a_success_that_is_none_for_its_kind_is_refused(
        self, order: dict[str, Any], success: Any, said: str, tmp_path: Path
    ) -> None:
        async with served("stock", agents=1) as (server, trmm):
            made = Order(server=server.url, **order)
            await (await Journal.create(tmp_path / "run.db", made, server.agent_ids)).aclose()
            with pytest.raises(InvalidRequestError, match=said):
                await trmm.fleet.resume(tmp_path / "run.db", success=success)
            assert server.runs == []

    async def test_codes_that_are_given_once_hold_to_the_end(self, tmp_path: Path) -> None:
        async with served("stock", agents=2) as (server, trmm):
            server.script(1, retcode=7)
            made = Order(server=server.url, script=1)
            await (await Journal.create(tmp_path / "run.db", made, server.agent_ids)).aclose()
            run = trmm.fleet.resume(tmp_path / "run.db", success=(code for code in (0, 7)))
            assert (kinds(await run), run.succeeded) == ({Done: 2}, 2)

    @pytest.mark.parametrize("what", ["code", "patches"])
    async def test_of_what_no_history_has_is_unknown_where_it_was_in_flight(
        self, what: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "run.db"
        async with served("stock", agents=4) as (server, trmm):
            server.slow("POST", "/test/" if what == "code" else BULK, 30, times=1, after=True)
            windows = [one.agent_id for one in await trmm.agents.list() if one.plat == "windows"]
            run: Any = (
                trmm.fleet.run_code(windows, "exit 0", shell="cmd", width=1, journal=path)
                if what == "code"
                else trmm.fleet.scan_patches(windows, width=1, journal=path)
            )
            async with run:
                await until(lambda: count(server, "POST") == 1)
            outcomes = await trmm.fleet.resume(path)
            assert [type(one) for one in outcomes] == [Unknown] + [Done] * (len(windows) - 1)
            async with await Journal.read(path) as journal:
                assert journal.order.kind == what
                told = [one async for one in journal.outcomes()]
            assert [type(one) for one in told] == [type(one) for one in outcomes]
            if what == "patches":
                assert all(one.result is None for one in told if isinstance(one, Done))

    async def test_return_codes_of_a_run_are_kept_for_its_resumption(self, tmp_path: Path) -> None:
        path = tmp_path / "run.db"
        async with served("stock", agents=4) as (server, trmm):
            server.script(1, retcode=3010)
            run = trmm.fleet.run_script(server.agent_ids, 1, canary=1, success=(0, 3010), journal=path)
            async with run:
                async for _ in run:
                    break
            resumed = trmm.fleet.resume(path)
            assert kinds(await resumed) == {Done: 4}
            assert resumed.succeeded == 4


class TestAScriptThatThereIsNot:
    """The call for many answers it by a 500, which proves nothing: so it is looked up before."""

    async def test_has_certainly_not_run_and_nothing_was_sent(self, tmp_path: Path) -> None:
        async with served("stock", agents=4) as (server, trmm):
            runs: list[Any] = [
                trmm.fleet.run_script(server.agent_ids, 999),
                trmm.fleet.run_script(server.agent_ids, 999, canary=2, journal=tmp_path / "run.db"),
                trmm.fleet.resume(tmp_path / "run.db", retry=("failed", "skipped")),
            ]
            for run in runs:
                outcomes = await run
                assert {type(one.error) for one in outcomes if isinstance(one, Failed)} == {NotFoundError}
                assert kinds(outcomes).keys() <= {Failed, Skipped}
            assert count(server, "POST") == 0

    @pytest.mark.parametrize("status", [403, 500])
    async def test_is_not_told_by_who_may_not_look_or_can_not(self, status: int) -> None:
        async with served("stock", agents=3) as (server, trmm):
            server.fail("GET", "/scripts/1/", status=status, times=None)
            assert kinds(await trmm.fleet.run_script(server.agent_ids, 1)) == {Done: 3}

    async def test_is_looked_for_once_in_a_run(self) -> None:
        async with served("stock", agents=40) as (server, trmm):
            assert kinds(await trmm.fleet.run_script(server.agent_ids, 1, canary=2, batch=19)) == {Done: 40}
            assert count(server, "POST", BULK) == 3
            assert count(server, "GET", "/scripts/1/") == 1


async def test_every_row_of_many_agents_in_one_call_is_collected() -> None:
    """With `EXAMPLES=4` they are 4,800. So many at the rates of a live server (28 November 2026): 258 s."""
    agents = min(many(1200), 4800)
    async with served("stock", agents=agents) as (server, trmm):
        async with asyncio.timeout(300):
            outcomes = await trmm.fleet.run_command(server.agent_ids, "echo x")
        assert kinds(outcomes) == {Done: agents}
        assert count(server, "POST", BULK) == 1
