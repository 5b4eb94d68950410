"""Clients and their sites.

Below: `world.py`, `custom_fields.py`. Above: `dialect.py`. Bodies are wrapped, as in `{"client": {...},
"site": {...}}`; every write is answered with a sentence, and none is all or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.forms import Field, Form
from trmm_async.testing.nouns import Site
from trmm_async.testing.routing import Route

from . import custom_fields
from .view import Fields, crash, invalid, refuse, said, whole
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Client
    from trmm_async.testing.replies import Asked, HTTPReply

    from .view import Json

__all__ = ["ClientsView"]

POLICIES = ("server_policy", "workstation_policy", "alert_template")


class ClientsView:
    """`/clients/` and `/clients/sites/`, with one of each below them."""

    def __init__(self, backend: Backend) -> None:
        self._world = backend.world
        self._database = backend.database
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        client, site = "/clients/{pk:int}/", "/clients/sites/{pk:int}/"
        return (
            Route("GET", "/clients/", self.list, "can_list_clients"),
            Route("POST", "/clients/", self.create, "can_manage_clients"),
            Route("GET", client, self.get, "can_list_clients"),
            Route("PUT", client, self.edit, "can_manage_clients"),
            Route("DELETE", client, self.delete, "can_manage_clients"),
            Route("GET", "/clients/sites/", self.list_sites, "can_list_sites"),
            Route("POST", "/clients/sites/", self.create_site, "can_manage_sites"),
            Route("GET", site, self.get_site, "can_list_sites"),
            Route("PUT", site, self.edit_site, "can_manage_sites"),
            Route("DELETE", site, self.delete_site, "can_manage_sites"),
        )

    # -- clients ---------------------------------------------------------------------------------------------

    def list(self, asked: Asked) -> HTTPReply:
        """`GET /clients/`: by their names, with counts; those, and the sites, that the role shows."""
        named = sorted(self._world.clients.values(), key=lambda client: client.name)
        shown = [client for client in named if self._visibility.shows_client(asked, client)]
        return said([self._client(asked, client) | self._counts(client) for client in shown])

    def create(self, asked: Asked) -> HTTPReply:
        """`POST /clients/`: a client with its first site. Without the site: 500, and the client exists."""
        body = Fields.of(asked)
        name = self._client_name(body.inner("client"))
        made = self._world.create_client(name)
        site = body.inner("site")["name"]
        try:
            self._world.create_site(made.id, self._site_name(site, made))
        except Exception:
            self._world.delete_client(made.id)
            raise
        self._place(made, body.inner("client"))
        custom_fields.edit(self._world, made, body.rows("custom_fields"))
        self._visibility.show_to_maker(asked, "clients", made.id)
        return said(f"{made.name} was added")

    def get(self, asked: Asked) -> HTTPReply:
        """`GET /clients/{id}/`: without the list's counts."""
        return said(self._client(asked, self._asked_client(asked)))

    def edit(self, asked: Asked) -> HTTPReply:
        """`PUT /clients/{id}/`: answered with a sentence in which the name was forgotten."""
        client, body = self._asked_client(asked), Fields.of(asked)
        changes = body.inner("client")
        if "name" in changes:
            client.name = self._client_name(changes, client)
        self._place(client, changes)
        custom_fields.edit(self._world, client, body.rows("custom_fields"))
        return said("{client} was updated")

    def delete(self, asked: Asked) -> HTTPReply:
        """`DELETE /clients/{id}/`: with `move_to_site` in the query if it has agents, which move there."""
        client = self._asked_client(asked)
        words = (
            "Agents exist under this client. There needs to be a site specified to move existing agents to"
        )
        self._move(asked, self._world.sites_of(client.id), words)
        self._world.delete_client(client.id)
        return said(f"{client.name} was deleted")

    # -- sites -----------------------------------------------------------------------------------------------

    def list_sites(self, asked: Asked) -> HTTPReply:
        """`GET /clients/sites/`: those that the role shows."""
        sites = self._world.sites.values()
        return said([_site(site) for site in sites if self._visibility.shows(asked, site)])

    def create_site(self, asked: Asked) -> HTTPReply:
        """`POST /clients/sites/`."""
        body = Fields.of(asked)
        fields = body.inner("site")
        key = fields["client"]
        if isinstance(key, int):
            self._visibility.check_client(asked, key)
        client = self._client_of(key)
        made = self._world.create_site(client.id, self._site_name(fields.get("name"), client))
        self._place(made, fields)
        custom_fields.edit(self._world, made, body.rows("custom_fields"))
        self._visibility.show_to_maker(asked, "sites", made.id)
        return said(f"Site {made.name} was added!")

    def get_site(self, asked: Asked) -> HTTPReply:
        """`GET /clients/sites/{id}/`."""
        return said(_site(self._asked_site(asked)))

    def edit_site(self, asked: Asked) -> HTTPReply:
        """`PUT /clients/sites/{id}/`: its name, and its client unless that would be left without a site."""
        site, body = self._asked_site(asked), Fields.of(asked)
        changes = body.inner("site")
        client = site.client
        if "client" in changes and changes["client"] != client.id:
            if len(self._world.sites_of(client.id)) == 1:
                refuse("A client must have at least one site")
            client = self._client_of(changes["client"])
        if "name" in changes:
            site.name = self._site_name(changes["name"], client, site)
        site.client = client
        self._place(site, changes)
        custom_fields.edit(self._world, site, body.rows("custom_fields"))
        return said("Site was edited")

    def delete_site(self, asked: Asked) -> HTTPReply:
        """`DELETE /clients/sites/{id}/`: as with a client; the last site of one stays."""
        site = self._asked_site(asked)
        if len(self._world.sites_of(site.client.id)) == 1:
            refuse("A client must have at least 1 site.")
        self._move(asked, [site], "There needs to be a site specified to move the agents to")
        self._world.delete_site(site.id)
        return said(f"{site.name} was deleted")

    # -- checks ----------------------------------------------------------------------------------------------

    def _asked_client(self, asked: Asked) -> Client:
        client = self._world.client(int(asked.params["pk"]))
        self._visibility.check_client(asked, client.id)
        return client

    def _asked_site(self, asked: Asked) -> Site:
        site = self._world.site(int(asked.params["pk"]))
        self._visibility.check_site(asked, site.id)
        return site

    def _client_of(self, key: object) -> Client:
        if not isinstance(key, int) or key not in self._world.clients:
            invalid(client=f'Invalid pk "{key}" - object does not exist.')
        return self._world.clients[key]

    def _move(self, asked: Asked, sites: Sequence[Site], words: str) -> None:
        """Move the agents of sites that are to be deleted; refuse in these words without a destination."""
        moving = [agent for agent in self._world.agents.values() if agent.site in sites]
        if moving and "move_to_site" not in asked.row.query:
            refuse(words)
        if moving:
            target = self._world.site(whole(asked.row.query["move_to_site"]))
            self._visibility.check_site(asked, target.id)
            # The database would not delete a site to which its own agents have been moved.
            if target in sites:
                crash()
            for agent in moving:
                agent.site = target

    def _place(self, it: Client | Site, changes: Fields) -> None:
        """Set what both have: policies, an alert template, and whether they inherit."""
        known = {
            "server_policy": self._database.policies,
            "workstation_policy": self._database.policies,
            "alert_template": self._database.alert_templates,
        }
        sites = [it] if isinstance(it, Site) else self._world.sites_of(it.id)
        for name, table in known.items():
            if name not in changes:
                continue
            before = getattr(it, name)
            setattr(it, name, Form({name: Field.key(table.__contains__)}).read(changes)[name])
            if name != "alert_template" and getattr(it, name) != before:
                kind = name.removesuffix("_policy")
                self._database.policy_cache.forget(*(f"site_{kind}_*{site.id}_*" for site in sites))
        if "block_policy_inheritance" in changes:
            form = Form({"block_policy_inheritance": Field.flag()})
            it.block_policy_inheritance = bool(form.read(changes)["block_policy_inheritance"])

    def _client_name(self, fields: Fields, itself: Client | None = None) -> str:
        name = _name(fields.get("name"))
        if any(client.name == name for client in self._world.clients.values() if client is not itself):
            invalid(name="client with this name already exists.")
        if "|" in name:
            invalid(non_field_errors="Client name cannot contain the | character")
        return name

    def _site_name(self, value: object, client: Client, itself: Site | None = None) -> str:
        name = _name(value)
        if any(site.name == name for site in self._world.sites_of(client.id) if site is not itself):
            invalid(non_field_errors="The fields client, name must make a unique set.")
        if "|" in name:
            invalid(non_field_errors="Site name cannot contain the | character")
        return name

    # -- shapes ----------------------------------------------------------------------------------------------

    def _client(self, asked: Asked, it: Client) -> Json:
        sites = sorted(self._world.sites_of(it.id), key=lambda site: site.name)
        sites = [site for site in sites if self._visibility.shows(asked, site)]
        return {
            "id": it.id,
            "name": it.name,
            **{name: getattr(it, name) for name in POLICIES},
            "block_policy_inheritance": it.block_policy_inheritance,
            "sites": [_site(site) | self._counts(site) for site in sites],
            "custom_fields": custom_fields.shown(it.custom_fields, "client", it.id),
            "failing_checks": {"error": False, "warning": False},
        }

    def _counts(self, it: Client | Site) -> Json:
        agents = [
            agent for agent in self._world.agents.values() if it is agent.site or it is agent.site.client
        ]
        return {
            "agent_count": len(agents),
            "maintenance_mode": any(agent.maintenance_mode for agent in agents),
        }


def _name(value: object) -> str:
    if value is None:
        invalid(name="This field is required.")
    if not str(value).strip():
        invalid(name="This field may not be blank.")
    return str(value)


def _site(it: Site) -> Json:
    return {
        "id": it.id,
        "name": it.name,
        **{name: getattr(it, name) for name in POLICIES},
        "client_name": it.client.name,
        "client": it.client.id,
        "custom_fields": custom_fields.shown(it.custom_fields, "site", it.id),
        "block_policy_inheritance": it.block_policy_inheritance,
        "failing_checks": {"error": False, "warning": False},
    }
