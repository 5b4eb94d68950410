"""What needs a newer server says which, on one that is older; nothing is asked for that beforehand."""

import pytest

from tests.servers import count, served
from trmm_async import CommandOutput
from trmm_async.errors import NotFoundError, TRMMError, UnsupportedError


async def test_shutdown() -> None:
    async with served("stock", agents=1, version="0.17.5") as (server, trmm):
        with pytest.raises(UnsupportedError, match=r"agents\.shutdown needs Tactical RMM 0\.18\.0 or newer"):
            await trmm.agents.shutdown(server.agent_ids[0])
        assert len(server.requests) == 1
        with pytest.raises(NotFoundError, match="more than 20 characters"):
            await trmm.agents.shutdown("short")


async def test_login() -> None:
    async with served("stock", agents=1, version="0.18.2") as (server, trmm):
        with pytest.raises(UnsupportedError, match=r"login needs Tactical RMM 0\.19\.0 or newer"):
            await trmm.login("admin", server.password, totp=server.real_totp_code())
        assert len(server.requests) == 1


async def test_live_commands() -> None:
    async with served("stock", agents=1, version="1.3.1") as (server, trmm):
        await trmm.login("admin", server.password, totp=server.real_totp_code())
        with pytest.raises(
            UnsupportedError, match=r"needs Tactical RMM 1\.4\.0 or newer, this server is 1\.3\.1"
        ):
            async with trmm.agents.stream_command(server.agent_ids[0], "hostname"):
                pass
        assert server.runs == []


async def test_a_newer_server_has_them_all_and_is_not_asked_which_it_is() -> None:
    async with served("stock", agents=1) as (server, trmm):
        await trmm.login("admin", server.password, totp=server.real_totp_code())
        async with trmm.agents.stream_command(server.agent_ids[0], "hostname") as output:
            assert isinstance(await anext(output), CommandOutput)
        await trmm.agents.shutdown(server.agent_ids[0])
        assert count(server, "GET", "/core/") == 0


async def test_a_socket_that_fails_for_another_reason_is_told_as_ever() -> None:
    async with served("stock", agents=1) as (server, trmm):
        await trmm.login("admin", server.password, totp=server.real_totp_code())
        server.refuse_events(status=500)
        with pytest.raises(TRMMError) as caught:
            async with trmm.agents.stream_command(server.agent_ids[0], "hostname"):
                pass
        assert not isinstance(caught.value, UnsupportedError)
