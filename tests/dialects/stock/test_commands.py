"""Commands and pings: calls and answers against recordings of a real server."""

from typing import Any

import pytest

from tests.exchanges import HUNG, LINUX, OFFLINE, SAFE, WINDOWS, Requested, carried_out, named, refused, waits
from trmm_async import APIError, CommandResult, ConnectionFailedError, HistoryEntry, TRMMError
from trmm_async.calls import Plan, Replay
from trmm_async.dialects.stock.commands import PING, CommandRun, run_command
from trmm_async.errors import AgentLostError, AgentUnreachableError, ServerError


def command(text: str = "echo hello", shell: str = "cmd", **more: Any) -> CommandRun:
    return CommandRun(command=text, shell=shell, **{"timeout": 10, **more})


GOOD: list[tuple[Requested, tuple[str, ...], object]] = [
    (lambda: run_command(WINDOWS, command()), ("cmd_ok",), CommandResult(output="hello\r\n")),
    (
        lambda: run_command(WINDOWS, command(custom_shell="C:\\x\\pwsh.exe")),
        ("cmd_custom_shell",),
        CommandResult(output="hello\r\n"),
    ),
    (lambda: run_command(WINDOWS, command("exit 3")), ("cmd_empty_output",), CommandResult()),
    (
        lambda: run_command(LINUX, command("stderr oops", None, plat="linux")),  # type: ignore[arg-type]
        ("cmd_linux_stderr",),
        CommandResult(output="partial out\n\noops"),
    ),
    (
        lambda: run_command(LINUX, command("stderr oops", None)),  # type: ignore[arg-type]
        ("agent_detail_linux", "cmd_linux_stderr"),
        CommandResult(output="partial out\n\noops"),
    ),
    (lambda: PING.call(WINDOWS), ("agent_ping_online",), True),
    (lambda: PING.call(OFFLINE), ("agent_ping_offline",), False),
    (lambda: PING.call(HUNG), ("agent_ping_hung",), False),
    (lambda: PING.call(WINDOWS), ("natsdown__ping",), False),
]


@pytest.mark.parametrize(("request_", "names", "result"), named(GOOD))
def test_a_call_is_worded_as_the_recorded_one_and_its_answer_is_read(
    request_: Requested, names: tuple[str, ...], result: object
) -> None:
    assert carried_out(request_(), *names) == result


BAD: list[tuple[Requested, tuple[str, ...], type[TRMMError], str]] = [
    (
        lambda: run_command(OFFLINE, command(timeout=2)),
        ("cmd_offline",),
        AgentLostError,
        "Unable to contact the agent",
    ),
    (lambda: run_command(HUNG, command(timeout=2)), ("cmd_hung_timeout",), AgentLostError, "Unable"),
    (
        lambda: run_command(WINDOWS, command(timeout=2)),
        ("natsdown__cmd", "history_agent", "natsdown__ping"),
        AgentUnreachableError,
        "message bus .* is down",
    ),
    (
        lambda: run_command(WINDOWS, command(timeout=2)),
        ("natsdown__cmd", "history_agent", "agent_ping_online", "history_agent"),
        AgentLostError,
        "or the command printed just that word",
    ),
    (
        lambda: run_command(OFFLINE, command(timeout=2)),
        ("natsapi_down__cmd_offline_no_responder",),
        ServerError,
        "nats-api is down",
    ),
    (
        lambda: PING.call(OFFLINE),
        ("natsapi_down__agent_ping_offline_no_responder",),
        ServerError,
        "nats-api is down",
    ),
]


@pytest.mark.parametrize(("request_", "names", "error", "words"), named(BAD))
def test_a_refusal_is_the_error_that_it_means(
    request_: Requested, names: tuple[str, ...], error: type[TRMMError], words: str
) -> None:
    refused(request_(), names, error, words)


MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: PING.call("a"), SAFE, 7.5),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


def test_what_a_command_printed_may_be_reported_late() -> None:
    plan = run_command("a", command("say"))
    assert isinstance(plan, Plan)
    steps = plan.steps()
    assert next(steps).path == "/agents/a/cmd/"
    assert steps.send("natsdown").path == "/agents/a/history/"
    assert steps.send([HistoryEntry(id=1, type="cmd_run", command="say")]).path == "/agents/a/ping/"
    assert steps.send(True).path == "/agents/a/history/"
    with pytest.raises(StopIteration) as end:
        steps.send([HistoryEntry(id=1, type="cmd_run", command="say", output="natsdown")])
    assert end.value.value == CommandResult(output="natsdown")


@pytest.mark.parametrize("ping", [True, APIError(500, "")])
def test_a_bus_that_may_be_up_again_leaves_it_open_whether_the_command_ran(ping: bool | APIError) -> None:
    plan = run_command("a", command("say"))
    assert isinstance(plan, Plan)
    steps = plan.steps()
    next(steps)
    steps.send("natsdown")
    # Of another command, and of the same one before: the newest row is ours.
    steps.send(
        [
            HistoryEntry(id=1, type="cmd_run", command="say", output="natsdown"),
            HistoryEntry(id=2, type="cmd_run", command="say"),
            HistoryEntry(id=3, type="cmd_run", command="other", output="natsdown"),
        ]
    )
    last = steps.throw(ping) if isinstance(ping, APIError) else steps.send(ping)
    assert last.path == "/agents/a/history/"
    with pytest.raises(AgentLostError, match="could not reach its message bus, or"):
        steps.send([])


def test_where_its_history_can_not_be_read_it_is_not_said_that_the_command_did_not_run() -> None:
    plan = run_command("a", command("say"))
    assert isinstance(plan, Plan)
    steps = plan.steps()
    next(steps)
    steps.send("natsdown")
    steps.throw(ConnectionFailedError("no connection"))
    steps.send(False)
    with pytest.raises(AgentLostError, match="could not reach its message bus, or"):
        steps.throw(ConnectionFailedError("no connection"))
