"""What policies give to which agents.

Below: `database.py` keeps policies and checks, `world.py` says where they are set. Above: the rooms of
policies, checks and tasks. What agents are given is remembered for ten minutes, as on the real server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.world import World

    from .database import Database
    from .table import Row

__all__ = ["given_checks", "given_tasks", "policies_of", "reached_by"]

LIKE = {
    "diskspace": ("disk",),
    "ping": ("ip",),
    "script": ("script",),
    "winsvc": ("svc_name",),
    "eventlog": ("log_name", "event_id"),
}
"""By which columns two checks of a type are the same check."""

ORDER = ("diskspace", "ping", "cpuload", "memory", "winsvc", "script", "eventlog")
"""In which order of types the server lists what policies give."""


def policies_of(database: Database, agent: Agent) -> list[Row]:
    """Return the active policies of an agent: its own, its site's, its client's and the default."""
    kind = f"{agent.monitoring_type}_policy"
    site, client = agent.site, agent.site.client
    chain: list[object] = [agent.policy]
    if not agent.block_policy_inheritance:
        chain.append(getattr(site, kind))
        if not site.block_policy_inheritance:
            chain.append(getattr(client, kind))
            if not client.block_policy_inheritance:
                chain.append(database.settings[kind])
    rows = database.policies.rows
    found = [rows[each] for each in dict.fromkeys(chain) if isinstance(each, int) and each in rows]
    return [row for row in found if row["active"] and not _excludes(row, agent)]


def reached_by(database: Database, world: World, policy: object) -> list[Agent]:
    """Return the agents that a policy applies to."""
    agents = list(world.agents.values())
    return [agent for agent in agents if any(row["id"] == policy for row in policies_of(database, agent))]


def given_checks(database: Database, agent: Agent) -> list[Row]:
    """Return the checks that policies give an agent, which the server remembers for a while.

    Checks of enforced policies go before its own of the same kind, those before the other policies'. Which
    of its own are overridden is marked when it is found out, not again while the answer is remembered.
    """
    own = database.checks_of(agent)
    return database.late.get(
        _name(agent, "checks", alone=bool(own)), lambda: _find_checks(database, agent, own)
    )


def _find_checks(database: Database, agent: Agent, own: list[Row]) -> list[Row]:
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


def given_tasks(database: Database, agent: Agent) -> list[Row]:
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

    return database.late.get(_name(agent, "tasks", alone=False), find)


def _name(agent: Agent, what: str, *, alone: bool) -> str:
    """Return under which name it is remembered: of the agent alone, or of all of its kind at its site."""
    if alone or agent.block_policy_inheritance:
        return f"agent_{agent.agent_id}_{what}"
    policy = "" if agent.policy is None else f"_policy_{agent.policy}"
    return f"site_{agent.monitoring_type}_{agent.plat}_{agent.site.id}{policy}_{what}"


def _runs_on(database: Database, row: Row, agent: Agent) -> bool:
    """Tell whether a check does anything on what an agent runs: all but two kinds are for Windows."""
    kind = row["check_type"]
    if kind != "script":
        return kind == "ping" or agent.plat == "windows"
    script = database.scripts.rows.get(int(str(row["script"])))
    platforms = list(_ids(script["supported_platforms"])) if script else []
    return not platforms or agent.plat in platforms


def _kind(row: Row) -> tuple[object, ...]:
    return (row["check_type"], *(row[name] for name in LIKE.get(str(row["check_type"]), ())))


def _excludes(policy: Row, agent: Agent) -> bool:
    return (
        agent.pk in _ids(policy["excluded_agents"])
        or agent.site.id in _ids(policy["excluded_sites"])
        or agent.site.client.id in _ids(policy["excluded_clients"])
    )


def _ids(value: object) -> Iterator[object]:
    return iter(value if isinstance(value, list) else ())
