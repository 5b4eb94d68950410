"""URLs of proxies: what is taken, what is refused, and a password that stands nowhere."""

from typing import Any

import pytest

from trmm_async import TRMM, InvalidRequestError
from trmm_async.engines.address import proxy_address

SECRET = "s3cr3t-pw"
TAKEN: list[tuple[str, str, str, str]] = [
    ("http://proxy:3128", "http://proxy:3128", "", ""),
    ("proxy.example:3128", "http://proxy.example:3128", "", ""),
    ("HTTPS://Proxy/", "https://proxy:443", "", ""),
    ("http://proxy", "http://proxy:80", "", ""),
    ("http://u%40x:p%2Fw@[::1]:1", "http://[::1]:1", "u@x", "p/w"),
    ("http://DOMAIN%5Cuser:pw:with@proxy", "http://proxy:80", "DOMAIN\\user", "pw:with"),
]


REFUSED: list[tuple[Any, str]] = [
    (5, "must be a URL"),
    (" ", "must be a URL"),
    ("socks5h://u:s3cr3t-pw@proxy:1080", "SOCKS is not supported"),
    ("ftp://u:s3cr3t-pw@proxy", "not ftp://"),
    ("http://u:s3cr3t-pw@proxy:port", "malformed"),
    ("http://u:s3cr3t-pw@", "name a host"),
    ("http://u:s3cr3t-pw@proxy:0", "name a host"),
    ("http://u:s3cr3t-pw@pro xy", "name a host"),
    ("http://u:s3cr3t-pw@proxy/path", "nothing behind"),
    ("http://u:s3cr3t-pw@proxy?x", "nothing behind"),
    ("http://u:s3cr3t-pw%0A@proxy", "can't be sent"),
    ("http://u%3Ax:s3cr3t-pw@proxy", "can't be sent"),
]


class TestTheAddress:
    @pytest.mark.parametrize(("url", "shown", "user", "password"), TAKEN)
    def test_that_is_taken(self, url: str, shown: str, user: str, password: str) -> None:
        found = proxy_address(url, "proxy")
        assert (str(found), found.username, found.password) == (shown, user, password)
        assert not password or password not in repr(found) + str(found)

    @pytest.mark.parametrize(("url", "says"), REFUSED)
    def test_that_is_refused_before_anything_is_sent(self, url: Any, says: str) -> None:
        with pytest.raises(InvalidRequestError, match=says) as caught:
            TRMM("https://x.example", api_key="k", proxy=url)
        assert SECRET not in str(caught.value)
