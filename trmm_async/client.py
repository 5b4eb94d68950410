"""`TRMM`: its settings, wiring and life cycle. It reads as a table of contents."""

import asyncio
import ssl as tls
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import replace
from datetime import timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from trmm_async import arguments, effective_settings, url_checks
from trmm_async.addresses import normal
from trmm_async.calls import Lane
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
from trmm_async.raw_calls import raw_call
from trmm_async.relay.factory import make_relay
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
from trmm_async.script_runs import HistoryWaits, RunPoller
from trmm_async.stream import AlertSignal, Dialer, Events, SharedPoller, StreamSettings, Subscription
from trmm_async.transport import CallSettings, Pool, RawResponse, Secrets, Server, ServerLimits, Transport
from trmm_async.words import MonitoringType

if TYPE_CHECKING:
    import aiohttp

    from trmm_async.relay.relay import Relay
    from trmm_async.shared import SharedLimiters

__all__ = ["TRMM", "share_key", "surely_share_key"]

Default = Literal["default"]


class TRMM:
    """A Tactical RMM server.

    One object holds one connection pool and the rate limits of one key. Make one, and share it within an
    event loop. Use it as `async with TRMM(…) as trmm`, or call `aclose()` at the end. Making one sends
    nothing.

    Args:
        url: the server's base URL, `https://host[:port][/prefix]`. A trailing `/api/v3` is removed.
        api_key: the API key. It appears in no repr, log line or error, and is sent to this server only. It
            may also be a function that returns the key, asynchronous or not. The function is called when the
            key is first needed, once for all calls, and once more after a 401.

        rate_limit: how many requests the server allows this key in all. "default" is the usual limit of that
            kind of server (a gateway: 100 a minute; a stock server: no limit). None is no limit.
        deployment_rate_limit: the additional limit for creating deployments (a gateway: 20 a minute).
        max_waiting: how many calls may wait for an agent's answer at the same time. On a stock server each of
            them holds one of its 10 to 40 workers, so the default there is 10. None is no limit.

        shared_limits: the URL of a Redis or Valkey server that keeps the limits of this key, and
            `max_waiting`, for all processes and hosts: `redis://[user:password@]host[:port][/database]`,
            `rediss://` with TLS, or `unix:///path` (extra `[redis]`; see docs/scaling.md). The password
            appears in no repr, log line or error. None: this client keeps its limits by itself.
        limiter_timeout: seconds that a call waits while that server can't be reached, 30 by default. Then the
            call raises `LimiterUnavailableError`. Nothing is sent meanwhile.
        limiter_lease: seconds until the shared limiter takes back what it gave to a process that died, 5 by
            default. A call may be delayed for as long between its admission and its sending. All clients of
            a key must use the same value.

        max_connections: the largest number of open connections, 100 by default.
        timeout: seconds that one attempt may take, 30 by default. A call that waits for a script has the
            script's own timeout in addition. While a list is iterated or a file is downloaded, it is the
            number of seconds that may pass without a byte.
        retries: how many times a call may be sent again where that is safe, 3 by default.
        patience: seconds that one call may spend waiting between its attempts in all, 120 by default. If the
            server's `Retry-After` is longer, the call raises at once.
        max_answer: the largest size of one decompressed answer in bytes, 256 MiB by default. A larger answer
            raises `DecodeError`. While a list is iterated, it limits one element. Downloaded files may have
            any size.
        report_grace: seconds that an agent of a stock server has to report the end of a script, beyond the
            script's own timeout, 10 by default. Then the run raises `AgentSilentError`.
        dialect: the kind of server: "gateway" (`/api/v3`), "stock" (Tactical RMM itself), or "auto". "auto"
            detects it by one harmless request when it is first needed; `trmm.dialect` then has the result.
        access_token: a token for the WebSockets of a stock server, in place of `login`. It may also be a
            function that returns a token, asynchronous or not; it is called again when a token has expired.
        allow_http: True allows plain http to other machines. Without it, only this machine may be used
            without TLS.
        session: your own `aiohttp.ClientSession`, which the client doesn't close. Give it a
            `trmm_async.Connector()`. With another connector, a script that is sent over a connection which
            the server is closing at that moment ends in an `OutcomeUnknownError`.
        ssl: a TLS context in place of the system's default. With `session=` it applies to events only.
        proxy: an HTTP proxy for calls and events: `http://[user:password@]host[:port]`, or `https://` for TLS
            to the proxy. The proxy must allow `CONNECT`. The password appears in no repr, log line or error.
            None: no proxy; the environment variables are not read. With `session=` it applies to events
            only.

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
        # Before anything can fail: some error reporters write down the local variables of a frame.
        api_key, access_token, shared_limits = hide(api_key), hide(access_token), hide(shared_limits)
        proxy = hide(proxy)
        secrets = Secrets()
        source = KeySource(api_key, secrets.keep) if callable(api_key) else None
        server = Server(
            base_url=url_checks.base_url(url, allow_http=allow_http),
            api_key=arguments.api_key(api_key) if source is None else "",
            source=source,
            ssl=_tls(ssl),
            proxy=_proxy(proxy, secrets),
            secrets=secrets,
        )
        spoken = arguments.choice(dialect, "dialect", effective_settings.DIALECTS)
        dialects = _dialects(spoken, server.base_url)
        limits = _limits(rate_limit, deployment_rate_limit, max_waiting)
        self._shared = _shared(
            shared_limits,
            server,
            timeout=arguments.number(limiter_timeout, "limiter_timeout", above=0),
            lease=arguments.number(limiter_lease, "limiter_lease", above=0),
        )
        pool = Pool(
            server,
            limits(next(iter(dialects.values()))),
            limiters=self._shared,
            max_connections=arguments.integer(max_connections, "max_connections", minimum=1),
            session=session,
        )
        settings = {"timeout": timeout, "max_answer": max_answer, "retries": retries, "patience": patience}
        transport = Transport(server, pool, CallSettings(**_checked(settings)))
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
        resolver = DialectResolver(transport, dialects, lambda found: pool.adopt(limits(found)))
        waits = HistoryWaits(report=arguments.number(report_grace, "report_grace", minimum=0))
        poller = RunPoller(transport, waits)
        tokens = TokenProvider(transport, resolver.dialect, _token_source(access_token, spoken))
        self._is_view = False
        self._remember: Callable[[str], None] | None = None
        api = Api(transport, dialer, resolver, poller, tokens)
        api.shared_poller = SharedPoller(ServerWatch(api))
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
        return cls._found(effective_settings.from_environment(settings))

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
        return cls._found(effective_settings.from_profile(name, settings))

    @classmethod
    def _found(cls, found: effective_settings.FoundSettings) -> Self:
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
        """The kind of server, "gateway" or "stock"; "auto" until it has been detected."""
        return self._api.resolver.name

    @property
    def url(self) -> str:
        """The server's base URL as it is used: without a trailing slash and without `/api/v3`."""
        return self._api.transport.server.base_url

    # -- seeing what it does ---------------------------------------------------------------------------------

    @property
    def stats(self) -> Stats:
        """Counts of what was sent and of what is waiting, for this client and all its views; see `Stats`."""
        return self._api.transport.stats

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
        return self._api.observers.add(callback)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        patience: float | None = None,
        max_answer: int | None = None,
    ) -> "TRMM":
        """Return a view of this client: the same connections, limits and login, but other settings for calls.

            slow = trmm.with_options(timeout=120, retries=0)

        Settings that are not given stay as they are. The view works as long as this client is open. It can't
        be closed: its `aclose` and `async with` raise `InvalidRequestError`.

        Args:
            timeout: as of `TRMM`.
            retries: as of `TRMM`.
            patience: as of `TRMM`.
            max_answer: as of `TRMM`.

        Raises:
            InvalidRequestError: a setting is wrong.
        """
        given = {"timeout": timeout, "max_answer": max_answer, "retries": retries, "patience": patience}
        changes = _checked({name: value for name, value in given.items() if value is not None})
        transport = self._api.transport
        api = self._api.through(transport.view(replace(transport.settings, **changes)))
        view = copy(self)
        view._become_view(api)  # noqa: SLF001 - it is one of us
        return view

    def events(
        self,
        *agents: str | Agent | Selector | Iterable[str | Agent],
        snapshot: bool = False,
        since: str | None = None,
        webhooks: AlertSignal | None = None,
        dashboard: bool = False,
        settings: StreamSettings | None = None,
    ) -> Subscription:
        """Subscribe to the live events of any number of agents, as one stream; see `Subscription`.

            async with trmm.events("abc-uuid") as events:
                async for event in events: ...

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
        """Keep the current state of the fleet in a live, read-only mapping of ids to agents; see `Mirror`.

            async with trmm.mirror(client="Acme") as mirror:
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
        webhooks: AlertSignal | None = None,
        settings: StreamSettings | None = None,
    ) -> "Relay":
        """Read the server's events once and publish them to any number of followers (`follow`); see `Relay`.

            async with trmm.relay(to="redis://bus.internal:6379/1", name="acme") as relay:
                await relay.run()

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
        return make_relay(
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
        """Put agents into maintenance mode for the time of a block. A stock server only.

            async with trmm.maintenance(site=41): ...

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
        call = raw_call(method, path, params, json)
        return await self._api.send(lambda dialect: dialect.raw(call))

    async def request_raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
    ) -> RawResponse:
        """Send a request as `request` does, and return the raw answer: status, headers, body, attempts.

        The arguments are those of `request`. An error status still raises.

        Returns:
            The answer. Its `json()` decodes the body.

        Raises:
            TRMMError: see `errors`.
        """
        call = raw_call(method, path, params, json)
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
        """Close the connections. Later calls raise `ClosedError`. Closing twice is the same as once.

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
    # The gateway first: its limits apply until the kind of server is known.
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
            "access_token: the WebSockets of a gateway take the API key, and no token: leave it out, or use "
            'dialect="stock"'
        )
    return access_token if callable(access_token) else arguments.token(access_token)


_CALL_SETTINGS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "timeout": partial(arguments.number, above=0),
    "max_answer": partial(arguments.integer, minimum=1),
    "retries": partial(arguments.integer, minimum=0),
    "patience": partial(arguments.number, minimum=0),
}


def _checked(settings: Mapping[str, object]) -> dict[str, Any]:
    return {name: _CALL_SETTINGS[name](value, name) for name, value in settings.items()}


def _limits(
    rate_limit: object, deployment_rate_limit: object, max_waiting: object
) -> Callable[[Dialect], ServerLimits]:
    """Check the limits that the user has set. What is "default" is as the dialect has it."""
    for name, limit in {"rate_limit": rate_limit, "deployment_rate_limit": deployment_rate_limit}.items():
        if not (limit is None or limit == "default" or isinstance(limit, RateLimit)):
            raise InvalidRequestError(f"{name} must be a RateLimit or None, not {limit!r}")
    if max_waiting not in {None, "default"}:
        arguments.integer(max_waiting, "max_waiting", minimum=1)

    def of(dialect: Dialect) -> ServerLimits:
        return ServerLimits(
            rate_limit=_given_or(rate_limit, dialect.rate_limit),
            lanes={Lane.DEPLOYMENTS: _given_or(deployment_rate_limit, dialect.deployment_rate_limit)},
            max_waiting=_given_or(max_waiting, dialect.max_waiting),
        )

    return of


def _given_or(given: Any, default: Any) -> Any:
    return default if given == "default" else given


def _tls(context: object) -> tls.SSLContext | None:
    if context is None or isinstance(context, tls.SSLContext):
        return context
    raise InvalidRequestError(f"ssl must be an ssl.SSLContext or None, not {context!r}")


def surely_share_key(one: TRMM, other: TRMM) -> bool:
    """Whether two clients are known to use one key; False while a function was not yet asked for its key."""
    return _server_of(one).surely_has_key_of(_server_of(other))


async def share_key(one: TRMM, other: TRMM) -> bool:
    """Whether two clients use one key; functions that give keys are called if they were not yet.

    Raises:
        TRMMError: as of any call that needs the key.
    """
    return await _server_of(one).has_key_of(_server_of(other))


def _server_of(trmm: TRMM) -> Server:
    return trmm._api.transport.server  # noqa: SLF001 - of this module's own class
