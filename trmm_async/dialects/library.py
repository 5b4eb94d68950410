"""What stands on a stock server itself, as intents; below `beyond`. Values arrive checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from trmm_async.administration import CheckHistoryPoint
from trmm_async.calls import Request
from trmm_async.models import Alert, Client, Script, ScriptResult, Site, Task

__all__ = [
    "AlertFilter",
    "Changes",
    "Library",
    "ScriptOrder",
    "ScriptTrial",
]

Changes: TypeAlias = Mapping[str, Any]
"""What is to be changed, by our nouns' names for it; never empty. `custom_fields` is {field id: value}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts; None in a field: any. `clients` are ids, `days` how far back."""

    days: int | None = None
    clients: tuple[int, ...] | None = None
    severities: tuple[str, ...] | None = None
    resolved: bool | None = None
    snoozed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOrder:
    """A script to be made; `default_timeout` in seconds, `env_vars` are "NAME=value"."""

    name: str
    shell: str
    code: str
    description: str = ""
    category: str | None = None
    args: tuple[str, ...] = ()
    env_vars: tuple[str, ...] = ()
    default_timeout: int = 90
    run_as_user: bool = False
    supported_platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptTrial:
    """Code to be run on an agent without being stored; `timeout` in seconds."""

    code: str
    shell: str
    args: tuple[str, ...] = ()
    env_vars: tuple[str, ...] = ()
    timeout: int = 90
    run_as_user: bool = False


class Library(Protocol):
    """What stands on the server: alerts, checks, tasks, scripts, clients, sites, policies, settings, logs."""

    def get_alert(self, alert_id: int) -> Request[Alert]: ...
    def find_alerts(self, which: AlertFilter) -> Request[list[Alert]]: ...
    def snooze_alert(self, alert_id: int, days: int) -> Request[None]: ...
    def unsnooze_alert(self, alert_id: int) -> Request[None]: ...
    def delete_alert(self, alert_id: int) -> Request[None]: ...
    def resolve_alerts(self, alert_ids: tuple[int, ...]) -> Request[None]: ...
    def snooze_alerts(self, alert_ids: tuple[int, ...], days: int) -> Request[None]: ...

    def run_checks(self, agent_id: str) -> Request[None]: ...
    def reset_check(self, result_id: int) -> Request[None]: ...
    def reset_checks(self, agent_id: str) -> Request[None]: ...
    def check_history(self, result_id: int, days: int | None) -> Request[list[CheckHistoryPoint]]: ...

    def get_task(self, task_id: int) -> Request[Task]: ...
    def update_task(self, task_id: int, changes: Changes) -> Request[None]: ...
    def delete_task(self, task_id: int) -> Request[None]: ...
    def run_task(self, task_id: int, agent_id: str | None) -> Request[None]: ...

    def get_script(self, script_id: int) -> Request[Script]: ...
    def create_script(self, order: ScriptOrder) -> Request[Script]: ...
    def update_script(self, script_id: int, changes: Changes) -> Request[None]: ...
    def delete_script(self, script_id: int) -> Request[None]: ...
    def test_script(self, agent_id: str, trial: ScriptTrial) -> Request[ScriptResult]: ...

    def get_client(self, client_id: int) -> Request[Client]: ...
    def update_client(self, client_id: int, changes: Changes) -> Request[None]: ...
    def delete_client(self, client_id: int, move_to: int | None) -> Request[None]: ...
    def find_sites(self, client_id: int | None) -> Request[list[Site]]: ...
    def get_site(self, site_id: int) -> Request[Site]: ...
    def create_site(self, client_id: int, name: str) -> Request[Site]: ...
    def update_site(self, site_id: int, changes: Changes) -> Request[None]: ...
    def delete_site(self, site_id: int, move_to: int | None) -> Request[None]: ...
