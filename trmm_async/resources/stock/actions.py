"""`trmm.agents`, the part that does something to an agent: commands, power, settings. A stock server only."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final, Literal, TypedDict, Unpack, overload
from zoneinfo import ZoneInfo

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import Call, Replay, Steps, plan
from trmm_async.dialects.stock.agents import agent_ids_if_allowed, all_known
from trmm_async.dialects.stock.commands import PING, RUN, CommandRun, run_command
from trmm_async.dialects.stock.endpoint import act, put, read, send
from trmm_async.dialects.stock.explanations import counted
from trmm_async.dialects.stock.history import AGENT_HISTORY, EVERYTHING, FOREVER, SCRIPTS
from trmm_async.errors import AgentLostError, InvalidRequestError, TimeoutError
from trmm_async.models import Agent, CommandResult, Discreet, HistoryEntry, no_extra
from trmm_async.resources.names import AnyClient, AnySite
from trmm_async.resources.resource import Resource
from trmm_async.resources.stock.custom_field_values import custom_field_values
from trmm_async.resources.stock.custom_fields import FieldValues
from trmm_async.resources.stock.patch_policies import PATCHES, PatchChanges
from trmm_async.resources.stock.policies import Policy
from trmm_async.resources.waiting import wait_until
from trmm_async.words import MonitoringType

__all__ = ["AgentActions", "AgentChanges", "RemoteControl", "checked_command_run"]

_COMMAND_TIMEOUT_MOST: Final = 295
"""The server answers at most two seconds later, and a proxy in front of it cuts calls off at 300."""

_SAME_BOOT: Final = timedelta(seconds=5)
"""Two boot times that differ by at most this are of the same boot."""

_INTEGER_MOST: Final = 2**31 - 1


class RemoteControl(Discreet, frozen=True, kw_only=True, gc=False):
    """Links to an agent in MeshCentral, for a browser. Each contains a login, and appears in no repr."""

    _shown: ClassVar[tuple[str, ...]] = ("hostname", "client", "site", "status")

    hostname: str = ""
    """The agent's host name."""
    control: str = ""
    """The URL for the screen."""
    terminal: str = ""
    """The URL for a terminal."""
    file: str = ""
    """The URL for files."""
    status: str = ""
    """How the agent stands."""
    client: str = ""
    """The name of the agent's client."""
    site: str = ""
    """The name of the agent's site."""
    extra: Mapping[str, Any] = no_extra()


class AgentChanges(TypedDict, total=False):
    """The settings that `agents.update` can change. What is not given stays unchanged."""

    description: str | None
    site: AnySite
    monitoring_type: MonitoringType
    maintenance_mode: bool
    offline_time: int
    overdue_time: int
    check_interval: int
    overdue_email_alert: bool
    overdue_text_alert: bool
    overdue_dashboard_alert: bool
    policy: int | Policy | None
    block_policy_inheritance: bool
    time_zone: str | None
    default_shell: Literal["use_global", "cmd", "powershell", "bash", "custom"]
    default_shell_custom: str
    custom_fields: FieldValues
    patch_policy: PatchChanges


class _Versions(msgspec.Struct):
    versions: tuple[str, ...] = ()


def _versions(body: bytes) -> list[str]:
    return list(codec.decoder(_Versions)(body).versions)


class _Clock(msgspec.Struct):
    timezone: str | None = None


_ONE: Final = "/agents/{agent:agent}/"
_BY_MESH: Final = "recovering the agent goes through MeshCentral, which the server could not reach, it seems"

REBOOT = send("agents.reboot", _ONE + "reboot/", asks=10)
REBOOT_AT = send("agents.reboot", _ONE + "reboot/", method="PATCH", asks=10)
CLOCK = read("agents.reboot", _ONE, _Clock)
SHUTDOWN = send("agents.shutdown", _ONE + "shutdown/", asks=10, since="0.18.0")
RECOVER = send("agents.recover", _ONE + "recover/", needs="mode", asks=60)
RECOVER_AGENT = send("agents.recover", _ONE + "recover/", needs="mode", asks=60, advice=_BY_MESH)
UPDATE = put("agents.update", _ONE)
REMOTE_CONTROL = read("agents.remote_control", _ONE + "meshcentral/", RemoteControl, secret=True)
VERSIONS = read("agents.versions", "/agents/versions/", list[str], decode=_versions)
UPGRADE = send("agents.upgrade", "/agents/update/", needs="agent_ids")
WAKE = send(
    "agents.wake",
    _ONE + "wol/",
    lacking="wake-on-LAN goes through MeshCentral, which the server could not use, it seems",
)
REFRESH_WMI = put("agents.refresh_wmi", _ONE + "wmi/", method="POST", asks=20)
RECOVER_ALL = send("agents.recover_all", "/agents/bulkrecovery/", method="GET")
MAINTAIN = act(
    "agents.set_maintenance",
    "/agents/maintenance/bulk/",
    decode=counted,
    replay=Replay.IDEMPOTENT,
)


class AgentActions(Resource):
    """The part of `Agents` that only a stock server has."""

    async def run_command(
        self,
        agent: str | Agent,
        command: str,
        *,
        shell: str | None = None,
        custom_shell: str | None = None,
        timeout: int = 30,
        run_as_user: bool = False,
    ) -> CommandResult:
        """Run a command on an agent and return what it printed. Never sent twice.

        The server waits for the agent for up to `timeout` and two more seconds, and holds one of its few
        workers meanwhile. So the client has at most `max_waiting` of such calls in flight.

        Args:
            agent: the agent or its id.
            command: the command line for the shell; several lines if the shell accepts them.
            shell: "cmd", "powershell", or the path of a program such as "/bin/bash". None: "cmd" on Windows,
                "/bin/bash" elsewhere. If the agent is given by its id, its platform is looked up first.
            custom_shell: the path of a program to use as the shell, in place of `shell`.
            timeout: seconds that the command may take, 1 to 295.
            run_as_user: True runs it as the user who is logged in (Windows).

        Raises:
            AgentLostError: the agent did not answer in time: it may have run the command, or may still run
                it. It is an `AgentUnreachableError` and an `OutcomeUnknownError`.
            AgentUnreachableError: the server's message bus is down: the agent has received nothing.
            OutcomeUnknownError: the answer was lost: it may have run.
        """
        agent_id = arguments.agent_id(agent)
        run = checked_command_run(
            command,
            shell=shell,
            custom_shell=custom_shell,
            timeout=timeout,
            timeout_most=_COMMAND_TIMEOUT_MOST,
            run_as_user=run_as_user,
            plat=agent.plat if isinstance(agent, Agent) else None,
        )
        return await self._on_stock(RUN.name, run_command(agent_id, run))

    async def ping(self, agent: str | Agent) -> bool:
        """Ask whether an agent answers at this moment. False takes 7.5 seconds, and a worker of the server.

        It is also False if the server's message bus is down. `Agent.status` is older, and needs no worker.
        """
        return await self._send(PING, agent)

    @overload
    async def reboot(self, agent: str | Agent, *, at: datetime | None = None) -> None: ...

    @overload
    async def reboot(self, agent: str | Agent, *, wait: float | timedelta) -> Agent: ...

    async def reboot(
        self, agent: str | Agent, *, at: datetime | None = None, wait: float | timedelta | None = None
    ) -> Agent | None:
        """Reboot an agent now or later. Never sent twice. Holds a worker for at most 10 seconds.

        Args:
            agent: the agent or its id.
            at: the time; None for now. With a time zone it is that moment, and the agent's own time zone is
                looked up first. Without one it is a time of the agent's clock. It is rounded up to whole
                minutes. Windows agents only: they schedule the reboot themselves, and it is listed as a
                pending action.
            wait: seconds, or a timedelta, to wait for the reboot: until the server has a later boot time,
                since a quick reboot never shows as offline. It can't be combined with `at`.

        Returns:
            With `wait`, the agent after the reboot.

        Raises:
            AgentLostError: the agent did not answer in time; it may reboot all the same. With `wait`, this is
                found out, and the error is raised only if the agent did not reboot.
            TimeoutError: as far as the server knows, the agent did not reboot within `wait`.
            BadRequestError: the time has passed, or the agent can't schedule a reboot.
        """
        if wait is not None:
            if at is not None:
                raise InvalidRequestError("reboot: at and wait exclude each other")
            return await self._reboot_and_wait(arguments.agent_id(agent), arguments.seconds(wait, "wait"))
        if at is None:
            await self._send(REBOOT, agent)
            return None
        agent_id, when = arguments.agent_id(agent), arguments.whole_minute(at, "at")
        by_its_clock = _reboot_at(agent_id, when) if when.utcoffset() is None else None
        await self._on_stock(REBOOT_AT.name, by_its_clock or _reboot_then(agent_id, when))
        return None

    async def _reboot_and_wait(self, agent_id: str, wait: float) -> Agent:
        (await self._api.dialect()).require_stock(REBOOT.name)
        before = (await self._api.send(lambda dialect: dialect.get_agent(agent_id))).boot_time
        lost: AgentLostError | None = None
        try:
            await self._send(REBOOT, agent_id)
        except AgentLostError as error:
            lost = error
        try:
            (agent,) = await wait_until(self._api, [agent_id], partial(_has_booted_since, before), wait)
        except TimeoutError:
            if lost is not None:
                raise lost from None
            raise
        return agent

    async def shutdown(self, agent: str | Agent) -> None:
        """Shut an agent down now. Never sent twice. Holds a worker for at most 10 seconds.

        Raises:
            AgentLostError: the agent did not answer in time; it may shut down all the same.
        """
        await self._send(SHUTDOWN, agent)

    async def recover(self, agent: str | Agent, *, mode: Literal["mesh", "tacagent"] = "mesh") -> None:
        """Repair one of the two agents on a machine by means of the other. Never sent twice.

        Args:
            agent: the agent or its id.
            mode: with "mesh", the agent repairs its MeshCentral agent, which holds a worker for at most a
                minute. With "tacagent", MeshCentral restarts the agent, or reinstalls it on Windows; the call
                doesn't wait for that.

        Raises:
            AgentLostError: the agent did not answer in time ("mesh").
            ServerFaultError: most likely the server could not reach MeshCentral ("tacagent").
        """
        part = arguments.choice(mode, "mode", ("mesh", "tacagent"))
        await self._send(RECOVER if part == "mesh" else RECOVER_AGENT, agent, body={"mode": part})

    async def update(self, agent: str | Agent, **changes: Unpack[AgentChanges]) -> None:
        """Change settings of an agent. Idempotent: sent again if an answer is lost.

        The server doesn't change all settings in one transaction: it saves the custom fields last.

        Args:
            agent: the agent or its id.
            changes: the settings to change:
                `description`, `site`, `monitoring_type`, `maintenance_mode`;
                `offline_time` and `overdue_time` in minutes, `check_interval` in seconds;
                `overdue_email_alert`, `overdue_text_alert`, `overdue_dashboard_alert`;
                `policy` (None for none), `block_policy_inheritance`;
                `time_zone` (None for the server's), `default_shell`, `default_shell_custom`;
                `custom_fields` (see `FieldValues`);
                `patch_policy`, the agent's own: settings of `PatchPolicy`.

        Raises:
            InvalidRequestError: a value is wrong, there is no such setting, or no setting is given; nothing
                was changed.
            BadRequestError: the server refuses a value.
        """
        agent_id = arguments.agent_id(agent)
        settings = arguments.settings(changes, _CHECKS, UPDATE.name)
        if "site" in settings:
            settings["site"] = await self._names(UPDATE.name).site(settings["site"])
        if fields := settings.pop("custom_fields", None):
            await self._on_stock(UPDATE.name, _update(agent_id, settings, fields))
        else:
            await self._send(UPDATE, agent_id, body=settings)

    @overload
    async def set_maintenance(self, on: bool, *, agent: str | Agent) -> int: ...

    @overload
    async def set_maintenance(self, on: bool, *, client: AnyClient) -> int: ...

    @overload
    async def set_maintenance(self, on: bool, *, site: AnySite) -> int: ...

    async def set_maintenance(
        self,
        on: bool,
        *,
        agent: str | Agent | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
    ) -> int:
        """Switch maintenance mode on or off for one agent, or for all agents of a client or a site.

        An agent in maintenance mode raises no alerts. Idempotent: sent again if an answer is lost.

        Returns:
            The number of agents. For a client or a site, the server counts those that the key may see.
        """
        on = arguments.boolean(on, "on")
        arguments.exactly_one(MAINTAIN.name, agent=agent, client=client, site=site)
        if agent is not None:
            await self._on_stock(MAINTAIN.name, UPDATE.call(agent, body={"maintenance_mode": on}))
            return 1
        client_id, site_id = await self._names(MAINTAIN.name).place(client, site)
        kind, whose = ("Site", site_id) if client_id is None else ("Client", client_id)
        body = {"type": kind, "id": whose, "action": on}
        return await self._send(MAINTAIN, body=body)

    async def history(self, agent: str | Agent | None = None) -> list[HistoryEntry]:
        """List everything that was run on an agent, or on all agents, as far back as the server keeps it.

        The oldest is first. For all agents it is one call with a large answer. `agent_id` is None if the key
        may not list agents.
        """
        if agent is None:
            return await self._on_stock(EVERYTHING.name, _everything())
        agent_id = arguments.agent_id(agent)
        rows = await self._send(AGENT_HISTORY, agent_id)
        return [msgspec.structs.replace(row, agent_id=agent_id) for row in rows]

    async def script_history(
        self, *, since: datetime | None = None, limit: int | None = None
    ) -> list[HistoryEntry]:
        """List the script runs of all agents with their results, newest first. It has no commands.

        Args:
            since: only runs since this moment, which must have a time zone.
            limit: the largest number of runs.
        """
        query: dict[str, object] = {}
        if since is not None:
            query = {"start": codec.instant(arguments.moment(since, "since")), "end": FOREVER}
        if limit is not None:
            query["limit"] = arguments.integer(limit, "limit", minimum=1, maximum=_INTEGER_MOST)
        return await self._send(SCRIPTS, query=query)

    async def versions(self) -> list[str]:
        """List the versions that agents can be upgraded to. `Agent.version` is an agent's version."""
        return await self._send(VERSIONS)

    async def upgrade(self, agents: Iterable[str | Agent]) -> None:
        """Make agents upgrade themselves to the newest version. Never sent twice.

        The call doesn't wait for that: an upgrade is listed in `pending_actions` until it is done. Agents
        that are up to date stay as they are.

        Args:
            agents: one or more agents, or their ids.

        Raises:
            InvalidRequestError: the server has no such agent, and would silently ignore it; nothing was
                started.
        """
        ids = arguments.several_agents(agents, "agents")
        await self._on_stock(UPGRADE.name, _upgrade(ids))

    async def wake(self, agent: str | Agent) -> None:
        """Wake an agent through its network card (wake-on-LAN), by MeshCentral. Never sent twice.

        Success means only that the order was sent. The machine is awake when the agent is online.

        Raises:
            ServerError: the server could not reach MeshCentral; the text has the server's words.
        """
        await self._send(WAKE, agent)

    async def remote_control(self, agent: str | Agent) -> RemoteControl:
        """Get links for remote control of an agent in a browser: `control`, `terminal`, `file`.

        Each link contains a login to MeshCentral: don't pass it on, and don't store it. The server makes the
        links without asking MeshCentral, so they don't mean that the agent is connected.
        """
        return await self._send(REMOTE_CONTROL, agent)

    async def refresh_wmi(self, agent: str | Agent) -> None:
        """Make an agent report its hardware again (`Agent.cpu_model`, …). It has 20 seconds to answer.

        Raises:
            AgentLostError: the agent did not answer in time.
        """
        await self._send(REFRESH_WMI, agent)

    async def recover_all(self) -> None:
        """Make the server try to repair all agents that are offline or overdue. Never sent twice.

        The call doesn't wait for that. On the server this is a GET with an effect, so it must not be sent
        like a read.
        """
        await self._send(RECOVER_ALL)


@plan
def _everything() -> Steps[list[HistoryEntry]]:
    """The server sends integers for the agents; their ids are in the list of agents."""
    rows = yield from EVERYTHING.call()
    ids = yield from agent_ids_if_allowed(rows)
    return [
        row if agent is None else msgspec.structs.replace(row, agent_id=ids.get(agent)) for agent, row in rows
    ]


def _has_booted_since(before: datetime | None, agent: Agent) -> bool:
    # Agents compute their boot time from their clock and their uptime, so it varies a little.
    return agent.boot_time is not None and (before is None or agent.boot_time - before > _SAME_BOOT)


def _reboot_at(agent_id: str, local: datetime) -> Call[None]:
    # The server accepts neither seconds nor an offset.
    return REBOOT_AT.call(
        agent_id, body={"datetime": local.replace(tzinfo=None).isoformat(timespec="minutes")}
    )


@plan
def _reboot_then(agent_id: str, at: datetime) -> Steps[None]:
    """Reboot at a moment: the server needs that time by the agent's own clock."""
    clock = yield from CLOCK.call(agent_id)
    yield from _reboot_at(agent_id, at.astimezone(_zone(clock.timezone)))


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "")
    except (LookupError, ValueError, OSError):
        raise InvalidRequestError(
            f"at: the agent's time zone, {name!r}, is not known here: give a datetime without a time zone, "
            "by the agent's own clock"
        ) from None


@plan
def _update(agent_id: str, settings: Mapping[str, object], fields: Mapping[int, Any]) -> Steps[None]:
    """Look up the types of custom fields first: the key of a value depends on its type."""
    values = yield from custom_field_values("agent", fields)
    yield from UPDATE.call(agent_id, body={**settings, "custom_fields": values})


def checked_command_run(
    command: str,
    *,
    shell: str | None,
    custom_shell: str | None,
    timeout: int,
    timeout_most: int,
    run_as_user: bool,
    plat: str | None = None,
) -> CommandRun:
    """Check all arguments of a run of a command."""
    return CommandRun(
        command=arguments.free_text(command, "command"),
        shell=_shell(shell, custom_shell),
        custom_shell=None if custom_shell is None else arguments.plain_text(custom_shell, "custom_shell"),
        timeout=arguments.integer(timeout, "timeout", minimum=1, maximum=timeout_most),
        run_as_user=arguments.boolean(run_as_user, "run_as_user"),
        plat=plat,
    )


def _shell(shell: str | None, custom: str | None) -> str | None:
    if custom is not None:
        if shell not in {None, "custom"}:
            raise InvalidRequestError("custom_shell stands in place of shell: give one of them")
        return "custom"
    if shell == "custom":
        raise InvalidRequestError('shell: "custom" needs custom_shell=, the path of a program')
    return None if shell is None else arguments.plain_text(shell, "shell")


_count: Final[arguments.Check] = partial(arguments.integer, minimum=0, maximum=_INTEGER_MOST)
_any_text: Final[arguments.Check] = partial(arguments.plain_text, empty=True)


def _patches(given: object, what: str) -> list[dict[str, Any]]:
    """The agent's own patch policy: the server expects a list, and uses the first."""
    if not isinstance(given, Mapping):
        raise InvalidRequestError(f"{what} must be a mapping of its settings, not {given!r}")
    return [arguments.settings(given, PATCHES, f"agents.update: {what}")]


_CHECKS: Final[arguments.Checks] = {
    "description": arguments.or_none(_any_text),
    "site": arguments.reference,
    "monitoring_type": partial(arguments.choice, allowed=("server", "workstation")),
    "maintenance_mode": arguments.boolean,
    "offline_time": _count,
    "overdue_time": _count,
    "check_interval": _count,
    "overdue_email_alert": arguments.boolean,
    "overdue_text_alert": arguments.boolean,
    "overdue_dashboard_alert": arguments.boolean,
    "policy": arguments.or_none(arguments.object_id),
    "block_policy_inheritance": arguments.boolean,
    "time_zone": arguments.or_none(arguments.time_zone),
    "default_shell": partial(arguments.choice, allowed=("use_global", "cmd", "powershell", "bash", "custom")),
    "default_shell_custom": _any_text,
    "custom_fields": arguments.field_values,
    "patch_policy": ("winupdatepolicy", _patches),
}


@plan
def _upgrade(ids: tuple[str, ...]) -> Steps[None]:
    yield from all_known(UPGRADE.name, ids)
    yield from UPGRADE.call(body={"agent_ids": ids})
