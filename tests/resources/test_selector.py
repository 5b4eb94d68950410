"""Agents by what they have in common: a value that is read when it is used, to its end."""

import asyncio
import inspect
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import Peer, Request, peer
from tests.servers import count, served, until
from trmm_async import (
    TRMM,
    Agent,
    AgentOffline,
    ConnectionFailedError,
    Counts,
    CustomFieldValue,
    Done,
    FleetRun,
    InvalidRequestError,
    Outcome,
    Skipped,
    UnknownNameError,
    UnsupportedError,
)
from trmm_async.resources.selector import checked_criteria

NOTHING: dict[str, Any] = dict.fromkeys(inspect.signature(checked_criteria).parameters)


def meant(agents: list[Agent], **criteria: Any) -> list[str]:
    """Whom of these a selector means."""
    checked = checked_criteria(**NOTHING | criteria)
    wanted = checked.wanted(dict.fromkeys(checked.custom_fields, 7))
    return [agent.hostname for agent in agents if wanted(agent)]


FLEET = [
    Agent(agent_id="a", hostname="Web-01", plat="linux", operating_system="Rocky Linux 9.4", status="online"),
    Agent(agent_id="b", hostname="web-12", plat="linux", status="offline", needs_reboot=True),
    Agent(agent_id="c", hostname="SRV-1", plat="windows", operating_system="Windows Server 2019 Standard"),
    Agent(agent_id="d", custom_fields=(CustomFieldValue(field=7, value=("red", "blue")),)),
    Agent(agent_id="e", hostname="e", custom_fields=(CustomFieldValue(field=7, value="red"),)),
]


class TestWhom:
    @pytest.mark.parametrize(
        ("criteria", "hosts"),
        [
            ({}, ["Web-01", "web-12", "SRV-1", "", "e"]),
            ({"hostname": "WEB-*"}, ["Web-01", "web-12"]),
            ({"hostname": "web-?2"}, ["web-12"]),
            ({"hostname": "web"}, []),
            ({"plat": "Linux", "status": "online"}, ["Web-01"]),
            ({"plat": ["windows", "darwin"]}, ["SRV-1"]),
            ({"status": ("offline", "overdue")}, ["web-12"]),
            ({"operating_system": "*server 2019*"}, ["SRV-1"]),
            ({"where": lambda agent: agent.needs_reboot}, ["web-12"]),
            ({"hostname": "web*", "where": lambda agent: agent.plat == "windows"}, []),
            ({"custom_fields": {"Colour": "red"}}, ["", "e"]),
            ({"custom_fields": {"Colour": ["blue", "red"]}}, [""]),
            ({"custom_fields": {7: None}, "hostname": "web*"}, ["Web-01", "web-12"]),
        ],
    )
    def test_who_has_all_of_it(self, criteria: dict[str, Any], hosts: list[str]) -> None:
        assert meant(FLEET, **criteria) == hosts

    @given(st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="*?["), min_size=1))
    def test_a_name_without_a_pattern_is_the_name_itself(self, name: str) -> None:
        if name.strip():
            assert meant([Agent(agent_id="x", hostname=name)], hostname=name) == [name]
            assert meant([Agent(agent_id="x", hostname=f"{name}-2")], hostname=name) == []

    async def test_a_server_and_a_client_together(self, dialect: str) -> None:
        async with served(dialect, agents=40) as (_, trmm):
            everyone = await trmm.agents.list()
            one = everyone[0]
            selector = trmm.agents.select(
                client=(one.client.name or "").upper(),
                site=one.site.name,
                monitoring_type=one.monitoring_type,  # type: ignore[arg-type]
                where=lambda agent: agent.agent_id != one.agent_id,
            )
            alike = [
                each
                for each in everyone[1:]
                if (each.client, each.site, each.monitoring_type)
                == (one.client, one.site, one.monitoring_type)
            ]
            assert await selector.list() == alike
            assert await selector.agent_ids() == [each.agent_id for each in alike]

    async def test_custom_fields_by_name_of_a_stock_server(self) -> None:
        async with served("stock", agents=3) as (server, trmm):
            field = await trmm.custom_fields.create(name="Rack", model="agent")
            racked = server.agent_ids[1]
            await trmm.agents.update(racked, custom_fields={field.id: "A3"})
            for name in ("rack", field.id, field):
                selector = trmm.agents.select(custom_fields={name: "A3"})
                assert await selector.agent_ids() == [racked]
            with pytest.raises(UnknownNameError, match=r"no custom field 'Rick'; did you mean 'Rack'\?"):
                await trmm.agents.select(custom_fields={"Rick": "A3"}).list()

    async def test_custom_fields_are_not_told_by_a_gateway(self) -> None:
        async with served("gateway", agents=3) as (server, trmm):
            with pytest.raises(UnsupportedError, match="custom_fields"):
                await trmm.agents.select(custom_fields={"Rack": "A3"}).list()
            assert not server.requests

    def test_words_are_taken_in_any_case_all_alike(self) -> None:
        words = {"monitoring_type": "Server", "plat": "LINUX", "status": ["Online"]}
        checked = checked_criteria(**NOTHING | words)
        assert checked.query.monitoring_type == "server"
        assert (checked.plat, checked.status) == (frozenset({"linux"}), frozenset({"online"}))

    @pytest.mark.parametrize(
        ("criteria", "said"),
        [
            ({"where": 5}, "where must be a plain function"),
            ({"where": asyncio.sleep}, "where must be a plain function"),
            ({"hostname": " "}, "hostname must not be empty"),
            ({"plat": []}, "plat must not be empty"),
            ({"status": 3}, "status must be a sequence of texts"),
            ({"client": 1.5}, "client must be an id"),
            ({"monitoring_type": "laptop"}, "monitoring_type must be one of"),
            ({"custom_fields": {}}, "custom_fields must be a mapping"),
            ({"custom_fields": {"x": object()}}, "custom_fields: a value must be"),
        ],
    )
    def test_what_is_wrong_is_said_at_once(self, criteria: dict[str, Any], said: str) -> None:
        with pytest.raises(InvalidRequestError, match=said):
            checked_criteria(**NOTHING | criteria)

    def test_it_shows_what_it_means(self) -> None:
        trmm = TRMM("https://rmm.example.com", api_key="k")
        assert repr(trmm.agents.select()) == "<Selector of all agents>"

        def old(agent: Agent) -> bool:
            return agent.version == "2"

        told = repr(trmm.agents.select(client="Acme", plat="linux", custom_fields={"Pin": "1"}, where=old))
        assert told == "<Selector client='Acme', plat=['linux'], custom_fields, where=old>"


class TestRuns:
    async def test_it_is_read_to_its_end_before_the_first_is_sent(self, dialect: str, tmp_path: Path) -> None:
        async with served(dialect, agents=30) as (server, trmm):
            seen: list[int] = []

            def note(_: Agent) -> bool:
                seen.append(len(server.runs))
                return True

            targets = trmm.agents.select(where=note)
            async with trmm.fleet.run_script(targets, script=1, batch=0.5) as run:
                assert run.counts == Counts(pending=30)  # a share of it can be told: the total is known
                outcomes = [outcome async for outcome in run]
            assert seen == [0] * 30
            assert {outcome.agent_id for outcome in outcomes} == set(server.agent_ids)
            kept = await trmm.fleet.run_script(targets, script=1, journal=tmp_path / "run.db")
            assert [outcome.agent_id for outcome in kept] == [one.agent_id for one in await targets.list()]

    async def test_it_is_read_anew_each_time(self, dialect: str) -> None:
        async with served(dialect, agents=4) as (server, trmm):
            online = trmm.agents.select(status="online")
            before = await trmm.fleet.run_script(online, script=1)
            server.go_offline(before[0].agent_id)
            after = await trmm.fleet.run_script(online, script=1)
            assert {one.agent_id for one in before} - {one.agent_id for one in after} == {before[0].agent_id}
            assert all(isinstance(one, Done) for one in after)

    async def test_one_that_means_nobody_is_no_outcome(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            assert await trmm.fleet.run_script(trmm.agents.select(hostname="nobody-*"), script=1) == []
            assert not server.runs

    async def test_if_it_can_not_be_read_nothing_is_sent(self, dialect: str, tmp_path: Path) -> None:
        async with served(dialect, agents=20) as (server, trmm):
            server.cut("GET", "/agents/", times=9)
            journal = tmp_path / "run.db"
            with pytest.raises(ConnectionFailedError):
                await trmm.fleet.run_script(trmm.agents.select(), script=1, journal=journal)
            assert not server.runs
            assert not journal.exists()

    async def test_what_the_function_raises_comes_as_it_is(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            targets = trmm.agents.select(where=lambda agent: bool(1 / 0) or agent.needs_reboot is None)
            with pytest.raises(ZeroDivisionError):
                await trmm.fleet.run_script(targets, script=1)
            assert not server.runs

    async def test_a_run_that_is_stopped_while_it_is_read_sends_nothing(
        self, dialect: str, tmp_path: Path
    ) -> None:
        async with served(dialect, agents=5) as (server, trmm):
            server.slow("GET", "/agents/", 30, after=False)
            run = trmm.fleet.run_script(trmm.agents.select(), script=1, journal=tmp_path / "run.db")
            running = asyncio.create_task(_outcomes(run))
            await until(lambda: count(server, "GET", "/agents/"))
            run.stop()
            assert await running == []
            assert run.stopped
            assert not server.runs
            assert not (tmp_path / "run.db").exists()

    async def test_a_run_that_its_function_stops_skips_all_of_it(self, dialect: str) -> None:
        async with served(dialect, agents=5) as (server, trmm):

            def stop(_: Agent) -> bool:
                run.stop()
                return True

            run = trmm.fleet.run_script(trmm.agents.select(where=stop), script=1)
            assert {type(outcome) for outcome in await run} == {Skipped}
            assert not server.runs

    async def test_an_unknown_client_is_said_with_names_that_are_alike(self, dialect: str) -> None:
        async with served(dialect, agents=5) as (server, trmm):
            name = (await trmm.clients.list())[0].name
            with pytest.raises(UnknownNameError) as caught:
                await trmm.fleet.run_script(trmm.agents.select(client=name[:-1] + "!"), script=1)
            assert caught.value.near[0] == name
            assert not server.runs


class TestEvents:
    async def test_it_is_read_when_the_block_is_entered(self, dialect: str) -> None:
        async with served(dialect, agents=6) as (server, trmm):
            some = set(server.agent_ids[:3])
            chosen = trmm.agents.select(where=lambda agent: agent.agent_id in some)
            subscription = trmm.events(chosen, server.agent_ids[4])
            assert set(subscription.state) == {server.agent_ids[4]}
            async with subscription as events:
                assert set(events.state) == some | {server.agent_ids[4]}
                # Whose clients are known: a filter by client is no mistake then.
                assert events._clients.keys() == some

    async def test_it_tells_of_those_that_it_meant(self) -> None:
        async with served("gateway", agents=4) as (server, trmm):
            who = server.agent_ids[2]
            async with trmm.events(trmm.agents.select(where=lambda agent: agent.agent_id == who)) as events:
                server.go_offline(server.agent_ids[0])
                server.go_offline(who)
                event = await anext(events)
            assert isinstance(event, AgentOffline)
            assert event.agent_id == who

    async def test_one_that_means_nobody_is_no_stream(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (_, trmm):
            events = trmm.events(trmm.agents.select(hostname="nobody-*"))
            with pytest.raises(InvalidRequestError, match=r"<Selector hostname='nobody-\*'> means none now"):
                await events.__aenter__()


async def _outcomes(run: FleetRun) -> list[Outcome]:
    return await run


def listed(agents: int, *, parts: int) -> Any:
    """Answers with so many agents in so many parts, one in memory at a time."""
    item = b'{"agent_id":"%040d","hostname":"web-%d","plat":"linux","client":{"id":1,"name":"Acme"}}'
    each = range(agents // parts)
    template = b",".join([item] * len(each))
    size = parts * (len(template % tuple(number for one in each for number in (one, 1000))) + 1) + 1

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for part in range(parts):
            numbers = tuple(number for one in each for number in (part * len(each) + one, 1000 + part))
            writer.write((b"," if part else b"[") + template % numbers)
            await writer.drain()
        writer.write(b"]")
        return True

    return handle


class TestMemory:
    async def test_is_that_of_the_ids_however_many_agents_are_read(self) -> None:
        agents = 4_000
        async with peer(listed(agents, parts=40)) as server:
            async with TRMM(server.url, api_key="k", rate_limit=None, dialect="gateway") as trmm:
                first = await trmm.agents.select(hostname="web-1000").agent_ids()
                assert len(first) == agents // 40
                tracemalloc.start()
                try:
                    none = await trmm.agents.select(hostname="db-*").agent_ids()
                    _, nobody = tracemalloc.get_traced_memory()
                    every = await trmm.agents.select(hostname="web-*").agent_ids()
                    _, everybody = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
        assert (len(none), len(set(every))) == (0, agents)
        # The agents themselves are 6 MB; 0.9 MB alone, 1.6 MB where a busy machine lets the buffers fill.
        buffers = 2_500_000
        assert nobody < buffers
        assert everybody < buffers + 200 * agents
