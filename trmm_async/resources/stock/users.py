"""`trmm.users`."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypedDict, Unpack

import msgspec

from trmm_async import arguments
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.creation import make
from trmm_async.dialects.stock.endpoint import Wire, delete, put, read, send
from trmm_async.errors import HalfDoneError, InvalidRequestError, NotFoundError, TRMMError
from trmm_async.hidden import hide
from trmm_async.models import Moment, Noun, no_extra
from trmm_async.resources.api import Api
from trmm_async.resources.resource import Resource, refuse_in_use

__all__ = ["NEW_USER", "User", "UserChanges", "UserSession", "Users", "new_user", "username"]


_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_USERNAME: Final = re.compile(r"[\w.@+-]{1,150}")


class User(Noun, frozen=True, kw_only=True, gc=False):
    """A user of the server's dashboard, or of API keys.

    `role` is the id of a role. Without a role, a user who is not a superuser may do nothing.
    `dashboard_blocked` is True for a user who has API keys only.
    """

    id: int
    """The server's id of it."""
    username: str = ""
    """By which they log in."""
    first_name: str = ""
    """Their first name."""
    last_name: str = ""
    """Their last name."""
    email: str = ""
    """Their e-mail address."""
    role: int | None = None
    active: bool | None = None
    """Whether they can log in."""
    dashboard_blocked: bool | None = None
    last_login: Moment | None = None
    """When they last did."""
    last_login_ip: str | None = None
    """From where."""
    date_format: str | None = None
    """How they want dates written."""
    extra: Mapping[str, Any] = no_extra()


class UserSession(Noun, frozen=True, kw_only=True, gc=False):
    """A login that has not expired. `digest` identifies it, and is not a secret."""

    digest: str
    username: str = ""
    """The user's name."""
    created: Moment | None = None
    """When they logged in."""
    expires: Moment | None = None
    """When it ends."""
    extra: Mapping[str, Any] = no_extra()


class UserChanges(TypedDict, total=False):
    """The settings that `users.update` can change. What is not given stays unchanged."""

    username: str
    first_name: str
    last_name: str
    email: str
    role: int | None
    active: bool
    dashboard_blocked: bool
    date_format: str | None


def _line(value: object, what: str) -> str:
    return arguments.plain_text(value, what, empty=True)


def _email(value: object, what: str) -> str:
    """An address or ""; the server would accept any text."""
    address = _line(value, what)
    if address and not _EMAIL.fullmatch(address):
        raise InvalidRequestError(f'{what} must be an address, as "jo@example.com", or ""; not {address!r}')
    return address


def username(value: object, what: str) -> str:
    """A name that a user may have."""
    name = arguments.plain_text(value, what)
    if not _USERNAME.fullmatch(name):
        raise InvalidRequestError(f"{what} may have letters, digits and @ . + - _ only, not {name!r}")
    return name


_CHECKS: Final[arguments.Checks] = {
    "username": username,
    "first_name": _line,
    "last_name": _line,
    "email": _email,
    "role": arguments.or_none(arguments.object_id),
    "active": ("is_active", arguments.boolean),
    "dashboard_blocked": ("block_dashboard_login", arguments.boolean),
    "date_format": arguments.or_none(_line),
}
_USER: Final[Wire] = {"active": "is_active", "dashboard_blocked": "block_dashboard_login"}
_SESSION: Final[Wire] = {"username": "user", "expires": "expiry"}
_ONE: Final = "/accounts/{user:id}/users/"
_SESSIONS: Final = "/accounts/users/{user:id}/sessions/"

LIST = read("users.list", "/accounts/users/", list[User], wire=_USER)
GET = read("users.get", _ONE, User, wire=_USER)
NEW_USER = send("users.create", "/accounts/users/", needs="username email password", secret=True)
UPDATE = put("users.update", _ONE)
DELETE = delete("users.delete", _ONE)


class _KeyOwner(msgspec.Struct):
    """The part of an API key that says whose it is, without the key itself."""

    name: str = ""
    user: int | None = None


KEYS = read("users.delete", "/accounts/apikeys/", list[_KeyOwner], secret=True)
# The server has one view for both paths, which decides by the method only.
PASSWORD = put(
    "users.set_password", "/accounts/users/reset/", method="POST", needs="id password", secret=True
)
PASSWORD_TOO = put(
    "users.set_password", "/accounts/users/reset_totp/", method="POST", needs="id password", secret=True
)
TOTP = put("users.reset_totp", "/accounts/users/reset_totp/", needs="id")
TOTP_TOO = put("users.reset_totp", "/accounts/users/reset/", needs="id")
SESSIONS = read("users.sessions.list", _SESSIONS, list[UserSession], wire=_SESSION, since="0.20.0")
END = delete("users.sessions.delete", "/accounts/sessions/{session:text}/", since="0.20.0")
END_ALL = delete("users.sessions.delete_all", _SESSIONS, since="0.20.0")


class Sessions(Resource):
    """The logins of a stock server's users that have not expired. All errors are `TRMMError`s."""

    async def delete(self, session: str | UserSession) -> None:
        """End a session, given as object or digest. Its token is refused from then on.

        If it is gone already, that counts as success.

        Raises:
            NotFoundError: there is no such session.
        """
        await self._send(END, getattr(session, "digest", session))

    async def delete_all(self, user: int | User) -> None:
        """End all sessions of a user. API keys of the user stay valid.

        Raises:
            NotFoundError: there is no such user.
        """
        await self._send(END_ALL, user)

    async def list(self, user: int | User) -> list[UserSession]:
        """List the sessions of a user.

        Raises:
            NotFoundError: there is no such user.
        """
        return await self._send(SESSIONS, user)


class Users(Resource):
    """The users of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    sessions: Sessions

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.sessions = Sessions(api)

    async def get(self, user: int | User) -> User:
        """Get one user.

        Raises:
            NotFoundError: there is no such user.
        """
        return await self._send(GET, user)

    async def create(
        self,
        *,
        username: str,
        password: str,
        email: str = "",
        first_name: str = "",
        last_name: str = "",
        role: int | None = None,
        dashboard_blocked: bool = False,
    ) -> User:
        """Create a user and return it. Never sent twice.

        Args:
            username: a unique name of letters, digits and @ . + - _.
            password: the password for the dashboard, which requires a second factor at the first login.
            email: an address, or "" for none.
            first_name: the first name.
            last_name: the last name.
            role: a role or its id. Without one, the user may do nothing.
            dashboard_blocked: True allows no logins, API keys only. It takes a second call.

        Raises:
            BadRequestError: there is a user of that name, or the name is not valid.
            HalfDoneError: there is no such role, or the login could not be blocked: the user exists, and is
                in `made`.
            OutcomeUnknownError: it was sent and the answer was lost: the user may exist.
        """
        password = hide(arguments.secret(password, "password"))
        self._keep_out(password)
        given: dict[str, object] = {
            "username": username,
            "email": email,
            "first_name": first_name,
            "last_name": last_name,
        }
        if role is not None:
            given["role"] = role
        body = arguments.settings(given, _CHECKS, NEW_USER.name)
        blocked = arguments.boolean(dashboard_blocked, "dashboard_blocked")
        plan = new_user({**body, "password": password}, dashboard_blocked=blocked)
        return await self._on_stock(NEW_USER.name, plan)

    async def update(self, user: int | User, **changes: Unpack[UserChanges]) -> None:
        """Change settings of a user. Idempotent: sent again if an answer is lost.

        Only `set_password` changes a password. `role=None` takes all permissions away.

        Raises:
            BadRequestError: there is no such role, or another user has that name.
            NotFoundError: there is no such user.
        """
        await self._send(UPDATE, user, body=arguments.settings(changes, _CHECKS, UPDATE.name))

    async def delete(self, user: int | User, *, with_keys: bool = False) -> None:
        """Delete a user with its sessions. If it is gone already, that counts as success.

        Args:
            user: the user or its id.
            with_keys: True also deletes its API keys: programs that use them lose their access. Without it,
                they are looked up first, and a user with a key is not deleted.

        Raises:
            InvalidRequestError: it has API keys; nothing was deleted.
            NotFoundError: there is no such user.
        """
        user_id = arguments.object_id(user, "user")
        if not arguments.boolean(with_keys, "with_keys"):
            keys = await self._send(KEYS)
            names = [f"the API key {key.name!r}" for key in keys if key.user == user_id]
            refuse_in_use(f"users.delete: user {user_id}", names, "with_keys")
        await self._send(DELETE, user_id)

    async def set_password(self, user: int | User, password: str) -> None:
        """Set a user's password. Sessions of the user stay open: see `sessions.delete_all`.

        Raises:
            NotFoundError: there is no such user.
        """
        password = hide(arguments.secret(password, "password"))
        self._keep_out(password)
        body = {"id": arguments.object_id(user, "user"), "password": password}
        await self._send(PASSWORD, body=body)

    async def reset_totp(self, user: int | User) -> None:
        """Remove a user's second factor. The next login sets up another one.

        Raises:
            NotFoundError: there is no such user.
        """
        await self._send(TOTP, body={"id": arguments.object_id(user, "user")})

    async def list(self, *, search: str | None = None) -> list[User]:
        """List all users, or those with `search` in their names."""
        text = None if search is None else arguments.plain_text(search, "search")
        return await self._send(LIST, query={"search": text})


@plan
def new_user(body: Mapping[str, object], *, dashboard_blocked: bool) -> Steps[User]:
    """Create a user. The server does so before it looks up the role, and then answers 404."""
    listing = LIST.call(query={"search": body["username"]})
    try:
        made = yield from make(
            "user", listing, NEW_USER.call(body=body), lambda user: user.username == body["username"]
        )
    except NotFoundError as error:
        there = [user for user in (yield from listing) if user.username == body["username"]]
        if there:
            raise HalfDoneError(f"there is no role {body.get('role')}", tuple(there)) from error
        raise
    if not dashboard_blocked:
        return made
    try:
        yield from UPDATE.call(made, body={"block_dashboard_login": True})
    except TRMMError as error:
        raise HalfDoneError(f"logins could not be blocked: {error}", (made,)) from error
    return msgspec.structs.replace(made, dashboard_blocked=True)
