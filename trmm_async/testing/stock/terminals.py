"""Interactive terminals of agents over a WebSocket, as the dashboard opens them.

Below: `events.py` keeps the connections, `runner.py` runs what is typed. Above: `sockets.py` lets a user in.
The shell behind it is a small one: it echoes what is typed, runs each line as a command, and knows `exit`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from trmm_async.testing.runner import RunOrder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.events import Subscriber
    from trmm_async.testing.nouns import Agent

    from .accounts import User

__all__ = ["Terminal"]

SECONDS = 90
TOKENS = {"windows": ("cmd", "powershell"), "linux": ("bash",), "darwin": ("bash",)}
INVALID = {
    "windows": "Invalid shell. Use 'cmd', 'powershell', or an absolute Windows .exe path.",
    "linux": "Invalid shell. Use a supported shell (e.g. bash) or an absolute POSIX path.",
    "darwin": "Invalid shell. Use a supported shell (e.g. zsh, bash) or an absolute POSIX path.",
}
UNSAFE = re.compile(r"[\"'\n\r&|;]")
WINDOWS_PATH = re.compile(r"(?:[a-zA-Z]:\\|\\\\).*\.exe", re.IGNORECASE)
FOUND = re.compile(r"(?:bash|sh|zsh|fish|cmd\.exe|powershell\.exe|pwsh\.exe)$", re.IGNORECASE)
"""The programs that are there to be started by their path."""


class Terminal:
    """One session: `start` it, type with `input`, end it with `kill`."""

    def __init__(self, backend: Backend, user: User, agent: Agent | None, session_id: str) -> None:
        self._backend = backend
        self._user = user
        self._agent = agent
        self._session_id = session_id
        self._shell: str | None = None
        self._line = ""
        self._messages = 0

    def opened(self, subscriber: Subscriber) -> None:
        """Wait for the start."""

    def heard(self, subscriber: Subscriber, data: str | bytes) -> None:
        """Do what is asked; what is no JSON object ends the connection as an error in the server does."""
        try:
            content = json.loads(data) if isinstance(data, str) else None
        except ValueError:
            content = None
        if not isinstance(content, dict):
            subscriber.transport.close()
            return
        match content.get("action"):
            case "start":
                self._start(subscriber, content)
            case "input":
                self._type(subscriber, content.get("data", ""))
            case "resize":
                pass
            case "kill":
                self._end(subscriber)
            case unknown:
                subscriber.offer(json.dumps({"error": f"Unknown action: {unknown}"}))

    def _start(self, subscriber: Subscriber, content: Mapping[str, object]) -> None:
        if self._shell is not None:
            return
        if self._agent is None:
            subscriber.transport.close()
            return
        plat = self._agent.plat
        shell = str(content.get("shell") or "").strip() or TOKENS.get(plat, ("bash",))[0]
        if not _valid(shell, plat):
            self._fail(subscriber, INVALID.get(plat, "Unsupported agent platform."), "invalid_shell")
        elif not self._backend.bus.up:
            self._fail(subscriber, "Failed to start terminal session.", "terminal_start_failed")
        elif shell.lower() not in TOKENS.get(plat, ()) and not FOUND.search(shell):
            self._fail(subscriber, "exec: file not found", "terminal_start_failed")
        else:
            self._shell = shell
            self._print(subscriber, self._prompt)

    @staticmethod
    def _fail(subscriber: Subscriber, words: str, code: str) -> None:
        subscriber.offer(json.dumps({"action": "terminal_error", "error": words, "code": code}))

    @property
    def _prompt(self) -> str:
        return f"{self._shell}> "

    def _type(self, subscriber: Subscriber, typed: object) -> None:
        if self._shell is None or not isinstance(typed, str):
            return
        self._print(subscriber, typed.replace("\r", "\r\n"))
        *lines, self._line = (self._line + typed).split("\r")
        for line in lines:
            if line.strip() == "exit":
                self._end(subscriber)
                return
            self._run(subscriber, line)

    def _run(self, subscriber: Subscriber, line: str) -> None:
        agent = self._agent
        if agent is None or not self._backend.bus.hears(agent):
            return
        order = RunOrder(
            script=0, output="terminal", args=(), timeout=SECONDS, command=line, shell=self._shell or "",
            username=self._user.username, printed=lambda chunk: self._print(subscriber, chunk),
        )  # fmt: skip
        execution = self._backend.runner.start(agent, order)

        async def finish() -> None:
            if not (await execution.outcome()).lost:
                self._print(subscriber, self._prompt)

        self._backend.hub.spawn(finish())

    def _end(self, subscriber: Subscriber) -> None:
        if self._shell is not None:
            self._print(subscriber, "", exit_code=0)
        self._shell = None

    def _print(self, subscriber: Subscriber, text: str, exit_code: int | None = None) -> None:
        """Pass on what the agent prints; one that is not there prints nothing."""
        if self._agent is None or not self._backend.bus.hears(self._agent):
            return
        self._messages += 1
        data = {
            "output": text,
            "session_id": self._session_id,
            "exit_code": exit_code,
            "done": exit_code is not None,
            "messageId": str(self._messages),
        }
        subscriber.offer(json.dumps({"action": "trmmcli.output", "data": data}))


def _valid(shell: str, plat: str) -> bool:
    if shell.lower() in TOKENS.get(plat, ()):
        return True
    if UNSAFE.search(shell):
        return False
    return bool(WINDOWS_PATH.fullmatch(shell)) if plat == "windows" else shell.startswith("/")
