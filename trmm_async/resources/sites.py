"""`trmm.sites`."""

from collections.abc import Mapping

from trmm_async import arguments
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Client, ClientRef, Site, SiteRef
from trmm_async.resources.api import Api
from trmm_async.resources.stock.custom_fields import CustomField

__all__ = ["Sites"]


class Sites:
    """Sites of clients, on a stock server. Every method raises `TRMMError`s only.

    A gateway knows those of a client alone, `trmm.clients.sites(client)`: the methods here are an
    `UnsupportedError`.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self, *, client: int | Client | ClientRef | None = None) -> list[Site]:
        """The sites of one client, or of all."""
        client_id = None if client is None else arguments.object_id(client, "client")
        return await self._api.send(lambda dialect: dialect.beyond("sites.list").find_sites(client_id))

    async def get(self, site: int | Site | SiteRef) -> Site:
        """One site.

        Raises:
            NotFoundError: there is no such site.
        """
        site_id = arguments.object_id(site, "site")
        return await self._api.send(lambda dialect: dialect.beyond("sites.get").get_site(site_id))

    async def create(self, *, client: int | Client | ClientRef, name: str) -> Site:
        """Create a site of a client and return it. Never sent twice.

        Raises:
            BadRequestError: the client has a site of that name.
            NotFoundError: there is no such client.
            OutcomeUnknownError: sent, and the answer was lost: it may exist.
            UnidentifiedError: it was created, and can't be told from others.
        """
        client_id = arguments.object_id(client, "client")
        name = arguments.plain_text(name, "name").strip()
        return await self._api.send(
            lambda dialect: dialect.beyond("sites.create").create_site(client_id, name)
        )

    async def update(
        self,
        site: int | Site | SiteRef,
        *,
        name: str | None = None,
        client: int | Client | ClientRef | None = None,
        custom_fields: Mapping[int | CustomField, object] | None = None,
    ) -> None:
        """Change what is given of a site. Repeated by us if an answer is lost: twice is once.

        Args:
            site: its id, or the site.
            name: its new name.
            client: the client that it is to belong to, with all its agents.
            custom_fields: as for `clients.update`.

        Raises:
            BadRequestError: it is the last site of its client, which can't be without one.
        """
        site_id = arguments.object_id(site, "site")
        changes = arguments.changes(
            {
                "name": None if name is None else arguments.plain_text(name, "name").strip(),
                "client": None if client is None else arguments.object_id(client, "client"),
                "custom_fields": None if custom_fields is None else arguments.field_values(custom_fields),
            }
        )
        await self._api.send(lambda dialect: dialect.beyond("sites.update").update_site(site_id, changes))

    async def delete(
        self, site: int | Site | SiteRef, *, move_to_site: int | Site | SiteRef | None = None
    ) -> None:
        """Remove a site. Gone already, after a lost answer, counts as success.

        Args:
            site: its id, or the site.
            move_to_site: where its agents go. A site with agents can't go without.

        Raises:
            BadRequestError: it has agents, and no site was named; or it is the last of its client.
            NotFoundError: there is no such site.
        """
        site_id = arguments.object_id(site, "site")
        target = None if move_to_site is None else arguments.object_id(move_to_site, "move_to_site")
        if target == site_id:
            raise InvalidRequestError(f"move_to_site: site {target} is the one that is to go")
        await self._api.send(lambda dialect: dialect.beyond("sites.delete").delete_site(site_id, target))
