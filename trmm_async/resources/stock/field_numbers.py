"""Values of number fields as numbers: a stock server stores them as text, and sends no type with a value.

The definitions of custom fields are read only if a value looks like a number, once for an answer.
"""

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final, TypeVar

import msgspec

from trmm_async.dialects.stock.endpoint import read
from trmm_async.errors import PermissionDeniedError, UnsupportedError
from trmm_async.models import Agent, Client, CustomFieldValue, Site
from trmm_async.resources.api import Api

__all__ = ["with_numbers"]

Holder = TypeVar("Holder", Agent, Client, Site)

_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


class _Defined(msgspec.Struct):
    id: int
    type: str = ""


FIELDS: Final = read("custom_fields.list", "/core/customfields/", list[_Defined])


async def with_numbers(api: Api, found: Sequence[Holder]) -> list[Holder]:
    """The same objects, with numbers as the values of number fields.

    Values remain texts if the key may not read the definitions.

    Raises:
        TRMMError: the definitions could not be read.
    """
    if not any(_is_number(one.value) for holder in found for one in _values(holder)):
        return list(found)
    try:
        fields = await api.on_stock(FIELDS.name, FIELDS.call())
    except (PermissionDeniedError, UnsupportedError):
        return list(found)
    numbers = frozenset(field.id for field in fields if field.type == "number")
    return [_read(holder, numbers) for holder in found]


def _values(holder: Agent | Client | Site) -> Sequence[CustomFieldValue]:
    if not isinstance(holder, Client):
        return holder.custom_fields
    return [*holder.custom_fields, *(one for site in holder.sites for one in site.custom_fields)]


def _is_number(value: object) -> bool:
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None


def _read(holder: Holder, numbers: frozenset[int]) -> Holder:
    changed: dict[str, Any] = {}
    if holder.custom_fields:
        changed["custom_fields"] = tuple(_number(one, numbers) for one in holder.custom_fields)
    if isinstance(holder, Client):
        changed["sites"] = tuple(_read(site, numbers) for site in holder.sites)
    return msgspec.structs.replace(holder, **changed) if changed else holder


def _number(one: CustomFieldValue, numbers: frozenset[int]) -> CustomFieldValue:
    if one.field not in numbers or not _is_number(one.value):
        return one
    text = one.value.strip()
    number = float(text)
    value = int(text) if text.lstrip("+-").isdecimal() else number
    return CustomFieldValue(field=one.field, value=value) if isfinite(number) else one
