"""How a stock server's calls are worded, and what its refusals mean.

Below all of the stock dialect's other files. Facts are those of Tactical RMM 1.5.1: a body that lacks a key
is answered with a page of HTML and 500, an unknown path with one and 404, and an agent that does not answer
with 400 and a sentence.
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
"""The keys that a body must have; "mode=script" is one that must have this value besides."""

Bodies: TypeAlias = Callable[[], Iterable[Needs]]
"""What the bodies must have that a call may have, where there are several kinds of them."""

UNREACHABLE: Final = "Unable to contact the agent"
"""What a stock server says where an agent gave no answer in time."""

SHORT_ID: Final = re.compile(r"/(?:agents|checks|services|software|scripts)/(?!\d+/)([^/]{1,20})/")
"""A path with what is no agent's id: the server has none such."""

_DEFINITE: Final = frozenset({500})
"""A 500 of a stock server is nearly always about the request: to send it again is to hear it again."""

_COUNT: Final = re.compile(r" on ([0-9]{1,9}) agents?\b")
_PAGE: Final = re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE)


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def worded(call: Call[T], *, bodies: Bodies, waits: float | None = None) -> Call[T]:
    """The call with what a stock server's answers to it mean, and the bound on its workers if it waits.

    `bodies` are looked at only when the server has failed.
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
    """Whether an answer is a page of HTML, as the server has for what it has no words for."""
    return _PAGE.match(body) is not None


def sentence(body: bytes) -> str:
    """The answer of a call that is answered with a sentence; whatever else it is, as text."""
    try:
        said: Any = codec.decoder(object)(body)
    except msgspec.DecodeError:
        said = body.decode(errors="replace")
    return said if isinstance(said, str) else ""


def counted(body: bytes) -> int:
    """For how many agents, as the sentence of an answer says; none, where it says something else."""
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
    """The keys that the body lacks of those that it comes nearest to."""
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
