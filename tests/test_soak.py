"""What stands behind `make soak`: counts that have grown are found, and a short one of its work is flat."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from soak.__main__ import soaked
from soak.counts import Growth, Sample, growth, take


def samples(*blocks: int, **others: Sequence[int]) -> list[Sample]:
    counts = {"blocks": blocks, **others}
    return [Sample({name: row[place] for name, row in counts.items()}) for place in range(len(blocks))]


def test_what_grows_by_more_than_the_noise_is_found_the_most_first() -> None:
    assert growth(samples(0, 0, 1000, 1010, 1049, 1000)) == []
    assert growth(samples(0, 9000, 1000, 1000, 1000, 1000)) == []
    flat = [1] * 6
    assert growth(samples(*flat, tasks=[1, 1, 1, 1, 42, 42], sockets=[0, 0, 5, 5, 300, 300], kept=flat)) == [
        Growth("sockets", 5, 300),
        Growth("tasks", 1, 42),
    ]
    with pytest.raises(ValueError, match="three"):
        growth(samples(1, 2))


async def test_a_sample_counts_what_there_is() -> None:
    class Held:
        pass

    held = [Held() for _ in range(7)]
    task = asyncio.create_task(asyncio.Event().wait())
    pair = socket.socketpair()
    before = take()
    for one in pair:
        one.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del held[:]
    after = take()
    (name,) = [name for name in before.counts if name.endswith(".Held")]
    assert (before.counts[name], after.counts.get(name, 0)) == (7, 0)
    assert before.counts["tasks"] - after.counts["tasks"] == 1
    assert before.counts["sockets"] - after.counts["sockets"] in {2, 0}  # none where there is no /proc
    assert before.counts["blocks"] > 0


async def test_some_rounds_of_all_work_leave_nothing_behind() -> None:
    taken: list[Sample] = []
    lines: list[str] = []
    await soaked(taken, some=1, goes_on=lambda: len(taken) < 3, told=lines.append)
    assert len(lines) == 3
    # So few rounds are all warming up for memory blocks; what holds on to things shows in these.
    grown = [one for one in growth(taken) if one.name in {"tasks", "sockets"} or "trmm_async" in one.name]
    assert grown == []
