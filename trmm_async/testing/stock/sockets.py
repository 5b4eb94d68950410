"""The stock server's WebSockets: live commands, terminals, and the counts of the dashboard.

Below: `events.py` keeps the connections, `accounts.py` knows whose a token is, `runner.py` runs commands.
Above: `StockServer` adds the route. What these sockets do was recorded from agents/consumers.py and
core/consumers.py of the real server.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from typing import TYPE_CHECKING

from trmm_async.testing.replies import HTTPReply, RefusedError, html_reply
from trmm_async.testing.routing import Route
from trmm_async.testing.runner import RunOrder

from .dispatch import Dispatch
from .terminals import Terminal
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.events import Subscriber
    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.replies import Asked
    from trmm_async.testing.runner import Execution

    from .accounts import User
    from .losses import Frame

__all__ = ["DASHBOARD", "SocketsView"]

DASHBOARD = "dashinfo"
"""The name of the dashboard's sockets in the switches for event sockets."""

COMMANDS = re.compile(r"agent/([^/]+)/cmd/")
COMMANDS_SINCE = (1, 4)
ACTIONS_SINCE = (0, 19)
"""Before, a frame of the dashboard was nothing but its counts."""

TERMINAL = re.compile(r"agent/([^/]+)/terminal/([^/]+)/")
GROUP_NAME = re.compile(r"[a-zA-Z0-9\-_.]{1,99}")
OLDEST_VERSION = (2, 10, 0)
GRACE_SECONDS = 2
"""The server listens to an agent for so long after the timeout of a command; an agent stops it later."""

CERTIFICATE_DAYS = 89
FORBIDDEN = {"error": "You do not have permission to perform this action.", "status": 403}
TOO_OLD = {"error": "The streaming feature requires agent version 2.10.0 or higher.", "status": 400}
NO_BUS = "nats: no servers available for connection"
UNREADABLE = {"error": "Invalid command payload"}


class SocketsView:
    """Everything under `/ws/`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return the one call."""
        return (Route("GET", "/ws/{rest:rest}", self.open, public=True),)

    async def open(self, asked: Asked) -> HTTPReply | web.StreamResponse:
        """`GET /ws/…`: a socket, if the token is good; over plain HTTP there is nothing here."""
        if asked.raw.headers.get("Upgrade", "").lower() != "websocket":
            return html_reply(404)
        path = asked.params["rest"]
        user = self._user(asked)
        try:
            if path == f"{DASHBOARD}/":
                return await self._dashboard(asked, user)
            if (match := COMMANDS.fullmatch(path)) and self._backend.release >= COMMANDS_SINCE:
                return await self._commands(asked, user, match[1])
            if match := TERMINAL.fullmatch(path):
                return await self._terminal(asked, user, match[1], match[2])
        except RefusedError as no:
            return _refusal(no.status)
        return _refusal(500)

    def _user(self, asked: Asked) -> User | None:
        # As the server's KnoxAuthMiddleware has it: whatever follows the words, to the end of the query.
        _, found, token = asked.raw.rel_url.raw_query_string.partition("access_token=")
        session = self._backend.accounts.find(token) if found else None
        asked.row.key_ok = session is not None
        return None if session is None or session.user.blocked else session.user

    async def _dashboard(self, asked: Asked, user: User | None) -> web.StreamResponse:
        if user is None:
            raise RefusedError(403)
        return await self._backend.hub.serve(asked, DASHBOARD, DashboardSocket(self._backend, user))

    async def _commands(self, asked: Asked, user: User | None, agent_id: str) -> web.StreamResponse:
        if user is None:
            raise RefusedError(403)
        if not self._may(user, "can_send_cmd"):
            return await self._backend.hub.decline(asked, json.dumps(FORBIDDEN), 4003)
        agent = self._backend.world.agents.get(agent_id)
        if agent is None:
            raise RefusedError(500)
        if not self._visibility.shows_to(user, agent.site):
            return await self._backend.hub.decline(asked, json.dumps(FORBIDDEN), 4003)
        if _version(agent.version) < OLDEST_VERSION:
            return await self._backend.hub.decline(asked, json.dumps(TOO_OLD), 1000)
        return await self._backend.hub.serve(asked, agent_id, CommandLine(self._backend, user, agent))

    async def _terminal(
        self, asked: Asked, user: User | None, agent_id: str, session_id: str
    ) -> web.StreamResponse:
        if user is None or not self._may(user, "can_use_terminal") or not _is_uuid(session_id):
            raise RefusedError(403)
        agent = self._backend.world.agents.get(agent_id)
        if agent is not None and not self._visibility.shows_to(user, agent.site):
            raise RefusedError(403)
        return await self._backend.hub.serve(
            asked, agent_id, Terminal(self._backend, user, agent, session_id)
        )

    def _may(self, user: User, permission: str) -> bool:
        return user.may(permission) and not self._backend.gate.forbidden[permission]


class DashboardSocket:
    """Tells a socket how many agents there are and how many of them are offline, again and again."""

    def __init__(self, backend: Backend, user: User) -> None:
        self._backend = backend
        self._user = user

    def opened(self, subscriber: Subscriber) -> None:
        """Send the first counts, and go on."""
        self._backend.hub.spawn(self._tell(subscriber))

    def heard(self, subscriber: Subscriber, data: str | bytes) -> None:
        """Ignore JSON; the server falls over anything else."""
        if _json(data) is None:
            subscriber.transport.close()

    async def _tell(self, subscriber: Subscriber) -> None:
        while not subscriber.gone.is_set():
            subscriber.offer(json.dumps(self._frame()))
            await self._backend.dashboard_interval.pause()

    def _frame(self) -> Frame:
        counts = self._counts()
        named = self._backend.release >= ACTIONS_SINCE
        return {"action": "dashboard.agentcount", "data": counts} if named else counts

    def _counts(self) -> Frame:
        agents = self._backend.world.agents.values() if self._user.may("can_list_agents") else ()
        visible = [agent for agent in agents if Visibility(self._backend).shows_to(self._user, agent.site)]
        servers = [agent for agent in visible if agent.monitoring_type == "server"]
        others = [agent for agent in visible if agent.monitoring_type == "workstation"]
        return {
            "total_server_offline_count": sum(not agent.online for agent in servers),
            "total_workstation_offline_count": sum(not agent.online for agent in others),
            "total_server_count": len(servers),
            "total_workstation_count": len(others),
            "days_until_cert_expires": CERTIFICATE_DAYS,
        }


class CommandLine:
    """Takes commands for one agent from a socket and streams what they print."""

    def __init__(self, backend: Backend, user: User, agent: Agent) -> None:
        self._backend = backend
        self._user = user
        self._agent = agent
        self._dispatch = Dispatch(backend)

    def opened(self, subscriber: Subscriber) -> None:
        """Wait for a command."""

    def heard(self, subscriber: Subscriber, data: str | bytes) -> None:
        """Run a command, any number of them at a time.

        What is no JSON, or a `cmd_id` that makes no name for a channel, ends the connection as an error in
        the server does; a payload with a field missing is answered.
        """
        payload = _json(data)
        if payload is None:
            subscriber.transport.close()
            return
        fields = _fields(payload.value)
        if fields is None:
            subscriber.offer(json.dumps(UNREADABLE))
            return
        cmd_id = fields.get("cmd_id") or self._backend.runner.new_cmd_id()
        if not GROUP_NAME.fullmatch(f"agent_cmd_{self._agent.agent_id}_{cmd_id}"):
            subscriber.transport.close()
            return
        subscriber.offer(json.dumps({"cmd_id": cmd_id}))
        self._send(Stream(self._backend, self._agent, subscriber, cmd_id, _timeout(fields)), fields)

    def _send(self, stream: Stream, fields: Mapping[str, object]) -> None:
        """Write a command down and give it to the agent; one that is not there leaves it at that."""
        line, shell = str(fields["cmd"]), _shell(fields)
        row = self._backend.world.journal.write(
            self._agent.agent_id, type="cmd_run", username=self._user.username, command=line
        )
        self._backend.activity.command(self._agent, shell, line, self._user.username)
        if not self._backend.bus.up:
            self._backend.hub.spawn(stream.lament())
        if not self._backend.bus.hears(self._agent):
            return
        order = RunOrder(
            script=0, output="ws", args=(), timeout=stream.timeout, cmd_id=str(stream.cmd_id),
            grace=GRACE_SECONDS + 1, command=line, shell=shell, history=row.id, username=self._user.username,
            run_as_user=bool(fields.get("run_as_user")), printed=stream.printed,
            report=partial(self._dispatch.command_report, row),
        )  # fmt: skip
        self._backend.hub.spawn(stream.finish(self._backend.runner.start(self._agent, order)))


class Stream:
    """One command's way back: what it prints and its end, for as long as the server listens."""

    def __init__(
        self, backend: Backend, agent: Agent, subscriber: Subscriber, cmd_id: object, timeout: int
    ) -> None:
        self._backend = backend
        self._agent = agent
        self._subscriber = subscriber
        self.cmd_id = cmd_id
        self.timeout = timeout
        self._until = asyncio.get_running_loop().time() + timeout + GRACE_SECONDS

    def printed(self, chunk: str) -> None:
        """Pass on a piece of the output."""
        self._offer({"cmd_id": self.cmd_id, "output": chunk.replace("\r\n", "\n")})

    async def lament(self) -> None:
        """Send that the agent can't be reached, as soon as the server knows; no last frame follows."""
        if not await self._backend.bus.reached():
            words = f"[ERROR] Could not connect to NATS: {NO_BUS}"
            self._subscriber.offer(json.dumps({"cmd_id": self.cmd_id, "output": words}))

    async def finish(self, execution: Execution) -> None:
        """Pass on the end, and the error output before it; a lost agent has none."""
        run = await execution.outcome()
        if run.lost:
            return
        for line in run.stderr.splitlines(keepends=True):
            self.printed(line)
        self._offer({"cmd_id": self.cmd_id, "done": True, "exit_code": run.retcode})

    def _offer(self, frame: Frame) -> None:
        listening = asyncio.get_running_loop().time() < self._until
        if listening and self._backend.bus.up and not self._backend.losses.take(frame):
            self._subscriber.offer(json.dumps(frame))


class Decoded:
    """A JSON value, which may be null."""

    def __init__(self, value: object) -> None:
        self.value = value


def _json(data: str | bytes) -> Decoded | None:
    if isinstance(data, bytes):
        return None
    try:
        return Decoded(json.loads(data))
    except ValueError:
        return None


def _fields(value: object) -> Mapping[str, object] | None:
    """Return a payload that can be carried out: an object with a `cmd` and no `timeout` that is no number."""
    if not isinstance(value, dict) or "cmd" not in value:
        return None
    try:
        _timeout(value)
    except (ValueError, TypeError):
        return None
    return value


def _shell(fields: Mapping[str, object]) -> str:
    shell, custom = fields.get("shell") or "cmd", fields.get("custom_shell")
    return str(custom if shell == "custom" and custom else shell)


def _timeout(fields: Mapping[str, object]) -> int:
    value = fields.get("timeout", 30)
    if not isinstance(value, (int, float, str)):
        raise TypeError(value)
    return int(value)


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def _version(words: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", words)[:3])


def _refusal(status: int) -> HTTPReply:
    body = b"Internal Server Error" if status == 500 else b""
    return HTTPReply(status, body, "text/plain; charset=utf-8" if body else "text/plain")
