"""How followers come in: checks what is given, before the library for it is loaded.

Over everything else of this room but `opening`.
"""

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
    """The events that a relay (`TRMM.relay`) tells, as a subscription: no server is asked, and no key needed.

        async with follow("redis://bus.internal:6379/1", name="acme", snapshot=True) as events:
            async for event in events: ...

    Each follower gets everything, at its own pace. What is no longer in the log, since it came too late or
    the log was lost, is told as a `Gap` of each agent, then how it stands, then `Live`. While the log is
    away, the stream waits; it goes on where it was.

    Args:
        url: where the relay writes to: `redis://…`, `rediss://…`, `unix://…` (extra `[redis]`), `nats://…` or
            `tls://…` (extra `[nats]`).
        name: the relay's name.
        snapshot: tell first how each agent stands, and then `Live`.
        since: the `position` of an earlier subscription to this relay: everything since is told.
        agent: events of these agents alone.
        client: of the agents of this client alone, by id, name or object.
        kind: types of events; `Gap`, `Live` and `Ended` come in any case.
        severity: alerts of this severity alone, or of these.
        settings: sizes and times.

    Raises:
        InvalidRequestError: an argument is wrong, `since` is a position of other events, or the library
            is missing.

    The block raises on entering ConnectionFailedError, if the log can't be read.
    """
    url = hide(url)
    wants = wanted(kind, agent, client, severity, marks=True)
    store = open_store(relay_address(url, "url"), relay_name(name))
    from trmm_async.relay import follower  # noqa: PLC0415 - as the store: what for, before it is asked for

    return follower.follow(store, settings or StreamSettings(), wants, snapshot=snapshot, since=since)


def relay_address(url: object, what: str) -> EngineAddress:
    """Where a relay writes to.

    Raises:
        InvalidRequestError: it is no URL of a server that it can write to.
    """
    if isinstance(url, str) and url.strip().partition("://")[0].lower() in NATS:
        return nats_address(url, what)
    return redis_address(url, what, ", or with nats:// or tls:// for NATS")


def relay_name(name: object) -> str:
    """A relay's name.

    Raises:
        InvalidRequestError: it is none.
    """
    text = arguments.plain_text(name, "name")
    if not _NAME.fullmatch(text):
        raise InvalidRequestError(f"name must be of letters, digits and _.- (64 at most), not {text!r}")
    return text


def open_store(address: EngineAddress, name: str) -> "Store":
    """The log; nothing is opened yet.

    Raises:
        InvalidRequestError: the library is missing.
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
