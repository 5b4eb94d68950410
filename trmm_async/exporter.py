"""Prometheus metrics of the fleet, from a mirror, and of the client's own limits (extra `[prometheus]`).

    from trmm_async.exporter import export

    async with trmm.mirror() as mirror, export(trmm, mirror, port=9182) as url:
        await mirror.wait_until(lambda _: False)  # until the mirror ends

A scrape sends no request to the server. It reads the mirror, in the mirror's event loop.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Final, get_args

from trmm_async import arguments
from trmm_async.client import TRMM
from trmm_async.errors import InvalidRequestError
from trmm_async.mirror import Mirror
from trmm_async.plaintext import clean, one_line
from trmm_async.words import AgentStatus, Severity

try:
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        'trmm_async.exporter needs prometheus-client: pip install "trmm-async[prometheus]"', name=missing.name
    ) from missing

__all__ = ["FleetCollector", "export"]

_OTHER: Final = "other"
_STATUSES: Final = frozenset(get_args(AgentStatus))
_SEVERITIES: Final = get_args(Severity)
_SCRAPE_SECONDS: Final = 10.0


class FleetCollector(Collector):
    """The metrics of a mirror and of its client, for a registry of `prometheus_client`.

    The label `client` has at most `max_clients` values, for the clients with the most agents, and "other"
    for all the rest. Unknown statuses and severities are "other", too. Call `collect` only in the thread of
    the mirror's event loop; `export` ensures that.

    Args:
        trmm: the client whose limits are reported.
        mirror: the mirror whose agents are reported. It must be entered.
        max_clients: how many clients have metrics of their own, 1 or more.
    """

    def __init__(self, trmm: TRMM, mirror: Mirror, *, max_clients: int = 100) -> None:
        self._trmm = trmm
        self._mirror = mirror
        self._max_clients = arguments.integer(max_clients, "max_clients", minimum=1)

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that a registry doesn't collect when the collector is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        yield from self._fleet()
        yield from self._picture()
        yield from self._limits()

    def _fleet(self) -> Iterator[Metric]:
        agents = list(self._mirror.values())
        largest = Counter(agent.client.name for agent in agents).most_common(self._max_clients)
        names = {name: one_line(clean(name)) for name, _ in largest}
        by_status: Counter[tuple[str, str]] = Counter()
        failing: Counter[str] = Counter(dict.fromkeys(names.values(), 0))
        patches: Counter[str] = Counter(dict.fromkeys(names.values(), 0))
        reboots: Counter[str] = Counter(dict.fromkeys(names.values(), 0))
        severities: Counter[str] = Counter(dict.fromkeys(_SEVERITIES, 0))
        for agent in agents:
            client = names.get(agent.client.name, _OTHER)
            by_status[client, agent.status if agent.status in _STATUSES else _OTHER] += 1
            failing[client] += agent.checks.failing if agent.checks else 0
            patches[client] += bool(agent.has_patches_pending)
            reboots[client] += bool(agent.needs_reboot)
            for alert in self._mirror.alerts(agent):
                severities[alert.severity if alert.severity in _SEVERITIES else _OTHER] += 1
        yield _gauge("trmm_agents", "Agents by client and status.", ("client", "status"), by_status)
        yield _by("trmm_checks_failing", "Checks that fail.", "client", failing)
        yield _by("trmm_agents_patches_pending", "Agents with patches pending.", "client", patches)
        yield _by("trmm_agents_needing_reboot", "Agents that need a reboot.", "client", reboots)
        yield _by("trmm_alerts", "Alerts that are not resolved, by severity.", "severity", severities)

    def _picture(self) -> Iterator[Metric]:
        ages = self._mirror.freshness.values()
        yield GaugeMetricFamily(
            "trmm_picture_fresh", "Whether the picture is known to be right.", value=float(self._mirror.fresh)
        )
        yield GaugeMetricFamily(
            "trmm_picture_age_seconds",
            "How old the state of the agent is that is known worst.",
            value=max(ages, default=0.0),
        )

    def _limits(self) -> Iterator[Metric]:
        stats = self._trmm.stats
        for name, words, count in (
            ("trmm_client_requests", "Requests sent, each attempt.", stats.sent),
            ("trmm_client_refused", "Answers of 429.", stats.refused),
            ("trmm_client_retried", "Requests sent again.", stats.retried),
            ("trmm_client_waited_seconds", "Seconds that calls have waited.", stats.waited_s),
        ):
            yield CounterMetricFamily(name, words, value=count)
        for name, words, value in (
            ("trmm_client_waiting", "Calls that wait for the rate limit, now.", stats.waiting),
            ("trmm_client_in_flight", "Requests under way, now.", stats.in_flight),
            (
                "trmm_client_next_free_seconds",
                "Seconds until the rate limit lets the next request go.",
                stats.next_free_in or 0.0,
            ),
        ):
            yield GaugeMetricFamily(name, words, value=value)


def _gauge(name: str, words: str, labels: tuple[str, ...], counts: Counter[tuple[str, str]]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family


def _by(name: str, words: str, label: str, counts: Counter[str]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=(label,))
    for value, count in sorted(counts.items()):
        family.add_metric((value,), count)
    return family


class _InLoop(Collector):
    """Has another collector do its work in the loop's own thread: a scrape comes in another."""

    def __init__(self, inner: Collector, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        async def now() -> list[Metric]:
            return list(self._inner.collect())

        return asyncio.run_coroutine_threadsafe(now(), self._loop).result(_SCRAPE_SECONDS)


@asynccontextmanager
async def export(
    trmm: TRMM, mirror: Mirror, *, host: str = "127.0.0.1", port: int = 9182, max_clients: int = 100
) -> AsyncIterator[str]:
    """Serve the metrics over HTTP for the length of a block; gives the address to scrape.

    Anybody who reaches the port can read how many agents each client has: keep it on loopback, or behind
    something that asks who it is.

    Args:
        trmm: the client of the mirror.
        mirror: what is told of; entered.
        host: where to listen.
        port: 0 for any that is free.
        max_clients: how many clients have metrics of their own; the others are "other".

    Raises:
        InvalidRequestError: an argument is wrong, or it can't listen there.
    """
    registry = CollectorRegistry(auto_describe=False)
    collector = FleetCollector(trmm, mirror, max_clients=max_clients)
    registry.register(_InLoop(collector, asyncio.get_running_loop()))
    number = arguments.integer(port, "port", minimum=0, maximum=65_535)
    try:
        server, thread = start_http_server(number, addr=host, registry=registry)
    except OSError as error:
        raise InvalidRequestError(f"can't listen on {host}:{port}: {error.strerror or error}") from error
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.server_port}/metrics"
    finally:
        # In a thread, since a scrape that is under way waits for this loop.
        await asyncio.to_thread(server.shutdown)
        await asyncio.to_thread(thread.join)
        server.server_close()
