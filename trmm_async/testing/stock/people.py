"""Users, roles, API keys and sessions of the stock server.

Below: `accounts.py` keeps the users and their sessions, `gate.py` the keys. Above: `dialect.py`. What a role
allows is what its users' keys and logins may do from then on; `visibility.py` knows which clients it shows.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trmm_async.testing.forms import Field, Form, no_match
from trmm_async.testing.gate import PERMISSIONS, new_key
from trmm_async.testing.replies import RefusedError, iso
from trmm_async.testing.routing import Route

from .accounts import User
from .table import Table
from .view import Fields, invalid, refuse, said, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.replies import Asked, HTTPReply

    from .accounts import SessionToken
    from .table import Row

__all__ = ["PeopleView"]

LISTED, MANAGED = "can_list_accounts", "can_manage_accounts"
ROLES, ROLES_MANAGED = "can_list_roles", "can_manage_roles"
KEYS, KEYS_MANAGED = "can_list_api_keys", "can_manage_api_keys"
USERNAME = re.compile(r"[\w.@+-]+")
BAD_NAME = (
    "['Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.']"
)


class PeopleView:
    """`/accounts/…`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._accounts = backend.accounts
        self._gate = backend.gate
        clock = backend.world.clock
        self._roles = backend.database.roles
        self._user_form = Form(
            {
                "username": Field.text("", limit=150),
                "first_name": Field.text("", limit=150, blank=True),
                "last_name": Field.text("", limit=150, blank=True),
                "email": Field.text("", limit=254, blank=True),
                "is_active": Field.flag(),
                "role": Field.key(self._roles.__contains__),
                "block_dashboard_login": Field.flag(),
                "date_format": Field.text(limit=30, blank=True),
            }
        )
        self._keys = Table(
            "APIKey",
            Form(
                {
                    "name": Field.text("", limit=25, required=True),
                    "expiration": Field.moment(),
                    "user": Field.key(self._is_user, required=True),
                }
            ),
            clock,
        )

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        users, user, sessions = "/accounts/users/", "/accounts/{id:int}/users/", "{id:int}/sessions/"
        role, key = "/accounts/roles/", "/accounts/apikeys/"
        return (
            Route("GET", users, self.users, LISTED),
            Route("POST", users, self.create_user, MANAGED),
            Route("GET", user, self.user, LISTED),
            Route("PUT", user, self.update_user, MANAGED),
            Route("DELETE", user, self.delete_user, MANAGED),
            *(
                Route(method, users + name + "/", handler)
                for name in ("reset", "reset_totp")
                for method, handler in (("POST", self.set_password), ("PUT", self.reset_totp))
            ),
            Route("GET", users + sessions, self.sessions, LISTED),
            Route("DELETE", users + sessions, self.end_sessions, MANAGED),
            Route("DELETE", "/accounts/sessions/{digest}/", self.end_session, MANAGED),
            Route("GET", role, self.roles, ROLES),
            Route("POST", role, self.create_role, ROLES_MANAGED),
            Route("GET", role + "{id:int}/", self.role, ROLES),
            Route("PUT", role + "{id:int}/", self.update_role, ROLES_MANAGED),
            Route("DELETE", role + "{id:int}/", self.delete_role, ROLES_MANAGED),
            Route("GET", key, self.api_keys, KEYS),
            Route("POST", key, self.create_api_key, KEYS_MANAGED),
            Route("PUT", key + "{id:int}/", self.update_api_key, KEYS_MANAGED),
            Route("DELETE", key + "{id:int}/", self.delete_api_key, KEYS_MANAGED),
        )

    # -- users -----------------------------------------------------------------------------------------------

    def users(self, asked: Asked) -> HTTPReply:
        """`GET /accounts/users/`: all, or those with `search` in their name."""
        wanted = asked.row.query.get("search", "").lower()
        found = [user for user in self._accounts.users.values() if wanted in user.username.lower()]
        return said([self._shown(user) | {"social_accounts": []} for user in found])

    def user(self, asked: Asked) -> HTTPReply:
        """`GET /accounts/{id}/users/`."""
        return said(self._shown(self._user(asked.params["id"])))

    def create_user(self, asked: Asked) -> HTTPReply:
        """`POST /accounts/users/`: an unknown role is 404, and the user exists; a role in words is none."""
        body = Fields.of(asked)
        name = str(body["username"])
        if not USERNAME.fullmatch(name):
            refuse(BAD_NAME)
        password, email = str(body["password"]), str(body["email"])
        if name in self._accounts.users:
            refuse(f"ERROR: User {name} already exists!")
        user = self._accounts.add(User(name, password, permissions=frozenset()))
        user.email = email  # which may be none
        user.first_name, user.last_name = str(body.get("first_name", "")), str(body.get("last_name", ""))
        role = body.get("role")
        if isinstance(role, int):
            self._give(user, self._roles.get(role))
        return said(name)

    def update_user(self, asked: Asked) -> HTTPReply:
        """`PUT /accounts/{id}/users/`: what is given, but never a password."""
        user = self._user(asked.params["id"])
        values = self._user_form.read(Fields.of(asked), partial=True)
        if "username" in values:
            self._accounts.rename(user.username, str(values.pop("username")))
        if "role" in values:
            role = values.pop("role")
            self._give(user, self._roles.get(role) if isinstance(role, int) else None)
        user.active = bool(values.pop("is_active", user.active))
        user.blocked = bool(values.pop("block_dashboard_login", user.blocked))
        for name, value in values.items():
            setattr(user, name, value)
        return said("ok")

    def delete_user(self, asked: Asked) -> HTTPReply:
        """`DELETE /accounts/{id}/users/`: with the keys and sessions of the user."""
        user = self._user(asked.params["id"])
        del self._accounts.users[user.username]
        self._accounts.expire(user.username)
        for key in [key for key, name in self._gate.users.items() if name == user.username]:
            self._forget(key)
        return said("ok")

    def set_password(self, asked: Asked) -> HTTPReply:
        """`POST` on either path: another password. One's own needs no permission."""
        body = Fields.of(asked)
        user = self._user(body["id"], asked)
        user.password = str(body["password"])
        return said("ok")

    def reset_totp(self, asked: Asked) -> HTTPReply:
        """`PUT` on either path: no second factor any more."""
        user = self._user(Fields.of(asked)["id"], asked)
        user.totp_secret = None
        return said(f"{user.username}'s Two-Factor key was reset. Have them sign in again to setup")

    def _is_user(self, number: int) -> bool:
        return any(user.pk == number for user in self._accounts.users.values())

    def _user(self, number: object, asked: Asked | None = None) -> User:
        """One user; with `asked` only for who may manage accounts, or is this user."""
        found = next((user for user in self._accounts.users.values() if user.pk == whole(number)), None)
        if asked is not None and (found is None or asked.user != found.username):
            asks = self._accounts.users.get(asked.user)
            if self._gate.forbidden[MANAGED] or (asks and not asks.may(MANAGED)):
                raise RefusedError(403, "You do not have permission to perform this action.")
        if found is None:
            raise no_match("User")
        return found

    def _shown(self, user: User) -> Row:
        return {
            "id": user.pk, "username": user.username, "first_name": user.first_name,
            "last_name": user.last_name, "email": user.email, "is_active": user.active, "last_login": None,
            "last_login_ip": None, "role": self._role_of(user), "block_dashboard_login": user.blocked,
            "date_format": user.date_format,
        }  # fmt: skip

    # -- roles -----------------------------------------------------------------------------------------------

    def _role_of(self, user: User) -> int | None:
        """A user's role. A user with permissions and no role, as tests make them, gets one."""
        if user.role is None and user.permissions:
            values = {"name": f"{user.username}'s role", **dict.fromkeys(user.permissions, True)}
            user.role = whole(self._roles.add(values)["id"])
        return user.role

    def _give(self, user: User, role: Row | None) -> None:
        user.role = None if role is None else whole(role["id"])
        allowed = frozenset(name for name in PERMISSIONS if role and role[name])
        user.permissions = None if role and role["is_superuser"] else allowed

    def roles(self, _asked: Asked) -> HTTPReply:
        """`GET /accounts/roles/`."""
        for user in self._accounts.users.values():
            self._role_of(user)
        return said([self._counted(row) for row in self._roles])

    def _counted(self, row: Row) -> Row:
        return row | {"user_count": len(self._holders(row))}

    def _holders(self, row: Row) -> list[User]:
        return [user for user in self._accounts.users.values() if user.role == row["id"]]

    def role(self, asked: Asked) -> HTTPReply:
        """`GET /accounts/roles/{id}/`."""
        return said(self._counted(self._roles.get(asked.params["id"])))

    def create_role(self, asked: Asked) -> HTTPReply:
        """`POST /accounts/roles/`: by `name` alone it allows nothing; unknown words are passed over."""
        body = Fields.of(asked)
        self._name_is_free(self._roles, body, "role")
        self._roles.create(body, asked.user, partial=False)
        return said("Role was added")

    def update_role(self, asked: Asked) -> HTTPReply:
        """`PUT /accounts/roles/{id}/`: `name` must be there."""
        row, body = self._roles.get(asked.params["id"]), Fields.of(asked)
        self._name_is_free(self._roles, body, "role", row)
        self._roles.change(row, self._roles.form.read(body), asked.user)
        for user in self._holders(row):
            self._give(user, row)
        return said("Role was edited")

    def delete_role(self, asked: Asked) -> HTTPReply:
        """`DELETE /accounts/roles/{id}/`: in use or not; its users have none then."""
        row = self._roles.remove(asked.params["id"])
        for user in self._holders(row):
            self._give(user, None)
        return said("Role was removed")

    # -- API keys --------------------------------------------------------------------------------------------

    def api_keys(self, _asked: Asked) -> HTTPReply:
        """`GET /accounts/apikeys/`: with the keys themselves."""
        self._look_at_keys()
        return said([self._key_shown(row) for row in self._keys])

    def _look_at_keys(self) -> None:
        """Add rows for keys that tests have added, and remove those of keys that they have revoked."""
        have = {str(row["key"]): row for row in self._keys}
        for key in sorted(self._gate.keys - have.keys()):
            name = self._gate.user(key)
            owner = self._accounts.users.get(name)
            self._keys.add({"name": name, "key": key, "user": owner.pk if owner else 1})
        for key in have.keys() - self._gate.keys:
            self._keys.remove(whole(have[key]["id"]))

    def _key_shown(self, row: Row) -> Row:
        return {"id": row["id"], "username": self._gate.user(str(row["key"])), **row}

    def create_api_key(self, asked: Asked) -> HTTPReply:
        """`POST /accounts/apikeys/`: for a `user` by number; the key is found by listing."""
        body = Fields.of(asked)
        self._look_at_keys()
        self._name_is_free(self._keys, body, "api key")
        row = self._keys.create(body, asked.user, partial=False)
        row["key"] = key = new_key(self._world.rng)
        self._gate.keys.add(key)
        self._own(row)
        return said("The API Key was added")

    def update_api_key(self, asked: Asked) -> HTTPReply:
        """`PUT /accounts/apikeys/{id}/`: what is given, but never the key."""
        self._look_at_keys()
        row, body = self._keys.get(asked.params["id"]), Fields.of(asked)
        self._name_is_free(self._keys, body, "api key", row)
        self._keys.update(asked.params["id"], body, asked.user)
        self._own(row)
        return said("The API Key was edited")

    def delete_api_key(self, asked: Asked) -> HTTPReply:
        """`DELETE /accounts/apikeys/{id}/`."""
        self._look_at_keys()
        self._forget(str(self._keys.get(asked.params["id"])["key"]))
        return said("The API Key was deleted")

    def _own(self, row: Row) -> None:
        """Assign the key to its user, and note whether it has expired."""
        key, user = str(row["key"]), self._user(row["user"])
        self._gate.users[key] = user.username
        self._gate.faulty.pop(key, None)
        ends = row["expiration"]
        if ends is not None and datetime.fromisoformat(str(ends)) <= self._now():
            self._gate.faulty[key] = "expired"

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._world.clock(), UTC)

    def _forget(self, key: str) -> None:
        self._gate.keys.discard(key)
        self._gate.users.pop(key, None)
        self._look_at_keys()

    @staticmethod
    def _name_is_free(table: Table, body: Fields, what: str, but: Row | None = None) -> None:
        if any(row is not but and row["name"] == body.get("name") for row in table):
            invalid(name=f"{what} with this name already exists.")

    # -- sessions --------------------------------------------------------------------------------------------

    def sessions(self, asked: Asked) -> HTTPReply:
        """`GET /accounts/users/{id}/sessions/`: those that have not ended."""
        user = self._user(asked.params["id"])
        tokens = self._tokens(user)
        return said(
            [
                {
                    "digest": digest, "user": user.username, "created": iso(tokens[digest].issued),
                    "expiry": iso(tokens[digest].expires),
                }
                for digest in tokens
            ]
        )  # fmt: skip

    def _tokens(self, user: User | None = None) -> Mapping[str, SessionToken]:
        now = self._world.clock()
        return {
            hashlib.sha512(token.value.encode()).hexdigest(): token
            for token in self._accounts.tokens.values()
            if (user is None or token.user is user) and token.expires > now
        }

    def end_sessions(self, asked: Asked) -> HTTPReply:
        """`DELETE /accounts/users/{id}/sessions/`: all of one user; of none as well."""
        self._accounts.expire(self._user(asked.params["id"]).username)
        return said("ok")

    def end_session(self, asked: Asked) -> HTTPReply:
        """`DELETE /accounts/sessions/{digest}/`."""
        token = self._tokens().get(asked.params["digest"])
        if token is None:
            raise no_match("AuthToken")
        self._accounts.end(token.value)
        return said("ok")
