"""Folders of files, planned and applied."""

from pathlib import Path
from typing import Any

from tests.servers import count
from trmm_async import TRMM, config
from trmm_async.testing import Simulator


def changes(server: Simulator) -> int:
    """How many requests have come that change something."""
    return sum(count(server, method) for method in ("POST", "PUT", "DELETE"))


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def applied(trmm: TRMM, folder: Path, **options: Any) -> list[str]:
    """Apply what is planned, see that nothing is left to do, and tell the steps."""
    plan = await config.plan(trmm, folder, **options)
    done = await config.apply(trmm, plan, folder)
    assert done.done == plan.steps
    assert not await config.plan(trmm, folder, **options)
    return [step.title for step in plan.steps]
