"""Clients and sites with all that can be set of them, agents' own patch policies, custom fields."""

from typing import Any, Final

from tests.asked import NOUNS, request_of
from tests.recorded import Recording, recording
from tests.replays.operation import But, has, names, never, op
from trmm_async.calls import Call, Plan
from trmm_async.dialects.stock.dialect import CREATE_CLIENT
from trmm_async.resources import clients
from trmm_async.resources.stock import custom_fields, sites

_CLIENT_NEVER: Final = (
    "client_create_bad_custom_field client_create_custom_field_no_field client_create_site_fields_ignored "
    "client_create_site_pipe "
)
_UPDATE_NEVER: Final = "client_update_custom_field_partial client_update_custom_fields_no_client "
_SITE_NEVER: Final = "site_create_bad_custom_field site_create_no_client site_create_no_name "
_AGENT_NEVER: Final = (
    "agent_put_bad_timezone agent_put_winupdatepolicy_bad agent_put_winupdatepolicy_not_list "
    "agent_put_shell_reset "
)
_FIELD_NEVER: Final = (
    "customfield_create_bad_choices customfield_create_no_model customfield_update_bad "
    "customfield_update_full customfield_update_model_changed customfield_update_one_field "
    "customfield_update_404 "
)
_FIELD_MORE: Final = (
    "customfield_create_client_checkbox customfield_create_client_datetime "
    "customfield_create_client_multiple customfield_create_client_number "
    "customfield_create_client_single customfield_create_client_text customfield_create_minimal "
    "customfield_create_dup "
)


def _settled(request: Call[Any] | Plan[Any]) -> Call[Any]:
    """The call that changes something, after what is looked up: the custom fields were these."""
    if isinstance(request, Call):
        return request
    steps = request.steps()
    call = next(steps)
    while call.method == "GET":
        answers = {"/core/customfields/": recording("customfields_list_all_types").answer}
        empty = b"[]" if call.path == "/clients/" else b'{"id": 1}'
        call = steps.send(call.decode(answers.get(call.path, empty)))
    return call


def _settings(told: Recording, model: str) -> dict[str, Any]:
    given = dict(has(told).get(model, {}))
    if values := has(told).get("custom_fields"):
        given["custom_fields"] = _values(values)
    return given


def _values(sent: list[dict[str, Any]]) -> dict[int, Any]:
    return {one["field"]: next(value for key, value in one.items() if key.endswith("_value")) for one in sent}


def _new_client(told: Recording) -> Call[Any]:
    if told.name in names(_CLIENT_NEVER):
        return CREATE_CLIENT.call(body={"client": {"name": "x"}, "site": {"name": "y"}})
    site = told.sent["site"]["name"]
    return _settled(request_of(NOUNS.clients.create(site=site, **_settings(told, "client"))))


def _client(told: Recording, number: str) -> Call[Any]:
    if told.name in names(_UPDATE_NEVER):
        return clients.UPDATE.call(int(number), body={"client": {"name": "x"}})
    return _settled(request_of(NOUNS.clients.update(int(number), **_settings(told, "client"))))


def _new_site(told: Recording) -> Call[Any]:
    if told.name in names(_SITE_NEVER):
        return sites.CREATE.call(body={"site": {"client": 1, "name": "x"}})
    return _settled(request_of(NOUNS.sites.create(**_settings(told, "site"))))


def _site(told: Recording, number: str) -> Call[Any]:
    if told.name == "site_update_no_site_key":
        return sites.UPDATE.call(int(number), body={"site": {"name": "x"}})
    return _settled(request_of(NOUNS.sites.update(int(number), **_settings(told, "site"))))


def _agent(told: Recording, agent: str) -> Call[Any]:
    given = dict(has(told))
    if told.name in names(_AGENT_NEVER):
        given = {"description": "x"}
    if patches := given.pop("winupdatepolicy", None):
        given["patch_policy"] = patches[0]
    given |= {name: _values(given[name]) for name in ("custom_fields",) if name in given}
    return _settled(request_of(NOUNS.agents.update(agent, **given)))


def _field(told: Recording) -> Any:
    given = {"model": "agent", "name": "x", "type": "text", **has(told)}
    if told.name in names(_FIELD_NEVER):
        return custom_fields.CREATE.call(body={"model": "agent", "name": "another", "type": "text"})
    default = next((value for key, value in given.items() if key.startswith("default_value")), None)
    wanted = {name: given[name] for name in ("name", "model", "type", "options") if name in given}
    return _settled(request_of(NOUNS.custom_fields.create(default=default, **wanted)))


OPERATIONS: Final = [
    op(
        "clients.create",
        "POST /clients/",
        _new_client,
        None,
        "client_create_bad_policy client_create_by_restricted_user client_create_full "
        "client_create_limited_403 " + _CLIENT_NEVER,
    ),
    op(
        "clients.get",
        "GET /clients/<id>/",
        lambda _, number: request_of(NOUNS.clients.get(int(number))),
        "Client",
        "client_get_after_partial client_get_after_template_delete client_get_after_update "
        "client_get_assigned client_get_full client_get_site_fields_ignored",
    ),
    op(
        "clients.list",
        "GET /clients/",
        lambda _: request_of(NOUNS.clients.list()),
        "Client",
        "clients_list_after_bad_custom_field",
    ),
    op(
        "clients.update",
        "PUT /clients/<id>/",
        _client,
        None,
        "client_update_404 client_update_custom_fields_only client_update_full "
        "client_update_policies_and_template client_update_restricted_other_403 " + _UPDATE_NEVER,
    ),
    op(
        "sites.create",
        "POST /clients/sites/",
        _new_site,
        None,
        "site_create_full site_create_minimal " + _SITE_NEVER,
    ),
    op(
        "sites.get",
        "GET /clients/sites/<id>/",
        lambda _, number: request_of(NOUNS.sites.get(int(number))),
        "Site",
        "site_get_after_policy_delete site_get_after_update site_get_assigned site_get_full",
    ),
    op(
        "sites.update",
        "PUT /clients/sites/<id>/",
        _site,
        None,
        "site_update_404 site_update_full site_update_move_client site_update_move_last_site "
        "site_update_no_site_key site_update_policies_and_template",
    ),
    op(
        "agents.update",
        "PUT /agents/<agent>/",
        _agent,
        None,
        "agent_put_block_inheritance agent_put_full agent_put_own_policy "
        "agent_put_restore agent_put_shell_custom_no_path agent_put_shell_wrong_os "
        "agent_put_winupdatepolicy agent_put_winupdatepolicy_partial " + _AGENT_NEVER,
    ),
    op(
        "custom_fields.get",
        "GET /core/customfields/<id>/",
        lambda _, number: request_of(NOUNS.custom_fields.get(int(number))),
        "CustomField",
        "customfield_get customfield_get_404 customfield_get_after_update customfield_get_limited_403",
    ),
    op(
        "custom_fields.list",
        "PATCH /core/customfields/",
        lambda told: custom_fields.LIST_TOO.call(body=told.sent),
        "CustomField",
        "customfields_patch_model",
    ),
    op(
        "custom_fields.list",
        "GET /core/customfields/",
        lambda told: custom_fields.LIST.call(query=told.query),
        "CustomField",
        "customfields_list_all_types customfields_list_client customfields_list_unknown_model",
    ),
    op(
        "custom_fields.create",
        "POST /core/customfields/",
        _field,
        None,
        "customfield_create_agent_text customfield_create_bad_choices customfield_create_no_model "
        + _FIELD_MORE,
    ),
    op(
        "custom_fields.update",
        "PUT /core/customfields/<id>/",
        lambda _, number: request_of(NOUNS.custom_fields.update(int(number), required=True)),
        None,
        "customfield_update_bad customfield_update_full customfield_update_model_changed "
        "customfield_update_one_field customfield_update_404",
    ),
    op(
        "custom_fields.delete",
        "DELETE /core/customfields/<id>/",
        lambda _, number: request_of(NOUNS.custom_fields.delete(int(number), with_values=True)),
        None,
        "customfield_delete customfield_delete_404",
    ),
]
_NEVER: Final = _CLIENT_NEVER + _UPDATE_NEVER + _SITE_NEVER + _AGENT_NEVER + _FIELD_NEVER
DIFFERENT: Final = {
    **never("a body that we never send", _NEVER + "site_update_no_site_key"),
    **{
        name: But("without an order and what is hidden, which an update sets", never=True)
        for name in names(_FIELD_MORE)
    },
}
