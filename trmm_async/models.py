"""The nouns: what Tactical RMM is made of, as its users name it.

Imports nothing of the package but `words`. The same on every server; how a server spells them on the wire is
known under `dialects/` alone.

All are frozen. Sequences are tuples and the Structs opt out of garbage collection: holding a hundred
thousand agents then costs a full collection 3 ms in place of 96 (measured). That is sound because nothing
here can form a cycle. Whatever is optional has a default, which stands for null too, and for a value that
can't be read: that one is in `extra`, by the server's names. Sets that a
server may extend (status, severity, shell, check types, …) are `Open`: the known words beside any text.
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
    """What a server sent that we have no field for, by its names. Can't be changed.

    A dict and no `MappingProxyType`, which can be neither pickled nor deep-copied nor encoded.
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
"""A time that has a zone. Where a server leaves it out, the one place that reads answers puts in UTC."""

EXTRA: Final = "extra"
"""The field for what the server sent under other names, or can't be read; never read as itself."""

NOTHING: Final = Extra()

_REPR_MOST: Final = 120
_VALUE_MOST: Final = 150


def no_extra() -> Any:
    """The field `extra`, which the reading of an answer or a dialect fills."""
    return msgspec.field(default=NOTHING)


def as_plain(value: Any) -> Any:
    """The value in the types of JSON: dicts, lists, texts, numbers, True, False and None.

    Times are ISO texts, bytes are Base64, errors their type and text. Fields have our names.
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
    """What is set of it, in the order of its fields, as much as fits on a line or two."""
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
    """What nouns have in common."""

    def to_dict(self) -> dict[str, Any]:
        """All fields by our names, in the types of JSON; times are ISO texts. Secrets are in it, too."""
        return cast("dict[str, Any]", as_plain(self))

    def __repr__(self) -> str:
        return short_repr(self)


class Discreet(Noun, frozen=True, kw_only=True, gc=False):
    """Shows in its repr, and in rich's, only the fields named in `_shown`: the others may be secret."""

    _shown: ClassVar[tuple[str, ...]] = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self._shown]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"
        )


class CheckCounts(Noun, frozen=True, kw_only=True, gc=False):
    """How many of an agent's checks stand where."""

    total: int = 0
    """How many there are."""
    passing: int = 0
    """How many pass."""
    failing: int = 0
    """How many fail with an error."""
    warning: int = 0
    """How many fail with a warning."""
    info: int = 0
    """How many fail with an information."""


class CustomFieldValue(Noun, frozen=True, kw_only=True, gc=False):
    """The value of one custom field; `field` is the field's id. Several values are a tuple.

    The value of a number field is an int or a float; on agents of `agents.iter` and `agents.select`, which
    ask for nothing besides, it is the text that a stock server keeps.
    """

    field: int
    value: Any = None
    """A text, a number, a boolean or several texts, by the field's type; None for none."""

    def __post_init__(self) -> None:
        if isinstance(self.value, list):  # as JSON has several
            msgspec.structs.force_setattr(self, "value", tuple(self.value))


class ClientRef(Noun, frozen=True, kw_only=True, gc=False):
    """The client that an agent belongs to. `id` is None where the server names it without its id."""

    id: int | None = None
    name: str = ""
    """What it is called."""


class SiteRef(Noun, frozen=True, kw_only=True, gc=False):
    """The site that an agent belongs to. `id` is None where the server names it without its id."""

    id: int | None = None
    name: str = ""
    """What it is called."""


class Disk(Noun, frozen=True, kw_only=True, gc=False):
    """One disk of an agent: sizes are text as the agent reports them, `percent` is the used space."""

    device: str = ""
    """The drive or device."""
    free: str = ""
    """What is free, as text with a unit."""
    total: str = ""
    """What there is, as text with a unit."""
    percent: float | None = None


class Agent(Noun, frozen=True, kw_only=True, gc=False):
    """A machine under management.

    `extra` holds what `agents.get` was sent beyond these fields, by the server's names; on agents that come
    from a list only values that could not be read. `total_ram` is in GiB. Agents hash by their id. The fields
    behind `extra` are what a stock server tells; on a gateway they are None or empty, unless it sends them
    too.
    """

    agent_id: str
    """Its id, a text."""
    hostname: str = ""
    """Its host name."""
    client: ClientRef = ClientRef()
    """The client that it belongs to, by id and name."""
    site: SiteRef = SiteRef()
    """The site that it belongs to, by id and name."""
    plat: Open[Platform] | None = None
    """The operating system's family."""
    operating_system: str | None = None
    """Name and version, as the agent tells it."""
    version: str | None = None
    """The version of the agent itself."""
    last_seen: Moment | None = None
    """When it last spoke to the server; None for never."""
    status: Open[AgentStatus] = "unknown"
    """"online", "offline", or "overdue" for one that is offline for long."""
    monitoring_type: Open[MonitoringType] | None = None
    """Server or workstation."""
    logged_in_username: str | None = None
    """Who is logged in; None for nobody."""
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
    """Whether it waits for a reboot."""
    pending_actions_count: int | None = None
    """How many actions wait for it."""
    has_patches_pending: bool | None = None
    """Whether Windows updates wait for it."""
    maintenance_mode: bool | None = None
    """Whether it raises no alerts."""
    checks: CheckCounts | None = None
    """How many of its checks stand how."""
    custom_fields: tuple[CustomFieldValue, ...] = ()
    """The values of custom fields."""
    description: str | None = None
    """What people have written about it."""
    boot_time: Moment | None = None
    """When it was started."""
    goarch: str | None = None
    """The architecture, by the words of Go: "amd64", "arm64"."""
    make_model: str | None = None
    """Maker and model."""
    serial_number: str | None = None
    """The machine's serial number."""
    graphics: str | None = None
    """Its graphics adapters, as one text."""
    physical_disks: tuple[str, ...] = ()
    """The models of its disks."""

    def __hash__(self) -> int:
        return hash(self.agent_id)


class Site(Noun, frozen=True, kw_only=True, gc=False):
    """A site of a client; `client` is known where it came from `trmm.sites`.

    The fields behind `extra` are what a stock server tells: ids of what is set here, not what is inherited.
    """

    id: int
    """The server's number for it."""
    name: str = ""
    """What it is called."""
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
    """A client (a customer, a tenant) with its sites. The fields behind `extra` are as those of `Site`."""

    id: int
    """The server's number for it."""
    name: str = ""
    """What it is called."""
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

    The fields behind `description` are what a stock server tells: `default_timeout` in seconds; `code` only
    from `scripts.get`; `script_type` is "userdefined" or "builtin" (a community script).
    """

    id: int
    """The server's number for it."""
    name: str = ""
    """What it is called."""
    shell: Open[Shell] = ""
    """What it is written for."""
    description: str | None = None
    category: str | None = None
    """Where it stands in the library."""
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
    """What it is for; none for all."""
    hidden: bool | None = None
    """Whether the web client hides it."""
    favorite: bool | None = None
    """Whether it is one of the favourites."""
    code: str | None = None


class ScriptResult(Noun, frozen=True, kw_only=True, gc=False):
    """What came of one run of a script on one agent; `execution_time` is in seconds."""

    retcode: int | None = None
    """The return code; None where the server tells none."""
    stdout: str = ""
    """What it wrote to standard output."""
    stderr: str = ""
    """What it wrote to standard error."""
    execution_time: float | None = None
    extra: Mapping[str, Any] = no_extra()

    @property
    def ok(self) -> bool:
        """Whether the script ended with return code 0."""
        return self.retcode == 0


class CommandResult(Noun, frozen=True, kw_only=True, gc=False):
    """What came of one command on one agent.

    Its two outputs are one text: an agent on Windows sends the error output alone if there is any, others
    send both.

    Attributes:
        exit_code: None where the server did not say it (of `run_command` it never does), or it got lost.
        output: all that is known of what it printed; of a live command with plain newlines.
        from_history: `output` is what the agent reported to the server in the end, since what came live may
            lack something. Of a command that wrote errors on Windows, that report holds the errors alone.
    """

    exit_code: int | None = None
    output: str = ""
    from_history: bool = False

    @property
    def retcode(self) -> int | None:
        """The same as `exit_code`, by the name that a script's result has for it."""
        return self.exit_code

    @property
    def ok(self) -> bool:
        """Whether the command is known to have ended with exit code 0."""
        return self.exit_code == 0


class HistoryEntry(Noun, frozen=True, kw_only=True, gc=False):
    """One thing that was run on an agent, as a stock server's history has it.

    Attributes:
        type: "script_run", "cmd_run" or "task_run".
        username: who ran it.
        command: the command's text; `output` is what it printed, None until the agent has reported.
        script: the script's id; `result` is what came of it, None until the agent has reported.
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
    """What it is called."""
    status: Open[CheckStatus] = ""
    """"passing", "failing" or "pending"."""
    more_info: str | None = None
    """What the agent has told besides."""
    last_run: Moment | None = None
    """When it ran last."""
    agent_id: str | None = None
    result_id: int | None = None
    extra: Mapping[str, Any] = no_extra()


class Alert(Noun, frozen=True, kw_only=True, gc=False):
    """An alert, as it stood when it was read. The fields behind `resolved` are what a stock server tells."""

    id: int
    """The server's number for it."""
    alert_type: Open[AlertType] = ""
    """What raised it."""
    agent_id: str | None = None
    """The agent's id."""
    severity: Open[Severity] = ""
    """How serious it is."""
    message: str = ""
    """What it says."""
    created_at: Moment | None = None
    """When it was raised."""
    snoozed: bool = False
    """Whether it is silent for a while."""
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
    """Until when it is silent."""
    assigned_check: int | None = None
    """The check that raised it, by id."""
    assigned_task: int | None = None
    """The task that raised it, by id."""
    extra: Mapping[str, Any] = no_extra()


class Deployment(Noun, frozen=True, kw_only=True, gc=False):
    """A one-time URL that installs a new agent. `client` and `site` are ids.

    `arch` and `monitoring_type` are what a stock server tells.
    """

    id: int
    """The server's number for it."""
    uuid: str = ""
    """What its URL is known by."""
    client: int | None = None
    site: int | None = None
    expiry: Moment | None = None
    """When it ends."""
    install_flags: str | None = None
    """What the installer switches on."""
    download_url: str = ""
    """Where its installer is."""
    arch: str | None = None
    monitoring_type: Open[MonitoringType] | None = None
    extra: Mapping[str, Any] = no_extra()
