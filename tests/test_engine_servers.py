"""The helper that starts real servers for the tests."""

import os
from pathlib import Path

import pytest

from tests import engine_servers
from tests.engine_servers import nats_server, redis_server


def test_each_has_a_port_of_its_own_and_is_gone_in_the_end(tmp_path: Path) -> None:
    with redis_server(tmp_path) as one, redis_server(tmp_path) as other:
        assert one.url != other.url
        pids = [one.pid, other.pid]
        port = one.port
        one.kill()
        assert one.start().port == port
        assert one.pid not in pids
        pids.append(one.pid)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_nats_too(tmp_path: Path) -> None:
    with nats_server(tmp_path) as one:
        assert one.url == f"nats://127.0.0.1:{one.port}"


def test_where_there_is_none_the_test_is_skipped_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(engine_servers._PACKAGED, "redis", ("no_such_package", "bin"))
    engine_servers._program.cache_clear()
    try:
        with pytest.raises(pytest.skip.Exception, match="redis-server, valkey-server is on the PATH"):
            with redis_server(tmp_path):
                pass
    finally:
        engine_servers._program.cache_clear()


def test_one_on_the_path_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tmp_path / "valkey-server"
    found.write_text("")
    found.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    engine_servers._program.cache_clear()
    try:
        assert engine_servers._program("redis") == str(found)
    finally:
        engine_servers._program.cache_clear()
