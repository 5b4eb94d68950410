"""Checks of URLs and paths. A bad one is an `InvalidRequestError`, before anything is sent. Pure.

Over `arguments`. No message contains a URL that may hold a password.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from trmm_async import addresses
from trmm_async.arguments import CONTROL_CHARACTERS, boolean, plain_text
from trmm_async.errors import InvalidRequestError

__all__ = ["base_url", "raw_path", "webhook_url"]

_BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SLASH: Final = re.compile(r"[/\\]")
_HOST_AND_PORT: Final = re.compile(
    r"([A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?|\[[A-Za-z0-9:.%]+\])(:[0-9]*)?"
)
_WEBHOOK: Final = re.compile(r"https?://[^\s/]+\S*")
_API_PATH: Final = re.compile(r"/+api/+v3(/|\Z)", re.IGNORECASE)


def raw_path(value: object) -> str:
    """A path from the server's root, for `TRMM.request`: without host, query and dot segments."""
    text = plain_text(value, "path")
    if not text.startswith("/") or text.startswith("//") or "\\" in text:
        raise InvalidRequestError(f"path must begin with one slash: {text!r}")
    if _BARE_PERCENT.search(text):
        raise InvalidRequestError(f"path must have two hex digits after each %; %25 is a plain %: {text!r}")
    if {".", ".."} & set(_SLASH.split(unquote(text))) or "?" in text or "#" in text:
        raise InvalidRequestError(
            f"path must have no dot segments, query or fragment (params=… holds those): {text!r}"
        )
    return quote(text, safe="/%:@!$&'()*+,;=~")


def base_url(value: object, *, allow_http: bool) -> str:
    """A server's URL in its normal form (`addresses.normal`).

    Plain http is accepted for this machine only, or if it is allowed.
    """
    parts = _split_url(value)
    _check_url_parts(parts)
    _check_scheme(parts, "the API key", allow_http=allow_http)
    try:
        address = addresses.normal(parts.geturl())
    except ValueError as error:
        raise InvalidRequestError(f"url is not a URL: {error}") from None
    if _API_PATH.search(urlsplit(address).path):
        raise InvalidRequestError('url must end before "/api/v3", which each call has in its path')
    return address


def webhook_url(value: object, *, allow_http: bool) -> str:
    """The URL to which a server posts its alerts. Plain http for this machine only, or if it is allowed."""
    if not isinstance(value, str) or not _WEBHOOK.fullmatch(value):
        raise InvalidRequestError(
            f"url must be a whole one, as https://hooks.example.com/trmm; not {value!r}"
        )
    _check_scheme(_split_url(value), "the webhook's secret", allow_http=boolean(allow_http, "allow_http"))
    return value


def _check_scheme(parts: SplitResult, secret: str, *, allow_http: bool) -> None:
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise InvalidRequestError(
            f"url: plain http would show {secret} to everybody on the way to {parts.hostname}; "
            "use https, or allow_http=True if you must"
        )


def _split_url(value: object) -> SplitResult:
    if not isinstance(value, str):
        raise InvalidRequestError(f"url must be text, not {type(value).__name__}")
    if CONTROL_CHARACTERS.search(value) or not value.isascii():
        raise InvalidRequestError(
            "url must be plain ASCII without control characters; write such a host in its xn-- form"
        )
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises on a port that is none
    except ValueError:
        raise InvalidRequestError("url is not a URL: its host or its port is malformed") from None
    return parts


def _check_url_parts(parts: SplitResult) -> None:
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidRequestError('url must have a scheme and a host, as in "https://api.example.com"')
    if "@" in parts.netloc:
        raise InvalidRequestError("url must not hold a user name or password")
    if parts.query or parts.fragment:
        raise InvalidRequestError("url must have no query and no fragment")
    if any(char.isspace() for char in parts.netloc + parts.path):
        raise InvalidRequestError("url must not contain spaces")
    if not _HOST_AND_PORT.fullmatch(parts.netloc):
        raise InvalidRequestError(
            "url: its host is malformed: names of 1 to 63 letters, digits and hyphens, with a dot between"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
