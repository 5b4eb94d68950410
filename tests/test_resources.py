"""The nouns' methods, against the simulator over real HTTP."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peer import Peer, Request, always, answer, peer
from tests.properties import many
from tests.servers import NOBODY, count, served, until
from trmm_async import (
    TRMM,
    Agent,
    AmbiguousNameError,
    ClosedError,
    ConnectionFailedError,
    DecodeError,
    Deployment,
    InvalidRequestError,
    NotFoundError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.resources.deployments import _write, safe_file_name

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

KEY = "key-for-tests"

# What the two kinds of server do differently.
ONLY_IN_DETAIL = {"gateway": "patches_pending", "stock": "winupdatepolicy"}
SENT_AS = {"gateway": "wait", "stock": "forget"}
STORED_AS = {"gateway": "collector", "stock": "bulk"}
SUNDAYS_AT_THREE = {"gateway": "0 3 * * SUN", "stock": "0 3 * * 0"}
AN_ARCH: dict[str, Any] = {"gateway": "arm64-mac", "stock": "amd64"}
INSTALLER = {"gateway": r"trmm-agent-{uuid}\.exe", "stock": r"trmm-\w+-\w+-server-amd64\.exe"}


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


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


class TestIteration:
    async def test_yields_what_the_list_holds(self, dialect: str) -> None:
        async with served(dialect, agents=300) as (_, trmm):
            async with trmm.agents.iter() as stream:
                agents = [agent async for agent in stream]
            assert agents == await trmm.agents.list()

    async def test_yields_while_the_list_downloads(self) -> None:
        release = asyncio.Event()
        body = json.dumps(
            [{"agent_id": f"agent-{n:06}", "hostname": "x" * 200} for n in range(5000)]
        ).encode()

        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer(body)[: len(body) // 2])
            await writer.drain()
            await release.wait()
            writer.write(answer(body)[len(body) // 2 :])
            return True

        async with peer(handle) as server, TRMM(server.url, api_key=KEY, dialect="gateway") as trmm:
            async with asyncio.timeout(30), trmm.agents.iter() as stream:
                agents = aiter(stream)
                first = await anext(agents)
                assert first.agent_id == "agent-000000"
                release.set()
                assert len([agent async for agent in agents]) == 4999

    async def test_leaving_early_releases_the_connection(self, dialect: str) -> None:
        async with served(dialect, agents=300) as (server, trmm):
            for _ in range(5):
                async with trmm.agents.iter() as stream:
                    async for _ in stream:
                        break
            async with asyncio.timeout(30):
                while server.in_flight:
                    await asyncio.sleep(0.01)

    async def test_leaving_early_frees_its_place_among_the_connections(self, dialect: str) -> None:
        async with served(dialect, agents=50) as (server, _):
            one: Any = {"dialect": dialect, "max_connections": 1}
            async with TRMM(server.url, api_key=server.api_key, **one) as trmm:
                for _ in range(3):
                    async with asyncio.timeout(30), trmm.agents.iter() as stream:
                        async for _ in stream:
                            break
                assert len(await trmm.agents.list()) == 50

    @pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
    async def test_a_body_cut_short_is_an_error(self, headers: dict[str, str]) -> None:
        rows = b'[{"agent_id": "a"}, {"agent_id": "b"}, '
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
        if headers:
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            rows = f"{len(rows):x}\r\n".encode() + rows + b"\r\n"
        async with (
            peer(always(head + rows, stay=False)) as server,
            TRMM(server.url, api_key=KEY, dialect="gateway") as trmm,
        ):
            got: list[Agent] = []
            with pytest.raises(ConnectionFailedError, match="GET /api/v3/agents/: the answer broke off"):
                async with trmm.agents.iter() as stream:
                    async for agent in stream:
                        got.append(agent)  # noqa: PERF401 - what came before the error counts
            assert len(got) <= 2

    @pytest.mark.parametrize(
        "body", [b'[{"agent_id": "a"}', b'{"a": 1}', b"<html>", b"", b"[] x", b'[{"agent_id": 5}]']
    )
    async def test_a_body_that_is_no_list_of_agents_is_an_error(self, body: bytes) -> None:
        async with (
            peer(always(answer(body))) as server,
            TRMM(server.url, api_key=KEY, dialect="gateway") as trmm,
        ):
            with pytest.raises(DecodeError, match="GET /api/v3/agents/: 200: ") as caught:
                async with trmm.agents.iter() as stream:
                    async for _ in stream:
                        pass
            assert caught.value.body == body.decode()

    async def test_opening_it_is_retried_as_any_read(self, dialect: str) -> None:
        async with served(dialect, client={"retries": 1}, agents=3) as (server, trmm):
            server.fail("GET", "/agents/", status=503, times=1)
            async with trmm.agents.iter() as stream:
                assert len([agent async for agent in stream]) == 3

    async def test_it_is_entered_first_and_once(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            stream = trmm.agents.iter()
            with pytest.raises(ClosedError, match="enter"):
                aiter(stream)
            async with stream:
                pass
            with pytest.raises(ClosedError, match="used already"):
                async with stream:
                    pass

    @settings(max_examples=many(40))
    @given(
        st.lists(st.text(max_size=20), max_size=12),
        st.sampled_from(["", " ", "\n\t", " \r\n "]),
        st.lists(st.integers(1, 40), min_size=1, max_size=20),
    )
    def test_any_array_in_any_pieces(self, names: list[str], space: str, cuts: list[int]) -> None:
        async def scenario() -> None:
            rows = [
                {"agent_id": f"a{n}", "hostname": name, "x": [{"},{": "]"}]} for n, name in enumerate(names)
            ]
            text = f"{space}[{space}" + f"{space},{space}".join(map(json.dumps, rows)) + f"{space}]{space}"
            body = text.encode()

            async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                at = 0
                for number in range(len(body)):
                    size = cuts[number % len(cuts)]
                    piece = body[at : at + size]
                    if not piece:
                        break
                    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    await writer.drain()
                    at += size
                writer.write(b"0\r\n\r\n")
                return True

            async with (
                asyncio.timeout(30),
                peer(handle) as server,
                TRMM(server.url, api_key=KEY, dialect="gateway") as trmm,
            ):
                async with trmm.agents.iter() as stream:
                    assert [agent.hostname async for agent in stream] == names

        asyncio.run(scenario())


class TestTheOthers:
    async def test_clients_and_sites(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            clients = await trmm.clients.list()
            assert await trmm.clients.sites(clients[0]) == list(clients[0].sites)
            made = await trmm.clients.create(name="New tenant")
            assert made in await trmm.clients.list()
            assert (await trmm.clients.create(name=" Another ")).name == "Another"
            with pytest.raises(InvalidRequestError, match="name"):
                await trmm.clients.create(name="  ")

    async def test_scripts_checks_and_tasks(self, dialect: str) -> None:
        async with served(dialect, agents=2) as (server, trmm):
            agent_id = server.agent_ids[0]
            assert all(script.name and script.shell for script in await trmm.scripts.list())
            own = await trmm.checks.list(agent=agent_id)
            assert own
            assert {check.agent_id for check in own} == {agent_id}
            assert len(await trmm.checks.list()) > len(own)
            made = await trmm.tasks.create(name=" t ", agent=agent_id, script=1, schedule="0  3 * * SUN")
            (listed,) = [task for task in await trmm.tasks.list() if task.id == made.id]
            assert (listed.name, listed.agent_id, listed.schedule) == (
                made.name,
                made.agent_id,
                made.schedule,
            )
            assert made.name == "t"
            assert (made.agent_id, made.schedule, made.enabled) == (
                agent_id,
                SUNDAYS_AT_THREE[dialect],
                True,
            )

    async def test_a_wrong_schedule_says_which_field(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="hour '25'"):
                await trmm.tasks.create(name="t", agent="a", script=1, schedule="0 25 * * *")
            with pytest.raises(InvalidRequestError, match="enabled"):
                await trmm.tasks.create(name="t", agent="a", script=1, schedule="0 2 * * *", enabled=1)  # type: ignore[arg-type]
            assert server.requests == []

    @pytest.mark.parametrize("schedule", ["*/5 * * * *", "0 3,15 * * *", "0 3 1 * MON"])
    async def test_a_schedule_that_a_server_has_not_is_said_to_be(self, dialect: str, schedule: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            order: Any = {"name": "t", "agent": server.agent_ids[0], "script": 1, "schedule": schedule}
            if dialect == "gateway":
                assert (await trmm.tasks.create(**order)).schedule == schedule
                return
            with pytest.raises(UnsupportedError, match=r"create several tasks, or use tasks\.set_up"):
                await trmm.tasks.create(**order)
            assert count(server, "POST") == 0

    async def test_alerts(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            agent_id = server.agent_ids[0]
            server.raise_alert(agent_id, severity="purple", message="what is this")
            (alert,) = await trmm.alerts.list()
            assert (alert.agent_id, alert.severity, alert.resolved) == (agent_id, "purple", False)
            if dialect == "gateway":
                await trmm.alerts.acknowledge(alert.id)
            else:
                with pytest.raises(UnsupportedError, match=r"use alerts\.snooze.* or alerts\.resolve"):
                    await trmm.alerts.acknowledge(alert.id)
            await trmm.alerts.resolve(alert)
            assert (await trmm.alerts.list())[0].resolved
            with pytest.raises(NotFoundError):
                await trmm.alerts.resolve(99999)
            for bad in ("5001", None, True, -1, 1.5):
                with pytest.raises(InvalidRequestError, match="alert"):
                    await trmm.alerts.resolve(bad)  # type: ignore[arg-type]


class _CancelledAfter:
    """A coroutine that is cancelled at the wait behind so many others, before what it waits for is over."""

    def __init__(self, steps: int, work: Coroutine[Any, Any, object]) -> None:
        self._steps = steps
        self._work = work

    def __await__(self) -> Generator[Any, None, None]:
        for _ in range(self._steps):
            try:
                waited = self._work.send(None)
            except StopIteration:
                return
            yield waited
        try:
            self._work.send(None)
        except StopIteration:
            return
        self._work.throw(asyncio.CancelledError())


class TestDeployments:
    async def test_are_created_listed_and_revoked(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            client = (await trmm.clients.list())[0]
            made = await trmm.deployments.create(
                client=client, site=client.sites[0], expires=tomorrow(), arch=AN_ARCH[dialect]
            )
            assert made.client == client.id
            assert await trmm.deployments.list() == [made]
            await trmm.deployments.delete(made)
            assert await trmm.deployments.list() == []

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"expires": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001
            ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "future"),
            ({"expires": "tomorrow"}, "datetime"),
            ({"arch": "x86"}, "arch"),
            ({"client": 1.5}, "client"),
            ({"site": None}, "site"),
            ({"install_flags": "a\nb"}, "install_flags"),
        ],
    )
    async def test_wrong_ones_are_refused_before_anything_is_sent(
        self, dialect: str, wrong: dict[str, Any], said: str
    ) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            order: dict[str, Any] = {
                "client": 34,
                "site": 41,
                "expires": tomorrow(),
                "arch": "amd64",
                **wrong,
            }
            with pytest.raises(InvalidRequestError, match=said):
                await trmm.deployments.create(**order)
            assert server.requests == []

    async def test_the_installer_is_downloaded(self, dialect: str, tmp_path: Path) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            made = await trmm.deployments.create(client=34, site=41, expires=tomorrow(), arch="amd64")
            steps: list[tuple[int, int | None]] = []
            path = await trmm.deployments.download(
                made, tmp_path / "new" / "folder", progress=lambda done, total: steps.append((done, total))
            )
            installer = server.installer(made.id)
            assert path.parent == tmp_path / "new" / "folder"
            assert re.fullmatch(INSTALLER[dialect].format(uuid=made.uuid), path.name)
            assert path.read_bytes() == installer
            assert steps[-1] == (len(installer), len(installer))
            again = await trmm.deployments.download(made.id, path.parent)
            assert [file.name for file in path.parent.iterdir()] == [again.name]

    async def test_redirects_are_followed_without_the_key(self, dialect: str, tmp_path: Path) -> None:
        async with served(dialect, agents=1) as (server, trmm), peer(always(answer(b"installer"))) as other:
            made = await trmm.deployments.create(client=34, site=41, expires=tomorrow(), arch="amd64")
            server.download_redirect_to = f"{other.url}/files/agent.exe?signature=1"
            path = await trmm.deployments.download(made, tmp_path)
            assert path.read_bytes() == b"installer"
            assert other.requests[0].target == "/files/agent.exe?hop=1"
            assert "x-api-key" not in other.requests[0].headers

    async def test_the_key_does_not_go_to_another_host_at_all(self, dialect: str, tmp_path: Path) -> None:
        async with peer(always(answer(b"installer"))) as other, served(dialect, agents=1) as (_, trmm):
            elsewhere = Deployment(id=1, uuid="u", download_url=f"{other.url}/a.exe")
            await trmm.deployments.download(elsewhere, tmp_path)
            assert "x-api-key" not in other.requests[0].headers

    async def test_a_circle_of_redirects_ends(self, tmp_path: Path) -> None:
        moved = answer(b"", "302 Found", Location="/again/")
        async with peer(always(moved)) as other, TRMM(other.url, api_key=KEY, dialect="gateway") as trmm:
            with pytest.raises(ConnectionFailedError, match="more than 5 redirects"):
                await trmm.deployments.download(Deployment(id=1, download_url=f"{other.url}/a/"), tmp_path)
            assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("url", ["ftp://example.com/a.exe", "file:///etc/passwd", "/relative/", ""])
    async def test_only_the_web_is_downloaded_from(self, url: str, tmp_path: Path) -> None:
        async with TRMM("https://api.example.com", api_key=KEY) as trmm:
            with pytest.raises(InvalidRequestError):
                await trmm.deployments.download(Deployment(id=1, download_url=url), tmp_path)

    async def test_an_https_server_does_not_lead_to_plain_http(self, tmp_path: Path) -> None:
        async with TRMM("https://api.example.com", api_key=KEY) as trmm:
            with pytest.raises(InvalidRequestError, match="plain http"):
                await trmm.deployments.download(
                    Deployment(id=1, download_url="http://api.example.com/a.exe"), tmp_path
                )

    async def test_a_broken_download_leaves_nothing(self, tmp_path: Path) -> None:
        cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000
        async with (
            peer(always(cut, stay=False)) as other,
            TRMM(other.url, api_key=KEY, dialect="gateway") as trmm,
        ):
            with pytest.raises(ConnectionFailedError):
                await trmm.deployments.download(Deployment(id=1, download_url=f"{other.url}/a.exe"), tmp_path)
            assert os.listdir(tmp_path) == []

    async def test_a_cancelled_download_leaves_nothing(self, tmp_path: Path) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000)
            await asyncio.Event().wait()
            return False

        begun = asyncio.Event()
        async with peer(handle) as other, TRMM(other.url, api_key=KEY, dialect="gateway") as trmm:
            task = asyncio.create_task(
                trmm.deployments.download(
                    Deployment(id=1, download_url=f"{other.url}/a.exe"),
                    tmp_path,
                    progress=lambda done, total: begun.set(),
                )
            )
            async with asyncio.timeout(30):
                await begun.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert os.listdir(tmp_path) == []

    async def test_cancelled_at_any_step_it_leaves_nothing(self, tmp_path: Path) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        # One thread: what was begun there is over when the next thing is.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        target = tmp_path / "installer.exe"
        for steps in range(100):
            try:
                await _CancelledAfter(steps, _write(target, chunks(), None, None))
            except asyncio.CancelledError:
                await asyncio.to_thread(str)
                assert os.listdir(tmp_path) == [], f"cancelled at step {steps}"
            else:
                break
        assert (steps, target.read_bytes()) == (3, b"onetwo")

    async def test_an_expired_one_says_so(self, dialect: str, tmp_path: Path) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            made = await trmm.deployments.create(client=34, site=41, expires=tomorrow(), arch="amd64")
            await trmm.deployments.delete(made)
            with pytest.raises(NotFoundError):
                await trmm.deployments.download(made, tmp_path)
            with pytest.raises(NotFoundError, match="no active deployment"):
                await trmm.deployments.download(made.id, tmp_path)

    @pytest.mark.parametrize(
        ("header", "name"),
        [
            ('attachment; filename="agent.exe"', "agent.exe"),
            ("attachment; filename=agent.pkg", "agent.pkg"),
            ('attachment; filename="../../etc/passwd"', "passwd"),
            ('attachment; filename="C:\\\\Windows\\\\evil.exe"', "evil.exe"),
            ("attachment; filename*=UTF-8''%c3%a9t%c3%a9.exe", "été.exe"),
            ("attachment; filename*=UTF-8''..%2F..%2Fx.exe", "x.exe"),
            ('attachment; filename=".."', "trmm-agent-uu.exe"),
            ('attachment; filename="..."', "trmm-agent-uu.exe"),
            ('attachment; filename=".bashrc"', "bashrc"),
            ('attachment; filename="CON.exe"', "trmm-agent-uu.exe"),
            ('attachment; filename="a<b>:c|d?.exe"', "abcd.exe"),
            ('attachment; filename="a\u202eexe.pkg"', "aexe.pkg"),
            ("attachment", "trmm-agent-uu.exe"),
            ("", "trmm-agent-uu.exe"),
        ],
    )
    def test_file_names_are_made_safe(self, header: str, name: str) -> None:
        deployment = Deployment(id=1, uuid="uu", download_url="https://x/y/download.exe")
        assert safe_file_name({"content-disposition": header}, deployment) == name

    @given(st.text(max_size=300))
    def test_whatever_the_header_says_the_name_is_one_plain_name(self, said: str) -> None:
        name = safe_file_name({"content-disposition": f'attachment; filename="{said}"'}, Deployment(id=1))
        assert name == Path(name).name
        assert name not in {"", ".", ".."}
        assert not any(char in name for char in '/\\:\x00\n"')
        assert len(name) <= 150


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        [
            "", "api.example.com", "https://", "ftp://x", "http://api.example.com", "https://u:p@x.com",
            "https://x.com?a=1", "https://x.com#a", "https://x.com:99999", "https://x .com", "https://ü.com",
            None,
        ],
    )  # fmt: skip
    def test_a_url_that_is_none_is_refused(self, url: Any) -> None:
        with pytest.raises(InvalidRequestError, match="url"):
            TRMM(url, api_key="key")

    @pytest.mark.parametrize(
        "url", ["http://localhost:8000", "http://127.0.0.9", "http://[::1]:8080/x", "https://x.com"]
    )
    def test_loopback_may_be_plain(self, url: str) -> None:
        assert url in repr(TRMM(url, api_key="key"))

    def test_plain_http_may_be_allowed(self) -> None:
        TRMM("http://192.168.1.5", api_key="key", allow_http=True)

    @pytest.mark.parametrize("key", ["", "  ", "a\nb", "key\n", " key", "ké", "a\x00", None])
    def test_a_key_that_is_none_is_refused(self, key: Any) -> None:
        with pytest.raises(InvalidRequestError, match="api_key") as caught:
            TRMM("https://x.com", api_key=key)
        assert not key or not key.strip() or key not in str(caught.value)

    @pytest.mark.parametrize(
        "settings",
        [
            {"timeout": 0}, {"timeout": "3"}, {"retries": -1}, {"retries": 1.5}, {"max_connections": 0},
            {"patience": -1}, {"ssl": False}, {"rate_limit": 100}, {"deployment_rate_limit": (1, 2)},
            {"dialect": "v3"},
        ],
    )  # fmt: skip
    def test_other_settings_are_checked_too(self, settings: dict[str, Any]) -> None:
        with pytest.raises(InvalidRequestError, match=next(iter(settings))):
            TRMM("https://x.com", api_key="key", **settings)

    def test_the_environment_serves_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TRMM_URL", raising=False)
        for name in ("TRMM_DIALECT", "TRMM_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TRMM_API_KEY", "key")
        with pytest.raises(InvalidRequestError, match="TRMM_URL"):
            TRMM.from_env()
        monkeypatch.setenv("TRMM_URL", "https://rmm.example.com/")
        trmm = TRMM.from_env(timeout=5)
        assert repr(trmm) == "<TRMM https://rmm.example.com auto, not yet used>"
        monkeypatch.setenv("TRMM_DIALECT", "stock")
        assert TRMM.from_env().dialect == "stock"
        assert TRMM.from_env(dialect="auto").dialect == "auto"
        monkeypatch.setenv("TRMM_DIALECT", "graphql")
        with pytest.raises(InvalidRequestError, match="the dialect is auto, gateway or stock, not 'graphql'"):
            TRMM.from_env()

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "core"),
            ("GET", "//x"),
            ("GET", "/../x/"),
            ("GET", "/x?y=1"),
            ("GET", "/x\n"),
            ("G T", "/x/"),
            ("", "/"),
        ],
    )
    async def test_a_raw_request_is_checked(self, method: str, path: str) -> None:
        async with TRMM("http://127.0.0.1:9", api_key=KEY, dialect="gateway") as trmm:
            with pytest.raises(InvalidRequestError):
                await trmm.request(method, path)
            with pytest.raises(InvalidRequestError, match="json"):
                await trmm.request("POST", "/x/", json={"a": object()})

    @pytest.mark.parametrize("params", [[("a", "b")], "a=b", {"a": ["b", "c"]}, {"a": {"b": 1}}, {"a": b"c"}])
    async def test_a_raw_query_is_checked(self, params: Any) -> None:
        async with TRMM("http://127.0.0.1:9", api_key=KEY, dialect="gateway") as trmm:
            with pytest.raises(InvalidRequestError, match="params"):
                await trmm.request("GET", "/x/", params=params)
            with pytest.raises(TRMMError, match="needs at least one agent"):
                trmm.events()
