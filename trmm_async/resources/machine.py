"""`trmm.agents`, the part about what is on an agent: processes, services, notes, …. A stock server only.

Beside `actions`, below `agents`, which is both. On a gateway every method raises `UnsupportedError`, and
sends nothing.
"""

from typing import Final, Literal

from trmm_async import arguments
from trmm_async.inventory import EventLogEntry, Process, Service, Software, WindowsUpdate
from trmm_async.models import Agent
from trmm_async.resources.api import Api

__all__ = ["AgentMachine"]

_DAYS_MOST: Final = 36_500
_PID_MOST: Final = 2**32 - 1
"""What Windows has for one: more than any other system."""


class AgentMachine:
    """See `Agents`.

    Where it says that the agent is asked, an agent that does not answer is an `AgentUnreachableError` after
    the seconds that are named, and one of the server's workers is held until then; where something is to
    change, an `AgentLostError`, which is an `OutcomeUnknownError` as well.
    """

    _api: Api

    # -- processes -------------------------------------------------------------------------------------------

    async def processes(self, agent: str | Agent) -> list[Process]:
        """What runs on an agent, at this moment. The agent is asked, for 5 seconds."""
        agent_id = arguments.agent_id(agent)
        return await self._api.send(
            lambda dialect: dialect.beyond("agents.processes").list_processes(agent_id)
        )

    async def kill_process(self, agent: str | Agent, process: int | Process) -> None:
        """End a process, by its number (pid). The agent is asked, for 15 seconds, never twice.

        Raises:
            BadRequestError: the agent could not; the text is what its system says.
        """
        agent_id = arguments.agent_id(agent)
        pid = arguments.whole(getattr(process, "pid", process), "process", least=0, most=_PID_MOST)
        await self._api.send(
            lambda dialect: dialect.beyond("agents.kill_process").kill_process(agent_id, pid)
        )

    # -- services --------------------------------------------------------------------------------------------

    async def services(self, agent: str | Agent) -> list[Service]:
        """The services of a Windows agent. The agent is asked, for 10 seconds."""
        agent_id = arguments.agent_id(agent)
        return await self._api.send(lambda dialect: dialect.beyond("agents.services").list_services(agent_id))

    async def service(self, agent: str | Agent, name: str | Service) -> Service:
        """One service of a Windows agent, by its name, not the displayed one. It is asked, for 10 seconds.

        Raises:
            NotFoundError: the agent has no such service.
        """
        agent_id, called = arguments.agent_id(agent), _service_name(name)
        return await self._api.send(
            lambda dialect: dialect.beyond("agents.service").get_service(agent_id, called)
        )

    async def control_service(
        self, agent: str | Agent, name: str | Service, action: Literal["start", "stop", "restart"]
    ) -> None:
        """Start, stop or restart a service. Never sent twice.

        The agent is asked, for 32 seconds; to restart, for twice that.

        Raises:
            BadRequestError: the agent could not, or has no Windows services.
        """
        agent_id, called = arguments.agent_id(agent), _service_name(name)
        what = arguments.choice(action, "action", ("start", "stop", "restart"))
        await self._api.send(
            lambda dialect: dialect.beyond("agents.control_service").control_service(agent_id, called, what)
        )

    async def edit_service(
        self,
        agent: str | Agent,
        name: str | Service,
        *,
        start_type: Literal["auto", "autodelay", "manual", "disabled"],
    ) -> None:
        """Set how a service starts. Repeated by us if an answer is lost: twice is once.

        The agent is asked, for 10 seconds.

        Raises:
            BadRequestError: the agent could not.
        """
        agent_id, called = arguments.agent_id(agent), _service_name(name)
        kind = arguments.choice(start_type, "start_type", ("auto", "autodelay", "manual", "disabled"))
        await self._api.send(
            lambda dialect: dialect.beyond("agents.edit_service").edit_service(agent_id, called, kind)
        )

    # -- software and event logs -----------------------------------------------------------------------------

    async def software(self, agent: str | Agent) -> list[Software]:
        """What is installed on an agent, as the server has it listed; empty where it has no list.

        The list is as old as the agent's last report, or `refresh_software`.
        """
        agent_id = arguments.agent_id(agent)
        return await self._api.send(lambda dialect: dialect.beyond("agents.software").list_software(agent_id))

    async def refresh_software(self, agent: str | Agent) -> None:
        """Have the server list anew what is on a Windows agent. The agent is asked, for 15 seconds.

        Raises:
            BadRequestError: the agent is not a Windows one.
        """
        agent_id = arguments.agent_id(agent)
        await self._api.send(
            lambda dialect: dialect.beyond("agents.refresh_software").refresh_software(agent_id)
        )

    async def event_log(
        self,
        agent: str | Agent,
        log: Literal["Application", "System", "Security"] = "Application",
        *,
        days: int = 1,
    ) -> list[EventLogEntry]:
        """What a Windows event log has of the last days. The agent is asked: 32 seconds, Security 182.

        Args:
            agent: whose, or its id.
            log: which.
            days: how many, from 1 to 36500. The more, the less likely that the agent answers in time.
        """
        agent_id = arguments.agent_id(agent)
        name = arguments.choice(log, "log", ("Application", "System", "Security"))
        since = arguments.whole(days, "days", least=1, most=_DAYS_MOST)
        return await self._api.send(
            lambda dialect: dialect.beyond("agents.event_log").read_event_log(agent_id, name, since)
        )

    # -- Windows updates -------------------------------------------------------------------------------------

    async def windows_updates(self, agent: str | Agent) -> list[WindowsUpdate]:
        """The Windows updates of an agent, installed or not, as the server has listed them; newest first."""
        agent_id = arguments.agent_id(agent)
        return await self._api.send(
            lambda dialect: dialect.beyond("agents.windows_updates").list_windows_updates(agent_id)
        )

    async def edit_windows_update(
        self, update: int | WindowsUpdate, action: Literal["approve", "ignore", "nothing", "inherit"]
    ) -> None:
        """Say what is to become of one update of an agent; when it is installed is for its policy to say."""
        number = arguments.object_id(update, "update")
        what = arguments.choice(action, "action", ("approve", "ignore", "nothing", "inherit"))
        await self._api.send(
            lambda dialect: dialect.beyond("agents.edit_windows_update").edit_windows_update(number, what)
        )

    async def scan_windows_updates(self, agent: str | Agent) -> None:
        """Have a Windows agent look for updates. Nobody waits for it, or knows whether the agent heard of it.

        Raises:
            BadRequestError: the agent is not a Windows one.
        """
        agent_id = arguments.agent_id(agent)
        await self._api.send(
            lambda dialect: dialect.beyond("agents.scan_windows_updates").scan_windows_updates(agent_id)
        )

    async def install_windows_updates(self, agent: str | Agent) -> None:
        """Have an agent install what is approved, or approved by its policy, now. Never sent twice.

        Nobody waits for it, or knows whether the agent heard of it.
        """
        agent_id = arguments.agent_id(agent)
        await self._api.send(
            lambda dialect: dialect.beyond("agents.install_windows_updates").install_windows_updates(agent_id)
        )


def _service_name(name: object) -> str:
    return arguments.path_segment(getattr(name, "name", name), "name")
