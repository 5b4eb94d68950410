"""The gateway's calls: `/api/v3` over HTTP and the event socket at `/trmm/{agent_id}/`.

Below: `world.py` and `runner.py` do what is asked, `shapes.py` gives it its form, `forms.py` reads what came
in. Above: `front.py` has let the request in by then. One table of literal routes; a handler is a plain
function from a question to an answer wherever nothing has to be waited for.
"""

from __future__ import annotations

from http.client import responses
from typing import TYPE_CHECKING

from . import shapes
from .cron import cron_error
from .downloads import file_name
from .forms import BodyFields, optional_integer
from .replies import HTTPReply, RefusedError, encode, json_reply, proxy_reply
from .routing import Route
from .runner import RunOrder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from .backend import Backend
    from .gate import Denial
    from .nouns import Event
    from .replies import Asked
    from .world import UnknownThingError

__all__ = ["GatewayServer"]

DETAILS = {
    400: "validation error",
    401: "Invalid token",
    403: "permission denied",
    404: "Not found",
    429: "rate limited",
    500: "server error",
}
ARCHITECTURES = ("amd64", "arm64", "amd64-mac", "arm64-mac")
OUTPUTS = ("wait", "forget", "collector")
MONITORING_TYPES = ("server", "workstation")
LONGEST_SCRIPT = 300


class GatewayServer:
    """Speaks the gateway's dialect for a world."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._runner = backend.runner
        self._hub = backend.hub
        self._downloads = backend.downloads
        self._knows_cmd_id = backend.knows_cmd_id

    def routes(self) -> Sequence[Route]:
        """Return the calls; of two patterns that fit a path the earlier one is meant."""
        agents, deployments = "/api/v3/agents/", "/api/v3/agents/deployments/"
        lane = "deployments"
        return (
            Route("GET", agents, self.list_agents, "can_list_agents"),
            Route("GET", deployments, self.list_deployments, "can_list_deployments"),
            Route("POST", deployments, self.create_deployment, "can_manage_deployments", lane),
            Route("DELETE", deployments + "{id:int}/", self.delete_deployment, "can_manage_deployments"),
            Route("GET", deployments + "{uuid}/download/", self.download, public=True),
            Route("GET", agents + "{agent_id}/", self.get_agent, "can_list_agents"),
            Route("DELETE", agents + "{agent_id}/", self.delete_agent, "can_uninstall_agents"),
            Route("POST", agents + "{agent_id}/runscript/", self.run_script, "can_run_scripts"),
            Route("GET", "/api/v3/clients/", self.list_clients, "can_list_clients"),
            Route("POST", "/api/v3/clients/", self.create_client, "can_manage_clients"),
            Route("GET", "/api/v3/clients/{id:int}/sites/", self.list_sites, "can_list_sites"),
            Route("GET", "/api/v3/scripts/", self.list_scripts, "can_list_scripts"),
            Route("GET", "/api/v3/checks/", self.list_checks, "can_list_checks"),
            Route("GET", "/api/v3/tasks/", self.list_tasks, "can_list_autotasks"),
            Route("POST", "/api/v3/tasks/", self.create_task, "can_manage_autotasks"),
            Route("GET", "/api/v3/alerts/", self.list_alerts, "can_list_alerts"),
            Route(
                "POST", "/api/v3/alerts/{id:int}/acknowledge/", self.acknowledge_alert, "can_manage_alerts"
            ),
            Route("POST", "/api/v3/alerts/{id:int}/resolve/", self.resolve_alert, "can_manage_alerts"),
            Route("GET", "/trmm/{agent_id}/", self.subscribe, "can_list_agents"),
        )

    def refusal(
        self, status: int, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> HTTPReply:
        """Return `{"detail": ...}` in the contract's words for this status, or those of `detail`."""
        words = detail or DETAILS.get(status) or responses.get(status, "error")
        return json_reply(status, {"detail": words}, headers)

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return the API key of a request."""
        return headers.get("X-API-KEY")

    def denial(self, denial: Denial, key: str | None) -> str | None:
        """Have the usual words for a request that is not let in."""
        del denial, key
        return None

    def unknown(self, error: UnknownThingError) -> HTTPReply:
        """Return 404."""
        del error
        return self.refusal(404)

    def frame(self, event: Event) -> str:
        """Return the text frame by which subscribers learn of an event."""
        return encode(shapes.event(event)).decode()

    # -- agents ----------------------------------------------------------------------------------------------

    def list_agents(self, asked: Asked) -> HTTPReply:
        """`GET /api/v3/agents/`: those that satisfy all filters; an unknown filter is ignored."""
        query = asked.row.query
        kind = query.get("monitoring_type")
        if kind is not None and kind not in MONITORING_TYPES:
            raise RefusedError(400, f'monitoring_type: "{kind}" is not a valid choice.')
        found = self._world.find_agents(
            hostname=query.get("hostname"),
            client=optional_integer(query, "client"),
            site=optional_integer(query, "site"),
            monitoring_type=kind,
        )
        return json_reply(200, [shapes.agent(agent) for agent in found])

    def get_agent(self, asked: Asked) -> HTTPReply:
        """`GET /api/v3/agents/{agent_id}/`."""
        return json_reply(200, shapes.agent_detail(self._world.agent(asked.params["agent_id"])))

    def delete_agent(self, asked: Asked) -> HTTPReply:
        """`DELETE /api/v3/agents/{agent_id}/`: 204, the record is gone."""
        self._world.delete_agent(asked.params["agent_id"])
        return HTTPReply(204)

    async def run_script(self, asked: Asked) -> HTTPReply:
        """`POST /api/v3/agents/{agent_id}/runscript/`.

        To an offline agent nothing is sent: `wait` says so with 400, the other modes answer as ever and the
        order is lost, as a message to nobody is. If the agent goes offline in the middle, `wait` ends in a
        proxy's 504.
        """
        agent = self._world.agent(asked.params["agent_id"])
        order = self._order(asked)
        if not agent.online and order.output == "wait":
            raise RefusedError(400, "Unable to contact the agent")
        if not agent.online:
            return json_reply(200, {"cmd_id": order.cmd_id or self._runner.new_cmd_id()})
        execution = self._runner.start(agent, order)
        if order.output != "wait":
            return json_reply(200, {"cmd_id": execution.run.cmd_id})
        run = await execution.outcome()
        return proxy_reply(504) if run.lost else json_reply(200, shapes.result(run))

    def _order(self, asked: Asked) -> RunOrder:
        body = BodyFields.of(asked.row)
        script = self._world.script(body.integer("script"))
        output = body.choice("output", OUTPUTS)
        args = body.words("args")
        timeout = body.integer("timeout", 1, LONGEST_SCRIPT)
        cmd_id = body.text("cmd_id", default="") if self._knows_cmd_id else ""
        return RunOrder(script.id, output, args, timeout, cmd_id or None)

    # -- deployments -----------------------------------------------------------------------------------------

    def list_deployments(self, asked: Asked) -> HTTPReply:
        """`GET /api/v3/agents/deployments/`: the active ones."""
        active = self._world.active_deployments()
        return json_reply(200, [shapes.deployment(each, asked.base) for each in active])

    def create_deployment(self, asked: Asked) -> HTTPReply:
        """`POST /api/v3/agents/deployments/`: 201 and the deployment."""
        body = BodyFields.of(asked.row)
        client = body.key("client", self._world.clients)
        site = body.key("site", self._world.sites)
        expiry = body.moment("expires")
        arch = body.choice("arch", ARCHITECTURES)
        flags = body.text("install_flags", default="")
        if expiry <= self._world.clock():
            raise RefusedError(400, "expires: Ensure this time is in the future.")
        try:
            made = self._world.create_deployment(
                client=client, site=site, expiry=expiry, arch=arch, install_flags=flags
            )
        except ValueError as error:
            raise RefusedError(400, f"site: {error}") from None
        return json_reply(201, shapes.deployment(made, asked.base))

    def delete_deployment(self, asked: Asked) -> HTTPReply:
        """`DELETE /api/v3/agents/deployments/{id}/`: 204, revoked."""
        self._world.revoke_deployment(int(asked.params["id"]))
        return HTTPReply(204)

    def download(self, asked: Asked) -> HTTPReply:
        """`GET` on a `download_url`: the installer, after as many redirects as the test has laid down."""
        deployment = self._world.deployment(asked.params["uuid"])
        hop = optional_integer(asked.row.query, "hop") or 0
        if target := self._downloads.next_hop(asked.here, hop):
            return HTTPReply(302, content_type="text/html", headers={"Location": target})
        deployment.downloads += 1
        headers = {"Content-Disposition": f'attachment; filename="{file_name(deployment)}"'}
        return HTTPReply(200, self._downloads.content(deployment), "application/octet-stream", headers)

    # -- clients, scripts, checks, tasks ---------------------------------------------------------------------

    def list_clients(self, _asked: Asked) -> HTTPReply:
        """`GET /api/v3/clients/`."""
        world = self._world
        return json_reply(
            200, [shapes.client(each, world.sites_of(each.id)) for each in world.clients.values()]
        )

    def create_client(self, asked: Asked) -> HTTPReply:
        """`POST /api/v3/clients/`: 201 and the client, without sites as yet."""
        name = BodyFields.of(asked.row).text("name")
        try:
            return json_reply(201, shapes.client(self._world.create_client(name), []))
        except ValueError as error:
            raise RefusedError(400, f"name: {error}") from None

    def list_sites(self, asked: Asked) -> HTTPReply:
        """`GET /api/v3/clients/{id}/sites/`."""
        return json_reply(200, [shapes.site(each) for each in self._world.sites_of(int(asked.params["id"]))])

    def list_scripts(self, _asked: Asked) -> HTTPReply:
        """`GET /api/v3/scripts/`."""
        return json_reply(200, [shapes.script(each) for each in self._world.scripts.values()])

    def list_checks(self, asked: Asked) -> HTTPReply:
        """`GET /api/v3/checks/`: everybody's, or those of `agent`."""
        return json_reply(
            200, [shapes.check(each) for each in self._world.checks_of(asked.row.query.get("agent"))]
        )

    def list_tasks(self, _asked: Asked) -> HTTPReply:
        """`GET /api/v3/tasks/`."""
        return json_reply(200, [shapes.task(each) for each in self._world.tasks.values()])

    def create_task(self, asked: Asked) -> HTTPReply:
        """`POST /api/v3/tasks/`: 201 and the task."""
        body = BodyFields.of(asked.row)
        name, agent_id = body.text("name"), body.text("agent")
        script = body.key("script", self._world.scripts)
        schedule, enabled = body.text("schedule"), body.flag("enabled", default=True)
        if agent_id not in self._world.agents:
            raise RefusedError(400, f'agent: Invalid pk "{agent_id}" - object does not exist.')
        if wrong := cron_error(schedule):
            raise RefusedError(400, f"schedule: {wrong}.")
        made = self._world.create_task(
            name=name, agent_id=agent_id, script=script, schedule=schedule, enabled=enabled
        )
        return json_reply(201, shapes.task(made))

    # -- alerts and events -----------------------------------------------------------------------------------

    def list_alerts(self, _asked: Asked) -> HTTPReply:
        """`GET /api/v3/alerts/`: all of them, resolved ones too."""
        return json_reply(200, [shapes.alert(each) for each in self._world.alerts.values()])

    def acknowledge_alert(self, asked: Asked) -> HTTPReply:
        """`POST /api/v3/alerts/{id}/acknowledge/`: 200 and the alert; again is harmless."""
        return json_reply(200, shapes.alert(self._world.acknowledge_alert(int(asked.params["id"]))))

    def resolve_alert(self, asked: Asked) -> HTTPReply:
        """`POST /api/v3/alerts/{id}/resolve/`: 200 and the alert; again is harmless."""
        return json_reply(200, shapes.alert(self._world.resolve_alert(int(asked.params["id"]))))

    async def subscribe(self, asked: Asked) -> web.StreamResponse:
        """`/trmm/{agent_id}/`: the agent's events until either side ends it."""
        return await self._hub.serve(asked, self._world.agent(asked.params["agent_id"]).agent_id)
