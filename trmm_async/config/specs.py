"""What the files of a folder contain: one Struct for each kind, decoded strictly.

Field names and values are those of the SDK. A reference to another object is that object's name here, and an
id on the server. A file describes its object completely: a field that it leaves out has the default.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

import msgspec

from trmm_async import kinds
from trmm_async.resources.stock.alert_templates import AlertTemplate
from trmm_async.words import InstancePolicy, Platform, Severity, Shell

__all__ = [
    "ActionSpec",
    "AlertTemplateSpec",
    "CheckSpec",
    "ClientSpec",
    "CustomFieldSpec",
    "DefaultsSpec",
    "KeySpec",
    "MarksSpec",
    "PatchSpec",
    "PolicyFile",
    "PolicySpec",
    "SEVERITY_FIELDS",
    "ScheduleSpec",
    "ScriptSpec",
    "SiteName",
    "SiteSpec",
    "SnippetSpec",
    "Spec",
    "TaskSpec",
    "UrlActionSpec",
    "plain",
    "without_defaults",
]

_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base class of the specs: immutable, and unknown fields are an error."""


class ScriptSpec(Spec, frozen=True, kw_only=True):
    """A user's script. The ending of its file says the `shell`, and the file is the `code`."""

    name: _Name
    shell: Shell
    code: str
    description: str = ""
    category: str | None = None
    args: tuple[str, ...] = ()
    env_vars: Mapping[str, str] = {}
    default_timeout: Annotated[int, msgspec.Meta(ge=1)] = 90
    run_as_user: bool = False
    supported_platforms: tuple[Platform, ...] = ()
    favorite: bool = False
    hidden: bool = False


class MarksSpec(Spec, frozen=True, kw_only=True):
    """What can be set for a script that came with Tactical RMM."""

    name: _Name
    favorite: bool = False
    hidden: bool = False


class SnippetSpec(Spec, frozen=True, kw_only=True):
    """A snippet. Its file has the form of a script's."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    shell: Shell
    code: str
    description: Annotated[str, msgspec.Meta(max_length=50)] = ""


class CustomFieldSpec(Spec, frozen=True, kw_only=True):
    """The definition of a custom field. Its `model` and its `type` can't be changed."""

    name: _Name
    model: Literal["agent", "client", "site"]
    type: Literal["text", "number", "single", "multiple", "checkbox", "datetime"] = "text"
    options: tuple[str, ...] = ()
    required: bool = False
    default: str | bool | tuple[str, ...] | None = None
    hide_in_ui: bool = False
    hide_in_summary: bool = False


class KeySpec(Spec, frozen=True, kw_only=True):
    """An entry of the key store: its name, and where to find its value, never the value itself."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=25)]
    value_from: Annotated[str, msgspec.Meta(pattern=r"^(env:[^=\x00]+|keyring:[^/]+/.+)$")] | None = None


class UrlActionSpec(Spec, frozen=True, kw_only=True):
    """A URL action. `rest_body` and `rest_headers` are JSON texts."""

    name: _Name
    pattern: str
    description: str = ""
    action_type: Literal["web", "rest"] = "web"
    rest_method: Literal["get", "post", "put", "delete", "patch"] = "post"
    rest_body: str = ""
    rest_headers: str = ""


class SiteName(Spec, frozen=True, kw_only=True):
    """A site, named with its client, since two clients may have sites of the same name."""

    client: _Name
    site: _Name


SEVERITY_FIELDS: Final = tuple(
    f"{what}_{how}_alert_severity" for what in ("check", "task") for how in ("email", "text", "dashboard")
)
"""The fields of an alert template that are sets of severities."""
_SERVER_ONLY: Final = {"id", "extra", "default_template", "applied_count"}
_OTHER_TYPES: Final[Mapping[str, Any]] = {
    "action": str | None,
    "action_rest": str | None,
    "resolved_action": str | None,
    "resolved_action_rest": str | None,
    "action_type": Literal["script", "server", "rest"],
    "resolved_action_type": Literal["script", "server", "rest"],
    "action_env_vars": Mapping[str, str],
    "resolved_action_env_vars": Mapping[str, str],
    "excluded_agents": tuple[str, ...],
    "excluded_clients": tuple[str, ...],
    "excluded_sites": tuple[SiteName, ...],
    **dict.fromkeys(SEVERITY_FIELDS, tuple[Severity, ...]),
}
"""The fields whose type in a file differs from that in `AlertTemplate`."""


def _template_fields() -> list[Any]:
    found: list[Any] = [("name", _Name)]
    for field in msgspec.structs.fields(AlertTemplate):
        if field.name in _SERVER_ONLY | {"name"}:
            continue
        default = {} if field.name.endswith("env_vars") else field.default
        found.append((field.name, _OTHER_TYPES.get(field.name, field.type), default))
    return found


AlertTemplateSpec: Final = cast(
    "type[Spec]",
    msgspec.defstruct(
        "AlertTemplateSpec",
        _template_fields(),
        bases=(Spec,),
        namespace={"__doc__": "An alert template; agents are excluded by their ids."},
        module=__name__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    ),
)
"""The fields of `AlertTemplate` without those that only the server sets, and with names in place of ids."""


class _DiskSpace(
    kinds.DiskSpaceCheck, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="diskspace"
):
    pass


class _Cpu(kinds.CpuLoadCheck, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cpuload"):
    pass


class _Memory(kinds.MemoryCheck, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="memory"):
    pass


class _Ping(kinds.PingCheck, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ping"):
    pass


class _Service(kinds.ServiceCheck, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="winsvc"):
    pass


class _Script(kinds.ScriptCheck, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="script"):
    script: str


class _EventLog(kinds.EventLogCheck, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="eventlog"):
    pass


CheckSpec: TypeAlias = _DiskSpace | _Cpu | _Memory | _Ping | _Service | _Script | _EventLog
"""A check of a policy. `check_type` says which Struct it is."""


class _Once(kinds.Once, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="runonce"):
    pass


class _Daily(kinds.Daily, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="daily"):
    pass


class _Weekly(kinds.Weekly, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="weekly"):
    pass


class _Monthly(kinds.Monthly, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="monthly"):
    pass


class _ByWeekday(
    kinds.MonthlyByWeekday, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="monthlydow"
):
    pass


class _Manual(kinds.Manual, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="manual"):
    pass


class _OnBoarding(kinds.OnBoarding, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="onboarding"):
    pass


class _OnFailure(kinds.OnFailure, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="checkfailure"):
    check: str  # type: ignore[assignment] # a label here, and replaced by the id before it is sent


class _RunScript(kinds.ScriptAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="script"):
    script: str


class _RunCommand(kinds.CommandAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="cmd"):
    pass


ScheduleSpec: TypeAlias = (
    _Once | _Daily | _Weekly | _Monthly | _ByWeekday | _Manual | _OnBoarding | _OnFailure
)


ActionSpec: TypeAlias = _RunScript | _RunCommand


class TaskSpec(Spec, frozen=True, kw_only=True):
    """A task of a policy. In a schedule of the type "checkfailure", `check` is the label of a check."""

    name: _Name
    schedule: ScheduleSpec
    actions: Annotated[tuple[ActionSpec, ...], msgspec.Meta(min_length=1)]
    enabled: bool = True
    continue_on_error: bool = True
    severity: Severity = "info"
    email_alert: bool = False
    text_alert: bool = False
    dashboard_alert: bool = False
    collector: str | None = None
    collector_all_output: bool = False
    platforms: tuple[Platform, ...] = ("windows",)
    instance_policy: InstancePolicy = "queue"


class PolicySpec(Spec, frozen=True, kw_only=True):
    """A policy without the objects that belong to it."""

    name: _Name
    description: str = ""
    active: bool = True
    enforced: bool = False
    alert_template: str | None = None
    excluded_clients: tuple[str, ...] = ()
    excluded_sites: tuple[SiteName, ...] = ()
    excluded_agents: tuple[str, ...] = ()


_Approval: TypeAlias = Literal["manual", "approve", "ignore", "inherit"]


class PatchSpec(Spec, frozen=True, kw_only=True):
    """How a policy handles Windows updates. In `run_time_days`, Monday is 0."""

    critical: _Approval = "inherit"
    important: _Approval = "inherit"
    moderate: _Approval = "inherit"
    low: _Approval = "inherit"
    other: _Approval = "inherit"
    run_time_frequency: Literal["daily", "monthly", "inherit"] = "inherit"
    run_time_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 3
    run_time_days: tuple[Annotated[int, msgspec.Meta(ge=0, le=6)], ...] = ()
    run_time_day: Annotated[int, msgspec.Meta(ge=1, le=31)] = 1
    reboot_after_install: Literal["never", "required", "always", "inherit"] = "inherit"
    reprocess_failed_inherit: bool = True
    reprocess_failed: bool = False
    reprocess_failed_times: Annotated[int, msgspec.Meta(ge=0, le=2**15 - 1)] = 5
    email_if_fail: bool = False


class PolicyFile(PolicySpec, frozen=True, kw_only=True):
    """A policy with its patch policy, its checks and its tasks."""

    patch_policy: PatchSpec | None = None
    checks: tuple[CheckSpec, ...] = ()
    tasks: tuple[TaskSpec, ...] = ()


class SiteSpec(Spec, frozen=True, kw_only=True):
    """What is assigned to a site."""

    server_policy: str | None = None
    workstation_policy: str | None = None
    alert_template: str | None = None
    block_policy_inheritance: bool = False
    custom_fields: Mapping[str, str | bool | int | float | tuple[str, ...] | None] = {}
    """Values by the names of custom fields. Other fields are left alone, and `pull` adds none."""


class ClientSpec(SiteSpec, frozen=True, kw_only=True):
    """What is assigned to a client, and to each of its sites."""

    name: _Name
    sites: Mapping[str, SiteSpec] = {}


class DefaultsSpec(Spec, frozen=True, kw_only=True):
    """What is assigned to all agents to which nothing more specific is assigned."""

    server_policy: str | None = None
    workstation_policy: str | None = None
    alert_template: str | None = None


def plain(value: Any) -> Any:
    """The value in the types of JSON, with all fields."""
    if isinstance(value, msgspec.Struct):
        return _tag(value) | {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return _leaf(value, plain)


def without_defaults(value: Any) -> Any:
    """The value in the types of JSON, without the fields that have their default."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        defaults = {
            one.name: one.default if one.default_factory is msgspec.NODEFAULT else one.default_factory()
            for one in fields
        }
        told = [name for name in value.__struct_fields__ if getattr(value, name) != defaults[name]]
        return _tag(value) | {name: without_defaults(getattr(value, name)) for name in told}
    return _leaf(value, without_defaults)


def _tag(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    return {} if config.tag_field is None else {config.tag_field: config.tag}


def _leaf(value: Any, inner: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: inner(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [inner(one) for one in value]
    return msgspec.to_builtins(value, enc_hook=repr)
