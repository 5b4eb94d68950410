"""`trmm.url_actions`."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final, Literal, TypedDict, Unpack

import msgspec

from trmm_async import arguments
from trmm_async.dialects.stock.endpoint import delete, put, read, send
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Discreet, no_extra
from trmm_async.resources.resource import Resource, refuse_in_use

__all__ = ["UrlAction", "UrlActionChanges", "UrlActions"]


class UrlAction(Discreet, frozen=True, kw_only=True, gc=False):
    """A URL with placeholders: one that people open ("web"), or one that the server calls ("rest").

    `rest_body` and `rest_headers` are texts that hold JSON. They may hold secrets, and are in no repr.
    """

    _shown: ClassVar[tuple[str, ...]] = (
        "id",
        "name",
        "description",
        "pattern",
        "action_type",
        "rest_method",
    )

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    description: str | None = None
    """The description."""
    pattern: str = ""
    """The URL, with what is filled in."""
    action_type: str = ""
    """What kind of action it is."""
    rest_method: str = ""
    """The HTTP method."""
    rest_body: str = ""
    rest_headers: str = ""
    extra: Mapping[str, Any] = no_extra()


class UrlActionChanges(TypedDict, total=False):
    """What can be set of a URL action; what is not given stays unchanged.

    `rest_headers` are a mapping, or a text that holds JSON, as `rest_body` is.
    """

    name: str
    description: str | None
    pattern: str
    action_type: Literal["web", "rest"]
    rest_method: Literal["get", "post", "put", "delete", "patch"]
    rest_body: str
    rest_headers: str | Mapping[str, str]


def _headers(value: object, what: str) -> str:
    if isinstance(value, Mapping):
        value = json.dumps(dict(value))
    text = arguments.free_text(value, what, empty=True)
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidRequestError(f"{what} must be a mapping, or a text that holds one as JSON")
    return text


def _values(body: Mapping[str, Any]) -> list[object]:
    """The values of its headers, which may be secrets."""
    return list(json.loads(body.get("rest_headers") or "{}").values())


_CHECKS: Final[arguments.Checks] = {
    "name": partial(arguments.short_text, most=255),
    "description": ("desc", arguments.or_none(partial(arguments.short_text, most=255, empty=True))),
    "pattern": arguments.name,
    "action_type": partial(arguments.choice, allowed=("web", "rest")),
    "rest_method": partial(arguments.choice, allowed=("get", "post", "put", "delete", "patch")),
    "rest_body": partial(arguments.free_text, empty=True),
    "rest_headers": _headers,
}
_OF_A_CALL: Final = frozenset({"action_type", "rest_method", "rest_body", "rest_headers"})

_EVERY: Final = "/core/urlaction/"
_ONE: Final = "/core/urlaction/{action:id}/"

LIST = read("url_actions.list", _EVERY, list[UrlAction], wire={"description": "desc"})
CREATE = send("url_actions.create", _EVERY)
UPDATE = put("url_actions.update", _ONE)
DELETE = delete("url_actions.delete", _ONE)


class _Template(msgspec.Struct):
    """The part of an alert template that says what it calls."""

    name: str = ""
    action_rest: int | None = None
    resolved_action_rest: int | None = None


TEMPLATES = read("url_actions.delete", "/alerts/templates/", list[_Template])


class _UrlActionOptions(TypedDict, total=False):
    description: str | None
    action_type: Literal["web", "rest"]
    rest_method: Literal["get", "post", "put", "delete", "patch"]
    rest_body: str
    rest_headers: str | Mapping[str, str]


class UrlActions(Resource):
    """URL actions of a stock server. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    async def create(self, *, name: str, pattern: str, **settings: Unpack[_UrlActionOptions]) -> UrlAction:
        """Create a URL action and return it. Never sent twice.

        Args:
            name: the name; several actions may have the same.
            pattern: the URL, with placeholders such as `{{agent.hostname}}`.
            settings: see `UrlActionChanges`.

        Raises:
            UnsupportedError: also if the server is to call it, and is older than 0.19.0; nothing was sent.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        given: dict[str, object] = {"name": name, "pattern": pattern, **settings}
        body = arguments.settings(given, _CHECKS, CREATE.name)
        self._keep_out(*_values(body))
        await self._check_calls(body, CREATE.name)
        wanted = (body["name"], body["pattern"])
        return await self._create(
            CREATE, LIST, body=body, is_it=lambda made: (made.name, made.pattern) == wanted
        )

    async def update(self, action: int | UrlAction, **changes: Unpack[UrlActionChanges]) -> None:
        """Change settings of a URL action. Idempotent: sent again if an answer is lost.

        Raises:
            UnsupportedError: as for `create`.
            NotFoundError: there is no such action.
        """
        action_id = arguments.object_id(action, "action")
        body = arguments.settings(changes, _CHECKS, UPDATE.name)
        self._keep_out(*_values(body))
        await self._check_calls(body, UPDATE.name)
        await self._send(UPDATE, action_id, body=body)

    async def delete(self, action: int | UrlAction, *, in_use: bool = False) -> None:
        """Delete a URL action. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            action: the action or its id.
            in_use: True deletes one that alert templates call, too: they do nothing then. Otherwise these
                are looked up first, and it is left alone.

        Raises:
            InvalidRequestError: it is in use; nothing was deleted.
            NotFoundError: there is no such action.
        """
        action_id = arguments.object_id(action, "action")
        if not arguments.boolean(in_use, "in_use"):
            users = [
                f"the alert template {template.name!r}"
                for template in await self._send(TEMPLATES)
                if action_id in {template.action_rest, template.resolved_action_rest}
            ]
            refuse_in_use(f"url_actions.delete: action {action_id}", users)
        await self._send(DELETE, action_id)

    async def list(self) -> list[UrlAction]:
        """List all URL actions. There is no call for a single one."""
        return await self._send(LIST)

    async def _check_calls(self, body: Mapping[str, object], method: str) -> None:
        """Refuse an action that the server is to call if it is too old: it would ignore that in silence."""
        if body.get("action_type") != "web" and body.keys() & _OF_A_CALL:
            makes_a_link = "it would make a link, and call nothing"
            await self._api.require_since(method, 'action_type="rest"', "0.19.0", makes_a_link)
