"""Names for ids, agents by what they have in common, and the question before several are touched.

Below: `printing`, `exits`. Above: the commands.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from trmm_async.cli.asking import ask, somebody_is_here
from trmm_async.cli.exits import refuse, usage
from trmm_async.cli.options import KINDS, STATUSES
from trmm_async.cli.printing import say
from trmm_async.cli.text import alike, clean, named, one_line
from trmm_async.cli.values import choice
from trmm_async.plaintext import comparable, is_named

if TYPE_CHECKING:
    import trmm_async as sdk

__all__ = [
    "Where",
    "agents_named",
    "agents_where",
    "client_named",
    "confirm",
    "filters_of",
    "host_names",
    "labels",
    "script_named",
    "site_named",
]

T = TypeVar("T")
_CHOICES = 6


@dataclass(frozen=True)
class _Noun(Generic[T]):
    """How things of a kind are told apart."""

    word: str
    id: Callable[[T], object]
    name: Callable[[T], str]
    more: Callable[[T], str]

    def pick(self, wanted: str, things: Sequence[T]) -> T:
        """The one thing with this id, or else of this name."""
        for thing in things:
            if str(self.id(thing)) == wanted:
                return thing
        found = [thing for thing in things if is_named(self.name(thing), wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            choices = [f"{self.id(thing)} ({self.more(thing)})" for thing in found]
            said = f"{len(found)} {self.word}s are named {wanted!r}"
            raise usage(f"{said}, give the id: {named(choices, _CHOICES)}")
        raise usage(
            f"there is no {self.word} {wanted!r}{alike(wanted, [self.name(thing) for thing in things])}"
        )


_AGENT: _Noun["sdk.Agent"] = _Noun(
    "agent",
    lambda agent: agent.agent_id,
    lambda agent: agent.hostname,
    lambda agent: f"{agent.client.name}/{agent.site.name}",
)
_SCRIPT: _Noun["sdk.Script"] = _Noun(
    "script", lambda script: script.id, lambda script: script.name, lambda script: script.shell
)
_CLIENT: _Noun["sdk.Client"] = _Noun(
    "client",
    lambda client: client.id,
    lambda client: client.name,
    lambda client: f"{len(client.sites)} sites",
)
_Place = tuple["sdk.Client", "sdk.Site"]
_SITE: _Noun[_Place] = _Noun(
    "site",
    lambda place: place[1].id,
    lambda place: place[1].name,
    lambda place: place[0].name,
)


@dataclass(frozen=True)
class Where:
    """What agents have in common, as options say it. One that can't be is a wrong use."""

    client: str | None = None
    site: str | None = None
    kind: str | None = None
    hostname: str | None = None
    status: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None:
            object.__setattr__(self, "kind", choice(self.kind, "--kind", KINDS))
        if self.status is not None:
            object.__setattr__(self, "status", choice(self.status, "--status", STATUSES))
        if self.hostname is not None and not self.hostname.strip():
            raise usage("--hostname is a pattern as 'WEB-*', not empty")

    def __bool__(self) -> bool:
        return any((self.client, self.site, self.kind, self.hostname, self.status))


async def agents_where(trmm: "sdk.TRMM", where: Where, names: Sequence[str] = ()) -> list["sdk.Agent"]:
    """The agents that match all of it; of those that are named, if any are."""
    named_ones = await agents_named(trmm, names)
    if names and not where:
        return named_ones
    agents = await trmm.agents.list(**await filters_of(trmm, where))
    wanted = {agent.agent_id for agent in named_ones}
    return [agent for agent in agents if _fits(agent, where) and (not names or agent.agent_id in wanted)]


async def filters_of(trmm: "sdk.TRMM", where: Where) -> dict[str, Any]:
    """The filters of `agents.list` that say the same, but for host name and status."""
    client = site = None
    if where.client is not None or where.site is not None:
        clients = await trmm.clients.list()
        client = None if where.client is None else client_named(where.client, clients)
        site = None if where.site is None else site_named(where.site, clients, client)
    return {"client": client, "site": site, "monitoring_type": where.kind}


def _fits(agent: "sdk.Agent", where: Where) -> bool:
    return fnmatchcase(comparable(agent.hostname), comparable(where.hostname or "*")) and where.status in {
        None,
        agent.status,
    }


async def agents_named(trmm: "sdk.TRMM", names: Sequence[str]) -> list["sdk.Agent"]:
    """The agents of these names or ids, each once. One request for all of them."""
    if not names:
        return []
    agents = await trmm.agents.list()
    return list({agent.agent_id: agent for agent in (_AGENT.pick(name, agents) for name in names)}.values())


async def script_named(trmm: "sdk.TRMM", name: str) -> "sdk.Script":
    """The script of this id or name."""
    return _SCRIPT.pick(name, await trmm.scripts.list())


def client_named(name: str, clients: Sequence["sdk.Client"]) -> "sdk.Client":
    """The client of this id or name."""
    return _CLIENT.pick(name, clients)


def site_named(name: str, clients: Sequence["sdk.Client"], client: "sdk.Client | None" = None) -> "sdk.Site":
    """The site of this id or name, of that client if one is given; CLIENT/SITE is understood too."""
    places = [(each, site) for each in ([client] if client else clients) for site in each.sites]
    for owner, site in places:
        if is_named(f"{owner.name}/{site.name}", name):
            return site
    return _SITE.pick(name, places)[1]


def confirm(doing: str, names: Sequence[str], *, yes: bool, word: str = "agents") -> None:
    """Ask before more than one is touched. Refuses where nobody can be asked.

    Args:
        doing: what would be done, as in "run Get-DiskInfo on".
        names: on which.
        yes: not to ask.
        word: what they are.
    """
    if yes or len(names) < 2:
        return
    what = clean(f"{doing} {len(names)} {word}")
    question = f"{what}: {clean(named(list(names), 5))}"
    if not somebody_is_here():
        raise refuse(f"refusing to {what} without confirmation: no terminal. Add --yes ({question})")
    say(f"{question[0].upper()}{question[1:]}")
    if ask("Go on? [y/N] ").casefold() not in {"y", "yes"}:
        raise refuse("not done")


async def host_names(
    trmm: "sdk.TRMM", known: "Sequence[sdk.Agent]" = (), *, for_people: bool = True, needed: bool = True
) -> dict[str, str]:
    """Host names by agents' ids: of those that are known, or else of all. Nothing where it isn't needed."""
    if not needed:
        return {}
    return labels(known or await trmm.agents.list(), for_people=for_people)


def labels(agents: "Sequence[sdk.Agent]", *, for_people: bool = True) -> dict[str, str]:
    """What agents are called, by their ids.

    For people no two are called the same: one whose host name others have too is told with its client and
    site, and where that is not enough, with its id. Programs have the host names alone: they have the ids.
    """
    if not for_people:
        return {agent.agent_id: agent.hostname for agent in agents}
    told = {agent.agent_id: one_line(clean(agent.hostname)) for agent in agents}
    places = {agent.agent_id: f"{agent.client.name}/{agent.site.name}" for agent in agents}
    for more in (places, {agent.agent_id: agent.agent_id for agent in agents}):
        times = Counter(map(comparable, told.values()))
        for agent in agents:
            if times[comparable(told[agent.agent_id])] > 1:
                name = f"{agent.hostname} ({more[agent.agent_id]})"
                told[agent.agent_id] = one_line(clean(name))
    return told
