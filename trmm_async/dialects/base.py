"""The intents, and the protocol that every dialect satisfies.

Values arrive here checked (`arguments`). Every method is a pure function; one that a server can't serve
raises `UnsupportedError` with what to use instead.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from trmm_async.calls import ArrayCall, Call, StreamSpec
from trmm_async.limits import RateLimit
from trmm_async.models import Agent, Alert, Check, Client, Deployment, Script, ScriptResult, Site, Task

__all__ = ["AgentFilter", "DeploymentOrder", "Dialect", "ScriptRun", "TaskOrder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFilter:
    """Which agents; None in a field: any. `client` and `site` are ids, `hostname` is exact."""

    hostname: str | None = None
    client: int | None = None
    site: int | None = None
    monitoring_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """One run of a script; `timeout` in seconds, `cmd_id` ties its output chunks to it."""

    script: int
    output: str = "wait"
    args: tuple[str, ...] = ()
    timeout: int = 90
    cmd_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOrder:
    """A deployment to be made; `expires` is aware."""

    client: int
    site: int
    expires: datetime
    arch: str
    install_flags: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrder:
    """An automated task to be made; `schedule` is a five-field cron expression."""

    name: str
    agent: str
    script: int
    schedule: str
    enabled: bool = True


class Dialect(Protocol):
    """A server's language."""

    name: str
    rate_limit: RateLimit | None
    """What such a server allows each key, unless its administrator tuned it."""
    deployment_rate_limit: RateLimit | None
    """What it allows besides on making deployments."""

    def list_agents(self, which: AgentFilter) -> Call[list[Agent]]: ...
    def iter_agents(self, which: AgentFilter) -> ArrayCall[Agent]: ...
    def get_agent(self, agent_id: str) -> Call[Agent]: ...
    def delete_agent(self, agent_id: str) -> Call[None]: ...
    def run_script(self, agent_id: str, run: ScriptRun) -> Call[ScriptResult | None]: ...

    def create_deployment(self, order: DeploymentOrder) -> Call[Deployment]: ...
    def list_deployments(self) -> Call[list[Deployment]]: ...
    def delete_deployment(self, deployment_id: int) -> Call[None]: ...

    def list_clients(self) -> Call[list[Client]]: ...
    def create_client(self, name: str) -> Call[Client]: ...
    def list_sites(self, client_id: int) -> Call[list[Site]]: ...

    def list_scripts(self) -> Call[list[Script]]: ...
    def list_checks(self, agent_id: str | None) -> Call[list[Check]]: ...
    def list_tasks(self) -> Call[list[Task]]: ...
    def create_task(self, order: TaskOrder) -> Call[Task]: ...

    def list_alerts(self) -> Call[list[Alert]]: ...
    def acknowledge_alert(self, alert_id: int) -> Call[None]: ...
    def resolve_alert(self, alert_id: int) -> Call[None]: ...

    def agent_events(self, agent_id: str) -> StreamSpec: ...
