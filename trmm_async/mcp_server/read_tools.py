"""The tools that only read."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, get_args

from pydantic import Field

from trmm_async import arguments
from trmm_async.client import TRMM
from trmm_async.errors import IncompleteError
from trmm_async.mcp_server.agent_lookup import agents_named, host_names
from trmm_async.mcp_server.answers import (
    AgentExplanation,
    AgentRow,
    AgentRows,
    AlertRow,
    AlertRows,
    CheckRow,
    FailingChecks,
    HistoryRow,
    HistoryRows,
    SoftwareList,
    SoftwareRow,
)
from trmm_async.mcp_server.texts import known, line, untrusted
from trmm_async.models import Agent
from trmm_async.plaintext import is_named
from trmm_async.words import (
    AgentStatus,
    AlertType,
    CheckType,
    HistoryType,
    MonitoringType,
    Platform,
    Severity,
)

__all__ = ["read_tools"]

_ROWS_MOST: Final = 100
_EXPLAINED_MOST: Final = 20
Limit = Annotated[int, Field(ge=1, le=_ROWS_MOST, description="How many are told at most.")]


def _row(agent: Agent) -> AgentRow:
    return AgentRow(
        untrusted_agent_id=line(agent.agent_id),
        untrusted_hostname=line(agent.hostname),
        untrusted_client=line(agent.client.name),
        untrusted_site=line(agent.site.name),
        status=known(agent.status, get_args(AgentStatus)),
        kind=known(agent.monitoring_type, get_args(MonitoringType)),
        platform=known(agent.plat, get_args(Platform)),
        untrusted_operating_system=line(agent.operating_system),
        last_seen=agent.last_seen,
        failing_checks=None if agent.checks is None else agent.checks.failing,
        needs_reboot=agent.needs_reboot,
    )


def _check_row(check: Any, hostname: str) -> CheckRow:
    return CheckRow(
        untrusted_agent_id=line(check.agent_id),
        untrusted_hostname=hostname,
        untrusted_check=line(check.name),
        check_type=known(check.check_type, get_args(CheckType)),
        last_run=check.last_run,
        said=untrusted(check.more_info),
    )


def _alert_row(alert: Any, hostname: str) -> AlertRow:
    return AlertRow(
        id=alert.id,
        severity=known(alert.severity, get_args(Severity)),
        type=known(alert.alert_type, get_args(AlertType)),
        untrusted_agent_id=alert.agent_id and line(alert.agent_id),
        untrusted_hostname=line(alert.hostname) or hostname,
        since=alert.created_at,
        said=untrusted(alert.message),
    )


def _history_row(entry: Any, hostname: str) -> HistoryRow:
    result = entry.result
    printed = entry.output if result is None else f"{result.stdout}\n{result.stderr}".strip()
    return HistoryRow(
        id=entry.id,
        untrusted_agent_id=entry.agent_id and line(entry.agent_id),
        untrusted_hostname=hostname,
        type=known(entry.type, get_args(HistoryType)),
        time=entry.time,
        untrusted_by=line(entry.username),
        untrusted_what=line(entry.script_name or entry.command),
        returned=None if result is None else result.retcode,
        ended=result is not None or entry.output is not None,
        said=untrusted(printed),
    )


def read_tools(trmm: TRMM) -> tuple[Callable[..., Awaitable[Any]], ...]:  # noqa: C901 - each tool is simple by itself
    """The tools. A model sees their signatures and docstrings."""

    async def find_agents(  # noqa: PLR0917 - the protocol passes them by name
        hostname: str | None = None,
        client: str | None = None,
        site: str | None = None,
        status: str | None = None,
        platform: str | None = None,
        kind: str | None = None,
        limit: Limit = 20,
    ) -> AgentRows:
        """Find agents: by a host name or a pattern such as WEB-*, client, site, status, platform, kind.

        status is online, offline or overdue; platform windows, linux or darwin; kind server or workstation.
        """
        chosen: dict[str, Any] = {"plat": platform, "status": status, "monitoring_type": kind}
        found = await trmm.agents.select(client=client, site=site, hostname=hostname, **chosen).list()
        return AgentRows(total=len(found), agents=[_row(one) for one in found[:limit]])

    async def explain_agent(agent: str) -> AgentExplanation:
        """Explain how an agent stands: whether it answers, which checks fail, which alerts are open."""
        (one,) = await agents_named(trmm, [agent])
        checks = [check for check in await trmm.checks.list(agent=one) if check.status == "failing"]
        alerts = [alert for alert in await trmm.alerts.list(resolved=False) if alert.agent_id == one.agent_id]
        reasons = [
            f"It is {known(one.status, get_args(AgentStatus))}"
            + (f", last seen {one.last_seen:%Y-%m-%d %H:%M} UTC." if one.last_seen else ".")
        ]
        for holds, words in (
            (one.maintenance_mode, "It is in maintenance mode: its alerts are not told."),
            (one.needs_reboot, "It needs a reboot."),
            (one.has_patches_pending, "Patches are pending."),
            (bool(one.pending_actions_count), "Actions wait for it."),
            (bool(checks), f"{len(checks)} checks fail."),
            (bool(alerts), f"{len(alerts)} alerts are open."),
        ):
            if holds:
                reasons.append(words)
        name = line(one.hostname)
        return AgentExplanation(
            agent=_row(one),
            reasons=reasons,
            failing_checks=[_check_row(check, name) for check in checks[:_EXPLAINED_MOST]],
            alerts=[_alert_row(alert, name) for alert in alerts[:_EXPLAINED_MOST]],
        )

    async def failing_checks(client: str | None = None, limit: Limit = 20) -> FailingChecks:
        """The checks that fail, of all agents or of a client's."""
        missing = 0
        try:
            found = await trmm.checks.list(status="failing", client=client)
        except IncompleteError as error:
            found, missing = list(error.found), len(error.failed)
        names = await host_names(trmm) if found else {}
        rows = [_check_row(check, names.get(check.agent_id or "", "")) for check in found[:limit]]
        return FailingChecks(total=len(found), checks=rows, not_asked=missing)

    async def open_alerts(severity: str | None = None, limit: Limit = 20) -> AlertRows:
        """The alerts that are not resolved; severity is info, warning or error."""
        if severity is not None:
            severity = arguments.choice(severity, "severity", get_args(Severity))
        found = [one for one in await trmm.alerts.list() if not one.resolved]
        found = [one for one in found if severity is None or one.severity == severity]
        names = await host_names(trmm) if found else {}
        found.sort(key=lambda one: one.id, reverse=True)
        rows = [_alert_row(one, names.get(one.agent_id or "", "")) for one in found[:limit]]
        return AlertRows(total=len(found), alerts=rows)

    async def installed_software(agent: str, name: str | None = None, limit: Limit = 50) -> SoftwareList:
        """The programs on an agent; with name, those that contain it."""
        (one,) = await agents_named(trmm, [agent])
        found = [
            each
            for each in await trmm.agents.software.list(one)
            if name is None or name.casefold() in each.name.casefold()
        ]
        rows = [
            SoftwareRow(line(each.name), line(each.version), line(each.publisher)) for each in found[:limit]
        ]
        return SoftwareList(total=len(found), software=rows)

    async def history(agent: str, limit: Limit = 20) -> HistoryRows:
        """What was run on an agent: scripts, commands and tasks, with what they printed."""
        (one,) = await agents_named(trmm, [agent])
        found = sorted(await trmm.agents.history(one), key=lambda entry: entry.id, reverse=True)
        return HistoryRows(
            total=len(found), entries=[_history_row(each, line(one.hostname)) for each in found[:limit]]
        )

    async def run_results(script: str, limit: Limit = 50) -> HistoryRows:
        """The results of a script's latest runs on all agents, by the script's name."""
        found = [one for one in await trmm.agents.script_history() if is_named(one.script_name or "", script)]
        found.sort(key=lambda entry: entry.id, reverse=True)
        names = await host_names(trmm) if found else {}
        rows = [_history_row(one, names.get(one.agent_id or "", "")) for one in found[:limit]]
        return HistoryRows(total=len(found), entries=rows)

    return (
        find_agents,
        explain_agent,
        failing_checks,
        open_alerts,
        installed_software,
        history,
        run_results,
    )
