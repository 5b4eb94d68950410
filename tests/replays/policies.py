"""Policies: made, changed, set somewhere, removed; their tasks on agents; patch policies."""

from typing import Any, Final

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, differs, has, names, never, op, spared
from trmm_async.resources import tasks
from trmm_async.resources.stock import patch_policies, policies, policy_places

_NEVER: Final = (
    "policy_create_agent_id_as_text policy_create_bad_type policy_create_copy_404 policy_create_list_body "
    "policy_create_no_name policy_create_no_name_again "
)
_PATCH_NEVER: Final = (
    "patchpolicy_create_bad patchpolicy_create_no_policy patchpolicy_update_bad patchpolicy_update_full "
    "patchpolicy_reset_bad_client "
)


def _settings(told: Recording) -> dict[str, Any]:
    given = {name: value for name, value in has(told).items() if name not in {"id", "copyId"}}
    return {"description" if name == "desc" else name: value for name, value in given.items()}


def _create(told: Recording) -> Any:
    if told.name in names(_NEVER):
        return request_of(NOUNS.policies.create(name="another"))
    return request_of(NOUNS.policies.create(copy_of=has(told).get("copyId"), **_settings(told)))


def _patches(told: Recording) -> dict[str, Any]:
    if told.name in names(_PATCH_NEVER):
        return {"low": "manual"}
    return {name: value for name, value in has(told).items() if name not in {"id", "policy"}}


def _reset(told: Recording) -> Any:
    if told.name == "patchpolicy_reset_bad_client":
        return policies.RESET_PATCH.call(body={"client": 1})
    return request_of(NOUNS.policies.patches.reset(**(has(told) or {"everywhere": True})))


OPERATIONS: Final = [
    op(
        "policies.create",
        "POST /automation/policies/",
        _create,
        None,
        "policy_create_by_restricted_user policy_create_copy policy_create_dup policy_create_full "
        "policy_create_limited_403 policy_create_minimal " + _NEVER,
    ),
    op(
        "policies.update",
        "PUT /automation/policies/<id>/",
        lambda told, number: request_of(NOUNS.policies.update(int(number), **_settings(told))),
        None,
        "policy_update_404 policy_update_alert_template policy_update_bad policy_update_enforced "
        "policy_update_exclude_agent policy_update_full policy_update_inactive policy_update_limited_403 "
        "policy_update_one_field",
    ),
    op(
        "policies.list",
        "GET /automation/policies/",
        lambda _: policies.LIST.call(),
        "Policy",
        "policies_list_as_default policies_list_assigned policies_list_before "
        "policies_list_patchpolicy_updated policies_list_with_patchpolicy",
    ),
    op(
        "policies.get",
        "GET /automation/policies/<id>/",
        lambda _, number: policies.GET.call(int(number)),
        "Policy",
        "policy_get_after_create policy_get_after_update policy_get_copy policy_get_minimal",
    ),
    op(
        "policies.overview",
        "GET /automation/policies/overview/",
        lambda _: request_of(NOUNS.policies.overview()),
        "ClientPolicies",
        "automation_policies_overview policies_overview_assigned policies_overview_limited_403",
    ),
    op(
        "policies.related",
        "GET /automation/policies/<id>/related/",
        lambda _, number: policy_places.use_of(int(number)),
        "PolicyUse",
        "policy_related_assigned",
    ),
    op(
        "policies.checks",
        "GET /automation/policies/<id>/checks/",
        lambda _, number: policies.CHECKS.call(int(number)),
        "Check",
        "policy_checks_after policy_copy_checks",
    ),
    op(
        "policies.tasks",
        "GET /automation/policies/<id>/tasks/",
        lambda _, number: policies.TASKS.call(int(number)),
        "Task",
        "policy_tasks_after policy_copy_tasks",
    ),
    op(
        "policies.assign",
        "PUT /clients/<id>/",
        lambda _, number: request_of(NOUNS.policies.assign(3, client=int(number), monitoring_type="server")),
        None,
        "",
    ),
    op(
        "policies.patches.create",
        "POST /automation/patchpolicy/",
        lambda told: policies.CREATE_PATCH.call(
            body={"policy": has(told).get("policy", 7), **patch_policies.patch_settings(_patches(told))}
        ),
        None,
        "patchpolicy_create_404 patchpolicy_create_full patchpolicy_create_limited_403 "
        "patchpolicy_create_minimal patchpolicy_create_second patchpolicy_create_bad "
        "patchpolicy_create_no_policy",
    ),
    op(
        "policies.patches.update",
        "PUT /automation/patchpolicy/<id>/",
        lambda told, number: request_of(NOUNS.policies.patches.update(int(number), **_patches(told))),
        None,
        "patchpolicy_update_404 patchpolicy_update_limited_403 patchpolicy_update_of_agent "
        "patchpolicy_update_one_field patchpolicy_update_bad patchpolicy_update_full",
    ),
    op(
        "policies.patches.delete",
        "DELETE /automation/patchpolicy/<id>/",
        lambda _, number: request_of(NOUNS.policies.patches.delete(int(number))),
        None,
        "patchpolicy_delete patchpolicy_delete_404 patchpolicy_delete_limited_403",
    ),
    op(
        "policies.patches.reset",
        "POST /automation/patchpolicy/reset/",
        _reset,
        None,
        "patchpolicy_reset_all patchpolicy_reset_client patchpolicy_reset_limited_403 "
        "patchpolicy_reset_restricted_all patchpolicy_reset_site patchpolicy_reset_unknown_client "
        "patchpolicy_reset_bad_client",
    ),
    op(
        "tasks.results",
        "GET /automation/tasks/<id>/(?:status|run)/",
        lambda _, number: request_of(NOUNS.tasks.results(int(number))),
        "_TaskResult",
        "automation_task_status policy_task_status policy_task_status_404 policy_task_status_limited_403",
    ),
    op(
        "tasks.run_everywhere",
        "POST /automation/tasks/<id>/(?:run|status)/",
        lambda _, number: tasks.RUN_EVERYWHERE.call(int(number)),
        None,
        "policy_task_run policy_task_run_404 policy_task_run_limited_403 policy_task_run_not_policy",
    ),
    op(
        "tasks.run_everywhere",
        "GET /tasks/<id>/",
        lambda _, number: request_of(NOUNS.tasks.run_everywhere(int(number))),
        ("Task", "Owner"),
        "tasks_detail_policy task_get_404",
    ),
]
DIFFERENT: Final = {
    **never("a body that we never send", _NEVER + _PATCH_NEVER),
    **differs(
        "it is active unless you say no", {"active": True},
        "policy_create_minimal policy_create_dup policy_create_limited_403 policy_create_by_restricted_user",
    ),
    "policy_update_full": But("only what may be changed", without=("id",)),
}  # fmt: skip
SPARED: Final = spared(
    {
        "the other path of the same view, which answers the same": (
            "policy_task_run_via_status policy_task_run_via_status_limited_403 policy_task_status_via_run "
            "policy_task_status_via_run_limited_403"
        )
    }
)
