"""Writes docs/coverage.md: which operations of a stock server we have, and which recordings prove it.

    python -m tools.coverage_page

The operations stand in `tests/operations.tsv`, read from the server's source; what is ours comes from the
endpoint declarations of the package, and from the rows of `tests/test_stock_recordings.py`.
"""

import csv
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import trmm_async.client  # noqa: F401 - all nouns, with their declarations
from tests.methods import methods
from tests.recorded import HTTP, NOT_YET_REPLAYED, recording
from tests.test_stock_recordings import (
    DIFFERENT,
    NAMES,
    OPERATIONS,
    REPLAYED,
    SOCKETS_READ,
    SOCKETS_SPARED,
    SPARED,
)
from trmm_async.dialects.stock.endpoint import EVERY

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "coverage.md"
LISTED: Final = ROOT / "tests" / "operations.tsv"
WIDEST: Final = 118

AS_ANOTHER: Final = {
    "agents.stream_script": "as `agents.run_script`",
    "alerts.acknowledge": "not on a stock server",
    "audit_log.list": "as `audit_log.iter`",
    "checks.iter": "as `checks.list`",
    "fleet.run_command": "not replayed; tests/fleet has it",
    "fleet.scan_patches": "not replayed; tests/fleet has it",
    "trmm.events": "not on a stock server",
    "trmm.request": "whatever you ask for",
}
"""What is to be said of methods that have no requests of their own."""

_PLACES: Final = {
    "agent": "[A-Za-z0-9]{40}",
    "agent_id": "[A-Za-z0-9]{40}",
    "id": "[0-9]+",
    "logtype": "[A-Za-z]+",
    "path": ".+",
    "svcname": "[A-Za-z]+",
    "target": "(?:client|site)",
    "text": "[^/]+",
    "uid": "[a-z0-9-]+",
}
"""What stands in a place of a path, by its kind or name; a number in all others."""
_SAMPLES: Final = {"agent_id": "A" * 40, "logtype": "System", "svcname": "Spooler", "target": "client"}


@dataclass(frozen=True)
class Operation:
    """One operation of the server: "people" have a use for it in a program, or only its web client has."""

    method: str
    path: str
    kind: str

    @property
    def sample(self) -> str:
        """A path that is of it."""
        return re.sub(r"\{(\w+)\}", lambda place: _SAMPLES.get(place[1], "1"), self.path)

    def is_recorded_by(self, name: str) -> bool:
        """Whether a recording is of it."""
        told = recording(name)
        return told.method == self.method and _pattern(self.path).fullmatch(told.path) is not None

    @property
    def recordings(self) -> list[str]:
        """What was recorded of it, by whom it is read or not."""
        return [name for name in _recorded() if self.is_recorded_by(name)]

    @property
    def ours(self) -> dict[str, str]:
        """Methods of ours that send it, each with the first version of the server that has it."""
        found = {
            row.name: ""
            for row in OPERATIONS
            if row.method == self.method and re.fullmatch(row.path, self.sample)
        }
        for name, endpoints in EVERY.items():
            for endpoint in endpoints:
                if endpoint.method == self.method and _pattern(endpoint.path).fullmatch(self.sample):
                    found[name.partition(" ")[0]] = endpoint.since or found.get(name, "")
        return {name: found[name] for name in sorted(found) if name in methods()}


@cache
def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(?:\w+:)?(\w+)\}", path)
    texts = [
        _PLACES.get(piece, "[0-9]+") if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)
    ]
    return re.compile("".join(texts))


@cache
def _recorded() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in HTTP.glob("*.json")))


@cache
def operations(kind: str) -> tuple[Operation, ...]:
    """All operations of a kind: "people", "browser", "ee"."""
    with LISTED.open() as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return tuple(Operation(**row) for row in rows if row["kind"] == kind)


def replayed() -> dict[str, str]:
    """By each method of ours the recordings that are replayed with it, as the page has them."""
    rows: dict[str, list[str]] = {operation.name: [] for operation in OPERATIONS}
    for operation, name in REPLAYED:
        if name not in rows[operation.name]:
            rows[operation.name].append(name)
    rows["agents.stream_command"] = [*SOCKETS_READ]
    said = {
        name: f"{len(names)}: " + ", ".join(f"`{each}`" for each in names)
        if names
        else "none; from the server's source"
        for name, names in rows.items()
    }
    others = {name: AS_ANOTHER.get(name, "nothing of its own") for name in methods() - said.keys()}
    return {**said, **others}


def _row(operation: Operation) -> str:
    ours = operation.ours
    names = ", ".join(f"`{name}`" for name in ours) or ("**none yet**" if operation.kind == "people" else "")
    since = max(ours.values(), default="")
    recorded = operation.recordings
    read = sum(name in NAMES for name in recorded)
    return f"| `{operation.method} {operation.path}` | {names} | {read} of {len(recorded)} | {since} |"


def _table(rows: tuple[Operation, ...]) -> str:
    head = "| operation | ours | recordings replayed | since |\n| --- | --- | --- | --- |\n"
    return head + "\n".join(_row(operation) for operation in rows)


def page() -> str:
    """The whole page."""
    people, browser = operations("people"), operations("browser")
    covered = sum(bool(operation.ours) for operation in people)
    never = sum(but.never for but in DIFFERENT.values())
    named = tuple(operation for operation in browser if operation.ours)
    others = ", ".join(
        f"`{operation.method} {operation.path}`" for operation in browser if not operation.ours
    )
    without = textwrap.fill(f"Without one: {others}.", WIDEST, break_long_words=False, break_on_hyphens=False)
    replays = "\n".join(f"| `{name}` | {said} |" for name, said in sorted(replayed().items()))
    return f"""\
# Coverage of a stock server

This page lists every operation of a stock server, our method for it, and the recordings that prove it. It is written by
`python -m tools.coverage_page`, from the declarations in the package and the recordings in `tests/`; a test keeps it
current. Tactical RMM 1.5.1 has {len(people)} operations for people with an API key, and {covered} of them have a method
here. [`trmm.request`](client.md#calls-that-have-no-method) can send any of them, too.

## Operations for people

*Since* is the first version of the server that has the operation; it is empty if all known versions have it.
*Recordings replayed* is how many recordings of a real server, on this path, the tests replay; the other recordings are
of requests that we never send.

{_table(people)}

## Operations of the web client

These operations are for the dashboard, need its login, or return what only a browser can use. {len(named)} have a
method here:

{_table(named)}

{without}

{len(operations("ee"))} more belong to the enterprise edition: reports and single sign-on.

## What was recorded

The tests replay recordings of a real server. They check that the SDK sends the recorded request, if that was a valid
one, and that it decodes the recorded answer into our types, or raises the right error.

- {len(NAMES)} of {len(NAMES) + len(SPARED) + len(NOT_YET_REPLAYED)} recorded requests are replayed, and
  {len(SOCKETS_READ)} of {len(SOCKETS_READ) + len(SOCKETS_SPARED)} recorded WebSocket connections.
- {len(NAMES) - len(DIFFERENT)} of these requests are identical to ours. {len(DIFFERENT) - never} differ where the
  recorded request was wrong, or where the SDK sends something else. Of {never} only the answer is used.
- {len(SPARED)} recordings are of operations that have no method here, or of requests that the SDK never sends;
  `tests/test_stock_recordings.py` gives the reason for each. {len(NOT_YET_REPLAYED)} are not replayed yet.

A call that sends several requests has the recordings of all of them.

| method | recordings replayed |
| --- | --- |
{replays}
"""


if __name__ == "__main__":
    PAGE.write_text(page())
