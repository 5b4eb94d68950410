"""How clients, sites and the server's defaults are read and written: what is assigned to them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from trmm_async.client import TRMM
from trmm_async.config import specs
from trmm_async.config.objects import Kind, Only, RefPath, Row, spec_of, values_of
from trmm_async.errors import InvalidRequestError
from trmm_async.resources.stock.custom_field_values import written
from trmm_async.resources.stock.custom_fields import CustomField

__all__ = ["PLACES", "hold_value", "parts_of_client", "whole_client"]


# -- clients and sites ---------------------------------------------------------------------------------------


class PlaceSpec(specs.SiteSpec, frozen=True, kw_only=True):
    """What is assigned to a client or a site, with its name; custom fields are named as "client.Rack"."""

    name: str


async def _clients(trmm: TRMM, _: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="clients", id=one.id, spec=_place(one), thing=one)
        for one in filter(only, await trmm.clients.list())
    ]


def _place(noun: Any) -> Any:
    return spec_of(
        PlaceSpec,
        noun,
        block_policy_inheritance=bool(noun.block_policy_inheritance),
        custom_fields={one.field: one.value for one in noun.custom_fields},
    )


def hold_value(definition: Any, value: Any) -> None:
    """A value that is to be set must fit the type of its custom field.

    Args:
        definition: the field's `CustomFieldSpec`.
        value: what a file says.

    Raises:
        InvalidRequestError: it does not, and what would.
    """
    field = CustomField(id=0, **values_of(definition, ("name", "model", "type", "options")))
    written(field, value)
    if field.type == "number" and isinstance(value, str):
        raise InvalidRequestError(
            f"custom_fields: {field.name!r} takes a number without quotes, not {value!r}"
        )


def _narrowed(wanted: Any, there: Any) -> tuple[Any, Any]:
    """Of custom fields those alone that a file names: the others are data of somebody's."""
    told = {name: there.custom_fields.get(name) for name in wanted.custom_fields}
    return wanted, msgspec.structs.replace(there, custom_fields=told)


async def _sites(_trmm: TRMM, owners: Sequence[Row], only: Only) -> list[Row]:
    return [
        Row(kind="sites", id=site.id, spec=_place(site), owner=client.id, thing=site)
        for client in owners
        for site in filter(only, client.thing.sites)
    ]


async def _update_client(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.clients.update(row.id, **_differing(row, spec, names))


async def _update_site(trmm: TRMM, row: Row, spec: Any, names: Sequence[str]) -> None:
    await trmm.sites.update(row.id, **_differing(row, spec, names))


def _differing(row: Row, spec: Any, names: Sequence[str]) -> dict[str, Any]:
    """What is sent: of the values of custom fields those alone that are others."""
    values = values_of(spec, names)
    there = row.spec.custom_fields
    if told := values.get("custom_fields"):
        values["custom_fields"] = {field: one for field, one in told.items() if one != there.get(field)}
    return values


def parts_of_client(spec: Any) -> tuple[Any, Mapping[str, Sequence[Any]]]:
    """What a client's file holds, as what is assigned to the client and to its sites."""
    sites = [_named(site, "site", name) for name, site in spec.sites.items()]
    return _named(spec, "client", spec.name), {"sites": sites}


def _named(spec: Any, model: str, name: str) -> PlaceSpec:
    values = values_of(spec, specs.SiteSpec.__struct_fields__)
    fields = {f"{model}.{field}": _value(value) for field, value in spec.custom_fields.items()}
    return PlaceSpec(name=name, **{**values, "custom_fields": fields})


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def whole_client(spec: Any, parts: Mapping[str, Sequence[Any]], old: Any) -> Any:
    """The other way round, with the custom fields that the file has named before."""
    old_sites = {} if old is None else old.sites
    sites = {
        one.name: specs.SiteSpec(**_said(one, old_sites.get(one.name))) for one in parts.get("sites", ())
    }
    return specs.ClientSpec(name=spec.name, sites=sites, **_said(spec, old))


def _said(spec: Any, old: Any) -> dict[str, Any]:
    there = {name.partition(".")[2]: value for name, value in spec.custom_fields.items()}
    named = () if old is None else old.custom_fields
    values = values_of(spec, specs.SiteSpec.__struct_fields__)
    return {**values, "custom_fields": {name: there.get(name) for name in named}}


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

PLACES: Final = (
    Kind(
        name="clients",
        word="client",
        spec=PlaceSpec,
        read=_clients,
        refs=_SET,
        fixed=("name",),
        update=_update_client,
        narrow=_narrowed,
    ),
    Kind(
        name="sites",
        word="site",
        spec=PlaceSpec,
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
"""Clients, sites, and the server itself; and agents, which are referred to alone."""
