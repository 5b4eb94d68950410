"""The things of a small RMM installation, as plain mutable records, and what can happen to them.

Below: nothing. Above: `world.py` keeps them together; a wire dialect gives them their JSON shape. Times are
seconds since the epoch. A test may change any field of a record at any time; the next answer shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "Agent",
    "Alert",
    "AlertChanged",
    "CameOnline",
    "Check",
    "Client",
    "Deployment",
    "Disk",
    "Event",
    "Script",
    "ScriptEnded",
    "ScriptPrinted",
    "Site",
    "Task",
    "WentOffline",
]


@dataclass(slots=True)
class Client:
    """A customer; it has sites."""

    id: int
    name: str


@dataclass(slots=True)
class Site:
    """A place of one client; agents belong to it."""

    id: int
    name: str
    client: Client


@dataclass(slots=True)
class Disk:
    """One disk of an agent; sizes are words such as `"120.5 GB"`, `percent` is what is used of it."""

    device: str
    free: str
    total: str
    percent: int


@dataclass(slots=True)
class Agent:
    """One endpoint. `status` is `"online"`, `"offline"` or whatever else a test puts there."""

    agent_id: str
    pk: int
    hostname: str
    site: Site
    plat: str
    monitoring_type: str
    operating_system: str
    version: str
    last_seen: float
    logged_in_username: str
    public_ip: str
    local_ip: str
    cpu_model: str
    total_ram: float
    make_model: str
    serial_number: str
    boot_time: float
    disks: list[Disk] = field(default_factory=list)
    patches_pending: int = 0
    status: str = "online"

    @property
    def online(self) -> bool:
        """Whether the server can reach it."""
        return self.status == "online"


@dataclass(slots=True)
class Script:
    """A script of the library."""

    id: int
    name: str
    shell: str
    description: str


@dataclass(slots=True)
class Check:
    """One check of one agent."""

    id: int
    agent_id: str
    check_type: str
    name: str
    status: str
    more_info: str
    last_run: float


@dataclass(slots=True)
class Task:
    """An automated task: a script that an agent runs by a five-field cron expression."""

    id: int
    name: str
    agent_id: str
    script: int
    schedule: str
    enabled: bool


@dataclass(slots=True)
class Alert:
    """An alert of one agent. An acknowledged one has been seen and is not resolved."""

    id: int
    alert_type: str
    agent_id: str
    severity: str
    message: str
    created_at: float
    snoozed: bool = False
    resolved: bool = False
    acknowledged: bool = False


@dataclass(slots=True)
class Deployment:
    """A one-time installer; `downloads` counts how often it was fetched."""

    id: int
    uuid: str
    client: int
    site: int
    expiry: float
    arch: str
    install_flags: str = ""
    revoked: bool = False
    downloads: int = 0


@dataclass(frozen=True, slots=True)
class CameOnline:
    """An agent came back."""

    agent_id: str
    time: float


@dataclass(frozen=True, slots=True)
class WentOffline:
    """An agent was lost."""

    agent_id: str
    time: float


@dataclass(frozen=True, slots=True)
class AlertChanged:
    """An alert was raised or resolved; `alert` is how it stands now."""

    agent_id: str
    alert: Alert


@dataclass(frozen=True, slots=True)
class ScriptPrinted:
    """A running script wrote something to its standard output."""

    agent_id: str
    cmd_id: str
    script: int
    output: str


@dataclass(frozen=True, slots=True)
class ScriptEnded:
    """A script came to its end."""

    agent_id: str
    cmd_id: str
    script: int
    exit_code: int


Event = CameOnline | WentOffline | AlertChanged | ScriptPrinted | ScriptEnded
"""Everything that the world publishes."""
