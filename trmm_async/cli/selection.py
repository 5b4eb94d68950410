"""Finds things by names or ids, selects agents by filters, and asks before several are changed.

Below: `conditions`, `options`, `output`, `exits`. Above: the commands.
"""

import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from trmm_async.cli.conditions import condition, field_value, name_and_value
from trmm_async.cli.exits import CommandError, Exit, usage
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
from trmm_async.cli.prompts import go_on
from trmm_async.cli.shared_options import folding
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
"""If more agents than this can't be asked, the server is at fault, and asking stops."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """Filters of agents. Its fields are the options, which are checked."""

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
        """The filters as a `Selector`. Reads clients and custom fields if the filters name some."""
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
"""Decorates a command that takes `where: Where`: it gets the fields of that as options."""


async def agents_where(trmm: "sdk.TRMM", where: Where, names: Sequence[str] = ()) -> list["sdk.Agent"]:
    """The agents that match all filters; if names are given, of the agents with these names."""
    named_ones = await agents_named(trmm, names)
    if names and not where:
        return named_ones
    agents = await (await where.selector(trmm)).list()
    wanted = {agent.agent_id for agent in named_ones}
    return [agent for agent in agents if not names or agent.agent_id in wanted]


async def filters_of(trmm: "sdk.TRMM", where: Where) -> dict[str, Any]:
    """The filters that all lists of agents take: client, site and kind."""
    client = site = None
    if where.client is not None or where.site is not None:
        clients = await trmm.clients.list()
        client = None if where.client is None else client_named(where.client, clients)
        site = None if where.site is None else site_named(where.site, clients, client)
    return {"client": client, "site": site, "monitoring_type": where.kind}


async def _values_of(trmm: "sdk.TRMM", texts: Sequence[str] | None) -> dict[Any, Any] | None:
    """The values of custom fields, converted to the types of the fields."""
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
    """The agents with these names or ids, each once. It takes one request."""
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
    """Ask each agent for its things. Returns all of them, and the ids of agents that could not be asked.

    An error is raised if there is one agent only, or if it would be the same for all agents.
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
        if not isinstance(error, sdk.NotFoundError):  # it was removed meanwhile
            missing.append(outcome.agent_id)
    return found, missing


def check_missing(missing: Sequence[str], hosts: Mapping[str, str]) -> None:
    """Raise a `CommandError` if some could not be asked. Call it after printing the others' things."""
    if missing:
        unasked = named([hosts.get(agent_id, agent_id) for agent_id in missing], 5)
        raise CommandError(Exit.FAILED, f"{len(missing)} agents could not be asked: {unasked}")


async def script_named(trmm: "sdk.TRMM", name: str) -> "sdk.Script":
    """The script with this id or name."""
    from trmm_async.resources.names import SCRIPT

    return _picked(SCRIPT, name, await trmm.scripts.list())


def client_named(name: str, clients: Sequence["sdk.Client"]) -> "sdk.Client":
    """The client with this id or name."""
    from trmm_async.resources.names import CLIENT

    return _picked(CLIENT, name, clients)


def site_named(name: str, clients: Sequence["sdk.Client"], client: "sdk.Client | None" = None) -> "sdk.Site":
    """The site with this id or name, or CLIENT/SITE; of this client if one is given."""
    from trmm_async.resources.names import pick_site

    within = [client] if client else clients
    by_id = (site for each in within for site in each.sites if str(site.id) == name)
    if (found := next(by_id, None)) is not None:
        return found
    with _telling_of_ids(name):
        return pick_site(bare_name(name), within)


def _picked(kind: "NounKind[T]", wanted: str, things: Sequence[T]) -> T:
    """The thing with this id, or else with this name. "name:3" is the thing with the name 3."""
    by_id = next((thing for thing in things if str(kind.id(thing)) == wanted), None)
    if by_id is not None:
        return by_id
    with _telling_of_ids(wanted):
        return kind.pick(bare_name(wanted), things)


@contextmanager
def _telling_of_ids(wanted: str) -> Iterator[None]:
    """Reword the error for an unknown number: the SDK would advise to give an id, which it is here."""
    import trmm_async as sdk

    try:
        yield
    except sdk.UnknownNameError as error:
        if not wanted.isdecimal() or error.near:
            raise
        raise usage(f"there is no {error.kind} {wanted!r}, neither by its id nor by its name") from error


def confirm(doing: str, names: Sequence[str], *, yes: bool, word: str = "agents") -> None:
    """Ask before more than one thing is changed. Refuses if nobody can be asked.

    Args:
        doing: what would be done, as in "run Get-DiskInfo on".
        names: the names of the things.
        yes: whether not to ask.
        word: what the things are.
    """
    if yes or len(names) < 2:
        return
    what = clean(f"{doing} {len(names)} {word}")
    question = f"{what}: {clean(named(list(names), 5))}"
    refusal = f"refusing to {what} without confirmation: no terminal. Add --yes ({question})"
    go_on(refusal, f"{question[0].upper()}{question[1:]}")


def labels(agents: "Sequence[sdk.Agent]", *, for_people: bool = True) -> dict[str, str]:
    """The agents' names, by their ids.

    Names for people differ: if several agents have a host name, their client and site are added, and if that
    is not enough, their ids. Names for programs are the host names, since rows have the ids, too.
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
