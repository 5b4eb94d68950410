"""`trmm.api_keys`."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final, TypedDict, Unpack

from trmm_async import arguments, codec
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.creation import make
from trmm_async.dialects.stock.endpoint import Wire, delete, put, read, send
from trmm_async.errors import HalfDoneError, TRMMError
from trmm_async.hidden import hide
from trmm_async.models import Discreet, Moment, no_extra
from trmm_async.resources.resource import Resource, refuse_loss
from trmm_async.resources.stock.roles import NEW_ROLE, ROLES, SEEN, Clients, Sites, new_role
from trmm_async.resources.stock.users import User, new_user, username

__all__ = ["ApiKey", "ApiKeyChanges", "ApiKeys"]

_NAME_MOST: Final = 25
_PASSWORD_BYTES: Final = 32


class ApiKey(Discreet, frozen=True, kw_only=True, gc=False):
    """An API key of a user. `key` appears in no repr."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name", "username", "expires")

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    username: str = ""
    """Whose key it is, by name."""
    user: int | None = None
    """Whose key it is, by id."""
    key: str = ""
    expires: Moment | None = None
    """When it ends; None for never."""
    created_by: str | None = None
    """Who made it, by user name."""
    extra: Mapping[str, Any] = no_extra()


class ApiKeyChanges(TypedDict, total=False):
    """The settings that `api_keys.update` can change. What is not given stays unchanged."""

    name: str
    user: int | User
    expires: datetime | None


def _name(value: object, what: str) -> str:
    return arguments.short_text(value, what, most=_NAME_MOST)


def _expires(value: object, what: str) -> str:
    del what
    return codec.instant(arguments.expiry(value))


_CHECKS: Final[arguments.Checks] = {
    "name": _name,
    "user": arguments.object_id,
    "expires": ("expiration", arguments.or_none(_expires)),
}
_WIRE: Final[Wire] = {"expires": "expiration"}
_ONE: Final = "/accounts/apikeys/{key:id}/"

LIST = read("api_keys.list", "/accounts/apikeys/", list[ApiKey], wire=_WIRE, secret=True)
CREATE = send("api_keys.create", "/accounts/apikeys/", needs="name user")
UPDATE = put("api_keys.update", _ONE)
DELETE = delete("api_keys.delete", _ONE)
_CREATE_LIMITED: Final = "api_keys.create_limited"


class ApiKeys(Resource):
    """The API keys of a stock server's users. All errors are `TRMMError`s.

    The keys themselves are in the answers, but appear in no repr and no error. Whoever may list keys may use
    each of them. A gateway raises `UnsupportedError`.
    """

    async def create(self, *, name: str, user: int | User, expires: datetime | None = None) -> ApiKey:
        """Create an API key for a user and return it, with the `key` itself. Never sent twice.

        Args:
            name: a unique name, of at most 25 characters.
            user: the user whose permissions the key has.
            expires: the moment when it expires, in the future and with a time zone; None for never.

        Raises:
            BadRequestError: there is a key of that name, or no such user.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """
        given: dict[str, object] = {"name": name, "user": user}
        if expires is not None:
            given["expires"] = expires
        body = arguments.settings(given, _CHECKS, CREATE.name)
        return await self._create(CREATE, LIST, body=body, is_it=partial(_is_it, body))

    async def create_limited(
        self,
        *,
        name: str,
        permissions: Iterable[str],
        clients: Clients,
        sites: Sites = (),
        expires: datetime | None = None,
    ) -> ApiKey:
        """Create an API key with only these permissions, with a role and a user of its own.

        All three have the same name. The user has a password that nobody knows, and can't log in. To revoke
        the key, delete the user and the role.

        Args:
            name: at most 25 characters that are allowed in user names: letters, digits and @ . + - _.
            permissions: the server's names of permissions, such as "can_run_scripts"; see `roles.create`.
            clients: the clients whose agents the key may see, or "all"; see `roles.create`.
            sites: single sites that it may see as well.
            expires: the moment when the key expires; None for never.

        Raises:
            BadRequestError: there is a role of that name, or no such client; nothing was created.
            HalfDoneError: the role was created, but the user or the key was not; `made` has what exists.
        """
        key = {"name": name} if expires is None else {"name": name, "expires": expires}
        body = arguments.settings(key, _CHECKS, CREATE.name)
        role = new_role(username(body["name"], "name"), permissions, clients, sites)
        await self._names(_CREATE_LIMITED).in_body(role, SEEN)
        return await self._on_stock(_CREATE_LIMITED, _limited(role, body))

    async def update(self, key: int | ApiKey, **changes: Unpack[ApiKeyChanges]) -> None:
        """Change settings of an API key: its `name`, its `user`, when it `expires` (None for never).

        The key itself can't be changed. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such key.
        """
        await self._send(UPDATE, key, body=arguments.settings(changes, _CHECKS, UPDATE.name))

    async def delete(self, key: int | ApiKey, *, with_access: bool = False) -> None:
        """Delete an API key, which is refused from then on. If it is gone already, that counts as success.

        Args:
            key: the API key object or its id.
            with_access: True confirms that programs which use the key may lose their access: the same key
                can't be created again.

        Raises:
            InvalidRequestError: `with_access` was not given; nothing was deleted.
            NotFoundError: there is no such key.
        """
        key_id = arguments.object_id(key, "key")
        refuse_loss(f"api_keys.delete: key {key_id}", with_access=with_access)
        await self._send(DELETE, key_id)

    async def list(self) -> list[ApiKey]:
        """List all API keys, with the keys themselves."""
        return await self._send(LIST)


def _is_it(body: Mapping[str, object], made: ApiKey) -> bool:
    return (made.name, made.user) == (body["name"], body["user"])


@plan
def _limited(role_body: Mapping[str, object], key_body: Mapping[str, object]) -> Steps[ApiKey]:
    name = key_body["name"]
    role_call: Call[None] = NEW_ROLE.call(body=role_body)
    role = yield from make("role", ROLES.call(), role_call, lambda made: made.name == name)
    made: list[object] = [role]
    try:
        login = {"username": name, "email": "", "role": role.id}
        password = hide(secrets.token_urlsafe(_PASSWORD_BYTES))
        user = yield from new_user({**login, "password": password}, dashboard_blocked=True)
        made.append(user)
        body = {**key_body, "user": user.id}
        return (yield from make("api key", LIST.call(), CREATE.call(body=body), partial(_is_it, body)))
    except HalfDoneError as error:
        raise HalfDoneError(error.why, (*made, *error.made)) from error
    except TRMMError as error:
        raise HalfDoneError(str(error), made) from error
