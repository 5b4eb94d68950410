"""Agents, as either kind of server has them; what only a stock server has of them is refused by a gateway."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, cast

import pytest

from tests.peer import always, answer, peer
from tests.servers import NOBODY, served, until
from trmm_async import (
    TRMM,
    AmbiguousNameError,
    InvalidRequestError,
    NotFoundError,
    UnsupportedError,
)
from trmm_async.resources.agents import Agents
from trmm_async.resources.resource import Resource

KEY = "key-for-tests"
KEY_PATH = r"HKEY_LOCAL_MACHINE\SOFTWARE\Acme"


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
    "script_history": ((), {}),
    "wake": (("a",), {}),
    "recover_all": ((), {}),
    "refresh_wmi": (("a",), {}),
    "remote_control": (("a",), {}),
    "upgrade": ((["a"],), {}),
    "versions": ((), {}),
    "processes.list": (("a",), {}),
    "processes.kill": (("a", 1), {}),
    "services": (("a",), {}),
    "services.get": (("a", "s"), {}),
    "services.control": (("a", "s", "stop"), {}),
    "services.update": (("a", "s"), {"start_type": "auto"}),
    "software.list": (("a",), {}),
    "software.refresh": (("a",), {}),
    "software.install": (("a", "p"), {}),
    "software.uninstall": (("a", "s"), {"command": "u"}),
    "software.packages": ((), {}),
    "software.everywhere": ((), {}),
    "event_log.list": (("a",), {}),
    "windows_updates.list": (("a",), {}),
    "windows_updates.update": ((1, "approve"), {}),
    "windows_updates.scan": (("a",), {}),
    "windows_updates.install": (("a",), {}),
    "notes.list": (("a",), {}),
    "notes.get": ((1,), {}),
    "notes.create": (("a", "n"), {}),
    "notes.update": ((1, "n"), {}),
    "notes.delete": ((1,), {"with_text": True}),
    "registry.browse": (("a",), {}),
    "registry.create_key": (("a", KEY_PATH), {}),
    "registry.rename_key": (("a", KEY_PATH, KEY_PATH + "2"), {}),
    "registry.delete_key": (("a", KEY_PATH), {}),
    "registry.create_value": (("a", KEY_PATH, "v"), {"type": "REG_SZ", "data": "d"}),
    "registry.set_value": (("a", KEY_PATH, "v"), {"type": "REG_SZ", "data": "d"}),
    "registry.rename_value": (("a", KEY_PATH, "v", "w"), {}),
    "registry.delete_value": (("a", KEY_PATH, "v"), {"with_data": True}),
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
    async with served("gateway", agents=1) as (server, trmm):
        with pytest.raises(UnsupportedError, match=rf"agents\.{re.escape(method)}\b"):
            await attrgetter(method)(trmm.agents)(*given, **named)
        assert server.requests == []


KEY = "key-for-tests"
# What the two kinds of server do differently.
ONLY_IN_DETAIL = {"gateway": "patches_pending", "stock": "winupdatepolicy"}
SENT_AS = {"gateway": "wait", "stock": "forget"}
STORED_AS = {"gateway": "collector", "stock": "bulk"}


class TestAgents:
    async def test_are_listed_and_filtered(self, dialect: str) -> None:
        async with served(dialect, agents=30) as (_, trmm):
            everything = await trmm.agents.list()
            assert len(everything) == 30
            first = everything[0]
            assert isinstance(first.last_seen, datetime)
            same_client = await trmm.agents.list(client=first.client)
            assert {agent.client.id for agent in same_client} == {first.client.id}
            assert [agent.hostname for agent in await trmm.agents.list(hostname=first.hostname)] == [
                first.hostname
            ]
            servers = await trmm.agents.list(site=first.site, monitoring_type="server")
            workstations = await trmm.agents.list(site=first.site, monitoring_type="workstation")
            assert len(servers) + len(workstations) == len(await trmm.agents.list(site=first.site))

    async def test_one_has_what_the_server_sent_beyond_our_fields(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            listed = (await trmm.agents.list())[0]
            agent = await trmm.agents.get(listed)
            assert ONLY_IN_DETAIL[dialect] in agent.extra
            assert "hostname" not in agent.extra
            assert dict(listed.extra) == {}
            assert hash(agent) == hash(listed)
            with pytest.raises(NotFoundError):
                await trmm.agents.get(NOBODY)

    async def test_one_is_found_by_its_name(self, dialect: str) -> None:
        async with served(dialect, agents=5) as (_, trmm):
            wanted = (await trmm.agents.list())[3]
            found = await trmm.agents.find(wanted.hostname)
            assert found is not None
            # A stock server tells other things of an agent in its detail than in its list.
            assert (found == wanted) is (dialect == "gateway")
            assert (found.agent_id, found.hostname) == (wanted.agent_id, wanted.hostname)
            assert (found.client, found.site) == (wanted.client, wanted.site)
            assert await trmm.agents.find("NOBODY") is None

    @pytest.mark.parametrize("wanted", ["BÜRO-1", "bu\u0308ro-1", "Büro-1"])
    async def test_on_stock_a_name_is_meant_in_any_case_and_form(self, wanted: str) -> None:
        async with served("stock", agents=3) as (server, trmm):
            made = server.add_agent(hostname="Büro-1")
            found = await trmm.agents.find(wanted)
            assert found is not None
            listed = await trmm.agents.list(hostname=wanted)
            assert {found.agent_id, *(one.agent_id for one in listed)} == {made.agent_id}
            async with trmm.agents.iter(hostname=wanted) as stream:
                assert [one.agent_id async for one in stream] == [made.agent_id]

    async def test_a_server_that_ignores_the_filter_does_not_mislead(self) -> None:
        body = b'[{"agent_id": "a", "hostname": "ONE"}, {"agent_id": "b", "hostname": "Two"}]'
        async with (
            peer(always(answer(body))) as server,
            TRMM(server.url, api_key=KEY, dialect="gateway") as trmm,
        ):
            found = await trmm.agents.find("two")
            assert found is not None
            assert found.agent_id == "b"
            assert await trmm.agents.find("three") is None

    async def test_a_name_that_several_have_is_not_guessed(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            name = server.agents[0].hostname
            server.add_agent(hostname=name)
            with pytest.raises(AmbiguousNameError, match=f"2 agents are named '{name}'") as caught:
                await trmm.agents.find(name)
            assert len(caught.value.ids) == 2

    async def test_one_is_deleted(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            await trmm.agents.delete(server.agent_ids[0])
            assert len(await trmm.agents.list()) == 1

    async def test_a_script_runs_and_answers(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            server.script(1, stdout="hello\n", stderr="oops", retcode=2)
            result = await trmm.agents.run_script(server.agent_ids[0], script=1, args=["a", "b"], timeout=5)
            assert (result.retcode, result.stdout, result.stderr, result.ok) == (2, "hello\n", "oops", False)
            assert result.execution_time is not None
            (run,) = server.runs
            assert (run.script, list(run.args), run.timeout, run.output) == (
                1,
                ["a", "b"],
                5,
                SENT_AS[dialect],
            )

    async def test_a_script_need_not_be_waited_for(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            agent_id = server.agent_ids[0]
            # mypy knows that there is no result; here it is made sure of.
            forgotten: object = await trmm.agents.run_script(agent_id, 1, output="forget")  # type: ignore[func-returns-value]
            # A stock server stores the output in a field, which it wants to be told; a gateway knows none.
            where: Any = {"custom_field": server.add_custom_field("output")} if dialect == "stock" else {}
            collected: object = await trmm.agents.run_script(agent_id, 1, output="collector", **where)  # type: ignore[func-returns-value]
            assert (forgotten, collected) == (None, None)
            await until(lambda: len(server.runs) == 2 and all(run.finished for run in server.runs))
            assert [run.output for run in server.runs] == ["forget", STORED_AS[dialect]]

    @pytest.mark.parametrize("bad", ["", " ", "..", ".", "a/b", "a\\b", "a\nb", "a\x00", " a", 5, None])
    async def test_a_bad_id_is_refused_before_anything_is_sent(self, dialect: str, bad: Any) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            for call in (
                trmm.agents.get(bad),
                trmm.agents.delete(bad),
                trmm.agents.run_script(bad, 1),
                trmm.tasks.create(name="x", agent=bad, script=1, schedule="* * * * *"),
            ):
                with pytest.raises(InvalidRequestError, match="agent_id"):
                    await call
            with pytest.raises(InvalidRequestError, match="agent_id"):
                trmm.events(bad)
            assert server.requests == []

    @pytest.mark.parametrize(
        "settings", [{"timeout": 0}, {"timeout": 301}, {"timeout": 1.5}, {"output": "x"}, {"args": [1]}]
    )
    async def test_a_bad_run_is_refused_before_anything_is_sent(
        self, dialect: str, settings: dict[str, Any]
    ) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError):
                await trmm.agents.run_script("a", 1, **settings)
            assert server.requests == []

    async def test_an_odd_id_arrives_as_it_is(self) -> None:
        async with (
            peer(always(answer(b'{"agent_id": "x"}'))) as server,
            TRMM(server.url, api_key=KEY, dialect="gateway") as trmm,
        ):
            await trmm.agents.get("a b?c#d%2Fé")
            assert server.requests[0].target == "/api/v3/agents/a%20b%3Fc%23d%252F%C3%A9/"
