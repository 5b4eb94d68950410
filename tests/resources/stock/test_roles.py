"""`trmm.roles`, and what they do to what a key may."""

import pytest

from tests.servers import count, served
from trmm_async import (
    InvalidRequestError,
    NotFoundError,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")
PASSWORD = "Placeholder-Passw0rd"


class TestRoles:
    async def test_are_made_changed_and_removed(self) -> None:
        async with served("stock", agents=4) as (_, trmm):
            client = (await trmm.clients.list())[0]
            made = await trmm.roles.create(
                name="Helpdesk", permissions=["can_list_agents", "can_run_scripts"], clients=[client]
            )
            assert made.permissions == ("can_list_agents", "can_run_scripts")
            assert (made.clients, made.sites, made.sees_all) == ((client.id,), (), False)
            await trmm.roles.update(made, grant=["can_reboot_agents"], revoke=["can_run_scripts"])
            assert (await trmm.roles.get(made)).permissions == ("can_list_agents", "can_reboot_agents")
            await trmm.roles.update(made, permissions=["can_list_notes"], clients="all", name="Notes")
            changed = await trmm.roles.get(made)
            assert (changed.name, changed.permissions, changed.sees_all) == (
                "Notes",
                ("can_list_notes",),
                True,
            )
            assert changed in await trmm.roles.list()
            await trmm.roles.delete(changed)
            with pytest.raises(NotFoundError):
                await trmm.roles.get(changed)

    async def test_all_is_said_explicitly(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match='say clients="all"'):
                await trmm.roles.create(name="x", clients=[])
            with pytest.raises(InvalidRequestError, match='say clients="all"'):
                await trmm.roles.update(1, clients=[])
            with pytest.raises(InvalidRequestError, match="leave sites out"):
                await trmm.roles.create(name="x", clients="all", sites=[1])
            with pytest.raises(InvalidRequestError, match="clients must be"):
                await trmm.roles.create(name="x", clients="Acme")
            with pytest.raises(InvalidRequestError, match="permissions must be one of"):
                await trmm.roles.create(name="x", clients="all", permissions=["can_fly"])
            with pytest.raises(InvalidRequestError, match="nothing to change"):
                await trmm.roles.update(1)
            assert server.requests == []

    async def test_one_in_use_is_not_removed_by_the_way(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            role = await trmm.roles.create(name="Ops", clients="all", permissions=["can_list_agents"])
            user = await trmm.users.create(username="tech1", password=PASSWORD, role=role.id)
            assert user.role == role.id
            with pytest.raises(InvalidRequestError, match="1 users have the role 'Ops'"):
                await trmm.roles.delete(role)
            assert count(server, "DELETE") == 0
            await trmm.roles.delete(role, in_use=True)
            assert (await trmm.users.get(user)).role is None
