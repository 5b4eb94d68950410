"""Users, roles, API keys and sessions, with what they do to what a key may."""

import json
import traceback
from datetime import UTC, datetime, timedelta

import pytest

from tests.servers import count, served
from trmm_async import (
    TRMM,
    ApiKey,
    AuthenticationError,
    BadRequestError,
    HalfDoneError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    Role,
    User,
    UserSession,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")
PASSWORD = "Placeholder-Passw0rd"


class TestUsers:
    async def test_are_made_found_changed_and_removed(self) -> None:
        async with served("stock", agents=1) as (_, trmm):
            made = await trmm.users.create(
                username="tech1", password=PASSWORD, email="t@example.com", first_name="Tina"
            )
            assert (made.username, made.email, made.first_name) == ("tech1", "t@example.com", "Tina")
            assert (made.active, made.dashboard_blocked, made.role) == (True, False, None)
            await trmm.users.update(made, last_name="Tech", active=False, date_format="YYYY")
            changed = await trmm.users.get(made)
            assert (changed.last_name, changed.active, changed.date_format) == ("Tech", False, "YYYY")
            assert await trmm.users.list(search="TECH") == [changed]
            await trmm.users.delete(changed)
            with pytest.raises(NotFoundError):
                await trmm.users.get(made)

    async def test_one_that_is_to_have_keys_alone_is_blocked_by_a_second_call(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            made = await trmm.users.create(username="ci", password=PASSWORD, dashboard_blocked=True)
            assert made.dashboard_blocked
            assert await trmm.users.get(made) == made
            server.fail("PUT", "/users/", status=400, times=None)
            with pytest.raises(HalfDoneError, match="logins could not be blocked") as caught:
                await trmm.users.create(username="ci2", password=PASSWORD, dashboard_blocked=True)
            (there,) = caught.value.made
            assert isinstance(there, User)
            assert there in await trmm.users.list()

    async def test_an_unknown_role_leaves_a_user_behind_which_is_told(self) -> None:
        async with served("stock", agents=1) as (_, trmm):
            with pytest.raises(HalfDoneError, match=r"no role 9999.*tech5") as caught:
                await trmm.users.create(username="tech5", password=PASSWORD, role=9999)
            assert isinstance(caught.value.__cause__, NotFoundError)
            assert [*caught.value.made] == await trmm.users.list(search="tech5")

    async def test_a_password_and_a_second_factor_are_set_anew(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            user = await trmm.users.create(username="tech1", password=PASSWORD)
            await trmm.users.set_password(user, "another")
            assert server.user("tech1").password == "another"
            server.user("tech1").totp_secret = "ABCDEFGH"
            await trmm.users.reset_totp(user)
            assert server.user("tech1").totp_secret is None
            with pytest.raises(NotFoundError):
                await trmm.users.set_password(99_999, "x")

    async def test_a_password_is_in_no_error(self) -> None:
        async with served("stock", agents=1) as (_, trmm):
            await trmm.users.create(username="tech1", password=PASSWORD)
            with pytest.raises(BadRequestError) as caught:
                await trmm.users.create(username="tech1", password=PASSWORD)
            assert "already exists" in str(caught.value)
            frames = [
                {name: repr(value) for name, value in frame.f_locals.items()}
                for frame, _ in traceback.walk_tb(caught.value.__traceback__)
                if "/trmm_async/" in frame.f_code.co_filename
            ]
            assert frames
            assert PASSWORD not in json.dumps(frames) + repr(caught.value)

    @pytest.mark.parametrize("name", ["", "tech one", "a/b", "x" * 151, None])
    async def test_a_name_that_can_be_none_is_refused(self, name: str) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="username"):
                await trmm.users.create(username=name, password=PASSWORD)
            assert server.requests == []

    async def test_sessions_are_listed_and_ended(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            user = await trmm.users.create(username="tech1", password=PASSWORD)
            [server.new_token(name) for name in ("tech1", "tech1", "admin")]
            first, second = await trmm.users.sessions.list(user)
            assert isinstance(first, UserSession)
            assert first.username == "tech1"
            await trmm.users.sessions.delete(first)
            assert await trmm.users.sessions.list(user) == [second]
            with pytest.raises(NotFoundError):
                await trmm.users.sessions.delete(first.digest)
            await trmm.users.sessions.delete_all(user)
            await trmm.users.sessions.delete_all(user)
            assert await trmm.users.sessions.list(user) == []
            (admin,) = await trmm.users.list(search="admin")
            assert len(await trmm.users.sessions.list(admin)) == 1


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


class TestApiKeys:
    async def test_are_made_changed_and_removed(self) -> None:
        async with served("stock", agents=1) as (_, trmm):
            user = (await trmm.users.list(search="admin"))[0]
            ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
            made = await trmm.api_keys.create(name="ci", user=user, expires=ends)
            assert (made.name, made.user, made.username, made.expires) == ("ci", user.id, "admin", ends)
            assert made.key
            assert made.key not in repr(made)
            await trmm.api_keys.update(made, name="ci2", expires=None)
            changed = next(key for key in await trmm.api_keys.list() if key.id == made.id)
            assert (changed.name, changed.expires, changed.key) == ("ci2", None, made.key)
            with pytest.raises(BadRequestError, match="already exists"):
                await trmm.api_keys.create(name="ci2", user=user)
            await trmm.api_keys.delete(made, with_access=True)
            assert made.id not in {key.id for key in await trmm.api_keys.list()}

    async def test_a_limited_one_may_what_was_said_and_no_more(self) -> None:
        async with served("stock", agents=2) as (server, trmm):
            key = await trmm.api_keys.create_limited(
                name="ci", permissions=["can_list_agents", "can_list_clients"], clients="all"
            )
            assert isinstance(key, ApiKey)
            (user,) = await trmm.users.list(search="ci")
            role = await trmm.roles.get(user.role or 0)
            assert (user.dashboard_blocked, role.name, role.user_count) == (True, "ci", 1)
            async with TRMM(server.url, api_key=key.key, dialect="stock") as limited:
                assert len(await limited.agents.list()) == 2
                with pytest.raises(PermissionDeniedError):
                    await limited.users.list()
                with pytest.raises(InvalidRequestError, match=r"API key 'ci': with_keys=True"):
                    await trmm.users.delete(user)
                assert len(await limited.agents.list()) == 2
                await trmm.users.delete(user, with_keys=True)
                with pytest.raises(AuthenticationError):
                    await limited.agents.list()

    async def test_of_a_limited_one_that_was_half_made_it_is_told_what_exists(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            server.fail("POST", "/accounts/apikeys/", status=400, times=1)
            with pytest.raises(HalfDoneError) as caught:
                await trmm.api_keys.create_limited(name="ci", permissions=[], clients="all")
            role, user = caught.value.made
            assert isinstance(role, Role)
            assert isinstance(user, User)
            await trmm.users.delete(user)
            await trmm.roles.delete(role)
            server.fail("POST", "/accounts/users/", status=400, times=1)
            with pytest.raises(HalfDoneError) as caught:
                await trmm.api_keys.create_limited(name="ci", permissions=[], clients="all")
            (role,) = caught.value.made
            assert isinstance(role, Role)

    async def test_what_is_wrong_is_said_before_anything_is_sent(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            with pytest.raises(InvalidRequestError, match="25 characters"):
                await trmm.api_keys.create(name="x" * 26, user=1)
            with pytest.raises(InvalidRequestError, match="time zone"):
                await trmm.api_keys.create(name="x", user=1, expires=datetime(2040, 1, 1))  # noqa: DTZ001
            with pytest.raises(InvalidRequestError, match="letters, digits"):
                await trmm.api_keys.create_limited(name="a b", permissions=[], clients="all")
            assert server.requests == []
