"""The kinds of objects that a folder can have, as one table: how each is read, written and named.

In the order of dependency: what stands further down may refer to what stands above it.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import msgspec

from trmm_async.client import TRMM
from trmm_async.config import specs
from trmm_async.errors import ConfigError
from trmm_async.profiles import keyring_library, telling

__all__ = ["FILES", "KINDS", "FileKind", "StoredKey", "Kind", "Row", "Secret", "check_label", "mapped"]

RefPath = tuple[str, ...]
Only = Callable[[Any], bool]
"""Which things of a list are read whole."""
Create = Callable[[TRMM, Any, int | None], Awaitable[int]]
Update = Callable[[TRMM, "Row", Any, Sequence[str]], Awaitable[None]]
Delete = Callable[[TRMM, "Row"], Awaitable[None]]


class Secret:
    """A value of the key store, which is compared and sent, and shown nowhere."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return "***"


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the key store as it is compared; without a value its value is not looked at."""

    name: str
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """An object as the server has it: `spec` holds ids where it refers to others.

    `spec` is None, and `odd` says why, where it can't be said in a file.
    """

    kind: str
    id: int
    spec: Any
    owner: int | None = None
    thing: Any = field(default=None, repr=False, compare=False)
    odd: str = ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one kind of object is dealt with.

    Attributes:
        name, word: what many, and one, of it are called.
        spec: what is compared of one.
        key: its name, by which it is told from others of its kind (and, with an `owner`, of the same owner).
        read: what the server has of it, of these rows of its `owner`'s kind; of a list only those that fit.
        refs: where a spec refers to others, and to what kind.
        fixed: what can't be changed of one that is there.
        owner: the kind that it is a part of.
        create, update, delete: None where it can't be done.
        prepare: a spec as a file has it, as it is compared.
    """

    name: str
    word: str
    spec: Any
    read: Callable[[TRMM, Sequence[Row], Only], Awaitable[list[Row]]]
    key: Callable[[Any], str] = lambda spec: str(spec.name)
    refs: Mapping[RefPath, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    owner: str | None = None
    create: Create | None = None
    update: Update | None = None
    delete: Delete | None = None
    prepare: Callable[[Any, str], Any] = lambda spec, _: spec


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """What the files of one folder hold.

    Attributes:
        spec: what one file holds.
        parts: what it holds is the object, and others that belong to it, each with its kind.
        whole: the other way round, of a spec, of its parts by their kinds, and of what the file held before.
        is_code: its files are code with front matter.
    """

    name: str
    word: str
    spec: Any
    key: Callable[[Any], str] = lambda spec: str(spec.name)
    parts: Callable[[Any], tuple[Any, Mapping[str, Sequence[Any]]]] = lambda spec: (spec, {})
    whole: Callable[[Any, Mapping[str, Sequence[Any]], Any], Any] = lambda spec, *_: spec
    is_code: bool = False


def mapped(value: Any, path: RefPath, change: Callable[[Any], Any]) -> Any:
    """The same with another value at this path, for each of several at a `*`. None stays."""
    if value is None:
        return None
    if not path:
        return change(value)
    head, rest = path[0], path[1:]
    if head == "*":
        return tuple(mapped(one, rest, change) for one in value)
    if head not in value.__struct_fields__:
        return value
    return msgspec.structs.replace(value, **{head: mapped(getattr(value, head), rest, change)})


def _env(values: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (one.partition("=") for one in values)}


def _raw(spec: Any, noun: Any, **other: Any) -> Any:
    """A spec with a noun's values; a text that is not there is an empty one."""
    values = dict(other)
    for one in msgspec.structs.fields(spec):
        if one.name not in values:
            value = getattr(noun, one.name)
            values[one.name] = "" if value is None and one.type is str else value
    return spec(**values)


def _values(spec: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in names or spec.__struct_fields__}


def _noun(at: str, later: Sequence[str] = ()) -> tuple[Create, Update, Delete]:
    """How a noun's own methods create, update and delete; `later` can be set only of what is there."""

    async def create(trmm: TRMM, spec: Any, _owner: int | None) -> int:
        noun = _at(trmm, at)
        values = _values(spec)
        afterwards = {name: values.pop(name) for name in later}
        made = await noun.create(**values)
        if any(afterwards.values()):
            await noun.update(made, **afterwards)
        return int(made.id)

    async def update(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
        await _at(trmm, at).update(row.thing, **_values(spec, names))

    async def delete(trmm: TRMM, row: Row) -> None:
        await _at(trmm, at).delete(row.id)

    return create, update, delete


def _at(trmm: TRMM, path: str) -> Any:
    found: Any = trmm
    for word in path.split("."):
        found = getattr(found, word)
    return found


# -- scripts and snippets ------------------------------------------------------------------------------------


async def _scripts(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    rows: list[Row] = []
    for listed in filter(only, await trmm.scripts.list(hidden=True, community=False)):
        script = await trmm.scripts.get(listed)
        spec = _raw(
            specs.ScriptSpec,
            script,
            env_vars=_env(script.env_vars),
            code=script.code or "",
            default_timeout=script.default_timeout or 90,
        )
        rows.append(Row(kind="scripts", id=script.id, spec=spec, thing=script))
    return rows


async def _community(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="community_scripts", id=script.id, spec=_raw(specs.MarksSpec, script), thing=script)
        for script in filter(only, await trmm.scripts.list(hidden=True))
        if script.script_type == "builtin"
    ]


async def _snippets(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="snippets", id=one.id, spec=_raw(specs.SnippetSpec, one), thing=one)
        for one in filter(only, await trmm.scripts.snippets.list())
    ]


# -- what an administrator sets up ---------------------------------------------------------------------------


async def _fields(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(
            kind="custom_fields",
            id=one.id,
            spec=_raw(specs.CustomFieldSpec, one, default=one.default or None),
            thing=one,
        )
        for one in filter(only, await trmm.custom_fields.list())
    ]


def _field_prepared(spec: Any, _: str) -> Any:
    return msgspec.structs.replace(spec, default=spec.default or None)


async def _delete_field(trmm: TRMM, row: Row) -> None:
    await trmm.custom_fields.delete(row.id, with_values=True)


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


async def _create_key(trmm: TRMM, spec: Any, _: int | None) -> int:
    return (await trmm.key_store.create(name=spec.name, value=spec.value.value)).id


async def _update_key(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    changes = _values(spec, names)
    if "value" in changes:
        changes["value"] = changes["value"].value
    await trmm.key_store.update(row.id, **changes)


async def _actions(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(
            kind="url_actions",
            id=one.id,
            spec=_raw(
                specs.UrlActionSpec,
                one,
                action_type=one.action_type or "web",
                rest_method=one.rest_method or "post",
            ),
            thing=one,
        )
        for one in filter(only, await trmm.url_actions.list())
    ]


# -- alert templates -----------------------------------------------------------------------------------------


async def _templates(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(
            kind="alert_templates",
            id=one.id,
            spec=_raw(
                specs.AlertTemplateSpec,
                one,
                action_env_vars=_env(one.action_env_vars),
                resolved_action_env_vars=_env(one.resolved_action_env_vars),
            ),
            thing=one,
        )
        for one in filter(only, await trmm.alert_templates.list())
    ]


def _template_values(spec: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """As the SDK takes them: an action and its type go together, and a type alone is nothing."""
    values = _values(spec, names)
    for when in ("action", "resolved_action"):
        trio = (f"{when}_type", when, f"{when}_rest")
        if names is not None and not set(trio) & set(names):
            continue
        for name in trio:
            values.pop(name, None)
        if getattr(spec, when) is not None or getattr(spec, f"{when}_rest") is not None:
            values |= {name: getattr(spec, name) for name in trio}
        elif names is not None:
            values |= {when: None, f"{when}_rest": None}
    return values


async def _create_template(trmm: TRMM, spec: Any, _: int | None) -> int:
    return (await trmm.alert_templates.create(**_template_values(spec, None))).id


async def _update_template(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.alert_templates.update(row.id, **_template_values(spec, names))


# -- policies ------------------------------------------------------------------------------------------------


async def _policies(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="policies", id=one.id, spec=_raw(specs.PolicySpec, one), thing=one)
        for one in filter(only, await trmm.policies.list())
    ]


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


def check_label(spec: Any) -> str:
    """What tells a policy's check from its others: "diskspace C:", "script Get-DiskInfo", "cpuload"."""
    kind = _tag(spec)
    told = getattr(spec, _LABELS[kind]) if kind in _LABELS else ""
    if kind == "ping":
        told = told or spec.ip
    return f"{kind} {told}".rstrip()


async def _checks(trmm: TRMM, owners: Sequence[Row], only: Only) -> list[Row]:
    rows: list[Row] = []
    for policy in owners:
        for listed in filter(only, await trmm.policies.checks(policy.id)):
            check = await trmm.checks.get(listed)
            odd = "" if check.settings else f"a check of the type {check.check_type!r} that can't be read"
            spec = None
            if check.settings is not None:
                spec = _CHECKS[check.check_type](**_values(check.settings))
                spec = _check_prepared(spec, "")
            rows.append(Row(kind="checks", id=check.id, spec=spec, owner=policy.id, thing=check, odd=odd))
    return rows


def _check_prepared(spec: Any, _: str) -> Any:
    """With what the SDK puts in for names that are not given."""
    if "ip" in spec.__struct_fields__:
        return msgspec.structs.replace(spec, name=spec.name or spec.ip)
    if "display_name" in spec.__struct_fields__:
        return msgspec.structs.replace(spec, display_name=spec.display_name or spec.service)
    return spec


async def _create_check(trmm: TRMM, spec: Any, owner: int | None) -> int:
    return (await trmm.checks.create(spec, policy=owner or 0)).id


async def _update_check(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.checks.update(row.id, **_values(spec, names))


async def _delete_check(trmm: TRMM, row: Row) -> None:
    await trmm.checks.delete(row.id)


async def _tasks(trmm: TRMM, owners: Sequence[Row], only: Only) -> list[Row]:
    return [
        _task(task, policy.id)
        for policy in owners
        for task in filter(only, await trmm.policies.tasks(policy.id))
    ]


def _task(task: Any, policy: int) -> Row:
    if task.timing is None or not task.actions or "actions" in task.extra:
        odd = f"a task, {task.name!r}, whose schedule or actions can't be read"
        return Row(kind="tasks", id=task.id, spec=None, owner=policy, thing=task, odd=odd)
    told = {name: getattr(task, name) for name in specs.TaskSpec.__struct_fields__ if hasattr(task, name)}
    values = {name: value for name, value in told.items() if value is not None} | {
        "schedule": _SCHEDULES[_tag(task.timing)](**_values(task.timing)),
        "actions": tuple(_ACTIONS[_tag(one)](**_values(one)) for one in task.actions),
    }
    return Row(kind="tasks", id=task.id, spec=specs.TaskSpec(**values), owner=policy, thing=task)


async def _create_task(trmm: TRMM, spec: Any, owner: int | None) -> int:
    return (await trmm.tasks.set_up(policy=owner, **_values(spec))).id


async def _update_task(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.tasks.update(row.id, **_values(spec, names))


async def _delete_task(trmm: TRMM, row: Row) -> None:
    await trmm.tasks.delete(row.id)


# -- clients and sites ---------------------------------------------------------------------------------------


class PlaceSpec(specs.SiteSpec, frozen=True, kw_only=True):
    """What is assigned to a client or a site, with its name."""

    name: str


async def _clients(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="clients", id=one.id, spec=_place(one), thing=one)
        for one in filter(only, await trmm.clients.list())
    ]


def _place(noun: Any) -> Any:
    return _raw(PlaceSpec, noun, block_policy_inheritance=bool(noun.block_policy_inheritance))


async def _sites(_trmm: TRMM, owners: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="sites", id=site.id, spec=_place(site), owner=client.id, thing=site)
        for client in owners
        for site in filter(only, client.thing.sites)
    ]


async def _update_client(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.clients.update(row.id, **_values(spec, names))


async def _update_site(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.sites.update(row.id, **_values(spec, names))


def _parts_of_client(spec: Any) -> tuple[Any, Mapping[str, Sequence[Any]]]:
    sites = [PlaceSpec(name=name, **_values(site)) for name, site in spec.sites.items()]
    names = specs.SiteSpec.__struct_fields__
    return PlaceSpec(name=spec.name, **_values(spec, names)), {"sites": sites}


def _whole_client(spec: Any, parts: Mapping[str, Sequence[Any]], _: Any) -> Any:
    names = specs.SiteSpec.__struct_fields__
    sites = {one.name: specs.SiteSpec(**_values(one, names)) for one in parts.get("sites", ())}
    return specs.ClientSpec(name=spec.name, sites=sites, **_values(spec, names))


# -- the table -----------------------------------------------------------------------------------------------

_create_field, _update_field, _ = _noun("custom_fields", ("hide_in_ui", "hide_in_summary"))
_create_snippet, _update_snippet, _delete_snippet = _noun("scripts.snippets")
_create_script, _update_script, _delete_script = _noun("scripts", ("favorite", "hidden"))
_delete_key = _noun("key_store")[2]
_create_action, _update_action, _delete_action = _noun("url_actions")
_create_policy, _update_policy, _delete_policy = _noun("policies")
_delete_template = _noun("alert_templates")[2]

_EXCLUDED: Final[Mapping[RefPath, str]] = {
    ("excluded_clients", "*"): "clients",
    ("excluded_sites", "*"): "sites",
}
_PLACES: Final[Mapping[RefPath, str]] = {
    ("server_policy",): "policies",
    ("workstation_policy",): "policies",
    ("alert_template",): "alert_templates",
}

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
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
                **_EXCLUDED,
            },
            create=_create_template,
            update=_update_template,
            delete=_delete_template,
        ),
        Kind(
            name="policies",
            word="policy",
            spec=specs.PolicySpec,
            read=_policies,
            refs={("alert_template",): "alert_templates", **_EXCLUDED},
            create=_create_policy,
            update=_update_policy,
            delete=_delete_policy,
        ),
        Kind(
            name="checks",
            word="check",
            spec=specs.CheckSpec,
            owner="policies",
            key=check_label,
            read=_checks,
            refs={("script",): "scripts"},
            create=_create_check,
            update=_update_check,
            delete=_delete_check,
            prepare=_check_prepared,
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
            create=_create_task,
            update=_update_task,
            delete=_delete_task,
        ),
        Kind(
            name="clients",
            word="client",
            spec=PlaceSpec,
            read=_clients,
            refs=_PLACES,
            fixed=("name",),
            update=_update_client,
        ),
        Kind(
            name="sites",
            word="site",
            spec=PlaceSpec,
            owner="clients",
            read=_sites,
            refs=_PLACES,
            fixed=("name",),
            update=_update_site,
        ),
    )
}
"""All kinds of objects by their names, in the order in which they are created."""

FILES: Final[Mapping[str, FileKind]] = {
    kind.name: kind
    for kind in (
        FileKind(
            name="custom_fields",
            word="custom field",
            spec=specs.CustomFieldSpec,
            key=KINDS["custom_fields"].key,
        ),
        FileKind(
            name="key_store",
            word="key store entry",
            spec=specs.KeySpec,
            whole=lambda spec, _, old: specs.KeySpec(name=spec.name, value_from=old and old.value_from),
        ),
        FileKind(name="snippets", word="snippet", spec=specs.SnippetSpec, is_code=True),
        FileKind(name="scripts", word="script", spec=specs.ScriptSpec, is_code=True),
        FileKind(name="community_scripts", word="community script", spec=specs.MarksSpec),
        FileKind(name="url_actions", word="URL action", spec=specs.UrlActionSpec),
        FileKind(name="alert_templates", word="alert template", spec=specs.AlertTemplateSpec),
        FileKind(
            name="policies",
            word="policy",
            spec=specs.PolicyFile,
            parts=lambda spec: (
                specs.PolicySpec(**_values(spec, specs.PolicySpec.__struct_fields__)),
                {"checks": spec.checks, "tasks": spec.tasks},
            ),
            whole=lambda spec, parts, _: specs.PolicyFile(
                **_values(spec), checks=tuple(parts["checks"]), tasks=tuple(parts["tasks"])
            ),
        ),
        FileKind(
            name="clients",
            word="client",
            spec=specs.ClientSpec,
            parts=_parts_of_client,
            whole=_whole_client,
        ),
    )
}
"""The folders, and what the files in each hold."""
