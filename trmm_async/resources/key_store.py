"""`trmm.key_store`."""

from typing import Final

from trmm_async import arguments
from trmm_async.administration import KeyStoreEntry
from trmm_async.errors import InvalidRequestError
from trmm_async.resources.api import Api

__all__ = ["KeyStore"]

_NAME_MOST: Final = 25


class KeyStore:
    """The global key store of a stock server: what scripts use as `{{global.name}}`.

    Methods raise `TRMMError`s only; on a gateway they are an `UnsupportedError`. Values are in no repr.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self) -> list[KeyStoreEntry]:
        """All entries, with their values."""
        return await self._api.send(lambda dialect: dialect.beyond("key_store.list").list_keys())

    async def create(self, *, name: str, value: str) -> KeyStoreEntry:
        """Create an entry and return it. Never sent twice.

        A name may be there already: the server does not mind. White space around a value is taken away, as
        the server does. A name has 25 characters at most.

        Raises:
            OutcomeUnknownError: sent, and the answer was lost: it may exist.
            UnidentifiedError: it was created, and can't be told from others.
        """
        name, value = _name(name), arguments.free_text(value, "value").strip()
        return await self._api.send(
            lambda dialect: dialect.beyond("key_store.create").create_key(name, value)
        )

    async def update(
        self, entry: int | KeyStoreEntry, *, name: str | None = None, value: str | None = None
    ) -> None:
        """Change what is given of an entry. Repeated by us if an answer is lost: twice is once.

        Raises:
            NotFoundError: there is no such entry.
        """
        key_id = arguments.object_id(entry, "entry")
        changes = arguments.changes(
            {
                "name": None if name is None else _name(name),
                "value": None if value is None else arguments.free_text(value, "value").strip(),
            }
        )
        await self._api.send(lambda dialect: dialect.beyond("key_store.update").update_key(key_id, changes))

    async def delete(self, entry: int | KeyStoreEntry) -> None:
        """Remove an entry. Gone already, after a lost answer, counts as success.

        Raises:
            NotFoundError: there is no such entry.
        """
        key_id = arguments.object_id(entry, "entry")
        await self._api.send(lambda dialect: dialect.beyond("key_store.delete").delete_key(key_id))


def _name(value: object) -> str:
    name = arguments.plain_text(value, "name").strip()
    if len(name) > _NAME_MOST:
        raise InvalidRequestError(f"name must have {_NAME_MOST} characters at most, {name!r} has {len(name)}")
    return name
