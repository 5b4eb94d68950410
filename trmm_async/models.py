"""The nouns: what Tactical RMM is made of, as its users name it.

Floor 0: imports nothing of the package. The same on every server; how a server spells them on the wire is
known under `dialects/` alone.

All are frozen. Sequences are tuples and the Structs opt out of garbage collection: holding a hundred
thousand agents then costs a full collection 3 ms in place of 96 (measured). That is sound because nothing
here can form a cycle. Whatever is optional has a default, and a server's null counts as absent. Sets that a
server may extend (status, severity, shell, check types, …) are plain strings.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn

import msgspec

__all__ = [
    "Agent",
    "Alert",
    "Check",
    "Client",
    "ClientRef",
    "Deployment",
    "Disk",
    "Extra",
    "Script",
    "ScriptResult",
    "Site",
    "SiteRef",
    "Task",
]


class Extra(dict[str, Any]):
    """What a server sent that we have no field for, by its names. Can't be changed.

    A dict and no `MappingProxyType`, which can be neither pickled nor deep-copied nor encoded.
    """

    def __reduce__(self) -> tuple[type["Extra"], tuple[dict[str, Any]]]:
        return Extra, (dict(self),)

    def _refuse(self, *_args: object, **_named: object) -> NoReturn:
        raise TypeError("extra can't be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


_NOTHING: Final = Extra()

# The name under which no server sends anything: `extra` is ours to fill, never a field on the wire.
_NOT_ON_THE_WIRE: Final = "trmm_async.extra"


class ClientRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The client that an agent belongs to. `id` is None where the server names it without its id."""

    id: int | None = None
    name: str = ""


class SiteRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The site that an agent belongs to. `id` is None where the server names it without its id."""

    id: int | None = None
    name: str = ""


class Disk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One disk of an agent: sizes are text as the agent reports them, `percent` is the used space."""

    device: str = ""
    free: str = ""
    total: str = ""
    percent: float | None = None


class Agent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A machine under management.

    `extra` holds what `agents.get` was sent beyond these fields, by the server's names; it is empty on agents
    that come from a list. `total_ram` is in GiB. Agents hash by their id.
    """

    agent_id: str
    hostname: str = ""
    client: ClientRef = ClientRef()
    site: SiteRef = SiteRef()
    plat: str | None = None
    operating_system: str | None = None
    version: str | None = None
    last_seen: datetime | None = None
    status: str = "unknown"
    monitoring_type: str | None = None
    logged_in_username: str | None = None
    public_ip: str | None = None
    local_ip: str | None = None
    cpu_model: str | None = None
    total_ram: float | None = None
    disks: tuple[Disk, ...] = ()
    extra: Mapping[str, Any] = msgspec.field(default=_NOTHING, name=_NOT_ON_THE_WIRE)

    def __hash__(self) -> int:
        return hash(self.agent_id)


class Site(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A site of a client."""

    id: int
    name: str = ""


class Client(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A client (a customer, a tenant) with its sites."""

    id: int
    name: str = ""
    sites: tuple[Site, ...] = ()


class Script(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A script in the server's library."""

    id: int
    name: str = ""
    shell: str = ""
    description: str | None = None


class ScriptResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What came of one run of a script on one agent; `execution_time` is in seconds."""

    retcode: int | None = None
    stdout: str = ""
    stderr: str = ""
    execution_time: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the script ended with return code 0."""
        return self.retcode == 0


class Check(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A check and its last result. `agent_id` is known where one agent's checks were asked for."""

    id: int
    check_type: str = ""
    name: str = ""
    status: str = ""
    more_info: str | None = None
    last_run: datetime | None = None
    agent_id: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An automated task; `schedule` is a five-field cron expression."""

    id: int
    name: str = ""
    agent_id: str | None = None
    script: int | None = None
    schedule: str | None = None
    enabled: bool | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An alert, as it stood when it was read."""

    id: int
    alert_type: str = ""
    agent_id: str | None = None
    severity: str = ""
    message: str = ""
    created_at: datetime | None = None
    snoozed: bool = False
    resolved: bool = False


class Deployment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A one-time URL that installs a new agent. `client` and `site` are ids."""

    id: int
    uuid: str = ""
    client: int | None = None
    site: int | None = None
    expiry: datetime | None = None
    install_flags: str | None = None
    download_url: str = ""
