"""How the kinds that stand by themselves are read and written: scripts, and what an administrator sets up."""

import os
from collections import Counter
from collections.abc import Sequence
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
    noun_methods,
    spec_of,
    values_of,
)
from trmm_async.errors import ConfigError
from trmm_async.profiles import keyring_library, telling

__all__ = ["LIBRARY"]


def _env(values: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (one.partition("=") for one in values)}


def _env_twice(*lists: Sequence[str]) -> str:
    """What is odd about environment variables: the server has a list of them, and a file a mapping."""
    names = [name for values in lists for name, count in _names_of(values).items() if count > 1]
    return f"its environment variable {names[0]!r} stands there twice: a file says the last" if names else ""


def _names_of(values: Sequence[str]) -> Counter[str]:
    return Counter(one.partition("=")[0] for one in values)


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


async def _snippets(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="snippets", id=one.id, spec=spec_of(specs.SnippetSpec, one), thing=one)
        for one in filter(only, await trmm.scripts.snippets.list())
    ]


# -- what an administrator sets up ---------------------------------------------------------------------------


async def _fields(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(
            kind="custom_fields",
            id=one.id,
            spec=spec_of(specs.CustomFieldSpec, one, default=one.default or None),
            thing=one,
        )
        for one in filter(only, await trmm.custom_fields.list())
    ]


def _field_prepared(spec: Any, _: str) -> Any:
    return msgspec.structs.replace(spec, default=spec.default or None)


async def _keys(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="key_store", id=one.id, spec=StoredKey(name=one.name, value=Secret(one.value)), thing=one)
        for one in filter(only, await trmm.key_store.list())
    ]


def _key_prepared(spec: Any, file: str) -> Any:
    if spec.value_from is None:
        return StoredKey(name=spec.name)
    where, _, name = spec.value_from.partition(":")
    if where == "env":
        value = os.environ.get(name)
    else:
        service, _, user = name.partition("/")
        with telling(f"{file}: the keyring can't be read"):
            value = keyring_library().get_password(service, user)
    if not (value or "").strip():
        raise ConfigError(f"there is no value in {spec.value_from}", file=file, key="value_from")
    return StoredKey(name=spec.name, value=Secret((value or "").strip()))


def _with_value(wanted: Any, there: Any) -> tuple[Any, Any]:
    """Without `value_from` the value is left alone."""
    return (wanted if wanted.value else msgspec.structs.replace(wanted, value=there.value)), there


async def _create_key(trmm: TRMM, spec: Any, _: int | None) -> int:
    return (await trmm.key_store.create(name=spec.name, value=spec.value.value)).id


async def _update_key(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    changes = values_of(spec, names)
    if "value" in changes:
        changes["value"] = changes["value"].value
    await trmm.key_store.update(row.id, **changes)


async def _actions(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(
            kind="url_actions",
            id=one.id,
            spec=spec_of(
                specs.UrlActionSpec,
                one,
                action_type=one.action_type or "web",
                rest_method=one.rest_method or "post",
            ),
            thing=one,
        )
        for one in filter(only, await trmm.url_actions.list())
    ]


_ACTIONS: Final = ("action", "resolved_action")


# -- alert templates -----------------------------------------------------------------------------------------


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
    """Without an action its type says nothing, and can't be sent."""
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
    """As the SDK takes them: an action and its type go together, and a type alone is nothing."""
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


async def _create_template(trmm: TRMM, spec: Any, _: int | None) -> int:
    return (await trmm.alert_templates.create(**_template_values(spec, None))).id


async def _update_template(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.alert_templates.update(row.id, **_template_values(spec, names))


_SEVERITIES = tuple(
    (f"{what}_{how}_alert_severity",) for what in ("check", "task") for how in ("email", "text", "dashboard")
)

_create_field, _update_field, _delete_field = noun_methods(
    "custom_fields", ("hide_in_ui", "hide_in_summary"), loss="with_values"
)
_create_snippet, _update_snippet, _delete_snippet = noun_methods("scripts.snippets", loss="with_code")
_create_script, _update_script, _delete_script = noun_methods(
    "scripts", ("favorite", "hidden"), loss="with_code"
)
_delete_key = noun_methods("key_store", loss="with_value")[2]
_create_action, _update_action, _delete_action = noun_methods("url_actions")
_delete_template = noun_methods("alert_templates")[2]

LIBRARY: Final = (
    Kind(
        name="custom_fields",
        word="custom field",
        spec=specs.CustomFieldSpec,
        key=lambda spec: f"{spec.model}.{spec.name}",
        fixed=("model", "type"),
        read=_fields,
        create=_create_field,
        update=_update_field,
        delete=_delete_field,
        prepare=_field_prepared,
    ),
    Kind(
        name="key_store",
        word="key store entry",
        spec=StoredKey,
        read=_keys,
        create=_create_key,
        update=_update_key,
        delete=_delete_key,
        prepare=_key_prepared,
        narrow=_with_value,
    ),
    Kind(
        name="snippets",
        word="snippet",
        spec=specs.SnippetSpec,
        read=_snippets,
        create=_create_snippet,
        update=_update_snippet,
        delete=_delete_snippet,
    ),
    Kind(
        name="scripts",
        word="script",
        spec=specs.ScriptSpec,
        read=_scripts,
        create=_create_script,
        update=_update_script,
        delete=_delete_script,
        unordered=(("supported_platforms",),),
    ),
    Kind(
        name="community_scripts",
        word="community script",
        spec=specs.MarksSpec,
        read=_community,
        fixed=("name",),
        update=_update_script,
    ),
    Kind(
        name="url_actions",
        word="URL action",
        spec=specs.UrlActionSpec,
        read=_actions,
        create=_create_action,
        update=_update_action,
        delete=_delete_action,
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
        unordered=(*UNORDERED_EXCLUDED, *_SEVERITIES),
        prepare=_template_prepared,
        create=_create_template,
        update=_update_template,
        delete=_delete_template,
    ),
)
"""Custom fields, key store entries, snippets, scripts, URL actions and alert templates."""
