"""What `trmm doctor` examines: does the server answer, which kind is it, does the key work, what may it do.

The first request (TLS, the clock) goes without the key, and by the standard library: a client of the SDK
shows neither certificates nor headers.

Below: `session`. Above: the command.
"""

import asyncio
import http.client
import io
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

import trmm_async as sdk
from trmm_async.cli.session import Login, client_of
from trmm_async.cli.text import ago, span
from trmm_async.effective_settings import VARIABLES
from trmm_async.engines.address import authority, proxy_address, redis_address
from trmm_async.engines.faults import EngineAwayError, EngineRefusedError
from trmm_async.engines.tunnel import tunnelled
from trmm_async.hidden import hide
from trmm_async.saved_text import bare
from trmm_async.tls_files import tls_context
from trmm_async.tls_trouble import tls_trouble

__all__ = ["Finding", "examine"]

_PATIENCE: Final = 15.0
_HEAD_MOST: Final = 2**16
_SKEW_MOST: Final = timedelta(seconds=30)
_EXPIRES_SOON: Final = timedelta(days=14)
_ENGINE_ADVICE: Final = "is it up, are address and password right, does it speak TLS as the URL says?"


@dataclass(frozen=True)
class Finding:
    """The result of one examination. `state` is "ok", "warning" or "bad"; `refused`: the key was refused."""

    what: str
    state: Literal["ok", "warning", "bad"]
    text: str
    refused: bool = False


@dataclass(frozen=True)
class _Peek:
    """What the answer to a request without a key shows: the server's time, ours at that moment, and TLS."""

    date: datetime | None
    asked: datetime
    certificate: dict[str, Any] | None


async def examine(login: Login) -> AsyncIterator[Finding]:
    """The findings, as they are made. Ends early if nothing more can be found out."""
    settings = login.settings
    yield Finding("server", "ok", f"{settings.url} (from {settings.source})")
    yield Finding("key", "ok", f"from {login.key.source}")
    parts = urlsplit(settings.url)
    try:
        context = tls_context(settings.ca, settings.cert) or ssl.create_default_context()
        if settings.proxy:
            peek = await _peek_through(settings.proxy, parts, context)
        else:
            peek = await asyncio.to_thread(_peek, parts, context)
    except (OSError, http.client.HTTPException) as error:
        yield _unreachable(error)
        return
    yield Finding("reached", "ok", f"{parts.hostname} answers")
    yield _encryption(peek, parts)
    yield _clock(peek)
    if relay := hide(bare(os.environ.get(VARIABLES["relay"], ""))):
        yield await _relay(relay)
    if settings.shared_limits is not None:
        limits = await _limits(settings.shared_limits)
        yield limits
        if limits.state == "bad":
            return  # nothing can be sent
    async with client_of(settings, login.key.value, retries=1) as trmm:
        async for finding in _ask(trmm):
            yield finding


async def _limits(url: str) -> Finding:
    """Whether the Redis server of the shared limits is fit for them: reachable, version, eviction, clock."""
    try:
        address = redis_address(url, "shared_limits")
        from trmm_async.shared.examination import examined
    except (sdk.InvalidRequestError, ModuleNotFoundError) as error:
        missing = 'shared_limits needs a package: pip install "trmm-async[redis]"'
        return Finding("limits", "bad", missing if isinstance(error, ImportError) else str(error))
    found, why = await examined(url)
    if found is None:
        return Finding(
            "limits", "bad", f"{address} can't be asked: {why}; nothing is sent without it; {_ENGINE_ADVICE}"
        )
    if found.problem or found.is_replica:
        return Finding("limits", "bad", f"{address}: {found.problem or 'it is a replica: give the primary'}")
    said = f"shared by {address}: {found.version}"
    if not found.policy:
        return Finding(
            "limits", "warning", f"{said}; it doesn't say its maxmemory-policy: noeviction is needed"
        )
    skew = timedelta(seconds=found.ahead)
    if abs(skew) > _SKEW_MOST:
        side = "ahead of" if found.ahead > 0 else "behind"
        return Finding("limits", "warning", f"{said}; its clock is {span(skew)} {side} this machine's")
    return Finding("limits", "ok", f"{said}, {found.policy}; its clock and this machine's agree")


async def _relay(url: str) -> Finding:
    """Whether the server of a relay's log is fit for it: reachable, JetStream, version, eviction."""
    from trmm_async.relay.entrance import open_store, relay_address

    why = ""
    try:
        address = relay_address(url, VARIABLES["relay"])
        store = open_store(address, "doctor")
    except sdk.InvalidRequestError as error:
        return Finding("relay", "bad", str(error))
    try:
        await store.end()
    except (EngineAwayError, EngineRefusedError) as error:
        why = str(error)
    finally:
        await store.aclose()
    if "permissions" in why.casefold() or "NOPERM" in why:
        return Finding("relay", "warning", f"{address} answers; the rest it does not tell us: {why}")
    if why:
        return Finding("relay", "bad", f"{address} can't be asked: {why}; {_ENGINE_ADVICE}")
    if address.is_nats:
        return Finding("relay", "ok", f"{address} answers, with JetStream")
    return await _kept(url, address)


async def _kept(url: str, address: object) -> Finding:
    """Whether a Redis server that answers keeps what a relay writes: primary, no eviction."""
    from trmm_async.shared.examination import examined

    found, why = await examined(url)
    if found is None:
        return Finding("relay", "warning", f"{address} answers; the rest it does not tell us: {why}")
    if found.is_replica:
        return Finding("relay", "bad", f"{address} is a replica, which only followers can use")
    if found.policy not in {"", "noeviction"}:
        lost = "events may be lost when its memory is full; noeviction is safe"
        return Finding("relay", "warning", f"{address}: its maxmemory-policy is {found.policy}: {lost}")
    return Finding("relay", "ok", f"{address} answers: {found.version}")


def _peek(parts: SplitResult, context: ssl.SSLContext) -> _Peek:
    host, path = parts.hostname or "", f"{parts.path.rstrip('/')}/"
    if parts.scheme == "https":
        line: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=_PATIENCE, context=context
        )
    else:
        line = http.client.HTTPConnection(host, parts.port, timeout=_PATIENCE)
    try:
        line.connect()
        certificate = line.sock.getpeercert() if isinstance(line.sock, ssl.SSLSocket) else None
        asked = datetime.now(UTC)
        line.request("HEAD", path)
        date = line.getresponse().headers.get("Date")
        asked += (datetime.now(UTC) - asked) / 2
    finally:
        line.close()
    return _peeked(date, asked, certificate)


async def _peek_through(proxy: str, parts: SplitResult, context: ssl.SSLContext) -> _Peek:
    """As `_peek`, through a proxy."""
    is_encrypted = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if is_encrypted else 80)
    try:
        async with asyncio.timeout(_PATIENCE):
            line = await tunnelled(
                proxy_address(proxy, "proxy"),
                host,
                port,
                _Head,
                context=context if is_encrypted else None,
                proxy_context=lambda: context,
            )
            try:
                asked = datetime.now(UTC)
                head = f"HEAD {parts.path.rstrip('/')}/ HTTP/1.1\r\nHost: {authority(host, port)}\r\n"
                line.transport.write(f"{head}Connection: close\r\n\r\n".encode())
                said = io.BytesIO(await line.said)
                asked += (datetime.now(UTC) - asked) / 2
                certificate = line.transport.get_extra_info("peercert")
            finally:
                line.transport.abort()
    except TimeoutError:
        raise TimeoutError(f"no answer through the proxy within {_PATIENCE:g} s") from None
    said.readline()
    return _peeked(http.client.parse_headers(said).get("Date"), asked, certificate)


class _Head(asyncio.Protocol):
    """Reads the head of one answer. `said` gives it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._so_far = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._so_far += data
        if not self.said.done() and (b"\r\n\r\n" in self._so_far or len(self._so_far) > _HEAD_MOST):
            self.said.set_result(self._so_far)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.said.done():
            self.said.set_exception(exc or ConnectionError("the connection was closed without an answer"))


def _peeked(date: str | None, asked: datetime, certificate: Any) -> _Peek:
    from trmm_async.codec import http_date

    return _Peek(None if date is None else http_date(date), asked, certificate)


def _unreachable(error: Exception) -> Finding:
    if isinstance(error, ssl.SSLError):
        return Finding("TLS", "bad", tls_trouble(error))
    advice = "is the address right, is the server up, is a firewall in between?"
    return Finding("reached", "bad", f"no answer: {str(error) or type(error).__name__}; {advice}")


def _encryption(peek: _Peek, parts: SplitResult) -> Finding:
    if peek.certificate is None:
        mine = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        words = "none, and none needed on this machine" if mine else "none: the key can be read on its way"
        return Finding("TLS", "ok" if mine else "warning", words)
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(peek.certificate["notAfter"]), UTC)
    issuer = dict(pair for part in peek.certificate.get("issuer", ()) for pair in part)
    by = issuer.get("organizationName") or issuer.get("commonName") or "nobody named"
    soon = until - datetime.now(UTC) < _EXPIRES_SOON
    return Finding("TLS", "warning" if soon else "ok", f"by {by}, until {until:%Y-%m-%d} ({ago(until)})")


def _clock(peek: _Peek) -> Finding:
    if peek.date is None:
        return Finding("clock", "warning", "the server does not tell its time")
    skew = peek.date - peek.asked
    if abs(skew) <= _SKEW_MOST:
        return Finding("clock", "ok", "the server's and this machine's agree")
    side = "ahead of" if skew > timedelta() else "behind"
    return Finding("clock", "warning", f"the server's is {span(skew)} {side} this machine's: set one of them")


async def _ask(trmm: "sdk.TRMM") -> AsyncIterator[Finding]:
    verdicts: dict[str, sdk.TRMMError | None] = {}
    for name, read in _reads(trmm).items():
        verdicts[name] = await _try(read)
        if len(verdicts) == 1:
            yield _language(trmm, verdicts[name])
        error = verdicts[name]
        if isinstance(error, sdk.AuthenticationError):
            yield Finding("access", "bad", f"the key is refused ({error}): `trmm login`", refused=True)
            return
        if error is not None and not isinstance(error, sdk.PermissionDeniedError):
            yield Finding("access", "bad", f"{name} can't be read: {error}")
            return
    version = await _version(trmm)
    if version:
        yield version
    yield _access(verdicts)


def _reads(trmm: "sdk.TRMM") -> dict[str, Callable[[], Awaitable[object]]]:
    """What a key may be allowed to read, with one small request each."""
    return {
        "clients": trmm.clients.list,
        "agents": lambda: _first_agent(trmm),
        "scripts": trmm.scripts.list,
        "tasks": trmm.tasks.list,
        "alerts": trmm.alerts.list,
        "deployments": trmm.deployments.list,
    }


async def _first_agent(trmm: "sdk.TRMM") -> None:
    async with trmm.agents.iter() as agents:
        async for _ in agents:
            return


async def _try(read: Callable[[], Awaitable[object]]) -> "sdk.TRMMError | None":
    try:
        await read()
    except sdk.TRMMError as error:
        return error
    return None


def _language(trmm: "sdk.TRMM", error: "sdk.TRMMError | None") -> Finding:
    if trmm.dialect == "auto":
        return Finding("dialect", "bad", f"can't be told: {error}")
    return Finding("dialect", "ok", trmm.dialect)


async def _version(trmm: "sdk.TRMM") -> Finding | None:
    if trmm.dialect != "stock":
        return None  # a gateway does not send its version
    try:
        return Finding("version", "ok", f"Tactical RMM {await trmm.core.version()}")
    except sdk.TRMMError as error:
        return Finding("version", "warning", f"not told: {error}")


def _access(verdicts: "dict[str, sdk.TRMMError | None]") -> Finding:
    may = [name for name, error in verdicts.items() if error is None]
    may_not = [name for name, error in verdicts.items() if error is not None]
    words = f"the key works; it may read {', '.join(may)}" if may else "the key works, and may read nothing"
    if may_not:
        return Finding("access", "warning", f"{words}; not {', '.join(may_not)}")
    return Finding("access", "ok", f"{words}. What it may change shows only when it is tried")
