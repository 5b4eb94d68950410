"""Frames of live commands that get lost on their way, as they do on the real server.

Below: `rules.py`. Above: `sockets.py` asks about every frame; `stock_switches.py` is how a test has them
lost. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trmm_async.testing.rules import Rule

__all__ = ["Frame", "FrameLoss", "Losses"]

Frame = Mapping[str, object]
"""A frame of a live command, as it would go onto the wire."""


class FrameLoss(Rule):
    """Frames of live commands that are lost on the way, until `times` of them are or `remove()` is called.

    `hits` counts them. Usable as a context manager, which removes it at the end of the block.
    """

    def __init__(self, meant: Callable[[Frame], bool], times: int | None) -> None:
        super().__init__(times)
        self._meant = meant

    def __repr__(self) -> str:
        return f"<FrameLoss {self.state}>"

    def takes(self, frame: Frame) -> bool:
        """Tell whether this frame is lost, and count it if it is."""
        if self.over or not self._meant(frame):
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class Losses:
    """The losses in force. The first that matches a frame loses it."""

    _losses: list[FrameLoss] = field(default_factory=list)

    def add(self, meant: Callable[[Frame], bool], times: int | None) -> FrameLoss:
        """Lose frames from now on."""
        loss = FrameLoss(meant, times)
        self._losses.append(loss)
        return loss

    def take(self, frame: Frame) -> bool:
        """Tell whether a frame is lost on its way."""
        self._losses = [loss for loss in self._losses if not loss.over]
        return any(loss.takes(frame) for loss in self._losses)

    def clear(self) -> None:
        """Remove all of them."""
        for loss in self._losses:
            loss.remove()
