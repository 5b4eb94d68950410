from __future__ import annotations

from random import Random

import pytest

from trmm_async.testing import Run, ScriptReply, World
from trmm_async.testing.scripts import Behaviour, Playbook, output

from .kit import Clock

AGENT = World(agents=1, clock=Clock()).find_agents()[0]


def run(script: int = 1, *args: str) -> Run:
    return Run(agent_id=AGENT.agent_id, script=script, args=args)


def playbook(seconds: float | tuple[float, float] = 0.5) -> Playbook:
    return Playbook(Random(0), seconds)


@pytest.mark.parametrize("script", range(1, 7))
def test_a_script_of_the_library_prints_lines(script: int) -> None:
    text = output(script, AGENT, ())
    assert text.endswith("\n")
    assert "".join(ScriptReply(text).chunks()) == text


def test_disk_info_is_about_the_agents_disks() -> None:
    disk = AGENT.disks[0]
    assert output(1, AGENT, ()) == f"Disk {disk.device} {disk.percent}% used\n"
    assert output(1, AGENT, (disk.device,)) == output(1, AGENT, ())
    assert output(1, AGENT, ("Z:",)) == ""


def test_another_script_prints_its_arguments() -> None:
    assert output(99, AGENT, ("a", "b")) == "a\nb\n"


def test_a_duration_is_drawn_from_the_span_or_is_the_one_set() -> None:
    drawn = {playbook((0.25, 0.5)).decide(run(), AGENT).seconds for _ in range(3)}
    assert len(drawn) == 1
    assert all(seconds is not None and 0.25 <= seconds <= 0.5 for seconds in drawn)
    assert playbook(0.75).decide(run(), AGENT).seconds == 0.75


def test_what_is_not_set_stays_as_it_was() -> None:
    plays = playbook()
    plays.set(1, None, Behaviour(retcode=3, stderr="full\n"))
    assert plays.decide(run(), AGENT) == ScriptReply(output(1, AGENT, ()), "full\n", 3, 0.5)


def test_one_agents_behaviour_goes_before_that_of_all() -> None:
    plays = playbook()
    plays.set(1, AGENT.agent_id, Behaviour(stdout="mine\n"))
    plays.set(1, None, Behaviour(stdout="all\n", seconds=0.0))
    assert plays.decide(run(), AGENT) == ScriptReply("mine\n", seconds=0.0)
    other = World(agents=2, clock=Clock()).find_agents()[1]
    assert plays.decide(Run(agent_id=other.agent_id, script=1), other).stdout == "all\n"


def test_a_later_word_replaces_an_earlier_one() -> None:
    plays = playbook()
    plays.set(1, None, Behaviour(retcode=3))
    plays.set(1, None, Behaviour(stdout="x\n"))
    assert plays.decide(run(), AGENT).retcode == 0


def test_a_handler_decides_with_the_run_before_it() -> None:
    plays = playbook()
    plays.set(2, None, Behaviour(handler=lambda it: ScriptReply(" ".join(it.args), retcode=len(it.args))))
    assert plays.decide(run(2, "a", "b"), AGENT) == ScriptReply("a b", retcode=2, seconds=0.5)
