"""A record of what happened: every request that reached the server, and every script that ran.

Below: nothing. Above: `front.py` writes down requests, `runner.py` runs, `simulator.py` shows them to the
test.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Ledger", "Request", "Run"]

Row = TypeVar("Row")
SECRET_PARAMETERS = frozenset({"access_token"})
SECRET_HEADERS = frozenset({"x-api-key", "authorization", "cookie"})


@dataclass(slots=True, kw_only=True)
class Run:
    """One script that an agent really started; in the stock dialect one command too.

    `output` is the mode that was asked for: `wait`, `forget` or `collector`; in the stock dialect `email` and
    `note` too, `bulk` for a bulk action, `test` for a script's trial, and `cmd` or `ws` for a command, which
    stands in `command` while `script` is 0. `history` is the id of its history row and `username` who asked
    for it; the gateway has neither. Until the end is known,
    `finished`, `retcode` and `execution_time` are None; they stay None for a run whose agent went offline
    underneath it, and `lost` is then true: on the endpoint it may have come to its end, the server never
    heard of it. `stdout` is what has been printed so far. Times are those of the simulator's clock.
    """

    agent_id: str
    script: int
    args: tuple[str, ...] = ()
    timeout: int = 90
    output: str = "wait"
    cmd_id: str = ""
    started: float = 0.0
    finished: float | None = None
    retcode: int | None = None
    stdout: str = ""
    stderr: str = ""
    execution_time: float | None = None
    lost: bool = False
    command: str | None = None
    shell: str = ""
    history: int | None = None
    username: str = ""
    env_vars: tuple[str, ...] = ()
    run_as_user: bool = False


@dataclass(slots=True, kw_only=True)
class Request:
    """One HTTP request or WebSocket handshake, as it came in.

    `status` is what was answered: None while the request is in progress, and for ever if no status line went
    out because the client had gone or the connection was cut. `key_ok` tells whether a valid API key came
    with it, and `refused` whether the rate limit turned it away. Header names are in lower case and secret
    values are hidden.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    at: float
    body: bytes = b""
    key_ok: bool = False
    status: int | None = None
    refused: bool = False


@dataclass(slots=True)
class Ledger:
    """Everything written down so far; with `limit` only the newest rows of each kind are kept."""

    limit: int | None = None
    runs: list[Run] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    collected: list[Run] = field(default_factory=list)
    throttled: int = 0
    connections: int = 0
    in_flight: int = 0
    max_in_flight: int = 0

    def add_run(self, run: Run) -> None:
        """Write down a run that has just started."""
        _append(self.runs, run, self.limit)

    def add_collected(self, run: Run) -> None:
        """Write down a finished run whose result was to be stored."""
        _append(self.collected, run, self.limit)

    def add_request(self, request: Request) -> None:
        """Write down a request that has just come in."""
        _append(self.requests, request, self.limit)

    def refuse(self, request: Request) -> None:
        """Note that the rate limit turned a request away."""
        request.refused = True
        self.throttled += 1

    @contextmanager
    def underway(self) -> Iterator[None]:
        """Count one request as in flight for the length of the block."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    def reset(self) -> None:
        """Forget all rows and counts, except for what is in flight at this moment."""
        for rows in (self.runs, self.requests, self.collected):
            rows.clear()
        self.throttled = self.connections = 0
        self.max_in_flight = self.in_flight


def visible(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with their names in lower case and the secret ones masked."""
    return {
        name.lower(): "***" if name.lower() in SECRET_HEADERS else value for name, value in headers.items()
    }


def shown(query: Mapping[str, str]) -> dict[str, str]:
    """Return a query with the secret values masked."""
    return {name: "***" if name in SECRET_PARAMETERS else value for name, value in query.items()}


def _append(rows: list[Row], row: Row, limit: int | None) -> None:
    rows.append(row)
    if limit is not None and len(rows) > limit:
        del rows[: len(rows) - limit]
