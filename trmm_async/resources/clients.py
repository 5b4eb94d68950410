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

    async def create(self, *, name: str) -> Client:
        """Create a client and return it; administrators only. Never sent twice.

        Raises:
            OutcomeUnknownError: sent, and the answer was lost: it may exist.
        """
        name = arguments.plain_text(name, "name")
        return await self._api.send(lambda dialect: dialect.create_client(name))

    async def list(self) -> list[Client]:
        """All clients, each with its sites."""
        return await self._api.send(lambda dialect: dialect.list_clients())
