"""What a real stock server was asked and answered, recorded in `tests/recordings/`.

A recording is `{"request": {method, path, query, body}, "response": {status, headers, body}}`. Long arrays
and texts are cut in it, so a body is not always what the server sent, but always of its shape.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trmm_async.calls import Call

FOLDER = Path(__file__).parent / "recordings"
HTTP = FOLDER / "http"
NOT_YET_REPLAYED = frozenset((FOLDER / "not_yet_replayed.txt").read_text().split())
"""Of operations that have neither method nor simulated route yet. A name leaves the file with its test."""
NOT_YET_SIMULATED = frozenset((FOLDER / "not_yet_simulated.txt").read_text().split())
"""Replayed by our calls, and the simulator's answers are not held against them yet."""

NEW_SCRIPT: dict[str, Any] = {
    "name": "API script",
    "shell": "python",
    "code": "print('hi')\n",
    "description": "d",
    "category": "API",
    "args": ["a"],
    "env_vars": {"X": "1"},
    "default_timeout": 60,
    "supported_platforms": ["linux"],
}
"""Our arguments for the recorded `script_create`."""


@dataclass(frozen=True)
class Recording:
    name: str
    method: str
    path: str
    query: dict[str, str]
    sent: Any
    status: int
    body: Any
    is_text: bool

    @property
    def answer(self) -> bytes:
        """The bytes of the answer."""
        return self.body.encode() if self.is_text else json.dumps(self.body).encode()


@cache
def recording(name: str) -> Recording:
    told = json.loads((HTTP / f"{name}.json").read_text())
    asked, answered = told["request"], told["response"]
    body = answered["body"]
    return Recording(
        name=name,
        method=asked["method"],
        path=asked["path"],
        query={key: str(value) for key, value in (asked["query"] or {}).items()},
        sent=asked["body"],
        status=answered["status"],
        body=body,
        is_text=isinstance(body, str) and not answered.get("body_kind", "").startswith("json"),
    )


def sent_by(call: Call[Any]) -> tuple[str, str, dict[str, str], Any]:
    """A call as a recording has it: method, path, query and body."""
    body = None if call.body is None else json.loads(call.body)
    return call.method, call.path, dict(call.query), body


def asks_as_recorded(call: Call[Any], name: str) -> None:
    """The call is the very request of the recording."""
    told = recording(name)
    assert sent_by(call) == (told.method, told.path, told.query, told.sent)
