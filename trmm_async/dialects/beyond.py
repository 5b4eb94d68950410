"""What a stock server offers beyond a gateway, as intents.

Below `base`; of each dialect `Dialect.beyond` gives it, or raises `UnsupportedError`. Values arrive checked,
every method is a pure function.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from trmm_async.calls import Request
from trmm_async.dialects.library import Library
from trmm_async.inventory import (
    CommandResult,
    EventLogEntry,
    Note,
    Process,
    Service,
    Software,
    WindowsUpdate,
)
from trmm_async.models import HistoryEntry

__all__ = ["AgentActions", "Beyond", "CommandRun", "Library"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """One run of a command; `timeout` in seconds.

    `shell` None: the usual one of the agent's platform `plat`, which the server is asked for if that is None
    too. `custom_shell` is a program's path, for the shell "custom".
    """

    command: str
    shell: str | None = None
    custom_shell: str | None = None
    timeout: int = 30
    run_as_user: bool = False
    plat: str | None = None


class AgentActions(Protocol):
    """What is done to one agent, and asked of it."""

    def run_command(self, agent_id: str, run: CommandRun) -> Request[CommandResult]: ...
    def ping_agent(self, agent_id: str) -> Request[bool]: ...
    def reboot_agent(self, agent_id: str) -> Request[None]: ...
    def reboot_agent_at(self, agent_id: str, at: datetime) -> Request[None]:
        """At a whole minute; without a time zone it is by the agent's clock."""

    def shut_down_agent(self, agent_id: str) -> Request[None]: ...
    def recover_agent(self, agent_id: str, mode: str) -> Request[None]: ...
    def update_agent(
        self, agent_id: str, changes: Mapping[str, object], custom_fields: Mapping[int, Any]
    ) -> Request[None]: ...
    def maintain_agents(self, kind: str, object_id: int, on: bool) -> Request[int]:
        """All agents of a "Client" or a "Site"; how many the server says they were."""

    def agent_history(self, agent_id: str) -> Request[list[HistoryEntry]]: ...

    def list_processes(self, agent_id: str) -> Request[list[Process]]: ...
    def kill_process(self, agent_id: str, pid: int) -> Request[None]: ...
    def list_services(self, agent_id: str) -> Request[list[Service]]: ...
    def get_service(self, agent_id: str, name: str) -> Request[Service]: ...
    def control_service(self, agent_id: str, name: str, action: str) -> Request[None]: ...
    def edit_service(self, agent_id: str, name: str, start_type: str) -> Request[None]: ...
    def list_software(self, agent_id: str) -> Request[list[Software]]: ...
    def refresh_software(self, agent_id: str) -> Request[None]: ...
    def read_event_log(self, agent_id: str, log: str, days: int) -> Request[list[EventLogEntry]]: ...
    def list_windows_updates(self, agent_id: str) -> Request[list[WindowsUpdate]]: ...
    def edit_windows_update(self, update_id: int, action: str) -> Request[None]: ...
    def scan_windows_updates(self, agent_id: str) -> Request[None]: ...
    def install_windows_updates(self, agent_id: str) -> Request[None]: ...

    def list_notes(self, agent_id: str) -> Request[list[Note]]: ...
    def add_note(self, agent_id: str, note: str) -> Request[Note]: ...
    def edit_note(self, note_id: int, note: str) -> Request[None]: ...
    def delete_note(self, note_id: int) -> Request[None]: ...


class Beyond(AgentActions, Library, Protocol):
    """All of it."""
