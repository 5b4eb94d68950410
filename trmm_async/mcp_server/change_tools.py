"""The tools that change something. Each needs a dry run and an approval, and begins with one target."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, Final

from mcp.server.mcpserver.resolve import Elicit, Resolve

from trmm_async import arguments
from trmm_async.client import TRMM
from trmm_async.errors import OutcomeUnknownError, TRMMError
from trmm_async.mcp_server.agent_lookup import agents_named
from trmm_async.mcp_server.answers import ChangeReport, ChangeResult, ChangeTarget
from trmm_async.mcp_server.approvals import Approval, ChangeOrders
from trmm_async.mcp_server.texts import line, refusal, refusing, untrusted
from trmm_async.models import Agent
from trmm_async.outcomes import Done, Outcome

__all__ = ["CHANGES", "change_tools"]

CHANGES: Final = ("run_script", "reboot", "set_maintenance", "resolve_alerts")
"""The names of the changes that can be allowed."""
_NO: Final = Approval(approve=False)


def change_tools(  # noqa: C901 - each tool is simple by itself
    trmm: TRMM, orders: ChangeOrders
) -> Mapping[str, Callable[..., Awaitable[Any]]]:
    """The tools by their names. `trmm` reads; the client that `orders` returns makes the changes."""

    async def targets_of(agents: list[str]) -> tuple[list[Agent], list[ChangeTarget]]:
        found = await agents_named(trmm, agents)
        return found, [ChangeTarget(line(one.agent_id), line(one.hostname)) for one in found]

    # A script on agents.

    def script_words(script: str, args: list[str], timeout: int) -> str:
        arguments.script_timeout(timeout)
        return f"run the script {script!r} with {[*arguments.script_args(args)]!r} for {timeout} s at most"

    @refusing
    async def approve_script(
        script: str, agents: list[str], args: list[str], timeout: int, dry_run: bool
    ) -> Elicit[Approval] | Approval:
        if dry_run:
            return _NO
        return orders.question(script_words(script, args, timeout), (await targets_of(agents))[1])

    async def run_script(  # noqa: PLR0917 - the protocol passes them by name
        script: str,
        agents: list[str],
        approval: Annotated[Approval, Resolve(approve_script)],
        args: list[str] = [],  # noqa: B006 - it is read alone; pydantic copies it
        timeout: int = 90,
        dry_run: bool = True,
    ) -> ChangeReport:
        """Run a script of the library on agents: on one first, and on the others if that returned 0."""
        what = script_words(script, args, timeout)
        found, shown = await targets_of(agents)
        if dry_run:
            if await trmm.scripts.find(script) is None:
                raise refusal(f"there is no script {line(script)!r}")
            return orders.plan(what, shown)
        client = await orders.begin(what, shown, approval)
        run = client.fleet.run_script(found, script, args=args, timeout=timeout, **_carefully(found))
        return ChangeReport(False, what, shown, _results(await run))

    # A reboot, and maintenance mode.

    @refusing
    async def approve_reboot(agents: list[str], dry_run: bool) -> Elicit[Approval] | Approval:
        return _NO if dry_run else orders.question("reboot now", (await targets_of(agents))[1])

    async def reboot(
        agents: list[str], approval: Annotated[Approval, Resolve(approve_reboot)], dry_run: bool = True
    ) -> ChangeReport:
        """Reboot agents now: one first, and the others if that one took it."""
        found, shown = await targets_of(agents)
        if dry_run:
            return orders.plan("reboot now", shown)
        client = await orders.begin("reboot now", shown, approval)
        run = client.fleet.map(found, client.agents.reboot, **_carefully(found))
        return ChangeReport(False, "reboot now", shown, _results(await run))

    def maintenance_words(on: bool) -> str:
        return f"switch maintenance mode {'on' if on else 'off'}"

    @refusing
    async def approve_maintenance(agents: list[str], on: bool, dry_run: bool) -> Elicit[Approval] | Approval:
        return _NO if dry_run else orders.question(maintenance_words(on), (await targets_of(agents))[1])

    async def set_maintenance(
        agents: list[str],
        on: bool,
        approval: Annotated[Approval, Resolve(approve_maintenance)],
        dry_run: bool = True,
    ) -> ChangeReport:
        """Switch the maintenance mode of agents on or off, one first: in it, their alerts are not told."""
        what = maintenance_words(on)
        found, shown = await targets_of(agents)
        if dry_run:
            return orders.plan(what, shown)
        client = await orders.begin(what, shown, approval)

        async def switch(agent: Agent) -> None:
            await client.agents.set_maintenance(on, agent=agent)

        run = client.fleet.map(found, switch, **_carefully(found))
        return ChangeReport(False, what, shown, _results(await run))

    # Alerts.

    async def alert_targets(alerts: list[int]) -> list[ChangeTarget]:
        there = {one.id: one for one in await trmm.alerts.list() if not one.resolved}
        if missing := [number for number in alerts if number not in there]:
            raise refusal(f"there is no open alert {missing[0]}")
        return [ChangeTarget(str(number), line(there[number].message)) for number in dict.fromkeys(alerts)]

    @refusing
    async def approve_alerts(alerts: list[int], dry_run: bool) -> Elicit[Approval] | Approval:
        return _NO if dry_run else orders.question("resolve alerts", await alert_targets(alerts))

    async def resolve_alerts(
        alerts: list[int], approval: Annotated[Approval, Resolve(approve_alerts)], dry_run: bool = True
    ) -> ChangeReport:
        """Resolve alerts, by their ids: one first, and the others if that one took it."""
        shown = await alert_targets(alerts)
        if dry_run:
            return orders.plan("resolve alerts", shown)
        client = await orders.begin("resolve alerts", shown, approval)
        return ChangeReport(False, "resolve alerts", shown, await _resolved(client, [*dict.fromkeys(alerts)]))

    tools = (run_script, reboot, set_maintenance, resolve_alerts)
    return dict(zip(CHANGES, tools, strict=True))


def _carefully(targets: list[Agent]) -> dict[str, Any]:
    """Begin with one target, and stop after the first failure."""
    return {"canary": 1, "max_failures": 0} if len(targets) > 1 else {}


async def _resolved(client: TRMM, alerts: list[int]) -> list[ChangeResult]:
    results: list[ChangeResult] = []
    for group in (alerts[:1], alerts[1:]):
        try:
            if group:
                await client.alerts.resolve(group if len(group) > 1 else group[0])
        except TRMMError as error:
            outcome = "unknown" if isinstance(error, OutcomeUnknownError) else "failed"
            said = untrusted(str(error))
            results += [ChangeResult(str(one), outcome, said=said) for one in group]
            return results + [ChangeResult(str(one), "skipped") for one in alerts[len(results) :]]
        results += [ChangeResult(str(one), "done") for one in group]
    return results


def _results(outcomes: Iterable[Outcome[Any]]) -> list[ChangeResult]:
    return [_result(one) for one in outcomes]


def _result(outcome: Outcome[Any]) -> ChangeResult:
    target, word = line(outcome.agent_id), type(outcome).__name__.lower()
    if isinstance(outcome, Done):
        result = outcome.result
        printed = f"{getattr(result, 'stdout', '')}\n{getattr(result, 'stderr', '')}".strip()
        return ChangeResult(target, word, getattr(result, "retcode", None), untrusted(printed))
    why = getattr(outcome, "error", None) or getattr(outcome, "reason", "")
    return ChangeResult(target, word, said=untrusted(str(why)))
