"""`trmm.agents.software`."""

from datetime import date

import pytest

from tests.exchanges import (
    AGAIN,
    LINUX,
    SAFE,
    WINDOWS,
    Requested,
    carried_out,
    named,
    refused,
    waits,
)
from tests.servers import agent_on, count, served, stock
from trmm_async import (
    AgentLostError,
    BadRequestError,
    InvalidRequestError,
    Software,
    TRMMError,
)
from trmm_async.calls import Call, Replay
from trmm_async.resources.stock import software

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


async def test_of_all_agents_it_comes_in_one_call() -> None:
    async with served("stock", agents=6) as (server, trmm):
        everywhere = await trmm.agents.software.everywhere()
        assert count(server, "GET", "/software/") == 1
        for agent in server.agents:
            assert everywhere.get(agent.agent_id, []) == await trmm.agents.software.list(agent.agent_id)
        assert any(everywhere.values())


async def test_an_install_is_a_pending_action() -> None:
    async with served("stock", agents=4, offline_hold=0.01) as (server, trmm):
        windows = next(agent for agent in server.agents if agent.plat == "windows")
        (package, *_) = await trmm.agents.software.packages()
        await trmm.agents.software.install(windows.agent_id, package)
        (action,) = await trmm.pending_actions.list(agent=windows.agent_id)
        assert (action.action_type, action.details["name"]) == ("chocoinstall", package)
        with pytest.raises(InvalidRequestError, match=r"no '7zpi' \(did you mean 7zip\?\)"):
            await trmm.agents.software.install(windows.agent_id, "7zpi")
        await trmm.agents.software.install(windows.agent_id, "of-our-own", unlisted=True)
        assert count(server, "POST", "/software/") == 2
        server.go_offline(windows.agent_id)
        with pytest.raises(AgentLostError):
            await trmm.agents.software.install(windows.agent_id, package)


async def test_a_program_is_removed_by_the_command_that_is_given_or_its_own() -> None:
    async with served("stock", agents=4) as (server, trmm):
        windows = next(agent for agent in server.agents if agent.plat == "windows")
        program = Software(name="7-Zip", uninstall="C:\\7-Zip\\Uninstall.exe")
        await trmm.agents.software.uninstall(windows.agent_id, program)
        await trmm.agents.software.uninstall(windows.agent_id, "7-Zip", command="x /S", timeout=30)
        commands = [row.command for row in await trmm.agents.history(windows.agent_id)]
        assert commands[-2:] == ["C:\\7-Zip\\Uninstall.exe", "x /S"]
        with pytest.raises(BadRequestError, match="cannot be uninstalled from here"):
            await trmm.agents.software.uninstall(
                windows.agent_id, "Tactical RMM Agent", command="C:\\TacticalAgent\\unins000.exe /S"
            )


async def test_without_a_command_nothing_is_sent() -> None:
    async with served("stock", agents=1) as (server, trmm):
        for program in ("7-Zip", Software(name="7-Zip")):
            with pytest.raises(InvalidRequestError, match="command="):
                await trmm.agents.software.uninstall(server.agent_ids[0], program)
        assert server.requests == []


# -- against recordings, without a server --------------------------------------------------------------------

GOOD: list[tuple[Requested, tuple[str, ...], object]] = [
    (lambda: software.LIST.call(LINUX), ("software_agent_none",), []),
    (lambda: software.REFRESH.call(WINDOWS), ("software_refresh",), None),
]


@pytest.mark.parametrize(("request_", "names", "result"), named(GOOD))
def test_a_call_is_worded_as_the_recorded_one_and_its_answer_is_read(
    request_: Requested, names: tuple[str, ...], result: object
) -> None:
    assert carried_out(request_(), *names) == result


BAD: list[tuple[Requested, tuple[str, ...], type[TRMMError], str]] = [
    (
        lambda: software.REFRESH.call(LINUX),
        ("software_refresh_linux",),
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
    (lambda: software.LIST.call("a"), SAFE, None),
    (lambda: software.REFRESH.call("a"), AGAIN, 15),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


class TestWhatIsRecordedOf:
    def test_software(self) -> None:
        found = carried_out(software.LIST.call(WINDOWS), "software_agent")
        assert found[0] == Software(
            name="7-Zip 19.00 (x64)",
            version="19.00",
            publisher="Igor Pavlov",
            size="5.2 MB",
            location="C:\\Program Files\\7-Zip\\",
            uninstall="C:\\Program Files\\7-Zip\\Uninstall.exe",
        )
        assert found[1].install_date == date(2019, 6, 9)


class TestOddAnswers:
    def test_nulls_and_news_are_taken(self) -> None:
        call = software.LIST.call("a")
        assert isinstance(call, Call)
        assert call.decode(b'{"software": null}') == []
        assert call.decode(
            b'{"software": [{"name": "x", "size": null, "install_date": "soon", "new": 1}]}'
        ) == [Software(name="x")]


class TestSoftware:
    async def test_software(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            windows, linux = agent_on(server, "windows"), agent_on(server, "linux")
            assert {one.name for one in await trmm.agents.software.list(windows)}
            assert await trmm.agents.software.list(linux) == []
            await trmm.agents.software.refresh(windows)
            with pytest.raises(BadRequestError, match="linux"):
                await trmm.agents.software.refresh(linux)
