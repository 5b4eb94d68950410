"""`trmm.agents.services`."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from trmm_async import arguments, codec
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.agent_answers import BUS_DOWN, NO_BUS
from trmm_async.dialects.stock.endpoint import put, read, send
from trmm_async.dialects.stock.explanations import sentence
from trmm_async.errors import AgentUnreachableError, NotFoundError
from trmm_async.models import Agent, Noun, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["Service", "Services"]

_CONTROL_SECONDS: Final = 32


class Service(Noun, frozen=True, kw_only=True, gc=False):
    """One Windows service.

    `status` is "running", "stopped", …; `start_type` is "Automatic", "Manual", "Disabled", …, and `autodelay`
    whether an automatic start is a delayed one. `pid` is 0 if it doesn't run.
    """

    name: str
    """The name."""
    display_name: str = ""
    """The name for people."""
    status: str = ""
    start_type: str = ""
    autodelay: bool | None = None
    pid: int | None = None
    binpath: str = ""
    """What it runs."""
    username: str | None = None
    """As whom it runs."""
    description: str = ""
    """What it says about itself."""
    extra: Mapping[str, Any] = no_extra()


def _service_or_word(body: bytes) -> Service | None:
    return None if sentence(body) == BUS_DOWN else codec.decoder(Service)(body)


_ALL: Final = "/services/{agent:agent}/"
_ONE: Final = _ALL + "{service:text}/"

LIST = read("agents.services", _ALL, list[Service], asks=10)
GET = read("agents.services.get", _ONE, object, decode=_service_or_word, asks=10)
CONTROL = send("agents.services.control", _ONE, asks=_CONTROL_SECONDS)
UPDATE = put("agents.services.update", _ONE, asks=10)


class Services(Resource):
    """The services of a Windows agent of a stock server. All errors are `TRMMError`s.

    `await trmm.agents.services(agent)` lists them. The agent is asked: see `Agents`. On a gateway they are an
    `UnsupportedError`.
    """

    async def __call__(self, agent: str | Agent) -> list[Service]:
        """List the services of a Windows agent. The agent has 10 seconds to answer."""
        return await self._send(LIST, agent)

    async def get(self, agent: str | Agent, service: str | Service) -> Service:
        """Get one service, by its name, not the displayed one. The agent has 10 seconds to answer.

        Raises:
            NotFoundError: the agent has no such service.
        """
        name = _name(service)
        return await self._on_stock(GET.name, _one(GET.call(agent, name), name))

    async def control(
        self, agent: str | Agent, service: str | Service, action: Literal["start", "stop", "restart"]
    ) -> None:
        """Start, stop or restart a service. Never sent twice.

        The agent is asked, for 32 seconds; to restart, for twice that.

        Raises:
            BadRequestError: the agent could not, or has no Windows services.
        """
        what = arguments.choice(action, "action", ("start", "stop", "restart"))
        waits = _CONTROL_SECONDS * (2 if what == "restart" else 1)
        await self._send(CONTROL, agent, _name(service), body={"sv_action": what}, waits=waits)

    async def update(
        self,
        agent: str | Agent,
        service: str | Service,
        *,
        start_type: Literal["auto", "autodelay", "manual", "disabled"],
    ) -> None:
        """Set how a service starts. Idempotent: sent again if an answer is lost.

        The agent has 10 seconds to answer.

        Raises:
            BadRequestError: the agent could not.
        """
        kind = arguments.choice(start_type, "start_type", ("auto", "autodelay", "manual", "disabled"))
        await self._send(UPDATE, agent, _name(service), body={"startType": kind})


def _name(service: object) -> object:
    return getattr(service, "name", service)


@plan
def _one(call: Call[object], name: object) -> Steps[Service]:
    """Get one service. The server answers 200 also if there is none, or if its bus is down (a word)."""
    answer = yield from call
    if not isinstance(answer, Service):
        raise AgentUnreachableError(200, NO_BUS, method="GET", path=call.path, body=f'"{BUS_DOWN}"')
    if not answer.name:
        raise NotFoundError(200, f"the agent has no service {name!r}", method="GET", path=call.path)
    return answer
