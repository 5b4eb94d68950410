"""Calls of a stock server, and what they come to with a real server's recorded answers, without a server."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import NoneType
from typing import Any

import pytest

from tests.asked import NOUNS, Nouns, by_hand, request_of
from tests.recorded import asks_as_recorded, recording, sent_by
from trmm_async.answers import error_for
from trmm_async.calls import Call, Lane, Plan, Replay
from trmm_async.errors import AgentUnreachableError, OutcomeUnknownError, TRMMError
from trmm_async.retry import Reply

WINDOWS = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"
LINUX = "pzvqYMtrbuvZwnZuDMjJxyZLLKcgTAOGSfuihvmu"
OFFLINE = "RJhyjPzSJxkKIvIKwFQsVFOsCfYlcdgDssPddTey"
HUNG = "nCOVxkhTOabFFHiCvJtcdMoCkcXSUyQBiAXqozAZ"

NEVER, AGAIN, SAFE = Replay.NEVER, Replay.IDEMPOTENT, Replay.SAFE

Requested = Callable[[], Call[Any] | Plan[Any]]
Intent = Callable[[Nouns], Any]
"""A method that is called, or the call itself."""


def follow(request: Call[Any] | Plan[Any], answer: Callable[[Call[Any]], Any]) -> Any:
    """What a request comes to, whose calls are answered one after the other."""
    if isinstance(request, Call):
        return answer(request)
    steps = request.steps()
    call = next(steps)
    try:
        while True:
            try:
                reply = answer(call)
            except TRMMError as error:
                call = steps.throw(error)
            else:
                call = steps.send(reply)
    except StopIteration as end:
        return end.value


# -- answers as they were recorded ---------------------------------------------------------------------------


def answered(call: Call[Any], name: str) -> Any:
    """What a call comes to with a recorded answer, if it is the recorded request."""
    asks_as_recorded(call, name)
    told = recording(name)
    if told.status == 200:
        return call.decode(told.answer)
    raise error_for(call, Reply(told.status, {}, told.answer), str)


def carried_out(request: Call[Any] | Plan[Any], *names: str) -> Any:
    """The same for a plan, whose calls are answered one after the other."""
    left = iter(names)
    found = follow(request, lambda call: answered(call, next(left)))
    assert list(left) == []
    return found


def done(ask: Callable[[Nouns], Coroutine[Any, Any, Any]], *names: str) -> Any:
    """What a method returns if the server answers so."""
    return by_hand(ask, lambda request: carried_out(request, *names))


def named(rows: list[Any]) -> list[Any]:
    """Rows of tests, by the names of their recordings."""
    return [pytest.param(*row, id="+".join(row[1])) for row in rows]


def refused(
    request: Call[Any] | Plan[Any], names: tuple[str, ...], error: type[TRMMError], words: str
) -> None:
    """Assert that the recorded answers come to this error; of an unreachable agent nothing is open."""
    with pytest.raises(error, match=words) as caught:
        carried_out(request, *names)
    if error is AgentUnreachableError:
        assert not isinstance(caught.value, OutcomeUnknownError)


def waits(request: Call[Any] | Plan[Any], replay: Replay, seconds: float | None) -> None:
    """Assert how a call may be repeated, and for how long the server waits for an agent meanwhile."""
    assert isinstance(request, Call)
    assert (request.replay, request.answers_within) == (replay, seconds)
    assert (Lane.WORKERS in request.lanes) == (seconds is not None)


# -- one call, and what its answer becomes -------------------------------------------------------------------


def asked(intent: Intent) -> Any:
    """The first request of a method."""
    made = intent(NOUNS)
    return made if isinstance(made, Call | Plan) else request_of(made)


def answer_of(name: str) -> bytes:
    return recording(name).answer


def assert_is_recorded(call: Call[Any], name: str, but: dict[str, Any] | None = None) -> None:
    """The call is the very request of the recording, but for these keys of its body."""
    real = recording(name)
    sent = {**real.sent, **but} if but else real.sent
    assert sent_by(call) == (real.method, real.path, real.query, sent)


@dataclass(frozen=True)
class Case:
    """One call; `kind` is what its answer becomes, `but` where our body is another than the recorded."""

    name: str
    intent: Intent
    kind: type = NoneType
    replay: Replay = Replay.SAFE
    but: dict[str, Any] | None = None

    def holds(self) -> None:
        """Assert that the call is as recorded, and that its answer is ours."""
        call = asked(self.intent)
        assert_is_recorded(call, self.name, self.but)
        assert call.replay is self.replay
        assert call.gone_is_done is (call.method == "DELETE")
        decoded = call.decode(answer_of(self.name))
        assert isinstance(decoded, self.kind)
        if isinstance(decoded, list):
            assert decoded


# -- answers by hand -----------------------------------------------------------------------------------------


class ByHand:
    """Carries a request out with answers given by hand, and notes the calls."""

    def __init__(self, *answers: bytes | TRMMError) -> None:
        self.answers = list(answers)
        self.calls: list[Call[Any]] = []

    def of(self, request: Call[Any] | Plan[Any] | Intent) -> Any:
        if not isinstance(request, Call | Plan):
            found = by_hand(request, self._follow)
        else:
            found = self._follow(request)
        assert self.answers == []
        return found

    def _follow(self, request: Call[Any] | Plan[Any]) -> Any:
        return follow(request, self._answer)

    def _answer(self, call: Call[Any]) -> Any:
        self.calls.append(call)
        answer = self.answers.pop(0)
        if isinstance(answer, TRMMError):
            raise answer
        return call.decode(answer)


def one_call_is_recorded(name: str, intent: Intent) -> None:
    """Assert that a plan makes one call, which is as recorded."""
    script = ByHand(answer_of(name))
    script.of(intent)
    (call,) = script.calls
    assert_is_recorded(call, name)
