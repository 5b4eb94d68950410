"""Answers and questions as values, so that what the server says is decided without a socket.

Below: the `Request` of `ledger.py`. Above: `routing.py` and the dialects make and read them, `front.py` puts
them on the wire.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from .ledger import Request

__all__ = [
    "AnsweredError",
    "Asked",
    "RefusedError",
    "HTTPReply",
    "encode",
    "html_reply",
    "iso",
    "json_reply",
    "page",
    "proxy_reply",
]

REASONS = {
    400: ("Bad Request (400)", ""),
    404: ("Not Found", "The requested resource was not found on this server."),
    500: ("Server Error (500)", ""),
    502: ("502 Bad Gateway", ""),
    503: ("503 Service Temporarily Unavailable", ""),
    504: ("504 Gateway Time-out", ""),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a handler sees it.

    `params` are the variable parts of its path, `base` is the server's address as this client calls it, `row`
    is the request's line in the ledger. `raw` is aiohttp's request, for a handler that has to talk on the
    connection itself (WebSockets). `user` is who the key belongs to.
    """

    params: Mapping[str, str]
    row: Request
    base: str
    raw: web.BaseRequest
    user: str = ""

    @property
    def here(self) -> str:
        """The address that was asked for, without its query."""
        return f"{self.raw.url.origin()}{self.row.path}"


@dataclass(frozen=True, slots=True)
class HTTPReply:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """The server says no: `status`, and `detail` in words if it has any."""

    def __init__(self, status: int, detail: str | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class AnsweredError(Exception):
    """The request ends here, with this very answer."""

    def __init__(self, reply: HTTPReply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def encode(payload: object) -> bytes:
    """Return compact JSON in UTF-8, as Django REST framework renders it."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def json_reply(status: int, payload: object, headers: Mapping[str, str] | None = None) -> HTTPReply:
    """Make an answer of a JSON value."""
    return HTTPReply(status, encode(payload), headers=headers or {})


def html_reply(status: int) -> HTTPReply:
    """Make the page that Django shows when it has nothing to say in JSON."""
    return HTTPReply(status, page(status), "text/html")


def proxy_reply(status: int) -> HTTPReply:
    """Make the page that a proxy shows when the server behind it is of no use."""
    title = REASONS.get(status, (f"{status} Error", ""))[0]
    text = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    return HTTPReply(
        status, f"{text}<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n".encode(), "text/html"
    )


def page(status: int) -> bytes:
    """Return the HTML of Django's own error page for a status."""
    title, text = REASONS.get(status, (f"Error {status}", ""))
    head = f'\n<!doctype html>\n<html lang="en">\n<head>\n  <title>{title}</title>\n</head>\n'
    return f"{head}<body>\n  <h1>{title}</h1><p>{text}</p>\n</body>\n</html>\n".encode()


def iso(moment: float) -> str:
    """Return a time as Django writes it: UTC with a Z, and a fraction only if there is one."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
