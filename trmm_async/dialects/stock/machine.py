"""What is on one agent of a stock server: processes, services, software, event logs, updates, notes.

What the agent itself is asked for holds a worker of the server meanwhile; software, updates and notes are the
server's own records.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Plan, Replay, Steps
from trmm_async.dialects.stock.asking import BUS_DOWN, NO_BUS, ask_agent, tell_agent
from trmm_async.dialects.stock.wording import change, get, segment, sentence
from trmm_async.errors import AgentUnreachableError, NotFoundError
from trmm_async.inventory import EventLogEntry, Process, Service, Software, WindowsUpdate
from trmm_async.models import no_extra

__all__ = ["StockMachine"]

T = TypeVar("T")

_PROCESSES_SECONDS: Final = 5
_KILL_SECONDS: Final = 15
_SERVICES_SECONDS: Final = 10
_CONTROL_SECONDS: Final = 32
_SOFTWARE_SECONDS: Final = 15
_LOG_SECONDS: Final[Mapping[str, int]] = {"Security": 182}
_OTHER_LOG_SECONDS: Final = 32
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _Process(msgspec.Struct):
    pid: int
    name: str = ""
    username: str | None = None
    membytes: int | None = None
    cpu_percent: str | float | None = None
    extra: Mapping[str, Any] = no_extra()


class _Program(msgspec.Struct):
    name: str = ""
    version: str = ""
    publisher: str = ""
    size: str = ""
    source: str = ""
    location: str = ""
    uninstall: str = ""
    install_date: str | None = None
    extra: Mapping[str, Any] = no_extra()


class _Installed(msgspec.Struct):
    software: tuple[_Program, ...] = ()


class _Logged(msgspec.Struct, rename="camel"):
    source: str = ""
    event_type: str = ""
    event_id: str | int | None = msgspec.field(default=None, name="eventID")
    event_category: str | int = ""
    message: str = ""
    time: str | None = None
    record: str | int | None = None
    computer: str = ""
    extra: Mapping[str, Any] = no_extra()


class _Update(msgspec.Struct):
    id: int
    guid: str | None = None
    kb: str | None = None
    title: str = ""
    description: str = ""
    severity: str = ""
    categories: tuple[str | None, ...] = ()
    installed: bool = False
    downloaded: bool = False
    action: str = ""
    result: str = ""
    date_installed: str | None = None
    kb_article_ids: tuple[str | None, ...] = ()
    more_info_urls: tuple[str | None, ...] = ()
    support_url: str | None = None
    extra: Mapping[str, Any] = no_extra()


class StockMachine:
    """The part of `AgentActions` about what is on an agent."""

    def list_processes(self, agent_id: str) -> Call[list[Process]]:
        return ask_agent(f"/agents/{segment(agent_id)}/processes/", _processes, waits=_PROCESSES_SECONDS)

    def kill_process(self, agent_id: str, pid: int) -> Call[None]:
        return tell_agent("DELETE", f"/agents/{segment(agent_id)}/processes/{pid}/", waits=_KILL_SECONDS)

    def list_services(self, agent_id: str) -> Call[list[Service]]:
        return ask_agent(f"/services/{segment(agent_id)}/", _services, waits=_SERVICES_SECONDS)

    def get_service(self, agent_id: str, name: str) -> Plan[Service]:
        return Plan(partial(_one_service, _service_path(agent_id, name), name))

    def control_service(self, agent_id: str, name: str, action: str) -> Call[None]:
        waits = _CONTROL_SECONDS * (2 if action == "restart" else 1)
        return tell_agent("POST", _service_path(agent_id, name), {"sv_action": action}, waits=waits)

    def edit_service(self, agent_id: str, name: str, start_type: str) -> Call[None]:
        return tell_agent(
            "PUT",
            _service_path(agent_id, name),
            {"startType": start_type},
            waits=_SERVICES_SECONDS,
            replay=Replay.IDEMPOTENT,
        )

    def list_software(self, agent_id: str) -> Call[list[Software]]:
        return get(f"/software/{segment(agent_id)}/", _software)

    def refresh_software(self, agent_id: str) -> Call[None]:
        path = f"/software/{segment(agent_id)}/"
        return tell_agent("PUT", path, waits=_SOFTWARE_SECONDS, replay=Replay.IDEMPOTENT)

    def read_event_log(self, agent_id: str, log: str, days: int) -> Call[list[EventLogEntry]]:
        path = f"/agents/{segment(agent_id)}/eventlog/{segment(log)}/{days}/"
        return ask_agent(path, _event_log, waits=_LOG_SECONDS.get(log, _OTHER_LOG_SECONDS))

    def list_windows_updates(self, agent_id: str) -> Call[list[WindowsUpdate]]:
        return get(f"/winupdate/{segment(agent_id)}/", partial(_updates, agent_id))

    def edit_windows_update(self, update_id: int, action: str) -> Call[None]:
        return change("PUT", f"/winupdate/{update_id}/", {"action": action}, replay=Replay.IDEMPOTENT)

    def scan_windows_updates(self, agent_id: str) -> Call[None]:
        return change("POST", f"/winupdate/{segment(agent_id)}/scan/", replay=Replay.IDEMPOTENT)

    def install_windows_updates(self, agent_id: str) -> Call[None]:
        return change("POST", f"/winupdate/{segment(agent_id)}/install/")


def _rows(kind: type[T], body: bytes) -> list[T]:
    """An array; agents that have nothing to tell may send a null for it."""
    return [] if body.strip() == b"null" else codec.decoder(list[kind])(body)  # type: ignore[valid-type]


def _processes(body: bytes) -> list[Process]:
    return [_process(row) for row in _rows(_Process, body)]


def _process(row: _Process) -> Process:
    return Process(
        pid=row.pid,
        name=row.name,
        username=row.username,
        membytes=row.membytes,
        cpu_percent=_number(row.cpu_percent),
        extra=row.extra,
    )


def _service_path(agent_id: str, name: str) -> str:
    return f"/services/{segment(agent_id)}/{segment(name)}/"


def _services(body: bytes) -> list[Service]:
    return _rows(Service, body)


def _one_service(path: str, name: str) -> Steps[Service]:
    """One service; 200 also for one that is not there (empty), and for a bus that is down (a word)."""
    answer = yield from ask_agent(path, _service_or_word, waits=_SERVICES_SECONDS)
    if answer is None:
        raise AgentUnreachableError(200, NO_BUS, method="GET", path=path, body=f'"{BUS_DOWN}"')
    if not answer.name:
        raise NotFoundError(200, f"the agent has no service {name!r}", method="GET", path=path)
    return answer


def _service_or_word(body: bytes) -> Service | None:
    return None if sentence(body) == BUS_DOWN else codec.decoder(Service)(body)


def _software(body: bytes) -> list[Software]:
    """The programs; where the server has no list it answers with an empty array, not with an object."""
    if body.lstrip()[:1] == b"[":
        return []
    return [_program(row) for row in codec.decoder(_Installed)(body).software]


def _program(row: _Program) -> Software:
    fields = msgspec.structs.asdict(row)
    return Software(**{**fields, "install_date": _day(row.install_date)})


def _day(text: str | None) -> date | None:
    """The day of "2019-06-09 00:00:00 +0000 UTC"; none for the first day there is, which stands for none."""
    try:
        found = date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
    return None if found.year == 1 else found


def _event_log(body: bytes) -> list[EventLogEntry]:
    return [_entry(row) for row in _rows(_Logged, body)]


def _entry(row: _Logged) -> EventLogEntry:
    return EventLogEntry(
        source=row.source,
        event_type=row.event_type,
        event_id=_whole(row.event_id),
        category=str(row.event_category),
        message=row.message,
        time=_event_time(row.time),
        record=_whole(row.record),
        computer=row.computer,
        extra=row.extra,
    )


def _event_time(text: str | None) -> datetime | None:
    """The time of "Thu Sep 24 22:45:16 2020", whatever the locale."""
    try:
        _, month, day, clock, year = (text or "").split()
        return datetime.fromisoformat(f"{year}-{_MONTHS.index(month) + 1:02}-{day:0>2}T{clock}")
    except ValueError:
        return None


def _updates(agent_id: str, body: bytes) -> list[WindowsUpdate]:
    return [_update(agent_id, row) for row in _rows(_Update, body)]


def _update(agent_id: str, row: _Update) -> WindowsUpdate:
    fields = msgspec.structs.asdict(row)
    lists = {
        name: tuple(filter(None, fields[name])) for name in ("categories", "kb_article_ids", "more_info_urls")
    }
    fields |= {**lists, "date_installed": _installed_at(row.date_installed)}
    return WindowsUpdate(agent_id=agent_id, **fields)


def _installed_at(text: str | None) -> datetime | None:
    """The time of "11 23 2026 14:20"."""
    try:
        month, day, year, clock = (text or "").split()
        return datetime.fromisoformat(f"{year}-{month}-{day}T{clock}")
    except ValueError:
        return None


def _number(value: str | float | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _whole(value: str | int | None) -> int | None:
    try:
        return None if value is None else int(value)
    except ValueError:
        return None
