"""Who may send: the limits of a key, and the server's workers that calls hold."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clock import skip
from tests.peer import KEY, Peer, Request, always, answer, client, in_turn, peer, stalling, status
from tests.servers import until
from trmm_async import TRMM, InvalidRequestError, RateLimit, RateLimitedError, ServerError
from trmm_async.calls import Call, Lane, ignore_answer
from trmm_async.pacing import WindowLimiter
from trmm_async.testing import Simulator
from trmm_async.transport import CallSettings, Pool, Server, ServerLimits, Transport


class TestLimits:
    async def test_a_burst_never_draws_a_429_from_a_strict_server(self) -> None:
        async with Simulator(agents=1, rate_limit=(20, 0.5), latency=(0.0, 0.01)) as server:
            limit = RateLimit(20, per=0.5)
            async with TRMM(server.url, api_key=server.api_key, dialect="gateway", rate_limit=limit) as trmm:
                await asyncio.gather(*(trmm.scripts.list() for _ in range(70)))
            assert server.throttled == 0

    async def test_deployments_draw_on_both_limits(self) -> None:
        async with Simulator(agents=1, rate_limit=(8, 0.6), deployment_rate_limit=(3, 0.4)) as server:
            async with TRMM(
                server.url,
                api_key=server.api_key,
                dialect="gateway",
                rate_limit=RateLimit(8, per=0.6),
                deployment_rate_limit=RateLimit(3, per=0.4),
            ) as trmm:
                await asyncio.gather(
                    *(create_deployment(trmm, server) for _ in range(7)),
                    *(trmm.scripts.list() for _ in range(8)),
                )
            assert server.throttled == 0
            made = [request for request in server.requests if request.status == 201]
            assert len(made) == 7

    async def test_a_429_from_another_user_of_the_key_is_waited_out(self) -> None:
        replies = in_turn(status(429, Retry_After="0"), status(429), answer(b"[]"))
        async with peer(replies) as server, client(server.url) as trmm:
            await trmm.scripts.list()
            assert len(server.requests) == 3

    async def test_a_429_holds_back_everybody(self) -> None:
        async with peer(in_turn(status(429, Retry_After="20"), answer(b"[]"))) as server:
            async with client(server.url) as trmm:
                limiter = trmm._api.transport._pool.limiter
                assert isinstance(limiter, WindowLimiter)
                first = asyncio.create_task(trmm.scripts.list())
                await until(lambda: limiter.window.wait(limiter.now()) > 0)
                second = asyncio.create_task(trmm.scripts.list())
                skip(10)
                await asyncio.sleep(0.05)
                assert len(server.requests) == 1
                skip(10)
                assert not any(await asyncio.gather(first, second))

    @pytest.mark.parametrize("year", [2020, 2040])
    async def test_a_date_is_waited_for_by_the_server_s_clock(self, year: int) -> None:
        dates = {"Date": f"1 Mar {year} 10:00:00 GMT", "Retry_After": f"1 Mar {year} 10:00:01 GMT"}
        async with peer(in_turn(status(429, **dates), answer(b"[]"))) as server, client(server.url) as trmm:
            started = time.monotonic()
            await trmm.scripts.list()
            assert time.monotonic() - started >= 1
            assert len(server.requests) == 2

    async def test_and_ends_in_an_error_that_says_what_is_known(self) -> None:
        async with (
            peer(always(status(429, Retry_After="0"))) as server,
            client(server.url, retries=2) as trmm,
        ):
            with pytest.raises(RateLimitedError) as caught:
                await trmm.scripts.list()
            assert len(server.requests) == 3
        assert (caught.value.attempts, caught.value.retry_after) == (3, 0.0)
        assert caught.value.waited > 0

    async def test_a_wait_longer_than_our_patience_is_an_error_at_once(self) -> None:
        async with peer(always(status(429, Retry_After="3600"))) as server, client(server.url) as trmm:
            with pytest.raises(RateLimitedError, match="3600") as caught:
                await trmm.scripts.list()
            assert len(server.requests) == 1
        assert caught.value.retry_after == 3600

    async def test_a_cancelled_call_gives_its_place_back(self) -> None:
        limit = RateLimit(2, per=300)
        async with stalling() as server, client(server.url, rate_limit=limit, max_connections=1) as trmm:
            first = asyncio.create_task(trmm.scripts.list())
            second = asyncio.create_task(trmm.scripts.list())
            await server.received(1)
            # The second has a slot and waits for the only connection: nothing of it was sent.
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            third = asyncio.create_task(trmm.scripts.list())
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await server.received(2)
            third.cancel()
            await asyncio.gather(third, return_exceptions=True)


async def create_deployment(trmm: TRMM, server: Simulator) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    await trmm.deployments.create(client=34, site=41, expires=expires, arch="amd64")


def made(url: str, limits: ServerLimits, settings: CallSettings) -> Transport:
    server = Server(base_url=url, api_key=KEY)
    return Transport(server, Pool(server, limits), settings)


class TestWorkers:
    """On a stock server a call that waits for an agent holds a worker of the server."""

    @staticmethod
    def waiting(number: int) -> Call[None]:
        return Call(method="GET", path=f"/{number}/", decode=ignore_answer, lanes=(Lane.WORKERS,))

    async def test_only_so_many_hold_one_at_once(self) -> None:
        release = asyncio.Event()

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            if request.target != "/other/":
                await release.wait()
            writer.write(answer(b"[]"))
            return True

        async with peer(handle) as server:
            transport = made(server.url, ServerLimits(max_waiting=2), CallSettings())
            calls = [asyncio.create_task(transport.send(self.waiting(number))) for number in range(5)]
            await server.received(2)
            # Others are not held back by those that wait.
            await transport.send(Call(method="GET", path="/other/", decode=ignore_answer))
            assert [request.target for request in server.requests] == ["/0/", "/1/", "/other/"]
            calls[3].cancel()
            release.set()
            await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
            assert sorted(request.target for request in server.requests) == [
                "/0/", "/1/", "/2/", "/4/", "/other/",
            ]  # fmt: skip
            await transport.aclose()

    async def test_one_that_failed_gives_its_place_back(self) -> None:
        async with peer(always(status(500))) as server:
            transport = made(server.url, ServerLimits(max_waiting=1), CallSettings(retries=0))
            for _ in range(3):
                with pytest.raises(ServerError):
                    await asyncio.wait_for(transport.send(self.waiting(1)), 5)
            await transport.aclose()

    @pytest.mark.parametrize("wrong", [0, -1, 1.5, "10", True])
    async def test_the_bound_is_checked(self, wrong: Any) -> None:
        with pytest.raises(InvalidRequestError, match="max_waiting"):
            TRMM("https://rmm.example.com", api_key=KEY, dialect="stock", max_waiting=wrong)
