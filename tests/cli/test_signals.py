"""Ctrl-C, SIGTERM and SIGHUP stop every command alike; what was ignored from the start stays so."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import LONGEST, Backstage, ended, started, terminal
from trmm_async.cli.signals import like_ctrl_c

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RUN = ("run", "3", "--all", "--yes", "--width", "2", "--jsonl")


@pytest.fixture
def stage(gateway: Backstage) -> Iterator[Backstage]:
    gateway.do(lambda server: server.reset_ledger())
    gateway.do(lambda server: server.script(3, seconds=0.5))
    yield gateway
    gateway.do(lambda server: server.script(3, seconds=0.01))


def wait_until_it_ran(stage: Backstage, count: int = 1) -> None:
    deadline = time.monotonic() + LONGEST
    while stage.do(lambda server: len(server.runs)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "fresh"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, False)]
)
def test_a_run_ends_gently_and_is_told(
    cli: Cli, stage: Backstage, tmp_path: Path, number: signal.Signals, fresh: bool
) -> None:
    path = str(tmp_path / "run.db")
    with started([*RUN, "--journal", path], stage.environment, fresh=fresh) as process:
        wait_until_it_ran(stage, 2)
        process.send_signal(number)
        said = ended(process)
    assert said.code == 130
    ran = stage.do(lambda server: {run.agent_id for run in server.runs})
    assert 2 <= len(ran) < 20
    assert {row["agent_id"] for row in said.lines if row["outcome"] == "done"} == ran
    assert "Nothing more is sent" in said.error
    assert "stopped: the run was stopped" in said.error
    rest = 20 - len(ran)
    assert cli("results", path, "--ids").error == f"20 agents: {len(ran)} succeeded, {rest} pending\n"


def test_what_waits_out_a_refusal_is_not_sent_and_not_waited_for(stage: Backstage) -> None:
    stage.do(lambda server: server.fail("POST", "/runscript/", status=429, times=None, retry_after=100))
    with started(RUN, stage.environment) as process:
        deadline = time.monotonic() + LONGEST
        while not stage.do(lambda server: [each for each in server.requests if each.method == "POST"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        said = ended(process)
    assert said.code == 130
    assert {row["outcome"] for row in said.lines} == {"skipped"}
    assert said.error.endswith("20 agents: 20 skipped\n")
    assert stage.do(lambda server: server.runs) == []


def test_twice_ends_at_once(stage: Backstage) -> None:
    stage.do(lambda server: server.script(3, seconds=600))
    with started(RUN, stage.environment) as process:
        wait_until_it_ran(stage, 2)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert "Nothing more is sent" in process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        said = ended(process)
    assert said.code == 130
    assert said.error.endswith("20 agents: 2 unknown, 18 skipped\n")


def test_one_that_is_ignored_stays_so(stage: Backstage) -> None:
    words = ["run", "3", "--client", "34", "--yes", "--width", "1"]
    with started(words, stage.environment, ignoring=[signal.SIGHUP, signal.SIGINT]) as process:
        wait_until_it_ran(stage)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        said = ended(process)
    assert (said.code, said.error) == (0, "4 agents: 4 succeeded\n")


def test_others_stop_it_then(stage: Backstage) -> None:
    with started(RUN, stage.environment, ignoring=[signal.SIGHUP, signal.SIGINT]) as process:
        wait_until_it_ran(stage, 2)
        process.send_signal(signal.SIGTERM)
        assert ended(process).code == 130


@pytest.mark.parametrize("ignoring", [(), (signal.SIGINT,)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_waits_for_its_answer(
    stock: Backstage, number: signal.Signals, ignoring: tuple[signal.Signals, ...]
) -> None:
    stock.do(lambda server: server.slow("POST", "/cmd/", 600))
    with started(["cmd", "JADE-PC", "hostname"], stock.environment, ignoring=ignoring) as process:
        deadline = time.monotonic() + LONGEST
        while not stock.do(lambda server: [each for each in server.requests if "/cmd/" in each.path]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        said = ended(process)
    stock.do(lambda server: server.reset_ledger())
    assert (said.code, said.out) == (130, "")
    assert "Traceback" not in said.error


@pytest.mark.parametrize("number", ALL)
def test_a_run_that_is_resumed_ends_gently_too(
    cli: Cli, stage: Backstage, tmp_path: Path, number: signal.Signals
) -> None:
    path = str(tmp_path / "run.db")
    for words in ([*RUN, "--journal", path], ["resume", path, "--yes", "--jsonl"]):
        before = stage.do(lambda server: len(server.runs))
        with started(words, stage.environment) as process:
            wait_until_it_ran(stage, before + 2)
            process.send_signal(number)
            said = ended(process)
        assert said.code == 130
        assert "Nothing more is sent" in said.error
    ran = stage.do(lambda server: [run.agent_id for run in server.runs])
    assert 4 <= len(ran) == len(set(ran)) < 20
    assert cli("results", path, "--ids").error.startswith(f"20 agents: {len(ran)} succeeded, ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_events_that_are_watched(stage: Backstage, number: signal.Signals) -> None:
    with started(["watch", "jade-pc", "--json"], stage.environment) as process:
        assert process.stderr is not None
        assert "watching 1 agent" in process.stderr.readline()
        process.send_signal(number)
        said = ended(process)
    assert (said.code, said.data) == (130, [])
    assert "Traceback" not in said.error


def test_a_question(stage: Backstage) -> None:
    with terminal(["run", "3", "--client", "34"], stage.environment) as screen:
        screen.wait_for("Go on? [y/N] ")
        screen.process.send_signal(signal.SIGTERM)
        assert screen.finish() == 130
    assert stage.do(lambda server: server.runs) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a system that doesn't tell who waits")
def test_one_that_comes_as_a_wait_begins_breaks_into_it() -> None:
    reading, writing = os.pipe()
    waiting = threading.Event()

    def send() -> None:
        # In this thread it breaks into nothing, as one that comes just before the wait of the other thread.
        while Path("/proc/self/stat").read_text().rpartition(")")[2].split()[0] != "S":
            time.sleep(0.01)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        if not waiting.wait(LONGEST):
            os.write(writing, b"late")

    sender = threading.Thread(target=send)
    with like_ctrl_c():
        with pytest.raises(KeyboardInterrupt):
            sender.start()
            os.read(reading, 4)
    waiting.set()
    sender.join()
    os.close(reading)
    os.close(writing)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@contextmanager
def server_of_half_a_file() -> Iterator[tuple[str, threading.Event]]:
    """A gateway of one deployment, whose installer comes half, and then no more; its URL, and when it did."""
    begun, over = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if self.path.endswith("/deployments/"):
                url = f"http://127.0.0.1:{server.server_port}/installer.exe"
                body = json.dumps([{"id": 3, "uuid": "3", "download_url": url}]).encode()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"x" * 500_000)
            self.wfile.flush()
            begun.set()
            over.wait(LONGEST)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", begun
        finally:
            over.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("number", ALL)
def test_a_download_that_is_half_way(tmp_path: Path, number: signal.Signals) -> None:
    """Nothing of it is left that could be taken for the installer."""
    with server_of_half_a_file() as (url, begun):
        environment = {"TRMM_URL": url, "TRMM_API_KEY": "key", "TRMM_DIALECT": "gateway"}
        with started(["deploy", "download", "3", str(tmp_path)], environment) as process:
            assert begun.wait(LONGEST)
            process.send_signal(number)
            said = ended(process)
    assert (said.code, said.out) == (130, "")
    assert "Traceback" not in said.error
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_that_is_gone(stage: Backstage) -> None:
    stage.do(lambda server: server.script(3, seconds=3))  # of all it would take half a minute
    with terminal(["run", "3", "--all", "--yes", "--width", "2"], stage.environment) as screen:
        wait_until_it_ran(stage, 2)
        screen.hang_up()
        assert screen.process.wait(LONGEST) == 130
    assert stage.do(lambda server: len(server.runs)) < 20


def test_nothing_is_left_of_it_in_this_process(cli: Cli, stage: Backstage) -> None:
    before = [signal.getsignal(number) for number in ALL], sys.stdout, sys.stderr
    assert cli("run", "3", "--agent", "JADE-PC").code == 0
    assert ([signal.getsignal(number) for number in ALL], sys.stdout, sys.stderr) == before
