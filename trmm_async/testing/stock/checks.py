"""Checks: of one agent and of everybody, making and changing them, running them, their history.

Below: `database.py` keeps them. Above: `dialect.py`. Two numbers name a check here: its own, and that of its
result on an agent, by which it is reset and its history is asked for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from typing import TYPE_CHECKING

from trmm_async.testing.forms import wrong
from trmm_async.testing.replies import RefusedError, iso
from trmm_async.testing.routing import Route

from .database import RESULTS
from .models import CHECK_TYPES
from .reach import brief, given_checks
from .view import Fields, crash, invalid, refuse, said
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent, Check
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["ChecksView"]

LISTED, MANAGED, RUN = "can_list_checks", "can_manage_checks", "can_run_checks"
FIXED = ("check_type", "overridden_by_policy", "created_by", "created_time", "modified_by", "modified_time")
DOMAIN = re.compile(r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
OUT_OF_REACH = "Unable to contact the agent"
RUN_SECONDS = 15
POINTS = 30


class ChecksView:
    """`/checks/…` and `/agents/{agent_id}/checks/`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._database = backend.database
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        one, agent = "/checks/{id:int}/", "/checks/{agent_id:agent}/"
        return (
            Route("GET", "/checks/", self.all, LISTED),
            Route("POST", "/checks/", self.create, MANAGED),
            Route("GET", one, self.get, LISTED),
            Route("PUT", one, self.update, MANAGED),
            Route("DELETE", one, self.delete, MANAGED),
            Route("POST", one + "reset/", self.reset, MANAGED),
            Route("PATCH", one + "history/", self.history, LISTED),
            Route("POST", agent + "resetall/", self.reset_all, MANAGED),
            Route("POST", agent + "run/", self.run, RUN),
            Route("POST", "/checks/{target}/{id:int}/csbulkrun/", self.run_many, RUN),
            Route("GET", "/agents/{agent_id:agent}/checks/", self.of_agent, LISTED),
        )

    # -- looking ---------------------------------------------------------------------------------------------

    async def all(self, asked: Asked) -> HTTPReply:
        """`GET /checks/`: all of them, the policies' too; without results, and slow."""
        tasks, pks = self._database.all_tasks(), {agent.pk for agent in self._visibility.agents(asked)}
        shows = [row for row in self._database.all_checks() if row["agent"] is None or row["agent"] in pks]
        rows = [shown(self._backend, row, tasks) for row in shows]
        await asyncio.sleep(len(rows) * self._backend.check_seconds)
        return said(rows)

    def of_agent(self, asked: Asked) -> HTTPReply:
        """`GET /agents/{agent_id}/checks/`: with results, those that have run."""
        agent = self._world.agent(asked.params["agent_id"])
        tasks = self._database.all_tasks()
        # Its own checks are read before the server finds out which a policy overrides, so that shows late.
        own = [dict(row) for row in self._database.checks_of(agent)]
        rows = [*own, *given_checks(self._database, agent)]
        return said([shown(self._backend, row, tasks, agent) for row in rows])

    def get(self, asked: Asked) -> HTTPReply:
        """`GET /checks/{id}/`: without its result."""
        return said(shown(self._backend, self._check(asked), self._database.all_tasks()))

    def _check(self, asked: Asked) -> Row:
        row = self._database.check(asked.params["id"])
        self._visibility.check_agent(asked, self._database.agent_of(row))
        return row

    def _checked(self, asked: Asked) -> Check:
        result = self._database.result(asked.params["id"])
        self._visibility.check_agent(asked, self._world.agent(result.agent_id))
        return result

    def history(self, asked: Asked) -> HTTPReply:
        """`PATCH /checks/{result id}/history/`: one point every two minutes, newest first.

        `timeFilter` is a number of days, 0 for all; anything but a number is a 500.
        """
        check = self._checked(asked)
        days = Fields.of(asked).get("timeFilter", 0)
        if isinstance(days, bool) or not isinstance(days, int | float):
            crash()
        oldest = self._world.clock() - days * 86_400 if days else 0.0
        times = [check.last_run - 120 * place for place in range(POINTS)]
        return said([_point(check, time) for time in times if time > oldest])

    # -- changing --------------------------------------------------------------------------------------------

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /checks/`: `agent` (its id here) or a `policy`, and `check_type`, must be there."""
        body = Fields.of(asked).plain()
        if "agent" in body:
            agent = self._world.agent(str(body["agent"]))
            self._visibility.check_agent(asked, agent)
            body["agent"] = agent.pk
        if "check_type" not in body:
            crash()
        if body["check_type"] == "eventlog" and Fields(body)["event_id_is_wildcard"]:
            body["event_id"] = 0
        values = self._database.checks.form.read(body, partial=True)
        self._examine(values)
        if values.get("agent") is None and values.get("policy") is None:
            crash()
        if values["check_type"] == "script" and values.get("script") is None:
            crash()
        row = self._database.new_check(values, asked.user)
        self._backend.activity.log(
            asked.user, "add", "check", f"{asked.user} added check {readable(self._backend, row)}"
        )
        return said(f"{readable(self._backend, row)} was added!")

    def _examine(self, values: Row) -> None:
        """Say no to what makes no sense; the server looks at an agent's or a policy's checks only."""
        owner = next((name for name in ("agent", "policy") if name in values), None)
        if owner is None:
            return
        kind = str(values["check_type"])
        mine = [row for row in self._database.all_checks() if row[owner] == values[owner]]
        same = [row for row in mine if row["check_type"] == kind]
        if kind == "diskspace":
            _examine_disk(Fields(values), same)
        elif kind == "ping" and not _address(str(Fields(values)["ip"])):
            invalid(non_field_errors="Please enter a valid IP address or domain name")
        elif kind in {"cpuload", "memory"}:
            _examine_load(kind, Fields(values), same)

    def update(self, asked: Asked) -> HTTPReply:
        """`PUT /checks/{id}/`: its type stays as it is, whatever is sent."""
        row = self._check(asked)
        body = Fields.of(asked)
        given = {name: body[name] for name in body if name not in FIXED}
        if row["check_type"] == "eventlog" and given.get("event_id_is_wildcard"):
            given["event_id"] = 0
        self._database.check_changed(self._database.checks.update(asked.params["id"], given, asked.user))
        return said(f"{readable(self._backend, row)} was edited!")

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /checks/{id}/`."""
        row = self._check(asked)
        self._database.drop_check(row)
        return said(f"{readable(self._backend, row)} was deleted!")

    def reset(self, asked: Asked) -> HTTPReply:
        """`POST /checks/{result id}/reset/`: it passes, and its alert is resolved."""
        self._pass(self._checked(asked))
        return said("The check status was reset")

    def reset_all(self, asked: Asked) -> HTTPReply:
        """`POST /checks/{agent_id}/resetall/`: the same for all checks of an agent."""
        agent = self._world.agent(asked.params["agent_id"])
        for row in self._database.checks_of(agent):
            if check := self._database.live.get(int(str(row["id"]))):
                self._pass(check)
        for row in given_checks(self._database, agent):
            if result := self._database.on_agents.get(("check", int(str(row["id"])), agent.pk)):
                result["status"] = "passing"
        return said("All checks status were reset")

    def _pass(self, check: Check) -> None:
        check.status = "passing"
        for alert in list(self._world.alerts.values()):
            if alert.assigned_check == check.id and alert.agent_id == check.agent_id:
                self._world.resolve_alert(alert.id)

    # -- running ---------------------------------------------------------------------------------------------

    async def run(self, asked: Asked) -> HTTPReply:
        """`POST /checks/{agent_id}/run/`: one that does not answer takes 15 seconds."""
        agent = self._world.agent(asked.params["agent_id"])
        if await self._backend.bus.silence(agent, RUN_SECONDS):
            refuse(OUT_OF_REACH)
        self._run(agent)
        return said(f"Checks will now be run on {agent.hostname}")

    def run_many(self, asked: Asked) -> HTTPReply:
        """`POST /checks/{client or site}/{id}/csbulkrun/`: any other word is forbidden to everybody."""
        number, target = int(asked.params["id"]), asked.params["target"]
        if target not in {"client", "site"}:
            raise RefusedError(403)
        (self._visibility.check_client if target == "client" else self._visibility.check_site)(asked, number)
        client, site = (number if target == kind else None for kind in ("client", "site"))
        agents = self._world.find_agents(client=client, site=site)
        if not agents:
            refuse("No agents matched query")
        for agent in agents:
            if self._backend.bus.hears(agent):
                self._run(agent)
        return said(f"Checks will now be run on {len(agents)} agents")

    def _run(self, agent: Agent) -> None:
        for row in self._database.checks_of(agent):
            self._database.has_run(row, agent)
        for row in given_checks(self._database, agent):
            result = self._database.result_of_policy("check", int(str(row["id"])), agent)
            result |= {"status": "passing", "last_run": iso(self._world.clock())}


def _examine_disk(values: Fields, same: Sequence[Row]) -> None:
    for row in same:
        if str(values["disk"]) in str(row["disk"]):
            invalid(non_field_errors=f"A disk check for Drive {values['disk']} already exists!")
    low, high = _thresholds(values)
    if 0 < low < high:
        invalid(non_field_errors="Warning threshold must be greater than Error Threshold")


def _examine_load(kind: str, values: Fields, same: Sequence[Row]) -> None:
    if same:
        invalid(non_field_errors=f"A {kind} check for this agent already exists")
    low, high = _thresholds(values)
    if low > high > 0:
        invalid(non_field_errors="Warning threshold must be less than Error Threshold")


def _thresholds(values: Fields) -> tuple[int, int]:
    warning, error = values["warning_threshold"], values["error_threshold"]
    if not warning and not error:
        raise wrong({"non_field_errors": ["Warning threshold or Error Threshold must be set"]})
    if warning is None or error is None:
        crash()
    return int(str(warning)), int(str(error))


def _address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return DOMAIN.fullmatch(text) is not None
    return True


def shown(backend: Backend, row: Row, tasks: Sequence[Row], agent: Agent | None = None) -> Row:
    """Return a check as the server shows it: with its result for an agent, else without.

    Of all `tasks` it shows those that run when it fails.
    """
    check = backend.database.live.get(int(str(row["id"]))) if agent else None
    result = _result(check, row, agent) if check and agent else {}
    if agent and row["policy"] is not None and row["agent"] is None:
        result = backend.database.on_agents.get(("check", int(str(row["id"])), agent.pk), {})
    return {
        **row,
        "readable_desc": readable(backend, row),
        "assignedtasks": [task for task in tasks if task["assigned_check"] == row["id"]],
        "alert_template": brief(backend.database, backend.database.agent_of(row), "check"),
        "check_result": result,
    }


def _result(check: Check, row: Row, agent: Agent) -> Row:
    script = check.check_type == "script"
    failing = check.status == "failing"
    return {
        "id": RESULTS + check.id,
        "status": check.status,
        "alert_severity": row["alert_severity"],
        "more_info": check.more_info,
        "last_run": iso(check.last_run),
        "fail_count": int(failing),
        "outage_history": None,
        "extra_details": {"log": []} if check.check_type == "eventlog" else None,
        "stdout": f"{check.more_info}\n" if script else None,
        "stderr": "" if script else None,
        "retcode": int(failing) if script else None,
        "execution_time": "0.5000" if script else None,
        "history": [15, 23, 16, 22] if check.check_type in {"cpuload", "memory"} else [],
        "agent": agent.pk,
        "assigned_check": check.id,
    }


def readable(backend: Backend, row: Row) -> str:
    """Return the words by which the server calls a check."""
    kind = str(row["check_type"])
    display = CHECK_TYPES[kind]
    marks = "".join(
        f" {word} Threshold: {row[name]}%"
        for word, name in (("Warning", "warning_threshold"), ("Error", "error_threshold"))
        if row[name]
    )
    if kind == "diskspace":
        return f"{display}: Drive {row['disk']} - {marks}"
    if kind in {"cpuload", "memory"}:
        return f"{display} - {marks}"
    if kind == "script":
        script = backend.world.scripts.get(int(str(row["script"])))
        return f"{display}: {script.name if script else ''}"
    return f"{display}: {row['svc_display_name'] if kind == 'winsvc' else row['name']}"


def _point(check: Check, time: float) -> Row:
    return {"x": iso(time), "y": int(check.id * 7 + time // 60) % 60, "results": None}
