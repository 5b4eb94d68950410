"""Removing what can't be made again, and secrets that a server quotes."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.methods import methods as public
from tests.servers import served
from trmm_async import TRMM, APIError, InvalidRequestError
from trmm_async.cli.client_methods import methods as typed
from trmm_async.resources.resource import LOSSES

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

Making = Callable[[TRMM], Awaitable[Any]]


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
