"""Making things of which the server does not tell the id, over real HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.servers import stock
from trmm_async import (
    TRMM,
    BadRequestError,
    ServerFaultError,
)
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


Making = Callable[[TRMM], Awaitable[Any]]


async def _site(trmm: TRMM) -> Any:
    return await trmm.sites.create(client=(await trmm.clients.list())[0], name="made")


MAKINGS: list[tuple[str, Making]] = [
    ("/scripts/", lambda trmm: trmm.scripts.create(name="made", shell="cmd", code="x")),
    ("/clients/sites/", _site),
    ("/core/customfields/", lambda trmm: trmm.custom_fields.create(name="made", model="site")),
    ("/core/keystore/", lambda trmm: trmm.key_store.create(name="made", value="v")),
]


@pytest.mark.parametrize(("path", "make"), MAKINGS, ids=[path for path, _ in MAKINGS])
class TestMaking:
    async def test_what_was_made_is_found_though_the_answer_was_lost(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.cut("POST", path)
            assert (await make(trmm)).name == "made"
            assert methods(server).count("POST") == 1

    async def test_what_was_not_made_is_not_made_up(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.fail("POST", path, status=500)
            with pytest.raises(ServerFaultError):
                await make(trmm)
            assert methods(server).count("POST") == 1

    async def test_a_refusal_is_a_refusal(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.fail("POST", path, status=400, body='"no"')
            with pytest.raises(BadRequestError, match="no"):
                await make(trmm)
