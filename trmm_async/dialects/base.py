"""The intents, and the protocol that every dialect satisfies.

Values arrive here checked (`arguments`). Every method is a pure function; one that a server can't serve
raises `UnsupportedError` with what to use instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

import msgspec

from trmm_async.calls import ArrayCall, Call, Plan, Request, StreamSpec
from trmm_async.kinds import Task
from trmm_async.limits import RateLimit
from trmm_async.models import (
    Agent,
    Alert,
    Check,
    Client,
    Deployment,
    HistoryEntry,
    Script,
    ScriptResult,
    Site,
    no_extra,
)

__all__ = [
    "AgentFilter",
    "CommandHistory",
    "DeploymentOrder",
    "Dialect",
    "History",
    "HistoryRun",
    "Polled",
    "Pushed",
    "ScriptRun",
    "SentResult",
    "TaskOrder",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFilter:
    """Which agents; None in a field: any. `client` and `site` are ids, `hostname` is exact."""

    hostname: str | None = None
    client: int | None = None
    site: int | None = None
    monitoring_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """One run of a script; `timeout` in seconds, `cmd_id` ties its output chunks to it.

    `script` is the id, or the name as long as nobody has looked it up (`resources.names`).
    `env_vars` are "NAME=value"; `custom_field` is where "collector" stores the output, all of it or its last
    line.
    """

    script: int | str
    output: str = "wait"
    args: tuple[str, ...] = ()
    timeout: int = 90
    cmd_id: str | None = None
    env_vars: tuple[str, ...] = ()
    run_as_user: bool = False
    custom_field: int | None = None
    save_all_output: bool = False

    @property
    def script_id(self) -> int:
        """The script's id. Raises TypeError for a name: it would be sent as none."""
        if isinstance(self.script, str):
            raise TypeError(f"the script {self.script!r} was not looked up")
        return self.script


class SentResult(msgspec.Struct):
    """A script's result as servers send it: its seconds are text, or a number."""

    retcode: int | None = None
    stdout: str = ""
    stderr: str = ""
    execution_time: str | float | None = None
    extra: Mapping[str, Any] = no_extra()

    def result(self) -> ScriptResult:
        """As we have it; None for a time that is none."""
        try:
            seconds = None if self.execution_time is None else float(self.execution_time)
        except ValueError:
            seconds = None
        return ScriptResult(
            retcode=self.retcode,
            stdout=self.stdout,
            stderr=self.stderr,
            execution_time=seconds,
            extra=self.extra,
        )


class History(Protocol):
    """How a server's record of what was run is read; each a call that only reads."""

    def newest(self) -> Call[list[HistoryEntry]]:
        """The newest script runs, a few."""
        ...

    def within(self, since: datetime | None, until: datetime | None = None) -> Call[list[HistoryEntry]]:
        """The script runs of that span of the server's clock; None for all there are, and for no end."""
        ...

    def known(self) -> Call[frozenset[str]]:
        """The ids of the agents that the key may see."""
        ...

    def user_of(self, is_it: Callable[[str], bool]) -> Call[str | None]:
        """By which name it has the runs of the API key that `is_it` picks; None if that is not to be seen."""
        ...

    def statuses(self, agent_ids: frozenset[str]) -> Call[Mapping[str, str]]:
        """The status of these agents, as in `Agent.status`; one that is not in it is not known."""
        ...


class CommandHistory(History, Protocol):
    """The same of commands: there is no list of them alone. What one printed is in a row's `result`."""

    def of_one(self, agent_id: str) -> Call[list[HistoryEntry]]:
        """The commands of one agent, all there are."""
        ...

    def keys(self) -> Call[Mapping[int, str]]:
        """The agents' ids, by the numbers that rows name them by."""
        ...

    def of_all(self, agents: Mapping[int, str]) -> Call[list[HistoryEntry]]:
        """The commands of these agents, from the rows of all; in flat memory."""
        ...


@dataclass(frozen=True, slots=True)
class Pushed:
    """Events come over a socket for each agent; `socket` says where that is."""

    socket: Callable[[str], StreamSpec]


@dataclass(frozen=True, slots=True)
class Polled:
    """Events are what is different from one look to the next: at agents, at alerts, and at this history.

    `alert` asks for one alert by its id.
    """

    history: History
    alert: Callable[[int], Request[Alert]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRun:
    """A script or a command that is sent in one call, and leaves a row in the server's history on each agent.

    From these rows its results are collected. Where nobody waits for them, they are not to be taken for the
    rows of another.

    Attributes:
        send: the call; its answer is how many agents the server sends it to, None where it does not say.
        script: the script's id, or the command's text.
        agent_ids: the targets.
        timeout: seconds that it may take.
        rows_come_late: whether the server makes the rows after it has answered, not before.
        is_awaited: whether somebody waits for the results.
        checks: what has to be asked before; raises what speaks against the sending.
    """

    send: Call[int | None]
    script: int | str
    agent_ids: tuple[str, ...]
    timeout: int
    history: History
    rows_come_late: bool = False
    is_awaited: bool = True
    checks: Plan[None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOrder:
    """A deployment to be made; `expires` is aware. `monitoring_type` None: the server's own choice."""

    client: int
    site: int
    expires: datetime
    arch: str
    install_flags: str = ""
    monitoring_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrder:
    """An automated task to be made; `schedule` is a five-field cron expression that was checked.

    `today` is a date from which it may run: some servers want to be told one.
    """

    name: str
    agent: str
    script: int
    schedule: str
    enabled: bool = True
    today: date = date(2000, 1, 1)


class Dialect(Protocol):
    """A server's language."""

    name: str
    rate_limit: RateLimit | None
    """What such a server allows each key, unless its administrator tuned it."""
    deployment_rate_limit: RateLimit | None
    """What it allows besides on making deployments."""
    max_waiting: int | None
    """How many calls should wait for agents at once, since each holds a worker; None for any number."""

    def list_agents(self, which: AgentFilter) -> Request[list[Agent]]: ...
    def iter_agents(self, which: AgentFilter) -> ArrayCall[Agent] | Plan[ArrayCall[Agent]]: ...
    def get_agent(self, agent_id: str) -> Request[Agent]: ...
    def delete_agent(self, agent_id: str) -> Request[None]: ...
    def run_script(self, agent_id: str, run: ScriptRun) -> Request[ScriptResult | None] | HistoryRun: ...
    def run_everywhere(self, agent_ids: tuple[str, ...], run: ScriptRun) -> HistoryRun | None:
        """The same on many agents by one call; None if this server has no such call."""

    def create_deployment(self, order: DeploymentOrder) -> Request[Deployment]: ...
    def list_deployments(self) -> Request[list[Deployment]]: ...
    def delete_deployment(self, deployment_id: int) -> Request[None]: ...

    def list_clients(self) -> Request[list[Client]]: ...
    def create_client(self, name: str, site: str | None = None) -> Request[Client]: ...
    def list_sites(self, client_id: int) -> Request[list[Site]]: ...

    def list_scripts(self) -> Request[list[Script]]: ...
    def list_checks(self, agent_id: str) -> Request[list[Check]]: ...
    def list_tasks(self, agent_id: str | None = None) -> Request[list[Task]]: ...
    def create_task(self, order: TaskOrder) -> Request[Task]: ...

    def list_alerts(self) -> Request[list[Alert]]: ...
    def acknowledge_alert(self, alert_id: int) -> Request[None]: ...
    def resolve_alert(self, alert_id: int) -> Request[None]: ...

    def event_source(self) -> "Pushed | Polled":
        """Where events of agents come from."""
        ...

    def script_output(self, agent_id: str) -> StreamSpec | None:
        """The socket on which a script's output comes while it runs; None where a server has none."""

    def require_stock(self, feature: str) -> None:
        """Nothing on a stock server. `feature` is what the user asked for, as `agents.ping`.

        Raises:
            UnsupportedError: this server has none of it; the text names the feature.
        """
        ...

    def raw(self, call: Call[Any]) -> Call[Any]:
        """A call that the user has worded, with what this server's answers to such calls mean."""
        ...
