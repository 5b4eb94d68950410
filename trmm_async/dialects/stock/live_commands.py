"""Commands of a stock server whose output comes while they run; see `LiveCommands`.

The server's own code (agents/consumers.py, `Agent.nats_stream_cmd`): it answers the message with the
command's id, writes a row into the history, gives the command to the agent, and then listens to it for
timeout + 2 s. It says nothing about an agent that is not there, nor when it stops listening. What the agent
prints goes by a channel that holds 100 messages, and drops without a word what comes while it is full.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

from trmm_async import codec
from trmm_async.dialects.beyond import (
    CommandFrame,
    CommandOrder,
    CommandSpec,
    Refused,
    Taken,
    Unreadable,
)
from trmm_async.dialects.stock.history import StockHistory, agent_history
from trmm_async.dialects.stock.wording import segment
from trmm_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    PermissionDeniedError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.events import CommandOutput

__all__ = ["StockCommands", "command_frame"]

_LISTENS: Final = 2.0
_BAD_TOKEN: Final = frozenset({403})
_NO_AGENT: Final = frozenset({500})
_OWN_WORDS: Final = ("[ERROR] Could not connect to NATS", "[ERROR] NATS publish/subscribe failed")

_CLOSED: Final[Mapping[int, tuple[type[APIError], int, str]]] = {
    4401: (AuthenticationError, 401, "closed with 4401"),
    4403: (PermissionDeniedError, 403, "closed with 4403"),
    4003: (PermissionDeniedError, 403, "closed with 4003"),
}


class StockCommands:
    """See `LiveCommands`."""

    def command_stream(self, agent_id: str, order: CommandOrder) -> CommandSpec:
        path = f"/ws/agent/{segment(agent_id)}/cmd/"
        body = {
            "cmd": order.command,
            "shell": order.shell,
            "timeout": order.timeout,
            "run_as_user": order.run_as_user,
            "cmd_id": order.cmd_id,
        }
        return CommandSpec(
            path=path,
            # The server takes whatever follows these words, to the very end, and takes it as it is.
            query=lambda token: token.query,
            opening=codec.encode(body).decode(),
            read=partial(command_frame, agent_id, order.cmd_id, path),
            refused=partial(_refused, path),
            bad_token=_BAD_TOKEN,
            no_agent=_NO_AGENT,
            own_words=_OWN_WORDS,
            listens=order.timeout + _LISTENS,
            history=agent_history(agent_id),
            statuses=StockHistory().statuses(frozenset({agent_id})),
        )


class _Frame(msgspec.Struct):
    """What only passes through the server (the agent's own words) may be of any kind."""

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


def _refused(path: str, code: int) -> TRMMError | None:
    """A close code that is a refusal."""
    if code not in _CLOSED:
        return None
    kind, status, words = _CLOSED[code]
    return kind(status, words, method="GET", path=path)
