"""Which of the settings apply to a client: of its options, the environment and the file of profiles.

The client and the command line use it, and so find the same. A key belongs to the address that it is given
with, and is never sent to another one. This module asks no questions.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from trmm_async import url_checks
from trmm_async.addresses import same_server
from trmm_async.errors import InvalidRequestError, KeySourceError
from trmm_async.hidden import hide
from trmm_async.limits import RateLimit
from trmm_async.plaintext import alike
from trmm_async.profiles import PATH_VARIABLE, Profile, ProfileFile, read_profile_file, remember_dialect
from trmm_async.saved_text import bare
from trmm_async.tls_files import tls_context

__all__ = [
    "DIALECTS",
    "SERVICE",
    "VARIABLES",
    "GlobalOptions",
    "Key",
    "Settings",
    "client_settings",
    "FoundSettings",
    "find_key",
    "from_environment",
    "from_profile",
    "keyring_library",
    "dialect_writer",
    "no_key",
    "resolve",
    "keyring_errors",
    "connection_settings",
    "known_dialect",
]

T = TypeVar("T")
DIALECTS: Final = ("auto", "gateway", "stock")
SERVICE: Final = "trmm"
"""The service name of our keys in a keyring. The user name is the server's address."""
VARIABLES: Final[Mapping[str, str]] = {
    "url": "TRMM_URL",
    "api_key": "TRMM_API_KEY",
    "profile": "TRMM_PROFILE",
    "dialect": "TRMM_DIALECT",
    "config": PATH_VARIABLE,
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
    # Before the address is shown or taken apart. Whether it may be plain http, the client decides.
    url_checks.base_url(url, allow_http=True)
    fitting = profile if profile and same_server(profile.url, url) else None
    of_fitting = fitting.dialect if fitting else None
    dialects = [given.dialect, *_ordered(_variable(environ, "dialect"), of_fitting, first)]
    return Settings(
        url,
        dialect=known_dialect(next((each for each in dialects if each), "auto")),
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


def known_dialect(name: str) -> str:
    """The dialect of this name, in upper or lower case. Raises `InvalidRequestError` if there is none."""
    for each in DIALECTS:
        if each == name.strip().casefold():
            return each
    words = f"{', '.join(DIALECTS[:-1])} or {DIALECTS[-1]}"
    raise InvalidRequestError(f"the dialect is {words}, not {name!r}{alike(name, DIALECTS)}")


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


def _rate_limit(text: str | None) -> RateLimit | Literal["default"] | None:
    """Read a rate limit from a text: "100/60", or "none"; None is the default."""
    if text is None:
        return "default"
    if text == "none":
        return None
    count, _, seconds = text.partition("/")
    try:
        return RateLimit(int(count), per=float(seconds))
    except ValueError as error:
        raise InvalidRequestError(
            f"the rate limit is COUNT/SECONDS as 100/60, or none; not {text!r}"
        ) from error


def client_settings(settings: Settings) -> dict[str, Any]:
    """The arguments of `TRMM` besides the URL and the key."""
    return {
        "dialect": settings.dialect,
        "rate_limit": _rate_limit(settings.rate_limit),
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


def from_environment(given: Mapping[str, Any]) -> FoundSettings:
    """The arguments of a client by the environment; those that are given take precedence.

    The file of profiles is read only if the environment names a profile.

    Raises:
        InvalidRequestError: the address or the key is missing, or a setting is wrong.
        KeySourceError: the keyring can't be read.
    """
    named = _variable(os.environ, "profile")
    if not named:
        for what in ("url", "api_key"):
            if what not in given and not _variable(os.environ, what):
                raise InvalidRequestError(f"the environment variable {VARIABLES[what]} is not set")
    return _found(GlobalOptions(), read_profile_file() if named else ProfileFile(Path()), given)


def from_profile(name: object, given: Mapping[str, Any]) -> FoundSettings:
    """The arguments of a client by a profile. What the profile doesn't set is read from the environment.

    Raises:
        InvalidRequestError: there is no such profile, it has no key, or a setting is wrong.
        KeySourceError: the keyring can't be read.
    """
    if not isinstance(name, str) or not name:
        raise InvalidRequestError(f"a profile is named by a text, not {name!r}")
    return _found(GlobalOptions(profile=name), read_profile_file(), given)


def _found(given: GlobalOptions, book: ProfileFile, before: Mapping[str, Any]) -> FoundSettings:
    url = before.get("url")
    settings = resolve(replace(given, url=url), book)
    everything = {"url": settings.url, **client_settings(settings), **before}
    if "api_key" not in everything:
        key = find_key(settings, book)
        if key is None:
            raise no_key(settings, book)
        everything["api_key"] = key.value
    return FoundSettings(everything, dialect_writer(settings, book) if "dialect" not in before else None)


def dialect_writer(settings: Settings, book: ProfileFile) -> Callable[[str], None] | None:
    """A function that writes the detected dialect into the profile; None if the dialect is set already."""
    profile = settings.profile
    if profile is None or profile.dialect is not None or settings.dialect != "auto":
        return None
    return partial(remember_dialect, book.path, profile.name)


def _variable(environ: Mapping[str, str], what: str) -> str:
    return bare(environ.get(VARIABLES[what], ""))
