"""`trmm.agents`."""

import builtins
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Literal, overload

from trmm_async import arguments
from trmm_async.dialects import ScriptRun
from trmm_async.models import Agent, ScriptResult
from trmm_async.resources.agent_stream import AgentStream
from trmm_async.resources.api import Api
from trmm_async.resources.commands import CommandSettings, CommandStream, checked_command
from trmm_async.resources.filters import agent_query
from trmm_async.resources.live import ScriptStream, new_cmd_id
from trmm_async.resources.names import AGENT, AnyClient, AnyScript, AnySite
from trmm_async.resources.selector import FieldValue, Selector, checked_criteria
from trmm_async.resources.stock.actions import AgentActions
from trmm_async.resources.stock.custom_fields import CustomField, field_ids
from trmm_async.resources.stock.event_log import EventLog
from trmm_async.resources.stock.field_numbers import with_numbers
from trmm_async.resources.stock.notes import Notes
from trmm_async.resources.stock.processes import Processes
from trmm_async.resources.stock.registry import Registry
from trmm_async.resources.stock.services import Services
from trmm_async.resources.stock.software import InstalledSoftware
from trmm_async.resources.stock.windows_updates import WindowsUpdates
from trmm_async.resources.waiting import Until, wait_until
from trmm_async.stream import Events
from trmm_async.words import AgentStatus, MonitoringType, Platform

__all__ = ["Agents", "checked_run"]


class Agents(AgentActions):
    """Agents: list, get, find, delete them and run scripts on them. A stock server can do much more.

    All errors are `TRMMError`s. Some methods of a stock server ask the agent itself, and hold one of the
    server's workers until it answers. If the agent doesn't answer within the seconds that the method names, a
    read raises `AgentUnreachableError`, and a change raises `AgentLostError`, which is an
    `OutcomeUnknownError`.
    """

    notes: Notes
    processes: Processes
    registry: Registry
    services: Services
    software: InstalledSoftware
    event_log: EventLog
    windows_updates: WindowsUpdates

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.notes = Notes(api)
        self.processes = Processes(api)
        self.registry = Registry(api)
        self.services = Services(api)
        self.software = InstalledSoftware(api)
        self.event_log = EventLog(api)
        self.windows_updates = WindowsUpdates(api)

    async def list(
        self,
        *,
        hostname: str | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        monitoring_type: MonitoringType | None = None,
    ) -> list[Agent]:
        """List the agents that match all of the filters. A stock server ignores the case of `hostname`."""
        query = agent_query(hostname, client, site, monitoring_type)
        which = await query.resolve(self._api)
        return await with_numbers(self._api, await self._api.send(lambda dialect: dialect.list_agents(which)))

    def iter(
        self,
        *,
        hostname: str | None = None,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        monitoring_type: MonitoringType | None = None,
    ) -> AgentStream:
        """Iterate over the agents of `list` in constant memory, while they are downloaded.

        async with trmm.agents.iter() as stream:
            async for agent in stream: ...
        """
        return AgentStream(self._api, agent_query(hostname, client, site, monitoring_type))

    def select(
        self,
        *,
        client: AnyClient | None = None,
        site: AnySite | None = None,
        monitoring_type: MonitoringType | None = None,
        plat: Platform | Iterable[Platform] | None = None,
        operating_system: str | None = None,
        hostname: str | None = None,
        status: AgentStatus | Iterable[AgentStatus] | None = None,
        custom_fields: Mapping[int | str | CustomField, FieldValue] | None = None,
        where: Callable[[Agent], bool] | None = None,
    ) -> Selector:
        """Select agents by all of the filters, as a value for every method that takes agents; see `Selector`.

            servers = trmm.agents.select(client="Acme", plat="windows", monitoring_type="server")
            await trmm.fleet.run_script(servers, "Get-DiskInfo")

        Nothing is sent until the selection is used. Then it is read completely before the first agent of it
        is used, so that it is the state of one moment.

        Args:
            client: only agents of this client.
            site: only agents of this site.
            monitoring_type: only servers, or only workstations.
            plat: only agents of this platform, or of one of these. Case is ignored.
            operating_system: a pattern for the whole text, such as "*Server 2019*". Case is ignored.
            hostname: a pattern for the whole name, such as "web-*". Case is ignored; `?` is one character,
                and `[ab]` is either of two.
            status: only agents whose last known status is this, or one of these.
            custom_fields: a mapping of custom fields (or their ids or names) to values; a stock server only.
                A field with several options matches if the value is among them. None matches a field that is
                not set.
            where: a function of an `Agent` that returns True for those to select. It is called last, while
                the list downloads, so it must not block.

        Raises:
            InvalidRequestError: an argument is wrong.
        """
        criteria = checked_criteria(
            client=client,
            site=site,
            monitoring_type=monitoring_type,
            plat=plat,
            operating_system=operating_system,
            hostname=hostname,
            status=status,
            custom_fields=custom_fields,
            where=where,
        )
        return Selector(self._api, criteria, field_ids("agent", criteria.custom_fields))

    async def get(self, agent: str | Agent) -> Agent:
        """Get one agent. Its `extra` has what the server sent beyond the fields of `Agent`.

        Raises:
            NotFoundError: there is no such agent.
        """
        agent_id = arguments.agent_id(agent)
        (found,) = await with_numbers(
            self._api, [await self._api.send(lambda dialect: dialect.get_agent(agent_id))]
        )
        return found

    @overload
    async def wait_until(  # type: ignore[overload-overlap] # a text is no iterable of agents
        self,
        agent: str | Agent,
        until: Until,
        *,
        timeout: float | timedelta | None = None,
        missing_ok: bool = False,
        source: Events | None = None,
    ) -> Agent: ...

    @overload
    async def wait_until(
        self,
        agent: Iterable[str | Agent],
        until: Until,
        *,
        timeout: float | timedelta | None = None,
        missing_ok: bool = False,
        source: Events | None = None,
    ) -> builtins.list[Agent]: ...

    async def wait_until(
        self,
        agent: str | Agent | Iterable[str | Agent],
        until: Until,
        *,
        timeout: float | timedelta | None = None,
        missing_ok: bool = False,
        source: Events | None = None,
    ) -> Agent | builtins.list[Agent]:
        """Wait until one agent, or all of several agents at the same time, have a status or meet a condition.

        The server is polled every five seconds, or less often if it is slow. All waits of this client, its
        mirrors and its subscriptions share these polls. A failed poll is repeated. With `source`, the server
        is polled when an event suggests it, and otherwise once a minute.

            await trmm.agents.wait_until(agent, "online", source=follow("redis://…", name="acme"))

        Args:
            agent: an agent or its id, or several.
            until: "online", "offline" or "overdue"; or a function of an `Agent` that returns True when the
                agent is as wanted.
            timeout: the most seconds to wait, or a timedelta. None waits for any time.
            missing_ok: True also waits for agents that the server doesn't know yet.
            source: events that say when to poll, as a `Subscription` to a relay (`follow`) that is not
                entered yet. This method enters and leaves it. Only a poll decides, so a relay that lags
                behind can't give a wrong result.

        Returns:
            The agent as it is then; for several agents, a list in their order.

        Raises:
            TimeoutError: the time is over; the message names the agents that were not as wanted.
            NotFoundError: there is no such agent, and `missing_ok` was not given.
            ConnectionFailedError: `source` can't be read, or has ended.
            InvalidRequestError: an argument is wrong.
            Exception: whatever `until` raises.
        """
        given: object = [agent] if isinstance(agent, str | Agent) else agent
        agent_ids = arguments.several_agents(given, "agent")
        missing = arguments.boolean(missing_ok, "missing_ok")
        found = await wait_until(self._api, agent_ids, until, timeout, missing_ok=missing, source=source)
        return found[0] if isinstance(agent, str | Agent) else found

    async def find(
        self,
        hostname: str,
        *,
        client: AnyClient | None = None,
        site: AnySite | None = None,
    ) -> Agent | None:
        """Find the agent with this host name, or None. Case is ignored, except perhaps by a gateway.

        Raises:
            AmbiguousNameError: several agents have that name; `client` or `site` may narrow them down.
        """
        hostname = arguments.plain_text(hostname, "hostname")
        listed = await self.list(hostname=hostname, client=client, site=site)
        # A server that does not know the filter ignores it, and would answer with all.
        return AGENT.find(hostname, listed)

    async def delete(self, agent: str | Agent) -> None:
        """Delete the server's record of an agent. A stock server uninstalls the agent as well.

        If an answer is lost and the agent is gone afterwards, it counts as deleted.
        """
        agent_id = arguments.agent_id(agent)
        await self._api.send(lambda dialect: dialect.delete_agent(agent_id))

    @overload
    async def run_script(
        self,
        agent: str | Agent,
        script: AnyScript,
        *,
        args: Iterable[str] = (),
        timeout: int = 90,
        output: Literal["wait"] = "wait",
        env_vars: Mapping[str, str] | None = None,
        run_as_user: bool = False,
    ) -> ScriptResult: ...

    @overload
    async def run_script(
        self,
        agent: str | Agent,
        script: AnyScript,
        *,
        args: Iterable[str] = (),
        timeout: int = 90,
        output: Literal["forget", "collector"],
        env_vars: Mapping[str, str] | None = None,
        run_as_user: bool = False,
        custom_field: int | None = None,
        save_all_output: bool = False,
    ) -> None: ...

    async def run_script(
        self,
        agent: str | Agent,
        script: AnyScript,
        *,
        args: Iterable[str] = (),
        timeout: int = 90,
        output: Literal["wait", "forget", "collector"] = "wait",
        env_vars: Mapping[str, str] | None = None,
        run_as_user: bool = False,
        custom_field: int | None = None,
        save_all_output: bool = False,
    ) -> ScriptResult | None:
        """Run a script on an agent. Never sent twice.

        On a stock server, the script is sent and its result is read from the server's script history. This
        holds no worker of the server, and has the return code, stderr and time, which the server's own
        waiting call doesn't have.

        Args:
            agent: the agent or its id.
            script: the id or the name of a script in the server's library, or the script.
            args: the script's arguments.
            timeout: seconds that the script may take, 1 to 300. The client waits longer, by its own timeout,
                so that it doesn't give up on a script that may still run.
            output: "wait" waits for the result, "forget" returns at once, and "collector" has the server
                store the result.
            env_vars: environment variables for the script; a stock server only.
            run_as_user: True runs it as the user who is logged in; a stock server only.
            custom_field: the id of the custom field in which "collector" stores the output. A stock server
                needs it; a gateway doesn't have it.
            save_all_output: True stores all of the output there; False stores its last line.

        Raises:
            OutcomeUnknownError: the script was sent and the answer was lost: it may have run.
            AgentSilentError: a stock server's agent did not report the end of the script in time: it may have
                run, or may still run. An `OutcomeUnknownError`, too.
            UnidentifiedError: the script ran, but its result can't be distinguished from that of another run
                of this script on this agent at the same time. An `OutcomeUnknownError`, too.
            UnsupportedError: the server has no such option, or would store nothing ("collector" on a stock
                server before 0.19.4).
        """
        agent_id = arguments.agent_id(agent)
        run = checked_run(
            script,
            args=args,
            timeout=timeout,
            output=output,
            env_vars=env_vars,
            run_as_user=run_as_user,
            custom_field=custom_field,
            save_all_output=save_all_output,
        )
        return await self._api.run_script(agent_id, await self._names().run(run))

    def stream_script(
        self, agent: str | Agent, script: AnyScript, *, args: Iterable[str] = (), timeout: int = 90
    ) -> ScriptStream:
        """Run a script on an agent, never twice, and stream its output while it runs; see `ScriptStream`.

        The arguments are those of `run_script`. Nothing is sent before the stream is entered.

        Raises:
            InvalidRequestError: an argument is wrong.
        """
        run = checked_run(script, args=args, timeout=timeout, output="wait", cmd_id=new_cmd_id())
        return ScriptStream(self._api, arguments.agent_id(agent), run)

    def stream_command(
        self,
        agent: str | Agent,
        command: str,
        *,
        shell: str = "cmd",
        timeout: int = 30,
        run_as_user: bool = False,
        settings: CommandSettings | None = None,
    ) -> CommandStream:
        """Run a command on an agent, never twice, and stream its output while it runs; see `CommandStream`.

        A stock server only. It needs `TRMM.login`, or an `access_token`. Nothing is sent before the stream is
        entered.

        Args:
            agent: the agent or its id; its version must be 2.10.0 or later.
            command: the command line for the shell.
            shell: "cmd" or "powershell" on Windows; a path such as "/bin/bash" elsewhere.
            timeout: whole seconds that the command may take, at most a day.
            run_as_user: True runs it as the user who is logged in.
            settings: times and sizes; the defaults suit most programs.

        Raises:
            InvalidRequestError: an argument is wrong.
        """
        order = checked_command(command, shell=shell, timeout=timeout, run_as_user=run_as_user)
        return CommandStream(self._api, arguments.agent_id(agent), order, settings or CommandSettings())


def checked_run(
    script: AnyScript,
    *,
    args: Iterable[str],
    timeout: object,
    output: str,
    cmd_id: str | None = None,
    env_vars: Mapping[str, str] | None = None,
    run_as_user: bool = False,
    custom_field: int | None = None,
    save_all_output: bool = False,
) -> ScriptRun:
    """Check all arguments of a run, and return them as a value."""
    return ScriptRun(
        script=arguments.reference(script, "script"),
        args=arguments.script_args(args),
        timeout=arguments.script_timeout(timeout),
        output=arguments.choice(output, "output", ("wait", "forget", "collector")),
        cmd_id=cmd_id,
        env_vars=arguments.run_env_vars(env_vars),
        run_as_user=arguments.boolean(run_as_user, "run_as_user"),
        custom_field=None if custom_field is None else arguments.object_id(custom_field, "custom_field"),
        save_all_output=arguments.boolean(save_all_output, "save_all_output"),
    )
