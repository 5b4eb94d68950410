"""A filter of agents that is evaluated when it is used: `trmm.agents.select`.

Over `agent_stream`; runs, events and the command line accept it in place of agents.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import partial
from typing import Any, TypeAlias, get_args

from trmm_async import arguments
from trmm_async.calls import Request
from trmm_async.dialects import AgentFilter
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Agent
from trmm_async.plaintext import comparable
from trmm_async.resources.agent_stream import AgentStream, Wanted
from trmm_async.resources.api import Api
from trmm_async.resources.filters import AgentQuery, agent_query
from trmm_async.words import AgentStatus, Platform

__all__ = ["Selector", "checked_criteria"]

FieldValue: TypeAlias = str | float | bool | Iterable[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Filters of agents; None, or an empty value, for any.

    The server applies `query`; everything else is applied here to the agents that it sends. `hostname` and
    `operating_system` are patterns; `custom_fields` are values by the ids or names of the fields.
    """

    query: AgentQuery = field(default_factory=AgentQuery)
    plat: frozenset[str] | None = None
    status: frozenset[str] | None = None
    hostname: str | None = None
    operating_system: str | None = None
    custom_fields: Mapping[int | str, object] = field(default_factory=dict)
    where: Wanted | None = None

    def wanted(self, fields: Mapping[int | str, int]) -> Wanted:
        """A function that applies all filters except `query`; `fields` has the ids of custom fields."""
        tests: list[Wanted] = []
        if self.plat is not None:
            tests.append(partial(_is_one_of, self.plat, _plat))
        if self.status is not None:
            tests.append(partial(_is_one_of, self.status, _status))
        for pattern, read in ((self.hostname, _hostname), (self.operating_system, _operating_system)):
            if pattern is not None:
                tests.append(partial(_fits, re.compile(translate(comparable(pattern))), read))
        for name, value in self.custom_fields.items():
            tests.append(partial(_has, fields[name], value))
        if self.where is not None:
            tests.append(partial(_answers, self.where))
        return lambda agent: all(test(agent) for test in tests)


class Selector:
    """The agents that have something in common, whichever these are when it is read; see `agents.select`.

    Give it to `fleet.run_script`, `events` or whatever takes several agents: each reads it when it begins, to
    the end, before anything is sent to the first. It may be used again, and is then read anew.
    """

    def __init__(self, api: Api, criteria: Criteria, fields: Request[Mapping[int | str, int]]) -> None:
        self._api = api
        self._criteria = criteria
        self._fields = fields

    def __repr__(self) -> str:
        query, criteria = self._criteria.query, self._criteria
        told: dict[str, Any] = {
            name: getattr(query, name) for name in ("client", "site", "monitoring_type")
        } | {name: getattr(criteria, name) for name in ("plat", "operating_system", "hostname", "status")}
        given = [f"{name}={_shown(value)}" for name, value in told.items() if value is not None]
        given += ["custom_fields"] * bool(criteria.custom_fields)
        given += [f"where={getattr(criteria.where, '__name__', '…')}"] * (criteria.where is not None)
        return f"<Selector {', '.join(given) or 'of all agents'}>"

    def iter(self) -> AgentStream:
        """The agents, in flat memory, while their list downloads; see `AgentStream`."""
        return AgentStream(self._api, self._criteria.query, self._wanted)

    async def agent_ids(self) -> list[str]:
        """Their ids: of 100,000 agents 10 MB, where the agents themselves are a hundred. Raises as `list`."""
        return list(await self.hostnames())

    async def hostnames(self) -> dict[str, str]:
        """Their host names by their ids, in flat memory, too. Raises as `list`."""
        async with self.iter() as agents:
            return {agent.agent_id: agent.hostname async for agent in agents}

    async def matcher(self) -> Wanted:
        """Whether an agent is one of these, by the ids that its names mean now. Raises as `list`."""
        which, wanted = await self._criteria.query.resolve(self._api), await self._wanted()
        return lambda agent: _is_of(which, agent) and wanted(agent)

    async def _wanted(self) -> Wanted:
        fields: Mapping[int | str, int] = {}
        if self._criteria.custom_fields:
            fields = await self._api.on_stock("agents.select(custom_fields=…)", self._fields)
        return self._criteria.wanted(fields)

    async def list(self) -> list[Agent]:
        """The agents that it means now, each once.

        Raises:
            UnknownNameError: there is no such client, site or custom field.
            AmbiguousNameError: several clients, or sites, have that name.
            UnsupportedError: custom fields were named, and the server is a gateway.
            TRMMError: the server could not be asked. What `where` raises comes as it is.
        """
        async with self.iter() as agents:
            return list({agent.agent_id: agent async for agent in agents}.values())


def _is_of(which: AgentFilter, agent: Agent) -> bool:
    return (
        which.client in {None, agent.client.id}
        and which.site in {None, agent.site.id}
        and which.monitoring_type in {None, agent.monitoring_type}
    )


def checked_criteria(
    *,
    client: Any,
    site: Any,
    monitoring_type: str | None,
    plat: str | Iterable[str] | None,
    operating_system: str | None,
    hostname: str | None,
    status: str | Iterable[str] | None,
    custom_fields: Mapping[Any, FieldValue] | None,
    where: Wanted | None,
) -> Criteria:
    """Check all filters."""
    _check_function(where)
    return Criteria(
        query=agent_query(None, client, site, monitoring_type),
        plat=None if plat is None else _words(plat, "plat", get_args(Platform)),
        status=None if status is None else _words(status, "status", get_args(AgentStatus)),
        hostname=None if hostname is None else arguments.plain_text(hostname, "hostname"),
        operating_system=None
        if operating_system is None
        else arguments.plain_text(operating_system, "operating_system"),
        custom_fields={} if custom_fields is None else _field_values(custom_fields),
        where=where,
    )


def _check_function(where: object) -> None:
    if where is not None:
        arguments.predicate(where, "where", "an Agent")


def _answers(where: Wanted, agent: Agent) -> bool:
    return arguments.answer_of(where(agent), "where")


def _words(given: str | Iterable[str], what: str, known: tuple[str, ...]) -> frozenset[str]:
    words = (arguments.plain_text(given, what),) if isinstance(given, str) else arguments.names(given, what)
    return frozenset(arguments.choice(word, what, known) for word in arguments.non_empty(words, what))


def _field_values(values: object) -> dict[int | str, object]:
    if not isinstance(values, Mapping) or not values:
        raise InvalidRequestError("custom_fields must be a mapping of fields to values, and not empty")
    return {
        arguments.reference(one, "custom_fields: a field"): None
        if value is None
        else arguments.field_value(value, "custom_fields: a value")
        for one, value in values.items()
    }


def _plat(agent: Agent) -> str | None:
    return agent.plat


def _status(agent: Agent) -> str | None:
    return agent.status


def _hostname(agent: Agent) -> str | None:
    return agent.hostname


def _operating_system(agent: Agent) -> str | None:
    return agent.operating_system


def _is_one_of(words: frozenset[str], read: Callable[[Agent], str | None], agent: Agent) -> bool:
    return (read(agent) or "").casefold() in words


def _fits(pattern: re.Pattern[str], read: Callable[[Agent], str | None], agent: Agent) -> bool:
    return pattern.match(comparable(read(agent) or "")) is not None


def _has(field_id: int, wanted: object, agent: Agent) -> bool:
    value = next((one.value for one in agent.custom_fields if one.field == field_id), None)
    if wanted is None:
        return value in {None, "", ()}
    if isinstance(wanted, str) and isinstance(value, tuple):
        return wanted in value
    if isinstance(wanted, tuple):
        return isinstance(value, tuple) and set(wanted) == set(value)
    return bool(value == wanted)


def _shown(value: object) -> str:
    return repr(value) if not isinstance(value, frozenset) else repr(sorted(value))
