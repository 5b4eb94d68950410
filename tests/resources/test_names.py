"""A text is a name, a number an id, wherever a script, client or site is taken: one listing, no guess."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count as count_from
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from tests.servers import count, served
from trmm_async import (
    TRMM,
    Agent,
    AlertEvent,
    AmbiguousNameError,
    ClientRef,
    CommandAction,
    InvalidRequestError,
    Journal,
    Manual,
    ScriptAction,
    ScriptCheck,
    SiteRef,
    UnknownNameError,
    UnsupportedError,
)
from trmm_async.fleet.journal import Order
from trmm_async.models import Client, Script, Site
from trmm_async.resources.names import SCRIPT, find_site, pick_site
from trmm_async.testing import Simulator

SOON = timedelta(days=1)
CLIENTS = [
    Client(id=1, name="Acme", sites=(Site(id=11, name="Main"), Site(id=12, name="Jakarta"))),
    Client(id=2, name="Hermes Inc.", sites=(Site(id=21, name="main"), Site(id=22, name="Nord/Süd"))),
]
NAME = st.text("aA/é", min_size=1, max_size=4)
"""Names that fall together by their case, and by where the slash stands between a client and its site."""
SCRIPTS = [Script(id=1, name="Get-DiskInfo", shell="powershell"), Script(id=2, name="Twice", shell="cmd")]


class TestTheOneThing:
    def test_is_found_in_any_case_and_composition(self) -> None:
        assert SCRIPT.pick("get-diskinfo", SCRIPTS).id == 1
        assert find_site("nord/su\u0308d", CLIENTS) == Site(
            id=22, name="Nord/Süd", client=ClientRef(id=2, name="Hermes Inc.")
        )

    def test_is_not_guessed_among_several(self) -> None:
        with pytest.raises(AmbiguousNameError) as caught:
            pick_site("MAIN", CLIENTS)
        assert (caught.value.ids, caught.value.kind) == ((11, 21), "site")
        assert str(caught.value) == "2 sites are named 'MAIN', give the id: 11 (Acme), 21 (Hermes Inc.)"
        assert pick_site("hermes inc./main", CLIENTS).id == 21

    def test_that_is_not_there_is_said_with_what_is_alike(self) -> None:
        with pytest.raises(UnknownNameError, match=r"^there is no script 'Get-Disk'; did you mean 'Get-D"):
            SCRIPT.pick("Get-Disk", SCRIPTS)
        with pytest.raises(UnknownNameError, match="for the id, give the number 2"):
            SCRIPT.pick("2", SCRIPTS)
        assert find_site("Oslo", CLIENTS) is None

    @settings(max_examples=many(60))
    @given(st.lists(st.tuples(NAME, st.lists(NAME, max_size=3)), max_size=4), NAME)
    def test_a_site_is_never_one_of_several_that_fit(
        self, tree: list[tuple[str, list[str]]], wanted: str
    ) -> None:
        number = count_from(1)
        clients = [
            Client(id=next(number), name=name, sites=tuple(Site(id=next(number), name=one) for one in sites))
            for name, sites in tree
        ]
        fitting = [
            site.id
            for client in clients
            for site in client.sites
            if wanted.casefold() in {site.name.casefold(), f"{client.name}/{site.name}".casefold()}
        ]
        if len(fitting) > 1:
            for find in (find_site, pick_site):
                with pytest.raises(AmbiguousNameError) as caught:
                    find(wanted, clients)
                assert caught.value.ids == tuple(fitting)
        elif fitting:
            assert [pick_site(wanted, clients).id] == fitting
        else:
            assert find_site(wanted, clients) is None
            with pytest.raises(UnknownNameError):
                pick_site(wanted, clients)

    @pytest.mark.parametrize(
        ("wanted", "tree"),
        [
            ("A/B/C", {"A": ["B/C"], "A/B": ["C"]}),
            ("A/B", {"A": ["B"], "X": ["A/B"]}),
            ("a/b", {"A": ["B"], "a": ["b"]}),
        ],
    )
    def test_a_path_that_can_be_read_in_two_ways_is_said_with_both(
        self, wanted: str, tree: dict[str, list[str]]
    ) -> None:
        clients = [
            Client(id=len(name), name=name, sites=tuple(Site(id=ord(one[0]), name=one) for one in sites))
            for name, sites in tree.items()
        ]
        with pytest.raises(AmbiguousNameError, match=r"give the id: \d+ \(.+\), \d+ \(.+\)\n") as caught:
            pick_site(wanted, clients)
        assert caught.value.about == tuple(tree)

    def test_a_site_by_its_path_is_told_with_paths_that_are_alike(self) -> None:
        with pytest.raises(UnknownNameError, match=r"there is no site 'Acme/Jakata'; did you mean 'Acme/Jak"):
            pick_site("Acme/Jakata", CLIENTS)


class TestFind:
    async def test_scripts_clients_and_sites(self, dialect: str) -> None:
        async with served(dialect, agents=5) as (_, trmm):
            client = next(one for one in await trmm.clients.list() if one.sites)
            script = (await trmm.scripts.list())[2]
            site = client.sites[0]
            assert await trmm.scripts.find(script.name.swapcase()) == script
            assert await trmm.clients.find(client.name.upper()) == client
            for owner in (client, client.id, client.name, ClientRef(name=client.name)):
                found = await trmm.sites.find(site.name, client=owner)
                assert found is not None
                assert (found.id, found.client) == (site.id, ClientRef(id=client.id, name=client.name))
            by_path = await trmm.sites.find(f"{client.name}/{site.name}")
            assert by_path is not None
            assert by_path.id == site.id
            assert [
                await find("nobody") for find in (trmm.scripts.find, trmm.clients.find, trmm.sites.find)
            ] == [None] * 3

    async def test_of_two_scripts_of_a_name_neither(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            ids = (server.add_script("Twice"), server.add_script("twice"))
            with pytest.raises(AmbiguousNameError) as caught:
                await trmm.scripts.find("TWICE")
            assert caught.value.ids == ids
            with pytest.raises(AmbiguousNameError):
                await trmm.agents.run_script(server.agent_ids[0], "Twice")
            assert not server.runs


class TestScripts:
    async def test_are_run_by_name(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            script = (await trmm.scripts.list())[1]
            before = count(server, "GET", "/scripts/")
            await trmm.agents.run_script(server.agent_ids[0], script.name)
            await trmm.fleet.run_script(server.agent_ids, script.name.lower())
            assert count(server, "GET", "/scripts/") == before + 2
            async with trmm.agents.stream_script(server.agent_ids[0], script.name) as output:
                pieces = [piece async for piece in output]
            assert pieces[-1].script in {script.id, None}
            assert {run.script for run in server.runs} == {script.id}

    async def test_of_a_journal_are_ids(self, dialect: str, tmp_path: Any) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            script = (await trmm.scripts.list())[1]
            await trmm.fleet.run_script(server.agent_ids, script.name, journal=tmp_path / "run.db")
            async with await Journal.read(tmp_path / "run.db") as kept:
                assert kept.order.script == script.id

    async def test_that_are_not_there_are_said_and_nothing_is_run(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            for ask in (
                trmm.agents.run_script(server.agent_ids[0], "Get-DiskInf"),
                _awaited(trmm.fleet.run_script(server.agent_ids, "Get-DiskInf")),
                _entered(trmm.agents.stream_script(server.agent_ids[0], "Get-DiskInf")),
                trmm.tasks.create(
                    name="x", agent=server.agent_ids[0], script="Get-DiskInf", schedule="0 3 * * 0"
                ),
            ):
                with pytest.raises(UnknownNameError) as caught:
                    await ask
                assert caught.value.near[0] == "Get-DiskInfo"
            assert not server.runs


async def _awaited(run: Any) -> Any:
    return await run


async def _entered(stream: Any) -> Any:
    async with stream:
        return None


Asking = Callable[[TRMM, Any, Any, str], Awaitable[Any]]
BOTH: dict[str, Asking] = {
    "agents.list": lambda trmm, client, site, _: trmm.agents.list(client=client, site=site),
    "agents.find": lambda trmm, client, site, _: trmm.agents.find("JADE-PC", client=client, site=site),
    "checks.list": lambda trmm, client, site, _: trmm.checks.list(client=client, site=site),
    "clients.sites": lambda trmm, client, *_: trmm.clients.sites(client),
    "deployments.create": lambda trmm, client, site, _: trmm.deployments.create(
        client=client, site=site, expires=datetime.now(UTC) + SOON, arch="amd64"
    ),
}
STOCK: dict[str, Asking] = {
    "clients.get": lambda trmm, client, *_: trmm.clients.get(client),
    "clients.update": lambda trmm, client, *_: trmm.clients.update(client, custom_fields={1: "x"}),
    "sites.list": lambda trmm, client, *_: trmm.sites.list(client=client),
    "sites.get": lambda trmm, _, site, __: trmm.sites.get(site),
    "sites.create": lambda trmm, client, *_: trmm.sites.create(client=client, name=f"{client}"),
    "sites.update": lambda trmm, client, site, _: trmm.sites.update(site, client=client),
    "sites.delete": lambda trmm, _, site, __: trmm.sites.delete(site, move_to_site=site),
    "agents.update": lambda trmm, _, site, who: trmm.agents.update(who, site=site),
    "agents.set_maintenance": lambda trmm, client, *_: trmm.agents.set_maintenance(True, client=client),
    "alerts.list": lambda trmm, client, *_: trmm.alerts.list(client=[client]),
    "audit_log.list": lambda trmm, client, *_: trmm.audit_log.list(client=client),
}


async def _sent(server: Simulator, ask: Awaitable[Any]) -> tuple[list[Any], Any]:
    """Requests, and what came of it, told alike for equal answers."""
    before = len(server.requests)
    try:
        answer = await ask
    except InvalidRequestError as error:
        answer = str(error)
    return [(one.method, one.path, one.query) for one in server.requests[before:]], answer


class TestClientsAndSites:
    @pytest.mark.parametrize("method", BOTH)
    async def test_mean_the_same_by_name(self, dialect: str, method: str) -> None:
        async with served(dialect, agents=8) as (server, trmm):
            await self.check(server, trmm, BOTH[method])

    @pytest.mark.parametrize("method", STOCK)
    async def test_mean_the_same_by_name_where_only_a_stock_server_has_the_call(self, method: str) -> None:
        async with served("stock", agents=8) as (server, trmm):
            await trmm.custom_fields.create(name="Pin", model="client")
            await self.check(server, trmm, STOCK[method])

    @staticmethod
    async def check(server: Simulator, trmm: TRMM, ask: Asking) -> None:
        clients = await trmm.clients.list()
        client = next(one for one in clients if len(one.sites) > 1)
        site, who = client.sites[-1], server.agent_ids[0]
        by_id = await _sent(server, ask(trmm, client.id, site.id, who))
        by_name = await _sent(server, ask(trmm, client.name.lower(), f"{client.name}/{site.name}", who))
        by_ref = await _sent(server, ask(trmm, ClientRef(name=client.name), SiteRef(id=site.id), who))
        listing = by_name[0][0]
        assert listing[:2] in {("GET", "/clients/"), ("GET", "/api/v3/clients/")}
        assert by_name[0][1:] == by_id[0]  # one listing before it, and then the very same
        assert by_ref[0][-1:] == by_id[0][-1:]

    @pytest.mark.parametrize("method", STOCK)
    async def test_are_not_looked_up_on_a_gateway_that_has_no_such_call(self, method: str) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            with pytest.raises(UnsupportedError):
                await STOCK[method](trmm, "Acme", "Main", server.agent_ids[0])
            assert not server.requests

    async def test_a_site_is_one_of_the_client(self, dialect: str) -> None:
        async with served(dialect, agents=8) as (_, trmm):
            one, other = (await trmm.clients.list())[:2]
            with pytest.raises(UnknownNameError, match=f"there is no site '{other.sites[0].name}'"):
                await trmm.agents.list(client=one.name, site=other.sites[0].name)

    async def test_what_else_is_wrong_is_said_before_anything_is_sent(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            asks: list[Awaitable[Any]] = [
                trmm.agents.list(client="Acme", site=1.5),  # type: ignore[arg-type]
                trmm.deployments.create(client="Acme", site="Main", expires=datetime.now(UTC), arch="amd64"),
                trmm.tasks.create(name="x", agent="abc", script="Get-DiskInfo", schedule="never"),
                trmm.agents.run_script("abc", "Get-DiskInfo", timeout=0),
                trmm.clients.delete("Acme", move_to_site=-1),
                trmm.clients.update("Acme"),
                trmm.sites.find("x", client=object()),  # type: ignore[arg-type]
            ]
            for ask in asks:
                with pytest.raises(InvalidRequestError):
                    await ask
            assert not server.requests

    async def test_filter_events_in_any_case(self) -> None:
        async with served("gateway", agents=3) as (server, trmm):
            agents = await trmm.agents.list()
            async with trmm.events(agents) as events:
                heard = events.consumer(AlertEvent, client=(agents[0].client.name or "").upper())
                server.raise_alert(agents[0].agent_id, severity="error", message="x")
                assert (await anext(heard)).agent_id == agents[0].agent_id


InBody = Callable[[TRMM, str, str, str, str], Awaitable[Any]]
IN_BODIES: dict[str, tuple[InBody, Callable[[Any], object]]] = {
    "policies.create": (
        lambda trmm, client, site, *_: trmm.policies.create(
            name="P", excluded_clients=[client, client], excluded_sites=[site]
        ),
        lambda made: (*made.excluded_clients, *made.excluded_sites),
    ),
    "alert_templates.create": (
        lambda trmm, client, site, *_: trmm.alert_templates.create(
            name="T", excluded_clients=[client], excluded_sites=[site]
        ),
        lambda made: (*made.excluded_clients, *made.excluded_sites),
    ),
    "roles.create": (
        lambda trmm, client, site, *_: trmm.roles.create(name="R", clients=[client], sites=[site]),
        lambda made: (*made.clients, *made.sites),
    ),
}
SCRIPTS_IN_BODIES: dict[str, tuple[InBody, int]] = {
    "alert_templates.create": (
        lambda trmm, _, __, script, ___: trmm.alert_templates.create(
            name="T", action_type="script", action=script
        ),
        1,
    ),
    "tasks.set_up": (
        lambda trmm, _, __, script, who: trmm.tasks.set_up(
            name="T",
            schedule=Manual(),
            actions=[ScriptAction(script=script), CommandAction(command="dir"), ScriptAction(script=script)],
            agent=who,
        ),
        2,
    ),
    "checks.create": (
        lambda trmm, _, __, script, who: trmm.checks.create(ScriptCheck(script=script), agent=who),
        1,
    ),
}


class TestBodies:
    """Names that stand in what is sent, and not in its path."""

    @pytest.mark.parametrize("method", IN_BODIES)
    async def test_have_clients_and_sites_by_one_listing(self, method: str) -> None:
        create, of = IN_BODIES[method]
        async with served("stock", agents=8) as (server, trmm):
            client = next(one for one in await trmm.clients.list() if len(one.sites) > 1)
            site = client.sites[-1]
            before = count(server, "GET", "/clients/")
            made = await create(trmm, client.name.upper(), f"{client.name}/{site.name}", "", "")
            assert of(made) == (client.id, site.id)
            assert count(server, "GET", "/clients/") == before + 1

    @pytest.mark.parametrize("method", SCRIPTS_IN_BODIES)
    async def test_have_scripts_by_one_listing(self, method: str) -> None:
        create, times = SCRIPTS_IN_BODIES[method]
        async with served("stock", agents=1) as (server, trmm):
            script = (await trmm.scripts.list())[1]
            await create(trmm, "", "", script.name.upper(), server.agent_ids[0])
            (sent,) = [one.body for one in server.requests if one.method == "POST"]
            numbers = re.findall(rb'"(?:script|action)": ?(\w+)', sent)
            assert numbers == [b"%d" % script.id] * times
            assert count(server, "GET", "/scripts/") == 2

    async def test_are_changed_by_name_and_made_for_one(self) -> None:
        async with served("stock", agents=8) as (_, trmm):
            client = next(one for one in await trmm.clients.list() if one.sites)
            site, script = client.sites[0], (await trmm.scripts.list())[0]
            policy = await trmm.policies.create(name="P")
            await trmm.policies.update(policy, excluded_sites=[f"{client.name}/{site.name}"])
            assert (await trmm.policies.get(policy)).excluded_sites == (site.id,)
            template = await trmm.alert_templates.create(name="T")
            await trmm.alert_templates.update(template, action_type="script", action=script.name)
            assert (await trmm.alert_templates.get(template)).action == script.id
            role = await trmm.roles.create(name="R", clients="all")
            await trmm.roles.update(role, clients=[client.name])
            assert (await trmm.roles.get(role)).clients == (client.id,)
            await trmm.api_keys.create_limited(name="K", permissions=[], clients=[client.name])
            made = next(one for one in await trmm.roles.list() if one.name == "K")
            assert made.clients == (client.id,)
            assert str(client.id) in (await trmm.installers.create(site=site.name)).command

    async def test_are_checked_before_a_name_is_looked_up(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            asks: list[Awaitable[Any]] = [
                trmm.policies.create(name="", excluded_clients=["Acme"]),
                trmm.alert_templates.create(name="T", action="Get-DiskInfo"),  # without its type
                trmm.roles.create(name="R", clients=["Acme"], permissions=["can_fly"]),
                trmm.checks.create(ScriptCheck(script="Get-DiskInfo", timeout=-1), agent="abc"),
                trmm.tasks.set_up(
                    name="T", schedule=Manual(), actions=[ScriptAction(script="x", timeout=0)], agent="abc"
                ),
                trmm.installers.create(site="Main", valid_for=timedelta()),
            ]
            for ask in asks:
                with pytest.raises(InvalidRequestError):
                    await ask
            assert not server.requests
            with pytest.raises(UnknownNameError, match="there is no script 'Get-Nothing'"):
                await trmm.alert_templates.create(name="T", action_type="script", action="Get-Nothing")
            assert [one.method for one in server.requests] == ["GET"]

    async def test_are_not_looked_up_on_a_gateway(self) -> None:
        async with served("gateway", agents=1) as (server, trmm):
            for ask in (
                trmm.policies.create(name="P", excluded_clients=["Acme"]),
                trmm.alert_templates.create(name="T", action_type="script", action="Get-DiskInfo"),
                trmm.checks.create(ScriptCheck(script="Get-DiskInfo"), agent="abc"),
                trmm.tasks.update(1, actions=[ScriptAction(script="Get-DiskInfo")]),
                trmm.installers.create(site="Main"),
            ):
                with pytest.raises(UnsupportedError):
                    await ask
            assert not server.requests


class TestHostNames:
    async def test_stand_on_outcomes_where_they_are_known(self, dialect: str) -> None:
        async with served(dialect, agents=3) as (server, trmm):
            agents = await trmm.agents.list()
            hosts = [agent.hostname for agent in agents]

            async def name(agent: Agent | str) -> str:
                return "" if isinstance(agent, str) else agent.hostname

            runs: list[Any] = [
                trmm.fleet.run_script(agents, 1),
                trmm.fleet.run_script(trmm.agents.select(), 1),
                trmm.fleet.run_script(iter(agents), 1, dry_run=True),
                trmm.fleet.map(agents, name),
                trmm.fleet.map(trmm.agents.select(), name),
            ]
            for run in runs:
                assert [outcome.hostname for outcome in await run] == hosts
            unknown = await trmm.fleet.run_script(server.agent_ids, 1)
            assert [outcome.hostname for outcome in unknown] == [None] * 3

    @pytest.mark.parametrize("how", [{"skip_offline": True}, {"when_online": timedelta(seconds=0.05)}])
    async def test_stand_on_outcomes_where_the_run_has_looked_who_is_offline(
        self, dialect: str, how: dict[str, Any], tmp_path: Any
    ) -> None:
        async with served(dialect, agents=4) as (server, trmm):
            server.go_offline(server.agent_ids[1])
            hosts = {one.agent_id: one.hostname for one in await trmm.agents.list()}
            some = server.agent_ids[:3]
            trmm.fleet.poll = 0.01

            async def stream() -> Any:
                for one in some:
                    yield one

            seconds = how["when_online"].total_seconds() if "when_online" in how else None
            order = Order(server=server.url, script=1, skip_offline=seconds is None, when_online=seconds)
            await (await Journal.create(tmp_path / "run.db", order, some)).aclose()
            runs: list[Any] = [
                trmm.fleet.run_script(some, 1, **how),
                trmm.fleet.map(stream(), trmm.agents.get, **how),
                trmm.fleet.resume(tmp_path / "run.db"),
            ]
            for run in runs:
                told = {one.agent_id: one.hostname for one in await run}
                assert told == {one: hosts[one] for one in some}

    async def test_stand_on_outcomes_of_a_stream_of_agents(self, dialect: str, tmp_path: Any) -> None:
        async with served(dialect, agents=3) as (_, trmm):
            agents = await trmm.agents.list()

            async def stream() -> Any:
                for one in agents:
                    yield one

            runs: list[Any] = [
                trmm.fleet.run_script(stream(), 1),
                trmm.fleet.run_script(stream(), 1, journal=tmp_path / "run.db"),
                trmm.fleet.map(stream(), trmm.agents.get),
            ]
            for run in runs:
                assert {one.agent_id: one.hostname for one in await run} == {
                    one.agent_id: one.hostname for one in agents
                }

    async def test_stand_on_events_where_they_are_known(self) -> None:
        async with served("gateway", agents=3) as (server, trmm):
            one, other, unnamed = await trmm.agents.list()
            chosen = trmm.agents.select(where=lambda agent: agent.agent_id == other.agent_id)
            async with trmm.events(one, chosen, unnamed.agent_id) as events:
                heard = {}
                for agent in (one, other, unnamed):
                    server.go_offline(agent.agent_id)
                    event = await anext(events)
                    heard[event.agent_id] = event.hostname
            assert heard == {
                one.agent_id: one.hostname, other.agent_id: other.hostname, unnamed.agent_id: None
            }  # fmt: skip
