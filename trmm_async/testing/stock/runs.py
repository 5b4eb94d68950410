"""One script or one command on one agent.

Below: `dispatch.py`. Above: `dialect.py`. Neither has a run id: the answer to a script that nobody waits for
is a sentence, to one that is waited for whatever it printed, and the history has the rest.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trmm_async.testing.routing import Route
from trmm_async.testing.runner import RunOrder

from .custom_fields import collect
from .dispatch import Dispatch, command_text, script_text
from .view import Fields, crash, refuse, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent, RunRecord
    from trmm_async.testing.replies import Asked, HTTPReply

__all__ = ["RunsView", "listed_words", "shell_of"]

SCRIPT_GRACE = 3
"""Seconds added to a script's timeout, for the agent and for the server alike."""

COMMAND_GRACE = 2
"""Seconds that the server waits for a command beyond the timeout that the agent keeps."""


class RunsView:
    """`/agents/{agent_id}/runscript/` and `/agents/{agent_id}/cmd/`."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._runner = backend.runner
        self._dispatch = Dispatch(backend)
        self._activity = backend.activity

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        one = "/agents/{agent_id:agent}/"
        return (
            Route("POST", f"{one}runscript/", self.script, "can_run_scripts"),
            Route("POST", f"{one}cmd/", self.command, "can_send_cmd"),
        )

    # -- scripts ---------------------------------------------------------------------------------------------

    async def script(self, asked: Asked) -> HTTPReply:
        """`POST /agents/{agent_id}/runscript/`; an unknown output mode is `forget`."""
        agent, body = self._world.agent(asked.params["agent_id"]), Fields.of(asked)
        script = self._world.script(body.whole("script"))
        order = self._order(body, script.id, asked.user)
        self._activity.script(agent, script.name, asked.user)
        row = self._world.journal.write(
            agent.agent_id, type="script_run", username=asked.user[:50], script=script.id
        )
        if body.get("run_on_server"):
            return said(self._on_server(row))
        order.history, order.report = row.id, partial(self._dispatch.script_report, row)
        if order.output in {"wait", "collector", "note"}:
            return said(await self._waited_for(agent, order, body, asked.user))
        if order.output == "email":
            self._check_email(body)
            self._runner.later(self._dispatch.post(agent, order))
        else:
            await self._dispatch.post(agent, order)
        return said(f"{script.name} will now be run on {agent.hostname}")

    @staticmethod
    def _order(body: Fields, script: int, username: str) -> RunOrder:
        output, args = str(body["output"]), listed_words(body["args"])
        as_user, env_vars = bool(body["run_as_user"]), listed_words(body["env_vars"])
        return RunOrder(
            script, output, args, body.whole("timeout"), grace=SCRIPT_GRACE,
            username=username, env_vars=env_vars, run_as_user=as_user,
        )  # fmt: skip

    async def _waited_for(self, agent: Agent, order: RunOrder, body: Fields, username: str) -> str:
        """Run it and put its output where it is wanted; without an answer that is the word for none."""
        found = await self._dispatch.ask(agent, order, order.timeout + SCRIPT_GRACE)
        text = script_text(found)
        if order.output == "collector":
            field = body["custom_field"]
            collect(self._world, agent, field, text, everything=bool(body["save_all_output"]))
        elif order.output == "note":
            self._world.journal.add_note(agent.agent_id, username=username, note=text)
        return text

    @staticmethod
    def _check_email(body: Fields) -> None:
        if body["emailMode"] != "default":
            body["emails"]

    @staticmethod
    def _on_server(row: RunRecord) -> dict[str, object]:
        """Run on the server itself, which has no scripts of these kinds to run here: it fails."""
        stderr = "Error: [Errno 8] Exec format error"
        result: dict[str, object] = {"stdout": "", "stderr": stderr, "execution_time": "0.0010", "retcode": 1}
        row.script_results = {**result, "id": row.id}
        return result

    # -- commands --------------------------------------------------------------------------------------------

    async def command(self, asked: Asked) -> HTTPReply:
        """`POST /agents/{agent_id}/cmd/`: what the command printed, or 400 after timeout and two seconds."""
        agent, body = self._world.agent(asked.params["agent_id"]), Fields.of(asked)
        timeout, shell = body.whole("timeout"), shell_of(body)
        text, as_user = str(body["cmd"]), bool(body["run_as_user"])
        row = self._world.journal.write(
            agent.agent_id, type="cmd_run", username=asked.user[:50], command=text
        )
        order = RunOrder(
            0, "cmd", (), timeout, command=text, shell=shell, history=row.id, username=asked.user,
            run_as_user=as_user, report=partial(self._dispatch.command_report, row),
        )  # fmt: skip
        found = await self._dispatch.ask(agent, order, timeout + COMMAND_GRACE)
        if found == "timeout":
            refuse("Unable to contact the agent")
        self._activity.command(agent, shell, text, asked.user)
        return said(found if isinstance(found, str) else command_text(found, agent.plat))


def shell_of(body: Fields) -> str:
    """Return the shell of a command; only `custom` asks for the key `custom_shell`."""
    shell = body["shell"]
    if shell == "custom" and body["custom_shell"]:
        shell = body["custom_shell"]
    return str(shell)


def listed_words(value: object) -> tuple[str, ...]:
    """Return arguments or environment variables: null is none, and a string one for each letter."""
    if not value:
        return ()
    if not isinstance(value, list | str | dict):
        crash()
    return tuple(str(each) for each in value)
