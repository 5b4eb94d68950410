"""Reads the address of an engine or a proxy from a URL, and hides its password. Pure.

A URL that is not supported is refused here, before anything is opened.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import HiddenText, hide

__all__ = [
    "NATS",
    "EngineAddress",
    "ProxyAddress",
    "authority",
    "nats_address",
    "proxy_address",
    "redis_address",
]

NATS: Final = MappingProxyType({"nats": False, "tls": True})
"""The schemes of a NATS server, and whether they mean TLS."""
_NATS_PORT: Final = 4222

_REDIS: Final = MappingProxyType({"redis": False, "rediss": True, "valkey": False, "valkeys": True})
"""The schemes of a Redis server, and whether they mean TLS."""
_REDIS_PORT: Final = 6379
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_UNIX: Final = "unix"
_WEB_PORTS: Final = MappingProxyType({"http": 80, "https": 443})
_NAMED_LIKE_IT: Final = ("sentinel", "cluster")


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """The address of an engine. Its `str` and `repr` can be shown.

    Attributes:
        host: the host; empty for a Unix socket.
        port: the port.
        path: the path of a Unix socket; otherwise empty.
        database: the number of the database.
        is_encrypted: whether TLS is used.
        username: the user name; empty for the default user.
        password: the password; empty for none. Hidden.
        files: the files for TLS, by redis-py's names.
    """

    shown: str
    host: str = ""
    port: int = 0
    path: str = ""
    database: int = 0
    is_encrypted: bool = False
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_nats(self) -> bool:
        """Whether this is a NATS server."""
        return self.shown.partition("://")[0] in NATS

    def __str__(self) -> str:
        return self.shown

    def scrub(self, text: str) -> str:
        """The text without the password."""
        return text.replace(self.password, "***") if self.password else text


def redis_address(url: object, what: str, others: str = "") -> EngineAddress:
    """The address in a URL: `redis://[user:password@]host[:port][/database]`, `rediss://`, `unix:///path`.

    Args:
        url: the URL.
        what: the name of the argument, for errors.
        others: what else the argument may be, for errors.

    Raises:
        InvalidRequestError: the URL is none of these. The message contains no password.
    """
    if not isinstance(url, str) or not url:
        raise InvalidRequestError(
            f"{what} must be a URL such as redis://host:6379/0, not {type(url).__name__}"
        )
    scheme, username, password, rest = _taken_apart(hide(url))
    hosts = rest.partition("/")[0]
    if any(word in scheme for word in _NAMED_LIKE_IT) or "," in hosts:
        raise InvalidRequestError(
            f"{what}: Sentinel and Redis Cluster are not supported: give the URL of one primary, as "
            "redis://host:6379/0"
        )
    if scheme not in _REDIS and scheme != _UNIX:
        raise InvalidRequestError(
            f"{what} must begin with redis://, rediss:// (TLS) or unix://{others}"
            + (f", not {scheme}://" if scheme else "")
        )
    parts, port = _split(scheme, rest, what)
    if parts.fragment or not rest.isprintable():
        raise InvalidRequestError(f"{what} must have no fragment and no control characters")
    options = _options(parts, what, ("db", *(_TLS_FILES if _REDIS.get(scheme) else ())))
    if scheme == _UNIX:
        path = unquote(parts.path)
        if not path or parts.hostname:
            raise InvalidRequestError(
                f"{what}: a socket is written unix:///run/redis.sock, with three slashes"
            )
        database = _database(options.get("db", ""), what)
        return EngineAddress(
            f"unix://{path}", path=path, database=database, username=username, password=password
        )
    if not parts.hostname:
        raise InvalidRequestError(f"{what} names no host: redis://host:6379/0")
    path_database = parts.path.strip("/")
    if path_database and "db" in options:
        raise InvalidRequestError(f"{what} names its database twice, in its path and by db=")
    database = _database(path_database or options.get("db", ""), what)
    port = _REDIS_PORT if port is None else port
    return EngineAddress(
        f"{scheme}://{authority(parts.hostname, port)}/{database}",
        host=parts.hostname,
        port=port,
        database=database,
        is_encrypted=_REDIS[scheme],
        username=username,
        password=password,
        files={name: options[name] for name in _TLS_FILES if name in options},
    )


def nats_address(url: object, what: str) -> EngineAddress:
    """The address in a URL: `nats://[user:password@]host[:port]`, `nats://token@host`, or `tls://` (TLS).

    Args:
        url: the URL.
        what: the name of the argument, for errors.

    Raises:
        InvalidRequestError: the URL is none of these. The message contains no password.
    """
    if not isinstance(url, str) or not url:
        raise InvalidRequestError(f"{what} must be a URL such as nats://host:4222, not {type(url).__name__}")
    scheme, username, password, rest = _taken_apart(hide(url))
    if scheme not in NATS:
        raise InvalidRequestError(
            f"{what} must begin with nats:// or tls:// (TLS)" + (f", not {scheme}://" if scheme else "")
        )
    parts, port = _split(scheme, rest, what)
    if not parts.hostname or "," in parts.netloc:
        raise InvalidRequestError(f"{what} must name one host, as nats://host:4222 does")
    if parts.path.strip("/") or parts.fragment or not rest.isprintable():
        raise InvalidRequestError(f"{what} must have no path, no fragment and no control characters")
    options = _options(parts, what, _TLS_FILES if NATS[scheme] else ())
    port = _NATS_PORT if port is None else port
    return EngineAddress(
        f"{scheme}://{authority(parts.hostname, port)}",
        host=parts.hostname,
        port=port,
        is_encrypted=NATS[scheme],
        # A user name without a password is a token, which is secret, too.
        username=username if password else "",
        password=password or username,
        files=options,
    )


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """The address of an HTTP proxy. Its `str` and `repr` can be shown.

    Attributes:
        host: the host.
        port: the port.
        is_encrypted: whether TLS is used with the proxy itself.
        username: the user name; empty for none.
        password: the password. Hidden.
    """

    host: str
    port: int
    is_encrypted: bool = False
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"http{'s' * self.is_encrypted}://{authority(self.host, self.port)}"

    @property
    def credentials(self) -> str:
        """The credentials of `Proxy-Authorization: Basic`; empty for none. Hidden."""
        if not (self.username or self.password):
            return ""
        return hide(b64encode(f"{self.username}:{self.password}".encode()).decode())

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be shown."""
        return tuple(text for text in (self.password, self.credentials) if text)


def authority(host: str, port: int) -> str:
    """Host and port in the form that `CONNECT` uses."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def proxy_address(url: object, what: str) -> ProxyAddress:
    """The proxy in a URL: `http://[user:password@]host[:port]`, or `https://`. Without a scheme it is http.

    Args:
        url: the URL.
        what: where the URL was found, for errors.

    Raises:
        InvalidRequestError: the URL is none of these. The message contains no password.
    """
    if not isinstance(url, str) or not url.strip():
        raise InvalidRequestError(f"{what} must be a URL such as http://proxy:3128, not {type(url).__name__}")
    url = hide(url.strip())
    scheme, username, password, rest = _taken_apart(url if "://" in url else hide(f"http://{url}"))
    if scheme.startswith("socks"):
        raise InvalidRequestError(f"{what}: SOCKS is not supported: give an http:// or https:// proxy")
    if scheme not in _WEB_PORTS:
        raise InvalidRequestError(f"{what} must begin with http:// or https:// (TLS), not {scheme}://")
    if not (username + password).isprintable() or ":" in username:
        raise InvalidRequestError(f"{what}: its user name or its password can't be sent")
    parts, port = _split(scheme, rest, what)
    if not parts.hostname or port == 0 or not rest.isprintable() or " " in rest:
        raise InvalidRequestError(f"{what} must name a host, as http://proxy:3128 does")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidRequestError(f"{what} must have nothing behind host and port, as http://proxy:3128")
    return ProxyAddress(
        parts.hostname,
        _WEB_PORTS[scheme] if port is None else port,
        is_encrypted=scheme == "https",
        username=username,
        password=password,
    )


def _taken_apart(url: HiddenText) -> tuple[str, HiddenText, HiddenText, str]:
    """Scheme, user, password, and the rest. So no frame of another library has the password."""
    scheme, found, rest = map(hide, url.strip().partition("://"))
    if not found:
        return "", hide(""), hide(""), ""
    slash = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    at = rest.rfind("@", 0, slash)
    username, _, password = map(hide, rest[:at].partition(":")) if at >= 0 else (hide(""),) * 3
    return str(scheme.lower()), hide(unquote(username)), hide(unquote(password)), str(rest[at + 1 :])


def _split(scheme: str, rest: str, what: str) -> tuple[SplitResult, int | None]:
    """The parts of a URL without credentials, and its port; None if it has none."""
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        port = parts.port
    except ValueError:
        raise InvalidRequestError(f"{what}: its host or its port is malformed") from None
    return parts, port


def _options(parts: SplitResult, what: str, known: Iterable[str]) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = [name for name in options if name not in known]
    if unknown or (parts.query and not options):
        raise InvalidRequestError(
            f"{what}: what stands behind the question mark may be {', '.join(known)}"
            + (f", not {unknown[0]!r}" if unknown else "")
        )
    return options


def _database(text: str, what: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()):
        raise InvalidRequestError(f"{what}: the database must be a number, as in redis://host:6379/0")
    return int(text)
