"""Clients and sites of a stock server, one by one. Their bodies are wrapped: `{"client": {…}}`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from trmm_async import codec
from trmm_async.calls import Call, Plan, Replay, Steps
from trmm_async.dialects.library import Changes
from trmm_async.dialects.stock.editing import custom_field_values
from trmm_async.dialects.stock.making import make
from trmm_async.dialects.stock.wording import change, get
from trmm_async.models import Client, ClientRef, Site, no_extra

__all__ = ["StockPlaces"]


class StockPlaces:
    """See `Library`."""

    def get_client(self, client_id: int) -> Call[Client]:
        return get(f"/clients/{client_id}/", codec.decoder(Client))

    def update_client(self, client_id: int, changes: Changes) -> Plan[None]:
        return Plan(partial(_put, f"/clients/{client_id}/", "client", changes))

    def delete_client(self, client_id: int, move_to: int | None) -> Call[None]:
        return _delete(f"/clients/{client_id}/", move_to)

    def find_sites(self, client_id: int | None) -> Call[list[Site]]:
        if client_id is None:
            return get("/clients/sites/", _sites)
        return get(f"/clients/{client_id}/", _sites_of_client)

    def get_site(self, site_id: int) -> Call[Site]:
        return get(f"/clients/sites/{site_id}/", _site)

    def create_site(self, client_id: int, name: str) -> Plan[Site]:
        send = change("POST", "/clients/sites/", {"site": {"client": client_id, "name": name}})
        return make("site", self.find_sites(client_id), send, lambda site: site.name == name)

    def update_site(self, site_id: int, changes: Changes) -> Plan[None]:
        return Plan(partial(_put, f"/clients/sites/{site_id}/", "site", changes))

    def delete_site(self, site_id: int, move_to: int | None) -> Call[None]:
        return _delete(f"/clients/sites/{site_id}/", move_to)


def _put(path: str, model: str, changes: Changes) -> Steps[None]:
    """One call for all, which the server carries out in parts: custom fields are saved after the rest."""
    fields = {name: value for name, value in changes.items() if name != "custom_fields"}
    body: dict[str, Any] = {model: fields}
    if "custom_fields" in changes:
        body["custom_fields"] = yield from custom_field_values(model, changes["custom_fields"])
    yield from change("PUT", path, body, replay=Replay.IDEMPOTENT)


def _delete(path: str, move_to: int | None) -> Call[None]:
    call = change("DELETE", path)
    query = {} if move_to is None else {"move_to_site": str(move_to)}
    return msgspec.structs.replace(call, query=query)


class _Site(msgspec.Struct):
    id: int
    name: str = ""
    client: int | None = None
    client_name: str = ""
    extra: Mapping[str, Any] = no_extra()


class _Client(msgspec.Struct):
    sites: tuple[_Site, ...] = ()


def _sites(body: bytes) -> list[Site]:
    return [_noun(one) for one in codec.decoder(list[_Site])(body)]


def _sites_of_client(body: bytes) -> list[Site]:
    return [_noun(one) for one in codec.decoder(_Client)(body).sites]


def _site(body: bytes) -> Site:
    return _noun(codec.decoder(_Site)(body))


def _noun(sent: _Site) -> Site:
    client = ClientRef(id=sent.client, name=sent.client_name)
    return Site(id=sent.id, name=sent.name, client=client, extra=sent.extra)
