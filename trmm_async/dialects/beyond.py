"""What a stock server offers beyond a gateway, as intents.

Below `base`; of each dialect `Dialect.beyond` gives it, or raises `UnsupportedError`. Values arrive checked,
every method is a pure function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from trmm_async.calls import Call, Request, StreamSpec
from trmm_async.dialects.library import Library
from trmm_async.errors import TRMMError
from trmm_async.events import CommandOutput
from trmm_async.hidden import HiddenText
from trmm_async.models import CommandResult, HistoryEntry

__all__ = [
    "AgentActions",
    "Beyond",
    "Checked",
    "CommandFrame",
    "CommandOrder",
    "CommandRun",
    "CommandSpec",
    "DashboardSpec",
    "Library",
    "LiveCommands",
    "Logins",
    "Refused",
    "Taken",
    "Token",
    "Unreadable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """One run of a command; `timeout` in seconds.

    `shell` None: the usual one of the agent's platform `plat`, which the server is asked for if that is None
    too. `custom_shell` is a program's path, for the shell "custom".
    """

    command: str
    shell: str | None = None
    custom_shell: str | None = None
    timeout: int = 30
    run_as_user: bool = False
    plat: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """What lets a WebSocket in, and when the server says it ends, if it does. The text is in no repr."""

    text: str = field(repr=False)
    expiry: datetime | None = None

    @property
    def query(self) -> str:
        """What goes behind the question mark of a socket's address."""
        return HiddenText(f"access_token={self.text}")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardSpec:
    """The dashboard's socket.

    Attributes:
        socket: where it is, and how its frames read.
        query: what a token makes of the query behind its path.
        bad_token: the handshake's statuses that mean the token is no good.
    """

    socket: StreamSpec
    query: Callable[[Token], str]
    bad_token: frozenset[int]


class AgentActions(Protocol):
    """What is done to one agent, and asked of it."""

    def run_command(self, agent_id: str, run: CommandRun) -> Request[CommandResult]: ...
    def ping_agent(self, agent_id: str) -> Request[bool]: ...
    def reboot_agent(self, agent_id: str) -> Request[None]: ...
    def reboot_agent_at(self, agent_id: str, at: datetime) -> Request[None]:
        """At a whole minute; without a time zone it is by the agent's clock."""
        ...

    def shut_down_agent(self, agent_id: str) -> Request[None]: ...
    def recover_agent(self, agent_id: str, mode: str) -> Request[None]: ...
    def update_agent(
        self, agent_id: str, changes: Mapping[str, object], custom_fields: Mapping[int, Any]
    ) -> Request[None]: ...
    def maintain_agents(self, kind: str, object_id: int, on: bool) -> Request[int]:
        """All agents of a "Client" or a "Site"; how many the server says they were."""
        ...

    def agent_history(self, agent_id: str) -> Request[list[HistoryEntry]]: ...


class Logins(Protocol):
    """How a user logs in, which is what WebSockets want where they don't take the API key."""

    def check_credentials(self, username: str, password: str) -> Call[Checked | None]:
        """The first step; None for an answer that can't be read, since no error may hold it."""
        ...

    def log_in(self, username: str, password: str, code: str) -> Call[Token | None]:
        """The second, with a second factor; None as above."""
        ...


class LiveCommands(Protocol):
    """Commands whose output comes while they run."""

    def command_stream(self, agent_id: str, order: CommandOrder) -> CommandSpec: ...


class Dashboards(Protocol):
    """What the web client shows of all agents."""

    def dashboard_counts(self) -> DashboardSpec: ...


class Beyond(AgentActions, Library, Logins, LiveCommands, Dashboards, Protocol):
    """All of it."""
