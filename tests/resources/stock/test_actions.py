"""What is done to an agent of a stock server."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import (
    AGAIN,
    HUNG,
    LINUX,
    NEVER,
    OFFLINE,
    WINDOWS,
    Requested,
    carried_out,
    named,
    refused,
    waits,
)
from tests.servers import agent_on, count, served, stock
from trmm_async import (
    TRMM,
    Agent,
    BadRequestError,
    CommandResult,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    ServerError,
    TRMMError,
)
from trmm_async.calls import Plan, Replay
from trmm_async.errors import AgentLostError, AgentUnreachableError, ServerFaultError
from trmm_async.resources.stock import actions
from trmm_async.testing import ScriptReply, Simulator


class TestCommands:
    async def test_one_runs_and_its_output_comes_back(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            done = await trmm.agents.run_command(agent_id, "echo hello", shell="cmd", timeout=5)
            assert done.output.strip() == "hello"
            (run,) = server.runs
            assert (run.command, run.shell, run.timeout, run.run_as_user) == ("echo hello", "cmd", 5, False)
            assert [request.method for request in server.requests] == ["POST"]

    async def test_the_shell_is_that_of_the_platform(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            linux, windows = agent_on(server, "linux"), agent_on(server, "windows")
            await trmm.agents.run_command(linux, "uptime")
            await trmm.agents.run_command(windows, "ver")
            asked = len(server.requests)
            await trmm.agents.run_command(Agent(agent_id=linux, plat="linux"), "uptime", run_as_user=True)
            await trmm.agents.run_command(windows, "ver", custom_shell="C:\\pwsh.exe")
            assert [run.shell for run in server.runs] == ["/bin/bash", "cmd", "/bin/bash", "C:\\pwsh.exe"]
            assert len(server.requests) == asked + 2

    async def test_an_agent_that_does_not_answer_may_have_got_it(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            server.go_offline(agent_id)
            with pytest.raises(AgentUnreachableError, match="Unable to contact the agent") as caught:
                await trmm.agents.run_command(agent_id, "ver", shell="cmd", timeout=1)
            assert isinstance(caught.value, OutcomeUnknownError)
            assert len(server.requests) == 1

    async def test_a_bus_that_is_down_is_told_as_such(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS") as caught:
                await trmm.agents.run_command(server.agent_ids[0], "ver", shell="cmd", timeout=1)
            assert not isinstance(caught.value, OutcomeUnknownError)
            assert server.runs == []

    async def test_the_word_for_it_may_be_printed_too(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            server.command("say", handler=lambda run: ScriptReply(stdout="natsdown"))
            done = await trmm.agents.run_command(agent_id, "say", shell="cmd", timeout=1)
            assert done == CommandResult(output="natsdown")

    async def test_where_the_history_may_not_be_seen_it_can_not_be_told(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            server.command("say", handler=lambda run: ScriptReply(stdout="natsdown"))
            with (
                server.restrict("can_list_agent_history"),
                pytest.raises(AgentLostError, match="just that word"),
            ):
                await trmm.agents.run_command(server.agent_ids[0], "say", shell="cmd", timeout=1)

    async def test_an_answer_that_is_lost_is_an_unknown_outcome(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            server.cut("POST", "/cmd/")
            with pytest.raises(OutcomeUnknownError):
                await trmm.agents.run_command(server.agent_ids[0], "ver", shell="cmd")
            assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            ("", {}),
            ("  \n", {}),
            ("a\0b", {}),
            (5, {}),
            ("ver", {"timeout": 0}),
            ("ver", {"timeout": 296}),
            ("ver", {"timeout": 1.5}),
            ("ver", {"shell": ""}),
            ("ver", {"shell": "custom"}),
            ("ver", {"shell": "cmd", "custom_shell": "C:\\x.exe"}),
            ("ver", {"custom_shell": ""}),
            ("ver", {"run_as_user": "yes"}),
        ],
    )
    async def test_what_is_wrong_is_not_sent(self, words: Any, named: dict[str, Any]) -> None:
        async with stock(retries=0, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.run_command(server.agent_ids[0], words, **named)
            assert server.requests == []


class TestPower:
    async def test_ping(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            assert await trmm.agents.ping(agent_id)
            server.hang(agent_id)
            assert not await trmm.agents.ping(agent_id)
            with pytest.raises(NotFoundError):
                await trmm.agents.ping("x" * 40)

    async def test_an_agent_reboots_and_shuts_down(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            await trmm.agents.reboot(agent_id)
            await trmm.agents.shutdown(agent_id)
            assert not await trmm.agents.ping(agent_id)
            for action in (trmm.agents.reboot, trmm.agents.shutdown):
                with pytest.raises(AgentLostError):
                    await action(agent_id)

    async def test_a_reboot_is_planned(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            soon = datetime.now(UTC) + timedelta(days=1)
            await trmm.agents.reboot(agent_id, at=soon)
            sent = json.loads(server.requests[-1].body)["datetime"]
            zone = ZoneInfo((await trmm.agents.get(agent_id)).extra["timezone"])
            planned = datetime.fromisoformat(sent).replace(tzinfo=zone)
            assert timedelta(0) <= planned - soon < timedelta(minutes=1)

    async def test_a_reboot_is_planned_by_the_agents_clock(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = agent_on(server, "windows")
            naive = (datetime.now(UTC) + timedelta(days=2)).replace(tzinfo=None, second=0, microsecond=0)
            await trmm.agents.reboot(agent_id, at=naive)
            assert json.loads(server.requests[-1].body) == {"datetime": naive.isoformat(timespec="minutes")}
            assert len(server.requests) == 1
            with pytest.raises(BadRequestError, match="past"):
                await trmm.agents.reboot(agent_id, at=naive - timedelta(days=9))
            server.go_offline(agent_id)
            with pytest.raises(AgentLostError, match="did not answer"):
                await trmm.agents.reboot(agent_id, at=naive)
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS"):
                await trmm.agents.reboot(agent_id, at=naive)

    async def test_only_windows_agents_plan_a_reboot(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            with pytest.raises(BadRequestError, match="linux"):
                await trmm.agents.reboot(agent_on(server, "linux"), at=datetime.now(UTC) + timedelta(hours=1))

    @pytest.mark.parametrize("at", ["tomorrow", datetime(2020, 1, 1, tzinfo=UTC), 5])
    async def test_a_time_that_is_none_is_not_sent(self, at: Any) -> None:
        async with stock(retries=0, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.reboot(server.agent_ids[0], at=at)
            assert server.requests == []

    async def test_recovery(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            await trmm.agents.recover(agent_id)
            server.go_offline(agent_id)
            await trmm.agents.recover(agent_id, mode="tacagent")
            with pytest.raises(AgentLostError):
                await trmm.agents.recover(agent_id, mode="mesh")
            with pytest.raises(InvalidRequestError):
                await trmm.agents.recover(agent_id, mode="foo")  # type: ignore[arg-type]

    async def test_a_server_that_fails_says_why_it_may(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            server.go_offline(agent_id)
            with server.natsapi_down():
                with pytest.raises(ServerError, match="nats-api"):
                    await trmm.agents.processes.list(agent_id)
                with pytest.raises(ServerFaultError, match="nats-api"):
                    await trmm.agents.reboot(agent_id)


class TestSettings:
    async def test_are_changed(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            site = (await trmm.clients.list())[-1].sites[0]
            await trmm.agents.update(
                agent_id,
                description="by hand",
                site=site,
                monitoring_type="server",
                overdue_time=60,
                overdue_email_alert=True,
                policy=None,
            )
            agent = await trmm.agents.get(agent_id)
            assert (agent.description, agent.site.id, agent.monitoring_type) == ("by hand", site.id, "server")
            assert agent.extra["overdue_time"] == 60
            await trmm.agents.update(agent_id, description=None)
            assert (await trmm.agents.get(agent_id)).description is None

    async def test_custom_fields_are_changed(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            field = server.add_custom_field("Tag")
            await trmm.agents.update(agent_id, custom_fields={field: "AT-1"}, description="d")
            agent = await trmm.agents.get(agent_id)
            assert {one.field: one.value for one in agent.custom_fields}[field] == "AT-1"
            assert agent.description == "d"

    async def test_nothing_is_changed_where_one_is_wrong(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="no custom field with the id 999"):
                await trmm.agents.update(server.agent_ids[0], description="d", custom_fields={999: "x"})
            assert {request.method for request in server.requests} == {"GET"}

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"custom_fields": {}},
            {"custom_fields": [1]},
            {"custom_fields": {"1": "x"}},
            {"description": 5},
            {"site": 1.5},
            {"site": None},
            {"monitoring_type": "laptop"},
            {"overdue_time": -1},
            {"offline_time": 1.5},
            {"check_interval": 2**31},
            {"maintenance_mode": 1},
            {"policy": "x"},
            {"time_zone": ""},
        ],
    )
    async def test_what_is_wrong_is_not_sent(self, changes: dict[str, Any]) -> None:
        async with stock(retries=0, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.update(server.agent_ids[0], **changes)
            assert server.requests == []

    async def test_what_is_not_known_is_refused_and_what_could_be_meant_is_named(self) -> None:
        async with stock(retries=0, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=r"'polcy' \(did you mean 'policy'\?\)"):
                await trmm.agents.update(server.agent_ids[0], polcy=1)  # type: ignore[call-arg]
            assert server.requests == []

    async def test_maintenance_mode(self) -> None:
        async with stock(retries=0, agents=20) as (_, trmm):
            agents = await trmm.agents.list()
            first = agents[0]
            assert await trmm.agents.set_maintenance(True, agent=first) == 1
            assert (await trmm.agents.get(first)).maintenance_mode
            same_site = [agent for agent in agents if agent.site.id == first.site.id]
            assert await trmm.agents.set_maintenance(True, site=first.site) == len(same_site)
            same_client = [agent for agent in agents if agent.client.id == first.client.id]
            assert await trmm.agents.set_maintenance(False, client=first.client) == len(same_client)
            assert not (await trmm.agents.get(first)).maintenance_mode

    async def test_maintenance_mode_is_for_one_thing(self) -> None:
        async with stock(retries=0, agents=1) as (server, trmm):
            for which in ({}, {"client": 1, "site": 1}):
                with pytest.raises(InvalidRequestError, match="give one of"):
                    await trmm.agents.set_maintenance(True, **which)
            with pytest.raises(InvalidRequestError, match="on must be"):
                await trmm.agents.set_maintenance(1, client=1)  # type: ignore[call-overload]
            assert server.requests == []


class TestHistory:
    async def test_history(self) -> None:
        async with stock(retries=0, agents=20) as (server, trmm):
            agent_id = server.agent_ids[0]
            await trmm.agents.run_command(agent_id, "echo one", shell="cmd")
            await trmm.agents.run_command(agent_id, "echo two", shell="cmd")
            found = await trmm.agents.history(agent_id)
            assert [one.command for one in found[-2:]] == ["echo one", "echo two"]


async def test_the_client_waits_longer_than_the_server_does_for_the_agent() -> None:
    async with (
        asyncio.timeout(30),
        Simulator(dialect="stock", agents=20, offline_hold=0.6) as server,
        TRMM(server.url, api_key=server.api_key, dialect="stock", retries=0, timeout=0.3) as trmm,
    ):
        agent_id = agent_on(server, "windows")
        server.command("slow", seconds=0.6, stdout="done")
        assert (await trmm.agents.run_command(agent_id, "slow", shell="cmd", timeout=2)).output == "done"
        server.hang(agent_id)
        assert not await trmm.agents.ping(agent_id)
        with pytest.raises(AgentUnreachableError):
            await trmm.agents.event_log.list(agent_id)
        with pytest.raises(AgentLostError):
            await trmm.agents.reboot(agent_id)


async def test_waiting_calls_leave_workers_to_others() -> None:
    async with stock(retries=0, offline_hold=None, agents=3) as (server, trmm):
        for agent_id in server.agent_ids:
            server.command(agent_id=agent_id, seconds=0.05)
        async with asyncio.TaskGroup() as group:
            for number in range(24):
                agent_id = server.agent_ids[number % 3]
                group.create_task(trmm.agents.run_command(agent_id, "ver", shell="cmd", timeout=5))
        assert len(server.runs) == 24
        assert server.max_in_flight <= 10


# -- against recordings, without a server --------------------------------------------------------------------

NIGHT = datetime(2027, 1, 15, 23, 30)  # noqa: DTZ001 - by the agent's clock


GOOD: list[tuple[Requested, tuple[str, ...], object]] = [
    (lambda: actions.REBOOT.call(WINDOWS), ("reboot_online",), None),
    (lambda: request_of(NOUNS.agents.reboot(WINDOWS, at=NIGHT)), ("reboot_later_ok",), None),
    (
        lambda: request_of(NOUNS.agents.reboot(WINDOWS, at=datetime(2027, 1, 15, 22, 30, tzinfo=UTC))),
        ("agent_detail_windows", "reboot_later_ok"),
        None,
    ),
    (lambda: actions.SHUTDOWN.call(WINDOWS), ("shutdown_online",), None),
    (lambda: request_of(NOUNS.agents.recover(WINDOWS, mode="mesh")), ("recover_mesh",), None),
    (
        lambda: actions.UPDATE.call(WINDOWS, body={"description": "edited by api", "maintenance_mode": True}),
        ("agent_put_ok",),
        None,
    ),
    (
        lambda: actions.UPDATE.call(WINDOWS, body={"policy": None, "block_policy_inheritance": False}),
        ("agent_put_null_policy",),
        None,
    ),
    (lambda: actions.UPDATE.call(WINDOWS, body={"maintenance_mode": False}), ("agent_put_back",), None),
    (
        lambda: request_of(NOUNS.agents.update(WINDOWS, custom_fields={1: "AT-NEW"})),
        ("core_customfields", "agent_put_custom_field"),
        None,
    ),
    (lambda: request_of(NOUNS.agents.set_maintenance(True, client=3)), ("maintenance_bulk_client",), 27),
    (lambda: request_of(NOUNS.agents.set_maintenance(False, client=3)), ("maintenance_bulk_client_off",), 27),
    (lambda: request_of(NOUNS.agents.set_maintenance(True, client=5)), ("maintenance_bulk_empty",), 0),
    (lambda: request_of(NOUNS.agents.set_maintenance(False, site=1)), ("maintenance_bulk_site",), 28),
]


@pytest.mark.parametrize(("request_", "names", "result"), named(GOOD))
def test_a_call_is_worded_as_the_recorded_one_and_its_answer_is_read(
    request_: Requested, names: tuple[str, ...], result: object
) -> None:
    assert carried_out(request_(), *names) == result


BAD: list[tuple[Requested, tuple[str, ...], type[TRMMError], str]] = [
    (lambda: actions.REBOOT.call(OFFLINE), ("reboot_offline",), AgentLostError, "Unable"),
    (lambda: actions.REBOOT.call(HUNG), ("reboot_hung",), AgentLostError, "Unable"),
    (lambda: actions.REBOOT.call(WINDOWS), ("natsdown__reboot",), AgentLostError, "Unable"),
    (
        lambda: actions.REBOOT.call(OFFLINE),
        ("natsapi_down__reboot_offline",),
        ServerError,
        "nats-api is down",
    ),
    (
        lambda: request_of(NOUNS.agents.reboot(LINUX, at=NIGHT)),
        ("reboot_later_linux",),
        BadRequestError,
        "Not currently implemented for linux",
    ),
    (
        lambda: request_of(NOUNS.agents.reboot(WINDOWS, at=NIGHT.replace(year=2020))),
        ("reboot_later_past",),
        BadRequestError,
        "in the past",
    ),
    (
        lambda: request_of(NOUNS.agents.recover(HUNG, mode="mesh")),
        ("recover_mesh_hung",),
        AgentLostError,
        "the agent did not answer",
    ),
    (
        lambda: request_of(NOUNS.agents.recover(WINDOWS, mode="tacagent")),
        ("recover_tacagent",),
        ServerError,
        "MeshCentral",
    ),
    (
        lambda: actions.UPDATE.call(WINDOWS, body={"site": 99999}),
        ("agent_put_bad_site",),
        BadRequestError,
        "site: Invalid pk",
    ),
    (
        lambda: actions.UPDATE.call(WINDOWS, body={"monitoring_type": "laptop", "offline_time": -1}),
        ("agent_put_bad_value",),
        BadRequestError,
        "not a valid choice",
    ),
    (
        lambda: request_of(NOUNS.agents.update(WINDOWS, custom_fields={99999: "x"})),
        ("core_customfields",),
        InvalidRequestError,
        "no custom field with the id 99999",
    ),
]


@pytest.mark.parametrize(("request_", "names", "error", "words"), named(BAD))
def test_a_refusal_is_the_error_that_it_means(
    request_: Requested, names: tuple[str, ...], error: type[TRMMError], words: str
) -> None:
    refused(request_(), names, error, words)


MANNERS: list[tuple[Requested, Replay, float | None]] = [
    (lambda: actions.REBOOT.call("a"), NEVER, 10),
    (lambda: request_of(NOUNS.agents.reboot("a", at=NIGHT)), NEVER, 10),
    (lambda: actions.SHUTDOWN.call("a"), NEVER, 10),
    (lambda: request_of(NOUNS.agents.recover("a", mode="mesh")), NEVER, 60),
    (lambda: request_of(NOUNS.agents.recover("a", mode="tacagent")), NEVER, 60),
    (lambda: actions.UPDATE.call("a", body={"description": ""}), AGAIN, None),
    (lambda: request_of(NOUNS.agents.set_maintenance(True, site=1)), AGAIN, None),
]


@pytest.mark.parametrize(("request_", "replay", "seconds"), MANNERS)
def test_what_waits_for_an_agent_holds_a_worker_and_what_changes_it_is_not_sent_twice(
    request_: Requested, replay: Replay, seconds: float | None
) -> None:
    waits(request_(), replay, seconds)


class TestOddAnswers:
    @pytest.mark.parametrize("zone", ["Mars/Olympus", "", None, "../etc"])
    def test_a_time_zone_that_is_not_known_here(self, zone: str | None) -> None:
        plan = request_of(NOUNS.agents.reboot("a", at=datetime(2027, 1, 15, 22, 30, tzinfo=UTC)))
        assert isinstance(plan, Plan)
        steps = plan.steps()
        clock = next(steps).decode(json.dumps({"timezone": zone}).encode())
        with pytest.raises(InvalidRequestError, match="by the agent's own clock"):
            steps.send(clock)


async def test_an_agent_has_its_own_patch_policy() -> None:
    async with served("stock", agents=1) as (server, trmm):
        agent = server.agents[0]
        await trmm.agents.update(agent.agent_id, patch_policy={"critical": "approve", "run_time_hour": 22})
        extra = (await trmm.agents.get(agent.agent_id)).extra
        own = extra["winupdatepolicy"][0]
        assert (own["critical"], own["run_time_hour"]) == ("approve", 22)
        await trmm.policies.patches.update(own["id"], critical="ignore")
        assert agent.update_policy["critical"] == "ignore"
        wrong: list[Any] = [
            {},
            [{"critical": "approve"}],
            {"critical": "yes"},
            {"run_time_hour": 24},
            {"x": 1},
        ]
        for each in wrong:
            with pytest.raises(InvalidRequestError):
                await trmm.agents.update(agent.agent_id, patch_policy=each)
        assert count(server, "PUT", "agents") == 1


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
