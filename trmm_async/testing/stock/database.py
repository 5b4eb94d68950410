"""The stock server's tables: policies, checks, tasks, scripts and what an administrator sets up.

Below: `world.py` says which agents, scripts and checks there are; `models.py` their columns. Above: one
view for each part of the API. Pure: no HTTP, no waiting.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trmm_async.testing.forms import no_match
from trmm_async.testing.nouns import Check
from trmm_async.testing.replies import iso

from . import models
from .policy_cache import PolicyCache
from .setup_rows import CORE_SETTINGS
from .table import Table

if TYPE_CHECKING:
    from trmm_async.testing.nouns import Agent, CustomField, Script
    from trmm_async.testing.nouns import Task as WorldTask
    from trmm_async.testing.world import World

    from .table import Row

__all__ = ["StockDatabase"]

MADE_CHECKS = 5_000_001
MADE_TASKS = 1_001
RESULTS = 10_000_000
"""So much larger is the id of a check's result than the check's; on the real server it is another too."""

CALLS_SINCE = (0, 19)
"""The first release whose alert templates can call URL actions."""

WEEKDAY_BITS = {str(day): 1 << day for day in range(7)}


class StockDatabase:
    """Every table; rows about what the world has are made when they are first looked at.

    `live` has the world's record of every check by its id: its state and when it last ran. `results` are the
    results of tasks; `on_agents` those of policies' checks and tasks, by "check" or "task", the id, and the
    agent's number. `settings` are the server's own; `policy_cache` remembers what policies give.
    """

    def __init__(self, world: World, release: tuple[int, ...]) -> None:
        self._world = world
        self._by_number: dict[object, Agent] = {}
        clock = world.clock
        self.policies: Table = Table("Policy", models.policy(lambda key: key in self.alert_templates), clock)
        self.checks: Table = Table(
            "Check",
            models.check(self.is_agent, self.policies.__contains__, lambda key: key in world.scripts),
            clock,
            first=MADE_CHECKS,
        )
        self.tasks: Table = Table(
            "AutomatedTask",
            models.task(
                self.is_agent, self.policies.__contains__, self.checks.__contains__,
                lambda key: key in world.custom_fields,
            ),
            clock,
            first=MADE_TASKS,
        )  # fmt: skip
        self.scripts: Table = Table("Script", models.SCRIPT, clock, audited=False)
        self.snippets: Table = Table("ScriptSnippet", models.SNIPPET, clock, audited=False)
        self.patch_policies: Table = Table("WinUpdatePolicy", models.PATCH_POLICY, clock)
        template = models.alert_template(lambda key: key in world.scripts, self._is_action)
        action = models.URL_ACTION
        if release < CALLS_SINCE:
            action = action.without("action_type", "rest_method", "rest_body", "rest_headers")
            kinds = [f"{when}_{what}" for when in ("action", "resolved_action") for what in ("type", "rest")]
            template = template.without(*kinds)
        self.alert_templates: Table = Table("AlertTemplate", template, clock)
        self.keys: Table = Table("GlobalKVStore", models.KEY, clock)
        self.url_actions: Table = Table("URLAction", action, clock)
        self.custom_fields: Table = Table("CustomField", models.CUSTOM_FIELD, clock)
        self.roles: Table = Table(
            "Role", models.role(world.clients.__contains__, world.sites.__contains__), clock
        )
        self.schedules: Table = Table("Schedule", models.SCHEDULE, clock)
        self.live: dict[int, Check] = {}
        self.results: dict[int, Row] = {}
        self.on_agents: dict[tuple[str, int, int], Row] = {}
        self.settings: Row = dict(CORE_SETTINGS)
        self.policy_cache: PolicyCache = PolicyCache(clock)
        self._checks_of: defaultdict[int, list[int]] = defaultdict(list)

    def begin(self) -> None:
        """Add what a new installation has; only a stock server does."""
        self.policies.add({"name": "Server baseline", "desc": "servers", "active": True, "enforced": True})
        self.policies.add({"name": "Workstation baseline", "desc": "workstations", "active": True})
        self.checks.add(
            {
                "check_type": "diskspace",
                "disk": "C:",
                "warning_threshold": 25,
                "error_threshold": 10,
                "policy": 1,
            },
            number=1,
        )
        self.tasks.add(
            {
                "name": "Policy nightly cleanup",
                "task_type": "manual",
                "actions": [_action("whoami")],
                "policy": 1,
            },
            number=901,
        )
        self.snippets.add(
            {"name": "WriteLog", "desc": "log helper", "code": "function Log($m){Write-Host $m}"}
        )
        self.keys.add({"name": "smtp_host", "value": "mail.example.com"})
        self.url_actions.add(
            {"name": "Lookup IP", "desc": "whois", "pattern": "https://ipinfo.example/{{agent.public_ip}}"}
        )
        community = self._world.add_script("Win_Defender_Status_Report", description="Community")
        self.script(community)["script_type"] = "builtin"
        hidden = self._world.add_script("Hidden helper")
        self.script(hidden)["hidden"] = True

    # -- agents ----------------------------------------------------------------------------------------------

    def is_agent(self, pk: int) -> bool:
        """Tell whether an agent has this number."""
        return any(agent.pk == pk for agent in self._world.agents.values())

    def _is_action(self, number: int) -> bool:
        return number in self.url_actions

    def agent_of(self, row: Row) -> Agent | None:
        """Return the agent of a check or a task; None for a policy's."""
        number = row["agent"]
        if number is None:
            return None
        found = self._by_number.get(number)
        if found is None or self._world.agents.get(found.agent_id) is not found:
            self._by_number = {agent.pk: agent for agent in self._world.agents.values()}
            found = self._by_number.get(number)
        return found

    def _pks(self) -> set[int]:
        return {agent.pk for agent in self._world.agents.values()}

    # -- checks ----------------------------------------------------------------------------------------------

    def checks_of(self, agent: Agent) -> list[Row]:
        """Return the checks of an agent."""
        for check in self._world.checks_of(agent.agent_id):
            if check.id not in self.live:
                self.live[check.id] = check
                self._file(self.checks.add(_columns(check) | {"agent": agent.pk}, number=check.id))
        return [self.checks.rows[number] for number in self._checks_of[agent.pk] if number in self.checks]

    def new_check(self, values: Row, user: str) -> Row:
        """Add a check that somebody made; it has not run yet."""
        row = self.checks.add(values, user)
        if (owner := self.agent_of(row)) is not None:
            self.checks_of(owner)  # those that the world has are older, looked at or not
        self.check_changed(self._file(row))
        return row

    def check_changed(self, row: Row) -> None:
        """Remove cached lists with a check: of all agents if it is a policy's."""
        owner = self.agent_of(row)
        if row["policy"] is not None:
            self.policy_cache.forget("site_*_checks", "agent_*_checks")
        elif owner is not None:
            self.policy_cache.forget(f"agent_{owner.agent_id}_checks")

    def task_changed(self, row: Row) -> None:
        """Remove cached lists with a policy's task; an agent's own task is never cached."""
        if row["policy"] is not None:
            self.policy_cache.forget("site_*_tasks", "agent_*_tasks")

    def _file(self, row: Row) -> Row:
        if isinstance(owner := row["agent"], int):
            self._checks_of[owner].append(int(str(row["id"])))
        return row

    def policy_checks(self) -> list[Row]:
        """Return the checks of all policies."""
        return [row for row in self.checks if row["agent"] is None]

    def all_checks(self) -> list[Row]:
        """Return everybody's checks and those of the policies; an uninstalled agent's are gone."""
        theirs = [row for agent in self._world.agents.values() for row in self.checks_of(agent)]
        return [*self.policy_checks(), *theirs]

    def check(self, number: int | str) -> Row:
        """Return one check, 404 if there is none."""
        if int(number) not in self.checks:
            self.all_checks()
        row = self.checks.get(number)
        if row["agent"] is not None and row["agent"] not in self._pks():
            raise no_match("Check")
        return row

    def has_run(self, row: Row, agent: Agent) -> Check:
        """Note that a check ran on an agent, just now; one that never had is then passing."""
        number = int(str(row["id"]))
        check = self.live.get(number)
        if check is None:
            kind, name = str(row["check_type"]), str(row["name"] or "")
            check = self.live[number] = Check(number, agent.agent_id, kind, name, "passing", "", 0.0)
        check.last_run = self._world.clock()
        return check

    def result(self, number: int | str) -> Check:
        """Return the record behind the id of a check's result; 404 in the words of the result's model."""
        self.all_checks()
        check = self.live.get(int(number) - RESULTS)
        if check is None or check.id not in self.checks or check.agent_id not in self._world.agents:
            raise no_match("CheckResult")
        return check

    def drop_check(self, row: Row) -> None:
        """Remove a check, from the world too."""
        number = int(str(row["id"]))
        self.checks.remove(number)
        self.check_changed(row)
        for task in self.tasks:
            if task["assigned_check"] == number:
                task["assigned_check"] = None
        check = self.live.pop(number, None)
        theirs = self._world.checks_of(check.agent_id) if check else []
        if check in theirs:
            theirs.remove(check)

    # -- tasks -----------------------------------------------------------------------------------------------

    def all_tasks(self) -> list[Row]:
        """Return every task of agents that are there, and those of the policies."""
        for task in self._world.tasks.values():
            if task.id not in self.tasks and task.id not in self.results:
                self._adopt(task)
        known = self._pks()
        return [row for row in self.tasks if row["agent"] is None or row["agent"] in known]

    def task(self, number: int | str) -> Row:
        """Return one task, 404 if there is none."""
        self.all_tasks()
        return self.tasks.get(number)

    def _adopt(self, task: WorldTask) -> None:
        agent, script = self._world.agent(task.agent_id), self._world.script(task.script)
        minute, hour, *_, weekday = task.schedule.split()
        now = datetime.fromtimestamp(self._world.clock(), UTC)
        when = now.replace(hour=_digits(hour), minute=_digits(minute), second=0, microsecond=0)
        action = {
            "name": script.name, "type": "script", "script": script.id, "timeout": 90, "script_args": [],
            "env_vars": [],
        }  # fmt: skip
        values: Row = {
            "name": task.name, "agent": agent.pk, "enabled": task.enabled, "task_type": "weekly",
            "weekly_interval": 1, "run_time_bit_weekdays": WEEKDAY_BITS.get(weekday, 127),
            "run_time_date": iso(when.timestamp()), "actions": [action],
            "win_task_name": f"TacticalRMM_{task.id:035}",
        }  # fmt: skip
        self.tasks.add(values, number=task.id)
        self.results[task.id] = self.first_result(task.id, agent)

    def result_of_policy(self, what: str, number: int, agent: Agent) -> Row:
        """Return the result of a policy's check or task on an agent; a new one is pending."""
        key = (what, number, agent.pk)
        if key not in self.on_agents:
            first = self.first_result(number, agent) | {"sync_status": "initial"}
            row = first if what == "task" else _first_check_result(number, agent)
            self.on_agents[key] = row | {"id": RESULTS * 2 + len(self.on_agents)}
        return self.on_agents[key]

    def first_result(self, number: int, agent: Agent) -> Row:
        """Return the result of a task on an agent before it has run."""
        return {
            "id": RESULTS + number, "retcode": None, "stdout": None, "stderr": None,
            "execution_time": "0.0000",
            "last_run": None, "status": "pending", "sync_status": "synced", "locked_at": None,
            "run_status": None, "agent": agent.pk, "task": number,
        }  # fmt: skip

    # -- scripts and custom fields ---------------------------------------------------------------------------

    def script(self, script: Script) -> Row:
        """Return the columns of a script, with what the world says of it."""
        if script.id not in self.scripts:
            self.scripts.add({"script_type": "userdefined", "script_hash": None}, number=script.id)
        row = self.scripts.get(script.id)
        row.update(name=script.name, shell=script.shell, description=script.description)
        return row

    def all_scripts(self) -> list[Row]:
        """Return every script of the library."""
        return [self.script(script) for script in self._world.scripts.values()]

    def custom_field(self, field: CustomField) -> Row:
        """Return the columns of a custom field, with what the world says of it."""
        if field.id not in self.custom_fields:
            self.custom_fields.add({}, number=field.id)
        row = self.custom_fields.get(field.id)
        row.update(
            name=field.name, model=field.model, type=field.type, options=field.options,
            required=field.required,
        )  # fmt: skip
        return row

    def all_custom_fields(self) -> list[Row]:
        """Return every custom field."""
        return [self.custom_field(field) for field in self._world.custom_fields.values()]


def _first_check_result(number: int, agent: Agent) -> Row:
    return {
        "id": 0, "status": "pending", "alert_severity": None, "more_info": None, "last_run": None,
        "fail_count": 0, "outage_history": None, "extra_details": None, "stdout": None, "stderr": None,
        "retcode": None, "execution_time": None, "history": [], "agent": agent.pk, "assigned_check": number,
    }  # fmt: skip


def _digits(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _action(command: str) -> Row:
    return {"name": "", "type": "cmd", "shell": "cmd", "command": command, "timeout": 30}


def _columns(check: Check) -> Row:
    """Return what is set for a check of the world, beyond the defaults."""
    disk, _, _ = check.name.partition(" ")
    kinds: dict[str, Row] = {
        "diskspace": {"disk": disk, "warning_threshold": 25, "error_threshold": 10},
        "ping": {"name": check.name, "ip": "192.168.0.1"},
        "cpuload": {"warning_threshold": 70, "error_threshold": 90},
        "memory": {"warning_threshold": 70, "error_threshold": 85},
        "script": {"script": 6, "timeout": 90},
        "winsvc": {"svc_name": "Spooler", "svc_display_name": check.name, "restart_if_stopped": True},
        "eventlog": {
            "name": check.name, "log_name": "System", "event_id": 7, "event_type": "ERROR",
            "fail_when": "contains", "search_last_days": 1,
        },
    }  # fmt: skip
    return {"check_type": check.check_type, "dashboard_alert": True, **kinds.get(check.check_type, {})}
