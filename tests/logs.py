"""What a client has told of its work."""

import logging
from typing import Any

import pytest

__all__ = ["Log", "of"]


class Log:
    """What stands in the log, by the room that wrote it."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def of(self, room: str, level: int = logging.INFO) -> list[str]:
        """The lines of one room of this level or a higher one."""
        return [
            one.getMessage()
            for one in self._caplog.records
            if one.name == f"trmm_async.{room}" and one.levelno >= level
        ]


def of(kind: type, seen: list[Any]) -> list[Any]:
    """The observations of one kind."""
    return [one for one in seen if type(one) is kind]
