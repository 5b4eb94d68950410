"""Making things of which the server does not tell the id: found by listing, or said not to be."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.exchanges import ByHand, Intent, answer_of, assert_is_recorded, follow
from tests.recorded import NEW_SCRIPT, recording
from tests.servers import stock
from trmm_async import (
    TRMM,
    BadRequestError,
    ConnectionFailedError,
    NotFoundError,
    PermissionDeniedError,
    Script,
    ServerFaultError,
)
from trmm_async.calls import Call, Replay, plan
from trmm_async.dialects.stock.creation import look_up, make
from trmm_async.errors import OutcomeUnknownError, UnidentifiedError
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

Making = Callable[[TRMM], Awaitable[Any]]


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


async def _site(trmm: TRMM) -> Any:
    return await trmm.sites.create(client=(await trmm.clients.list())[0], name="made")


MAKINGS: list[tuple[str, Making]] = [
    ("/scripts/", lambda trmm: trmm.scripts.create(name="made", shell="cmd", code="x")),
    ("/clients/sites/", _site),
    ("/core/customfields/", lambda trmm: trmm.custom_fields.create(name="made", model="site")),
    ("/core/keystore/", lambda trmm: trmm.key_store.create(name="made", value="v")),
]


@pytest.mark.parametrize(("path", "make"), MAKINGS, ids=[path for path, _ in MAKINGS])
class TestMaking:
    async def test_what_was_made_is_found_though_the_answer_was_lost(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.cut("POST", path)
            assert (await make(trmm)).name == "made"
            assert methods(server).count("POST") == 1

    async def test_what_was_not_made_is_not_made_up(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.fail("POST", path, status=500)
            with pytest.raises(ServerFaultError):
                await make(trmm)
            assert methods(server).count("POST") == 1

    async def test_a_refusal_is_a_refusal(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.fail("POST", path, status=400, body='"no"')
            with pytest.raises(BadRequestError, match="no"):
                await make(trmm)


MADE = [
    ("script_create", "scripts_list_after", lambda it: it.scripts.create(**NEW_SCRIPT), 11),
    (
        "core_keystore_create",
        "core_keystore_after",
        lambda it: it.key_store.create(name="apikey", value="v"),
        3,
    ),
    ("site_create", "client_get_new", lambda it: it.sites.create(client=6, name="Second"), 11),
]


@pytest.mark.parametrize(("name", "listing", "intent", "found"), MADE, ids=[row[0] for row in MADE])
class TestMakingByHand:
    @staticmethod
    def before(listing: str, found: int) -> bytes:
        """The list as it was before."""
        body = recording(listing).body
        if isinstance(body, dict):
            return json.dumps(
                {**body, "sites": [one for one in body["sites"] if one["id"] != found]}
            ).encode()
        return json.dumps([one for one in body if one["id"] != found]).encode()

    def test_the_call_is_as_recorded_and_what_was_made_is_found(
        self, name: str, listing: str, intent: Intent, found: int
    ) -> None:
        script = ByHand(self.before(listing, found), answer_of(name), answer_of(listing))
        assert script.of(intent).id == found
        _, send, _ = script.calls
        assert_is_recorded(send, name)
        assert send.replay is Replay.NEVER

    def test_a_lost_answer_is_settled_by_the_list(
        self, name: str, listing: str, intent: Intent, found: int
    ) -> None:
        lost = OutcomeUnknownError("lost")
        script = ByHand(self.before(listing, found), lost, answer_of(listing))
        assert script.of(intent).id == found
        nothing = self.before(listing, found)
        with pytest.raises(OutcomeUnknownError) as caught:
            ByHand(nothing, lost, nothing).of(intent)
        assert caught.value is lost

    def test_what_is_not_in_the_list_is_said_so(
        self, name: str, listing: str, intent: Intent, found: int
    ) -> None:
        nothing = self.before(listing, found)
        with pytest.raises(UnidentifiedError, match="is not in the list"):
            ByHand(nothing, b'"ok"', nothing).of(intent)


# One plan, step by step, without a noun.

LISTING: Call[Any] = Call(method="GET", path="/things/", decode=bytes)
SEND: Call[Any] = Call(method="POST", path="/things/", decode=bytes, replay=Replay.NEVER)
LOST = OutcomeUnknownError("lost")
AWAY = ConnectionFailedError("away")
MAY_NOT = PermissionDeniedError(403, "no")


def made(*answers: Any) -> Any:
    """What comes of making the thing called "new" if the server answers so."""
    left = [*answers]

    def answer(_: Call[Any]) -> Any:
        told = left.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    found = follow(make("thing", LISTING, SEND, lambda one: one.name == "new"), answer)
    assert not left
    return found


OLD, NEW, OTHER, TWIN = (
    Script(id=number, name=name) for number, name in enumerate(["new", "new", "x", "new"])
)


@pytest.mark.parametrize("sent", ["ok", LOST])
def test_only_what_was_not_there_before_and_is_as_ordered_is_ours(sent: Any) -> None:
    assert made([OLD], sent, [OLD, OTHER, NEW]) is NEW


@pytest.mark.parametrize(
    ("answers", "kind", "says"),
    [
        (([OLD], "ok", [OLD, OTHER]), UnidentifiedError, "is not in the list"),
        (([OLD], "ok", [OLD, NEW, TWIN]), UnidentifiedError, "2 new ones are like it"),
        (([OLD], LOST, [OLD, NEW, TWIN]), UnidentifiedError, "2 new ones are like it"),
        (([OLD], LOST, [OLD, OTHER]), OutcomeUnknownError, "lost"),
        (([OLD], "ok", AWAY), UnidentifiedError, "was made, but it can't be listed: away"),
        (([OLD], LOST, AWAY), OutcomeUnknownError, "lost"),
        (([OLD], MAY_NOT), PermissionDeniedError, "no"),
        ((AWAY,), ConnectionFailedError, "away"),
    ],
)
def test_what_can_not_be_told_apart_is_an_error_that_says_what_is_known(
    answers: tuple[Any, ...], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says) as caught:
        made(*answers)
    assert type(caught.value) is kind
    if says.startswith("2"):
        assert isinstance(caught.value, UnidentifiedError)
        assert caught.value.candidates == (NEW, TWIN)


def test_what_may_not_be_seen_is_believed_to_be_there() -> None:
    asked: list[Call[Any]] = []

    def answer(call: Call[Any]) -> None:
        asked.append(call)
        raise MAY_NOT if call is LISTING else NotFoundError(404, "gone")

    with pytest.raises(NotFoundError, match="gone"):
        follow(plan(look_up)(LISTING, SEND, LISTING), answer)
    assert asked == [LISTING, SEND]
