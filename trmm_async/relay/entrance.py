"""Makes the subscription of a follower: checks the arguments, and then loads the library of the engine."""

import re
from typing import TYPE_CHECKING, Final

from trmm_async import arguments
from trmm_async.engines.address import NATS, EngineAddress, nats_address, redis_address
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import hide
from trmm_async.stream import StreamSettings, Subscription
from trmm_async.stream.filters import Agents, Clients, Kinds, Severities, wanted

if TYPE_CHECKING:
    from trmm_async.relay.store import Store

__all__ = ["follow", "open_store", "relay_address", "relay_name"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def follow(
    url: str,
    *,
    name: str,
    snapshot: bool = False,
    since: str | None = None,
    agent: Agents | None = None,
    client: Clients | None = None,
    kind: Kinds | None = None,
    severity: Severities | None = None,
    settings: StreamSettings | None = None,
) -> Subscription:
    """The events in the log of a relay (`TRMM.relay`), as a subscription. No server is asked, no key needed.

        async with follow("redis://bus.internal:6379/1", name="acme", snapshot=True) as events:
            async for event in events: ...

    Each follower gets all events, at its own pace. If events are no longer in the log, because the follower
    is too late or the log was lost, each agent gets a `Gap`, then its present state, then `Live`. While the
    log can't be reached, the stream waits, and then continues from where it was.

    Args:
        url: the server that the relay writes to: `redis://…`, `rediss://…`, `unix://…` (extra `[redis]`),
            `nats://…` or `tls://…` (extra `[nats]`).
        name: the relay's name.
        snapshot: yield the present state of each agent first, and then `Live`.
        since: the `position` of an earlier subscription to this relay: all events since then are yielded.
        agent: only events of these agents.
        client: only events of the agents of this client, by id, name or object.
        kind: only events of these types; `Gap`, `Live` and `Ended` are always yielded.
        severity: only alerts of this severity, or of these.
        settings: sizes and times.

    Raises:
        InvalidRequestError: an argument is invalid, `since` is a position of other events, or the engine's
            library is not installed.
        ConnectionFailedError (on entering): the log can't be read.
    """
    url = hide(url)
    wants = wanted(kind, agent, client, severity, marks=True)
    store = open_store(relay_address(url, "url"), relay_name(name))
    from trmm_async.relay import follower  # noqa: PLC0415 - after the arguments are checked

    return follower.follow(store, settings or StreamSettings(), wants, snapshot=snapshot, since=since)


def relay_address(url: object, what: str) -> EngineAddress:
    """Check and take apart the URL of the server that a relay writes to.

    Raises:
        InvalidRequestError: it is not a URL of Redis or NATS.
    """
    if isinstance(url, str) and url.strip().partition("://")[0].lower() in NATS:
        return nats_address(url, what)
    return redis_address(url, what, ", or with nats:// or tls:// for NATS")


def relay_name(name: object) -> str:
    """Check a relay's name.

    Raises:
        InvalidRequestError: it is not a valid name.
    """
    text = arguments.plain_text(name, "name")
    if not _NAME.fullmatch(text):
        raise InvalidRequestError(f"name must be of letters, digits and _.- (64 at most), not {text!r}")
    return text


def open_store(address: EngineAddress, name: str) -> "Store":
    """The log of a relay. No connection is opened yet.

    Raises:
        InvalidRequestError: the engine's library is not installed.
    """
    extra = "nats" if address.is_nats else "redis"
    try:
        if address.is_nats:
            from trmm_async.relay.nats_store import NatsStore  # noqa: PLC0415 - an extra

            return NatsStore(address, name)
        from trmm_async.relay.redis_store import RedisStore  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise InvalidRequestError(f'a relay needs a package: pip install "trmm-async[{extra}]"') from error
    return RedisStore(address, name)
