"""Where nothing can be printed or written down: the scripts have run, and the exit code does not hide it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.stage import Backstage, ended, in_shell, started

RUN = ("run", "3", "--client", "34", "--yes")
FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="a system without /dev/full")


@pytest.fixture
def stage(gateway: Backstage) -> Iterator[Backstage]:
    gateway.do(lambda server: server.reset_ledger())
    yield gateway
    gateway.do(lambda server: server.script(3))


@pytest.mark.parametrize("form", ["", "--json", "--jsonl"])
def test_a_run_on_a_full_disk_says_what_came_of_it(stage: Backstage, form: str) -> None:
    said = in_shell(f"TRMM {' '.join(RUN)} {form} > /dev/full", stage)
    assert said.code == 0
    assert said.error == "what came of it can't be printed: No space left on device\n4 agents: 4 succeeded\n"
    assert stage.do(lambda server: len(server.runs)) == 4


def test_nor_does_a_full_disk_hide_what_failed(stage: Backstage) -> None:
    first = stage.first
    stage.do(lambda server: server.script(3, agent_id=first, retcode=1))
    said = in_shell(f"TRMM {' '.join(RUN)} --width 1 --jsonl > /dev/full", stage)
    stage.do(lambda server: server.script(3, agent_id=first, retcode=0))
    assert said.code == 1
    assert said.error.endswith("4 agents: 3 succeeded, 1 with another return code (the worst is 1)\n")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_a_run_with_closed_streams(stage: Backstage, tmp_path: Path, closed: str) -> None:
    journal = tmp_path / "run.db"
    said = in_shell(f"TRMM {' '.join(RUN)} --jsonl --journal {journal} {closed}", stage)
    assert said.code == 0
    assert stage.do(lambda server: len(server.runs)) == 4
    if closed == ">&-":
        assert said.error.endswith("4 agents: 4 succeeded\n")
    # Nothing that was printed has gone into the journal by the number of the stream.
    assert in_shell(f"TRMM results --ids {journal}", stage).error == "4 agents: 4 succeeded\n"


def test_a_run_whose_reader_goes_away_goes_on(stage: Backstage) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with started([*RUN, "--width", "1", "--jsonl"], stage.environment, stdout=writing) as process:
        os.close(writing)
        said = ended(process)
    assert (said.code, said.error) == (141, "4 agents: 4 succeeded\n")
    assert stage.do(lambda server: len(server.runs)) == 4


def test_a_journal_that_is_full_in_mid_run(stage: Backstage, tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    stage.do(lambda server: server.script(3, stdout="x" * 60_000))
    words = f"run 3 --all --yes --width 2 --jsonl --journal {journal}"
    said = in_shell(f"ulimit -f 256; TRMM {words}", stage, fresh=True)
    ran = stage.do(lambda server: {run.agent_id for run in server.runs})
    assert 0 < len(ran) < 20
    # All that have run are told, as what they are.
    assert {row["agent_id"] for row in said.lines if row["outcome"] == "done"} == ran
    assert f"{journal} can't be written" in said.error
    summary = said.error.splitlines()
    assert any(line.startswith(f"20 agents: {len(ran)} succeeded, ") for line in summary)
    again = in_shell(f"TRMM resume {journal} --yes", stage)
    runs = [run.agent_id for run in stage.do(lambda server: list(server.runs))]
    assert again.code in {0, 3}
    assert len(runs) == len(set(runs))


def test_a_command_that_has_run_does_not_look_as_if_it_had_not(stock: Backstage) -> None:
    said = in_shell("TRMM cmd JADE-PC hostname > /dev/full", stock)
    assert said.code == 3
    assert said.error == (
        "trmm: the command has run, but what came of it can't be printed: No space left on device\n"
    )


def test_a_list_that_can_not_be_printed_is_a_failure(stage: Backstage) -> None:
    for form in ("", "--jsonl"):
        said = in_shell(f"TRMM agents {form} > /dev/full", stage)
        assert (said.code, said.error) == (1, "trmm: [Errno 28] No space left on device\n")
