"""`trmm results` of much: it is shown as it is read."""

import asyncio
import json
import sys
import tracemalloc
from pathlib import Path

import pytest

from trmm_async import CommandResult, Done, Journal, ScriptResult
from trmm_async.cli import main
from trmm_async.fleet.journal import Order

COUNT = 30
AGENTS = [f"agent{number:03}" for number in range(COUNT)]


@pytest.mark.parametrize("how", ["-ojsonl", "-ojson", "-ocsv"])
async def test_much_is_shown_without_holding_it(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.db"
    async with await Journal.create(path, Order(server="http://x", script=1), AGENTS) as book:
        await book.begin(AGENTS, 0, None)
        for number, each in enumerate(AGENTS):
            done = Done(each, ScriptResult(retcode=-number, stdout=f"{number:x>500000}"))
            await book.settle(done, ok=number == 0)
    # What is imported for it is not what is measured.
    assert await asyncio.to_thread(main, ["results", "nothing.db"]) == 1
    with (tmp_path / "shown").open("w") as shown:
        monkeypatch.setattr(sys, "stdout", shown)
        tracemalloc.start()
        try:
            code = await asyncio.to_thread(main, ["results", str(path), "--ids", how])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert code == 1
    text = (tmp_path / "shown").read_text()
    if how == "-ojson":
        assert [row["retcode"] for row in json.loads(text)] == [-number for number in range(COUNT)]
    assert sum(each in text for each in AGENTS) == COUNT
    assert peak < COUNT * 400_000


async def test_commands_are_judged_by_what_they_printed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.db"
    order = Order(server="http://x", kind="command", command="verify", shell="cmd")
    async with await Journal.create(path, order, AGENTS[:2]) as book:
        await book.begin(AGENTS[:2], 0, None)
        for each in AGENTS[:2]:
            result = CommandResult(output=f"found {each}", from_history=True)
            await book.settle(Done(each, result), ok=False)
    for words, code, said in [
        ([], 1, "2 without success"),
        (["--success", "found"], 0, "2 succeeded"),
        (["--success", AGENTS[1]], 1, "1 succeeded, 1 without success"),
        (["--success", "7"], 1, "2 without success"),
    ]:
        assert await asyncio.to_thread(main, ["results", str(path), "--ids", *words]) == code
        assert capsys.readouterr().err == f"2 agents: {said}\n"


async def test_a_page_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, written = tmp_path / "run.db", tmp_path / "deep" / "report.html"
    async with await Journal.create(path, Order(server="http://x", script=5), AGENTS[:2]) as book:
        await book.begin(AGENTS[:2], 0, None)
        for each in AGENTS[:2]:
            result = ScriptResult(retcode=0, stdout="<b>bold</b>", stderr="", execution_time=1.5)
            await book.settle(Done(each, result), ok=True)
    words = ["results", str(path), "--ids", "--html", str(written)]
    assert await asyncio.to_thread(main, words) == 0
    text = written.read_text(encoding="utf-8")
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "<title>script 5</title>" in text
    assert [one.name for one in written.parent.iterdir()] == ["report.html"]
    assert capsys.readouterr().out == ""
    assert await asyncio.to_thread(main, [*words, "--json"]) == 2
    written.unlink()
    written.mkdir()
    assert await asyncio.to_thread(main, words) == 1
    assert [one.name for one in written.parent.iterdir()] == ["report.html"]
