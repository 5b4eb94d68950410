"""`trmm.custom_fields`."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Final, Literal, TypeAlias, TypedDict, Unpack, cast

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.endpoint import delete, put, read, send
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Noun, no_extra
from trmm_async.resources.names import NounKind
from trmm_async.resources.resource import Resource, refuse_loss

__all__ = [
    "FIELD",
    "CustomField",
    "CustomFieldChanges",
    "CustomFields",
    "FieldValues",
    "field_ids",
    "reads_as_number",
    "reads_as_time",
]

Model = Literal["agent", "client", "site"]
FieldType = Literal["text", "number", "single", "multiple", "checkbox", "datetime"]

_MODELS: Final = ("agent", "client", "site")
_TYPES: Final = ("text", "number", "single", "multiple", "checkbox", "datetime")


class CustomField(Noun, frozen=True, kw_only=True, gc=False):
    """The definition of a custom field, not a value of it.

    `model` is "agent", "client" or "site"; `type` "text", "number", "single", "multiple", "checkbox" or
    "datetime".
    `default` is True or False for a checkbox, a tuple of texts for "multiple", else a text or None.
    """

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    model: str = ""
    type: str = ""
    options: tuple[str, ...] = ()
    """What may be chosen."""
    required: bool = False
    """Whether it must have a value."""
    default: str | bool | tuple[str, ...] | None = None
    extra: Mapping[str, Any] = no_extra()
    hide_in_ui: bool = False
    """Whether the web client leaves it out."""
    hide_in_summary: bool = False
    """Whether summaries leave it out."""


FieldValues: TypeAlias = Mapping[int, Any] | Mapping[CustomField, Any] | Mapping[int | CustomField, Any]
"""Values by the fields, or their ids: texts, numbers, True or False, lists of options, and None for none.

Their types are asked for before anything is changed, and the values held against them.
"""


class CustomFieldChanges(TypedDict, total=False):
    """The settings that `custom_fields.update` can change. What is not given stays unchanged."""

    name: str
    options: Iterable[str]
    required: bool
    default: str | float | bool | Iterable[str] | None
    hide_in_ui: bool
    hide_in_summary: bool


class _Field(msgspec.Struct):
    id: int
    name: str = ""
    model: str = ""
    type: str = ""
    options: tuple[str | None, ...] = ()
    required: bool = False
    default_value_string: str | None = None
    default_value_bool: bool = False
    default_values_multiple: tuple[str | None, ...] = ()
    hide_in_ui: bool = False
    hide_in_summary: bool = False
    extra: Mapping[str, Any] = no_extra()


def _custom_field(sent: _Field) -> CustomField:
    default: str | bool | tuple[str, ...] | None = sent.default_value_string
    if sent.type == "checkbox":
        default = sent.default_value_bool
    elif sent.type == "multiple":
        default = tuple(value for value in sent.default_values_multiple if value is not None)
    return CustomField(
        id=sent.id,
        name=sent.name,
        model=sent.model,
        type=sent.type,
        options=tuple(option for option in sent.options if option is not None),
        required=sent.required,
        default=default,
        hide_in_ui=sent.hide_in_ui,
        hide_in_summary=sent.hide_in_summary,
        extra=sent.extra,
    )


_ONE: Final = "/core/customfields/{field:id}/"

LIST = read(
    "custom_fields.list", "/core/customfields/", list[CustomField], decode=codec.listed(_Field, _custom_field)
)
# The call of the web client with the same answer. We send the one above, with a query.
LIST_TOO = read(
    "custom_fields.list",
    "/core/customfields/",
    list[CustomField],
    method="PATCH",
    decode=codec.listed(_Field, _custom_field),
)
GET = read(
    "custom_fields.get",
    _ONE,
    CustomField,
    decode=lambda body: _custom_field(codec.decoder(_Field)(body)),
)
CREATE = send("custom_fields.create", "/core/customfields/")
UPDATE = put("custom_fields.update", _ONE)
DELETE = delete("custom_fields.delete", _ONE)


FIELD: Final[NounKind[CustomField]] = NounKind(
    "custom field", lambda field: field.id, lambda field: field.name, lambda field: field.model
)


@plan
def field_ids(model: Model, given: Collection[int | str]) -> Steps[Mapping[int | str, int]]:
    """The ids of custom fields that are given by their ids or names, whatever the case of these.

    Raises (in its steps):
        UnknownNameError: there is no field with this name for this kind of object.
    """
    listed: list[CustomField] = []
    if any(isinstance(one, str) for one in given):
        listed = yield from LIST.call(query={"model": model})
    return {one: one if isinstance(one, int) else FIELD.pick(one, listed).id for one in given}


class CustomFields(Resource):
    """The definitions of custom fields of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`. Values are fields of their objects: `agent.custom_fields`.
    """

    async def get(self, field: int | CustomField) -> CustomField:
        """Get the definition of one custom field.

        Raises:
            NotFoundError: there is no such field.
        """
        return await self._send(GET, field)

    async def list(self, *, model: Model | None = None) -> list[CustomField]:
        """List all custom fields, or those of agents, clients or sites."""
        which = None if model is None else arguments.choice(model, "model", _MODELS)
        return await self._send(LIST, query={"model": which})

    async def create(
        self,
        *,
        name: str,
        model: Model,
        type: FieldType = "text",  # noqa: A002 - the server's word, and the noun's
        options: Iterable[str] = (),
        required: bool = False,
        default: str | float | bool | Iterable[str] | None = None,
    ) -> CustomField:
        """Create a custom field and return it. Never sent twice.

        Args:
            name: the name, unique for each model.
            model: the kind of object that has the field.
            type: the type of its values.
            options: the values to choose from, for "single" and "multiple".
            required: True makes the dashboard require a value.
            default: the value if none is set: True or False for a checkbox, several texts for "multiple", a
                text or a number for the others.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        name = arguments.name(name, "name")
        body: dict[str, Any] = {
            "model": arguments.choice(model, "model", _MODELS),
            "type": arguments.choice(type, "type", _TYPES),
            "name": name,
        }
        if given := _options(options, type):
            body["options"] = given
        if arguments.boolean(required, "required"):
            body["required"] = True
        if default is not None:
            body |= _default(default, type, given)
        return await self._create(
            CREATE, LIST, body=body, query={"model": model}, is_it=lambda field: field.name == name
        )

    async def update(self, field: int | CustomField, **changes: Unpack[CustomFieldChanges]) -> None:
        """Change a custom field. Idempotent: sent again if an answer is lost.

        A field that is given by its id is looked up first if the allowed values depend on its type.

        Args:
            field: the field or its id.
            changes: the settings to change: `name`, `options`, `required`, `default` (None for none),
                `hide_in_ui`, `hide_in_summary`.

        Raises:
            NotFoundError: there is no such field.
        """
        known = field if isinstance(field, CustomField) else None
        field_id, body = arguments.object_id(field, "field"), _changed(changes, known)
        if known is not None or _BY_TYPE.isdisjoint(changes):
            await self._send(UPDATE, field_id, body=body)
        else:
            await self._on_stock(UPDATE.name, _change(field_id, changes))

    async def delete(self, field: int | CustomField, *, with_values: bool = False) -> None:
        """Delete a custom field and all its values.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            field: the field or its id.
            with_values: True confirms that its values on all agents, clients or sites may be lost.

        Raises:
            InvalidRequestError: `with_values` was not given; nothing was deleted.
            NotFoundError: there is no such field.
        """
        field_id = arguments.object_id(field, "field")
        refuse_loss(f"custom_fields.delete: field {field_id}", with_values=with_values)
        await self._send(DELETE, field_id)


_BY_TYPE: Final = frozenset({"default", "options"})


@plan
def _change(field_id: int, changes: CustomFieldChanges) -> Steps[None]:
    """Change a field whose type has to be read first."""
    known = yield from GET.call(field_id)
    yield from UPDATE.call(field_id, body=_changed(changes, known))


def _changed(changes: CustomFieldChanges, known: CustomField | None) -> dict[str, Any]:
    """The body of a change. Values that depend on the type are checked if the field is known."""
    of = known.type if known else None
    options = _options(changes.get("options", known.options if known else ()), of)
    checks: dict[str, arguments.Check] = {
        "name": arguments.name,
        "options": lambda values, _: _options(values, of),
        "required": arguments.boolean,
        "default": lambda value, _: _NO_DEFAULT if value is None else _default(value, of, options),
        "hide_in_ui": arguments.boolean,
        "hide_in_summary": arguments.boolean,
    }
    body = arguments.settings(changes, checks, UPDATE.name)
    body |= body.pop("default", {})
    return body


def _options(values: object, of: str | None) -> tuple[str, ...]:
    options = arguments.names(values, "options")
    if options and of not in {None, "single", "multiple"}:
        raise InvalidRequestError(f'options are for the types "single" and "multiple", not for {of!r}')
    return options


def reads_as_number(value: object) -> bool:
    """Tell whether a text or a number is a finite number."""
    try:
        return not isinstance(value, bool) and isfinite(float(cast("Any", value)))
    except (TypeError, ValueError, OverflowError):
        return False


def reads_as_time(value: object) -> bool:
    """Tell whether a text is a time in the form of ISO 8601, with or without a zone."""
    try:
        datetime.fromisoformat(cast("Any", value))
    except (TypeError, ValueError):
        return False
    return True


_NO_DEFAULT: Final[Mapping[str, object]] = {
    "default_value_string": None,
    "default_value_bool": False,
    "default_values_multiple": (),
}
"""The server has three columns for defaults, and uses the one that belongs to the type."""


def _default(value: object, of: str | None, options: Iterable[str]) -> dict[str, Any]:
    """A default under the server's key for its kind. If the type is known, the default must fit it.

    The server would accept any text for a number, a time or an option.
    """
    default = arguments.field_value(value, "default")
    kinds: dict[str, type] = {"checkbox": bool, "multiple": tuple}
    if of is not None and not isinstance(default, kinds.get(of, str)):
        raise InvalidRequestError(
            f"default must fit the type {of!r}: True or False, texts, or one; not {value!r}"
        )
    chosen = default if isinstance(default, tuple) else (default,)
    if of in {"single", "multiple"} and not set(chosen) <= set(options):
        raise InvalidRequestError(f"default must be among the options {', '.join(options)}; not {value!r}")
    if (of == "number" and not reads_as_number(default)) or (of == "datetime" and not reads_as_time(default)):
        raise InvalidRequestError(f"default must fit the type {of!r}; not {value!r}")
    if isinstance(default, bool):
        return {"default_value_bool": default}
    return {"default_value_string" if isinstance(default, str) else "default_values_multiple": default}
