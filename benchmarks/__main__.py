"""`python -m benchmarks [case …] [--quick]`: one table on the screen, JSON under benchmarks/results/."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.cases import CASES
from benchmarks.lab import Lab
from benchmarks.server import load_server

_RESULTS: Final = Path(__file__).parent / "results"


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure trmm_async against rivals."
    )
    parser.add_argument("cases", nargs="*", metavar="case", help=f"all, or some of: {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under a minute, and noisier")
    parser.add_argument("--json", type=Path, help="where to write the result, in place of a dated file")
    arguments = parser.parse_args(given)
    unknown = [name for name in arguments.cases if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    return arguments


async def _run(names: Sequence[str], *, quick: bool) -> report.Report:
    started, taken, load = time.perf_counter(), report.now(), report.load()
    rows: list[report.Row] = []
    async with load_server() as url:
        lab = Lab(url, quick)
        for name in names:
            began = time.perf_counter()
            print(f"{name} …", end=" ", file=sys.stderr, flush=True)
            found = await CASES[name](lab)
            print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
            print(report.table(found), file=sys.stderr, flush=True)
            rows += found
    return report.Report(
        taken=taken,
        quick=quick,
        seconds=round(time.perf_counter() - started, 1),
        machine=report.machine(),
        versions=report.versions(),
        load=load,
        rows=rows,
    )


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    arguments = _arguments(given)
    found = asyncio.run(_run(arguments.cases or list(CASES), quick=arguments.quick))
    path = arguments.json or _RESULTS / f"{found.taken:%Y-%m-%dT%H%M%SZ}.json"
    found.save(path)
    print(report.table(found.rows))
    print(report.footing(found))
    print(f"written to {path}")


if __name__ == "__main__":
    main()
