"""What policies give to which agents.

Below: `database.py` keeps policies and checks, `world.py` says where they are set. Above: the rooms of
policies, checks and tasks. Nothing is kept: what was changed shows at once, where the real server shows some
of it ten minutes later.
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
    """Return the checks that policies give an agent; its own of the same kind go before those of a mild one.

    Where the policy is enforced, its own are marked as overridden.
    """
    own = {_kind(row): row for row in database.checks_of(agent)}
    found: dict[tuple[object, ...], Row] = {}
    for policy in policies_of(database, agent):
        for row in database.checks:
            if row["policy"] != policy["id"] or _kind(row) in found:
                continue
            mine = own.get(_kind(row))
            if mine is not None and not policy["enforced"]:
                continue
            if mine is not None:
                mine["overridden_by_policy"] = True
            found[_kind(row)] = row
    return list(found.values())


def given_tasks(database: Database, agent: Agent) -> list[Row]:
    """Return the tasks that policies give an agent: those that are for what it runs on."""
    numbers = [policy["id"] for policy in policies_of(database, agent)]
    return [
        row
        for row in database.tasks
        if row["policy"] in numbers
        and row["agent"] != agent.pk
        and agent.plat in _ids(row["task_supported_platforms"])
    ]


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
