"""OpenTelemetry: spans and metrics of what a client does (extra `[otel]`), over `observing`.

    from trmm_async.telemetry import instrument

    detach = instrument(trmm)

This module uses only the API of OpenTelemetry, so without an SDK it costs no more than the callback. A span
is made when the call has ended, with its true start time; until then only the observations of the call are
kept. The names of spans contain only fixed words of the server's paths, never an id, a name or a key.
"""

import re
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from trmm_async._version import __version__
from trmm_async.errors import InvalidRequestError
from trmm_async.events import Gap
from trmm_async.observing import (
    Attempt,
    CallEnded,
    EventRead,
    Observation,
    Retry,
    RunEnded,
    RunOutcome,
    RunStarted,
    Stats,
    Waited,
)

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, MeterProvider
    from opentelemetry.metrics import Observation as Measured
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        'trmm_async.telemetry needs opentelemetry-api: pip install "trmm-async[otel]"', name=missing.name
    ) from missing

__all__ = ["Instrumentable", "instrument"]

_NAME: Final = "trmm_async"

_PATHS: Final = """
account accounts actions agents alerts all analysis api apikeys assets audit automation beta bulk
bulkrecovery checkcreds checks chocos clearcache clients cmd codesign core create-key create-value
csbulkrun customfields dashinfo dataqueries debug delete delete-key delete-value deploy deployments
download email emailtest eventlog export generate history htmltemplates import install installer
keystore login logout logoutall logs maintenance meshcentral modify-value newfolder notes openai
overview patchpolicy pendingactions ping policies preview processes queryschema reboot recover
registry related rename rename-key rename-value reporting reset reset2fa reset_totp resetall resetpw
roles run runscript scan schedules scripthistory scripts servermaintenance serverscript services
sessions settings setup_totp shared shutdown site sites smstest snippets software ssoproviders status
tasks templates terminal-defaults test token ui uninstall update upload urlaction users v1 v2 v3 version
versions webtermperms webvnc winupdate wmi wol
"""
_WORDS: Final = frozenset(_PATHS.split())
"""The words that a span's name may contain: the fixed parts of the server's paths. Others become `{}`."""

_SEGMENT: Final = re.compile(r"[^/]+")


class Instrumentable(Protocol):
    """What can be instrumented: a `TRMM`, also one of `with_options`, or a `trmm_async.sync.TRMM`."""

    @property
    def url(self) -> str:
        """The server's base URL."""
        ...

    @property
    def stats(self) -> Stats:
        """The client's numbers."""
        ...

    def observe(self, callback: Callable[[Observation], object], /) -> Callable[[], None]:
        """Call a function with every observation."""
        ...


def instrument(
    trmm: Instrumentable,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Callable[[], None]:
    """Report what this client does to OpenTelemetry from now on, including all its `with_options`.

    Each call has a span, and its attempts and waits are child spans. Each fleet run has a span, and its calls
    are child spans. There are also metrics. The parent of a call's span is the span that was current when the
    call was made. docs/observing.md lists all names. Requests are not changed, since Tactical RMM does not
    read trace headers.

    Args:
        trmm: the client.
        tracer_provider: makes the spans; None: the global provider.
        meter_provider: makes the metrics; None: the global provider.

    Returns:
        what ends that; called twice it is the same as once. Instrumenting twice tells everything twice.

    Raises:
        InvalidRequestError: it is no client.
        ModuleNotFoundError: on importing this module: opentelemetry-api is not installed.
    """
    if not callable(getattr(trmm, "observe", None)):
        raise InvalidRequestError(f"instrument() needs a TRMM, not {trmm!r}")
    url = urlsplit(trmm.url)
    server: dict[str, str | int] = {"server.address": url.hostname or ""}
    server["server.port"] = url.port or (443 if url.scheme == "https" else 80)
    tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
    meter = metrics.get_meter(_NAME, __version__, meter_provider)
    spans = _Spans(tracer, server)
    measures = _Measures(meter, server)
    gauges = _Gauges(meter, server, weakref.ref(trmm))

    def tell(observation: Observation) -> None:
        spans.tell(observation)
        measures.tell(observation)

    end = trmm.observe(tell)

    def detach() -> None:
        end()
        gauges.is_on = False
        spans.leave()

    return detach


class _Spans:
    """Makes spans from observations. The spans of a call are made when it has ended."""

    def __init__(self, tracer: trace.Tracer, server: dict[str, str | int]) -> None:
        self._tracer = tracer
        self._server = server
        self._calls: dict[int, list[Waited | Attempt | Retry]] = {}
        self._runs: dict[int, Span] = {}

    def tell(self, observation: Observation) -> None:
        match observation:
            case Waited() | Attempt() | Retry():
                self._calls.setdefault(observation.call, []).append(observation)
            case CallEnded():
                self._call(observation, self._calls.pop(observation.call, []))
            case RunStarted():
                self._run(observation)
            case RunOutcome(outcome=outcome, ok=False) if span := self._runs.get(observation.run):
                what = {"trmm.outcome": type(outcome).__name__, "trmm.agent_id": outcome.agent_id}
                span.add_event("no success", what, _nanoseconds(observation.time))
            case RunEnded() if span := self._runs.pop(observation.run, None):
                _end_run(span, observation)
            case _:
                pass

    def leave(self) -> None:
        """End the spans in progress, since no more observations come."""
        for span in self._runs.values():
            span.end()
        self._runs.clear()
        self._calls.clear()

    def _run(self, started: RunStarted) -> None:
        # What is done stands in an attribute: it names the script.
        attributes: dict[str, str | int | bool] = {**self._server, "trmm.run.what": started.what}
        attributes["trmm.run.resumed"] = started.resumed
        if started.targets is not None:
            attributes["trmm.run.targets"] = started.targets
        self._runs[started.run] = self._tracer.start_span(
            "trmm run", attributes=attributes, start_time=_nanoseconds(started.time)
        )

    def _call(self, ended: CallEnded, parts: list[Waited | Attempt | Retry]) -> None:
        run = None if ended.run is None else self._runs.get(ended.run)
        route = _route(ended.path)
        attributes = {
            **self._server,
            "http.request.method": ended.method,
            "url.path": ended.path,
            "url.template": route,
            "trmm.attempts": ended.attempts,
            "trmm.waited": ended.waited,
        }
        span = self._tracer.start_span(
            f"trmm {ended.method} {route}",
            None if run is None else trace.set_span_in_context(run),
            attributes=attributes,
            start_time=_nanoseconds(ended.time - ended.elapsed),
        )
        if span.is_recording():
            inside = trace.set_span_in_context(span)
            for part in parts:
                self._part(part, inside, route)
            if ended.error is not None:
                _fail(span, ended.error)
        span.end(_nanoseconds(ended.time))

    def _part(self, part: Waited | Attempt | Retry, inside: Context, route: str) -> None:
        match part:
            case Attempt():
                self._attempt(part, inside, route)
            case Waited(reason=reason, seconds=seconds):
                start, end = _nanoseconds(part.time - seconds), _nanoseconds(part.time)
                self._wait(reason, {}, start, end, inside)
            case Retry(reason=reason, delay=delay):
                start, end = _nanoseconds(part.time), _nanoseconds(part.time + delay)
                self._wait("retry", {"trmm.retry.reason": reason}, start, end, inside)

    def _wait(self, why: str, attributes: dict[str, str], start: int, end: int, inside: Context) -> None:
        attributes = {"trmm.wait.reason": why, **attributes}
        span = self._tracer.start_span(f"wait for {why}", inside, attributes=attributes, start_time=start)
        span.end(end)

    def _attempt(self, told: Attempt, inside: Context, route: str) -> None:
        attributes = {
            **_of_attempt(told),
            **self._server,
            "url.path": told.path,
            "url.template": route,
            "http.request.resend_count": told.number - 1,
        }
        span = self._tracer.start_span(
            f"{told.method} {route}",
            inside,
            SpanKind.CLIENT,
            attributes,
            start_time=_nanoseconds(told.time - told.elapsed),
        )
        if "error.type" in attributes:
            span.set_status(Status(StatusCode.ERROR, told.problem or None))
        span.end(_nanoseconds(told.time))


class _Measures:
    """Adds observations up as metrics."""

    def __init__(self, meter: metrics.Meter, server: dict[str, str | int]) -> None:
        self._server = server
        self._requests = meter.create_histogram(
            "http.client.request.duration", "s", "Requests, each attempt of a call, by their outcome"
        )
        self._calls = meter.create_histogram(
            "trmm.client.call.duration", "s", "Calls with their waits and attempts, by their outcome"
        )
        self._waits = meter.create_histogram(
            "trmm.client.wait.duration",
            "s",
            "Waits of calls: for the rate limit, a worker, a connection, a retry",
        )
        self._refused = meter.create_counter("trmm.client.refused", "{request}", "Answers of 429")
        self._outcomes = meter.create_counter("trmm.run.outcomes", "{target}", "Outcomes of fleet runs")
        self._gaps = meter.create_counter("trmm.events.gaps", "{gap}", "Gaps in streams of events")
        self._lag = meter.create_histogram(
            "trmm.events.lag", "s", "From the coming of an event until a reader has taken it"
        )
        self._age = meter.create_histogram(
            "trmm.events.age",
            "s",
            "From the time that the server gives for an event until a reader has taken it",
        )

    def tell(self, observation: Observation) -> None:
        match observation:
            case Attempt():
                self._requests.record(
                    max(0.0, observation.elapsed), {**_of_attempt(observation), **self._server}
                )
                if observation.status == 429:
                    self._refused.add(1, self._server)
            case CallEnded(error=error):
                outcome = "ok" if error is None else type(error).__name__
                self._calls.record(observation.elapsed, {"trmm.outcome": outcome, **self._server})
            case Waited(reason=reason, seconds=seconds):
                self._waits.record(seconds, {"trmm.wait.reason": reason, **self._server})
            case Retry(delay=delay):
                self._waits.record(delay, {"trmm.wait.reason": "retry", **self._server})
            case RunOutcome(outcome=outcome, ok=ok):
                what = {"trmm.outcome": type(outcome).__name__, "trmm.success": ok, **self._server}
                self._outcomes.add(1, what)
            case Gap():
                self._gaps.add(1, self._server)
            case EventRead(event=event, lag=lag, age=age):
                kind = {"trmm.event": type(event).__name__, **self._server}
                self._lag.record(lag, kind)
                if age is not None:
                    self._age.record(age, kind)
            case _:
                pass


class _Gauges:
    """Gauges that read the client's `stats` at each export."""

    def __init__(
        self, meter: metrics.Meter, server: dict[str, str | int], trmm: Callable[[], Instrumentable | None]
    ) -> None:
        self._server = server
        self._trmm = trmm
        self.is_on: bool = True
        for name, unit, field, text in (
            ("trmm.client.in_flight", "{request}", "in_flight", "Requests under way"),
            ("trmm.client.waiting", "{call}", "waiting", "Calls that wait for their turn"),
        ):
            meter.create_observable_up_down_counter(name, [self._reader(field)], unit, text)

    def _reader(self, field: str) -> Callable[[CallbackOptions], Iterable[Measured]]:
        def read(_: CallbackOptions) -> Iterable[Measured]:
            trmm = self._trmm()
            if self.is_on and trmm is not None:
                yield Measured(getattr(trmm.stats, field), self._server)

        return read


def _route(path: str) -> str:
    return _SEGMENT.sub(lambda found: found[0] if found[0] in _WORDS else "{}", path)


def _of_attempt(told: Attempt) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {"http.request.method": told.method}
    if told.status is not None:
        attributes["http.response.status_code"] = told.status
    if told.problem or told.status is None:
        attributes["error.type"] = "_OTHER" if told.status is None else str(told.status)
    elif told.status >= 400:
        attributes["error.type"] = str(told.status)
    return attributes


def _fail(span: Span, error: BaseException) -> None:
    kind = type(error).__name__
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, str(error) or kind))


def _end_run(span: Span, ended: RunEnded) -> None:
    counts: dict[str, Any] = {
        f"trmm.run.{name}": getattr(ended.counts, name)
        for name in ("done", "failed", "unknown", "skipped", "pending")
    }
    span.set_attributes(counts)
    if ended.stopped:
        span.set_status(Status(StatusCode.ERROR, ended.stopped))
    span.end(_nanoseconds(ended.time))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
