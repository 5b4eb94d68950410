"""`trmm.core`, over real HTTP."""

import pytest

from tests.servers import stock

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


class TestCore:
    async def test_the_server_tells_of_itself(self) -> None:
        async with stock() as (_, trmm):
            assert await trmm.core.version() == (await trmm.core.dashboard()).version == "1.5.1"
            settings = await trmm.core.settings()
            assert settings.default_time_zone
            assert "smtp_host_password" in settings.extra
