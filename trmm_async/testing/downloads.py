"""The installers that deployments point to, and the detours on the way to them.

Below: `nouns.py`. Above: the dialects. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from yarl import URL

if TYPE_CHECKING:
    from .nouns import Deployment

__all__ = ["Downloads"]

MAGIC = {".exe": b"MZ\x90\x00", ".pkg": b"xar!"}


@dataclass(slots=True)
class Downloads:
    """How installers are served: their size in bytes and the redirects before one gets there.

    `redirects` is how many; `redirect_to` is the address that the last of them leads to (at least one then),
    for instance another name of this server: a whole URL, or one without a path for the same path over there.
    """

    size: int = 300_000
    redirects: int = 0
    redirect_to: str | None = None

    def content(self, it: Deployment) -> bytes:
        """Return an installer: always the same for the same deployment."""
        magic = MAGIC[_suffix(it)]
        return magic + Random(it.uuid).randbytes(self.size - len(magic))

    def next_hop(self, url: str, hop: int) -> str | None:
        """Return where a client that asked for `url` after `hop` redirects is sent next, None if nowhere."""
        hops = max(self.redirects, 1) if self.redirect_to else self.redirects
        if hop >= hops:
            return None
        here = URL(url)
        if self.redirect_to and hop == hops - 1:
            there = URL(self.redirect_to)
            here = there if there.path != "/" else there.with_path(here.path)
        return str(here.with_query(hop=hop + 1))


def file_name(it: Deployment) -> str:
    """Return the name under which an installer is saved."""
    return f"trmm-agent-{it.uuid}{_suffix(it)}"


def _suffix(it: Deployment) -> str:
    return ".pkg" if it.arch.endswith("-mac") else ".exe"
