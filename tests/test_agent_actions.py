"""`trmm.agents` on a stock server: what is done to an agent and asked of it, over real HTTP."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from tests.peer import Peer, Request, answer, peer
from trmm_async import (
    TRMM,
    Agent,
    CommandResult,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    UnsupportedError,
)
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    BadRequestError,
    ServerError,
    ServerFaultError,
)
from trmm_async.resources.agents import Agents
from trmm_async.resources.resource import Resource
from trmm_async.testing import ScriptReply, Simulator

KEY = "key-for-tests"


@asynccontextmanager
async def stock(**world: Any) -> AsyncIterator[tuple[Simulator, TRMM]]:
    quick: dict[str, Any] = {"dialect": "stock", "script_seconds": 0.001, "offline_hold": 0.01, "agents": 20}
    async with (
        asyncio.timeout(30),
        Simulator(**{**quick, **world}) as server,
        TRMM(server.url, api_key=server.api_key, dialect="stock", retries=0) as trmm,
    ):
        yield server, trmm


def of(server: Simulator, plat: str) -> str:
    return next(agent.agent_id for agent in server.agents if agent.plat == plat)


class TestCommands:
    async def test_one_runs_and_its_output_comes_back(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            done = await trmm.agents.run_command(agent_id, "echo hello", shell="cmd", timeout=5)
            assert done.output.strip() == "hello"
            (run,) = server.runs
            assert (run.command, run.shell, run.timeout, run.run_as_user) == ("echo hello", "cmd", 5, False)
            assert [request.method for request in server.requests] == ["POST"]

    async def test_the_shell_is_that_of_the_platform(self) -> None:
        async with stock() as (server, trmm):
            linux, windows = of(server, "linux"), of(server, "windows")
            await trmm.agents.run_command(linux, "uptime")
            await trmm.agents.run_command(windows, "ver")
            asked = len(server.requests)
            await trmm.agents.run_command(Agent(agent_id=linux, plat="linux"), "uptime", run_as_user=True)
            await trmm.agents.run_command(windows, "ver", custom_shell="C:\\pwsh.exe")
            assert [run.shell for run in server.runs] == ["/bin/bash", "cmd", "/bin/bash", "C:\\pwsh.exe"]
            assert len(server.requests) == asked + 2

    async def test_an_agent_that_does_not_answer_may_have_got_it(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            server.go_offline(agent_id)
            with pytest.raises(AgentUnreachableError, match="Unable to contact the agent") as caught:
                await trmm.agents.run_command(agent_id, "ver", shell="cmd", timeout=1)
            assert isinstance(caught.value, OutcomeUnknownError)
            assert len(server.requests) == 1

    async def test_a_bus_that_is_down_is_told_as_such(self) -> None:
        async with stock() as (server, trmm):
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS") as caught:
                await trmm.agents.run_command(server.agent_ids[0], "ver", shell="cmd", timeout=1)
            assert not isinstance(caught.value, OutcomeUnknownError)
            assert server.runs == []

    async def test_the_word_for_it_may_be_printed_too(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            server.command("say", handler=lambda run: ScriptReply(stdout="natsdown"))
            done = await trmm.agents.run_command(agent_id, "say", shell="cmd", timeout=1)
            assert done == CommandResult(output="natsdown")

    async def test_where_the_history_may_not_be_seen_it_can_not_be_told(self) -> None:
        async with stock() as (server, trmm):
            server.command("say", handler=lambda run: ScriptReply(stdout="natsdown"))
            with (
                server.restrict("can_list_agent_history"),
                pytest.raises(AgentLostError, match="just that word"),
            ):
                await trmm.agents.run_command(server.agent_ids[0], "say", shell="cmd", timeout=1)

    async def test_an_answer_that_is_lost_is_an_unknown_outcome(self) -> None:
        async with stock() as (server, trmm):
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
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.run_command(server.agent_ids[0], words, **named)
            assert server.requests == []


class TestPower:
    async def test_ping(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            assert await trmm.agents.ping(agent_id)
            server.hang(agent_id)
            assert not await trmm.agents.ping(agent_id)
            with pytest.raises(NotFoundError):
                await trmm.agents.ping("x" * 40)

    async def test_an_agent_reboots_and_shuts_down(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            await trmm.agents.reboot(agent_id)
            await trmm.agents.shutdown(agent_id)
            assert not await trmm.agents.ping(agent_id)
            for action in (trmm.agents.reboot, trmm.agents.shutdown):
                with pytest.raises(AgentLostError):
                    await action(agent_id)

    async def test_a_reboot_is_planned(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            soon = datetime.now(UTC) + timedelta(days=1)
            await trmm.agents.reboot(agent_id, at=soon)
            sent = json.loads(server.requests[-1].body)["datetime"]
            zone = ZoneInfo((await trmm.agents.get(agent_id)).extra["timezone"])
            planned = datetime.fromisoformat(sent).replace(tzinfo=zone)
            assert timedelta(0) <= planned - soon < timedelta(minutes=1)

    async def test_a_reboot_is_planned_by_the_agents_clock(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
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
        async with stock() as (server, trmm):
            with pytest.raises(BadRequestError, match="linux"):
                await trmm.agents.reboot(of(server, "linux"), at=datetime.now(UTC) + timedelta(hours=1))

    @pytest.mark.parametrize("at", ["tomorrow", datetime(2020, 1, 1, tzinfo=UTC), 5])
    async def test_a_time_that_is_none_is_not_sent(self, at: Any) -> None:
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.reboot(server.agent_ids[0], at=at)
            assert server.requests == []

    async def test_recovery(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            await trmm.agents.recover(agent_id)
            server.go_offline(agent_id)
            await trmm.agents.recover(agent_id, mode="tacagent")
            with pytest.raises(AgentLostError):
                await trmm.agents.recover(agent_id, mode="mesh")
            with pytest.raises(InvalidRequestError):
                await trmm.agents.recover(agent_id, mode="foo")  # type: ignore[arg-type]

    async def test_a_server_that_fails_says_why_it_may(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            server.go_offline(agent_id)
            with server.natsapi_down():
                with pytest.raises(ServerError, match="nats-api"):
                    await trmm.agents.processes.list(agent_id)
                with pytest.raises(ServerFaultError, match="nats-api"):
                    await trmm.agents.reboot(agent_id)


class TestSettings:
    async def test_are_changed(self) -> None:
        async with stock() as (server, trmm):
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
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            field = server.add_custom_field("Tag")
            await trmm.agents.update(agent_id, custom_fields={field: "AT-1"}, description="d")
            agent = await trmm.agents.get(agent_id)
            assert {one.field: one.value for one in agent.custom_fields}[field] == "AT-1"
            assert agent.description == "d"

    async def test_nothing_is_changed_where_one_is_wrong(self) -> None:
        async with stock() as (server, trmm):
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
            {"site": "HQ"},
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
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.update(server.agent_ids[0], **changes)
            assert server.requests == []

    async def test_what_is_not_known_is_refused_and_what_could_be_meant_is_named(self) -> None:
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match=r"'polcy' \(did you mean policy\?\)"):
                await trmm.agents.update(server.agent_ids[0], polcy=1)  # type: ignore[call-arg]
            assert server.requests == []

    async def test_maintenance_mode(self) -> None:
        async with stock() as (_, trmm):
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
        async with stock(agents=1) as (server, trmm):
            for which in ({}, {"client": 1, "site": 1}):
                with pytest.raises(InvalidRequestError, match="give one of"):
                    await trmm.agents.set_maintenance(True, **which)
            with pytest.raises(InvalidRequestError, match="on must be"):
                await trmm.agents.set_maintenance(1, client=1)  # type: ignore[call-overload]
            assert server.requests == []


class TestTheInside:
    async def test_processes(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            found = await trmm.agents.processes.list(agent_id)
            victim = next(one for one in found if one.pid > 1000)
            await trmm.agents.processes.kill(agent_id, victim)
            assert victim.pid not in {one.pid for one in await trmm.agents.processes.list(agent_id)}
            with pytest.raises(BadRequestError, match="denied"):
                await trmm.agents.processes.kill(agent_id, 4)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.processes.kill(agent_id, "x")  # type: ignore[arg-type]

    async def test_services(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            names = {one.name for one in await trmm.agents.services(agent_id)}
            assert "Spooler" in names
            spooler = await trmm.agents.services.get(agent_id, "Spooler")
            await trmm.agents.services.control(agent_id, spooler, "stop")
            await trmm.agents.services.update(agent_id, spooler, start_type="disabled")
            after = await trmm.agents.services.get(agent_id, spooler)
            assert (after.status, after.start_type) == ("stopped", "Disabled")
            with pytest.raises(NotFoundError, match="no service 'nosuch'"):
                await trmm.agents.services.get(agent_id, "nosuch")
            with pytest.raises(BadRequestError, match="denied"):
                await trmm.agents.services.control(agent_id, "denied", "restart")

    @pytest.mark.parametrize("name", ["", "a/b", "..", " a", 5])
    async def test_a_service_that_is_none_is_not_sent(self, name: Any) -> None:
        async with stock(agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.services.get(server.agent_ids[0], name)
            assert server.requests == []

    async def test_software(self) -> None:
        async with stock() as (server, trmm):
            windows, linux = of(server, "windows"), of(server, "linux")
            assert {one.name for one in await trmm.agents.software.list(windows)}
            assert await trmm.agents.software.list(linux) == []
            await trmm.agents.software.refresh(windows)
            with pytest.raises(BadRequestError, match="linux"):
                await trmm.agents.software.refresh(linux)

    async def test_event_logs(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            found = await trmm.agents.event_log.list(agent_id, "Security", days=2)
            assert {one.event_type for one in found} >= {"INFO", "ERROR"}
            assert all(one.time is not None and one.time.tzinfo is None for one in found)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.event_log.list(agent_id, "Nonsense")  # type: ignore[arg-type]
            with pytest.raises(InvalidRequestError):
                await trmm.agents.event_log.list(agent_id, days=0)

    async def test_windows_updates(self) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            first = (await trmm.agents.windows_updates.list(agent_id))[0]
            await trmm.agents.windows_updates.update(first, "approve")
            again = (await trmm.agents.windows_updates.list(agent_id))[0]
            assert (again.id, again.action, again.agent_id) == (first.id, "approve", agent_id)
            await trmm.agents.windows_updates.scan(agent_id)
            await trmm.agents.windows_updates.install(agent_id)
            with pytest.raises(InvalidRequestError):
                await trmm.agents.windows_updates.update(first, "manual")  # type: ignore[arg-type]

    async def test_notes(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            before = await trmm.agents.notes.list(agent_id)
            made = await trmm.agents.notes.create(agent_id, "one\ntwo ✓")
            assert (made.note, made.agent_id, made.username) == ("one\ntwo ✓", agent_id, server.username)
            await trmm.agents.notes.update(made, "three")
            assert [one.note for one in await trmm.agents.notes.list(agent_id) if one.id == made.id] == [
                "three"
            ]
            await trmm.agents.notes.delete(made)
            assert await trmm.agents.notes.list(agent_id) == before
            with pytest.raises(NotFoundError):
                await trmm.agents.notes.update(made.id, "four")
            with pytest.raises(InvalidRequestError):
                await trmm.agents.notes.create(agent_id, " ")

    async def test_a_note_whose_answer_is_lost_is_found_all_the_same(self) -> None:
        async with stock() as (server, trmm):
            server.cut("POST", "/agents/notes/")
            made = await trmm.agents.notes.create(server.agent_ids[0], "once")
            assert [one.id for one in await trmm.agents.notes.list(server.agent_ids[0])] == [made.id]

    async def test_history(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            await trmm.agents.run_command(agent_id, "echo one", shell="cmd")
            await trmm.agents.run_command(agent_id, "echo two", shell="cmd")
            found = await trmm.agents.history(agent_id)
            assert [one.command for one in found[-2:]] == ["echo one", "echo two"]

    @pytest.mark.parametrize(
        "ask",
        [
            lambda agents, agent_id: agents.processes.list(agent_id),
            lambda agents, agent_id: agents.services(agent_id),
            lambda agents, agent_id: agents.services.get(agent_id, "Spooler"),
            lambda agents, agent_id: agents.event_log.list(agent_id),
            lambda agents, agent_id: agents.event_log.list(agent_id, "Security"),
        ],
    )
    async def test_an_agent_that_is_asked_in_vain(
        self, ask: Callable[[Agents, str], Awaitable[object]]
    ) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            server.hang(agent_id)
            with pytest.raises(AgentUnreachableError) as caught:
                await ask(trmm.agents, agent_id)
            assert not isinstance(caught.value, OutcomeUnknownError)

    @pytest.mark.parametrize(
        "change",
        [
            lambda agents, agent_id: agents.processes.kill(agent_id, 1234),
            lambda agents, agent_id: agents.services.control(agent_id, "Spooler", "restart"),
            lambda agents, agent_id: agents.services.update(agent_id, "Spooler", start_type="auto"),
            lambda agents, agent_id: agents.software.refresh(agent_id),
        ],
    )
    async def test_an_agent_that_is_told_in_vain(
        self, change: Callable[[Agents, str], Awaitable[object]]
    ) -> None:
        async with stock() as (server, trmm):
            agent_id = of(server, "windows")
            server.hang(agent_id)
            with pytest.raises(AgentLostError):
                await change(trmm.agents, agent_id)
            assert len(server.requests) == 1

    async def test_a_service_behind_a_bus_that_is_down(self) -> None:
        async with stock() as (server, trmm):
            with server.nats_down(), pytest.raises(AgentUnreachableError, match="NATS"):
                await trmm.agents.services.get(of(server, "windows"), "Spooler")

    async def test_an_answer_that_is_none_of_it_can_not_be_read(self) -> None:
        async def nonsense(_: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer(b'"no more memory"'))
            return True

        async with (
            asyncio.timeout(30),
            peer(nonsense) as server,
            TRMM(server.url, api_key=KEY, dialect="stock") as trmm,
        ):
            for asked in (
                trmm.agents.processes.list("a"),
                trmm.agents.services.get("a", "s"),
                trmm.agents.software.list("a"),
            ):
                with pytest.raises(DecodeError):
                    await asked


async def test_the_client_waits_longer_than_the_server_does_for_the_agent() -> None:
    async with (
        asyncio.timeout(30),
        Simulator(dialect="stock", agents=20, offline_hold=0.6) as server,
        TRMM(server.url, api_key=server.api_key, dialect="stock", retries=0, timeout=0.3) as trmm,
    ):
        agent_id = of(server, "windows")
        server.command("slow", seconds=0.6, stdout="done")
        assert (await trmm.agents.run_command(agent_id, "slow", shell="cmd", timeout=2)).output == "done"
        server.hang(agent_id)
        assert not await trmm.agents.ping(agent_id)
        with pytest.raises(AgentUnreachableError):
            await trmm.agents.event_log.list(agent_id)
        with pytest.raises(AgentLostError):
            await trmm.agents.reboot(agent_id)


async def test_waiting_calls_leave_workers_to_others() -> None:
    async with stock(offline_hold=None, agents=3) as (server, trmm):
        for agent_id in server.agent_ids:
            server.command(agent_id=agent_id, seconds=0.05)
        async with asyncio.TaskGroup() as group:
            for number in range(24):
                agent_id = server.agent_ids[number % 3]
                group.create_task(trmm.agents.run_command(agent_id, "ver", shell="cmd", timeout=5))
        assert len(server.runs) == 24
        assert server.max_in_flight <= 10


# -- a gateway has none of it --------------------------------------------------------------------------------

WHATEVER: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "run_command": (("a", "ver"), {}),
    "ping": (("a",), {}),
    "reboot": (("a",), {}),
    "reboot at": (("a",), {"at": datetime(2100, 1, 1, tzinfo=UTC)}),
    "shutdown": (("a",), {}),
    "recover": (("a",), {}),
    "update": (("a",), {"description": "d"}),
    "set_maintenance": ((True,), {"agent": "a"}),
    "set_maintenance client": ((True,), {"client": 1}),
    "history": (("a",), {}),
    "processes.list": (("a",), {}),
    "processes.kill": (("a", 1), {}),
    "services": (("a",), {}),
    "services.get": (("a", "s"), {}),
    "services.control": (("a", "s", "stop"), {}),
    "services.update": (("a", "s"), {"start_type": "auto"}),
    "software.list": (("a",), {}),
    "software.refresh": (("a",), {}),
    "event_log.list": (("a",), {}),
    "windows_updates.list": (("a",), {}),
    "windows_updates.update": ((1, "approve"), {}),
    "windows_updates.scan": (("a",), {}),
    "windows_updates.install": (("a",), {}),
    "notes.list": (("a",), {}),
    "notes.create": (("a", "n"), {}),
    "notes.update": ((1, "n"), {}),
    "notes.delete": ((1,), {}),
}


def _of_bases() -> Iterator[str]:
    for base in Agents.__bases__:
        yield from (name for name in vars(base) if not name.startswith("_"))
    for noun, methods in vars(Agents(cast("Any", None))).items():
        if isinstance(methods, Resource):
            yield from (f"{noun}.{name}" for name in vars(type(methods)) if not name.startswith("_"))
            if callable(methods):
                yield noun


def test_every_method_is_tried_on_a_gateway() -> None:
    assert {name.partition(" ")[0] for name in WHATEVER} == set(_of_bases())


@pytest.mark.parametrize("name", WHATEVER)
async def test_a_gateway_has_none_of_it(name: str) -> None:
    method, (given, named) = name.partition(" ")[0], WHATEVER[name]
    async with (
        asyncio.timeout(30),
        Simulator(agents=1) as server,
        TRMM(server.url, api_key=server.api_key) as trmm,
    ):
        with pytest.raises(UnsupportedError, match=rf"agents\.{re.escape(method)}\b"):
            await attrgetter(method)(trmm.agents)(*given, **named)
        assert server.requests == []
