"""A key's limits shared through a real Redis server: between clients, between processes, through every fault.

The simulator counts in a rolling window as a server does; `throttled` is how many requests it refused.
"""

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine_servers import Engine, redis_server
from tests.forked import Forked, forks
from tests.servers import at_once, until
from tests.stream.fake_gateway import TLS_CERTIFICATE, TLS_KEY
from tests.test_frames import leaks
from trmm_async import (
    TRMM,
    ClosedError,
    Done,
    Failed,
    InvalidRequestError,
    LimiterUnavailableError,
    RateLimit,
    Waiting,
)
from trmm_async.engines.address import redis_address
from trmm_async.engines.redis_link import RedisAwayError, RedisLink, RedisRefusedError
from trmm_async.shared.queue import clock
from trmm_async.shared.window import WINDOW, Window, WindowReply, WindowRequest, read_reply, script_arguments
from trmm_async.testing import Simulator

PASSWORD = "Sesame-4711"
COUNT, PER, LEASE = 20, 0.6, 0.5
LIMIT = RateLimit(COUNT, per=PER)
QUICK: dict[str, Any] = {"limiter_lease": LEASE, "limiter_timeout": 20.0, "rate_limit": LIMIT, "retries": 20}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    with redis_server(tmp_path) as engine:
        yield engine


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Simulator]:
    settings = {"agents": 4, "rate_limit": (COUNT, PER), "script_seconds": 0.01, **settings}
    async with asyncio.timeout(60), Simulator(**settings) as server:
        yield server


def client(server: Simulator, url: str, **settings: Any) -> TRMM:
    dialect: Any = server.dialect
    return TRMM(
        server.url, api_key=server.api_key, dialect=dialect, shared_limits=url, **{**QUICK, **settings}
    )


@asynccontextmanager
async def clients(server: Simulator, url: str, count: int, **settings: Any) -> AsyncIterator[list[TRMM]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(client(server, url, **settings)) for _ in range(count)]


@asynccontextmanager
async def talking_to(url: str) -> AsyncIterator[RedisLink]:
    link = RedisLink(redis_address(url, "url"))
    try:
        yield link
    finally:
        await link.aclose()


async def told(store: Engine, *words: Any) -> Any:
    async with talking_to(store.url) as link:
        return await link.command(*words)


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

    async def test_another_key_has_a_window_of_its_own(self, store: Engine) -> None:
        async with served() as server, client(server, store.url) as trmm:
            await trmm.clients.list()
            other = TRMM(server.url, api_key="another", shared_limits=store.url, **QUICK)
            async with other:
                with pytest.raises(Exception, match="401"):
                    await other.clients.list()
        names = await told(store, "KEYS", "*:meta")
        assert len(names) == 2
        assert not any(server.api_key.encode() in name for name in names)

    async def test_a_new_key_of_a_source_begins_a_window_of_its_own(self, store: Engine) -> None:
        keys = iter(["old-key"])
        async with served() as server:
            trmm = TRMM(
                server.url, api_key=lambda: next(keys, server.api_key), shared_limits=store.url, **QUICK
            )
            async with trmm:
                await trmm.clients.list()
            assert len(await told(store, "KEYS", "*:meta")) == 2

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


class TestAStoreThatIsAway:
    async def test_sends_nothing_and_says_so_in_the_end(self) -> None:
        async with served() as server:
            settings = {"limiter_timeout": 0.3, "retries": 0}
            async with client(server, "redis://127.0.0.1:9", **settings) as trmm:
                began = clock()
                with pytest.raises(
                    LimiterUnavailableError, match=r"redis://127.0.0.1:9/0 could not be asked"
                ) as caught:
                    await trmm.clients.list()
                assert 0.25 < clock() - began < 5
                assert "nothing was sent" in str(caught.value)
                outcomes = await trmm.fleet.run_script(server.agent_ids[:2], script=1)
                assert [type(one) for one in outcomes] == [Failed, Failed]
                assert {type(getattr(one, "error", None)) for one in outcomes} == {LimiterUnavailableError}
            assert server.requests == []

    async def test_for_a_while_delays_and_no_more(
        self, store: Engine, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with served() as server, client(server, store.url) as trmm:
            await trmm.clients.list()
            store.kill()
            waiting = asyncio.ensure_future(trmm.fleet.run_script(server.agent_ids[:2], script=1))
            await until(lambda: "can't be asked" in caplog.text)
            assert trmm.stats.next_free_in is None
            store.start()
            assert [type(one) for one in await waiting] == [Done, Done]
            assert len(server.requests) == 3

    async def test_that_stands_still_is_given_up_in_time(self, store: Engine) -> None:
        async with served() as server, client(server, store.url, limiter_timeout=0.5) as trmm:
            await trmm.clients.list()
            store.stop()
            try:
                with pytest.raises(LimiterUnavailableError, match="no answer within"):
                    await trmm.clients.list()
            finally:
                store.go_on()
            await trmm.clients.list()
            assert server.throttled == 0


class TestAStoreThatIsUnfit:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--maxmemory-policy", "allkeys-lru"), "maxmemory-policy is allkeys-lru"),
            (("--cluster-enabled", "yes"), "it is a Redis Cluster"),
        ],
        ids=["evicts", "cluster"],
    )
    async def test_is_refused_at_once(self, tmp_path: Path, options: Sequence[str], says: str) -> None:
        with redis_server(tmp_path, *options) as engine:
            async with served() as server, client(server, engine.url) as trmm:
                with pytest.raises(LimiterUnavailableError, match=says):
                    await trmm.clients.list()
                assert server.requests == []

    async def test_as_one_whose_scripts_may_not_ask_for_the_time(self, store: Engine) -> None:
        await told(store, "ACL", "SETUSER", "default", "-time")
        async with served() as server, client(server, store.url) as trmm:
            with pytest.raises(LimiterUnavailableError, match=r"(?i)time"):
                await trmm.clients.list()
            assert server.requests == []

    async def test_as_one_that_doesnt_know_us(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, password=PASSWORD) as engine:
            for login in ("", ":wrong@", "nobody:wrong@"):
                async with served() as server:
                    async with client(server, engine.url.replace("//", f"//{login}")) as trmm:
                        with pytest.raises(LimiterUnavailableError, match="can't be used"):
                            await trmm.clients.list()
                    assert server.requests == []

    async def test_a_replica_may_become_a_primary(self, store: Engine, tmp_path: Path) -> None:
        await told(store, "REPLICAOF", "127.0.0.1", "9")
        async with served() as server, client(server, store.url, limiter_timeout=1.0) as trmm:
            with pytest.raises(LimiterUnavailableError, match="it is a replica"):
                await trmm.clients.list()
            await told(store, "REPLICAOF", "NO", "ONE")
            await trmm.clients.list()


class TestThePassword:
    async def test_lets_in_and_stands_nowhere(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with redis_server(tmp_path, password=PASSWORD) as engine:
            url = engine.url.replace("//", f"//:{PASSWORD}@")
            with caplog.at_level(logging.DEBUG):
                async with served() as server, client(server, url, limiter_timeout=0.3) as trmm:
                    await trmm.clients.list()
                    shown = [repr(trmm), repr(trmm._shared), repr(trmm._api.transport), str(trmm.stats)]
                    engine.kill()
                    with pytest.raises(LimiterUnavailableError) as caught:
                        await trmm.clients.list()
        assert leaks(caught.value, PASSWORD) == []
        assert PASSWORD not in " ".join(shown) + caplog.text

    @pytest.mark.parametrize(
        "url", [f"redis://:{PASSWORD}@h:x", f"sentinel://:{PASSWORD}@h", f"ftp://{PASSWORD}@h"]
    )
    def test_nor_in_the_error_of_a_url_that_is_none(self, url: str) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            TRMM("https://api.example.com", api_key="k", shared_limits=url)
        assert leaks(caught.value, PASSWORD) == []

    async def test_nor_in_what_the_link_raises(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, password=PASSWORD) as engine:
            async with talking_to(engine.url.replace("//", "//:wrong-Sesame@")) as link:
                with pytest.raises(RedisRefusedError) as caught:
                    await link.command("PING")
                assert leaks(caught.value, "wrong-Sesame") == []
                assert caught.value.__context__ is None
            engine.kill()
            async with talking_to(engine.url.replace("//", f"//:{PASSWORD}@")) as link:
                with pytest.raises(RedisAwayError) as away:
                    await link.command("PING")
                assert leaks(away.value, PASSWORD) == []


class TestTheLink:
    async def test_speaks_tls_and_looks_at_the_certificate(self, store: Engine, tmp_path: Path) -> None:
        certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        certificate.write_text(TLS_CERTIFICATE)
        key.write_text(TLS_KEY)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        async with cutting(store.port, context=context, after=10**9) as (port, _):
            async with talking_to(f"rediss://localhost:{port}?ssl_ca_certs={certificate}") as link:
                assert await link.command("PING") == b"PONG"
            async with talking_to(f"rediss://localhost:{port}") as link:
                with pytest.raises(RedisAwayError, match=r"(?i)certificate"):
                    await link.command("PING")

    async def test_goes_by_a_socket_of_this_machine(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, "--unixsocket", str(tmp_path / "redis.sock")):
            async with talking_to(f"unix://{tmp_path}/redis.sock?db=1") as link:
                assert await link.command("SET", "a", "b") == b"OK"

    async def test_drops_its_connection_when_a_command_is_cancelled(self, store: Engine) -> None:
        async with talking_to(store.url) as link:
            await link.command("SET", "a", "right")
            for turns in range(8):
                late = asyncio.create_task(link.command("BLPOP", "nothing", 5))
                for _ in range(turns):
                    await asyncio.sleep(0.002)
                late.cancel()
                await asyncio.gather(late, return_exceptions=True)
                assert await link.command("GET", "a") == b"right"

    async def test_gives_up_what_takes_too_long_and_serves_the_next(self, store: Engine) -> None:
        async with talking_to(store.url) as link:
            with pytest.raises(RedisAwayError, match="no answer within"):
                await link.command("BLPOP", "nothing", 5, within=0.05)
            assert await link.command("PING") == b"PONG"

    async def test_has_one_connection_however_many_ask(self, store: Engine) -> None:
        async with talking_to(store.url) as link:
            await asyncio.gather(*(link.command("PING") for _ in range(50)))
            assert (await link.command("CLIENT", "LIST")).count(b"\n") == 1


# -- the script ----------------------------------------------------------------------------------------------

KEY = "trmm:{test}:all"
SMALL = Window(2, 10.0, 1.0, 0.5)


async def ask(link: RedisLink, key: str, window: Window, asked: WindowRequest) -> WindowReply:
    return read_reply(await link.run(WINDOW, (f"{key}:held", f"{key}:meta"), script_arguments(window, asked)))


@pytest.fixture
async def opened(store: Engine) -> AsyncIterator[RedisLink]:
    """A link to a store whose window is open."""
    async with talking_to(store.url) as link:
        first = await ask(link, KEY, SMALL, WindowRequest(wanted=["x"]))
        assert (first.granted, first.lost) == (0, 1)
        assert first.wait == pytest.approx(SMALL.hold, abs=0.1)
        await link.command("HSET", f"{KEY}:meta", "closed", 0)
        yield link


class TestTheScript:
    async def test_grants_what_is_free_and_says_how_long_to_wait(self, opened: RedisLink) -> None:
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b", "c"]))
        assert told.granted == 2
        # Answered at once, one would be free a window from now.
        assert told.wait == pytest.approx(10, abs=0.1)
        told = await ask(opened, KEY, SMALL, WindowRequest(settled=[("a", 4.0)], wanted=["c"]))
        assert (told.granted, told.lost) == (0, 0)
        assert told.wait == pytest.approx(6, abs=0.1)
        told = await ask(opened, KEY, SMALL, WindowRequest(back=["b"], wanted=["c"]))
        assert told.granted == 1

    async def test_grants_the_same_name_once(self, opened: RedisLink) -> None:
        for _ in range(3):
            told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b"]))
            assert told.granted == 2
        assert (await ask(opened, KEY, SMALL, WindowRequest(wanted=["c"]))).granted == 0

    async def test_frees_nothing_a_second_time(self, opened: RedisLink) -> None:
        await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b"]))
        for _ in range(2):
            assert (await ask(opened, KEY, SMALL, WindowRequest(settled=[("a", 11.0)]))).lost == 0
        assert (await ask(opened, KEY, SMALL, WindowRequest(wanted=["c", "d"]))).granted == 1

    async def test_holds_what_was_counted_though_nobody_knew_of_it(self, opened: RedisLink) -> None:
        await ask(
            opened, KEY, SMALL, WindowRequest(settled=[("a", 0.0)], renewed=[("b", True), ("c", False)])
        )
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["d"], renewed=[("b", True), ("c", False)]))
        assert told.granted == 0
        assert told.renewed == (True, False)

    async def test_is_closed_for_all_that_may_count_when_its_state_is_lost(self, opened: RedisLink) -> None:
        faults: Sequence[tuple[int, Sequence[Any]]] = [
            (1, ("FLUSHALL",)),
            (1, ("DEL", f"{KEY}:meta")),
            (3, ("DEL", f"{KEY}:held")),
            (3, ("ZREM", f"{KEY}:held", "!")),
            (2, ("HSET", f"{KEY}:meta", "run", "another")),
        ]
        for why, command in faults:
            await opened.command("HSET", f"{KEY}:meta", "closed", 0)
            await opened.command(*command)
            told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a"]))
            assert (told.granted, told.lost) == (0, why), command
            assert told.wait == pytest.approx(SMALL.hold, abs=0.1)
            assert (await ask(opened, KEY, SMALL, WindowRequest(wanted=["a"]))).lost == 0

    async def test_holds_a_clock_that_stepped_back_a_little(self, opened: RedisLink) -> None:
        now = (await ask(opened, KEY, SMALL, WindowRequest())).now
        await opened.command("HSET", f"{KEY}:meta", "last", int((now + 0.9) * 1000))
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a"]))
        assert (told.granted, told.lost) == (1, 0)
        assert told.now == pytest.approx(now + 0.9, abs=0.002)

    async def test_begins_anew_behind_one_that_was_set_back(self, opened: RedisLink) -> None:
        await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b"]))
        await opened.command("HSET", f"{KEY}:meta", "last", 2_000_000_000_000, "closed", 1_999_999_999_999)
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a"]))
        assert (told.granted, told.lost) == (0, 4)
        assert told.wait == pytest.approx(SMALL.hold, abs=0.1)

    async def test_keeps_to_the_smallest_limit_for_as_long_as_somebody_has_it(
        self, opened: RedisLink
    ) -> None:
        smaller = Window(1, 20.0, 1.0, 0.5)
        await ask(opened, KEY, smaller, WindowRequest())
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["a", "b"]))
        assert (told.granted, told.count) == (1, 1)
        assert told.per == pytest.approx(20.01)
        await opened.command("HSET", f"{KEY}:meta", "until", 1)
        told = await ask(opened, KEY, SMALL, WindowRequest(wanted=["b"]))
        assert (told.granted, told.count) == (1, 2)
        assert told.per == pytest.approx(10.005)


async def test_a_clock_that_was_set_forward_closes_the_window(
    store: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as server, client(server, store.url) as trmm:
        await trmm.clients.list()
        limiter: Any = trmm._api.transport._pool.limiter
        ahead, at = limiter._anchor
        limiter._anchor = ahead - 5.0, at  # as if its clock had been 5 s behind what it is now
        began = clock()
        await trmm.clients.list()
        assert clock() - began > PER
        assert "its clock was set forward" in caplog.text
        assert server.throttled == 0


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


@asynccontextmanager
async def cutting(
    port: int, *, context: ssl.SSLContext | None = None, after: int = 7000
) -> AsyncIterator[tuple[int, list[int]]]:
    """A way to the store that breaks behind so many bytes: its port, and how often it broke."""
    cuts = [0]
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int]) -> None:
        while left[0] > 0 and (data := await reader.read(256)):
            left[0] -= len(data)
            writer.write(data)
        if left[0] <= 0:
            cuts[0] += 1

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            up, out = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            # What is behind it is being started again.
            writer.transport.abort()
            tasks.discard(task)
            return
        nonlocal after
        # Once enough for the script's text, which is not sent again.
        left = [after + 137 * (cuts[0] % 7) + 8000 * (not cuts[0])]
        halves = [
            asyncio.create_task(pass_on(reader, out, left)),
            asyncio.create_task(pass_on(up, writer, left)),
        ]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass
        finally:
            for half in halves:
                half.cancel()
            out.transport.abort()
            writer.transport.abort()
            await asyncio.gather(*halves, return_exceptions=True)
            tasks.discard(task)

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1], cuts
    finally:
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the loop's turn, in which what was aborted is closed
