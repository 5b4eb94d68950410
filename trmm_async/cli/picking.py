"""Names for ids, agents by what they have in common, and the question before several are touched.

Below: `conditions`, `options`, `printing`, `exits`. Above: the commands.
"""

import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from trmm_async.cli.asking import ask, somebody_is_here
from trmm_async.cli.conditions import condition, field_value, name_and_value
from trmm_async.cli.exits import CommandError, Exit, refuse, usage
from trmm_async.cli.folding import folding
from trmm_async.cli.options import (
    KINDS,
    PLATFORMS,
    RESULTS,
    STATUSES,
    Client,
    Conditions,
    FieldValues,
    Host,
    Kind,
    Plat,
    Site,
    Status,
    System,
)
from trmm_async.cli.printing import say
from trmm_async.cli.text import bare_name, clean, named, one_line
from trmm_async.cli.values import choice
from trmm_async.plaintext import comparable

if TYPE_CHECKING:
    import trmm_async as sdk
    from trmm_async.resources.names import NounKind

__all__ = [
    "Where",
    "agents_named",
    "agents_where",
    "check_missing",
    "client_named",
    "confirm",
    "filters_of",
    "labels",
    "of_each",
    "picks",
    "script_named",
    "site_named",
]

T = TypeVar("T")
W = TypeVar("W", bound="str | sdk.Agent")
_FAILURES: Final = 20
"""So many that can't be asked are put up with; more are the server's fault, not theirs."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """What agents have in common, as options say it. One that can't be is a wrong use.

    The fields are the options: `picks` gives them to a command.
    """

    client: Client = None
    site: Site = None
    kind: Kind = None
    plat: Plat = None
    system: System = None
    status: Status = None
    hostname: Host = None
    conditions: Conditions = None
    fields: FieldValues = None

    def __post_init__(self) -> None:
        if self.status in RESULTS:
            raise usage(
                f"--status is of agents, online, offline or overdue; `trmm checks --result {self.status}`"
            )
        for name, option, words in (
            ("kind", "--kind", KINDS),
            ("plat", "--plat", PLATFORMS),
            ("status", "--status", STATUSES),
        ):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, choice(given, option, words))
        for option, pattern, example in (
            ("--hostname", self.hostname, "WEB-*"),
            ("--os", self.system, "*Server 2019*"),
        ):
            if pattern is not None and not pattern.strip():
                raise usage(f"{option} is a pattern as {example!r}, not empty")
        for text in self.conditions or ():
            condition(text)
        for text in self.fields or ():
            name_and_value(text, "--field", "Backup=yes")

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in dataclasses.fields(self))

    async def selector(self, trmm: "sdk.TRMM") -> "sdk.Selector":
        """The same as `agents.select` has it. Asks for what names stand for, and that only."""
        tests = [condition(text) for text in self.conditions or ()]
        plat: Any = self.plat
        status: Any = self.status
        return trmm.agents.select(
            **await filters_of(trmm, self),
            plat=plat,
            operating_system=self.system,
            hostname=self.hostname,
            status=status,
            custom_fields=await _values_of(trmm, self.fields),
            where=(lambda agent: all(test(agent) for test in tests)) if tests else None,
        )


picks = folding("where", Where)
"""A command that takes `where: Where` and has in its place the options that say it."""


async def agents_where(trmm: "sdk.TRMM", where: Where, names: Sequence[str] = ()) -> list["sdk.Agent"]:
    """The agents that match all of it; of those that are named, if any are."""
    named_ones = await agents_named(trmm, names)
    if names and not where:
        return named_ones
    agents = await (await where.selector(trmm)).list()
    wanted = {agent.agent_id for agent in named_ones}
    return [agent for agent in agents if not names or agent.agent_id in wanted]


async def filters_of(trmm: "sdk.TRMM", where: Where) -> dict[str, Any]:
    """What all that lists by agents takes of it: client, site and kind."""
    client = site = None
    if where.client is not None or where.site is not None:
        clients = await trmm.clients.list()
        client = None if where.client is None else client_named(where.client, clients)
        site = None if where.site is None else site_named(where.site, clients, client)
    return {"client": client, "site": site, "monitoring_type": where.kind}


async def _values_of(trmm: "sdk.TRMM", texts: Sequence[str] | None) -> dict[Any, Any] | None:
    """The values of custom fields, by the types that the server has for them."""
    if not texts:
        return None
    from trmm_async.resources.stock.custom_fields import FIELD

    listed = await trmm.custom_fields.list(model="agent")
    values: dict[Any, Any] = {}
    for text in texts:
        name, value = name_and_value(text, "--field", "Backup=yes")
        field = _picked(FIELD, name, listed)
        if field in values:
            raise usage(f"--field: {field.name!r} is given twice, and has one value")
        values[field] = field_value(field, value)
    return values


async def agents_named(trmm: "sdk.TRMM", names: Sequence[str]) -> list["sdk.Agent"]:
    """The agents of these names or ids, each once. One request for all of them."""
    if not names:
        return []
    from trmm_async.resources.names import AGENT

    agents = await trmm.agents.list()
    return list(
        {agent.agent_id: agent for agent in (_picked(AGENT, name, agents) for name in names)}.values()
    )


async def of_each(
    trmm: "sdk.TRMM",
    agents: Sequence[W],
    ask: "Callable[[W], Awaitable[Sequence[T]]]",
    *,
    width: int = 10,
) -> "tuple[list[T], list[str]]":
    """What each agent has, one behind the other, and the ids of those that could not be asked.

    One agent's error is raised; of several, what would be the same for all of them.
    """
    import trmm_async as sdk

    if len(agents) == 1:
        return list(await ask(agents[0])), []
    found: list[T] = []
    missing: list[str] = []
    for outcome in await trmm.fleet.map(agents, ask, width=width, max_failures=_FAILURES):
        if isinstance(outcome, sdk.Done):
            found += outcome.result
            continue
        error = getattr(outcome, "error", None)
        if isinstance(error, sdk.AuthenticationError | sdk.PermissionDeniedError | sdk.UnsupportedError):
            raise error
        if not isinstance(error, sdk.NotFoundError):  # gone by now: it has nothing
            missing.append(outcome.agent_id)
    return found, missing


def check_missing(missing: Sequence[str], hosts: Mapping[str, str]) -> None:
    """Raise if some could not be asked; to be called once the others' things are shown."""
    if missing:
        unasked = named([hosts.get(agent_id, agent_id) for agent_id in missing], 5)
        raise CommandError(Exit.FAILED, f"{len(missing)} agents could not be asked: {unasked}")


async def script_named(trmm: "sdk.TRMM", name: str) -> "sdk.Script":
    """The script of this id or name."""
    from trmm_async.resources.names import SCRIPT

    return _picked(SCRIPT, name, await trmm.scripts.list())


def client_named(name: str, clients: Sequence["sdk.Client"]) -> "sdk.Client":
    """The client of this id or name."""
    from trmm_async.resources.names import CLIENT

    return _picked(CLIENT, name, clients)


def site_named(name: str, clients: Sequence["sdk.Client"], client: "sdk.Client | None" = None) -> "sdk.Site":
    """The site of this id or name, of that client if one is given; CLIENT/SITE is understood too."""
    from trmm_async.resources.names import pick_site

    within = [client] if client else clients
    by_id = (site for each in within for site in each.sites if str(site.id) == name)
    if (found := next(by_id, None)) is not None:
        return found
    with _telling_of_ids(name):
        return pick_site(bare_name(name), within)


def _picked(kind: "NounKind[T]", wanted: str, things: Sequence[T]) -> T:
    """The one thing with this id, or else of this name; "name:3" is what is called 3, id or not."""
    by_id = next((thing for thing in things if str(kind.id(thing)) == wanted), None)
    if by_id is not None:
        return by_id
    with _telling_of_ids(wanted):
        return kind.pick(bare_name(wanted), things)


@contextmanager
def _telling_of_ids(wanted: str) -> Iterator[None]:
    """Here a number is an id, too: the advice to give one is for programs."""
    import trmm_async as sdk

    try:
        yield
    except sdk.UnknownNameError as error:
        if not wanted.isdecimal() or error.near:
            raise
        raise usage(f"there is no {error.kind} {wanted!r}, neither by its id nor by its name") from error


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
