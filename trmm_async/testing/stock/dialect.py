"""All calls of the stock server, and how it refuses.

Below: one module for each part of the API. Above: `front.py` asks it about every request.
"""

from __future__ import annotations

import math
from dataclasses import replace
from http.client import responses
from typing import TYPE_CHECKING

from trmm_async.testing.replies import HTTPReply, html_reply, json_reply

from .agent_software import AgentSoftwareView
from .agent_upkeep import AgentUpkeepView
from .agents import AgentsView
from .alert_templates import AlertTemplatesView
from .alerts import AlertsView
from .automation import AutomationView
from .bulk import BulkView
from .checks import ChecksView
from .clients import ClientsView
from .core import CoreView
from .deployments import DeploymentsView
from .history import HistoryView
from .library import LibraryView
from .live import LiveView
from .login import LoginView
from .logs import LogsView
from .people import PeopleView
from .registry import RegistryView
from .runs import RunsView
from .setup import SetupView
from .sockets import SocketsView
from .tasks import TasksView
from .upkeep import UpkeepView
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiohttp import web

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.gate import Denial
    from trmm_async.testing.nouns import Event
    from trmm_async.testing.replies import Asked
    from trmm_async.testing.routing import Route
    from trmm_async.testing.world import UnknownThingError

    from .view import View

__all__ = ["VIEWS", "StockServer"]

VIEWS: tuple[Callable[[Backend], View], ...] = (
    CoreView, AgentsView, RunsView, HistoryView, BulkView, ClientsView, DeploymentsView, AlertsView,
    AlertTemplatesView, LoginView, SocketsView, AgentUpkeepView, ChecksView, TasksView, AutomationView,
    LibraryView, LiveView, AgentSoftwareView, LogsView, SetupView, PeopleView, RegistryView, UpkeepView,
)  # fmt: skip
"""Of two patterns that fit a path the earlier one is meant."""

SINCE = {
    "/v2/checkcreds/": (0, 19),
    "/v2/login/": (0, 19),
    "/agents/{agent_id:agent}/shutdown/": (0, 18),
    "/core/serverscript/test/": (0, 19),
    "/accounts/users/{id:int}/sessions/": (0, 20),
    "/accounts/sessions/{digest}/": (0, 20),
    "/core/v2/status/": (1, 0),
    "/core/schedules/": (1, 3),
    "/core/schedules/{id:int}/": (1, 3),
    "/software/{agent_id:agent}/uninstall/": (1, 3),
    **{
        f"/agents/{{agent_id:agent}}/registry/{path}": (1, 4)
        for path in (
            "",
            "create-key/",
            "rename-key/",
            "delete-key/",
            "create-value/",
            "modify-value/",
            "rename-value/",
            "delete-value/",
        )
    },
}
"""Which release of the server was the first to have a path."""

NO_KEY = "Authentication credentials were not provided."
WRONG_KEY = "Invalid token."
FAULTS = {"expired": "The token has expired.", "inactive": "User inactive or deleted."}
DETAILS = {401: WRONG_KEY, 403: "You do not have permission to perform this action.", 404: "Not found."}
MODELS = {
    "active deployment": "Deployment",
    "custom field": "CustomField",
    "task": "AutomatedTask",
    "check result": "CheckResult",
    "pending action": "PendingAction",
}
"""What Django calls the things whose name in the world is not its own, but for the capital."""


class StockServer:
    """Presents a world as the unmodified server does."""

    def __init__(self, backend: Backend) -> None:
        backend.database.begin()
        visibility, release = Visibility(backend), backend.release
        self._routes = tuple(
            _guarded(route, visibility)
            for view in VIEWS
            for route in view(backend).routes()
            if release >= SINCE.get(route.pattern, (0,))
        )

    def routes(self) -> Sequence[Route]:
        """Return the calls; of two patterns that fit a path the earlier one is meant."""
        return self._routes

    def refusal(
        self, status: int, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> HTTPReply:
        """Return `{"detail": ...}`, or the web page with which the server fails."""
        if status >= 500:
            return html_reply(status)
        words = detail or DETAILS.get(status) or responses.get(status, "error")
        asks_for = {"WWW-Authenticate": "Token"} if status == 401 else {}
        return json_reply(status, {"detail": words}, {**asks_for, **(headers or {})})

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return `Token ...` for a request with a login's token, which goes before an API key; or the key."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "token" and token:
            return f"Token {token}"
        return headers.get("X-API-KEY") or None

    def denial(self, denial: Denial, key: str | None) -> str | None:
        """Return the words of the refusal of a request with this key."""
        if denial.status == 401:
            return FAULTS.get(denial.fault or "", NO_KEY if key is None else WRONG_KEY)
        if denial.status == 429 and denial.wait is not None:
            return f"Request was throttled. Expected available in {math.ceil(denial.wait)} seconds."
        return None

    def unknown(self, error: UnknownThingError) -> HTTPReply:
        """Return 404 that names the model."""
        model = MODELS.get(error.noun, error.noun.title().replace(" ", ""))
        return self.refusal(404, f"No {model} matches the given query.")

    def frame(self, event: Event) -> str:
        """Return nothing: this server pushes no events."""
        del event
        return ""


def _guarded(route: Route, visibility: Visibility) -> Route:
    """Return a route that refuses an agent in its path which the role does not show, before anything else."""
    if "{agent_id:agent}" not in route.pattern:
        return route

    def handle(asked: Asked) -> HTTPReply | Awaitable[HTTPReply | web.StreamResponse]:
        visibility.check_path(asked)
        return route.handler(asked)

    return replace(route, handler=handle)
