"""The nouns of what is on one agent: processes, services, software, event logs, Windows updates, notes.

Over `models`, whose rules hold here too: frozen, tuples, no garbage collection, a default for
whatever is optional. Only a stock server tells them.

A time here that no server gives a zone for is a `datetime` without one, and says whose clock it is.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from trmm_async.models import no_extra

__all__ = ["EventLogEntry", "Process", "Service", "Software", "WindowsUpdate"]


class Process(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One process; `membytes` is the memory that it uses, in bytes."""

    pid: int
    name: str = ""
    username: str | None = None
    membytes: int | None = None
    cpu_percent: float | None = None
    extra: Mapping[str, Any] = no_extra()


class Service(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One Windows service.

    `status` is "running", "stopped", …; `start_type` is "Automatic", "Manual", "Disabled", …, and `autodelay`
    whether an automatic start is a delayed one. `pid` is 0 if it doesn't run.
    """

    name: str
    display_name: str = ""
    status: str = ""
    start_type: str = ""
    autodelay: bool | None = None
    pid: int | None = None
    binpath: str = ""
    username: str | None = None
    description: str = ""
    extra: Mapping[str, Any] = no_extra()


class Software(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One program that is installed, as the server's list has it.

    `size` is text, as the agent reports it; `uninstall` is the command that removes it.
    """

    name: str
    version: str = ""
    publisher: str = ""
    size: str = ""
    source: str = ""
    location: str = ""
    uninstall: str = ""
    install_date: date | None = None
    extra: Mapping[str, Any] = no_extra()


class EventLogEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry of a Windows event log.

    `event_type` is "INFO", "WARNING", "ERROR", "AUDIT_SUCCESS" or "AUDIT_FAILURE". `time` is by the agent's
    own clock, and has no time zone; None if it can't be read. `record` is its number in the log.
    """

    source: str = ""
    event_type: str = ""
    event_id: int | None = None
    category: str = ""
    message: str = ""
    time: datetime | None = None
    record: int | None = None
    computer: str = ""
    extra: Mapping[str, Any] = no_extra()


class WindowsUpdate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One Windows update of an agent.

    `action` is what is to become of it: "nothing", "approve", "ignore" or "inherit". `date_installed` is by
    the clock of the server's default time zone, and has none itself.
    """

    id: int
    agent_id: str | None = None
    guid: str | None = None
    kb: str | None = None
    title: str = ""
    description: str = ""
    severity: str = ""
    categories: tuple[str, ...] = ()
    installed: bool = False
    downloaded: bool = False
    action: str = ""
    result: str = ""
    date_installed: datetime | None = None
    kb_article_ids: tuple[str, ...] = ()
    more_info_urls: tuple[str, ...] = ()
    support_url: str | None = None
    extra: Mapping[str, Any] = no_extra()
