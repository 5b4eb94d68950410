"""An engine that a relay writes to, what can be done to it, and relays that lead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.engine_servers import Engine, told
from tests.servers import served, until
from tests.test_frames import leaks
from trmm_async import (
    TRMM,
    ConnectionFailedError,
    InvalidRequestError,
    Relay,
    ScriptOutput,
    StreamSettings,
    Subscription,
    follow,
)
from trmm_async.engines.address import nats_address
from trmm_async.relay.entrance import open_store, relay_address
from trmm_async.relay.records import Record, read, record_of
from trmm_async.relay.store import Store
from trmm_async.testing import Simulator

__all__ = [
    "LEASE",
    "NAME",
    "QUICK",
    "Bus",
    "append",
    "check_refused",
    "outputs",
    "records",
    "relayed",
    "relaying",
    "told_nats",
]

NAME = "acme"
LEASE = 0.6
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


def records(*messages: str) -> list[Record]:
    """Outputs of a script, as a relay writes them."""
    return [record_of(ScriptOutput(agent_id="a", output=message), None) for message in messages]


async def append(store: Store, first: int, *messages: str, position: str = "p") -> None:
    await store.append(first, records(*messages), {}, position, 100)


async def outputs(store: Store, after: str = "") -> list[str]:
    """The same, as they are read."""
    found = [read(entry.record) for entry in await store.read(after, 0.0)]
    return [event.output for event in found if isinstance(event, ScriptOutput)]


@asynccontextmanager
async def relaying(trmm: TRMM, bus: Bus, url: str = "", **settings: Any) -> AsyncIterator[Relay]:
    """A relay that leads; its block ends by stopping it."""
    settings = {"name": NAME, "lease": LEASE, "settings": QUICK, **settings}
    async with trmm.relay(to=url or bus.url, **settings) as relay:
        running = asyncio.create_task(relay.run())
        try:
            await until(lambda: relay.is_leading or running.done())
            yield relay
        finally:
            relay.stop()
            with suppress(Exception):
                await running


@asynccontextmanager
async def relayed(
    bus: Bus, dialect: str = "gateway", **settings: Any
) -> AsyncIterator[tuple[Simulator, TRMM, Relay]]:
    """A server of three agents, whose present state has been relayed."""
    async with served(dialect, agents=3) as (server, trmm), relaying(trmm, bus, **settings) as relay:
        await until(lambda: relay.written >= 6)
        yield server, trmm, relay


async def check_refused(trmm: TRMM, bus: Bus, user: str, words: str) -> None:
    """An engine with the password Sesame-4711 refuses another one, and none of them is shown."""
    url = bus.url.replace("//", f"//{user}:wrong-Sesame@")
    async with trmm.relay(to=url, name=NAME) as relay:
        with pytest.raises(InvalidRequestError, match=words) as caught:
            await relay.run()
        assert leaks(caught.value, "wrong-Sesame") == []
        assert "Sesame" not in repr(relay)
    with pytest.raises(ConnectionFailedError, match="can't be read") as refused:
        async with follow(url, name=NAME):
            pass
    assert leaks(refused.value, "wrong-Sesame") == []
    right = bus.url.replace("//", f"//{user}:Sesame-4711@")
    async with relaying(trmm, bus, right), follow(right, name=NAME) as events:
        assert "Sesame" not in repr(events) + events.position
