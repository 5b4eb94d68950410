"""A cancellation that comes in the moment in which a library would swallow it."""

import asyncio
from contextlib import suppress

import pytest

from tests.relay.buses import NAME
from trmm_async.engines.faults import cancellations, check_swallowed
from trmm_async.relay.entrance import open_store, relay_address


@pytest.mark.parametrize("kind", ["redis", "nats"])
async def test_a_cancellation_in_the_moment_that_a_connection_breaks_is_one(kind: str) -> None:
    if kind == "nats":
        pytest.importorskip("nats", reason="the library of the extra [nats] is missing")
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(writer)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as peer:
        url = f"{kind}://127.0.0.1:{peer.sockets[0].getsockname()[1]}"
        for turns in range(12):
            store = open_store(relay_address(url, "url"), NAME)
            asking = asyncio.create_task(store.end())
            (await accepted.get()).close()
            for _ in range(turns):
                await asyncio.sleep(0)
            was_cancelled = asking.cancel()
            await asyncio.wait([asking])
            assert asking.cancelled() is was_cancelled
            await store.aclose()


async def test_a_cancellation_that_a_library_swallowed_is_raised_again() -> None:
    went_on = False

    async def swallow() -> None:
        nonlocal went_on
        before = cancellations()
        check_swallowed(before)  # none came
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        went_on = True
        check_swallowed(before)
        raise AssertionError

    task = asyncio.create_task(swallow())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert went_on
    assert task.cancelled()


def test_outside_of_a_task_nothing_is_pending() -> None:
    async def check() -> None:
        called: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: called.set_result(cancellations()))
        assert await called == 0

    asyncio.run(check())
