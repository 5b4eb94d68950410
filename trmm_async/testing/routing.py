"""Finds the handler of a request, and says what every dialect must have.

Below: `replies.py` and `nouns.py`. Above: the dialects bring tables of routes, `front.py` looks requests up
in them. Pure. As in Django, the first pattern that matches the path decides, then the method.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from .replies import Asked, HTTPReply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .gate import Denial
    from .nouns import Event
    from .world import UnknownThingError

__all__ = [
    "Handler",
    "Lookup",
    "NeedsSlash",
    "Nowhere",
    "Route",
    "RouteMatch",
    "Router",
    "ServerKind",
    "WrongMethod",
]

Handler = Callable[[Asked], HTTPReply | Awaitable[HTTPReply | web.StreamResponse]]
"""Answers a request; raises `RefusedError` or the world's `UnknownThingError` to say no."""


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API.

    `pattern` is its path below the prefix, with `{name}` for a variable part, `{name:int}` for a number and
    `{name:agent}` for an agent's id of the stock server, which takes 21 characters or more for one;
    `{name:rest}` is all that is left of a path.
    `permission` is what a key must be allowed to do, `lane` a second rate limit besides the general one. A
    `public` route asks for no key and counts in no limit.
    """

    method: str
    pattern: str
    handler: Handler
    permission: str | None = None
    lane: str | None = None
    public: bool = False


class ServerKind(Protocol):
    """How a kind of server presents the world over HTTP and WebSockets."""

    def routes(self) -> Sequence[Route]:
        """Return the calls; of two patterns that fit a path the earlier one is meant."""
        ...

    def refusal(
        self, status: int, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> HTTPReply:
        """Return the answer for an error status, with `detail` or its own words."""
        ...

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return the key that a request came with, as `Gate` knows it."""
        ...

    def denial(self, denial: Denial, key: str | None) -> str | None:
        """Return the words of the refusal of a request with this key; None for the usual ones."""
        ...

    def unknown(self, error: UnknownThingError) -> HTTPReply:
        """Return the answer for something that doesn't exist."""
        ...

    def frame(self, event: Event) -> str:
        """Return the text frame of an event for subscribers."""
        ...


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """The route, and the variable parts of the path."""

    route: Route
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WrongMethod:
    """The path exists, for other methods."""

    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NeedsSlash:
    """The path exists with a slash at its end."""


@dataclass(frozen=True, slots=True)
class Nowhere:
    """There is no such path."""


Lookup = RouteMatch | WrongMethod | NeedsSlash | Nowhere


class Router:
    """A table of routes to look requests up in."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._table: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in routes:
            _, methods = self._table.setdefault(route.pattern, (_compile(route.pattern), {}))
            methods[route.method] = route

    def find(self, method: str, path: str) -> Lookup:
        """Find the route of a request."""
        for pattern, methods in self._table.values():
            if match := pattern.fullmatch(path):
                if method in methods:
                    return RouteMatch(methods[method], match.groupdict())
                return WrongMethod(tuple(sorted(methods)))
        if not path.endswith("/") and any(
            pattern.fullmatch(f"{path}/") for pattern, _ in self._table.values()
        ):
            return NeedsSlash()
        return Nowhere()


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    # Each simulator has the same two hundred patterns, and a suite of tests starts thousands of simulators.
    numbers = re.sub(r"\{(\w+):int\}", r"(?P<\1>[0-9]+)", pattern)
    agents = re.sub(r"\{(\w+):agent\}", r"(?P<\1>[^/]{21,})", numbers)
    rests = re.sub(r"\{(\w+):rest\}", r"(?P<\1>.+)", agents)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", rests))
