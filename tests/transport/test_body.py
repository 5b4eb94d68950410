"""An answer is taken for whole only if it is, and no more of it is held than was allowed."""

import asyncio
import gzip
import json
import os
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.peer import KEY, Peer, always, answer, peer
from tests.properties import many
from trmm_async import (
    TRMM,
    BadRequestError,
    ConnectionFailedError,
    DecodeError,
    Deployment,
    InvalidRequestError,
    OutcomeUnknownError,
    RedirectedError,
    ServerError,
)

AGENTS = json.dumps([{"agent_id": f"{number:040}", "hostname": "h" * (number % 50)} for number in range(300)])
LIST = AGENTS.encode()
BOMB = 40_000_000


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def members(body: bytes) -> bytes:
    """Several of gzip behind each other, which is a stream of gzip as well."""
    third = len(body) // 3
    return b"".join(map(gzip.compress, (body[:third], body[third:third], body[third:])))


def ends_a_member(packed: bytes) -> bool:
    """Whether it was cut between two of them: then nothing tells that there was more."""
    try:
        return bool(gzip.decompress(packed))
    except (EOFError, gzip.BadGzipFile):
        return False


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "Gzip, identity": members,
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
}
FRAMINGS = ["length", "chunks", "end"]


def framed(body: bytes, framing: str, packing: str = "", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
    if packing:
        head += f"Content-Encoding: {packing}\r\n"
    if framing == "length":
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    if framing == "end":
        return f"{head}\r\n".encode() + body
    cuts = [body[at : at + 700] for at in range(0, len(body), 700)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cuts)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


@asynccontextmanager
async def serving(reply: bytes, **settings: Any) -> AsyncIterator[tuple[TRMM, Peer]]:
    """A client of a server that answers everything so, and hangs up."""
    settings = {"dialect": "gateway", "rate_limit": None, "retries": 0, **settings}
    async with asyncio.timeout(30), peer(always(reply, stay=False)) as server:
        async with TRMM(server.url, api_key=KEY, **settings) as trmm:
            yield trmm, server


async def download(trmm: TRMM, server: Peer, folder: Path) -> Path:
    return await trmm.deployments.download(Deployment(id=1, download_url=f"{server.url}/d/a.exe"), folder)


async def iterated(trmm: TRMM) -> list[Any]:
    async with trmm.agents.iter() as agents:
        return [agent async for agent in agents]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("packing", ["", *PACKINGS])
class TestWhole:
    async def test_it_is_taken(self, framing: str, packing: str, tmp_path: Path) -> None:
        body = PACKINGS[packing](LIST) if packing else LIST
        async with serving(framed(body, framing, packing)) as (trmm, server):
            found = await trmm.agents.list()
            assert [agent.hostname for agent in found] == [one["hostname"] for one in json.loads(AGENTS)]
            assert await iterated(trmm) == found
            assert await trmm.request("GET", "/x/") == json.loads(AGENTS)
            if (framing, packing) != ("end", ""):
                assert (await download(trmm, server, tmp_path)).read_bytes() == LIST

    @settings(max_examples=many(12))
    @given(share=st.floats(0, 1, exclude_max=True))
    def test_cut_it_is_not(
        self, framing: str, packing: str, share: float, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Cut before it was framed, by a proxy say: the framing says that it is all."""
        body = PACKINGS[packing](LIST) if packing else LIST
        body = body[: int(len(body) * share)]
        assume(packing != "Gzip, identity" or not ends_a_member(body))
        folder = tmp_path_factory.mktemp("into")

        async def main() -> None:
            async with serving(framed(body, framing, packing)) as (trmm, server):
                for call in (trmm.agents.list, lambda: iterated(trmm), lambda: trmm.request("GET", "/x/")):
                    with suppress(ConnectionFailedError, DecodeError):
                        # An answer of nothing at all, said to be of no length, is one.
                        assert (await call(), body, packing) == (None, b"", "")
                if packing or framing == "end":
                    with pytest.raises(ConnectionFailedError):
                        await download(trmm, server, folder)
                    assert os.listdir(folder) == []

        asyncio.run(main())


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("packing", ["", "gzip"])
async def test_the_framing_cut_nothing_is_taken(framing: str, packing: str, tmp_path: Path) -> None:
    reply = framed(PACKINGS[packing](LIST) if packing else LIST, framing, packing)
    for cut in (1, 5, len(reply) // 3):
        async with serving(reply[:-cut]) as (trmm, server):
            for call in (trmm.agents.list, lambda: iterated(trmm), lambda: trmm.request("GET", "/x/")):
                with pytest.raises(ConnectionFailedError):
                    await call()
            with pytest.raises(ConnectionFailedError):
                await download(trmm, server, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'{"a": 1}\n', {"a": 1}), (b'"1.5"', "1.5"), (b"[]", []), (b"true", True), (b"null", None)],
)
async def test_what_ends_with_the_connection_is_whole_if_it_says_so_itself(body: bytes, value: Any) -> None:
    async with serving(framed(body, "end")) as (trmm, _):
        assert await trmm.request("GET", "/x/") == value


@pytest.mark.parametrize("body", [b"", b"12", b"1.5", b"tru", b'{"a": 1', b'"1'])
async def test_what_may_have_gone_on_is_a_lost_answer(body: bytes) -> None:
    async with serving(framed(body, "end"), retries=1) as (trmm, server):
        with pytest.raises(ConnectionFailedError, match="ended before the answer did"):
            await trmm.request("GET", "/x/")
        assert len(server.requests) == 2
        with pytest.raises(OutcomeUnknownError, match="ended before the answer did"):
            await trmm.request("POST", "/x/", json={})
        assert len(server.requests) == 3


async def test_a_call_whose_answer_says_nothing_needs_none() -> None:
    async with serving(framed(b"", "end")) as (trmm, _):
        await trmm.agents.delete("a")


@pytest.mark.parametrize("code", ["204 No Content", "200 OK"])
async def test_an_answer_without_a_body_is_whole_whatever_its_head_says_of_packing(code: str) -> None:
    reply = f"HTTP/1.1 {code}\r\nContent-Encoding: gzip\r\nContent-Length: 500\r\n\r\n".encode()
    async with serving(reply) as (trmm, _):
        assert await trmm.request("HEAD", "/x/") is None
        if code.startswith("204"):
            assert await trmm.request("GET", "/x/") is None


@pytest.mark.parametrize(
    "how",
    [
        "Content-Encoding: br",
        "Content-Encoding: gzip, gzip",
        "Content-Encoding: gzip\r\nContent-Encoding: zstd",
        "Transfer-Encoding: gzip, chunked",
    ],
)
async def test_what_is_packed_otherwise_is_an_error_that_says_how(how: str, tmp_path: Path) -> None:
    body = b"2\r\n[]\r\n0\r\n\r\n" if "Transfer" in how else b"[]"
    length = "" if "Transfer" in how else "Content-Length: 2\r\n"
    reply = f"HTTP/1.1 200 OK\r\n{how}\r\n{length}\r\n".encode() + body
    async with serving(reply) as (trmm, server):
        for call in (trmm.agents.list, lambda: iterated(trmm), lambda: trmm.request("GET", "/x/")):
            with pytest.raises(DecodeError, match="which was not asked for"):
                await call()
        with pytest.raises(DecodeError, match="which was not asked for"):
            await download(trmm, server, tmp_path)
        with pytest.raises(OutcomeUnknownError, match="which was not asked for"):
            await trmm.request("POST", "/x/", json={})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("junk", [b"x" * 50, b"\x1f\x8b" + b"x" * 50])
@pytest.mark.parametrize("packing", ["gzip", "deflate", "Deflate"])
async def test_what_stands_behind_a_packed_answer_makes_it_a_broken_one(packing: str, junk: bytes) -> None:
    reply = framed(PACKINGS[packing](LIST) + junk, "length", packing)
    async with serving(reply) as (trmm, _):
        with pytest.raises(ConnectionFailedError, match="stream"):
            await trmm.agents.list()


async def test_files_are_asked_for_as_they_are_and_all_else_may_be_packed(tmp_path: Path) -> None:
    async with serving(answer(b"[]")) as (trmm, server):
        await trmm.agents.list()
        await download(trmm, server, tmp_path)
        asked = [request.headers["accept-encoding"] for request in server.requests]
        assert asked == ["gzip", "identity"]


@pytest.mark.parametrize(
    "header", ["Content-Encoding: identity", "Content-Encoding: ", "Transfer-Encoding: Identity"]
)
async def test_that_it_is_not_packed_does_not_say_where_a_file_ends(header: str, tmp_path: Path) -> None:
    reply = f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n".encode() + b"12"
    async with serving(reply) as (trmm, server):
        with pytest.raises(ConnectionFailedError, match="does not say where the file ends"):
            await download(trmm, server, tmp_path)
        with pytest.raises(ConnectionFailedError, match="ended before the answer did"):
            await trmm.request("GET", "/x/")
    assert os.listdir(tmp_path) == []


async def test_a_part_of_a_file_is_not_taken_for_it(tmp_path: Path) -> None:
    reply = framed(b"x" * 500, "length", status="206 Partial Content")
    async with serving(reply) as (trmm, server):
        with pytest.raises(DecodeError, match="206, which is no whole file"):
            await download(trmm, server, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("packing", ["", "gzip", "deflate"])
class TestTooMuch:
    def reply(self, framing: str, packing: str, status: str = "200 OK") -> bytes:
        body = b"[" + b'{"agent_id":"12345"},' * 99_999 + b'{"agent_id":"12345"}]'
        return framed(PACKINGS[packing](body) if packing else body, framing, packing, status)

    async def test_of_an_answer_is_an_error_and_not_asked_for_again(self, framing: str, packing: str) -> None:
        async with serving(self.reply(framing, packing), max_answer=1_000_000, retries=2) as (trmm, server):
            for call in (trmm.agents.list, lambda: trmm.request("GET", "/x/")):
                with pytest.raises(DecodeError, match=r"larger than 1000000 bytes.*max_answer"):
                    await call()
            with pytest.raises(OutcomeUnknownError, match="max_answer"):
                await trmm.request("POST", "/x/", json={})
            assert len(server.requests) == 3

    async def test_and_as_much_as_is_allowed_is_not(self, framing: str, packing: str) -> None:
        async with serving(self.reply(framing, packing), max_answer=2_100_001) as (trmm, _):
            assert len(await trmm.request("GET", "/x/")) == 100_000
            assert len(await trmm.agents.list()) == 100_000

    async def test_of_an_errors_body_is_left(self, framing: str, packing: str) -> None:
        async with serving(self.reply(framing, packing, "400 Bad Request")) as (trmm, _):
            tracemalloc.start()
            try:
                with pytest.raises(BadRequestError):
                    await trmm.agents.list()
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            # The peer's buffer is counted, too, where it doesn't pack.
            assert most < (4_000_000 if not packing else 1_500_000)


async def test_an_element_that_is_too_large_is_an_error_of_the_iteration() -> None:
    element = json.dumps(
        [{"agent_id": "a" * 40, "hostname": "b"}, {"agent_id": "c", "hostname": "h" * 300_000}]
    )
    async with serving(framed(gzip.compress(element.encode()), "length", "gzip"), max_answer=200_000) as (
        trmm,
        _,
    ):
        with pytest.raises(DecodeError, match="max_answer"):
            await iterated(trmm)
    async with serving(framed(LIST, "length"), max_answer=len(LIST) // 2) as (trmm, _):
        with pytest.raises(DecodeError, match="max_answer"):
            await trmm.agents.list()


async def test_a_bomb_costs_no_more_than_is_allowed_and_the_loop_has_its_turn() -> None:
    packed = gzip.compress(b"[" + b" " * BOMB)
    async with serving(framed(packed, "length", "gzip"), max_answer=3_000_000) as (trmm, _):
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        turning = asyncio.create_task(turn())
        tracemalloc.start()
        try:
            with pytest.raises(DecodeError, match="max_answer"):
                await trmm.scripts.list()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            turning.cancel()
        assert most < 2 * 3_000_000
        assert turns > 5


@pytest.mark.parametrize("code", [400, 500])
async def test_an_error_stays_one_whose_body_is_damaged(code: int) -> None:
    reply = framed(gzip.compress(b'{"detail": "no"}')[:-9], "length", "gzip", f"{code} X")
    async with serving(reply) as (trmm, _):
        with pytest.raises((BadRequestError, ServerError)) as caught:
            await trmm.agents.list()
        assert getattr(caught.value, "status", None) == code


@pytest.mark.parametrize("most", [0, -1, 1.5, "1", None, True])
def test_max_answer_is_a_whole_number(most: Any) -> None:
    with pytest.raises(InvalidRequestError, match="max_answer"):
        TRMM("https://x", api_key=KEY, max_answer=most)


@pytest.mark.parametrize(
    "location",
    [
        b"http://[::1/x",
        b"http://x:99999/",
        b"http://",
        b"//",
        b"https://a b/",
        b"mailto:x",
        b"http://\xff\xfe/",
        b"http://x" + b"\xc3\xa9" * 200 + b"/",
        b"http://..../",
    ],
)
async def test_a_redirect_to_what_is_no_url_is_a_typed_error(location: bytes, tmp_path: Path) -> None:
    reply = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    async with serving(reply) as (trmm, server):
        with pytest.raises((RedirectedError, ConnectionFailedError)) as caught:
            await download(trmm, server, tmp_path)
        assert str(caught.value).encode()
        with pytest.raises(RedirectedError) as refused:
            await trmm.agents.list()
        assert str(refused.value).encode()
        assert refused.value.location.encode() is not None


class TestTheFile:
    @pytest.mark.parametrize(
        "name", ["x" * 500 + ".exe", "é" * 140 + ".exe", "\U0001f600" * 149, "é." + "ü" * 200]
    )
    async def test_has_a_name_that_any_file_system_takes(self, name: str, tmp_path: Path) -> None:
        said = f"attachment; filename*=UTF-8''{quote(name)}"
        async with serving(answer(b"installer", Content_Disposition=said)) as (trmm, server):
            path = await download(trmm, server, tmp_path)
        assert path.read_bytes() == b"installer"
        assert len(path.name.encode()) <= 150

    async def test_has_one_without_a_path_whatever_the_server_calls_the_deployment(
        self, tmp_path: Path
    ) -> None:
        for uuid in ("../../up", "u" * 5000, "\x00", "a/\udc80"):
            async with serving(answer(b"installer")) as (trmm, server):
                known = Deployment(id=1, uuid=uuid, download_url=f"{server.url}/d/a.{'e' * 500}")
                path = await trmm.deployments.download(known, tmp_path)
            assert path.parent == tmp_path
            assert path.read_bytes() == b"installer"

    async def test_does_not_take_the_name_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.exe").mkdir()
        reply = answer(b"installer", Content_Disposition='attachment; filename="a.exe"')
        async with serving(reply) as (trmm, server):
            with pytest.raises(InvalidRequestError, match=r"a\.exe is a folder"):
                await download(trmm, server, tmp_path)
        assert os.listdir(tmp_path) == ["a.exe"]

    @pytest.mark.parametrize("folder", ["x" * 300, "a\0b", "file", "file/below", 7, None])
    async def test_a_folder_that_can_not_be_one_is_refused_before_anything_is_sent(
        self, folder: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("x")
        async with serving(answer(b"installer")) as (trmm, server):
            with pytest.raises(InvalidRequestError, match="folder"):
                await download(trmm, server, folder if not isinstance(folder, str) else tmp_path / folder)
            assert server.requests == []
        assert os.listdir(tmp_path) == ["file"]
