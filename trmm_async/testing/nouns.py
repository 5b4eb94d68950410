"""The records of a small RMM installation, which can be changed, and the events about them.

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
    "CustomField",
    "Deployment",
    "Disk",
    "Event",
    "FieldValue",
    "RunRecord",
    "Note",
    "Script",
    "ScriptEnded",
    "ScriptPrinted",
    "Site",
    "Task",
    "WentOffline",
]


@dataclass(slots=True)
class CustomField:
    """A field that an administrator added to agents, clients or sites (`model`); stock only.

    `type` is `"text"`, `"number"`, `"single"`, `"multiple"`, `"checkbox"` or `"datetime"`.
    """

    id: int
    name: str
    model: str
    type: str = "text"
    options: list[str] = field(default_factory=list)
    default: object = None
    required: bool = False


@dataclass(slots=True)
class FieldValue:
    """What a custom field, by its id, holds for one agent, client or site."""

    id: int
    field: int
    value: object


@dataclass(slots=True)
class Client:
    """A customer; it has sites."""

    id: int
    name: str
    custom_fields: list[FieldValue] = field(default_factory=list)
    block_policy_inheritance: bool = False
    server_policy: int | None = None
    workstation_policy: int | None = None
    alert_template: int | None = None


@dataclass(slots=True)
class Site:
    """A place of one client; agents belong to it."""

    id: int
    name: str
    client: Client
    custom_fields: list[FieldValue] = field(default_factory=list)
    block_policy_inheritance: bool = False
    server_policy: int | None = None
    workstation_policy: int | None = None
    alert_template: int | None = None


@dataclass(slots=True)
class Disk:
    """One disk of an agent; sizes are words such as `"120.5 GB"`, `percent` is what is used of it."""

    device: str
    free: str
    total: str
    percent: int


@dataclass(slots=True)
class Agent:
    """One endpoint. `status` is `"online"`, `"offline"` or whatever else a test puts there.

    A `hung` one counts as online and never answers. What follows `hung` is shown by the stock dialect alone;
    `last_seen` may be None there, for an agent that has never been seen.
    """

    agent_id: str
    pk: int
    hostname: str
    site: Site
    plat: str
    monitoring_type: str
    operating_system: str
    version: str
    last_seen: float | None
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
    hung: bool = False
    description: str | None = ""
    goarch: str | None = "amd64"
    needs_reboot: bool = False
    maintenance_mode: bool = False
    block_policy_inheritance: bool = False
    policy: int | None = None
    overdue_email_alert: bool = False
    overdue_text_alert: bool = False
    overdue_dashboard_alert: bool = False
    offline_time: int = 4
    overdue_time: int = 30
    check_interval: int = 120
    time_zone: str | None = None
    default_shell: str = "use_global"
    default_shell_custom: str = ""
    custom_fields: list[FieldValue] = field(default_factory=list)
    update_policy: dict[str, object] = field(default_factory=dict)

    @property
    def online(self) -> bool:
        """Whether the server can reach it."""
        return self.status == "online"

    @property
    def answers(self) -> bool:
        """Whether it does what the server sends it."""
        return self.online and not self.hung


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
    """An alert of one agent. An acknowledged one has been seen and is not resolved.

    Only the stock dialect has alerts without an agent (`agent_id` is empty then) and shows what follows
    `acknowledged`.
    """

    id: int
    alert_type: str
    agent_id: str
    severity: str
    message: str | None
    created_at: float
    snoozed: bool = False
    resolved: bool = False
    acknowledged: bool = False
    snooze_until: float | None = None
    resolved_on: float | None = None
    hidden: bool = False
    assigned_check: int | None = None
    assigned_task: int | None = None


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
    mon_type: str = "workstation"
    flags: dict[str, object] = field(default_factory=lambda: {"rdp": 0, "ping": 0, "power": 0})
    created: float = 0.0


@dataclass(slots=True)
class RunRecord:
    """What the stock server remembers of one run on one agent.

    `type` is `"script_run"`, `"cmd_run"` or `"task_run"`. `results` (of a command) and `script_results` are
    None until the agent has reported. `username` is who asked for it.
    """

    id: int
    agent_id: str
    time: float
    type: str
    username: str
    command: str = ""
    script: int | None = None
    results: str | None = None
    script_results: dict[str, object] | None = None
    custom_field: int | None = None
    collector_all_output: bool = False
    save_to_agent_note: bool = False


@dataclass(slots=True)
class Note:
    """A note that somebody left on an agent; stock only."""

    pk: int
    agent_id: str
    username: str
    note: str
    entry_time: float


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
