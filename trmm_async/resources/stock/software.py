"""`trmm.agents.software`."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.dialects.stock.endpoint import Sent, put, read, reader
from trmm_async.models import Agent, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["InstalledSoftware", "Software"]


class Software(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One program that is installed, as the server's list has it.

    `size` is text, as the agent reports it; `uninstall` is the command that removes it.
    """

    name: str
    version: str = ""
    publisher: str = ""
    size: str = ""
    source: str = ""
    location: str = ""
    uninstall: str = ""
    install_date: date | None = None
    extra: Mapping[str, Any] = no_extra()


def _day(text: str | None) -> date | None:
    """The day of "2019-06-09 00:00:00 +0000 UTC"; none for the first day there is, which stands for none."""
    try:
        found = date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
    return None if found.year == 1 else found


class _Installed(msgspec.Struct):
    software: msgspec.Raw = msgspec.Raw(b"null")


_WIRE: Final = {"install_date": Sent(kind=str | None, fit=_day)}
_programs: Final = reader(list[Software], _WIRE, null=True)


def _software(body: bytes) -> list[Software]:
    """The programs; where the server has no list it answers with an empty array, not with an object."""
    return [] if body.lstrip()[:1] == b"[" else _programs(bytes(codec.decoder(_Installed)(body).software))


_ALL: Final = "/software/{agent:agent}/"

LIST = read("agents.software.list", _ALL, list[Software], decode=_software)
REFRESH = put("agents.software.refresh", _ALL, asks=15)


class InstalledSoftware(Resource):
    """What is installed on agents of a stock server. Every method raises `TRMMError`s only.

    On a gateway it is an `UnsupportedError`.
    """

    async def refresh(self, agent: str | Agent) -> None:
        """Have the server list anew what is on a Windows agent. The agent is asked, for 15 seconds.

        Raises:
            BadRequestError: the agent is not a Windows one.
        """
        await self._send(REFRESH, agent)

    async def list(self, agent: str | Agent) -> list[Software]:
        """What is installed on an agent, as the server has it listed; empty where it has no list.

        The list is as old as the agent's last report, or `refresh`.
        """
        return await self._send(LIST, agent)
