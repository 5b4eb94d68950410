"""`trmm.agents.windows_updates`."""

from datetime import datetime

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import (
    AGAIN,
    LINUX,
    NEVER,
    SAFE,
    WINDOWS,
    Requested,
    carried_out,
    done,
    named,
    refused,
    waits,
)
from tests.servers import agent_on, stock
from trmm_async import (
    InvalidRequestError,
    TRMMError,
)
from trmm_async.calls import Replay
from trmm_async.errors import (
    BadRequestError,
)
from trmm_async.resources.stock import windows_updates


class TestWindowsUpdates:
    async def test_windows_updates(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            first = (await trmm.agents.windows_updates.list(agent_id))[0]
            await trmm.agents.windows_updates.update(first, "approve")
            again = (await trmm.agents.windows_updates.list(agent_id))[0]
            assert (again.id, again.action, again.agent_id) == (first.id, "approve", agent_id)
            await trmm.agents.windows_updates.scan(agent_id)
            await trmm.agents.windows_updates.install(agent_id)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.windows_updates.update(first, "manual")  # type: ignore[arg-type]


# -- against recordings, without a server --------------------------------------------------------------------

GOOD: list[tuple[Requested, tuple[str, ...], object]] = [
    (
        lambda: request_of(NOUNS.agents.windows_updates.update(15, "approve")),
        ("winupdate_edit",),
        None,
    ),
    (lambda: windows_updates.SCAN.call(WINDOWS), ("winupdate_scan",), None),
    (lambda: windows_updates.INSTALL.call(WINDOWS), ("winupdate_install",), None),
]


@pytest.mark.parametrize(("request_", "names", "result"), named(GOOD))
def test_a_call_is_worded_as_the_recorded_one_and_its_answer_is_read(
    request_: Requested, names: tuple[str, ...], result: object
) -> None:
    assert carried_out(request_(), *names) == result


BAD: list[tuple[Requested, tuple[str, ...], type[TRMMError], str]] = [
    (
        lambda: windows_updates.SCAN.call(LINUX),
        ("winupdate_scan_linux",),
        BadRequestError,
        "Not available for linux",
    ),
]


@pytest.mark.parametrize(("request_", "names", "error", "words"), named(BAD))
def test_a_refusal_is_the_error_that_it_means(
    request_: Requested, names: tuple[str, ...], error: type[TRMMError], words: str
) -> None:
    refused(request_(), names, error, words)


MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: windows_updates.LIST.call("a"), SAFE, None),
    (lambda: request_of(NOUNS.agents.windows_updates.update(1, "ignore")), AGAIN, None),
    (lambda: windows_updates.SCAN.call("a"), AGAIN, None),
    (lambda: windows_updates.INSTALL.call("a"), NEVER, None),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


class TestWhatIsRecordedOf:
    def test_windows_updates(self) -> None:
        found = done(lambda nouns: nouns.agents.windows_updates.list(WINDOWS), "winupdate_agent")
        first, second = found[:2]
        assert (first.id, first.kb, first.agent_id, first.action) == (15, "KB4558998", WINDOWS, "nothing")
        assert first.date_installed == datetime(2026, 11, 23, 14, 20)  # noqa: DTZ001 - by the server's clock
        assert first.categories == ("Security Updates",)
        assert second.date_installed is None
