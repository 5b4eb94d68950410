"""The registry of an agent."""

from typing import Any

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, differs, has, never, op
from trmm_async.calls import Request
from trmm_async.resources.stock import registry

KEY = "HKEY_LOCAL_MACHINE\\SOFTWARE\\X"
_KINDS = {"REG_DWORD": int, "REG_QWORD": int}


def _browse(told: Recording, agent: str) -> Request[Any]:
    path = told.query.get("path", "Computer")
    if told.status == 400 and path.count("\\") == 0 and path != "Computer":  # we don't let it through
        return registry.BROWSE.call(agent, query=told.query)
    page = told.query.get("page", "1")
    made: Request[Any] = request_of(
        NOUNS.agents.registry.browse(
            agent,
            path,
            page=int(page) if page.isdecimal() else 1,
            page_size=int(told.query.get("page_size", "200")),
        )
    )
    return made


def _text(sent: dict[str, Any], name: str, default: str = "x") -> str:
    value = sent.get(name, default)
    return value if isinstance(value, str) else KEY


def _data(sent: dict[str, Any]) -> Any:
    kind, data = sent.get("type"), sent.get("data", "")
    if kind in {"REG_DWORD", "REG_QWORD"}:
        return int(str(data), 0)
    if kind == "REG_BINARY":
        return bytes.fromhex(data)
    return ["a", "b"] if kind == "REG_MULTI_SZ" else data


def _value(name: str) -> Any:
    endpoint = {"create_value": registry.CREATE_VALUE, "set_value": registry.SET_VALUE}[name]

    def ask(told: Recording, agent: str) -> Any:
        sent = has(told)
        if sent.get("data") == "ten" or sent.get("type") == "REG_FOO":  # we don't let it through
            return endpoint.call(agent, body=told.sent)
        method = getattr(NOUNS.agents.registry, name)
        path = _text(sent, "path", KEY)
        kind = sent.get("type", "REG_SZ").upper()
        return request_of(method(agent, path, _text(sent, "name"), type=kind, data=_data(sent)))

    return ask


def _rename_key(told: Recording, agent: str) -> Any:
    sent = has(told)
    if told.name == "registry_rename_key_same":
        return registry.RENAME_KEY.call(agent, body=told.sent)
    return request_of(NOUNS.agents.registry.rename_key(agent, sent["old_path"], sent.get("new_path", KEY)))


def _rename_value(told: Recording, agent: str) -> Any:
    sent = has(told)
    if told.name == "registry_rename_value_same":
        return registry.RENAME_VALUE.call(agent, body=told.sent)
    return request_of(
        NOUNS.agents.registry.rename_value(agent, sent["path"], sent.get("old_name", "x"), sent["new_name"])
    )


def _delete_key(told: Recording, agent: str) -> Any:
    path = told.query.get("path", KEY)
    if "\\" not in path:  # we don't let it through
        return registry.DELETE_KEY.call(agent, query=told.query)
    return request_of(NOUNS.agents.registry.delete_key(agent, path, with_subkeys=True))


_ONE = "/agents/<agent>/registry/"
OPERATIONS = [
    op(
        "agents.registry.browse",
        f"GET {_ONE}",
        _browse,
        "RegistryKey",
        "registry_browse registry_browse_root registry_browse_key registry_browse_after_values "
        "registry_browse_page registry_linux_agent registry_browse_404 registry_browse_bad_page "
        "registry_browse_hive_alone registry_browse_limited_403 registry_browse_offline "
        "registry_browse_old_agent registry_browse_short_hive registry_browse_unknown_key",
    ),
    op(
        "agents.registry.create_key",
        f"POST {_ONE}create-key/",
        lambda told, agent: request_of(
            NOUNS.agents.registry.create_key(agent, _text(has(told), "path", KEY))
        ),
        None,
        "registry_create_key registry_create_key_ok registry_create_key_exists "
        "registry_create_key_limited_403 "
        "registry_create_key_no_path registry_create_key_path_number",
    ),
    op(
        "agents.registry.rename_key",
        f"POST {_ONE}rename-key/",
        _rename_key,
        None,
        "registry_rename_key_ok registry_rename_key_no_new registry_rename_key_same "
        "registry_rename_key_unknown",
    ),
    op(
        "agents.registry.delete_key",
        f"DELETE {_ONE}delete-key/",
        _delete_key,
        None,
        "registry_delete_key_ok registry_delete_key_unknown registry_delete_key_limited_403 "
        "registry_delete_key_no_path registry_delete_key_root",
    ),
    op(
        "agents.registry.create_value",
        f"POST {_ONE}create-value/",
        _value("create_value"),
        "RegistryValue",
        "registry_create_value_sz registry_create_value_expand_sz registry_create_value_multi_sz "
        "registry_create_value_dword registry_create_value_qword registry_create_value_binary "
        "registry_create_value_no_data registry_create_value_exists registry_create_value_bad_dword "
        "registry_create_value_bad_type registry_create_value_data_number registry_create_value_no_name "
        "registry_create_value_no_path registry_create_value_no_type",
    ),
    op(
        "agents.registry.set_value",
        f"POST {_ONE}modify-value/",
        _value("set_value"),
        "RegistryValue",
        "registry_modify_value_ok registry_modify_value_other_type registry_modify_value_unknown_key "
        "registry_modify_value_no_name registry_modify_value_no_type",
    ),
    op(
        "agents.registry.rename_value",
        f"POST {_ONE}rename-value/",
        _rename_value,
        None,
        "registry_rename_value_ok registry_rename_value_unknown registry_rename_value_no_old "
        "registry_rename_value_same",
    ),
    op(
        "agents.registry.delete_value",
        f"DELETE {_ONE}delete-value/",
        lambda told, agent: request_of(
            NOUNS.agents.registry.delete_value(
                agent, told.query.get("path", KEY), told.query.get("name", "x"), with_data=True
            )
        ),
        None,
        "registry_delete_value_ok registry_delete_value_unknown registry_delete_value_in_body "
        "registry_delete_value_no_name",
    ),
]
_ALWAYS = "we always say which"
DIFFERENT = {
    **never(
        "we always say which key, and write a hive by its whole name",
        "registry_browse_root registry_linux_agent registry_browse_404 registry_browse_limited_403 "
        "registry_browse_offline registry_browse_old_agent registry_browse_bad_page "
        "registry_browse_short_hive registry_delete_key_no_path registry_delete_value_in_body "
        "registry_delete_value_no_name",
    ),
    **differs("a hive by its whole name", {"path": "HKEY_LOCAL_MACHINE\\Foo"}, "registry_create_key"),
    **differs(_ALWAYS, {"path": KEY}, "registry_create_key_no_path registry_create_key_path_number"),
    **differs(_ALWAYS, {"path": KEY}, "registry_create_value_no_path"),
    **differs(_ALWAYS, {"name": "x"}, "registry_create_value_no_name registry_modify_value_no_name"),
    **differs(_ALWAYS, {"type": "REG_SZ"}, "registry_create_value_no_type registry_modify_value_no_type"),
    **differs(_ALWAYS, {"new_path": KEY}, "registry_rename_key_no_new"),
    **differs(_ALWAYS, {"old_name": "x"}, "registry_rename_value_no_old"),
    "registry_create_value_no_data": But(_ALWAYS, body={"type": "REG_SZ", "data": ""}),
    **differs("a number in decimal", {"data": "16"}, "registry_create_value_dword"),
    **differs("data is text", {"data": "5"}, "registry_create_value_data_number"),
}
