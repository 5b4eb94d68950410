"""Services, software and Windows updates of an agent.

Below: `machines.py` says what is on it, `bus.py` whether it answers. Above: `dialect.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.forms import Field, Form, no_match
from trmm_async.testing.routing import Route

from .live import OUT_OF_REACH
from .view import Fields, refuse, said, whole
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.replies import Asked, HTTPReply

__all__ = ["AgentSoftwareView"]

SERVICES, UPDATES = "can_manage_winsvcs", "can_manage_winupdates"
SOFTWARE, INSTALL = "can_list_software", "can_manage_software"
NOT_HERE = "Not available for {}"
PACKAGES = ("7zip", "firefox", "git", "googlechrome", "notepadplusplus", "vlc")
PROTECTED = "denied"
"""The name of a service that every machine here has and that lets nobody touch it."""

UPDATE = Form({"action": Field.choice(("inherit", "approve", "ignore", "nothing"), "nothing")})


class AgentSoftwareView:
    """`/services/…`, `/software/…` and `/winupdate/…`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._machines = backend.machines
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        services, software, updates = (
            f"/{name}/{{agent_id:agent}}/" for name in ("services", "software", "winupdate")
        )
        return (
            Route("GET", services, self.services, SERVICES),
            Route("GET", services + "{name}/", self.service, SERVICES),
            Route("POST", services + "{name}/", self.act, SERVICES),
            Route("PUT", services + "{name}/", self.edit, SERVICES),
            Route("GET", "/software/", self.all_software, SOFTWARE),
            Route("GET", "/software/chocos/", self.packages),
            Route("GET", software, self.software, SOFTWARE),
            Route("POST", software, self.install, INSTALL),
            Route("PUT", software, self.refresh, INSTALL),
            Route("POST", software + "uninstall/", self.uninstall, INSTALL),
            Route("GET", updates, self.updates, UPDATES),
            Route("POST", updates + "scan/", self.scan, UPDATES),
            Route("POST", updates + "install/", self.install_updates, UPDATES),
            Route("PUT", "/winupdate/{id:int}/", self.edit_update, UPDATES),
        )

    # -- services --------------------------------------------------------------------------------------------

    async def services(self, asked: Asked) -> HTTPReply:
        """`GET /services/{agent_id}/`: within 10 seconds."""
        agent = self._agent(asked)
        await self._reach(agent, 10)
        return said(self._machines.services(agent))

    async def service(self, asked: Asked) -> HTTPReply:
        """`GET /services/{agent_id}/{name}/`: an unknown one is empty; a bus that is down is 200 too."""
        agent = self._agent(asked)
        word = await self._backend.bus.silence(agent, 10)
        if word == "timeout":
            refuse(OUT_OF_REACH)
        return said(word or self._machines.service(agent, asked.params["name"]))

    async def act(self, asked: Asked) -> HTTPReply:
        """`POST /services/{agent_id}/{name}/`: `sv_action` start, stop or restart, within 32 seconds."""
        agent, name = self._agent(asked), asked.params["name"]
        if agent.plat != "windows":
            refuse("Please use 'Recover Connection' instead.")
        action = Fields.of(asked)["sv_action"]
        await self._reach(agent, 32)
        if name == PROTECTED:
            refuse("Access is denied.")
        words = {"restart": "restarted", "start": "started"}.get(str(action), "stopped")
        self._machines.service(agent, name)["status"] = "stopped" if words == "stopped" else "running"
        return said(f"The service was {words} successfully")

    async def edit(self, asked: Asked) -> HTTPReply:
        """`PUT /services/{agent_id}/{name}/`: `startType`, within 10 seconds."""
        agent, kind = self._agent(asked), Fields.of(asked)["startType"]
        await self._reach(agent, 10)
        if asked.params["name"] == PROTECTED:
            refuse("Access is denied.")
        self._machines.service(agent, asked.params["name"])["start_type"] = str(kind).title()
        return said("The service start type was updated successfully")

    # -- software --------------------------------------------------------------------------------------------

    def all_software(self, asked: Asked) -> HTTPReply:
        """`GET /software/`: of every agent that has a list."""
        lists = (self._machines.software(agent) for agent in self._visibility.agents(asked))
        return said([each for each in lists if each])

    def packages(self, _asked: Asked) -> HTTPReply:
        """`GET /software/chocos/`: what can be installed, with any valid key."""
        return said([{"name": name} for name in PACKAGES])

    def software(self, asked: Asked) -> HTTPReply:
        """`GET /software/{agent_id}/`: an object, or an empty array where the server has no list."""
        return said(self._machines.software(self._agent(asked)) or [])

    async def install(self, asked: Asked) -> HTTPReply:
        """`POST /software/{agent_id}/`: by `name`, within 2 seconds; a pending action is left."""
        agent = self._windows(asked)
        name = str(Fields.of(asked)["name"])
        await self._reach(agent, 2)
        self._backend.activity.plan(agent, "chocoinstall", {"name": name, "output": None, "installed": False})
        return said(
            f"{name} will be installed shortly on {agent.hostname}."
            " Check the Pending Actions menu to see the status/output"
        )

    async def refresh(self, asked: Asked) -> HTTPReply:
        """`PUT /software/{agent_id}/`: within 15 seconds."""
        await self._reach(self._windows(asked), 15)
        return said("ok")

    async def uninstall(self, asked: Asked) -> HTTPReply:
        """`POST /software/{agent_id}/uninstall/`: runs a command, for which nobody waits."""
        agent, body = self._windows(asked), Fields.of(asked)
        name, command = str(body["name"]), str(body["command"])
        if all(word in command.lower() for word in ("tacticalagent", "unins")):
            refuse("The Tactical RMM Agent cannot be uninstalled from here.")
        body.whole("timeout"), body["run_as_user"]
        self._world.journal.write(agent.agent_id, type="cmd_run", username=asked.user[:50], command=command)
        self._backend.activity.command(agent, "cmd", command, asked.user)
        await self._backend.bus.reached()
        return said(f"{name} will now be uninstalled on {agent.hostname}.")

    # -- Windows updates -------------------------------------------------------------------------------------

    def updates(self, asked: Asked) -> HTTPReply:
        """`GET /winupdate/{agent_id}/`: with a date that is not ISO 8601."""
        return said(self._machines.updates(self._agent(asked)))

    async def scan(self, asked: Asked) -> HTTPReply:
        """`POST /winupdate/{agent_id}/scan/`: whether or not the agent is there."""
        agent = self._windows(asked)
        await self._backend.bus.reached()
        return said(f"A Windows update scan will be performed on {agent.hostname}")

    async def install_updates(self, asked: Asked) -> HTTPReply:
        """`POST /winupdate/{agent_id}/install/`: likewise, on any platform."""
        agent = self._agent(asked)
        await self._backend.bus.reached()
        return said(f"Approved patches will now be installed on {agent.hostname}")

    def edit_update(self, asked: Asked) -> HTTPReply:
        """`PUT /winupdate/{id}/`: its `action`."""
        row = self._machines.update(int(asked.params["id"]))
        if row is None:
            raise no_match("WinUpdate")
        owners = {agent.pk: agent for agent in self._world.agents.values()}
        self._visibility.check_agent(asked, owners.get(whole(row["agent"])))
        row.update(UPDATE.read(Fields.of(asked), partial=True))
        return said(f"Windows update {row['kb']} was changed to {row['action']}")

    def _agent(self, asked: Asked) -> Agent:
        return self._world.agent(asked.params["agent_id"])

    def _windows(self, asked: Asked) -> Agent:
        agent = self._agent(asked)
        if agent.plat != "windows":
            refuse(NOT_HERE.format(agent.plat))
        return agent

    async def _reach(self, agent: Agent, seconds: float) -> None:
        if await self._backend.bus.silence(agent, seconds):
            refuse(OUT_OF_REACH)
