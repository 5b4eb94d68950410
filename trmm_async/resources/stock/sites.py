"""`trmm.sites`."""

from typing import Final, Unpack

from trmm_async import arguments
from trmm_async.dialects.stock.dialect import SITE
from trmm_async.dialects.stock.endpoint import delete, put, read, send
from trmm_async.dialects.stock.nouns import sites_of, sites_of_client
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Site
from trmm_async.resources.names import AnyClient, AnySite
from trmm_async.resources.resource import Resource
from trmm_async.resources.stock.custom_field_values import PLACES, PlaceSettings, created, wrapped
from trmm_async.resources.stock.field_numbers import with_numbers

__all__ = ["SiteChanges", "Sites"]


class SiteChanges(PlaceSettings, total=False):
    """The settings that `sites.update` can change. What is not given stays unchanged."""

    name: str
    client: AnyClient


_ONE: Final = "/clients/sites/{site:id}/"

LIST = read("sites.list", "/clients/sites/", list[Site], decode=sites_of)
OF_CLIENT = read("sites.list", "/clients/{client:id}/", list[Site], decode=sites_of_client)
CREATE = send("sites.create", "/clients/sites/", needs="site")
UPDATE = put("sites.update", _ONE, needs="site")
DELETE = delete("sites.delete", _ONE)


_CHECKS: Final[arguments.Checks] = {
    "name": arguments.place_name,
    "client": arguments.reference,
    **PLACES,
}


class Sites(Resource):
    """Sites of clients, on a stock server. All errors are `TRMMError`s.

    A gateway has only `trmm.clients.sites(client)`, and `find`; all other methods raise `UnsupportedError`
    there.
    """

    async def find(self, name: str, *, client: AnyClient | None = None) -> Site | None:
        """Find the site with this name, with its client, or None; on any server. Case is ignored.

        Args:
            name: the name of the site, or CLIENT/SITE.
            client: only sites of this client.

        Raises:
            AmbiguousNameError: several sites have that name; `client` may narrow them down.
            UnknownNameError: there is no such client.
        """
        wanted = arguments.plain_text(name, "name")
        found = await self._names().find_site(wanted, client)
        return None if found is None else (await with_numbers(self._api, [found]))[0]

    async def list(self, *, client: AnyClient | None = None) -> list[Site]:
        """List the sites of one client, or of all."""
        listed = await (self._send(LIST) if client is None else self._send(OF_CLIENT, client))
        return await with_numbers(self._api, listed)

    async def get(self, site: AnySite) -> Site:
        """Get one site.

        Raises:
            NotFoundError: there is no such site.
        """
        (found,) = await with_numbers(self._api, [await self._send(SITE, site)])
        return found

    async def create(self, *, client: AnyClient, name: str, **settings: Unpack[PlaceSettings]) -> Site:
        """Create a site of a client and return it. Never sent twice.

        Args:
            client: its id, its name, or the client.
            name: the site's name.
            settings: see `PlaceSettings`: policies, alert template, inheritance, custom fields.

        Raises:
            BadRequestError: the client has a site of that name.
            NotFoundError: there is no such client.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
        """
        arguments.reference(client, "client")
        given = arguments.settings({"name": name, **settings}, _CHECKS, CREATE.name)
        client_id = await self._names(CREATE.name).client(client)
        place = {"client": client_id, **given}
        return await self._on_stock(
            CREATE.name, created(OF_CLIENT.call(client_id), CREATE, "site", place, {})
        )

    async def update(self, site: AnySite, **changes: Unpack[SiteChanges]) -> None:
        """Change a site. Idempotent: sent again if an answer is lost.

        Args:
            site: the site or its id.
            changes: the settings to change: `name`; `client`, to which it moves with all its agents; and
                those of `PlaceSettings`: policies, alert template, inheritance, `custom_fields`.

        Raises:
            BadRequestError: it is the last site of its client, which needs one.
        """
        arguments.reference(site, "site")
        checked = arguments.settings(changes, _CHECKS, UPDATE.name)
        names = self._names(UPDATE.name)
        site_id = await names.site(site)
        if "client" in checked:
            checked["client"] = await names.client(checked["client"])
        await self._on_stock(UPDATE.name, wrapped(UPDATE, site_id, "site", checked))

    async def delete(self, site: AnySite, *, move_to_site: AnySite | None = None) -> None:
        """Delete a site. If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            site: the site or its id.
            move_to_site: the site to which its agents move. A site with agents can't be deleted without it.

        Raises:
            BadRequestError: it has agents, and no site was given; or it is the last site of its client.
            NotFoundError: there is no such site.
        """
        if move_to_site is not None:
            arguments.reference(move_to_site, "move_to_site")
        names = self._names(DELETE.name)
        site_id = await names.site(site)
        target = None if move_to_site is None else await names.site(move_to_site, "move_to_site")
        if target == site_id:
            raise InvalidRequestError(f"move_to_site: site {target} is the one that is to go")
        await self._send(DELETE, site_id, query={"move_to_site": target})
