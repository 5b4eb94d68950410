"""`trmm.custom_fields`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from trmm_async import arguments, codec
from trmm_async.dialects.stock.endpoint import delete, put, read, send
from trmm_async.errors import InvalidRequestError
from trmm_async.models import no_extra
from trmm_async.resources.resource import Resource

__all__ = ["CustomField", "CustomFields"]

Model = Literal["agent", "client", "site"]
FieldType = Literal["text", "number", "single", "multiple", "checkbox", "datetime"]

_MODELS: Final = ("agent", "client", "site")
_TYPES: Final = ("text", "number", "single", "multiple", "checkbox", "datetime")


class CustomField(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A custom field's definition, not a value of it.

    `model` is "agent", "client" or "site"; `type` "text", "number", "single", "multiple", "checkbox" or
    "datetime".
    `default` is True or False for a checkbox, a tuple of texts for "multiple", else a text or None.
    """

    id: int
    name: str = ""
    model: str = ""
    type: str = ""
    options: tuple[str, ...] = ()
    required: bool = False
    default: str | bool | tuple[str, ...] | None = None
    extra: Mapping[str, Any] = no_extra()
    hide_in_ui: bool = False
    hide_in_summary: bool = False


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


def _custom_fields(body: bytes) -> list[CustomField]:
    return [_custom_field(one) for one in codec.decoder(list[_Field])(body)]


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

LIST = read("custom_fields.list", "/core/customfields/", list[CustomField], decode=_custom_fields)
CREATE = send("custom_fields.create", "/core/customfields/")
UPDATE = put("custom_fields.update", _ONE)
DELETE = delete("custom_fields.delete", _ONE)


class CustomFields(Resource):
    """The definitions of custom fields of a stock server. Every method raises `TRMMError`s only.

    On a gateway they are an `UnsupportedError`. Values stand on what has them: `agent.custom_fields`.
    """

    async def list(self, *, model: Model | None = None) -> list[CustomField]:
        """All custom fields, or those of agents, clients or sites."""
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
            name: its name, once for each model.
            model: what has such a field.
            type: what its values are.
            options: the values to choose from, of "single" and "multiple".
            required: whether the dashboard insists on a value.
            default: its value where none is set: True or False of a checkbox, several texts of "multiple",
                else a text or a number.

        Raises:
            OutcomeUnknownError: sent, and the answer was lost: it may exist.
            UnidentifiedError: it was created, and can't be told from others.
        """
        name = arguments.plain_text(name, "name").strip()
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
            body |= _default(default, type)
        return await self._create(
            CREATE, LIST, body=body, query={"model": model}, is_it=lambda field: field.name == name
        )

    async def update(
        self,
        field: int | CustomField,
        *,
        name: str | None = None,
        options: Iterable[str] | None = None,
        required: bool | None = None,
        default: str | float | bool | Iterable[str] | None = None,
        hide_in_ui: bool | None = None,
        hide_in_summary: bool | None = None,
    ) -> None:
        """Change what is given of a custom field. Repeated by us if an answer is lost: twice is once.

        Of a field given by its id the type is not known here: it is for you to give a fitting `default`.

        Raises:
            NotFoundError: there is no such field.
        """
        known = field.type if isinstance(field, CustomField) else None
        changes = arguments.changes(
            {
                "name": None if name is None else arguments.plain_text(name, "name").strip(),
                "options": None if options is None else _options(options, known),
                "required": None if required is None else arguments.boolean(required, "required"),
                "hide_in_ui": None if hide_in_ui is None else arguments.boolean(hide_in_ui, "hide_in_ui"),
                "hide_in_summary": None
                if hide_in_summary is None
                else arguments.boolean(hide_in_summary, "hide_in_summary"),
                "default": None if default is None else _default(default, known),
            }
        )
        by_kind: Any = changes.pop("default", {})
        await self._send(UPDATE, field, body=changes | by_kind)

    async def delete(self, field: int | CustomField) -> None:
        """Remove a custom field and all its values. Gone already, after a lost answer, counts as success.

        Raises:
            NotFoundError: there is no such field.
        """
        await self._send(DELETE, field)


def _options(values: object, of: str | None) -> tuple[str, ...]:
    options = arguments.names(values, "options")
    if options and of not in {None, "single", "multiple"}:
        raise InvalidRequestError(f'options are for the types "single" and "multiple", not for {of!r}')
    return options


def _default(value: object, of: str | None) -> dict[str, Any]:
    """A default that fits the type, where that is known: the server keeps each kind under its own key."""
    default = arguments.field_value(value, "default")
    kinds: dict[str, type] = {"checkbox": bool, "multiple": tuple}
    if of is not None and not isinstance(default, kinds.get(of, str)):
        raise InvalidRequestError(
            f"default must fit the type {of!r}: True or False, texts, or one; not {value!r}"
        )
    if isinstance(default, bool):
        return {"default_value_bool": default}
    return {"default_value_string" if isinstance(default, str) else "default_values_multiple": default}
