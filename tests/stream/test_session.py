"""One agent's socket: when it connects again, and how long it waits before."""

from itertools import pairwise

import pytest

from tests.stream.fake_gateway import Gateway, line, running, session, subscribe, take, until
from trmm_async.events import Gap, ScriptOutput

gateway = pytest.fixture(running)


async def test_a_server_that_accepts_and_closes_is_not_hammered(gateway: Gateway) -> None:
    gateway.welcome = lambda peer: peer.close(1000)
    async with subscribe(gateway, backoff_first=0.01, backoff_most=0.08, jitter=lambda: 0.0) as events:
        await until(lambda: len(gateway.handshakes) == 6)
        gateway.welcome = lambda peer: peer.send(line(1))
        gap, output = await take(events, 2)
    assert [type(gap), type(output)] == [Gap, ScriptOutput]
    times = [when for _, when in gateway.handshakes]
    waits = [after - before for before, after in pairwise(times)]
    for wait, least in zip(waits, [0.005, 0.01, 0.02, 0.04, 0.04], strict=False):
        assert wait >= least


async def test_only_a_decoded_event_resets_the_back_off(gateway: Gateway) -> None:
    async with subscribe(gateway, backoff_first=0.001, backoff_most=0.004) as events:
        backoff = session(events, "a")._backoff
        for number in range(3):
            (await gateway.peer(number)).send("garbage")
            await until(lambda: events.state["a"] == "live")
            (await gateway.peer(number)).close(1000)
            await until(lambda: len(gateway.peers) > number + 1)  # noqa: B023 - it is awaited here
        assert backoff.failures == 3
        (await gateway.peer(3)).send(line(1))
        await until(lambda: backoff.failures == 0)
