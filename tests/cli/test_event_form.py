"""Events have no end: in every form each is printed when it comes, into a pipe too."""

import csv
import json
import os
import signal

import pytest
import yaml

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage, started, terminal
from trmm_async.cli.forms import event_fields

FORMS = {
    "chosen fields": (["--fields", "hostname,event"], ["hostname  event\n", "JADE-PC   AgentOffline\n"]),
    "without titles": (["--fields", "hostname", "--no-headers"], ["JADE-PC\n"]),
    "jq": (["--jq", ".event"], ["AgentOffline\n"]),
    "jq of JSON": (["--json", "--jq", ".event"], ["AgentOffline\n"]),
    "jq of lines": (["--jsonl", "--jq", "[.event]"], ['["AgentOffline"]\n']),
    "csv": (["-o", "csv", "--fields", "event,hostname"], ["event,hostname\n", "AgentOffline,JADE-PC\n"]),
    "yaml": (["-o", "yaml", "--fields", "hostname,event"], ["- hostname: JADE-PC\n"]),
    "json": (["--json", "--fields", "event"], ["[\n", "  {\n", '    "event": "AgentOffline"\n', "  }"]),
    "jsonl": (["--jsonl", "--fields", "event"], ['{"event": "AgentOffline"}\n']),
    "name": (["-o", "name"], ["JADE-PC\n"]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_event_is_in_the_pipe_while_others_are_waited_for(gateway: Backstage, form: str) -> None:
    words, lines = FORMS[form]
    with started(["watch", "JADE-PC", *words], gateway.environment) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.readline() == "watching 1 agent: JADE-PC\n"
        gateway.do(lambda server: server.go_offline(server.agent_ids[0]))
        # A line that is held back until the end would never be read here.
        for line in lines:
            got = process.stdout.read(len(line)) if line[-1] != "\n" else process.stdout.readline()
            assert got == line
        gateway.do(lambda server: server.come_online(server.agent_ids[0]))
        os.kill(process.pid, signal.SIGINT)
        process.communicate()
        assert process.wait() == 130


def test_an_alert_has_columns_of_its_own(gateway: Backstage) -> None:
    with started(["watch", "JADE-PC", "-o", "csv", "--count", "1"], gateway.environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "watching 1 agent: JADE-PC\n"
        gateway.do(lambda server: server.raise_alert(server.agent_ids[0], message="=1+1"))
        out, _ = process.communicate()
    (row,) = csv.DictReader(out.splitlines())
    assert (row["event"], row["hostname"], row["alert_message"]) == ("AlertEvent", "JADE-PC", "'=1+1")
    assert None not in row


@pytest.mark.parametrize(("form", "reads"), [("yaml", yaml.safe_load), ("json", json.loads)])
def test_none_is_an_empty_list(cli: Cli, gateway: Backstage, form: str, reads: object) -> None:
    said = cli("watch", "JADE-PC", "--for", "0.2", "-o", form)
    assert callable(reads)
    assert (said.code, reads(said.out)) == (0, [])


def test_columns_grow_and_fit_the_terminal(gateway: Backstage) -> None:
    names = ["--fields", "hostname,event,alert.message"]
    text = "C: is full, and so is the rest of it: look at https://example.com/a/long/address"

    def act(message: str) -> None:
        gateway.do(lambda server: server.raise_alert(server.agent_ids[0], message=message))

    with terminal(["watch", "JADE-PC", *names, "--count", "2"], gateway.environment, 40) as screen:
        screen.wait_for("watching 1 agent")
        act("C: is full, and so is all of the rest of it")
        screen.wait_for("C: is full")
        act(text)
        assert screen.finish() == 0
    lines = [line for line in screen.shown.replace("\r", "").splitlines() if line.startswith("JADE-PC")]
    assert len(lines[0]) <= 40
    assert lines[0].endswith("…")
    assert lines[1].endswith(text)


def test_a_field_that_no_event_has_is_a_wrong_use(cli: Cli, gateway: Backstage) -> None:
    said = cli("watch", "--fields", "hostnam", "--for", "0.1")
    assert said.code == 2
    assert "--fields: there is no field 'hostnam'" in said.error
    assert event_fields()[:4] == ("event", "hostname", "agent_id", "time")


def test_a_list_that_is_watched_is_filtered_by_lines(cli: Cli, gateway: Backstage) -> None:
    words = ["agents", "--watch", "--every", "0.2", "--jq", ".hostname"]
    with started(words, gateway.environment) as process:
        assert process.stdout is not None
        assert {process.stdout.readline() for _ in range(20)} >= {"JADE-PC\n"}
        os.kill(process.pid, signal.SIGINT)
        process.communicate()
        assert process.wait() == 130
