"""`trmm.clients`."""

from typing import Final, Unpack

from trmm_async import arguments
from trmm_async.calls import Call, Steps, plan
from trmm_async.dialects.stock.dialect import CLIENTS, CREATE_CLIENT, FIRST_SITE
from trmm_async.dialects.stock.endpoint import delete, put, read
from trmm_async.dialects.stock.nouns import client_of
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Client, Site
from trmm_async.resources.names import CLIENT, AnyClient, AnySite
from trmm_async.resources.resource import Resource, refuse_loss
from trmm_async.resources.stock.custom_field_values import PLACES, PlaceSettings, created, wrapped
from trmm_async.resources.stock.field_numbers import with_numbers

__all__ = ["ClientChanges", "Clients"]


class ClientChanges(PlaceSettings, total=False):
    """The settings that `clients.update` can change. What is not given stays unchanged."""

    name: str


_ONE: Final = "/clients/{client:id}/"

GET = read("clients.get", _ONE, Client, decode=client_of)
UPDATE = put("clients.update", _ONE, needs="client")
DELETE = delete("clients.delete", _ONE)


_CHECKS: Final[arguments.Checks] = {
    "name": arguments.place_name,
    **PLACES,
}


class Clients(Resource):
    """Clients (customers, tenants) and their sites. All errors are `TRMMError`s."""

    async def sites(self, client: AnyClient) -> list[Site]:
        """List the sites of one client."""
        client_id = await self._names().client(client)
        sites = await self._api.send(lambda dialect: dialect.list_sites(client_id))
        return await with_numbers(self._api, sites)

    async def create(
        self, *, name: str, site: str | None = None, **settings: Unpack[PlaceSettings]
    ) -> Client:
        """Create a client and return it; administrators only. Never sent twice.

        Args:
            name: the client's name.
            site: the name of its first site, on a stock server, where every client has one ("Default" if not
                given).
            settings: see `PlaceSettings`; a stock server only: policies, alert template, inheritance, custom
                fields.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
            UnidentifiedError: it was created, but can't be distinguished from others.
            UnsupportedError: a site was named, and the server is a gateway.
        """
        # Without the spaces around them, which the server takes away: by its name it is found in the list.
        name = arguments.name(name, "name")
        first = None if site is None else arguments.name(site, "site")
        if settings:
            given = arguments.settings({"name": name, **settings}, _CHECKS, "clients.create")
            beside = {"site": {"name": arguments.place_name(first or FIRST_SITE, "site")}}
            plan = created(CLIENTS.call(), CREATE_CLIENT, "client", given, beside)
            return await self._on_stock("clients.create with settings", plan)
        return await self._api.send(lambda dialect: dialect.create_client(name, first))

    async def find(self, name: str) -> Client | None:
        """Find the client with this name, or None. Case is ignored. The client has its sites.

        Raises:
            AmbiguousNameError: several clients have names that differ only in case, or in how accents are
                composed.
        """
        return CLIENT.find(arguments.plain_text(name, "name"), await self.list())

    async def list(self) -> list[Client]:
        """List all clients, each with its sites."""
        return await with_numbers(self._api, await self._api.send(lambda dialect: dialect.list_clients()))

    async def get(self, client: AnyClient) -> Client:
        """Get one client with its sites; a stock server only.

        Raises:
            NotFoundError: there is no such client.
        """
        (found,) = await with_numbers(self._api, [await self._send(GET, client)])
        return found

    async def update(self, client: AnyClient, **changes: Unpack[ClientChanges]) -> None:
        """Change a client; a stock server only. Idempotent: sent again if an answer is lost.

        Args:
            client: the client, its id or its name.
            changes: the settings to change: `name`, and those of `PlaceSettings`: policies, alert template,
                inheritance, `custom_fields` (see `FieldValues`).

        Raises:
            InvalidRequestError: a value is wrong, or nothing is to change; nothing was changed.
            NotFoundError: there is no such client.
        """
        arguments.reference(client, "client")
        checked = arguments.settings(changes, _CHECKS, UPDATE.name)
        client_id = await self._names(UPDATE.name).client(client)
        await self._on_stock(UPDATE.name, wrapped(UPDATE, client_id, "client", checked))

    async def delete(
        self, client: AnyClient, *, with_sites: bool = False, move_to_site: AnySite | None = None
    ) -> None:
        """Delete a client and its sites; a stock server only.

        If an answer is lost and it is gone afterwards, that counts as success.

        Args:
            client: the client, its id or its name.
            with_sites: True deletes a client that has several sites, with them. Without it, the sites are
                looked up first, and such a client is not deleted.
            move_to_site: the site of another client to which its agents move. A client with agents can't be
                deleted without it.

        Raises:
            InvalidRequestError: it has several sites; nothing was deleted.
            BadRequestError: it has agents, and no site was given.
            NotFoundError: there is no such client, or site.
        """
        if move_to_site is not None:
            arguments.reference(move_to_site, "move_to_site")
        sites_too = arguments.boolean(with_sites, "with_sites")
        names = self._names(DELETE.name)
        client_id = await names.client(client)
        target = None if move_to_site is None else await names.site(move_to_site, "move_to_site")
        if isinstance(client, Client) and target in {site.id for site in client.sites}:
            raise InvalidRequestError(f"move_to_site: site {target} is one of the client that is to go")
        call = DELETE.call(client_id, query={"move_to_site": target})
        await self._on_stock(DELETE.name, call if sites_too else _delete_small(call, client_id))


@plan
def _delete_small(call: Call[None], client_id: int) -> Steps[None]:
    client = yield from GET.call(client_id)
    if len(client.sites) > 1:
        refuse_loss(f"clients.delete: client {client_id} has {len(client.sites)} sites", with_sites=False)
    yield from call
