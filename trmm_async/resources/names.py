"""Names in place of ids: which script, client or site a text means. No answer is kept: each call asks anew.

Over `api`; the nouns and `filters` ask here, after their other arguments were checked. What finds a name
among things is pure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar, cast

from trmm_async.calls import Request
from trmm_async.dialects import Dialect
from trmm_async.errors import AmbiguousNameError, UnknownNameError
from trmm_async.models import Agent, Client, ClientRef, Script, Site, SiteRef
from trmm_async.plaintext import is_named, near_matches
from trmm_async.resources.api import Api

__all__ = [
    "AGENT",
    "CLIENT",
    "SCRIPT",
    "AnyClient",
    "AnyScript",
    "AnySite",
    "Names",
    "NounKind",
    "find_site",
    "pick_site",
]

T = TypeVar("T")

AnyScript: TypeAlias = int | str | Script
"""Says which script: its id, its name, or the script."""
AnyClient: TypeAlias = int | str | Client | ClientRef
"""Says which client: its id, its name, or the client."""
AnySite: TypeAlias = int | str | Site | SiteRef
"""Says which site: its id, its name, CLIENT/SITE where several have it, or the site."""

_Place: TypeAlias = tuple[Client, Site]


@dataclass(frozen=True)
class NounKind(Generic[T]):
    """How things of a kind are told apart; `about` says it where a name does not."""

    word: str
    id: Callable[[T], str | int]
    name: Callable[[T], str]
    about: Callable[[T], str]

    def find(self, wanted: str, things: Iterable[T]) -> T | None:
        """The one thing of this name, in any case; None if there is none.

        Raises:
            AmbiguousNameError: there are several.
        """
        found = [thing for thing in things if is_named(self.name(thing), wanted)]
        if len(found) > 1:
            raise AmbiguousNameError(
                wanted, [self.id(one) for one in found], self.word, [self.about(one) for one in found]
            )
        return found[0] if found else None

    def pick(self, wanted: str, things: Sequence[T]) -> T:
        """The same; there must be one.

        Raises:
            AmbiguousNameError: there are several.
            UnknownNameError: there is none.
        """
        found = self.find(wanted, things)
        if found is None:
            raise UnknownNameError(wanted, self.word, near_matches(wanted, map(self.name, things)))
        return found


AGENT: Final[NounKind[Agent]] = NounKind(
    "agent",
    lambda agent: agent.agent_id,
    lambda agent: agent.hostname,
    lambda agent: f"{agent.client.name}/{agent.site.name}",
)
SCRIPT: Final[NounKind[Script]] = NounKind(
    "script", lambda script: script.id, lambda script: script.name, lambda script: script.shell
)
CLIENT: Final[NounKind[Client]] = NounKind(
    "client",
    lambda client: client.id,
    lambda client: client.name,
    lambda client: f"{len(client.sites)} sites",
)
_SITE: Final[NounKind[_Place]] = NounKind(
    "site", lambda place: place[1].id, lambda place: place[1].name, lambda place: place[0].name
)


def find_site(wanted: str, clients: Iterable[Client]) -> Site | None:
    """The site of this name among those of these clients, with its client; CLIENT/SITE is understood too.

    Raises:
        AmbiguousNameError: several have it.
    """
    places = _places(clients)
    return _told(_by_path(wanted, places) or _SITE.find(wanted, places))


def pick_site(wanted: str, clients: Iterable[Client]) -> Site:
    """The same; there must be one.

    Raises:
        AmbiguousNameError: several have it.
        UnknownNameError: none has it.
    """
    places = _places(clients)
    return cast("Site", _told(_by_path(wanted, places) or _SITE.pick(wanted, places)))


def _places(clients: Iterable[Client]) -> list[_Place]:
    return [(client, site) for client in clients for site in client.sites]


def _by_path(wanted: str, places: list[_Place]) -> _Place | None:
    return next((one for one in places if is_named(f"{one[0].name}/{one[1].name}", wanted)), None)


def _told(place: _Place | None) -> Site | None:
    if place is None:
        return None
    client, site = place
    return Site(
        id=site.id, name=site.name, client=ClientRef(id=client.id, name=client.name), extra=site.extra
    )


class Names:
    """The ids of what is named, by one listing a call. What is given was checked by `arguments.reference`.

    Every method raises, besides `TRMMError`s of the listing, AmbiguousNameError and UnknownNameError.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def script(self, given: int | str) -> int:
        """The id of a script."""
        return given if isinstance(given, int) else SCRIPT.pick(given, await self.scripts()).id

    async def client(self, given: int | str) -> int:
        """The id of a client."""
        return given if isinstance(given, int) else CLIENT.pick(given, await self.clients()).id

    async def site(self, given: int | str) -> int:
        """The id of a site, of whatever client."""
        return given if isinstance(given, int) else pick_site(given, await self.clients()).id

    async def place(self, client: int | str | None, site: int | str | None) -> tuple[int | None, int | None]:
        """The ids of a client and a site, by one listing for both; a named site is one of that client."""
        if not isinstance(client, str) and not isinstance(site, str):
            return client, site
        clients = await self.clients()
        if isinstance(client, str):
            client = CLIENT.pick(client, clients).id
        if isinstance(site, str):
            site = pick_site(site, [one for one in clients if client in {None, one.id}]).id
        return client, site

    async def clients(self) -> list[Client]:
        """All clients with their sites."""
        return await self._api.send(_clients)

    async def scripts(self) -> list[Script]:
        """All scripts."""
        return await self._api.send(_scripts)


def _clients(dialect: Dialect) -> Request[list[Client]]:
    return dialect.list_clients()


def _scripts(dialect: Dialect) -> Request[list[Script]]:
    return dialect.list_scripts()
