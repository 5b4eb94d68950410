"""The answers for the model, as types.

Each text from outside (a machine, a user, an administrator) is in a field whose name begins with `untrusted`.
That includes the ids of agents, since a machine brings its own id when it enrolls. All other texts are ours,
or one of a fixed list of words.
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
    """A text from a machine: data, not instructions. `cut` says that it was longer."""

    untrusted_text: str
    cut: bool


@dataclass(frozen=True)
class AgentRow:
    """A summary of an agent."""

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
    """The agents that were found. `total` counts also those that are not listed."""

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
    """Checks that fail. `not_asked` counts the agents that could not be asked."""

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
    """The state of an agent, and the reasons for it."""

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
    """An entry of an agent's history. `returned` is None as long as the result is not known."""

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
    """Entries of the history, the newest first."""

    total: int
    entries: list[HistoryRow]


@dataclass(frozen=True)
class ChangeTarget:
    """The agent or alert of a change: its id, and its name or message."""

    untrusted_id: str
    untrusted_text: str

    def __str__(self) -> str:
        return f"{self.untrusted_text} ({self.untrusted_id})"


@dataclass(frozen=True)
class ChangeResult:
    """The result for one target: "done", "failed" (not done), "unknown" (perhaps done), or "skipped"."""

    untrusted_id: str
    outcome: str
    returned: int | None = None
    said: Untrusted | None = None


@dataclass(frozen=True)
class ChangeReport:
    """What a change would do, or has done. `next` tells the model how to continue."""

    dry_run: bool
    what: str
    targets: list[ChangeTarget]
    results: list[ChangeResult] = field(default_factory=list)
    next: str = ""
