"""The page of a run of 5,000 targets: how long it takes to make, to open, and to filter in a browser."""

import asyncio
import random
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trmm_async as sdk
from benchmarks.lab import Lab
from benchmarks.report import Row
from tests.browser import PROGRAMS, Browser, browser
from trmm_async.fleet.page import page
from trmm_async.fleet.reports import Grouping

__all__ = ["pages"]

_TARGETS: Final = 5_000
_OPENED: Final = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
_FILTERED: Final = (
    "(() => { const one = document.getElementById('words'), began = performance.now();"
    " one.value = 'host-0{turn}'; one.dispatchEvent(new Event('input'));"
    " return new Promise(done => requestAnimationFrame(() => {"
    " document.body.offsetHeight; done(performance.now() - began); })); })()"
)


async def pages(lab: Lab) -> list[Row]:
    """In milliseconds; nothing where there is no browser."""
    if not any(map(shutil.which, PROGRAMS)):
        return []
    return await asyncio.to_thread(_measured, lab.pick(15, 5))


def _measured(rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder) / "browser") as shown:
        path = Path(folder) / "report.html"
        began = time.perf_counter()
        path.write_text(_page(), encoding="utf-8")
        made = (time.perf_counter() - began) * 1e3
        opened, filtered = [], []
        for turn in range(rounds):
            shown.open(path)
            opened.append(float(shown.js(_OPENED)))
            filtered.append(_filter(shown, turn))
    return [
        _row("made", [made], 1_000),
        _row("opened in a browser", opened, 1_000),
        _row("filtered", filtered, 200),
    ]


def _filter(shown: Browser, turn: int) -> float:
    return float(shown.js(_FILTERED.replace("{turn}", str(turn % 5))))


def _row(what: str, found: list[float], target: float) -> Row:
    return Row(
        case="page",
        what=f"report of {_TARGETS} targets, {what}",
        unit="ms",
        value=statistics.median(found),
        low=min(found),
        high=max(found),
        target=target,
    )


def _page() -> str:
    rand, grouping = random.Random(1), Grouping()
    client, site = sdk.ClientRef(id=1, name="Acme"), sdk.SiteRef(id=1, name="Office")
    agents = []
    for number in range(_TARGETS):
        agents.append(
            sdk.Agent(agent_id=f"id-{number}", hostname=f"HOST-{number:05}", client=client, site=site)
        )
        result = sdk.ScriptResult(
            retcode=number % 3, stdout=f"{number % 200}\n" * 20, stderr="", execution_time=rand.random()
        )
        grouping.add(sdk.Done(agent_id=f"id-{number}", result=result))
    counts = sdk.Counts(done=_TARGETS)
    return page(grouping.groups(), counts, agents, title="A run", when=datetime.now(UTC))
