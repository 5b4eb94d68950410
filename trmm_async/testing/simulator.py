"""The simulator itself: a whole gateway or stock server on a port of this machine, while a block runs.

This module only puts the other modules of this folder together, and starts and stops them. Tests use it, and
so do `fixtures.py` for pytest and `__main__.py` for the command line.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Literal, Self

from aiohttp import web

from .agent_switches import AgentSwitches
from .backend import Backend, release_of
from .bus import Bus
from .downloads import Downloads
from .events import Hub
from .faults import Faults
from .front import Front, Network
from .gate import Gate, Limits, new_key
from .gateway import GatewayServer
from .ledger import Ledger
from .runner import Runner
from .scripts import Playbook
from .stock import StockServer
from .stock.accounts import first_accounts
from .stock.activity_log import ActivityLog
from .stock.database import StockDatabase
from .stock.interval import Interval
from .stock.losses import Losses
from .stock.machines import Machines
from .stock_switches import StockSwitches
from .switches import Switches
from .world import World

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import TracebackType

    from aiohttp.web_protocol import RequestHandler

    from .ledger import Request, Run
    from .nouns import Agent, Event
    from .routing import ServerKind
    from .scripts import Span
    from .throttle import Rate

__all__ = ["Simulator"]

DIALECTS: dict[str, Callable[[Backend], ServerKind]] = {"gateway": GatewayServer, "stock": StockServer}
AGENT_VERSIONS = {"stock": "2.11.0"}
BACKLOG = 1024
RATE_LIMIT = (100, 60.0)
DEPLOYMENT_RATE_LIMIT = (20, 60.0)
ROW_SECONDS = 0.007
"""As measured on a live server: the rows of 195 agents took 1.3 s, of 4,800 agents 36 s."""
RESULT_SECONDS = 0.045
"""As measured on a live server: the results of 120 agents at once took 5.3 to 7.4 s, of 4,800 187 s."""

AGENT_SECONDS = 0.0025
"""As measured on a live server: the list of 5,018 agents took 12.8 s."""
CHECK_SECONDS = 0.0162
"""As measured on a live server: the list of all 1,835 checks took 29.7 s."""


class Simulator(Switches, AgentSwitches, StockSwitches):
    """A simulated Tactical RMM gateway or stock server, over real HTTP and WebSockets.

    ```python
    async with Simulator(agents=200) as server:
        ...  # server.url, server.api_key
    ```

    World:
        agents: the number of agents, in several clients and sites. All are online, and there are no alerts.
        seed: the same seed makes the same world, at any time.
        clock: returns the time in seconds since the epoch. Rate limits and the expiry of deployments use it.

    Server:
        dialect: `"gateway"`, the `/api/v3` of the gateway, or `"stock"`, the unmodified Tactical RMM 1.5.1.
            Any other raises ValueError.
        api_key: the key that it accepts; None: a random one.
        rate_limit: the number of requests and the seconds of the rate limit of a key, counted as Django REST
            framework counts them. `"usual"` is 100 a minute, and no limit with the stock dialect. None: no
            limit.
        deployment_rate_limit: a second limit, for creating deployments; `"usual"` is 20 a minute.
        workers: how many HTTP requests are handled at a time; others wait. None: any number.
        version: the stock dialect's version. Before 1.4.0 it has no live commands. Before 0.19.4
            it stores no output of a bulk script in a field or a note. Before 0.19.0 it has no logins and an
            older form of the dashboard, and calls no URL actions. Before 0.18.0 it has no shutdown.
        knows_cmd_id: False: ignore the `cmd_id` of a `runscript` body, as a gateway without that feature
            does.

    Time:
        script_seconds: how long a script takes, in seconds, or the range from which this is drawn.
        offline_hold: for how many seconds at most a waiting call is held after its agent went offline; None:
            until the script's timeout is over. With the stock dialect it limits every wait of the server for
            an agent that doesn't answer.
        row_seconds: how long the stock dialect needs for each history row of a bulk action. It writes them
            one after the other, after it has answered, and sends the orders when all of them are written.
        result_seconds: how long the stock dialect needs for each result that an agent reports. Results that
            arrive together appear in the history one after the other; a single one appears at once.
        agent_seconds: how long the stock dialect needs for each agent of a list; 0.12 of that in the short
            form.
        check_seconds: how long the stock dialect needs for each check of the list of all checks. The checks
            of one agent take no time.
        latency: the round-trip time of every request in seconds, or the range from which it is drawn. Half of
            it passes before the request is counted.

    Connection:
        host, port: the address on which it listens; port 0: any free port.
        prefix: the path under which it is mounted, such as `"/rmm"`.
        compress: compress answers and event frames for clients that accept it.
        keepalive_timeout: seconds after which an idle connection is closed.
        ledger_limit: keep only so many of the newest requests and runs; None: keep all.

    It belongs to the event loop in which it is started, and can be started once. Leaving the block ends all
    sockets and all scripts, even if that is cancelled.
    """

    def __init__(
        self,
        *,
        agents: int = 20,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        dialect: str = "gateway",
        api_key: str | None = None,
        rate_limit: Rate | Literal["usual"] | None = "usual",
        deployment_rate_limit: Rate | Literal["usual"] | None = "usual",
        workers: int | None = None,
        version: str = "1.5.1",
        knows_cmd_id: bool = True,
        script_seconds: float | Span = (0.05, 0.3),
        offline_hold: float | None = None,
        row_seconds: float = ROW_SECONDS,
        result_seconds: float = RESULT_SECONDS,
        agent_seconds: float = AGENT_SECONDS,
        check_seconds: float = CHECK_SECONDS,
        latency: float | Span = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        prefix: str = "",
        compress: bool = False,
        keepalive_timeout: float = 75.0,
        ledger_limit: int | None = None,
    ) -> None:
        if dialect not in DIALECTS:
            msg = f"dialect must be one of {', '.join(sorted(DIALECTS))}, not {dialect!r}"
            raise ValueError(msg)
        self.dialect = dialect
        of_agents = AGENT_VERSIONS.get(dialect)
        self.world: World = World(agents=agents, seed=seed, clock=clock, agent_version=of_agents)
        self.api_key: str = api_key if api_key is not None else new_key(Random(f"{seed} key"))
        self.limits: Limits = Limits(
            _limit(rate_limit, RATE_LIMIT, dialect),
            _limit(deployment_rate_limit, DEPLOYMENT_RATE_LIMIT, dialect),
            clock,
        )
        self._ledger = Ledger(ledger_limit)
        self._faults = Faults()
        self._gate = Gate(self.api_key, self.limits)
        self._playbook = Playbook(Random(f"{seed} scripts"), script_seconds)
        self._downloads = Downloads()
        self._hub = Hub(compress=compress)
        self._runner = Runner(self.world, self._ledger, self._playbook, offline_hold, result_seconds)
        self._bus = Bus(hold=offline_hold)
        self._accounts = self._gate.accounts = first_accounts(clock, Random(f"{seed} accounts"))
        self._activity, self._losses, self._dashboard_interval = ActivityLog(clock), Losses(), Interval()
        self._database = StockDatabase(self.world, release_of(version))
        self._dialect = DIALECTS[dialect](
            Backend(
                self.world,
                self._runner,
                self._hub,
                self._downloads,
                self._gate,
                self._ledger,
                knows_cmd_id,
                self._bus,
                accounts=self._accounts,
                activity=self._activity,
                losses=self._losses,
                dashboard_interval=self._dashboard_interval,
                version=version,
                row_seconds=row_seconds,
                agent_seconds=agent_seconds,
                check_seconds=check_seconds,
                database=self._database,
                machines=Machines(Random(f"{seed} machines"), clock),
            )
        )
        self._front = Front(
            self._dialect,
            network=Network(latency, f"/{prefix.strip('/')}" if prefix.strip("/") else "", compress),
            gate=self._gate,
            faults=self._faults,
            ledger=self._ledger,
            rng=Random(f"{seed} latency"),
            clock=clock,
            workers=workers,
        )
        self.world.listen(self._publish)
        self._host = host
        self._port = port
        self._keepalive = keepalive_timeout
        self._listening: web.ServerRunner | None = None
        self._server: CountingServer | None = None

    def __repr__(self) -> str:
        where = self.url if self._listening else "not listening"
        counts = f"requests={len(self.requests)} runs={len(self.runs)} throttled={self.throttled}"
        return f"<Simulator {where} agents={len(self.agents)} {counts} subscribers={self._hub.count()}>"

    # -- life ------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("a simulator can be started once: make another one")
        self._server = CountingServer(self._front, self._ledger, self._keepalive)
        listening = web.ServerRunner(self._server, shutdown_timeout=1.0)
        await listening.setup()
        try:
            await web.TCPSite(listening, self._host, self._port, backlog=BACKLOG).start()
        except BaseException:
            await listening.cleanup()
            raise
        self._port = listening.addresses[0][1]
        self._listening = listening
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        listening, self._listening = self._listening, None
        if listening is None:
            return
        try:
            for site in listening.sites:
                await site.stop()
            await self._hub.close()
        finally:
            await self._front.close()
            await self._runner.close()
            await listening.cleanup()

    @property
    def url(self) -> str:
        """The address to give to a client, without a slash at its end. RuntimeError before the start."""
        if self._server is None:
            raise RuntimeError("the simulator is not running: use it with `async with`")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 - not bound here
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{self._port}{self._front.network.prefix}"

    def drop_connections(self) -> int:
        """Abort every TCP connection, idle ones and event sockets too, and return how many there were."""
        return self._server.drop() if self._server else 0

    # -- looking ---------------------------------------------------------------------------------------------

    @property
    def agents(self) -> list[Agent]:
        """The records of all agents; a change to one shows in the next answer."""
        return list(self.world.agents.values())

    @property
    def agent_ids(self) -> list[str]:
        """The ids of all agents."""
        return list(self.world.agents)

    @property
    def runs(self) -> list[Run]:
        """Every script that really ran, in the order of their starts."""
        return self._ledger.runs

    def runs_of(self, agent_id: str) -> list[Run]:
        """Return what ran on one agent."""
        return [run for run in self.runs if run.agent_id == agent_id]

    @property
    def collected(self) -> list[Run]:
        """The finished runs that were asked for with `output="collector"`."""
        return self._ledger.collected

    @property
    def requests(self) -> list[Request]:
        """Every request that came in, WebSocket handshakes and failed ones included."""
        return self._ledger.requests

    @property
    def throttled(self) -> int:
        """How many requests the rate limits have refused with 429."""
        return self._ledger.throttled

    @property
    def connections(self) -> int:
        """How many TCP connections have been opened."""
        return self._ledger.connections

    @property
    def in_flight(self) -> int:
        """How many requests are in progress at this moment, event sockets not counted."""
        return self._ledger.in_flight

    @property
    def max_in_flight(self) -> int:
        """The most requests that were in progress at the same time."""
        return self._ledger.max_in_flight

    def reset_ledger(self) -> None:
        """Forget all requests, runs and counts; the world and the rate limits stay as they are."""
        self._ledger.reset()

    def subscribers(self, agent_id: str | None = None) -> int:
        """Tell how many live event sockets an agent has, or all of them together."""
        return self._hub.count(agent_id)

    async def wait_for_subscribers(self, agent_id: str, n: int = 1, timeout: float = 5.0) -> None:
        """Wait until an agent has at least `n` live event sockets; TimeoutError after `timeout` seconds."""
        await self._hub.wait_for(agent_id, n, timeout)

    def _publish(self, event: Event) -> None:
        if self._hub.count(event.agent_id) and (frame := self._dialect.frame(event)):
            self._hub.publish(event.agent_id, frame)


def _limit(given: Rate | Literal["usual"] | None, usual: Rate, dialect: str) -> Rate | None:
    if given != "usual":
        return given
    return usual if dialect == "gateway" else None


class CountingServer(web.Server):
    """aiohttp's server, with a count of the connections that are opened."""

    def __init__(self, front: Front, ledger: Ledger, keepalive_timeout: float) -> None:
        super().__init__(front.handle, access_log=None, keepalive_timeout=keepalive_timeout)
        self._ledger = ledger

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count it."""
        self._ledger.connections += 1
        super().connection_made(handler, transport)

    def drop(self) -> int:
        """Abort all connections."""
        transports = [each.transport for each in self.connections if each.transport is not None]
        for transport in transports:
            transport.abort()
        return len(transports)
