"""The server as it is set: its key, which goes there alone and is shown nowhere."""

import html
import json
import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import KEY, always, answer, client, peer, status
from trmm_async import (
    AuthenticationError,
    BadRequestError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RedirectedError,
    TRMMError,
)
from trmm_async.transport import Server
from trmm_async.transport.server import check_hop, next_hop


class TestTheKey:
    async def test_is_sent_with_every_request(self) -> None:
        async with peer(always(answer(b"[]"))) as server, client(server.url) as trmm:
            await trmm.scripts.list()
            assert server.requests[0].headers["x-api-key"] == KEY

    async def test_does_not_follow_a_redirect(self) -> None:
        async with peer(always(answer(b"[]"))) as other:
            moved = status(302, Location=f"{other.url}/elsewhere/?token=1")
            async with peer(always(moved)) as server, client(server.url) as trmm:
                with pytest.raises(RedirectedError) as caught:
                    await trmm.scripts.list()
            assert other.requests == []
        assert caught.value.location == f"{other.url}/elsewhere/"
        assert "token" not in str(caught.value)

    async def test_is_in_no_error_repr_or_log(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        quoting = answer(f'{{"detail": "bad key {KEY}"}}'.encode(), "401 No")
        html = answer(f"<title>{KEY}</title>".encode())
        broken = f"HTTP/1.1 200 OK\r\nX: {KEY}\r\n bad header\x00\r\n\r\n".encode()
        for reply in (quoting, html, broken, status(302, Location=f"/{KEY}/")):
            async with peer(always(reply, stay=False)) as server, client(server.url, retries=0) as trmm:
                with pytest.raises(TRMMError) as caught:
                    await trmm.scripts.list()
                for shown in told(caught.value):
                    assert KEY not in shown
                assert KEY not in f"{trmm!r} {trmm._api.transport!r} {trmm._api.transport.server!r}"
        assert KEY not in caplog.text

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (400, BadRequestError),
            (401, AuthenticationError),
            (403, PermissionDeniedError),
            (404, NotFoundError),
        ],
    )
    async def test_refusals_have_their_own_errors_and_are_not_repeated(
        self, code: int, kind: type[TRMMError]
    ) -> None:
        async with peer(always(status(code))) as server, client(server.url) as trmm:
            with pytest.raises(kind, match=f"GET /api/v3/scripts/: {code}: no"):
                await trmm.scripts.list()
            assert len(server.requests) == 1


def told(error: BaseException | None) -> list[str]:
    """All that a traceback would show of an error and what led to it."""
    shown: list[str] = []
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return shown


@pytest.mark.parametrize("form", ['a"b&c/d', 'a\\"b&c/d', 'a\\"b&c\\/d', "a&quot;b&amp;c/d", "a%22b%26c%2Fd"])
def test_the_key_is_hidden_in_any_form_that_a_server_may_quote_it_in(form: str) -> None:
    server = Server(base_url="https://x", api_key='a"b&c/d')
    assert server.scrub(f"bad key {form}!") == "bad key ***!"


class TestScrubbing:
    def test_the_longest_goes_first(self) -> None:
        server = Server(base_url="https://x", api_key="k-e-y")
        for text in ("12", "ab12cd", "xab12cdx", ""):
            server.secrets.keep(text)
        assert server.scrub("xab12cdx ab12cd 12 k-e-y") == "*** *** *** ***"

    @given(
        secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=4).filter(
            lambda text: "*" not in text
        )
    )
    def test_every_form_goes(self, secret: str) -> None:
        server = Server(base_url="https://x", api_key="\x00")
        server.secrets.keep(secret)
        for form in (secret, json.dumps(secret), html.escape(secret), quote(secret, safe=""), repr(secret)):
            assert server.scrub(f"<{form}>").strip("<\"'>") == "***"

    def test_it_remembers_a_bounded_number_the_latest(self) -> None:
        server = Server(base_url="https://x", api_key="key")
        for number in range(1000):
            server.secrets.keep("password")
            server.secrets.keep(f"token-{number}-")
        assert len(list(server.secrets)) == 64
        assert server.scrub("password token-999- token-0-") == "*** *** token-0-"
        assert repr(server.secrets) == "<Secrets: 64>"


# Where the key may go.

HOME = Server(base_url="https://rmm.example/prefix", api_key="k")


@pytest.mark.parametrize(
    ("url", "is_home"),
    [
        ("https://rmm.example/elsewhere/", True),
        ("https://RMM.example:443/", True),
        ("http://rmm.example/", False),
        ("https://rmm.example:8443/", False),
        ("https://rmm.example.evil/", False),
        ("https://rmm.example@evil.example/", False),
    ],
)
def test_only_the_very_same_server_is_home(url: str, is_home: bool) -> None:
    assert HOME.is_home_of(url) is is_home


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/there/", "https://a.example/there/"),
        ("there/?x=1", "https://a.example/from/there/?x=1"),
        ("//b.example/x", "https://b.example/x"),
        ("http://b.example/", "http://b.example/"),
        ("ftp://b.example/", ""),
        ("javascript:alert(1)", ""),
        ("https://b.example:0/", ""),
        ("https://b.example:99999/", ""),
        ("https://[::1", ""),
    ],
)
def test_a_redirect_leads_to_a_url_or_nowhere(location: str, target: str) -> None:
    assert next_hop("https://a.example/from/", location) == target


@pytest.mark.parametrize("url", ["http://b.example/x.exe", "/x.exe", "file:///x.exe", ""])
def test_a_download_never_leaves_https(url: str) -> None:
    check_hop(HOME, "https://b.example/x.exe")
    with pytest.raises(InvalidRequestError, match="download"):
        check_hop(HOME, url)
    check_hop(Server(base_url="http://rmm.example", api_key="k"), "http://b.example/x.exe")


def test_two_servers_have_one_key_only_if_it_is_known() -> None:
    same, other = (Server(base_url="https://b.example", api_key=key) for key in ("k", "other"))
    assert HOME.surely_has_key_of(same)
    assert not HOME.surely_has_key_of(other)
    none = Server(base_url="https://b.example", api_key="")
    assert not none.surely_has_key_of(none)
    assert "'k'" not in repr(HOME) + repr(HOME.headers)
