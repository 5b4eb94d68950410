"""Bulk actions: a script, a command or a scan for patches on many agents in one call.

Below: `dispatch.py`. Above: `dialect.py`. The answer counts the agents that were chosen, offline ones too; a
worker then writes all history rows, one after the other, and sends all orders, and nobody waits for them.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from trmm_async.testing.routing import Route
from trmm_async.testing.runner import RunOrder

from .dispatch import Dispatch
from .runs import listed_words, shell_of
from .view import Fields, crash, refuse, said, whole
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent, RunRecord
    from trmm_async.testing.replies import Asked, HTTPReply

__all__ = ["BulkView"]

HINT = "Check the History tab on the agent to view the results."
KINDS = {"servers": "server", "workstations": "workstation"}
SYSTEMS = ("windows", "linux", "darwin")


KEEPS_SINCE = (0, 19, 4)
"""The first release that can store a script's output in a field or a note."""


class BulkView:
    """`/agents/actions/bulk/`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._dispatch = Dispatch(backend)
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        return (Route("POST", "/agents/actions/bulk/", self.act, "can_run_bulk"),)

    def act(self, asked: Asked) -> HTTPReply:
        """`POST /agents/actions/bulk/`: answered as soon as the worker has its task."""
        body = Fields.of(asked)
        agents = self._chosen(asked, body)
        if not agents:
            refuse("No agents were found meeting the selected criteria")
        mode = body["mode"]
        self._backend.activity.log(asked.user, "bulk_action", "bulk", f"{asked.user} ran a bulk {mode}")
        match mode:
            case "command":
                return self._command(body, agents, asked.user)
            case "script":
                return self._script(body, agents, asked.user)
            case "patch" if body["patchMode"] == "install":
                return said(f"Pending updates will now be installed on {len(agents)} agents")
            case "patch" if body["patchMode"] == "scan":
                return said(f"Patch status scan will now run on {len(agents)} agents")
            case _:
                return refuse("Something went wrong")

    def _chosen(self, asked: Asked, body: Fields) -> list[Agent]:
        """Return the agents that are meant, of those that the role shows.

        Unknown ids and wrong systems drop out without a word. Whether one is online, and `offlineAgents`,
        makes no difference.
        """
        found = self._visibility.agents(asked, self._targets(asked, body))
        kind = KINDS.get(str(body["monType"]))
        system = str(body["osType"]) if body["osType"] in SYSTEMS else None
        return [
            agent for agent in found if kind in {None, agent.monitoring_type} and system in {None, agent.plat}
        ]

    def _targets(self, asked: Asked, body: Fields) -> list[Agent]:
        match body["target"]:
            case "agents":
                if not body["agents"]:
                    refuse("Must select at least 1 agent")
                wanted = set(listed_words(body["agents"]))
                return [agent for agent in self._world.agents.values() if agent.agent_id in wanted]
            case "client":
                self._visibility.check_client(asked, whole(body["client"]))
                return self._world.find_agents(client=whole(body["client"]))
            case "site":
                self._visibility.check_site(asked, whole(body["site"]))
                return self._world.find_agents(site=whole(body["site"]))
            case "all":
                return self._world.find_agents()
            case _:
                return refuse("Something went wrong")

    # -- scripts and commands --------------------------------------------------------------------------------

    def _command(self, body: Fields, agents: list[Agent], username: str) -> HTTPReply:
        shell, text, timeout = shell_of(body), str(body["cmd"]), whole(body["timeout"])
        as_user = bool(body["run_as_user"])

        def make(agent: Agent) -> tuple[RunRecord, RunOrder]:
            row = self._world.journal.write(
                agent.agent_id, type="cmd_run", username=username[:50], command=text
            )
            return row, RunOrder(
                0, "bulk", (), timeout, command=text, shell=shell, history=row.id, username=username,
                run_as_user=as_user, report=partial(self._dispatch.command_report, row),
            )  # fmt: skip

        self._backend.runner.later(self._work(agents, make))
        return said(f"Command will now be run on {len(agents)} agents. {HINT}")

    def _script(self, body: Fields, agents: list[Agent], username: str) -> HTTPReply:
        script = self._world.scripts.get(whole(body["script"]))
        if script is None:
            crash()
        # They are read only if all three are there: older clients, and older servers, know none of them.
        extras = ("custom_field", "collector_all_output", "save_to_agent_note")
        looks = self._backend.release >= KEEPS_SINCE and all(name in body for name in extras)
        field, everything, note = (body[name] for name in extras) if looks else (None, False, False)
        args, timeout = listed_words(body["args"]), whole(body["timeout"])
        as_user, env_vars = bool(body["run_as_user"]), listed_words(body["env_vars"])

        def make(agent: Agent) -> tuple[RunRecord, RunOrder]:
            row = self._world.journal.write(
                agent.agent_id, type="script_run", username=username[:50], script=script.id
            )
            row.custom_field = field if isinstance(field, int) and field else None
            row.collector_all_output, row.save_to_agent_note = bool(everything), bool(note)
            return row, RunOrder(
                script.id, "bulk", args, timeout, history=row.id, username=username, env_vars=env_vars,
                run_as_user=as_user, report=partial(self._dispatch.script_report, row),
            )  # fmt: skip

        # The worker fails over a field that does not exist before it has written anything.
        if not field or field in self._world.custom_fields:
            self._backend.runner.later(self._work(agents, make))
        return said(f"{script.name} will now be run on {len(agents)} agents. {HINT}")

    async def _work(self, agents: list[Agent], make: Callable[[Agent], tuple[RunRecord, RunOrder]]) -> None:
        """Do what the server's worker does: all rows first, one after the other, then all orders.

        With the bus down there are only rows.
        """
        orders: list[tuple[Agent, RunOrder]] = []
        clock = asyncio.get_running_loop().time
        due = clock()
        for agent in agents:
            due += self._backend.row_seconds
            if (pause := due - clock()) > 0:
                await asyncio.sleep(pause)
            if agent.agent_id in self._world.agents:
                orders.append((agent, make(agent)[1]))
        if await self._backend.bus.reached():
            for agent, order in orders:
                self._dispatch.publish(agent, order)
