"""Finds a server's address, settings and key: from options, the environment and the file of profiles.

The client and the command line use it, and so find the same. A key belongs to the address that it is given
with, and is never sent to another one. This module asks no questions, and writes nothing but a dialect that
was detected.
"""

import os
import re
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from trmm_async.addresses import same_server
from trmm_async.atomic_files import replacing
from trmm_async.errors import InvalidRequestError, KeySourceError
from trmm_async.hidden import hide
from trmm_async.limits import RateLimit
from trmm_async.plaintext import alike
from trmm_async.saved_text import bare, code_page, decoded
from trmm_async.tls_files import tls_context

__all__ = [
    "DIALECTS",
    "SERVICE",
    "VARIABLES",
    "ProfileFile",
    "GlobalOptions",
    "Key",
    "Profile",
    "Settings",
    "cache_folder",
    "client_settings",
    "FoundSettings",
    "config_path",
    "find_key",
    "from_environment",
    "from_profile",
    "keyring_library",
    "dialect_writer",
    "no_key",
    "rate_limit_of",
    "read_profile_file",
    "remember_dialect",
    "resolve",
    "keyring_errors",
    "connection_settings",
]

T = TypeVar("T")
_HOMELESS: Final = "there is no home folder to keep profiles in: name a file by TRMM_CONFIG"
DIALECTS: Final = ("auto", "gateway", "stock")
SERVICE: Final = "trmm"
"""The service name of our keys in a keyring. The user name is the server's address."""
VARIABLES: Final[Mapping[str, str]] = {
    "url": "TRMM_URL",
    "api_key": "TRMM_API_KEY",
    "profile": "TRMM_PROFILE",
    "dialect": "TRMM_DIALECT",
    "config": "TRMM_CONFIG",
    "shared_limits": "TRMM_SHARED_LIMITS",
    "relay": "TRMM_RELAY",
    "webhook_secret": "TRMM_WEBHOOK_SECRET",
    "proxy": "TRMM_PROXY",
    "ca": "TRMM_CA",
    "cert": "TRMM_CERT",
}
"""The environment variables that are read, by what they contain."""


@dataclass(frozen=True)
class GlobalOptions:
    """The options of the command line that apply to all commands.

    `as_others_do`: `HTTPS_PROXY` and `NO_PROXY` are read as well. An empty `proxy` means no proxy.
    """

    url: str | None = None
    profile: str | None = None
    dialect: str | None = None
    rate_limit: str | None = None
    allow_http: bool | None = None
    debug: bool = False
    proxy: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    as_others_do: bool = False


@dataclass(frozen=True)
class Profile:
    """One server in the file. `keyring`: its key is in the system's keyring."""

    name: str
    url: str = ""
    dialect: str | None = None
    rate_limit: str | None = None
    allow_http: bool | None = None
    api_key: str | None = field(default=None, repr=False)
    keyring: bool = False
    shared_limits: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None


@dataclass(frozen=True)
class ProfileFile:
    """The file of profiles.

    Attributes:
        exposed: what is wrong with its permissions; None if nothing is.
        problem: why it can't be read, and what to do; None if it can. Raised only if the file is needed.
    """

    path: Path
    default: str | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    exposed: str | None = None
    problem: str | None = None

    def checked(self) -> Self:
        """The book. Raises `InvalidRequestError` if it could not be read."""
        if self.problem:
            raise InvalidRequestError(self.problem)
        return self

    def find(self, name: str) -> Profile:
        """The profile of this name. Raises `InvalidRequestError` if there is none."""
        self.checked()
        if name not in self.profiles:
            there = ", ".join(sorted(self.profiles)) or "none: `trmm login` writes one"
            hint = alike(name, list(self.profiles))
            raise InvalidRequestError(f"there is no profile {name!r} in {self.path}; there is {there}{hint}")
        return self.profiles[name]


@dataclass(frozen=True)
class Settings:
    """A client's settings without the key. `profile` is set if the profile is one for this server.

    `profile_first`: the profile was asked for by an option, so it takes precedence over the environment.
    """

    url: str
    dialect: str = "auto"
    rate_limit: str | None = None
    allow_http: bool = False
    profile: Profile | None = None
    profile_first: bool = False
    source: str = ""
    shared_limits: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The path of the file: `TRMM_CONFIG`, or `trmm/config.toml` in the platform's configuration folder."""
    if named := _variable(environ, "config"):
        return Path(named)
    try:
        from platformdirs import user_config_path  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise InvalidRequestError(
            'where the profiles are needs a package: pip install "trmm-async[cli]", or name the file by '
            "TRMM_CONFIG"
        ) from error

    return user_config_path("trmm", appauthor=False) / "config.toml"


def cache_folder() -> Path:
    """The platform's folder for cached data. It needs the extra `[cli]`."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - an extra

    return user_cache_path("trmm", appauthor=False)


def resolve(given: GlobalOptions, book: ProfileFile, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings that apply, by options, profile and environment.

    Raises:
        InvalidRequestError: there is no address, or a setting is wrong.
    """
    profile, first = _profile(given, book, environ)
    of_profile = (f"profile {profile.name}", profile.url) if profile else ("", "")
    environment = (VARIABLES["url"], _variable(environ, "url"))
    layers = [("--url", given.url), *_ordered(environment, of_profile, first)]
    source, url = next(((source, url) for source, url in layers if url), ("", None))
    if not url:
        advice = f" ({book.problem})" if book.problem else ""
        raise InvalidRequestError(
            f"which server? Give --url, set TRMM_URL, or write a profile with `trmm login`{advice}"
        )
    fitting = profile if profile and same_server(profile.url, url) else None
    of_fitting = fitting.dialect if fitting else None
    dialects = [given.dialect, *_ordered(_variable(environ, "dialect"), of_fitting, first)]
    return Settings(
        url,
        dialect=_dialect(next((each for each in dialects if each), "auto")),
        rate_limit=given.rate_limit or (fitting.rate_limit if fitting else None),
        allow_http=_first(given.allow_http, fitting.allow_http if fitting else None),
        profile=fitting,
        profile_first=first,
        source=source,
        shared_limits=_address("shared_limits", fitting, book, environ, first),
        **connection_settings(url, given, fitting, book, environ, first=first),
    )


def connection_settings(
    url: str,
    given: GlobalOptions,
    profile: Profile | None,
    book: ProfileFile,
    environ: Mapping[str, str] = os.environ,
    *,
    first: bool = False,
) -> dict[str, Any]:
    """How to connect to the server: `proxy`, `ca` and `cert` of `Settings`; `first` is `profile_first`."""
    return {
        "proxy": _proxy(url, given, profile, book, environ, first=first),
        **_tls_files(given, profile, environ, first),
    }


def _proxy(
    url: str,
    given: GlobalOptions,
    profile: Profile | None,
    book: ProfileFile,
    environ: Mapping[str, str],
    *,
    first: bool,
) -> str | None:
    """The proxy: of the option, of our variable, of the profile, or of the variable that curl reads."""
    if given.proxy is not None:
        return hide(bare(given.proxy)) or None
    if ours := _address("proxy", profile, book, environ, first):
        return ours
    parts = urlsplit(url)
    if not given.as_others_do or parts.scheme.lower() != "https":
        return None
    others = bare(environ.get("https_proxy") or environ.get("HTTPS_PROXY") or "")
    spared = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return hide(others) if others and not _is_spared(parts.hostname or "", spared) else None


def _is_spared(host: str, spared: str) -> bool:
    """Whether `NO_PROXY` contains this host, a domain above it, a network that it is in, or `*`."""
    for name in spared.lower().replace(",", " ").split():
        plain = name.partition("://")[2] or name
        plain = plain if plain.count(":") > 1 else plain.partition(":")[0]
        plain = plain.strip("[]").removeprefix("*").strip(".")
        if name == "*" or (plain and (host == plain or host.endswith(f".{plain}"))):
            return True
        with suppress(ValueError):
            if ip_address(host) in ip_network(plain, strict=False):
                return True
    return False


def _tls_files(
    given: GlobalOptions, profile: Profile | None, environ: Mapping[str, str], first: bool
) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for what in ("ca", "cert"):
        of_profile = bare(getattr(profile, what) or "") if profile else ""
        layers = [getattr(given, what), *_ordered(_variable(environ, what), of_profile, first)]
        found[what] = next((each for each in layers if each), None)
    return found


def _address(
    what: str, profile: Profile | None, book: ProfileFile, environ: Mapping[str, str], first: bool
) -> str | None:
    """An address that may contain a password, so it is not used from a file that others can read."""
    of_profile = bare(getattr(profile, what) or "") if profile else ""
    of_environment = _variable(environ, what)
    for url in _ordered(of_environment, of_profile, first):
        if url and url == of_profile and url != of_environment and "@" in url and book.exposed:
            raise InvalidRequestError(
                f"the password of {what} in {book.path} is not used, for {book.exposed}: "
                f"chmod 600 {book.path}"
            )
        if url:
            return hide(url)
    return None


def _ordered(of_environment: T, of_profile: T, profile_first: bool) -> tuple[T, T]:
    return (of_profile, of_environment) if profile_first else (of_environment, of_profile)


def _profile(
    given: GlobalOptions, book: ProfileFile, environ: Mapping[str, str]
) -> tuple[Profile | None, bool]:
    """The profile, and whether it was asked for by an option."""
    if given.profile:
        return book.find(given.profile), True
    name = _variable(environ, "profile")
    if name:
        return book.find(name), False
    if book.default:
        return book.find(book.default), False
    only = list(book.profiles.values())
    return (only[0] if len(only) == 1 else None), False


def _first(*values: bool | None) -> bool:
    return next((value for value in values if value is not None), False)


def _dialect(name: str) -> str:
    for each in DIALECTS:
        if each == name.strip().casefold():
            return each
    words = f"{', '.join(DIALECTS[:-1])} or {DIALECTS[-1]}"
    raise InvalidRequestError(f"the dialect is {words}, not {name!r}{alike(name, DIALECTS)}")


def read_profile_file(path: Path | None = None) -> ProfileFile:
    """Read the file of profiles. A missing file has no profiles.

    Raises:
        InvalidRequestError: the file is no TOML, or has values of wrong types.
    """
    try:
        path = path or config_path()
    except RuntimeError:  # platformdirs', for a user without a home
        return ProfileFile(Path("config.toml"), problem=_HOMELESS)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = tomllib.loads(decoded(file.read(), code_page()))
    except FileNotFoundError:
        return ProfileFile(path)
    except OSError as error:
        reason = error.strerror or str(error)
        return ProfileFile(
            path, problem=f"{path} can't be read ({reason}): mend that, or name another by TRMM_CONFIG"
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{path} is no TOML: {error}") from error
    tables = content.get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise InvalidRequestError(f"{path}: profiles must be tables, as [profiles.name]")
    profiles = {name: _read_profile(path, name, table) for name, table in tables.items()}
    return ProfileFile(path, _text(path, "default", content.get("default")), profiles, _exposed(status))


def _read_profile(path: Path, name: str, table: Mapping[str, Any]) -> Profile:
    where = f"profiles.{name}."
    flags = {key: table.get(key) for key in ("allow_http", "keyring")}
    if not all(flag is None or isinstance(flag, bool) for flag in flags.values()):
        raise InvalidRequestError(f"{path}: {where}allow_http and {where}keyring must be true or false")
    return Profile(
        name,
        url=_text(path, f"{where}url", table.get("url")) or "",
        dialect=_text(path, f"{where}dialect", table.get("dialect")),
        rate_limit=_text(path, f"{where}rate_limit", table.get("rate_limit")),
        allow_http=flags["allow_http"],
        api_key=_text(path, f"{where}api_key", table.get("api_key")),
        keyring=bool(flags["keyring"]),
        shared_limits=hide(_text(path, f"{where}shared_limits", table.get("shared_limits"))),
        proxy=hide(_text(path, f"{where}proxy", table.get("proxy"))),
        ca=_text(path, f"{where}ca", table.get("ca")),
        cert=_text(path, f"{where}cert", table.get("cert")),
    )


def _text(path: Path, where: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidRequestError(f"{path}: {where} must be text")
    return value


def _exposed(status: os.stat_result) -> str | None:
    if os.name == "nt":
        return None  # on Windows the folder's access list protects the file, and the mode says nothing
    if status.st_uid not in {os.getuid(), 0}:
        return "it belongs to another user"
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others can get at it (mode {stat.S_IMODE(status.st_mode):o})"
    return None


@dataclass(frozen=True)
class Key:
    """A key, and a text that says where it was found."""

    value: str = field(repr=False)
    source: str


def find_key(settings: Settings, book: ProfileFile, environ: Mapping[str, str] = os.environ) -> Key | None:
    """The key for this server: from the environment, the profile or the keyring; None if there is none.

    Raises:
        InvalidRequestError: the key is in a file that others can read, or is not in the keyring.
        KeySourceError: the keyring can't be read.
    """
    if settings.profile_first:
        return _key_of_profile(settings, book) or _key_of_environment(settings, environ)
    return _key_of_environment(settings, environ) or _key_of_profile(settings, book)


def no_key(
    settings: Settings, book: ProfileFile, environ: Mapping[str, str] = os.environ
) -> InvalidRequestError:
    """The error to raise if there is no key for this server."""
    url = environ.get(VARIABLES["url"])
    other = f" (that in TRMM_API_KEY is for {url})" if _variable(environ, "api_key") and url else ""
    return InvalidRequestError(
        f"no API key for {settings.url}{other}: set TRMM_API_KEY, or write a profile with `trmm login`"
        + (f" ({book.problem})" if book.problem else "")
    )


def _key_of_environment(settings: Settings, environ: Mapping[str, str]) -> Key | None:
    value, url = _variable(environ, "api_key"), _variable(environ, "url")
    if not value or (url and not same_server(url, settings.url)):
        return None
    return Key(hide(value), VARIABLES["api_key"])


def _key_of_profile(settings: Settings, book: ProfileFile) -> Key | None:
    profile = settings.profile
    if profile is None or not same_server(profile.url, settings.url):
        return None
    if profile.api_key:
        if book.exposed:
            raise InvalidRequestError(
                f"the key in {book.path} is not used, for {book.exposed}: chmod 600 {book.path}"
            )
        return Key(hide(bare(profile.api_key)), f"profile {profile.name}")
    if profile.keyring:
        return Key(_key_of_keyring(profile.url), "keyring")
    return None


def _key_of_keyring(url: str) -> str:
    with keyring_errors("the keyring can't be read"):
        # The URL as it is in the profile, since `trmm login` used it as the user name.
        value = keyring_library().get_password(SERVICE, url.rstrip("/"))
    if not value:
        raise InvalidRequestError(f"the keyring has no key for {url}: `trmm login --keyring` puts it there")
    return hide(bare(value))


@contextmanager
def keyring_errors(what: str, advice: str = "") -> Iterator[None]:
    """Convert every error of a keyring: each kind of keyring has its own, and importing one may fail."""
    try:
        yield
    except (InvalidRequestError, KeySourceError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise KeySourceError(f"{what}: {reason}{advice}") from error


def keyring_library() -> Any:
    """Import the library `keyring`, an extra, which is needed only if a key is in a keyring."""
    try:
        import keyring  # noqa: PLC0415
        import keyring.errors  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise InvalidRequestError('the keyring needs a package: pip install "trmm-async[keyring]"') from error
    return keyring


def rate_limit_of(text: str | None, what: str = "the rate limit") -> RateLimit | Literal["default"] | None:
    """Read a rate limit from a text: "100/60", or "none"; None is the default."""
    if text is None:
        return "default"
    if text == "none":
        return None
    count, _, seconds = text.partition("/")
    try:
        return RateLimit(int(count), per=float(seconds))
    except ValueError as error:
        raise InvalidRequestError(f"{what} is COUNT/SECONDS as 100/60, or none; not {text!r}") from error


def client_settings(settings: Settings) -> dict[str, Any]:
    """The arguments of `TRMM` besides the URL and the key."""
    return {
        "dialect": settings.dialect,
        "rate_limit": rate_limit_of(settings.rate_limit),
        "allow_http": settings.allow_http,
        "shared_limits": settings.shared_limits,
        "proxy": settings.proxy,
        "ssl": tls_context(settings.ca, settings.cert),
    }


@dataclass(frozen=True)
class FoundSettings:
    """The arguments of a `TRMM`. `remember` is called with the detected dialect, in a thread."""

    settings: dict[str, Any] = field(repr=False)
    remember: Callable[[str], None] | None = None


def from_environment(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> FoundSettings:
    """The arguments of a client by the environment. The file is read only if a profile is named there.

    Args:
        given: arguments that take precedence.
        environ: the environment.

    Raises:
        InvalidRequestError: the address or the key is missing, or a setting is wrong.
        KeySourceError: the keyring can't be read.
    """
    named = _variable(environ, "profile")
    if not named:
        for what in ("url", "api_key"):
            if what not in given and not _variable(environ, what):
                raise InvalidRequestError(f"the environment variable {VARIABLES[what]} is not set")
    return _found(GlobalOptions(), read_profile_file() if named else ProfileFile(Path()), environ, given)


def from_profile(
    name: object, given: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> FoundSettings:
    """The arguments of a client by a profile. What the profile doesn't set is read from the environment.

    Raises:
        InvalidRequestError: there is no such profile, it has no key, or a setting is wrong.
        KeySourceError: the keyring can't be read.
    """
    if not isinstance(name, str) or not name:
        raise InvalidRequestError(f"a profile is named by a text, not {name!r}")
    return _found(GlobalOptions(profile=name), read_profile_file(), environ, given)


def _found(
    given: GlobalOptions, book: ProfileFile, environ: Mapping[str, str], before: Mapping[str, Any]
) -> FoundSettings:
    url = before.get("url")
    settings = resolve(replace(given, url=url), book, environ)
    everything = {"url": settings.url, **client_settings(settings), **before}
    if "api_key" not in everything:
        key = find_key(settings, book, environ)
        if key is None:
            raise no_key(settings, book, environ)
        everything["api_key"] = key.value
    return FoundSettings(everything, dialect_writer(settings, book) if "dialect" not in before else None)


def dialect_writer(settings: Settings, book: ProfileFile) -> Callable[[str], None] | None:
    """A function that writes the detected dialect into the profile; None if the dialect is set already."""
    profile = settings.profile
    if profile is None or profile.dialect is not None or settings.dialect != "auto":
        return None
    return partial(remember_dialect, book.path, profile.name)


def remember_dialect(path: Path, name: str, dialect: str) -> None:
    """Write the detected dialect into a profile, which saves one request the next time.

    One line is added, and comments and everything else stay. If that is not certain to work (an inline table,
    a file of another user), nothing is written.
    """
    with suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        path = path.resolve(strict=True)  # a link to the file stays
        before = path.read_bytes()
        text = decoded(before)
        wanted = tomllib.loads(text)
        table = wanted.get("profiles", {}).get(name)
        if not isinstance(table, dict) or "dialect" in table or not _is_ours(path):
            return
        table["dialect"] = dialect
        for head in re.finditer(r"^[ \t]*\[.+\][^\r\n]*(\r?\n|$)", text, re.MULTILINE):
            end = head[1] or "\n"
            with_it = f'{text[: head.start(1)]}{end}dialect = "{dialect}"{end}{text[head.end() :]}'
            # The line in brackets may be a part of a long text, or the head of another table: compare.
            with suppress(tomllib.TOMLDecodeError):
                # Nor is anything overwritten that somebody has written meanwhile.
                if tomllib.loads(with_it) == wanted and path.read_bytes() == before:
                    with replacing(path) as aside:
                        aside.write_bytes(with_it.encode())
                        shutil.copymode(path, aside)
                    return


def _is_ours(path: Path) -> bool:
    return os.name == "nt" or path.stat().st_uid == os.getuid()


def _variable(environ: Mapping[str, str], what: str) -> str:
    return bare(environ.get(VARIABLES[what], ""))
