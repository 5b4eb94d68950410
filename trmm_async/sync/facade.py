"""Facades: synchronous objects in place of objects that belong to an event loop.

They stand above `portal`. For each class of the client, a facade class of the same name is made when the
first value of it is met, by one rule for all, so no method can be missing. Type checkers and editors see the
stub `__init__.pyi`, which `tools/sync_stub.py` writes.
"""

import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from functools import cache, partial
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar

from trmm_async.errors import InvalidRequestError
from trmm_async.fleet import Fleet
from trmm_async.resources.resource import Resource
from trmm_async.sync.portal import Portal

__all__ = [
    "LEFT_OUT",
    "Facade",
    "facade_of",
    "is_live",
    "plain_name",
    "stands_for",
    "taken",
    "without",
    "wrapped",
]

F = TypeVar("F", bound="Facade")

_BATCH: Final = 200
"""How many rows of a list are fetched in one call into the loop; from live streams it is one event."""

LEFT_OUT: Final[Mapping[tuple[str, str], Collection[str]]] = {
    ("TRMM", "__init__"): {"session"},
    ("TRMM", "events"): {"webhooks"},
    ("TRMM", "relay"): {"webhooks"},
}
"""Arguments that don't exist here, by class and method: they belong to an event loop of the user."""

_WAITS: Final = {"__await__", "__aenter__", "__aiter__", "__anext__"}
_RENAMED: Final = {"aclose": "close"}


def is_live(kind: type) -> bool:
    """Whether values of this type belong to an event loop, and so need a facade."""
    if not kind.__module__.startswith("trmm_async.") or issubclass(kind, Facade | BaseException):
        return False
    if getattr(kind, "_is_protocol", False):
        return False
    if issubclass(kind, Resource | Fleet):
        return True
    return any(
        name in _WAITS or (not name.startswith("_") and inspect.iscoroutinefunction(member))
        for base in kind.__mro__
        if base.__module__.startswith("trmm_async.")
        for name, member in vars(base).items()
    )


def plain_name(name: str) -> str:
    """The name of a method here."""
    return _RENAMED.get(name, name)


class Facade:
    """A synchronous object in place of one of the asynchronous client, whose class is `_of`.

    Every method is called in the loop, also those that don't wait, since nothing in the client is
    thread-safe.
    """

    _of: ClassVar[type]
    _portal: Portal
    _it: Any
    _ready: "deque[Any]"

    def __repr__(self) -> str:
        return repr(self._it)

    def __getattr__(self, name: str) -> Any:
        # Only instance attributes come here; methods and properties are in the facade class.
        if name.startswith("_") or name not in vars(self._it):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return _wrapped(self, vars(self._it)[name])

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif name in vars(self._it):
            self._portal.call(lambda: setattr(self._it, name, value))
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r} that can be set")

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *(name for name in vars(self._it) if not name.startswith("_"))})


_SPECIAL: Final[dict[type, type[Facade]]] = {}


def stands_for(kind: type) -> Callable[[type[F]], type[F]]:
    """Make the decorated class the facade of `kind`, and add the members that it does not define itself."""

    def fill(facade: type[F]) -> type[F]:
        for name, member in _members(kind).items():
            if name not in vars(facade):
                setattr(facade, name, member)
        _SPECIAL[kind] = facade
        return facade

    return fill


def facade_of(kind: type) -> type[Facade]:
    """The facade class for values of this class."""
    return _SPECIAL.get(kind) or _made(kind)


@cache
def _made(kind: type) -> type[Facade]:
    names = _members(kind) | {"__doc__": kind.__doc__, "__module__": "trmm_async.sync"}
    return type(kind.__name__, (Facade,), names)


def _members(kind: type) -> dict[str, Any]:
    names: dict[str, Any] = {"_of": kind}
    for base in kind.__mro__:
        for name, member in vars(base).items():
            if (
                base.__module__.startswith("trmm_async.")
                and (made := _member(kind.__name__, name, member)) is not None
            ):
                names.setdefault(plain_name(name), made)
    if issubclass(kind, Mapping):
        names |= _MAPPING
    for name, member in _DUNDERS.items():
        if hasattr(kind, name):
            names |= member
    return names


def _member(owner: str, name: str, member: object) -> object:
    """The facade's member for a member of the asynchronous class; None for private ones."""
    if name.startswith("_") and name not in {"__enter__", "__exit__", "__call__", "__len__", "__contains__"}:
        return None
    if isinstance(member, property):
        return property(lambda self: _done(self, lambda: getattr(self._it, name)), doc=member.__doc__)
    return _method(owner, name, member) if inspect.isfunction(member) else None


def _method(owner: str, name: str, member: Any) -> Callable[..., Any]:
    def method(self: Facade, /, *args: Any, **settings: Any) -> Any:
        try:
            args, settings = _given(self, name, args, settings)
            return _done(self, lambda: getattr(self._it, name)(*args, **settings))
        finally:
            # Error reporters record the local variables of a traceback's frames: there may be a password.
            args, settings = (), {}

    method.__name__ = method.__qualname__ = plain_name(name)
    method.__doc__ = member.__doc__
    method.__module__ = member.__module__
    method.__signature__ = without(inspect.signature(member), owner, name)  # type: ignore[attr-defined]
    return method


def without(signature: inspect.Signature, owner: str, name: str) -> inspect.Signature:
    """A signature of the asynchronous client without the arguments in `LEFT_OUT`."""
    left_out = LEFT_OUT.get((owner, name), ())
    kept = [one for one in signature.parameters.values() if one.name not in left_out]
    return signature.replace(parameters=kept)


# -- awaiting, entering, iterating ---------------------------------------------------------------------------


def _wait(self: Facade) -> Any:
    """Wait for the result, as `await` does. May be called once."""
    return _done(self, lambda: _awaited(self._it))


async def _awaited(it: Awaitable[Any]) -> Any:
    return await it


def _enter(self: Facade) -> Any:
    it = self._it

    async def undo(_: object) -> None:
        await it.__aexit__(None, None, None)

    return _wrapped(self, self._portal.call(it.__aenter__, undo))


def _exit(
    self: Facade, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> Any:
    return self._portal.call(lambda: self._it.__aexit__(kind, error, trace))


def _iter(self: Facade) -> Any:
    found = self._portal.call(self._it.__aiter__)
    return self if found is self._it else _Rows(self._portal, found)


def _next(self: Facade) -> Any:
    if "_ready" not in vars(self):
        self._ready = deque()
    return _taken(self._portal, self._it, self._ready, 1)


class _Rows:
    """Iterates over the rows of a list, which are fetched in batches."""

    def __init__(self, portal: Portal, rows: AsyncIterator[Any]) -> None:
        self._portal = portal
        self._rows = rows
        self._ready: deque[Any] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return _taken(self._portal, self._rows, self._ready, _BATCH)


def _taken(portal: Portal, source: AsyncIterator[Any], ready: "deque[Any]", most: int) -> Any:
    async def take() -> bool:
        # Kept in `ready` by the loop itself: an item that is taken just when Ctrl-C comes is not lost.
        try:
            while len(ready) < most:
                ready.append(await anext(source))
        except StopAsyncIteration:
            return bool(ready)
        except BaseException:
            if not ready:
                raise
        return True

    if not ready and not portal.call(take):
        raise StopIteration
    return ready.popleft()


def _snapshot(self: Facade) -> dict[str, Any]:
    """A copy of a mapping, since the mapping may change while a thread iterates over it."""
    found: dict[str, Any] = self._portal.call(lambda: dict(self._it))
    return found


_MAPPING: Final[dict[str, Any]] = {
    "__getitem__": lambda self, key: self._portal.call(lambda: self._it[key]),
    "__contains__": lambda self, key: self._portal.call(lambda: key in self._it),
    "__len__": lambda self: self._portal.call(lambda: len(self._it)),
    "__iter__": lambda self: iter(_snapshot(self)),
    "get": lambda self, key, default=None: self._portal.call(lambda: self._it.get(key, default)),
    "keys": lambda self: _snapshot(self).keys(),
    "values": lambda self: _snapshot(self).values(),
    "items": lambda self: _snapshot(self).items(),
}
_DUNDERS: Final[Mapping[str, dict[str, Any]]] = {
    "__await__": {"wait": _wait},
    "__aiter__": {"__iter__": _iter},
    "__anext__": {"__next__": _next},
    "__aenter__": {"__enter__": _enter, "__exit__": _exit},
}


# -- arguments and results -----------------------------------------------------------------------------------


def _done(self: Facade, work: Callable[[], Any]) -> Any:
    return _wrapped(self, self._portal.call(lambda: _listed(work())))


def _listed(value: Any) -> Any:
    """An iterator as a list, read now: later, in another thread, its source may have changed."""
    return list(value) if isinstance(value, Iterator) else value


def _wrapped(self: Facade, value: Any) -> Any:
    if value is self._it:
        return self
    if not is_live(type(value)):
        return value
    return wrapped(self._portal, value)


def wrapped(portal: Portal, value: Any) -> Any:
    """Make the facade of a value of the asynchronous client."""
    facade = object.__new__(facade_of(type(value)))
    facade._portal, facade._it = portal, value
    return facade


def _given(
    self: Facade, name: str, args: tuple[Any, ...], settings: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Convert the arguments to those of the asynchronous method."""
    signature = inspect.signature(getattr(type(self), plain_name(name)))
    try:
        bound = signature.bind(self, *args, **settings)
    except TypeError as error:
        raise TypeError(f"{plain_name(name)}(): {error}") from None
    for parameter, value in bound.arguments.items():
        kind = bound.signature.parameters[parameter].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            bound.arguments[parameter] = tuple(taken(self._portal, name, parameter, one) for one in value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            bound.arguments[parameter] = {
                key: taken(self._portal, name, key, one) for key, one in value.items()
            }
        else:
            bound.arguments[parameter] = taken(self._portal, name, parameter, value)
    return bound.args[1:], bound.kwargs


def taken(portal: Portal, method: str, parameter: str, value: Any) -> Any:
    """Convert an argument to that of the asynchronous method."""
    if isinstance(value, Facade):
        if value._portal is not portal:  # noqa: SLF001 - it is one of us
            raise InvalidRequestError(f"{parameter} belongs to another client: {value!r}")
        return value._it  # noqa: SLF001 - the same
    if isinstance(value, Iterator):
        # Read here, since it may block, which the loop must not.
        return list(value)
    if (method, parameter) in _MAY_WAIT and callable(value) and not inspect.iscoroutinefunction(value):
        return partial(portal.in_thread, value)
    return value


_MAY_WAIT: Final = frozenset(
    {
        ("__init__", "access_token"),
        ("__init__", "api_key"),
        ("login", "totp"),
        ("map", "call"),
        ("on", "callback"),
        ("on", "on_error"),
    }
)
"""Functions of the user that are called in a thread, so that they may block, and use the client."""
