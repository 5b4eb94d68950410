"""The client for threads that wait: scripts, notebooks, other people's frameworks.

Written by `python -m tools.sync_stub`; see `trmm_async.sync.facade`.
"""

# mypy: disable-error-code="overload-overlap"

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from datetime import time
from datetime import timedelta
from os import PathLike
from pathlib import Path
from trmm_async.client import Default
from trmm_async.dialects.stock.checks import CheckDetails
from trmm_async.errors import TRMMError
from trmm_async.events import CommandOutput
from trmm_async.events import Event
from trmm_async.events import ScriptOutput
from trmm_async.fleet import KeptRunOptions
from trmm_async.fleet import Retry
from trmm_async.fleet import RunOptions
from trmm_async.fleet import T
from trmm_async.fleet import Target
from trmm_async.fleet.journal import Place
from trmm_async.fleet.reports import Group
from trmm_async.fleet.rollout import Share
from trmm_async.fleet.run import T as RunT
from trmm_async.key_source import AskForKey
from trmm_async.kinds import CheckKind
from trmm_async.kinds import Task
from trmm_async.kinds import TaskAction
from trmm_async.kinds import TaskSchedule
from trmm_async.limits import RateLimit
from trmm_async.mirror.mirror import Mirror as AsyncMirror
from trmm_async.mirror.state import Change
from trmm_async.mirror.state import MirrorSettings
from trmm_async.models import Agent
from trmm_async.models import Alert
from trmm_async.models import Check
from trmm_async.models import Client
from trmm_async.models import ClientRef
from trmm_async.models import CommandResult
from trmm_async.models import Deployment
from trmm_async.models import HistoryEntry
from trmm_async.models import Script
from trmm_async.models import ScriptResult
from trmm_async.models import Site
from trmm_async.models import SiteRef
from trmm_async.observing import Observation
from trmm_async.observing import Stats
from trmm_async.outcomes import Counts
from trmm_async.outcomes import Outcome
from trmm_async.resources.agent_stream import Wanted
from trmm_async.resources.checks import CheckChanges
from trmm_async.resources.checks import CheckHistoryPoint
from trmm_async.resources.checks import CheckOnAgent
from trmm_async.resources.clients import ClientChanges
from trmm_async.resources.commands import CommandSettings
from trmm_async.resources.deployments import Arch
from trmm_async.resources.deployments import Progress
from trmm_async.resources.names import AnyClient
from trmm_async.resources.names import AnyScript
from trmm_async.resources.names import AnySite
from trmm_async.resources.scripts import ScriptChanges
from trmm_async.resources.scripts import ScriptFile
from trmm_async.resources.selector import FieldValue
from trmm_async.resources.stock.actions import AgentChanges
from trmm_async.resources.stock.actions import RemoteControl
from trmm_async.resources.stock.alert_templates import AlertTemplate
from trmm_async.resources.stock.alert_templates import AlertTemplateChanges
from trmm_async.resources.stock.alert_templates import AlertTemplateUse
from trmm_async.resources.stock.alert_templates import _TemplateOptions
from trmm_async.resources.stock.api_keys import ApiKey
from trmm_async.resources.stock.api_keys import ApiKeyChanges
from trmm_async.resources.stock.audit_log import AuditEntry
from trmm_async.resources.stock.audit_log import AuditFilters
from trmm_async.resources.stock.bulk import BulkTargets
from trmm_async.resources.stock.core import Dashboard
from trmm_async.resources.stock.core import DebugEntry
from trmm_async.resources.stock.core import ServerSettings
from trmm_async.resources.stock.core import ServerStatus
from trmm_async.resources.stock.core import SettingsChanges
from trmm_async.resources.stock.custom_field_values import PlaceSettings
from trmm_async.resources.stock.custom_fields import CustomField
from trmm_async.resources.stock.custom_fields import CustomFieldChanges
from trmm_async.resources.stock.custom_fields import FieldType
from trmm_async.resources.stock.custom_fields import Model
from trmm_async.resources.stock.event_log import EventLogEntry
from trmm_async.resources.stock.installers import Installer
from trmm_async.resources.stock.installers import Method
from trmm_async.resources.stock.key_store import KeyStoreChanges
from trmm_async.resources.stock.key_store import KeyStoreEntry
from trmm_async.resources.stock.notes import Note
from trmm_async.resources.stock.patch_policies import PatchChanges
from trmm_async.resources.stock.patch_policies import PatchPolicy
from trmm_async.resources.stock.pending_actions import PendingAction
from trmm_async.resources.stock.policies import Policy
from trmm_async.resources.stock.policies import PolicyChanges
from trmm_async.resources.stock.policies import _PolicyOptions
from trmm_async.resources.stock.policy_places import ClientPolicies
from trmm_async.resources.stock.policy_places import PolicyUse
from trmm_async.resources.stock.processes import Process
from trmm_async.resources.stock.registry import RegistryData
from trmm_async.resources.stock.registry import RegistryKey
from trmm_async.resources.stock.registry import RegistryType
from trmm_async.resources.stock.registry import RegistryValue
from trmm_async.resources.stock.roles import Clients as RolesClients
from trmm_async.resources.stock.roles import Role
from trmm_async.resources.stock.roles import Sites as RolesSites
from trmm_async.resources.stock.schedules import Schedule
from trmm_async.resources.stock.schedules import ScheduleChanges
from trmm_async.resources.stock.services import Service
from trmm_async.resources.stock.sites import SiteChanges
from trmm_async.resources.stock.snippets import Snippet
from trmm_async.resources.stock.snippets import SnippetChanges
from trmm_async.resources.stock.software import Software
from trmm_async.resources.stock.url_actions import UrlAction
from trmm_async.resources.stock.url_actions import UrlActionChanges
from trmm_async.resources.stock.url_actions import _UrlActionOptions
from trmm_async.resources.stock.users import User
from trmm_async.resources.stock.users import UserChanges
from trmm_async.resources.stock.users import UserSession
from trmm_async.resources.stock.windows_updates import WindowsUpdate
from trmm_async.resources.tasks import TaskChanges
from trmm_async.resources.tasks import TaskOnAgent
from trmm_async.resources.tasks import _TaskOptions
from trmm_async.resources.token_provider import TOTP
from trmm_async.resources.token_provider import TokenSource
from trmm_async.resources.waiting import Until
from trmm_async.stream.filters import Agents as FiltersAgents
from trmm_async.stream.filters import Clients as FiltersClients
from trmm_async.stream.filters import Kinds
from trmm_async.stream.filters import Severities
from trmm_async.stream.settings import StreamSettings
from trmm_async.stream.settings import StreamState
from trmm_async.stream.source import Events
from trmm_async.stream.subscription import E
from trmm_async.transport.raw import RawResponse
from trmm_async.words import AgentStatus
from trmm_async.words import AlertType
from trmm_async.words import CheckStatus
from trmm_async.words import MonitoringType
from trmm_async.words import Platform
from trmm_async.words import Severity
from trmm_async.words import Shell
from types import TracebackType
from typing import Any
from typing import Generic
from typing import Literal
from typing import Self
from typing import Unpack
from typing import overload
import asyncio
import builtins
import os
import ssl as tls

__all__ = ["TRMM"]

class TRMM:
    """The synchronous client of a Tactical RMM server, for scripts and notebooks. Every call blocks.

        with TRMM("https://api.example.com", api_key="…") as trmm:
            for agent in trmm.agents.list():
                print(agent.hostname)

    It has the same methods as `trmm_async.TRMM`. Its event loop runs in a thread of its own, so any thread
    may use the client, even one in which another loop runs. Ctrl-C cancels the call that is in progress. The
    thread ends with `close`, at the end of the `with` block, when the client is garbage-collected, or at the
    end of the program.

    Args:
        url: as in `trmm_async.TRMM`.
        settings: as in `trmm_async.TRMM`, without `session`.

    Raises:
        InvalidRequestError: a setting is wrong.
    """
    agents: Agents
    deployments: Deployments
    clients: Clients
    sites: Sites
    scripts: Scripts
    checks: Checks
    tasks: Tasks
    alerts: Alerts
    policies: Policies
    alert_templates: AlertTemplates
    url_actions: UrlActions
    custom_fields: CustomFields
    key_store: KeyStore
    audit_log: AuditLog
    pending_actions: PendingActions
    installers: Installers
    users: Users
    roles: Roles
    api_keys: ApiKeys
    schedules: Schedules
    core: Core
    fleet: Fleet
    bulk: Bulk

    @classmethod
    def from_env(cls, **settings: Any) -> Self:
        """Make a client from the environment variables that the command line reads, too.

        They are `TRMM_URL` and `TRMM_API_KEY`; `TRMM_DIALECT` (detected if it is not set);
        `TRMM_SHARED_LIMITS`, `TRMM_PROXY`, `TRMM_CA` and `TRMM_CERT`; and `TRMM_PROFILE`, the name of a
        profile for everything that is not set, in the file `TRMM_CONFIG`. The default profile of that file is
        not used: a program must not connect to a server that its environment doesn't name.

        Args:
            settings: arguments of `TRMM`. They take precedence over the environment.

        Raises:
            InvalidRequestError: the address or the key is missing, or a setting is wrong.
            KeySourceError: the key is in the system's keyring, which can't be read.
        """

    @classmethod
    def from_profile(cls, name: str, **settings: Any) -> Self:
        """Make a client from a profile that `trmm login` wrote: URL, key, dialect, rate limit.

        What the profile doesn't set is read from the environment, except the key of another server. If the
        dialect had to be detected, it is written into the profile when the client is closed, provided that
        the file is writable.

        Args:
            name: the profile's name.
            settings: arguments of `TRMM`. They take precedence over the profile.

        Raises:
            InvalidRequestError: there is no such profile (the text names similar ones), it has no key, or a
                setting is wrong.
            KeySourceError: the key is in the system's keyring, which can't be read.
        """

    @property
    def dialect(self) -> str:
        """The kind of server, "gateway" or "stock"; "auto" until it has been detected."""

    @property
    def url(self) -> str:
        """The server's base URL as it is used: without a trailing slash and without `/api/v3`."""

    @property
    def stats(self) -> Stats:
        """Counts of what was sent and of what is waiting, for this client and all its views; see `Stats`."""

    def observe(self, callback: Callable[[Observation], object]) -> Callable[[], None]:
        """Call a function with everything that this client and its views do, when it happens.

            detach = trmm.observe(print)

        Args:
            callback: a function, not asynchronous. It gets frozen values (see `Observation`; later versions
                may add more kinds). It is called in the task that does the work, so it must be quick. An
                exception that it raises is logged (`trmm_async`) and has no other effect.

        Returns:
            A function that removes the callback. Calling it twice is the same as once.

        Raises:
            InvalidRequestError: the callback is not callable, or is asynchronous.
        """

    def with_options(self, *, timeout: float | None=None, retries: int | None=None, patience: float | None=None, max_answer: int | None=None) -> TRMM:
        """Return a view of this client: the same connections, limits and login, but other settings for calls.

            slow = trmm.with_options(timeout=120, retries=0)

        Settings that are not given stay as they are. The view works as long as this client is open. It can't
        be closed: its `aclose` and `with` raise `InvalidRequestError`.

        Args:
            timeout: as of `TRMM`.
            retries: as of `TRMM`.
            patience: as of `TRMM`.
            max_answer: as of `TRMM`.

        Raises:
            InvalidRequestError: a setting is wrong.
        """

    def events(self, *agents: str | Agent | Selector | Iterable[str | Agent], snapshot: bool=False, since: str | None=None, dashboard: bool=False, settings: StreamSettings | None=None) -> Subscription:
        """Subscribe to the live events of any number of agents, as one stream; see `Subscription`.

            with trmm.events("abc-uuid") as events:
                for event in events: ...

        Args:
            agents: ids, agents, or iterables of them; duplicates count once. Or an `agents.select(…)`, which
                is read when the block is entered.
            snapshot: True yields the present state of each agent first (its status, and its alerts that are
                not resolved), then `Live`. What follows are changes.
            since: the `position` of an earlier subscription. What happened since then is caught up, between
                a `Gap` and a `Live`. Agents that are not in it start as without `since`.
            webhooks: a `WebhookReceiver` of a stock server's alerts, so that alerts arrive at once and not
                with the next poll. Anything else with its method `listen` will do. A gateway pushes its
                alerts, so there it has no effect.
            dashboard: True yields `DashboardCounts` of a stock server, too. It needs a login (`login`). With
                it, agents are optional.
            settings: sizes and times; the defaults suit most programs.

        Raises:
            InvalidRequestError: there is no agent, or an id is not valid; `since` is not a position, or is
                one of another server; `webhooks` is no receiver.

        Entering the block raises what `Subscription` says, and `UnsupportedError` for the dashboard of a
        gateway. A stock server before 0.19.0, recognised by its first frame, raises it as well if no agents
        are subscribed; otherwise the dashboard alone ends, with an `Ended`.
        """

    def mirror(self, *, client: AnyClient | None=None, site: AnySite | None=None, monitoring_type: MonitoringType | None=None, where: Callable[[Agent], bool] | None=None, inventory: bool=False, custom_fields: bool=False, source: Subscription | (Events | None)=None, settings: MirrorSettings | None=None) -> Mirror:
        """Keep the current state of the fleet in a live, read-only mapping of ids to agents; see `Mirror`.

            with trmm.mirror(client="Acme") as mirror:
                offline = mirror.by_status("offline")

        On a stock server, the polls that all mirrors, waits and subscriptions of this client share keep it up
        to date. On a gateway, the events of at most `settings.sockets` agents do, and one list of all agents
        every `settings.resync` seconds.

        Args:
            client: only the agents of this client, by id, name or object.
            site: only the agents of this site.
            monitoring_type: only servers, or only workstations.
            where: a function of an `Agent`: only agents for which it returns True.
            inventory: True keeps disks, models, memory and the like. Otherwise these fields are empty.
            custom_fields: True keeps the values of custom fields.
            source: the events to use in place of the client's own, as a `Subscription` that is not entered
                yet (such as `follow(…)`). The mirror enters and leaves it. This client still lists the
                agents.
            settings: see `MirrorSettings`.

        Raises:
            InvalidRequestError: an argument is wrong.
        """

    def relay(self, *, to: str, name: str, agents: Iterable[str | Agent] | Selector | None=None, output: bool=False, length: int=100000, queue: int=10000, lease: float=10.0, relist: float=300.0, settings: StreamSettings | None=None) -> Relay:
        """Read the server's events once and publish them to any number of followers (`follow`); see `Relay`.

            with trmm.relay(to="redis://bus.internal:6379/1", name="acme") as relay:
                relay.run()

        Among several relays of one name, one leads and the others stand by. If the leader is gone, another
        takes over within `lease` seconds, continues from the last event, and publishes a `Gap`.

        Args:
            to: the URL to publish to: `redis://…`, `rediss://…` or `unix://…` (extra `[redis]`), `nats://…`,
                or `tls://…` for NATS over TLS (extra `[nats]`; a server with JetStream, 2.10 or later). The
                password is never shown.
            name: the relay's name, which followers use.
            agents: the agents, or a selection of them. None: all agents that the key may see.
            output: True publishes the output of scripts, too.
            length: about how many events are kept for followers that lag behind.
            queue: how many events may wait while the engine can't be reached. Further events are dropped,
                counted, and published as a `Gap`.
            lease: seconds after which another relay takes over from one that is gone.
            relist: seconds between two listings of the agents, if they are not given one by one.
            webhooks: a receiver of alert webhooks; see `events`.
            settings: settings of the subscription.

        Raises:
            InvalidRequestError: an argument is wrong, or the package of the extra is not installed.
        """

    def maintenance(self, *agents: str | Agent, client: AnyClient | None=None, site: AnySite | None=None, journal: str | PathLike[str] | None=None, timeout: float | timedelta=60.0) -> Maintenance:
        """Put agents into maintenance mode for the time of a block. A stock server only.

            with trmm.maintenance(site=41): ...

        Entering switches the mode on for those agents that are not in it yet. Leaving switches it off again
        for exactly these, also after an error or a cancellation of the block; a cancellation waits for that.

        Args:
            agents: agents, by id or object.
            client: all agents of this client instead.
            site: all agents of this site instead.
            journal: a file that records which agents have to be switched off, written to the disk before
                anything is switched. If the process dies, the next block with this file switches these off,
                too, when it ends.
            timeout: seconds, or a timedelta, that switching off may take.

        Raises:
            InvalidRequestError: not exactly one of agents, a client or a site was given.

        Entering the block raises what `Maintenance` says. Leaving it raises `StillInMaintenanceError`, which
        names the agents that could not be switched off.
        """

    def login(self, username: str, password: str, *, totp: TOTP | None=None) -> None:
        """Log in to a stock server, whose WebSockets (`agents.stream_command`) don't accept the API key.

        All other calls still use the key. Password, code and token appear in no log line, repr or error. The
        server allows ten logins a minute from one address.

        Args:
            username: the user. A user who is blocked from the dashboard, or who logs in by SSO, can't be
                used.
            password: the user's password.
            totp: the code of the second factor, or a function that returns one, asynchronous or not. With a
                function, or without a second factor, an expired token is renewed automatically. With a code
                it can't be renewed: call `login` again.

        Raises:
            AuthenticationError: the server refuses the name, the password or the code, or requires a code.
            RateLimitedError: there were too many logins; `retry_after` is the number of seconds to wait. The
                client doesn't try again.
            UnsupportedError: the server is a gateway, whose WebSockets accept the API key.
        """

    def request(self, method: str, path: str, *, params: Mapping[str, object] | None=None, json: object=None) -> Any:
        """Send a request for which there is no method, with the same limits, retries and errors.

        Args:
            method: the HTTP method. GET, HEAD and OPTIONS are retried as reads. All others are sent again
                only if they certainly never reached the server.
            path: the path below the base URL, such as "/core/version/". The server's paths end in a slash.
            params: the query, each name once. Values that are None are left out.
            json: the body; None for no body.

        Returns:
            The answer decoded from JSON; None for an empty one.

        Raises:
            TRMMError: see `errors`.
        """

    def request_raw(self, method: str, path: str, *, params: Mapping[str, object] | None=None, json: object=None) -> RawResponse:
        """Send a request as `request` does, and return the raw answer: status, headers, body, attempts.

        The arguments are those of `request`. An error status still raises.

        Returns:
            The answer. Its `json()` decodes the body.

        Raises:
            TRMMError: see `errors`.
        """

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def close(self) -> None:
        """Close the connections. Later calls raise `ClosedError`. Closing twice is the same as once.

        Raises:
            InvalidRequestError: this is a view (`with_options`).
        """

    def __init__(self, url: str, *, api_key: str | AskForKey, rate_limit: RateLimit | Default | None='default', deployment_rate_limit: RateLimit | Default | None='default', max_waiting: int | Default | None='default', shared_limits: str | None=None, limiter_timeout: float=30.0, limiter_lease: float=5.0, max_connections: int=100, timeout: float=30.0, retries: int=3, patience: float=120.0, max_answer: int=..., report_grace: float=10.0, dialect: Literal['auto', 'gateway', 'stock']='auto', access_token: TokenSource | None=None, allow_http: bool=False, ssl: tls.SSLContext | None=None, proxy: str | None=None) -> None:
        ...

class Agents:
    """Agents: list, get, find, delete them and run scripts on them. A stock server can do much more.

    All errors are `TRMMError`s. Some methods of a stock server ask the agent itself, and hold one of the
    server's workers until it answers. If the agent doesn't answer within the seconds that the method names, a
    read raises `AgentUnreachableError`, and a change raises `AgentLostError`, which is an
    `OutcomeUnknownError`.
    """
    notes: Notes
    processes: Processes
    registry: Registry
    services: Services
    software: InstalledSoftware
    event_log: EventLog
    windows_updates: WindowsUpdates

    def select(self, *, client: AnyClient | None=None, site: AnySite | None=None, monitoring_type: MonitoringType | None=None, plat: Platform | Iterable[Platform] | None=None, operating_system: str | None=None, hostname: str | None=None, status: AgentStatus | Iterable[AgentStatus] | None=None, custom_fields: Mapping[int | str | CustomField, FieldValue] | None=None, where: Callable[[Agent], bool] | None=None) -> Selector:
        """Select agents by all of the filters, as a value for every method that takes agents; see `Selector`.

            servers = trmm.agents.select(client="Acme", plat="windows", monitoring_type="server")
            trmm.fleet.run_script(servers, "Get-DiskInfo")

        Nothing is sent until the selection is used. Then it is read completely before the first agent of it
        is used, so that it is the state of one moment.

        Args:
            client: only agents of this client.
            site: only agents of this site.
            monitoring_type: only servers, or only workstations.
            plat: only agents of this platform, or of one of these. Case is ignored.
            operating_system: a pattern for the whole text, such as "*Server 2019*". Case is ignored.
            hostname: a pattern for the whole name, such as "web-*". Case is ignored; `?` is one character,
                and `[ab]` is either of two.
            status: only agents whose last known status is this, or one of these.
            custom_fields: a mapping of custom fields (or their ids or names) to values; a stock server only.
                A field with several options matches if the value is among them. None matches a field that is
                not set.
            where: a function of an `Agent` that returns True for those to select. It is called last, while
                the list downloads, so it must not block.

        Raises:
            InvalidRequestError: an argument is wrong.
        """

    def get(self, agent: str | Agent) -> Agent:
        """Get one agent. Its `extra` has what the server sent beyond the fields of `Agent`.

        Raises:
            NotFoundError: there is no such agent.
        """

    @overload
    def wait_until(self, agent: str | Agent, until: Until, *, timeout: float | timedelta | None=None, missing_ok: bool=False, source: Events | None=None) -> Agent:
        """Wait until one agent, or all of several agents at the same time, have a status or meet a condition.

        The server is polled every five seconds, or less often if it is slow. All waits of this client, its
        mirrors and its subscriptions share these polls. A failed poll is repeated. With `source`, the server
        is polled when an event suggests it, and otherwise once a minute.

            trmm.agents.wait_until(agent, "online", source=follow("redis://…", name="acme"))

        Args:
            agent: an agent or its id, or several.
            until: "online", "offline" or "overdue"; or a function of an `Agent` that returns True when the
                agent is as wanted.
            timeout: the most seconds to wait, or a timedelta. None waits for any time.
            missing_ok: True also waits for agents that the server doesn't know yet.
            source: events that say when to poll, as a `Subscription` to a relay (`follow`) that is not
                entered yet. This method enters and leaves it. Only a poll decides, so a relay that lags
                behind can't give a wrong result.

        Returns:
            The agent as it is then; for several agents, a list in their order.

        Raises:
            TimeoutError: the time is over; the message names the agents that were not as wanted.
            NotFoundError: there is no such agent, and `missing_ok` was not given.
            ConnectionFailedError: `source` can't be read, or has ended.
            InvalidRequestError: an argument is wrong.
            Exception: whatever `until` raises.
        """

    @overload
    def wait_until(self, agent: Iterable[str | Agent], until: Until, *, timeout: float | timedelta | None=None, missing_ok: bool=False, source: Events | None=None) -> builtins.list[Agent]:
        ...

    def find(self, hostname: str, *, client: AnyClient | None=None, site: AnySite | None=None) -> Agent | None:
        """Find the agent with this host name, or None. Case is ignored, except perhaps by a gateway.

        Raises:
            AmbiguousNameError: several agents have that name; `client` or `site` may narrow them down.
        """

    def delete(self, agent: str | Agent) -> None:
        """Delete the server's record of an agent. A stock server uninstalls the agent as well.

        If an answer is lost and the agent is gone afterwards, it counts as deleted.
        """

    @overload
    def run_script(self, agent: str | Agent, script: AnyScript, *, args: Iterable[str]=(), timeout: int=90, output: Literal['wait']='wait', env_vars: Mapping[str, str] | None=None, run_as_user: bool=False) -> ScriptResult:
        """Run a script on an agent. Never sent twice.

        On a stock server, the script is sent and its result is read from the server's script history. This
        holds no worker of the server, and has the return code, stderr and time, which the server's own
        waiting call doesn't have.

        Args:
            agent: the agent or its id.
            script: the id or the name of a script in the server's library, or the script.
            args: the script's arguments.
            timeout: seconds that the script may take, 1 to 300. The client waits longer, by its own timeout,
                so that it doesn't give up on a script that may still run.
            output: "wait" waits for the result, "forget" returns at once, and "collector" has the server
                store the result.
            env_vars: environment variables for the script; a stock server only.
            run_as_user: True runs it as the user who is logged in; a stock server only.
            custom_field: the id of the custom field in which "collector" stores the output. A stock server
                needs it; a gateway doesn't have it.
            save_all_output: True stores all of the output there; False stores its last line.

        Raises:
            OutcomeUnknownError: the script was sent and the answer was lost: it may have run.
            AgentSilentError: a stock server's agent did not report the end of the script in time: it may have
                run, or may still run. An `OutcomeUnknownError`, too.
            UnidentifiedError: the script ran, but its result can't be distinguished from that of another run
                of this script on this agent at the same time. An `OutcomeUnknownError`, too.
            UnsupportedError: the server has no such option, or would store nothing ("collector" on a stock
                server before 0.19.4).
        """

    @overload
    def run_script(self, agent: str | Agent, script: AnyScript, *, args: Iterable[str]=(), timeout: int=90, output: Literal['forget', 'collector'], env_vars: Mapping[str, str] | None=None, run_as_user: bool=False, custom_field: int | None=None, save_all_output: bool=False) -> None:
        ...

    def stream_script(self, agent: str | Agent, script: AnyScript, *, args: Iterable[str]=(), timeout: int=90) -> ScriptStream:
        """Run a script on an agent, never twice, and stream its output while it runs; see `ScriptStream`.

        The arguments are those of `run_script`. Nothing is sent before the stream is entered.

        Raises:
            InvalidRequestError: an argument is wrong.
        """

    def stream_command(self, agent: str | Agent, command: str, *, shell: str='cmd', timeout: int=30, run_as_user: bool=False, settings: CommandSettings | None=None) -> CommandStream:
        """Run a command on an agent, never twice, and stream its output while it runs; see `CommandStream`.

        A stock server only. It needs `TRMM.login`, or an `access_token`. Nothing is sent before the stream is
        entered.

        Args:
            agent: the agent or its id; its version must be 2.10.0 or later.
            command: the command line for the shell.
            shell: "cmd" or "powershell" on Windows; a path such as "/bin/bash" elsewhere.
            timeout: whole seconds that the command may take, at most a day.
            run_as_user: True runs it as the user who is logged in.
            settings: times and sizes; the defaults suit most programs.

        Raises:
            InvalidRequestError: an argument is wrong.
        """

    def run_command(self, agent: str | Agent, command: str, *, shell: str | None=None, custom_shell: str | None=None, timeout: int=30, run_as_user: bool=False) -> CommandResult:
        """Run a command on an agent and return what it printed. Never sent twice.

        The server waits for the agent for up to `timeout` and two more seconds, and holds one of its few
        workers meanwhile. So the client has at most `max_waiting` of such calls in flight.

        Args:
            agent: the agent or its id.
            command: the command line for the shell; several lines if the shell accepts them.
            shell: "cmd", "powershell", or the path of a program such as "/bin/bash". None: "cmd" on Windows,
                "/bin/bash" elsewhere. If the agent is given by its id, its platform is looked up first.
            custom_shell: the path of a program to use as the shell, in place of `shell`.
            timeout: seconds that the command may take, 1 to 295.
            run_as_user: True runs it as the user who is logged in (Windows).

        Raises:
            AgentLostError: the agent did not answer in time: it may have run the command, or may still run
                it. It is an `AgentUnreachableError` and an `OutcomeUnknownError`.
            AgentUnreachableError: the server's message bus is down: the agent has received nothing.
            OutcomeUnknownError: the answer was lost: it may have run.
        """

    def ping(self, agent: str | Agent) -> bool:
        """Ask whether an agent answers at this moment. False takes 7.5 seconds, and a worker of the server.

        It is also False if the server's message bus is down. `Agent.status` is older, and needs no worker.
        """

    @overload
    def reboot(self, agent: str | Agent, *, at: datetime | None=None) -> None:
        """Reboot an agent now or later. Never sent twice. Holds a worker for at most 10 seconds.

        Args:
            agent: the agent or its id.
            at: the time; None for now. With a time zone it is that moment, and the agent's own time zone is
                looked up first. Without one it is a time of the agent's clock. It is rounded up to whole
                minutes. Windows agents only: they schedule the reboot themselves, and it is listed as a
                pending action.
            wait: seconds, or a timedelta, to wait for the reboot: until the server has a later boot time,
                since a quick reboot never shows as offline. It can't be combined with `at`.

        Returns:
            With `wait`, the agent after the reboot.

        Raises:
            AgentLostError: the agent did not answer in time; it may reboot all the same. With `wait`, this is
                found out, and the error is raised only if the agent did not reboot.
            TimeoutError: as far as the server knows, the agent did not reboot within `wait`.
            BadRequestError: the time has passed, or the agent can't schedule a reboot.
        """

    @overload
    def reboot(self, agent: str | Agent, *, wait: float | timedelta) -> Agent:
        ...

    def shutdown(self, agent: str | Agent) -> None:
        """Shut an agent down now. Never sent twice. Holds a worker for at most 10 seconds.

        Raises:
            AgentLostError: the agent did not answer in time; it may shut down all the same.
        """

    def recover(self, agent: str | Agent, *, mode: Literal['mesh', 'tacagent']='mesh') -> None:
        """Repair one of the two agents on a machine by means of the other. Never sent twice.

        Args:
            agent: the agent or its id.
            mode: with "mesh", the agent repairs its MeshCentral agent, which holds a worker for at most a
                minute. With "tacagent", MeshCentral restarts the agent, or reinstalls it on Windows; the call
                doesn't wait for that.

        Raises:
            AgentLostError: the agent did not answer in time ("mesh").
            ServerFaultError: most likely the server could not reach MeshCentral ("tacagent").
        """

    def update(self, agent: str | Agent, **changes: Unpack[AgentChanges]) -> None:
        """Change settings of an agent. Idempotent: sent again if an answer is lost.

        The server doesn't change all settings in one transaction: it saves the custom fields last.

        Args:
            agent: the agent or its id.
            changes: the settings to change:
                `description`, `site`, `monitoring_type`, `maintenance_mode`;
                `offline_time` and `overdue_time` in minutes, `check_interval` in seconds;
                `overdue_email_alert`, `overdue_text_alert`, `overdue_dashboard_alert`;
                `policy` (None for none), `block_policy_inheritance`;
                `time_zone` (None for the server's), `default_shell`, `default_shell_custom`;
                `custom_fields` (see `FieldValues`);
                `patch_policy`, the agent's own: settings of `PatchPolicy`.

        Raises:
            InvalidRequestError: a value is wrong, there is no such setting, or no setting is given; nothing
                was changed.
            BadRequestError: the server refuses a value.
        """

    @overload
    def set_maintenance(self, on: bool, *, agent: str | Agent) -> int:
        """Switch maintenance mode on or off for one agent, or for all agents of a client or a site.

        An agent in maintenance mode raises no alerts. Idempotent: sent again if an answer is lost.

        Returns:
            The number of agents. For a client or a site, the server counts those that the key may see.
        """

    @overload
    def set_maintenance(self, on: bool, *, client: AnyClient) -> int:
        ...

    @overload
    def set_maintenance(self, on: bool, *, site: AnySite) -> int:
        ...

    def history(self, agent: str | Agent | None=None) -> list[HistoryEntry]:
        """List everything that was run on an agent, or on all agents, as far back as the server keeps it.

        The oldest is first. For all agents it is one call with a large answer. `agent_id` is None if the key
        may not list agents.
        """

    def script_history(self, *, since: datetime | None=None, limit: int | None=None) -> list[HistoryEntry]:
        """List the script runs of all agents with their results, newest first. It has no commands.

        Args:
            since: only runs since this moment, which must have a time zone.
            limit: the largest number of runs.
        """

    def versions(self) -> list[str]:
        """List the versions that agents can be upgraded to. `Agent.version` is an agent's version."""

    def upgrade(self, agents: Iterable[str | Agent]) -> None:
        """Make agents upgrade themselves to the newest version. Never sent twice.

        The call doesn't wait for that: an upgrade is listed in `pending_actions` until it is done. Agents
        that are up to date stay as they are.

        Args:
            agents: one or more agents, or their ids.

        Raises:
            InvalidRequestError: the server has no such agent, and would silently ignore it; nothing was
                started.
        """

    def wake(self, agent: str | Agent) -> None:
        """Wake an agent through its network card (wake-on-LAN), by MeshCentral. Never sent twice.

        Success means only that the order was sent. The machine is awake when the agent is online.

        Raises:
            ServerError: the server could not reach MeshCentral; the text has the server's words.
        """

    def remote_control(self, agent: str | Agent) -> RemoteControl:
        """Get links for remote control of an agent in a browser: `control`, `terminal`, `file`.

        Each link contains a login to MeshCentral: don't pass it on, and don't store it. The server makes the
        links without asking MeshCentral, so they don't mean that the agent is connected.
        """

    def refresh_wmi(self, agent: str | Agent) -> None:
        """Make an agent report its hardware again (`Agent.cpu_model`, …). It has 20 seconds to answer.

        Raises:
            AgentLostError: the agent did not answer in time.
        """

    def recover_all(self) -> None:
        """Make the server try to repair all agents that are offline or overdue. Never sent twice.

        The call doesn't wait for that. On the server this is a GET with an effect, so it must not be sent
        like a read.
        """

    def list(self, *, hostname: str | None=None, client: AnyClient | None=None, site: AnySite | None=None, monitoring_type: MonitoringType | None=None) -> list[Agent]:
        """List the agents that match all of the filters. A stock server ignores the case of `hostname`."""

    def iter(self, *, hostname: str | None=None, client: AnyClient | None=None, site: AnySite | None=None, monitoring_type: MonitoringType | None=None) -> AgentStream:
        """Iterate over the agents of `list` in constant memory, while they are downloaded.

        with trmm.agents.iter() as stream:
            for agent in stream: ...
        """

class Deployments:
    """One-time URLs that install new agents. All errors are `TRMMError`s, and `OSError`s of `download`."""

    def create(self, *, client: AnyClient, site: AnySite, expires: datetime, arch: Arch, install_flags: str='', monitoring_type: MonitoringType | None=None) -> Deployment:
        """Create a deployment. It counts against the limit of deployments as well. Never sent twice.

        A stock server creates deployments for "amd64" on Windows only. Its `install_flags` are any of
        "power", "ping" and "rdp", separated by spaces; `monitoring_type` is the type of the new agent
        ("server" if not given). A site that is given by name must be one of the client's.

        Raises:
            InvalidRequestError: an argument is wrong; `expires` must have a time zone and be in the future.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
            UnsupportedError: the server can't create one for this `arch`, or has no `monitoring_type`.
        """

    def delete(self, deployment: int | Deployment) -> None:
        """Revoke a deployment before it expires.

        If an answer is lost and it is gone afterwards, that counts as success.
        """

    def download(self, deployment: int | Deployment, folder: str | os.PathLike[str], *, progress: Progress | None=None) -> Path:
        """Download the installer into `folder`, which is created if need be, and return the file's path.

        The file is written under another name first, and gets its name when it is complete; it replaces a
        file of that name. The name is the server's, without a path and without unsuitable characters. After
        an error or a cancellation nothing is left.

        Raises:
            ConnectionFailedError: the download broke off, or the server doesn't say where the file ends.
            InvalidRequestError: `folder` can't be a folder (checked before anything is sent), or contains a
                folder with the file's name.
            NotFoundError: the deployment has expired or was revoked.
            RedirectedError: the server redirects to something that is not a URL.
            OSError: the file can't be written.
        """

    def list(self) -> list[Deployment]:
        """List the active deployments."""

class Clients:
    """Clients (customers, tenants) and their sites. All errors are `TRMMError`s."""

    def sites(self, client: AnyClient) -> list[Site]:
        """List the sites of one client."""

    def create(self, *, name: str, site: str | None=None, **settings: Unpack[PlaceSettings]) -> Client:
        """Create a client and return it; administrators only. Never sent twice.

        Args:
            name: the client's name.
            site: the name of its first site, on a stock server, where every client has one ("Default" if not
                given).
            settings: see `PlaceSettings`; a stock server only: policies, alert template, inheritance, custom
                fields.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
            UnsupportedError: a site was named, and the server is a gateway.
        """

    def find(self, name: str) -> Client | None:
        """Find the client with this name, or None. Case is ignored. The client has its sites.

        Raises:
            AmbiguousNameError: several clients have names that differ only in case, or in how accents are
                composed.
        """

    def get(self, client: AnyClient) -> Client:
        """Get one client with its sites; a stock server only.

        Raises:
            NotFoundError: there is no such client.
        """

    def update(self, client: AnyClient, **changes: Unpack[ClientChanges]) -> None:
        """Change a client; a stock server only. Idempotent: sent again if an answer is lost.

        Args:
            client: the client, its id or its name.
            changes: the settings to change: `name`, and those of `PlaceSettings`: policies, alert template,
                inheritance, `custom_fields` (see `FieldValues`).

        Raises:
            InvalidRequestError: a value is wrong, or nothing is to change; nothing was changed.
            NotFoundError: there is no such client.
        """

    def delete(self, client: AnyClient, *, with_sites: bool=False, move_to_site: AnySite | None=None) -> None:
        """Delete a client and its sites; a stock server only.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            client: the client, its id or its name.
            with_sites: True deletes a client that has several sites, with them. Without it, the sites are
                looked up first, and such a client is not deleted.
            move_to_site: the site of another client to which its agents move. A client with agents can't be
                deleted without it.

        Raises:
            InvalidRequestError: it has several sites; nothing was deleted.
            BadRequestError: it has agents, and no site was given.
            NotFoundError: there is no such client, or site.
        """

    def list(self) -> list[Client]:
        """List all clients, each with its sites."""

class Sites:
    """Sites of clients, on a stock server. All errors are `TRMMError`s.

    A gateway has only `trmm.clients.sites(client)`, and `find`; all other methods raise `UnsupportedError`
    there.
    """

    def find(self, name: str, *, client: AnyClient | None=None) -> Site | None:
        """Find the site with this name, with its client, or None; on any server. Case is ignored.

        Args:
            name: the name of the site, or CLIENT/SITE.
            client: only sites of this client.

        Raises:
            AmbiguousNameError: several sites have that name; `client` may narrow them down.
            UnknownNameError: there is no such client.
        """

    def get(self, site: AnySite) -> Site:
        """Get one site.

        Raises:
            NotFoundError: there is no such site.
        """

    def create(self, *, client: AnyClient, name: str, **settings: Unpack[PlaceSettings]) -> Site:
        """Create a site of a client and return it. Never sent twice.

        Args:
            client: its id, its name, or the client.
            name: the site's name.
            settings: see `PlaceSettings`: policies, alert template, inheritance, custom fields.

        Raises:
            BadRequestError: the client has a site of that name.
            NotFoundError: there is no such client.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def update(self, site: AnySite, **changes: Unpack[SiteChanges]) -> None:
        """Change a site. Idempotent: sent again if an answer is lost.

        Args:
            site: the site or its id.
            changes: the settings to change: `name`; `client`, to which it moves with all its agents; and
                those of `PlaceSettings`: policies, alert template, inheritance, `custom_fields`.

        Raises:
            BadRequestError: it is the last site of its client, which needs one.
        """

    def delete(self, site: AnySite, *, move_to_site: AnySite | None=None) -> None:
        """Delete a site. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            site: the site or its id.
            move_to_site: the site to which its agents move. A site with agents can't be deleted without it.

        Raises:
            BadRequestError: it has agents, and no site was given; or it is the last site of its client.
            NotFoundError: there is no such site.
        """

    def list(self, *, client: AnyClient | None=None) -> list[Site]:
        """List the sites of one client, or of all."""

class Scripts:
    """The server's script library: list it; on a stock server also get, create, update, delete and test.

    All errors are `TRMMError`s.
    """
    snippets: Snippets

    def find(self, name: str) -> Script | None:
        """Find the script with this name, or None. Case is ignored. Hidden scripts are not found.

        Raises:
            AmbiguousNameError: several scripts have that name, which the server allows.
        """

    def download(self, script: AnyScript, *, snippets: bool=True) -> ScriptFile:
        """Download a script as a file; a stock server only.

        Args:
            script: the script, its id or its name.
            snippets: True replaces the names of snippets in braces by their code.

        Raises:
            NotFoundError: there is no such script.
        """

    def get(self, script: AnyScript) -> Script:
        """Get one script with its `code`, but without its `script_type`; a stock server only.

        Raises:
            NotFoundError: there is no such script.
        """

    def create(self, *, name: str, shell: Shell, code: str, description: str='', category: str | None=None, args: Iterable[str]=(), env_vars: Mapping[str, str] | None=None, default_timeout: int=90, run_as_user: bool=False, supported_platforms: Iterable[Platform]=()) -> Script:
        """Add a script to the library and return it; a stock server only. Never sent twice.

        The server allows several scripts with one name. It removes spaces around a name.

        Args:
            name: the script's name.
            shell: the shell that runs it.
            code: its text.
            description: its description.
            category: its category in the library.
            args: its arguments, unless a run has its own.
            env_vars: its environment variables.
            default_timeout: seconds that a run may take, unless it has its own timeout.
            run_as_user: True runs it as the user who is logged in.
            supported_platforms: the platforms that it runs on; empty for all.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def update(self, script: AnyScript, **changes: Unpack[ScriptChanges]) -> None:
        """Change a script; a stock server only. Idempotent: sent again if an answer is lost.

        For a community script, only `favorite` and `hidden` can be changed. Each of these two takes a call of
        its own, after the one for all other changes.

        Args:
            script: the script, its id or its name.
            changes: the settings to change: those that `create` takes (`category=None` for no category),
                `favorite`, `hidden`.

        Raises:
            BadRequestError: it is a community script, which can't be edited.
            NotFoundError: there is no such script.
        """

    def delete(self, script: AnyScript, *, with_code: bool=False, in_use: bool=False) -> None:
        """Delete a script; a stock server only.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            script: the script, its id or its name.
            with_code: True confirms that its code may be lost.
            in_use: True also deletes a script that checks and tasks run: the server deletes these checks with
                their results, and the tasks do nothing any more. Without it, both are looked up first, and a
                script in use is not deleted. On a server with thousands of checks this takes half a minute
                and more.

        Raises:
            InvalidRequestError: it is in use, or `with_code` was not given; nothing was deleted.
            BadRequestError: it is a community script.
            NotFoundError: there is no such script.
        """

    def test(self, agent: str | Agent, *, shell: Shell, code: str, args: Iterable[str]=(), env_vars: Mapping[str, str] | None=None, timeout: int=90, run_as_user: bool=False) -> ScriptResult:
        """Run code on an agent without storing it, and wait for its result; a stock server only.

        Never sent twice. It holds a worker of the server until it has ended, for at most `timeout` seconds
        (`max_waiting`); `agents.run_script` doesn't.

        Args:
            agent: the agent or its id.
            shell: the shell that runs the code.
            code: the text.
            args: the arguments.
            env_vars: the environment variables.
            timeout: seconds that it may take, 1 to 300; the client waits longer than that.
            run_as_user: True runs it as the user who is logged in.

        Raises:
            AgentLostError: the agent did not report the end within `timeout`: the code may have run, or may
                still run.
            AgentUnreachableError: the server could not send it to the agent.
            OutcomeUnknownError: it was sent and the answer was lost: it may have run.
        """

    def test_on_server(self, *, shell: Shell, code: str, args: Iterable[str]=(), env_vars: Mapping[str, str] | None=None, timeout: int=90) -> ScriptResult:
        """Run code on the Tactical RMM server itself, as its own user, and wait; a stock server only.

        Never sent twice. It holds a worker of the server until it has ended. An administrator must have
        enabled scripts on the server.

        Args:
            shell: the kind of code. The program that runs it is named in its first line.
            code: the text, which begins with `#!` and the path of a program.
            args: the arguments.
            env_vars: the environment variables.
            timeout: seconds that it may take, 1 to 300; then its `retcode` is 98.

        Raises:
            BadRequestError: scripts on the server are disabled.
            OutcomeUnknownError: it was sent and the answer was lost: it may have run.
        """

    def list(self, *, hidden: bool=False, community: bool=True) -> list[Script]:
        """List all scripts that the key may see, without their code.

        Args:
            hidden: True includes hidden scripts. A stock server only.
            community: False leaves out the scripts that came with Tactical RMM. A stock server only.
        """

class Checks:
    """Checks and their results: list them; on a stock server also create, change, run and delete them.

    All errors are `TRMMError`s.
    """

    def get(self, check: int | Check) -> CheckDetails:
        """Get the settings of one check of an agent or a policy; a stock server only.

        Its result is in `list(agent=…)`; the results of a policy's check are in `results`. `agent_id` is None
        if the key may not list agents.

        Raises:
            NotFoundError: there is no such check.
        """

    def everywhere(self) -> list[CheckDetails]:
        """List the settings of all checks of all agents and policies, in one call; a stock server only.

        It has no results; `iter` and `list` have them. `agent_id` is None if the key may not list agents.
        """

    @overload
    def create(self, settings: CheckKind, *, agent: str | Agent) -> Check:
        """Create a check of an agent or a policy, and return it; a stock server only. Never sent twice.

        Args:
            settings: what is checked: `DiskSpaceCheck(disk="C:", warning_threshold=20)`, a `CpuLoadCheck`,
                `MemoryCheck`, `PingCheck`, `ServiceCheck`, `ScriptCheck` or `EventLogCheck`. An agent or a
                policy can have one CPU load check, one memory check, and one check of each disk.
            agent: the agent that gets the check.
            policy: the policy that gets the check, in place of `agent`.

        Raises:
            InvalidRequestError: a value is wrong, or not exactly one of `agent` and `policy` is given.
            BadRequestError: there is such a check already, or there is no such script or policy.
            NotFoundError: there is no such agent.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    @overload
    def create(self, settings: CheckKind, *, policy: int | Policy) -> Check:
        ...

    def update(self, check: int | Check | CheckDetails, **changes: Unpack[CheckChanges]) -> None:
        """Change settings of a check; a stock server only. Idempotent: sent again if an answer is lost.

        The type of a check can't be changed. The check is read first, since the server accepts values that
        don't fit its type.

        Args:
            check: the check or its id.
            changes: the fields to change, as `PingCheck` and the other types have them.

        Raises:
            InvalidRequestError: a value is wrong, or checks of its type have no such field; nothing was
                changed.
            NotFoundError: there is no such check.
        """

    def delete(self, check: int | Check | CheckDetails, *, in_use: bool=False) -> None:
        """Delete a check with its results, a policy's check from all its agents; a stock server only.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            check: the check or its id.
            in_use: True also deletes a policy's check, and one whose failure starts tasks, which stay but
                don't run any more. Without it, such a check is looked up first and not deleted.

        Raises:
            InvalidRequestError: it is a policy's check, or its failure starts tasks; nothing was deleted.
            NotFoundError: there is no such check, or it was deleted before.
        """

    def results(self, check: int | Check | CheckDetails) -> list[CheckOnAgent]:
        """List the results of a policy's check on each agent; a stock server only.

        The list is empty if the check has not run on any agent yet. `agent_id` is None if the key may not
        list agents.

        Raises:
            NotFoundError: there is no such check.
        """

    @overload
    def run_many(self, *, client: AnyClient) -> int:
        """Make all agents of a client or a site run their checks now; a stock server only. Never sent twice.

        The server doesn't wait for the agents. It counts offline agents, too, which run nothing.

        Returns:
            The number of agents.

        Raises:
            BadRequestError: the client or site has no agents, or doesn't exist.
            OutcomeUnknownError: it was sent and the answer was lost: they may run.
        """

    @overload
    def run_many(self, *, site: AnySite) -> int:
        ...

    def run(self, agent: str | Agent) -> None:
        """Make an agent run all its checks now; a stock server only. Never sent twice.

        It returns when the agent has accepted; the results are in `list` later. Meanwhile it holds a worker
        of the server, for at most 15 seconds (`max_waiting`).

        Raises:
            AgentLostError: the agent did not answer; it may run its checks all the same.
            BadRequestError: the agent is running its checks already.
        """

    @overload
    def reset(self, check: Check) -> None:
        """Reset the result of a check, or of all checks of an agent, to passing, and resolve their alerts.

        A stock server only. Idempotent: sent again if an answer is lost.

        Args:
            check: a check from `list`. An id is not enough, because the server resets the result of a check
                on one agent.
            agent: the agent whose checks are all reset, in place of `check`.

        Raises:
            InvalidRequestError: the check has no result yet, or is not from `list`; or not exactly one of
                `check` and `agent` was given.
        """

    @overload
    def reset(self, *, agent: str | Agent) -> None:
        ...

    def history(self, check: Check, *, days: int | None=None) -> list[CheckHistoryPoint]:
        """List the past results of a check on its agent, newest first; a stock server only.

        Args:
            check: a check from `list`, as for `reset`.
            days: only results of the last so many days. None for all that the server keeps (30 days by
                default).
        """

    def list(self, *, agent: str | Agent | None=None, status: CheckStatus | None=None, hostname: str | None=None, client: AnyClient | None=None, site: AnySite | None=None, monitoring_type: MonitoringType | None=None) -> list[Check]:
        """List the checks of one agent, or of all agents that match all of the filters, with their results.

        For several agents, this takes one call for the list of agents and one call for each agent, a few at a
        time and within the rate limit. With `status="failing"`, a stock server is asked only for agents that
        have failing checks according to its list of agents.

        Args:
            agent: the agent or its id. It can't be combined with the filters of agents.
            status: only checks with this status.
            hostname: only checks of agents with this name, as in `agents.list`.
            client: only checks of this client's agents.
            site: only checks of this site's agents.
            monitoring_type: only checks of servers, or of workstations.

        Raises:
            IncompleteError: the checks of some agents could not be read. It names these agents, and holds the
                checks of the others.
            NotFoundError: there is no such agent (a gateway has no checks for it).
        """

    def iter(self, *, status: CheckStatus | None=None, hostname: str | None=None, client: AnyClient | None=None, site: AnySite | None=None, monitoring_type: MonitoringType | None=None) -> CheckStream:
        """Iterate over the checks of several agents as the answers arrive; see `CheckStream`.

            with trmm.checks.iter(status="failing") as stream:
                for check in stream: ...

        The arguments are those of `list`. Nothing is sent before the stream is entered.
        """

class Tasks:
    """Automated tasks. All errors are `TRMMError`s."""

    def results(self, task: int | Task) -> list[TaskOnAgent]:
        """List the results of a policy's task on each agent; a stock server only.

        The list is empty if the task is not a policy's, or if no agent has it. `agent_id` is None if the key
        may not list agents.

        Raises:
            NotFoundError: there is no such task.
        """

    def create(self, *, name: str, agent: str | Agent, script: AnyScript, schedule: str, enabled: bool=True) -> Task:
        """Create a task that runs a script on an agent by a five-field cron expression. Never sent twice.

        Raises:
            InvalidRequestError: an argument is wrong; for `schedule`, the text names the field.
            UnsupportedError: a stock server has no type of task for this schedule.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """

    def set_up(self, *, name: str, schedule: TaskSchedule, actions: Sequence[TaskAction], agent: str | Agent | None=None, policy: int | Policy | None=None, **settings: Unpack[_TaskOptions]) -> Task:
        """Create any task of an agent or a policy, and return it; a stock server only. Never sent twice.

        The objects that the task refers to are looked up first, since the server accepts references that
        can't work.

        Args:
            name: the name.
            schedule: `Daily(at=…)`, `Weekly`, `Monthly`, `MonthlyByWeekday`, `Once`, `OnFailure`,
                `OnBoarding` or `Manual()`. Times are by the agent's own clock.
            actions: what the task does, in order: `ScriptAction(script=…)`, `CommandAction(command=…)`.
            agent: the agent that gets the task.
            policy: the policy that gets the task, in place of `agent`.
            settings: see `TaskSettings`.

        Raises:
            InvalidRequestError: a value is wrong, or not exactly one of `agent` and `policy` is given; the
                check that starts the task belongs to another agent or policy; or the schedule has a setting
                for Windows only (`every`, `random_delay`, `repeat_every`, `run_if_missed`, `expires`) and the
                agent runs another system.
            BadRequestError: there is no such policy or custom field.
            NotFoundError: there is no such agent, script or check.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def get(self, task: int | Task) -> Task:
        """Get one task, without the `status` of its last run; a stock server only.

        `agent_id` is None if the key may not list agents.

        Raises:
            NotFoundError: there is no such task.
        """

    def run(self, task: int | Task, *, agent: str | Agent | None=None) -> None:
        """Run a task now; a stock server only. Never sent twice.

        It returns when the server has accepted the order. It doesn't wait for the agent, and doesn't report
        an agent that is silent. The result is in `list(agent=…)` later.

        Args:
            task: the task or its id.
            agent: the agent on which a policy's task runs. A task of an agent runs there without it.

        Raises:
            InvalidRequestError: it is a policy's task and no agent was given: the server would run nothing.
            NotFoundError: there is no such task.
            OutcomeUnknownError: it was sent and the answer was lost: it may run.
        """

    def run_everywhere(self, task: int | Task) -> None:
        """Run a policy's task now on every agent that has the policy; a stock server only. Never sent twice.

        It returns when the server has accepted the order. Offline agents run nothing. The results are in
        `results` later.

        Raises:
            InvalidRequestError: it is not a policy's task: the server would accept it and run nothing.
            NotFoundError: there is no such task.
            OutcomeUnknownError: it was sent and the answer was lost: it may run.
        """

    def update(self, task: int | Task, **changes: Unpack[TaskChanges]) -> None:
        """Change settings of a task; a stock server only. Idempotent: sent again if an answer is lost.

        A `schedule` is sent completely, with its type; without the type, the server would silently drop it.

        Raises:
            InvalidRequestError: a value or the schedule is wrong, as in `set_up`; nothing was changed.
            NotFoundError: there is no such task or script.
        """

    def delete(self, task: int | Task, *, in_use: bool=False) -> None:
        """Delete a task, a policy's task from all its agents; a stock server only.

        If an answer is lost and it is gone afterwards, that counts as success. The server tells the agent
        first, and doesn't wait: an agent's task may still be listed for a while.

        Args:
            task: the task or its id.
            in_use: True also deletes a policy's task, with its results on every agent. Without it, the task
                is looked up first, and a policy's task is not deleted.

        Raises:
            InvalidRequestError: it is a policy's task; nothing was deleted.
            NotFoundError: there is no such task.
        """

    def list(self, *, agent: str | Agent | None=None) -> list[Task]:
        """List the automated tasks of one agent, or of all agents.

        The `status` of a stock server's task is only in the list of one agent. In that of all agents,
        `agent_id` is None if the key may not list agents.
        """

class Alerts:
    """Alerts: list, acknowledge and resolve them; on a stock server also snooze and delete them.

    All errors are `TRMMError`s. Methods that change alerts are idempotent: they are sent again if an answer
    is lost.
    """

    def get(self, alert: int | Alert) -> Alert:
        """Get one alert; a stock server only.

        Raises:
            NotFoundError: there is no such alert.
        """

    def create(self, *, message: str, severity: Severity='info', alert_type: AlertType='custom', agent: str | Agent | None=None, check: int | Check | None=None, task: int | Task | None=None) -> Alert:
        """Create an alert and return it; a stock server only. Never sent twice.

        The alert is a row in the list of alerts, with the present time. The server sends no mail for it, and
        runs no action.

        Args:
            message: the text.
            severity: "info", "warning" or "error".
            alert_type: the kind of its subject; "custom" is for subjects of your own.
            agent: the agent that it belongs to, or None.
            check: the check that it is about.
            task: the task that it is about.

        Raises:
            InvalidRequestError: a value is wrong, or there is no such agent; nothing was created.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def acknowledge(self, alert: int | Alert) -> None:
        """Acknowledge an alert, which stays unresolved. A gateway only: a stock server has no such state."""

    def resolve(self, alerts: int | Alert | Iterable[int | Alert]) -> None:
        """Resolve an alert, or several by one call; several on a stock server only.

        The server silently ignores ids that it doesn't know if several are given.

        Raises:
            UnsupportedError: several were given, and the server is a gateway.
        """

    def snooze(self, alerts: int | Alert | Iterable[int | Alert], *, days: int) -> None:
        """Snooze an alert for a number of days from now, or several by one call; a stock server only.

        The server silently ignores ids that it doesn't know if several are given.
        """

    def unsnooze(self, alert: int | Alert) -> None:
        """End the snoozing of an alert; a stock server only."""

    def delete(self, alert: int | Alert, *, with_history: bool=False) -> None:
        """Delete an alert; a stock server only. `resolve` ends an alert and keeps its record.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            alert: the alert or its id.
            with_history: True confirms that its whole record may be lost.

        Raises:
            InvalidRequestError: `with_history` was not given; nothing was deleted.
            NotFoundError: there is no such alert.
        """

    def list(self, *, days: int | None=None, client: AnyClient | Iterable[AnyClient] | None=None, severity: Severity | Iterable[Severity] | None=None, resolved: bool | None=None, snoozed: bool | None=None) -> list[Alert]:
        """List all alerts that the key may see; on a stock server those that match all of the filters.

        Args:
            days: only alerts of the last so many days.
            client: only alerts of the agents of one client, or of several. Alerts without an agent are left
                out then.
            severity: only alerts of this severity, or of one of these.
            resolved: True for only resolved alerts, False for only unresolved ones.
            snoozed: True for only snoozed alerts, False for only those that are not snoozed.

        Raises:
            UnsupportedError: a filter was given, and the server is a gateway, which has no filters.
        """

class Policies:
    """Automation policies of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`. The server caches the policies of an agent for
    ten minutes: an `assign` to an agent, or an exclusion, may take effect that late.

    Attributes:
        patches: the patch policies of policies.
    """
    patches: PatchPolicies

    def get(self, policy: int | Policy) -> Policy:
        """Get one policy.

        Raises:
            NotFoundError: there is no such policy.
        """

    def related(self, policy: int | Policy) -> PolicyUse:
        """Get the places where a policy is assigned.

        Raises:
            NotFoundError: there is no such policy.
        """

    def checks(self, policy: int | Policy) -> list[Check]:
        """List a policy's checks. They have no results, which are in `checks.list(agent=…)`."""

    def tasks(self, policy: int | Policy) -> list[Task]:
        """List a policy's tasks. `tasks.run(task, agent=…)` runs one."""

    def create(self, *, name: str, copy_of: int | Policy | None=None, **settings: Unpack[_PolicyOptions]) -> Policy:
        """Create a policy and return it. It is not assigned yet: see `assign`. Never sent twice.

        Args:
            name: a unique name.
            copy_of: a policy whose checks and tasks are copied. Its alert template, exclusions and patch
                policy are not copied, nor the environment variables of its script checks, nor tasks that run
                on failure without their check.
            settings: see `PolicyChanges`. The policy is active unless `active=False` is given; the server's
                own default is inactive.

        Raises:
            BadRequestError: there is a policy of this name.
            NotFoundError: the policy to copy doesn't exist; nothing was created.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def update(self, policy: int | Policy, **changes: Unpack[PolicyChanges]) -> None:
        """Change settings of a policy. Idempotent: sent again if an answer is lost.

        Raises:
            BadRequestError: there is another of this name, or no such alert template.
            NotFoundError: there is no such policy, or agent.
        """

    def assign(self, policy: int | Policy | None, *, agent: str | Agent | None=None, client: AnyClient | None=None, site: AnySite | None=None, everywhere: bool=False, monitoring_type: MonitoringType | None=None) -> None:
        """Assign a policy to an agent, a client, a site, or to all agents by default.

        Doing it twice is the same as once. Exactly one of agent, client, site and everywhere must be given.

        Args:
            policy: the policy; None removes the policy that is assigned there.
            agent: this agent, in addition to the policies that it inherits.
            client: the agents of this client.
            site: the agents of this site.
            everywhere: True assigns it to all agents, except those that are excluded or block inheritance.
            monitoring_type: only servers, or only workstations; None for both. It can't be combined with
                `agent`.

        Raises:
            BadRequestError: there is no such policy.
            NotFoundError: there is no such agent, client or site.
        """

    def overview(self) -> list[ClientPolicies]:
        """List all clients and sites with the policies assigned to them, without those that they inherit."""

    def delete(self, policy: int | Policy, *, with_contents: bool=False, in_use: bool=False) -> None:
        """Delete a policy with its checks and tasks. If it is gone already, that counts as success.

        Args:
            policy: the policy or its id.
            with_contents: True also deletes a policy that has checks or tasks, with them. Without it, they
                are looked up first, and such a policy is not deleted.
            in_use: True also deletes a policy that is assigned somewhere, which removes it there. Without it,
                that is looked up first, and such a policy is not deleted.

        Raises:
            InvalidRequestError: it is in use, or has checks or tasks; nothing was deleted.
        """

    def list(self) -> list[Policy]:
        """List all policies."""

class AlertTemplates:
    """Alert templates of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`. What is set reaches the agents some seconds later.
    """

    def get(self, template: int | AlertTemplate) -> AlertTemplate:
        """Get one alert template.

        Raises:
            NotFoundError: there is no such template.
        """

    def related(self, template: int | AlertTemplate) -> AlertTemplateUse:
        """Get the places where an alert template is assigned.

        Raises:
            NotFoundError: there is no such template.
        """

    def create(self, *, name: str, **settings: Unpack[_TemplateOptions]) -> AlertTemplate:
        """Create an alert template and return it. It is not assigned yet: see `assign`. Never sent twice.

        Args:
            name: its name; others may have the same.
            settings: as `AlertTemplate` has them; an action together with its type.

        Raises:
            InvalidRequestError: a value is wrong, or an action and its type don't go together.
            UnsupportedError: also for "server" and "rest", if the server is older than 0.19.0.
            BadRequestError: there is no such script or URL action.
            PermissionDeniedError: also if the key may not run scripts on the server ("server").
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def update(self, template: int | AlertTemplate, **changes: Unpack[AlertTemplateChanges]) -> None:
        """Change settings of an alert template. Idempotent: sent again if an answer is lost.

        Raises:
            InvalidRequestError: as for `create`.
            UnsupportedError: as for `create`.
            NotFoundError: there is no such template.
        """

    def assign(self, template: int | AlertTemplate | None, *, policy: int | Policy | None=None, client: AnyClient | None=None, site: AnySite | None=None, everywhere: bool=False) -> None:
        """Assign an alert template to a policy, a client, a site, or as the default.

        Doing it twice is the same as once. Exactly one of policy, client, site and everywhere must be given.

        Args:
            template: the template; None removes the template that is assigned there.
            policy: the agents that have this policy.
            client: the agents of this client.
            site: the agents of this site.
            everywhere: True for all agents that have no other template.

        Raises:
            BadRequestError: there is no such template.
            NotFoundError: there is no such policy, client or site.
        """

    def delete(self, template: int | AlertTemplate, *, in_use: bool=False) -> None:
        """Delete an alert template. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            template: the template or its id.
            in_use: True deletes one that is set somewhere too: nobody is told by it any more then. Otherwise
                it is looked up first, and refused.

        Raises:
            InvalidRequestError: it is in use; nothing was deleted.
            NotFoundError: there is no such template.
        """

    def list(self) -> list[AlertTemplate]:
        """List all alert templates."""

class UrlActions:
    """URL actions of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def create(self, *, name: str, pattern: str, **settings: Unpack[_UrlActionOptions]) -> UrlAction:
        """Create a URL action and return it. Never sent twice.

        Args:
            name: the name; several actions may have the same.
            pattern: the URL, with placeholders such as `{{agent.hostname}}`.
            settings: see `UrlActionChanges`.

        Raises:
            UnsupportedError: also if the server is to call it, and is older than 0.19.0; nothing was sent.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def update(self, action: int | UrlAction, **changes: Unpack[UrlActionChanges]) -> None:
        """Change settings of a URL action. Idempotent: sent again if an answer is lost.

        Raises:
            UnsupportedError: as for `create`.
            NotFoundError: there is no such action.
        """

    def delete(self, action: int | UrlAction, *, in_use: bool=False) -> None:
        """Delete a URL action. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            action: the action or its id.
            in_use: True deletes one that alert templates call, too: they do nothing then. Otherwise these
                are looked up first, and it is left alone.

        Raises:
            InvalidRequestError: it is in use; nothing was deleted.
            NotFoundError: there is no such action.
        """

    def list(self) -> list[UrlAction]:
        """List all URL actions. There is no call for a single one."""

class CustomFields:
    """The definitions of custom fields of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`. Values are fields of their objects: `agent.custom_fields`.
    """

    def get(self, field: int | CustomField) -> CustomField:
        """Get the definition of one custom field.

        Raises:
            NotFoundError: there is no such field.
        """

    def create(self, *, name: str, model: Model, type: FieldType='text', options: Iterable[str]=(), required: bool=False, default: str | float | bool | Iterable[str] | None=None) -> CustomField:
        """Create a custom field and return it. Never sent twice.

        Args:
            name: the name, unique for each model.
            model: the kind of object that has the field.
            type: the type of its values.
            options: the values to choose from, for "single" and "multiple".
            required: True makes the dashboard require a value.
            default: the value if none is set: True or False for a checkbox, several texts for "multiple", a
                text or a number for the others.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def update(self, field: int | CustomField, **changes: Unpack[CustomFieldChanges]) -> None:
        """Change a custom field. Idempotent: sent again if an answer is lost.

        A field that is given by its id is looked up first if the allowed values depend on its type.

        Args:
            field: the field or its id.
            changes: the settings to change: `name`, `options`, `required`, `default` (None for none),
                `hide_in_ui`, `hide_in_summary`.

        Raises:
            NotFoundError: there is no such field.
        """

    def delete(self, field: int | CustomField, *, with_values: bool=False) -> None:
        """Delete a custom field and all its values.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            field: the field or its id.
            with_values: True confirms that its values on all agents, clients or sites may be lost.

        Raises:
            InvalidRequestError: `with_values` was not given; nothing was deleted.
            NotFoundError: there is no such field.
        """

    def list(self, *, model: Model | None=None) -> list[CustomField]:
        """List all custom fields, or those of agents, clients or sites."""

class KeyStore:
    """The global key store of a stock server: what scripts use as `{{global.name}}`.

    All errors are `TRMMError`s; a gateway raises `UnsupportedError`. Values are in no repr.
    """

    def create(self, *, name: str, value: str) -> KeyStoreEntry:
        """Create an entry and return it. Never sent twice.

        The server allows several entries with one name. It removes white space around a value. A name has at
        most 25 characters.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """

    def update(self, entry: int | KeyStoreEntry, **changes: Unpack[KeyStoreChanges]) -> None:
        """Change an entry: its `name`, its `value`. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such entry.
        """

    def delete(self, entry: int | KeyStoreEntry, *, with_value: bool=False) -> None:
        """Delete an entry. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            entry: the entry or its id.
            with_value: True confirms that its value may be lost.

        Raises:
            InvalidRequestError: that was not confirmed; nothing was deleted.
            NotFoundError: there is no such entry.
        """

    def list(self) -> list[KeyStoreEntry]:
        """List all entries, with their values."""

class AuditLog:
    """The audit log of a stock server: who did what. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def iter(self, *, page_size: int=..., **which: Unpack[AuditFilters]) -> AuditStream:
        """Iterate over the entries that match all filters, newest first, page by page in constant memory.

            with trmm.audit_log.iter(action="login", days=7) as entries:
                for entry in entries: ...

        Every entry comes once, however many are added meanwhile. Entries that are added after the first page
        was read are not included.

        Args:
            page_size: the largest number of entries in one request, 20 to 1000.
            which: see `AuditFilters`.

        Raises:
            InvalidRequestError: an argument is wrong.
        """

    def list(self, *, limit: int=100, **which: Unpack[AuditFilters]) -> list[AuditEntry]:
        """List the newest `limit` entries that match all filters, as `iter` does."""

class PendingActions:
    """Actions that agents of a stock server have to do: scheduled reboots, installs of software, upgrades.

    Every method raises `TRMMError`s only; a gateway raises `UnsupportedError`.
    """

    def cancel(self, action: int | PendingAction) -> None:
        """Cancel an action, such as the reboot that `agents.reboot(agent, at=…)` scheduled.

        For a scheduled reboot, the agent has 10 seconds to answer. Any other action is only removed from the
        server's list: the agent may still do what it was told before. If the action is gone already, that
        counts as success.

        Raises:
            AgentLostError: the agent did not answer; its reboot may still be scheduled.
            NotFoundError: there is no such action.
        """

    def list(self, *, agent: str | Agent | None=None) -> list[PendingAction]:
        """List the pending actions of all agents, or of one, including completed ones."""

class Installers:
    """Installers of agents for every system, made by a stock server. All errors are `TRMMError`s.

    Each contains a new token, which is valid until it expires. `deployments` are links to installers for
    other people. A gateway raises `UnsupportedError`.
    """

    def create(self, *, site: AnySite, method: Method='manual', monitoring_type: MonitoringType='server', valid_for: timedelta=..., arch: Literal['amd64', '386', 'arm64', 'arm']='amd64', rdp: bool=False, ping: bool=False, power: bool=False, api: str | None=None) -> Installer:
        """Create an installer and return it. Never sent twice: each has a token of its own.

        Args:
            site: the site of the new agents. It is looked up first, since the server doesn't check it.
            method: "manual" (a command), "powershell" (a script) or "exe" (a program) for Windows, "bash" for
                Linux, "mac" (a command) for macOS.
            monitoring_type: the type of the new agents.
            valid_for: how long the installer can be used, rounded up to whole hours; a day by default.
            arch: the architecture of the machines: "amd64", "386", "arm64" or "arm".
            rdp: True enables remote desktop (Windows).
            ping: True lets the machine answer pings (Windows).
            power: True keeps the machine from sleeping (Windows).
            api: the address that agents connect to; None for the client's own.

        Raises:
            NotFoundError: there is no such site.
            BadRequestError: the server can't: Linux and macOS need a code signing token there, "exe" a
                service of the vendor's.
            OutcomeUnknownError: the answer was lost; a token may exist, which nobody knows.
        """

class Users:
    """The users of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """
    sessions: Sessions

    def get(self, user: int | User) -> User:
        """Get one user.

        Raises:
            NotFoundError: there is no such user.
        """

    def create(self, *, username: str, password: str, email: str='', first_name: str='', last_name: str='', role: int | None=None, dashboard_blocked: bool=False) -> User:
        """Create a user and return it. Never sent twice.

        Args:
            username: a unique name of letters, digits and @ . + - _.
            password: the password for the dashboard, which requires a second factor at the first login.
            email: an address, or "" for none.
            first_name: the first name.
            last_name: the last name.
            role: a role or its id. Without one, the user may do nothing.
            dashboard_blocked: True allows no logins, API keys only. It takes a second call.

        Raises:
            BadRequestError: there is a user of that name, or the name is not valid.
            HalfDoneError: there is no such role, or the login could not be blocked: the user exists, and is
                in `made`.
            OutcomeUnknownError: it was sent and the answer was lost: the user may exist.
        """

    def update(self, user: int | User, **changes: Unpack[UserChanges]) -> None:
        """Change settings of a user. Idempotent: sent again if an answer is lost.

        Only `set_password` changes a password. `role=None` takes all permissions away.

        Raises:
            BadRequestError: there is no such role, or another user has that name.
            NotFoundError: there is no such user.
        """

    def delete(self, user: int | User, *, with_keys: bool=False) -> None:
        """Delete a user with its sessions. If it is gone already, that counts as success.

        Args:
            user: the user or its id.
            with_keys: True also deletes its API keys: programs that use them lose their access. Without it,
                they are looked up first, and a user with a key is not deleted.

        Raises:
            InvalidRequestError: it has API keys; nothing was deleted.
            NotFoundError: there is no such user.
        """

    def set_password(self, user: int | User, password: str) -> None:
        """Set a user's password. Sessions of the user stay open: see `sessions.delete_all`.

        Raises:
            NotFoundError: there is no such user.
        """

    def reset_totp(self, user: int | User) -> None:
        """Remove a user's second factor. The next login sets up another one.

        Raises:
            NotFoundError: there is no such user.
        """

    def list(self, *, search: str | None=None) -> list[User]:
        """List all users, or those with `search` in their names."""

class Roles:
    """The roles of a stock server's users. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def get(self, role: int | Role) -> Role:
        """Get one role.

        Raises:
            NotFoundError: there is no such role.
        """

    def create(self, *, name: str, permissions: Iterable[str]=(), clients: RolesClients, sites: RolesSites=(), superuser: bool=False) -> Role:
        """Create a role and return it. Never sent twice.

        Args:
            name: a unique name.
            permissions: the server's names, such as "can_run_scripts"; empty for a role that allows nothing.
            clients: the clients whose agents the users may see, by id, name or object; or "all", explicitly,
                since the server takes an empty list for all.
            sites: single sites that they may see as well; not with "all".
            superuser: True allows everything, on all agents.

        Raises:
            BadRequestError: there is a role of that name, or no such client or site.
            InvalidRequestError: there is no such permission.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """

    def update(self, role: int | Role, *, name: str | None=None, permissions: Iterable[str] | None=None, grant: Iterable[str]=(), revoke: Iterable[str]=(), clients: RolesClients | None=None, sites: RolesSites | None=None, superuser: bool | None=None) -> None:
        """Change a role, for all its users at once. Idempotent: sent again if an answer is lost.

        Args:
            role: the role or its id.
            name: the new name. The server needs the name in every change; if it is not given, it is read
                first.
            permissions: exactly these permissions.
            grant: permissions to add.
            revoke: permissions to take away.
            clients: the clients whose agents the users may see, or "all".
            sites: single sites that they may see as well; without `clients`, only these.
            superuser: whether everything is allowed.

        Raises:
            NotFoundError: there is no such role.
        """

    def delete(self, role: int | Role, *, in_use: bool=False) -> None:
        """Delete a role. If it is gone already, that counts as success.

        Args:
            role: the role or its id.
            in_use: True to remove one that users have: they may do nothing from then on, and their keys
                neither. Without it, such a role is left alone.

        Raises:
            InvalidRequestError: users have it, and `in_use` was not given; it was not removed.
            NotFoundError: there is no such role.
        """

    def list(self) -> list[Role]:
        """List all roles."""

class ApiKeys:
    """The API keys of a stock server's users. All errors are `TRMMError`s.

    The keys themselves are in the answers, but appear in no repr and no error. Whoever may list keys may use
    each of them. A gateway raises `UnsupportedError`.
    """

    def create(self, *, name: str, user: int | User, expires: datetime | None=None) -> ApiKey:
        """Create an API key for a user and return it, with the `key` itself. Never sent twice.

        Args:
            name: a unique name, of at most 25 characters.
            user: the user whose permissions the key has.
            expires: the moment when it expires, in the future and with a time zone; None for never.

        Raises:
            BadRequestError: there is a key of that name, or no such user.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """

    def create_limited(self, *, name: str, permissions: Iterable[str], clients: RolesClients, sites: RolesSites=(), expires: datetime | None=None) -> ApiKey:
        """Create an API key with only these permissions, with a role and a user of its own.

        All three have the same name. The user has a password that nobody knows, and can't log in. To revoke
        the key, delete the user and the role.

        Args:
            name: at most 25 characters that are allowed in user names: letters, digits and @ . + - _.
            permissions: the server's names of permissions, such as "can_run_scripts"; see `roles.create`.
            clients: the clients whose agents the key may see, or "all"; see `roles.create`.
            sites: single sites that it may see as well.
            expires: the moment when the key expires; None for never.

        Raises:
            BadRequestError: there is a role of that name, or no such client; nothing was created.
            HalfDoneError: the role was created, but the user or the key was not; `made` has what exists.
        """

    def update(self, key: int | ApiKey, **changes: Unpack[ApiKeyChanges]) -> None:
        """Change settings of an API key: its `name`, its `user`, when it `expires` (None for never).

        The key itself can't be changed. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such key.
        """

    def delete(self, key: int | ApiKey, *, with_access: bool=False) -> None:
        """Delete an API key, which is refused from then on. If it is gone already, that counts as success.

        Args:
            key: the API key object or its id.
            with_access: True confirms that programs which use the key may lose their access: the same key
                can't be created again.

        Raises:
            InvalidRequestError: `with_access` was not given; nothing was deleted.
            NotFoundError: there is no such key.
        """

    def list(self) -> list[ApiKey]:
        """List all API keys, with the keys themselves."""

class Schedules:
    """When a stock server makes reports, which its enterprise edition has. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def create(self, *, name: str, run_time: time, weekdays: Iterable[int] | None=None, months: Iterable[int] | None=None, days: Iterable[int] | None=None, weeks: Iterable[int] | None=None) -> Schedule:
        """Create a schedule and return it. Never sent twice.

        Daily by itself; with `weekdays` weekly; with `months` and `days` monthly, or with `months`, `weeks`
        and `weekdays`.

        Args:
            name: need not be the only one of its name.
            run_time: without a zone, by the server's clock.
            weekdays: 0 is Monday, 6 Sunday.
            months: 1 to 12.
            days: of the month, 1 to 31, and 32 for the last.
            weeks: of the month, 1 to 4, and 5 for the last.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """

    def update(self, schedule: int | Schedule, **changes: Unpack[ScheduleChanges]) -> None:
        """Change settings of a schedule. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such schedule.
        """

    def delete(self, schedule: int | Schedule) -> None:
        """Delete a schedule. If it is gone already, that counts as success.

        Raises:
            NotFoundError: there is no such schedule.
        """

    def list(self) -> list[Schedule]:
        """List all schedules."""

class Core:
    """The stock server itself: version, settings, maintenance. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def version(self) -> str:
        """Get the version of Tactical RMM, such as "1.5.1", not of its web pages. As slow as `dashboard`."""

    def settings(self) -> ServerSettings:
        """Get the server's settings. They contain secrets, only in `extra`, which appears in no repr."""

    def dashboard(self) -> Dashboard:
        """Get what the dashboard loads first: versions, enabled features, the appearance that its user chose.

        The server asks the internet for the newest version meanwhile. Without internet access this takes 5
        seconds (20 with a code signing token), and holds a worker.
        """

    def update_settings(self, **changes: Unpack[SettingsChanges]) -> None:
        """Change settings of the server. Idempotent: sent again if an answer is lost.

        `server_scripts_enabled` and `web_terminal_enabled` are named as in `settings()`, all others as on the
        server. 0 days of pruning means never. For a shell that is "custom", give its `…_custom` path, too.
        Single sign-on, which needs a licence, and the settings that depend on it can't be changed here.

        Raises:
            BadRequestError: the server refuses a value.
        """

    def web_version(self) -> str:
        """Get the version of the server's web pages. `version` is the one of Tactical RMM."""

    def status(self, token: str) -> ServerStatus:
        """Get the health of the server from its monitoring endpoint.

        Args:
            token: the `MON_TOKEN` that an administrator has set on the server. The API key is not accepted.

        Raises:
            AuthenticationError: the token is wrong, or none is set on the server.
        """

    def clear_cache(self) -> None:
        """Clear the server's cache of policies' checks and tasks. Never sent twice.

        The server caches them for 10 minutes: a policy that was assigned to an agent may show late in
        `checks.list`.
        """

    def reload_nats(self) -> None:
        """Make the server rewrite the configuration of its message bus. Never sent twice."""

    def remove_orphaned_tasks(self) -> None:
        """Have agents remove scheduled tasks that the server does not know any more. Begun only."""

    def prune(self, *, all_alerts: bool=False, completed_actions: bool=False, check_run_logs: bool=False) -> int:
        """Delete rows of the server's database, and return their number. Never sent twice.

        Args:
            all_alerts: True deletes every alert, resolved or not.
            completed_actions: True deletes pending actions that are completed.
            check_run_logs: True deletes entries of the audit log about runs of checks.

        Raises:
            InvalidRequestError: none of them is True.
        """

    def test_email(self) -> None:
        """Make the server send a test mail to its recipients. It may take 20 seconds. Never sent twice.

        Raises:
            ServerError: the server could not send it; the text has the server's words.
        """

    def test_sms(self) -> None:
        """Make the server send a test message to its recipients, by Twilio. Never sent twice.

        Raises:
            ServerError: the server could not send it; the text has the server's words.
        """

    def debug_log(self, *, level: Literal['info', 'warning', 'error', 'critical'] | None=None, log_type: Literal['agent_update', 'agent_issues', 'win_updates', 'system_issues', 'scripting'] | None=None, agent: str | Agent | None=None) -> list[DebugEntry]:
        """The newest entries of the debug log, 1000 at most, the newest first.

        Args:
            level: only of this level, not of higher ones.
            log_type: only of this type.
            agent: only about this agent.

        Raises:
            NotFoundError: there is no such agent. The server has no entries of one, and says no more.
        """

class Fleet:
    """Runs scripts and other calls on many agents.

    Attributes:
        poll: a run with `when_online` reads the list of agents every so many seconds. Default: 15.
    """
    poll: float

    def run_script(self, agents: Iterable[str | Agent] | Selector, script: AnyScript, *, args: Iterable[str]=(), timeout: int=90, env_vars: Mapping[str, str] | None=None, run_as_user: bool=False, width: int | None=None, canary: int | None=None, batch: Share | None=None, max_failures: Share | None=None, success: Callable[[ScriptResult], bool] | Iterable[int]=..., splay: float=0.0, skip_offline: bool=False, when_online: timedelta | None=None, dry_run: bool=False, journal: Place | None=None) -> FleetRun:
        """Run a script on many agents. Returns a `FleetRun`, to be awaited or iterated.

        Nothing is sent before you enter or await the run. Every target is tried, including agents that were
        last seen offline, since their last known status may be old. `skip_offline` and `when_online` change
        that.

        A stock server takes all targets in one call, and they start together, unless `width`, `splay` or
        `max_failures` asks for less. The results are read from the server's history.

        Args:
            agents: ids or agents: any iterable, also an asynchronous one, or `agents.select(…)`, which is
                read to its end before the first script is sent. Duplicates are refused.
            script: a script of the server's library: its id, its name, or the `Script`. A name is looked up
                when the run begins.
            args: the script's arguments, texts.
            timeout: seconds that the script may take on each agent, 1 to 300.
            env_vars: environment variables for the script; a stock server only.
            run_as_user: run the script as the user who is logged in; a stock server only.

            width: how many targets may be in progress at once. None: 50 on a gateway, all on a stock server.
            canary: the number of targets to run first. The others follow only if all of these succeed.
            batch: how many targets run at a time; the next batch starts when all of a batch have ended. A
                whole number, or a share of the targets as a float (0.1 is a tenth).
            max_failures: stop after more than this number (an int) or this share (a float) of failures.
                Targets not yet started are skipped. A target that is not known to have succeeded is a
                failure.
            success: which results are successes: a function of a `ScriptResult`, or return codes. Return
                codes are stored in a journal for `resume`; a function is not. Default: return code 0.
            splay: before each target is sent, wait a random time of up to this many seconds.

            skip_offline: skip the agents that are offline, according to the server, when the run begins.
            when_online: wait for offline agents instead: the script runs on those that come back within this
                time, and the others are skipped.
            dry_run: return a `Skipped` for each target, whose reason says what would happen to it. No script
                is sent, and no journal is made.
            journal: the path of a file that records the run, so that `resume` can continue it after a crash.
                The file must not exist. Or a run in a database, which several hosts can work on together: a
                `PostgresJournal`, or "postgresql://host/database?run=NAME". The database must not have a run
                of that name.

        Raises:
            InvalidRequestError: an argument is invalid, or a target is given twice. Nothing was sent.
        """

    def run_command(self, agents: Iterable[str | Agent] | Selector, command: str, *, shell: str='cmd', custom_shell: str | None=None, timeout: int=30, run_as_user: bool=False, success: Callable[[CommandResult], bool] | str | None=None, **options: Unpack[KeptRunOptions]) -> FleetRun[CommandResult]:
        """Run a command on many agents of a stock server. Returns a `FleetRun`.

        The command is sent by the server's bulk call, which holds no worker, and its output is read from the
        server's history. The history has no return codes of commands: `CommandResult.retcode` is None, and
        every command that ended is a success unless `success` says otherwise. So `canary`, `batch` and
        `max_failures` need `success`.

        Args:
            agents: as in `run_script`.
            command: the command line, in the syntax of the shell.
            shell: "cmd" or "powershell" on Windows, elsewhere a path such as "/bin/bash". It is the same for
                all targets.
            custom_shell: the path of a program that is used as the shell, in place of `shell`.
            timeout: seconds that the command may take on each agent, 86400 (a day) at most.
            run_as_user: run the command as the user who is logged in (Windows).
            success: which results are successes: a function of a `CommandResult`, or a text that the output
                must contain. A text is stored in a journal for `resume`; a function is not.
            options: `width`, `canary`, `batch`, `max_failures`, `splay`, `skip_offline`, `when_online`,
                `dry_run` and `journal`, as in `run_script`.

        Raises:
            InvalidRequestError: an argument is invalid, a target is given twice, or `canary`, `batch` or
                `max_failures` is given without `success`. Nothing was sent.
            UnsupportedError (on entering): the server is a gateway.
        """

    def run_code(self, agents: Iterable[str | Agent] | Selector, code: str, *, shell: str, args: Iterable[str]=(), env_vars: Mapping[str, str] | None=None, timeout: int=90, run_as_user: bool=False, success: Callable[[ScriptResult], bool] | Iterable[int]=..., **options: Unpack[KeptRunOptions]) -> FleetRun[ScriptResult]:
        """Run code that is not in the library on many agents of a stock server. Returns a `FleetRun`.

        The code is sent by the server's call for testing scripts, one call for each agent. The call waits for
        the agent and holds a worker meanwhile, so no more than `max_waiting` are in progress at once. The
        server keeps no record of it: if an answer is lost, the outcome is `Unknown`, and `resume` can't find
        out more.

        Args:
            agents: as in `run_script`.
            code: the text of the code.
            shell: what runs the code: "powershell", "cmd", "python", "shell", "nushell" or "deno".
            args: the arguments of the code, texts.
            env_vars: environment variables for the code.
            timeout: seconds that the code may take on each agent, 1 to 300.
            run_as_user: run the code as the user who is logged in.
            success: as in `run_script`.
            options: as in `run_command`.

        Raises:
            InvalidRequestError: an argument is invalid, or a target is given twice. Nothing was sent.
            UnsupportedError (on entering): the server is a gateway.
        """

    def scan_patches(self, agents: Iterable[str | Agent] | Selector, **options: Unpack[KeptRunOptions]) -> FleetRun[None]:
        """Have many agents of a stock server look for Windows updates. Returns a `FleetRun`.

        The server answers only that it accepted the order: `Done` means accepted, and its result is None.
        Agents that the server leaves out are `Failed`: those that run another system than Windows, and those
        that the key may not see. With a `width` there is one call for each agent, otherwise one for all.

        Args:
            agents: as in `run_script`.
            options: as in `run_command`. A target is a failure if the server did not accept it.

        Raises:
            InvalidRequestError: an argument is invalid, or a target is given twice. Nothing was sent.
            UnsupportedError (on entering): the server is a gateway.
        """

    def install_patches(self, agents: Iterable[str | Agent] | Selector, **options: Unpack[KeptRunOptions]) -> FleetRun[None]:
        """Have many agents of a stock server install the approved Windows updates now. Returns a `FleetRun`.

        `Done` means that the server accepted the order, not that the updates are installed:
        `agents.windows_updates.list` shows that later. Everything else is as in `scan_patches`.
        """

    def resume(self, journal: Place, *, retry: Retry | Iterable[Retry]=(), success: Callable[[Any], bool] | Iterable[int] | str | None=None, forgive: bool=False) -> FleetRun[Any]:
        """Continue the run of a journal. Returns a `FleetRun`, which has one outcome for each target.

        - Targets that have an outcome in the journal keep it.
        - Targets that were never sent are run, with the arguments that the journal holds.
        - Targets that were in progress when the earlier process ended are looked up in the history of a stock
          server. If it has no result of them, and always on a gateway, they are `Unknown`.

        No target is run twice unless `retry` asks for it.

        The limits of the run continue to apply: if its canary failed, or it had more failures than
        `max_failures`, it stays stopped, and the targets not yet started are skipped. To continue all the
        same, retry the failures, or pass `forgive=True`. A target that was in progress, and whose outcome
        stays unknown, counts as a failure only if it is a canary.

        Args:
            journal: the path of the file, or the run in a database. Any number of hosts can continue a run in
                a database at the same time: they share its targets, and each of them gets all outcomes.
            retry: which targets to run again, one or several of: "failed" (those that failed, or ran without
                success), "unknown" (those that may have run: **they may run twice**) and "skipped" (those
                that were skipped because they were offline).
            success: which results are successes, for targets that end from now on: return codes (of scripts
                and code), a text (of commands), or a function. None: the return codes or the text that the
                run was started with. It can't be given for patches, or for a run in a database.
            forgive: count all targets that have ended so far as successes.

        Raises:
            InvalidRequestError: an argument is invalid; on entering: `success` doesn't fit this kind of run.
            JournalError (on entering): the journal doesn't exist, is damaged or incomplete, is of another
                server or to a newer version of the format, another process works on it, or another user could
                have written it.
        """

    @overload
    def map(self, agents: Selector, call: Callable[[Agent], T], *, success: Callable[[T], bool]=..., **options: Unpack[RunOptions]) -> FleetRun[T]:
        """Call an asynchronous function once for each agent. Returns a `FleetRun`.

            with trmm.fleet.map(agents, lambda agent: trmm.agents.services(agent), width=20) as run:
                for outcome in run: ...

        The function may make any number of calls, and is in progress for `width` targets at a time. Its
        return value is the `result` of `Done`. If it raises a `TRMMError`, that is the target's outcome:
        `Failed` if no call that changes something had been sent for this target, otherwise `Unknown`. All
        calls of any `TRMM` object made in the function are counted, also those in tasks that it starts;
        anything else that the function does is not.

        Any other exception stops the run: targets in progress are waited for, and then it is raised.

        There is no `journal`, because a function can't be stored in a file.

        Args:
            agents: as in `run_script`.
            call: an asynchronous function of one argument: the target as you gave it, an id or an agent. For
                `agents.select(…)`, it is the agent.
            success: a function that says whether a return value is a success. By default, every one is.
            options: `width` (50 if not given), `canary`, `batch`, `max_failures`, `splay`, `skip_offline` and
                `when_online`, as in `run_script`.

        Raises:
            InvalidRequestError: an argument is invalid, or a target is given twice. Nothing was sent.
        """

    @overload
    def map(self, agents: Iterable[Target], call: Callable[[Target], T], *, success: Callable[[T], bool]=..., **options: Unpack[RunOptions]) -> FleetRun[T]:
        ...

class Bulk:
    """Work for all agents of a client, a site or the server, in one call; a stock server only.

    The server selects the agents when the call arrives, passes the work on, and answers with the number of
    agents. It doesn't report results, and counts offline agents, too, which get nothing. If the outcome of
    each agent matters, use `trmm.fleet`. Calls are never sent twice. All errors are `TRMMError`s.
    """

    def run_command(self, command: str, *, shell: str, custom_shell: str | None=None, timeout: int=30, run_as_user: bool=False, **targets: Unpack[BulkTargets]) -> int | None:
        """Run a command on many agents.

        Args:
            command: the command line.
            shell: "cmd", "powershell", or the path of a shell on Linux and macOS; the same for all agents.
            custom_shell: the path of a program, for `shell="custom"`.
            timeout: seconds that the command may take.
            run_as_user: True runs it as the user who is logged in (Windows).
            targets: see `BulkTargets`.

        Returns:
            The number of agents, or None if the server did not say it. The results are in the agents'
            history.

        Raises:
            BadRequestError: there are no such agents.
            OutcomeUnknownError: it was sent and the answer was lost: it may run.
        """

    def run_script(self, script: AnyScript, *, args: Iterable[str]=(), env_vars: Mapping[str, str] | None=None, timeout: int=90, run_as_user: bool=False, collector: int | CustomField | None=None, collector_all_output: bool=False, note: bool=False, **targets: Unpack[BulkTargets]) -> int | None:
        """Run a script of the library on many agents.

        Args:
            script: the script, its id or its name.
            args: its arguments.
            env_vars: its environment variables.
            timeout: seconds that it may take, 1 to 300.
            run_as_user: True runs it as the user who is logged in (Windows).
            collector: the custom field that stores the last line of the output.
            collector_all_output: True stores all of the output there.
            note: True also writes the output into a note of the agent.
            targets: see `BulkTargets`.

        Returns:
            The number of agents, or None if the server did not say it. The results are in the agents'
            history.

        Raises:
            BadRequestError: there are no such agents.
            NotFoundError: there is no such script or custom field.
            UnsupportedError: `collector` or `note` was given, and the server is older than 0.19.4.
            OutcomeUnknownError: it was sent and the answer was lost: it may run.
        """

    def scan_patches(self, **targets: Unpack[BulkTargets]) -> int | None:
        """Make Windows agents look for updates. `targets` are those of `BulkTargets`, without `plat`.

        Returns:
            The number of agents, or None if the server did not say it.

        Raises:
            BadRequestError: there are no such agents.
            OutcomeUnknownError: it was sent and the answer was lost.
        """

    def install_patches(self, **targets: Unpack[BulkTargets]) -> int | None:
        """Make Windows agents install the updates that are approved; see `scan_patches`."""

class Selector:
    """The agents that have something in common, whichever these are when it is read; see `agents.select`.

    Give it to `fleet.run_script`, `events` or whatever takes several agents: each reads it when it begins, to
    the end, before anything is sent to the first. It may be used again, and is then read anew.
    """

    def agent_ids(self) -> list[str]:
        """Their ids: of 100,000 agents 10 MB, where the agents themselves are a hundred. Raises as `list`."""

    def hostnames(self) -> dict[str, str]:
        """Their host names by their ids, in flat memory, too. Raises as `list`."""

    def matcher(self) -> Wanted:
        """Whether an agent is one of these, by the ids that its names mean now. Raises as `list`."""

    def iter(self) -> AgentStream:
        """The agents, in flat memory, while their list downloads; see `AgentStream`."""

    def list(self) -> list[Agent]:
        """The agents that it means now, each once.

        Raises:
            UnknownNameError: there is no such client, site or custom field.
            AmbiguousNameError: several clients, or sites, have that name.
            UnsupportedError: custom fields were named, and the server is a gateway.
            TRMMError: the server could not be asked. What `where` raises comes as it is.
        """

class Subscription:
    """The live events of one or more agents. `TRMM.events` makes it.

        with trmm.events(agents) as events:
            for event in events: ...

    `with` connects. `for` yields events until you leave the block, or until the server has
    refused all agents. The events of one agent come in order. If `settings.queue` events wait for a slow
    reader, the client stops reading from the server, and nothing is dropped. A lost connection is made again;
    then comes a `Gap`, the changes that could be found out, and `Live`.

    A subscription belongs to one event loop, can be entered once, and can be read by one loop at a time.

    Args:
        source: the source of the events, or a way to find it when the block is entered.
        agent_ids: the agents to follow: at least one, without duplicates.
        settings: see `StreamSettings`.
        snapshot: yield each agent's present state first, and then `Live`.
        since: a stored `position`. For the agents in it, the changes since then are yielded first.
        clients: the known clients of agents, for filters.
        hosts: the known host names of agents, for their events.
        more: finding the source adds agents, so `agent_ids` may be empty.
        observers: get every gap.
        server: the server's address. It is part of positions, and a `since` of another server is refused.

    Raises:
        InvalidRequestError: there is no agent, or a duplicate; or `since` is not a position of this server.
    """

    @property
    def state(self) -> dict[str, StreamState]:
        """The state of each agent, by agent_id: "connecting", "catching up", "live" or "ended". A copy."""

    @property
    def received(self) -> int:
        """How many frames have arrived, or changes that polling has shown."""

    @property
    def dropped(self) -> int:
        """How many events are known to be lost. Each was reported in a `Gap`."""

    @property
    def reconnects(self) -> int:
        """How often a lost connection was made again."""

    @property
    def position(self) -> str:
        """The position up to which the reader has got the events. Store it, and pass it as `since` later.

        It is a JSON text with some dozen bytes for each agent and each of its open alerts. Events that still
        wait in the queue are not counted as read, nor are those that were discarded when the block was left.
        """

    def __enter__(self) -> Self:
        """Connect. Returns when the stream of every agent is connected or was refused.

        The present state of each connected agent is known then. With `settings.wait_for_all=False`, it
        returns as soon as the first agent is connected; `state` shows the others.

        If the server refuses one of several agents, an `Ended` is yielded for it. If an agent can't be
        reached while others can, the client keeps trying, and yields a `Gap` when it succeeds. If this is
        cancelled or fails, no task and no socket remains.

        Raises:
            APIError: the server refuses the only agent.
            ConnectionFailedError: no agent was accepted, and the server could not be reached
                `settings.connect_attempts` times, or for `settings.backoff_most` seconds, or within the
                timeout of a handshake.
            TimeoutError: the server did not send its state within the client's timeout.
            RateLimitedError: every attempt was answered with 429.
            ClosedError: the subscription was entered before.
        """

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        """Close all connections within `settings.close_timeout` seconds, or at once if this is cancelled.

        Events that were not read are discarded. No task and no socket remains.
        """

    def __iter__(self) -> Self:
        ...

    def __next__(self) -> Event:
        """The next event. Safe to cancel: no event is lost.

        Raises:
            ClosedError: the block was not entered yet, or was left; or this is another event loop.
            InvalidRequestError: another loop is waiting for the next event; or there are handlers or
                consumers, which read the events instead.
            APIError: the server has refused all agents. This is its answer for the last one.
        """

    def on(self, kind: type[E] | tuple[type[E], ...], callback: Callable[[E], object], *, agent: FiltersAgents | None=None, client: FiltersClients | None=None, severity: Severities | None=None, queue: int=1000, on_error: Callable[[E, Exception], object] | None=None) -> Handler:
        """Call a function with each event of a kind, instead of reading events in a loop. See also `run`.

        Args:
            kind: the class of the events, or several classes as a tuple.
            callback: the function. It is called with one event after the other, and may be asynchronous.
            agent: only events of this agent, or of these agents.
            client: only events of agents of this client, or of these clients: by id, name or object.
            severity: only alerts of this severity, or of these.
            queue: how many events may wait for the callback. Events for which there is no room are dropped
                and counted. The callback still gets the last state of each agent and alert in the end.
            on_error: called with the event and the exception that the callback raised.

        Returns:
            A `Handler`, by which you can stop the calls.

        Raises:
            InvalidRequestError: a filter is invalid; or it is by client, and an agent was given by id only.
        """

    def consumer(self, kind: Kinds | None=None, *, agent: FiltersAgents | None=None, client: FiltersClients | None=None, severity: Severities | None=None, queue: int=1000) -> Consumer:
        """Make one of several readers, each with its own pace, of the events from now on.

        Args:
            kind: the class of the events, or several classes as a tuple. `Gap`, `Live` and `Ended` come in
                any case.
            agent: only events of this agent, or of these agents.
            client: only events of agents of this client, or of these clients: by id, name or object.
            severity: only alerts of this severity, or of these.
            queue: how many events may wait for the reader. Events for which there is no room are dropped, and
                reported in a `Gap`.

        Returns:
            A `Consumer`, to be iterated with `for`.

        Raises:
            InvalidRequestError: a filter is invalid; or it is by client, and an agent was given by id only.
        """

    def run(self) -> None:
        """Wait until the stream ends, while handlers and consumers read the events.

        Raises:
            ClosedError: the block was not entered yet, or was left; or this is another event loop.
            APIError: the server has refused all agents, and every handler has processed its events.
        """

    def add(self, agent: str | Agent) -> Standing:
        """Follow one more agent from now on.

        Its stream begins like the others: with its present state if `snapshot=True`, and with the changes
        since its position in `since` if it has one there. If the agent's stream has ended, it is tried again,
        and the changes since then are yielded. If the agent is followed already, nothing happens. If the
        server refuses it, an `Ended` is yielded.

        Returns:
            An awaitable that is done when the agent's stream is connected or was refused. You need not await
            it.

        Raises:
            InvalidRequestError: this is not an agent or an id.
            ClosedError: the block was left, or the stream has ended; or this is another event loop.
        """

    def remove(self, agent: str | Agent) -> None:
        """Stop following an agent. No more events of it come, not even those that wait in the queue.

        It is no error if the agent is not followed. If the last agent is removed, the stream continues
        without events.

        Raises:
            InvalidRequestError: this is not an agent or an id.
            ClosedError: this is another event loop.
        """

class Mirror(Mapping[str, Agent]):
    """A live, read-only mapping from agent_id to `Agent`. `TRMM.mirror` makes it; enter it, then read it.

        with trmm.mirror(client="Acme") as mirror:
            offline = [agent for agent in mirror.values() if agent.status != "online"]

    Entering waits until all agents have been read. The mirror changes only while you await something. An
    agent stays the same object until something other than its `last_seen` changes. After you leave the block,
    no task and no socket remains. A mirror belongs to one event loop, and can be entered once.
    """

    def __enter__(self) -> Self:
        """Wait until all agents and alerts have been read.

        Raises:
            UnknownNameError: there is no client or site of this name.
            TRMMError: the server refuses, or can't be reached.
            ClosedError: the mirror was entered before.
        """

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __getitem__(self, agent_id: str) -> Agent:
        ...

    def __iter__(self) -> Iterator[str]:
        ...

    def __len__(self) -> int:
        ...

    def alerts(self, agent: str | Agent) -> list[Alert]:
        """The unresolved alerts of an agent, the oldest first. Empty if the mirror doesn't have the agent.

        Raises:
            InvalidRequestError: this is not an agent or an id.
        """

    def by_client(self, client: int | str | Client | ClientRef) -> list[Agent]:
        """The agents of a client, given by its id, its name or as an object, in no particular order."""

    def by_site(self, site: int | str | Site | SiteRef) -> list[Agent]:
        """The agents of a site, given by its id, its name or as an object, in no particular order."""

    def by_status(self, status: str) -> list[Agent]:
        """The agents that have a status ("online", "offline" or "overdue"), in no particular order."""

    @property
    def fresh(self) -> bool:
        """Whether the mirror is known to be up to date. It is False between a `Gap` and the next `Live`."""

    @property
    def freshness(self) -> Mapping[str, float]:
        """For each agent, how many seconds old its state may be now. 0.0 if its WebSocket is connected."""

    def changes(self) -> Changes:
        """The changes from now on, as `Changes`. A new `last_seen` alone is not a change."""

    def wait_until(self, holds: Callable[[AsyncMirror], object], *, timeout: float | None=None, missing_ok: bool=False) -> None:
        """Wait until a condition is true. Safe to cancel. Waiting sends no requests.

        Args:
            holds: the condition, a function of the mirror. It is called now, and again after each change.
            timeout: how many seconds to wait at most; None: any time.
            missing_ok: if `holds` looks up an agent that the mirror doesn't have yet, wait for that agent.

        Raises:
            TimeoutError: the condition was not true in time.
            KeyError: `holds` looked up an agent that the mirror doesn't have, and `missing_ok` is False.
            ClosedError: the mirror was not entered, or was left meanwhile.
            TRMMError: the error that ended the mirror. Other exceptions of `holds` are passed on.
        """

class Relay:
    """A relay of a server's events. `TRMM.relay` makes it; enter it, then await `run`.

        with trmm.relay(to="redis://bus.internal:6379/1", name="acme") as relay:
            relay.run()

    Attributes:
        trouble: why the relay can neither lead nor stand by at the moment, as a text; empty if it can.
    """
    trouble: str

    @property
    def where(self) -> str:
        """The engine's address, without a password."""

    @property
    def is_leading(self) -> bool:
        """Whether this relay is the one that reads the server now."""

    @property
    def written(self) -> int:
        """How many events this relay has written."""

    @property
    def dropped(self) -> int:
        """How many events were dropped while the engine could not be reached. A `Gap` has their number."""

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def stop(self) -> None:
        """End `run`. Events that were read are still written, and another relay can lead at once."""

    def run(self) -> None:
        """Lead, or stand by until the leader is gone. Returns after `stop`.

        If the server, the engine or the server of the shared limits can't be reached, the relay keeps trying,
        and `trouble` says why. If this is cancelled, the next leader reads those events again that were read
        and not yet written.

        Raises:
            APIError: the server refuses the events of all agents, or the key.
            InvalidRequestError: the engine refuses us.
            ClosedError: the block was not entered, or `run` is in progress already.
        """

class Maintenance:
    """A block in which agents are in maintenance mode; see `TRMM.maintenance`. It can be entered once.

    Args:
        chosen: reads the agents and their present state.
        switch: switches one agent on or off.
        journal: the file that records which agents were switched on; None: no file.
        timeout: how many seconds switching off may take.
    """

    @property
    def agent_ids(self) -> tuple[str, ...]:
        """The agents that were switched on and will be switched off again."""

    def __enter__(self) -> Self:
        """Switch on the maintenance mode of those agents that are not in it yet.

        If this fails or is cancelled, the agents that were switched on are switched off again.

        Raises:
            UnsupportedError: the server is a gateway.
            JournalError: the journal can't be read or written; nothing was switched.
            TRMMError: an agent could not be switched, or the server could not be asked.
        """

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Switch the agents off again, within `timeout` seconds, even if this is cancelled meanwhile.

        Raises:
            StillInMaintenanceError: some agents could not be switched off. They stay in the journal. If the
                block was cancelled, this error is logged, and added as a note to the cancellation.
        """

class Notes:
    """The notes of agents of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def create(self, agent: str | Agent, note: str) -> Note:
        """Add a note to an agent, and return it. Never sent twice.

        Raises:
            OutcomeUnknownError: the answer was lost, and the note does not exist yet.
            UnidentifiedError: it was created, and another note with the same text at the same time.
        """

    def update(self, note: int | Note, text: str) -> None:
        """Change the text of a note. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such note.
        """

    def delete(self, note: int | Note, *, with_text: bool=False) -> None:
        """Delete a note. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            note: the note or its id.
            with_text: True confirms that its text may be lost.

        Raises:
            InvalidRequestError: that was not confirmed; nothing was deleted.
            NotFoundError: there is no such note.
        """

    def get(self, note: int | Note) -> Note:
        """Get one note.

        Raises:
            NotFoundError: there is no such note.
        """

    def list(self, agent: str | Agent | None=None) -> list[Note]:
        """List the notes of an agent, or of all agents."""

class Processes:
    """The processes on an agent of a stock server. All errors are `TRMMError`s.

    The agent is asked: see `Agents`. A gateway raises `UnsupportedError`.
    """

    def kill(self, agent: str | Agent, process: int | Process) -> None:
        """End a process, by its number (pid). The agent is asked, for 15 seconds, never twice.

        Raises:
            BadRequestError: the agent could not; the text is what its system says.
        """

    def list(self, agent: str | Agent) -> list[Process]:
        """What runs on an agent, at this moment. The agent has 5 seconds to answer."""

class Registry:
    """The registry of a Windows agent of a stock server. All errors are `TRMMError`s.

    A path is `HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme`, or `HKLM\\SOFTWARE\\Acme`. The agent is asked each time, for
    30 seconds, and needs version 2.10.0. What changes something is never sent twice. On a gateway they are an
    `UnsupportedError`.
    """

    def browse(self, agent: str | Agent, path: str=..., *, page: int=1, page_size: int=200) -> RegistryKey:
        """Get one key: its values, and the names of its subkeys.

        Args:
            agent: the agent or its id.
            path: the key; "Computer" for the hives. A hive itself can't be browsed.
            page: the page of subkeys, from 1 on, as long as `has_more` is True.
            page_size: the largest number of subkeys on a page.

        Raises:
            BadRequestError: there is no such key, or the agent is too old.
        """

    def create_key(self, agent: str | Agent, path: str) -> None:
        """Create a key.

        Raises:
            AgentLostError: the agent did not answer in time; it may be made all the same.
            BadRequestError: there is one already.
        """

    def rename_key(self, agent: str | Agent, path: str, new_path: str) -> None:
        """Move a key, with its values and subkeys, to another path.

        Raises:
            AgentLostError: the agent did not answer in time; it may be renamed all the same.
            BadRequestError: there is no such key.
        """

    def delete_key(self, agent: str | Agent, path: str, *, with_values: bool=False, with_subkeys: bool=False) -> None:
        """Delete a key for good. What it has is looked at first, unless `with_subkeys` says that all may go.

        Args:
            agent: the agent or its id.
            path: the key.
            with_values: with its values; without, one that has such is left alone.
            with_subkeys: with all keys below it, and all their values; without, one that has such is left
                alone.

        Raises:
            InvalidRequestError: it has keys or values, of which it was not said; nothing was deleted.
            AgentLostError: the agent did not answer in time; it may be removed all the same.
            BadRequestError: there is no such key.
        """

    def create_value(self, agent: str | Agent, path: str, name: str, *, type: RegistryType, data: RegistryData) -> RegistryValue:
        """Create a value in a key, and return it as the agent has it.

        Args:
            agent: the agent or its id.
            path: the key.
            name: the value's name.
            type: "REG_SZ", "REG_EXPAND_SZ", "REG_MULTI_SZ", "REG_DWORD", "REG_QWORD" or "REG_BINARY".
            data: text; for "REG_MULTI_SZ" texts, for "REG_DWORD" and "REG_QWORD" an int, or a text of one,
                for "REG_BINARY" bytes.

        Raises:
            AgentLostError: the agent did not answer in time; it may be made all the same.
            BadRequestError: there is such a value already, or no such key.
        """

    def set_value(self, agent: str | Agent, path: str, name: str, *, type: RegistryType, data: RegistryData) -> RegistryValue:
        """Set a value, and create it if it is missing. Arguments and errors are those of `create_value`."""

    def rename_value(self, agent: str | Agent, path: str, name: str, new_name: str) -> None:
        """Rename a value of a key.

        Raises:
            AgentLostError: the agent did not answer in time; it may be renamed all the same.
            BadRequestError: there is no such value.
        """

    def delete_value(self, agent: str | Agent, path: str, name: str, *, with_data: bool=False) -> None:
        """Delete a value of a key.

        Args:
            agent: the agent or its id.
            path: the key.
            name: the value's name.
            with_data: True confirms that its data may be lost.

        Raises:
            InvalidRequestError: that was not confirmed; nothing was deleted.
            AgentLostError: the agent did not answer in time; it may be removed all the same.
            BadRequestError: there is no such value.
        """

class Services:
    """The services of a Windows agent of a stock server. All errors are `TRMMError`s.

    `trmm.agents.services(agent)` lists them. The agent is asked: see `Agents`. On a gateway they are an
    `UnsupportedError`.
    """

    def __call__(self, agent: str | Agent) -> list[Service]:
        """List the services of a Windows agent. The agent has 10 seconds to answer."""

    def get(self, agent: str | Agent, service: str | Service) -> Service:
        """Get one service, by its name, not the displayed one. The agent has 10 seconds to answer.

        Raises:
            NotFoundError: the agent has no such service.
        """

    def control(self, agent: str | Agent, service: str | Service, action: Literal['start', 'stop', 'restart']) -> None:
        """Start, stop or restart a service. Never sent twice.

        The agent is asked, for 32 seconds; to restart, for twice that.

        Raises:
            BadRequestError: the agent could not, or has no Windows services.
        """

    def update(self, agent: str | Agent, service: str | Service, *, start_type: Literal['auto', 'autodelay', 'manual', 'disabled']) -> None:
        """Set how a service starts. Idempotent: sent again if an answer is lost.

        The agent has 10 seconds to answer.

        Raises:
            BadRequestError: the agent could not.
        """

class InstalledSoftware:
    """The software on agents of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def refresh(self, agent: str | Agent) -> None:
        """Make the server read the software of a Windows agent again. The agent has 15 seconds to answer.

        Raises:
            BadRequestError: the agent is not a Windows one.
        """

    def install(self, agent: str | Agent, package: str, *, unlisted: bool=False) -> None:
        """Make a Windows agent install a package by Chocolatey. The agent has 2 seconds to answer.

        The call doesn't wait for that; the result is in `pending_actions.list(agent=…)`. Never sent twice.

        Args:
            agent: the agent or its id.
            package: the package's name. It is looked up in `packages()` first, since the server would let the
                agent try any name.
            unlisted: True for a package that need not be in the server's list, from a source of your own. The
                list (264 kB) is not read then.

        Raises:
            InvalidRequestError: the server's list has no such package; nothing was sent.
            AgentLostError: the agent did not answer in time; it may install it all the same.
            BadRequestError: the agent is not a Windows one.
        """

    def uninstall(self, agent: str | Agent, software: str | Software, *, command: str | None=None, timeout: int=1800, run_as_user: bool=False) -> None:
        """Make a Windows agent uninstall a program by a command. Never sent twice.

        The call doesn't wait for that, and the server doesn't know whether the agent received it. The result
        is in `agents.history` later.

        Args:
            agent: the agent or its id.
            software: the program or its name.
            command: a command that uninstalls it without questions, often its uninstaller with "/S" or
                "/quiet". None for the `uninstall` of the program as listed, which may ask questions.
            timeout: seconds that the command may take.
            run_as_user: True runs it as the user who is logged in.

        Raises:
            BadRequestError: the agent is not a Windows one, or this would remove the agent itself.
        """

    def packages(self) -> list[str]:
        """List the names of all packages for `install`. Empty if the server has not loaded them yet."""

    def everywhere(self) -> dict[str, list[Software]]:
        """Get the software of all agents, by their ids, in one call. Agents without a list are left out.

        It is as old as the agents' last reports. For 5,000 agents it has about 100 MB: see `max_answer`.
        """

    def list(self, agent: str | Agent) -> list[Software]:
        """List the software of an agent. Empty if the server has no list.

        The list is as old as the agent's last report, or `refresh`.
        """

class EventLog:
    """The event logs of Windows agents of a stock server. A gateway raises `UnsupportedError`."""

    def list(self, agent: str | Agent, log: Literal['Application', 'System', 'Security']='Application', *, days: int=1) -> list[EventLogEntry]:
        """List the entries of a Windows event log. The agent has 32 seconds to answer, 182 for "Security".

        Args:
            agent: the agent or its id.
            log: the log.
            days: the number of the last days, 1 to 36500. With more days, the agent is less likely to answer
                in time.
        """

class WindowsUpdates:
    """The Windows updates of agents of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def update(self, update: int | WindowsUpdate, action: Literal['approve', 'ignore', 'nothing', 'inherit']) -> None:
        """Set the action for one update of an agent. Its policy decides when it is installed."""

    def scan(self, agent: str | Agent) -> None:
        """Make a Windows agent look for updates.

        The call doesn't wait for that, and the server doesn't know whether the agent received the order.

        Raises:
            BadRequestError: the agent is not a Windows one.
        """

    def install(self, agent: str | Agent) -> None:
        """Make an agent install the approved updates now. Never sent twice.

        The call doesn't wait for that, and the server doesn't know whether the agent received the order.
        """

    def list(self, agent: str | Agent) -> list[WindowsUpdate]:
        """List the Windows updates of an agent that the server knows, installed or not, newest first."""

class AgentStream:
    """Agents one by one while their list downloads. Enter it, then iterate it, once.

    Leaving the block early gives the connection up. A list that was cut short ends in an error, never in a
    short list: `ConnectionFailedError`, or `DecodeError` if the server itself sent half of one.
    """

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __iter__(self) -> Iterator[Agent]:
        ...

class ScriptStream:
    """A script's output while it runs: enter it, then iterate it, once.

        with trmm.agents.stream_script(agent, script=1) as output:
            for chunk in output:
                print(chunk.output, end="")
        output.result.retcode

    Entering subscribes to the agent's events and then sends the script, once. The last piece has `done=True`,
    always: where the server's own got lost, or the server can't tell our output from others', it is made from
    the run's result, and holds all of the output if no piece had come before. So it is on a stock server,
    which has no live output of scripts: one piece, when the script has ended. `complete` says whether all
    output came live. It ends by itself, at the latest when the time of the script and of the client is over.

    Leaving the block early drops the subscription and the answer; the script goes on.
    """
    complete: bool

    @property
    def result(self) -> ScriptResult:
        """The run's result, once the iteration has ended.

        Raises:
            ClosedError: it has not ended, or ended in an error.
        """

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __iter__(self) -> Self:
        ...

    def __next__(self) -> ScriptOutput:
        ...

class CommandStream:
    """A command's output while it runs: enter it, then iterate it, once.

        with trmm.agents.stream_command(agent, "ipconfig", shell="cmd") as output:
            for chunk in output:
                print(chunk.output, end="")
        output.result.exit_code

    Entering opens a socket of its own, sends the command, once, and waits until the server has taken or
    refused it. The last piece has `done=True`, always: where the server's own got lost it is made here, and
    holds all of the output if no piece had come before. It ends by itself, at the latest `timeout` + 2 s +
    `settings.grace` (and `settings.report`) after the sending.

    `complete` says whether all output came live, as far as can be told; if not, `why_incomplete` says why,
    and `result.output` is what the agent reported to the server's history, if that can be found and holds all
    that came live (`result.from_history`). What a command prints in its first milliseconds, before the server
    listens, can be lost without a trace.

    Leaving the block early closes the socket; the command goes on.

    Raises, on entering (the command did not run, unless it is the last):
        AuthenticationError: no login, or one that has ended.
        PermissionDeniedError: the user may not send commands to this agent.
        NotFoundError: there is no such agent.
        UnsupportedError: the server is a gateway, or the agent older than 2.10.0.
        BadRequestError: the server can't read the command.
        ConnectionFailedError: no connection.
    Raises, when iterated:
        AgentSilentError: nothing came of the agent, live or in the history; `reason` says whether it is
            offline.
        OutcomeUnknownError: the connection was lost before anything came.
    """

    @property
    def result(self) -> CommandResult:
        """What came of the command, once the iteration has ended.

        Raises:
            ClosedError: it has not ended, or ended in an error.
        """

    @property
    def complete(self) -> bool:
        """Whether all output has come live, as far as can be told. False until the end."""

    @property
    def why_incomplete(self) -> str:
        """Why output may be missing, in words; empty if it is complete."""

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __iter__(self) -> Self:
        ...

    def __next__(self) -> CommandOutput:
        ...

class Snippets:
    """Pieces of code that the scripts of a stock server use as `{{name}}`. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def get(self, snippet: int | Snippet) -> Snippet:
        """Get one snippet.

        Raises:
            NotFoundError: there is no such snippet.
        """

    def create(self, *, name: str, code: str, shell: Shell='powershell', description: str='') -> Snippet:
        """Create a snippet and return it. Never sent twice.

        Args:
            name: the unique name that scripts write in braces, of at most 40 characters.
            code: the text.
            shell: the shell that it is written for; the server doesn't check it.
            description: the description, of at most 50 characters.

        Raises:
            BadRequestError: there is a snippet of that name.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """

    def update(self, snippet: int | Snippet, **changes: Unpack[SnippetChanges]) -> None:
        """Change settings of a snippet. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such snippet.
        """

    def delete(self, snippet: int | Snippet, *, with_code: bool=False) -> None:
        """Delete a snippet. Scripts that use it then run with its name in braces in their code.

        If it is gone already, that counts as success.

        Args:
            snippet: the snippet or its id.
            with_code: True confirms that its code may be lost.

        Raises:
            InvalidRequestError: that was not confirmed; nothing was deleted.
            NotFoundError: there is no such snippet.
        """

    def list(self) -> list[Snippet]:
        """List all snippets, with their code."""

class CheckStream:
    """The checks of several agents, in the order of the answers. Enter it, then iterate over it once.

    The checks of one agent come together. The stream reads a few agents ahead, and no further while nobody
    iterates. Leaving the block early stops it. If the checks of some agents could not be read, the iteration
    ends with an `IncompleteError` that names them, after all others have been read. An error that would be
    the same for every agent (such as a refused key) ends it at once.
    """

    @property
    def failed(self) -> Mapping[str, TRMMError]:
        """The agents so far whose checks could not be read, with their errors."""

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __iter__(self) -> Self:
        ...

    def __next__(self) -> Check:
        ...

class PatchPolicies:
    """The patch policies of policies: how Windows updates are handled. `policies.list` has them.

    Every method raises `TRMMError`s only; a gateway raises `UnsupportedError`. Agents have their own:
    `agents.update(agent, patch_policy={…})`.
    """

    def create(self, policy: int | Policy, **settings: Unpack[PatchChanges]) -> PatchPolicy:
        """Create the patch policy of a policy and return it. Never sent twice.

        Raises:
            InvalidRequestError: a value is wrong, or the policy has a patch policy already (the server would
                add a second one, and ignore it).
            NotFoundError: there is no such policy.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """

    def update(self, patch_policy: int | PatchPolicy, **changes: Unpack[PatchChanges]) -> None:
        """Change settings of a patch policy, an agent's own too. Doing it twice is the same as once.

        Raises:
            NotFoundError: there is no such patch policy.
        """

    def delete(self, patch_policy: int | PatchPolicy) -> None:
        """Delete a patch policy. If an answer is lost and it is gone afterwards, that counts as success.

        Raises:
            NotFoundError: there is no such patch policy.
        """

    def reset(self, *, client: AnyClient | None=None, site: AnySite | None=None, everywhere: bool=False) -> None:
        """Make the agents' own patch policies inherit again, for a client, a site or all agents.

        Doing it twice is the same as once. Their hours, days and handling of failures are not reset. The
        server doesn't report the number of agents. Exactly one argument must be given.

        Args:
            client: the agents of this client.
            site: the agents of this site.
            everywhere: True for every agent that the key may see.

        Raises:
            NotFoundError: there is no such client or site (the server would accept it, and reset nothing).
        """

class AuditStream:
    """The entries of the audit log. Enter it, then iterate over it once. It can be left at any time."""

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __iter__(self) -> Iterator[AuditEntry]:
        ...

class Sessions:
    """The logins of a stock server's users that have not expired. All errors are `TRMMError`s."""

    def delete(self, session: str | UserSession) -> None:
        """End a session, given as object or digest. Its token is refused from then on.

        If it is gone already, that counts as success.

        Raises:
            NotFoundError: there is no such session.
        """

    def delete_all(self, user: int | User) -> None:
        """End all sessions of a user. API keys of the user stay valid.

        Raises:
            NotFoundError: there is no such user.
        """

    def list(self, user: int | User) -> list[UserSession]:
        """List the sessions of a user.

        Raises:
            NotFoundError: there is no such user.
        """

class FleetRun(Generic[RunT]):
    """A run of a script, or of any other call, on many agents. It has exactly one outcome for each target.

    Either `await` it: that returns the outcomes as a list, in the order of the targets. (If the targets are a
    stream and there is no journal, the order is that of completion.) Or enter it and iterate it: that yields
    the outcomes in the order in which they are completed.

        with trmm.fleet.run_script(agents, script=1) as run:
            for outcome in run: ...

    A run can be used once; a second use raises `ClosedError`. If your loop is slower than the fleet, at most
    `width` outcomes (50 if not given) are kept for it; then nothing more is sent until the loop takes one.

    If you leave the block early, or cancel the `await`, nothing more is sent, the client stops waiting for
    what is in progress, and no task remains. Targets that were never sent are then `skipped`, and those that
    were sent and not answered are `unknown`, since their script may still run. `rest` has the outcomes that
    the loop did not get to. `stop()` ends a run without cutting anything off.
    """

    @property
    def counts(self) -> Counts:
        """How many targets have which state now. They add up to the number of targets.

        If the targets are a stream, they add up to the number of targets read so far.
        """

    @property
    def succeeded(self) -> int:
        """How many targets have succeeded, by the run's `success` (by default: return code 0)."""

    @property
    def stopped(self) -> str:
        """Why the run was stopped before its end, as a text; empty if it was not stopped."""

    @property
    def rest(self) -> list[Outcome[RunT]]:
        """After the block was left: the outcomes that the loop did not get to. Empty if it got all of them.

        If the run has a journal, targets that were never started are not in this list; the journal has them.
        """

    def groups(self) -> list[Group]:
        """The outcomes so far, grouped by identical output and return code; the largest group first."""

    @property
    def worst_retcode(self) -> int | None:
        """The return code that is farthest from 0; None if no target has a return code so far."""

    def report(self, names: Mapping[str, str] | None=None) -> str:
        """The groups as a text: the hosts of each group, and the output that they have in common.

        Args:
            names: host names by agent_id. A target that is not in it is shown by its id.
        """

    def html(self, agents: Iterable[Agent]=(), *, title: str='') -> str:
        """The outcomes so far as one self-contained page of HTML, for a browser or a mail.

            Path("report.html").write_text(run.html(agents), encoding="utf-8")

        The page has the counts; the groups of identical output with their hosts, and how each differs from
        the largest group; a plot of the execution times; and a table of all targets that can be filtered by
        host, client and return code. Whatever a script printed is escaped, so none of it is interpreted as
        HTML.

        Args:
            agents: agents whose host names and clients the page shows. A target that is not among them is
                shown by its id.
            title: the heading. Default: what was run.
        """

    def stop(self) -> None:
        """Send nothing more. Targets in progress are waited for; targets that were never sent are skipped.

        A call that the server refused with 429, and that would have been sent again, is skipped, too: it
        certainly ran nothing. If the server answers 429 when its history is read, the pause that it asks for
        is not waited out: such a target is `Unknown` once the script's timeout is over.
        """

    def wait(self) -> list[Outcome[RunT]]:
        """Wait for it: what `await` gives."""

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __iter__(self) -> Self:
        ...

    def __next__(self) -> Outcome[RunT]:
        ...

class Handler:
    """A callback for events. `Subscription.on` makes it.

    The callback is called with one event after the other, and may be asynchronous. If it raises, the
    exception is logged to "trmm_async.events" and passed to `on_error`, and the next event follows.

    Attributes:
        consumer: the consumer from which it takes its events.
        calls: how often the callback was called.
        errors: how often the callback raised.
    """
    task: asyncio.Task[None] | None
    calls: int
    errors: int

    @property
    def dropped(self) -> int:
        """How many events were dropped because the queue was full. The last states are still delivered."""

    def remove(self) -> None:
        """Stop calling the callback. A call that is in progress runs to its end."""

    def unread(self) -> list[Event]:
        """Events with which the callback was not called yet, or which it is still processing."""

    def run(self) -> None:
        """Call the callback with each event, until the consumer ends."""

class Consumer:
    """One of several readers of a subscription, with its own queue. `Subscription.consumer` makes it.

        with events.consumer(AlertEvent, severity="error", queue=100) as alerts:
            for event in alerts: ...

    A slow consumer does not hold up the others: events for which its queue has no room are dropped, and
    reported in a `Gap` with their number. After the `Gap` come the last states of what was dropped, and
    `Live`. A consumer is read by one loop at a time, and ends together with the subscription. Leaving its
    block, or `close`, ends only this consumer.
    """

    @property
    def dropped(self) -> int:
        """How many events were dropped in all. Each was reported in a `Gap`."""

    def close(self) -> None:
        """Take no more events. Events that wait are discarded. May be called twice."""

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __iter__(self) -> Self:
        ...

    def __next__(self) -> Event:
        """The next event. Safe to cancel: no event is lost.

        Raises:
            ClosedError: the consumer or the subscription is closed; or this is another event loop.
            InvalidRequestError: another loop is waiting for the next event.
            APIError: the server has refused all agents. This is its answer for the last one.
        """

    def offer(self, event: Event) -> None:
        """Queue an event that passed the filter."""

    def finish(self, end: BaseException) -> None:
        """End the consumer: after the events that wait, `end` is raised."""

class Standing:
    """Done when an added agent is connected; see `Subscription.add`. May be awaited often, or never."""

    def wait(self) -> None:
        """Wait for it: what `await` gives."""

class Changes:
    """The changes of a mirror from now on. `Mirror.changes` makes it; enter it, then iterate it.

        with mirror.changes() as changes:
            for change in changes: ...

    For a slow reader, several changes of one agent are merged into one `Change`, from the first `before` to
    the last `after`; if these are equal, there is none. So the reader always gets the present state, but may
    miss states between. The iteration ends with `ClosedError` when the mirror is left, or with the error that
    ended the mirror.
    """

    def __enter__(self) -> Self:
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        ...

    def __iter__(self) -> Self:
        ...

    def __next__(self) -> Change:
        """The next change. Safe to cancel: no change is lost."""

    def put(self, change: Change) -> None:
        """Add a change. Called by `MirrorState`."""

    def finish(self, end: BaseException) -> None:
        """End the iteration. Called by `MirrorState`."""
