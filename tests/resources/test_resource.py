"""Making things of which the server does not tell the id, and removing what can't be made again."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.exchanges import (
    ByHand,
    Intent,
    answer_of,
    assert_is_recorded,
)
from tests.methods import methods as public
from tests.recorded import recording
from tests.servers import served, stock
from trmm_async import (
    TRMM,
    APIError,
    BadRequestError,
    InvalidRequestError,
    ServerFaultError,
)
from trmm_async.calls import Replay
from trmm_async.cli.client_methods import methods as typed
from trmm_async.errors import OutcomeUnknownError, UnidentifiedError
from trmm_async.resources.resource import LOSSES
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


Making = Callable[[TRMM], Awaitable[Any]]


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


KEY = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme"
LOST: dict[str, tuple[Any, ...]] = {
    "agents.notes.delete": (1,),
    "agents.registry.delete_value": ("a", KEY, "x"),
    "alerts.delete": (1,),
    "api_keys.delete": (1,),
    "custom_fields.delete": (1,),
    "key_store.delete": (1,),
    "scripts.delete": (1,),
    "scripts.snippets.delete": (1,),
}
"""What is lost with each of these is lost always."""
LOST_IF_THERE = {"agents.registry.delete_key", "clients.delete", "policies.delete"}
"""What these take along is looked up first: the tests of their nouns have them."""
SETTINGS_ALONE = {
    "agents.delete",  # as on a gateway
    "alert_templates.delete",
    "checks.delete",
    "deployments.delete",  # as on a gateway
    "policies.patches.delete",
    "roles.delete",
    "schedules.delete",
    "sites.delete",
    "tasks.delete",
    "url_actions.delete",
    "users.delete",
    "users.sessions.delete",
    "users.sessions.delete_all",
}
"""What one call makes again from what was read, or what has `in_use` or `with_keys`."""


def test_of_every_delete_it_is_decided_whether_something_is_lost_for_good() -> None:
    deletes = {name for name in public() if name.rpartition(".")[2].startswith("delete")}
    assert deletes == LOST.keys() | LOST_IF_THERE | SETTINGS_ALONE
    asking = {name: set(method.losses) for name, method in typed().items() if method.losses}
    assert asking.keys() == LOST.keys() | LOST_IF_THERE
    assert set().union(*asking.values()) == LOSSES.keys()


@pytest.mark.parametrize(("name", "places"), LOST.items(), ids=LOST)
async def test_what_is_lost_for_good_is_said_or_nothing_is_sent(name: str, places: tuple[Any, ...]) -> None:
    async with served("stock", agents=1) as (server, trmm):
        (word,) = typed()[name].losses
        delete = typed()[name].of(trmm)
        with pytest.raises(InvalidRequestError, match=f"{name}: .* gone for good|never gives") as refused:
            await delete(*places)
        assert f"say {word}=True" in str(refused.value)
        wrong: Any
        for wrong in (1, "yes", None):
            with pytest.raises(InvalidRequestError, match=f"{word} must be True or False"):
                await delete(*places, **{word: wrong})
        assert server.requests == []


SECRET = "Zx9-Kept-Out-77"
TYPED: dict[str, tuple[str, str, Making]] = {
    "users.create": ("POST", "/accounts/users/", lambda it: it.users.create(username="b", password=SECRET)),
    "users.set_password": ("POST", "/accounts/users/reset/", lambda it: it.users.set_password(1, SECRET)),
    "key_store.create": ("POST", "/core/keystore/", lambda it: it.key_store.create(name="k", value=SECRET)),
    "core.update_settings": (
        "PUT", "/core/settings/", lambda it: it.core.update_settings(smtp_host_password=SECRET),
    ),
    "url_actions.create": (
        "POST",
        "/core/urlaction/",
        lambda it: it.url_actions.create(name="u", pattern="x", rest_headers={"Authorization": SECRET}),
    ),
    "core.status": ("GET", "/core/v2/status/", lambda it: it.core.status(SECRET)),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPED)
async def test_a_secret_that_the_server_quotes_is_in_no_error(name: str) -> None:
    method, path, ask = TYPED[name]
    async with served("stock", agents=1) as (server, trmm):
        for status, body in ((400, f'{{"x": ["bad {SECRET}"]}}'), (500, f"<html>{SECRET}</html>")):
            server.fail(method, path, status=status, body=body)
            with pytest.raises(APIError) as refused:
                await ask(trmm)
            assert SECRET not in f"{refused.value} {refused.value!r} {refused.value.body!r}"


async def test_headers_of_a_url_action_are_in_no_repr() -> None:
    async with served("stock", agents=1) as (_, trmm):
        headers = {"Authorization": SECRET}
        made = await trmm.url_actions.create(name="u", pattern="https://x", rest_headers=headers)
        assert SECRET in made.rest_headers
        assert SECRET not in repr(made)


SCRIPT: dict[str, Any] = {
    "name": "API script",
    "shell": "python",
    "code": "print('hi')\n",
    "description": "d",
    "category": "API",
    "args": ["a"],
    "env_vars": {"X": "1"},
    "default_timeout": 60,
    "supported_platforms": ["linux"],
}


MADE = [
    ("script_create", "scripts_list_after", lambda it: it.scripts.create(**SCRIPT), 11),
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
