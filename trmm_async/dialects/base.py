"""The intents, and the protocol that every dialect satisfies.

Values were checked before (`arguments`). Every method is a pure function. If a server can't do something, the
method raises `UnsupportedError`, which says what to use instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

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
    Script,
    ScriptResult,
    Site,
    no_extra,
)

__all__ = [
    "AgentFilter",
    "DeploymentOrder",
    "Dialect",
    "HistoryRun",
    "Polled",
    "Pushed",
    "ScriptRun",
    "SentResult",
    "TaskOrder",
    "float_of",
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
    """One run of a script; `timeout` in seconds. Pieces of its output have its `cmd_id`.

    `script` is the id, or the name until it has been looked up (`resources.names`).
    `env_vars` are "NAME=value". `custom_field` is where "collector" stores the output: all of it
    (`save_all_output`), or its last line.
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
        """The same as a `ScriptResult`."""
        return ScriptResult(
            retcode=self.retcode,
            stdout=self.stdout,
            stderr=self.stderr,
            execution_time=float_of(self.execution_time),
            extra=self.extra,
        )


def float_of(sent: str | float | None) -> float | None:
    """A number that servers send as text or as a number; None for what is no number."""
    try:
        return None if sent is None else float(sent)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Pushed:
    """Events come over a socket of each agent; `socket` makes its `StreamSpec`."""

    socket: Callable[[str], StreamSpec]


@dataclass(frozen=True, slots=True)
class Polled:
    """Events are the differences between two polls: of agents, of alerts, and of the history of scripts.

    `alert` asks for one alert by its id.
    """

    alert: Callable[[int], Request[Alert]]


class Since(NamedTuple):
    """The first version of the server that heeds an argument. An older one ignores it in silence.

    Attributes:
        name: the method.
        given: the argument, as the user has written it.
        version: the version.
        otherwise: what an older server would do.
    """

    name: str
    given: str
    version: str
    otherwise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRun:
    """A script or a command that is sent in one call, and gets a row in the server's history for each agent.

    Its results are collected from these rows. If nobody waits for them, the rows still must not be taken for
    those of another run.

    Attributes:
        send: the call. Its answer is the number of agents that it is sent to; None if that isn't said.
        script: the script's id, or the command's text.
        agent_ids: the targets.
        timeout: seconds that it may take.
        rows_come_late: whether the server writes the rows after it has answered, not before.
        is_awaited: whether somebody waits for the results.
        since: the version that the server must have.
        checks: calls to make before; they raise if it must not be sent.
    """

    send: Call[int | None]
    script: int | str
    agent_ids: tuple[str, ...]
    timeout: int
    rows_come_late: bool = False
    is_awaited: bool = True
    since: Since | None = None
    checks: Plan[None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOrder:
    """A deployment to create. `expires` has a time zone. `monitoring_type` None: the server chooses."""

    client: int
    site: int
    expires: datetime
    arch: str
    install_flags: str = ""
    monitoring_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrder:
    """An automated task to create. `schedule` is a five-field cron expression that was checked.

    `today` is the date from which it may run, which some servers require.
    """

    name: str
    agent: str
    script: int
    schedule: str
    enabled: bool = True
    today: date = date(2000, 1, 1)


class Dialect(Protocol):
    """One kind of server: what it is to be asked for each intent, and how its answers read."""

    name: str
    rate_limit: RateLimit | None
    """What such a server allows each key, unless its administrator has changed it."""
    deployment_rate_limit: RateLimit | None
    """The further limit on creating deployments."""
    max_waiting: int | None
    """How many calls may wait for agents at once, since each holds a worker; None for any number."""

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
        """Where the events of agents come from."""
        ...

    def script_output(self, agent_id: str) -> StreamSpec | None:
        """The socket that sends a script's output while it runs; None if the server has none."""

    def require_stock(self, feature: str) -> None:
        """Refuse what only a stock server has. `feature` is what the user called, such as `agents.ping`.

        Raises:
            UnsupportedError: this is another kind of server.
        """
        ...

    def raw(self, call: Call[Any]) -> Call[Any]:
        """A call that the user made (`trmm.request`), with what this server's refusals of it mean."""
        ...
