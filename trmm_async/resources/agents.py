"""`trmm.agents`."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Literal, Self, overload

import msgspec

from trmm_async import arguments
from trmm_async.calls import ArrayCall
from trmm_async.dialects import AgentFilter, ScriptRun
from trmm_async.errors import AmbiguousNameError, ClosedError
from trmm_async.models import Agent, Client, ClientRef, Script, ScriptResult, Site, SiteRef
from trmm_async.plaintext import is_named
from trmm_async.resources.api import Api
from trmm_async.resources.commands import CommandSettings, CommandStream, checked_command
from trmm_async.resources.filters import MonitoringType, agent_filter
from trmm_async.resources.live import ScriptStream, new_cmd_id
from trmm_async.resources.stock.actions import AgentActions
from trmm_async.resources.stock.event_log import EventLog
from trmm_async.resources.stock.notes import Notes
from trmm_async.resources.stock.processes import Processes
from trmm_async.resources.stock.services import Services
from trmm_async.resources.stock.software import InstalledSoftware
from trmm_async.resources.stock.windows_updates import WindowsUpdates
from trmm_async.transport import Body

__all__ = ["AgentStream", "Agents", "checked_run"]


class Agents(AgentActions):
    """Agents: list, get, find, delete, run a script; on a stock server also what its base and nouns do.

    Every method raises `TRMMError`s only. Where it says that the agent is asked, one that does not answer is
    an `AgentUnreachableError` after the seconds that are named, and one of the server's workers is held until
    then; where something is to change, it is an `AgentLostError`, an `OutcomeUnknownError` as well.
    """

    notes: Notes
    processes: Processes
    services: Services
    software: InstalledSoftware
    event_log: EventLog
    windows_updates: WindowsUpdates

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.notes = Notes(api)
        self.processes = Processes(api)
        self.services = Services(api)
        self.software = InstalledSoftware(api)
        self.event_log = EventLog(api)
        self.windows_updates = WindowsUpdates(api)

    async def list(
        self,
        *,
        hostname: str | None = None,
        client: int | Client | ClientRef | None = None,
        site: int | Site | SiteRef | None = None,
        monitoring_type: MonitoringType | None = None,
    ) -> list[Agent]:
        """The agents that match all of what is given; `hostname` in any case on a stock server."""
        which = agent_filter(hostname, client, site, monitoring_type)
        return await self._api.send(lambda dialect: dialect.list_agents(which))

    def iter(
        self,
        *,
        hostname: str | None = None,
        client: int | Client | ClientRef | None = None,
        site: int | Site | SiteRef | None = None,
        monitoring_type: MonitoringType | None = None,
    ) -> "AgentStream":
        """The same list in flat memory: `async with agents.iter() as stream: async for agent in stream`."""
        which = agent_filter(hostname, client, site, monitoring_type)
        return AgentStream(self._api, which)

    async def get(self, agent: str | Agent) -> Agent:
        """One agent; `extra` holds what the server sent beyond our fields.

        Raises:
            NotFoundError: there is no such agent.
        """
        agent_id = arguments.agent_id(agent)
        return await self._api.send(lambda dialect: dialect.get_agent(agent_id))

    async def find(
        self,
        hostname: str,
        *,
        client: int | Client | ClientRef | None = None,
        site: int | Site | SiteRef | None = None,
    ) -> Agent | None:
        """The agent of this host name, in any case (a gateway may mind it); None without one.

        Raises:
            AmbiguousNameError: several agents have that name; `client` or `site` may tell them apart.
        """
        hostname = arguments.plain_text(hostname, "hostname")
        listed = await self.list(hostname=hostname, client=client, site=site)
        # A server that does not know the filter ignores it, and would answer with all.
        found = [agent for agent in listed if is_named(agent.hostname, hostname)]
        if len(found) > 1:
            raise AmbiguousNameError(hostname, [agent.agent_id for agent in found])
        return found[0] if found else None

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
        script: int | Script,
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
        script: int | Script,
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
        script: int | Script,
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
            script: the id of a script in the server's library, or the script.
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
        return await self._api.run_script(agent_id, run)

    def stream_script(
        self, agent: str | Agent, script: int | Script, *, args: Iterable[str] = (), timeout: int = 90
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


class AgentStream:
    """Agents one by one while their list downloads. Enter it, then iterate it, once.

    Leaving the block early gives the connection up. A list that was cut short ends in an error, never in a
    short list: `ConnectionFailedError`, or `DecodeError` if the server itself sent half of one.
    """

    def __init__(self, api: Api, which: AgentFilter) -> None:
        self._api = api
        self._which = which
        self._stack = AsyncExitStack()
        self._entered = False
        self._agents: AsyncIterator[Agent] | None = None

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClosedError("this stream was used already; call agents.iter() again")
        self._entered = True
        array = await self._api.prepare((await self._api.dialect()).iter_agents(self._which))
        body = await self._stack.enter_async_context(self._api.transport.open(array.call))
        self._agents = self._read(array, body)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def __aiter__(self) -> AsyncIterator[Agent]:
        if self._agents is None:
            raise ClosedError("enter the stream first: async with agents.iter() as stream")
        return self._agents

    async def _read(self, array: ArrayCall[Agent], body: Body) -> AsyncIterator[Agent]:
        transport = self._api.transport
        rows = array.rows()
        head, held = b"", 0
        try:
            async for chunk in body.chunks():
                head = head or chunk
                held += len(chunk)
                for batch in rows.feed(chunk):
                    held = 0
                    for agent in batch:
                        yield agent
                if held > transport.max_answer:
                    fault = body.too_large(transport.max_answer, head)
                    break
            else:
                for agent in rows.finish():
                    yield agent
                return
        except msgspec.DecodeError as error:
            fault = body.unreadable(error, head)
        raise transport.error(array.call, fault)


def checked_run(
    script: int | Script,
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
        script=arguments.object_id(script, "script"),
        args=arguments.script_args(args),
        timeout=arguments.script_timeout(timeout),
        output=arguments.choice(output, "output", ("wait", "forget", "collector")),
        cmd_id=cmd_id,
        env_vars=arguments.env_vars(env_vars or {}),
        run_as_user=arguments.boolean(run_as_user, "run_as_user"),
        custom_field=None if custom_field is None else arguments.object_id(custom_field, "custom_field"),
        save_all_output=arguments.boolean(save_all_output, "save_all_output"),
    )
