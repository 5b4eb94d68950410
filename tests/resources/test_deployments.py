"""`trmm.deployments`, with downloads of installers."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import Peer, Request, always, answer, peer
from tests.servers import served
from trmm_async import (
    TRMM,
    ConnectionFailedError,
    Deployment,
    InvalidRequestError,
    NotFoundError,
)
from trmm_async.resources.deployments import _write, safe_file_name

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

KEY = "key-for-tests"
AN_ARCH: dict[str, Any] = {"gateway": "arm64-mac", "stock": "amd64"}
INSTALLER = {"gateway": r"trmm-agent-{uuid}\.exe", "stock": r"trmm-\w+-\w+-server-amd64\.exe"}


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


class _CancelledAfter:
    """A coroutine that is cancelled at the wait behind so many others, before what it waits for is over."""

    def __init__(self, steps: int, work: Coroutine[Any, Any, object]) -> None:
        self._steps = steps
        self._work = work

    def __await__(self) -> Generator[Any, None, None]:
        for _ in range(self._steps):
            try:
                waited = self._work.send(None)
            except StopIteration:
                return
            yield waited
        try:
            self._work.send(None)
        except StopIteration:
            return
        self._work.throw(asyncio.CancelledError())


class TestDeployments:
    async def test_are_created_listed_and_revoked(self, dialect: str) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            client = (await trmm.clients.list())[0]
            made = await trmm.deployments.create(
                client=client, site=client.sites[0], expires=tomorrow(), arch=AN_ARCH[dialect]
            )
            assert made.client == client.id
            assert await trmm.deployments.list() == [made]
            await trmm.deployments.delete(made)
            assert await trmm.deployments.list() == []

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"expires": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001
            ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "future"),
            ({"expires": "tomorrow"}, "datetime"),
            ({"arch": "x86"}, "arch"),
            ({"client": 1.5}, "client"),
            ({"site": None}, "site"),
            ({"install_flags": "a\nb"}, "install_flags"),
        ],
    )
    async def test_wrong_ones_are_refused_before_anything_is_sent(
        self, dialect: str, wrong: dict[str, Any], said: str
    ) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            order: dict[str, Any] = {
                "client": 34,
                "site": 41,
                "expires": tomorrow(),
                "arch": "amd64",
                **wrong,
            }
            with pytest.raises(InvalidRequestError, match=said):
                await trmm.deployments.create(**order)
            assert server.requests == []

    async def test_the_installer_is_downloaded(self, dialect: str, tmp_path: Path) -> None:
        async with served(dialect, agents=1) as (server, trmm):
            made = await trmm.deployments.create(client=34, site=41, expires=tomorrow(), arch="amd64")
            steps: list[tuple[int, int | None]] = []
            path = await trmm.deployments.download(
                made, tmp_path / "new" / "folder", progress=lambda done, total: steps.append((done, total))
            )
            installer = server.installer(made.id)
            assert path.parent == tmp_path / "new" / "folder"
            assert re.fullmatch(INSTALLER[dialect].format(uuid=made.uuid), path.name)
            assert path.read_bytes() == installer
            assert steps[-1] == (len(installer), len(installer))
            again = await trmm.deployments.download(made.id, path.parent)
            assert [file.name for file in path.parent.iterdir()] == [again.name]

    async def test_redirects_are_followed_without_the_key(self, dialect: str, tmp_path: Path) -> None:
        async with served(dialect, agents=1) as (server, trmm), peer(always(answer(b"installer"))) as other:
            made = await trmm.deployments.create(client=34, site=41, expires=tomorrow(), arch="amd64")
            server.download_redirect_to = f"{other.url}/files/agent.exe?signature=1"
            path = await trmm.deployments.download(made, tmp_path)
            assert path.read_bytes() == b"installer"
            assert other.requests[0].target == "/files/agent.exe?hop=1"
            assert "x-api-key" not in other.requests[0].headers

    async def test_the_key_does_not_go_to_another_host_at_all(self, dialect: str, tmp_path: Path) -> None:
        async with peer(always(answer(b"installer"))) as other, served(dialect, agents=1) as (_, trmm):
            elsewhere = Deployment(id=1, uuid="u", download_url=f"{other.url}/a.exe")
            await trmm.deployments.download(elsewhere, tmp_path)
            assert "x-api-key" not in other.requests[0].headers

    async def test_a_circle_of_redirects_ends(self, tmp_path: Path) -> None:
        moved = answer(b"", "302 Found", Location="/again/")
        async with peer(always(moved)) as other, TRMM(other.url, api_key=KEY, dialect="gateway") as trmm:
            with pytest.raises(ConnectionFailedError, match="more than 5 redirects"):
                await trmm.deployments.download(Deployment(id=1, download_url=f"{other.url}/a/"), tmp_path)
            assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("url", ["ftp://example.com/a.exe", "file:///etc/passwd", "/relative/", ""])
    async def test_only_the_web_is_downloaded_from(self, url: str, tmp_path: Path) -> None:
        async with TRMM("https://api.example.com", api_key=KEY) as trmm:
            with pytest.raises(InvalidRequestError):
                await trmm.deployments.download(Deployment(id=1, download_url=url), tmp_path)

    async def test_an_https_server_does_not_lead_to_plain_http(self, tmp_path: Path) -> None:
        async with TRMM("https://api.example.com", api_key=KEY) as trmm:
            with pytest.raises(InvalidRequestError, match="plain http"):
                await trmm.deployments.download(
                    Deployment(id=1, download_url="http://api.example.com/a.exe"), tmp_path
                )

    async def test_a_broken_download_leaves_nothing(self, tmp_path: Path) -> None:
        cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000
        async with (
            peer(always(cut, stay=False)) as other,
            TRMM(other.url, api_key=KEY, dialect="gateway") as trmm,
        ):
            with pytest.raises(ConnectionFailedError):
                await trmm.deployments.download(Deployment(id=1, download_url=f"{other.url}/a.exe"), tmp_path)
            assert os.listdir(tmp_path) == []

    async def test_a_cancelled_download_leaves_nothing(self, tmp_path: Path) -> None:
        async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000)
            await asyncio.Event().wait()
            return False

        begun = asyncio.Event()
        async with peer(handle) as other, TRMM(other.url, api_key=KEY, dialect="gateway") as trmm:
            task = asyncio.create_task(
                trmm.deployments.download(
                    Deployment(id=1, download_url=f"{other.url}/a.exe"),
                    tmp_path,
                    progress=lambda done, total: begun.set(),
                )
            )
            async with asyncio.timeout(30):
                await begun.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert os.listdir(tmp_path) == []

    async def test_cancelled_at_any_step_it_leaves_nothing(self, tmp_path: Path) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        # One thread: what was begun there is over when the next thing is.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        target = tmp_path / "installer.exe"
        for steps in range(100):
            try:
                await _CancelledAfter(steps, _write(target, chunks(), None, None))
            except asyncio.CancelledError:
                await asyncio.to_thread(str)
                assert os.listdir(tmp_path) == [], f"cancelled at step {steps}"
            else:
                break
        assert (steps, target.read_bytes()) == (3, b"onetwo")

    async def test_an_expired_one_says_so(self, dialect: str, tmp_path: Path) -> None:
        async with served(dialect, agents=1) as (_, trmm):
            made = await trmm.deployments.create(client=34, site=41, expires=tomorrow(), arch="amd64")
            await trmm.deployments.delete(made)
            with pytest.raises(NotFoundError):
                await trmm.deployments.download(made, tmp_path)
            with pytest.raises(NotFoundError, match="no active deployment"):
                await trmm.deployments.download(made.id, tmp_path)

    @pytest.mark.parametrize(
        ("header", "name"),
        [
            ('attachment; filename="agent.exe"', "agent.exe"),
            ("attachment; filename=agent.pkg", "agent.pkg"),
            ('attachment; filename="../../etc/passwd"', "passwd"),
            ('attachment; filename="C:\\\\Windows\\\\evil.exe"', "evil.exe"),
            ("attachment; filename*=UTF-8''%c3%a9t%c3%a9.exe", "été.exe"),
            ("attachment; filename*=UTF-8''..%2F..%2Fx.exe", "x.exe"),
            ('attachment; filename=".."', "trmm-agent-uu.exe"),
            ('attachment; filename="..."', "trmm-agent-uu.exe"),
            ('attachment; filename=".bashrc"', "bashrc"),
            ('attachment; filename="CON.exe"', "trmm-agent-uu.exe"),
            ('attachment; filename="a<b>:c|d?.exe"', "abcd.exe"),
            ('attachment; filename="a\u202eexe.pkg"', "aexe.pkg"),
            ("attachment", "trmm-agent-uu.exe"),
            ("", "trmm-agent-uu.exe"),
        ],
    )
    def test_file_names_are_made_safe(self, header: str, name: str) -> None:
        deployment = Deployment(id=1, uuid="uu", download_url="https://x/y/download.exe")
        assert safe_file_name({"content-disposition": header}, deployment) == name

    @given(st.text(max_size=300))
    def test_whatever_the_header_says_the_name_is_one_plain_name(self, said: str) -> None:
        name = safe_file_name({"content-disposition": f'attachment; filename="{said}"'}, Deployment(id=1))
        assert name == Path(name).name
        assert name not in {"", ".", ".."}
        assert not any(char in name for char in '/\\:\x00\n"')
        assert len(name) <= 150
