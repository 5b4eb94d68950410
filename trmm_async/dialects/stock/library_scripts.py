"""The script library of a stock server."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Plan, Replay, Steps
from trmm_async.dialects.library import Changes, ScriptOrder, ScriptTrial
from trmm_async.dialects.stock.making import make
from trmm_async.dialects.stock.nouns import script_of, scripts_of
from trmm_async.dialects.stock.wording import change, change_for, get, segment, sentence
from trmm_async.errors import AgentLostError, AgentUnreachableError
from trmm_async.models import Script, ScriptResult, no_extra

__all__ = ["StockScripts"]

_MARKS: Final = ("favorite", "hidden")
"""What can be changed of community scripts: each by its own call, of which the server drops all else."""


class StockScripts:
    """See `Library`."""

    def get_script(self, script_id: int) -> Call[Script]:
        return get(f"/scripts/{script_id}/", script_of)

    def create_script(self, order: ScriptOrder) -> Plan[Script]:
        return Plan(partial(_create, order))

    def update_script(self, script_id: int, changes: Changes) -> Plan[None]:
        return Plan(partial(_update, script_id, changes))

    def delete_script(self, script_id: int) -> Call[None]:
        return change("DELETE", f"/scripts/{script_id}/")

    def test_script(self, agent_id: str, trial: ScriptTrial) -> Plan[ScriptResult]:
        return Plan(partial(_test, agent_id, trial))


def _create(order: ScriptOrder) -> Steps[Script]:
    listing = get("/scripts/", scripts_of, query={"showHiddenScripts": "true"})
    send = change("POST", "/scripts/", _body(asdict(order)))
    made = yield from make("script", listing, send, partial(_is_ordered, order)).steps()
    return msgspec.structs.replace(made, code=order.code)


def _is_ordered(order: ScriptOrder, made: Script) -> bool:
    """By what the server stores as it is; of arguments it takes the spaces around them away."""
    return (made.name, made.shell) == (order.name, order.shell)


def _body(fields: Changes) -> dict[str, Any]:
    return {
        "script_body" if name == "code" else name: value
        for name, value in fields.items()
        if value is not None
    }


def _update(script_id: int, changes: Changes) -> Steps[None]:
    content = {name: value for name, value in changes.items() if name not in _MARKS}
    marks = [{name: changes[name]} for name in _MARKS if name in changes]
    for part in ([content] if content else []) + marks:
        yield from change("PUT", f"/scripts/{script_id}/", _body(part), replay=Replay.IDEMPOTENT)


class _Result(msgspec.Struct):
    stdout: str = ""
    stderr: str = ""
    retcode: int | None = None
    execution_time: float | None = None
    extra: Mapping[str, Any] = no_extra()


def _outcome(body: bytes) -> "_Result | str":
    said = sentence(body)
    return said or codec.decoder(_Result)(body)


def _test(agent_id: str, trial: ScriptTrial) -> Steps[ScriptResult]:
    call = change_for(
        _outcome,
        "POST",
        f"/scripts/{segment(agent_id)}/test/",
        asdict(trial),
        waits=trial.timeout,
    )
    answer = yield from call
    if isinstance(answer, _Result):
        return ScriptResult(**msgspec.structs.asdict(answer))
    # A word in the place of a result is the server's own: "natsdown" before it could send the script at all.
    kind = AgentUnreachableError if answer == "natsdown" else AgentLostError
    raise kind(200, f"no result of the agent: {answer}", method=call.method, path=call.path, body=answer)
