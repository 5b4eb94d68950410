"""Names in place of ids: which script, client or site a text means. Nothing is cached: each call asks anew.

Over `api`; used by the resources and `filters`, after their other arguments were checked. Finding a name
among objects is pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

from trmm_async import arguments
from trmm_async.calls import Request
from trmm_async.dialects import Dialect, ScriptRun
from trmm_async.errors import AmbiguousNameError, UnknownNameError
from trmm_async.models import Agent, Client, ClientRef, Script, Site, SiteRef
from trmm_async.plaintext import is_named, near_matches
from trmm_async.resources.api import Api

__all__ = [
    "AGENT",
    "CLIENT",
    "NAMED",
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

NAMED: Final = frozenset({"script", "client", "site"})
"""The kinds of objects that can be given by name."""

_Place: TypeAlias = tuple[Client, Site]


@dataclass(frozen=True)
class NounKind(Generic[T]):
    """How objects of a kind are found by name. `about` distinguishes those with the same name, in errors.

    `path` is their full name, by which they are found as well.
    """

    word: str
    id: Callable[[T], str | int]
    name: Callable[[T], str]
    about: Callable[[T], str]
    path: Callable[[T], str] | None = None

    def find(self, wanted: str, things: Iterable[T]) -> T | None:
        """The object with this name, whatever its case; None if there is none.

        Raises:
            AmbiguousNameError: several have it, as name or path.
        """
        found = [thing for thing in things if self._is_meant(wanted, thing)]
        if len(found) > 1:
            raise AmbiguousNameError(
                wanted, [self.id(one) for one in found], self.word, [self.about(one) for one in found]
            )
        return found[0] if found else None

    def pick(self, wanted: str, things: Sequence[T]) -> T:
        """The same, but there must be one.

        Raises:
            AmbiguousNameError: several have it.
            UnknownNameError: none has it.
        """
        found = self.find(wanted, things)
        if found is None:
            full = self.path if self.path is not None and "/" in wanted else self.name
            raise UnknownNameError(wanted, self.word, near_matches(wanted, map(full, things)))
        return found

    def _is_meant(self, wanted: str, thing: T) -> bool:
        return is_named(self.name(thing), wanted) or (
            self.path is not None and is_named(self.path(thing), wanted)
        )


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
    "site",
    lambda place: place[1].id,
    lambda place: place[1].name,
    lambda place: place[0].name,
    lambda place: f"{place[0].name}/{place[1].name}",
)


def find_site(wanted: str, clients: Iterable[Client]) -> Site | None:
    """The site with this name, or CLIENT/SITE, of these clients, with its client.

    Raises:
        AmbiguousNameError: several fit, since names may contain slashes.
    """
    return _told(_SITE.find(wanted, _places(clients)))


def pick_site(wanted: str, clients: Iterable[Client]) -> Site:
    """The same, but there must be one.

    Raises:
        AmbiguousNameError: several fit.
        UnknownNameError: none has it.
    """
    return cast("Site", _told(_SITE.pick(wanted, _places(clients))))


def _places(clients: Iterable[Client]) -> list[_Place]:
    return [(client, site) for client in clients for site in client.sites]


def _told(place: _Place | None) -> Site | None:
    if place is None:
        return None
    client, site = place
    told = {name: getattr(site, name) for name in site.__struct_fields__}
    return Site(**{**told, "client": ClientRef(id=client.id, name=client.name)})


class Names:
    """Looks names up for one call of a user; each kind of object is listed once at most.

    Arguments are checked before anything is sent. Every method raises InvalidRequestError,
    AmbiguousNameError, UnknownNameError, and the `TRMMError`s of the listing.

    Args:
        api: asks the server.
        feature: the method, if only a stock server has it: then a gateway is not asked.
    """

    def __init__(self, api: Api, feature: str = "") -> None:
        self._api = api
        self._feature = feature
        self._listed: list[Client] | None = None
        self._listed_scripts: list[Script] | None = None

    async def script(self, given: object) -> int:
        """The id of a script."""
        script = arguments.reference(given, "script")
        return script if isinstance(script, int) else SCRIPT.pick(script, await self.scripts()).id

    async def scripts(self) -> list[Script]:
        """All scripts that the key may see."""
        if self._listed_scripts is None:
            self._listed_scripts = await self._ask(_scripts)
        return self._listed_scripts

    async def client(self, given: object) -> int:
        """The id of a client."""
        client = arguments.reference(given, "client")
        return client if isinstance(client, int) else CLIENT.pick(client, await self._clients()).id

    async def clients(self, given: Iterable[int | str]) -> tuple[int, ...]:
        """The ids of several clients, each once. They were checked by `arguments.references`."""
        return tuple(dict.fromkeys([await self.client(one) for one in given]))

    async def site(self, given: object, what: str = "site", client: int | None = None) -> int:
        """The id of a site; only of this client, if one is given."""
        site = arguments.reference(given, what)
        if isinstance(site, int):
            return site
        clients = await self._clients()
        return pick_site(site, [one for one in clients if client in {None, one.id}]).id

    async def find_site(self, name: str, client: object) -> Site | None:
        """The site with this name, or None; only of this client, if one is given."""
        client_id = None if client is None else arguments.reference(client, "client")
        clients = await self._clients()
        if client_id is not None:
            client_id = await self.client(client_id)
        return find_site(name, [one for one in clients if client_id in {None, one.id}])

    async def place(self, client: object, site: object) -> tuple[int | None, int | None]:
        """The ids of a client and a site, or None. A site that is given by name must be one of the client."""
        if site is not None:
            arguments.reference(site, "site")
        client_id = None if client is None else await self.client(client)
        return client_id, None if site is None else await self.site(site, client=client_id)

    async def id_of(self, kind: str, given: object) -> int:
        """The id of an object of one of the `NAMED` kinds."""
        match kind:
            case "script":
                return await self.script(given)
            case "client":
                return await self.client(given)
            case _:
                return await self.site(given)

    async def in_body(self, body: dict[str, Any], kinds: Mapping[str, str]) -> None:
        """Put ids in the place of names in a body.

        Args:
            body: what will be sent. Its values were checked by `arguments.reference` or `references`.
            kinds: which keys have names, one or several, and of which of the `NAMED` kinds.
        """
        for key, kind in kinds.items():
            given = body.get(key)
            if isinstance(given, list | tuple):
                body[key] = list(dict.fromkeys([await self.id_of(kind, one) for one in given]))
            elif given is not None:
                body[key] = await self.id_of(kind, given)

    async def run(self, run: ScriptRun) -> ScriptRun:
        """The same run, with the script's id in the place of its name."""
        return run if isinstance(run.script, int) else replace(run, script=await self.script(run.script))

    async def _clients(self) -> list[Client]:
        if self._listed is None:
            self._listed = await self._ask(_clients)
        return self._listed

    async def _ask(self, intent: Callable[[Dialect], Request[T]]) -> T:
        if self._feature:
            (await self._api.dialect()).require_stock(self._feature)
        return await self._api.send(intent)


def _clients(dialect: Dialect) -> Request[list[Client]]:
    return dialect.list_clients()


def _scripts(dialect: Dialect) -> Request[list[Script]]:
    return dialect.list_scripts()
