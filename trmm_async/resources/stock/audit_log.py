"""`trmm.audit_log`."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeAlias, TypedDict, Unpack

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import Call
from trmm_async.dialects.stock.endpoint import read
from trmm_async.errors import ClosedError, InvalidRequestError
from trmm_async.models import Agent, ClientRef, Discreet, Extra, Moment, Noun, SiteRef, no_extra
from trmm_async.resources.api import Api
from trmm_async.resources.names import AnyClient, Names
from trmm_async.resources.resource import Resource

__all__ = ["AuditEntry", "AuditFilters", "AuditLog", "AuditPage", "AuditStream", "Reader"]

PAGE: Final = 200
PAGE_LEAST: Final = 20
PAGE_MOST: Final = 1000
_DAYS_MOST: Final = 36_500

Agents = str | Agent | Iterable[str | Agent]
Clients = AnyClient | Iterable[AnyClient]
Texts = str | Iterable[str]


class AuditFilters(TypedDict, total=False):
    """Filters of the audit log. Entries must match all of them; each is one value or several.

    Attributes:
        agent: only what was done to this agent, or to these.
        client: only what was done to the agents of this client, or of these; not together with `agent`.
        user: only what was done by this user, by name.
        action: only these actions: "login", "add", "modify", "delete", "execute_script", "execute_command", …
        object_type: only actions on this kind of object: "agent", "script", "user", …
        days: only entries of the last so many days.
    """

    agent: Agents | None
    client: Clients | None
    user: Texts | None
    action: Texts | None
    object_type: Texts | None
    days: int | None


Filters: TypeAlias = Mapping[str, Any]
"""Filters by the server's names; it ignores `clientFilter` beside `agentFilter`."""


class AuditEntry(Discreet, frozen=True, kw_only=True, gc=False):
    """One line of the audit log.

    Attributes:
        action: "login", "add", "modify", "delete", "execute_script", …
        object_type: the kind of object: "agent", "script", "user", …
        before, after: the object before and after the action, or what was run, as far as the server keeps it.
            They appear in no repr, since they can contain commands and values of the key store.
        extra: other details of the request that the server keeps. It appears in no repr.
        client, site: the present client and site of the agent; None if there is no agent, or it is deleted.
    """

    _shown: ClassVar[tuple[str, ...]] = (
        "id",
        "time",
        "username",
        "action",
        "object_type",
        "agent_id",
        "message",
    )

    id: int
    """The server's id of it."""
    time: Moment | None = None
    """When that was."""
    username: str = ""
    """Who did it."""
    action: str = ""
    object_type: str = ""
    message: str = ""
    """What it says."""
    agent_id: str | None = None
    """To which agent; None for none."""
    hostname: str | None = None
    """The host name of that."""
    client: ClientRef | None = None
    site: SiteRef | None = None
    ip_address: str | None = None
    """From where."""
    before: Any = None
    after: Any = None
    extra: Mapping[str, Any] = no_extra()


class AuditPage(Noun, frozen=True, kw_only=True, gc=False):
    """One page of the audit log, and the number of all entries."""

    entries: tuple[AuditEntry, ...] = ()
    total: int = 0
    extra: Mapping[str, Any] = no_extra()


class _EntrySite(msgspec.Struct):
    id: int | None = None
    name: str = ""
    client: int | None = None
    client_name: str = ""


class _Entry(msgspec.Struct):
    id: int
    entry_time: Moment | None = None
    username: str = ""
    action: str = ""
    object_type: str = ""
    message: str | None = None
    agent: str | None = None
    agent_id: str | None = None
    ip_address: str | None = None
    site: _EntrySite | None = None
    before_value: Any = None
    after_value: Any = None
    debug_info: dict[str, Any] | None = None
    extra: Mapping[str, Any] = no_extra()


class _Page(msgspec.Struct):
    audit_logs: tuple[_Entry, ...]
    total: int
    extra: Mapping[str, Any] = no_extra()


def _audit_page(body: bytes) -> AuditPage:
    sent = codec.decoder(_Page)(body)
    return AuditPage(
        entries=tuple(_entry(one) for one in sent.audit_logs), total=sent.total, extra=sent.extra
    )


def _entry(sent: _Entry) -> AuditEntry:
    site = sent.site
    return AuditEntry(
        id=sent.id,
        time=sent.entry_time,
        username=sent.username,
        action=sent.action,
        object_type=sent.object_type,
        message=sent.message or "",
        agent_id=sent.agent_id,
        hostname=sent.agent,
        client=ClientRef(id=site.client, name=site.client_name) if site else None,
        site=SiteRef(id=site.id, name=site.name) if site else None,
        ip_address=sent.ip_address,
        before=sent.before_value,
        after=sent.after_value,
        extra=Extra({**(sent.debug_info or {}), **sent.extra}),
    )


PAGES = read(
    "audit_log.iter", "/logs/audit/", AuditPage, method="PATCH", decode=_audit_page, needs="pagination"
)


def page_of(which: Filters, page: int, size: int) -> Call[AuditPage]:
    """The call for a page, from 1 on, with the newest entries first."""
    # By id, not by time as the web client does: ids are unique, so the order is always definite.
    pagination = {"sortBy": "id", "descending": True, "page": page, "rowsPerPage": size, "rowsNumber": 0}
    return PAGES.call(body={"pagination": pagination, **which})


class AuditLog(Resource):
    """The audit log of a stock server: who did what. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    def iter(self, *, page_size: int = PAGE, **which: Unpack[AuditFilters]) -> "AuditStream":
        """Iterate over the entries that match all filters, newest first, page by page in constant memory.

            async with trmm.audit_log.iter(action="login", days=7) as entries:
                async for entry in entries: ...

        Every entry comes once, however many are added meanwhile. Entries that are added after the first page
        was read are not included.

        Args:
            page_size: the largest number of entries in one request, 20 to 1000.
            which: see `AuditFilters`.

        Raises:
            InvalidRequestError: an argument is wrong.
        """
        size = arguments.integer(page_size, "page_size", minimum=PAGE_LEAST, maximum=PAGE_MOST)
        return AuditStream(self._api, filters("audit_log.iter", which), page=size)

    async def list(self, *, limit: int = 100, **which: Unpack[AuditFilters]) -> list[AuditEntry]:
        """List the newest `limit` entries that match all filters, as `iter` does."""
        most = arguments.integer(limit, "limit", minimum=1)
        found: list[AuditEntry] = []
        async with AuditStream(self._api, filters("audit_log.list", which), page=min(most, PAGE)) as entries:
            async for entry in entries:
                found.append(entry)
                if len(found) == most:
                    break
        return found


class AuditStream:
    """The entries of the audit log. Enter it, then iterate over it once. It can be left at any time."""

    def __init__(self, api: Api, which: Filters, *, page: int) -> None:
        self._api = api
        self._which = which
        self._reader = Reader(page)
        self._entered = False
        self._entries: AsyncGenerator[AuditEntry, None] | None = None

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClosedError("this stream was used already; call audit_log.iter() again")
        self._entered = True
        (await self._api.dialect()).require_stock("audit_log.iter")
        if clients := self._which.get("clientFilter"):
            self._which = {**self._which, "clientFilter": await Names(self._api).clients(clients)}
        self._entries = self._read()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entries is not None:
            await self._entries.aclose()

    def __aiter__(self) -> AsyncIterator[AuditEntry]:
        if self._entries is None:
            raise ClosedError("enter the stream first: async with audit_log.iter() as entries")
        return self._entries

    async def _read(self) -> AsyncGenerator[AuditEntry, None]:
        reader = self._reader
        while not reader.done:
            page = page_of(self._which, reader.page, reader.size)
            for entry in reader.take(await self._api.on_stock(PAGES.name, page)):
                yield entry


class Reader:
    """Decides which page to read next, and which entries of a page are new. Pure.

    The log is read from the newest entry on. Meanwhile, entries are added there, and others are pruned. Added
    entries push the rest to later pages: a page then begins with entries that were read already, which are
    known by their ids, since ids only fall. Removed entries pull the rest to earlier pages, and some would be
    missed. So each page is chosen such that its first entry was read already, which proves that nothing is
    missing before it. If it was not, a page that begins further back is read. The server has pages by number
    and size only, so the size is chosen to fit.
    """

    def __init__(self, most: int) -> None:
        self.page: int = 1
        self._most = max(most, PAGE_LEAST)
        self.size: int = self._most
        self.done: bool = False
        self._read = 0
        self._back = 1
        self._last: int | None = None

    def __repr__(self) -> str:
        return (
            f"<Reader page={self.page} size={self.size} read={self._read} last={self._last} done={self.done}>"
        )

    def take(self, answer: AuditPage) -> list[AuditEntry]:
        """The entries of a page that are new."""
        rows = answer.entries
        # Asked for a page past the end, the server repeats the last one.
        page = min(self.page, max(1, -(-answer.total // self.size)))
        if page > 1 and (not rows or self._is_new(rows[0])):
            self._back *= 2
            self._choose()
            return []
        new = [row for row in rows if self._is_new(row)]
        if new:
            self._last = new[-1].id
        self._read, self._back = (page - 1) * self.size + len(rows), 1
        self.done = not rows or self._read >= answer.total
        self._choose()
        return new

    def _is_new(self, entry: AuditEntry) -> bool:
        return self._last is None or entry.id < self._last

    def _choose(self) -> None:
        """Choose the page that reaches farthest, and begins `_back` entries or more before unread ones."""
        first = max(0, self._read - self._back)
        sizes = range(self._most // 2 + 1, self._most + 1)
        self.size = max(sizes, key=lambda size: (first // size + 1) * size)
        self.page = first // self.size + 1


def filters(method: str, which: AuditFilters) -> Filters:
    """Check the filters, and return them by the server's names."""
    found = arguments.filters(which, _CHECKS, method)
    if "agentFilter" in found and "clientFilter" in found:
        raise InvalidRequestError(
            f"{method}: give agent or client, not both: the server would look at agent alone"
        )
    return found


def _agents(given: object, what: str) -> tuple[str, ...]:
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    return arguments.non_empty(tuple(arguments.agent_id(agent) for agent in several), what)


def _clients(given: object, what: str) -> tuple[int | str, ...]:
    return arguments.non_empty(arguments.references(given, what), what)


def _words(given: object, what: str) -> tuple[str, ...]:
    return arguments.non_empty(arguments.names((given,) if isinstance(given, str) else given, what), what)


_CHECKS: Final[arguments.Checks] = {
    "agent": ("agentFilter", _agents),
    "client": ("clientFilter", _clients),
    "user": ("userFilter", _words),
    "action": ("actionFilter", _words),
    "object_type": ("objectFilter", _words),
    "days": ("timeFilter", partial(arguments.integer, minimum=1, maximum=_DAYS_MOST)),
}
