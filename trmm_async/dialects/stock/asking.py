"""Calls for which the server asks an agent at once, over its message bus, and waits for the answer.

Above `wording`, below what is done to agents. Each holds a worker of the server for as long as that takes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

import msgspec

from trmm_async.calls import Call, Explain, Replay, Words, ignore_answer
from trmm_async.dialects.stock.wording import change_for, get, sentence
from trmm_async.errors import AgentLostError, AgentUnreachableError

__all__ = ["BUS_DOWN", "NO_BUS", "NO_NATS_API", "ask_agent", "asking", "tell_agent", "tell_agent_for"]

T = TypeVar("T")

BUS_DOWN: Final = "natsdown"
"""What a stock server has in place of an agent's answer where it can't reach its own message bus."""

NO_BUS: Final = "the server's message bus (NATS) is down: nothing got to the agent"

NO_NATS_API: Final = "a stock server answers so too if its nats-api is down and the agent is offline"

_BARE: Final[Mapping[str, Words]] = {
    f"{before}{word}": words
    for before in ("", "Unable to complete recovery: ")
    for word, words in (
        ("timeout", Words(kind=AgentLostError, advice="the agent did not answer")),
        (BUS_DOWN, Words(kind=AgentUnreachableError, advice=NO_BUS)),
    )
}
"""Some calls answer with the bare word for no answer."""


def ask_agent(path: str, decode: Callable[[bytes], T], *, waits: float) -> Call[T]:
    """A question to an agent that changes nothing; the server waits `waits` seconds for it."""
    return asking(get(path, decode, waits=waits))


def tell_agent(
    method: str,
    path: str,
    body: object = None,
    *,
    waits: float,
    replay: Replay = Replay.NEVER,
    advice: str = NO_NATS_API,
) -> Call[None]:
    """Something for an agent to do; `advice` is what to say of a 500."""
    return tell_agent_for(ignore_answer, method, path, body, waits=waits, replay=replay, advice=advice)


def tell_agent_for(
    decode: Callable[[bytes], T],
    method: str,
    path: str,
    body: object = None,
    *,
    waits: float,
    replay: Replay = Replay.NEVER,
    advice: str = NO_NATS_API,
) -> Call[T]:
    """The same for the sake of its answer."""
    call = change_for(decode, method, path, body, replay=replay, waits=waits)
    # Ending a process is a DELETE, and its number may be another process's by the second time.
    return asking(msgspec.structs.replace(call, replay=replay, gone_is_done=False), advice)


def asking(call: Call[T], advice: str = NO_NATS_API) -> Call[T]:
    """The call with what an agent's silence, and the bus's, mean; `advice` is what to say of a 500."""
    return msgspec.structs.replace(call, explain=partial(_explain, call.explain, advice))


def _explain(explain: Explain, advice: str, status: int, body: bytes) -> Words:
    words = explain(status, body)
    if status == 400:
        return _BARE.get(sentence(body), words)
    if status == 500 and words.advice:
        return Words(advice=advice, kind=words.kind)
    return words
