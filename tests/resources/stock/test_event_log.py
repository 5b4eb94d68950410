"""`trmm.agents.event_log`."""

from datetime import datetime

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import (
    OFFLINE,
    SAFE,
    WINDOWS,
    Requested,
    carried_out,
    named,
    refused,
    waits,
)
from tests.servers import agent_on, stock
from trmm_async import (
    EventLogEntry,
    InvalidRequestError,
    TRMMError,
)
from trmm_async.calls import Call, Replay
from trmm_async.errors import (
    AgentUnreachableError,
    ServerError,
)


class TestEventLog:
    async def test_event_logs(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            found = await trmm.agents.event_log.list(agent_id, "Security", days=2)
            assert {one.event_type for one in found} >= {"INFO", "ERROR"}
            assert all(one.time is not None and one.time.tzinfo is None for one in found)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.event_log.list(agent_id, "Nonsense")  # type: ignore[arg-type]
            with pytest.raises(InvalidRequestError):
                await trmm.agents.event_log.list(agent_id, days=0)


# -- against recordings, without a server --------------------------------------------------------------------

BAD: list[tuple[Requested, tuple[str, ...], type[TRMMError], str]] = [
    (
        lambda: request_of(NOUNS.agents.event_log.list(OFFLINE, "System", days=1)),
        ("eventlog_offline",),
        AgentUnreachableError,
        "Unable",
    ),
    (
        lambda: request_of(NOUNS.agents.event_log.list(OFFLINE, "System", days=1)),
        ("natsapi_down__eventlog_offline",),
        ServerError,
        "nats-api is down",
    ),
]


@pytest.mark.parametrize(("request_", "names", "error", "words"), named(BAD))
def test_a_refusal_is_the_error_that_it_means(
    request_: Requested, names: tuple[str, ...], error: type[TRMMError], words: str
) -> None:
    refused(request_(), names, error, words)


MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: request_of(NOUNS.agents.event_log.list("a", "System", days=1)), SAFE, 32),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


class TestWhatIsRecordedOf:
    def test_event_logs(self) -> None:
        found = carried_out(
            request_of(NOUNS.agents.event_log.list(WINDOWS, "Application", days=7)),
            "eventlog_application",
        )
        first = found[0]
        assert isinstance(first, EventLogEntry)
        assert (first.event_type, first.event_id, first.record) == ("INFO", 16384, 17213)
        assert first.time == datetime(2020, 9, 24, 22, 45, 16)  # noqa: DTZ001 - by the agent's clock
        assert first.message.startswith("Successfully scheduled")
        security = request_of(NOUNS.agents.event_log.list(WINDOWS, "Security", days=1))
        assert len(carried_out(security, "eventlog_security")) == 25
        assert isinstance(security, Call)
        assert security.answers_within == 182


class TestOddAnswers:
    def test_a_day_of_one_digit_in_an_event_log(self) -> None:
        log = request_of(NOUNS.agents.event_log.list("a", "System", days=1))
        assert isinstance(log, Call)
        (entry,) = log.decode(b'[{"time": "Fri Jan  1 02:03:04 2027"}]')
        assert entry.time == datetime(2027, 1, 1, 2, 3, 4)  # noqa: DTZ001 - by the agent's clock
