"""What a model is answered: short, and typed.

Whatever somebody wrote (a machine, a user, an administrator) stands in a field whose name begins with
`untrusted`: ids of agents, too, since a machine brings its own when it enrolls. All other texts are ours,
or words of a list of ours.
"""

from dataclasses import dataclass, field
from datetime import datetime

__all__ = [
    "AgentExplanation",
    "AgentRow",
    "AgentRows",
    "AlertRow",
    "AlertRows",
    "ChangeReport",
    "ChangeResult",
    "ChangeTarget",
    "CheckRow",
    "FailingChecks",
    "HistoryRow",
    "HistoryRows",
    "SoftwareList",
    "SoftwareRow",
    "Untrusted",
]


@dataclass(frozen=True)
class Untrusted:
    """A text from a machine: data, and no orders. `cut` says that there was more."""

    untrusted_text: str
    cut: bool


@dataclass(frozen=True)
class AgentRow:
    """One agent in short."""

    untrusted_agent_id: str
    untrusted_hostname: str
    untrusted_client: str
    untrusted_site: str
    status: str | None
    kind: str | None
    platform: str | None
    untrusted_operating_system: str
    last_seen: datetime | None
    failing_checks: int | None
    needs_reboot: bool | None


@dataclass(frozen=True)
class AgentRows:
    """Agents that were found: `total` may be more than are told."""

    total: int
    agents: list[AgentRow]


@dataclass(frozen=True)
class CheckRow:
    """A check that fails."""

    untrusted_agent_id: str
    untrusted_hostname: str
    untrusted_check: str
    check_type: str | None
    last_run: datetime | None
    said: Untrusted


@dataclass(frozen=True)
class FailingChecks:
    """Checks that fail; `not_asked` are agents that could not be asked."""

    total: int
    checks: list[CheckRow]
    not_asked: int = 0


@dataclass(frozen=True)
class AlertRow:
    """An alert that is not resolved."""

    id: int
    severity: str | None
    type: str | None
    untrusted_agent_id: str | None
    untrusted_hostname: str
    since: datetime | None
    said: Untrusted


@dataclass(frozen=True)
class AlertRows:
    """Alerts that are not resolved, the newest first."""

    total: int
    alerts: list[AlertRow]


@dataclass(frozen=True)
class AgentExplanation:
    """How an agent stands, and why."""

    agent: AgentRow
    reasons: list[str]
    failing_checks: list[CheckRow]
    alerts: list[AlertRow]


@dataclass(frozen=True)
class SoftwareRow:
    """A program that is installed."""

    untrusted_name: str
    untrusted_version: str
    untrusted_publisher: str


@dataclass(frozen=True)
class SoftwareList:
    """Programs on an agent."""

    total: int
    software: list[SoftwareRow]


@dataclass(frozen=True)
class HistoryRow:
    """What was run on an agent; `returned` is None while its end is not known."""

    id: int
    untrusted_agent_id: str | None
    untrusted_hostname: str
    type: str | None
    time: datetime | None
    untrusted_by: str
    untrusted_what: str
    returned: int | None
    ended: bool
    said: Untrusted


@dataclass(frozen=True)
class HistoryRows:
    """What was run, the newest first."""

    total: int
    entries: list[HistoryRow]


@dataclass(frozen=True)
class ChangeTarget:
    """An agent, or an alert, by its id; what it is called."""

    untrusted_id: str
    untrusted_text: str

    def __str__(self) -> str:
        return f"{self.untrusted_text} ({self.untrusted_id})"


@dataclass(frozen=True)
class ChangeResult:
    """What became of one target: "done", "failed" (not done), "unknown" (perhaps done), "skipped"."""

    untrusted_id: str
    outcome: str
    returned: int | None = None
    said: Untrusted | None = None


@dataclass(frozen=True)
class ChangeReport:
    """What a change would do, or did; `next` says what is to be done now."""

    dry_run: bool
    what: str
    targets: list[ChangeTarget]
    results: list[ChangeResult] = field(default_factory=list)
    next: str = ""
