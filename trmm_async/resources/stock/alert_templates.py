"""`trmm.alert_templates`."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, TypedDict, Unpack

from trmm_async import arguments
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.creation import make
from trmm_async.dialects.stock.endpoint import delete, put, read, send
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Agent, ClientRef, Noun, SiteRef, no_extra
from trmm_async.resources.names import AnyClient, AnyScript, AnySite
from trmm_async.resources.resource import Resource, refuse_in_use
from trmm_async.resources.stock.policies import (
    EXCLUDED,
    EXCLUDED_AGENTS,
    Policy,
    excluded_by_number,
)
from trmm_async.resources.stock.policy_places import PolicyRef
from trmm_async.resources.stock.url_actions import UrlAction
from trmm_async.words import Severity

__all__ = ["AlertTemplate", "AlertTemplateChanges", "AlertTemplateUse", "AlertTemplates"]


class AlertTemplate(Noun, frozen=True, kw_only=True, gc=False):
    """Who is told of alerts, and what is done about them; `action` is a script, `action_rest` a URL action.

    `…_always_…`: True or False whatever the check or task says, None as it says. `…_periodic_alert_days`:
    told again after so many days, 0 never. `action_timeout` is in seconds. Agents are excluded by the
    integers that the server has for them. `applied_count` is of agents; `default_template`: all have it that
    have no other.
    """

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    is_active: bool = True
    """Whether it does anything."""
    action_type: str = "script"
    """What is done where an alert is raised: "script", "server" or "rest"."""
    action: int | None = None
    action_rest: int | None = None
    action_args: tuple[str, ...] = ()
    """The arguments of that."""
    action_env_vars: tuple[str, ...] = ()
    """The environment variables of that."""
    action_timeout: int = 15
    resolved_action_type: str = "script"
    """What is done where an alert is resolved, as `action_type`."""
    resolved_action: int | None = None
    """The script for that, by id."""
    resolved_action_rest: int | None = None
    """The URL action for that, by id."""
    resolved_action_args: tuple[str, ...] = ()
    """The arguments of that."""
    resolved_action_env_vars: tuple[str, ...] = ()
    """The environment variables of that."""
    resolved_action_timeout: int = 15
    """Seconds that it may take."""
    email_recipients: tuple[str, ...] = ()
    """Addresses for e-mail; none for the server's own."""
    text_recipients: tuple[str, ...] = ()
    """Numbers for text messages; none for the server's own."""
    email_from: str | None = None
    """Who sends the e-mail."""
    agent_email_on_resolved: bool = False
    """Whether e-mail says that an alert of an agent is resolved."""
    agent_text_on_resolved: bool = False
    """The same of text messages."""
    agent_always_email: bool | None = None
    """Whether e-mail goes out whatever is set elsewhere; None for what is set there."""
    agent_always_text: bool | None = None
    """The same of text messages."""
    agent_always_alert: bool | None = None
    """The same of the dashboard."""
    agent_periodic_alert_days: int = 0
    """Days after which it is told again; 0 for never."""
    agent_script_actions: bool = True
    """Whether its actions are carried out."""
    check_email_alert_severity: tuple[str, ...] = ()
    """Severities that e-mail goes out for."""
    check_text_alert_severity: tuple[str, ...] = ()
    """Severities that text messages go out for."""
    check_dashboard_alert_severity: tuple[str, ...] = ()
    """Severities that show on the dashboard."""
    check_email_on_resolved: bool = False
    """Whether e-mail says that an alert of a check is resolved."""
    check_text_on_resolved: bool = False
    """The same of text messages."""
    check_always_email: bool | None = None
    """Whether e-mail goes out whatever is set elsewhere; None for what is set there."""
    check_always_text: bool | None = None
    """The same of text messages."""
    check_always_alert: bool | None = None
    """The same of the dashboard."""
    check_periodic_alert_days: int = 0
    """Days after which it is told again; 0 for never."""
    check_script_actions: bool = True
    """Whether its actions are carried out."""
    task_email_alert_severity: tuple[str, ...] = ()
    """Severities that e-mail goes out for."""
    task_text_alert_severity: tuple[str, ...] = ()
    """Severities that text messages go out for."""
    task_dashboard_alert_severity: tuple[str, ...] = ()
    """Severities that show on the dashboard."""
    task_email_on_resolved: bool = False
    """Whether e-mail says that an alert of a task is resolved."""
    task_text_on_resolved: bool = False
    """The same of text messages."""
    task_always_email: bool | None = None
    """Whether e-mail goes out whatever is set elsewhere; None for what is set there."""
    task_always_text: bool | None = None
    """The same of text messages."""
    task_always_alert: bool | None = None
    """The same of the dashboard."""
    task_periodic_alert_days: int = 0
    """Days after which it is told again; 0 for never."""
    task_script_actions: bool = True
    """Whether its actions are carried out."""
    exclude_workstations: bool = False
    """Whether it does not reach workstations."""
    exclude_servers: bool = False
    """Whether it does not reach servers."""
    excluded_sites: tuple[int, ...] = ()
    """Sites that it does not reach, by id."""
    excluded_clients: tuple[int, ...] = ()
    """Clients that it does not reach, by id."""
    excluded_agents: tuple[int, ...] = ()
    """Agents that it does not reach, by id."""
    default_template: bool | None = None
    applied_count: int | None = None
    extra: Mapping[str, Any] = no_extra()


class AlertTemplateUse(Noun, frozen=True, kw_only=True, gc=False):
    """Where an alert template is set; which agents have it from there is not in it."""

    policies: tuple[PolicyRef, ...] = ()
    """Policies that use it."""
    clients: tuple[ClientRef, ...] = ()
    """Clients that use it."""
    sites: tuple[SiteRef, ...] = ()
    """Sites that use it."""


class _TemplateOptions(TypedDict, total=False):
    is_active: bool
    action_type: Literal["script", "server", "rest"]
    action: AnyScript | None
    action_rest: int | UrlAction | None
    action_args: Sequence[str]
    action_env_vars: Mapping[str, str]
    action_timeout: int
    resolved_action_type: Literal["script", "server", "rest"]
    resolved_action: AnyScript | None
    resolved_action_rest: int | UrlAction | None
    resolved_action_args: Sequence[str]
    resolved_action_env_vars: Mapping[str, str]
    resolved_action_timeout: int
    email_recipients: Sequence[str]
    text_recipients: Sequence[str]
    email_from: str | None
    agent_email_on_resolved: bool
    agent_text_on_resolved: bool
    agent_always_email: bool | None
    agent_always_text: bool | None
    agent_always_alert: bool | None
    agent_periodic_alert_days: int
    agent_script_actions: bool
    check_email_alert_severity: Iterable[Severity]
    check_text_alert_severity: Iterable[Severity]
    check_dashboard_alert_severity: Iterable[Severity]
    check_email_on_resolved: bool
    check_text_on_resolved: bool
    check_always_email: bool | None
    check_always_text: bool | None
    check_always_alert: bool | None
    check_periodic_alert_days: int
    check_script_actions: bool
    task_email_alert_severity: Iterable[Severity]
    task_text_alert_severity: Iterable[Severity]
    task_dashboard_alert_severity: Iterable[Severity]
    task_email_on_resolved: bool
    task_text_on_resolved: bool
    task_always_email: bool | None
    task_always_text: bool | None
    task_always_alert: bool | None
    task_periodic_alert_days: int
    task_script_actions: bool
    exclude_workstations: bool
    exclude_servers: bool
    excluded_sites: Iterable[AnySite]
    excluded_clients: Iterable[AnyClient]
    excluded_agents: Iterable[int | str | Agent]


class AlertTemplateChanges(_TemplateOptions, total=False):
    """What can be set of an alert template; see `AlertTemplate`. What is not given stays."""

    name: str


_type: Final = partial(arguments.choice, allowed=("script", "server", "rest"))
_severities: Final = arguments.each(partial(arguments.choice, allowed=("info", "warning", "error")))
_count: Final = partial(arguments.integer, minimum=0, maximum=2**31 - 1)


def _args(values: object, what: str) -> list[str]:
    return list(arguments.script_args(values, what))


def _env_vars(values: object, what: str) -> list[str]:
    return list(arguments.env_vars(values, what))


def _names(values: object, what: str) -> list[str]:
    return list(arguments.names(values, what))


_CHECKS: Final[arguments.Checks] = {
    "name": partial(arguments.short_text, most=255),
    "is_active": arguments.boolean,
    "action_type": _type,
    "action": arguments.or_none(arguments.reference),
    "action_rest": arguments.or_none(arguments.object_id),
    "action_args": _args,
    "action_env_vars": _env_vars,
    "action_timeout": _count,
    "resolved_action_type": _type,
    "resolved_action": arguments.or_none(arguments.reference),
    "resolved_action_rest": arguments.or_none(arguments.object_id),
    "resolved_action_args": _args,
    "resolved_action_env_vars": _env_vars,
    "resolved_action_timeout": _count,
    "email_recipients": _names,
    "text_recipients": _names,
    "email_from": arguments.or_none(arguments.name),
    "agent_email_on_resolved": arguments.boolean,
    "agent_text_on_resolved": arguments.boolean,
    "agent_always_email": arguments.or_none(arguments.boolean),
    "agent_always_text": arguments.or_none(arguments.boolean),
    "agent_always_alert": arguments.or_none(arguments.boolean),
    "agent_periodic_alert_days": _count,
    "agent_script_actions": arguments.boolean,
    "check_email_alert_severity": _severities,
    "check_text_alert_severity": _severities,
    "check_dashboard_alert_severity": _severities,
    "check_email_on_resolved": arguments.boolean,
    "check_text_on_resolved": arguments.boolean,
    "check_always_email": arguments.or_none(arguments.boolean),
    "check_always_text": arguments.or_none(arguments.boolean),
    "check_always_alert": arguments.or_none(arguments.boolean),
    "check_periodic_alert_days": _count,
    "check_script_actions": arguments.boolean,
    "task_email_alert_severity": _severities,
    "task_text_alert_severity": _severities,
    "task_dashboard_alert_severity": _severities,
    "task_email_on_resolved": arguments.boolean,
    "task_text_on_resolved": arguments.boolean,
    "task_always_email": arguments.or_none(arguments.boolean),
    "task_always_text": arguments.or_none(arguments.boolean),
    "task_always_alert": arguments.or_none(arguments.boolean),
    "task_periodic_alert_days": _count,
    "task_script_actions": arguments.boolean,
    "exclude_workstations": arguments.boolean,
    "exclude_servers": arguments.boolean,
    "excluded_sites": arguments.references,
    "excluded_clients": arguments.references,
    "excluded_agents": EXCLUDED_AGENTS,
}


def template_settings(given: Mapping[str, object], method: str) -> dict[str, Any]:
    """Settings as they are sent. An action needs its type, which the server doesn't check."""
    body = arguments.settings(given, _CHECKS, method)
    for when in ("action", "resolved_action"):
        script, rest = body.get(when), body.get(f"{when}_rest")
        kind = body.get(f"{when}_type")
        if (script is not None or rest is not None) and kind is None:
            raise InvalidRequestError(f"{method}: {when} needs {when}_type, else the server may run another")
        if kind is not None and (rest if kind == "rest" else script) is None:
            wanted = f"{when}_rest" if kind == "rest" else when
            raise InvalidRequestError(f"{method}: {when}_type={kind!r} needs {wanted}, else nothing runs")
    return body


_NAMED_IN_BODY: Final[Mapping[str, str]] = {"action": "script", "resolved_action": "script", **EXCLUDED}

_WITHOUT: Final = {
    "server": "it would run the script on the agent",
    "rest": "it would call nothing",
}
"""What a server would do that is too old for such actions."""

_EVERY: Final = "/alerts/templates/"
_ONE: Final = "/alerts/templates/{template:id}/"

LIST = read("alert_templates.list", _EVERY, list[AlertTemplate])
GET = read("alert_templates.get", _ONE, AlertTemplate)
RELATED = read("alert_templates.related", _ONE + "related/", AlertTemplateUse)
CREATE = send("alert_templates.create", _EVERY)
UPDATE = put("alert_templates.update", _ONE)
DELETE = delete("alert_templates.delete", _ONE)
ASSIGN_POLICY = put("alert_templates.assign", "/automation/policies/{policy:id}/")
ASSIGN_CLIENT = put("alert_templates.assign", "/clients/{client:id}/", needs="client")
ASSIGN_SITE = put("alert_templates.assign", "/clients/sites/{site:id}/", needs="site")
ASSIGN_ALL = put("alert_templates.assign", "/core/settings/")


class AlertTemplates(Resource):
    """Alert templates of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`. What is set reaches the agents some seconds later.
    """

    async def get(self, template: int | AlertTemplate) -> AlertTemplate:
        """Get one alert template.

        Raises:
            NotFoundError: there is no such template.
        """
        return await self._send(GET, template)

    async def related(self, template: int | AlertTemplate) -> AlertTemplateUse:
        """Get the places where an alert template is assigned.

        Raises:
            NotFoundError: there is no such template.
        """
        return await self._send(RELATED, template)

    async def create(self, *, name: str, **settings: Unpack[_TemplateOptions]) -> AlertTemplate:
        """Create an alert template and return it. It is not assigned yet: see `assign`. Never sent twice.

        Args:
            name: its name; others may have the same.
            settings: as `AlertTemplate` has them; an action together with its type.

        Raises:
            InvalidRequestError: a value is wrong, or an action and its type don't go together.
            UnsupportedError: also for "server" and "rest", if the server is older than 0.19.0.
            BadRequestError: there is no such script or URL action.
            PermissionDeniedError: also if the key may not run scripts on the server ("server").
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        body = template_settings({"name": name, **settings}, CREATE.name)
        await self._check_actions(body, CREATE.name)
        await self._names(CREATE.name).in_body(body, _NAMED_IN_BODY)
        return await self._on_stock(CREATE.name, _made(body))

    async def update(self, template: int | AlertTemplate, **changes: Unpack[AlertTemplateChanges]) -> None:
        """Change settings of an alert template. Idempotent: sent again if an answer is lost.

        Raises:
            InvalidRequestError: as for `create`.
            UnsupportedError: as for `create`.
            NotFoundError: there is no such template.
        """
        template_id = arguments.object_id(template, "template")
        body = template_settings(changes, UPDATE.name)
        await self._check_actions(body, UPDATE.name)
        await self._names(UPDATE.name).in_body(body, _NAMED_IN_BODY)
        await self._on_stock(UPDATE.name, _changed(template_id, body))

    async def assign(
        self,
        template: int | AlertTemplate | None,
        *,
        policy: int | Policy | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        everywhere: bool = False,
    ) -> None:
        """Assign an alert template to a policy, a client, a site, or as the default.

        Doing it twice is the same as once. Exactly one of policy, client, site and everywhere must be given.

        Args:
            template: the template; None removes the template that is assigned there.
            policy: the agents that have this policy.
            client: the agents of this client.
            site: the agents of this site.
            everywhere: True for all agents that have no other template.

        Raises:
            BadRequestError: there is no such template.
            NotFoundError: there is no such policy, client or site.
        """
        number = None if template is None else arguments.object_id(template, "template")
        body = {"alert_template": number}
        everywhere = arguments.boolean(everywhere, "everywhere")
        arguments.exactly_one(ASSIGN_ALL.name, policy=policy, client=client, site=site, everywhere=everywhere)
        if policy is not None:
            await self._send(ASSIGN_POLICY, policy, body=body)
        elif client is not None:
            await self._send(ASSIGN_CLIENT, client, body={"client": body})
        elif site is not None:
            await self._send(ASSIGN_SITE, site, body={"site": body})
        else:
            await self._send(ASSIGN_ALL, body=body)

    async def delete(self, template: int | AlertTemplate, *, in_use: bool = False) -> None:
        """Delete an alert template. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            template: the template or its id.
            in_use: True deletes one that is set somewhere too: nobody is told by it any more then. Otherwise
                it is looked up first, and refused.

        Raises:
            InvalidRequestError: it is in use; nothing was deleted.
            NotFoundError: there is no such template.
        """
        template_id = arguments.object_id(template, "template")
        await self._on_stock(DELETE.name, _removed(template_id, in_use=arguments.boolean(in_use, "in_use")))

    async def list(self) -> list[AlertTemplate]:
        """List all alert templates."""
        return await self._send(LIST)

    async def _check_actions(self, body: Mapping[str, object], method: str) -> None:
        """Refuse actions that the server is too old for: it would ignore their type in silence."""
        for kind, otherwise in _WITHOUT.items():
            if kind in {body.get("action_type"), body.get("resolved_action_type")}:
                await self._api.require_since(method, f'action_type="{kind}"', "0.19.0", otherwise)


@plan
def _made(body: dict[str, Any]) -> Steps[AlertTemplate]:
    yield from excluded_by_number(body)
    send = CREATE.call(body=body)
    return (yield from make("alert template", LIST.call(), send, lambda made: made.name == body["name"]))


@plan
def _changed(template_id: int, body: dict[str, Any]) -> Steps[None]:
    yield from excluded_by_number(body)
    yield from UPDATE.call(template_id, body=body)


@plan
def _removed(template_id: int, *, in_use: bool) -> Steps[None]:
    if not in_use:
        template = yield from GET.call(template_id)
        use = yield from RELATED.call(template_id)
        places = (
            *(f"policy {one.name}" for one in use.policies),
            *(f"client {one.name}" for one in use.clients),
            *(f"site {one.name}" for one in use.sites),
            *(["all agents that have no other"] if template.default_template else []),
        )
        refuse_in_use(f"alert_templates.delete: template {template_id}", places)
    yield from DELETE.call(template_id)
