"""The gateway's language: `/api/v3`, and event sockets at `/trmm/{agent_id}/`.

The source of every fact is the gateway's contract. Paths end in a slash: Django redirects those that don't,
and the redirect loses a POST's body.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from trmm_async import codec
from trmm_async.calls import ArrayCall, Call, ErrorHint, Lane, Replay, StreamSpec, ignore_answer
from trmm_async.dialects.base import (
    AgentFilter,
    DeploymentOrder,
    HistoryRun,
    Pushed,
    ScriptRun,
    SentResult,
    TaskOrder,
)
from trmm_async.errors import UnsupportedError
from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, Event, ScriptOutput, UnknownEvent
from trmm_async.kinds import Task
from trmm_async.limits import RateLimit
from trmm_async.models import (
    Agent,
    Alert,
    Check,
    Client,
    Deployment,
    Extra,
    Moment,
    Script,
    ScriptResult,
    Site,
    no_extra,
)

__all__ = ["Gateway"]

T = TypeVar("T")

_AGENT_FIELDS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(Agent))


_ESSENTIAL: Final = frozenset({"output", "done"})
"""A frame in which these can't be read is an `UnknownEvent`: output without its text or end would mislead."""


class _Order(msgspec.Struct, omit_defaults=True, gc=False):
    """The body of a script's run."""

    script: int
    output: str
    args: tuple[str, ...]
    timeout: int
    cmd_id: str | None = None


class _GatewayDetail(Agent, frozen=True, kw_only=True, gc=False):
    """One agent in detail: the gateway passes on what the server says, so `boot_time` is in seconds."""

    boot_time: Moment | float | None = None  # type: ignore[assignment] # an `Agent` is made of it


class _Alert(Alert, frozen=True, kw_only=True, gc=False):
    agent_id: str | None = msgspec.field(default=None, name="agent")


class _GatewayTask(msgspec.Struct):
    """A task of a gateway, which has only a script and a cron expression."""

    id: int
    name: str = ""
    agent_id: str | None = msgspec.field(default=None, name="agent")
    script: int | None = None
    schedule: str | None = None
    enabled: bool | None = None
    extra: Mapping[str, Any] = no_extra()


class _GatewayCheck(Check, frozen=True, kw_only=True, gc=False):
    agent_id: str | None = msgspec.field(default=None, name="agent")


class _Presence(msgspec.Struct):
    agent_id: str | None = None
    time: Moment | None = None


class _Output(msgspec.Struct):
    agent_id: str | None = None
    cmd_id: str = ""
    script: int | None = None
    output: str = ""
    done: bool = False
    exit_code: int | None = None
    extra: Mapping[str, Any] = no_extra()


class _OnlineFrame(msgspec.Struct, tag="agent.online", tag_field="action"):
    data: _Presence

    def event(self, agent_id: str) -> Event:
        return AgentOnline(agent_id=self.data.agent_id or agent_id, time=self.data.time)


class _OfflineFrame(msgspec.Struct, tag="agent.offline", tag_field="action"):
    data: _Presence

    def event(self, agent_id: str) -> Event:
        return AgentOffline(agent_id=self.data.agent_id or agent_id, time=self.data.time)


class _OutputFrame(msgspec.Struct, tag="script.output", tag_field="action"):
    data: _Output

    def event(self, agent_id: str) -> Event:
        data = self.data
        if not _ESSENTIAL.isdisjoint(data.extra):
            raise msgspec.ValidationError("a piece of output whose text or end can't be read")
        return ScriptOutput(
            agent_id=data.agent_id or agent_id,
            cmd_id=data.cmd_id,
            script=data.script,
            output=data.output,
            done=data.done,
            exit_code=data.exit_code,
        )


class _AlertFrame(msgspec.Struct, tag="alert", tag_field="action"):
    data: _Alert

    def event(self, agent_id: str) -> Event:
        return AlertEvent(agent_id=self.data.agent_id or agent_id, alert=_noun(Alert, self.data))


class _AnyFrame(msgspec.Struct):
    action: str | None = None


_Frame: TypeAlias = _OnlineFrame | _OfflineFrame | _OutputFrame | _AlertFrame


class Gateway:
    """The dialect of a gateway."""

    name = "gateway"
    rate_limit: RateLimit | None = RateLimit(100, per=60)
    deployment_rate_limit: RateLimit | None = RateLimit(20, per=60)
    max_waiting: int | None = None

    def list_agents(self, which: AgentFilter) -> Call[list[Agent]]:
        return _agent_list(which)

    def iter_agents(self, which: AgentFilter) -> ArrayCall[Agent]:
        call = _get("agents", ignore_answer, **_agent_query(which))
        return ArrayCall(call=call, rows=partial(codec.array_decoder, Agent))

    def get_agent(self, agent_id: str) -> Call[Agent]:
        return _get(f"agents/{_segment(agent_id)}", _agent_with_extra)

    def delete_agent(self, agent_id: str) -> Call[None]:
        return _change(f"agents/{_segment(agent_id)}", "DELETE")

    def run_script(self, agent_id: str, run: ScriptRun) -> Call[ScriptResult | None]:
        if run.env_vars or run.run_as_user or run.custom_field is not None or run.save_all_output:
            _refuse_extras("agents.run_script", env_vars=run.env_vars, run_as_user=run.run_as_user)
            _refuse_extras(
                "agents.run_script", custom_field=run.custom_field, save_all_output=run.save_all_output
            )
        waits = run.output == "wait"
        order = _Order(
            script=run.script_id, output=run.output, args=run.args, timeout=run.timeout, cmd_id=run.cmd_id
        )
        return Call(
            method="POST",
            path=f"/api/v3/agents/{_segment(agent_id)}/runscript/",
            decode=_result if waits else ignore_answer,
            body=codec.encode(order),
            replay=Replay.NEVER,
            answers_within=run.timeout if waits else None,
            explain=_explain,
        )

    def run_everywhere(self, agent_ids: tuple[str, ...], run: ScriptRun) -> HistoryRun | None:
        del agent_ids, run
        return None

    def create_deployment(self, order: DeploymentOrder) -> Call[Deployment]:
        _refuse_extras("deployments.create", monitoring_type=order.monitoring_type)
        body = {
            "client": order.client,
            "site": order.site,
            "expires": codec.instant(order.expires, "seconds"),
            "arch": order.arch,
            "install_flags": order.install_flags,
        }
        return _create("agents/deployments", body, codec.decoder(Deployment), Lane.DEPLOYMENTS)

    def list_deployments(self) -> Call[list[Deployment]]:
        return _get("agents/deployments", codec.decoder(list[Deployment]))

    def delete_deployment(self, deployment_id: int) -> Call[None]:
        return _change(f"agents/deployments/{deployment_id}", "DELETE")

    def list_clients(self) -> Call[list[Client]]:
        return _get("clients", codec.decoder(list[Client]))

    def create_client(self, name: str, site: str | None = None) -> Call[Client]:
        _refuse_extras("clients.create", site=site)
        return _create("clients", {"name": name}, codec.decoder(Client))

    def list_sites(self, client_id: int) -> Call[list[Site]]:
        return _get(f"clients/{client_id}/sites", codec.decoder(list[Site]))

    def list_scripts(self) -> Call[list[Script]]:
        return _get("scripts", codec.decoder(list[Script]))

    def list_checks(self, agent_id: str) -> Call[list[Check]]:
        return _get("checks", _checks(agent_id), agent=agent_id)

    def list_tasks(self, agent_id: str | None = None) -> Call[list[Task]]:
        return _get("tasks", _tasks(agent_id))

    def create_task(self, order: TaskOrder) -> Call[Task]:
        body = {
            "name": order.name,
            "agent": order.agent,
            "script": order.script,
            "schedule": order.schedule,
            "enabled": order.enabled,
        }
        return _create("tasks", body, _task)

    def list_alerts(self) -> Call[list[Alert]]:
        return _get("alerts", _alerts)

    def acknowledge_alert(self, alert_id: int) -> Call[None]:
        return _change(f"alerts/{alert_id}/acknowledge")

    def resolve_alert(self, alert_id: int) -> Call[None]:
        return _change(f"alerts/{alert_id}/resolve")

    def event_source(self) -> Pushed:
        return Pushed(self.agent_events)

    def agent_events(self, agent_id: str) -> StreamSpec:
        return StreamSpec(
            agent_id=agent_id,
            path=f"/trmm/{_segment(agent_id)}/",
            read=_event,
            refusals=_REFUSALS,
        )

    def require_stock(self, feature: str) -> NoReturn:
        if feature in _INSTEAD:
            raise UnsupportedError(f"{feature}: {_INSTEAD[feature]}")
        raise UnsupportedError(f'{feature}: a gateway has no such call; a stock server has (dialect="stock")')

    def script_output(self, agent_id: str) -> StreamSpec | None:
        return self.agent_events(agent_id)

    def raw(self, call: Call[Any]) -> Call[Any]:
        return msgspec.structs.replace(call, explain=_explain)


_LIBRARY: Final = "a gateway runs scripts of its library only, use fleet.run_script(agents, script)"
_BY_SCRIPT: Final = (
    "a gateway has no such call; a script of its library may do it, use fleet.run_script(agents, script)"
)
_INSTEAD: Final = {
    **dict.fromkeys(
        (
            "agents.reboot",
            "agents.run_command",
            "agents.services",
            "agents.services.control",
            "agents.software.list",
            "agents.windows_updates.list",
        ),
        _BY_SCRIPT,
    ),
    "agents.history": "a gateway has no history, a run has its journal: fleet.run_script(journal=…)",
    "alerts.snooze": "a gateway has no such call, use alerts.acknowledge",
    "webhooks": "a gateway sends no webhooks, its events come at once: events()",
    "login": "the WebSockets of a gateway take the API key, and need no login",
    "fleet.run_command": _LIBRARY,
    "fleet.run_code": _LIBRARY,
    "fleet.scan_patches": _LIBRARY,
    "fleet.install_patches": _LIBRARY,
}
_REFUSALS: Final = MappingProxyType({4401: 401, 4403: 403, 4003: 403, 4404: 404})


def _path(place: str) -> str:
    return f"/api/v3/{place}/"


def _segment(text: str) -> str:
    # Nearly all ids are such: nothing to quote.
    return text if text.isascii() and text.isalnum() else quote(text, safe="")


def _get(place: str, decode: Callable[[bytes], T], **query: object) -> Call[T]:
    given = {name: str(value) for name, value in query.items() if value is not None}
    return Call(method="GET", path=_path(place), decode=decode, query=given, explain=_explain)


@lru_cache(maxsize=16)
def _agent_list(which: AgentFilter) -> Call[list[Agent]]:
    # It is the same call most of the time, and making it takes long compared with a short list.
    return _get("agents", codec.decoder(list[Agent]), **_agent_query(which))


def _change(place: str, method: str = "POST") -> Call[None]:
    """A change that may be sent again: twice has the same effect as once."""
    return Call(
        method=method,
        path=_path(place),
        decode=ignore_answer,
        replay=Replay.IDEMPOTENT,
        gone_is_done=method == "DELETE",
        explain=_explain,
    )


def _create(place: str, body: object, decode: Callable[[bytes], T], *lanes: Lane) -> Call[T]:
    return Call(
        method="POST",
        path=_path(place),
        decode=decode,
        body=codec.encode(body),
        replay=Replay.NEVER,
        lanes=lanes,
        explain=_explain,
    )


def _explain(status: int, body: bytes) -> ErrorHint:
    """The 404 of a gateway is JSON. A page of HTML comes from a server that has no such path."""
    if status == 404 and body.lstrip()[:1] == b"<":
        return ErrorHint(advice='no such path here: is it a stock server (dialect="stock", or "auto")?')
    return ErrorHint()


def _refuse_extras(call: str, **extras: object) -> None:
    """Refuse arguments that a gateway doesn't support: they must not be left out silently."""
    given = [name for name, value in extras.items() if value]
    if given:
        many = "are" if len(given) > 1 else "is"
        raise UnsupportedError(
            f"{' and '.join(given)} {many} not supported by a gateway ({call}); a stock server supports it"
        )


def _agent_query(which: AgentFilter) -> dict[str, object]:
    return {
        "hostname": which.hostname,
        "client": which.client,
        "site": which.site,
        "monitoring_type": which.monitoring_type,
    }


def _agent_with_extra(body: bytes) -> Agent:
    agent: Agent = _noun(Agent, codec.decoder(_GatewayDetail)(body))
    sent = codec.decoder(dict[str, Any])(body)
    extra = {name: value for name, value in sent.items() if name not in _AGENT_FIELDS}
    booted: object = agent.boot_time
    if isinstance(booted, int | float):
        booted = codec.from_epoch(told := booted)
        extra |= {} if booted is not None or not told else {"boot_time": told}
    return msgspec.structs.replace(agent, boot_time=booted, extra=Extra({**extra, **agent.extra}))


def _result(body: bytes) -> ScriptResult:
    return codec.decoder(SentResult)(body).result()


def _checks(agent_id: str) -> codec.ListDecoder[list[Check]]:
    def check(sent: _GatewayCheck) -> Check:
        found = _noun(Check, sent)
        return found if found.agent_id else msgspec.structs.replace(found, agent_id=agent_id)

    return codec.listed(_GatewayCheck, check)


def _tasks(agent_id: str | None) -> codec.ListDecoder[list[Task]]:
    # The contract has no filter for tasks, so those of one agent are selected here.
    def some(rows: list[_GatewayTask]) -> list[Task]:
        tasks = [_noun(Task, task) for task in rows]
        return [task for task in tasks if agent_id is None or task.agent_id == agent_id]

    return codec.ListDecoder(_GatewayTask, some)


def _task(body: bytes) -> Task:
    return _noun(Task, codec.decoder(_GatewayTask)(body))


def _noun(kind: type[T], wire: msgspec.Struct) -> T:
    """The public Struct, made from the private one that has this server's field names."""
    return kind(**msgspec.structs.asdict(wire))


_alerts: Final[codec.ListDecoder[list[Alert]]] = codec.listed(_Alert, partial(_noun, Alert))


def _event(agent_id: str, frame: bytes) -> Event:
    try:
        known: _Frame = codec.decoder(_Frame)(frame)  # type: ignore[arg-type] # a union has a decoder too
        return known.event(agent_id)
    except msgspec.DecodeError:
        return UnknownEvent(agent_id=agent_id, action=_action(frame), raw=bytes(frame))


def _action(frame: bytes) -> str | None:
    try:
        return codec.decoder(_AnyFrame)(frame).action
    except msgspec.DecodeError:
        return None
