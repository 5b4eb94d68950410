"""Commands of a stock server whose output comes while they run.

Facts are from the server's source (agents/consumers.py, `Agent.nats_stream_cmd`). It answers the message with
the command's id, writes a row into the history, gives the command to the agent, and then listens to it for
timeout + 2 s. It doesn't say that an agent is offline, nor when it stops listening. Output goes through a
channel for 100 messages, which silently drops what comes while it is full.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import msgspec

from trmm_async import codec
from trmm_async.calls import Call
from trmm_async.dialects.stock.explanations import segment
from trmm_async.dialects.stock.history import AGENT_HISTORY, statuses_of
from trmm_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    PermissionDeniedError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.events import CommandOutput
from trmm_async.models import HistoryEntry

__all__ = [
    "NO_AGENT",
    "OWN_WORDS",
    "CommandFrame",
    "CommandOrder",
    "CommandSpec",
    "Refused",
    "Taken",
    "Unreadable",
    "command_frame",
    "command_stream",
    "refused",
]

_LISTENS: Final = 2.0
NO_AGENT: Final = frozenset({500})
"""Statuses of a handshake that mean that there is no such agent."""

OWN_WORDS: Final = ("[ERROR] Could not connect to NATS", "[ERROR] NATS publish/subscribe failed")
"""How the server's own output begins if it can't reach its agents."""

_CLOSED: Final[Mapping[int, tuple[type[APIError], int, str]]] = {
    4401: (AuthenticationError, 401, "closed with 4401"),
    4403: (PermissionDeniedError, 403, "closed with 4403"),
    4003: (PermissionDeniedError, 403, "closed with 4003"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOrder:
    """One run of a command; pieces of its output have its `cmd_id`."""

    command: str
    shell: str
    timeout: int
    run_as_user: bool
    cmd_id: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The server has accepted the command, and passes it on."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refuses the command: it was not run."""

    error: TRMMError


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A frame that we can't read."""


CommandFrame: TypeAlias = Taken | Refused | Unreadable | CommandOutput | None
"""What a frame says; None if it is about another command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A live command: its socket, what is sent, how frames read, and what to ask if they say too little.

    Attributes:
        path: the path of the socket; the token's query is appended to it.
        opening: the one message to send.
        read: the meaning of a frame. Never raises.
        listens: seconds for which the server listens to the agent, from when it accepts the command.
        history: what was run on the agent.
        statuses: the agent's status by its id.
    """

    path: str
    opening: str
    read: Callable[[bytes], CommandFrame]
    listens: float
    history: Call[list[HistoryEntry]]
    statuses: Call[Mapping[str, str]]


def command_stream(agent_id: str, order: CommandOrder) -> CommandSpec:
    """A live command of an agent."""
    path = f"/ws/agent/{segment(agent_id)}/cmd/"
    return CommandSpec(
        path=path,
        opening=codec.encode(
            {
                "cmd": order.command,
                "shell": order.shell,
                "timeout": order.timeout,
                "run_as_user": order.run_as_user,
                "cmd_id": order.cmd_id,
            }
        ).decode(),
        read=partial(command_frame, agent_id, order.cmd_id, path),
        listens=order.timeout + _LISTENS,
        history=AGENT_HISTORY.call(agent_id),
        statuses=statuses_of(frozenset({agent_id})),
    )


class _Frame(msgspec.Struct):
    """A frame. Fields that the server only passes on from the agent may have any type."""

    cmd_id: object = None
    output: str | None = None
    done: object = None
    exit_code: object = None
    error: str | None = None
    status: int | None = None


def command_frame(agent_id: str, cmd_id: str, path: str, frame: bytes) -> CommandFrame:
    """What a frame of the socket says about one command. Pure; never raises."""
    try:
        said = codec.decoder(_Frame)(frame)
    except (msgspec.DecodeError, RecursionError):
        return Unreadable()
    if said.error is not None:
        return Refused(_error(path, said.error, said.status))
    if said.cmd_id != cmd_id:
        return None
    if said.output is None and said.done is None and said.exit_code is None:
        return Taken()
    return CommandOutput(
        agent_id=agent_id,
        cmd_id=cmd_id,
        output=(said.output or "").replace("\r\n", "\n"),
        done=bool(said.done),
        exit_code=said.exit_code if isinstance(said.exit_code, int) else None,
    )


def _error(path: str, words: str, status: int | None) -> TRMMError:
    if status == 400:
        return UnsupportedError(f"agents.stream_command: {words} Use agents.run_command(…) there")
    if status == 403:
        return PermissionDeniedError(403, words, method="GET", path=path)
    if status is None:
        return BadRequestError(400, words, method="GET", path=path)
    return APIError(status, words, method="GET", path=path)


def refused(path: str, code: int) -> TRMMError | None:
    """A close code that is a refusal."""
    if code not in _CLOSED:
        return None
    kind, status, words = _CLOSED[code]
    return kind(status, words, method="GET", path=path)
