"""One call for each of many agents, a few at a time.

Below the resources that use it. The transport knows the limits of the server; this module only limits how
many calls are in progress, and collects the failures.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Generic, Self, TypeVar

from trmm_async.answers import frameless, is_page
from trmm_async.errors import (
    AuthenticationError,
    ClosedError,
    NotFoundError,
    PermissionDeniedError,
    TRMMError,
    UnsupportedError,
)

__all__ = ["Gathering"]

T = TypeVar("T")

_AT_ONCE: Final = 5
"""Half of the workers that `max_waiting` allows us, since the client has other calls as well."""

_IN_A_ROW: Final = 20
"""After so many failures without an answer in between, the server is the cause, not the agents."""

_FOR_ALL: Final = (AuthenticationError, PermissionDeniedError, ClosedError, UnsupportedError)


class Gathering(Generic[T]):
    """The answers as they come. Iterate over it once, and close it. It sends calls only during the iteration.

    An agent that was deleted meanwhile has no answer, and has not failed. An error that would be the same for
    every agent (a refused key) is raised.

    Attributes:
        failed: the agents whose call failed, with the errors; complete when the iteration has ended.
    """

    def __init__(self, agent_ids: Iterable[str], ask: Callable[[str], Awaitable[T]]) -> None:
        self._left = iter(agent_ids)
        self._ask = ask
        self._asked: dict[asyncio.Task[T], str] = {}
        self._in_a_row = 0
        self.failed: dict[str, TRMMError] = {}

    def __repr__(self) -> str:
        return f"<Gathering {len(self._asked)} asked, {len(self.failed)} failed>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            self._ask_more()
            if not self._asked:
                raise StopAsyncIteration
            done, _ = await asyncio.wait(self._asked, return_when=asyncio.FIRST_COMPLETED)
            task = done.pop()
            agent_id = self._asked.pop(task)
            try:
                answer = task.result()
            except TRMMError as error:
                self._note(agent_id, error)
            else:
                self._in_a_row = 0
                return answer

    async def aclose(self) -> None:
        """Send no more calls, and cancel those in progress."""
        tasks = list(self._asked)
        self._left = iter(())
        self._asked.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask_more(self) -> None:
        while len(self._asked) < _AT_ONCE and (agent_id := next(self._left, None)) is not None:
            self._asked[asyncio.create_task(self._one(agent_id))] = agent_id

    async def _one(self, agent_id: str) -> T:
        return await self._ask(agent_id)

    def _note(self, agent_id: str, error: TRMMError) -> None:
        if isinstance(error, _FOR_ALL):
            raise error
        if isinstance(error, NotFoundError) and not is_page(error.body.encode()):
            return
        # Without its traceback: there may be thousands of them.
        frameless(error)
        self.failed[agent_id] = error
        self._in_a_row += 1
        if self._in_a_row == _IN_A_ROW:
            unasked = TRMMError(f"not asked: {_IN_A_ROW} agents before it failed in a row")
            self.failed |= dict.fromkeys(self._left, unasked)
