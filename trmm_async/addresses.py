"""Addresses of servers, in the one form in which they are compared. Pure.

Imports nothing. A key goes to no other server than its own, and a journal to no other than it was begun on:
so two addresses are the same only if every client would knock at the same door with them.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

__all__ = ["normal", "same_server"]

_PORTS: Final = {"http": 80, "https": 443}
_API: Final = re.compile(r"/+api/+v3/*\Z", re.IGNORECASE)


def normal(url: str) -> str:
    """The address with scheme and host in small letters, and without what says nothing.

    That is a scheme's own port, closing slashes, and `/api/v3`, which is a part of each call's path. A host
    in other letters than ASCII is written in its xn-- form. The path keeps its case.

    Raises:
        ValueError: it is no address of a server, or has a user name, a query or a fragment. The text has
            nothing of it: it may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, _host(parts.hostname or "")
    except ValueError:
        raise ValueError("its host or its port is malformed") from None
    if parts.scheme not in _PORTS or not host or not url.strip().isprintable():
        raise ValueError("it is no http or https URL")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("it has more than a host and a path")
    door = "" if port in {None, _PORTS[parts.scheme]} else f":{port}"
    return f"{parts.scheme}://{host}{door}{_API.sub('', parts.path).rstrip('/')}"


def same_server(one: str, other: str) -> bool:
    """Whether two addresses are those of the same server. One that is none is the same as itself alone."""
    if one == other:
        return True
    try:
        return normal(one) == normal(other)
    except ValueError:
        return False


def _host(name: str) -> str:
    if ":" in name:
        return f"[{ipaddress.IPv6Address(name).compressed}]"
    if name.isascii():
        return name
    import idna  # noqa: PLC0415 - hardly anybody needs it, and it has large tables

    return idna.encode(name, uts46=True).decode()
