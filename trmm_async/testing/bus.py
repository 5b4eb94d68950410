"""The message bus between the stock server and its agents (NATS), and how it can fail.

Below: `nouns.py` and `replies.py`. Above: the handlers of the stock dialect ask agents through it;
`switches.py` breaks it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from .replies import AnsweredError, html_reply

if TYPE_CHECKING:
    from types import TracebackType

    from .nouns import Agent

__all__ = ["Bus", "Outage"]

CONNECTING = 4.0
"""Seconds that the server tries to reach a bus that is down, as recorded."""


@dataclass(slots=True)
class Bus:
    """Decides what happens when the server asks an agent.

    `up`: the bus itself runs. `watched`: nats-api runs, which listens on every subject, so that a question to
    an agent that is not there times out instead of failing at once. `hold` caps every wait, in seconds.
    """

    up: bool = True
    watched: bool = True
    hold: float | None = None

    def hears(self, agent: Agent) -> bool:
        """Whether a message without an answer reaches the agent."""
        return self.up and agent.answers

    async def reached(self) -> bool:
        """Tell whether the bus is up. If it is down, the server takes `CONNECTING` seconds to notice."""
        if not self.up:
            await self.wait(CONNECTING)
        return self.up

    async def silence(self, agent: Agent, seconds: float) -> str | None:
        """Return None if the agent answers; else wait as the server does, and return what it then has.

        That is `"timeout"` after `seconds`, or `"natsdown"`. Where it is offline and nats-api is down the bus
        says at once that nobody listens; the server does not expect that: `AnsweredError` with a 500 page.
        """
        if not await self.reached():
            return "natsdown"
        if agent.answers:
            return None
        if not agent.online and not self.watched:
            raise AnsweredError(html_reply(500))
        await self.wait(seconds)
        return "timeout"

    async def wait(self, seconds: float) -> None:
        """Wait so many seconds, or `hold` seconds if that is less."""
        await asyncio.sleep(max(0.0, min(seconds, math.inf if self.hold is None else self.hold)))


class Outage:
    """A part of the bus that is down until `end()`, or until the end of the block it is used in."""

    def __init__(self, bus: Bus, part: str) -> None:
        self._bus = bus
        self._part = part
        setattr(bus, part, False)

    def end(self) -> None:
        """Bring it up again; twice is harmless."""
        setattr(self._bus, self._part, True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
