"""Our connection to a real Redis server: one, encrypted where it is asked for, whole after a cancellation."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_servers import Engine, cutting, redis_server, talking_to
from tests.stream.fake_gateway import TLS_CERTIFICATE, TLS_KEY
from tests.test_frames import leaks
from trmm_async.engines.redis_link import RedisAwayError, RedisRefusedError

PASSWORD = "Sesame-4711"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    with redis_server(tmp_path) as engine:
        yield engine


class TestTheLink:
    async def test_speaks_tls_and_looks_at_the_certificate(self, store: Engine, tmp_path: Path) -> None:
        certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        certificate.write_text(TLS_CERTIFICATE)
        key.write_text(TLS_KEY)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        async with cutting(store.port, context=context, after=10**9) as (port, _):
            async with talking_to(f"rediss://localhost:{port}?ssl_ca_certs={certificate}") as link:
                assert await link.command("PING") == b"PONG"
            async with talking_to(f"rediss://localhost:{port}") as link:
                with pytest.raises(RedisAwayError, match=r"(?i)certificate"):
                    await link.command("PING")

    async def test_goes_by_a_socket_of_this_machine(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, "--unixsocket", str(tmp_path / "redis.sock")):
            async with talking_to(f"unix://{tmp_path}/redis.sock?db=1") as link:
                assert await link.command("SET", "a", "b") == b"OK"

    async def test_drops_its_connection_when_a_command_is_cancelled(self, store: Engine) -> None:
        async with talking_to(store.url) as link:
            await link.command("SET", "a", "right")
            for turns in range(8):
                late = asyncio.create_task(link.command("BLPOP", "nothing", 5))
                for _ in range(turns):
                    await asyncio.sleep(0.002)
                late.cancel()
                await asyncio.gather(late, return_exceptions=True)
                assert await link.command("GET", "a") == b"right"

    async def test_gives_up_what_takes_too_long_and_serves_the_next(self, store: Engine) -> None:
        async with talking_to(store.url) as link:
            with pytest.raises(RedisAwayError, match="no answer within"):
                await link.command("BLPOP", "nothing", 5, within=0.05)
            assert await link.command("PING") == b"PONG"

    async def test_has_one_connection_however_many_ask(self, store: Engine) -> None:
        async with talking_to(store.url) as link:
            await asyncio.gather(*(link.command("PING") for _ in range(50)))
            assert (await link.command("CLIENT", "LIST")).count(b"\n") == 1

    async def test_shows_no_password_in_what_it_raises(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, password=PASSWORD) as engine:
            async with talking_to(engine.url.replace("//", "//:wrong-Sesame@")) as link:
                with pytest.raises(RedisRefusedError) as caught:
                    await link.command("PING")
                assert leaks(caught.value, "wrong-Sesame") == []
                assert caught.value.__context__ is None
            engine.kill()
            async with talking_to(engine.url.replace("//", f"//:{PASSWORD}@")) as link:
                with pytest.raises(RedisAwayError) as away:
                    await link.command("PING")
                assert leaks(away.value, PASSWORD) == []
