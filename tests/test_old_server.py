"""What needs a newer server says which, on one that is older; nothing is asked for that beforehand."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.servers import count, served, until
from tests.stream.fake_gateway import all_of
from tests.stream.test_poll_source import client, kinds, quick
from trmm_async import TRMM, CommandOutput, WebhookReceiver
from trmm_async.errors import NotFoundError, TRMMError, UnsupportedError
from trmm_async.events import DASHBOARD, AgentOffline, Ended
from trmm_async.testing import Simulator


async def test_shutdown() -> None:
    async with served("stock", agents=1, version="0.17.5") as (server, trmm):
        with pytest.raises(UnsupportedError, match=r"agents\.shutdown needs Tactical RMM 0\.18\.0 or newer"):
            await trmm.agents.shutdown(server.agent_ids[0])
        assert len(server.requests) == 1
        with pytest.raises(NotFoundError, match="more than 20 characters"):
            await trmm.agents.shutdown("short")


@pytest.mark.parametrize(
    ("version", "told", "call"),
    [
        (
            "1.3.1",
            r"agents\.registry\.browse needs Tactical RMM 1\.4\.0",
            lambda t, a: t.agents.registry.browse(a),
        ),
        ("1.2.0", r"schedules\.list needs Tactical RMM 1\.3\.0", lambda t, _: t.schedules.list()),
        (
            "1.2.0",
            r"agents\.software\.uninstall needs Tactical RMM 1\.3\.0",
            lambda t, a: t.agents.software.uninstall(a, "x", command="y"),
        ),
        ("0.20.1", r"core\.status needs Tactical RMM 1\.0\.0", lambda t, _: t.core.status("token")),
        (
            "0.19.4",
            r"users\.sessions\.list needs Tactical RMM 0\.20\.0",
            lambda t, _: t.users.sessions.list(1),
        ),
        (
            "0.19.3",
            r'agents\.run_script\(output="collector"\) needs Tactical RMM 0\.19\.4',
            lambda t, a: t.agents.run_script(a, 1, output="collector", custom_field=7),
        ),
        (
            "0.18.2",
            r"scripts\.test_on_server needs Tactical RMM 0\.19\.0",
            lambda t, _: t.scripts.test_on_server(shell="shell", code="#!/bin/sh\n"),
        ),
    ],
)
async def test_calls_that_came_later(version: str, told: str, call: Any) -> None:
    async with served("stock", agents=1, version=version) as (server, trmm):
        with pytest.raises(UnsupportedError, match=told):
            await call(trmm, server.agent_ids[0])
        assert len(server.requests) == 1


HOOK: dict[str, Any] = {"name": "hook", "pattern": "https://hooks.example.com/"}
REST = r'\(action_type="rest"\) needs Tactical RMM 0\.19\.0 or newer, this server is 0\.18\.2: it would '
SERVER = REST.replace("rest", "server")


@pytest.mark.parametrize(
    ("told", "call"),
    [
        (
            r"install of a webhook needs Tactical RMM 0\.19\.0 or newer, this server is 0\.18\.2",
            lambda t: WebhookReceiver("s3cr3t").install(t, HOOK["pattern"], everywhere=True),
        ),
        (
            r"install of a webhook needs Tactical RMM 0\.19\.0 or newer, this server is 0\.18\.2",
            lambda t: WebhookReceiver("s3cr3t").install(t, HOOK["pattern"], dry_run=True),
        ),
        (
            rf"url_actions\.create{REST}make a link, and call nothing",
            lambda t: t.url_actions.create(**HOOK, action_type="rest"),
        ),
        (rf"url_actions\.create{REST}make a link", lambda t: t.url_actions.create(**HOOK, rest_body="{}")),
        (rf"url_actions\.update{REST}make a link", lambda t: t.url_actions.update(1, action_type="rest")),
        (
            rf"alert_templates\.create{REST}call nothing",
            lambda t: t.alert_templates.create(name="calls", action_type="rest", action_rest=1),
        ),
        (
            rf"alert_templates\.create{SERVER}run the script on the agent",
            lambda t: t.alert_templates.create(name="runs", action_type="server", action=1),
        ),
        (
            rf"alert_templates\.update{SERVER}run the script on the agent",
            lambda t: t.alert_templates.update(1, resolved_action_type="server", resolved_action=1),
        ),
    ],
)
async def test_what_the_server_is_to_call_or_to_run_itself_is_never_made_silently(
    told: str, call: Callable[[TRMM], Awaitable[Any]]
) -> None:
    async with served("stock", agents=1, version="0.18.2") as (server, trmm):
        await trmm.alert_templates.create(name="there", action_type="script", action=1)
        before = await kept(trmm)
        server.reset_ledger()
        with pytest.raises(UnsupportedError, match=told):
            await call(trmm)
        assert {request.method for request in server.requests} == {"GET"}
        assert await kept(trmm) == before


async def kept(trmm: TRMM) -> list[Any]:
    """What an installation of a webhook would leave behind."""
    return [await noun.list() for noun in (trmm.key_store, trmm.url_actions, trmm.alert_templates)]


async def test_what_an_old_server_has_of_them_is_made_and_it_is_not_asked_which_it_is() -> None:
    async with served("stock", agents=1, version="0.18.2") as (server, trmm):
        action = await trmm.url_actions.create(**HOOK, action_type="web", description="a link")
        await trmm.url_actions.update(action, name="link")
        template = await trmm.alert_templates.create(name="t", action_type="script", action=1)
        await trmm.alert_templates.update(template, name="u")
        assert [one.name for one in await trmm.url_actions.list()][-1:] == ["link"]
        assert [(one.name, one.action) for one in await trmm.alert_templates.list()] == [("u", 1)]
        assert count(server, "GET", "/core/dashinfo/") == 0


@pytest.mark.parametrize("version", ["0.19.0", "1.5.1"])
async def test_a_newer_one_calls_and_runs_what_it_is_to(version: str) -> None:
    async with served("stock", agents=1, version=version) as (server, trmm):
        action = await trmm.url_actions.create(**HOOK, action_type="rest")
        await trmm.url_actions.update(action, rest_method="put")
        assert (await trmm.url_actions.list())[-1].action_type == "rest"
        template = await trmm.alert_templates.create(name="t", action_type="rest", action_rest=action)
        await trmm.alert_templates.update(template, resolved_action_type="server", resolved_action=1)
        found = await trmm.alert_templates.get(template)
        assert (found.action_type, found.resolved_action_type) == ("rest", "server")
        assert count(server, "GET", "/core/dashinfo/") == 1


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"collector": 1}, r"bulk\.run_script\(collector=\)"),
        ({"collector": 1, "note": True}, r"bulk\.run_script\(collector=\)"),
        ({"note": True}, r"bulk\.run_script\(note=\)"),
    ],
)
async def test_what_a_bulk_script_prints_is_never_lost_silently(kept: dict[str, Any], told: str) -> None:
    async with served("stock", agents=2, version="0.19.3") as (server, trmm):
        with pytest.raises(
            UnsupportedError, match=rf"{told} needs Tactical RMM 0\.19\.4 or newer, this .* 0\.19\.3"
        ):
            await trmm.bulk.run_script(1, everywhere=True, **kept)
        assert (count(server, "POST"), server.runs) == (0, [])
        assert await trmm.bulk.run_script(1, everywhere=True) == 2
        assert count(server, "GET", "/core/dashinfo/") == 1
    async with served("stock", agents=2, version="0.19.4") as (server, trmm):
        assert await trmm.bulk.run_script(1, agents=server.agent_ids[:1], note=True) == 1
        await until(lambda: server.world.journal.notes)
        field = server.add_custom_field("output")
        await trmm.agents.run_script(server.agent_ids[0], 1, output="collector", custom_field=field)
        assert count(server, "GET", "/core/dashinfo/") == 1


async def test_login() -> None:
    async with served("stock", agents=1, version="0.18.2") as (server, trmm):
        with pytest.raises(UnsupportedError, match=r"login needs Tactical RMM 0\.19\.0 or newer"):
            await trmm.login("admin", server.password, totp=server.real_totp_code())
        assert len(server.requests) == 1


NO_COUNTS = r"events\(dashboard=True\) needs Tactical RMM 0\.19\.0 or newer"


async def test_counts_of_the_dashboard_alone_are_refused_on_entering() -> None:
    async with old_server("0.17.5") as (server, trmm):
        with pytest.raises(UnsupportedError, match=NO_COUNTS):
            async with trmm.events(dashboard=True, settings=quick()):
                pass
        assert count(server, "GET", "/ws/dashinfo/") == 1


async def test_counts_among_the_events_of_agents_end_and_those_go_on() -> None:
    async with old_server("0.18.2") as (server, trmm):
        async with trmm.events(server.agent_ids, dashboard=True, settings=quick()) as events:
            (ended,) = await all_of(events, 1)
            assert isinstance(ended, Ended)
            assert ended.agent_id == DASHBOARD
            assert isinstance(ended.error, UnsupportedError)
            server.go_offline(server.agent_ids[0])
            assert await all_of(events, 1) == [AgentOffline(agent_id=server.agent_ids[0])]
        assert count(server, "GET", "/ws/dashinfo/") == 1


async def test_the_first_release_that_names_its_counts() -> None:
    async with old_server("0.19.0") as (_, trmm):
        async with trmm.events(dashboard=True, settings=quick()) as events:
            assert kinds(await all_of(events, 1)) == ["DashboardCounts"]


@asynccontextmanager
async def old_server(version: str) -> AsyncIterator[tuple[Simulator, TRMM]]:
    """One with an agent, and a client that was given a token."""
    async with Simulator(agents=1, dialect="stock", version=version) as server:
        async with client(server, access_token=server.new_token) as trmm:
            yield server, trmm


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
