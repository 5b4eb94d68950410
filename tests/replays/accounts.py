"""Users, their sessions, roles and API keys."""

from datetime import UTC, datetime
from typing import Any

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, differs, has, op, spared
from trmm_async.calls import Request
from trmm_async.resources.stock import api_keys, roles, users

_USER = {"is_active": "active", "block_dashboard_login": "dashboard_blocked"}


def _words(told: Recording, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """A recorded body by our keywords."""
    return {_USER.get(name, name): value for name, value in has(told).items() if name not in but}


def _new_user(told: Recording) -> Request[Any]:
    words = _words(told, ("active", "is_active", "dashboard_blocked", "block_dashboard_login", "date_format"))
    # These we don't let through.
    if told.name in {"user_create_bad_username", "user_create_password_empty", "user_create_email_bad"}:
        return users.NEW_USER.call(body=told.sent)
    if isinstance(words.get("role"), str):
        words["role"] = int(words["role"])
    given = {"username": "x", "password": "y", **words}
    made: Request[Any] = request_of(NOUNS.users.create(**given))
    return made


def _change(told: Recording, number: str) -> Request[None]:
    if told.status == 400 or told.name == "user_update_password_ignored":
        return users.UPDATE.call(int(number), body=told.sent)
    made: Request[None] = request_of(NOUNS.users.update(int(number), **_words(told, ("id",))))
    return made


def _password(told: Recording) -> Request[None]:
    sent = has(told)
    if told.path == "/accounts/users/reset_totp/":
        return users.PASSWORD_TOO.call(body=told.sent)
    made: Request[None] = request_of(NOUNS.users.set_password(sent.get("id", 1), sent.get("password", "x")))
    return made


def _totp(told: Recording) -> Request[None]:
    if told.path == "/accounts/users/reset/":
        return users.TOTP_TOO.call(body=told.sent)
    made: Request[None] = request_of(NOUNS.users.reset_totp(has(told).get("id", 1)))
    return made


def _role(told: Recording) -> dict[str, Any]:
    sent = has(told)
    allowed = [name for name, value in sent.items() if value is True and name.startswith("can_")]
    return {
        "name": sent.get("name", "x"),
        "permissions": allowed,
        "clients": sent.get("can_view_clients") or "all",
        "sites": sent.get("can_view_sites", ()),
        "superuser": sent.get("is_superuser", False),
    }


def _new_role(told: Recording) -> Request[Any]:
    if told.name in {"role_create_bad_type", "role_create_unknown_field"}:
        return roles.NEW_ROLE.call(body=told.sent)
    made: Request[Any] = request_of(NOUNS.roles.create(**_role(told)))
    return made


def _changed_role(told: Recording, number: str) -> Request[None]:
    words = _role(told) if told.name == "role_update_full" else {"name": has(told).get("name", "x")}
    made: Request[None] = request_of(NOUNS.roles.update(int(number), **words))
    return made


def _key(told: Recording) -> dict[str, Any]:
    words = {name: value for name, value in has(told).items() if name in {"name", "user"}}
    if "expiration" in has(told):
        ends = has(told)["expiration"]
        words["expires"] = ends and datetime.fromisoformat(ends).astimezone(UTC)
    return words


def _new_key(told: Recording) -> Request[Any]:
    if told.name in {"apikey_create_bad_expiration", "apikey_create_long_name", "apikey_create_list_body"}:
        return api_keys.CREATE.call(body=told.sent)
    made: Request[Any] = request_of(NOUNS.api_keys.create(**{"name": "x", "user": 1, **_key(told)}))
    return made


def _changed_key(told: Recording, number: str) -> Request[None]:
    if told.status == 400:
        return api_keys.UPDATE.call(int(number), body=told.sent)
    made: Request[None] = request_of(NOUNS.api_keys.update(int(number), **_key(told)))
    return made


OPERATIONS = [
    op(
        "users.list",
        "GET /accounts/users/",
        lambda told: request_of(NOUNS.users.list(search=told.query.get("search"))),
        "User",
        "accounts_users users_list users_list_limited_403 users_search users_search_tech",
    ),
    op(
        "users.get",
        "GET /accounts/<id>/users/",
        lambda _, number: request_of(NOUNS.users.get(int(number))),
        "User",
        "user_get user_get_404 user_get_after_role_delete user_get_after_update "
        "user_get_block_and_date_ignored user_get_minimal user_get_role_as_string",
    ),
    op(
        "users.create",
        "POST /accounts/users/",
        _new_user,
        None,
        "user_create_full user_create_minimal user_create_dup user_create_email_bad user_create_limited_403 "
        "user_create_unknown_role user_create_bad_username user_create_block_and_date_ignored "
        "user_create_no_email user_create_no_password user_create_no_username user_create_password_empty "
        "user_create_role_as_string",
    ),
    op(
        "users.update",
        "PUT /accounts/<id>/users/",
        _change,
        None,
        "user_update_full user_update_one_field user_update_role_null user_update_role_only user_update_404 "
        "user_update_bad_type user_update_limited_403 user_update_password_ignored",
    ),
    op(
        "users.delete",
        "DELETE /accounts/<id>/users/",
        lambda _, number: request_of(NOUNS.users.delete(int(number), with_keys=True)),
        None,
        "user_delete user_delete_404 user_delete_limited_403",
    ),
    op(
        "users.set_password",
        "POST /accounts/users/(?:reset|reset_totp)/",
        _password,
        None,
        "user_reset_password user_reset_password_404 user_reset_password_limited_403 "
        "user_reset_password_no_id user_reset_password_no_password user_reset_totp_post_is_password "
        "user_reset_totp_post_limited_403 user_reset_totp_post_no_password",
    ),
    op(
        "users.reset_totp",
        "PUT /accounts/users/(?:reset|reset_totp)/",
        _totp,
        None,
        "user_reset_totp user_reset_totp_404 user_reset_totp_limited_403 user_reset_totp_no_id "
        "user_reset_totp_self_by_limited user_reset_put_is_totp user_reset_put_limited_403 "
        "user_reset_put_no_id",
    ),
    op(
        "users.sessions.list",
        "GET /accounts/users/<id>/sessions/",
        lambda _, number: request_of(NOUNS.users.sessions.list(int(number))),
        "UserSession",
        "user_sessions user_sessions_404 user_sessions_after_delete user_sessions_empty "
        "user_sessions_limited_403",
    ),
    op(
        "users.sessions.delete",
        "DELETE /accounts/sessions/([a-z0-9]+)/",
        lambda _, digest: request_of(NOUNS.users.sessions.delete(digest)),
        None,
        "session_delete session_delete_404 session_delete_limited_403",
    ),
    op(
        "users.sessions.delete_all",
        "DELETE /accounts/users/<id>/sessions/",
        lambda _, number: request_of(NOUNS.users.sessions.delete_all(int(number))),
        None,
        "user_sessions_delete_all user_sessions_delete_all_again user_sessions_delete_404",
    ),
    op(
        "roles.list",
        "GET /accounts/roles/",
        lambda _: request_of(NOUNS.roles.list()),
        "Role",
        "accounts_roles roles_list roles_list_limited_403",
    ),
    op(
        "roles.get",
        "GET /accounts/roles/<id>/",
        lambda _, number: request_of(NOUNS.roles.get(int(number))),
        "Role",
        "role_get_404 role_get_after_create role_get_after_name_only role_get_after_restricted_create "
        "role_get_after_update",
    ),
    op(
        "roles.create",
        "POST /accounts/roles/",
        _new_role,
        None,
        "role_create_full role_create_minimal role_create_dup role_create_limited_403 role_create_no_name "
        "role_create_unknown_client role_create_bad_type role_create_unknown_field",
    ),
    op(
        "roles.update",
        "PUT /accounts/roles/<id>/",
        _changed_role,
        None,
        "role_update_full role_update_minimal role_update_404 role_update_no_name",
    ),
    op(
        "roles.delete",
        "DELETE /accounts/roles/<id>/",
        lambda _, number: request_of(NOUNS.roles.delete(int(number), in_use=True)),
        None,
        "role_delete role_delete_404 role_delete_limited_403",
    ),
    op(
        "api_keys.list",
        "GET /accounts/apikeys/",
        lambda _: request_of(NOUNS.api_keys.list()),
        "ApiKey",
        "accounts_apikeys apikeys_list_after apikeys_list_after_update apikeys_list_limited_403",
    ),
    op(
        "api_keys.create",
        "POST /accounts/apikeys/",
        _new_key,
        None,
        "apikey_create apikey_create_full apikey_create_dup apikey_create_limited_403 apikey_create_no_name "
        "apikey_create_no_user apikey_create_unknown_user apikey_create_own_key_ignored "
        "apikey_create_bad_expiration apikey_create_long_name apikey_create_list_body",
    ),
    op(
        "api_keys.create_limited",
        "POST /accounts/roles/",
        lambda told: request_of(
            NOUNS.api_keys.create_limited(name=has(told)["name"], permissions=(), clients="all")
        ),
        None,
        "role_create_minimal",
    ),
    op(
        "api_keys.update",
        "PUT /accounts/apikeys/<id>/",
        _changed_key,
        None,
        "apikey_update_one_field apikey_update_full apikey_update_404 apikey_update_limited_403 "
        "apikey_update_bad",
    ),
    op(
        "api_keys.delete",
        "DELETE /accounts/apikeys/<id>/",
        lambda _, number: request_of(NOUNS.api_keys.delete(int(number), with_access=True)),
        None,
        "apikey_delete apikey_delete_404 apikey_delete_limited_403",
    ),
]
_ALL = {"can_view_clients": [], "can_view_sites": [], "is_superuser": False}
_EVERY_KEY = "we always send the names"
_NAMES = {"first_name": "", "last_name": ""}
DIFFERENT = {
    **differs(
        _EVERY_KEY,
        _NAMES,
        "user_create_minimal user_create_dup user_create_limited_403 user_create_unknown_role",
    ),
    "user_create_block_and_date_ignored": But(
        "what a create passes over in silence we send by an update",
        body=_NAMES,
        without=("is_active", "block_dashboard_login", "date_format"),
    ),
    **differs(_EVERY_KEY, {**_NAMES, "email": ""}, "user_create_no_email"),
    **differs(_EVERY_KEY, {**_NAMES, "password": "y"}, "user_create_no_password"),
    **differs(_EVERY_KEY, {**_NAMES, "username": "x"}, "user_create_no_username"),
    **differs("an id is a number with us", {**_NAMES, "role": 2}, "user_create_role_as_string"),
    "user_update_full": But("the id stands in the path", without=("id",)),
    **differs("we always say whose", {"id": 1}, "user_reset_password_no_id user_reset_totp_no_id"),
    **differs("we always say which", {"password": "x"}, "user_reset_password_no_password"),
    "role_create_full": But("what is not allowed we leave out, as it is by itself", never=True),
    "role_create_minimal": But("we say what is seen, and that it is no superuser", more=True),
    **differs(
        "we say what is seen, and that it is no superuser",
        _ALL,
        "role_create_dup role_create_limited_403",
    ),
    **differs("we say what is seen", {**_ALL, "name": "x"}, "role_create_no_name"),
    **differs("we say what is seen", {**_ALL, "can_view_clients": [999]}, "role_create_unknown_client"),
    "role_update_no_name": But("we always send the name", body={"name": "x"}, without=("can_reboot_agents",)),
    **differs("we always say so", {"name": "x"}, "apikey_create_no_name"),
    **differs("we always say so", {"user": 1}, "apikey_create_no_user"),
    "apikey_create_own_key_ignored": But("the server makes the key", without=("key",)),
    "apikey_update_full": But("the server makes the key", without=("key",)),
    **differs("we write times in UTC", {"expiration": "2027-12-31T22:00:00Z"}, "apikey_update_one_field"),
}
SPARED = spared({"what the web client keeps for itself": "accounts_users_ui"})
