"""trmm_async: the asyncio SDK for Tactical RMM.

    async with TRMM("https://api.example.com", api_key="…") as trmm:
        for agent in await trmm.agents.list(monitoring_type="server"):
            print(agent.hostname, agent.status)

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from trmm_async._version import __version__

if TYPE_CHECKING:
    from trmm_async.client import TRMM
    from trmm_async.dialects.stock.checks import CheckDetails
    from trmm_async.errors import (
        AgentLostError,
        AgentSilentError,
        AgentUnreachableError,
        AmbiguousNameError,
        APIError,
        AuthenticationError,
        BadRequestError,
        ClosedError,
        ConnectionFailedError,
        DecodeError,
        HalfDoneError,
        IncompleteError,
        InvalidRequestError,
        JournalError,
        NotFoundError,
        OutcomeUnknownError,
        PermissionDeniedError,
        RateLimitedError,
        RecordedError,
        RedirectedError,
        ServerError,
        ServerFaultError,
        StillInMaintenanceError,
        TimeoutError,
        TRMMError,
        UnidentifiedError,
        UnknownNameError,
        UnsupportedError,
    )
    from trmm_async.events import (
        AgentOffline,
        AgentOnline,
        AlertEvent,
        CommandOutput,
        DashboardCounts,
        Ended,
        Event,
        Gap,
        Live,
        ScriptOutput,
        UnknownEvent,
    )
    from trmm_async.fleet import FleetRun, Group, Journal, as_csv, as_jsonl, as_row, groups_of, report
    from trmm_async.kinds import (
        CheckKind,
        CpuLoadCheck,
        DiskSpaceCheck,
        EventLogCheck,
        MemoryCheck,
        PingCheck,
        ScriptCheck,
        ServiceCheck,
    )
    from trmm_async.limits import RateLimit
    from trmm_async.mirror import Change, Changes, Maintenance, Mirror, MirrorSettings
    from trmm_async.models import (
        Agent,
        Alert,
        Check,
        CheckCounts,
        Client,
        ClientRef,
        CommandResult,
        CustomFieldValue,
        Deployment,
        Disk,
        HistoryEntry,
        Script,
        ScriptResult,
        Site,
        SiteRef,
        Task,
    )
    from trmm_async.observing import (
        Attempt,
        CallEnded,
        Observation,
        Retry,
        RunEnded,
        RunOutcome,
        RunStarted,
        Stats,
        Waited,
        Waiting,
    )
    from trmm_async.outcomes import Counts, Done, Failed, Outcome, Skipped, Unknown
    from trmm_async.resources.checks import CheckHistoryPoint, CheckOnAgent
    from trmm_async.resources.commands import CommandSettings
    from trmm_async.resources.scripts import ScriptFile
    from trmm_async.resources.selector import Selector
    from trmm_async.resources.stock.actions import RemoteControl
    from trmm_async.resources.stock.alert_templates import AlertTemplate, AlertTemplateUse
    from trmm_async.resources.stock.api_keys import ApiKey
    from trmm_async.resources.stock.audit_log import AuditEntry
    from trmm_async.resources.stock.core import Dashboard, DebugEntry, ServerSettings, ServerStatus
    from trmm_async.resources.stock.custom_fields import CustomField
    from trmm_async.resources.stock.event_log import EventLogEntry
    from trmm_async.resources.stock.installers import Installer
    from trmm_async.resources.stock.key_store import KeyStoreEntry
    from trmm_async.resources.stock.notes import Note
    from trmm_async.resources.stock.pending_actions import PendingAction
    from trmm_async.resources.stock.policies import (
        ClientPolicies,
        PatchPolicy,
        Policy,
        PolicyPlace,
        PolicyRef,
        PolicyUse,
    )
    from trmm_async.resources.stock.processes import Process
    from trmm_async.resources.stock.registry import RegistryKey, RegistryValue
    from trmm_async.resources.stock.roles import Role
    from trmm_async.resources.stock.schedules import Schedule
    from trmm_async.resources.stock.services import Service
    from trmm_async.resources.stock.snippets import Snippet
    from trmm_async.resources.stock.software import Software
    from trmm_async.resources.stock.url_actions import UrlAction
    from trmm_async.resources.stock.users import User, UserSession
    from trmm_async.resources.stock.windows_updates import WindowsUpdate
    from trmm_async.resources.tasks import TaskOnAgent
    from trmm_async.stream import Consumer, Handler, StreamSettings, StreamState, Subscription
    from trmm_async.transport.connector import Connector
    from trmm_async.transport.raw import RawResponse
    from trmm_async.webhooks import WebhookReceiver, WebhookSetup

_ROOMS: Final = {
    "client": ("TRMM",),
    "errors": (
        "APIError",
        "AgentLostError",
        "AgentSilentError",
        "AgentUnreachableError",
        "AmbiguousNameError",
        "AuthenticationError",
        "BadRequestError",
        "ClosedError",
        "ConnectionFailedError",
        "DecodeError",
        "HalfDoneError",
        "IncompleteError",
        "InvalidRequestError",
        "JournalError",
        "NotFoundError",
        "OutcomeUnknownError",
        "PermissionDeniedError",
        "RateLimitedError",
        "RecordedError",
        "RedirectedError",
        "ServerError",
        "ServerFaultError",
        "StillInMaintenanceError",
        "TRMMError",
        "TimeoutError",
        "UnidentifiedError",
        "UnknownNameError",
        "UnsupportedError",
    ),
    "events": (
        "AgentOffline",
        "AgentOnline",
        "AlertEvent",
        "CommandOutput",
        "DashboardCounts",
        "Ended",
        "Event",
        "Gap",
        "Live",
        "ScriptOutput",
        "UnknownEvent",
    ),
    "mirror": ("Change", "Changes", "Maintenance", "Mirror", "MirrorSettings"),
    "models": (
        "Agent",
        "Alert",
        "Check",
        "CheckCounts",
        "Client",
        "ClientRef",
        "CustomFieldValue",
        "CommandResult",
        "Deployment",
        "Disk",
        "HistoryEntry",
        "Script",
        "ScriptResult",
        "Site",
        "SiteRef",
        "Task",
    ),
    "observing": (
        "Attempt",
        "CallEnded",
        "Observation",
        "Retry",
        "RunEnded",
        "RunOutcome",
        "RunStarted",
        "Stats",
        "Waited",
        "Waiting",
    ),
    "outcomes": ("Counts", "Done", "Failed", "Outcome", "Skipped", "Unknown"),
    "fleet": ("FleetRun", "Group", "Journal", "as_csv", "as_jsonl", "as_row", "groups_of", "report"),
    "limits": ("RateLimit",),
    "resources.checks": (
        "CheckHistoryPoint",
        "CheckOnAgent",
    ),
    "resources.commands": ("CommandSettings",),
    "resources.selector": ("Selector",),
    "resources.stock.notes": ("Note",),
    "resources.stock.audit_log": ("AuditEntry",),
    "resources.stock.core": ("Dashboard", "DebugEntry", "ServerSettings", "ServerStatus"),
    "resources.stock.custom_fields": ("CustomField",),
    "resources.stock.key_store": ("KeyStoreEntry",),
    "resources.stock.event_log": ("EventLogEntry",),
    "resources.stock.processes": ("Process",),
    "resources.stock.services": ("Service",),
    "resources.stock.software": ("Software",),
    "resources.stock.windows_updates": ("WindowsUpdate",),
    "resources.stock.policies": (
        "ClientPolicies",
        "PatchPolicy",
        "Policy",
        "PolicyPlace",
        "PolicyRef",
        "PolicyUse",
    ),
    "resources.stock.pending_actions": ("PendingAction",),
    "resources.stock.snippets": ("Snippet",),
    "resources.scripts": ("ScriptFile",),
    "resources.stock.users": ("User", "UserSession"),
    "resources.stock.roles": ("Role",),
    "resources.stock.api_keys": ("ApiKey",),
    "kinds": (
        "CheckKind",
        "CpuLoadCheck",
        "DiskSpaceCheck",
        "EventLogCheck",
        "MemoryCheck",
        "PingCheck",
        "ScriptCheck",
        "ServiceCheck",
    ),
    "dialects.stock.checks": ("CheckDetails",),
    "resources.tasks": ("TaskOnAgent",),
    "resources.stock.registry": ("RegistryKey", "RegistryValue"),
    "resources.stock.installers": ("Installer",),
    "resources.stock.actions": ("RemoteControl",),
    "resources.stock.schedules": ("Schedule",),
    "resources.stock.alert_templates": ("AlertTemplate", "AlertTemplateUse"),
    "resources.stock.url_actions": ("UrlAction",),
    "stream": ("Consumer", "Handler", "StreamSettings", "StreamState", "Subscription"),
    "transport.connector": ("Connector",),
    "transport.raw": ("RawResponse",),
    "webhooks": ("WebhookReceiver", "WebhookSetup"),
}
_ROOM_OF: Final = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "APIError",
    "Agent",
    "AgentLostError",
    "AgentOffline",
    "AgentOnline",
    "AgentSilentError",
    "AgentUnreachableError",
    "Alert",
    "AlertEvent",
    "AlertTemplate",
    "AlertTemplateUse",
    "AmbiguousNameError",
    "ApiKey",
    "Attempt",
    "AuditEntry",
    "AuthenticationError",
    "BadRequestError",
    "CallEnded",
    "Change",
    "Changes",
    "Check",
    "CheckCounts",
    "CheckDetails",
    "CheckHistoryPoint",
    "CheckKind",
    "CheckOnAgent",
    "Client",
    "ClientPolicies",
    "ClientRef",
    "ClosedError",
    "CommandOutput",
    "CommandResult",
    "CommandSettings",
    "ConnectionFailedError",
    "Connector",
    "Consumer",
    "Counts",
    "CpuLoadCheck",
    "CustomField",
    "CustomFieldValue",
    "Dashboard",
    "DashboardCounts",
    "DebugEntry",
    "DecodeError",
    "Deployment",
    "Disk",
    "DiskSpaceCheck",
    "Done",
    "Ended",
    "Event",
    "EventLogCheck",
    "EventLogEntry",
    "Failed",
    "FleetRun",
    "Gap",
    "Group",
    "HalfDoneError",
    "Handler",
    "HistoryEntry",
    "IncompleteError",
    "Installer",
    "InvalidRequestError",
    "Journal",
    "JournalError",
    "KeyStoreEntry",
    "Live",
    "Maintenance",
    "MemoryCheck",
    "Mirror",
    "MirrorSettings",
    "NotFoundError",
    "Note",
    "Observation",
    "Outcome",
    "OutcomeUnknownError",
    "PatchPolicy",
    "PendingAction",
    "PermissionDeniedError",
    "PingCheck",
    "Policy",
    "PolicyPlace",
    "PolicyRef",
    "PolicyUse",
    "Process",
    "RateLimit",
    "RateLimitedError",
    "RawResponse",
    "RecordedError",
    "RedirectedError",
    "RegistryKey",
    "RegistryValue",
    "RemoteControl",
    "Retry",
    "Role",
    "RunEnded",
    "RunOutcome",
    "RunStarted",
    "Schedule",
    "Script",
    "ScriptCheck",
    "ScriptFile",
    "ScriptOutput",
    "ScriptResult",
    "Selector",
    "ServerError",
    "ServerFaultError",
    "ServerSettings",
    "ServerStatus",
    "Service",
    "ServiceCheck",
    "Site",
    "SiteRef",
    "Skipped",
    "Snippet",
    "Software",
    "Stats",
    "StillInMaintenanceError",
    "StreamSettings",
    "StreamState",
    "Subscription",
    "TRMM",
    "TRMMError",
    "Task",
    "TaskOnAgent",
    "TimeoutError",
    "UnidentifiedError",
    "Unknown",
    "UnknownEvent",
    "UnknownNameError",
    "UnsupportedError",
    "UrlAction",
    "User",
    "UserSession",
    "Waited",
    "Waiting",
    "WebhookReceiver",
    "WebhookSetup",
    "WindowsUpdate",
    "__version__",
    "as_csv",
    "as_jsonl",
    "as_row",
    "groups_of",
    "report",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
