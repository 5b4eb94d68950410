"""The script library and its snippets, and trying a script out on an agent.

Below: `database.py` keeps the columns, `world.py` the scripts themselves. Above: `dialect.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trmm_async.testing.routing import Route
from trmm_async.testing.runner import RunOrder

from .dispatch import Dispatch
from .view import Fields, crash, invalid, refuse, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Script
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["LibraryView"]

LISTED, MANAGED = "can_list_scripts", "can_manage_scripts"
TABLE = (
    "id", "name", "description", "script_type", "shell", "args", "category", "favorite", "default_timeout",
    "syntax", "filename", "hidden", "supported_platforms", "run_as_user", "env_vars",
)  # fmt: skip
ALONE = (
    "id", "name", "description", "shell", "args", "category", "favorite", "script_body", "script_hash",
    "default_timeout", "syntax", "filename", "hidden", "supported_platforms", "run_as_user", "env_vars",
)  # fmt: skip
ENDINGS = {
    "powershell": ".ps1", "cmd": ".bat", "python": ".py", "shell": ".sh", "nushell": ".nu", "deno": ".ts",
}  # fmt: skip


SNIPPET_NAME = re.compile(r"\{\{\s*([^{}.]+?)\s*\}\}")


class LibraryView:
    """`/scripts/…`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._database = backend.database
        self._dispatch = Dispatch(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        one, snippet = "/scripts/{id:int}/", "/scripts/snippets/{id:int}/"
        return (
            Route("GET", "/scripts/", self.all, LISTED),
            Route("POST", "/scripts/", self.create, MANAGED),
            Route("GET", one, self.get, LISTED),
            Route("PUT", one, self.update, MANAGED),
            Route("DELETE", one, self.delete, MANAGED),
            Route("GET", one + "download/", self.download, LISTED),
            Route("GET", "/scripts/snippets/", self.snippets, LISTED),
            Route("POST", "/scripts/snippets/", self.create_snippet, MANAGED),
            Route("GET", snippet, self.get_snippet, LISTED),
            Route("PUT", snippet, self.update_snippet, MANAGED),
            Route("DELETE", snippet, self.delete_snippet, MANAGED),
            Route("POST", "/scripts/{agent_id:agent}/test/", self.test, "can_run_scripts"),
            Route("POST", "/core/serverscript/test/", self.test_on_server, "can_run_server_scripts"),
        )

    # -- scripts ---------------------------------------------------------------------------------------------

    def all(self, asked: Asked) -> HTTPReply:
        """`GET /scripts/`: without hidden ones unless `showHiddenScripts=true`, by category."""
        query = asked.row.query
        community = query.get("showCommunityScripts", "true") not in {"", "false"}
        hidden = query.get("showHiddenScripts") == "true"
        rows = [
            row
            for row in self._database.all_scripts()
            if (community or row["script_type"] == "userdefined") and (hidden or not row["hidden"])
        ]
        rows.sort(key=lambda row: (row["category"] is None, str(row["category"])))
        return said([{name: row[name] for name in TABLE} for row in rows])

    def get(self, asked: Asked) -> HTTPReply:
        """`GET /scripts/{id}/`: with its text, without its type."""
        row = self._row(asked)
        return said({name: row[name] for name in ALONE})

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /scripts/`: nothing has to be there, a name neither, nor has it to be a new one."""
        values = self._database.scripts.form.read(Fields.of(asked), partial=True)
        script = self._world.add_script(str(values.get("name", "")))
        self._apply(script, values)
        self._backend.activity.log(asked.user, "add", "script", f"{asked.user} added script {script.name}")
        return said(f"{script.name} was added!")

    def update(self, asked: Asked) -> HTTPReply:
        """`PUT /scripts/{id}/`: of a community script only `favorite`, or else `hidden`."""
        row, body = self._row(asked), Fields.of(asked)
        given = {name: body[name] for name in body}
        if row["script_type"] == "builtin":
            allowed = next((name for name in ("favorite", "hidden") if name in given), None)
            if allowed is None:
                refuse("Community scripts cannot be edited.")
            given = {allowed: given[allowed]}
        script = self._script(asked)
        self._apply(script, self._database.scripts.form.read(given, partial=True))
        return said(f"{script.name} was edited!")

    def _apply(self, script: Script, values: Row) -> None:
        script.name = str(values.get("name", script.name))
        script.shell = str(values.get("shell", script.shell))
        script.description = str(values.get("description", script.description))
        self._database.script(script).update(values)

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /scripts/{id}/`: with the checks that run it. A community script can't be."""
        row, script = self._row(asked), self._script(asked)
        if row["script_type"] == "builtin":
            refuse("Community scripts cannot be deleted")
        del self._world.scripts[script.id]
        self._database.scripts.remove(script.id)
        for check in [each for each in self._database.all_checks() if each["script"] == script.id]:
            self._database.drop_check(check)
        for template in self._database.alert_templates:
            template |= {name: None for name in ("action", "resolved_action") if template[name] == script.id}
        self._world.journal.forget_script(script.id)
        return said(f"{script.name} was deleted!")

    def download(self, asked: Asked) -> HTTPReply:
        """`GET /scripts/{id}/download/`: as JSON, a file's name and the text, with its snippets in it."""
        row = self._row(asked)
        code = str(row["script_body"])
        if asked.row.query.get("with_snippets", "true") != "false":
            codes = {str(snippet["name"]): str(snippet["code"]) for snippet in self._database.snippets}
            code = SNIPPET_NAME.sub(lambda found: codes.get(found[1], found[0]), code)
        return said({"filename": f"{row['name']}{ENDINGS.get(str(row['shell']), '')}", "code": code})

    def _script(self, asked: Asked) -> Script:
        return self._world.script(int(asked.params["id"]))

    def _row(self, asked: Asked) -> Row:
        return self._database.script(self._script(asked))

    # -- snippets --------------------------------------------------------------------------------------------

    def snippets(self, _asked: Asked) -> HTTPReply:
        """`GET /scripts/snippets/`."""
        return said(list(self._database.snippets))

    def create_snippet(self, asked: Asked) -> HTTPReply:
        """`POST /scripts/snippets/`: `name` must be there, and be no other's."""
        given = Fields.of(asked)
        self._name_is_free(given)
        self._database.snippets.create(given, asked.user, partial=False)
        return said("Script snippet was saved successfully")

    def get_snippet(self, asked: Asked) -> HTTPReply:
        """`GET /scripts/snippets/{id}/`."""
        return said(self._database.snippets.get(asked.params["id"]))

    def update_snippet(self, asked: Asked) -> HTTPReply:
        """`PUT /scripts/snippets/{id}/`."""
        self._name_is_free(Fields.of(asked), asked.params["id"])
        self._database.snippets.update(asked.params["id"], Fields.of(asked), asked.user)
        return said("Script snippet was saved successfully")

    def _name_is_free(self, given: Fields, number: str = "") -> None:
        others = (row for row in self._database.snippets if str(row["id"]) != number)
        if any(row["name"] == given.get("name") for row in others):
            invalid(name="script snippet with this name already exists.")

    def delete_snippet(self, asked: Asked) -> HTTPReply:
        """`DELETE /scripts/snippets/{id}/`."""
        self._database.snippets.remove(asked.params["id"])
        return said("Script snippet was deleted successfully")

    # -- trying out ------------------------------------------------------------------------------------------

    async def test(self, asked: Asked) -> HTTPReply:
        """`POST /scripts/{agent_id}/test/`: runs a text that is not in the library, and answers an object.

        It is the one call with `stdout`, `stderr` and `retcode` apart. It waits for the timeout to the
        second, which must be a number; then the answer is 200 `"timeout"`.
        """
        agent, order = self._world.agent(asked.params["agent_id"]), _order(Fields.of(asked), asked.user)
        self._backend.activity.script(agent, "test", asked.user)
        run = await self._dispatch.ask(agent, order, order.timeout)
        if isinstance(run, str):
            return said(run)
        names = ("stdout", "stderr", "retcode", "execution_time")
        return said({name: getattr(run, name) for name in names} | {"id": 0})

    async def test_on_server(self, asked: Asked) -> HTTPReply:
        """`POST /core/serverscript/test/`: a text that begins with `#!`, on the server itself.

        Nothing is run here: it prints its arguments, as a script without a word about it does on an agent. A
        timeout that is text is answered by the exception that it was there.
        """
        body = Fields.of(asked)
        code, timeout, args, env_vars = body["code"], body["timeout"], body["args"], body["env_vars"]
        if not (isinstance(args, list) and isinstance(env_vars, list) and body["shell"]):
            crash()
        if not self._database.settings["enable_server_scripts"]:
            refuse("This feature is disabled. It can be enabled in Global Settings.")
        if not str(code).startswith("#!"):
            refuse("Missing shebang!")
        self._backend.activity.log(
            asked.user, "execute_script", "core", f"{asked.user} ran a script on the server"
        )
        if not isinstance(timeout, int):
            words = f"Error: unsupported operand type(s) for +: 'float' and '{type(timeout).__name__}'"
            return said({"stdout": "", "stderr": words, "execution_time": "0.0007", "retcode": 99})
        printed = "".join(f"{arg}\n" for arg in args)
        return said({"stdout": printed, "stderr": "", "execution_time": "0.0018", "retcode": 0})


def _order(body: Fields, user: str) -> RunOrder:
    timeout, args, env_vars = body["timeout"], body["args"], body["env_vars"]
    code, shell, run_as_user = str(body["code"]), str(body["shell"]), bool(body["run_as_user"])
    if isinstance(timeout, bool) or not isinstance(timeout, int) or not isinstance(args, list):
        crash()
    if not isinstance(env_vars, list):
        crash()
    return RunOrder(
        script=0,
        output="test",
        args=tuple(str(arg) for arg in args),
        timeout=timeout,
        command=code,
        shell=shell,
        username=user,
        env_vars=tuple(str(each) for each in env_vars),
        run_as_user=run_as_user,
    )
