"""How a stock server sends agents: as items of a list, in detail, and in a short form."""

from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.creation import look_up
from trmm_async.dialects.stock.endpoint import read, read_as
from trmm_async.errors import InvalidRequestError, PermissionDeniedError
from trmm_async.models import (
    Agent,
    CheckCounts,
    Client,
    ClientRef,
    CustomFieldValue,
    Disk,
    Extra,
    Moment,
    SiteRef,
    no_extra,
)

__all__ = ["Places", "ShortAgent", "agent_of_detail", "listed_agents", "listed_statuses", "results_on_agents"]

T = TypeVar("T", bound=msgspec.Struct)


class ShortAgent(msgspec.Struct, frozen=True, gc=False):
    """An agent of the short list, which has no status."""

    id: int
    agent_id: str
    hostname: str = ""


class _Standing(msgspec.Struct, frozen=True, gc=False):
    agent_id: str
    status: str = "unknown"


class _FieldValue(msgspec.Struct, frozen=True, gc=False):
    field: int
    value: Any = None


class _Disk(msgspec.Struct, frozen=True, gc=False):
    device: str = ""
    free: str = ""
    total: str = ""
    percent: float | None = None


class _Common(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What items of a list and details have in common."""

    agent_id: str
    hostname: str = ""
    site_name: str | None = None
    monitoring_type: str | None = None
    description: str | None = None
    needs_reboot: bool | None = None
    status: str = "unknown"
    last_seen: Moment | None = None
    boot_time: float | None = None
    checks: CheckCounts | None = None
    maintenance_mode: bool | None = None
    plat: str | None = None
    goarch: str | None = None
    version: str | None = None
    operating_system: str | None = None
    public_ip: str | None = None
    local_ips: str | None = None
    cpu_model: Any = None
    graphics: str | None = None
    make_model: str | None = None
    serial_number: str | None = None
    physical_disks: Any = None
    custom_fields: tuple[_FieldValue, ...] = ()
    extra: Mapping[str, Any] = no_extra()


class _Listed(_Common, frozen=True, kw_only=True, gc=False):
    client_name: str | None = None
    logged_username: str | None = None
    pending_actions_count: int | None = None
    has_patches_pending: bool | None = None


class _Detail(_Common, frozen=True, kw_only=True, gc=False):
    client: str | None = None
    site: int | None = None
    logged_in_username: str | None = None
    total_ram: float | None = None
    disks: tuple[_Disk, ...] | None = None


_DETAIL_FIELDS: Final = frozenset(
    # `all_timezones` is the same on every server: the names of all time zones.
    [*(field.encode_name for field in msgspec.structs.fields(_Detail)), "all_timezones"]
)


class Places:
    """The ids of clients and sites by their names: a list of agents has only the names.

    The name of a client is unique on a server, that of a site within its client.
    """

    def __init__(self, clients: Sequence[Client] = ()) -> None:
        self._clients = {client.name: client.id for client in clients}
        self._sites = {(client.name, site.name): site.id for client in clients for site in client.sites}
        self._refs: dict[tuple[str, str], tuple[ClientRef, SiteRef]] = {}

    def refs(self, client: str, site: str) -> tuple[ClientRef, SiteRef]:
        """The client and the site of an agent; the same objects for all agents of a site."""
        if (client, site) not in self._refs:
            self._refs[client, site] = (
                ClientRef(id=self._clients.get(client), name=client),
                SiteRef(id=self._sites.get((client, site)), name=site),
            )
        return self._refs[client, site]


def listed_agents(places: Places, wanted: Callable[[Agent], bool]) -> codec.ListDecoder[list[Agent]]:
    """Reads those agents of a list that are wanted."""

    def some(rows: list[_Listed]) -> list[Agent]:
        return [agent for one in rows if wanted(agent := _agent_of_item(places, one))]

    return codec.ListDecoder(_Listed, some)


def listed_statuses(agent_ids: frozenset[str]) -> codec.ListDecoder[Mapping[str, str]]:
    """Reads only the statuses of these agents from a list, since polls read thousands of agents."""

    def some(rows: list[_Standing]) -> list[tuple[str, str]]:
        return [(one.agent_id, one.status) for one in rows if one.agent_id in agent_ids]

    return codec.ListDecoder(_Standing, some, dict)


def agent_of_detail(body: bytes) -> Agent:
    """One agent, with everything else in `extra`. The client's id is not in this answer."""
    sent = codec.decoder(_Detail)(body)
    everything = codec.decoder(dict[str, Any])(body)
    extra = {name: value for name, value in everything.items() if name not in _DETAIL_FIELDS}
    agent = _agent(
        sent,
        (ClientRef(name=sent.client or ""), SiteRef(id=sent.site, name=sent.site_name or "")),
        sent.logged_in_username,
    )
    return msgspec.structs.replace(
        agent,
        total_ram=sent.total_ram,
        disks=tuple(Disk(**msgspec.structs.asdict(disk)) for disk in sent.disks or ()),
        extra=Extra({**extra, **sent.extra}),
    )


def _agent_of_item(places: Places, sent: _Listed) -> Agent:
    where = places.refs(sent.client_name or "", sent.site_name or "")
    return _agent(sent, where, sent.logged_username, sent.pending_actions_count, sent.has_patches_pending)


def _agent(
    sent: _Common,
    where: tuple[ClientRef, SiteRef],
    user: str | None,
    pending_actions: int | None = None,
    has_patches_pending: bool | None = None,
) -> Agent:
    # Not by way of a dict, which would take a tenth more time for a long list.
    return Agent(
        client=where[0],
        site=where[1],
        logged_in_username=_known(user),
        pending_actions_count=pending_actions,
        has_patches_pending=has_patches_pending,
        agent_id=sent.agent_id,
        hostname=sent.hostname,
        monitoring_type=sent.monitoring_type,
        description=sent.description,
        needs_reboot=sent.needs_reboot,
        status=sent.status,
        last_seen=sent.last_seen,
        boot_time=codec.from_epoch(sent.boot_time),
        checks=sent.checks,
        maintenance_mode=sent.maintenance_mode,
        plat=sent.plat,
        goarch=sent.goarch,
        version=sent.version,
        operating_system=sent.operating_system,
        public_ip=sent.public_ip,
        local_ip=_first(sent.local_ips),
        cpu_model=_text(sent.cpu_model),
        graphics=_told(sent.graphics),
        make_model=_told(sent.make_model),
        serial_number=_told(sent.serial_number),
        physical_disks=_texts(sent.physical_disks),
        custom_fields=tuple(map(_custom_field, sent.custom_fields)),
        extra=sent.extra,
    )


_EXCUSES: Final = frozenset(
    {
        "unknown cpu model",
        "unknown disk",
        "unknown make/model",
        "error getting local ips",
        "error getting make/model",
        "Error getting graphics cards",
        "Graphics info requires agent v1.4.14",
        "",
    }
)
"""What a server sends for unknown values: all such texts in its source (`agents/models.py`)."""


def _told(text: str | None) -> str | None:
    return None if text in _EXCUSES else text


def _known(name: str | None) -> str | None:
    # The server sends the texts "None" and "-" for nobody.
    return None if name in {"None", "-", ""} else name


def _first(addresses: str | None) -> str | None:
    """The first address of "10.0.0.5/24, fe80::1/64", without its network."""
    first = (_told(addresses) or "").partition(",")[0].partition("/")[0].strip()
    return first or None


def _text(value: Any) -> str | None:
    texts = _texts(value)
    return texts[0] if texts else None


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    return (
        tuple(told for one in value if (told := str(one)) not in _EXCUSES) if isinstance(value, list) else ()
    )


def _custom_field(sent: _FieldValue) -> CustomFieldValue:
    return CustomFieldValue(field=sent.field, value=sent.value)


AGENTS: Final = read("agents.list", "/agents/", list[Agent], takes=120.0)
"""Read by `listed_agents`, or with `SHORT` in its query, which takes a tenth of the time.

The whole list takes 2.5 ms for each agent (12.8 s were measured with 5,018), and nothing comes before all are
ready.
"""

AGENT: Final = read("agents.get", "/agents/{agent:agent}/", Agent, decode=agent_of_detail)
SHORT: Final = {"detail": "false"}


ids_of_agents: Final[codec.ListDecoder[frozenset[str]]] = codec.listed(
    ShortAgent, attrgetter("agent_id"), frozenset
)
"""Reads the agents' ids from a short list."""


def all_known(method: str, ids: Collection[str]) -> Steps[None]:
    """Make sure that the server has these agents: calls for many agents silently ignore others.

    Raises (in its steps):
        InvalidRequestError: it has no such agent.
    """
    known = yield from read_as(AGENTS.call(query=SHORT), ids_of_agents)
    if strange := [one for one in dict.fromkeys(ids) if one not in known]:
        more = f" and {len(strange) - 5} more" if strange[5:] else ""
        raise InvalidRequestError(
            f"{method}: the server has no agent {', '.join(strange[:5])}{more}; nothing was begun"
        )


def agent_ids_by_key() -> Call[Mapping[int, str]]:
    """Asks for the agents' ids by the integers that other objects have for agents."""
    return read_as(AGENTS.call(query=SHORT), _BY_KEY)


_BY_KEY: Final[codec.ListDecoder[Mapping[int, str]]] = codec.listed(
    ShortAgent, attrgetter("id", "agent_id"), dict
)


def agent_ids_if_allowed(rows: Sized | None = None) -> Steps[Mapping[int, str]]:
    """The same; empty if there are no `rows` that need it, or if the key may not list agents."""
    if rows is None or rows:
        with suppress(PermissionDeniedError):
            return (yield from agent_ids_by_key())
    return {}


@plan
def results_on_agents(kind: type[T], results: Call[list[Any]], get: Call[Any]) -> Steps[list[T]]:
    """The results of a policy's check or task, with the agents' ids in place of the server's integers.

    `get` asks for the check or task itself: if it doesn't exist, the server has no results of it, and does
    not say so.
    """
    rows = yield from results
    if not rows:
        yield from look_up(get)
        return []
    ids = yield from agent_ids_if_allowed()
    fields = kind.__struct_fields__
    return [
        kind(**{name: getattr(row, name) for name in fields} | {"agent_id": ids.get(row.agent)})
        for row in rows
    ]
