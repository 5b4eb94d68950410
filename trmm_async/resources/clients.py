"""`trmm.clients`."""

from trmm_async import arguments
from trmm_async.models import Client, ClientRef, Site
from trmm_async.resources.api import Api

__all__ = ["Clients"]


class Clients:
    """Clients (customers, tenants) and their sites. Every method raises `TRMMError`s only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def sites(self, client: int | Client | ClientRef) -> list[Site]:
        """The sites of one client."""
        client_id = arguments.object_id(client, "client")
        return await self._api.send(lambda dialect: dialect.list_sites(client_id))

    async def create(self, *, name: str, site: str | None = None) -> Client:
        """Create a client and return it; administrators only. Never sent twice.

        Args:
            name: the client's name.
            site: the name of its first site, on a stock server, where none is without one ("Default" there).

        Raises:
            OutcomeUnknownError: sent, and the answer was lost: it may exist.
            UnidentifiedError: it was created, and can't be told from others.
            UnsupportedError: a site was named, and the server is a gateway.
        """
        name = arguments.plain_text(name, "name")
        first = None if site is None else arguments.plain_text(site, "site")
        return await self._api.send(lambda dialect: dialect.create_client(name, first))

    async def list(self) -> list[Client]:
        """All clients, each with its sites."""
        return await self._api.send(lambda dialect: dialect.list_clients())
