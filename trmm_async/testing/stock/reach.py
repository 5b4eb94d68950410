"""What policies give to which agents, and which alert template an agent has.

Below: `database.py` keeps policies and checks, `world.py` says where they are set. Above: the views of
policies, checks and tasks. What agents are given is remembered for ten minutes, as on the real server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.world import World

    from .database import StockDatabase
    from .table import Row

__all__ = [
    "ALWAYS",
    "brief",
    "given_checks",
    "given_tasks",
    "patch_policy_of",
    "policies_by_place",
    "policies_of",
    "reached_by",
    "template_of",
]

LIKE = {
    "diskspace": ("disk",),
    "ping": ("ip",),
    "script": ("script",),
    "winsvc": ("svc_name",),
    "eventlog": ("log_name", "event_id"),
}
"""The columns by which two checks of a type are the same check."""

ALWAYS = ("email", "text", "alert")
"""The kinds of notification that a template can force or forbid."""

INHERITED = (
    "critical",
    "important",
    "moderate",
    "low",
    "other",
    "run_time_frequency",
    "reboot_after_install",
)
"""What an agent's patch policy may leave to those of its policies, by the word "inherit"."""

ORDER = ("diskspace", "ping", "cpuload", "memory", "winsvc", "script", "eventlog")
"""The order of types in which the server lists what policies give."""


def policies_of(database: StockDatabase, agent: Agent) -> list[Row]:
    """Return the active policies of an agent: its own, its site's, its client's and the default."""
    found = {row["id"]: row for row in policies_by_place(database, agent).values() if row and row["active"]}
    return list(found.values())


def policies_by_place(database: StockDatabase, agent: Agent) -> dict[str, Row | None]:
    """Return by where it is set which policy an agent has, active or not, the nearest place first."""
    kind = f"{agent.monitoring_type}_policy"
    site, client = agent.site, agent.site.client
    inherits = not agent.block_policy_inheritance
    above_site = inherits and not site.block_policy_inheritance
    chain: dict[str, object] = {
        "agent_policy": agent.policy,
        "site_policy": getattr(site, kind) if inherits else None,
        "client_policy": getattr(client, kind) if above_site else None,
        "default_policy": (
            database.settings[kind] if above_site and not client.block_policy_inheritance else None
        ),
    }
    rows = database.policies.rows
    found = {place: rows.get(each) if isinstance(each, int) else None for place, each in chain.items()}
    return {place: row if row and not _excludes(row, agent) else None for place, row in found.items()}


def template_of(database: StockDatabase, agent: Agent) -> Row | None:
    """Return the alert template of an agent.

    A policy's goes before that of the place at which the policy is set, but the server's own before the
    default policy's. Blocked inheritance keeps policies away, not the templates of places.
    """
    templates = database.alert_templates.rows
    if not templates:
        return None
    policies = policies_by_place(database, agent)
    site, client = agent.site, agent.site.client
    chain: list[object] = [
        _template(policies["agent_policy"]),
        _template(policies["site_policy"]),
        site.alert_template,
        _template(policies["client_policy"]),
        client.alert_template,
        database.settings["alert_template"],
        _template(policies["default_policy"]),
    ]
    found = [templates[each] for each in chain if isinstance(each, int) and each in templates]
    return next((row for row in found if row["is_active"] and not _leaves_out(row, agent)), None)


def patch_policy_of(database: StockDatabase, agent: Agent, own: Row) -> Row:
    """Return an agent's patch policy: of its policies the first's that has one, but for its `own` words."""
    of_policy = {row["policy"]: row for row in reversed(list(database.patch_policies))}
    given = next(
        (of_policy[each["id"]] for each in policies_of(database, agent) if each["id"] in of_policy), None
    )
    if given is None:
        return own
    kept = [name for name in INHERITED if own[name] != "inherit"]
    if own["run_time_frequency"] != "inherit":
        kept += ["run_time_hour", "run_time_days"]
    if not own["reprocess_failed_inherit"]:
        kept += ["reprocess_failed", "reprocess_failed_times", "email_if_fail"]
    return given | {name: own[name] for name in kept}


def _template(policy: Row | None) -> object:
    return policy["alert_template"] if policy and policy["active"] else None


def brief(database: StockDatabase, agent: Agent | None, what: str) -> Row | None:
    """Return of an agent's template what stands with it, and with each check and task of its own."""
    row = template_of(database, agent) if agent else None
    return row and {"name": row["name"], **{f"always_{way}": row[f"{what}_always_{way}"] for way in ALWAYS}}


def _leaves_out(template: Row, agent: Agent) -> bool:
    return _excludes(template, agent) or bool(template[f"exclude_{agent.monitoring_type}s"])


def reached_by(database: StockDatabase, world: World, policy: object) -> list[Agent]:
    """Return the agents that a policy applies to."""
    agents = list(world.agents.values())
    return [agent for agent in agents if any(row["id"] == policy for row in policies_of(database, agent))]


def given_checks(database: StockDatabase, agent: Agent) -> list[Row]:
    """Return the checks that policies give an agent, which the server remembers for a while.

    Checks of enforced policies go before its own of the same kind, those before the other policies'. Which
    of its own are overridden is marked when it is found out, not again while the answer is remembered.
    """
    own = database.checks_of(agent)
    return database.policy_cache.get(
        _name(agent, "checks", alone=bool(own)), lambda: _find_checks(database, agent, own)
    )


def _find_checks(database: StockDatabase, agent: Agent, own: list[Row]) -> list[Row]:
    for row in own:
        row["overridden_by_policy"] = False
    policies = policies_of(database, agent)
    theirs = {
        enforced: [
            row
            for policy in policies
            if policy["enforced"] is enforced
            for row in database.checks
            if row["policy"] == policy["id"] and row["agent"] is None
        ]
        for enforced in (True, False)
    }
    if not any(theirs.values()):
        return []
    first: dict[tuple[object, ...], Row] = {}
    for row in (*theirs[True], *own, *theirs[False]):
        if not _runs_on(database, row, agent) or first.setdefault(_kind(row), row) is row:
            continue
        if row["agent"] is not None:
            row["overridden_by_policy"] = True
    given = [row for row in first.values() if row["agent"] is None]
    return sorted(given, key=lambda row: ORDER.index(str(row["check_type"])))


def given_tasks(database: StockDatabase, agent: Agent) -> list[Row]:
    """Return the tasks that policies give an agent, for what it runs; they are remembered as well."""

    def find() -> list[Row]:
        numbers = [policy["id"] for policy in policies_of(database, agent)]
        return [
            row
            for row in database.tasks
            if row["policy"] in numbers
            and row["agent"] != agent.pk
            and agent.plat in _ids(row["task_supported_platforms"])
        ]

    return database.policy_cache.get(_name(agent, "tasks", alone=False), find)


def _name(agent: Agent, what: str, *, alone: bool) -> str:
    """Return under which name it is remembered: of the agent alone, or of all of its kind at its site."""
    if alone or agent.block_policy_inheritance:
        return f"agent_{agent.agent_id}_{what}"
    policy = "" if agent.policy is None else f"_policy_{agent.policy}"
    return f"site_{agent.monitoring_type}_{agent.plat}_{agent.site.id}{policy}_{what}"


def _runs_on(database: StockDatabase, row: Row, agent: Agent) -> bool:
    """Tell whether a check does anything on what an agent runs: all but two kinds are for Windows."""
    kind = row["check_type"]
    if kind != "script":
        return kind == "ping" or agent.plat == "windows"
    script = database.scripts.rows.get(int(str(row["script"])))
    platforms = list(_ids(script["supported_platforms"])) if script else []
    return not platforms or agent.plat in platforms


def _kind(row: Row) -> tuple[object, ...]:
    return (row["check_type"], *(row[name] for name in LIKE.get(str(row["check_type"]), ())))


def _excludes(row: Row, agent: Agent) -> bool:
    return (
        agent.pk in _ids(row["excluded_agents"])
        or agent.site.id in _ids(row["excluded_sites"])
        or agent.site.client.id in _ids(row["excluded_clients"])
    )


def _ids(value: object) -> Iterator[object]:
    return iter(value if isinstance(value, list) else ())
