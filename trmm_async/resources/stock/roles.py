"""`trmm.roles`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from trmm_async import arguments, codec
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.endpoint import delete, put, read, send
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Moment, Noun, no_extra
from trmm_async.resources.names import AnyClient, AnySite
from trmm_async.resources.resource import Resource

__all__ = ["NEW_ROLE", "ROLES", "Role", "Roles", "new_role"]

_RIGHTS: Final = """
list_agents use_mesh uninstall_agents update_agents edit_agent manage_procs view_eventlogs send_cmd
reboot_agents install_agents run_scripts run_bulk recover_agents list_agent_history send_wol use_registry
use_terminal list_notes manage_notes view_core_settings edit_core_settings do_server_maint code_sign
run_urlactions view_customfields manage_customfields run_server_scripts use_webterm view_global_keystore
edit_global_keystore view_schedules manage_schedules list_checks manage_checks run_checks list_clients
manage_clients list_sites manage_sites list_deployments manage_deployments list_automation_policies
manage_automation_policies list_autotasks manage_autotasks run_autotasks view_auditlogs list_pendingactions
manage_pendingactions view_debuglogs list_scripts manage_scripts list_alerts manage_alerts
list_alerttemplates manage_alerttemplates manage_winsvcs list_software manage_software manage_winupdates
list_accounts manage_accounts list_roles manage_roles list_api_keys manage_api_keys view_reports
manage_reports
"""
_PERMISSIONS: Final = tuple(f"can_{right}" for right in _RIGHTS.split())
SEEN: Final[Mapping[str, str]] = {"can_view_clients": "client", "can_view_sites": "site"}
"""What a role sees; it can be given by name."""

Clients: TypeAlias = Literal["all"] | Iterable[AnyClient]
Sites: TypeAlias = Iterable[AnySite]


class Role(Noun, frozen=True, kw_only=True, gc=False):
    """A role: the `permissions` of its users, by the server's names, such as "can_run_scripts".

    `clients` and `sites` are the ids of those that they may see. If both are empty they see all: `sees_all`.
    """

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    superuser: bool | None = None
    """Whether its users may do everything."""
    permissions: tuple[str, ...] = ()
    clients: tuple[int, ...] = ()
    sites: tuple[int, ...] = ()
    user_count: int | None = None
    """How many users have it."""
    created_by: str | None = None
    """Who made it, by user name."""
    modified_by: str | None = None
    """Who changed it last, by user name."""
    modified_time: Moment | None = None
    """When it was changed last."""
    extra: Mapping[str, Any] = no_extra()

    @property
    def sees_all(self) -> bool:
        """Whether the agents of all clients are seen."""
        return bool(self.superuser) or not (self.clients or self.sites)


class _Role(msgspec.Struct):
    id: int
    name: str = ""
    is_superuser: bool | None = None
    can_view_clients: tuple[int, ...] = ()
    can_view_sites: tuple[int, ...] = ()
    user_count: int | None = None
    created_by: str | None = None
    modified_by: str | None = None
    modified_time: Moment | None = None
    extra: Mapping[str, Any] = no_extra()


def _role(sent: _Role, everything: Mapping[str, Any]) -> Role:
    """All permissions that the server sends: a newer server may have more than we know."""
    return Role(
        id=sent.id,
        name=sent.name,
        superuser=sent.is_superuser,
        permissions=tuple(name for name, value in everything.items() if value is True and name[:4] == "can_"),
        clients=sent.can_view_clients,
        sites=sent.can_view_sites,
        user_count=sent.user_count,
        created_by=sent.created_by,
        modified_by=sent.modified_by,
        modified_time=sent.modified_time,
        extra=sent.extra,
    )


def _role_of(body: bytes) -> Role:
    return _role(codec.decoder(_Role)(body), codec.decoder(dict[str, Any])(body))


_ONE: Final = "/accounts/roles/{role:id}/"

ROLES = read("roles.list", "/accounts/roles/", list[Role], decode=codec.PairedDecoder(_Role, _role))
GET = read("roles.get", _ONE, Role, decode=_role_of)
NEW_ROLE = send("roles.create", "/accounts/roles/", needs="name")
UPDATE = put("roles.update", _ONE, needs="name")
DELETE = delete("roles.delete", _ONE)


class Roles(Resource):
    """The roles of a stock server's users. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    async def get(self, role: int | Role) -> Role:
        """Get one role.

        Raises:
            NotFoundError: there is no such role.
        """
        return await self._send(GET, role)

    async def create(
        self,
        *,
        name: str,
        permissions: Iterable[str] = (),
        clients: Clients,
        sites: Sites = (),
        superuser: bool = False,
    ) -> Role:
        """Create a role and return it. Never sent twice.

        Args:
            name: a unique name.
            permissions: the server's names, such as "can_run_scripts"; empty for a role that allows nothing.
            clients: the clients whose agents the users may see, by id, name or object; or "all", explicitly,
                since the server takes an empty list for all.
            sites: single sites that they may see as well; not with "all".
            superuser: True allows everything, on all agents.

        Raises:
            BadRequestError: there is a role of that name, or no such client or site.
            InvalidRequestError: there is no such permission.
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """
        body = new_role(name, permissions, clients, sites) | {
            "is_superuser": arguments.boolean(superuser, "superuser")
        }
        await self._names(NEW_ROLE.name).in_body(body, SEEN)
        return await self._create(NEW_ROLE, ROLES, body=body, is_it=lambda made: made.name == body["name"])

    async def update(
        self,
        role: int | Role,
        *,
        name: str | None = None,
        permissions: Iterable[str] | None = None,
        grant: Iterable[str] = (),
        revoke: Iterable[str] = (),
        clients: Clients | None = None,
        sites: Sites | None = None,
        superuser: bool | None = None,
    ) -> None:
        """Change a role, for all its users at once. Idempotent: sent again if an answer is lost.

        Args:
            role: the role or its id.
            name: the new name. The server needs the name in every change; if it is not given, it is read
                first.
            permissions: exactly these permissions.
            grant: permissions to add.
            revoke: permissions to take away.
            clients: the clients whose agents the users may see, or "all".
            sites: single sites that they may see as well; without `clients`, only these.
            superuser: whether everything is allowed.

        Raises:
            NotFoundError: there is no such role.
        """
        changes: dict[str, object] = {}
        if permissions is not None:
            wanted = _permissions(permissions, "permissions")
            changes |= {one: one in wanted for one in _PERMISSIONS}
        changes |= dict.fromkeys(_permissions(grant, "grant"), True)
        changes |= dict.fromkeys(_permissions(revoke, "revoke"), False)
        if clients is not None or sites is not None:
            changes |= _seen(() if clients is None else clients, () if sites is None else sites)
        if superuser is not None:
            changes["is_superuser"] = arguments.boolean(superuser, "superuser")
        new_name = None if name is None else arguments.plain_text(name, "name").strip()
        if not changes and new_name is None:
            raise InvalidRequestError("roles.update: nothing to change was given")
        number = arguments.object_id(role, "role")
        await self._names(UPDATE.name).in_body(changes, SEEN)
        await self._on_stock(UPDATE.name, _update(number, new_name, changes))

    async def delete(self, role: int | Role, *, in_use: bool = False) -> None:
        """Delete a role. If it is gone already, that counts as success.

        Args:
            role: the role or its id.
            in_use: True to remove one that users have: they may do nothing from then on, and their keys
                neither. Without it, such a role is left alone.

        Raises:
            InvalidRequestError: users have it, and `in_use` was not given; it was not removed.
            NotFoundError: there is no such role.
        """
        number = arguments.object_id(role, "role")
        if arguments.boolean(in_use, "in_use"):
            await self._send(DELETE, number)
        else:
            await self._on_stock(DELETE.name, _delete_unused(number))

    async def list(self) -> list[Role]:
        """List all roles."""
        return await self._send(ROLES)


def new_role(name: object, permissions: object, clients: object, sites: object) -> dict[str, object]:
    """Check the settings of a new role, and return its body."""
    body: dict[str, object] = {"name": arguments.plain_text(name, "name").strip()}
    return body | dict.fromkeys(_permissions(permissions, "permissions"), True) | _seen(clients, sites)


def _permissions(values: object, what: str) -> tuple[str, ...]:
    return tuple(arguments.choice(name, what, _PERMISSIONS) for name in arguments.names(values, what))


def _seen(clients: object, sites: object) -> dict[str, object]:
    """Require "all" to be said: the server takes empty lists for all clients."""
    some = arguments.references(sites, "sites")
    if clients == "all":
        if some:
            raise InvalidRequestError('clients="all" sees all sites: leave sites out')
        return {"can_view_clients": (), "can_view_sites": ()}
    if isinstance(clients, str):
        raise InvalidRequestError(f'clients must be "all" or a list of clients, as [{clients!r}]')
    ids = arguments.references(clients, "clients")
    if not ids and not some:
        raise InvalidRequestError(
            'clients and sites are empty, which the server takes for all: say clients="all"'
        )
    return {"can_view_clients": ids, "can_view_sites": some}


@plan
def _update(number: int, name: str | None, changes: Mapping[str, object]) -> Steps[None]:
    if name is None:
        name = (yield from GET.call(number)).name
    yield from UPDATE.call(number, body={"name": name, **changes})


@plan
def _delete_unused(number: int) -> Steps[None]:
    role = yield from GET.call(number)
    if role.user_count:
        raise InvalidRequestError(
            f"{role.user_count} users have the role {role.name!r} and could do nothing without it: "
            "give them another, or in_use=True"
        )
    yield from DELETE.call(number)
