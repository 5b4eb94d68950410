"""`trmm.key_store`."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final, TypedDict, Unpack

from trmm_async import arguments
from trmm_async.dialects.stock.endpoint import delete, put, read, send
from trmm_async.models import Discreet, no_extra
from trmm_async.resources.resource import Resource, refuse_loss

__all__ = ["KeyStore", "KeyStoreChanges", "KeyStoreEntry"]

_name: Final = partial(arguments.short_text, most=25)


class KeyStoreEntry(Discreet, frozen=True, kw_only=True, gc=False):
    """What scripts use as `{{global.name}}`. The value is in no repr: it may be secret."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "name")

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    value: str = ""
    """What it stands for."""
    extra: Mapping[str, Any] = no_extra()


class KeyStoreChanges(TypedDict, total=False):
    """The settings that `key_store.update` can change. What is not given stays unchanged."""

    name: str
    value: str


_ONE: Final = "/core/keystore/{entry:id}/"

LIST = read("key_store.list", "/core/keystore/", list[KeyStoreEntry], secret=True)

CREATE = send("key_store.create", "/core/keystore/", needs="name value")
UPDATE = put("key_store.update", _ONE)
DELETE = delete("key_store.delete", _ONE)


class KeyStore(Resource):
    """The global key store of a stock server: what scripts use as `{{global.name}}`.

    All errors are `TRMMError`s; a gateway raises `UnsupportedError`. Values are in no repr.
    """

    async def list(self) -> list[KeyStoreEntry]:
        """List all entries, with their values."""
        return await self._send(LIST)

    async def create(self, *, name: str, value: str) -> KeyStoreEntry:
        """Create an entry and return it. Never sent twice.

        The server allows several entries with one name. It removes white space around a value. A name has at
        most 25 characters.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        name, value = _name(name, "name"), _value(value, "value")
        self._keep_out(value)
        body = {"name": name, "value": value}
        return await self._create(
            CREATE, LIST, body=body, is_it=lambda made: (made.name, made.value) == (name, value)
        )

    async def update(self, entry: int | KeyStoreEntry, **changes: Unpack[KeyStoreChanges]) -> None:
        """Change an entry: its `name`, its `value`. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such entry.
        """
        body = arguments.settings(changes, _CHECKS, UPDATE.name)
        self._keep_out(body.get("value", ""))
        await self._send(UPDATE, entry, body=body)

    async def delete(self, entry: int | KeyStoreEntry, *, with_value: bool = False) -> None:
        """Delete an entry. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            entry: the entry or its id.
            with_value: True confirms that its value may be lost.

        Raises:
            InvalidRequestError: that was not confirmed; nothing was deleted.
            NotFoundError: there is no such entry.
        """
        entry_id = arguments.object_id(entry, "entry")
        refuse_loss(f"key_store.delete: entry {entry_id}", with_value=with_value)
        await self._send(DELETE, entry_id)


def _value(value: object, what: str) -> str:
    return arguments.free_text(value, what).strip()


_CHECKS: Final[arguments.Checks] = {"name": _name, "value": _value}
