"""The objects of Tactical RMM: agents, clients, checks, alerts and so on. They are the same on every server.

All are frozen. An optional field has a default, which also stands for null and for a value that can't be
read; such a value is in `extra`, under the server's name. Where a server may add values later (status,
severity, shell, check types, …), the type is `Open`: the known words, or any other text.

Sequences are tuples, and the Structs opt out of garbage collection: with a hundred thousand agents in memory,
a full collection then takes 3 ms instead of 96 ms (measured). This is safe because nothing here can form a
cycle.

This module imports nothing of the package but `words`. The servers' field names are known only under
`dialects/`.
"""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, ClassVar, Final, NoReturn, TypeAlias, cast

import msgspec

from trmm_async.words import (
    AgentStatus,
    AlertType,
    CheckStatus,
    CheckType,
    HistoryType,
    MonitoringType,
    Open,
    Platform,
    ScriptType,
    Severity,
    Shell,
)

__all__ = [
    "Agent",
    "Alert",
    "Check",
    "CheckCounts",
    "Client",
    "ClientRef",
    "CommandResult",
    "CustomFieldValue",
    "Deployment",
    "Discreet",
    "Disk",
    "Extra",
    "HistoryEntry",
    "Noun",
    "Script",
    "ScriptResult",
    "Site",
    "SiteRef",
    "as_plain",
    "short_repr",
]


class Extra(dict[str, Any]):
    """Values of an answer for which there is no field, under the server's names. It can't be changed.

    It is a dict and not a `MappingProxyType`, which can't be pickled, deep-copied or encoded.
    """

    def __reduce__(self) -> tuple[type["Extra"], tuple[dict[str, Any]]]:
        return Extra, (dict(self),)

    def __hash__(self) -> int:  # type: ignore[override] # a dict has none
        return hash(frozenset(self))

    def _refuse(self, *_args: object, **_named: object) -> NoReturn:
        raise TypeError("extra can't be changed")

    __setitem__: Any = _refuse
    __delitem__: Any = _refuse
    __ior__: Any = _refuse
    clear: Any = _refuse
    pop: Any = _refuse
    popitem: Any = _refuse
    setdefault: Any = _refuse
    update: Any = _refuse


Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""A datetime with a time zone. If a server sends none, it is UTC."""

EXTRA: Final = "extra"
"""The field for values under other names, and for values that can't be read. No answer sets it directly."""

NOTHING: Final = Extra()

_REPR_MOST: Final = 120
_VALUE_MOST: Final = 150


def no_extra() -> Any:
    """The field `extra`, which is filled when an answer is read."""
    return msgspec.field(default=NOTHING)


def as_plain(value: Any) -> Any:
    """Convert a value to the types of JSON: dicts, lists, texts, numbers, True, False and None.

    Times become ISO 8601 texts, bytes become Base64, and errors become their type and text. Fields have our
    names.
    """
    if isinstance(value, msgspec.Struct):
        fields = {name: as_plain(getattr(value, name)) for name in value.__struct_fields__}
        config = value.__struct_config__
        return fields if config.tag_field is None else {config.tag_field: config.tag, **fields}
    if isinstance(value, Mapping):
        return {str(name): as_plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(one) for one in value]
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "text": str(value)}
    if isinstance(value, float) and not isfinite(value):
        return None  # JSON has no such number
    return msgspec.to_builtins(value, enc_hook=repr)


def short_repr(value: msgspec.Struct) -> str:
    """A repr of the fields that are set, in their order, as far as they fit on a line or two."""
    told: list[str] = []
    for name in value.__struct_fields__:
        one = getattr(value, name)
        if one is None or (not one and isinstance(one, str | tuple | Mapping)):
            continue
        if sum(map(len, told)) > _REPR_MOST:
            told.append("…")
            break
        text = repr(one)
        told.append(f"{name}={text if len(text) <= _VALUE_MOST else f'{text[:_VALUE_MOST]}…'}")
    return f"{type(value).__name__}({', '.join(told)})"


class Noun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all objects of Tactical RMM have in common."""

    def to_dict(self) -> dict[str, Any]:
        """All fields by our names, in the types of JSON; times are ISO 8601 texts. It includes secrets."""
        return cast("dict[str, Any]", as_plain(self))

    def __repr__(self) -> str:
        return short_repr(self)


class Discreet(Noun, frozen=True, kw_only=True, gc=False):
    """An object whose repr shows only the fields in `_shown`, since the others may be secret."""

    _shown: ClassVar[tuple[str, ...]] = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self._shown]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"
        )


class CheckCounts(Noun, frozen=True, kw_only=True, gc=False):
    """How many checks an agent has, by their status."""

    total: int = 0
    """How many checks there are."""
    passing: int = 0
    """How many pass."""
    failing: int = 0
    """How many fail with an error."""
    warning: int = 0
    """How many fail with a warning."""
    info: int = 0
    """How many fail with the severity "info"."""


class CustomFieldValue(Noun, frozen=True, kw_only=True, gc=False):
    """The value of one custom field; `field` is the field's id. Several values are a tuple.

    The value of a number field is an int or a float. `agents.iter` and `agents.select` make no further
    request for the fields' types, so on their agents it is the text that a stock server stores.
    """

    field: int
    value: Any = None
    """A text, a number, a boolean or several texts, by the field's type; None if there is no value."""

    def __post_init__(self) -> None:
        if isinstance(self.value, list):  # as JSON has several
            msgspec.structs.force_setattr(self, "value", tuple(self.value))


class ClientRef(Noun, frozen=True, kw_only=True, gc=False):
    """The client of an agent. `id` is None if the server sends only the name."""

    id: int | None = None
    name: str = ""
    """The name."""


class SiteRef(Noun, frozen=True, kw_only=True, gc=False):
    """The site of an agent. `id` is None if the server sends only the name."""

    id: int | None = None
    name: str = ""
    """The name."""


class Disk(Noun, frozen=True, kw_only=True, gc=False):
    """One disk of an agent. Sizes are texts with a unit, from the agent; `percent` is the used space."""

    device: str = ""
    """The drive or device."""
    free: str = ""
    """The free space."""
    total: str = ""
    """The size of the disk."""
    percent: float | None = None


class Agent(Noun, frozen=True, kw_only=True, gc=False):
    """A managed machine.

    The fields after `extra` are sent by a stock server. On a gateway they are None or empty, unless the
    gateway sends them, too. `total_ram` is in GiB. `extra` has the values that `agents.get` received and that
    have no field here, under the server's names; on agents of a list it has only values that could not be
    read. The hash of an agent is that of its id.
    """

    agent_id: str
    """Its id, a text."""
    hostname: str = ""
    """Its host name."""
    client: ClientRef = ClientRef()
    """The client that the agent belongs to, with id and name."""
    site: SiteRef = SiteRef()
    """The site that the agent belongs to, with id and name."""
    plat: Open[Platform] | None = None
    """The operating system's family."""
    operating_system: str | None = None
    """The name and version of the operating system, as the agent reports them."""
    version: str | None = None
    """The version of the agent itself."""
    last_seen: Moment | None = None
    """When the agent last contacted the server; None if it never did."""
    status: Open[AgentStatus] = "unknown"
    """"online", "offline", or "overdue" if it has been offline for long."""
    monitoring_type: Open[MonitoringType] | None = None
    """Server or workstation."""
    logged_in_username: str | None = None
    """The user who is logged in; None if nobody is."""
    public_ip: str | None = None
    """The address that the server sees."""
    local_ip: str | None = None
    """Its own addresses, as one text."""
    cpu_model: str | None = None
    """Its processors, as one text."""
    total_ram: float | None = None
    disks: tuple[Disk, ...] = ()
    """Its disks and how full they are."""
    extra: Mapping[str, Any] = no_extra()
    needs_reboot: bool | None = None
    """Whether the machine needs a reboot."""
    pending_actions_count: int | None = None
    """How many pending actions the agent has."""
    has_patches_pending: bool | None = None
    """Whether Windows updates are pending."""
    maintenance_mode: bool | None = None
    """Whether the agent is in maintenance mode, in which it raises no alerts."""
    checks: CheckCounts | None = None
    """How many checks the agent has, by their status."""
    custom_fields: tuple[CustomFieldValue, ...] = ()
    """The values of custom fields."""
    description: str | None = None
    """The description that users have given it."""
    boot_time: Moment | None = None
    """When it was started."""
    goarch: str | None = None
    """The processor architecture, as Go names it: "amd64", "arm64"."""
    make_model: str | None = None
    """The manufacturer and the model."""
    serial_number: str | None = None
    """The machine's serial number."""
    graphics: str | None = None
    """Its graphics adapters, as one text."""
    physical_disks: tuple[str, ...] = ()
    """The models of its disks."""

    def __hash__(self) -> int:
        return hash(self.agent_id)


class Site(Noun, frozen=True, kw_only=True, gc=False):
    """A site of a client. `client` is known if the site was read by `trmm.sites`.

    The fields after `extra` are sent by a stock server. They are what is set on the site itself, not what it
    inherits.
    """

    id: int
    """The server's number for it."""
    name: str = ""
    """The name."""
    client: ClientRef | None = None
    extra: Mapping[str, Any] = no_extra()
    server_policy: int | None = None
    """The policy of its servers, by id."""
    workstation_policy: int | None = None
    """The policy of its workstations, by id."""
    alert_template: int | None = None
    """Its alert template, by id."""
    block_policy_inheritance: bool | None = None
    """Whether policies from above are kept off."""
    custom_fields: tuple[CustomFieldValue, ...] = ()
    """The values of custom fields."""


class Client(Noun, frozen=True, kw_only=True, gc=False):
    """A client (a customer or tenant) with its sites. The fields after `extra` are like those of `Site`."""

    id: int
    """The server's number for it."""
    name: str = ""
    """The name."""
    sites: tuple[Site, ...] = ()
    """Its sites."""
    extra: Mapping[str, Any] = no_extra()
    server_policy: int | None = None
    """The policy of its servers, by id."""
    workstation_policy: int | None = None
    """The policy of its workstations, by id."""
    alert_template: int | None = None
    """Its alert template, by id."""
    block_policy_inheritance: bool | None = None
    """Whether policies from above are kept off."""
    custom_fields: tuple[CustomFieldValue, ...] = ()
    """The values of custom fields."""


class Script(Noun, frozen=True, kw_only=True, gc=False):
    """A script in the server's library.

    The fields after `description` are sent by a stock server. `default_timeout` is in seconds, and
    `script_type` is "userdefined" or "builtin" (a community script). Only `scripts.get` returns the `code`.
    """

    id: int
    """The server's number for it."""
    name: str = ""
    """The name."""
    shell: Open[Shell] = ""
    """The shell or language that the script is written for."""
    description: str | None = None
    category: str | None = None
    """The category in the library."""
    script_type: Open[ScriptType] | None = None
    args: tuple[str, ...] = ()
    """The arguments."""
    env_vars: tuple[str, ...] = ()
    """The environment variables."""
    default_timeout: int | None = None
    extra: Mapping[str, Any] = no_extra()
    run_as_user: bool | None = None
    """Whether it runs as the user who is logged in."""
    supported_platforms: tuple[Open[Platform], ...] = ()
    """The platforms that it supports; empty: all."""
    hidden: bool | None = None
    """Whether the web client hides it."""
    favorite: bool | None = None
    """Whether it is one of the favourites."""
    code: str | None = None


class ScriptResult(Noun, frozen=True, kw_only=True, gc=False):
    """The result of a script on one agent. `execution_time` is in seconds."""

    retcode: int | None = None
    """The return code; None if the server sends none."""
    stdout: str = ""
    """What the script wrote to standard output."""
    stderr: str = ""
    """What the script wrote to standard error."""
    execution_time: float | None = None
    extra: Mapping[str, Any] = no_extra()

    @property
    def ok(self) -> bool:
        """Whether the script ended with return code 0."""
        return self.retcode == 0


class CommandResult(Noun, frozen=True, kw_only=True, gc=False):
    """The result of a command on one agent.

    Standard output and standard error are one text. If the command wrote to standard error, an agent on
    Windows sends only that; other agents send both.

    Attributes:
        exit_code: the exit code; None if the server did not send it (it never does for `run_command`), or if
            it was lost.
        output: what the command printed, as far as it is known. A live command has plain newlines.
        from_history: whether `output` is the agent's final report to the server instead of the live output,
            because a part of the live output may have been lost. If a command wrote to standard error on
            Windows, that report has only that.
    """

    exit_code: int | None = None
    output: str = ""
    from_history: bool = False

    @property
    def retcode(self) -> int | None:
        """The same as `exit_code`, under the name that a `ScriptResult` uses."""
        return self.exit_code

    @property
    def ok(self) -> bool:
        """Whether the command is known to have ended with exit code 0."""
        return self.exit_code == 0


class HistoryEntry(Noun, frozen=True, kw_only=True, gc=False):
    """A script, command or task that was run on an agent, from a stock server's history.

    Attributes:
        type: "script_run", "cmd_run" or "task_run".
        username: the user who ran it.
        command: the text of the command; `output` is what it printed, None until the agent has reported it.
        script: the script's id; `result` is its result, None until the agent has reported it.
    """

    id: int
    """The server's number for it."""
    agent_id: str | None = None
    """The agent's id."""
    type: Open[HistoryType] = ""
    time: Moment | None = None
    """When it was begun."""
    username: str | None = None
    command: str | None = None
    output: str | None = None
    script: int | None = None
    script_name: str | None = None
    """The script's name; None for what is no script."""
    result: ScriptResult | None = None
    extra: Mapping[str, Any] = no_extra()


class Check(Noun, frozen=True, kw_only=True, gc=False):
    """A check and its last result on an agent; a policy's own checks have no `agent_id` and no result.

    `result_id` is what a stock server calls that result by: None before the first, and on a gateway.
    """

    id: int
    """The server's number for it."""
    check_type: Open[CheckType] = ""
    """What kind of check it is."""
    name: str = ""
    """The name."""
    status: Open[CheckStatus] = ""
    """"passing", "failing" or "pending"."""
    more_info: str | None = None
    """Further information from the agent."""
    last_run: Moment | None = None
    """When it ran last."""
    agent_id: str | None = None
    result_id: int | None = None
    extra: Mapping[str, Any] = no_extra()


class Alert(Noun, frozen=True, kw_only=True, gc=False):
    """An alert, in the state in which it was read. The fields after `resolved` are sent by a stock server."""

    id: int
    """The server's number for it."""
    alert_type: Open[AlertType] = ""
    """What raised it."""
    agent_id: str | None = None
    """The agent's id."""
    severity: Open[Severity] = ""
    """How serious it is."""
    message: str = ""
    """The text of the alert."""
    created_at: Moment | None = None
    """When it was raised."""
    snoozed: bool = False
    """Whether it is snoozed, until `snooze_until`."""
    resolved: bool = False
    hostname: str | None = None
    """The agent's host name."""
    client: str | None = None
    """The name of the agent's client."""
    site: str | None = None
    """The name of the agent's site."""
    resolved_on: Moment | None = None
    """When it was resolved."""
    snooze_until: Moment | None = None
    """Until when it is snoozed."""
    assigned_check: int | None = None
    """The check that raised it, by id."""
    assigned_task: int | None = None
    """The task that raised it, by id."""
    extra: Mapping[str, Any] = no_extra()


class Deployment(Noun, frozen=True, kw_only=True, gc=False):
    """A one-time URL that installs a new agent. `client` and `site` are ids.

    `arch` and `monitoring_type` are sent by a stock server.
    """

    id: int
    """The server's number for it."""
    uuid: str = ""
    """The UUID in its URL."""
    client: int | None = None
    site: int | None = None
    expiry: Moment | None = None
    """When it expires."""
    install_flags: str | None = None
    """The flags of the installer, as a text."""
    download_url: str = ""
    """The URL of its installer."""
    arch: str | None = None
    monitoring_type: Open[MonitoringType] | None = None
    extra: Mapping[str, Any] = no_extra()
