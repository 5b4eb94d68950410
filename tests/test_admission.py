"""What keeps a limit elsewhere than in this process: whatever it says, it is asked, told and obeyed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.peer import Peer, Request, always, answer, in_turn, peer
from tests.stream.fake_gateway import Gateway, over, quick, specs
from trmm_async import ConnectionFailedError, OutcomeUnknownError, RateLimit, TRMMError
from trmm_async.admission import Limiter, Slot, WorkerLease, WorkerPool
from trmm_async.calls import Call, Lane, Replay, ignore_answer
from trmm_async.pacing import LocalLimiters, SemaphorePool, WindowLimiter
from trmm_async.stream import Dialer
from trmm_async.transport import CallSettings, Server, ServerLimits, Transport
from trmm_async.transport import Pool as ConnectionPool

KEY = "SECRET-KEY-31337"
READ = Call(method="GET", path="/read/", decode=ignore_answer)
RUN = Call(method="POST", path="/run/", decode=ignore_answer, body=b"{}", replay=Replay.NEVER)
DELETE = Call(method="DELETE", path="/delete/", decode=ignore_answer, replay=Replay.IDEMPOTENT)
WAIT = Call(method="POST", path="/wait/", decode=ignore_answer, replay=Replay.NEVER, lanes=(Lane.WORKERS,))


class AwayError(TRMMError):
    """The store of the limit is not to be had."""


@dataclass
class Lease:
    """A slot, or a worker, as a store would give it; `valid` is what its lease says when it is asked."""

    store: "Store"
    name: str
    valid: bool

    def may_begin(self) -> bool:
        self.store.told.append(f"{self.name}: asked")
        return self.valid

    def written(self) -> None:
        self.store.told.append(f"{self.name}: written")

    def settle(self) -> None:
        self.store.told.append(f"{self.name}: settled")

    def give_back(self) -> None:
        self.store.told.append(f"{self.name}: given back")

    def release(self) -> None:
        self.store.told.append(f"{self.name}: released")


@dataclass
class Store:
    """A `LimiterFactory`, a `Limiter` and a `WorkerPool` of a store that is far away. Unlike a real one it
    has room for all; `away` and `expired` say which of the slots asked for are refused, or come too late."""

    limit: RateLimit | None = None
    away: tuple[int, ...] = ()
    expired: tuple[int, ...] = ()
    workers_away: bool = False
    made: list[Any] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    asked: int = 0

    def limiter(self, lane: Lane | None, limit: RateLimit | None) -> Limiter:
        self.made.append((lane, limit))
        return self

    def workers(self, most: int) -> WorkerPool:
        self.made.append(most)
        return Pool(self)

    @property
    def next_free_in(self) -> float | None:
        return None

    def acquire_now(self) -> Slot | None:
        return None

    async def acquire(self) -> Slot:
        await asyncio.sleep(0)
        self.asked += 1
        if self.asked in self.away:
            raise AwayError("the store of the limit can't be reached; nothing was sent")
        return Lease(self, f"slot {self.asked}", self.asked not in self.expired)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@dataclass
class Pool:
    store: Store
    valid: bool = True

    @property
    def is_full(self) -> bool:
        return True

    async def acquire(self) -> WorkerLease:
        if self.store.workers_away:
            raise AwayError("the store of the workers can't be reached; nothing was sent")
        return Lease(self.store, "worker", self.valid)


@asynccontextmanager
async def transport(url: str, store: Store, **settings: Any) -> AsyncIterator[Transport]:
    server = Server(base_url=url, api_key=KEY)
    of_calls, session = settings.pop("of_calls", CallSettings()), settings.pop("session", None)
    pool = ConnectionPool(server, ServerLimits(**settings), limiters=store, session=session)
    made = Transport(server, pool, of_calls, jitter=lambda: 0.0)
    try:
        async with asyncio.timeout(20):
            yield made
    finally:
        await made.aclose()


class TestASlotOfAStore:
    async def test_is_asked_once_more_and_settled_by_the_answer(self) -> None:
        store = Store()
        async with peer(always(answer())) as server, transport(server.url, store) as sender:
            await sender.send(RUN)
        assert store.told == ["slot 1: asked", "slot 1: settled"]

    @pytest.mark.parametrize("call", [READ, RUN], ids=["read", "run"])
    @pytest.mark.parametrize("ours", [True, False], ids=["our connector", "another"])
    async def test_whose_lease_ran_out_sends_nothing(self, call: Call[None], ours: bool) -> None:
        store, told = Store(expired=(1,)), list[bool]()
        session = None if ours else aiohttp.ClientSession()
        async with peer(always(answer())) as server:
            async with transport(server.url, store, session=session) as sender:
                await sender.send(call, told.append)
            assert len(server.requests) == 1
        if session is not None:
            await session.close()
        assert store.told[:2] == ["slot 1: asked", "slot 1: given back"]
        assert [line for line in store.told if line.startswith("slot 2")] == [
            "slot 2: asked",
            "slot 2: settled",
        ]
        # Until the second attempt nobody may take it for sent.
        assert told == [True, False, True]

    async def test_whose_lease_ran_out_each_time_is_an_error_that_says_so(self) -> None:
        store = Store(expired=(1, 2))
        of_calls = CallSettings(retries=1)
        async with peer(always(answer())) as server:
            async with transport(server.url, store, of_calls=of_calls) as sender:
                with pytest.raises(ConnectionFailedError, match="the right to send ran out before") as caught:
                    await sender.send(RUN)
            assert server.requests == []
        assert not isinstance(caught.value, OutcomeUnknownError)

    async def test_on_a_kept_alive_connection_alike(self) -> None:
        store = Store(expired=(2,))
        async with peer(always(answer())) as server, transport(server.url, store) as sender:
            await sender.send(READ)
            await sender.send(READ)
            assert len(server.requests) == 2
            assert store.asked == 3

    async def test_is_no_longer_given_back_once_bytes_may_have_left(self) -> None:
        store = Store()
        async with peer(in_turn(None, answer())) as server, transport(server.url, store) as sender:
            await sender.send(READ)
            assert len(server.requests) == 2
        assert store.told == [
            *("slot 1: asked", "slot 1: written"),
            *("slot 2: asked", "slot 2: settled"),
        ]


class TestAStoreThatIsAway:
    async def test_sends_nothing_and_says_so(self) -> None:
        store = Store(away=(1,))
        async with peer(always(answer())) as server, transport(server.url, store) as sender:
            with pytest.raises(AwayError):
                await sender.send(RUN)
            assert server.connections == 0
            await sender.send(RUN)

    async def test_gives_back_what_was_had(self) -> None:
        store = Store(away=(2,))
        lanes = {Lane.DEPLOYMENTS: RateLimit(1, per=1)}
        call = Call(method="GET", path="/", decode=ignore_answer, lanes=(Lane.DEPLOYMENTS, Lane.WORKERS))
        async with peer(always(answer())) as server:
            async with transport(server.url, store, lanes=lanes, max_waiting=1) as sender:
                with pytest.raises(AwayError):
                    await sender.send(call)
            assert server.connections == 0
        assert store.told == ["slot 1: given back", "worker: released"]

    async def test_makes_no_lost_answer_certain(self) -> None:
        """The first attempt may have taken effect, though the second was certainly never sent."""
        store = Store(away=(2,))
        async with peer(in_turn(None, answer())) as server, transport(server.url, store) as sender:
            with pytest.raises(OutcomeUnknownError) as caught:
                await sender.send(DELETE)
            assert len(server.requests) == 1
        assert isinstance(caught.value.__cause__, AwayError)

    async def test_of_a_read_is_the_error(self) -> None:
        store = Store(away=(2,))
        async with peer(in_turn(None, answer())) as server, transport(server.url, store) as sender:
            with pytest.raises(AwayError):
                await sender.send(READ)


class TestAWorkerOfAStore:
    async def test_is_held_until_the_answer_is_read(self) -> None:
        store, release = Store(), asyncio.Event()

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer()[:-1])
            await release.wait()
            writer.write(answer()[-1:])
            return True

        async with peer(handle) as server, transport(server.url, store, max_waiting=1) as sender:
            sending = asyncio.create_task(sender.send(WAIT))
            await server.received(1)
            assert "worker: released" not in store.told
            release.set()
            await sending
        assert store.told[-1] == "worker: released"
        assert store.told.count("worker: released") == 1

    async def test_that_is_away_sends_nothing(self) -> None:
        store = Store(workers_away=True)
        async with peer(always(answer())) as server:
            async with transport(server.url, store, max_waiting=1) as sender:
                with pytest.raises(AwayError):
                    await sender.send(WAIT)
                await sender.send(RUN)
            assert [request.target for request in server.requests] == ["/run/"]

    async def test_whose_lease_ran_out_sends_nothing(self) -> None:
        class Late(Store):
            def workers(self, most: int) -> WorkerPool:
                return Pool(self, valid=False)

        store = Late()
        of_calls = CallSettings(retries=0)
        async with peer(always(answer())) as server:
            async with transport(server.url, store, max_waiting=1, of_calls=of_calls) as sender:
                with pytest.raises(ConnectionFailedError, match="the right to send ran out"):
                    await sender.send(WAIT)
            assert server.requests == []
        assert store.told == ["slot 1: asked", "worker: asked", "slot 1: given back", "worker: released"]


class TestTheTransport:
    async def test_tells_the_store_of_a_429(self) -> None:
        store = Store()
        refused = answer(b"{}", "429 Too Many Requests", Retry_After="0")
        async with peer(in_turn(refused, answer())) as server, transport(server.url, store) as sender:
            await sender.send(READ)
        assert len(store.pauses) == 1

    async def test_asks_for_each_limit_once_and_anew_where_it_changes(self) -> None:
        store = Store(limit=RateLimit(9, per=9))
        lane = {Lane.DEPLOYMENTS: store.limit}
        async with transport("http://127.0.0.1:9", store, rate_limit=store.limit, lanes=lane) as sender:
            assert store.made == [(None, store.limit), (Lane.DEPLOYMENTS, store.limit)]
            for _ in range(2):
                sender._pool.adopt(ServerLimits(rate_limit=store.limit, lanes=lane, max_waiting=3))
            assert store.made[2:] == [3]
            sender._pool.adopt(ServerLimits(lanes=lane, max_waiting=4))
            assert store.made[3:] == [(None, None), 4]

    async def test_keeps_to_limits_of_this_process_by_default(self) -> None:
        limiters = LocalLimiters()
        assert isinstance(limiters.limiter(None, None), WindowLimiter)
        pool = limiters.workers(1)
        assert isinstance(pool, SemaphorePool)
        lease = await pool.acquire()
        assert lease.may_begin()
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        assert not waiting.done()
        lease.release()
        lease.release()
        (await asyncio.wait_for(waiting, 5)).release()
        assert repr(pool).endswith("value:1]>>")


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway() as made:
        yield made


def dialer(url: str, store: Store, pause: Callable[[float], None] = print) -> Dialer:
    return Dialer(url, headers={}, pace=store.acquire, pause=pause, scrub=str)


class TestAHandshake:
    async def test_waits_out_a_store_that_is_away(self, gateway: Gateway) -> None:
        store = Store(away=(1, 2))
        async with asyncio.timeout(10), over(specs("a"), dialer(gateway.url, store), None, quick()):
            pass
        assert len(gateway.handshakes) == 1
        assert store.told[:2] == ["slot 3: asked", "slot 3: settled"]

    async def test_fails_with_what_the_store_says(self, gateway: Gateway) -> None:
        store = Store(away=tuple(range(1, 9)))
        with pytest.raises(AwayError):
            async with asyncio.timeout(10), over(specs("a"), dialer(gateway.url, store), None, quick()):
                pass
        assert gateway.handshakes == []

    async def test_is_not_made_with_a_lease_that_ran_out(self, gateway: Gateway) -> None:
        store = Store(expired=(1,))
        async with asyncio.timeout(10), over(specs("a"), dialer(gateway.url, store), None, quick()):
            pass
        assert len(gateway.handshakes) == 1
        assert store.told[:2] == ["slot 1: asked", "slot 1: given back"]
