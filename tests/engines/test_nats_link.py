"""Our connection to a real NATS server: what it shows, what it leaves behind, and what it refuses to send."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.engine_servers import nats_server
from tests.relay.buses import NAME, Bus
from tests.servers import until
from tests.stream.fake_gateway import TLS_CERTIFICATE, TLS_KEY
from trmm_async import ConnectionFailedError, follow
from trmm_async.engines.address import nats_address
from trmm_async.engines.faults import EngineAwayError, EngineRefusedError

pytest.importorskip("nats", reason="the library of the extra [nats] is missing")

from trmm_async.engines.nats_link import Inbox, Message, NatsAwayError, NatsLink, read_json


def waits(task: "asyncio.Task[Any]") -> bool:
    """Whether this is one of those by which nats-py listens."""
    return "_wait_for_msgs" in repr(task.get_coro())


async def test_is_left_without_a_trace_though_leaving_is_cut_off(tmp_path: Path) -> None:
    with nats_server(tmp_path) as engine:
        before = asyncio.all_tasks()
        for turns in range(1, 8):
            link = NatsLink(nats_address(engine.url, "url"))
            inboxes = [await link.inbox(), await link.inbox()]
            leaving = asyncio.create_task(link.aclose())
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.wait([leaving])
            assert len(inboxes) == 2
            await until(lambda: not [task for task in asyncio.all_tasks() - before if waits(task)])


async def test_takes_a_token_and_speaks_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(TLS_CERTIFICATE)
    key.write_text(TLS_KEY)
    options = ("--tls", "--tlscert", str(certificate), "--tlskey", str(key), "--auth", "Sesame")
    with nats_server(tmp_path / "other", *options) as engine:
        url = f"tls://Sesame@localhost:{engine.port}"
        async with Bus("nats", engine, f"{url}?ssl_ca_certs={certificate}").store() as store:
            assert await store.lead(5.0) is not None
            assert "Sesame" not in repr(store) + store.where
        async with Bus("nats", engine, url).store() as store:
            with pytest.raises(EngineAwayError, match=r"(?i)certificate"):
                await store.end()


async def test_one_that_speaks_no_tls_gets_no_password() -> None:
    heard = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writer.write(b'INFO {"server_id":"x","auth_required":true,"headers":true}\r\n')
        heard += await reader.read(4096)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as peer:
        link = NatsLink(nats_address(f"tls://me:Sesame@127.0.0.1:{peer.sockets[0].getsockname()[1]}", "url"))
        with pytest.raises(EngineRefusedError, match="TLS is not offered"):
            await link.ask("$JS.API.INFO")
        assert "Sesame" not in repr(link)
        await link.aclose()
    assert heard == b""


async def test_one_without_jetstream_is_told_apart(tmp_path: Path) -> None:
    with nats_server(tmp_path, jetstream=False) as engine:
        with pytest.raises(ConnectionFailedError, match="has this server JetStream"):
            async with follow(engine.url, name=NAME):
                pass


async def test_an_inbox_gives_what_came_before_its_end_and_then_says_so_each_time() -> None:
    inbox = Inbox("inbox.1")
    assert await inbox.next(0.0) is None
    message = Message("reply", b"data", "", "")
    inbox.put(message)
    inbox.put(None)
    assert inbox.has_more
    assert await inbox.next(0.0) is message
    for _ in range(2):
        with pytest.raises(NatsAwayError, match="the connection was lost"):
            await inbox.next(0.0)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"null"])
def test_an_answer_that_is_no_object_is_none(data: bytes) -> None:
    assert read_json(b'{"a": 1}') == {"a": 1}
    with pytest.raises(NatsAwayError, match="not JSON"):
        read_json(data)
