"""A source of events that tells what a test gives it."""

import asyncio
from typing import Self

from trmm_async import (
    Event,
)


class Told:
    """A source of events that is no subscription of ours."""

    def __init__(self, *events: Event) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        for event in events:
            self.queue.put_nowait(event)
        self.is_open = False

    async def __aenter__(self) -> Self:
        self.is_open = True
        return self

    async def __aexit__(self, *error: object) -> None:
        self.is_open = False

    def __aiter__(self) -> "Told":
        return self

    async def __anext__(self) -> Event:
        return await self.queue.get()
