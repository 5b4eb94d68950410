"""The settings of a client, and requests that have no method."""

from typing import Any

import pytest

from trmm_async import (
    TRMM,
    InvalidRequestError,
    TRMMError,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

KEY = "key-for-tests"


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        [
            "", "api.example.com", "https://", "ftp://x", "http://api.example.com", "https://u:p@x.com",
            "https://x.com?a=1", "https://x.com#a", "https://x.com:99999", "https://x .com", "https://ü.com",
            None,
        ],
    )  # fmt: skip
    def test_a_url_that_is_none_is_refused(self, url: Any) -> None:
        with pytest.raises(InvalidRequestError, match="url"):
            TRMM(url, api_key="key")

    @pytest.mark.parametrize(
        "url", ["http://localhost:8000", "http://127.0.0.9", "http://[::1]:8080/x", "https://x.com"]
    )
    def test_loopback_may_be_plain(self, url: str) -> None:
        assert url in repr(TRMM(url, api_key="key"))

    def test_plain_http_may_be_allowed(self) -> None:
        TRMM("http://192.168.1.5", api_key="key", allow_http=True)

    @pytest.mark.parametrize("key", ["", "  ", "a\nb", "key\n", " key", "ké", "a\x00", None])
    def test_a_key_that_is_none_is_refused(self, key: Any) -> None:
        with pytest.raises(InvalidRequestError, match="api_key") as caught:
            TRMM("https://x.com", api_key=key)
        assert not key or not key.strip() or key not in str(caught.value)

    @pytest.mark.parametrize(
        "settings",
        [
            {"timeout": 0}, {"timeout": "3"}, {"retries": -1}, {"retries": 1.5}, {"max_connections": 0},
            {"patience": -1}, {"ssl": False}, {"rate_limit": 100}, {"deployment_rate_limit": (1, 2)},
            {"dialect": "v3"},
        ],
    )  # fmt: skip
    def test_other_settings_are_checked_too(self, settings: dict[str, Any]) -> None:
        with pytest.raises(InvalidRequestError, match=next(iter(settings))):
            TRMM("https://x.com", api_key="key", **settings)

    def test_the_environment_serves_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TRMM_URL", raising=False)
        for name in ("TRMM_DIALECT", "TRMM_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TRMM_API_KEY", "key")
        with pytest.raises(InvalidRequestError, match="TRMM_URL"):
            TRMM.from_env()
        monkeypatch.setenv("TRMM_URL", "https://rmm.example.com/")
        trmm = TRMM.from_env(timeout=5)
        assert repr(trmm) == "<TRMM https://rmm.example.com auto, not yet used>"
        monkeypatch.setenv("TRMM_DIALECT", "stock")
        assert TRMM.from_env().dialect == "stock"
        assert TRMM.from_env(dialect="auto").dialect == "auto"
        monkeypatch.setenv("TRMM_DIALECT", "graphql")
        with pytest.raises(InvalidRequestError, match="the dialect is auto, gateway or stock, not 'graphql'"):
            TRMM.from_env()

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "core"),
            ("GET", "//x"),
            ("GET", "/../x/"),
            ("GET", "/x?y=1"),
            ("GET", "/x\n"),
            ("G T", "/x/"),
            ("", "/"),
        ],
    )
    async def test_a_raw_request_is_checked(self, method: str, path: str) -> None:
        async with TRMM("http://127.0.0.1:9", api_key=KEY, dialect="gateway") as trmm:
            with pytest.raises(InvalidRequestError):
                await trmm.request(method, path)
            with pytest.raises(InvalidRequestError, match="json"):
                await trmm.request("POST", "/x/", json={"a": object()})

    @pytest.mark.parametrize("params", [[("a", "b")], "a=b", {"a": ["b", "c"]}, {"a": {"b": 1}}, {"a": b"c"}])
    async def test_a_raw_query_is_checked(self, params: Any) -> None:
        async with TRMM("http://127.0.0.1:9", api_key=KEY, dialect="gateway") as trmm:
            with pytest.raises(InvalidRequestError, match="params"):
                await trmm.request("GET", "/x/", params=params)
            with pytest.raises(TRMMError, match="needs at least one agent"):
                trmm.events()
