"""`Stock`: every intent of `Dialect` as calls to a stock server."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import (
    ArrayCall,
    Call,
    Lane,
    Plan,
    Request,
    Steps,
    StreamSpec,
    ignore_answer,
    plan,
)
from trmm_async.dialects.base import (
    AgentFilter,
    DeploymentOrder,
    HistoryRun,
    Polled,
    ScriptRun,
    Since,
    TaskOrder,
)
from trmm_async.dialects.stock.agents import (
    AGENT,
    AGENTS,
    SHORT,
    Places,
    ShortAgent,
    agent_ids_if_allowed,
    listed_agents,
)
from trmm_async.dialects.stock.creation import make
from trmm_async.dialects.stock.endpoint import act, as_declared, delete, put, read, read_as, send
from trmm_async.dialects.stock.explanations import sentence
from trmm_async.dialects.stock.nouns import (
    alert_of,
    alerts_of,
    checks_of,
    clients_of,
    deployments_of,
    script_of,
    scripts_of,
    site_of,
    sites_within,
)
from trmm_async.dialects.stock.task_lookups import look_at_scripts
from trmm_async.dialects.stock.tasks import task_body, tasks_of
from trmm_async.errors import (
    APIError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.kinds import Task
from trmm_async.limits import RateLimit
from trmm_async.models import Agent, Alert, Check, Client, Deployment, Script, Site
from trmm_async.plaintext import is_named

__all__ = [
    "ALERT",
    "ALERTS",
    "DASHBOARD_SECONDS",
    "GET_SCRIPT",
    "SCRIPTS",
    "SITE",
    "VERSION",
    "body_for_many",
    "check_age",
    "Stock",
    "version_numbers",
]

T = TypeVar("T")

FIRST_SITE: Final = "Default"
"""The site of a new client if none is given: a stock server has no client without a site."""

_FLAGS: Final = ("power", "ping", "rdp")
_ALLOWED_ON_TOP: Final = 3
"""Seconds that the server adds to the timeout of a script on one agent, also for the agent."""

_SINGLY: Final = 3
_COUNT: Final = re.compile(r" will now (?:run|be run|be installed) on ([0-9]{1,9}) agents?\b")


DASHBOARD_SECONDS: Final = 20.0
"""The server asks the internet for the newest version (5 s) and about its token (15 s)."""


class _Numbered(msgspec.Struct):
    id: int


class _Version(msgspec.Struct):
    trmm_version: str


def _version(body: bytes) -> str:
    return codec.decoder(_Version)(body).trmm_version


ALERT: Final = read("alerts.get", "/alerts/{alert:id}/", Alert, decode=alert_of)

# Not /core/version/, which is the version of the web pages.
VERSION: Final = read("core.version", "/core/dashinfo/", str, decode=_version, waits=DASHBOARD_SECONDS)


def _count(body: bytes) -> int | None:
    """The number of agents that the answer to a call for many names; None if it names none."""
    found = _COUNT.search(sentence(body))
    return int(found.group(1)) if found else None


_ONE: Final = "/agents/{agent:agent}/"
_DEPLOYMENTS: Final = "/clients/deployments/"

DELETE: Final = delete("agents.delete", _ONE)
RUN: Final = send(
    "agents.run_script", _ONE + "runscript/", needs="script output args timeout run_as_user env_vars"
)
FIELDS: Final = read("agents.run_script", "/core/customfields/", list[_Numbered])
_BULK: Final = "/agents/actions/bulk/"
_TO_MANY: Final = "target agents monType osType "
RUN_MANY: Final = act(
    "fleet.run_script",
    _BULK,
    decode=_count,
    needs=_TO_MANY + "mode=script script args timeout run_as_user env_vars",
)
COMMAND_MANY: Final = act(
    "fleet.run_command",
    _BULK,
    decode=_count,
    needs=_TO_MANY + "mode=command cmd shell timeout run_as_user",
)
PATCH_MANY: Final = act("fleet.scan_patches", _BULK, decode=_count, needs=_TO_MANY + "mode=patch patchMode")
DEPLOYMENTS: Final = read("deployments.list", _DEPLOYMENTS, list[Deployment])
DEPLOY: Final = send(
    "deployments.create",
    _DEPLOYMENTS,
    lanes=(Lane.DEPLOYMENTS,),
    needs="client site expires agenttype goarch power ping rdp",
)
UNDEPLOY: Final = delete("deployments.delete", _DEPLOYMENTS + "{deployment:id}/")
CLIENTS: Final = read("clients.list", "/clients/", list[Client], decode=clients_of)
SITES: Final = read("clients.sites", "/clients/{client:id}/", list[Site], decode=sites_within)
SITE: Final = read("sites.get", "/clients/sites/{site:id}/", Site, decode=site_of)
CREATE_CLIENT: Final = send("clients.create", "/clients/", needs="client site")
SCRIPTS: Final = read("scripts.list", "/scripts/", list[Script], decode=scripts_of)
GET_SCRIPT: Final = read("scripts.get", "/scripts/{script:id}/", Script, decode=script_of)
CHECKS: Final = read("checks.list", _ONE + "checks/", list[Check])
TASKS: Final = read("tasks.list", "/tasks/", list[Task], decode=tasks_of({}))
TASKS_OF: Final = read("tasks.list", _ONE + "tasks/", list[Task], decode=tasks_of({}))
CREATE_TASK: Final = send("tasks.create", "/tasks/", needs="name task_type actions")
ALERTS: Final = read("alerts.list", "/alerts/", list[Alert], method="PATCH", decode=alerts_of)
RESOLVE: Final = put("alerts.resolve", "/alerts/{alert:id}/")


class Stock:
    """The dialect of a stock server. `base_url` is for URLs of installers, which the server doesn't send."""

    name = "stock"
    rate_limit: RateLimit | None = None
    deployment_rate_limit: RateLimit | None = None
    max_waiting: int | None = 10

    def __init__(self, base_url: str = "") -> None:
        self.base_url = base_url

    def list_agents(self, which: AgentFilter) -> Request[list[Agent]]:
        if which.hostname is not None:
            return self._named_agents(which.hostname, which)
        return self._listed_agents(which)

    @plan
    def iter_agents(self, which: AgentFilter) -> Steps[ArrayCall[Agent]]:
        places = yield from _places()
        agents = listed_agents(places, partial(_is_wanted, which))
        call = read_as(AGENTS.call(query=_agent_query(which)), ignore_answer)
        return ArrayCall(call=call, rows=partial(agents.rows, batch=1 << 15))

    def get_agent(self, agent_id: str) -> Plan[Agent]:
        return _agent(agent_id)

    def delete_agent(self, agent_id: str) -> Call[None]:
        return DELETE.call(agent_id)

    def run_script(self, agent_id: str, run: ScriptRun) -> HistoryRun:
        if run.output == "collector":
            # The call for many agents stores what an agent reports, and nothing if it is silent. The call for
            # one agent holds a worker while it waits, stores the word "timeout" for a silent agent, and looks
            # up the field only after the script has run.
            if run.custom_field is None:
                raise InvalidRequestError(
                    'output="collector" on a stock server needs custom_field=, the field to store it in'
                )
            stored = self.run_everywhere((agent_id,), run)
            return replace(stored, is_awaited=False, since=_STORED_SINCE, checks=_has_field(run.custom_field))
        return HistoryRun(
            send=_post_script(agent_id, run),
            script=run.script_id,
            agent_ids=(agent_id,),
            timeout=run.timeout + _ALLOWED_ON_TOP,
            is_awaited=run.output == "wait",
        )

    def run_everywhere(self, agent_ids: tuple[str, ...], run: ScriptRun) -> HistoryRun:
        return HistoryRun(
            send=_bulk_script(agent_ids, run),
            script=run.script_id,
            agent_ids=agent_ids,
            timeout=run.timeout,
            rows_come_late=True,
            checks=_has_script(run.script_id),
        )

    def create_deployment(self, order: DeploymentOrder) -> Plan[Deployment]:
        send = DEPLOY.call(body=_deployment_body(order))
        return make("deployment", self.list_deployments(), send, partial(_is_ordered, order))

    def list_deployments(self) -> Call[list[Deployment]]:
        return read_as(DEPLOYMENTS.call(), deployments_of(self.base_url))

    def delete_deployment(self, deployment_id: int) -> Call[None]:
        return UNDEPLOY.call(deployment_id)

    def list_clients(self) -> Call[list[Client]]:
        return CLIENTS.call()

    def create_client(self, name: str, site: str | None = None) -> Plan[Client]:
        name, first = arguments.place_name(name, "name"), arguments.place_name(site or FIRST_SITE, "site")
        body = {"client": {"name": name}, "site": {"name": first}}
        return make(
            "client", self.list_clients(), CREATE_CLIENT.call(body=body), lambda client: client.name == name
        )

    def list_sites(self, client_id: int) -> Call[list[Site]]:
        return SITES.call(client_id)

    def list_scripts(self) -> Call[list[Script]]:
        return SCRIPTS.call()

    def list_checks(self, agent_id: str) -> Call[list[Check]]:
        return read_as(CHECKS.call(agent_id), checks_of(agent_id))

    def list_tasks(self, agent_id: str | None = None) -> Request[list[Task]]:
        return _all_tasks() if agent_id is None else tasks_on(agent_id)

    @plan
    def create_task(self, order: TaskOrder) -> Steps[Task]:
        send = CREATE_TASK.call(body=task_body(order))
        listing = tasks_on(order.agent)
        made = make("task", listing, send, lambda task: task.name == order.name and task.policy is None)
        yield from look_at_scripts((order.script,))
        return (yield from made)

    def list_alerts(self) -> Call[list[Alert]]:
        return ALERTS.call()

    def acknowledge_alert(self, alert_id: int) -> Call[None]:
        raise UnsupportedError(
            f"a stock server can't acknowledge alert {alert_id}, it has no such state: "
            "use alerts.snooze(alert, days=…) to quieten it, or alerts.resolve(alert)"
        )

    def resolve_alert(self, alert_id: int) -> Call[None]:
        return RESOLVE.call(alert_id, body={"id": alert_id, "type": "resolve"})

    def event_source(self) -> Polled:
        return Polled(ALERT.call)

    def require_stock(self, feature: str) -> None:
        del feature

    def script_output(self, agent_id: str) -> StreamSpec | None:
        del agent_id
        return None

    def raw(self, call: Call[Any]) -> Call[Any]:
        return as_declared(call)

    @plan
    def _listed_agents(self, which: AgentFilter) -> Steps[list[Agent]]:
        places = yield from _places()
        agents = listed_agents(places, partial(_is_wanted, which))
        return (yield from read_as(AGENTS.call(query=_agent_query(which)), agents))

    @plan
    def _named_agents(self, hostname: str, which: AgentFilter) -> Steps[list[Agent]]:
        """Find them in the short list, which takes a tenth of the time, and get each one's details."""
        query = {**_agent_query(which), **SHORT}
        listing = read_as(AGENTS.call(query=query), codec.decoder(list[ShortAgent]))
        found = [short.agent_id for short in (yield from listing) if is_named(short.hostname, hostname)]
        if len(found) > _SINGLY:
            return (yield from self._listed_agents(which))
        agents: list[Agent] = []
        for agent_id in found:
            try:
                agents.append((yield from _agent(agent_id)))
            except NotFoundError:
                continue  # removed meanwhile
        return [agent for agent in agents if _is_wanted(which, agent)]


@plan
def _all_tasks() -> Steps[list[Task]]:
    ids = yield from agent_ids_if_allowed()
    return (yield from read_as(TASKS.call(), tasks_of(ids)))


def tasks_on(agent_id: str) -> Call[list[Task]]:
    """The tasks of one agent: its own, and those of its policies, which have no `agent_id`."""
    return read_as(TASKS_OF.call(agent_id), tasks_of(_Everyone(agent_id)))


class _Everyone(Mapping[int, str]):
    """The id of one agent, whichever integer the server has for it."""

    def __init__(self, agent_id: str) -> None:
        self._agent_id = agent_id

    def __getitem__(self, key: int) -> str:
        return self._agent_id

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def _places() -> Steps[Places]:
    """The ids of clients and sites, by their names; none if the key may not see clients."""
    try:
        return Places((yield from CLIENTS.call()))
    except PermissionDeniedError:
        return Places()


@plan
def _agent(agent_id: str) -> Steps[Agent]:
    agent = yield from AGENT.call(agent_id)
    if agent.site.id is None:
        return agent
    try:
        site = yield from SITE.call(agent.site.id)
    except APIError:
        return agent
    return msgspec.structs.replace(
        agent, client=msgspec.structs.replace(agent.client, id=site.client and site.client.id)
    )


def _agent_query(which: AgentFilter) -> dict[str, object]:
    return {"client": which.client, "site": which.site, "monitoring_type": which.monitoring_type}


def _is_wanted(which: AgentFilter, agent: Agent) -> bool:
    """Apply what the server's filters don't: it has none for host names, and ignores `client` beside `site`.

    With both filters, an agent is left out if its client isn't known.
    """
    if which.hostname is not None and not is_named(agent.hostname, which.hostname):
        return False
    if which.client is None or (agent.client.id is None and which.site is None):
        return True
    return agent.client.id == which.client


def _post_script(agent_id: str, run: ScriptRun) -> Call[None]:
    body: dict[str, Any] = {
        "output": "forget",
        "emails": [],
        "emailMode": "default",
        "custom_field": None,
        "save_all_output": False,
        "script": run.script_id,
        "args": run.args,
        "timeout": run.timeout,
        "run_as_user": run.run_as_user,
        "env_vars": run.env_vars,
    }
    return RUN.call(agent_id, body=body)


@plan
def _has_script(script_id: int) -> Steps[None]:
    """Raise `NotFoundError` if the script doesn't exist: the call for many agents would answer 500.

    Any other error is ignored: a key that may run scripts need not be allowed to read them.
    """
    try:
        yield from read_as(GET_SCRIPT.call(script_id), ignore_answer)
    except NotFoundError:
        raise
    except TRMMError:
        pass


def body_for_many(mode: str, agent_ids: tuple[str, ...], *, system: str = "all") -> dict[str, Any]:
    """The part that bodies of all calls for many agents have. The server ignores `offlineAgents`."""
    return {
        "mode": mode,
        "target": "agents",
        "monType": "all",
        "osType": system,
        "agents": agent_ids,
        "client": None,
        "site": None,
        "offlineAgents": False,
    }


def _bulk_script(agent_ids: tuple[str, ...], run: ScriptRun) -> Call[int | None]:
    body = body_for_many("script", agent_ids) | {
        "script": run.script_id,
        "args": run.args,
        "timeout": run.timeout,
        "run_as_user": run.run_as_user,
        "env_vars": run.env_vars,
        "custom_field": run.custom_field,
        "collector_all_output": run.save_all_output,
        "save_to_agent_note": False,
    }
    return RUN_MANY.call(body=body)


_STORED_SINCE: Final = Since(
    "agents.run_script",
    'output="collector"',
    "0.19.4",
    'it would run the script and store nothing. Use output="wait", and agents.update(agent, custom_fields=…)',
)


@plan
def _has_field(field_id: int) -> Steps[None]:
    if field_id not in {field.id for field in (yield from FIELDS.call())}:
        raise InvalidRequestError(f"custom_field: the server has no custom field with the id {field_id}")


def version_numbers(version: str) -> tuple[int, ...]:
    """A version as numbers to compare; empty if it has none, as of a server under development."""
    return tuple(int(number) for number in re.findall(r"[0-9]{1,9}", version)[:3])


def check_age(version: str, what: str, since: str, otherwise: str) -> None:
    """Refuse what a server older than `since` would ignore in silence. `otherwise` is what it would do.

    Raises:
        UnsupportedError: this one is older.
    """
    if (known := version_numbers(version)) and known < version_numbers(since):
        raise UnsupportedError(
            f"{what} needs Tactical RMM {since} or newer, this server is {version}: {otherwise}"
        )


def _deployment_body(order: DeploymentOrder) -> dict[str, Any]:
    if order.arch != "amd64":
        raise UnsupportedError(
            f"a stock server makes deployments for Windows on amd64 only, not {order.arch}: "
            'installers.create(site=…, method="bash") makes one for Linux, "mac" one for macOS'
        )
    flags = order.install_flags.split()
    if unknown := set(flags) - set(_FLAGS):
        raise InvalidRequestError(
            f"install_flags: a stock server knows {', '.join(_FLAGS)}, not {', '.join(sorted(unknown))}"
        )
    return {
        "client": order.client,
        "site": order.site,
        # Without a fraction, which the server refuses.
        "expires": codec.instant(_expiry(order)),
        "agenttype": order.monitoring_type or "server",
        "goarch": order.arch,
        **{flag: int(flag in flags) for flag in _FLAGS},
    }


def _expiry(order: DeploymentOrder) -> datetime:
    return order.expires.astimezone(UTC).replace(microsecond=0)


def _is_ordered(order: DeploymentOrder, made: Deployment) -> bool:
    return (made.site, made.expiry, made.arch) == (order.site, _expiry(order), order.arch)
