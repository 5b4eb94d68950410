"""`agents.list()`, and what holding its result costs the garbage collector."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from benchmarks.contestant import BARE, OURS
from benchmarks.lab import Lab
from benchmarks.measure import Contest, Entry, contest, timed
from benchmarks.report import Row
from benchmarks.rivals import bare_reader, chatty_readers, installed

__all__ = ["collection", "listing"]

# agents: calls in a sample, rounds of a whole run, rounds of a quick one, the target.
_SIZES: Final = {
    100: (60, 45, 10, 1.05),
    1_000: (20, 45, 10, 1.05),
    10_000: (3, 35, 6, 1.00),
    100_000: (1, 25, 3, 1.00),
}


async def listing(lab: Lab) -> list[Row]:
    """Against bare aiohttp at all sizes; against what is slower by far in fewer rounds."""
    rows = []
    for encoding in ("identity", "gzip"):
        for size, (calls, full, quick, target) in _SIZES.items():
            place = f"list/{size}/{encoding}"
            result = await _against_bare(lab, place, calls, lab.pick(full, quick))
            slow = (
                await _against_chatty(lab, place, max(1, calls // 4))
                if size <= 10_000 or not lab.quick
                else {}
            )
            rows.append(_row(size, encoding, result, target, slow))
    return rows


async def _against_bare(lab: Lab, place: str, calls: int, rounds: int) -> Contest:
    url = f"{lab.url}/{place}"
    pairs = lab.pick(5, 2)
    found: list[Contest] = []
    for _ in range(pairs):
        # A process keeps the luck of its memory's layout for as long as it lives: so, several.
        async with lab.contestant(BARE, url, calls) as bare, lab.contestant(OURS, url, calls) as ours:
            found.append(await contest({BARE: bare, OURS: ours}, rounds=rounds // pairs))
    return Contest([each for one in found for each in one.rounds])


async def _against_chatty(lab: Lab, place: str, calls: int) -> Mapping[str, float]:
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(bare_reader(f"{lab.url}/{place}"))
        readers = await stack.enter_async_context(chatty_readers(f"{lab.url}/{place}"))
        entries: dict[str, Entry] = {BARE: timed(bare)} | {
            name: timed(read) for name, read in readers.items()
        }
        result = await contest(entries, rounds=lab.pick(3, 1))
        return {name: result.ratio(name, BARE).value for name in readers}


def _row(size: int, encoding: str, result: Contest, target: float, slow: Mapping[str, float]) -> Row:
    ratio = result.ratio(OURS, BARE)
    return Row(
        case="list",
        what=f"agents.list() of {size:,}, {encoding}, time of {BARE}",
        unit="×",
        value=ratio.value,
        low=ratio.low,
        high=ratio.high,
        target=target,
        rivals={BARE: 1.0, **slow},
        details={
            "milliseconds": result.seconds(OURS) * 1e3,
            "milliseconds of bare": result.seconds(BARE) * 1e3,
            "CPU ratio": result.ratio(OURS, BARE, "cpu").value,
        },
    )


async def collection(lab: Lab) -> list[Row]:
    """A full collection while 100,000 agents are held."""
    url = f"{lab.url}/list/100000/identity"
    repeats = [await lab.probe("collection", url, "ours") for _ in range(lab.pick(5, 2))]
    extra = sorted(one["extra"] * 1e3 for one in repeats)
    others = ["plain Structs", "dicts", *(["pydantic"] if installed("pydantic") else [])]
    rivals = {
        name: (await lab.probe("collection", url, name))["extra"] * 1e3
        for name in others
        if not lab.quick or name != "pydantic"
    }
    return [
        Row(
            case="gc",
            what="full collection while holding 100,000 agents, more than without",
            unit="ms",
            value=extra[len(extra) // 2],
            low=extra[0],
            high=extra[-1],
            target=5.0,
            rivals=rivals,
            details={"agents that the collector tracks": repeats[0]["tracked"]},
        )
    ]
