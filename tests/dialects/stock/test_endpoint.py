"""Endpoints of a stock server: what a declaration comes to."""

import json

import msgspec
import pytest

from trmm_async import AgentUnreachableError, InvalidRequestError
from trmm_async.calls import Call, ErrorHint, Lane, Replay
from trmm_async.dialects.stock.endpoint import EVERY, Endpoint, Sent, as_declared, delete, put, read, send
from trmm_async.models import Agent


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    description: str | None = None
    tags: tuple[str, ...] = ()


WIRE = {"description": "desc"}
ONE = "/core/things/{thing:id}/"


@pytest.fixture(autouse=True)
def forgets() -> object:
    known = set(EVERY)
    yield
    for name in set(EVERY) - known:
        del EVERY[name]


def test_a_read_is_a_call_that_may_be_repeated() -> None:
    call = read("things.get", ONE, Thing).call(7)
    assert (call.method, call.path, call.replay, call.body) == ("GET", "/core/things/7/", Replay.SAFE, None)
    assert call.decode(b'{"id": 7}') == Thing(id=7)


def test_an_object_stands_for_its_id_and_an_agent_for_its_own() -> None:
    assert read("things.get", ONE, Thing).call(Thing(id=8)).path == "/core/things/8/"
    one = read("agents.things", "/agents/{agent:agent}/things/{name:text}/", Thing)
    assert one.call(Agent(agent_id="a?b"), "x y").path == "/agents/a%3Fb/things/x%20y/"


@pytest.mark.parametrize("given", [-1, 2**63, True, "7", None, 1.5])
def test_a_place_that_does_not_fit_is_named(given: object) -> None:
    with pytest.raises(InvalidRequestError, match="thing"):
        read("things.get", ONE, Thing).call(given)


def test_what_is_sent_under_another_name_has_ours_for_users() -> None:
    one: Endpoint[Thing] = read("things.get", ONE, Thing, wire=WIRE)
    many: Endpoint[list[Thing]] = read("things.list", "/core/things/", list[Thing], wire=WIRE)
    sent = {"id": 1, "desc": "x", "tags": ["a"], "else": 2}
    thing = Thing(id=1, description="x", tags=("a",))
    assert one.decode(json.dumps(sent).encode()) == thing
    assert many.decode(json.dumps([sent]).encode()) == [thing]
    assert json.loads(msgspec.json.encode(thing)) == {"id": 1, "description": "x", "tags": ["a"]}
    with pytest.raises(msgspec.DecodeError, match="id"):
        one.decode(b"{}")


def test_what_a_second_sending_means_is_declared() -> None:
    assert send("things.create", "/core/things/").call(body={}).replay is Replay.NEVER
    assert put("things.update", ONE).call(1, body={}).replay is Replay.IDEMPOTENT
    gone = delete("things.delete", ONE).call(1)
    assert (gone.method, gone.replay, gone.gone_is_done) == ("DELETE", Replay.IDEMPOTENT, True)


def test_who_waits_for_an_agent_holds_a_worker() -> None:
    call = send("things.run", ONE, waits=15.0).call(1)
    assert (call.lanes, call.answers_within) == ((Lane.WORKERS,), 15.0)


def test_an_agent_that_is_asked_is_told_apart_from_a_server_that_takes_its_time() -> None:
    asked = read("things.list", "/core/things/", list[Thing], asks=5.0).call()
    assert (asked.lanes, asked.answers_within) == ((Lane.WORKERS,), 5.0)
    assert asked.explain(400, b'"natsdown"').kind is AgentUnreachableError
    assert read("things.list", "/core/things/", list[Thing], waits=5.0).call().explain(
        400, b'"natsdown"'
    ) == (ErrorHint())
    ended = send("things.end", ONE, method="DELETE", asks=5.0).call(1, waits=9.0)
    assert (ended.gone_is_done, ended.answers_within) == (False, 9.0)
    assert asked.decode(b" null ") == []
    with pytest.raises(msgspec.DecodeError):
        read("things.list", "/core/things/", list[Thing]).call().decode(b"null")


def test_what_is_sent_as_another_type_is_fitted() -> None:
    wire: dict[str, str | Sent] = {"id": Sent("pk", str, int), "tags": Sent("", str, lambda text: (text,))}
    one = read("things.get", ONE, Thing, wire=wire)
    assert one.decode(b'{"pk": "7", "tags": "a", "description": "x"}') == Thing(
        id=7, description="x", tags=("a",)
    )


def test_a_query_leaves_out_what_is_not_given() -> None:
    call = read("things.list", "/core/things/", list[Thing]).call(
        query={"model": "agent", "page": None, "n": 3}
    )
    assert call.query == {"model": "agent", "n": "3"}


def test_the_keys_that_a_body_needs_are_named_where_the_server_fails() -> None:
    call = send("things.create", "/core/things/", needs="name kind").call(body={"name": "x"})
    assert "lacks kind" in call.explain(500, b"<!doctype html>").advice


def raw(path: str, body: object, method: str = "POST") -> str:
    """What a 500 of a call in a user's own words is said to mean."""
    call = Call(method=method, path=path, decode=bytes, body=json.dumps(body).encode(), replay=Replay.NEVER)
    return as_declared(call).explain(500, b"<!doctype html>").advice


def test_of_a_call_in_own_words_the_declarations_of_its_path_tell_what_it_lacks() -> None:
    send("things.create", "/core/things/", needs="name kind")
    put("things.update", ONE, needs="thing")
    assert "lacks name, kind" in raw("/core/things/", {})
    assert "lacks thing" in raw("/core/things/12/", [], "PUT")
    for path, method in (("/core/things/x/", "PUT"), ("/core/things/", "PATCH"), ("/core/things/1/", "POST")):
        assert "lacks a key, or names" in raw(path, {}, method)


@pytest.mark.parametrize(
    ("body", "lacks"),
    [
        ({"kind": "text", "text": "x"}, "a key, or names what is not there"),
        ({"kind": "text"}, "text"),
        ({"kind": "file"}, "name, mode, size"),
        ({"text": "x"}, "kind"),
        ({"kind": "else"}, "a key, or names what is not there"),
    ],
)
def test_of_several_kinds_of_bodies_the_nearest_is_told(body: object, lacks: str) -> None:
    send("things.write", ONE, needs="kind=text text")
    send("things.put", ONE, needs="kind=file name mode size")
    assert raw("/core/things/1/", body).partition("lacks ")[2] == lacks


def test_every_declaration_is_kept_under_the_methods_name() -> None:
    first = read("things.get", ONE, Thing)
    second = read("things.get", "/core/others/", Thing)
    assert EVERY["things.get"] == [first, second]
