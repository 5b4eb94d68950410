"""What a stock server is asked to do to an agent: calls and answers against recordings of the real one."""

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.asked import NOUNS, Nouns, by_hand, request_of
from tests.recorded import asks_as_recorded, recording
from trmm_async import (
    APIError,
    CommandResult,
    ConnectionFailedError,
    EventLogEntry,
    HistoryEntry,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    Process,
    Service,
    Software,
    TRMMError,
)
from trmm_async.answers import error_for
from trmm_async.calls import Call, Lane, Plan, Replay
from trmm_async.dialects.stock.commands import PING, CommandRun, run_command
from trmm_async.dialects.stock.history import AGENT_HISTORY
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    BadRequestError,
    ServerError,
)
from trmm_async.resources.stock import actions, notes, processes, services, software, windows_updates
from trmm_async.retry import Reply

WINDOWS = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"
LINUX = "pzvqYMtrbuvZwnZuDMjJxyZLLKcgTAOGSfuihvmu"
OFFLINE = "RJhyjPzSJxkKIvIKwFQsVFOsCfYlcdgDssPddTey"
HUNG = "nCOVxkhTOabFFHiCvJtcdMoCkcXSUyQBiAXqozAZ"


# -- against the recordings ----------------------------------------------------------------------------------


def answered(call: Call[Any], name: str) -> Any:
    """What a call comes to with a recorded answer, if it is the recorded request."""
    asks_as_recorded(call, name)
    told = recording(name)
    if told.status == 200:
        return call.decode(told.answer)
    raise error_for(call, Reply(told.status, {}, told.answer), str)


def carried_out(request: Call[Any] | Plan[Any], *names: str) -> Any:
    """The same for a plan, whose calls are answered one after the other."""
    left = iter(names)
    if isinstance(request, Call):
        return answered(request, next(left))
    steps = request.steps()
    call = next(steps)
    try:
        while True:
            try:
                reply = answered(call, next(left))
            except TRMMError as error:
                call = steps.throw(error)
            else:
                call = steps.send(reply)
    except StopIteration as end:
        assert list(left) == []
        return end.value


def command(text: str = "echo hello", shell: str = "cmd", **more: Any) -> CommandRun:
    return CommandRun(command=text, shell=shell, **{"timeout": 10, **more})


Requested = Callable[[], Call[Any] | Plan[Any]]


def done(ask: Callable[[Nouns], Coroutine[Any, Any, Any]], *names: str) -> Any:
    """What a method returns if the server answers so."""
    return by_hand(ask, lambda request: carried_out(request, *names))


NIGHT = datetime(2027, 1, 15, 23, 30)  # noqa: DTZ001 - by the agent's clock

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
    (lambda: actions.REBOOT.call(WINDOWS), ("reboot_online",), None),
    (lambda: request_of(NOUNS.agents.reboot(WINDOWS, at=NIGHT)), ("reboot_later_ok",), None),
    (
        lambda: request_of(NOUNS.agents.reboot(WINDOWS, at=datetime(2027, 1, 15, 22, 30, tzinfo=UTC))),
        ("agent_detail_windows", "reboot_later_ok"),
        None,
    ),
    (lambda: actions.SHUTDOWN.call(WINDOWS), ("shutdown_online",), None),
    (lambda: request_of(NOUNS.agents.recover(WINDOWS, mode="mesh")), ("recover_mesh",), None),
    (
        lambda: actions.UPDATE.call(WINDOWS, body={"description": "edited by api", "maintenance_mode": True}),
        ("agent_put_ok",),
        None,
    ),
    (
        lambda: actions.UPDATE.call(WINDOWS, body={"policy": None, "block_policy_inheritance": False}),
        ("agent_put_null_policy",),
        None,
    ),
    (lambda: actions.UPDATE.call(WINDOWS, body={"maintenance_mode": False}), ("agent_put_back",), None),
    (
        lambda: request_of(NOUNS.agents.update(WINDOWS, custom_fields={1: "AT-NEW"})),
        ("core_customfields", "agent_put_custom_field"),
        None,
    ),
    (lambda: request_of(NOUNS.agents.set_maintenance(True, client=3)), ("maintenance_bulk_client",), 27),
    (lambda: request_of(NOUNS.agents.set_maintenance(False, client=3)), ("maintenance_bulk_client_off",), 27),
    (lambda: request_of(NOUNS.agents.set_maintenance(True, client=5)), ("maintenance_bulk_empty",), 0),
    (lambda: request_of(NOUNS.agents.set_maintenance(False, site=1)), ("maintenance_bulk_site",), 28),
    (lambda: processes.KILL.call(WINDOWS, 1234), ("processes_kill",), None),
    (
        lambda: request_of(NOUNS.agents.services.control(WINDOWS, "Spooler", "restart")),
        ("service_restart",),
        None,
    ),
    (
        lambda: request_of(NOUNS.agents.services.control(WINDOWS, "Spooler", "stop")),
        ("service_stop",),
        None,
    ),
    (
        lambda: request_of(NOUNS.agents.services.update(WINDOWS, "Spooler", start_type="manual")),
        ("service_edit",),
        None,
    ),
    (lambda: software.LIST.call(LINUX), ("software_agent_none",), []),
    (lambda: software.REFRESH.call(WINDOWS), ("software_refresh",), None),
    (
        lambda: request_of(NOUNS.agents.windows_updates.update(15, "approve")),
        ("winupdate_edit",),
        None,
    ),
    (lambda: windows_updates.SCAN.call(WINDOWS), ("winupdate_scan",), None),
    (lambda: windows_updates.INSTALL.call(WINDOWS), ("winupdate_install",), None),
    (lambda: request_of(NOUNS.agents.notes.update(63, "edited")), ("note_edit",), None),
    (lambda: request_of(NOUNS.agents.notes.delete(63, with_text=True)), ("note_delete",), None),
]


def _named(rows: list[Any]) -> list[Any]:
    return [pytest.param(*row, id="+".join(row[1])) for row in rows]


@pytest.mark.parametrize(("request_", "names", "result"), _named(GOOD))
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
    (lambda: actions.REBOOT.call(OFFLINE), ("reboot_offline",), AgentLostError, "Unable"),
    (lambda: actions.REBOOT.call(HUNG), ("reboot_hung",), AgentLostError, "Unable"),
    (lambda: actions.REBOOT.call(WINDOWS), ("natsdown__reboot",), AgentLostError, "Unable"),
    (
        lambda: actions.REBOOT.call(OFFLINE),
        ("natsapi_down__reboot_offline",),
        ServerError,
        "nats-api is down",
    ),
    (
        lambda: request_of(NOUNS.agents.reboot(LINUX, at=NIGHT)),
        ("reboot_later_linux",),
        BadRequestError,
        "Not currently implemented for linux",
    ),
    (
        lambda: request_of(NOUNS.agents.reboot(WINDOWS, at=NIGHT.replace(year=2020))),
        ("reboot_later_past",),
        BadRequestError,
        "in the past",
    ),
    (
        lambda: request_of(NOUNS.agents.recover(HUNG, mode="mesh")),
        ("recover_mesh_hung",),
        AgentLostError,
        "the agent did not answer",
    ),
    (
        lambda: request_of(NOUNS.agents.recover(WINDOWS, mode="tacagent")),
        ("recover_tacagent",),
        ServerError,
        "MeshCentral",
    ),
    (
        lambda: actions.UPDATE.call(WINDOWS, body={"site": 99999}),
        ("agent_put_bad_site",),
        BadRequestError,
        "site: Invalid pk",
    ),
    (
        lambda: actions.UPDATE.call(WINDOWS, body={"monitoring_type": "laptop", "offline_time": -1}),
        ("agent_put_bad_value",),
        BadRequestError,
        "not a valid choice",
    ),
    (
        lambda: request_of(NOUNS.agents.update(WINDOWS, custom_fields={99999: "x"})),
        ("core_customfields",),
        InvalidRequestError,
        "no custom field with the id 99999",
    ),
    (lambda: processes.LIST.call(OFFLINE), ("processes_offline",), AgentUnreachableError, "Unable"),
    (lambda: processes.LIST.call(HUNG), ("processes_hung",), AgentUnreachableError, "Unable"),
    (lambda: processes.LIST.call(WINDOWS), ("natsdown__processes",), AgentUnreachableError, "Unable"),
    (
        lambda: processes.KILL.call(WINDOWS, 4),
        ("processes_kill_denied",),
        BadRequestError,
        "Access is denied",
    ),
    (lambda: services.LIST.call(OFFLINE), ("services_agent_offline",), AgentUnreachableError, "Unable"),
    (
        lambda: request_of(NOUNS.agents.services.get(WINDOWS, "nosuch")),
        ("service_detail_unknown",),
        NotFoundError,
        "no service 'nosuch'",
    ),
    (
        lambda: request_of(NOUNS.agents.services.get(WINDOWS, "Spooler")),
        ("natsdown__service_detail",),
        AgentUnreachableError,
        "message bus",
    ),
    (
        lambda: request_of(NOUNS.agents.services.control(WINDOWS, "denied", "stop")),
        ("service_denied",),
        BadRequestError,
        "Access is denied",
    ),
    (
        lambda: request_of(NOUNS.agents.services.control(LINUX, "ssh", "stop")),
        ("service_linux",),
        BadRequestError,
        "Recover Connection",
    ),
    (
        lambda: request_of(NOUNS.agents.services.control(HUNG, "Spooler", "start")),
        ("service_offline",),
        AgentLostError,
        "Unable",
    ),
    (
        lambda: software.REFRESH.call(LINUX),
        ("software_refresh_linux",),
        BadRequestError,
        "Not available for linux",
    ),
    (
        lambda: request_of(NOUNS.agents.event_log.list(OFFLINE, "System", days=1)),
        ("eventlog_offline",),
        AgentUnreachableError,
        "Unable",
    ),
    (
        lambda: request_of(NOUNS.agents.event_log.list(OFFLINE, "System", days=1)),
        ("natsapi_down__eventlog_offline",),
        ServerError,
        "nats-api is down",
    ),
    (
        lambda: windows_updates.SCAN.call(LINUX),
        ("winupdate_scan_linux",),
        BadRequestError,
        "Not available for linux",
    ),
]


@pytest.mark.parametrize(("request_", "names", "error", "words"), _named(BAD))
def test_a_refusal_is_the_error_that_it_means(
    request_: Requested, names: tuple[str, ...], error: type[TRMMError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        carried_out(request_(), *names)
    if error is AgentUnreachableError:
        assert not isinstance(caught.value, OutcomeUnknownError)


class TestWhatIsRecordedOf:
    def test_processes(self) -> None:
        found = carried_out(processes.LIST.call(WINDOWS), "processes")
        assert found[0] == Process(
            pid=368,
            name="Registry",
            username="NT AUTHORITY\\SYSTEM",
            membytes=110456832,
            cpu_percent=0.0,
        )
        assert len(found) == 25

    def test_services(self) -> None:
        found = carried_out(services.LIST.call(WINDOWS), "services_agent")
        assert (found[0].name, found[0].status, found[0].start_type) == (
            "AdobeARMservice",
            "running",
            "Automatic",
        )
        spooler = carried_out(request_of(NOUNS.agents.services.get(WINDOWS, "Spooler")), "service_detail")
        assert isinstance(spooler, Service)
        assert (spooler.display_name, spooler.pid, spooler.autodelay) == ("Print Spooler", 4104, False)

    def test_software(self) -> None:
        found = carried_out(software.LIST.call(WINDOWS), "software_agent")
        assert found[0] == Software(
            name="7-Zip 19.00 (x64)",
            version="19.00",
            publisher="Igor Pavlov",
            size="5.2 MB",
            location="C:\\Program Files\\7-Zip\\",
            uninstall="C:\\Program Files\\7-Zip\\Uninstall.exe",
        )
        assert found[1].install_date == date(2019, 6, 9)

    def test_event_logs(self) -> None:
        found = carried_out(
            request_of(NOUNS.agents.event_log.list(WINDOWS, "Application", days=7)),
            "eventlog_application",
        )
        first = found[0]
        assert isinstance(first, EventLogEntry)
        assert (first.event_type, first.event_id, first.record) == ("INFO", 16384, 17213)
        assert first.time == datetime(2020, 9, 24, 22, 45, 16)  # noqa: DTZ001 - by the agent's clock
        assert first.message.startswith("Successfully scheduled")
        security = request_of(NOUNS.agents.event_log.list(WINDOWS, "Security", days=1))
        assert len(carried_out(security, "eventlog_security")) == 25
        assert isinstance(security, Call)
        assert security.answers_within == 182

    def test_windows_updates(self) -> None:
        found = done(lambda nouns: nouns.agents.windows_updates.list(WINDOWS), "winupdate_agent")
        first, second = found[:2]
        assert (first.id, first.kb, first.agent_id, first.action) == (15, "KB4558998", WINDOWS, "nothing")
        assert first.date_installed == datetime(2026, 11, 23, 14, 20)  # noqa: DTZ001 - by the server's clock
        assert first.categories == ("Security Updates",)
        assert second.date_installed is None

    def test_notes(self) -> None:
        old, new = done(lambda nouns: nouns.agents.notes.list(WINDOWS), "notes_agent")
        assert (old.id, old.username, old.agent_id) == (1, None, WINDOWS)
        assert (new.id, new.username, new.note) == (61, "admin", "hello world\n")
        assert new.entry_time == datetime(2026, 11, 23, 19, 24, 20, 304143, tzinfo=UTC)

    def test_a_note_that_is_made(self) -> None:
        made = done(
            lambda nouns: nouns.agents.notes.create(WINDOWS, "from api"),
            "notes_agent",
            "note_add",
            "notes_agent_after",
        )
        assert (made.id, made.note, made.username) == (63, "from api", "admin")

    def test_history(self) -> None:
        found = done(lambda nouns: nouns.agents.history(WINDOWS), "history_agent")
        assert (found[0].type, found[0].command, found[0].agent_id) == ("cmd_run", "ping google.com", WINDOWS)


# -- the calls' other properties -----------------------------------------------------------------------------

NEVER, IDEMPOTENT, SAFE = Replay.NEVER, Replay.IDEMPOTENT, Replay.SAFE
MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: PING.call("a"), SAFE, 7.5),
    (lambda: actions.REBOOT.call("a"), NEVER, 10),
    (lambda: request_of(NOUNS.agents.reboot("a", at=NIGHT)), NEVER, 10),
    (lambda: actions.SHUTDOWN.call("a"), NEVER, 10),
    (lambda: request_of(NOUNS.agents.recover("a", mode="mesh")), NEVER, 60),
    (lambda: request_of(NOUNS.agents.recover("a", mode="tacagent")), NEVER, 60),
    (lambda: actions.UPDATE.call("a", body={"description": ""}), IDEMPOTENT, None),
    (lambda: request_of(NOUNS.agents.set_maintenance(True, site=1)), IDEMPOTENT, None),
    (lambda: AGENT_HISTORY.call("a"), SAFE, None),
    (lambda: processes.LIST.call("a"), SAFE, 5),
    (lambda: processes.KILL.call("a", 1), NEVER, 15),
    (lambda: services.LIST.call("a"), SAFE, 10),
    (lambda: request_of(NOUNS.agents.services.control("a", "s", "stop")), NEVER, 32),
    (lambda: request_of(NOUNS.agents.services.control("a", "s", "restart")), NEVER, 64),
    (lambda: request_of(NOUNS.agents.services.update("a", "s", start_type="auto")), IDEMPOTENT, 10),
    (lambda: software.LIST.call("a"), SAFE, None),
    (lambda: software.REFRESH.call("a"), IDEMPOTENT, 15),
    (lambda: request_of(NOUNS.agents.event_log.list("a", "System", days=1)), SAFE, 32),
    (lambda: windows_updates.LIST.call("a"), SAFE, None),
    (lambda: request_of(NOUNS.agents.windows_updates.update(1, "ignore")), IDEMPOTENT, None),
    (lambda: windows_updates.SCAN.call("a"), IDEMPOTENT, None),
    (lambda: windows_updates.INSTALL.call("a"), NEVER, None),
    (lambda: notes.LIST.call("a"), SAFE, None),
    (lambda: notes.UPDATE.call(1), IDEMPOTENT, None),
    (lambda: notes.DELETE.call(1), IDEMPOTENT, None),
]


@pytest.mark.parametrize(("request_", "replay", "waits"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, waits: float | None
) -> None:
    call = request_()
    assert isinstance(call, Call)
    assert (call.replay, call.answers_within) == (replay, waits)
    assert (Lane.WORKERS in call.lanes) == (waits is not None)


def test_a_process_that_was_ended_is_not_taken_for_gone() -> None:
    call = processes.KILL.call("a", 1)
    assert isinstance(call, Call)
    assert not call.gone_is_done


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


FIELDS = json.dumps(
    [
        {"id": 1, "name": "Tag", "model": "agent", "type": "text"},
        {"id": 2, "name": "Rack", "model": "agent", "type": "number"},
        {"id": 3, "name": "Env", "model": "agent", "type": "single", "options": ["prod", "dev"]},
        {"id": 4, "name": "Roles", "model": "agent", "type": "multiple", "options": ["dc", "sql", "web"]},
        {"id": 5, "name": "Backup", "model": "agent", "type": "checkbox", "options": None},
        {"id": 6, "name": "Warranty", "model": "agent", "type": "datetime"},
        {"id": 7, "name": "Contract", "model": "client", "type": "text"},
        {"id": 8, "name": "Later", "model": "agent", "type": "of a later version"},
    ]
).encode()


def custom_fields(values: dict[int, Any]) -> Any:
    """What is sent for these values of custom fields."""
    plan = request_of(NOUNS.agents.update("a", description="d", custom_fields=values))
    assert isinstance(plan, Plan)
    steps = plan.steps()
    put = steps.send(next(steps).decode(FIELDS))
    sent = json.loads(put.body or b"")
    assert sent.pop("description") == "d"
    return sent["custom_fields"]


class TestCustomFields:
    @pytest.mark.parametrize(
        ("number", "value", "sent"),
        [
            (1, "x", {"string_value": "x"}),
            (1, None, {"string_value": None}),
            (2, 7, {"string_value": "7"}),
            (2, "7.5", {"string_value": "7.5"}),
            (2, None, {"string_value": None}),
            (3, "dev", {"string_value": "dev"}),
            (3, None, {"string_value": None}),
            (4, ["web", "dc"], {"multiple_value": ["web", "dc"]}),
            (4, {"web", "dc"}, {"multiple_value": ["dc", "web"]}),
            (4, None, {"multiple_value": []}),
            (5, True, {"bool_value": True}),
            (
                6,
                datetime(2027, 1, 31, 1, tzinfo=ZoneInfo("Europe/Berlin")),
                {"string_value": "2027-01-31T00:00:00Z"},
            ),
            (6, "2027-01-31T00:00:00Z", {"string_value": "2027-01-31T00:00:00Z"}),
            (8, "x", {"string_value": "x"}),
        ],
    )
    def test_go_under_the_key_of_their_type(self, number: int, value: Any, sent: dict[str, Any]) -> None:
        assert custom_fields({number: value}) == [{"field": number, **sent}]

    @pytest.mark.parametrize(
        ("number", "value", "words"),
        [
            (1, 5, r"'Tag' \(1\) takes a text, not 5"),
            (2, "seven", "takes a number"),
            (2, True, "takes a number"),
            (2, [], "takes a number"),
            (3, "test", "takes one of prod, dev"),
            (4, "dc", "takes a list of texts"),
            (4, ["dc", "mail"], "takes some of dc, sql, web"),
            (5, "yes", "takes True or False"),
            (5, None, "takes True or False"),
            (6, datetime(2027, 1, 31), "says its time zone"),  # noqa: DTZ001 - refused for that
            (6, 5, "takes a datetime, or a text"),
            (7, "x", "agents have no custom field with the id 7"),
        ],
    )
    def test_of_another_type_are_refused(self, number: int, value: Any, words: str) -> None:
        with pytest.raises(InvalidRequestError, match=words):
            custom_fields({number: value})


class TestOddAnswers:
    @pytest.mark.parametrize("body", [b"null", b" null "])
    def test_null_is_no_row(self, body: bytes) -> None:
        for call in (
            processes.LIST.call("a"),
            services.LIST.call("a"),
            request_of(NOUNS.agents.event_log.list("a", "System", days=1)),
        ):
            assert isinstance(call, Call)
            assert call.decode(body) == []

    def test_nulls_and_news_are_taken(self) -> None:
        call = software.LIST.call("a")
        assert isinstance(call, Call)
        assert call.decode(b'{"software": null}') == []
        assert call.decode(
            b'{"software": [{"name": "x", "size": null, "install_date": "soon", "new": 1}]}'
        ) == [Software(name="x")]

    def test_what_can_not_be_read_of_a_row_is_none(self) -> None:
        log = request_of(NOUNS.agents.event_log.list("a", "System", days=1))
        assert isinstance(log, Call)
        (entry,) = log.decode(b'[{"eventID": "x", "time": "Do 24. Sep", "record": null, "eventCategory": 3}]')
        assert entry == EventLogEntry(category="3")
        listed = processes.LIST.call("a")
        assert isinstance(listed, Call)
        assert listed.decode(b'[{"pid": 1, "cpu_percent": "n/a"}, {"pid": 2, "cpu_percent": null}]') == [
            Process(pid=1),
            Process(pid=2),
        ]
        updates = windows_updates.LIST.call("a")
        assert isinstance(updates, Call)
        (update,) = updates.decode(
            b'[{"id": 1, "categories": null, "date_installed": "?", "severity": null}]'
        )
        assert (update.categories, update.date_installed) == ((), None)

    def test_a_day_of_one_digit_in_an_event_log(self) -> None:
        log = request_of(NOUNS.agents.event_log.list("a", "System", days=1))
        assert isinstance(log, Call)
        (entry,) = log.decode(b'[{"time": "Fri Jan  1 02:03:04 2027"}]')
        assert entry.time == datetime(2027, 1, 1, 2, 3, 4)  # noqa: DTZ001 - by the agent's clock

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "", None, "../etc"])
    def test_a_time_zone_that_is_not_known_here(self, zone: str | None) -> None:
        plan = request_of(NOUNS.agents.reboot("a", at=datetime(2027, 1, 15, 22, 30, tzinfo=UTC)))
        assert isinstance(plan, Plan)
        steps = plan.steps()
        clock = next(steps).decode(json.dumps({"timezone": zone}).encode())
        with pytest.raises(InvalidRequestError, match="by the agent's own clock"):
            steps.send(clock)
