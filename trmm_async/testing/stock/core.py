"""The root and the version, by which a client finds out what kind of server it is.

Below: `view.py`. Above: `dialect.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.routing import Route

from .view import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.replies import Asked, HTTPReply

__all__ = ["CoreView"]

VERSION = "0.0.203"
"""Of the web interface, not of the server: what the recorded server says."""


class CoreView:
    """`/` and `/core/version/`."""

    def __init__(self, _backend: Backend) -> None:
        pass

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        return (
            Route("GET", "/", self.root, public=True),
            Route("GET", "/core/version/", self.version),
        )

    def root(self, _asked: Asked) -> HTTPReply:
        """`GET /`: for anybody."""
        return said({"status": "ok"})

    def version(self, _asked: Asked) -> HTTPReply:
        """`GET /core/version/`: with any valid key."""
        return said(VERSION)
