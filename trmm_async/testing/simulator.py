"""The simulator itself: a whole gateway or server on a port of this machine, for the length of a block.

Below: everything else in this folder; this module only puts it together, starts it and stops it. Above: the
tests of whoever uses it, `fixtures.py` for pytest and `__main__.py` for the command line.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Literal, Self

from aiohttp import web

from .agent_switches import AgentSwitches
from .bus import Bus
from .downloads import Downloads
from .events import Hub
from .faults import Faults
from .front import Front, Way
from .gate import Gate, Limits, new_key
from .gateway import Gateway
from .ledger import Ledger
from .runner import Runner
from .scripts import Playbook
from .stage import Stage, release_of
from .stock import Stock
from .stock.accounts import first_accounts
from .stock.database import Database
from .stock.diary import Diary
from .stock.losses import Losses
from .stock.machines import Machines
from .stock.pulse import Pulse
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
    from .routing import Dialect
    from .scripts import Span
    from .throttle import Rate

__all__ = ["Simulator"]

DIALECTS: dict[str, Callable[[Stage], Dialect]] = {"gateway": Gateway, "stock": Stock}
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
    """A fake Tactical RMM gateway, or an unmodified server, over real HTTP and WebSocket.

    ```python
    async with Simulator(agents=200) as server:
        ...  # server.url, server.api_key
    ```

    World:
        agents: how many there are, over several clients and sites. All are online and there are no alerts.
        seed: the same seed makes the same world, whatever the clock says.
        clock: the time in seconds since the epoch, by which rate limits and the expiry of deployments go.

    Server:
        dialect: `"gateway"`, the `/api/v3` of the gateway, or `"stock"`, the unmodified Tactical RMM 1.5.1.
            ValueError for any other.
        api_key: the key it accepts; made up if None.
        rate_limit: so many requests in so many seconds per key, counted as Django REST framework counts them;
            `"usual"` is 100 a minute, with the stock dialect no limit. None: no limit.
        deployment_rate_limit: the same for creating deployments, besides; `"usual"` is 20 a minute.
        workers: how many HTTP requests are worked on at a time; more of them queue. None: any number.
        version: of the stock dialect's server; one before 1.4.0 has no live commands, one before 0.19.4 keeps
            no bulk script's output in a field or a note, one before 0.19.0 has no logins, tells its dashboard
            in an older form and calls no URL actions, one before 0.18.0 has no shutdown.
        knows_cmd_id: False ignores the `cmd_id` of a `runscript` body, as a gateway does that never heard of
            it.

    Time:
        script_seconds: how long a script takes, or the span to draw it from.
        offline_hold: the most seconds that a waiting call is held after its agent went offline under it; None
            holds it until the script's timeout is over. With the stock dialect it caps every time that the
            server waits for an agent in vain.
        row_seconds: how long the stock dialect's queue takes over each history row of a bulk action; it
            writes one after the other, behind the answer, and sends the orders when all are written.
        result_seconds: how long the stock dialect takes over each result that an agent reports; those that
            come at once are in the history one after the other, one that comes alone at once.
        agent_seconds: how long the stock dialect takes over each agent of a list; over one of the short form
            0.12 of that.
        check_seconds: how long the stock dialect takes over each check of the list of all; those of one agent
            come at once.
        latency: seconds there and back of every request, or the span to draw them from; half of it passes
            before the request is counted.

    Connection:
        host, port: where it listens; port 0 is any free one.
        prefix: the path under which it is mounted, such as `"/rmm"`.
        compress: zips answers and event frames for clients that accept it.
        keepalive_timeout: seconds after which an idle connection is closed.
        ledger_limit: keeps only so many of the newest requests and runs; None keeps all.

    It belongs to the event loop in which it is started and can be started once. Leaving the block ends all
    sockets and all scripts; a cancellation during that leaves nothing running either.
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
            msg = f"dialect {dialect!r} is not spoken here; there is {', '.join(sorted(DIALECTS))}"
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
        self._diary, self._losses, self._pulse = Diary(clock), Losses(), Pulse()
        self._database = Database(self.world, release_of(version))
        self._dialect = DIALECTS[dialect](
            Stage(
                self.world,
                self._runner,
                self._hub,
                self._downloads,
                self._gate,
                self._ledger,
                knows_cmd_id,
                self._bus,
                accounts=self._accounts,
                diary=self._diary,
                losses=self._losses,
                pulse=self._pulse,
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
            way=Way(latency, f"/{prefix.strip('/')}" if prefix.strip("/") else "", compress),
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
        return f"http://{name}:{self._port}{self._front.way.prefix}"

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
        """How many requests are under way at this moment, event sockets not counted."""
        return self._ledger.in_flight

    @property
    def max_in_flight(self) -> int:
        """The most requests that were under way at the same time."""
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
