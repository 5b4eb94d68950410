"""Recorded live commands of a real server, and frames made by hand."""

import json
from pathlib import Path
from typing import Any

from trmm_async import (
    CommandOutput,
)
from trmm_async.dialects.stock.live_commands import (
    CommandOrder,
)
from trmm_async.resources.commands import CommandStream

RECORDED = Path(__file__).parents[1] / "recordings" / "ws"


AGENT = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"


async def read(stream: CommandStream) -> list[CommandOutput]:
    async with stream as output:
        return [piece async for piece in output]


def text(pieces: list[CommandOutput]) -> str:
    return "".join(piece.output for piece in pieces)


def recording(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"cmd_stream_{name}.json").read_text())
    return found


def said(recorded: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    return [(each["t"], each["data"]) for each in recorded["frames"] if each["dir"] == "server->client"]


def order(**values: Any) -> CommandOrder:
    return CommandOrder(
        **{"command": "x", "shell": "cmd", "timeout": 3, "run_as_user": False, "cmd_id": "a", **values}
    )
