import pytest

from tests.servers import count, served
from trmm_async import AgentLostError, BadRequestError, InvalidRequestError, Software

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
