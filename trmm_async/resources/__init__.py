"""The nouns' methods: check the arguments, ask the dialect for a call, send it.

Over the transport and the event stream, below `fleet` and `client`. One file a noun; nouns don't
import each other.
"""

from trmm_async.resources.agent_stream import AgentStream
from trmm_async.resources.agents import Agents, checked_run
from trmm_async.resources.alerts import Alerts
from trmm_async.resources.api import Api
from trmm_async.resources.checks import Checks
from trmm_async.resources.clients import Clients
from trmm_async.resources.deployments import Deployments
from trmm_async.resources.dialect_resolver import DialectResolver
from trmm_async.resources.filters import AgentQuery
from trmm_async.resources.live import subscribe
from trmm_async.resources.names import AnyScript, Names
from trmm_async.resources.scripts import CodeRun, Scripts, checked_code, run_code
from trmm_async.resources.selector import Selector
from trmm_async.resources.server_watch import ServerWatch
from trmm_async.resources.stock.actions import checked_command_run
from trmm_async.resources.stock.alert_templates import AlertTemplates
from trmm_async.resources.stock.api_keys import ApiKeys
from trmm_async.resources.stock.audit_log import AuditLog
from trmm_async.resources.stock.bulk import Bulk
from trmm_async.resources.stock.core import Core
from trmm_async.resources.stock.custom_fields import CustomFields
from trmm_async.resources.stock.installers import Installers
from trmm_async.resources.stock.key_store import KeyStore
from trmm_async.resources.stock.pending_actions import PendingActions
from trmm_async.resources.stock.policies import Policies
from trmm_async.resources.stock.roles import Roles
from trmm_async.resources.stock.schedules import Schedules
from trmm_async.resources.stock.sites import Sites
from trmm_async.resources.stock.url_actions import UrlActions
from trmm_async.resources.stock.users import Users
from trmm_async.resources.tasks import Tasks
from trmm_async.resources.token_provider import TOTP, TokenProvider, TokenSource

__all__ = [
    "TOTP",
    "TokenProvider",
    "AgentQuery",
    "AgentStream",
    "Agents",
    "Alerts",
    "AnyScript",
    "Api",
    "ApiKeys",
    "AuditLog",
    "Bulk",
    "Checks",
    "Clients",
    "CodeRun",
    "Core",
    "CustomFields",
    "Deployments",
    "Installers",
    "KeyStore",
    "DialectResolver",
    "PendingActions",
    "Names",
    "AlertTemplates",
    "Policies",
    "UrlActions",
    "Roles",
    "Schedules",
    "Scripts",
    "ServerWatch",
    "Selector",
    "Sites",
    "Tasks",
    "TokenSource",
    "Users",
    "checked_code",
    "checked_command_run",
    "checked_run",
    "run_code",
    "subscribe",
]
