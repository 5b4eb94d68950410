"""A key that a callable gives: asked once for all, once more after a 401, and shown nowhere."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peer import Peer, Request, answer, peer
from trmm_async import TRMM, AuthenticationError, InvalidRequestError, KeySourceError
from trmm_async.testing import Simulator


class Vault:
    """Gives these keys in turn, the last one ever after."""

    def __init__(self, *keys: object) -> None:
        self.keys = keys
        self.asked = 0

    async def __call__(self) -> Any:
        key = self.keys[min(self.asked, len(self.keys) - 1)]
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(key, BaseException):
            raise key
        return key


@pytest.fixture(params=["gateway", "stock"])
async def server(request: pytest.FixtureRequest) -> Any:
    async with Simulator(agents=3, rate_limit=None, script_seconds=0.01, dialect=request.param) as simulator:
        yield simulator


def client(server: Simulator, vault: Callable[[], Any]) -> TRMM:
    dialect: Any = server.dialect
    return TRMM(server.url, api_key=vault, dialect=dialect)


async def test_it_is_asked_when_it_is_first_needed_and_once_for_all(server: Simulator) -> None:
    vault = Vault(server.api_key)
    async with client(server, vault) as trmm:
        assert vault.asked == 0
        await asyncio.gather(*(trmm.clients.list() for _ in range(20)), trmm.agents.list())
        async with trmm.agents.iter() as agents:
            assert len([agent async for agent in agents]) == 3
        await trmm.with_options(retries=1).clients.list()
    assert vault.asked == 1


async def test_a_plain_function_serves_too(server: Simulator) -> None:
    async with client(server, lambda: server.api_key) as trmm:
        assert await trmm.clients.list()


async def test_after_a_401_it_is_asked_once_more_for_all(server: Simulator) -> None:
    vault = Vault("old-key", server.api_key)
    async with client(server, vault) as trmm:
        await asyncio.gather(*(trmm.clients.list() for _ in range(20)), trmm.agents.list())
        view = trmm.with_options(retries=0)
        assert await view.clients.list()
    assert vault.asked == 2


async def test_a_change_whose_key_was_refused_is_made_once(server: Simulator) -> None:
    vault = Vault("old-key", server.api_key)
    async with client(server, vault) as trmm:
        await trmm.clients.create(name="New tenant")
        assert [one.name for one in await trmm.clients.list()].count("New tenant") == 1
    assert vault.asked == 2


async def test_a_run_whose_key_was_refused_runs_each_script_once(tmp_path: Path) -> None:
    async with Simulator(agents=3, rate_limit=None, script_seconds=0.01) as server:
        vault = Vault("old-key", server.api_key)
        async with client(server, vault) as trmm:
            run = trmm.fleet.run_script(server.agent_ids, 1, journal=tmp_path / "run.db")
            async with run:
                outcomes = [outcome async for outcome in run]
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Done"] * 3
        assert sorted(entry.agent_id for entry in server.runs) == sorted(server.agent_ids)
        assert vault.asked == 2


async def test_a_download_of_a_list_begins_again_with_the_new_key(server: Simulator) -> None:
    vault = Vault("old-key", server.api_key)
    async with client(server, vault) as trmm, trmm.agents.iter() as agents:
        assert len([agent async for agent in agents]) == 3
    assert vault.asked == 2


async def test_a_key_that_stays_refused_is_an_error_after_one_more_asking(
    server: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for keys in (("old-key",), ("old-key", "other-key")):
        vault = Vault(*keys)
        async with client(server, vault) as trmm:
            with pytest.raises(AuthenticationError) as caught:
                await trmm.clients.list()
            shown = f"{caught.value}{trmm!r}{trmm._api.transport.server!r}{caplog.text}"
            assert not any(key in shown for key in keys)
        assert vault.asked == 2


async def test_many_calls_with_a_key_that_stays_refused_ask_together(server: Simulator) -> None:
    vault = Vault("old-key")
    async with client(server, vault) as trmm:
        failed = await asyncio.gather(*(trmm.clients.list() for _ in range(10)), return_exceptions=True)
        assert {type(error) for error in failed} == {AuthenticationError}
    assert vault.asked == 2


async def test_what_it_raises_is_typed_and_nothing_is_sent(server: Simulator) -> None:
    broken = OSError("the vault is sealed")
    async with client(server, Vault(broken)) as trmm:
        with pytest.raises(KeySourceError, match="the callable that gives the key raised OSError") as caught:
            await trmm.clients.list()
        assert caught.value.__cause__ is broken
        assert trmm.stats.sent == 0


async def test_a_call_asks_twice_at_most_also_where_the_dialect_is_found_out_first() -> None:
    async with Simulator(agents=1, rate_limit=None) as server:
        vault = Vault("old-key", "other-key", server.api_key)
        async with TRMM(server.url, api_key=vault) as trmm:
            with pytest.raises(AuthenticationError):
                await trmm.clients.list()
            assert (vault.asked, trmm.dialect) == (2, "gateway")
            assert await trmm.clients.list()
        assert vault.asked == 3


async def test_another_key_may_be_let_in_where_a_page_refuses_the_first() -> None:
    async def door(server: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        page = b"<html><title>Who are you?</title></html>"
        is_old = request.headers["x-api-key"] == "old-key"
        writer.write(answer(page, "401 Unauthorized", Content_Type="text/html") if is_old else answer())
        return True

    async with peer(door) as server:
        vault = Vault("old-key", "new-key")
        async with TRMM(server.url, api_key=vault) as trmm:
            assert await trmm.clients.list() == []
            assert trmm.dialect == "gateway"
        assert vault.asked == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (None, "be text, not NoneType"),
        (b"key", "be text, not bytes"),
        (7, "be text, not int"),
        ("", "not be empty"),
        ("a\nb", "be plain ASCII"),
    ],
)
async def test_what_is_no_key_is_refused(server: Simulator, wrong: object, said: str) -> None:
    async with client(server, Vault(wrong)) as trmm:
        with pytest.raises(InvalidRequestError, match=f"^api_key must {said}"):
            await trmm.clients.list()
        assert trmm.stats.sent == 0


async def test_sockets_ask_again_too() -> None:
    async with Simulator(agents=3, rate_limit=None) as server:
        vault = Vault("old-key", server.api_key)
        async with client(server, vault) as trmm, trmm.events(server.agent_ids[0], snapshot=False) as events:
            assert events is not None
        assert vault.asked == 2
