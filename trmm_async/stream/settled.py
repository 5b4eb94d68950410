"""Waits until the streams of agents have begun or were refused, and decides whether that is a success.

It stands above `source` and below `subscription`.
"""

import asyncio
from collections.abc import Collection, Generator
from typing import Any

from trmm_async.stream.settings import StreamState
from trmm_async.stream.source import AgentStreamState

__all__ = ["Standing", "check_reached", "wait_until_settled"]


class Standing:
    """Done when an added agent is connected; see `Subscription.add`. May be awaited often, or never."""

    def __init__(self, agent_state: AgentStreamState | None) -> None:
        self._agent_state = agent_state

    def __await__(self) -> Generator[Any, Any, None]:
        if self._agent_state is not None:
            yield from self._agent_state.settled.wait().__await__()


async def wait_until_settled(states: Collection[AgentStreamState], *, every: bool) -> None:
    """Wait until all agents are connected or refused, or with `every=False`, until one is connected."""
    if every:
        for state in states:
            await state.settled.wait()
        return
    waiters = {asyncio.ensure_future(state.settled.wait()): state for state in states}
    try:
        while waiters:
            done, _ = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            connected = [waiters.pop(waiter).problem is None for waiter in done]
            if any(connected):
                return
    finally:
        for waiter in waiters:
            waiter.cancel()


def check_reached(states: Collection[AgentStreamState]) -> None:
    """Raise the problem of an agent if no agent could be reached.

    If several agents were all refused, nothing is raised, since the reader gets an `Ended` for each.
    """
    if any(state.problem is None for state in states):
        return
    for state in states:
        if state.problem is not None and (len(states) == 1 or state.state is not StreamState.ENDED):
            raise state.problem
