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
    """Agents: list, get, find, delete, run a script; on a stock server also what its base and nouns do.

    Every method raises `TRMMError`s only. Where it says that the agent is asked, one that does not answer is
    an `AgentUnreachableError` after the seconds that are named, and one of the server's workers is held until
    then; where something is to change, it is an `AgentLostError`, an `OutcomeUnknownError` as well.
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
        """The agents that match all of what is given; `hostname` in any case on a stock server."""
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
        """The same list in flat memory: `async with agents.iter() as stream: async for agent in stream`."""
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
        """The agents that match all of what is given, as a value for whatever takes agents; see `Selector`.

            servers = trmm.agents.select(client="Acme", plat="windows", monitoring_type="server")
            await trmm.fleet.run_script(servers, "Get-DiskInfo")

        Nothing is sent before it is used. Then it is read to its end before the first agent of it is sent to:
        it is one moment's answer.

        Args:
            client: of this client.
            site: of this site.
            monitoring_type: servers, or workstations.
            plat: of this platform, or one of these, in any case.
            operating_system: a pattern as "*Server 2019*", in any case, for the whole of it.
            hostname: a pattern as "web-*", in any case, for the whole name; `?` is one letter, `[ab]` either.
            status: whose last known status is this, or one of these.
            custom_fields: values of custom fields by the fields, their ids or names; a stock server only.
                A value of several options matches one that is among them. None is a field that is not set.
            where: a function of an `Agent`, called last, for those that match all else. It is called while
                the list downloads, and must not wait.

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
        """One agent; `extra` holds what the server sent beyond our fields.

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
        """Wait until an agent, or each of several, is as wanted: in one and the same look at the server.

        The looks come every five seconds, less often where the server is slow. All that wait on this client,
        its mirrors and the polling of its subscriptions share them. A look that fails is made again. With
        `source` they come when an event says that it may be so, and else once a minute.

            await trmm.agents.wait_until(agent, "online", source=follow("redis://…", name="acme"))

        Args:
            agent: its id, or the agent; or several.
            until: "online", "offline" or "overdue"; or a function of an `Agent` that says whether it is so.
            timeout: seconds, or a timedelta, to wait at most; None for any time.
            missing_ok: wait also for one that the server does not know yet.
            source: events that say when to look, as a `Subscription` to a relay (`follow`), not yet entered;
                this enters and leaves it. A look alone decides, so a relay that is late misleads nobody.

        Returns:
            the agent as it is then; of several, a list in their order.

        Raises:
            TimeoutError: it was not so in time; the message names who.
            NotFoundError: there is no such agent, and `missing_ok` was not given.
            ConnectionFailedError: `source` can't be read, or has ended.
            InvalidRequestError: an argument is wrong.
            Exception: what `until` raises comes as it is.
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
        """The agent of this host name, in any case (a gateway may mind it); None without one.

        Raises:
            AmbiguousNameError: several agents have that name; `client` or `site` may tell them apart.
        """
        hostname = arguments.plain_text(hostname, "hostname")
        listed = await self.list(hostname=hostname, client=client, site=site)
        # A server that does not know the filter ignores it, and would answer with all.
        return AGENT.find(hostname, listed)

    async def delete(self, agent: str | Agent) -> None:
        """Remove the server's record of an agent. A stock server uninstalls the agent as well.

        An agent that is gone when an answer was lost before counts as removed.
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

        On a stock server the script is sent, and its result collected from the server's history: that holds
        no worker of the server, and tells what its own waiting does not (return code, stderr, time).

        Args:
            agent: its id, or the agent.
            script: the id or the name of a script in the server's library, or the script.
            args: the script's arguments.
            timeout: seconds that the script may take, 1 to 300. The client waits longer than that by its own
                timeout, so that it does not give up on a script that is still allowed to run.
            output: "wait" for the result; "forget" returns at once; "collector" has the server store it.
            env_vars: environment variables for the script; a stock server only.
            run_as_user: run it as the user who is logged in; a stock server only.
            custom_field: the id of the custom field in which "collector" stores the output; a stock server
                needs it, a gateway knows none.
            save_all_output: whether all of the output is stored there, or its last line.

        Raises:
            OutcomeUnknownError: sent, and the answer was lost: it may have run.
            AgentSilentError: the same, on a stock server: the agent did not report an end in time.
            UnidentifiedError: the same: it ran, and its result can't be told from that of another run of this
                script on this agent at this time.
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
        """Run a script on an agent, never twice, and have its output while it runs; see `ScriptStream`.

        Args as those of `run_script`. Nothing is sent before the stream is entered.

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
        """Run a command on an agent, never twice, and have its output while it runs; see `CommandStream`.

        For stock servers only. It needs `TRMM.login`, or an `access_token`. Nothing is sent before
        the stream is entered.

        Args:
            agent: its id, or the agent; version 2.10.0 or later.
            command: the command, as the shell reads it.
            shell: "cmd" or "powershell" on Windows, elsewhere a path such as "/bin/bash".
            timeout: whole seconds that the command may take, a day at most.
            run_as_user: run it as the user who is logged in.
            settings: times and sizes; the defaults suit most.

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
    """A run whose every argument was checked."""
    return ScriptRun(
        script=arguments.reference(script, "script"),
        args=arguments.script_args(args),
        timeout=arguments.script_timeout(timeout),
        output=arguments.choice(output, "output", ("wait", "forget", "collector")),
        cmd_id=cmd_id,
        env_vars=arguments.env_vars({} if env_vars is None else env_vars),
        run_as_user=arguments.boolean(run_as_user, "run_as_user"),
        custom_field=None if custom_field is None else arguments.object_id(custom_field, "custom_field"),
        save_all_output=arguments.boolean(save_all_output, "save_all_output"),
    )
