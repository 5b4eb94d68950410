"""The kinds of policies and what belongs to them: patch policies, checks and tasks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, get_args

import msgspec

from trmm_async.client import TRMM
from trmm_async.config import specs
from trmm_async.config.objects import (
    EXCLUDED,
    UNORDERED_EXCLUDED,
    Kind,
    Only,
    Row,
    every,
    read_list,
    spec_of,
    tuple_of,
    values_of,
    write_methods,
)

__all__ = ["POLICIES", "check_label", "join_policy", "split_policy"]


def _by_tag(union: Any) -> dict[str, Any]:
    return {str(kind.__struct_config__.tag): kind for kind in get_args(union)}


def _tag(value: Any) -> str:
    return str(value.__struct_config__.tag)


_CHECKS: Final = _by_tag(specs.CheckSpec)
_SCHEDULES: Final = _by_tag(specs.ScheduleSpec)
_ACTIONS: Final = _by_tag(specs.ActionSpec)
_LABELS: Final[Mapping[str, str]] = {
    "diskspace": "disk",
    "ping": "name",
    "winsvc": "service",
    "script": "script",
    "eventlog": "name",
}
_CHANGED_WITH_LABEL: Final[Mapping[str, tuple[str, ...]]] = {"ping": ("ip",), "winsvc": ("display_name",)}
"""Fields that usually change together with the label."""


# -- patch policies ------------------------------------------------------------------------------------------


async def _patches(trmm: TRMM, owners: Sequence[Row], only: Only) -> list[Row]:
    """If a policy has several, the server applies only the first."""
    wanted = {policy.id for policy in owners}
    rows: list[Row] = []
    for policy in await trmm.request("GET", "/automation/policies/"):
        if policy["id"] not in wanted:
            continue
        for place, one in enumerate(policy.get("winupdatepolicy", ())):
            about: dict[str, Any] = {"kind": "patch_policies", "id": one["id"], "owner": policy["id"]}
            spec, odd = None, f"the server heeds another of policy {policy['id']}, and not this one"
            if not place:
                names = specs.PatchSpec.__struct_fields__
                spec, odd = specs.PatchSpec(**{name: tuple_of(one[name]) for name in names}), ""
            if only(SimpleNamespace(id=one["id"])):
                rows.append(Row(spec=spec, odd=odd, **about))
    return rows


async def _create_patches(trmm: TRMM, spec: Any, owner: int | None) -> int:
    return (await trmm.policies.patches.create(owner or 0, **values_of(spec))).id


# -- checks --------------------------------------------------------------------------------------------------


def check_label(spec: Any) -> str:
    """The name of a check among those of its policy: "diskspace C:", "script Get-DiskInfo", "cpuload"."""
    kind = _tag(spec)
    label = getattr(spec, _LABELS[kind]) if kind in _LABELS else ""
    if kind == "ping":
        label = label or spec.ip
    return f"{kind} {label}".rstrip()


def _check_label_fields(spec: Any) -> tuple[str, ...]:
    kind = _tag(spec)
    return (_LABELS[kind], *_CHANGED_WITH_LABEL.get(kind, ())) if kind in _LABELS else ()


async def _checks(trmm: TRMM, owners: Sequence[Row], only: Only) -> list[Row]:
    if only is not every:
        return [
            _check(await trmm.checks.get(listed), policy.id)
            for policy in owners
            for listed in filter(only, await trmm.policies.checks(policy.id))
        ]
    return await _of_all(trmm, "checks", await trmm.checks.everywhere(), owners, _check)


async def _of_all(
    trmm: TRMM, kind: str, found: Sequence[Any], owners: Sequence[Row], row: Callable[[Any, int | None], Row]
) -> list[Row]:
    """The rows of these policies, and findings about objects that belong to nothing."""
    wanted = {policy.id for policy in owners}
    lost = [one.id for one in found if one.policy is None and one.agent_id is None]
    return [row(one, one.policy) for one in found if one.policy in wanted] + await _nobodys(trmm, kind, lost)


async def _nobodys(trmm: TRMM, kind: str, suspects: Sequence[int]) -> list[Row]:
    """Rows for those that belong to neither an agent nor a policy.

    The typed list can't tell: to a user who may not list agents, an agent's check looks the same.
    """
    if not suspects:
        return []
    listed = await trmm.request("GET", f"/{kind}/")
    orphans = {one["id"] for one in listed if one["agent"] is None and one["policy"] is None}
    odd = "it belongs to no agent and no policy: a half-done write of the server's"
    return [Row(kind=kind, id=one, spec=None, odd=odd) for one in suspects if one in orphans]


def _check(check: Any, policy: int | None) -> Row:
    about: dict[str, Any] = {"kind": "checks", "id": check.id, "owner": policy, "thing": check}
    if check.settings is None:
        return Row(spec=None, odd=f"a check of the type {check.check_type!r} that can't be read", **about)
    spec = _check_prepared(_CHECKS[check.check_type](**values_of(check.settings)), "")
    odd = f"it is one of the agent {check.agent_id} as well as of the policy {policy}"
    return Row(spec=spec, odd=odd if check.agent_id else "", **about)


def _check_prepared(spec: Any, _: str) -> Any:
    """The spec with the names that the SDK fills in if they are not given."""
    if "ip" in spec.__struct_fields__:
        return msgspec.structs.replace(spec, name=spec.name or spec.ip)
    if "display_name" in spec.__struct_fields__:
        return msgspec.structs.replace(spec, display_name=spec.display_name or spec.service)
    return spec


async def _create_check(trmm: TRMM, spec: Any, owner: int | None) -> int:
    return (await trmm.checks.create(spec, policy=owner or 0)).id


# -- tasks ---------------------------------------------------------------------------------------------------


async def _tasks(trmm: TRMM, owners: Sequence[Row], only: Only) -> list[Row]:
    if only is not every:
        return [
            _task(task, policy.id)
            for policy in owners
            for task in filter(only, await trmm.policies.tasks(policy.id))
        ]
    return await _of_all(trmm, "tasks", await trmm.tasks.list(), owners, _task)


def _task(task: Any, policy: int | None) -> Row:
    if task.timing is None or not task.actions or "actions" in task.extra:
        odd = f"a task, {task.name!r}, whose schedule or actions can't be read"
        return Row(kind="tasks", id=task.id, spec=None, owner=policy, thing=task, odd=odd)
    found = {name: getattr(task, name) for name in specs.TaskSpec.__struct_fields__ if hasattr(task, name)}
    values = {name: value for name, value in found.items() if value is not None} | {
        "schedule": _SCHEDULES[_tag(task.timing)](**values_of(task.timing)),
        "actions": tuple(_ACTIONS[_tag(one)](**values_of(one)) for one in task.actions),
    }
    # Observed on a real server: such a task can't be deleted.
    odd = f"it is one of the agent {task.agent_id} as well as of the policy {policy}: it can't be deleted so"
    return Row(
        kind="tasks",
        id=task.id,
        spec=specs.TaskSpec(**values),
        owner=policy,
        thing=task,
        odd=odd if task.agent_id else "",
    )


async def _create_task(trmm: TRMM, spec: Any, owner: int | None) -> int:
    return (await trmm.tasks.set_up(policy=owner, **values_of(spec))).id


# -- policies ------------------------------------------------------------------------------------------------


def split_policy(spec: Any) -> tuple[Any, Mapping[str, Sequence[Any]]]:
    """Split a policy's file into the policy and what belongs to it."""
    patches = () if spec.patch_policy is None else (spec.patch_policy,)
    policy = specs.PolicySpec(**values_of(spec, specs.PolicySpec.__struct_fields__))
    return policy, {"patch_policies": patches, "checks": spec.checks, "tasks": spec.tasks}


def join_policy(spec: Any, parts: Mapping[str, Sequence[Any]], _: Any) -> Any:
    """Make a policy's file."""
    (patches,) = parts["patch_policies"] or (None,)
    return specs.PolicyFile(
        **values_of(spec), patch_policy=patches, checks=tuple(parts["checks"]), tasks=tuple(parts["tasks"])
    )


POLICIES: Final = (
    Kind(
        name="policies",
        word="policy",
        spec=specs.PolicySpec,
        read=read_list("policies", "policies", partial(spec_of, specs.PolicySpec)),
        refs={("alert_template",): "alert_templates", **EXCLUDED},
        unordered=UNORDERED_EXCLUDED,
        **write_methods("policies", loss="with_contents"),
    ),
    Kind(
        name="patch_policies",
        word="patch policy",
        spec=specs.PatchSpec,
        owner="policies",
        key=lambda _: "Windows updates",
        read=_patches,
        unordered=(("run_time_days",),),
        **write_methods("policies.patches", create=_create_patches),
    ),
    Kind(
        name="checks",
        word="check",
        spec=specs.CheckSpec,
        owner="policies",
        key=check_label,
        label=_check_label_fields,
        read=_checks,
        refs={("script",): "scripts"},
        prepare=_check_prepared,
        **write_methods("checks", loss="in_use", create=_create_check),
    ),
    Kind(
        name="tasks",
        word="task",
        spec=specs.TaskSpec,
        owner="policies",
        read=_tasks,
        refs={
            ("schedule", "check"): "checks",
            ("actions", "*", "script"): "scripts",
            ("collector",): "custom_fields",
        },
        unordered=(
            ("platforms",),
            *(("schedule", name) for name in ("days", "weekdays", "weeks", "months")),
        ),
        **write_methods("tasks", loss="in_use", create=_create_task),
    ),
)
