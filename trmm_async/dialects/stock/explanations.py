"""What the refusals of a stock server mean.

Below all other modules of the stock dialect. Facts are of Tactical RMM 1.5.1: the answer to a body without a
required key is a page of HTML with 500, and to an unknown path one with 404. If an agent does not answer, it
is a sentence with 400.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, ErrorHint, Lane, Replay
from trmm_async.errors import AgentLostError, AgentUnreachableError

__all__ = [
    "Bodies",
    "Needs",
    "SHORT_ID",
    "UNREACHABLE",
    "counted",
    "is_page",
    "segment",
    "sentence",
    "worded",
]

T = TypeVar("T")

Needs: TypeAlias = tuple[str, ...]
"""The keys that a body must have; "mode=script" is a key with the value that it must have."""

Bodies: TypeAlias = Callable[[], Iterable[Needs]]
"""The required keys of each kind of body that a call can have."""

UNREACHABLE: Final = "Unable to contact the agent"
"""What a stock server says if an agent did not answer in time."""

SHORT_ID: Final = re.compile(r"/(?:agents|checks|services|software|scripts)/(?!\d+/)([^/]{1,20})/")
"""A path with something in the place of an agent's id that is too short for one."""

_DEFINITE: Final = frozenset({500})
"""Nearly every 500 of a stock server is caused by the request: sending it again gets the same answer."""

_COUNT: Final = re.compile(r" on ([0-9]{1,9}) agents?\b")
_PAGE: Final = re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE)


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def worded(call: Call[T], *, bodies: Bodies, waits: float | None = None) -> Call[T]:
    """The call with what a stock server's refusals of it mean. If it waits, it counts against `max_waiting`.

    `bodies` is called only if the server has failed.
    """
    lanes = call.lanes if waits is None else (*call.lanes, Lane.WORKERS)
    return msgspec.structs.replace(
        call,
        explain=partial(_explain, call, bodies),
        definite=_DEFINITE,
        lanes=lanes,
        answers_within=call.answers_within if waits is None else waits,
    )


def is_page(body: bytes) -> bool:
    """Whether an answer is a page of HTML, as the server sends if it has no better words."""
    return _PAGE.match(body) is not None


def sentence(body: bytes) -> str:
    """The answer of a call that is answered with a sentence; "" for other JSON, and text that is no JSON."""
    try:
        said: Any = codec.decoder(object)(body)
    except msgspec.DecodeError:
        said = body.decode(errors="replace")
    return said if isinstance(said, str) else ""


def counted(body: bytes) -> int:
    """The number of agents in the sentence of an answer; 0 if it says something else."""
    found = _COUNT.search(sentence(body))
    return int(found.group(1)) if found else 0


def _explain(call: Call[Any], bodies: Bodies, status: int, body: bytes) -> ErrorHint:
    if status == 400 and sentence(body) == UNREACHABLE:
        return ErrorHint(kind=AgentUnreachableError if call.replay is Replay.SAFE else AgentLostError)
    if not is_page(body):
        return ErrorHint()
    if status == 500:
        return ErrorHint(advice=_why_500(call, bodies()))
    if status == 404:
        return ErrorHint(advice=_why_404(call.path))
    return ErrorHint()


def _why_500(call: Call[Any], bodies: Iterable[Needs]) -> str:
    missing = _missing(call.body, bodies)
    if missing:
        return f"a stock server says so to a body that lacks {', '.join(missing)}"
    what = (
        "a filter of the wrong kind"
        if call.method == "GET"
        else "a body that lacks a key, or names what is not there"
    )
    return f"a stock server answers so to a bad request too: {what}"


def _why_404(path: str) -> str:
    if agent := SHORT_ID.match(path):
        return f"no such path here; an agent's id has more than 20 characters, {agent.group(1)!r} has not"
    return 'no such path here: is the server a gateway (dialect="gateway"), or of another version?'


def _missing(sent: bytes | None, bodies: Iterable[Needs]) -> list[str]:
    """The required keys that the body lacks, of the kind of body that it is most like."""
    given = _keys(sent)
    wanted = [[key.partition("=") for key in needs] for needs in bodies]
    lacking = [
        [key for key, _, _ in needs if key not in given]
        for needs in wanted
        if all(not value or given.get(key, value) == value for key, _, value in needs)
    ]
    return min(lacking, key=len, default=[])


def _keys(sent: bytes | None) -> Mapping[str, Any]:
    try:
        return {} if sent is None else codec.decoder(dict[str, Any])(sent)
    except msgspec.DecodeError:
        return {}
