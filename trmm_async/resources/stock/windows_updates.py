"""`trmm.agents.windows_updates`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from trmm_async import arguments
from trmm_async.dialects.stock.endpoint import Sent, Wire, put, read, send
from trmm_async.models import Agent, Noun, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["WindowsUpdate", "WindowsUpdates"]


class WindowsUpdate(Noun, frozen=True, kw_only=True, gc=False):
    """One Windows update of an agent.

    `action` is what is to become of it: "nothing", "approve", "ignore" or "inherit". `date_installed` is by
    the clock of the server's default time zone, and has none itself.
    """

    id: int
    """The server's id of it."""
    agent_id: str | None = None
    """The agent's id."""
    guid: str | None = None
    """What Windows knows it by."""
    kb: str | None = None
    """Its article, such as "KB5031356"."""
    title: str = ""
    """The name."""
    description: str = ""
    """What it does."""
    severity: str = ""
    """How serious it is."""
    categories: tuple[str, ...] = ()
    """What it is about."""
    installed: bool = False
    """Whether it is installed."""
    downloaded: bool = False
    """Whether it is there to be installed."""
    action: str = ""
    result: str = ""
    """What came of it."""
    date_installed: datetime | None = None
    kb_article_ids: tuple[str, ...] = ()
    """All its articles."""
    more_info_urls: tuple[str, ...] = ()
    """Where more is said."""
    support_url: str | None = None
    """Where help is."""
    extra: Mapping[str, Any] = no_extra()


def _time(text: str | None) -> datetime | None:
    """The time of "11 23 2026 14:20"."""
    try:
        month, day, year, clock = (text or "").split()
        return datetime.fromisoformat(f"{year}-{month}-{day}T{clock}")
    except ValueError:
        return None


_TEXTS: Final = Sent(kind=tuple[str | None, ...], fit=lambda texts: tuple(filter(None, texts)))
_WIRE: Final[Wire] = {
    "categories": _TEXTS,
    "kb_article_ids": _TEXTS,
    "more_info_urls": _TEXTS,
    "date_installed": Sent(kind=str | None, fit=_time),
}
_ALL: Final = "/winupdate/{agent:agent}/"

LIST = read("agents.windows_updates.list", _ALL, list[WindowsUpdate], wire=_WIRE)
UPDATE = put("agents.windows_updates.update", "/winupdate/{update:id}/")
SCAN = put("agents.windows_updates.scan", _ALL + "scan/", method="POST")
INSTALL = send("agents.windows_updates.install", _ALL + "install/")


class WindowsUpdates(Resource):
    """The Windows updates of agents of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    async def update(
        self, update: int | WindowsUpdate, action: Literal["approve", "ignore", "nothing", "inherit"]
    ) -> None:
        """Set the action for one update of an agent. Its policy decides when it is installed."""
        what = arguments.choice(action, "action", ("approve", "ignore", "nothing", "inherit"))
        await self._send(UPDATE, update, body={"action": what})

    async def scan(self, agent: str | Agent) -> None:
        """Make a Windows agent look for updates.

        The call doesn't wait for that, and the server doesn't know whether the agent received the order.

        Raises:
            BadRequestError: the agent is not a Windows one.
        """
        await self._send(SCAN, agent)

    async def install(self, agent: str | Agent) -> None:
        """Make an agent install the approved updates now. Never sent twice.

        The call doesn't wait for that, and the server doesn't know whether the agent received the order.
        """
        await self._send(INSTALL, agent)

    async def list(self, agent: str | Agent) -> list[WindowsUpdate]:
        """List the Windows updates of an agent that the server knows, installed or not, newest first."""
        agent_id = arguments.agent_id(agent)
        found = await self._send(LIST, agent_id)
        return [msgspec.structs.replace(update, agent_id=agent_id) for update in found]
