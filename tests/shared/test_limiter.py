"""A key's limits shared through a real Redis server: between clients, between processes, through every fault.

The simulator counts in a rolling window as a server does; `throttled` is how many requests it refused.
"""

import asyncio
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine_servers import Engine, cutting, talking_to, told
from tests.forked import Forked, forks
from tests.servers import at_once, until
from tests.shared.sharing import COUNT, LEASE, PASSWORD, PER, client, clients, served
from tests.shared.test_window import ask
from tests.test_frames import leaks
from trmm_async import TRMM, ClosedError, InvalidRequestError, RateLimit, Waiting
from trmm_async.shared.queue import clock
from trmm_async.shared.window import Window, WindowRequest
from trmm_async.testing import Simulator

PROGRAM = """
import asyncio, sys
from trmm_async import TRMM, RateLimit
url, key, store, calls, count, per, lease = sys.argv[1:]

async def main():
    limit = RateLimit(int(count), per=float(per))
    settings = {"rate_limit": limit, "shared_limits": store, "limiter_lease": float(lease), "retries": 20}
    async with TRMM(url, api_key=key, dialect="gateway", **settings) as trmm:
        await asyncio.gather(*(trmm.clients.list() for _ in range(int(calls))))

asyncio.run(main())
"""


@contextmanager
def programs(server: Simulator, store: Engine, how_many: int, calls: int) -> Iterator[list[Forked]]:
    """So many processes that make so many calls each; what is left of them is killed in the end."""
    words = [server.url, server.api_key, store.url, str(calls), str(COUNT), str(PER), str(LEASE)]
    started: list[Forked] = []
    try:
        start = forks("package").start
        started += (start(PROGRAM, words, stdout=None, stderr=2) for _ in range(how_many))
        yield started
    finally:
        for one in started:
            one.send_signal(signal.SIGCONT)
            one.kill()
            one.wait()


async def ended(processes: Sequence[Forked]) -> list[int]:
    return list(await asyncio.gather(*(asyncio.to_thread(one.wait, 40) for one in processes)))


def answered(server: Simulator) -> int:
    return sum(one.status == 200 for one in server.requests)


class TestProcesses:
    async def test_together_keep_to_the_limit(self, store: Engine) -> None:
        async with served() as server:
            with programs(server, store, 3, 30) as processes:
                assert await ended(processes) == [0, 0, 0]
            assert (answered(server), server.throttled) == (90, 0)

    async def test_that_are_killed_leave_their_slots_to_the_others(self, store: Engine) -> None:
        async with served() as server:
            with programs(server, store, 4, 25) as processes:
                for number, one in enumerate(processes[:3]):
                    await until(lambda least=10 + 15 * number: answered(server) >= least)
                    one.kill()
                assert await ended(processes[3:]) == [0]
            assert server.throttled == 0

    async def test_one_that_stood_still_for_longer_than_a_lease_sends_nothing_on_it(
        self, store: Engine
    ) -> None:
        async with served() as server:
            with programs(server, store, 2, 40) as processes:
                for _ in range(3):
                    before = answered(server)
                    await until(lambda: answered(server) > before + 5)  # noqa: B023
                    processes[0].send_signal(signal.SIGSTOP)
                    await asyncio.sleep(2 * LEASE)
                    processes[0].send_signal(signal.SIGCONT)
                assert await ended(processes) == [0, 0]
            assert (answered(server), server.throttled) == (80, 0)

    @pytest.mark.parametrize("fault", ["restart", "flush", "held", "meta", "scripts", "stands still"])
    async def test_whatever_the_store_loses(self, store: Engine, fault: str) -> None:
        async with served() as server:
            with programs(server, store, 2, 30) as processes:
                await until(lambda: answered(server) >= 25)
                if fault == "restart":
                    store.kill()
                    await asyncio.sleep(0.1)
                    store.start()
                elif fault == "stands still":
                    store.stop()
                    await asyncio.sleep(2 * LEASE)
                    store.go_on()
                elif fault in {"held", "meta"}:
                    for key in await told(store, "KEYS", f"*:{fault}"):
                        await told(store, "DEL", key)
                else:
                    await told(store, *(("FLUSHALL",) if fault == "flush" else ("SCRIPT", "FLUSH")))
                assert await ended(processes) == [0, 0]
            assert (answered(server), server.throttled) == (60, 0)


class TestClients:
    async def test_share_what_is_free_and_take_no_longer_than_they_must(self, store: Engine) -> None:
        async with served() as server, clients(server, store.url, 2) as both:
            await both[0].clients.list()  # the first waits, since a new store may be one that was flushed
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(one.clients.list() for one in both for _ in range(50)))
            took = asyncio.get_running_loop().time() - began
            assert server.throttled == 0
            best = PER * (100 // COUNT)
            assert best - PER < took < best * 1.5
            # Ten are asked for at once, and what ended is told along with that.
            assert sum(one._shared.store.scripts for one in both if one._shared is not None) < 150

    async def test_cancelled_at_any_moment_leave_no_trace(self, store: Engine) -> None:
        async with served() as server, clients(server, store.url, 2) as both:
            await both[0].clients.list()
            for number in range(60):
                task = asyncio.create_task(both[number % 2].clients.list())
                for _ in range(number):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await asyncio.gather(*(one.clients.list() for one in both for _ in range(COUNT)))
            assert server.throttled == 0
        held = [await told(store, "ZCARD", key) for key in await told(store, "KEYS", "*all:held")]
        assert held[0] <= COUNT + 1

    async def test_over_a_line_that_breaks_within_commands(self, store: Engine) -> None:
        async with served() as server, cutting(store.port) as (port, cuts):
            async with clients(server, f"redis://127.0.0.1:{port}", 2) as both:
                # How many calls one command claims for depends on the machine, and so do its bytes.
                while cuts[0] < 2:
                    await asyncio.gather(*(one.clients.list() for one in both for _ in range(COUNT)))
            assert server.throttled == 0

    async def test_a_429_closes_the_window_for_all(self, store: Engine) -> None:
        async with served() as server, clients(server, store.url, 2) as (one, other):
            await other.clients.list()
            server.fail("GET", "/clients/", status=429, times=1, headers={"Retry-After": "1"})
            loop = asyncio.get_running_loop()
            refused = asyncio.create_task(one.clients.list())
            await until(lambda: any(request.status == 429 for request in server.requests))
            began = loop.time()
            await asyncio.sleep(0.1)
            await other.clients.list()
            assert loop.time() - began > 0.8
            await refused

    async def test_the_smaller_limit_holds_and_is_logged(
        self, store: Engine, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with served(rate_limit=(5, PER)) as server:
            small = RateLimit(5, per=PER)
            async with client(server, store.url, rate_limit=small) as one, client(server, store.url) as other:
                await one.clients.list()
                with caplog.at_level(logging.WARNING, "trmm_async.limits"):
                    await asyncio.gather(*(trmm.clients.list() for trmm in (one, other) for _ in range(8)))
            assert server.throttled == 0
        assert "another client of this key has a smaller limit, which holds: 5 per 0.6" in caplog.text

    async def test_lanes_are_windows_of_their_own(self, store: Engine) -> None:
        async with served(deployment_rate_limit=(2, PER)) as server:
            lane = RateLimit(2, per=PER)
            async with clients(server, store.url, 2, deployment_rate_limit=lane) as both:
                await asyncio.gather(
                    *(one.request("GET", "/api/v3/clients/") for one in both for _ in range(6)),
                    *(one.deployments.list() for one in both),
                )
            assert server.throttled == 0

    async def test_views_waits_and_counts_are_as_without(self, store: Engine) -> None:
        seen: list[Any] = []
        async with served() as server, client(server, store.url) as trmm:
            assert trmm.stats.sent == 0
            trmm.observe(seen.append)
            view = trmm.with_options(retries=0)
            await asyncio.gather(*(one.clients.list() for one in (trmm, view) for _ in range(COUNT)))
            assert trmm.stats == view.stats
            assert trmm.stats.sent == 2 * COUNT
            assert trmm.stats.next_free_in is not None
            assert trmm.stats.waited_s > PER
        assert {"Waiting", "Waited"} <= {type(one).__name__ for one in seen}
        assert {one.reason for one in seen if isinstance(one, Waiting)} == {"limit"}

    async def test_bursts_are_shaped(self, store: Engine) -> None:
        burst = RateLimit(COUNT, per=PER, burst=2)
        async with served() as server, client(server, store.url, rate_limit=burst) as trmm:
            await asyncio.gather(*(trmm.clients.list() for _ in range(COUNT)))
            assert server.throttled == 0
            arrived = [one.at for one in server.requests]
            assert arrived[-1] - arrived[0] > PER * (COUNT - 3) / COUNT * 0.8

    async def test_without_a_limit_nobody_is_asked(self) -> None:
        async with served(rate_limit=None, deployment_rate_limit=None) as server:
            none: dict[str, Any] = {"rate_limit": None, "deployment_rate_limit": None}
            async with client(server, "redis://127.0.0.1:9", **none) as trmm:
                assert await trmm.clients.list()

    async def test_closing_tells_those_who_wait(self, store: Engine) -> None:
        async with served() as server:
            trmm = client(server, store.url)
            calls = [asyncio.create_task(trmm.clients.list()) for _ in range(3)]
            await asyncio.sleep(0.05)
            await trmm.aclose()
            assert {type(one) for one in await asyncio.gather(*calls, return_exceptions=True)} == {
                ClosedError
            }
            with pytest.raises(ClosedError):
                await trmm.clients.list()


class TestWorkers:
    async def test_are_shared(self, store: Engine) -> None:
        async with served(dialect="stock", rate_limit=None, script_seconds=0.05) as server:
            async with clients(server, store.url, 2, rate_limit=None, max_waiting=2) as both:
                names = server.agent_ids
                pings = [one.agents.run_command(who, "x", shell="bash") for one in both for who in names]
                await asyncio.gather(*pings)
        assert at_once(server.runs) <= 2

    async def test_of_a_process_that_died_are_free_after_its_lease(self, store: Engine) -> None:
        dead = Window(1, 0.0, LEASE, 0.0)
        async with served(dialect="stock", rate_limit=None) as server:
            async with client(server, store.url, rate_limit=None, max_waiting=1) as trmm:
                await trmm.agents.run_command(server.agent_ids[0], "x", shell="bash")
                (key,) = (
                    name.decode().rpartition(":")[0] for name in await told(store, "KEYS", "*workers:held")
                )
                async with talking_to(store.url) as link:
                    taken = await ask(link, key, dead, WindowRequest(wanted=["dead"]))
                    assert taken.granted == 1
                    began = clock()
                    await trmm.agents.run_command(server.agent_ids[0], "x", shell="bash")
                    assert clock() - began > LEASE * 0.9

    async def test_are_held_for_as_long_as_it_takes(self, store: Engine) -> None:
        async with served(dialect="stock", rate_limit=None) as server:
            server.script(1, seconds=3 * LEASE)
            async with clients(server, store.url, 2, rate_limit=None, max_waiting=1) as both:
                await asyncio.gather(
                    *(
                        one.agents.run_command(server.agent_ids[place], "sleep", shell="bash")
                        for place, one in enumerate(both)
                    )
                )
        assert at_once(server.runs) <= 1


class TestThePassword:
    @pytest.mark.parametrize(
        "url", [f"redis://:{PASSWORD}@h:x", f"sentinel://:{PASSWORD}@h", f"ftp://{PASSWORD}@h"]
    )
    def test_nor_in_the_error_of_a_url_that_is_none(self, url: str) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            TRMM("https://api.example.com", api_key="k", shared_limits=url)
        assert leaks(caught.value, PASSWORD) == []


def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    code = """
import sys
import trmm_async
for name in list(sys.modules):
    if name.startswith(("redis", "trmm_async.shared", "trmm_async.engines.redis_link")):
        del sys.modules[name]
sys.modules["redis"] = None
try:
    trmm_async.TRMM("https://a.example", api_key="k", shared_limits="redis://h")
except trmm_async.InvalidRequestError as error:
    print(error)
"""
    done = forks("package").run(code, cwd=tmp_path)
    assert done.stdout == 'shared_limits needs a package: pip install "trmm-async[redis]"\n', done.stderr
