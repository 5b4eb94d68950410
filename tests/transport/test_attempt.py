"""How far an attempt got, and who has to know."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from tests.peer import client, stalling
from trmm_async import JournalError
from trmm_async.calls import Call, Replay
from trmm_async.retry import Stage
from trmm_async.transport.attempt import CallAttempt, PendingCall
from trmm_async.transport.connector import CURRENT_ATTEMPT, NoTunnelError, UnexpectedBytesError


async def test_with_a_connector_of_ones_own_what_may_have_been_sent_counts_as_sent() -> None:
    async with (
        stalling() as server,
        aiohttp.ClientSession() as session,
        client(server.url, session=session) as trmm,
    ):
        async with trmm.fleet.run_script(["a", "b", "c"], script=1, width=2) as run:
            await server.received(2)
        assert (run.counts.unknown, run.counts.skipped) == (2, 1)


# One attempt by itself.

CALL: Call[Any] = Call(method="GET", path="/x/", decode=bytes)
SCRIPT: Call[Any] = Call(method="POST", path="/x/", decode=bytes, replay=Replay.NEVER)
PATIENT: Call[Any] = Call(method="POST", path="/x/", decode=bytes, replay=Replay.NEVER, answers_within=60)
LOST = aiohttp.ServerDisconnectedError()


class Held:
    """Stands for a slot, a worker's lease and a record: it notes what it is told."""

    def __init__(self, *, good: bool = True, broken: bool = False) -> None:
        self.good = good
        self.told: list[str] = []
        self._broken = broken

    def may_begin(self) -> bool:
        return self.good

    def written(self) -> None:
        self.told.append("written")

    def settle(self) -> None:
        self.told.append("settled")

    def give_back(self) -> None:
        self.told.append("given back")

    def release(self) -> None:
        self.told.append("released")

    async def begin(self) -> None:
        self.told.append("begun")
        if self._broken:
            raise JournalError("disk full")

    async def withdraw(self) -> None:
        self.told.append("withdrawn")


class Pool:
    sent = places = 0

    def release_place(self) -> None:
        self.places += 1


class Made:
    """An attempt, and all that it holds."""

    def __init__(self, call: Call[Any] = CALL, *, broken: bool = False) -> None:
        self.slot, self.worker, self.record = Held(), Held(), Held(broken=broken)
        self.pool = Pool()
        self.heard: list[bool] = []
        its: Any = self
        self.pending = PendingCall(call, self.heard.append, its.record)
        self.attempt = CallAttempt(self.pending, (its.slot,), its.worker, its.pool)

    def ended(self, error: BaseException | None = None, *, connects: bool = True) -> list[str]:
        """What the slot has been told when the wait for the head ends so."""
        with suppress(Exception), self.attempt:
            assert CURRENT_ATTEMPT.get() is self.attempt
            if connects:
                self.attempt.has_connection()
            if error is not None:
                raise error
        assert CURRENT_ATTEMPT.get() is None
        return self.slot.told


def test_a_slot_is_counted_as_the_server_counts_the_request() -> None:
    assert Made().ended() == ["settled"]
    assert Made().ended(LOST) == ["written"]  # it may have counted it
    assert Made().ended(LOST, connects=False) == ["given back"]
    assert Made(PATIENT).ended() == ["written", "settled"]  # from the request on, not from the answer


def test_a_connection_is_told_once_and_each_time_that_bytes_may_leave() -> None:
    made = Made(SCRIPT)
    assert made.attempt.non_idempotent
    made.attempt.has_connection()
    made.attempt.has_connection()
    assert (made.pool.sent, made.heard) == (1, [True, True])
    assert not Made(CALL).attempt.non_idempotent


@pytest.mark.parametrize("expired", ["slot", "worker", "record"])
def test_a_right_that_has_run_out_sends_nothing_for_good(expired: str) -> None:
    made = Made()
    assert made.attempt.may_begin()
    getattr(made, expired).good = False
    assert not made.attempt.may_begin()
    getattr(made, expired).good = True
    assert not made.attempt.may_begin()
    assert made.ended(LOST) == ["given back"]
    fault = made.attempt.fault(LOST)
    assert (fault.stage, "right to send ran out" in fault.reason) == (Stage.NOT_SENT, True)


@pytest.mark.parametrize(
    ("error", "stage"),
    [
        (LOST, Stage.LOST),
        (ConnectionResetError(), Stage.LOST),
        (TimeoutError(), Stage.LATE),
        (UnexpectedBytesError(), Stage.NOT_SENT),
        (aiohttp.ConnectionTimeoutError(), Stage.NOT_SENT),
    ],
)
def test_how_far_it_got_is_known_by_its_error_and_its_connection(error: Exception, stage: Stage) -> None:
    made = Made(SCRIPT)
    assert made.attempt.fault(error).stage is Stage.NOT_SENT  # it had no connection
    made.attempt.has_connection()
    assert made.attempt.fault(error).stage is stage
    made.attempt.unwritten = True
    assert made.attempt.fault(error).stage is Stage.NOT_SENT


@pytest.mark.parametrize("is_final", [False, True])
def test_a_proxy_that_refuses_is_not_asked_again(is_final: bool) -> None:
    fault = Made().attempt.fault(NoTunnelError("no tunnel", is_final=is_final))
    assert (fault.stage, fault.reason, fault.is_final) == (Stage.NOT_SENT, "no tunnel", is_final)


async def test_what_can_not_be_recorded_is_not_sent() -> None:
    made = Made()
    await made.attempt.record()
    assert (made.record.told, made.slot.told, made.pool.places) == (["begun"], [], 0)
    broken = Made(broken=True)
    with pytest.raises(JournalError):
        await broken.attempt.record()
    assert (broken.slot.told, broken.worker.told, broken.pool.places) == (["given back"], ["released"], 1)


async def test_before_a_pause_it_is_said_that_nothing_had_an_effect_if_that_is_so() -> None:
    made = Made(SCRIPT)
    await made.pending.withdraw()
    assert (made.heard, made.record.told) == ([False], ["withdrawn"])
    effective: Any = SimpleNamespace(had_effect=True)
    made.pending.tries = effective
    await made.pending.withdraw()
    assert (made.heard, made.record.told) == ([False], ["withdrawn"])
