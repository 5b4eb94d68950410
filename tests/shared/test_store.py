"""The store of shared limits: a window for each key, and no key or password in it or out of it."""

import logging
from pathlib import Path

import pytest

from tests.engine_servers import Engine, redis_server, told
from tests.shared.sharing import PASSWORD, QUICK, client, served
from tests.test_frames import leaks
from trmm_async import TRMM, LimiterUnavailableError


async def test_another_key_has_a_window_of_its_own(store: Engine) -> None:
    async with served() as server, client(server, store.url) as trmm:
        await trmm.clients.list()
        other = TRMM(server.url, api_key="another", shared_limits=store.url, **QUICK)
        async with other:
            with pytest.raises(Exception, match="401"):
                await other.clients.list()
    names = await told(store, "KEYS", "*:meta")
    assert len(names) == 2
    assert not any(server.api_key.encode() in name for name in names)


async def test_a_new_key_of_a_source_begins_a_window_of_its_own(store: Engine) -> None:
    keys = iter(["old-key"])
    async with served() as server:
        trmm = TRMM(server.url, api_key=lambda: next(keys, server.api_key), shared_limits=store.url, **QUICK)
        async with trmm:
            await trmm.clients.list()
        assert len(await told(store, "KEYS", "*:meta")) == 2


async def test_the_password_lets_in_and_stands_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path, password=PASSWORD) as engine:
        url = engine.url.replace("//", f"//:{PASSWORD}@")
        with caplog.at_level(logging.DEBUG):
            async with served() as server, client(server, url, limiter_timeout=0.3) as trmm:
                await trmm.clients.list()
                shown = [repr(trmm), repr(trmm._shared), repr(trmm._api.transport), str(trmm.stats)]
                engine.kill()
                with pytest.raises(LimiterUnavailableError) as caught:
                    await trmm.clients.list()
    assert leaks(caught.value, PASSWORD) == []
    assert PASSWORD not in " ".join(shown) + caplog.text


async def test_a_replica_may_become_a_primary(store: Engine) -> None:
    await told(store, "REPLICAOF", "127.0.0.1", "9")
    async with served() as server, client(server, store.url, limiter_timeout=1.0) as trmm:
        with pytest.raises(LimiterUnavailableError, match="it is a replica"):
            await trmm.clients.list()
        await told(store, "REPLICAOF", "NO", "ONE")
        await trmm.clients.list()
