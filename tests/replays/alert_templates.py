"""Alert templates, URL actions, and alerts that somebody writes."""

from typing import Any, Final

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, differs, has, names, never, op, spared
from trmm_async.resources import alerts
from trmm_async.resources.stock import alert_templates, url_actions

_TEMPLATE_NEVER: Final = "alert_template_create_bad alert_template_create_no_name alert_template_update_bad "
_ACTION_NEVER: Final = (
    "urlaction_create_bad_choice urlaction_create_body_object urlaction_create_empty "
    "urlaction_create_no_pattern urlaction_update_bad "
)
_ALERT_NEVER: Final = (
    "alert_create_agent_id_as_text alert_create_bad_sev alert_create_bad_type alert_create_empty "
)


def _template(told: Recording) -> dict[str, Any]:
    if told.name in names(_TEMPLATE_NEVER):
        return {"name": "another"}
    return {
        name: dict(one.split("=", 1) for one in value) if name.endswith("env_vars") else value
        for name, value in has(told).items()
    }


def _update(told: Recording, number: str) -> Any:
    if told.name == "alert_template_update_full":
        return alert_templates.UPDATE.call(
            int(number), body=alert_templates.template_settings(_template(told), "x")
        )
    return request_of(NOUNS.alert_templates.update(int(number), **_template(told)))


def _action(told: Recording) -> dict[str, Any]:
    if told.name in names(_ACTION_NEVER):
        return {"name": "another", "pattern": "https://other.example.com"}
    given = {name: value for name, value in has(told).items() if name != "id"}
    return {"description" if name == "desc" else name: value for name, value in given.items()}


def _alert(told: Recording) -> Any:
    given = {"severity": "info", "alert_type": "custom", "message": "x", **has(told)}
    if told.name in names(_ALERT_NEVER):
        given = {"message": "another"}
    return alerts.CREATE.call(body=given)


OPERATIONS: Final = [
    op(
        "alert_templates.list",
        "GET /alerts/templates/",
        lambda _: request_of(NOUNS.alert_templates.list()),
        "AlertTemplate",
        "alert_templates alert_templates_list alert_templates_list_limited_403",
    ),
    op(
        "alert_templates.get",
        "GET /alerts/templates/<id>/",
        lambda _, number: request_of(NOUNS.alert_templates.get(int(number))),
        "AlertTemplate",
        "alert_template_get alert_template_get_404 alert_template_get_after_update "
        "alert_template_get_core_settings_list alert_template_get_minimal",
    ),
    op(
        "alert_templates.related",
        "GET /alerts/templates/<id>/related/",
        lambda _, number: request_of(NOUNS.alert_templates.related(int(number))),
        "AlertTemplateUse",
        "alert_template_related alert_template_related_404 alert_template_related_limited_403 "
        "alert_template_related_none",
    ),
    op(
        "alert_templates.create",
        "POST /alerts/templates/",
        lambda told: request_of(NOUNS.alert_templates.create(**_template(told))),
        None,
        "alert_template_create_bad alert_template_create_by_manager alert_template_create_full "
        "alert_template_create_limited_403 alert_template_create_minimal alert_template_create_no_name "
        "alert_template_create_rest_action alert_template_create_same_name "
        "alert_template_create_server_action alert_template_create_server_action_403",
    ),
    op(
        "alert_templates.update",
        "PUT /alerts/templates/<id>/",
        _update,
        None,
        "alert_template_update_404 alert_template_update_bad alert_template_update_full "
        "alert_template_update_limited_403 alert_template_update_one_field",
    ),
    op(
        "alert_templates.assign",
        "PUT /automation/policies/<id>/",
        lambda _, number: request_of(NOUNS.alert_templates.assign(1, policy=int(number))),
        None,
        "policy_update_alert_template",
    ),
    op(
        "alert_templates.delete",
        "DELETE /alerts/templates/<id>/",
        lambda _, number: alert_templates.DELETE.call(int(number)),
        None,
        "alert_template_delete alert_template_delete_404 alert_template_delete_assigned "
        "alert_template_delete_limited_403",
    ),
    op(
        "url_actions.list",
        "GET /core/urlaction/",
        lambda _: request_of(NOUNS.url_actions.list()),
        "UrlAction",
        "core_urlaction urlactions_list urlactions_list_after_update urlactions_list_limited_403",
    ),
    op(
        "url_actions.create",
        "POST /core/urlaction/",
        lambda told: request_of(NOUNS.url_actions.create(**_action(told))),
        None,
        "urlaction_create_bad_choice urlaction_create_body_object urlaction_create_empty "
        "urlaction_create_limited_403 urlaction_create_minimal urlaction_create_no_pattern "
        "urlaction_create_rest_full urlaction_create_web_full",
    ),
    op(
        "url_actions.update",
        "PUT /core/urlaction/<id>/",
        lambda told, number: request_of(NOUNS.url_actions.update(int(number), **_action(told))),
        None,
        "urlaction_update_404 urlaction_update_bad urlaction_update_full urlaction_update_limited_403 "
        "urlaction_update_one_field",
    ),
    op(
        "url_actions.delete",
        "DELETE /core/urlaction/<id>/",
        lambda _, number: url_actions.DELETE.call(int(number)),
        None,
        "urlaction_delete urlaction_delete_404 urlaction_delete_limited_403",
    ),
    op(
        "alerts.create",
        "POST /alerts/",
        _alert,
        None,
        "alert_create alert_create_agent_id_as_text alert_create_bad_sev alert_create_bad_type "
        "alert_create_empty alert_create_full alert_create_limited_403 alert_create_minimal "
        "alert_create_unknown_agent",
    ),
    op(
        "alerts.get",
        "GET /alerts/<id>/",
        lambda _, number: request_of(NOUNS.alerts.get(int(number))),
        "Alert",
        "alert_get_after_create",
    ),
]
DIFFERENT: Final = {
    **never("a body that we never send", _TEMPLATE_NEVER + _ACTION_NEVER + _ALERT_NEVER),
    **differs(
        "we say of what severity and type", {"severity": "info", "alert_type": "custom"},
        "alert_create_limited_403 alert_create_minimal alert_create_unknown_agent",
    ),
    "urlaction_update_full": But("only what may be changed", without=("id",)),
}  # fmt: skip
SPARED: Final = spared({"a method that the path has not": "urlaction_get_one_405"})
