"""Spans and metrics of a client's work, read by OpenTelemetry's own exporters in memory."""

import asyncio
import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import trmm_async.sync
from tests.peer import KEY, always, answer, client, in_turn, peer, status
from tests.servers import served, until
from trmm_async import (
    TRMM,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    RateLimit,
    ServerError,
    StreamSettings,
)
from trmm_async.dialects import Gateway
from trmm_async.telemetry import _WORDS, instrument


class Told:
    """What was exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])

    def instrument(self, trmm: TRMM) -> Any:
        return instrument(trmm, tracer_provider=self.tracers, meter_provider=self.meters)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def below(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """The spans right below this one, in the order in which they began."""
        own = parent.get_span_context()
        assert own is not None
        inside = [one for one in self.spans if one.parent is not None and one.parent.span_id == own.span_id]
        return sorted(inside, key=lambda one: one.start_time or 0)

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Each measured point: its attributes and, of a histogram, its count, of others the value."""
        data = self._reader.get_metrics_data()
        metrics = (
            metric
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        return [
            (dict(point.attributes or {}), getattr(point, "count", getattr(point, "value", None)))
            for metric in metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def told() -> Iterator[Told]:
    """All that is told in a test; no key is in it."""
    made = Told()
    yield made
    assert KEY not in "".join(span.to_json() for span in made.spans)
    made.tracers.shutdown()
    made.meters.shutdown()


class TestACall:
    async def test_is_a_span_with_its_attempts_and_waits_below(self, told: Told) -> None:
        async with peer(in_turn(status(503), answer())) as server, client(server.url) as trmm:
            told.instrument(trmm)
            await trmm.scripts.list()
            port = int(server.url.rpartition(":")[2])
        (call,) = told.named("trmm GET /api/v3/scripts/")
        assert call.kind is SpanKind.INTERNAL
        assert call.status.status_code is StatusCode.UNSET
        first, wait, second = told.below(call)
        assert (first.name, wait.name, second.name) == (
            "GET /api/v3/scripts/",
            "wait for retry",
            "GET /api/v3/scripts/",
        )
        assert first.kind is second.kind is SpanKind.CLIENT
        assert dict(first.attributes or {}) == {
            "http.request.method": "GET",
            "http.response.status_code": 503,
            "error.type": "503",
            "http.request.resend_count": 0,
            "server.address": "127.0.0.1",
            "server.port": port,
            "url.path": "/api/v3/scripts/",
            "url.template": "/api/v3/scripts/",
        }
        assert first.status.status_code is StatusCode.ERROR
        assert second.attributes is not None
        assert second.attributes["http.request.resend_count"] == 1
        assert "error.type" not in second.attributes
        assert (call.attributes or {})["trmm.attempts"] == 2
        times = [one.start_time or 0 for one in (call, first, wait, second)]
        assert times == sorted(times)
        assert (call.end_time or 0) >= (second.end_time or 0)

    async def test_that_waits_for_the_limit_says_for_how_long(self, told: Told) -> None:
        async with peer(always(answer())) as server:
            async with client(server.url, rate_limit=RateLimit(1, per=0.05)) as trmm:
                told.instrument(trmm)
                await trmm.scripts.list()
                await trmm.scripts.list()
        (wait,) = told.named("wait for limit")
        assert 0 < (wait.end_time or 0) - (wait.start_time or 0) < 5e9
        assert told.points("trmm.client.wait.duration")[0][0]["trmm.wait.reason"] == "limit"

    async def test_that_fails_says_how(self, told: Told) -> None:
        async with peer(always(status(404))) as server, client(server.url) as trmm:
            told.instrument(trmm)
            with pytest.raises(NotFoundError):
                await trmm.agents.get("NoSuchAgent")
        (call,) = told.named("trmm GET /api/v3/agents/{}/")
        assert (call.status.status_code, (call.attributes or {})["error.type"]) == (
            StatusCode.ERROR,
            "NotFoundError",
        )

    async def test_stands_below_the_span_that_is_current_where_it_is_made(
        self, told: Told, dialect: str
    ) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            told.instrument(trmm)
            with told.tracers.get_tracer("mine").start_as_current_span("mine"):
                await trmm.clients.list()
        (mine,) = told.named("mine")
        assert [one.name for one in told.below(mine)] == [
            f"trmm GET {'/api/v3' * (dialect == 'gateway')}/clients/"
        ]

    async def test_has_no_id_and_no_key_in_the_name_of_its_spans(self, told: Told) -> None:
        async with peer(always(status(503))) as server, client(server.url, retries=0) as trmm:
            told.instrument(trmm)
            for path in (f"/{KEY}/", "/agents/abc-uuid/", "/clients/34/sites/", "/services/a/Spooler/"):
                with pytest.raises(ServerError):
                    await trmm.request("GET", path)
        assert {one.name for one in told.spans if one.kind is SpanKind.CLIENT} == {
            "GET /{}/",
            "GET /agents/{}/",
            "GET /clients/{}/sites/",
            "GET /services/{}/{}/",
        }

    async def test_that_is_cancelled_is_told_as_well(self, told: Told) -> None:
        async def handle(state: Any, request: Any, writer: asyncio.StreamWriter) -> bool:
            await asyncio.Event().wait()
            return False

        async with peer(handle) as server, client(server.url) as trmm:
            told.instrument(trmm)
            call = asyncio.create_task(trmm.scripts.list())
            await until(lambda: trmm.stats.in_flight == 1)
            assert told.points("trmm.client.in_flight")[0][1] == 1
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        (span,) = told.named("trmm GET /api/v3/scripts/")
        assert (span.attributes or {})["error.type"] == "CancelledError"


async def test_a_run_is_a_span_with_its_calls_below(told: Told, dialect: str) -> None:
    async with served(dialect, agents=3) as (server, trmm):
        agents = await trmm.agents.list()
        server.go_offline(agents[0].agent_id)
        told.instrument(trmm)
        await trmm.fleet.map(agents, trmm.agents.get)
        await trmm.fleet.run_script(agents, script=1, timeout=1)
    first, second = told.named("trmm run")
    assert [one.name.endswith("/agents/{}/") for one in told.below(first)].count(True) == 3
    assert (second.attributes or {})["trmm.run.what"] == "script 1"
    assert (second.attributes or {})["trmm.run.done"] == 2
    assert [one.name for one in second.events] == ["no success"]
    assert told.below(second)
    outcomes = told.points("trmm.run.outcomes")
    assert sum(count for _, count in outcomes) == 6
    assert sum(count for what, count in outcomes if not what["trmm.success"]) == 1


async def test_requests_are_counted_by_their_outcome(told: Told) -> None:
    async with peer(in_turn(status(429), answer(), None, answer())) as server, client(server.url) as trmm:
        told.instrument(trmm)
        await trmm.scripts.list()
        await trmm.scripts.list()
    requests = told.points("http.client.request.duration")
    by_outcome = {(one.get("http.response.status_code"), one.get("error.type")): n for one, n in requests}
    assert by_outcome == {(429, "429"): 1, (200, None): 2, (None, "_OTHER"): 1}
    assert [count for _, count in told.points("trmm.client.refused")] == [1]
    assert [(one["trmm.outcome"], n) for one, n in told.points("trmm.client.call.duration")] == [("ok", 2)]


async def test_events_tell_their_lag_and_gaps(told: Told, dialect: str) -> None:
    settings = StreamSettings(poll_interval=0.05, poll_share=1.0, backoff_first=0.01)
    async with served(dialect, agents=1) as (server, trmm):
        told.instrument(trmm)
        async with trmm.events(server.agent_ids, settings=settings) as events:
            server.raise_alert(server.agent_ids[0], severity="error", message="full")
            await anext(events)
            if dialect == "stock":
                server.fail("PATCH", "/alerts/", status=503)
            else:
                server.drop_connections()
            await anext(events)
    assert [(one["trmm.event"], n) for one, n in told.points("trmm.events.lag")] == [("AlertEvent", 1)]
    assert [n for _, n in told.points("trmm.events.age")] == [1]
    assert [n for _, n in told.points("trmm.events.gaps")] == [1]


async def test_nothing_is_told_after_detaching(told: Told) -> None:
    async with peer(always(answer())) as server, client(server.url) as trmm:
        detach = told.instrument(trmm)
        detach()
        detach()
        await trmm.scripts.list()
        assert told.points("trmm.client.in_flight") == []
    assert told.spans == []


async def test_a_run_that_is_under_way_when_it_is_detached_ends_there(told: Told) -> None:
    async with served("gateway", agents=1) as (server, trmm):
        detach = told.instrument(trmm)
        async with trmm.fleet.run_script(server.agent_ids, script=1):
            detach()
    assert len(told.named("trmm run")) == 1


async def test_a_client_that_is_gone_is_not_held_by_its_instruments(told: Told) -> None:
    async with TRMM("http://127.0.0.1:1", api_key=KEY) as trmm:
        told.instrument(trmm)
        assert len(told.points("trmm.client.waiting")) == 1
    del trmm
    assert told.points("trmm.client.waiting") == []


def test_every_fixed_part_of_a_path_of_the_servers_may_stand_in_a_name() -> None:
    with (Path(__file__).parent / "operations.tsv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file, delimiter="\t")]
    fixed = {part for path in paths for part in path.split("/") if part and "{" not in part}
    assert {"agents", "runscript", "winupdate"} <= fixed
    assert fixed - _WORDS == set()
    assert _WORDS - fixed <= {"api", "beta", "v1", "v2", "v3", "site", "wol"}
    assert set(Gateway().get_agent("x").path.strip("/").split("/")) - {"x"} <= _WORDS


def test_without_opentelemetry_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "try: import trmm_async.telemetry\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ('trmm_async.telemetry needs opentelemetry-api: pip install "trmm-async[otel]"\n')


def test_the_synchronous_client_is_instrumented_as_well(told: Told) -> None:
    """A call stands below the span of the thread that makes it, though another carries it out."""
    with trmm_async.sync.TRMM("http://127.0.0.1:1", api_key=KEY, retries=0, dialect="gateway") as trmm:
        instrument(trmm, tracer_provider=told.tracers, meter_provider=told.meters)
        with told.tracers.get_tracer("mine").start_as_current_span("mine"):
            with pytest.raises(ConnectionFailedError):
                trmm.clients.list()
    (mine,) = told.named("mine")
    assert [one.name for one in told.below(mine)] == ["trmm GET /api/v3/clients/"]


def test_only_a_client_is_instrumented() -> None:
    with pytest.raises(InvalidRequestError, match="instrument\\(\\) needs a TRMM, not 3"):
        instrument(3)  # type: ignore[arg-type]
