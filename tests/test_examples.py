"""The examples are run, as programs of their own, against a server over real sockets."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from tests.forked import Forked, forks
from trmm_async import TRMM
from trmm_async.testing import Simulator

EXAMPLES = Path(__file__).parents[1] / "examples"
LEAK = re.compile(r"Exception ignored|ResourceWarning|Traceback|never (?:retrieved|awaited)|was destroyed")
LONGEST = 120.0
SECRET = "correct horse battery staple"

BOTH = pytest.mark.parametrize("dialect", ["gateway", "stock"])


class Program:
    """An example that runs; what it says is read while it does."""

    def __init__(self, process: Forked) -> None:
        self.process = process
        self.said: list[str] = []
        self._reading = asyncio.create_task(asyncio.to_thread(self._read))

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.said.extend(iter(self.process.stdout.readline, ""))

    async def says(self, text: str) -> None:
        async with asyncio.timeout(LONGEST):
            while not any(text in line for line in self.said):
                assert self.process.poll() is None, self.said
                await asyncio.sleep(0.01)

    async def ended(self) -> int:
        async with asyncio.timeout(LONGEST):
            await self._reading
        code = self.process.wait()
        assert not LEAK.search("".join(self.said)), "".join(self.said)
        return code

    async def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        await self.ended()


@asynccontextmanager
async def running(server: Simulator, name: str, *words: str, **environment: str) -> AsyncIterator[Program]:
    process = forks("package").start(
        str(EXAMPLES / f"{name}.py"),
        words,
        env={**os.environ, "TRMM_URL": server.url, "TRMM_API_KEY": server.api_key, **environment},
        stderr=subprocess.STDOUT,
    )
    with process:
        program = Program(process)
        try:
            yield program
        finally:
            process.kill()
            await program._reading


def a_server(dialect: str) -> Simulator:
    return Simulator(agents=3, dialect=dialect, rate_limit=None)


def test_every_example_is_run_here_and_listed() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {
        "when_online",
        "alert_forwarder",
        "fleet_state",
        "mirror_api",
        "onboard_client",
        "patch_ring",
    }
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"({name}.py)" in listed for name in names)


# Waiting for a laptop.


@BOTH
async def test_a_script_runs_when_the_laptop_comes_online(dialect: str) -> None:
    async with a_server(dialect) as server:
        agent = server.agents[0]
        server.script(1, stdout="hello\n", retcode=3, seconds=0.01)
        server.go_offline(agent.agent_id)
        async with running(server, "when_online", agent.hostname, "1") as program:
            await program.says("it is offline; waiting")
            assert server.runs == []
            server.come_online(agent.agent_id)
            assert await program.ended() == 3
        assert "hello\n" in program.said
        assert len(server.runs) == 1


async def test_a_laptop_that_is_online_is_not_waited_for_and_an_unknown_one_neither() -> None:
    async with a_server("gateway") as server:
        async with running(server, "when_online", server.agents[0].hostname, "1") as program:
            assert await program.ended() == 0
        async with running(server, "when_online", "NOBODY", "1") as program:
            assert await program.ended() == 2
        async with running(server, "when_online", server.agents[0].hostname, "999") as program:
            assert await program.ended() == 1


# Forwarding alerts.


class Chat:
    """Takes what is forwarded; fails as often as it is told to."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.failures = 0

    async def take(self, request: web.Request) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        self.texts.append((await request.json())["text"])
        return web.Response()

    async def has(self, count: int) -> list[str]:
        async with asyncio.timeout(LONGEST):
            while len(self.texts) < count:
                await asyncio.sleep(0.01)
        return self.texts


@asynccontextmanager
async def a_chat() -> AsyncIterator[tuple[Chat, str]]:
    chat, app = Chat(), web.Application()
    app.router.add_post("/hook", chat.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield chat, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


@BOTH
async def test_alerts_are_forwarded_once_also_across_a_restart(dialect: str, tmp_path: Path) -> None:
    place = str(tmp_path / "place.json")
    async with a_server(dialect) as server, a_chat() as (chat, url):
        who = server.agents[0]
        async with running(server, "alert_forwarder", url, place) as program:
            await program.says("watching 3 agents")
            server.raise_alert(who.agent_id, severity="info", message="not worth it")
            chat.failures = 1
            number = server.raise_alert(who.agent_id, severity="error", message="full")
            await chat.has(1)
            async with asyncio.timeout(LONGEST):
                while not Path(place).exists() or f'"{number}":' not in Path(place).read_text():
                    await asyncio.sleep(0.01)
            await program.stop()
        server.resolve_alert(number)
        async with running(server, "alert_forwarder", url, place) as program:
            await chat.has(2)
            server.raise_alert(server.agents[1].agent_id, severity="warning", message="hot")
            await chat.has(3)
            await program.stop()
    assert chat.texts == [
        f"[error] {who.hostname}: full",
        f"[resolved] {who.hostname}: full",
        f"[warning] {server.agents[1].hostname}: hot",
    ]


# Serving a fleet's state.


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def rows(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


@BOTH
async def test_a_fleets_state_is_served_and_its_changes(dialect: str, port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    async with a_server(dialect) as server, aiohttp.ClientSession(raise_for_status=True) as browser:
        first, second = server.agents[:2]
        server.go_offline(first.agent_id)
        async with running(server, "fleet_state", PORT=str(port), HOOK_SECRET=SECRET) as program:
            await program.says("Uvicorn running")
            async with asyncio.timeout(LONGEST), browser.get(f"{base}/events") as answer:
                assert answer.content_type == "text/event-stream"
                seen: dict[str, dict[str, Any]] = {}
                told = rows(answer)
                async for row in told:
                    seen[row["agent_id"]] = row
                    if len(seen) == 3 and all(one["fresh"] for one in seen.values()):
                        break
                assert {one["hostname"]: one["online"] for one in seen.values()} == {
                    agent.hostname: agent is not first for agent in server.agents
                }
                number = server.raise_alert(second.agent_id, severity="error", message="full")
                if dialect == "stock":
                    body = {"trmm": "1", "alert_id": str(number), "resolved": "None", "alert_type": "check"}
                    await browser.post(f"{base}/hooks/", json=body, headers={"X-TRMM-Secret": SECRET})
                row = await anext(told)
                assert (row["hostname"], row["alerts"]) == (second.hostname, {str(number): "error: full"})
            async with browser.get(f"{base}/state") as answer:
                assert sorted(one["hostname"] for one in await answer.json()) == sorted(
                    agent.hostname for agent in server.agents
                )
            async with browser.get(f"{base}/healthz") as answer:
                assert (await answer.json())["live"] == 3
            await program.stop()


# Serving a mirror.


@BOTH
async def test_a_mirror_is_served_as_it_is(dialect: str, port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    async with a_server(dialect) as server, aiohttp.ClientSession() as browser:
        first, second = server.agents[:2]
        server.go_offline(first.agent_id)
        server.raise_alert(second.agent_id, severity="error", message="full")

        async def asked(path: str) -> Any:
            async with browser.get(base + path) as answer:
                return await answer.json() if answer.status == 200 else answer.status

        async with running(server, "mirror_api", PORT=str(port)) as program:
            await program.says("Uvicorn running")
            everybody = await asked("/agents")
            assert {one["agent_id"] for one in everybody} == {*server.agent_ids}
            assert [one["hostname"] for one in await asked("/agents?status=offline")] == [first.hostname]
            client = everybody[0]["client"]
            assert await asked(f"/agents?client={client['id']}") == await asked(
                f"/agents?client={quote(client['name'])}"
            )
            assert (await asked(f"/agents/{second.agent_id}"))["hostname"] == second.hostname
            assert await asked("/agents/nobody") == 404
            assert [one["message"] for one in await asked(f"/agents/{second.agent_id}/alerts")] == ["full"]
            assert (await asked("/healthz"))["agents"] == 3
            async with asyncio.timeout(LONGEST), browser.get(f"{base}/changes") as answer:
                assert await answer.content.readline() == b": from here on\n"
                server.come_online(first.agent_id)
                change = await anext(rows(answer))
            assert (change["before"]["status"], change["after"]["status"]) == ("offline", "online")
            await program.stop()


# Onboarding a client.


async def test_a_client_is_onboarded_once_however_often_it_is_run() -> None:
    words = ("Acme", "Berlin", "Acme: servers")
    async with a_server("stock") as server:
        server.cut("POST", "/clients/", after=True)  # made, and the answer is lost
        for _ in range(2):
            async with running(server, "onboard_client", *words) as program:
                assert await program.ended() == 0, program.said
                assert any("for Windows, a program: http" in line for line in program.said)
                assert any("or a command: " in line for line in program.said)
        async with TRMM(server.url, api_key=server.api_key, dialect="stock") as trmm:
            (client,) = [one for one in await trmm.clients.list() if one.name == "Acme"]
            assert [site.name for site in client.sites] == ["Berlin"]
            (policy,) = [one for one in await trmm.policies.list() if one.name == "Acme: servers"]
            used = await trmm.policies.related(policy)
            assert [one.name for one in used.server_clients] == ["Acme"]


# Patches, ring by ring.


async def test_patches_go_on_after_a_crash_and_tell_no_machine_twice(tmp_path: Path) -> None:
    async with Simulator(agents=30, dialect="stock", rate_limit=None) as server:

        def told() -> list[str]:
            bodies = [json.loads(one.body) for one in server.requests if one.path.endswith("/bulk/")]
            return [agent_id for body in bodies for agent_id in body["agents"]]

        async with running(server, "patch_ring", str(tmp_path / "round"), "600") as program:
            await program.says("canary: waiting")
            program.process.kill()
        assert len(told()) == 2
        async with running(server, "patch_ring", str(tmp_path / "round"), "0") as program:
            assert await program.ended() == 0, program.said
        assert "canary: 2 of 2 machines install\n" in program.said
        assert "all rings are done\n" in program.said
        windows = [one for one in server.agents if one.plat == "windows"]
        assert sorted(told()) == sorted(one.agent_id for one in windows)


async def test_patches_stop_at_a_ring_of_which_the_answer_was_lost(tmp_path: Path) -> None:
    async with Simulator(agents=10, dialect="stock", rate_limit=None) as server:
        server.cut("POST", "/agents/actions/bulk/", after=True)
        for _ in range(2):
            async with running(server, "patch_ring", str(tmp_path / "round"), "0") as program:
                assert await program.ended() == 1
            assert "canary: 0 of 2 machines install\n" in program.said
        assert len([one for one in server.requests if one.path.endswith("/bulk/")]) == 1
