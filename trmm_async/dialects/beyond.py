"""What a stock server offers beyond a gateway, as intents.

Below `base`; of each dialect `Dialect.beyond` gives it, or raises `UnsupportedError`. Values arrive checked, every
method is a pure function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from trmm_async.calls import Call, Request
from trmm_async.errors import TRMMError
from trmm_async.events import CommandOutput
from trmm_async.models import HistoryEntry

__all__ = [
    "AgentActions",
    "Beyond",
    "Checked",
    "CommandFrame",
    "CommandOrder",
    "CommandSpec",
    "Library",
    "LiveCommands",
    "Logins",
    "Refused",
    "Taken",
    "Token",
    "Unreadable",
]


@dataclass(frozen=True, slots=True)
class Token:
    """What lets a WebSocket in, and when the server says it ends, if it does. The text is in no repr."""

    text: str = field(repr=False)
    expiry: datetime | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What the server says of a name and a password: a token at once, or that a second factor is wanted."""

    token: Token | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOrder:
    """One run of one command; `cmd_id` ties its output to it."""

    command: str
    shell: str
    timeout: int
    run_as_user: bool
    cmd_id: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The server has taken the command, and passes it on."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refuses the command: it was not run."""

    error: TRMMError


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A frame that we can't read."""


CommandFrame: TypeAlias = Taken | Refused | Unreadable | CommandOutput | None
"""None is one of another command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A live command: the socket, what is sent on it, how its frames read, and what is known besides.

    Attributes:
        path: the socket's; a token goes behind it as the query that `query` makes of it.
        opening: the one message to send.
        read: a frame's meaning. Never raises.
        refused: the error for a handshake's status or a close code that is a refusal; None if it is none.
        bad_token: the handshake's statuses that mean the token is no good.
        no_agent: the handshake's statuses that mean there is no such agent.
        own_words: how output begins that is the server's own, where it can't reach its agents.
        listens: seconds that the server listens to the agent, from its taking the command on.
        history: what was run on the agent.
        statuses: the agent's status by its id.
    """

    path: str
    query: Callable[[Token], str]
    opening: str
    read: Callable[[bytes], CommandFrame]
    refused: Callable[[int], TRMMError | None]
    bad_token: frozenset[int]
    no_agent: frozenset[int]
    own_words: tuple[str, ...]
    listens: float
    history: Call[list[HistoryEntry]]
    statuses: Call[Mapping[str, str]]


class AgentActions(Protocol):
    """What is done to one agent, and asked of it."""

    def agent_history(self, agent_id: str) -> Request[list[HistoryEntry]]: ...


class Library(Protocol):
    """What stands on the server: scripts, sites, policies, custom fields, settings, logs; alerts, checks, tasks."""


class Logins(Protocol):
    """How a user logs in, which is what WebSockets want where they don't take the API key."""

    def check_credentials(self, username: str, password: str) -> Call[Checked | None]:
        """The first step; None for an answer that can't be read, since no error may hold it."""

    def log_in(self, username: str, password: str, code: str) -> Call[Token | None]:
        """The second, with a second factor; None as above."""


class LiveCommands(Protocol):
    """Commands whose output comes while they run."""

    def command_stream(self, agent_id: str, order: CommandOrder) -> CommandSpec: ...


class Beyond(AgentActions, Library, Logins, LiveCommands, Protocol):
    """All of it."""
