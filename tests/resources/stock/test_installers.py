"""`trmm.installers`, over real HTTP."""

from datetime import timedelta

import pytest

from tests.servers import count, served
from trmm_async import BadRequestError, InvalidRequestError, NotFoundError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


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
