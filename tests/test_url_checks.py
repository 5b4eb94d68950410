"""URLs and paths are checked before anything is sent, and no refusal shows a password."""

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import InvalidRequestError, url_checks

LOOPBACK = ["localhost", "LOCALHOST", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]"]


def refusal(check: Callable[..., object], *args: object, **named: object) -> str:
    """What the refusal says. Anything else than our own error fails."""
    with pytest.raises(InvalidRequestError) as caught:
        check(*args, **named)
    return str(caught.value)


class TestARawPath:
    @pytest.mark.parametrize(
        ("given_path", "sent"),
        [
            ("/core/version/", "/core/version/"),
            ("/", "/"),
            ("/a b/", "/a%20b/"),
            ("/ü/", "/%C3%BC/"),
            ("/a%20b/", "/a%20b/"),
            ("/a:b@c,d;e=f/", "/a:b@c,d;e=f/"),
            ("/a//b/", "/a//b/"),
            ("/.../", "/.../"),
        ],
    )
    def test_passes_fit_to_be_sent(self, given_path: str, sent: str) -> None:
        assert url_checks.raw_path(given_path) == sent

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            ("core/", "begin with one slash"),
            ("//host/core/", "begin with one slash"),
            ("https://host/core/", "begin with one slash"),
            ("/core\\..\\", "begin with one slash"),
            ("/../", "no dot segments"),
            ("/a/./b/", "no dot segments"),
            ("/a/..", "no dot segments"),
            ("/a/%2e%2E/b/", "no dot segments"),
            ("/a/.%2e", "no dot segments"),
            ("/a%2f..%2fb/", "no dot segments"),
            ("/a%5C..", "no dot segments"),
            ("/a?b=c", "no dot segments, query"),
            ("/a#b", "no dot segments, query or fragment"),
            ("/100%/", "two hex digits"),
            ("/%zz/", "two hex digits"),
            ("/%2", "two hex digits"),
            ("/a\r\nX-Header: 1", "control characters"),
            ("", "must not be empty"),
            (None, "must be text"),
        ],
    )
    def test_leads_nowhere_else(self, bad: object, said: str) -> None:
        assert said in refusal(url_checks.raw_path, bad)

    @given(st.text(alphabet=st.sampled_from([*"/.%2ef5cC\\?# ab:@ü", "\n"]), max_size=12).map("/".__add__))
    def test_whatever_passes_has_no_way_out(self, text: str) -> None:
        with suppress(InvalidRequestError):
            sent = url_checks.raw_path(text)
            parts = urlsplit(f"https://host{sent}")
            assert (parts.netloc, parts.query, parts.fragment) == ("host", "", "")
            assert not {".", ".."} & set(unquote(sent).replace("\\", "/").split("/"))
            assert sent.isascii()
            assert unquote(sent) == unquote(text)


class TestABaseUrl:
    @pytest.mark.parametrize(
        ("url", "base"),
        [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/", "https://api.example.com"),
            ("https://api.example.com:8443//", "https://api.example.com:8443"),
            ("HTTPS://API.example.com", "https://api.example.com"),
            ("https://api.example.com/rmm/v1/", "https://api.example.com/rmm/v1"),
            ("https://192.168.1.5", "https://192.168.1.5"),
            ("https://[2001:db8::1]:443/x", "https://[2001:db8::1]/x"),
            ("https://my_host-1", "https://my_host-1"),
            ("https://api.example.com/api/v3", "https://api.example.com"),
            ("https://api.example.com/rmm//api/v3//", "https://api.example.com/rmm"),
            ("https://api.example.com/api/v30", "https://api.example.com/api/v30"),
            ("https://api.example.com/my-api/v3", "https://api.example.com/my-api/v3"),
            ("https://api.example.com/api", "https://api.example.com/api"),
        ],
    )
    def test_passes_in_one_form_without_the_path_of_calls(self, url: str, base: str) -> None:
        assert url_checks.base_url(url, allow_http=False) == base

    @pytest.mark.parametrize(
        "url",
        [
            "",
            " ",
            "api.example.com",
            "//api.example.com",
            "https:",
            "https://",
            "https:///x",
            "https:api.example.com",
        ],
    )
    def test_has_a_scheme_and_a_host(self, url: str) -> None:
        assert "must have a scheme and a host" in refusal(url_checks.base_url, url, allow_http=True)

    @pytest.mark.parametrize(
        "url", ["ftp://host", "ws://host", "file:///etc", "javascript:alert(1)", "https://:443"]
    )
    def test_has_a_scheme_that_we_speak_and_a_host(self, url: str) -> None:
        assert "must have a scheme and a host" in refusal(url_checks.base_url, url, allow_http=True)

    @pytest.mark.parametrize("path", ["/api/v3/agents", "/x/api/v3/agents/", "/api/v3/api/v3"])
    def test_is_no_call_s(self, path: str) -> None:
        said = refusal(url_checks.base_url, f"https://api.example.com{path}", allow_http=False)
        assert 'must end before "/api/v3"' in said

    @pytest.mark.parametrize("host", LOOPBACK)
    def test_may_be_plain_http_on_this_machine(self, host: str) -> None:
        for url in (f"http://{host}", f"http://{host}:8000"):
            assert url_checks.base_url(url, allow_http=False) == url.lower()

    @pytest.mark.parametrize(
        "host",
        [
            "api.example.com", "192.168.1.5", "localhost.example.com", "notlocalhost",
            "127.0.0.1.example.com", "[::2]", "0.0.0.0", "localhost.", "127.1", "2130706433",
        ],
    )  # fmt: skip
    def test_is_not_plain_http_to_others_unless_allowed(self, host: str) -> None:
        assert "plain http would show the API key" in refusal(
            url_checks.base_url, f"http://{host}", allow_http=False
        )
        assert url_checks.base_url(f"http://{host}", allow_http=True) == f"http://{host}"

    @pytest.mark.parametrize(
        "url",
        [
            "https://host?x=1", "https://host/#top", "https://host/?x", "https://ho st", "https://host/a b",
            "https://host:port", "https://host:99999", "https://host:-1", "https://[::1", "https://ho<st>",
            "https://ho\\st", "https://h%41", "https://host\n", "https://ho\tst", "https://hôst", "https://h/\x00",
            "https://a..b", "https://.b", f"https://{'a' * 64}.b", None, 5, b"https://host",
        ],
    )  # fmt: skip
    def test_is_clean(self, url: object) -> None:
        assert refusal(url_checks.base_url, url, allow_http=True).startswith("url")

    @pytest.mark.parametrize(
        "url",
        [
            "https://user:hunter2@host",
            "https://hunter2@host",
            "https://user:hunter2",
            "https://user:hunter2@host\n",
            "https://user:hunter2@hôst",
            "https://user:hunter2@[::1",
            "https://host?password=hunter2",
            "hunter2://host",
            "http://user:hunter2@host",
            "https://hunter2<",
        ],
    )
    def test_shows_no_secret_when_it_is_refused(self, url: str) -> None:
        assert "hunter2" not in refusal(url_checks.base_url, url, allow_http=False)

    def test_holds_no_password(self) -> None:
        said = refusal(url_checks.base_url, "https://user:hunter2@host", allow_http=False)
        assert said == "url must not hold a user name or password"

    @given(st.text(alphabet=st.sampled_from([*"htps:/.@?#[]\\ a1-_%", "\n", "ü"]), max_size=20))
    def test_whatever_passes_leads_to_the_host_that_it_names(self, text: str) -> None:
        for url in (text, f"https://{text}", f"http://{text}"):
            with suppress(InvalidRequestError):
                base = url_checks.base_url(url, allow_http=True)
                parts = urlsplit(f"{base}/api/v3/agents/")
                assert parts.scheme in {"http", "https"}
                assert parts.hostname
                assert parts.path.endswith("/api/v3/agents/")
                assert (parts.username, parts.query, parts.fragment) == (None, "", "")
