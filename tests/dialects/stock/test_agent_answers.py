"""What an answer means that the server gives in place of an agent."""

import pytest

from trmm_async.calls import Call, ErrorHint
from trmm_async.dialects.stock.agent_answers import NO_BUS, NO_NATS_API, of_an_agent
from trmm_async.errors import AgentLostError, AgentUnreachableError, ServerError

KNOWN = ErrorHint(advice="known already", kind=ServerError)


def explained(status: int, body: bytes, words: ErrorHint = KNOWN, advice: str = NO_NATS_API) -> ErrorHint:
    call: Call[bytes] = Call(method="GET", path="/x/", decode=bytes, explain=lambda *_: words)
    return of_an_agent(call, advice).explain(status, body)


@pytest.mark.parametrize("before", ["", "Unable to complete recovery: "])
def test_one_word_says_who_did_not_answer(before: str) -> None:
    silent = explained(400, f'"{before}timeout"'.encode())
    assert (silent.kind, silent.advice) == (AgentLostError, "the agent did not answer")
    down = explained(400, f'"{before}natsdown"'.encode())
    assert (down.kind, down.advice) == (AgentUnreachableError, NO_BUS)


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, b'"timeout of the script"'), (400, b'{"timeout": ["no"]}'), (404, b'"timeout"'), (400, b"")],
)
def test_everything_else_means_what_it_does_elsewhere(status: int, body: bytes) -> None:
    assert explained(status, body) == KNOWN


def test_a_500_has_the_advice_of_the_call_where_there_is_any() -> None:
    assert explained(500, b"") == ErrorHint(advice=NO_NATS_API, kind=ServerError)
    assert explained(500, b"", advice="other").advice == "other"
    bare = ErrorHint(kind=ServerError)
    assert explained(500, b"", bare) == bare
