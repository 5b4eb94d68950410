"""What compression costs, and what the accelerator `isal` takes off it, set as users set it."""

import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from benchmarks.lab import Lab, drain
from benchmarks.measure import Cost, Entry, contest, timed
from benchmarks.report import Row
from benchmarks.rivals import installed, library

__all__ = ["inflating"]

_SIZE: Final = 100_000
_PLAIN: Final = "not compressed"


async def inflating(lab: Lab) -> list[Row]:
    """`list` and `iter` of gzip with zlib, and with isal where it is installed, in units of plain JSON."""
    async with lab.client(f"list/{_SIZE}/identity") as plain, lab.client(f"list/{_SIZE}/gzip") as packed:
        return [
            await _row(lab, "agents.list()", plain.agents.list, packed.agents.list),
            await _row(lab, "agents.iter()", lambda: drain(plain), lambda: drain(packed)),
        ]


async def _row(
    lab: Lab, what: str, plain: Callable[[], Awaitable[object]], packed: Callable[[], Awaitable[object]]
) -> Row:
    entries = {_PLAIN: timed(plain), "zlib": timed(packed)}
    if installed("isal"):
        entries["isal"] = _with_backend(library("isal.isal_zlib"), timed(packed))
    result = await contest(entries, rounds=lab.pick(11, 2))
    ours = result.ratio("isal" if "isal" in entries else "zlib", _PLAIN)
    return Row(
        case="inflate",
        what=f"{what} of {_SIZE:,}, gzip with {'isal' if 'isal' in entries else 'zlib'}, time of identity",
        unit="×",
        value=ours.value,
        low=ours.low,
        high=ours.high,
        rivals={name: result.ratio(name, _PLAIN).value for name in entries if name != "isal"},
        details={f"milliseconds, {name}": result.seconds(name) * 1e3 for name in entries},
    )


def _with_backend(backend: Any, entry: Entry) -> Entry:
    async def enter() -> Cost:
        library("aiohttp").set_zlib_backend(backend)
        try:
            return await entry()
        finally:
            library("aiohttp").set_zlib_backend(zlib)

    return enter
