"""The settings of one agent, its custom fields among them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Plan, Replay, Request, Steps, ask
from trmm_async.dialects.stock.wording import change, get, segment
from trmm_async.errors import InvalidRequestError

__all__ = ["update_agent"]


class _Field(msgspec.Struct):
    """A custom field: what kind of thing has it, and what values it takes."""

    id: int
    name: str = ""
    model: str = "agent"
    type: str = "text"
    options: tuple[str, ...] = ()


def update_agent(
    agent_id: str, changes: Mapping[str, object], custom_fields: Mapping[int, Any]
) -> Request[None]:
    """A change of settings; custom fields are looked up first: their type says under which key a value goes.

    All in one call, which the server carries out in parts: the settings are saved before the custom fields.
    """
    if not custom_fields:
        return _put(agent_id, changes)
    return Plan(partial(_update, agent_id, changes, custom_fields))


def _update(agent_id: str, changes: Mapping[str, object], custom_fields: Mapping[int, Any]) -> Steps[None]:
    listed = yield from ask(get("/core/customfields/", codec.decoder(list[_Field])))
    known = {field.id: field for field in listed if field.model == "agent"}
    values = [_custom_field(known.get(number), number, value) for number, value in custom_fields.items()]
    yield from ask(_put(agent_id, {**changes, "custom_fields": values}))


def _put(agent_id: str, body: Mapping[str, object]) -> Call[None]:
    return change("PUT", f"/agents/{segment(agent_id)}/", body, replay=Replay.IDEMPOTENT)


def _custom_field(field: _Field | None, number: int, value: Any) -> Mapping[str, object]:
    if field is None:
        raise InvalidRequestError(f"custom_fields: agents have no custom field with the id {number}")
    key, fit = _FITTING.get(field.type, ("string_value", _text))
    return {"field": number, key: fit(field, value)}


def _wrong(field: _Field, wanted: str, value: object) -> InvalidRequestError:
    return InvalidRequestError(f"custom_fields: {field.name!r} ({field.id}) takes {wanted}, not {value!r}")


def _text(field: _Field, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _wrong(field, "a text", value)
    return value


def _number(field: _Field, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        raise _wrong(field, "a number", value)
    try:
        float(value)
    except (TypeError, ValueError):
        raise _wrong(field, "a number", value) from None
    return str(value)


def _moment(field: _Field, value: object) -> str | None:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise _wrong(field, "a datetime that says its time zone", value)
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _text(field, value)


def _option(field: _Field, value: object) -> str | None:
    if value is not None and value not in field.options:
        raise _wrong(field, f"one of {', '.join(field.options)}", value)
    return _text(field, value)


def _options(field: _Field, value: object) -> list[str]:
    chosen = () if value is None else value
    if isinstance(chosen, str) or not isinstance(chosen, Sequence | set | frozenset):
        raise _wrong(field, "a list of texts", value)
    if not set(chosen) <= set(field.options):
        raise _wrong(field, f"some of {', '.join(field.options)}", value)
    return sorted(chosen) if isinstance(chosen, set | frozenset) else list(chosen)


def _flag(field: _Field, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(field, "True or False", value)
    return value


_FITTING: Final[Mapping[str, tuple[str, Callable[[_Field, Any], object]]]] = {
    "text": ("string_value", _text),
    "number": ("string_value", _number),
    "datetime": ("string_value", _moment),
    "single": ("string_value", _option),
    "multiple": ("multiple_value", _options),
    "checkbox": ("bool_value", _flag),
}
