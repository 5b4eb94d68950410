"""One WebSocket: what is too large for it, a peer that falls silent, and how it is closed."""

import pytest

from tests.clock import skip
from tests.stream.fake_gateway import (
    Gateway,
    dialer,
    fill,
    line,
    quick,
    running,
    subscribe,
    take,
    until,
)
from trmm_async.events import Gap, ScriptOutput, UnknownEvent
from trmm_async.stream.sockets import Address, Link

gateway = pytest.fixture(running)


async def test_a_huge_frame_costs_the_connection_not_the_memory(gateway: Gateway) -> None:
    async with subscribe(gateway, max_frame=1000) as events:
        (await gateway.peer()).send(line(1), "x" * 2000)
        output, gap = await take(events, 2)
        (await gateway.peer(1)).send("x" * 1000)
        (unknown,) = await take(events, 1)
    assert isinstance(output, ScriptOutput)
    assert isinstance(gap, Gap)
    assert "broken protocol" in gap.reason
    assert isinstance(unknown, UnknownEvent)


async def test_a_huge_message_in_small_fragments_costs_the_connection_too(gateway: Gateway) -> None:
    async with subscribe(gateway, max_frame=1000) as events:
        peer = await gateway.peer()
        peer.ws.send_text(b"x" * 600, fin=False)
        peer.ws.send_continuation(b"x" * 600, fin=True)
        peer.flush()
        assert isinstance((await take(events, 1))[0], Gap)


async def test_a_peer_that_answers_no_ping_is_noticed_in_time(gateway: Gateway) -> None:
    async with subscribe(gateway, ping_interval=9.0, ping_timeout=8.0) as events:
        peer = await gateway.peer()
        peer.mute = True
        skip(9)
        await until(lambda: peer.pings == 1)
        assert len(gateway.handshakes) == 1
        skip(8)
        (gap,) = await take(events, 1)
    assert isinstance(gap, Gap)
    assert gap.reason == "no answer to a ping within 8 s"


async def test_a_silent_peer_that_answers_pings_is_kept(gateway: Gateway) -> None:
    async with subscribe(gateway, ping_interval=0.01, ping_timeout=60.0):
        peer = await gateway.peer()
        await until(lambda: peer.pings >= 5)
    assert len(gateway.handshakes) == 1


async def test_a_goodbye_gets_through_to_a_peer_that_nobody_was_reading(gateway: Gateway) -> None:
    roll = set[Link]()
    link = await dialer(gateway.url).dial("/trmm/a/", quick(close_timeout=60.0), roll)
    assert isinstance(link, Link)
    fill(await gateway.peer(), 300)
    await until(lambda: link._deaf)
    waiting = len(link._frames)
    link.hang_up()
    await until(lambda: not roll)
    assert gateway.peers[0].goodbye == 1000
    assert len(link._frames) == waiting < 300


def test_an_address_is_read_from_a_url() -> None:
    assert Address.of("https://rmm.example.com/prefix/") == Address("rmm.example.com", 443, True, "/prefix")
    assert Address.of("http://[::1]:8080") == Address("::1", 8080, False, "")
    assert str(Address.of("http://localhost:1/x")) == "localhost:1/x"
    with pytest.raises(ValueError, match="not an http URL"):
        Address.of("ftp://example.com")
