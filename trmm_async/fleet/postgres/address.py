"""The place of a journal in PostgreSQL: its database, its run, and the length of its leases. No I/O.

Where an address is shown, it has neither the password nor anything behind the "?", which may hold secrets.
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
    """The journal of one run in a PostgreSQL database, for runs that several hosts work on together.

    Pass it to a run's `journal`, to `fleet.resume` and to `Journal.read`. It can also be written as one text,
    "postgresql://host/database?run=NAME". It needs the extra `postgres`. The tables are created when they are
    first needed, in a schema of their own, `trmm_async`.

    Attributes:
        url: the address of the database, as libpq takes it; it may name several hosts, `sslmode` and a
            password. Without a password, libpq uses `PGPASSWORD` or a password file. No repr, log record or
            error shows a secret in it.
        run: the name of the run: 1 to 200 printable characters.
        lease: seconds after which a host that does not respond is taken for dead. Other hosts then send the
            targets that it had only claimed. The targets that it may have sent are never sent again; other
            hosts find out what became of them.
        poll: about every so many seconds, this host reads what other hosts did.
        timeout: seconds for which this host keeps trying to reach a lost database, and sends nothing. Then
            its run ends with a `JournalError`.

    Raises:
        InvalidRequestError: `url` is not a PostgreSQL URL, the name of the run is missing or invalid, or a
            number is not above 0.
    """

    url: str
    run: str = field(kw_only=True, default="")
    lease: float = field(kw_only=True, default=30.0)
    poll: float = field(kw_only=True, default=1.0)
    timeout: float = field(kw_only=True, default=30.0)

    def __post_init__(self) -> None:
        url, named = _without_run(self.url)
        if self.run and named and self.run != named:
            raise InvalidRequestError(
                f"the URL names the run {named!r}, but run={self.run!r}: give the name in one place"
            )
        run = self.run or named
        if not run:
            raise InvalidRequestError(
                "a journal in PostgreSQL needs the name of its run: "
                "PostgresJournal(url, run='patch-tuesday'), or postgresql://host/database?run=patch-tuesday"
            )
        if len(arguments.free_text(run, "run")) > _NAME_MOST or not run.isprintable():
            raise InvalidRequestError(
                f"run must be a name of 1 to {_NAME_MOST} printable characters, not {run!r}"
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
    """One run in a database, as `Journal.runs` lists it.

    Attributes:
        run: the name of the run.
        kind: the kind of the run: "script", "command", "code" or "patches".
        server: the address of the Tactical RMM server.
        created: when the run was started, by the database's clock.
        counts: how many targets have which state. Targets in progress count as pending.
        under_way: how many targets a host is working on: claimed, or sent.
        stopped: why the run was stopped, as a text; empty if it was not stopped.
    """

    run: str
    kind: str
    server: str
    created: datetime
    counts: Counts
    under_way: int
    stopped: str


def postgres_journal(place: object) -> PostgresJournal | None:
    """Parse the place of a journal: a `PostgresJournal`, or None if it is a file.

    Raises:
        InvalidRequestError: it has an unknown scheme, or is an invalid address of a database.
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
            "give the address of a journal as a text: pathlib removes one of the slashes behind the scheme"
        )
    return PostgresJournal(place)


def database_url(url: str) -> HiddenText:
    """Check the address of a database, and remove the name of a run. Raises `InvalidRequestError`."""
    return HiddenText(_without_run(url)[0])


def shown(url: str) -> str:
    """The parts of an address that are not secret: the user's name, the hosts and the database."""
    scheme, _, rest = url.partition("://")
    # A password may contain an unescaped @, so everything before the last @ may be a part of it.
    user, at, place = rest.rpartition("@")
    return f"{scheme}://{_ENDS_USER.split(user)[0]}{at}{place.partition('?')[0]}"


def _without_run(url: object) -> tuple[str, str]:
    """Split an address into what libpq takes and the name of the run ("" if there is none)."""
    if not isinstance(url, str):
        raise InvalidRequestError(f"the URL of a PostgreSQL journal must be a text, not {type(url).__name__}")
    text = HiddenText(url)
    scheme, colon, _ = text.partition("://")
    if not colon or scheme.lower() not in _SCHEMES:
        raise InvalidRequestError("the URL of a PostgreSQL journal must begin with postgresql://")
    # The rest of the URL stays exactly as it is written: hiding a password relies on its exact spelling.
    place, _, query = text.partition("?")
    parts = query.split("&") if query else []
    runs = [unquote_plus(each.partition("=")[2]) for each in parts if each.startswith("run=")]
    if len(runs) > 1:
        raise InvalidRequestError("the URL names more than one run")
    rest = "&".join(each for each in parts if not each.startswith("run="))
    return HiddenText(f"{place}?{rest}" if rest else place), runs[0] if runs else ""
