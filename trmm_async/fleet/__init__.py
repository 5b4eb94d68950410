"""Runs one script, or any other call, on many agents: `trmm.fleet`.

Whatever happens, every target gets exactly one outcome, and a script is sent to each target at most once.

This package stands above the resources. Its modules, from the top: `run` (the object that the user holds),
`scheduler` (which target is sent to when), `dispatcher` (sends to it), `sharing` (what other hosts did),
`collector` (collects and counts the outcomes), `presence` (which agents are offline), `targets` (where they
come from), `plan` (the checked arguments), `work` (what is done to a target), `journal` (the record of what
was done), `rollout` (canary, batches and failure limits; pure) and `reports` (pure).
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
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
    checked_place,
    checked_policy,
    checked_wait,
)
from trmm_async.fleet.postgres import PostgresJournal, StoredRun
from trmm_async.fleet.reports import Group, as_csv, as_jsonl, as_row, groups_of, report
from trmm_async.fleet.rollout import Share, any_result, succeeded_by_default
from trmm_async.fleet.run import FleetRun
from trmm_async.fleet.targets import checked_given, checked_targets
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
    """Options that every run takes. `Fleet.run_script` describes each of them."""

    width: int | None
    canary: int | None
    batch: Share | None
    max_failures: Share | None
    splay: float
    skip_offline: bool
    when_online: timedelta | None


class KeptRunOptions(RunOptions, total=False):
    """Options of a run that can be recorded in a journal: those of `RunOptions`, `dry_run` and `journal`."""

    dry_run: bool
    journal: Place | None


class Fleet:
    """Runs scripts and other calls on many agents.

    Attributes:
        poll: a run with `when_online` reads the list of agents every so many seconds. Default: 15.
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
        """Run a script on many agents. Returns a `FleetRun`, to be awaited or iterated.

        Nothing is sent before you enter or await the run. Every target is tried, including agents that were
        last seen offline, since their last known status may be old. `skip_offline` and `when_online` change
        that.

        A stock server takes all targets in one call, and they start together, unless `width`, `splay` or
        `max_failures` asks for less. The results are read from the server's history.

        Args:
            agents: ids or agents: any iterable, also an asynchronous one, or `agents.select(…)`, which is
                read to its end before the first script is sent. Duplicates are refused.
            script: a script of the server's library: its id, its name, or the `Script`. A name is looked up
                when the run begins.
            args: the script's arguments, texts.
            timeout: seconds that the script may take on each agent, 1 to 300.
            env_vars: environment variables for the script; a stock server only.
            run_as_user: run the script as the user who is logged in; a stock server only.

            width: how many targets may be in progress at once. None: 50 on a gateway, all on a stock server.
            canary: the number of targets to run first. The others follow only if all of these succeed.
            batch: how many targets run at a time; the next batch starts when all of a batch have ended. A
                whole number, or a share of the targets as a float (0.1 is a tenth).
            max_failures: stop after more than this number (an int) or this share (a float) of failures.
                Targets not yet started are skipped. A target that is not known to have succeeded is a
                failure.
            success: which results are successes: a function of a `ScriptResult`, or return codes. Return
                codes are stored in a journal for `resume`; a function is not. Default: return code 0.
            splay: before each target is sent, wait a random time of up to this many seconds.

            skip_offline: skip the agents that are offline, according to the server, when the run begins.
            when_online: wait for offline agents instead: the script runs on those that come back within this
                time, and the others are skipped.
            dry_run: return a `Skipped` for each target, whose reason says what would happen to it. No script
                is sent, and no journal is made.
            journal: the path of a file that records the run, so that `resume` can continue it after a crash.
                The file must not exist. Or a run in a database, which several hosts can work on together: a
                `PostgresJournal`, or "postgresql://host/database?run=NAME". The database must not have a run
                of that name.

        Raises:
            InvalidRequestError: an argument is invalid, or a target is given twice. Nothing was sent.
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
        """Call an asynchronous function once for each agent. Returns a `FleetRun`.

            async with trmm.fleet.map(agents, lambda agent: trmm.agents.services(agent), width=20) as run:
                async for outcome in run: ...

        The function may make any number of calls, and is in progress for `width` targets at a time. Its
        return value is the `result` of `Done`. If it raises a `TRMMError`, that is the target's outcome:
        `Failed` if no call that changes something had been sent for this target, otherwise `Unknown`. All
        calls of any `TRMM` object made in the function are counted, also those in tasks that it starts;
        anything else that the function does is not.

        Any other exception stops the run: targets in progress are waited for, and then it is raised.

        There is no `journal`, because a function can't be stored in a file.

        Args:
            agents: as in `run_script`.
            call: an asynchronous function of one argument: the target as you gave it, an id or an agent. For
                `agents.select(…)`, it is the agent.
            success: a function that says whether a return value is a success. By default, every one is.
            options: `width` (50 if not given), `canary`, `batch`, `max_failures`, `splay`, `skip_offline` and
                `when_online`, as in `run_script`.

        Raises:
            InvalidRequestError: an argument is invalid, or a target is given twice. Nothing was sent.
        """
        if not callable(call):
            raise InvalidRequestError(f"call must be an asynchronous function of an agent, not {call!r}")
        if "journal" in options:
            raise InvalidRequestError(
                "journal is not supported by fleet.map(): a function can't be stored in a file"
            )
        _check_keywords(options, RunOptions, "fleet.map")
        arguments.predicate(success, "success", "what was returned")
        work = CallWork[T](call)
        return self._run(work, checked_given(agents, work.given), success, **options)

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
        """Run a command on many agents of a stock server. Returns a `FleetRun`.

        The command is sent by the server's bulk call, which holds no worker, and its output is read from the
        server's history. The history has no return codes of commands: `CommandResult.retcode` is None, and
        every command that ended is a success unless `success` says otherwise. So `canary`, `batch` and
        `max_failures` need `success`.

        Args:
            agents: as in `run_script`.
            command: the command line, in the syntax of the shell.
            shell: "cmd" or "powershell" on Windows, elsewhere a path such as "/bin/bash". It is the same for
                all targets.
            custom_shell: the path of a program that is used as the shell, in place of `shell`.
            timeout: seconds that the command may take on each agent, 86400 (a day) at most.
            run_as_user: run the command as the user who is logged in (Windows).
            success: which results are successes: a function of a `CommandResult`, or a text that the output
                must contain. A text is stored in a journal for `resume`; a function is not.
            options: `width`, `canary`, `batch`, `max_failures`, `splay`, `skip_offline`, `when_online`,
                `dry_run` and `journal`, as in `run_script`.

        Raises:
            InvalidRequestError: an argument is invalid, a target is given twice, or `canary`, `batch` or
                `max_failures` is given without `success`. Nothing was sent.
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
                'define success by the output: success="what it prints", or a function of a result'
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
        """Run code that is not in the library on many agents of a stock server. Returns a `FleetRun`.

        The code is sent by the server's call for testing scripts, one call for each agent. The call waits for
        the agent and holds a worker meanwhile, so no more than `max_waiting` are in progress at once. The
        server keeps no record of it: if an answer is lost, the outcome is `Unknown`, and `resume` can't find
        out more.

        Args:
            agents: as in `run_script`.
            code: the text of the code.
            shell: what runs the code: "powershell", "cmd", "python", "shell", "nushell" or "deno".
            args: the arguments of the code, texts.
            env_vars: environment variables for the code.
            timeout: seconds that the code may take on each agent, 1 to 300.
            run_as_user: run the code as the user who is logged in.
            success: as in `run_script`.
            options: as in `run_command`.

        Raises:
            InvalidRequestError: an argument is invalid, or a target is given twice. Nothing was sent.
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
        """Have many agents of a stock server look for Windows updates. Returns a `FleetRun`.

        The server answers only that it accepted the order: `Done` means accepted, and its result is None.
        Agents that the server leaves out are `Failed`: those that run another system than Windows, and those
        that the key may not see. With a `width` there is one call for each agent, otherwise one for all.

        Args:
            agents: as in `run_script`.
            options: as in `run_command`. A target is a failure if the server did not accept it.

        Raises:
            InvalidRequestError: an argument is invalid, or a target is given twice. Nothing was sent.
            UnsupportedError (on entering): the server is a gateway.
        """
        _check_keywords(options, KeptRunOptions, "fleet.scan_patches")
        return self._run(PatchWork("scan"), agents, any_result, **options)

    def install_patches(
        self,
        agents: Iterable[str | Agent] | AsyncIterable[str | Agent] | Selector,
        **options: Unpack[KeptRunOptions],
    ) -> FleetRun[None]:
        """Have many agents of a stock server install the approved Windows updates now. Returns a `FleetRun`.

        `Done` means that the server accepted the order, not that the updates are installed:
        `agents.windows_updates.list` shows that later. Everything else is as in `scan_patches`.
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
        """Continue the run of a journal. Returns a `FleetRun`, which has one outcome for each target.

        - Targets that have an outcome in the journal keep it.
        - Targets that were never sent are run, with the arguments that the journal holds.
        - Targets that were in progress when the earlier process ended are looked up in the history of a stock
          server. If it has no result of them, and always on a gateway, they are `Unknown`.

        No target is run twice unless `retry` asks for it.

        The limits of the run continue to apply: if its canary failed, or it had more failures than
        `max_failures`, it stays stopped, and the targets not yet started are skipped. To continue all the
        same, retry the failures, or pass `forgive=True`. A target that was in progress, and whose outcome
        stays unknown, counts as a failure only if it is a canary.

        Args:
            journal: the path of the file, or the run in a database. Any number of hosts can continue a run in
                a database at the same time: they share its targets, and each of them gets all outcomes.
            retry: which targets to run again, one or several of: "failed" (those that failed, or ran without
                success), "unknown" (those that may have run: **they may run twice**) and "skipped" (those
                that were skipped because they were offline).
            success: which results are successes, for targets that end from now on: return codes (of scripts
                and code), a text (of commands), or a function. None: the return codes or the text that the
                run was started with. It can't be given for patches, or for a run in a database.
            forgive: count all targets that have ended so far as successes.

        Raises:
            InvalidRequestError: an argument is invalid; on entering: `success` doesn't fit this kind of run.
            JournalError (on entering): the journal doesn't exist, is damaged or incomplete, is of another
                server or to a newer version of the format, another process works on it, or another user could
                have written it.
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
        place = checked_place(journal)
        if success is not None and isinstance(place, PostgresJournal):
            raise InvalidRequestError(
                "success can't be changed for a run in a database, since all hosts must use the same: "
                "call resume() without success"
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
            raise InvalidRequestError("give skip_offline or when_online, not both")
        hosts: dict[str, str] = {}
        if isinstance(work, CallWork):
            hosts |= {who: one.hostname for who, one in work.given.items() if isinstance(one, Agent)}
        plan = RunPlan(
            work=work,
            targets=checked_targets(agents, hosts),
            hosts=hosts,
            width=None if width is None else arguments.integer(width, "width", minimum=1),
            policy=checked_policy(canary, batch, max_failures, success),
            splay=arguments.number(splay, "splay", minimum=0),
            skip_offline=arguments.boolean(skip_offline, "skip_offline"),
            when_online=checked_wait(when_online),
            dry_run=arguments.boolean(dry_run, "dry_run"),
            journal=None if journal is None else checked_place(journal),
            poll=self.poll,
        )
        policy = plan.policy
        if isinstance(plan.journal, PostgresJournal) and not policy.told and policy.success is not work.good:
            raise InvalidRequestError(
                "success is a function, which can't be stored for other hosts: give return codes, or a text"
            )
        return FleetRun(self._api, plan)


def _check_keywords(options: Mapping[str, object], known: type, method: str) -> None:
    for name in options:
        arguments.keyword(name, tuple(known.__annotations__), method)
