"""A command on one agent, and its output."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.agent_answers import BUS_DOWN, NO_BUS
from trmm_async.dialects.stock.endpoint import act, read
from trmm_async.dialects.stock.history import AGENT_HISTORY
from trmm_async.errors import AgentLostError, AgentUnreachableError, TRMMError
from trmm_async.models import CommandResult

__all__ = ["PING", "RUN", "CommandRun", "run_command"]

_GRACE: Final = 2
"""Seconds that the server waits for the agent beyond the command's own timeout."""

_SHELLS: Final[Mapping[str | None, str]] = {"linux": "/bin/bash", "darwin": "/bin/bash"}
_OTHER_SHELL: Final = "cmd"
_CUSTOM: Final = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """One run of a command; `timeout` in seconds.

    If `shell` is None, it is the usual one of the platform `plat`; if that is None, too, the server is asked
    for it. `custom_shell` is the path of a program, for the shell "custom".
    """

    command: str
    shell: str | None = None
    custom_shell: str | None = None
    timeout: int = 30
    run_as_user: bool = False
    plat: str | None = None


class _Platform(msgspec.Struct):
    plat: str | None = None


class _Pinged(msgspec.Struct):
    status: str


def _is_online(body: bytes) -> bool:
    return codec.decoder(_Pinged)(body).status == "online"


_ONE: Final = "/agents/{agent:agent}/"

RUN = act(
    "agents.run_command",
    _ONE + "cmd/",
    decode=codec.decoder(str),
    needs="shell cmd timeout run_as_user",
    asks=30 + _GRACE,
)
PLATFORM = read("agents.run_command", _ONE, _Platform)
PING = read("agents.ping", _ONE + "ping/", bool, decode=_is_online, asks=7.5)


@plan
def run_command(agent_id: str, run: CommandRun) -> Steps[CommandResult]:
    """Run a command and return what it printed."""
    shell = run.shell or (yield from _usual_shell(agent_id, run.plat))
    call = _post(agent_id, run, _CUSTOM if run.custom_shell else shell)
    output = yield from call
    if output == BUS_DOWN:
        yield from _settle(agent_id, run.command, call)
    return CommandResult(output=output)


def _usual_shell(agent_id: str, plat: str | None) -> Steps[str]:
    if plat is None:
        plat = (yield from PLATFORM.call(agent_id)).plat
    return _SHELLS.get(plat, _OTHER_SHELL)


def _post(agent_id: str, run: CommandRun, shell: str) -> Call[str]:
    # All are required; `custom_shell` only if the shell is "custom".
    body = {
        "shell": shell,
        "cmd": run.command,
        "timeout": run.timeout,
        "custom_shell": run.custom_shell,
        "run_as_user": run.run_as_user,
    }
    return RUN.call(agent_id, body=body, waits=run.timeout + _GRACE)


def _settle(agent_id: str, command: str, call: Call[Any]) -> Steps[None]:
    """Return if the command printed the word that also means that the bus is down; raise if it did not.

    The history has a row of the command before it is sent. The agent reports the output after its answer, so
    a row without output proves nothing until the agent has answered another question.
    """
    printed = yield from _printed(agent_id, command)
    if printed:
        return
    try:
        answers = yield from PING.call(agent_id)
    except TRMMError:
        answers = True
    if not answers and printed is not None:
        raise _error(AgentUnreachableError, NO_BUS, call)
    if not (yield from _printed(agent_id, command)):
        said = "the server could not reach its message bus, or the command printed just that word"
        raise _error(AgentLostError, said, call)


def _printed(agent_id: str, command: str) -> Steps[bool | None]:
    """Whether the agent has reported that word as output; None if the history can't be read."""
    try:
        entries = yield from AGENT_HISTORY.call(agent_id)
    except TRMMError:
        return None
    ours = [entry for entry in entries if (entry.type, entry.command) == ("cmd_run", command)]
    return bool(ours) and ours[-1].output == BUS_DOWN


def _error(kind: type[AgentUnreachableError], said: str, call: Call[Any]) -> AgentUnreachableError:
    return kind(200, said, method=call.method, path=call.path, body=f'"{BUS_DOWN}"')
