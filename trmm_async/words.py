"""The sets of words that Tactical RMM uses for its fields, each as a public `Literal`.

Arguments take only these words, and the error for a typo suggests the right one. Answers are `Open`: a server
may have other words, or newer ones, which are passed on as they are.
"""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, TypeVar

__all__ = [
    "AgentStatus",
    "AlertType",
    "CheckStatus",
    "CheckType",
    "HistoryType",
    "InstancePolicy",
    "MonitoringType",
    "Open",
    "Platform",
    "ScriptType",
    "Severity",
    "Shell",
    "TaskType",
]

AgentStatus: TypeAlias = Literal["online", "offline", "overdue"]
"""How an agent stands."""
AlertType: TypeAlias = Literal["availability", "check", "task", "custom"]
"""What an alert is about."""
CheckStatus: TypeAlias = Literal["passing", "failing", "pending"]
"""How a check stands, or the last run of a task."""
CheckType: TypeAlias = Literal["diskspace", "cpuload", "memory", "ping", "winsvc", "script", "eventlog"]
"""What a check looks at."""
HistoryType: TypeAlias = Literal["script_run", "cmd_run", "task_run"]
"""What was run on an agent."""
InstancePolicy: TypeAlias = Literal["parallel", "queue", "ignore", "stop"]
"""What becomes of a task that is due while it still runs: run beside it, after it, not at all, or instead."""
MonitoringType: TypeAlias = Literal["server", "workstation"]
"""What an agent is monitored as."""
Platform: TypeAlias = Literal["windows", "linux", "darwin"]
"""What an agent runs on, or a script."""
ScriptType: TypeAlias = Literal["userdefined", "builtin"]
"""Whose script it is: ours, or the community's."""
Severity: TypeAlias = Literal["info", "warning", "error"]
"""How bad it is."""
Shell: TypeAlias = Literal["powershell", "cmd", "python", "shell", "nushell", "deno"]
"""What runs a script."""
TaskType: TypeAlias = Literal[
    "daily", "weekly", "monthly", "monthlydow", "runonce", "manual", "checkfailure", "onboarding"
]
"""When a task runs."""

T = TypeVar("T")

if TYPE_CHECKING:
    Open: TypeAlias = T | str
else:

    class Open:
        """One of these words, or another text; when the program runs a text, to which its words are noted."""

        def __class_getitem__(cls, words: object) -> object:
            return Annotated[str, words]
