"""What is done to many agents, or by way of MeshCentral; installers."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.servers import count, served
from trmm_async import BadRequestError, InvalidRequestError, NotFoundError, ServerError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


async def test_agents_are_upgraded_once_and_those_that_are_not_there_later() -> None:
    async with served("stock", agents=3) as (server, trmm):
        (newest,) = await trmm.agents.versions()
        old, away = server.agents[:2]
        old.version = away.version = "2.9.0"
        server.go_offline(away.agent_id)
        await trmm.agents.upgrade([old.agent_id, away.agent_id])
        assert (await trmm.agents.get(old.agent_id)).version == newest
        assert [one.agent_id for one in await trmm.pending_actions.list() if one.status == "pending"] == [
            away.agent_id
        ]
        assert count(server, "POST", "/agents/update/") == 1
        with pytest.raises(InvalidRequestError, match="agents must not be empty"):
            await trmm.agents.upgrade([])
        with pytest.raises(InvalidRequestError, match="has no agent nobody; nothing was begun"):
            await trmm.agents.upgrade([old.agent_id, "nobody"])
        assert count(server, "POST", "/agents/update/") == 1


async def test_the_history_of_all_names_its_agents() -> None:
    async with served("stock", agents=3) as (server, trmm):
        first, second, _ = server.agent_ids
        await trmm.agents.run_command(first, "echo hello")
        await trmm.agents.run_script(second, script=1)
        everything = await trmm.agents.history()
        assert [row.agent_id for row in everything[-2:]] == [first, second]
        assert [row for row in everything if row.agent_id == first] == await trmm.agents.history(first)
        (run, *_) = await trmm.agents.script_history(limit=1)
        assert (run.agent_id, run.script, run.type) == (second, 1, "script_run")
        since = datetime.now(UTC) - timedelta(days=1)
        assert run in await trmm.agents.script_history(since=since)
        with server.restrict("can_list_agents"):
            assert {row.agent_id for row in await trmm.agents.history()} == {None}
        with pytest.raises(InvalidRequestError, match="time zone"):
            await trmm.agents.script_history(since=datetime(2026, 1, 1))  # noqa: DTZ001


async def test_notes_of_all_agents_and_one_of_them() -> None:
    async with served("stock", agents=2) as (server, trmm):
        made = [await trmm.agents.notes.create(agent, "x") for agent in server.agent_ids]
        assert (await trmm.agents.notes.list())[-2:] == made
        assert await trmm.agents.notes.get(made[0]) == made[0]
        await trmm.agents.notes.delete(made[0], with_text=True)
        with pytest.raises(NotFoundError):
            await trmm.agents.notes.get(made[0])


async def test_what_goes_by_mesh_is_told_in_the_servers_own_words_where_it_has_none() -> None:
    async with served("stock", agents=1) as (server, trmm):
        (agent,) = server.agent_ids
        await trmm.agents.wake(agent)
        await trmm.agents.refresh_wmi(agent)
        await trmm.core.update_settings(mesh_token="")
        with pytest.raises(ServerError, match=r"non-hexadecimal number.*MeshCentral") as caught:
            await trmm.agents.wake(agent)
        assert caught.value.status == 400
        assert not isinstance(caught.value, BadRequestError)


async def test_links_to_an_agent_are_in_no_repr() -> None:
    async with served("stock", agents=1) as (server, trmm):
        links = await trmm.agents.remote_control(server.agent_ids[0])
        assert links.control.startswith("https://")
        assert links.terminal != links.file
        assert "login=" not in repr(links)
        assert links.hostname in repr(links)


async def test_a_get_that_acts_is_sent_once() -> None:
    async with served("stock", agents=1, client={"retries": 3}) as (server, trmm):
        for act, path in (
            (trmm.agents.recover_all, "/agents/bulkrecovery/"),
            (trmm.core.clear_cache, "/core/clearcache/"),
            (lambda: trmm.request("GET", "/agents/bulkrecovery/"), "/agents/bulkrecovery/"),
        ):
            before = count(server, "GET", path)
            await act()
            server.fail("GET", path, status=502, times=1)
            with pytest.raises(ServerError):
                await act()
            assert count(server, "GET", path) == before + 2


class TestInstallers:
    async def test_a_command_for_windows(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            (site, *_) = await trmm.sites.list()
            made = await trmm.installers.create(site=site, rdp=True, valid_for=timedelta(minutes=90))
            assert site.client is not None
            assert f"--client-id {site.client.id} --site-id {site.id} --agent-type server" in made.command
            assert made.command.endswith(" --rdp")
            assert f"--api {server.url}" in made.command
            assert made.url.startswith("https://github.com/amidaware/rmmagent/")
            assert "--auth" not in repr(made)
            script = await trmm.installers.create(
                site=site, method="powershell", monitoring_type="workstation", api="https://api.example.com"
            )
            assert b"--agent-type workstation" in script.content
            assert script.filename.endswith(".ps1")
            assert count(server, "POST", "/agents/installer/") == 2

    @pytest.mark.parametrize("method", ["bash", "mac"])
    async def test_what_the_server_can_not_make_is_said_in_its_own_words(self, method: str) -> None:
        async with served("stock", agents=1) as (_, trmm):
            (site, *_) = await trmm.sites.list()
            with pytest.raises(BadRequestError, match="code signing"):
                await trmm.installers.create(site=site, method=method)  # type: ignore[arg-type]

    async def test_a_site_that_is_not_there_is_found_out_before(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(NotFoundError):
                await trmm.installers.create(site=99_999)
            assert count(server, "POST", "/agents/installer/") == 0
            for wrong in (timedelta(), 24, timedelta(days=99_999)):
                with pytest.raises(InvalidRequestError, match="valid_for"):
                    await trmm.installers.create(site=1, valid_for=wrong)  # type: ignore[arg-type]
