"""`trmm.scripts`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final, TypedDict, Unpack, get_args

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import Call, Plan, Steps, plan
from trmm_async.dialects.base import SentResult
from trmm_async.dialects.stock.dialect import GET_SCRIPT, SCRIPTS
from trmm_async.dialects.stock.endpoint import act, delete, put, read, send
from trmm_async.dialects.stock.explanations import sentence
from trmm_async.errors import AgentLostError, AgentUnreachableError, InvalidRequestError
from trmm_async.models import Agent, Noun, Script, ScriptResult, no_extra
from trmm_async.resources.api import Api
from trmm_async.resources.names import SCRIPT, AnyScript
from trmm_async.resources.resource import Resource, refuse_in_use, refuse_loss
from trmm_async.resources.stock.snippets import Snippets
from trmm_async.words import Platform, Shell

__all__ = ["ScriptChanges", "ScriptFile", "Scripts"]


class ScriptChanges(TypedDict, total=False):
    """The settings that `scripts.update` can change. What is not given stays unchanged."""

    name: str
    shell: Shell
    code: str
    description: str
    category: str | None
    args: Iterable[str]
    env_vars: Mapping[str, str]
    default_timeout: int
    run_as_user: bool
    supported_platforms: Iterable[Platform]
    favorite: bool
    hidden: bool


_SECONDS_MOST: Final = 2**31 - 1


_MARKS: Final = ("favorite", "hidden")
"""What can be changed of community scripts, each by its own call: the server ignores all else in it."""


def _outcome(body: bytes) -> ScriptResult | str:
    return sentence(body) or _server_result(body)


class ScriptFile(Noun, frozen=True, kw_only=True, gc=False):
    """A script as a file: its name with the extension of its shell, and its text."""

    filename: str
    """What the file is called."""
    code: str = ""
    """The text of it."""
    extra: Mapping[str, Any] = no_extra()


def _server_result(body: bytes) -> ScriptResult:
    return codec.decoder(SentResult)(body).result()


_ONE: Final = "/scripts/{script:id}/"

DOWNLOAD = read("scripts.download", _ONE + "download/", ScriptFile)
TEST_ON_SERVER = act(
    "scripts.test_on_server",
    "/core/serverscript/test/",
    decode=_server_result,
    needs="code timeout args shell env_vars",
    since="0.19.0",
)
CREATE = send("scripts.create", "/scripts/")
UPDATE = put("scripts.update", _ONE)
DELETE = delete("scripts.delete", _ONE)


class _Action(msgspec.Struct):
    script: int | None = None


class _RunsScript(msgspec.Struct):
    """The part of a check or a task that says which scripts it runs."""

    id: int
    name: str | None = None
    script: int | None = None
    actions: tuple[_Action, ...] = ()


# A server took 30 s to list 1,835 checks.
_CHECKS_OF_ALL = read("scripts.delete", "/checks/", list[_RunsScript], waits=300.0)
_TASKS_OF_ALL = read("scripts.delete", "/tasks/", list[_RunsScript], waits=300.0)
TEST = act(
    "scripts.test",
    "/scripts/{agent:agent}/test/",
    decode=_outcome,
    needs="code timeout args shell run_as_user env_vars",
)


class Scripts(Resource):
    """The server's script library: list it; on a stock server also get, create, update, delete and test.

    All errors are `TRMMError`s.
    """

    snippets: Snippets

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.snippets = Snippets(api)

    async def find(self, name: str) -> Script | None:
        """Find the script with this name, or None. Case is ignored. Hidden scripts are not found.

        Raises:
            AmbiguousNameError: several scripts have that name, which the server allows.
        """
        return SCRIPT.find(arguments.plain_text(name, "name"), await self._names().scripts())

    async def list(self, *, hidden: bool = False, community: bool = True) -> list[Script]:
        """List all scripts that the key may see, without their code.

        Args:
            hidden: True includes hidden scripts. A stock server only.
            community: False leaves out the scripts that came with Tactical RMM. A stock server only.
        """
        query: dict[str, object] = {}
        if arguments.boolean(hidden, "hidden"):
            query["showHiddenScripts"] = "true"
        if not arguments.boolean(community, "community"):
            query["showCommunityScripts"] = "false"
        if query:
            return await self._send(SCRIPTS, query=query)
        return await self._api.send(lambda dialect: dialect.list_scripts())

    async def download(self, script: AnyScript, *, snippets: bool = True) -> ScriptFile:
        """Download a script as a file; a stock server only.

        Args:
            script: the script, its id or its name.
            snippets: True replaces the names of snippets in braces by their code.

        Raises:
            NotFoundError: there is no such script.
        """
        as_written = {} if arguments.boolean(snippets, "snippets") else {"with_snippets": "false"}
        return await self._send(DOWNLOAD, script, query=as_written)

    async def get(self, script: AnyScript) -> Script:
        """Get one script with its `code`, but without its `script_type`; a stock server only.

        Raises:
            NotFoundError: there is no such script.
        """
        return await self._send(GET_SCRIPT, script)

    async def create(
        self,
        *,
        name: str,
        shell: Shell,
        code: str,
        description: str = "",
        category: str | None = None,
        args: Iterable[str] = (),
        env_vars: Mapping[str, str] | None = None,
        default_timeout: int = 90,
        run_as_user: bool = False,
        supported_platforms: Iterable[Platform] = (),
    ) -> Script:
        """Add a script to the library and return it; a stock server only. Never sent twice.

        The server allows several scripts with one name. It removes spaces around a name.

        Args:
            name: the script's name.
            shell: the shell that runs it.
            code: its text.
            description: its description.
            category: its category in the library.
            args: its arguments, unless a run has its own.
            env_vars: its environment variables.
            default_timeout: seconds that a run may take, unless it has its own timeout.
            run_as_user: True runs it as the user who is logged in.
            supported_platforms: the platforms that it runs on; empty for all.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        given: ScriptChanges = {
            "name": name,
            "shell": shell,
            "code": code,
            "description": description,
            "args": args,
            "env_vars": env_vars or {},
            "default_timeout": default_timeout,
            "run_as_user": run_as_user,
            "supported_platforms": supported_platforms,
        }
        if category is not None:
            given["category"] = category
        body = arguments.settings(given, _CHECKS, CREATE.name)
        made = await self._create(
            CREATE,
            SCRIPTS,
            body=body,
            query={"showHiddenScripts": "true"},
            # Not by the arguments: the server removes spaces around them.
            is_it=lambda made: (made.name, made.shell) == (body["name"], body["shell"]),
        )
        return msgspec.structs.replace(made, code=code)

    async def update(self, script: AnyScript, **changes: Unpack[ScriptChanges]) -> None:
        """Change a script; a stock server only. Idempotent: sent again if an answer is lost.

        For a community script, only `favorite` and `hidden` can be changed. Each of these two takes a call of
        its own, after the one for all other changes.

        Args:
            script: the script, its id or its name.
            changes: the settings to change: those that `create` takes (`category=None` for no category),
                `favorite`, `hidden`.

        Raises:
            BadRequestError: it is a community script, which can't be edited.
            NotFoundError: there is no such script.
        """
        arguments.reference(script, "script")
        given = arguments.settings(changes, _CHECKS, UPDATE.name)
        script_id = await self._names(UPDATE.name).script(script)
        content = {name: value for name, value in given.items() if name not in _MARKS}
        for part in (content, *({name: given[name]} for name in _MARKS if name in given)):
            if part:
                await self._send(UPDATE, script_id, body=part)

    async def delete(self, script: AnyScript, *, with_code: bool = False, in_use: bool = False) -> None:
        """Delete a script; a stock server only.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            script: the script, its id or its name.
            with_code: True confirms that its code may be lost.
            in_use: True also deletes a script that checks and tasks run: the server deletes these checks with
                their results, and the tasks do nothing any more. Without it, both are looked up first, and a
                script in use is not deleted. On a server with thousands of checks this takes half a minute
                and more.

        Raises:
            InvalidRequestError: it is in use, or `with_code` was not given; nothing was deleted.
            BadRequestError: it is a community script.
            NotFoundError: there is no such script.
        """
        wanted, may_be_used = arguments.reference(script, "script"), arguments.boolean(in_use, "in_use")
        refuse_loss(f"scripts.delete: script {wanted!r}", with_code=with_code)
        if may_be_used:
            await self._send(DELETE, wanted)
            return
        script_id = await self._names(DELETE.name).script(wanted)
        await self._on_stock(DELETE.name, _delete_unused(script_id))

    async def test(
        self,
        agent: str | Agent,
        *,
        shell: Shell,
        code: str,
        args: Iterable[str] = (),
        env_vars: Mapping[str, str] | None = None,
        timeout: int = 90,
        run_as_user: bool = False,
    ) -> ScriptResult:
        """Run code on an agent without storing it, and wait for its result; a stock server only.

        Never sent twice. It holds a worker of the server until it has ended, for at most `timeout` seconds
        (`max_waiting`); `agents.run_script` doesn't.

        Args:
            agent: the agent or its id.
            shell: the shell that runs the code.
            code: the text.
            args: the arguments.
            env_vars: the environment variables.
            timeout: seconds that it may take, 1 to 300; the client waits longer than that.
            run_as_user: True runs it as the user who is logged in.

        Raises:
            AgentLostError: the agent did not report the end within `timeout`: the code may have run, or may
                still run.
            AgentUnreachableError: the server could not send it to the agent.
            OutcomeUnknownError: it was sent and the answer was lost: it may have run.
        """
        run = checked_code(
            code, shell=shell, args=args, env_vars=env_vars, timeout=timeout, run_as_user=run_as_user
        )
        return await self._on_stock(TEST.name, run_code(arguments.agent_id(agent), run))

    async def test_on_server(
        self,
        *,
        shell: Shell,
        code: str,
        args: Iterable[str] = (),
        env_vars: Mapping[str, str] | None = None,
        timeout: int = 90,
    ) -> ScriptResult:
        """Run code on the Tactical RMM server itself, as its own user, and wait; a stock server only.

        Never sent twice. It holds a worker of the server until it has ended. An administrator must have
        enabled scripts on the server.

        Args:
            shell: the kind of code. The program that runs it is named in its first line.
            code: the text, which begins with `#!` and the path of a program.
            args: the arguments.
            env_vars: the environment variables.
            timeout: seconds that it may take, 1 to 300; then its `retcode` is 98.

        Raises:
            BadRequestError: scripts on the server are disabled.
            OutcomeUnknownError: it was sent and the answer was lost: it may have run.
        """
        if not arguments.free_text(code, "code").startswith("#!"):
            raise InvalidRequestError("code must begin with #! and the program that runs it: #!/bin/bash")
        body = {
            "code": code,
            "shell": arguments.choice(shell, "shell", get_args(Shell)),
            "args": arguments.script_args(args),
            "env_vars": arguments.run_env_vars(env_vars),
            "timeout": arguments.script_timeout(timeout),
        }
        return await self._send(TEST_ON_SERVER, body=body, waits=timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRun:
    """Code that is run without being stored; `timeout` in seconds, `env_vars` as "NAME=value"."""

    code: str
    shell: str
    args: tuple[str, ...] = ()
    env_vars: tuple[str, ...] = ()
    timeout: int = 90
    run_as_user: bool = False


def checked_code(
    code: str,
    *,
    shell: str,
    args: Iterable[str],
    env_vars: Mapping[str, str] | None,
    timeout: int,
    run_as_user: bool,
) -> CodeRun:
    """Check all arguments of a run of code."""
    return CodeRun(
        code=arguments.free_text(code, "code"),
        shell=arguments.choice(shell, "shell", get_args(Shell)),
        args=arguments.script_args(args),
        env_vars=arguments.run_env_vars(env_vars),
        timeout=arguments.script_timeout(timeout),
        run_as_user=arguments.boolean(run_as_user, "run_as_user"),
    )


def run_code(agent_id: str, run: CodeRun) -> Plan[ScriptResult]:
    """Run code on one agent; the server waits for it."""
    return tried(TEST.call(agent_id, body=asdict(run), waits=run.timeout))


@plan
def tried(call: Call[ScriptResult | str]) -> Steps[ScriptResult]:
    """The result of code that was sent. If it is a text, the server has no result of the agent."""
    answer = yield from call
    if isinstance(answer, ScriptResult):
        return answer
    # "natsdown": the server could not send the script at all.
    kind = AgentUnreachableError if answer == "natsdown" else AgentLostError
    raise kind(200, f"no result of the agent: {answer}", method=call.method, path=call.path, body=answer)


def _platforms(values: object, what: str) -> tuple[str, ...]:
    names = arguments.names(values, what)
    return tuple(arguments.choice(name, what, get_args(Platform)) for name in names)


_CHECKS: Final[arguments.Checks] = {
    "name": arguments.name,
    "shell": partial(arguments.choice, allowed=get_args(Shell)),
    "code": ("script_body", arguments.free_text),
    "description": partial(arguments.free_text, empty=True),
    "category": arguments.or_none(arguments.plain_text),
    "args": lambda values, _: arguments.script_args(values),
    "env_vars": lambda values, _: arguments.env_vars(values),
    "default_timeout": partial(arguments.integer, minimum=1, maximum=_SECONDS_MOST),
    "run_as_user": arguments.boolean,
    "supported_platforms": _platforms,
    "favorite": arguments.boolean,
    "hidden": arguments.boolean,
}


@plan
def _delete_unused(script_id: int) -> Steps[None]:
    by: list[str] = []
    for kind, every in (("check", _CHECKS_OF_ALL), ("task", _TASKS_OF_ALL)):
        rows = yield from every.call()
        by += [
            f"{kind} {row.id} ({row.name})" if row.name else f"{kind} {row.id}"
            for row in rows
            if script_id in {row.script, *(action.script for action in row.actions)}
        ]
    refuse_in_use(f"scripts.delete: script {script_id}", by)
    yield from DELETE.call(script_id)
