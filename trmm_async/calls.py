"""Requests as values: what to send, how to decode the answer, and whether it may be sent again.

A dialect makes them by pure functions, which can be tested without I/O. The transport carries them out. A
`Call` knows nothing of hosts, keys, rate limits or sockets.
"""

import enum
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from types import MappingProxyType
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

import msgspec

from trmm_async.errors import APIError
from trmm_async.events import Event

__all__ = [
    "WRONG_ADDRESS",
    "ArrayCall",
    "Call",
    "ErrorExplainer",
    "FrameReader",
    "Lane",
    "Plan",
    "Replay",
    "Request",
    "RowReader",
    "Steps",
    "StreamSpec",
    "ErrorHint",
    "ignore_answer",
    "plan",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


class Replay(enum.Enum):
    """What it would mean to send the same call twice."""

    SAFE = "reads only"
    IDEMPOTENT = "changes something; twice is the same as once"
    NEVER = "changes something; twice is twice"


class Lane(enum.Enum):
    """A limit that applies to some calls, in addition to the one for all."""

    DEPLOYMENTS = "deployments"
    WORKERS = "calls that each hold a worker of the server while they wait for an agent"


@dataclass(frozen=True, slots=True)
class ErrorHint:
    """What a dialect knows about an error's answer beyond its status.

    Attributes:
        advice: what the error says in addition to the server's own message; may be empty.
        kind: the error's class, if it is not the one that belongs to the status.
        unsupported: the text of an `UnsupportedError`, if the server is too old for the call; or empty.
    """

    advice: str = ""
    kind: type[APIError] | None = None
    unsupported: str = ""


ErrorExplainer: TypeAlias = Callable[[int, bytes], ErrorHint]
"""(status, body) of an answer that isn't success -> what it means on this server. Pure."""

WRONG_ADDRESS: Final = "is it the API's address (often api.…), and not the web client's?"
"""The question to ask if the answer is a page of HTML."""

_NO_HINT: Final = ErrorHint()
_NO_QUERY: Final[Mapping[str, str]] = MappingProxyType({})


def _no_hint(status: int, body: bytes) -> ErrorHint:
    del status, body
    return _NO_HINT


def ignore_answer(body: bytes) -> None:
    """The decoder of calls whose answer contains nothing but the status."""
    del body


class Call(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True, gc=False):
    """One request.

    Attributes:
        method: the HTTP method.
        path: the path from the server's root, with a leading and a trailing slash, ids quoted.
        decode: decodes the answer's body. Raises `msgspec.DecodeError`. If it has an attribute `rows`, as the
            decoders of `codec` for lists have, that makes a reader for the answer while it downloads.
        query: the query; the values are texts already.
        body: encoded JSON, or None.
        headers: additional headers, for the one path that takes a token of its own.
        replay: see `Replay`.
        lanes: further limits that apply to it.
        answers_within: seconds that the server itself may take to answer, in addition to the client's timeout
            (a script that is waited for); None for none.
        is_secret: the answer contains secrets of the user's, so no error shows the body.
        gone_is_done: a 404 after a lost answer means that the lost attempt had succeeded (deletes).
        explain: what an answer that isn't success means on this server, beyond its status.
        definite: statuses that usually mean a passing failure, but are final on this server.
        keeps_key: a 401 is an answer to this call, so no other key is asked for.
    """

    method: str
    path: str
    decode: Callable[[bytes], T_co]
    query: Mapping[str, str] = _NO_QUERY
    body: bytes | None = None
    headers: Mapping[str, str] = _NO_QUERY
    replay: Replay = Replay.SAFE
    lanes: tuple[Lane, ...] = ()
    answers_within: float | None = None
    gone_is_done: bool = False
    is_secret: bool = False
    explain: ErrorExplainer = _no_hint
    definite: frozenset[int] = frozenset()
    keeps_key: bool = False

    def __iter__(self) -> "Generator[Call[Any], Any, T_co]":
        """One step of a plan: `answer = yield from call`."""
        answer: T_co = yield self
        return answer


Steps: TypeAlias = Generator[Call[Any], Any, T]
"""A generator that yields calls, receives their answers (or errors), and returns the outcome."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[T_co]):
    """A request that takes several calls, one after the other. Each use of it starts its steps anew.

    The generator does no I/O, so a test can answer its calls by hand.
    """

    steps: Callable[[], Steps[T_co]]

    def __iter__(self) -> Steps[T_co]:
        """All of its steps as a part of another plan: `outcome = yield from plan`."""
        return self.steps()


def plan(steps: Callable[P, Steps[T]]) -> Callable[P, Plan[T]]:
    """Decorate a generator function: calling it returns a `Plan` of the steps that it yields.

    Nothing of the function runs before the plan is carried out, and all of it runs once for each use.
    """

    @wraps(steps)
    def planned(*args: P.args, **kwargs: P.kwargs) -> Plan[T]:
        return Plan(partial(steps, *args, **kwargs))

    return planned


Request: TypeAlias = Call[T] | Plan[T]
"""What a dialect makes of an intent: one call, or several."""


class RowReader(Protocol[T]):
    """Reads one JSON array while it downloads: `json_arrays.ArrayDecoder`, or a wrapper of it."""

    def feed(self, chunk: bytes, /) -> Iterator[list[T]]:
        """Take the next bytes; the elements that are complete. Raises `msgspec.DecodeError`."""
        ...

    def finish(self) -> list[T]:
        """The body has ended; the elements left. Raises `msgspec.DecodeError`, also if the body was cut."""
        ...

    def whole(self, found: list[Any], /) -> Any:
        """Make of all elements what `Call.decode` makes of the whole body."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayCall(Generic[T]):
    """A call whose answer is a long array, which is read while it downloads. `rows` makes a reader for it."""

    call: Call[Any]
    rows: Callable[[], RowReader[T]]


FrameReader = Callable[[str, bytes], Event]
"""(agent_id, frame) -> event. A frame that can't be read is an `UnknownEvent`.

Raises only `UnsupportedError`, which ends the stream: the server can't send what was asked for.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """One agent's event socket: its path, how to read its frames, which close codes are refusals.

    Attributes:
        refusals: close codes, and the HTTP status that each stands for. After others, connect again.
        begins_with_state: the first frame of every connection has the present state. It comes at once, and
            entering the subscription waits for it.
    """

    agent_id: str
    path: str
    read: FrameReader
    refusals: Mapping[int, int]
    begins_with_state: bool = False
