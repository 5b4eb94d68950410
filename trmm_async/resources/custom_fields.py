"""`trmm.custom_fields`."""

from collections.abc import Iterable
from typing import Final, Literal

from trmm_async import arguments
from trmm_async.administration import CustomField
from trmm_async.dialects.library import CustomFieldOrder, FieldValue
from trmm_async.errors import InvalidRequestError
from trmm_async.resources.api import Api

__all__ = ["CustomFields"]

Model = Literal["agent", "client", "site"]
FieldType = Literal["text", "number", "single", "multiple", "checkbox", "datetime"]

_MODELS: Final = ("agent", "client", "site")
_TYPES: Final = ("text", "number", "single", "multiple", "checkbox", "datetime")


class CustomFields:
    """The definitions of custom fields of a stock server. Every method raises `TRMMError`s only.

    On a gateway they are an `UnsupportedError`. Values stand on what has them: `agent.custom_fields`.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self, *, model: Model | None = None) -> list[CustomField]:
        """All custom fields, or those of agents, clients or sites."""
        which = None if model is None else arguments.choice(model, "model", _MODELS)
        return await self._api.send(
            lambda dialect: dialect.beyond("custom_fields.list").list_custom_fields(which)
        )

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
        order = CustomFieldOrder(
            name=arguments.plain_text(name, "name").strip(),
            model=arguments.choice(model, "model", _MODELS),
            type=arguments.choice(type, "type", _TYPES),
            options=_options(options, type),
            required=arguments.flag(required, "required"),
            default=None if default is None else _default(default, type),
        )
        return await self._api.send(
            lambda dialect: dialect.beyond("custom_fields.create").create_custom_field(order)
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
        field_id = arguments.object_id(field, "field")
        known = field.type if isinstance(field, CustomField) else None
        changes = arguments.changes(
            {
                "name": None if name is None else arguments.plain_text(name, "name").strip(),
                "options": None if options is None else _options(options, known),
                "required": None if required is None else arguments.flag(required, "required"),
                "default": None if default is None else _default(default, known),
                "hide_in_ui": None if hide_in_ui is None else arguments.flag(hide_in_ui, "hide_in_ui"),
                "hide_in_summary": None
                if hide_in_summary is None
                else arguments.flag(hide_in_summary, "hide_in_summary"),
            }
        )
        await self._api.send(
            lambda dialect: dialect.beyond("custom_fields.update").update_custom_field(field_id, changes)
        )

    async def delete(self, field: int | CustomField) -> None:
        """Remove a custom field and all its values. Gone already, after a lost answer, counts as success.

        Raises:
            NotFoundError: there is no such field.
        """
        field_id = arguments.object_id(field, "field")
        await self._api.send(
            lambda dialect: dialect.beyond("custom_fields.delete").delete_custom_field(field_id)
        )


def _options(values: object, of: str | None) -> tuple[str, ...]:
    options = arguments.names(values, "options")
    if options and of not in {None, "single", "multiple"}:
        raise InvalidRequestError(f'options are for the types "single" and "multiple", not for {of!r}')
    return options


def _default(value: object, of: str | None) -> FieldValue:
    """A default that fits the type, where that is known: the server keeps each kind apart."""
    default = arguments.field_value(value, "default")
    kinds: dict[str, type] = {"checkbox": bool, "multiple": tuple}
    if of is not None and not isinstance(default, kinds.get(of, str)):
        raise InvalidRequestError(
            f"default must fit the type {of!r}: True or False, texts, or one; not {value!r}"
        )
    return default
