"""Through an HTTP proxy: calls and events, in plain text and in TLS, and what one that refuses comes to."""

import asyncio
import ssl
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.peer import always, answer, in_turn, peer
from tests.proxies import CLOSED, contexts, proxy
from tests.stream.fake_gateway import Gateway
from trmm_async import TRMM, AgentOnline, ConnectionFailedError, Connector, UnknownEvent
from trmm_async.engines.address import proxy_address
from trmm_async.testing import Simulator

SECRET = "s3cr3t-pw"
KEY = "the-key"


class TestCalls:
    @pytest.mark.parametrize("dialect", ["gateway", "stock"])
    async def test_go_through_one_tunnel_that_is_kept(self, dialect: Any) -> None:
        async with (
            Simulator(agents=2, dialect=dialect) as server,
            proxy(login=f"user:{SECRET}") as between,
            TRMM(server.url, api_key=server.api_key, proxy=between.url) as trmm,
        ):
            for _ in range(3):
                assert len(await trmm.agents.list()) == 2
            assert between.targets == [server.url.removeprefix("http://")]
            assert SECRET not in repr(trmm)
            # The key goes inside; the proxy is only told where to.
            assert server.api_key not in between.heads[0]

    async def test_speak_tls_with_the_server_and_with_the_proxy(self, tmp_path: Path) -> None:
        serving, certificate, _ = contexts(tmp_path)
        trusting = ssl.create_default_context(cafile=certificate)
        async with peer(always(answer()), tls=serving) as server:
            for encryption in (None, serving):
                async with (
                    proxy(tls=encryption) as between,
                    TRMM(server.url, api_key=KEY, dialect="gateway", proxy=between.url, ssl=trusting) as trmm,
                ):
                    assert await trmm.clients.list() == []
                    assert await trmm.clients.list() == []
                    assert len(between.heads) == 1

    async def test_refuse_a_server_whose_certificate_is_not_trusted(self, tmp_path: Path) -> None:
        serving, _, _ = contexts(tmp_path)
        async with (
            peer(always(answer()), tls=serving) as server,
            proxy() as between,
            TRMM(server.url, api_key=KEY, dialect="gateway", retries=0, proxy=between.url) as trmm,
        ):
            with pytest.raises(ConnectionFailedError, match="certificate"):
                await trmm.clients.list()
            assert not server.requests

    async def test_of_a_session_of_yours_with_a_proxy_do_too(self, tmp_path: Path) -> None:
        serving, certificate, _ = contexts(tmp_path)
        trusting = ssl.create_default_context(cafile=certificate)
        async with (
            peer(always(answer()), tls=serving) as server,
            proxy(login=f"user:{SECRET}") as between,
            aiohttp.ClientSession(connector=Connector(ssl=trusting), proxy=between.url) as session,
            TRMM(server.url, api_key=KEY, dialect="gateway", session=session) as trmm,
        ):
            assert await trmm.clients.list() == []
            assert between.targets == [server.url.removeprefix("https://")]

    async def test_take_no_stranger_s_answer_from_a_kept_tunnel(self, tmp_path: Path) -> None:
        serving, certificate, _ = contexts(tmp_path)
        trusting = ssl.create_default_context(cafile=certificate)
        stray = answer(b'[{"id": 66, "name": "stray", "sites": []}]')
        async with (
            peer(in_turn(answer() + stray, answer()), tls=serving) as server,
            proxy() as between,
            TRMM(server.url, api_key=KEY, dialect="gateway", proxy=between.url, ssl=trusting) as trmm,
        ):
            assert await trmm.clients.list() == []
            assert await trmm.clients.list() == []
            assert len(between.heads) == server.connections == 2

    async def test_are_not_sent_again_to_a_proxy_that_refuses(self) -> None:
        async with (
            peer(always(answer())) as server,
            proxy(login=f"user:{SECRET}") as between,
        ):
            url = between.url.replace(SECRET, "wr0ng")
            async with TRMM(server.url, api_key=KEY, dialect="gateway", proxy=url) as trmm:
                with pytest.raises(ConnectionFailedError, match=r"answered 407 Proxy.*is wrong") as caught:
                    await trmm.agents.run_script("a" * 40, 1)
                assert trmm.stats.sent == 0
            assert not server.requests
            assert len(between.heads) == 1
        said = "".join(traceback.format_exception(caught.value))
        assert "wr0ng" not in said
        assert proxy_address(url, "proxy").credentials not in said

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            (CLOSED, "it wants a login"),
            (b"HTTP/1.1 403 Not\x1b allowed\r\n\r\n", "answered 403 Not allowed to CONNECT 127"),
            (b"HTTP/1.1 502\r\n\r\n", "answered 502 to CONNECT"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "gave no HTTP answer"),
            (b"x" * 70_000, "gave no HTTP answer"),
            (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "more than its answer"),
            (None, "closed the connection without an answer"),
        ],
    )
    async def test_say_what_the_proxy_said(self, said: bytes | None, why: str) -> None:
        async with (
            peer(always(answer())) as server,
            proxy(said) as between,
            TRMM(server.url, api_key=KEY, dialect="gateway", retries=0, proxy=between.url) as trmm,
        ):
            with pytest.raises(ConnectionFailedError, match=why):
                await trmm.clients.list()
            assert not server.requests

    async def test_say_that_the_proxy_is_not_there(self) -> None:
        async with proxy() as between:
            url = between.url
        async with TRMM("https://x.invalid", api_key=KEY, dialect="gateway", retries=0, proxy=url) as trmm:
            with pytest.raises(ConnectionFailedError, match=r"proxy http://127.* can't be reached"):
                await trmm.clients.list()

    async def test_do_not_wait_for_ever_for_a_proxy_that_says_nothing(self) -> None:
        async with (
            proxy(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2") as between,
            TRMM(
                "https://x.invalid",
                api_key=KEY,
                dialect="gateway",
                retries=0,
                proxy=between.url,
                timeout=0.2,
            ) as trmm,
        ):
            with pytest.raises(ConnectionFailedError):
                await trmm.clients.list()


class TestEvents:
    @pytest.mark.parametrize("is_encrypted", [False, True])
    async def test_go_through_a_tunnel_of_their_own(self, tmp_path: Path, is_encrypted: bool) -> None:
        serving, certificate, _ = contexts(tmp_path)
        trusting = ssl.create_default_context(cafile=certificate)
        async with (
            Gateway(tls=serving if is_encrypted else None) as gateway,
            proxy(login=f"user:{SECRET}", tls=serving if is_encrypted else None) as between,
            TRMM(gateway.url, api_key=KEY, dialect="gateway", proxy=between.url, ssl=trusting) as trmm,
        ):
            async with asyncio.timeout(20), trmm.events(["a"]) as events:
                (await gateway.peer()).send({"action": "of.tomorrow", "data": {"agent_id": "a"}})
                async for event in events:
                    if isinstance(event, UnknownEvent):
                        break
            assert between.targets[0] == f"{'localhost' if is_encrypted else '127.0.0.1'}:{gateway.port}"

    async def test_of_a_simulator_arrive(self) -> None:
        async with (
            Simulator(agents=2) as server,
            proxy() as between,
            TRMM(server.url, api_key=server.api_key, proxy=between.url) as trmm,
        ):
            server.go_offline(server.agent_ids[0])
            async with asyncio.timeout(20), trmm.events(list(server.agent_ids)) as events:
                server.come_online(server.agent_ids[0])
                async for event in events:
                    if isinstance(event, AgentOnline):
                        break
            assert len(between.heads) >= 2

    async def test_are_not_asked_for_again_of_a_proxy_that_refuses(self) -> None:
        async with (
            Gateway() as gateway,
            proxy(CLOSED) as between,
            TRMM(gateway.url, api_key=KEY, dialect="gateway", proxy=between.url) as trmm,
        ):
            with pytest.raises(ConnectionFailedError, match="answered 407"):
                async with trmm.events(["a"]):
                    pass
            assert len(between.heads) == 1
            assert not gateway.handshakes
