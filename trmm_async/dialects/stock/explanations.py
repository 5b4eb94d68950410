"""How a stock server's calls are worded, and what its refusals mean.

Below all of the stock dialect's other files. Facts are those of Tactical RMM 1.5.1: a body that lacks a key
is answered with a page of HTML and 500, an unknown path with one and 404, and an agent that does not answer
with 400 and a sentence.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Lane, Replay, Words
from trmm_async.errors import AgentLostError, AgentUnreachableError

__all__ = [
    "SHORT_ID",
    "UNREACHABLE",
    "get",
    "is_page",
    "segment",
    "sentence",
    "worded",
]

T = TypeVar("T")

UNREACHABLE: Final = "Unable to contact the agent"
"""What a stock server says where an agent gave no answer in time."""

SHORT_ID: Final = re.compile(r"/(?:agents|checks|services|software|scripts)/(?!\d+/)([^/]{1,20})/")
"""A path with what is no agent's id: the server has none such."""

_DEFINITE: Final = frozenset({500})
"""A 500 of a stock server is nearly always about the request: to send it again is to hear it again."""

_PAGE: Final = re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE)

_NEEDED: Final[tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...]] = tuple(
    (method, re.compile(path), tuple(keys.split()))
    for method, path, keys in (
        ("POST", r"/agents/[^/]+/runscript/", "script output args timeout run_as_user env_vars"),
        ("POST", r"/agents/[^/]+/cmd/", "shell cmd timeout run_as_user"),
        ("POST", r"/agents/[^/]+/recover/", "mode"),
        ("POST", r"/agents/actions/bulk/", "mode target agents monType osType"),
        ("POST", r"/agents/notes/", "agent_id note"),
        ("POST", r"/alerts/bulk/", "bulk_action alerts"),
        ("POST", r"/clients/", "client site"),
        ("POST", r"/clients/sites/", "site"),
        ("POST", r"/clients/deployments/", "client site expires agenttype goarch power ping rdp"),
        ("POST", r"/scripts/[^/]+/test/", "code timeout args shell run_as_user env_vars"),
        ("POST", r"/tasks/", "name task_type actions"),
        ("POST", r"/v2/login/", "username password twofactor"),
        ("PUT", r"/clients/[0-9]+/", "client"),
        ("PUT", r"/clients/sites/[0-9]+/", "site"),
        ("PATCH", r"/logs/audit/", "pagination"),
    )
)
_NEEDED_BY_MODE: Final = {
    "script": ("script", "args", "timeout", "run_as_user", "env_vars"),
    "command": ("cmd", "shell", "timeout", "run_as_user"),
    "patch": ("patchMode",),
}


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def get(
    path: str,
    decode: Callable[[bytes], T],
    *,
    query: Mapping[str, object] | None = None,
    waits: float | None = None,
) -> Call[T]:
    """A call that only reads; `waits` is for how many seconds the server itself may wait for an agent."""
    given = {name: str(value) for name, value in (query or {}).items() if value is not None}
    return worded(Call(method="GET", path=path, decode=decode, query=given), waits=waits)


def worded(call: Call[T], *, waits: float | None = None, needs: tuple[str, ...] = ()) -> Call[T]:
    """The call with what a stock server's answers to it mean, and the bound on its workers if it waits.

    `needs` are keys of its body; where none are given, they are looked up by the path.
    """
    lanes = call.lanes if waits is None else (*call.lanes, Lane.WORKERS)
    explain = partial(_explain, call, needs)
    return msgspec.structs.replace(
        call,
        explain=explain,
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


def _explain(call: Call[Any], needs: tuple[str, ...], status: int, body: bytes) -> Words:
    if status == 400 and sentence(body) == UNREACHABLE:
        return Words(kind=AgentUnreachableError if call.replay is Replay.SAFE else AgentLostError)
    if not is_page(body):
        return Words()
    if status == 500:
        return Words(advice=_why_500(call, needs))
    if status == 404:
        return Words(advice=_why_404(call.path))
    return Words()


def _why_500(call: Call[Any], needs: tuple[str, ...]) -> str:
    missing = _missing(call.method, call.path, call.body, needs)
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


def _missing(method: str, path: str, sent: bytes | None, needs: tuple[str, ...]) -> list[str]:
    given = _keys(sent)
    needed: Collection[str] = needs or next(
        (keys for verb, where, keys in _NEEDED if verb == method and where.fullmatch(path)), ()
    )
    if path == "/agents/actions/bulk/":
        needed = (*needed, *_NEEDED_BY_MODE.get(str(given.get("mode")), ()))
    return [key for key in needed if key not in given]


def _keys(sent: bytes | None) -> Mapping[str, Any]:
    try:
        return {} if sent is None else codec.decoder(dict[str, Any])(sent)
    except msgspec.DecodeError:
        return {}
