"""The kinds to which policies and templates are assigned: clients, sites and the server itself."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from trmm_async.client import TRMM
from trmm_async.config import specs
from trmm_async.config.objects import Kind, Only, RefPath, Row, read_list, spec_of, tuple_of, values_of
from trmm_async.errors import InvalidRequestError
from trmm_async.resources.stock.custom_field_values import written
from trmm_async.resources.stock.custom_fields import CustomField

__all__ = ["ASSIGNMENTS", "check_value", "join_client", "split_client"]


# -- clients and sites ---------------------------------------------------------------------------------------


class AssignedSpec(specs.SiteSpec, frozen=True, kw_only=True):
    """What is assigned to the client or site of this name. Custom fields have names such as "client.Rack"."""

    name: str


def _assigned(thing: Any) -> Any:
    return spec_of(
        AssignedSpec,
        thing,
        block_policy_inheritance=bool(thing.block_policy_inheritance),
        custom_fields={one.field: one.value for one in thing.custom_fields},
    )


def check_value(definition: Any, value: Any) -> None:
    """Check that the value from a file fits the type of its custom field, given by its `CustomFieldSpec`.

    Raises:
        InvalidRequestError: it does not fit. The error says what would.
    """
    field = CustomField(id=0, **values_of(definition, ("name", "model", "type", "options")))
    written(field, value)
    if field.type == "number" and isinstance(value, str):
        raise InvalidRequestError(
            f"custom_fields: {field.name!r} takes a number without quotes, not {value!r}"
        )


def _narrowed(wanted: Any, present: Any) -> tuple[Any, Any]:
    """Compare only the custom fields that the file names: the others are the users' data."""
    named = {name: present.custom_fields.get(name) for name in wanted.custom_fields}
    return wanted, msgspec.structs.replace(present, custom_fields=named)


async def _sites(_trmm: TRMM, owners: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="sites", id=site.id, spec=_assigned(site), owner=client.id, thing=site)
        for client in owners
        for site in filter(only, client.thing.sites)
    ]


async def _update_client(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.clients.update(row.id, **_changed_values(row, spec, names))


async def _update_site(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.sites.update(row.id, **_changed_values(row, spec, names))


def _changed_values(row: Row, spec: Any, names: Sequence[str]) -> dict[str, Any]:
    """The arguments of the update. Of the custom fields, only those with another value are sent."""
    values = values_of(spec, names)
    present = row.spec.custom_fields
    if wanted := values.get("custom_fields"):
        values["custom_fields"] = {name: one for name, one in wanted.items() if one != present.get(name)}
    return values


def split_client(spec: Any) -> tuple[Any, Mapping[str, Sequence[Any]]]:
    """Split a client's file into the specs of the client and of its sites."""
    sites = [_assigned_spec(site, "site", name) for name, site in spec.sites.items()]
    return _assigned_spec(spec, "client", spec.name), {"sites": sites}


def _assigned_spec(spec: Any, model: str, name: str) -> AssignedSpec:
    values = values_of(spec, specs.SiteSpec.__struct_fields__)
    fields = {f"{model}.{field}": tuple_of(value) for field, value in spec.custom_fields.items()}
    return AssignedSpec(name=name, **{**values, "custom_fields": fields})


def join_client(spec: Any, parts: Mapping[str, Sequence[Any]], old: Any) -> Any:
    """Make a client's file, with the custom fields that its former content named."""
    old_sites = {} if old is None else old.sites
    sites = {
        one.name: specs.SiteSpec(**_site_values(one, old_sites.get(one.name)))
        for one in parts.get("sites", ())
    }
    return specs.ClientSpec(name=spec.name, sites=sites, **_site_values(spec, old))


def _site_values(spec: Any, old: Any) -> dict[str, Any]:
    present = {name.partition(".")[2]: value for name, value in spec.custom_fields.items()}
    named = () if old is None else old.custom_fields
    values = values_of(spec, specs.SiteSpec.__struct_fields__)
    return {**values, "custom_fields": {name: present.get(name) for name in named}}


async def _defaults(trmm: TRMM, _: Sequence[Row], _only: Only) -> list[Row]:
    return [Row(kind="server", id=1, spec=spec_of(specs.DefaultsSpec, await trmm.core.settings()))]


async def _update_defaults(trmm: TRMM, _: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.core.update_settings(**values_of(spec, names))


async def _nothing(_trmm: TRMM, _: Sequence[Row], _only: Only) -> list[Row]:
    return []


_DEFAULTS: Final[Mapping[RefPath, str]] = {
    ("server_policy",): "policies",
    ("workstation_policy",): "policies",
    ("alert_template",): "alert_templates",
}
_SET: Final[Mapping[RefPath, str]] = {**_DEFAULTS, ("custom_fields", "keys"): "custom_fields"}

ASSIGNMENTS: Final = (
    Kind(
        name="clients",
        word="client",
        spec=AssignedSpec,
        read=read_list("clients", "clients", _assigned),
        refs=_SET,
        fixed=("name",),
        update=_update_client,
        narrow=_narrowed,
    ),
    Kind(
        name="sites",
        word="site",
        spec=AssignedSpec,
        owner="clients",
        read=_sites,
        refs=_SET,
        fixed=("name",),
        update=_update_site,
        narrow=_narrowed,
    ),
    Kind(
        name="server",
        word="server",
        spec=specs.DefaultsSpec,
        key=lambda _: "defaults",
        read=_defaults,
        refs=_DEFAULTS,
        update=_update_defaults,
    ),
    Kind(name="agents", word="agent", spec=None, read=_nothing),
)
"""Clients, sites, the server, and agents, which are only referred to."""
