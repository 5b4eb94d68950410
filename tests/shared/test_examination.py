"""What makes a Redis server unfit for shared limits is said before anything is sent."""

import re
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any

import pytest

from tests.engine_servers import Engine, redis_server, told
from tests.shared.sharing import PASSWORD, client, served
from trmm_async import LimiterUnavailableError
from trmm_async.engines.redis_link import RedisRefusedError
from trmm_async.shared.examination import examine


class TestAStoreThatIsUnfit:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--maxmemory-policy", "allkeys-lru"), "maxmemory-policy is allkeys-lru"),
            (("--cluster-enabled", "yes"), "it is a Redis Cluster"),
        ],
        ids=["evicts", "cluster"],
    )
    async def test_is_refused_at_once(self, tmp_path: Path, options: Sequence[str], says: str) -> None:
        with redis_server(tmp_path, *options) as engine:
            async with served() as server, client(server, engine.url) as trmm:
                with pytest.raises(LimiterUnavailableError, match=says):
                    await trmm.clients.list()
                assert server.requests == []

    async def test_as_one_whose_scripts_may_not_ask_for_the_time(self, store: Engine) -> None:
        await told(store, "ACL", "SETUSER", "default", "-time")
        async with served() as server, client(server, store.url) as trmm:
            with pytest.raises(LimiterUnavailableError, match=r"(?i)time"):
                await trmm.clients.list()
            assert server.requests == []

    async def test_as_one_that_doesnt_know_us(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, password=PASSWORD) as engine:
            for login in ("", ":wrong@", "nobody:wrong@"):
                async with served() as server:
                    async with client(server, engine.url.replace("//", f"//{login}")) as trmm:
                        with pytest.raises(LimiterUnavailableError, match="can't be used"):
                            await trmm.clients.list()
                    assert server.requests == []


FIT = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "maxmemory_policy": "noeviction",
    "role": "master",
}


class Answers:
    """Stands for the connection to a server that answers so."""

    def __init__(self, probe: object = b"run", **facts: str) -> None:
        self._probe = probe
        self._facts = {**FIT, **facts}

    async def facts(self) -> dict[str, str]:
        return self._facts

    async def command(self, *words: str) -> Any:
        assert words == ("TIME",)
        return [str(int(time()) + 100).encode(), b"0"]

    async def run(self, *_: object) -> object:
        if isinstance(self._probe, Exception):
            raise self._probe
        return self._probe


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({}, ""),
        ({"redis_version": "5.0.0"}, ""),
        ({"redis_version": "4.0.14"}, "Redis 4.0.14 is too old"),
        ({"redis_version": "10.1"}, ""),
        ({"redis_version": "unstable"}, ""),
        ({"redis_mode": "sentinel"}, "it is a Sentinel"),
        ({"redis_mode": "", "server_mode": "sentinel"}, "it is a Sentinel"),
        ({"redis_mode": "cluster"}, "it is a Redis Cluster"),
        ({"cluster_enabled": "1"}, "it is a Redis Cluster"),
        ({"maxmemory_policy": "volatile-lru"}, "its maxmemory-policy is volatile-lru"),
        ({"maxmemory_policy": ""}, ""),  # it does not say
        ({"probe": b""}, "its INFO names no run_id"),
        ({"probe": RedisRefusedError("NOPERM")}, r"scripts may not ask .*NOPERM"),
    ],
)
async def test_what_a_server_says_of_itself_decides(facts: dict[str, Any], says: str) -> None:
    link: Any = Answers(**facts)
    found = await examine(link)
    assert re.match(says or "$", found.problem)
    assert 98 < found.ahead < 101


@pytest.mark.parametrize(
    ("facts", "version", "is_replica"),
    [
        ({}, "Redis 7.2.4", False),
        ({"valkey_version": "8.1"}, "Valkey 8.1", False),
        ({"redis_version": ""}, "Redis of an unknown version", False),
        ({"role": "slave"}, "Redis 7.2.4", True),
        ({"role": "replica"}, "Redis 7.2.4", True),
    ],
)
async def test_it_is_named_and_a_replica_is_no_problem_for_good(
    facts: dict[str, Any], version: str, is_replica: bool
) -> None:
    link: Any = Answers(**facts)
    found = await examine(link)
    assert (found.version, found.is_replica, found.problem) == (version, is_replica, "")
