"""Calls that ask an agent at once: ping, processes, event log, reboot, recovery.

Below: `bus.py` says whether it answers, `machines.py` what is on it. Above: `dialect.py`. The server waits
for an agent that does not answer for as long as is written here with each call, and a client must wait
longer.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trmm_async.testing.routing import Route

from .view import Fields, refuse, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.replies import Asked, HTTPReply

__all__ = ["OUT_OF_REACH", "LiveView"]

OUT_OF_REACH = "Unable to contact the agent"
PING_SECONDS = 7.5
"""Three attempts of two seconds, with a pause of a half after each."""

EVENT_LOG_SECONDS = 32
SECURITY_LOG_SECONDS = 182
SYSTEM_PIDS = (0, 4)
MESH = "https://mesh.example.com"


class LiveView:
    """`/agents/{agent_id}/…`: everything that needs the agent itself."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._machines = backend.machines

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        one = "/agents/{agent_id:agent}/"
        return (
            Route("GET", one + "ping/", self.ping, "can_list_agents"),
            Route("GET", one + "processes/", self.processes, "can_manage_procs"),
            Route("DELETE", one + "processes/{pid:int}/", self.kill, "can_manage_procs"),
            Route("GET", one + "eventlog/{log}/{days:int}/", self.event_log, "can_view_eventlogs"),
            Route("POST", one + "reboot/", self.reboot, "can_reboot_agents"),
            Route("PATCH", one + "reboot/", self.reboot_later, "can_reboot_agents"),
            Route("POST", one + "shutdown/", self.shut_down, "can_reboot_agents"),
            Route("POST", one + "recover/", self.recover, "can_recover_agents"),
            Route("POST", one + "wmi/", self.refresh, "can_edit_agent"),
            Route("POST", one + "wol/", self.wake, "can_send_wol"),
            Route("GET", one + "meshcentral/", self.mesh, "can_use_mesh"),
            Route("POST", one + "meshcentral/recover/", self.recover_mesh, "can_use_mesh"),
            Route("GET", one + "terminal-defaults/", self.terminal, "can_use_terminal"),
        )

    async def ping(self, asked: Asked) -> HTTPReply:
        """`GET …/ping/`: 200 in any case; to say `offline` takes 7.5 seconds."""
        agent = self._agent(asked)
        silence = await self._backend.bus.silence(agent, PING_SECONDS)
        return said({"name": agent.hostname, "status": "offline" if silence else "online"})

    async def processes(self, asked: Asked) -> HTTPReply:
        """`GET …/processes/`: within 5 seconds."""
        agent = await self._reached(asked, 5)
        return said(self._machines.processes(agent))

    async def kill(self, asked: Asked) -> HTTPReply:
        """`DELETE …/processes/{pid}/`: within 15 seconds; a process of the system itself can't be ended."""
        agent, pid = await self._reached(asked, 15), int(asked.params["pid"])
        if pid in SYSTEM_PIDS:
            refuse("Access is denied.")
        self._machines.kill(agent, pid)
        return said(f"Process with PID: {pid} was ended successfully")

    async def event_log(self, asked: Asked) -> HTTPReply:
        """`GET …/eventlog/{name}/{days}/`: within 32 seconds, `Security` within 182."""
        name = asked.params["log"]
        agent = await self._reached(asked, SECURITY_LOG_SECONDS if name == "Security" else EVENT_LOG_SECONDS)
        return said(self._machines.event_log(agent, name))

    async def reboot(self, asked: Asked) -> HTTPReply:
        """`POST …/reboot/`: within 10 seconds."""
        agent = await self._reached(asked, 10)
        agent.boot_time = self._world.clock()
        return said("ok")

    async def reboot_later(self, asked: Asked) -> HTTPReply:
        """`PATCH …/reboot/`: at a `datetime` without seconds and without an offset; Windows only.

        The time is the agent's own, which is taken for UTC here. An agent that does not answer has the bare
        word for that as the answer, after 10 seconds.
        """
        agent, body = self._agent(asked), Fields.of(asked)
        if agent.plat != "windows":
            refuse(f"Not currently implemented for {agent.plat}")
        try:
            when = datetime.strptime(str(body.get("datetime")), "%Y-%m-%dT%H:%M")  # noqa: DTZ007
        except ValueError:
            refuse("Invalid date")
        if when.replace(tzinfo=UTC).timestamp() < self._world.clock():
            refuse("Date cannot be set in the past")
        if word := await self._backend.bus.silence(agent, 10):
            refuse(word)
        name = f"TacticalRMM_SchedReboot_{self._backend.machines.word(10)}"
        self._backend.activity.plan(agent, "schedreboot", {"taskname": name, "time": str(when)})
        return said({"time": f"{when:%B %d, %Y at %I:%M %p}", "agent": agent.hostname, "task_name": name})

    async def shut_down(self, asked: Asked) -> HTTPReply:
        """`POST …/shutdown/`: within 10 seconds; the agent is then offline."""
        agent = await self._reached(asked, 10)
        self._world.go_offline(agent.agent_id)
        return said("ok")

    async def recover(self, asked: Asked) -> HTTPReply:
        """`POST …/recover/`: `mesh` within 60 seconds; an unknown `mode` is done at once.

        `tacagent` asks the mesh server, which the agent need not answer.
        """
        agent, body = self._agent(asked), Fields.of(asked)
        mode = body["mode"]
        if mode == "tacagent":
            return said("Recovery will be attempted shortly")
        if mode == "mesh" and (word := await self._backend.bus.silence(agent, 60)):
            refuse(f"Unable to complete recovery: {word}")
        return said("Successfully completed recovery")

    async def refresh(self, asked: Asked) -> HTTPReply:
        """`POST …/wmi/`: within 20 seconds."""
        await self._reached(asked, 20)
        return said("Agent WMI data refreshed successfully")

    def wake(self, asked: Asked) -> HTTPReply:
        """`POST …/wol/`: through the mesh server, if its token is set; the agent need not be there."""
        if not self._backend.database.settings["mesh_token"]:
            refuse("non-hexadecimal number found in fromhex() arg at position 1")
        return said(f"Wake-on-LAN sent to {self._agent(asked).hostname}")

    def mesh(self, asked: Asked) -> HTTPReply:
        """`GET …/meshcentral/`: addresses with a login in them; they lead nowhere here."""
        agent = self._agent(asked)
        token = self._backend.machines.word(24)
        modes = {"control": 11, "terminal": 12, "file": 13}
        urls = {
            name: f"{MESH}/?login={token}&gotonode={agent.agent_id}&viewmode={mode}&hide=31"
            for name, mode in modes.items()
        }
        site = agent.site
        where = {"status": agent.status, "client": site.client.name, "site": site.name}
        return said({"hostname": agent.hostname, **urls, **where})

    async def recover_mesh(self, asked: Asked) -> HTTPReply:
        """`POST …/meshcentral/recover/`: within 90 seconds."""
        agent = await self._reached(asked, 90)
        return said(f"Repaired mesh agent on {agent.hostname}")

    def terminal(self, asked: Asked) -> HTTPReply:
        """`GET …/terminal-defaults/`."""
        agent = self._agent(asked)
        shell = "cmd" if agent.plat == "windows" else "bash"
        modern = tuple(int(part) for part in agent.version.split(".") if part.isdecimal()) >= (2, 11)
        return said(
            {
                "agent_id": agent.agent_id,
                "hostname": agent.hostname,
                "plat": agent.plat,
                "default_shell": agent.default_shell,
                "resolved_default_shell": shell,
                "effective_default_shell": shell,
                "terminal_mode": "new",
                "supports_new_terminal": modern,
            }
        )

    def _agent(self, asked: Asked) -> Agent:
        return self._world.agent(asked.params["agent_id"])

    async def _reached(self, asked: Asked, seconds: float) -> Agent:
        """Return an agent that answers; 400 after so many seconds if it does not."""
        agent = self._agent(asked)
        if await self._backend.bus.silence(agent, seconds):
            refuse(OUT_OF_REACH)
        return agent
