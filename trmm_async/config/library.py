"""The kinds that are no part of another: scripts, snippets, fields, keys, URL actions, alert templates."""

import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async.client import TRMM
from trmm_async.config import specs
from trmm_async.config.objects import (
    EXCLUDED,
    UNORDERED_EXCLUDED,
    Kind,
    Only,
    Row,
    Secret,
    StoredKey,
    read_list,
    spec_of,
    values_of,
    write_methods,
)
from trmm_async.effective_settings import keyring_errors, keyring_library
from trmm_async.errors import ConfigError

__all__ = ["LIBRARY"]


def _env(values: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (one.partition("=") for one in values)}


def _env_twice(*lists: Sequence[str]) -> str:
    """The finding about duplicate variables: the server has a list of them, a file has a mapping."""
    counts = [Counter(one.partition("=")[0] for one in values) for values in lists]
    names = [name for count in counts for name, number in count.items() if number > 1]
    return f"its environment variable {names[0]!r} stands there twice: a file says the last" if names else ""


# -- scripts and snippets ------------------------------------------------------------------------------------


async def _scripts(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    rows: list[Row] = []
    for listed in filter(only, await trmm.scripts.list(hidden=True, community=False)):
        script = await trmm.scripts.get(listed)
        spec = spec_of(
            specs.ScriptSpec,
            script,
            env_vars=_env(script.env_vars),
            code=script.code or "",
            default_timeout=script.default_timeout or 90,
        )
        odd = _env_twice(script.env_vars)
        rows.append(Row(kind="scripts", id=script.id, spec=spec, thing=script, odd=odd))
    return rows


async def _community(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="community_scripts", id=script.id, spec=spec_of(specs.MarksSpec, script), thing=script)
        for script in filter(only, await trmm.scripts.list(hidden=True))
        if script.script_type == "builtin"
    ]


# -- what an administrator sets up ---------------------------------------------------------------------------


def _field_spec(field: Any) -> Any:
    return spec_of(specs.CustomFieldSpec, field, default=field.default or None)


def _field_prepared(spec: Any, _: str) -> Any:
    return msgspec.structs.replace(spec, default=spec.default or None)


def _key_spec(entry: Any) -> StoredKey:
    return StoredKey(name=entry.name, value=Secret(entry.value))


def _key_prepared(spec: Any, file: str) -> Any:
    if spec.value_from is None:
        return StoredKey(name=spec.name)
    where, _, name = spec.value_from.partition(":")
    if where == "env":
        value = os.environ.get(name)
    else:
        service, _, user = name.partition("/")
        with keyring_errors(f"{file}: the keyring can't be read"):
            value = keyring_library().get_password(service, user)
    if not (value or "").strip():
        raise ConfigError(f"there is no value in {spec.value_from}", file=file, key="value_from")
    return StoredKey(name=spec.name, value=Secret((value or "").strip()))


def _with_value(wanted: Any, present: Any) -> tuple[Any, Any]:
    """Without `value_from` in the file, the value is not compared."""
    return (wanted if wanted.value else msgspec.structs.replace(wanted, value=present.value)), present


def _key_values(spec: Any, names: Sequence[str] | None) -> dict[str, Any]:
    values = values_of(spec, names)
    return values | ({"value": spec.value.value} if "value" in values else {})


def _action_spec(action: Any) -> Any:
    filled = {"action_type": action.action_type or "web", "rest_method": action.rest_method or "post"}
    return spec_of(specs.UrlActionSpec, action, **filled)


# -- alert templates -----------------------------------------------------------------------------------------

_ACTIONS: Final = ("action", "resolved_action")


async def _templates(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    rows: list[Row] = []
    for one in filter(only, await trmm.alert_templates.list()):
        spec = spec_of(
            specs.AlertTemplateSpec,
            one,
            action_env_vars=_env(one.action_env_vars),
            resolved_action_env_vars=_env(one.resolved_action_env_vars),
        )
        oddities = [
            f"its {when}_type is {getattr(spec, f'{when}_type')!r}, and it has none: nothing runs"
            for when in _ACTIONS
            if _has_action(spec, when) and _chosen_action(spec, when) is None
        ]
        odd = "; ".join(
            filter(None, [*oddities, _env_twice(one.action_env_vars, one.resolved_action_env_vars)])
        )
        rows.append(
            Row(kind="alert_templates", id=one.id, spec=_template_prepared(spec, ""), thing=one, odd=odd)
        )
    return rows


def _has_action(spec: Any, when: str) -> bool:
    return getattr(spec, when) is not None or getattr(spec, f"{when}_rest") is not None


def _chosen_action(spec: Any, when: str) -> Any:
    return getattr(spec, f"{when}_rest" if getattr(spec, f"{when}_type") == "rest" else when)


def _template_prepared(spec: Any, file: str) -> Any:
    """The type of an action that is not there means nothing and can't be sent: it is compared as "script"."""
    for when in _ACTIONS:
        if not _has_action(spec, when):
            spec = msgspec.structs.replace(spec, **{f"{when}_type": "script"})
        elif file and _chosen_action(spec, when) is None:
            kind = getattr(spec, f"{when}_type")
            raise ConfigError(
                f"{kind!r} needs {when}_rest" if kind == "rest" else f"{kind!r} needs {when}",
                file=file,
                key=f"{when}_type",
            )
    return spec


def _template_values(spec: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """The arguments as the SDK takes them: an action is only taken together with its type."""
    values = values_of(spec, names)
    for when in _ACTIONS:
        trio = (f"{when}_type", when, f"{when}_rest")
        if names is not None and not set(trio) & set(names):
            continue
        for name in trio:
            values.pop(name, None)
        if _has_action(spec, when):
            values |= {name: getattr(spec, name) for name in trio}
        elif names is not None:
            values |= {when: None, f"{when}_rest": None}
    return values


_SCRIPT_METHODS: Final = write_methods("scripts", later=("favorite", "hidden"), loss="with_code")

LIBRARY: Final = (
    Kind(
        name="custom_fields",
        word="custom field",
        spec=specs.CustomFieldSpec,
        key=lambda spec: f"{spec.model}.{spec.name}",
        fixed=("model", "type"),
        read=read_list("custom_fields", "custom_fields", _field_spec),
        prepare=_field_prepared,
        **write_methods("custom_fields", later=("hide_in_ui", "hide_in_summary"), loss="with_values"),
    ),
    Kind(
        name="key_store",
        word="key store entry",
        spec=StoredKey,
        read=read_list("key_store", "key_store", _key_spec),
        prepare=_key_prepared,
        narrow=_with_value,
        **write_methods("key_store", loss="with_value", values=_key_values),
    ),
    Kind(
        name="snippets",
        word="snippet",
        spec=specs.SnippetSpec,
        read=read_list("snippets", "scripts.snippets", partial(spec_of, specs.SnippetSpec)),
        **write_methods("scripts.snippets", loss="with_code"),
    ),
    Kind(
        name="scripts",
        word="script",
        spec=specs.ScriptSpec,
        read=_scripts,
        unordered=(("supported_platforms",),),
        **_SCRIPT_METHODS,
    ),
    Kind(
        name="community_scripts",
        word="community script",
        spec=specs.MarksSpec,
        read=_community,
        fixed=("name",),
        update=_SCRIPT_METHODS["update"],
    ),
    Kind(
        name="url_actions",
        word="URL action",
        spec=specs.UrlActionSpec,
        read=read_list("url_actions", "url_actions", _action_spec),
        **write_methods("url_actions"),
    ),
    Kind(
        name="alert_templates",
        word="alert template",
        spec=specs.AlertTemplateSpec,
        read=_templates,
        refs={
            ("action",): "scripts",
            ("resolved_action",): "scripts",
            ("action_rest",): "url_actions",
            ("resolved_action_rest",): "url_actions",
            **EXCLUDED,
        },
        unordered=(*UNORDERED_EXCLUDED, *((name,) for name in specs.SEVERITY_FIELDS)),
        prepare=_template_prepared,
        **write_methods("alert_templates", values=_template_values),
    ),
)
