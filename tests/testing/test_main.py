from __future__ import annotations

import re
import signal
import socket
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.forked import Forked, forks
from trmm_async.testing.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def running(*options: str) -> Iterator[tuple[Forked, str]]:
    with forks("package").start("trmm_async.testing", options) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "Ctrl-C" in line:
                    break
            yield process, "".join(lines)
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_runs_until_it_is_interrupted(ending: signal.Signals) -> None:
    with running("--agents", "3", "--seed", "7", "--api-key", "MINE", "--no-limits", "--chaos") as (
        process,
        said,
    ):
        found = re.search(r"URL +(http://127\.0\.0\.1:\d+)", said)
        assert found
        assert "with 3 agents" in said
        assert re.search(r"API key +MINE", said)
        request = urllib.request.Request(f"{found[1]}/api/v3/agents/", headers={"X-API-KEY": "MINE"})
        with urllib.request.urlopen(request, timeout=120) as response:
            assert response.status == 200
        process.send_signal(ending)
        out, error = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "0 scripts were run. Bye." in out
    assert error == ""


@pytest.mark.parametrize("dialect", ["gateway", "stock"])
def test_the_example_that_it_prints_works(dialect: str) -> None:
    with running("--agents", "1", "--dialect", dialect) as (_, said):
        assert ("events" in said) == (dialect == "gateway")
        found = re.search(r"curl -H '(X-API-KEY): (\w+)' (http\S+)", said)
        assert found
        request = urllib.request.Request(found[3], headers={found[1]: found[2]})
        with urllib.request.urlopen(request, timeout=120) as response:
            assert b"JADE-PC" in response.read()


def test_a_fleet_of_none_is_welcome() -> None:
    with running("--agents", "0") as (_, said):
        assert "/trmm/<agent_id>/" in said


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--agents", "-1"], ["--agents", "0", "--chaos"], ["--agents", "many"], ["--x"]]
)
def test_a_wrong_option_is_said(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert "usage: python -m trmm_async.testing" in capsys.readouterr().err
