"""Elements for tests of decoding, and arrays of them, whole and in pieces."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from trmm_async.codec import array_decoder
from trmm_async.json_arrays import ArrayDecoder
from trmm_async.models import Moment


class Ref(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    id: int
    name: str = ""


class Disk(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    device: str = ""
    percent: float = 0


class Agent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    agent_id: str
    hostname: str = "unnamed"
    client: Ref | None = None
    last_seen: Moment | None = None
    disks: tuple[Disk, ...] = ()
    detail: Any = None
    labels: dict[str, int | None] = {}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Nested in itself, so that what separates elements also stands inside them; `pair` errs on a bad cut."""

    id: int = 0
    name: str = ""
    nodes: tuple["Node", ...] = ()
    pair: tuple[int, int] | None = None


def an_agent(number: int, disks: int = 1) -> bytes:
    return (
        b'{"agent_id":"%08d","hostname":"JADE \\"%d\\"","client":{"id":%d,"name":"Hermes, [Inc.]"},'
        b'"last_seen":"2026-04-21T10:32:15Z","disks":[%b]}'
    ) % (number, number, number % 7, b",".join([b'{"device":"C:","percent":75}'] * disks))


def array_of(elements: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(elements) + b"]"


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def batches(array: ArrayDecoder[Any], chunks: Iterable[bytes]) -> Iterator[list[Any]]:
    for chunk in chunks:
        yield from array.feed(chunk)
    yield array.finish()


def streamed(kind: Any, chunks: Iterable[bytes], batch: int = 1) -> list[Any]:
    return [item for items in batches(array_decoder(kind, batch=batch), chunks) for item in items]
