"""What an import costs, in fresh interpreters."""

import asyncio
import os
import sys
from typing import Final

from benchmarks.lab import Lab
from benchmarks.measure import Cost, contest
from benchmarks.report import Row

__all__ = ["imports"]

_RIVAL: Final = "import aiohttp"
_CODE: Final = (
    "import time; wall, cpu = time.perf_counter(), time.process_time(); {statement}; "
    "print(time.perf_counter() - wall, time.process_time() - cpu)"
)


async def imports(lab: Lab) -> list[Row]:
    """Of the package alone, and of the client."""
    statements = {"import trmm_async": 0.40, "from trmm_async import TRMM": 1.30, "import httpx": None}
    entries = {statement: lambda text=statement: _once(text) for statement in (_RIVAL, *statements)}  # type: ignore[misc]
    result = await contest(entries, rounds=lab.pick(25, 5))
    rows = []
    for statement, target in statements.items():
        ratio = result.ratio(statement, _RIVAL)
        rows.append(
            Row(
                case="imports",
                what=f"{statement}, time of {_RIVAL}",
                unit="×",
                value=ratio.value,
                low=ratio.low,
                high=ratio.high,
                target=target,
                rivals={_RIVAL: 1.0},
                details={
                    "milliseconds": result.seconds(statement) * 1e3,
                    f"milliseconds of {_RIVAL}": result.seconds(_RIVAL) * 1e3,
                    "CPU ratio": result.ratio(statement, _RIVAL, "cpu").value,
                },
            )
        )
    return rows


async def _once(statement: str) -> Cost:
    code = _CODE.format(statement=statement)
    # Where nothing compiled is kept, a package that was not installed by pip is compiled each time.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE, env=environ
    )
    async with asyncio.timeout(30):
        out, _ = await child.communicate()
    wall, cpu = out.split()
    return Cost(float(wall), float(cpu))
