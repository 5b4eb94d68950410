"""One script, or any call, over many agents: `trmm.fleet`.

Over the resources. Whatever happens, every target gets one outcome, and a script is sent to each at
most once. Inside, from the top: `run` (what the user holds), `scheduler` (takes targets and sends),
`collector` (what became of them), `presence` (who is offline), `targets` and `journal` (where targets come
from, and what was done), `plan`, `work` (what is done to each), `rollout` (how far a run may go; pure) and
`reports` (pure).
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from os import PathLike
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError
from trmm_async.fleet.journal import Journal, Place
from trmm_async.fleet.plan import (
    COMMAND_TIMEOUT_MOST,
    Prints,
    Resumption,
    RunPlan,
    Success,
    checked_policy,
    checked_wait,
)
from trmm_async.fleet.postgres import PostgresJournal, StoredRun, postgres_journal
from trmm_async.fleet.reports import Group, as_csv, as_jsonl, as_row, groups_of, report
from trmm_async.fleet.rollout import Share, any_result, succeeded_by_default
from trmm_async.fleet.run import FleetRun
from trmm_async.fleet.targets import listed, noted
from trmm_async.fleet.work import CallWork, CodeWork, CommandWork, PatchWork, ScriptWork, Work
from trmm_async.models import Agent, CommandResult, ScriptResult
from trmm_async.resources import AnyScript, Api, Selector, checked_code, checked_command_run, checked_run

__all__ = [
    "Fleet",
    "FleetRun",
    "Group",
    "Journal",
    "PostgresJournal",
    "StoredRun",
    "as_csv",
    "as_jsonl",
    "as_row",
    "groups_of",
    "report",
]

Retry = Literal["failed", "unknown", "skipped"]
T = TypeVar("T")
Target = TypeVar("Target", bound=str | Agent)


class RunOptions(TypedDict, total=False):
    """How carefully a run goes on; see `Fleet.run_script`."""

    width: int | None
    canary: int | None
    batch: Share | None
    max_failures: Share | None
    splay: float
    skip_offline: bool
    when_online: timedelta | None


class KeptRunOptions(RunOptions, total=False):
    """The same, of a run that can be written down."""

    dry_run: bool
    journal: Place | None


class Fleet:
    """Scripts and other calls over many agents.

    Attributes:
        poll: seconds between two looks for agents that a run with `when_online` waits for.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.poll: float = 15.0

    def run_script(
        self,
        agents: Iterable[str | Agent] | AsyncIterable[str | Agent] | Selector,
        script: AnyScript,
        *,
        args: Iterable[str] = (),
        timeout: int = 90,
        env_vars: Mapping[str, str] | None = None,
        run_as_user: bool = False,
        width: int | None = None,
        canary: int | None = None,
        batch: Share | None = None,
        max_failures: Share | None = None,
        success: Callable[[ScriptResult], bool] | Iterable[int] = succeeded_by_default,
        splay: float = 0.0,
        skip_offline: bool = False,
        when_online: timedelta | None = None,
        dry_run: bool = False,
        journal: Place | None = None,
    ) -> FleetRun:
        """Run a script on all of these agents; see `FleetRun`.

        Nothing is sent before the run is entered or awaited. All targets are tried, also those whose last
        known status is offline, unless you say otherwise: the status may be old.

        A stock server takes all targets in one call, and they begin at once, unless `width`, `splay` or
        `max_failures` ask for less; the results are collected from its history.

        Args:
            agents: ids or agents, of a collection or an asynchronous stream; the same one twice is refused.
                An `agents.select(…)` is read to its end before the first is sent.
            script: the id or the name of a script in the server's library, or the script. A name is looked up
                when the run begins.
            args: the script's arguments.
            timeout: seconds that the script may take on each agent, 1 to 300.
            env_vars: environment variables for the script; a stock server only.
            run_as_user: run it as the user who is logged in; a stock server only.

            width: how many may run at once. None for what suits the server: 50 on a gateway, all on a stock
                server.
            canary: so many first, and the others only if all of these succeed.
            batch: so many at a time, the next when all of them have ended; a whole number, or a share of the
                targets as a float (0.1 is a tenth).
            max_failures: how many failures are put up with, a number or a share; one more stops the run, and
                who was not begun is skipped. Whatever is not known to have succeeded is a failure.
            success: whether a result is a success; by default, return code 0. A function, or the return
                codes, which a journal keeps for `resume`.
            splay: each sending waits a random time up to so many seconds.

            skip_offline: skip those that the server says are offline when the run begins.
            when_online: don't skip them, but run them when they come back within this time.
            dry_run: say what would happen to whom, as `Skipped` outcomes, and send no script.
            journal: a file that the run is kept in, so that `resume` can go on with it after a crash. It must
                not exist. Or a run in a database, a `PostgresJournal` or "postgresql://host/database?run=NAME",
                which several hosts can work off; its name must not be there yet.

        Raises:
            InvalidRequestError: an argument is wrong, or a target stands there twice.
        """
        run = checked_run(
            script, args=args, timeout=timeout, output="wait", env_vars=env_vars, run_as_user=run_as_user
        )
        return self._run(
            ScriptWork(run),
            agents,
            success,
            width=width,
            canary=canary,
            batch=batch,
            max_failures=max_failures,
            splay=splay,
            skip_offline=skip_offline,
            when_online=when_online,
            dry_run=dry_run,
            journal=journal,
        )

    @overload
    def map(
        self,
        agents: Selector,
        call: Callable[[Agent], Awaitable[T]],
        *,
        success: Callable[[T], bool] = any_result,
        **options: Unpack[RunOptions],
    ) -> FleetRun[T]: ...

    @overload
    def map(
        self,
        agents: Iterable[Target] | AsyncIterable[Target],
        call: Callable[[Target], Awaitable[T]],
        *,
        success: Callable[[T], bool] = any_result,
        **options: Unpack[RunOptions],
    ) -> FleetRun[T]: ...

    def map(
        self,
        agents: Iterable[Any] | AsyncIterable[Any] | Selector,
        call: Callable[[Any], Awaitable[T]],
        *,
        success: Callable[[T], bool] = any_result,
        **options: Unpack[RunOptions],
    ) -> FleetRun[T]:
        """Do whatever you like to all of these agents, with an outcome for each; see `FleetRun`.

            async with trmm.fleet.map(agents, lambda agent: trmm.agents.services(agent), width=20) as run:
                async for outcome in run: ...

        `call` is called once for each target, `width` at a time, and may make any number of calls. What it
        returns is the `result` of `Done`. A `TRMMError` that it raises is the target's outcome: `Failed` only
        if nothing that changes something was sent by then, else `Unknown`. That is told by the calls of all
        `TRMM` objects that are made in it, also in tasks that it begins; what else it does is for it to know.

        Any other exception stops the run: what is under way is waited for, and then it is raised.

        There is no journal: a function can't be written down.

        Args:
            agents: as of `run_script`.
            call: an asynchronous function; it gets the target as it was given, an id or an agent; of an
                `agents.select(…)` the agent.
            success: whether what was returned is a success; by default, whatever it is.
            options: `width`, 50 if not given; `canary`, `batch`, `max_failures`, `splay`, `skip_offline` and
                `when_online` as of `run_script`.

        Raises:
            InvalidRequestError: an argument is wrong, or a target stands there twice.
        """
        if not callable(call):
            raise InvalidRequestError(f"call must be an asynchronous function of an agent, not {call!r}")
        if "journal" in options:
            raise InvalidRequestError("fleet.map() takes no journal: a function can't be written down")
        _check_keywords(options, RunOptions, "fleet.map")
        arguments.predicate(success, "success", "what was returned")
        work = CallWork[T](call)
        return self._run(work, _given(agents, work.given), success, **options)

    def run_command(
        self,
        agents: Iterable[str | Agent] | AsyncIterable[str | Agent] | Selector,
        command: str,
        *,
        shell: str = "cmd",
        custom_shell: str | None = None,
        timeout: int = 30,
        run_as_user: bool = False,
        success: Callable[[CommandResult], bool] | str | None = None,
        **options: Unpack[KeptRunOptions],
    ) -> FleetRun[CommandResult]:
        """Run a command on all of these agents, a stock server's; see `FleetRun`.

        By the server's call for many, which holds no worker; what it printed is collected from the history.
        That has no return codes: `CommandResult.retcode` is None, and whatever has an end is a success unless
        `success` says otherwise. So `canary`, `batch` and `max_failures` need one.

        Args:
            agents: as of `run_script`.
            command: the command, as the shell takes it.
            shell: "cmd" or "powershell" on Windows, elsewhere a path such as "/bin/bash"; one for all.
            custom_shell: the path of a program that is used as the shell, in place of `shell`.
            timeout: seconds that it may take on each agent, a day at most.
            run_as_user: run it as the user who is logged in (Windows).
            success: whether what came of it is a success: a function of it, or a text that has to be in its
                output, which a journal keeps for `resume`.
            options: `width`, `canary`, `batch`, `max_failures`, `splay`, `skip_offline`, `when_online`,
                `dry_run` and `journal` as of `run_script`.

        Raises:
            InvalidRequestError: an argument is wrong, a target stands there twice, or there is no `success`
                for a policy that goes by it.
            UnsupportedError (on entering): the server is a gateway.
        """
        run = checked_command_run(
            command,
            shell=None if custom_shell is not None and shell == "cmd" else shell,
            custom_shell=custom_shell,
            timeout=timeout,
            timeout_most=COMMAND_TIMEOUT_MOST,
            run_as_user=run_as_user,
        )
        _check_keywords(options, KeptRunOptions, "fleet.run_command")
        careful = [name for name in ("canary", "batch", "max_failures") if options.get(name) is not None]
        if success is None and careful:
            raise InvalidRequestError(
                f"{' and '.join(careful)} of run_command: the server keeps no return codes of commands, so "
                'say by the output what a success is: success="what it prints", or a function of a result'
            )
        judge = Prints(arguments.free_text(success, "success")) if isinstance(success, str) else success
        if judge is not None and not callable(judge):
            raise InvalidRequestError(f"success must be a text or a function of a result, not {success!r}")
        return self._run(CommandWork(run), agents, judge or any_result, **options)

    def run_code(
        self,
        agents: Iterable[str | Agent] | AsyncIterable[str | Agent] | Selector,
        code: str,
        *,
        shell: str,
        args: Iterable[str] = (),
        env_vars: Mapping[str, str] | None = None,
        timeout: int = 90,
        run_as_user: bool = False,
        success: Callable[[ScriptResult], bool] | Iterable[int] = succeeded_by_default,
        **options: Unpack[KeptRunOptions],
    ) -> FleetRun[ScriptResult]:
        """Run code that is not in the library on all of these agents, a stock server's; see `FleetRun`.

        By the server's call for trying scripts out, one for each agent. It waits for the agent and holds a
        worker until then, so that no more than `max_waiting` are under way at once. The server keeps nothing
        of it: where an answer is lost the outcome stays `Unknown`, also when it is resumed.

        Args:
            agents: as of `run_script`.
            code: its text.
            shell: what runs it: "powershell", "cmd", "python", "shell", "nushell" or "deno".
            args: its arguments.
            env_vars: its environment variables.
            timeout: seconds that it may take on each agent, 1 to 300.
            run_as_user: run it as the user who is logged in.
            success: as of `run_script`.
            options: as of `run_command`.

        Raises:
            InvalidRequestError: an argument is wrong, or a target stands there twice.
            UnsupportedError (on entering): the server is a gateway.
        """
        run = checked_code(
            code, shell=shell, args=args, env_vars=env_vars, timeout=timeout, run_as_user=run_as_user
        )
        _check_keywords(options, KeptRunOptions, "fleet.run_code")
        return self._run(CodeWork(run), agents, success, **options)

    def scan_patches(
        self,
        agents: Iterable[str | Agent] | AsyncIterable[str | Agent] | Selector,
        **options: Unpack[KeptRunOptions],
    ) -> FleetRun[None]:
        """Have these agents of a stock server look for Windows updates; see `FleetRun`.

        The server answers that it will, and tells no more: `Done` means accepted, and its result is None.
        Whom it has left out is found out: those that run another system, or that the key may not see, are
        `Failed`. With a `width` it is a call for each, else one for all.

        Args:
            agents: as of `run_script`.
            options: as of `run_command`; a failure is what was not accepted.

        Raises:
            InvalidRequestError: an argument is wrong, or a target stands there twice.
            UnsupportedError (on entering): the server is a gateway.
        """
        _check_keywords(options, KeptRunOptions, "fleet.scan_patches")
        return self._run(PatchWork("scan"), agents, any_result, **options)

    def install_patches(
        self,
        agents: Iterable[str | Agent] | AsyncIterable[str | Agent] | Selector,
        **options: Unpack[KeptRunOptions],
    ) -> FleetRun[None]:
        """Have these agents install the Windows updates that are approved, now; all else as `scan_patches`.

        `Done` means accepted, not installed: `agents.windows_updates.list` tells that in time.
        """
        _check_keywords(options, KeptRunOptions, "fleet.install_patches")
        return self._run(PatchWork("install"), agents, any_result, **options)

    def resume(
        self,
        journal: Place,
        *,
        retry: Retry | Iterable[Retry] = (),
        success: Callable[[Any], bool] | Iterable[int] | str | None = None,
        forgive: bool = False,
    ) -> FleetRun[Any]:
        """Go on with the run of a journal; awaited or iterated, one outcome for every target of it.

        Those that ended have the outcome that is written there. Those that were never sent are run, as the
        journal says. Those in flight when the process ended are settled where the server can tell (a stock
        server's history), else they are `Unknown`. None is run twice unless `retry` says so.

        The policy goes on, too: a run whose canary has failed, or that had more failures than `max_failures`,
        stays stopped, and what was not begun is skipped, unless those are retried or `forgive` says so. Those
        that were in flight, and of which nothing is known, count for a canary alone.

        Args:
            journal: the file, or the run in a database. Of the latter any number of hosts can go on with it
                at once: they work it off together, and each is told all outcomes.
            retry: "failed" runs those again that failed, or ran without success; "unknown" those of which it
                isn't known; "skipped" those that were skipped for being offline. One of them, or several.
            success: as of the run: return codes of scripts and code, a text of commands, or a function; of
                patches none. None for the return codes or the text that the run was given; a function can't
                be written into a file. For what ends from now on. Not for a run in a database.
            forgive: go on as if what has ended by now had succeeded.

        Raises (on entering):
            InvalidRequestError: `success` is not for a run of this kind.
            JournalError: there is no such journal, it is of another server or a newer version, another
                process works on it, it isn't whole, or another user could have written it.
        """
        kinds = tuple(
            arguments.choice(kind, "retry", ("failed", "unknown", "skipped"))
            for kind in ((retry,) if isinstance(retry, str) else retry)
        )
        if isinstance(success, str):
            success = Prints(arguments.free_text(success, "success"))
        elif isinstance(success, Iterable) and not callable(success):
            success = tuple(success)
        if success is not None:
            checked_policy(None, None, None, success)
        forgive = arguments.boolean(forgive, "forgive")
        place = _place(journal)
        if success is not None and isinstance(place, PostgresJournal):
            raise InvalidRequestError(
                "several hosts judge a run alike, by the success that it was begun with: resume() takes none"
            )
        return FleetRun(self._api, Resumption(place, kinds, success, self.poll, forgive))

    def _run(
        self,
        work: Work[T],
        agents: object,
        success: Success,
        *,
        width: int | None = None,
        canary: int | None = None,
        batch: Share | None = None,
        max_failures: Share | None = None,
        splay: float = 0.0,
        skip_offline: bool = False,
        when_online: timedelta | None = None,
        dry_run: bool = False,
        journal: Place | None = None,
    ) -> FleetRun[T]:
        if skip_offline and when_online is not None:
            raise InvalidRequestError("skip_offline and when_online exclude each other")
        hosts: dict[str, str] = {}
        if isinstance(work, CallWork):
            hosts |= {who: one.hostname for who, one in work.given.items() if isinstance(one, Agent)}
        plan = RunPlan(
            work=work,
            targets=_targets(agents, hosts),
            hosts=hosts,
            width=None if width is None else arguments.integer(width, "width", minimum=1),
            policy=checked_policy(canary, batch, max_failures, success),
            splay=arguments.number(splay, "splay", minimum=0),
            skip_offline=arguments.boolean(skip_offline, "skip_offline"),
            when_online=checked_wait(when_online),
            dry_run=arguments.boolean(dry_run, "dry_run"),
            journal=None if journal is None else _place(journal),
            poll=self.poll,
        )
        policy = plan.policy
        if isinstance(plan.journal, PostgresJournal) and not policy.told and policy.success is not work.good:
            raise InvalidRequestError(
                "success is a function, which other hosts can't be told: give return codes, or a text"
            )
        return FleetRun(self._api, plan)


def _check_keywords(options: Mapping[str, object], known: type, method: str) -> None:
    for name in options:
        arguments.keyword(name, tuple(known.__annotations__), method)


def _targets(agents: object, hosts: dict[str, str]) -> list[str] | AsyncIterable[str | Agent] | Selector:
    """The targets, checked; `hosts` is told what those are called that were given as objects."""
    if isinstance(agents, str | Agent):
        raise InvalidRequestError("agents must be several: write [agent] for one")
    if isinstance(agents, AsyncIterable | Selector):
        return agents
    if not isinstance(agents, Iterable):
        raise InvalidRequestError(
            f"agents must be a collection, an asynchronous stream or agents.select(…), not {agents!r}"
        )
    several = list(agents)
    agent_ids = listed(several)
    hosts.update((one.agent_id, one.hostname) for one in several if isinstance(one, Agent))
    return agent_ids


def _given(
    agents: object, given: dict[str, str | Agent]
) -> list[str] | AsyncIterable[str | Agent] | Selector:
    """The same; what each of them was given as is kept by its id."""
    if isinstance(agents, str | Agent | Selector):
        return _targets(agents, {})
    if isinstance(agents, AsyncIterable):
        return noted(agents, given)
    several = list(agents) if isinstance(agents, Iterable) else agents
    agent_ids = _targets(several, {})
    if isinstance(agent_ids, list) and isinstance(several, list):
        given.update(
            (agent_id, agent)
            for agent_id, agent in zip(agent_ids, several, strict=True)
            if agent_id is not agent
        )
    return agent_ids


def _place(value: object) -> Place:
    """Where a journal is, checked as far as that goes without opening it."""
    if isinstance(value, PostgresJournal):
        return value
    if not isinstance(value, str | PathLike) or not str(value):
        raise InvalidRequestError(
            f"journal must be the path of a file, or a run in a database, not {type(value).__name__}"
        )
    return postgres_journal(value) or value
