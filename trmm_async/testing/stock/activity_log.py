"""The stock server's audit log, its debug log, and the pending actions of its agents.

Below: `nouns.py`. Above: the views write into it, `logs.py` shows it. Pure: the clock is handed in.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from trmm_async.testing.replies import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from trmm_async.testing.nouns import Agent

    from .table import Row

__all__ = ["ActivityLog"]

ADDRESS = "127.0.0.1"
SYSTEM_ISSUES = "system_issues"


class ActivityLog:
    """Rows by their ids, oldest first, as plain dicts in the columns of the server."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = {"audit": count(1), "debug": count(1), "action": count(1)}
        self.audit: dict[int, Row] = {}
        self.debug: dict[int, Row] = {}
        self.actions: dict[int, Row] = {}

    def log(
        self,
        username: str,
        action: str,
        object_type: str,
        message: str,
        *,
        agent: Agent | None = None,
        before: object = None,
        after: object = None,
    ) -> Row:
        """Add a row to the audit log and return it."""
        number = next(self._numbers["audit"])
        row: Row = {
            "id": number,
            "entry_time": iso(self._clock()),
            "ip_address": ADDRESS,
            "username": username,
            "agent": agent.hostname if agent else None,
            "agent_id": agent.agent_id if agent else None,
            "action": action,
            "object_type": object_type,
            "before_value": before,
            "after_value": after,
            "message": message,
            "debug_info": {"ip": ADDRESS},
        }
        self.audit[number] = row
        return row

    def login(self, username: str) -> None:
        """Add a successful login."""
        self.log(username, "login", "user", f"{username} logged in successfully")

    def failed_login(self, username: str, *, second_factor: bool = False) -> None:
        """Add a failed login."""
        why = "two factor token" if second_factor else "credentials"
        self.log(username, "failed_login", "user", f"{username} failed to login: wrong {why}")

    def command(self, agent: Agent, shell: str, command: str, username: str) -> None:
        """Add a command that was sent."""
        words = f"{username} issued {shell} command on {agent.hostname}."
        self.log(username, "execute_command", "agent", words, agent=agent, after=command)

    def script(self, agent: Agent, name: str, username: str) -> None:
        """Add a script that was sent."""
        words = f"{username} ran script: {name} on {agent.hostname}"
        self.log(username, "execute_script", "agent", words, agent=agent)

    def complain(
        self, message: str, *, level: str = "error", kind: str = SYSTEM_ISSUES, agent: str | None = None
    ) -> Row:
        """Add a row to the debug log and return it; `agent` is the id of the agent it is about."""
        number = next(self._numbers["debug"])
        row: Row = {
            "id": number, "entry_time": iso(self._clock()), "log_level": level, "log_type": kind,
            "message": message, "agent": agent,
        }  # fmt: skip
        self.debug[number] = row
        return row

    def plan(self, agent: Agent, kind: str, details: Row, *, status: str = "pending") -> Row:
        """Add a pending action of an agent and return its row."""
        number = next(self._numbers["action"])
        row: Row = {
            "id": number, "entry_time": iso(self._clock()), "action_type": kind, "status": status,
            "details": details, "agent": agent.agent_id,
        }  # fmt: skip
        self.actions[number] = row
        return row
