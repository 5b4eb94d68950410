"""`--proxy`, `--ca`, `--cert`, and their variables and keys of profiles."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage
from tests.peer import always, answer, peer
from tests.proxies import Proxy, contexts, proxy
from trmm_async import TRMM, ConnectionFailedError


@pytest.fixture
def between(gateway: Backstage) -> Iterator[Proxy]:
    running = proxy(login="user:s3cr3t")
    loop = gateway._loop
    yield asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(30)
    asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(30)


class TestTheProxy:
    def test_of_an_option_is_used(self, cli: Cli, between: Proxy) -> None:
        said = cli("agents", "--json", "--proxy", between.url)
        assert (said.code, len(said.data)) == (0, 20)
        assert len(between.heads) == 1
        wrong = cli("agents", f"--proxy={between.url.replace('s3cr3t', 'wr0ng')}")
        assert wrong.code == 1
        assert "answered 407" in wrong.error
        assert "wr0ng" not in wrong.error
        assert "doctor" in wrong.error
        assert cli("doctor", "--proxy", between.url).code == 0

    def test_that_can_t_be_is_a_wrong_use(self, cli: Cli, gateway: Backstage) -> None:
        said = cli("agents", "--proxy", "socks5://u:s3cr3t@proxy")
        assert said.code == 2
        assert "SOCKS is not supported" in said.error

    def test_is_kept_by_a_login(self, cli: Cli, gateway: Backstage, between: Proxy, bare: Path) -> None:
        words = ("login", "--url", gateway.url, "--key-stdin", "--proxy", between.url)
        assert cli(*words, typed=gateway.api_key).code == 0
        assert f'proxy = "{between.url}"' in bare.read_text()
        tunnels = len(between.heads)
        assert tunnels > 0
        assert cli("agents", "--json").code == 0
        assert len(between.heads) == tunnels + 1
        bare.chmod(0o644)
        assert "the password of proxy in" in cli("agents").error


class TestTheCertificates:
    @pytest.mark.parametrize("kept_together", [False, True])
    async def test_are_trusted_and_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_together: bool
    ) -> None:
        serving, certificate, key = contexts(tmp_path, asks_back=True)
        both = tmp_path / "with:colon.pem"
        both.write_text(certificate.read_text() + key.read_text())
        async with peer(always(answer()), tls=serving) as server:
            found = {"TRMM_URL": server.url, "TRMM_API_KEY": "k", "TRMM_DIALECT": "gateway"}
            for name, value in found.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("TRMM_CA", str(certificate))
            async with TRMM.from_env(retries=0) as trmm:
                with pytest.raises(ConnectionFailedError):
                    await trmm.clients.list()
            monkeypatch.setenv("TRMM_CERT", str(both) if kept_together else f"{certificate}:{key}")
            async with TRMM.from_env(retries=0) as trmm:
                assert await trmm.clients.list() == []
            assert len(server.requests) == 1

    def test_that_can_t_be_read_are_a_wrong_use(self, cli: Cli, gateway: Backstage, tmp_path: Path) -> None:
        for option in ("--ca", "--cert"):
            said = cli("agents", option, str(tmp_path / "gone"))
            assert said.code == 2
            assert "No such file" in said.error
