"""What is done to an agent of a stock server and asked of it: against recordings, and over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.peer import Peer, Request, answer, peer
from trmm_async import (
    TRMM,
    Agent,
    APIError,
    CommandResult,
    DecodeError,
    EventLogEntry,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    Process,
    Service,
    Software,
    TRMMError,
    UnsupportedError,
)
from trmm_async.answers import error_for
from trmm_async.calls import Call, Lane, Plan, Replay
from trmm_async.dialects import CommandRun, Stock
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    BadRequestError,
    ServerError,
    ServerFaultError,
)
from trmm_async.resources.agents import Agents
from trmm_async.retry import Reply
from trmm_async.testing import ScriptReply, Simulator

HTTP = Path(__file__).parents[2] / "shared" / "stock" / "http"
WINDOWS = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"
LINUX = "pzvqYMtrbuvZwnZuDMjJxyZLLKcgTAOGSfuihvmu"
OFFLINE = "RJhyjPzSJxkKIvIKwFQsVFOsCfYlcdgDssPddTey"
HUNG = "nCOVxkhTOabFFHiCvJtcdMoCkcXSUyQBiAXqozAZ"
ACTIONS = Stock().beyond("test")
KEY = "key-for-tests"


# -- against the recordings ----------------------------------------------------------------------------------


@cache
def recording(name: str) -> dict[str, Any]:
    path = HTTP / f"{name}.json"
    if not path.exists():
        pytest.skip(f"no recordings of the real server in {HTTP}")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def answered(call: Call[Any], name: str) -> Any:
    """What a call comes to with a recorded answer, if it is the recorded request."""
    asked, reply = recording(name)["request"], recording(name)["response"]
    sent = None if call.body is None else json.loads(call.body)
    assert (call.method, call.path, dict(call.query), sent) == (
        asked["method"],
        asked["path"],
        asked["query"] or {},
        asked["body"],
    )
    is_json = reply["headers"].get("content-type", "").startswith("application/json")
    body = (json.dumps(reply["body"]) if is_json else reply["body"]).encode()
    if reply["status"] == 200:
        return call.decode(body)
    raise error_for(call, Reply(reply["status"], reply["headers"], body), str)


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
NIGHT = datetime(2027, 1, 15, 23, 30)  # noqa: DTZ001 - by the agent's clock

GOOD: list[tuple[Requested, tuple[str, ...], object]] = [
    (lambda: ACTIONS.run_command(WINDOWS, command()), ("cmd_ok",), CommandResult(output="hello\r\n")),
    (
        lambda: ACTIONS.run_command(WINDOWS, command(custom_shell="C:\\x\\pwsh.exe")),
        ("cmd_custom_shell",),
        CommandResult(output="hello\r\n"),
    ),
    (lambda: ACTIONS.run_command(WINDOWS, command("exit 3")), ("cmd_empty_output",), CommandResult()),
    (
        lambda: ACTIONS.run_command(LINUX, command("stderr oops", None, plat="linux")),  # type: ignore[arg-type]
        ("cmd_linux_stderr",),
        CommandResult(output="partial out\n\noops"),
    ),
    (
        lambda: ACTIONS.run_command(LINUX, command("stderr oops", None)),  # type: ignore[arg-type]
        ("agent_detail_linux", "cmd_linux_stderr"),
        CommandResult(output="partial out\n\noops"),
    ),
    (lambda: ACTIONS.ping_agent(WINDOWS), ("agent_ping_online",), True),
    (lambda: ACTIONS.ping_agent(OFFLINE), ("agent_ping_offline",), False),
    (lambda: ACTIONS.ping_agent(HUNG), ("agent_ping_hung",), False),
    (lambda: ACTIONS.ping_agent(WINDOWS), ("natsdown__ping",), False),
    (lambda: ACTIONS.reboot_agent(WINDOWS), ("reboot_online",), None),
    (lambda: ACTIONS.reboot_agent_at(WINDOWS, NIGHT), ("reboot_later_ok",), None),
    (
        lambda: ACTIONS.reboot_agent_at(WINDOWS, datetime(2027, 1, 15, 22, 30, tzinfo=UTC)),
        ("agent_detail_windows", "reboot_later_ok"),
        None,
    ),
    (lambda: ACTIONS.shut_down_agent(WINDOWS), ("shutdown_online",), None),
    (lambda: ACTIONS.recover_agent(WINDOWS, "mesh"), ("recover_mesh",), None),
    (
        lambda: ACTIONS.update_agent(WINDOWS, {"description": "edited by api", "maintenance_mode": True}, {}),
        ("agent_put_ok",),
        None,
    ),
    (
        lambda: ACTIONS.update_agent(WINDOWS, {"policy": None, "block_policy_inheritance": False}, {}),
        ("agent_put_null_policy",),
        None,
    ),
    (lambda: ACTIONS.update_agent(WINDOWS, {"maintenance_mode": False}, {}), ("agent_put_back",), None),
    (
        lambda: ACTIONS.update_agent(WINDOWS, {}, {1: "AT-NEW"}),
        ("core_customfields", "agent_put_custom_field"),
        None,
    ),
    (lambda: ACTIONS.maintain_agents("Client", 3, True), ("maintenance_bulk_client",), 27),
    (lambda: ACTIONS.maintain_agents("Client", 3, False), ("maintenance_bulk_client_off",), 27),
    (lambda: ACTIONS.maintain_agents("Client", 5, True), ("maintenance_bulk_empty",), 0),
    (lambda: ACTIONS.maintain_agents("Site", 1, False), ("maintenance_bulk_site",), 28),
    (lambda: ACTIONS.kill_process(WINDOWS, 1234), ("processes_kill",), None),
    (lambda: ACTIONS.control_service(WINDOWS, "Spooler", "restart"), ("service_restart",), None),
    (lambda: ACTIONS.control_service(WINDOWS, "Spooler", "stop"), ("service_stop",), None),
    (lambda: ACTIONS.edit_service(WINDOWS, "Spooler", "manual"), ("service_edit",), None),
    (lambda: ACTIONS.list_software(LINUX), ("software_agent_none",), []),
    (lambda: ACTIONS.refresh_software(WINDOWS), ("software_refresh",), None),
    (lambda: ACTIONS.edit_windows_update(15, "approve"), ("winupdate_edit",), None),
    (lambda: ACTIONS.scan_windows_updates(WINDOWS), ("winupdate_scan",), None),
    (lambda: ACTIONS.install_windows_updates(WINDOWS), ("winupdate_install",), None),
    (lambda: ACTIONS.edit_note(63, "edited"), ("note_edit",), None),
    (lambda: ACTIONS.delete_note(63), ("note_delete",), None),
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
        lambda: ACTIONS.run_command(OFFLINE, command(timeout=2)),
        ("cmd_offline",),
        AgentLostError,
        "Unable to contact the agent",
    ),
    (lambda: ACTIONS.run_command(HUNG, command(timeout=2)), ("cmd_hung_timeout",), AgentLostError, "Unable"),
    (
        lambda: ACTIONS.run_command(WINDOWS, command(timeout=2)),
        ("natsdown__cmd", "history_agent", "natsdown__ping"),
        AgentUnreachableError,
        "message bus .* is down",
    ),
    (
        lambda: ACTIONS.run_command(WINDOWS, command(timeout=2)),
        ("natsdown__cmd", "history_agent", "agent_ping_online", "history_agent"),
        AgentLostError,
        "or the command printed just that word",
    ),
    (
        lambda: ACTIONS.run_command(OFFLINE, command(timeout=2)),
        ("natsapi_down__cmd_offline_no_responder",),
        ServerError,
        "nats-api is down",
    ),
    (
        lambda: ACTIONS.ping_agent(OFFLINE),
        ("natsapi_down__agent_ping_offline_no_responder",),
        ServerError,
        "nats-api is down",
    ),
    (lambda: ACTIONS.reboot_agent(OFFLINE), ("reboot_offline",), AgentLostError, "Unable"),
    (lambda: ACTIONS.reboot_agent(HUNG), ("reboot_hung",), AgentLostError, "Unable"),
    (lambda: ACTIONS.reboot_agent(WINDOWS), ("natsdown__reboot",), AgentLostError, "Unable"),
    (
        lambda: ACTIONS.reboot_agent(OFFLINE),
        ("natsapi_down__reboot_offline",),
        ServerError,
        "nats-api is down",
    ),
    (
        lambda: ACTIONS.reboot_agent_at(LINUX, NIGHT),
        ("reboot_later_linux",),
        BadRequestError,
        "Not currently implemented for linux",
    ),
    (
        lambda: ACTIONS.reboot_agent_at(WINDOWS, NIGHT.replace(year=2020)),
        ("reboot_later_past",),
        BadRequestError,
        "in the past",
    ),
    (
        lambda: ACTIONS.recover_agent(HUNG, "mesh"),
        ("recover_mesh_hung",),
        AgentLostError,
        "the agent did not answer",
    ),
    (lambda: ACTIONS.recover_agent(WINDOWS, "tacagent"), ("recover_tacagent",), ServerError, "MeshCentral"),
    (
        lambda: ACTIONS.update_agent(WINDOWS, {"site": 99999}, {}),
        ("agent_put_bad_site",),
        BadRequestError,
        "site: Invalid pk",
    ),
    (
        lambda: ACTIONS.update_agent(WINDOWS, {"monitoring_type": "laptop", "offline_time": -1}, {}),
        ("agent_put_bad_value",),
        BadRequestError,
        "not a valid choice",
    ),
    (
        lambda: ACTIONS.update_agent(WINDOWS, {}, {99999: "x"}),
        ("core_customfields",),
        InvalidRequestError,
        "no custom field with the id 99999",
    ),
    (lambda: ACTIONS.list_processes(OFFLINE), ("processes_offline",), AgentUnreachableError, "Unable"),
    (lambda: ACTIONS.list_processes(HUNG), ("processes_hung",), AgentUnreachableError, "Unable"),
    (lambda: ACTIONS.list_processes(WINDOWS), ("natsdown__processes",), AgentUnreachableError, "Unable"),
    (
        lambda: ACTIONS.kill_process(WINDOWS, 4),
        ("processes_kill_denied",),
        BadRequestError,
        "Access is denied",
    ),
    (lambda: ACTIONS.list_services(OFFLINE), ("services_agent_offline",), AgentUnreachableError, "Unable"),
    (
        lambda: ACTIONS.get_service(WINDOWS, "nosuch"),
        ("service_detail_unknown",),
        NotFoundError,
        "no service 'nosuch'",
    ),
    (
        lambda: ACTIONS.get_service(WINDOWS, "Spooler"),
        ("natsdown__service_detail",),
        AgentUnreachableError,
        "message bus",
    ),
    (
        lambda: ACTIONS.control_service(WINDOWS, "denied", "stop"),
        ("service_denied",),
        BadRequestError,
        "Access is denied",
    ),
    (
        lambda: ACTIONS.control_service(LINUX, "ssh", "stop"),
        ("service_linux",),
        BadRequestError,
        "Recover Connection",
    ),
    (
        lambda: ACTIONS.control_service(HUNG, "Spooler", "start"),
        ("service_offline",),
        AgentLostError,
        "Unable",
    ),
    (
        lambda: ACTIONS.refresh_software(LINUX),
        ("software_refresh_linux",),
        BadRequestError,
        "Not available for linux",
    ),
    (
        lambda: ACTIONS.read_event_log(OFFLINE, "System", 1),
        ("eventlog_offline",),
        AgentUnreachableError,
        "Unable",
    ),
    (
        lambda: ACTIONS.read_event_log(OFFLINE, "System", 1),
        ("natsapi_down__eventlog_offline",),
        ServerError,
        "nats-api is down",
    ),
    (
        lambda: ACTIONS.scan_windows_updates(LINUX),
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
        found = carried_out(ACTIONS.list_processes(WINDOWS), "processes")
        assert found[0] == Process(
            pid=368,
            name="Registry",
            username="NT AUTHORITY\\SYSTEM",
            membytes=110456832,
            cpu_percent=0.0,
        )
        assert len(found) == 25

    def test_services(self) -> None:
        found = carried_out(ACTIONS.list_services(WINDOWS), "services_agent")
        assert (found[0].name, found[0].status, found[0].start_type) == (
            "AdobeARMservice",
            "running",
            "Automatic",
        )
        spooler = carried_out(ACTIONS.get_service(WINDOWS, "Spooler"), "service_detail")
        assert isinstance(spooler, Service)
        assert (spooler.display_name, spooler.pid, spooler.autodelay) == ("Print Spooler", 4104, False)

    def test_software(self) -> None:
        found = carried_out(ACTIONS.list_software(WINDOWS), "software_agent")
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
        found = carried_out(ACTIONS.read_event_log(WINDOWS, "Application", 7), "eventlog_application")
        first = found[0]
        assert isinstance(first, EventLogEntry)
        assert (first.event_type, first.event_id, first.record) == ("INFO", 16384, 17213)
        assert first.time == datetime(2020, 9, 24, 22, 45, 16)  # noqa: DTZ001 - by the agent's clock
        assert first.message.startswith("Successfully scheduled")
        security = ACTIONS.read_event_log(WINDOWS, "Security", 1)
        assert len(carried_out(security, "eventlog_security")) == 25
        assert isinstance(security, Call)
        assert security.answers_within == 182

    def test_windows_updates(self) -> None:
        found = carried_out(ACTIONS.list_windows_updates(WINDOWS), "winupdate_agent")
        first, second = found[:2]
        assert (first.id, first.kb, first.agent_id, first.action) == (15, "KB4558998", WINDOWS, "nothing")
        assert first.date_installed == datetime(2026, 11, 23, 14, 20)  # noqa: DTZ001 - by the server's clock
        assert first.categories == ("Security Updates",)
        assert second.date_installed is None

    def test_notes(self) -> None:
        old, new = carried_out(ACTIONS.list_notes(WINDOWS), "notes_agent")
        assert (old.id, old.username, old.agent_id) == (1, None, WINDOWS)
        assert (new.id, new.username, new.note) == (61, "admin", "hello world\n")
        assert new.entry_time == datetime(2026, 11, 23, 19, 24, 20, 304143, tzinfo=UTC)

    def test_a_note_that_is_made(self) -> None:
        made = carried_out(
            ACTIONS.add_note(WINDOWS, "from api"), "notes_agent", "note_add", "notes_agent_after"
        )
        assert (made.id, made.note, made.username) == (63, "from api", "admin")

    def test_history(self) -> None:
        found = carried_out(ACTIONS.agent_history(WINDOWS), "history_agent")
        assert (found[0].type, found[0].command, found[0].agent_id) == ("cmd_run", "ping google.com", WINDOWS)


# -- the calls' other properties -----------------------------------------------------------------------------

NEVER, IDEMPOTENT, SAFE = Replay.NEVER, Replay.IDEMPOTENT, Replay.SAFE
MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: ACTIONS.ping_agent("a"), SAFE, 7.5),
    (lambda: ACTIONS.reboot_agent("a"), NEVER, 10),
    (lambda: ACTIONS.reboot_agent_at("a", NIGHT), NEVER, 10),
    (lambda: ACTIONS.shut_down_agent("a"), NEVER, 10),
    (lambda: ACTIONS.recover_agent("a", "mesh"), NEVER, 60),
    (lambda: ACTIONS.recover_agent("a", "tacagent"), NEVER, 60),
    (lambda: ACTIONS.update_agent("a", {"description": ""}, {}), IDEMPOTENT, None),
    (lambda: ACTIONS.maintain_agents("Site", 1, True), IDEMPOTENT, None),
    (lambda: ACTIONS.agent_history("a"), SAFE, None),
    (lambda: ACTIONS.list_processes("a"), SAFE, 5),
    (lambda: ACTIONS.kill_process("a", 1), NEVER, 15),
    (lambda: ACTIONS.list_services("a"), SAFE, 10),
    (lambda: ACTIONS.control_service("a", "s", "stop"), NEVER, 32),
    (lambda: ACTIONS.control_service("a", "s", "restart"), NEVER, 64),
    (lambda: ACTIONS.edit_service("a", "s", "auto"), IDEMPOTENT, 10),
    (lambda: ACTIONS.list_software("a"), SAFE, None),
    (lambda: ACTIONS.refresh_software("a"), IDEMPOTENT, 15),
    (lambda: ACTIONS.read_event_log("a", "System", 1), SAFE, 32),
    (lambda: ACTIONS.list_windows_updates("a"), SAFE, None),
    (lambda: ACTIONS.edit_windows_update(1, "ignore"), IDEMPOTENT, None),
    (lambda: ACTIONS.scan_windows_updates("a"), IDEMPOTENT, None),
    (lambda: ACTIONS.install_windows_updates("a"), NEVER, None),
    (lambda: ACTIONS.list_notes("a"), SAFE, None),
    (lambda: ACTIONS.edit_note(1, "n"), IDEMPOTENT, None),
    (lambda: ACTIONS.delete_note(1), IDEMPOTENT, None),
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
    call = ACTIONS.kill_process("a", 1)
    assert isinstance(call, Call)
    assert not call.gone_is_done


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
    plan = ACTIONS.update_agent("a", {"description": "d"}, values)
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
            (6, 5, "takes a text"),
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
            ACTIONS.list_processes("a"),
            ACTIONS.list_services("a"),
            ACTIONS.read_event_log("a", "System", 1),
        ):
            assert isinstance(call, Call)
            assert call.decode(body) == []

    def test_nulls_and_news_are_taken(self) -> None:
        call = ACTIONS.list_software("a")
        assert isinstance(call, Call)
        assert call.decode(b'{"software": null}') == []
        assert call.decode(
            b'{"software": [{"name": "x", "size": null, "install_date": "soon", "new": 1}]}'
        ) == [Software(name="x")]

    def test_what_can_not_be_read_of_a_row_is_none(self) -> None:
        log = ACTIONS.read_event_log("a", "System", 1)
        assert isinstance(log, Call)
        (entry,) = log.decode(b'[{"eventID": "x", "time": "Do 24. Sep", "record": null, "eventCategory": 3}]')
        assert entry == EventLogEntry(category="3")
        processes = ACTIONS.list_processes("a")
        assert isinstance(processes, Call)
        assert processes.decode(b'[{"pid": 1, "cpu_percent": "n/a"}, {"pid": 2, "cpu_percent": null}]') == [
            Process(pid=1),
            Process(pid=2),
        ]
        updates = ACTIONS.list_windows_updates("a")
        assert isinstance(updates, Call)
        (update,) = updates.decode(
            b'[{"id": 1, "categories": null, "date_installed": "?", "severity": null}]'
        )
        assert (update.categories, update.date_installed) == ((), None)

    def test_a_day_of_one_digit_in_an_event_log(self) -> None:
        log = ACTIONS.read_event_log("a", "System", 1)
        assert isinstance(log, Call)
        (entry,) = log.decode(b'[{"time": "Fri Jan  1 02:03:04 2027"}]')
        assert entry.time == datetime(2027, 1, 1, 2, 3, 4)  # noqa: DTZ001 - by the agent's clock

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "", None, "../etc"])
    def test_a_time_zone_that_is_not_known_here(self, zone: str | None) -> None:
        plan = ACTIONS.reboot_agent_at("a", datetime(2027, 1, 15, 22, 30, tzinfo=UTC))
        assert isinstance(plan, Plan)
        steps = plan.steps()
        clock = next(steps).decode(json.dumps({"timezone": zone}).encode())
        with pytest.raises(InvalidRequestError, match="by the agent's own clock"):
            steps.send(clock)


# -- over real HTTP ------------------------------------------------------------------------------------------


@asynccontextmanager
async def stock(**world: Any) -> AsyncIterator[tuple[Simulator, TRMM]]:
    quick: dict[str, Any] = {"dialect": "stock", "script_seconds": 0.001, "offline_hold": 0.01, "agents": 20}
    async with (
        asyncio.timeout(30),
        Simulator(**{**quick, **world}) as server,
        TRMM(server.url, api_key=server.api_key, dialect="stock", retries=0) as trmm,
    ):
        yield server, trmm


def of(server: Simulator, plat: str) -> str:
    return next(agent.agent_id for agent in server.agents if agent.plat == plat)


class TestCommands:
    async def test_one_runs_and_its_output_comes_back(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            done = await trmm.agents.run_command(agent_id, "echo hello", shell="cmd", timeout=5)
            assert done.output.strip() == "hello"
            (run,) = server.runs
            assert (run.command, run.shell, run.timeout, run.run_as_user) == ("echo hello", "cmd", 5, False)
            assert [request.method for request in server.requests] == ["POST"]

    async def test_the_shell_is_that_of_the_platform(self) -> None:
        async with stock() as (server, trmm):
            linux, windows = of(server, "linux"), of(server, "windows")
            await trmm.agents.run_command(linux, "uptime")
            await trmm.agents.run_command(windows, "ver")
            asked = len(server.requests)
            await trmm.agents.run_command(Agent(agent_id=linux, plat="linux"), "uptime", run_as_user=True)
            await trmm.agents.run_command(windows, "ver", custom_shell="C:\\pwsh.exe")
            assert [run.shell for run in server.runs] == ["/bin/bash", "cmd", "/bin/bash", "C:\\pwsh.exe"]
            assert len(server.requests) == asked + 2

    async def test_an_agent_that_does_not_answer_may_have_got_it(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            server.go_offline(agent_id)
            with pytest.raises(AgentUnreachableError, match="Unable to contact the agent") as caught:
                await trmm.agents.run_command(agent_id, "ver", shell="cmd", timeout=1)
            assert isinstance(caught.value, OutcomeUnknownError)
            assert len(server.requests) == 1

    async def test_a_bus_that_is_down_is_told_as_such(self) -> None:
        async with stock() as (server, trmm):
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS") as caught:
                await trmm.agents.run_command(server.agent_ids[0], "ver", shell="cmd", timeout=1)
            assert not isinstance(caught.value, OutcomeUnknownError)
            assert server.runs == []

    async def test_the_word_for_it_may_be_printed_too(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            server.command("say", handler=lambda run: ScriptReply(stdout="natsdown"))
            done = await trmm.agents.run_command(agent_id, "say", shell="cmd", timeout=1)
            assert done == CommandResult(output="natsdown")

    async def test_where_the_history_may_not_be_seen_it_can_not_be_told(self) -> None:
        async with stock() as (server, trmm):
            server.command("say", handler=lambda run: ScriptReply(stdout="natsdown"))
            with (
                server.restrict("can_list_agent_history"),
                pytest.raises(AgentLostError, match="just that word"),
            ):
                await trmm.agents.run_command(server.agent_ids[0], "say", shell="cmd", timeout=1)

    async def test_an_answer_that_is_lost_is_an_unknown_outcome(self) -> None:
        async with stock() as (server, trmm):
            server.cut("POST", "/cmd/")
            with pytest.raises(OutcomeUnknownError):
                await trmm.agents.run_command(server.agent_ids[0], "ver", shell="cmd")
            assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            ("", {}),
            ("  \n", {}),
            ("a\0b", {}),
            (5, {}),
            ("ver", {"timeout": 0}),
            ("ver", {"timeout": 296}),
            ("ver", {"timeout": 1.5}),
            ("ver", {"shell": ""}),
            ("ver", {"shell": "custom"}),
            ("ver", {"shell": "cmd", "custom_shell": "C:\\x.exe"}),
            ("ver", {"custom_shell": ""}),
            ("ver", {"run_as_user": "yes"}),
        ],
    )
    async def test_what_is_wrong_is_not_sent(self, words: Any, named: dict[str, Any]) -> None:
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.run_command(server.agent_ids[0], words, **named)
            assert server.requests == []


class TestPower:
    async def test_ping(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            assert await trmm.agents.ping(agent_id)
            server.hang(agent_id)
            assert not await trmm.agents.ping(agent_id)
            with pytest.raises(NotFoundError):
                await trmm.agents.ping("x" * 40)

    async def test_an_agent_reboots_and_shuts_down(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            await trmm.agents.reboot(agent_id)
            await trmm.agents.shutdown(agent_id)
            assert not await trmm.agents.ping(agent_id)
            for action in (trmm.agents.reboot, trmm.agents.shutdown):
                with pytest.raises(AgentLostError):
                    await action(agent_id)

    async def test_a_reboot_is_planned(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            soon = datetime.now(UTC) + timedelta(days=1)
            await trmm.agents.reboot(agent_id, at=soon)
            sent = json.loads(server.requests[-1].body)["datetime"]
            zone = ZoneInfo((await trmm.agents.get(agent_id)).extra["timezone"])
            planned = datetime.fromisoformat(sent).replace(tzinfo=zone)
            assert timedelta(0) <= planned - soon < timedelta(minutes=1)

    async def test_a_reboot_is_planned_by_the_agents_clock(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            naive = (datetime.now(UTC) + timedelta(days=2)).replace(tzinfo=None, second=0, microsecond=0)
            await trmm.agents.reboot(agent_id, at=naive)
            assert json.loads(server.requests[-1].body) == {"datetime": naive.isoformat(timespec="minutes")}
            assert len(server.requests) == 1
            with pytest.raises(BadRequestError, match="past"):
                await trmm.agents.reboot(agent_id, at=naive - timedelta(days=9))
            server.go_offline(agent_id)
            with pytest.raises(AgentLostError, match="did not answer"):
                await trmm.agents.reboot(agent_id, at=naive)
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS"):
                await trmm.agents.reboot(agent_id, at=naive)

    async def test_only_windows_agents_plan_a_reboot(self) -> None:
        async with stock() as (server, trmm):
            with pytest.raises(BadRequestError, match="linux"):
                await trmm.agents.reboot(of(server, "linux"), at=datetime.now(UTC) + timedelta(hours=1))

    @pytest.mark.parametrize("at", ["tomorrow", datetime(2020, 1, 1, tzinfo=UTC), 5])
    async def test_a_time_that_is_none_is_not_sent(self, at: Any) -> None:
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.reboot(server.agent_ids[0], at=at)
            assert server.requests == []

    async def test_recovery(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            await trmm.agents.recover(agent_id)
            server.go_offline(agent_id)
            await trmm.agents.recover(agent_id, mode="tacagent")
            with pytest.raises(AgentLostError):
                await trmm.agents.recover(agent_id, mode="mesh")
            with pytest.raises(InvalidRequestError):
                await trmm.agents.recover(agent_id, mode="foo")  # type: ignore[arg-type]

    async def test_a_server_that_fails_says_why_it_may(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            server.go_offline(agent_id)
            with server.natsapi_down():
                with pytest.raises(ServerError, match="nats-api"):
                    await trmm.agents.processes(agent_id)
                with pytest.raises(ServerFaultError, match="nats-api"):
                    await trmm.agents.reboot(agent_id)


class TestSettings:
    async def test_are_changed(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            site = (await trmm.clients.list())[-1].sites[0]
            await trmm.agents.update(
                agent_id,
                description="by hand",
                site=site,
                monitoring_type="server",
                overdue_time=60,
                overdue_email_alert=True,
                policy=None,
            )
            agent = await trmm.agents.get(agent_id)
            assert (agent.description, agent.site.id, agent.monitoring_type) == ("by hand", site.id, "server")
            assert agent.extra["overdue_time"] == 60

    async def test_custom_fields_are_changed(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            field = server.add_custom_field("Tag")
            await trmm.agents.update(agent_id, custom_fields={field: "AT-1"}, description="d")
            agent = await trmm.agents.get(agent_id)
            assert {one.field: one.value for one in agent.custom_fields}[field] == "AT-1"
            assert agent.description == "d"

    async def test_nothing_is_changed_where_one_is_wrong(self) -> None:
        async with stock() as (server, trmm):
            with pytest.raises(InvalidRequestError, match="no custom field with the id 999"):
                await trmm.agents.update(server.agent_ids[0], description="d", custom_fields={999: "x"})
            assert {request.method for request in server.requests} == {"GET"}

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"custom_fields": {}},
            {"custom_fields": [1]},
            {"custom_fields": {"1": "x"}},
            {"description": 5},
            {"site": "HQ"},
            {"site": None},
            {"monitoring_type": "laptop"},
            {"overdue_time": -1},
            {"offline_time": 1.5},
            {"check_interval": 2**31},
            {"maintenance_mode": 1},
            {"policy": "x"},
            {"time_zone": ""},
        ],
    )
    async def test_what_is_wrong_is_not_sent(self, changes: dict[str, Any]) -> None:
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.update(server.agent_ids[0], **changes)
            assert server.requests == []

    async def test_what_is_not_known_is_a_type_error(self) -> None:
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(TypeError, match="knows no foo, hostname"):
                await trmm.agents.update(server.agent_ids[0], hostname="x", foo=1)  # type: ignore[call-arg]
            assert server.requests == []

    async def test_maintenance_mode(self) -> None:
        async with stock() as (_, trmm):
            agents = await trmm.agents.list()
            first = agents[0]
            assert await trmm.agents.set_maintenance(True, agent=first) == 1
            assert (await trmm.agents.get(first)).maintenance_mode
            same_site = [agent for agent in agents if agent.site.id == first.site.id]
            assert await trmm.agents.set_maintenance(True, site=first.site) == len(same_site)
            same_client = [agent for agent in agents if agent.client.id == first.client.id]
            assert await trmm.agents.set_maintenance(False, client=first.client) == len(same_client)
            assert not (await trmm.agents.get(first)).maintenance_mode

    async def test_maintenance_mode_is_for_one_thing(self) -> None:
        async with stock(agents=1) as (server, trmm):
            for which in ({}, {"client": 1, "site": 1}):
                with pytest.raises(InvalidRequestError, match="give one of"):
                    await trmm.agents.set_maintenance(True, **which)
            with pytest.raises(InvalidRequestError, match="on must be"):
                await trmm.agents.set_maintenance(1, client=1)  # type: ignore[call-overload]
            assert server.requests == []


class TestTheInside:
    async def test_processes(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            found = await trmm.agents.processes(agent_id)
            victim = next(one for one in found if one.pid > 1000)
            await trmm.agents.kill_process(agent_id, victim)
            assert victim.pid not in {one.pid for one in await trmm.agents.processes(agent_id)}
            with pytest.raises(BadRequestError, match="denied"):
                await trmm.agents.kill_process(agent_id, 4)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.kill_process(agent_id, "x")  # type: ignore[arg-type]

    async def test_services(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            names = {one.name for one in await trmm.agents.services(agent_id)}
            assert "Spooler" in names
            spooler = await trmm.agents.service(agent_id, "Spooler")
            await trmm.agents.control_service(agent_id, spooler, "stop")
            await trmm.agents.edit_service(agent_id, spooler, start_type="disabled")
            after = await trmm.agents.service(agent_id, spooler)
            assert (after.status, after.start_type) == ("stopped", "Disabled")
            with pytest.raises(NotFoundError, match="no service 'nosuch'"):
                await trmm.agents.service(agent_id, "nosuch")
            with pytest.raises(BadRequestError, match="denied"):
                await trmm.agents.control_service(agent_id, "denied", "restart")

    @pytest.mark.parametrize("name", ["", "a/b", "..", " a", 5])
    async def test_a_service_that_is_none_is_not_sent(self, name: Any) -> None:
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.service(server.agent_ids[0], name)
            assert server.requests == []

    async def test_software(self) -> None:
        async with stock() as (server, trmm):
            windows, linux = of(server, "windows"), of(server, "linux")
            assert {one.name for one in await trmm.agents.software(windows)}
            assert await trmm.agents.software(linux) == []
            await trmm.agents.refresh_software(windows)
            with pytest.raises(BadRequestError, match="linux"):
                await trmm.agents.refresh_software(linux)

    async def test_event_logs(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            found = await trmm.agents.event_log(agent_id, "Security", days=2)
            assert {one.event_type for one in found} >= {"INFO", "ERROR"}
            assert all(one.time is not None and one.time.tzinfo is None for one in found)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.event_log(agent_id, "Nonsense")  # type: ignore[arg-type]
            with pytest.raises(InvalidRequestError):
                await trmm.agents.event_log(agent_id, days=0)

    async def test_windows_updates(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            first = (await trmm.agents.windows_updates(agent_id))[0]
            await trmm.agents.edit_windows_update(first, "approve")
            again = (await trmm.agents.windows_updates(agent_id))[0]
            assert (again.id, again.action, again.agent_id) == (first.id, "approve", agent_id)
            await trmm.agents.scan_windows_updates(agent_id)
            await trmm.agents.install_windows_updates(agent_id)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.edit_windows_update(first, "manual")  # type: ignore[arg-type]

    async def test_notes(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            before = await trmm.agents.notes(agent_id)
            made = await trmm.agents.add_note(agent_id, "one\ntwo ✓")
            assert (made.note, made.agent_id, made.username) == ("one\ntwo ✓", agent_id, server.username)
            await trmm.agents.edit_note(made, "three")
            assert [one.note for one in await trmm.agents.notes(agent_id) if one.id == made.id] == ["three"]
            await trmm.agents.delete_note(made)
            assert await trmm.agents.notes(agent_id) == before
            with pytest.raises(NotFoundError):
                await trmm.agents.edit_note(made.id, "four")
            with pytest.raises(InvalidRequestError):
                await trmm.agents.add_note(agent_id, " ")

    async def test_a_note_whose_answer_is_lost_is_found_all_the_same(self) -> None:
        async with stock() as (server, trmm):
            server.cut("POST", "/agents/notes/")
            made = await trmm.agents.add_note(server.agent_ids[0], "once")
            assert [one.id for one in await trmm.agents.notes(server.agent_ids[0])] == [made.id]

    async def test_history(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            await trmm.agents.run_command(agent_id, "echo one", shell="cmd")
            await trmm.agents.run_command(agent_id, "echo two", shell="cmd")
            found = await trmm.agents.history(agent_id)
            assert [one.command for one in found[-2:]] == ["echo one", "echo two"]

    @pytest.mark.parametrize(
        "ask",
        [
            lambda agents, agent_id: agents.processes(agent_id),
            lambda agents, agent_id: agents.services(agent_id),
            lambda agents, agent_id: agents.service(agent_id, "Spooler"),
            lambda agents, agent_id: agents.event_log(agent_id),
            lambda agents, agent_id: agents.event_log(agent_id, "Security"),
        ],
    )
    async def test_an_agent_that_is_asked_in_vain(
        self, ask: Callable[[Agents, str], Awaitable[object]]
    ) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            server.hang(agent_id)
            with pytest.raises(AgentUnreachableError) as caught:
                await ask(trmm.agents, agent_id)
            assert not isinstance(caught.value, OutcomeUnknownError)

    @pytest.mark.parametrize(
        "change",
        [
            lambda agents, agent_id: agents.kill_process(agent_id, 1234),
            lambda agents, agent_id: agents.control_service(agent_id, "Spooler", "restart"),
            lambda agents, agent_id: agents.edit_service(agent_id, "Spooler", start_type="auto"),
            lambda agents, agent_id: agents.refresh_software(agent_id),
        ],
    )
    async def test_an_agent_that_is_told_in_vain(
        self, change: Callable[[Agents, str], Awaitable[object]]
    ) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            server.hang(agent_id)
            with pytest.raises(AgentLostError):
                await change(trmm.agents, agent_id)
            assert len(server.requests) == 1

    async def test_a_service_behind_a_bus_that_is_down(self) -> None:
        async with stock() as (server, trmm):
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS"):
                await trmm.agents.service(of(server, "windows"), "Spooler")

    async def test_an_answer_that_is_none_of_it_can_not_be_read(self) -> None:
        async def nonsense(_: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer(b'"no more memory"'))
            return True

        async with (
            asyncio.timeout(10),
            peer(nonsense) as server,
            TRMM(server.url, api_key=KEY, dialect="stock") as trmm,
        ):
            for asked in (
                trmm.agents.processes("a"),
                trmm.agents.service("a", "s"),
                trmm.agents.software("a"),
            ):
                with pytest.raises(DecodeError):
                    await asked


async def test_waiting_calls_leave_workers_to_others() -> None:
    async with stock(offline_hold=None, agents=3) as (server, trmm):
        for agent_id in server.agent_ids:
            server.command(agent_id=agent_id, seconds=0.05)
        async with asyncio.TaskGroup() as group:
            for number in range(24):
                agent_id = server.agent_ids[number % 3]
                group.create_task(trmm.agents.run_command(agent_id, "ver", shell="cmd", timeout=5))
        assert len(server.runs) == 24
        assert server.max_in_flight <= 10


# -- a gateway has none of it --------------------------------------------------------------------------------

WHATEVER: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "run_command": (("a", "ver"), {}),
    "ping": (("a",), {}),
    "reboot": (("a",), {}),
    "reboot at": (("a",), {"at": datetime(2100, 1, 1, tzinfo=UTC)}),
    "shutdown": (("a",), {}),
    "recover": (("a",), {}),
    "update": (("a",), {"description": "d"}),
    "set_maintenance": ((True,), {"agent": "a"}),
    "set_maintenance client": ((True,), {"client": 1}),
    "history": (("a",), {}),
    "processes": (("a",), {}),
    "kill_process": (("a", 1), {}),
    "services": (("a",), {}),
    "service": (("a", "s"), {}),
    "control_service": (("a", "s", "stop"), {}),
    "edit_service": (("a", "s"), {"start_type": "auto"}),
    "software": (("a",), {}),
    "refresh_software": (("a",), {}),
    "event_log": (("a",), {}),
    "windows_updates": (("a",), {}),
    "edit_windows_update": ((1, "approve"), {}),
    "scan_windows_updates": (("a",), {}),
    "install_windows_updates": (("a",), {}),
    "notes": (("a",), {}),
    "add_note": (("a", "n"), {}),
    "edit_note": ((1, "n"), {}),
    "delete_note": ((1,), {}),
}


def _of_bases() -> Iterator[str]:
    for base in Agents.__bases__:
        yield from (name for name in vars(base) if not name.startswith("_"))


def test_every_method_is_tried_on_a_gateway() -> None:
    assert {name.partition(" ")[0] for name in WHATEVER} == set(_of_bases())


@pytest.mark.parametrize("name", WHATEVER)
async def test_a_gateway_has_none_of_it(name: str) -> None:
    method, (given, named) = name.partition(" ")[0], WHATEVER[name]
    async with (
        asyncio.timeout(10),
        Simulator(agents=1) as server,
        TRMM(server.url, api_key=server.api_key) as trmm,
    ):
        with pytest.raises(UnsupportedError, match=rf"agents\.{method}\b"):
            await getattr(trmm.agents, method)(*given, **named)
        assert server.requests == []


def test_errors_are_those_of_the_server() -> None:
    assert issubclass(AgentLostError, APIError)
