"""One server: its address and key, the URLs to which the key may be sent, and what must not be shown."""

import html
import json
import ssl as tls
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final
from urllib.parse import quote, quote_plus, urljoin, urlsplit

from yarl import URL

from trmm_async._version import __version__
from trmm_async.engines.address import ProxyAddress
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import hide
from trmm_async.key_source import KeySource

__all__ = ["Secrets", "Server", "check_hop", "next_hop"]

_SECRETS_MOST: Final = 64


class Secrets:
    """Texts besides the key that must not be shown: passwords, codes, tokens; the latest 64 of them."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Secrets: {len(self._kept)}>"

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._kept))

    def keep(self, text: str) -> None:
        """Remove this text from everything that is shown from now on."""
        self._kept.pop(text, None)
        if text:
            self._kept[text] = None
        if len(self._kept) > _SECRETS_MOST:
            del self._kept[next(iter(self._kept))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server's address, and how to connect and authenticate."""

    base_url: str
    api_key: str = field(repr=False)
    source: KeySource | None = field(default=None, compare=False)
    """Gives the key in place of `api_key`, which is empty then."""
    ssl: tls.SSLContext | None = None
    proxy: ProxyAddress | None = None
    secrets: Secrets = field(default_factory=Secrets, repr=False, compare=False)

    @property
    def key(self) -> str:
        """The key in use; empty until the source has given one."""
        return self.api_key if self.source is None else self.source.key

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request to this server. They contain the key."""
        return {"X-API-KEY": hide(self.key), "User-Agent": f"trmm_async/{__version__}"}

    def scrub(self, text: str) -> str:
        """The text without key, passwords, codes and tokens, plain or as they are in JSON, HTML and URLs."""
        forms = {form for secret in (self.key, *self.secrets) if secret for form in _forms(secret)}
        # The longest first: if a short secret is a part of a long one, the rest of that must not remain.
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return text

    def is_our_key(self, text: str) -> bool:
        """Whether this is the key that we use."""
        return compare_digest(text.encode(), self.key.encode())

    async def has_key_of(self, other: "Server") -> bool:
        """Whether both servers are used with the same key. Key sources are asked first.

        Raises:
            TRMMError: see `KeySource.ready`.
        """
        for source in (self.source, other.source):
            if source is not None:
                await source.ready()
        return self.surely_has_key_of(other)

    def surely_has_key_of(self, other: "Server") -> bool:
        """Whether both are known to be used with the same key; False while a source was not asked yet."""
        if self.source is not None and other.source is not None and self.source.ask == other.source.ask:
            return True  # one function gives the key for both
        return bool(self.key) and self.is_our_key(other.key)

    def is_home_of(self, url: str) -> bool:
        """Whether the URL is on this very server: same scheme, host and port."""
        # Not by `origin()`: for yarl, one that names the default port is another than one that does not.
        there, here = URL(url), URL(self.base_url)
        return (there.scheme, there.host, there.port) == (here.scheme, here.host, here.port)


def _forms(secret: str) -> tuple[str, ...]:
    return (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),  # as PHP and Lua write it
        repr(secret)[1:-1],
        html.escape(secret),
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
    )


def check_hop(server: Server, url: str) -> None:
    """Refuse a download by plain http from an https server: an installer runs with all rights."""
    scheme = _web_scheme(url)
    if scheme is None:
        raise InvalidRequestError("a download must have a full http or https URL")
    if scheme == "http" and server.base_url.startswith("https:"):
        raise InvalidRequestError("a download from an https server must not lead to plain http")


def next_hop(url: str, location: str) -> str:
    """Where a redirect from that URL leads; empty if what the server says is no URL."""
    try:
        target = urljoin(url, location)
    except ValueError:
        return ""
    return target if _web_scheme(target) is not None else ""


def _web_scheme(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        # The request is made with yarl, which accepts other URLs than urllib does.
        whole = bool(parts.hostname) and parts.port != 0 and bool(URL(url).raw_host)
    except ValueError:
        return None
    return parts.scheme if whole and parts.scheme in {"http", "https"} else None
