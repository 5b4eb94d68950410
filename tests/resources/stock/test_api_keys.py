"""`trmm.api_keys`, over real HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.servers import served
from trmm_async import (
    TRMM,
    ApiKey,
    AuthenticationError,
    BadRequestError,
    HalfDoneError,
    InvalidRequestError,
    PermissionDeniedError,
    Role,
    User,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


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
