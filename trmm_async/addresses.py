"""Addresses of servers, in one form in which they can be compared. Pure.

A key is sent to its own server only, and a journal continues on its own server only. So two addresses count
as the same only if every client would connect to the same place with them.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

__all__ = ["normal", "same_server"]

_PORTS: Final = {"http": 80, "https": 443}
_API: Final = re.compile(r"/+api/+v3/*\Z", re.IGNORECASE)


def normal(url: str) -> str:
    """The address with scheme and host in lower case, and without the parts that mean nothing.

    These are the scheme's default port, trailing slashes, and `/api/v3`, which is in each call's path. A host
    that is not ASCII is written in its xn-- form. The path keeps its case.

    Raises:
        ValueError: the text is no address of a server, or has a user name, a query or a fragment. The message
            contains nothing of the address, which may have a password in it.
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
    """Whether two addresses are those of the same server. A text that is no address equals only itself."""
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
