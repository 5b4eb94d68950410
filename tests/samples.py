"""Values of any public type, made by the types of its fields."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from msgspec import inspect

from trmm_async import (
    ConnectionFailedError,
    Done,
    Ended,
    Failed,
    RegistryKey,
    RegistryValue,
    ScriptResult,
    Unknown,
)
from trmm_async.models import Extra

ERROR = ConnectionFailedError("refused", method="GET", path="/x/")


def sample(info: inspect.Type) -> Any:  # noqa: C901, PLR0911
    """A value of a type that is none of its defaults."""
    match info:
        case inspect.StructType(cls=cls):
            return made(cls)
        case inspect.DataclassType(cls=cls):
            return cls()
        case inspect.UnionType(types=types):
            return sample(next(one for one in types if not isinstance(one, inspect.NoneType)))
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return (sample(item), sample(item))
        case inspect.DateType():
            return date(2026, 11, 27)
        case inspect.TimeType():
            return time(3, 30)
        case inspect.TimeDeltaType():
            return timedelta(minutes=30)
        case inspect.DateTimeType():
            return datetime(2026, 11, 27, 12, 30, 0, 250_000, UTC)
        case inspect.DictType(value_type=item) if not isinstance(item, inspect.AnyType):
            return {"name": sample(item)}
        case inspect.DictType():
            return Extra({"more": (1, {"x": None})})
        case inspect.LiteralType(values=values):
            return values[-1]
        case inspect.AnyType():
            return "any"
    simple = {"StrType": "text", "IntType": 7, "FloatType": 1.5, "BoolType": True, "BytesType": b"\0\xff"}
    return simple[type(info).__name__]


def made(kind: Any) -> Any:
    """One with a value in every field."""
    if kind in {Failed, Unknown}:
        return kind("abc", ERROR)
    if kind is Ended:
        return Ended(agent_id="abc", error=ERROR)
    if kind is Done:
        return Done("abc", made(ScriptResult))
    if kind is RegistryValue:
        return RegistryValue(name="x", type="REG_BINARY", data=b"\0\xff", extra=Extra({"more": 1}))
    if kind is RegistryKey:
        return RegistryKey(path="HKLM", subkeys=("a",), values=(made(RegistryValue),), page=2)
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return kind(**{field.name: sample(field.type) for field in info.fields})
