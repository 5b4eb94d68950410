"""A call that only a stock server has, as a value: declared once, beside the method that sends it.

    GET = read("policies.get", "/automation/policies/{policy:id}/", Policy)

From the declaration come the call, the name in `UnsupportedError`, and the table of what is covered. A place
in a path is `{name:kind}`: `name` is what an error calls it, `kind` how it is checked: `id` (a number, or the
object that has it), `agent` (an id or an `Agent`), `text` (one segment).

Floor 3, over `wording`. What takes several calls, or wraps its body, is a function over endpoints.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack, cast, get_args, get_origin

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import Call, Replay, ignore_answer
from trmm_async.dialects.stock.wording import segment, worded

__all__ = ["EVERY", "Endpoint", "act", "delete", "put", "read", "send"]

T = TypeVar("T")

EVERY: Final[dict[str, list["Endpoint[Any]"]]] = {}
"""All endpoints that are declared, by the name of the method that sends them."""

_PLACE: Final = re.compile(r"\{(\w+):(id|agent|text)\}")
_CHECKS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "id": arguments.object_id,
    "agent": lambda value, _: segment(arguments.agent_id(value)),
    "text": lambda value, name: segment(arguments.path_segment(value, name)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[T]):
    """One path of a stock server: how it is asked, how its answer reads, what a second sending would mean.

    Attributes:
        name: of the method that sends it, as users write it behind `trmm.`.
        path: from the server's root, with its places.
        needs: keys that the server wants in a body; without one it answers 500.
        waits: seconds that the server itself may wait for an agent, holding a worker; None if it does not.
        secret: the answer holds secrets of the user's.
        since: the first version of the server that has it; "" for all that we know.
    """

    name: str
    method: str
    path: str
    decode: Callable[[bytes], T]
    replay: Replay
    needs: tuple[str, ...] = ()
    waits: float | None = None
    secret: bool = False
    since: str = ""

    def __post_init__(self) -> None:
        EVERY.setdefault(self.name, []).append(self)

    def call(
        self, *places: object, body: object = None, query: Mapping[str, object] | None = None
    ) -> Call[T]:
        """The call for these places, in the order of the path; what is None in `query` is left out.

        Raises:
            InvalidRequestError: a place is not what it should be.
        """
        given = iter(places)
        call = Call(
            method=self.method,
            path=_PLACE.sub(lambda place: str(_CHECKS[place[2]](next(given), place[1])), self.path),
            decode=self.decode,
            query={name: str(value) for name, value in (query or {}).items() if value is not None},
            body=None if body is None else codec.encode(body),
            replay=self.replay,
            gone_is_done=self.method == "DELETE",
            is_secret=self.secret,
        )
        return worded(call, waits=self.waits, needs=self.needs)


class Facts(TypedDict, total=False):
    """What a declaration may say besides; see `Endpoint`. `needs` are the keys with blanks between them."""

    needs: str
    waits: float
    secret: bool
    since: str


def read(
    name: str,
    path: str,
    answer: type[T],
    *,
    method: str = "GET",
    wire: Mapping[str, str] | None = None,
    decode: Callable[[bytes], T] | None = None,
    **facts: Unpack[Facts],
) -> Endpoint[T]:
    """What only reads. `answer` is a type that msgspec knows.

    `wire` has the server's names for fields of ours; `decode` reads what is more than a Struct, or a list of
    them.
    """
    reader = decode or (codec.decoder(answer) if wire is None else _renamed(answer, wire))
    return Endpoint(name=name, method=method, path=path, decode=reader, replay=Replay.SAFE, **_told(facts))


def send(name: str, path: str, *, method: str = "POST", **facts: Unpack[Facts]) -> Endpoint[None]:
    """What happens again if it is sent again, and so is sent once."""
    return Endpoint(
        name=name, method=method, path=path, decode=ignore_answer, replay=Replay.NEVER, **_told(facts)
    )


def put(name: str, path: str, *, method: str = "PUT", **facts: Unpack[Facts]) -> Endpoint[None]:
    """What changes something, and may be sent again: twice is the same as once."""
    return Endpoint(
        name=name, method=method, path=path, decode=ignore_answer, replay=Replay.IDEMPOTENT, **_told(facts)
    )


def delete(name: str, path: str, **facts: Unpack[Facts]) -> Endpoint[None]:
    """What removes something; gone already, after a lost answer, counts as done."""
    return put(name, path, method="DELETE", **facts)


def act(
    name: str, path: str, answer: type[T], *, method: str = "POST", **facts: Unpack[Facts]
) -> Endpoint[T]:
    """What is sent once, for the sake of its answer."""
    reader = codec.decoder(answer)
    return Endpoint(name=name, method=method, path=path, decode=reader, replay=Replay.NEVER, **_told(facts))


def _told(facts: Facts) -> dict[str, Any]:
    return {**facts, "needs": tuple(facts.get("needs", "").split())}


def _renamed(answer: type[T], wire: Mapping[str, str]) -> Callable[[bytes], T]:
    """A decoder for a Struct (or a list of one) that is sent under other names for some of its fields.

    Not by `rename=` on the Struct itself: users who encode it would get the server's names.
    """
    is_list = get_origin(answer) is list
    kind: Any = get_args(answer)[0] if is_list else answer
    sent = msgspec.defstruct(
        f"_{kind.__name__}", [_field(field, wire) for field in msgspec.structs.fields(kind)], gc=False
    )
    if is_list:
        many = codec.decoder(list[sent])  # type: ignore[valid-type]
        return cast("Callable[[bytes], T]", lambda body: [_ours(kind, one) for one in many(body)])
    one: Callable[[bytes], Any] = codec.decoder(sent)
    return lambda body: _ours(kind, one(body))


def _field(field: msgspec.structs.FieldInfo, wire: Mapping[str, str]) -> tuple[str, Any, Any]:
    settings: dict[str, Any] = {"name": wire.get(field.name, field.encode_name)}
    if field.default is not msgspec.NODEFAULT:
        settings["default"] = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        settings["default_factory"] = field.default_factory
    return field.name, field.type, msgspec.field(**settings)


def _ours(kind: Callable[..., T], sent: Any) -> T:
    return kind(**{name: getattr(sent, name) for name in sent.__struct_fields__})
