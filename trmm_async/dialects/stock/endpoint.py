"""A call of a stock server as a value, declared once, beside the method that sends it.

    GET = read("policies.get", "/automation/policies/{policy:id}/", Policy)

The declaration is used for the call, for the name in `UnsupportedError`, and for the table of covered calls.
A placeholder in the path is `{name:kind}`: errors call the argument `name`, and `kind` is how it is checked:
`id` (a number, or an object that has one), `agent` (an id or an `Agent`), `text` (one segment of a path).

Over `explanations`. A method that needs several calls is a function over endpoints, under `@plan`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final, Generic, TypeAlias, TypedDict, TypeVar, Unpack, cast, get_args, get_origin

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import Call, ErrorHint, Lane, Replay, ignore_answer
from trmm_async.dialects.stock.agent_answers import NO_NATS_API, of_an_agent
from trmm_async.dialects.stock.explanations import SHORT_ID, Needs, is_page, segment, sentence, worded
from trmm_async.errors import ServerError
from trmm_async.hidden import HiddenBytes
from trmm_async.models import Extra

__all__ = [
    "EVERY",
    "OrEmpty",
    "Endpoint",
    "Sent",
    "act",
    "as_declared",
    "delete",
    "put",
    "read",
    "read_as",
    "reader",
    "send",
]

T = TypeVar("T")

EVERY: Final[dict[str, list["Endpoint[Any]"]]] = {}
"""All declared endpoints, by the name of the method that sends them."""

_PLACE: Final = re.compile(r"\{(\w+):(id|agent|text)\}")
_CHECKS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "id": arguments.object_id,
    "agent": lambda value, _: segment(arguments.agent_id(value)),
    "text": lambda value, name: segment(arguments.path_segment(value, name)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[T]):
    """One call of a stock server: its path, how its answer reads, and whether it may be sent twice.

    Attributes:
        name: the method that sends it, as users write it after `trmm.`.
        path: from the server's root, with placeholders.
        needs: keys that must be in the body; without them, the server answers 500. See `Needs`.
        waits: seconds for which the server may wait, holding a worker; None if it answers at once.
        asks: the same, if it asks an agent over its message bus meanwhile.
        advice: what a 500 may mean then.
        lacking: what a 400 with a sentence may mean: a part that the server lacks.
        takes: seconds that the server may need to answer, if it doesn't wait for anything.
        lanes: further limits that count the call.
        secret: the body or the answer contains secrets.
        since: the first version of the server that has it; "" for all versions that we know.
    """

    name: str
    method: str
    path: str
    decode: Callable[[bytes], T]
    replay: Replay
    needs: Needs = ()
    waits: float | None = None
    asks: float | None = None
    advice: str = NO_NATS_API
    lacking: str = ""
    takes: float | None = None
    lanes: tuple[Lane, ...] = ()
    secret: bool = False
    since: str = ""

    def __post_init__(self) -> None:
        EVERY.setdefault(self.name, []).append(self)

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the placeholders in the path, in their order."""
        return tuple(name for name, _ in _PLACE.findall(self.path))

    def call(
        self,
        *places: object,
        body: object = None,
        query: Mapping[str, object] | None = None,
        waits: float | None = None,
    ) -> Call[T]:
        """Make the call.

        Args:
            places: the values of the placeholders, in the order of the path.
            body: what is sent as JSON; None for no body.
            query: values that are None are left out.
            waits: seconds, if they differ from those of the declaration.

        Raises:
            InvalidRequestError: a placeholder's value is wrong.
        """
        given = iter(places)
        call = Call(
            method=self.method,
            path=_PLACE.sub(lambda place: str(_CHECKS[place[2]](next(given), place[1])), self.path),
            decode=self.decode,
            query={name: str(value) for name, value in (query or {}).items() if value is not None},
            body=None if body is None else self._encoded(body),
            replay=self.replay,
            lanes=self.lanes,
            answers_within=self.takes,
            gone_is_done=self.method == "DELETE" and self.replay is Replay.IDEMPOTENT,
            is_secret=self.secret,
        )
        call = worded(call, bodies=lambda: (self.needs,), waits=waits or self.asks or self.waits)
        call = call if self.asks is None else of_an_agent(call, self.advice)
        if self.lacking:
            call = msgspec.structs.replace(call, explain=partial(_explain_lack, self.lacking, call))
        if not self.since:
            return call
        return msgspec.structs.replace(call, explain=partial(_explain_age, self, call))

    def _encoded(self, body: object) -> bytes:
        return HiddenBytes(codec.encode(body)) if self.secret else codec.encode(body)


def _explain_lack(lacking: str, call: Call[Any], status: int, body: bytes) -> ErrorHint:
    """A 400 with a sentence doesn't refuse the request: a part of the server has failed."""
    if status == 400 and sentence(body):
        return ErrorHint(advice=lacking, kind=ServerError)
    return call.explain(status, body)


def _explain_age(endpoint: Endpoint[Any], call: Call[Any], status: int, body: bytes) -> ErrorHint:
    """A 404 with a page of HTML means that the server has no such path: it is too old."""
    if status == 404 and is_page(body) and not SHORT_ID.match(call.path):
        return ErrorHint(unsupported=too_old(endpoint.name, endpoint.since))
    return call.explain(status, body)


def too_old(name: str, since: str) -> str:
    """What to say if a server is too old for a method."""
    return f"{name} needs Tactical RMM {since} or newer, and this server has no such call"


class Facts(TypedDict, total=False):
    """The further facts of a declaration; see `Endpoint`. `needs` are keys, separated by blanks."""

    needs: str
    waits: float
    asks: float
    advice: str
    lacking: str
    takes: float
    lanes: tuple[Lane, ...]
    secret: bool
    since: str


@dataclass(frozen=True, slots=True)
class Sent:
    """How the server sends a field of ours, if more than its name differs.

    Attributes:
        name: the server's name; "" for ours.
        kind: the type that the server sends; None for ours.
        fit: makes our value of the one that was sent, or of the default.
    """

    name: str = ""
    kind: Any = None
    fit: Callable[[Any], object] | None = None


Wire: TypeAlias = Mapping[str, str | Sent]
"""By our fields: the server's name, or `Sent`. Fields that are sent as we have them are left out."""


def read(
    name: str,
    path: str,
    answer: type[T],
    *,
    method: str = "GET",
    wire: Wire | None = None,
    rest: Collection[str] | None = None,
    decode: Callable[[bytes], T] | None = None,
    **facts: Unpack[Facts],
) -> Endpoint[T]:
    """Declare a call that only reads.

    Args:
        name: see `Endpoint`.
        path: see `Endpoint`.
        answer: a Struct, or a list of Structs. Agents may send null for an empty list.
        method: a few calls that only read are a PATCH or a POST.
        wire: see `Wire`.
        rest: collect everything else that is sent in the Struct's `extra`, except these names.
        decode: reads an answer that is more than this.
        facts: see `Endpoint`.
    """
    decode = decode or reader(answer, wire, null="asks" in facts, rest=rest)
    return Endpoint(name=name, method=method, path=path, decode=decode, replay=Replay.SAFE, **_told(facts))


def send(name: str, path: str, *, method: str = "POST", **facts: Unpack[Facts]) -> Endpoint[None]:
    """Declare a call that must not be sent twice, since its effect would happen twice."""
    return Endpoint(
        name=name, method=method, path=path, decode=ignore_answer, replay=Replay.NEVER, **_told(facts)
    )


def put(name: str, path: str, *, method: str = "PUT", **facts: Unpack[Facts]) -> Endpoint[None]:
    """Declare a call that changes something, and may be sent again: twice has the same effect as once."""
    return Endpoint(
        name=name, method=method, path=path, decode=ignore_answer, replay=Replay.IDEMPOTENT, **_told(facts)
    )


def delete(name: str, path: str, **facts: Unpack[Facts]) -> Endpoint[None]:
    """Declare a call that removes something. If an answer was lost and it is gone, that counts as success."""
    return put(name, path, method="DELETE", **facts)


def act(
    name: str,
    path: str,
    *,
    decode: Callable[[bytes], T],
    replay: Replay = Replay.NEVER,
    **facts: Unpack[Facts],
) -> Endpoint[T]:
    """Declare a call that changes something and has an answer."""
    return Endpoint(name=name, method="POST", path=path, decode=decode, replay=replay, **_told(facts))


def as_declared(call: Call[T]) -> Call[T]:
    """A call that the user made, with what the server's refusals mean to the endpoints with its path.

    Two GETs of the server have effects. They are never sent twice, like those that we declare.
    """

    def bodies() -> list[Needs]:
        return [one.needs for one in _declared(call.method, call.path) if one.needs]

    acts = call.method == "GET" and any(
        one.method == "GET" and one.replay is Replay.NEVER and one.path == call.path
        for one in chain.from_iterable(EVERY.values())
    )
    return worded(msgspec.structs.replace(call, replay=Replay.NEVER) if acts else call, bodies=bodies)


def _declared(method: str, path: str) -> Iterator[Endpoint[Any]]:
    for endpoint in chain.from_iterable(EVERY.values()):
        pattern = _PLACE.sub(lambda place: "[0-9]+" if place[2] == "id" else "[^/]+", endpoint.path)
        if endpoint.method == method and re.fullmatch(pattern, path):
            yield endpoint


def read_as(call: Call[Any], decode: Callable[[bytes], T]) -> Call[T]:
    """The call with another decoder."""
    return cast("Call[T]", msgspec.structs.replace(call, decode=decode))


def _told(facts: Facts) -> dict[str, Any]:
    return {**facts, "needs": tuple(facts.get("needs", "").split())}


def reader(
    answer: type[T],
    wire: Wire | None = None,
    *,
    null: bool = False,
    rest: Collection[str] | None = None,
) -> Callable[[bytes], T]:
    """A decoder of a Struct, or of a list of Structs, of which some fields are sent in another way than ours.

    `null`: null means an empty list. The Struct itself has no `rename=`, since users who encode it would get
    the server's names.
    """
    decode = codec.decoder(answer) if wire is None else _from_wire(answer, wire, rest)
    return OrEmpty(decode, b"null") if null and get_origin(answer) is list else decode


class OrEmpty(Generic[T]):
    """Reads a list, for which something else is sent if it is empty."""

    def __init__(self, decode: Callable[[bytes], T], empty: bytes) -> None:
        self._decode = decode
        self._empty = empty
        # It is a decoder of `codec` for lists.
        self._list = cast("Any", decode)
        self.rows: Any = self._list.rows

    def __call__(self, body: bytes) -> T:
        return cast("T", []) if body.strip() == self._empty else self._decode(body)

    def at_once(self, body: bytes) -> T:
        """The same for a part of another answer; see `Decoder.at_once`."""
        return cast("T", [] if body.strip() == self._empty else self._list.at_once(body))


def _from_wire(answer: type[T], wire: Wire, rest: Collection[str] | None) -> Callable[[bytes], T]:
    is_list = get_origin(answer) is list
    kind: Any = get_args(answer)[0] if is_list else answer
    by_name = {name: Sent(one) if isinstance(one, str) else one for name, one in wire.items()}
    fields = [_field(field, by_name.get(field.name, Sent())) for field in msgspec.structs.fields(kind)]
    sent = msgspec.defstruct(f"_{kind.__name__}", fields, gc=False)
    fits = {name: one.fit for name, one in by_name.items() if one.fit is not None}

    def ours(one: Any) -> Any:
        values = {name: getattr(one, name) for name in one.__struct_fields__}
        return kind(**values | {name: fit(values[name]) for name, fit in fits.items()})

    if is_list:
        return cast("Callable[[bytes], T]", codec.listed(sent, ours))
    single: Callable[[bytes], Any] = codec.decoder(sent)
    if rest is None:
        return lambda body: cast("T", ours(single(body)))
    known = {field.encode_name for field in msgspec.structs.fields(sent)}.union(rest)

    def with_rest(body: bytes) -> T:
        everything = codec.decoder(dict[str, Any])(body)
        found = ours(single(body))
        extra = {name: value for name, value in everything.items() if name not in known}
        return cast("T", msgspec.structs.replace(found, extra=Extra({**extra, **found.extra})))

    return with_rest


def _field(field: msgspec.structs.FieldInfo, sent: Sent) -> tuple[str, Any, Any]:
    settings: dict[str, Any] = {"name": sent.name or field.encode_name}
    if field.default is not msgspec.NODEFAULT:
        settings["default"] = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        settings["default_factory"] = field.default_factory
    return field.name, field.type if sent.kind is None else sent.kind, msgspec.field(**settings)
