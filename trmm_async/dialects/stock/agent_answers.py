"""The answers of calls for which the server asks an agent, over its message bus, and waits for it.

Over `explanations`, below `endpoint`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final, TypeVar

import msgspec

from trmm_async.calls import Call, ErrorExplainer, ErrorHint
from trmm_async.dialects.stock.explanations import sentence
from trmm_async.errors import AgentLostError, AgentUnreachableError

__all__ = ["BUS_DOWN", "NO_BUS", "NO_NATS_API", "of_an_agent"]

T = TypeVar("T")

BUS_DOWN: Final = "natsdown"
"""What a stock server answers in place of an agent if it can't reach its own message bus."""

NO_BUS: Final = "the server's message bus (NATS) is down: nothing got to the agent"

NO_NATS_API: Final = "a stock server answers so too if its nats-api is down and the agent is offline"

_BARE: Final[Mapping[str, ErrorHint]] = {
    f"{before}{word}": words
    for before in ("", "Unable to complete recovery: ")
    for word, words in (
        ("timeout", ErrorHint(kind=AgentLostError, advice="the agent did not answer")),
        (BUS_DOWN, ErrorHint(kind=AgentUnreachableError, advice=NO_BUS)),
    )
}
"""Some calls answer with only this word if the agent did not answer."""


def of_an_agent(call: Call[T], advice: str = NO_NATS_API) -> Call[T]:
    """The call, with what it means if the agent or the bus doesn't answer; `advice` is for a 500."""
    return msgspec.structs.replace(call, explain=partial(_explain, call.explain, advice))


def _explain(explain: ErrorExplainer, advice: str, status: int, body: bytes) -> ErrorHint:
    words = explain(status, body)
    if status == 400:
        return _BARE.get(sentence(body), words)
    if status == 500 and words.advice:
        return ErrorHint(advice=advice, kind=words.kind)
    return words
