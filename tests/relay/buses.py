"""An engine that a relay writes to, and what can be done to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.engine_servers import Engine, told
from trmm_async import StreamSettings, Subscription, follow
from trmm_async.engines.address import nats_address
from trmm_async.relay.entrance import open_store, relay_address
from trmm_async.relay.store import Store

__all__ = ["NAME", "QUICK", "Bus", "told_nats"]

NAME = "acme"
QUICK = StreamSettings(backoff_first=0.02, poll_interval=0.1, poll_share=1.0, ping_interval=0.2)


@dataclass
class Bus:
    """An engine, and what can be done to it."""

    kind: str
    engine: Engine
    other_url: str = ""

    @property
    def url(self) -> str:
        return self.other_url or self.engine.url

    def follow(self, url: str = "", **settings: Any) -> Subscription:
        return follow(url or self.url, **{"name": NAME, "settings": QUICK, **settings})

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        store = open_store(relay_address(self.url, "url"), NAME)
        try:
            yield store
        finally:
            await store.aclose()

    async def lose(self, what: str) -> None:
        """Lose everything, or the log alone."""
        if self.kind == "redis":
            words = ["FLUSHALL"] if what == "all" else ["DEL", "trmm:{relay:acme}:stream"]
            await told(self.engine, *words)
        else:
            await told_nats(self, "DELETE" if what == "all" else "PURGE")


async def told_nats(bus: Bus, verb: str, asked: object = None) -> None:
    """Have a NATS server do this to the stream of the relay."""
    from trmm_async.engines.nats_link import NatsLink

    link = NatsLink(nats_address(bus.url, "url"))
    assert "error" not in await link.ask(f"$JS.API.STREAM.{verb}.trmm-relay-{NAME}", asked)
    await link.aclose()
