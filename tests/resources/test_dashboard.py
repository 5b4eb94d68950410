"""The dashboard's socket is opened with a token, and with a new one if that is refused."""

from collections.abc import AsyncIterator

import pytest

from tests.stream.fake_gateway import all_of
from tests.stream.test_poll_source import client, kinds, quick
from trmm_async.errors import AuthenticationError, ConnectionFailedError
from trmm_async.events import DASHBOARD, AgentOffline, Ended
from trmm_async.testing import Simulator


@pytest.fixture
async def server() -> AsyncIterator[Simulator]:
    async with Simulator(agents=1, dialect="stock") as running:
        yield running


async def test_a_token_that_has_ended_is_renewed(server: Simulator) -> None:
    async with client(server, access_token=server.new_token) as trmm:
        async with trmm.events(dashboard=True, settings=quick()) as events:
            await all_of(events, 1)
            server.expire_tokens()
            server.drop_connections()
            assert kinds(await all_of(events, 3)) == ["Gap", "DashboardCounts", "Live"]


async def test_without_a_login_the_dashboard_is_refused_and_agents_go_on(server: Simulator) -> None:
    who = server.agent_ids[0]
    async with client(server) as trmm:
        with pytest.raises(AuthenticationError, match=r"trmm\.login"):
            async with trmm.events(dashboard=True, settings=quick()):
                pass
        async with trmm.events(who, dashboard=True, settings=quick()) as events:
            (ended,) = await all_of(events, 1)
            assert isinstance(ended, Ended)
            assert (ended.agent_id, type(ended.error)) == (DASHBOARD, AuthenticationError)
            server.go_offline(who)
            assert await all_of(events, 1) == [AgentOffline(agent_id=who)]


async def test_a_user_without_the_dashboard_is_refused_once(server: Simulator) -> None:
    async with client(server, access_token=lambda: "no-such-token") as trmm:
        with pytest.raises(AuthenticationError, match="fresh token"):
            async with trmm.events(dashboard=True, settings=quick()):
                pass
    assert sum(request.path == "/ws/dashinfo/" for request in server.requests) == 2


async def test_a_login_that_fails_for_now_is_tried_again(server: Simulator) -> None:
    attempts: list[int] = []

    def token() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionFailedError("away")
        return server.new_token()

    async with client(server, access_token=token) as trmm:
        async with trmm.events(dashboard=True, settings=quick()) as events:
            assert kinds(await all_of(events, 1)) == ["DashboardCounts"]
    assert len(attempts) == 3
