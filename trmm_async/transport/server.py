"""Which server it is, and what may be sent to it."""

import html
import json
import ssl as tls
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from yarl import URL

from trmm_async._version import __version__
from trmm_async.errors import InvalidRequestError

__all__ = ["Server", "check_hop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the server is and how to be let in."""

    base_url: str
    api_key: str = field(repr=False)
    ssl: tls.SSLContext | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """What every request to this server carries. Holds the key: for no eyes."""
        return {"X-API-KEY": self.api_key, "User-Agent": f"trmm_async/{__version__}"}

    def scrub(self, text: str) -> str:
        """The text without the key, should a server have quoted it: plainly, or as JSON, HTML or in a URL."""
        key = self.api_key
        for form in (key, json.dumps(key)[1:-1], html.escape(key), quote(key, safe="")):
            text = text.replace(form, "***")
        return text

    def is_home_of(self, url: str) -> bool:
        """Whether the URL is on this very server: same scheme, host and port."""
        return URL(url).origin() == URL(self.base_url).origin()


def check_hop(server: Server, url: str) -> None:
    """An installer runs with all rights: it is not fetched in plain text where the server itself isn't."""
    scheme = _web_scheme(url)
    if scheme is None:
        raise InvalidRequestError("a download must have a full http or https URL")
    if scheme == "http" and server.base_url.startswith("https:"):
        raise InvalidRequestError("a download from an https server must not lead to plain http")


def _web_scheme(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts.scheme if whole and parts.scheme in {"http", "https"} else None
