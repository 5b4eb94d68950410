"""`trmm.agents.processes`."""

from collections.abc import Mapping
from typing import Any, Final

from trmm_async import arguments
from trmm_async.dialects.base import float_of
from trmm_async.dialects.stock.endpoint import Sent, read, send
from trmm_async.models import Agent, Noun, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["Process", "Processes"]

_PID_MOST: Final = 2**32 - 1
"""The largest process id on Windows, where it is larger than on any other system."""


class Process(Noun, frozen=True, kw_only=True, gc=False):
    """One process; `membytes` is the memory that it uses, in bytes."""

    pid: int
    """The process's number."""
    name: str = ""
    """The name."""
    username: str | None = None
    """Whose it is."""
    membytes: int | None = None
    cpu_percent: float | None = None
    """Its share of the processors, in percent."""
    extra: Mapping[str, Any] = no_extra()


_ALL: Final = "/agents/{agent:agent}/processes/"

LIST = read(
    "agents.processes.list",
    _ALL,
    list[Process],
    wire={"cpu_percent": Sent(kind=str | float | None, fit=float_of)},
    asks=5,
)
KILL = send("agents.processes.kill", _ALL + "{process:id}/", method="DELETE", asks=15)


class Processes(Resource):
    """The processes on an agent of a stock server. All errors are `TRMMError`s.

    The agent is asked: see `Agents`. A gateway raises `UnsupportedError`.
    """

    async def kill(self, agent: str | Agent, process: int | Process) -> None:
        """End a process, by its number (pid). The agent is asked, for 15 seconds, never twice.

        Raises:
            BadRequestError: the agent could not; the text is what its system says.
        """
        pid = arguments.integer(getattr(process, "pid", process), "process", minimum=0, maximum=_PID_MOST)
        await self._send(KILL, agent, pid)

    async def list(self, agent: str | Agent) -> list[Process]:
        """What runs on an agent, at this moment. The agent has 5 seconds to answer."""
        return await self._send(LIST, agent)
