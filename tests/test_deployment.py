"""What is written under deploy/: its very command lines start, say how they are, and end cleanly."""

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.cli.conftest import gateway_stage, stock_stage  # noqa: F401 - fixtures
from tests.cli.stage import Backstage, ended, started
from tests.engine_servers import Engine, nats_server, redis_server
from trmm_async.webhooks.delivery import TEMPLATE

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
SECRET = "a-secret-of-4711"


def commands() -> Iterator[Any]:
    """Each command line, its first word taken off, under the name of what it starts."""
    for unit in sorted(DEPLOY.glob("*.service")):
        found = re.search(r"^ExecStart=/opt/trmm/bin/(trmm .*)$", unit.read_text(), re.MULTILINE)
        assert found is not None
        yield pytest.param(shlex.split(found[1])[1:], id=unit.stem)
    *_, last = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    yield pytest.param(json.loads(last)[1:], id="image")
    other = re.search(r"trmm-async \\\n#\s+(trmm webhooks .*)$", DOCKERFILE, re.MULTILINE)
    assert other is not None
    yield pytest.param(shlex.split(other[1])[1:], id="image-webhooks")


@pytest.fixture
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if getattr(request, "param", "redis") == "nats":
        pytest.importorskip("nats", reason="the library of the extra [nats] is missing")
        serving = nats_server(tmp_path)
    else:
        serving = redis_server(tmp_path)
    with serving as engine:
        yield engine


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def moved(words: list[str]) -> list[str]:
    """The same on ports that are free here, and listening on this machine alone."""
    ports = {port: free_port() for port in ("8080", "9183", "9184")}
    for old, new in ports.items():
        words = [word.replace(f":{old}", f":{new}") for word in words]
    return [word.replace("0.0.0.0", "127.0.0.1") for word in words]


def line_with(process: Any, words: str) -> str:
    # Bounded: what does not say it is ended, and then has an end.
    bound = threading.Timer(30, process.kill)
    bound.start()
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if words in line:
                return str(line)
    finally:
        bound.cancel()
    raise AssertionError(f"it ended without {words!r}: {said}")


@pytest.mark.parametrize("words", list(commands()))
def test_a_command_line_is_well_and_ends_cleanly(
    words: list[str],
    bus: Engine,
    stock_stage: Backstage,  # noqa: F811
) -> None:
    words = moved(words)
    given = {**stock_stage.environment, "TRMM_RELAY": bus.url, "TRMM_WEBHOOK_SECRET": SECRET}
    with started(words, given) as process:
        health = words[words.index("--health") + 1]
        assert f"http://{health}/health" in line_with(process, "/health")
        # As the image asks.
        (check,) = re.findall(r"^    CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
        code = json.loads(check)[2].replace("127.0.0.1:9183", health)
        exec(compile(code, "HEALTHCHECK", "exec"), {})
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"http://{health}/", timeout=10)
        process.send_signal(signal.SIGTERM)
        said = ended(process)
    assert said.code == 0, said.error
    assert SECRET not in said.out + said.error


@pytest.mark.parametrize("shown", ["redis://127.0.0.1:9/0", "nats://127.0.0.1:9"])
def test_a_relay_that_has_no_engine_says_so_and_ends_all_the_same(
    shown: str,
    stock_stage: Backstage,  # noqa: F811
) -> None:
    if shown.startswith("nats"):
        pytest.importorskip("nats", reason="the library of the extra [nats] is missing")
    url = shown.replace("//", "//:Sesame-4711@")
    words = ["relay", "--name", "acme", "--to", url, "--health", "127.0.0.1:0"]
    with started(words, stock_stage.environment) as process:
        url = line_with(process, "/health").rpartition("; ")[2].strip()
        line_with(process, "can't be reached")
        with pytest.raises(HTTPError, match="503") as caught:
            urlopen(url, timeout=10)
        assert f"{shown} can't be reached" in caught.value.read().decode()
        process.send_signal(signal.SIGTERM)
        said = ended(process)
    assert (said.code, "Sesame" in said.error) == (0, False)


def test_what_must_not_be_tried_again_has_its_codes(bus: Engine, stock_stage: Backstage) -> None:  # noqa: F811
    units = [unit.read_text() for unit in DEPLOY.glob("*.service")]
    assert all("RestartPreventExitStatus=2 4" in unit for unit in units)
    for extra, words, code, says in (
        ({"TRMM_API_KEY": "wrong"}, ["relay", "--name", "a", "--to", bus.url], 4, "API key is refused"),
        ({}, ["relay", "--name", "a"], 2, "TRMM_RELAY"),
        ({}, ["relay", "--name", "a", "--to", "http://bus"], 2, "must begin with redis://"),
        ({}, ["relay", "--name", "a", "--to", bus.url, "--health", "9183"], 2, "HOST:PORT"),
        ({}, ["webhooks"], 2, "TRMM_WEBHOOK_SECRET"),
    ):
        with started(words, {**stock_stage.environment, **extra}) as process:
            said = ended(process)
        assert (said.code, says in said.error) == (code, True), said.error


def test_a_webhook_is_shown_as_the_alert_stands(stock_stage: Backstage) -> None:  # noqa: F811
    where = f"127.0.0.1:{free_port()}"
    words = ["webhooks", "--jsonl", "--listen", where]
    with started(words, {**stock_stage.environment, "TRMM_WEBHOOK_SECRET": SECRET}) as process:
        line_with(process, "webhooks at")
        who = stock_stage.first
        number = stock_stage.do(lambda server: server.raise_alert(who, message="by a webhook"))
        body = {
            **TEMPLATE,
            "alert_id": str(number),
            "agent_id": who,
            "resolved": "None",
            "alert_type": "check",
        }
        headers = {"X-TRMM-Secret": SECRET, "Content-Type": "application/json"}
        request = Request(f"http://{where}/", json.dumps(body).encode(), headers)
        assert urlopen(request, timeout=10).status == 204
        assert process.stdout is not None
        row = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        said = ended(process)
    assert (row["event"], row["alert"]["id"], row["alert"]["message"]) == (
        "AlertEvent",
        number,
        "by a webhook",
    )
    assert (said.code, "1 received" in said.error) == (0, True)


@pytest.mark.parametrize("bus", ["redis", "nats"], indirect=True)
def test_a_relay_is_watched(bus: Engine, gateway_stage: Backstage) -> None:  # noqa: F811
    # A password in a URL is shown by neither.
    given = {**gateway_stage.environment, "TRMM_RELAY": bus.url.replace("//", "//:Sesame-4711@")}
    if bus.scheme == "redis":
        given["TRMM_RELAY"] = f"redis://:@127.0.0.1:{bus.port}/1"
    with started(["relay", "--name", "acme"], given) as process:
        line_with(process, f"relay acme to {bus.scheme}://127.0.0.1")
        hosts = gateway_stage.do(lambda server: [agent.hostname for agent in server.agents])
        watching = ["watch", "--name", "acme", "--snapshot", "--jsonl", "--count", "1", hosts[0].lower()]
        with started(watching, {"TRMM_RELAY": given["TRMM_RELAY"]}) as watcher:
            seen = ended(watcher)
        process.send_signal(signal.SIGTERM)
        said = ended(process)
    assert (seen.code, said.code) == (0, 0), seen.error + said.error
    assert seen.lines[0]["hostname"] == hosts[0]
    assert "Sesame" not in seen.error + said.error
    for words, says in (
        (["watch", "--from", bus.url], "--name NAME"),
        (["watch", "--from", bus.url, "--name", "a", "--site", "b"], "by --client and by name or id alone"),
        (["watch", "--snapshot"], "goes with --from"),
    ):
        with started(words, {}) as watcher:
            seen = ended(watcher)
        assert (seen.code, says in seen.error) == (2, True), seen.error


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    units = []
    for unit in DEPLOY.glob("*.service"):
        # What it starts is not there on this machine.
        text = unit.read_text().replace("/opt/trmm/bin/trmm", sys.executable)
        units.append(tmp_path / unit.name)
        units[-1].write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_is_slim_not_root_and_has_a_health_check() -> None:
    *_, last = DOCKERFILE.split("\nFROM ")
    assert last.startswith("python:3.12-slim\n")
    assert re.search(r"^USER [1-9]\d*$", last, re.MULTILINE)
    assert "STOPSIGNAL SIGTERM" in last
    assert "HEALTHCHECK" in last
    for source in re.findall(r"^COPY ([^-].*) \./?\S*$", DOCKERFILE, re.MULTILINE):
        assert all((DEPLOY.parent / name).exists() for name in source.split())
