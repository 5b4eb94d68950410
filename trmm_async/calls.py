"""Requests as values: what is to be sent, how its answer reads, and whether it may be sent again.

A dialect makes these (pure functions, testable without I/O), the transport carries them out. A
`Call` knows nothing of hosts, keys, limits' sizes or sockets.
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
    """What a second sending of the same call would mean."""

    SAFE = "reads only"
    IDEMPOTENT = "changes something; twice is the same as once"
    NEVER = "changes something; twice is twice"


class Lane(enum.Enum):
    """A budget that a call draws on, besides the one that all draw on."""

    DEPLOYMENTS = "deployments"
    WORKERS = "calls that each hold a worker of the server while they wait for an agent"


@dataclass(frozen=True, slots=True)
class ErrorHint:
    """What a dialect knows about an error's answer beyond its status.

    Attributes:
        advice: what to tell the user besides the server's own words; empty for nothing.
        kind: the error's class where the status alone would mean another.
        unsupported: what to say where the server is too old for the call; empty where it isn't.
    """

    advice: str = ""
    kind: type[APIError] | None = None
    unsupported: str = ""


ErrorExplainer: TypeAlias = Callable[[int, bytes], ErrorHint]
"""(status, body) of an answer that isn't success -> what that means on this server. Pure."""

WRONG_ADDRESS: Final = "is it the API's address (often api.…), and not the web client's?"
"""What to ask where a page of HTML stands in an answer's place."""

_NO_HINT: Final = ErrorHint()
_NO_QUERY: Final[Mapping[str, str]] = MappingProxyType({})


def _no_hint(status: int, body: bytes) -> ErrorHint:
    del status, body
    return _NO_HINT


def ignore_answer(body: bytes) -> None:
    """The decoder of calls whose answer says nothing that the status did not."""
    del body


class Call(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True, gc=False):
    """One request.

    Attributes:
        method: the HTTP method.
        path: from the server's root, with a leading and a closing slash, ids quoted.
        decode: the answer's body to what the call is for. Raises `msgspec.DecodeError` on what it can't read.
            If it has `rows`, as those of `codec` for lists, that makes a reader of it while it downloads.
        query: what goes behind the question mark; values are text already.
        body: encoded JSON, or None.
        headers: what it has besides those of every call, for the one path that takes a token of its own.
        replay: see `Replay`.
        lanes: further budgets that it draws on.
        answers_within: seconds in which the server itself may take to answer (a script that is waited for);
            None for the client's own timeout.
        is_secret: its answer holds secrets of the user's: no error shows the body.
        gone_is_done: 404 after a lost answer means that the lost one had succeeded (deletes).
        explain: what an answer that isn't success means on this server, beyond its status.
        definite: statuses that look like a passing failure and are an answer on this server: final.
        keeps_key: a 401 is an answer to it, after which no other key is asked for.
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
"""A generator that yields calls, is sent their answers (or thrown their errors), and returns the outcome."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[T_co]):
    """A request that takes several calls, one after the other. Each use of it starts its steps anew.

    Pure as a `Call` is: the generator does no I/O, so that a test can answer its calls by hand.
    """

    steps: Callable[[], Steps[T_co]]

    def __iter__(self) -> Steps[T_co]:
        """All of its steps, as a part of another plan: `outcome = yield from plan`."""
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
"""What a dialect makes of an intent."""


class RowReader(Protocol[T]):
    """Reads one JSON array while it downloads: `json_arrays.ArrayDecoder`, or a wrapper of it."""

    def feed(self, chunk: bytes, /) -> Iterator[list[T]]:
        """Take some bytes; the elements that are complete by them. Raises `msgspec.DecodeError`."""
        ...

    def finish(self) -> list[T]:
        """The body is over; the elements not yet given. Raises `msgspec.DecodeError`, also if it was cut."""
        ...

    def whole(self, found: list[Any], /) -> Any:
        """What all elements together come to: what `Call.decode` makes of the whole body."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayCall(Generic[T]):
    """A call whose answer is a long array, to be read while it downloads; `rows` makes a reader for it."""

    call: Call[Any]
    rows: Callable[[], RowReader[T]]


FrameReader = Callable[[str, bytes], Event]
"""(agent_id, frame) -> event. What it can't read is an `UnknownEvent`.

Raises at most `UnsupportedError`, which ends the stream: the server can't tell what this is about.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """One agent's event socket: where it is, how its frames read, which close codes are refusals.

    Attributes:
        refusals: close code to the HTTP status it stands for. Any other close is a lost connection.
        begins_with_state: the first frame of every connection tells how things stand; it comes at once, and
            entering waits for it.
    """

    agent_id: str
    path: str
    read: FrameReader
    refusals: Mapping[int, int]
    begins_with_state: bool = False
