"""Frames of live commands that get lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import eventually
from trmm_async.testing.stock.losses import Losses

from .lines import Line, frame, output, until_done

if TYPE_CHECKING:
    from trmm_async.testing import Simulator


async def test_frames_get_lost(server: Simulator, line: Line) -> None:
    server.command("list", stdout="".join(f"{number}\n" for number in range(5)))
    loss = server.lose_frames(2)
    async with await line.open() as socket:
        await socket.send_json({"cmd": "list"})
        assert output(await until_done(socket)) == "2\n3\n4\n"
        assert (loss.hits, loss.over) == (2, True)
        with server.lose_frames(lambda each: each.get("output") == "3\n") as picky:
            await socket.send_json({"cmd": "list"})
            assert output(await until_done(socket)) == "0\n1\n2\n4\n"
        assert picky.hits == 1
        await socket.send_json({"cmd": "list"})
        assert output(await until_done(socket)) == "0\n1\n2\n3\n4\n"


async def test_the_end_gets_lost(server: Simulator, line: Line) -> None:
    loss = server.omit_done()
    async with await line.open() as socket:
        await socket.send_json({"cmd": "echo one", "cmd_id": "1"})
        assert await frame(socket) == {"cmd_id": "1"}
        assert await frame(socket) == {"cmd_id": "1", "output": "one\n"}
        await eventually(lambda: loss.hits)
        await socket.send_json({"cmd": "echo two", "cmd_id": "2"})
        assert [each["cmd_id"] for each in await until_done(socket)] == ["2", "2", "2"]


async def test_clearing_the_faults_ends_the_losses_too(server: Simulator, line: Line) -> None:
    loss = server.lose_frames(lambda _frame: True)
    assert repr(loss) == "<FrameLoss hits=0 for ever>"
    server.clear_faults()
    async with await line.open() as socket:
        await socket.send_json({"cmd": "echo one"})
        assert output(await until_done(socket)) == "one\n"
    assert loss.over
    assert repr(server.omit_done(2)) == "<FrameLoss hits=0 2 left>"


async def test_a_loss_of_nothing_is_a_mistake(server: Simulator) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        server.lose_frames(0)


def test_the_first_that_matches_loses_a_frame_and_no_other_counts_it() -> None:
    losses = Losses()
    first, second = losses.add(lambda frame: "output" in frame, 1), losses.add(lambda _: True, None)
    lost = [losses.take(frame) for frame in ({"cmd_id": "x"}, {"output": "a"}, {"output": "b"})]
    assert lost == [True, True, True]
    assert (first.hits, first.over, second.hits, second.over) == (1, True, 2, False)


def test_one_that_is_removed_loses_nothing_more() -> None:
    losses = Losses()
    loss = losses.add(lambda _: True, None)
    assert losses.take({})
    loss.remove()
    assert not losses.take({})
    assert loss.hits == 1
    losses.add(lambda _: True, None)
    losses.clear()
    assert not losses.take({})
