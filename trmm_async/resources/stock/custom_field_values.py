"""Values of custom fields: of agents, clients and sites."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypedDict, TypeVar

from trmm_async import arguments, codec
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.creation import make
from trmm_async.dialects.stock.endpoint import Endpoint
from trmm_async.errors import InvalidRequestError
from trmm_async.resources.stock.alert_templates import AlertTemplate
from trmm_async.resources.stock.custom_fields import (
    LIST,
    CustomField,
    FieldValues,
    reads_as_number,
    reads_as_time,
)
from trmm_async.resources.stock.policies import Policy

__all__ = ["PLACES", "PlaceSettings", "created", "custom_field_values", "wrapped", "written"]


class _Named(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...


Made = TypeVar("Made", bound=_Named)


@plan
def wrapped(put: Endpoint[None], place: int, model: str, changes: Mapping[str, Any]) -> Steps[None]:
    """Change a "client" or a "site". The body is `{"client": {…}}`, with custom fields beside it.

    It is one call, but the server saves the custom fields after the rest, not in one transaction.
    """
    body: dict[str, Any] = {model: {name: changes[name] for name in changes if name != "custom_fields"}}
    if "custom_fields" in changes:
        body["custom_fields"] = yield from custom_field_values(model, changes["custom_fields"])
    yield from put.call(place, body=body)


class PlaceSettings(TypedDict, total=False):
    """The settings of clients and sites. None removes a value. What is not given stays unchanged."""

    server_policy: int | Policy | None
    workstation_policy: int | Policy | None
    alert_template: int | AlertTemplate | None
    block_policy_inheritance: bool
    custom_fields: FieldValues


_set: Final = arguments.or_none(arguments.object_id)
PLACES: Final[arguments.Checks] = {
    "server_policy": _set,
    "workstation_policy": _set,
    "alert_template": _set,
    "block_policy_inheritance": arguments.boolean,
    "custom_fields": arguments.field_values,
}
"""How the settings of clients and sites are checked."""


@plan
def created(
    listing: Call[list[Made]],
    create: Endpoint[None],
    model: str,
    settings: Mapping[str, Any],
    beside: Mapping[str, object],
) -> Steps[Made]:
    """Create a "client" or a "site"; `beside` is sent beside it in the body.

    Custom fields are checked first, since the server creates the object before it looks at them.
    """
    body: dict[str, Any] = {
        model: {name: settings[name] for name in settings if name != "custom_fields"}, **beside,
    }  # fmt: skip
    if "custom_fields" in settings:
        body["custom_fields"] = yield from custom_field_values(model, settings["custom_fields"])
    plan = make(model, listing, create.call(body=body), lambda made: made.name == settings["name"])
    return (yield from plan)


def custom_field_values(model: str, values: Mapping[int, Any]) -> Steps[list[Mapping[str, object]]]:
    """Values of custom fields as they are sent, each under the key that belongs to its type.

    Raises (in its steps):
        InvalidRequestError: there is no such field for this kind of object, or a value doesn't fit its type.
    """
    listed = yield from LIST.call()
    known = {field.id: field for field in listed if field.model == model}
    if unknown := [number for number in values if number not in known]:
        raise InvalidRequestError(f"custom_fields: {model}s have no custom field with the id {unknown[0]}")
    return [written(known[number], value) for number, value in values.items()]


def written(field: CustomField, value: Any) -> Mapping[str, object]:
    """A value as it is sent, under the key that belongs to its type.

    Raises:
        InvalidRequestError: it doesn't fit the type.
    """
    key, fit = _FITTING.get(field.type, ("string_value", _text))
    return {"field": field.id, key: fit(field, value)}


def _wrong(field: CustomField, wanted: str, value: object) -> InvalidRequestError:
    number = f" ({field.id})" if field.id else ""  # a field that is still to be created has none
    return InvalidRequestError(f"custom_fields: {field.name!r}{number} takes {wanted}, not {value!r}")


def _text(field: CustomField, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _wrong(field, "a text", value)
    return value


def _number(field: CustomField, value: Any) -> str | None:
    if value is not None and not reads_as_number(value):
        raise _wrong(field, "a number", value)
    return None if value is None else str(value)


def _moment(field: CustomField, value: object) -> str | None:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise _wrong(field, "a datetime that says its time zone", value)
        return codec.instant(value)
    if value and not reads_as_time(value):
        raise _wrong(field, 'a datetime, or a text as "2030-01-31T09:00:00Z"', value)
    return _text(field, value)


def _option(field: CustomField, value: object) -> str | None:
    if value is not None and value not in field.options:
        raise _wrong(field, f"one of {', '.join(field.options)}", value)
    return _text(field, value)


def _options(field: CustomField, value: object) -> list[str]:
    chosen = () if value is None else value
    if isinstance(chosen, str) or not isinstance(chosen, Sequence | set | frozenset):
        raise _wrong(field, "a list of texts", value)
    if not set(chosen) <= set(field.options):
        raise _wrong(field, f"some of {', '.join(field.options)}", value)
    return sorted(chosen) if isinstance(chosen, set | frozenset) else list(chosen)


def _flag(field: CustomField, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(field, "True or False", value)
    return value


_FITTING: Final[Mapping[str, tuple[str, Callable[[CustomField, Any], object]]]] = {
    "text": ("string_value", _text),
    "number": ("string_value", _number),
    "datetime": ("string_value", _moment),
    "single": ("string_value", _option),
    "multiple": ("multiple_value", _options),
    "checkbox": ("bool_value", _flag),
}
