"""Where a journal in PostgreSQL is: its server, its run, and how long its leases are. A value; no I/O.

What is shown of an address has no password: neither that of the user, nor what else stands behind the "?".
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote_plus

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import HiddenText
from trmm_async.outcomes import Counts

__all__ = ["PostgresJournal", "StoredRun", "postgres_journal"]

_SCHEMES: Final = ("postgresql", "postgres")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""Of two letters at least: one is a drive of Windows."""
_ENDS_USER: Final = re.compile(r"[:/?#@]")
_NAME_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class PostgresJournal:
    """The journal of one run in a PostgreSQL database, for runs that several hosts work off together.

    Give it to a run's `journal`, to `fleet.resume` and to `Journal.read`; as one text it is
    "postgresql://host/database?run=NAME". Needs the extra `postgres`. The tables are made when they are first
    needed, in a schema of their own, `trmm_async`.

    Attributes:
        url: the database, as libpq takes it: several hosts, `sslmode`, a password; or without one where
            `PGPASSWORD` or a password file has it. No repr, log or error shows what may be secret in it.
        run: the name of the run: 1 to 200 characters that can be printed.
        lease: seconds after which a host that doesn't move is taken for dead. What it had only claimed is
            then sent by others; what it may have sent is settled, and never sent again.
        poll: seconds between two looks for what other hosts did, about.
        timeout: seconds for which a lost database is tried again, with nothing sent, before the run ends on
            this host with a `JournalError`.

    Raises:
        InvalidRequestError: the URL is not one of PostgreSQL, there is no name, or a number is not above 0.
    """

    url: str
    run: str = field(kw_only=True, default="")
    lease: float = field(kw_only=True, default=30.0)
    poll: float = field(kw_only=True, default=1.0)
    timeout: float = field(kw_only=True, default=30.0)

    def __post_init__(self) -> None:
        url, named = _without_run(self.url)
        if self.run and named and self.run != named:
            raise InvalidRequestError(f"the URL names the run {named!r}, and run={self.run!r}: say it once")
        run = self.run or named
        if not run:
            raise InvalidRequestError(
                "which run? Name it: PostgresJournal(url, run='patch-tuesday'), "
                "or postgresql://host/database?run=patch-tuesday"
            )
        if len(arguments.free_text(run, "run")) > _NAME_MOST or not run.isprintable():
            raise InvalidRequestError(
                f"run must be a name of 1 to {_NAME_MOST} printable characters: {run!r}"
            )
        object.__setattr__(self, "url", HiddenText(url))
        object.__setattr__(self, "run", run)
        for name in ("lease", "poll", "timeout"):
            object.__setattr__(self, name, arguments.number(getattr(self, name), name, above=0))

    def __repr__(self) -> str:
        return f"<PostgresJournal {self}>"

    def __str__(self) -> str:
        return f"{shown(self.url)}?run={quote(self.run)}"


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run, as the database has it.

    Attributes:
        run: its name.
        kind: what it is a run of: "script", "command", "code" or "patches".
        server: the Tactical RMM server.
        created: when it was begun, by the database's clock.
        counts: where its targets stand; those under way are pending.
        under_way: how many of these are claimed by a host, or sent.
        stopped: why it was stopped, in words; empty if it was not.
    """

    run: str
    kind: str
    server: str
    created: datetime
    counts: Counts
    under_way: int
    stopped: str


def postgres_journal(place: object) -> PostgresJournal | None:
    """The journal that this is the address of; None for a file.

    Raises:
        InvalidRequestError: it has a scheme that we don't know, or is an address that can't be used.
    """
    if isinstance(place, PostgresJournal):
        return place
    found = _SCHEME.match(str(place))
    if found is None:
        return None
    scheme = found[1]
    if scheme.lower() not in _SCHEMES:
        raise InvalidRequestError(
            f"a journal is a file, or postgresql://host/database?run=NAME; {scheme}:// is neither. "
            f"A file whose name begins so: ./{scheme}:…"
        )
    if not isinstance(place, str):
        raise InvalidRequestError(
            "give the address of a journal as a text: a path has lost one of its slashes"
        )
    return PostgresJournal(place)


def database_url(url: str) -> HiddenText:
    """The address of a database, checked; a run that it names is left out. Raises `InvalidRequestError`."""
    return HiddenText(_without_run(url)[0])


def shown(url: str) -> str:
    """Of an address what is no secret: the user's name, the hosts and the database."""
    scheme, _, rest = url.partition("://")
    # A password may hold what it should not, unescaped: all before the last @ may be a part of it.
    user, at, place = rest.rpartition("@")
    return f"{scheme}://{_ENDS_USER.split(user)[0]}{at}{place.partition('?')[0]}"


def _without_run(url: object) -> tuple[str, str]:
    """An address for libpq, and the run that it names; "" for none."""
    if not isinstance(url, str):
        raise InvalidRequestError(f"the URL of a PostgreSQL journal is a text, not {type(url).__name__}")
    text = HiddenText(url)
    scheme, colon, _ = text.partition("://")
    if not colon or scheme.lower() not in _SCHEMES:
        raise InvalidRequestError("the URL of a PostgreSQL journal begins with postgresql://")
    # What stays is left as it is written: by it is told what may be a part of a password.
    place, _, query = text.partition("?")
    parts = query.split("&") if query else []
    runs = [unquote_plus(each.partition("=")[2]) for each in parts if each.startswith("run=")]
    if len(runs) > 1:
        raise InvalidRequestError("the URL names more than one run")
    rest = "&".join(each for each in parts if not each.startswith("run="))
    return HiddenText(f"{place}?{rest}" if rest else place), runs[0] if runs else ""
