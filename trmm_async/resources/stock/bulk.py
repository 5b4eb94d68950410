"""`trmm.bulk`: one call for agents that the server itself selects."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, TypedDict, Unpack, get_args

import msgspec

from trmm_async import arguments
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.agents import all_known
from trmm_async.dialects.stock.creation import look_up
from trmm_async.dialects.stock.dialect import COMMAND_MANY, PATCH_MANY, RUN_MANY
from trmm_async.dialects.stock.endpoint import Endpoint, act, read
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Agent
from trmm_async.resources.names import AnyClient, AnyScript, AnySite
from trmm_async.resources.resource import Resource
from trmm_async.resources.stock.actions import checked_command_run
from trmm_async.resources.stock.custom_fields import CustomField
from trmm_async.words import MonitoringType, Platform

__all__ = ["Bulk", "BulkTargets"]

_PATH: Final = "/agents/actions/bulk/"
_COMMAND_TIMEOUT_MOST: Final = 3600


def _order(name: str, of: Endpoint[int | None]) -> Endpoint[int | None]:
    return act(name, _PATH, decode=of.decode, needs=" ".join(of.needs))


COMMAND: Final = _order("bulk.run_command", COMMAND_MANY)
SCRIPT: Final = _order("bulk.run_script", RUN_MANY)
SCAN: Final = _order("bulk.scan_patches", PATCH_MANY)
INSTALL: Final = _order("bulk.install_patches", PATCH_MANY)


class _Known(msgspec.Struct):
    id: int


KNOWN: Final = read("bulk.run_script", "/scripts/{script:id}/", _Known)
FIELD: Final = read("bulk.run_script", "/core/customfields/{field:id}/", _Known)


class BulkTargets(TypedDict, total=False):
    """The agents of a bulk call. Exactly one of the first four must be given.

    `agents` are agents or their ids. `client` or `site`, by id, name or object, are all agents there.
    `everywhere=True` are all agents that the key may see. `monitoring_type` ("server", "workstation") and
    `plat` ("windows", "linux", "darwin") narrow these down.
    """

    agents: Iterable[str | Agent]
    client: AnyClient
    site: AnySite
    everywhere: Literal[True]
    monitoring_type: MonitoringType
    plat: Platform


class Bulk(Resource):
    """Work for all agents of a client, a site or the server, in one call; a stock server only.

    The server selects the agents when the call arrives, passes the work on, and answers with the number of
    agents. It doesn't report results, and counts offline agents, too, which get nothing. If the outcome of
    each agent matters, use `trmm.fleet`. Calls are never sent twice. All errors are `TRMMError`s.
    """

    async def run_command(
        self,
        command: str,
        *,
        shell: str,
        custom_shell: str | None = None,
        timeout: int = 30,
        run_as_user: bool = False,
        **targets: Unpack[BulkTargets],
    ) -> int | None:
        """Run a command on many agents.

        Args:
            command: the command line.
            shell: "cmd", "powershell", or the path of a shell on Linux and macOS; the same for all agents.
            custom_shell: the path of a program, for `shell="custom"`.
            timeout: seconds that the command may take.
            run_as_user: True runs it as the user who is logged in (Windows).
            targets: see `BulkTargets`.

        Returns:
            The number of agents, or None if the server did not say it. The results are in the agents'
            history.

        Raises:
            BadRequestError: there are no such agents.
            OutcomeUnknownError: it was sent and the answer was lost: it may run.
        """
        run = checked_command_run(
            command,
            shell=shell,
            custom_shell=custom_shell,
            timeout=timeout,
            timeout_most=_COMMAND_TIMEOUT_MOST,
            run_as_user=run_as_user,
        )
        more = {
            "mode": "command",
            "cmd": run.command,
            "shell": run.shell,
            "custom_shell": run.custom_shell,
            "timeout": run.timeout,
            "run_as_user": run.run_as_user,
        }
        return await self._order(COMMAND, targets, more)

    async def run_script(
        self,
        script: AnyScript,
        *,
        args: Iterable[str] = (),
        env_vars: Mapping[str, str] | None = None,
        timeout: int = 90,
        run_as_user: bool = False,
        collector: int | CustomField | None = None,
        collector_all_output: bool = False,
        note: bool = False,
        **targets: Unpack[BulkTargets],
    ) -> int | None:
        """Run a script of the library on many agents.

        Args:
            script: the script, its id or its name.
            args: its arguments.
            env_vars: its environment variables.
            timeout: seconds that it may take, 1 to 300.
            run_as_user: True runs it as the user who is logged in (Windows).
            collector: the custom field that stores the last line of the output.
            collector_all_output: True stores all of the output there.
            note: True also writes the output into a note of the agent.
            targets: see `BulkTargets`.

        Returns:
            The number of agents, or None if the server did not say it. The results are in the agents'
            history.

        Raises:
            BadRequestError: there are no such agents.
            NotFoundError: there is no such script or custom field.
            UnsupportedError: `collector` or `note` was given, and the server is older than 0.19.4.
            OutcomeUnknownError: it was sent and the answer was lost: it may run.
        """
        more: dict[str, Any] = {
            "mode": "script",
            "script": arguments.reference(script, "script"),
            "args": list(arguments.script_args(args)),
            "env_vars": list(arguments.run_env_vars(env_vars)),
            "timeout": arguments.script_timeout(timeout),
            "run_as_user": arguments.boolean(run_as_user, "run_as_user"),
            "custom_field": None if collector is None else arguments.object_id(collector, "collector"),
            "collector_all_output": arguments.boolean(collector_all_output, "collector_all_output"),
            "save_to_agent_note": arguments.boolean(note, "note"),
        }
        field = more["custom_field"]
        looks = [] if field is None else [FIELD.call(field)]
        if isinstance(more["script"], str):
            more["script"] = await self._names(SCRIPT.name).script(more["script"])
        else:
            looks.append(KNOWN.call(more["script"]))
        return await self._order(SCRIPT, targets, more, looks)

    async def scan_patches(self, **targets: Unpack[BulkTargets]) -> int | None:
        """Make Windows agents look for updates. `targets` are those of `BulkTargets`, without `plat`.

        Returns:
            The number of agents, or None if the server did not say it.

        Raises:
            BadRequestError: there are no such agents.
            OutcomeUnknownError: it was sent and the answer was lost.
        """
        return await self._order(SCAN, targets, {"mode": "patch", "patchMode": "scan"})

    async def install_patches(self, **targets: Unpack[BulkTargets]) -> int | None:
        """Make Windows agents install the updates that are approved; see `scan_patches`."""
        return await self._order(INSTALL, targets, {"mode": "patch", "patchMode": "install"})

    async def _order(
        self,
        endpoint: Endpoint[int | None],
        targets: BulkTargets,
        more: Mapping[str, Any],
        looks: Sequence[Call[Any]] = (),
    ) -> int | None:
        body: dict[str, Any] = {**_chosen(endpoint.name, dict(targets)), **more}
        if more["mode"] == "patch":
            if "plat" in targets:
                raise InvalidRequestError(f"{endpoint.name}: patches are for Windows alone: leave plat out")
            body["osType"] = "windows"
        if body.get("custom_field") is not None or body.get("save_to_agent_note"):
            given = "collector=" if body["custom_field"] is not None else "note="
            keeps_nothing = "it would run the script and keep nothing"
            await self._api.require_since(endpoint.name, given, "0.19.4", keeps_nothing)
        names = self._names(endpoint.name)
        body["client"] = None if body["client"] is None else await names.client(body["client"])
        body["site"] = None if body["site"] is None else await names.site(body["site"])
        return await self._on_stock(endpoint.name, _ordered(endpoint, body, looks))


def _chosen(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """The targets as they are sent. The server would silently accept others, and filter by nothing."""
    found = arguments.filters(given, _TARGETS, method)
    chosen = [name for name in ("agents", "client", "site", "all") if name in found]
    if len(chosen) != 1:
        raise InvalidRequestError(
            f"{method}: say which agents: exactly one of agents=, client=, site= and everywhere=True"
        )
    kind = found.get("monType")
    return {
        "target": chosen[0],
        "monType": "all" if kind is None else f"{kind}s",
        "osType": found.get("osType", "all"),
        "agents": list(found.get("agents", ())),
        "client": found.get("client"),
        "site": found.get("site"),
    }


def _everywhere(value: object, what: str) -> bool:
    if value is not True:
        raise InvalidRequestError(f"{what} must be True, or left out; not {value!r}")
    return True


_TARGETS: Final[arguments.Checks] = {
    "agents": arguments.several_agents,
    "client": arguments.reference,
    "site": arguments.reference,
    "everywhere": ("all", _everywhere),
    "monitoring_type": (
        "monType",
        partial(arguments.choice, allowed=get_args(MonitoringType)),
    ),
    "plat": ("osType", partial(arguments.choice, allowed=get_args(Platform))),
}


@plan
def _ordered(
    endpoint: Endpoint[int | None], body: Mapping[str, Any], looks: Sequence[Call[Any]]
) -> Steps[int | None]:
    """Send the call, after a check of what the server would ignore in silence, or fail on."""
    if body["agents"]:
        yield from all_known(endpoint.name, body["agents"])
    yield from look_up(*looks)
    return (yield from endpoint.call(body=body))
