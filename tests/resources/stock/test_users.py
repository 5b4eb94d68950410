"""Users, roles, API keys and sessions, with what they do to what a key may."""

import json
import traceback

import pytest

from tests.servers import served
from trmm_async import (
    BadRequestError,
    HalfDoneError,
    InvalidRequestError,
    NotFoundError,
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
