"""`TRMM`: settings, wiring, life cycle. Reads as a table of contents.

Over everything that answers a user's call, below the command line.
"""

import asyncio
import re
import ssl as tls
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from datetime import timedelta
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from trmm_async import arguments, codec, profiles
from trmm_async.addresses import normal
from trmm_async.calls import Call, Lane, Replay
from trmm_async.dialects import Dialect, Gateway, Stock
from trmm_async.engines.address import ProxyAddress, proxy_address, redis_address
from trmm_async.errors import InvalidRequestError
from trmm_async.fleet import Fleet
from trmm_async.hidden import hide
from trmm_async.key_source import AskForKey, KeySource
from trmm_async.limits import RateLimit
from trmm_async.mirror import Maintenance, Mirror, MirrorSettings
from trmm_async.models import Agent
from trmm_async.observing import Observation, Stats
from trmm_async.relay.opening import opened
from trmm_async.resources import (
    TOTP,
    Agents,
    Alerts,
    AlertTemplates,
    Api,
    ApiKeys,
    AuditLog,
    Bulk,
    Checks,
    Clients,
    Core,
    CustomFields,
    Deployments,
    DialectResolver,
    Installers,
    KeyStore,
    PendingActions,
    Policies,
    Roles,
    Schedules,
    Scripts,
    Selector,
    ServerWatch,
    Sites,
    Tasks,
    TokenProvider,
    TokenSource,
    UrlActions,
    Users,
)
from trmm_async.resources.live import subscribe
from trmm_async.resources.names import AnyClient, AnySite
from trmm_async.retry import RetryPolicy
from trmm_async.script_runs import HistoryWaits, RunPoller
from trmm_async.stream import Dialer, Events, Looker, StreamSettings, Subscription
from trmm_async.transport import RawResponse, Secrets, Server, Transport
from trmm_async.webhooks import WebhookReceiver
from trmm_async.words import MonitoringType

if TYPE_CHECKING:
    import aiohttp

    from trmm_async.relay.relay import Relay
    from trmm_async.shared import SharedLimiters

__all__ = ["TRMM", "share_key", "surely_share_key"]

Default = Literal["default"]
_METHOD: Final = re.compile(r"[A-Z]{3,10}", re.ASCII)


class TRMM:
    """A Tactical RMM server.

    One object holds one connection pool and the rate limits of one key; make one and share it within an event
    loop. Use it as `async with TRMM(…) as trmm`, or call `aclose()` at the end. Making one sends nothing.

    Args:
        url: the server's base URL, `https://host[:port][/prefix]`; `/api/v3` at its end is left out.
        api_key: the API key. It is in no repr, log line or error, and goes to this server alone. Or a
            callable, which may be asynchronous, that gives it: asked when it is first needed, once for all
            calls, and once more after a 401.

        rate_limit: what the server allows this key in all. "default" is what such a server allows unless its
            administrator tuned it (a gateway: 100 a minute, a stock server: any number); None is no limit.
        deployment_rate_limit: what it allows besides on making deployments (a gateway: 20 a minute).
        max_waiting: how many calls may wait at once for an agent to answer. On a stock server each holds one
            of its 10 to 40 workers, so the default there is 10; None is no bound.

        shared_limits: where the limits of this key, and `max_waiting`, are kept for all processes and hosts
            that use it: `redis://[user:password@]host[:port][/database]`, `rediss://` with TLS, or
            `unix:///path` (extra `[redis]`; see docs/scaling.md). None: by this client alone. The password is
            in no repr, log line or error.
        limiter_timeout: seconds for which that server may be away until a call that waits for it is a
            `LimiterUnavailableError`, 30 by default. Nothing is sent meanwhile.
        limiter_lease: seconds for which it keeps what was given to a process that has died, 5 by default, and
            for which a call may be held up between being let through and leaving. It must be the same for all
            clients of a key.

        max_connections: how many connections there may be at once, default 100.
        timeout: seconds that an attempt may take, 30 by default; a script that is waited for has its own time
            on top. While a list is iterated or a file downloaded: seconds that may pass without a byte.
        retries: how often a call may be sent again where that is safe, 3 by default.
        patience: seconds that a call may spend waiting between its attempts in all, 120 by default. A longer
            `Retry-After` is an error at once.
        max_answer: how many bytes of one answer may be held at once, unpacked, 256 MiB by default; a larger
            one is an error. While a list is iterated, this bounds one element. A file may be of any size.
        report_grace: seconds that an agent of a stock server has, beyond a script's own timeout, to report
            its end, 10 by default; then the run is an `AgentSilentError`.
        dialect: "gateway" (`/api/v3`), "stock" (Tactical RMM itself), or "auto", which finds out by one
            harmless request when it is first needed; `trmm.dialect` says which it is.
        access_token: what lets the sockets of a stock server in, in place of `login`: a token of its login,
            or a callable, which may be asynchronous, that gives one and is asked again when that has ended.
        allow_http: whether plain http is allowed to other machines than this one.
        session: an `aiohttp.ClientSession` of yours, for proxies and the like; it is then not closed by us.
            Give it a `trmm_async.Connector()`: with another, a script sent over a connection that the server
            is just closing ends in an `OutcomeUnknownError`.
        ssl: a TLS context in place of the system's default one; for your own session it concerns events only.
        proxy: an HTTP proxy for calls and events, `http://[user:password@]host[:port]`, or `https://` to
            speak TLS with it; it must allow `CONNECT`. The password is in no repr, log line or error. None:
            no proxy, that of the environment neither. For your own session it concerns events only.

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

    def __init__(
        self,
        url: str,
        *,
        api_key: str | AskForKey,
        rate_limit: RateLimit | Default | None = "default",
        deployment_rate_limit: RateLimit | Default | None = "default",
        max_waiting: int | Default | None = "default",
        shared_limits: str | None = None,
        limiter_timeout: float = 30.0,
        limiter_lease: float = 5.0,
        max_connections: int = 100,
        timeout: float = 30.0,
        retries: int = 3,
        patience: float = 120.0,
        max_answer: int = 1 << 28,
        report_grace: float = 10.0,
        dialect: Literal["auto", "gateway", "stock"] = "auto",
        access_token: TokenSource | None = None,
        allow_http: bool = False,
        session: "aiohttp.ClientSession | None" = None,
        ssl: tls.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        # Before anything can fail: the locals of a frame are written down by some.
        api_key, access_token, shared_limits = hide(api_key), hide(access_token), hide(shared_limits)
        proxy = hide(proxy)
        secrets = Secrets()
        source = KeySource(api_key, secrets.keep) if callable(api_key) else None
        server = Server(
            base_url=arguments.base_url(url, allow_http=allow_http),
            api_key=arguments.api_key(api_key) if source is None else "",
            source=source,
            ssl=_tls(ssl),
            proxy=_proxy(proxy, secrets),
            secrets=secrets,
        )
        spoken = arguments.choice(dialect, "dialect", profiles.DIALECTS)
        dialects = _dialects(spoken, server.base_url)
        bounds = _Bounds(rate_limit, deployment_rate_limit, max_waiting)
        self._shared = _shared(
            shared_limits,
            server,
            timeout=arguments.number(limiter_timeout, "limiter_timeout", above=0),
            lease=arguments.number(limiter_lease, "limiter_lease", above=0),
        )
        transport = Transport(
            server,
            limiters=self._shared,
            **bounds.of(next(iter(dialects.values()))),
            max_connections=arguments.integer(max_connections, "max_connections", minimum=1),
            timeout=arguments.number(timeout, "timeout", above=0),
            max_answer=arguments.integer(max_answer, "max_answer", minimum=1),
            policy=RetryPolicy(
                retries=arguments.integer(retries, "retries", minimum=0),
                patience=arguments.number(patience, "patience", minimum=0),
            ),
            session=session,
        )
        dialer = Dialer(
            server.base_url,
            headers=server.headers,
            pace=transport.acquire,
            pause=transport.pause,
            scrub=server.scrub,
            ssl=ssl,
            open_timeout=timeout,
            source=source,
            proxy=server.proxy,
        )
        resolver = DialectResolver(transport, dialects, lambda found: transport.adopt(**bounds.of(found)))
        waits = HistoryWaits(report=arguments.number(report_grace, "report_grace", minimum=0))
        poller = RunPoller(transport, waits)
        tokens = TokenProvider(transport, resolver.dialect, _token_source(access_token, spoken))
        self._is_view = False
        self._remember: Callable[[str], None] | None = None
        api = Api(transport, dialer, resolver, poller, tokens)
        api.looker = Looker(ServerWatch(api))
        self._wire(api)

    def _become_view(self, api: Api) -> None:
        self._is_view = True
        self._wire(api)

    def _wire(self, api: Api) -> None:
        self._api = api
        self.agents = Agents(api)
        self.deployments = Deployments(api)
        self.clients = Clients(api)
        self.sites = Sites(api)
        self.scripts = Scripts(api)
        self.checks = Checks(api)
        self.tasks = Tasks(api)
        self.alerts = Alerts(api)
        self.policies = Policies(api)
        self.alert_templates = AlertTemplates(api)
        self.url_actions = UrlActions(api)
        self.custom_fields = CustomFields(api)
        self.key_store = KeyStore(api)
        self.audit_log = AuditLog(api)
        self.pending_actions = PendingActions(api)
        self.installers = Installers(api)
        self.users = Users(api)
        self.roles = Roles(api)
        self.api_keys = ApiKeys(api)
        self.schedules = Schedules(api)
        self.core = Core(api)
        self.fleet = Fleet(api)
        self.bulk = Bulk(api)

    @classmethod
    def from_env(cls, **settings: Any) -> Self:
        """A client by the environment: by every `TRMM_…` that the command line reads.

        `TRMM_URL` and `TRMM_API_KEY`; `TRMM_DIALECT`, without which it is found out; `TRMM_SHARED_LIMITS`,
        `TRMM_PROXY`, `TRMM_CA` and `TRMM_CERT`; and `TRMM_PROFILE`, which names a profile for what is not
        set, in the file that `TRMM_CONFIG` names. A profile that nothing names is not taken, be it the file's
        default: a program goes to no server of which its environment says nothing.

        Args:
            settings: what `TRMM` takes; what is given here goes before the environment.

        Raises:
            InvalidRequestError: the address or the key is missing, or a setting is wrong.
            KeySourceError: the key is in the system's keyring, which can't be read.
        """
        return cls._found(profiles.from_environment(settings))

    @classmethod
    def from_profile(cls, name: str, **settings: Any) -> Self:
        """A client by a profile that `trmm login` wrote: address, key, dialect, rate limit.

        What stands in none is read of the environment, but for the key of another server. A dialect that had
        to be found out is written into the profile when the client is closed, where the file can be written.

        Args:
            name: the profile's name.
            settings: what `TRMM` takes; what is given here goes before the profile.

        Raises:
            InvalidRequestError: there is no such profile (the text names those that are alike), no key for
                it, or a setting is wrong.
            KeySourceError: the key is in the system's keyring, which can't be read.
        """
        return cls._found(profiles.from_profile(name, settings))

    @classmethod
    def _found(cls, found: profiles.FoundSettings) -> Self:
        made = cls(**found.settings)
        made._remember = found.remember
        return made

    def __repr__(self) -> str:
        if not hasattr(self, "_api"):
            return "<TRMM, a setting of which is wrong>"
        view = "view of " * self._is_view
        transport = self._api.transport
        return f"<TRMM {view}{transport.server.base_url} {self.dialect}, {transport.state}>"

    @property
    def dialect(self) -> str:
        """Which kind of server this client speaks to; "auto" until that has been found out."""
        return self._api.resolver.name

    @property
    def url(self) -> str:
        """The server's base URL, as it is used: without a closing slash, and without `/api/v3`."""
        return self._api.transport.server.base_url

    # -- seeing what it does ---------------------------------------------------------------------------------

    @property
    def stats(self) -> Stats:
        """What was sent, and what waits; see `Stats`. Of this client and all its views together."""
        return self._api.transport.stats

    def observe(self, callback: Callable[[Observation], object]) -> Callable[[], None]:
        """Have a callback called with what this client and all its views do, as it happens.

            detach = trmm.observe(print)

        Args:
            callback: a plain function. It is called in the middle of the work, in the task that does it, and
                so must be quick; what it raises is logged (`trmm_async`), and changes nothing. It is given
                frozen values: see `Observation`. More kinds may come with later versions.

        Returns:
            what ends that; called twice it is the same as once.

        Raises:
            InvalidRequestError: it is no plain function.
        """
        return self._api.observers.add(callback)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        patience: float | None = None,
        max_answer: int | None = None,
    ) -> "TRMM":
        """A view of this client: the same connections, limits and login, with other settings for its calls.

            slow = trmm.with_options(timeout=120, retries=0)

        What is not given is as here. The view is good for as long as this client is open, and can't be
        closed: `aclose` and `async with` raise.

        Args:
            timeout: as of `TRMM`.
            retries: as of `TRMM`.
            patience: as of `TRMM`.
            max_answer: as of `TRMM`.

        Raises:
            InvalidRequestError: a setting is wrong.
        """
        transport = self._api.transport.view(
            timeout=None if timeout is None else arguments.number(timeout, "timeout", above=0),
            retries=None if retries is None else arguments.integer(retries, "retries", minimum=0),
            patience=None if patience is None else arguments.number(patience, "patience", minimum=0),
            max_answer=None if max_answer is None else arguments.integer(max_answer, "max_answer", minimum=1),
        )
        view = copy(self)
        view._become_view(self._api.through(transport))  # noqa: SLF001 - it is one of us
        return view

    def events(
        self,
        *agents: str | Agent | Selector | Iterable[str | Agent],
        snapshot: bool = False,
        since: str | None = None,
        webhooks: WebhookReceiver | None = None,
        dashboard: bool = False,
        settings: StreamSettings | None = None,
    ) -> Subscription:
        """The live events of one agent or any number of them, as one stream; see `Subscription`.

            async with trmm.events("abc-uuid") as events:
                async for event in events: ...

        Args:
            agents: ids, agents, or iterables of them; one given twice counts once. Or an `agents.select(…)`,
                which is read when the block is entered.
            snapshot: tell first how each agent stands, its status and the alerts that are not resolved, and
                then `Live`; what comes behind that is changes.
            since: the `position` of an earlier subscription: what has happened since is caught up, behind a
                `Gap` and with a `Live` at its end. Agents that are not in it begin as without it.
            webhooks: takes a stock server's alert webhooks, so that alerts come at once and not with the next
                look. A gateway pushes its alerts itself, and this is not used.
            dashboard: tell `DashboardCounts` too, of a stock server to which somebody has logged in
                (`login`); then no agent is needed.
            settings: sizes and times; the defaults suit most.

        Raises:
            InvalidRequestError: no agent, or an id that is none; `since` is no position, or one of another
                server.

        The block raises on entering, besides what `Subscription` says, UnsupportedError for the dashboard of
        a gateway. So does the dashboard of a stock server before 0.19.0, known by its first frame, if no
        agents are asked for with it; else only the dashboard is `Ended`.
        """
        return subscribe(
            self._api,
            agents,
            settings or StreamSettings(),
            snapshot=snapshot,
            since=since,
            webhooks=webhooks,
            dashboard=dashboard,
        )

    def mirror(
        self,
        *,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        monitoring_type: MonitoringType | None = None,
        where: Callable[[Agent], bool] | None = None,
        inventory: bool = False,
        custom_fields: bool = False,
        source: Events | None = None,
        settings: MirrorSettings | None = None,
    ) -> Mirror:
        """The fleet as it stands, as a live, read-only mapping from agent_id to `Agent`; see `Mirror`.

            async with trmm.mirror(client="Acme") as mirror:
                offline = mirror.by_status("offline")

        On a stock server it is kept by the looks that all mirrors, waiters and subscriptions of this client
        share; on a gateway by the events of sockets, of `settings.sockets` agents at most, and by one list of
        all agents a `settings.resync`.

        Args:
            client: the agents of this client alone, by id, name or object.
            site: the agents of this site alone.
            monitoring_type: servers, or workstations.
            where: a function of an `Agent`: those for which it is true.
            inventory: keep disks, models, memory and the like as well; they are empty otherwise.
            custom_fields: keep the values of custom fields as well.
            source: other events to keep it by, as a `Subscription`, not yet entered; the mirror enters and
                leaves it. The agents themselves are still listed here.
            settings: see `MirrorSettings`.

        Raises:
            InvalidRequestError: an argument is wrong.
        """
        return Mirror(
            self._api,
            self.agents.select(client=client, site=site, monitoring_type=monitoring_type, where=where),
            settings or MirrorSettings(),
            inventory=arguments.boolean(inventory, "inventory"),
            custom_fields=arguments.boolean(custom_fields, "custom_fields"),
            source=source,
        )

    def relay(
        self,
        *,
        to: str,
        name: str,
        agents: Iterable[str | Agent] | Selector | None = None,
        output: bool = False,
        length: int = 100_000,
        queue: int = 10_000,
        lease: float = 10.0,
        relist: float = 300.0,
        webhooks: WebhookReceiver | None = None,
        settings: StreamSettings | None = None,
    ) -> "Relay":
        """Read the events once, for any number of others (`follow`), on this host or another; see `Relay`.

            async with trmm.relay(to="redis://bus.internal:6379/1", name="acme") as relay:
                await relay.run()

        Of several relays of one name one leads, and the others stand by. When it is gone another goes on from
        where it was, within `lease` seconds, and tells the gap.

        Args:
            to: where to write: `redis://…`, `rediss://…` or `unix://…` (extra `[redis]`), `nats://…`, or `tls://…`
                for NATS over TLS (extra `[nats]`; a server with JetStream, 2.10 or later). The password is
                shown nowhere.
            name: the relay's name, by which it is followed.
            agents: of these agents, or of those of a selection. None: of all that the key sees.
            output: whether what scripts print is told, too.
            length: how many events are kept for followers that are late, about.
            queue: how many events may wait while that server is away; more are counted and told as a `Gap`.
            lease: seconds after which another leads in place of one that is gone.
            relist: seconds between two looks which agents there are, where they were not given one by one.
            webhooks: rings when an alert changes, see `events`.
            settings: of the subscription.

        Raises:
            InvalidRequestError: an argument is wrong, or the library is missing.
        """
        return opened(
            self._api,
            self.agents,
            hide(to),
            name,
            agents,
            output=output,
            length=length,
            queue=queue,
            lease=lease,
            relist=relist,
            webhooks=webhooks,
            settings=settings,
        )

    def maintenance(
        self,
        *agents: str | Agent,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        journal: str | PathLike[str] | None = None,
        timeout: float | timedelta = 60.0,
    ) -> Maintenance:
        """Maintenance mode for a while: `async with trmm.maintenance(site=41): ...`. A stock server only.

        Entering switches it on for those agents that are not in it, and leaving switches it off for these
        alone: after an error in the block, and after a cancellation, which waits for it.

        Args:
            agents: these agents, by id or object.
            client: or those of this client.
            site: or those of this site.
            journal: a file that keeps who has to be switched off, on the disk before anything is switched. If
                the process dies, the next block with this file switches those off, too, when it ends.
            timeout: seconds, or a timedelta, that switching off may take at most.

        Raises:
            InvalidRequestError: neither agents nor a client nor a site was given, or more than one of them.

        The block raises on entering what `Maintenance` says, and `StillInMaintenanceError` on leaving, which
        names those that could not be switched off.
        """
        agent_ids = frozenset(arguments.agent_id(one) for one in agents)
        if (bool(agent_ids), client is not None, site is not None).count(True) != 1:
            raise InvalidRequestError("maintenance() needs one of agents, a client or a site")
        where = (lambda agent: agent.agent_id in agent_ids) if agent_ids else None
        chosen = self.agents.select(client=client, site=site, where=where)

        async def choose() -> list[Agent]:
            (await self._api.dialect()).require_stock("maintenance")
            return await chosen.list()

        return Maintenance(
            choose,
            lambda on, agent_id: self.agents.set_maintenance(on, agent=agent_id),
            None if journal is None else Path(journal),
            arguments.seconds(timeout, "timeout"),
        )

    async def login(self, username: str, password: str, *, totp: TOTP | None = None) -> None:
        """Log a user of a stock server in: its sockets (`agents.stream_command`) don't take the API key.

        Everything else goes by the key as ever. Password, code and token are in no log line, repr or error.

        Args:
            username: who; a user who is blocked from the dashboard, or logs in by SSO, can't log in here.
            password: theirs.
            totp: the code of the second factor, or a callable, which may be asynchronous, that gives one.
                With a callable, and for a user without a second factor, a token that ends is renewed by
                itself; with a code it can't be, and `login` is to be called again. The server allows ten
                logins a minute from one address.

        Raises:
            AuthenticationError: the server refuses name, password or code, or wants a code.
            RateLimitedError: too many logins; `retry_after` says for how long. It is not tried again.
            UnsupportedError: the server is a gateway, which takes the API key for its sockets.
        """
        password, totp = hide(password), hide(totp)
        await self._api.tokens.login(username, password, totp)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
    ) -> Any:
        """Whatever there is no method for: limited, errors translated, retried where that is safe.

        Args:
            method: the HTTP method. GET, HEAD and OPTIONS are retried as reads are; anything else is sent
                again only where it certainly never reached the server.
            path: from the server's root (behind the base URL's prefix), as in "/core/version/". Mind the
                closing slash.
            params: the query, each name once; None values are left out.
            json: the body; None for none.

        Returns:
            The answer decoded from JSON; None for an empty one.

        Raises:
            TRMMError: see `errors`.
        """
        call = _raw_call(method, path, params, json)
        return await self._api.send(lambda dialect: dialect.raw(call))

    async def request_raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
    ) -> RawResponse:
        """The same, with the answer as it came: status, headers, bytes, and what it took to get it.

        The arguments are those of `request`. A status that isn't success still raises.

        Returns:
            the answer; its `json()` decodes it.

        Raises:
            TRMMError: see `errors`.
        """
        call = _raw_call(method, path, params, json)
        dialect = await self._api.dialect()
        return await self._api.transport.send_raw(dialect.raw(call))

    async def __aenter__(self) -> Self:
        self._check_no_view()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; calls from then on raise `ClosedError`. Twice is the same as once.

        Raises:
            InvalidRequestError: this is a view (`with_options`).
        """
        self._check_no_view()
        await self._api.aclose()
        if self._shared is not None:
            await self._shared.aclose()
        remember, self._remember = self._remember, None
        if remember is not None and self.dialect != "auto":
            await asyncio.to_thread(remember, self.dialect)

    def _check_no_view(self) -> None:
        if self._is_view:
            raise InvalidRequestError(
                "a view made by with_options() can't be entered or closed: use it as it is, and close the "
                "TRMM that it was made from"
            )


def _dialects(name: str, base_url: str) -> dict[str, Dialect]:
    # The gateway first: until it is known which it is, its limits are kept to.
    every: dict[str, Dialect] = {"gateway": Gateway(), "stock": Stock(base_url)}
    return every if name == "auto" else {name: every[name]}


def _shared(url: object, server: Server, *, timeout: float, lease: float) -> "SharedLimiters | None":
    if url is None:
        return None
    address = redis_address(url, "shared_limits")
    server.secrets.keep(address.password)
    try:
        from trmm_async.engines.redis_link import RedisLink  # noqa: PLC0415 - an extra
        from trmm_async.shared import SharedLimiters  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise InvalidRequestError('shared_limits needs a package: pip install "trmm-async[redis]"') from error
    return SharedLimiters(
        RedisLink(address), normal(server.base_url), lambda: server.key, timeout=timeout, lease=lease
    )


def _proxy(url: object, secrets: Secrets) -> ProxyAddress | None:
    if url is None:
        return None
    proxy = proxy_address(url, "proxy")
    for secret in proxy.secrets:
        secrets.keep(secret)
    return proxy


def _token_source(access_token: object, dialect: str) -> Any:
    if access_token is None:
        return None
    if dialect == "gateway":
        raise InvalidRequestError(
            'access_token: a gateway takes the API key for its sockets; dialect="stock" is what has tokens'
        )
    return access_token if callable(access_token) else arguments.token(access_token)


class _Bounds:
    """What the user has set as bounds, over the defaults of a dialect."""

    def __init__(self, rate_limit: object, deployment_rate_limit: object, max_waiting: object) -> None:
        self._rate_limit = _limit("rate_limit", rate_limit)
        self._deployment_rate_limit = _limit("deployment_rate_limit", deployment_rate_limit)
        if max_waiting not in {None, "default"}:
            arguments.integer(max_waiting, "max_waiting", minimum=1)
        self._max_waiting = max_waiting

    def of(self, dialect: Dialect) -> dict[str, Any]:
        """Them as the transport takes them."""
        lane = self._or(self._deployment_rate_limit, dialect.deployment_rate_limit)
        return {
            "rate_limit": self._or(self._rate_limit, dialect.rate_limit),
            "lanes": {Lane.DEPLOYMENTS: lane},
            "max_waiting": self._or(self._max_waiting, dialect.max_waiting),
        }

    @staticmethod
    def _or(given: object, default: object) -> object:
        return default if given == "default" else given


def _limit(what: str, value: object) -> object:
    if value is None or value == "default" or isinstance(value, RateLimit):
        return value
    raise InvalidRequestError(f"{what} must be a RateLimit or None, not {value!r}")


def _tls(context: object) -> tls.SSLContext | None:
    if context is None or isinstance(context, tls.SSLContext):
        return context
    raise InvalidRequestError(f"ssl must be an ssl.SSLContext or None, not {context!r}")


def _raw_call(method: object, path: str, params: Mapping[str, object] | None, json: object) -> Call[Any]:
    verb = method.upper() if isinstance(method, str) else ""
    if not _METHOD.fullmatch(verb):
        raise InvalidRequestError(f"method must be an HTTP method, not {method!r}")
    try:
        body = None if json is None else codec.encode(json)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRequestError(f"json can't be encoded: {error}") from error
    return Call(
        method=verb,
        path=arguments.raw_path(path),
        decode=_JSON_OR_NOTHING,
        query=_query(params),
        body=body,
        replay=Replay.SAFE if verb in {"GET", "HEAD", "OPTIONS"} else Replay.NEVER,
    )


def _query(params: object) -> dict[str, str]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise InvalidRequestError(f"params must be a mapping of names to values, not {params!r}")
    return {_query_text(name): _query_text(value) for name, value in params.items() if value is not None}


def _query_text(value: object) -> str:
    if isinstance(value, Collection) and not isinstance(value, str):
        raise InvalidRequestError(f"params must have text, numbers or booleans as values, not {value!r}")
    # As the server's own web client writes it.
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return arguments.free_text(text, "params", empty=True)


_JSON_OR_NOTHING: Final = codec.AnyDecoder()


def surely_share_key(one: TRMM, other: TRMM) -> bool:
    """Whether two clients are known to be let in by one key; False while a callable was not asked for it."""
    return _server_of(one).surely_has_key_of(_server_of(other))


async def share_key(one: TRMM, other: TRMM) -> bool:
    """The same, with callables asked for their keys if they were not yet.

    Raises:
        TRMMError: as of any call that needs the key.
    """
    return await _server_of(one).has_key_of(_server_of(other))


def _server_of(trmm: TRMM) -> Server:
    return trmm._api.transport.server  # noqa: SLF001 - of this module's own class
