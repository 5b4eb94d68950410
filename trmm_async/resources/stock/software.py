"""`trmm.agents.software`."""

from collections.abc import Mapping
from datetime import date
from operator import attrgetter
from typing import Any, Final

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.agents import agent_ids_by_key
from trmm_async.dialects.stock.endpoint import OrEmpty, Sent, put, read, reader, send
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Agent, Noun, no_extra
from trmm_async.plaintext import near_matches
from trmm_async.resources.resource import Resource

__all__ = ["InstalledSoftware", "Software"]


class Software(Noun, frozen=True, kw_only=True, gc=False):
    """One program that is installed, as the server's list has it.

    `size` is text, as the agent reports it; `uninstall` is the command that removes it.
    """

    name: str
    """The name."""
    version: str = ""
    """The version, as text."""
    publisher: str = ""
    """Who has made it."""
    size: str = ""
    source: str = ""
    """From where it was installed."""
    location: str = ""
    """Where it is."""
    uninstall: str = ""
    install_date: date | None = None
    """When it was installed."""
    extra: Mapping[str, Any] = no_extra()


def _day(text: str | None) -> date | None:
    """The day of "2019-06-09 00:00:00 +0000 UTC"; None for a day of the year 1, which means none."""
    try:
        found = date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
    return None if found.year == 1 else found


class _Installed(msgspec.Struct):
    software: msgspec.Raw = msgspec.Raw(b"null")


_WIRE: Final = {"install_date": Sent(kind=str | None, fit=_day)}
_programs: Final[Any] = reader(list[Software], _WIRE, null=True)


def _software(body: bytes) -> list[Software]:
    """The programs. If the server has no list, it answers with an empty array, not with an object."""
    if body.lstrip()[:1] == b"[":
        return []
    found: list[Software] = _programs.at_once(bytes(codec.decoder(_Installed)(body).software))
    return found


class _OfAgent(msgspec.Struct):
    agent: int
    software: msgspec.Raw = msgspec.Raw(b"null")


class _Package(msgspec.Struct):
    name: str


_by_agent: Final[codec.ListDecoder[dict[int, list[Software]]]] = codec.listed(
    _OfAgent, lambda one: (one.agent, _programs.at_once(bytes(one.software))), dict
)
# A server that has never loaded the list answers with an empty object.
_packages: Final[OrEmpty[list[str]]] = OrEmpty(codec.listed(_Package, attrgetter("name")), b"{}")


_SECONDS_MOST: Final = 2**31 - 1
_ALL: Final = "/software/{agent:agent}/"

EVERYWHERE = read("agents.software.everywhere", "/software/", dict[int, list[Software]], decode=_by_agent)
PACKAGES = read("agents.software.packages", "/software/chocos/", list[str], decode=_packages)
INSTALL = send("agents.software.install", _ALL, needs="name", asks=2)
UNINSTALL = send(
    "agents.software.uninstall", _ALL + "uninstall/", needs="name command timeout run_as_user", since="1.3.0"
)
LIST = read("agents.software.list", _ALL, list[Software], decode=_software)
REFRESH = put("agents.software.refresh", _ALL, asks=15)


class InstalledSoftware(Resource):
    """The software on agents of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    async def refresh(self, agent: str | Agent) -> None:
        """Make the server read the software of a Windows agent again. The agent has 15 seconds to answer.

        Raises:
            BadRequestError: the agent is not a Windows one.
        """
        await self._send(REFRESH, agent)

    async def install(self, agent: str | Agent, package: str, *, unlisted: bool = False) -> None:
        """Make a Windows agent install a package by Chocolatey. The agent has 2 seconds to answer.

        The call doesn't wait for that; the result is in `pending_actions.list(agent=…)`. Never sent twice.

        Args:
            agent: the agent or its id.
            package: the package's name. It is looked up in `packages()` first, since the server would let the
                agent try any name.
            unlisted: True for a package that need not be in the server's list, from a source of your own. The
                list (264 kB) is not read then.

        Raises:
            InvalidRequestError: the server's list has no such package; nothing was sent.
            AgentLostError: the agent did not answer in time; it may install it all the same.
            BadRequestError: the agent is not a Windows one.
        """
        name = arguments.plain_text(package, "package")
        call = INSTALL.call(agent, body={"name": name})
        if arguments.boolean(unlisted, "unlisted"):
            await self._on_stock(INSTALL.name, call)
        else:
            await self._on_stock(INSTALL.name, _install_listed(name, call))

    async def uninstall(
        self,
        agent: str | Agent,
        software: str | Software,
        *,
        command: str | None = None,
        timeout: int = 1800,
        run_as_user: bool = False,
    ) -> None:
        """Make a Windows agent uninstall a program by a command. Never sent twice.

        The call doesn't wait for that, and the server doesn't know whether the agent received it. The result
        is in `agents.history` later.

        Args:
            agent: the agent or its id.
            software: the program or its name.
            command: a command that uninstalls it without questions, often its uninstaller with "/S" or
                "/quiet". None for the `uninstall` of the program as listed, which may ask questions.
            timeout: seconds that the command may take.
            run_as_user: True runs it as the user who is logged in.

        Raises:
            BadRequestError: the agent is not a Windows one, or this would remove the agent itself.
        """
        listed = software if isinstance(software, Software) else None
        how = command if command is not None else listed and listed.uninstall
        if not how:
            raise InvalidRequestError(
                "agents.software.uninstall needs command=, the command that removes the program: "
                "the list has none for it"
            )
        body = {
            "name": arguments.plain_text(listed.name if listed else software, "software"),
            "command": arguments.free_text(how, "command"),
            "timeout": arguments.integer(timeout, "timeout", minimum=1, maximum=_SECONDS_MOST),
            "run_as_user": arguments.boolean(run_as_user, "run_as_user"),
        }
        await self._send(UNINSTALL, agent, body=body)

    async def packages(self) -> list[str]:
        """List the names of all packages for `install`. Empty if the server has not loaded them yet."""
        return await self._send(PACKAGES)

    async def everywhere(self) -> dict[str, list[Software]]:
        """Get the software of all agents, by their ids, in one call. Agents without a list are left out.

        It is as old as the agents' last reports. For 5,000 agents it has about 100 MB: see `max_answer`.
        """
        return await self._on_stock(EVERYWHERE.name, _everywhere())

    async def list(self, agent: str | Agent) -> list[Software]:
        """List the software of an agent. Empty if the server has no list.

        The list is as old as the agent's last report, or `refresh`.
        """
        return await self._send(LIST, agent)


@plan
def _install_listed(name: str, install: Call[None]) -> Steps[None]:
    """Look the package up first: the server accepts any name, and a pending action has the error."""
    listed = yield from PACKAGES.call()
    if listed and name.casefold() not in {one.casefold() for one in listed}:
        near = near_matches(name, listed)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise InvalidRequestError(
            f"package: the server's list has no {name!r}{hint}; unlisted=True takes any name"
        )
    yield from install


@plan
def _everywhere() -> Steps[dict[str, list[Software]]]:
    """The server sends integers for the agents; their ids are in the list of agents."""
    found = yield from EVERYWHERE.call()
    ids = yield from agent_ids_by_key()
    # An agent without an id was created or deleted between the two calls.
    return {ids[agent]: software for agent, software in found.items() if agent in ids}
