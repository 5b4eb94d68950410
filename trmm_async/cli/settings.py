"""Which server, with which settings: the command line, then the environment, then the file of profiles.

A key belongs to the address it stands beside: one that stands beside another address is never sent.

Below: `exits`, `values`. Above: `keys`, which finds the key, and `session`, which connects.
"""

import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from trmm_async.cli.exits import CommandError, Exit, usage
from trmm_async.cli.text import alike, bare, code_page, decoded
from trmm_async.cli.values import choice

__all__ = [
    "DIALECTS",
    "Book",
    "Given",
    "Profile",
    "Settings",
    "config_path",
    "read_book",
    "resolve",
    "same_server",
    "write_book",
]

T = TypeVar("T")
_HOMELESS: Final = "there is no home folder to keep profiles in: name a file by TRMM_CONFIG"
DIALECTS: Final = ("auto", "gateway", "stock")


@dataclass(frozen=True)
class Given:
    """What stands on the command line for all commands."""

    url: str | None = None
    profile: str | None = None
    dialect: str | None = None
    rate_limit: str | None = None
    allow_http: bool | None = None
    debug: bool = False


@dataclass(frozen=True)
class Profile:
    """One server in the file. `keyring` says that its key is in the system's keyring."""

    name: str
    url: str = ""
    dialect: str | None = None
    rate_limit: str | None = None
    allow_http: bool | None = None
    api_key: str | None = field(default=None, repr=False)
    keyring: bool = False


@dataclass(frozen=True)
class Book:
    """The file of profiles.

    Attributes:
        exposed: what is wrong with its permissions; None if nothing is.
        problem: why it can't be read, and what to do; None if it can. It matters only to who needs it.
    """

    path: Path
    default: str | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    exposed: str | None = None
    problem: str | None = None

    def checked(self) -> Self:
        """The book, if it could be read."""
        if self.problem:
            raise usage(self.problem)
        return self

    def find(self, name: str) -> Profile:
        """The profile of this name."""
        self.checked()
        if name not in self.profiles:
            there = ", ".join(sorted(self.profiles)) or "none: `trmm login` writes one"
            hint = alike(name, list(self.profiles))
            raise usage(f"there is no profile {name!r} in {self.path}; there is {there}{hint}")
        return self.profiles[name]


@dataclass(frozen=True)
class Settings:
    """What a client is made with, but for the key. `profile` is there if it is one for this server.

    `profile_first` says that the profile was asked for, and goes before the environment.
    """

    url: str
    dialect: str = "auto"
    rate_limit: str | None = None
    allow_http: bool = False
    profile: Profile | None = None
    profile_first: bool = False
    source: str = ""


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the profiles are: `TRMM_CONFIG`, or `trmm/config.toml` in the platform's config folder."""
    if environ.get("TRMM_CONFIG"):
        return Path(environ["TRMM_CONFIG"])
    from platformdirs import user_config_path

    return user_config_path("trmm", appauthor=False) / "config.toml"


def resolve(given: Given, book: Book, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force."""
    profile, first = _profile(given, book, environ)
    of_profile = (f"profile {profile.name}", profile.url) if profile else ("", "")
    environment = ("TRMM_URL", bare(environ.get("TRMM_URL", "")))
    layers = [("--url", given.url), *_ordered(environment, of_profile, first)]
    source, url = next(((source, url) for source, url in layers if url), ("", None))
    if not url:
        advice = f" ({book.problem})" if book.problem else ""
        raise usage(f"which server? Give --url, set TRMM_URL, or write a profile with `trmm login`{advice}")
    fitting = profile if profile and same_server(profile.url, url) else None
    of_fitting = fitting.dialect if fitting else None
    dialects = [given.dialect, *_ordered(environ.get("TRMM_DIALECT"), of_fitting, first)]
    return Settings(
        url,
        dialect=_dialect(next((each for each in dialects if each), "auto")),
        rate_limit=given.rate_limit or (fitting.rate_limit if fitting else None),
        allow_http=_first(given.allow_http, fitting.allow_http if fitting else None),
        profile=fitting,
        profile_first=first,
        source=source,
    )


def _ordered(of_environment: T, of_profile: T, profile_first: bool) -> tuple[T, T]:
    return (of_profile, of_environment) if profile_first else (of_environment, of_profile)


def _profile(given: Given, book: Book, environ: Mapping[str, str]) -> tuple[Profile | None, bool]:
    """The profile, and whether it was asked for by an option."""
    if given.profile:
        return book.find(given.profile), True
    name = environ.get("TRMM_PROFILE")
    if name:
        return book.find(name), False
    if book.default:
        return book.find(book.default), False
    only = list(book.profiles.values())
    return (only[0] if len(only) == 1 else None), False


def _first(*values: bool | None) -> bool:
    return next((value for value in values if value is not None), False)


def _dialect(name: str) -> str:
    return choice(name, "the dialect", DIALECTS)


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are those of the same server."""
    return one.rstrip("/").casefold() == other.rstrip("/").casefold()


def read_book(path: Path | None = None) -> Book:
    """The profiles of the file; none if there is no file."""
    try:
        path = path or config_path()
    except RuntimeError:  # platformdirs', for a user without a home
        return Book(Path("config.toml"), problem=_HOMELESS)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = tomllib.loads(decoded(file.read(), code_page()))
    except FileNotFoundError:
        return Book(path)
    except OSError as error:
        reason = error.strerror or str(error)
        return Book(
            path, problem=f"{path} can't be read ({reason}): mend that, or name another by TRMM_CONFIG"
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise usage(f"{path} is no TOML: {error}") from error
    tables = content.get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise usage(f"{path}: profiles must be tables, as [profiles.name]")
    profiles = {name: _read_profile(path, name, table) for name, table in tables.items()}
    return Book(path, _text(path, "default", content.get("default")), profiles, _exposed(status))


def _read_profile(path: Path, name: str, table: Mapping[str, Any]) -> Profile:
    where = f"profiles.{name}."
    flags = {key: table.get(key) for key in ("allow_http", "keyring")}
    if not all(flag is None or isinstance(flag, bool) for flag in flags.values()):
        raise usage(f"{path}: {where}allow_http and {where}keyring must be true or false")
    return Profile(
        name,
        url=_text(path, f"{where}url", table.get("url")) or "",
        dialect=_text(path, f"{where}dialect", table.get("dialect")),
        rate_limit=_text(path, f"{where}rate_limit", table.get("rate_limit")),
        allow_http=flags["allow_http"],
        api_key=_text(path, f"{where}api_key", table.get("api_key")),
        keyring=bool(flags["keyring"]),
    )


def _text(path: Path, where: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise usage(f"{path}: {where} must be text")
    return value


def _exposed(status: os.stat_result) -> str | None:
    if os.name == "nt":
        return None  # there the folder's access list keeps others out, and the mode says nothing
    if status.st_uid not in {os.getuid(), 0}:
        return "it belongs to another user"
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others can get at it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


def write_book(book: Book) -> None:
    """Write the file anew, for its owner alone, whole or not at all. Behind a link it stays behind it."""
    import tomli_w

    book.checked()
    path = Path(os.path.realpath(book.path))

    content: dict[str, Any] = {"default": book.default} if book.default else {}
    content["profiles"] = {name: _table(profile) for name, profile in sorted(book.profiles.items())}
    folder = path.parent
    aside = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(".part", ".", folder)  # made with mode 0600
        with os.fdopen(handle, "wb") as file:
            tomli_w.dump(content, file)
        Path(aside).replace(path)
    except OSError as error:
        raise CommandError(Exit.FAILED, f"{book.path} can't be written: {error}") from error
    finally:
        if aside is not None:
            with suppress(OSError):
                Path(aside).unlink(missing_ok=True)


def _table(profile: Profile) -> dict[str, Any]:
    values = {
        "url": profile.url,
        "dialect": profile.dialect,
        "rate_limit": profile.rate_limit,
        "allow_http": profile.allow_http,
        "api_key": profile.api_key,
        "keyring": profile.keyring or None,
    }
    return {name: value for name, value in values.items() if value is not None}
