"""Users, roles, API keys and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.kit import rows
from trmm_async.testing.nouns import Client, Site

if TYPE_CHECKING:
    from tests.testing.kit import Http

    from .asking import Views


async def test_a_new_key_works(http: Http) -> None:
    assert (await http("POST", "/accounts/apikeys/", {"name": "n", "user": 1})).status == 200
    keys = [str(row["key"]) for row in await rows(http, "/accounts/apikeys/")]
    assert [(await http("GET", "/core/version/", key=key)).status for key in keys] == [200, 200]
    assert (await http("POST", "/accounts/apikeys/", {"name": "n", "user": 77})).status == 400


USERS, ROLES, KEYS = "/accounts/users/", "/accounts/roles/", "/accounts/apikeys/"


async def _made(views: Views, path: str, name: str, column: str = "name") -> dict[str, object]:
    return next(row for row in (await views("GET", path)).items if row[column] == name)


async def _user(views: Views, name: str, **more: object) -> dict[str, object]:
    body = {"username": name, "password": "pw", "email": f"{name}@example.com", **more}
    said = await views("POST", USERS, body)
    assert (said.status, said.json) == (200, name)
    return await _made(views, USERS, name, "username")


async def test_a_user_may_what_the_role_allows_from_the_moment_it_is_given_or_changed(views: Views) -> None:
    await views("POST", ROLES, {"name": "reader", "can_list_agents": True, "can_fly": True})
    role = await _made(views, ROLES, "reader")
    assert (role["can_list_agents"], role["can_list_alerts"], role["user_count"]) == (True, False, 0)
    made = await _user(views, "eve", role=role["id"])
    eve = views.server.user("eve")
    assert made["role"] == role["id"]
    assert (eve.may("can_list_agents"), eve.may("can_list_alerts")) == (True, False)
    one = f"{ROLES}{role['id']}/"
    assert (await views("GET", one)).fields["user_count"] == 1
    assert (await views("PUT", one, {"can_list_alerts": True})).json == {"name": ["This field is required."]}
    await views("PUT", one, {"name": "reader", "can_list_alerts": True})
    assert (eve.may("can_list_agents"), eve.may("can_list_alerts")) == (True, True)
    await views("PUT", one, {"name": "reader", "is_superuser": True})
    assert eve.permissions is None
    assert (await views("DELETE", one)).json == "Role was removed"
    assert (eve.role, eve.may("can_list_agents")) == (None, False)


async def test_names_are_taken_once(views: Views) -> None:
    await _user(views, "eve")
    said = await views("POST", USERS, {"username": "eve", "password": "x", "email": ""})
    assert (said.status, said.json) == (400, "ERROR: User eve already exists!")
    for path, what, more in ((ROLES, "role", {}), (KEYS, "api key", {"user": 1})):
        for name in ("a", "b"):
            assert (await views("POST", path, {"name": name, **more})).status == 200
        words = {"name": [f"{what} with this name already exists."]}
        assert (await views("POST", path, {"name": "a", **more})).json == words
        one = f"{path}{(await _made(views, path, 'b'))['id']}/"
        assert (await views("PUT", one, {"name": "a"})).json == words
        assert (await views("PUT", one, {"name": "b"})).status == 200


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\nb"])
async def test_a_name_has_letters_digits_and_a_few_signs(views: Views, name: str) -> None:
    said = await views("POST", USERS, {"username": name})
    assert said.status == 400
    assert "Enter a valid username." in str(said.json)
    assert (await _user(views, "e.v-e_1@x+y"))["username"] == "e.v-e_1@x+y"


async def test_an_unknown_role_is_404_and_the_user_is_there(views: Views) -> None:
    body = {"username": "eve", "password": "pw", "email": "", "role": 99}
    said = await views("POST", USERS, body)
    assert (said.status, said.detail) == (404, "No Role matches the given query.")
    assert views.server.user("eve").permissions == frozenset()


async def test_a_user_is_changed_by_what_is_given_and_never_in_the_password(views: Views) -> None:
    number = (await _user(views, "eve"))["id"]
    eve = views.server.user("eve")
    changes = {"username": "ann", "first_name": "Ann", "block_dashboard_login": True, "password": "other"}
    assert (await views("PUT", f"/accounts/{number}/users/", changes)).json == "ok"
    assert (eve.username, eve.first_name, eve.blocked, eve.active, eve.password) == (
        "ann", "Ann", True, True, "pw",
    )  # fmt: skip
    assert views.server.user("ann") is eve
    await views("PUT", f"/accounts/{number}/users/", {"is_active": False})
    assert (eve.active, eve.blocked) == (False, True)
    found = (await views("GET", USERS, query={"search": "AN"})).items
    assert [row["username"] for row in found] == ["ann"]


async def test_keys_and_sessions_go_with_their_user(views: Views) -> None:
    number, server = (await _user(views, "eve"))["id"], views.server
    await views("POST", KEYS, {"name": "of eve", "user": number})
    row = await _made(views, KEYS, "of eve")
    token = server.new_token("eve")
    assert (row["username"], server._gate.knows(str(row["key"]))) == ("eve", True)
    assert (await views("DELETE", f"/accounts/{number}/users/")).json == "ok"
    assert not server._gate.knows(str(row["key"]))
    assert not server._gate.knows(f"Token {token}")
    assert "of eve" not in [each["name"] for each in (await views("GET", KEYS)).items]
    assert server._gate.knows(server.api_key)


async def test_a_key_that_has_expired_is_good_again_with_another_date(views: Views) -> None:
    gate = views.server._gate
    await views("POST", KEYS, {"name": "old", "user": 1, "expiration": "2020-01-01T00:00:00Z"})
    row = await _made(views, KEYS, "old")
    key = str(row["key"])
    denied = gate.judge(key, permission=None, lane=None)
    assert denied is not None
    assert (denied.status, denied.fault) == (401, "expired")
    await views("PUT", f"{KEYS}{row['id']}/", {"expiration": "2099-01-01T00:00:00Z", "key": "mine"})
    assert gate.judge(key, permission=None, lane=None) is None
    assert (await _made(views, KEYS, "old"))["key"] == key
    assert (await views("DELETE", f"{KEYS}{row['id']}/")).json == "The API Key was deleted"
    assert gate.judge(key, permission=None, lane=None) is not None


async def test_keys_that_a_test_adds_are_listed_and_those_that_it_revokes_are_not(views: Views) -> None:
    key = views.server.add_key(username="admin")
    assert key in [row["key"] for row in (await views("GET", KEYS)).items]
    views.server.revoke_key(key)
    assert key not in [row["key"] for row in (await views("GET", KEYS)).items]


@pytest.mark.parametrize("path", ["reset", "reset_totp"])
async def test_a_password_is_changed_by_its_user_or_by_who_manages_accounts(views: Views, path: str) -> None:
    eve, ann = (views.server.add_user(name, permissions=[]) for name in ("eve", "ann"))
    at, body = f"{USERS}{path}/", {"id": eve.pk, "password": "new"}
    assert (await views("POST", at, body, user="ann")).status == 403
    assert (await views("PUT", at, {"id": eve.pk}, user="ann")).status == 403
    assert eve.totp_secret is not None
    assert (await views("POST", at, body, user="eve")).json == "ok"
    assert eve.password == "new"
    told = "eve's Two-Factor key was reset. Have them sign in again to setup"
    assert (await views("PUT", at, {"id": eve.pk})).json == told
    assert [user.totp_secret is None for user in (eve, ann)] == [True, False]
    assert (await views("POST", at, {"id": 99, "password": "x"})).detail == "No User matches the given query."


async def test_sessions_are_listed_until_they_are_over_and_ended_one_by_one(views: Views) -> None:
    server = views.server
    eve = server.add_user("eve")
    path = f"{USERS}{eve.pk}/sessions/"
    tokens = [server.new_token("eve") for _ in range(2)]
    server.new_token()
    rows = (await views("GET", path)).items
    assert [row["user"] for row in rows] == ["eve", "eve"]
    one = f"/accounts/sessions/{rows[0]['digest']}/"
    assert (await views("DELETE", one)).json == "ok"
    assert (await views("DELETE", one)).detail == "No AuthToken matches the given query."
    assert [server._gate.knows(f"Token {token}") for token in tokens] == [False, True]
    assert (await views("DELETE", path)).json == "ok"
    assert (await views("GET", path)).items == []
    assert (await views("DELETE", path)).json == "ok"


ROLES_TOLD = """
    create_full get_after_create create_minimal create_unknown_field create_dup create_no_name create_bad_type
    create_unknown_client get_404 update_no_name update_minimal get_after_name_only update_full
    get_after_update update_404
"""
USERS_TOLD = """
    create_full create_minimal create_role_as_string create_block_and_date_ignored create_password_empty
    create_email_bad create_dup create_bad_username create_no_email create_no_password create_no_username
    create_unknown_role get get_minimal get_role_as_string get_block_and_date_ignored get_404
    update_full get_after_update update_one_field update_role_null update_role_only update_password_ignored
    update_bad_type update_404 reset_password reset_password_404 reset_password_limited_403
    reset_password_no_id reset_password_no_password reset_put_is_totp reset_put_limited_403 reset_put_no_id
    reset_totp reset_totp_404 reset_totp_limited_403 reset_totp_no_id reset_totp_post_is_password
    reset_totp_post_limited_403 reset_totp_post_no_password reset_totp_self_by_limited sessions_empty
    sessions_404 sessions_delete_404 sessions_delete_all sessions_delete_all_again
"""
LAST_TOLD = """
    role_delete role_delete_404 user_get_after_role_delete user_delete user_delete_404 session_delete_404
"""


async def test_roles_and_users_are_as_recorded(views: Views) -> None:
    server = views.server
    limited = server.add_user("limited", permissions=[])
    for number, name in enumerate(("Acme", "Globex"), 1):
        server.world.clients[number] = Client(number, name)
    server.world.sites[4] = Site(4, "HQ", server.world.clients[1])
    await views("POST", ROLES, {"name": "first"})
    for name in ROLES_TOLD.split():
        await views.tell(f"role_{name}")
    await views.tell("roles_list")
    numbers: dict[int, int] = {}
    recorded = {"tech1": 17, "tech2": 18, "tech3": 19, "tech9": 23}
    for name in USERS_TOLD.split():
        users = {user.username: user.pk for user in server._accounts.users.values()}
        numbers = {number: users[who] for who, number in recorded.items() if who in users}
        free = {"id", "last_login", "last_login_ip"}
        await views.tell_values(f"user_{name}", free, numbers | {15: limited.pk})
    for name in LAST_TOLD.split():
        await views.tell(name, numbers)
