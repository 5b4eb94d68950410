"""Which settings apply: of options, the environment, the file of profiles; and which key."""

from dataclasses import replace
from pathlib import Path

import pytest

from trmm_async.effective_settings import GlobalOptions, find_key, no_key, resolve
from trmm_async.errors import InvalidRequestError
from trmm_async.profiles import Profile, ProfileFile

MAIN = Profile("main", url="https://main.example", dialect="stock", api_key="main-key")
LAB = Profile("lab", url="https://lab.example", api_key="lab-key", rate_limit="50/60", allow_http=True)
BOOK = ProfileFile(Path("config.toml"), default="main", profiles={"main": MAIN, "lab": LAB})


def settled(given: GlobalOptions, environ: dict[str, str], book: ProfileFile = BOOK) -> tuple[str, str, str]:
    settings = resolve(given, book, environ)
    key = find_key(settings, book, environ)
    assert key is not None
    return settings.url, settings.dialect, key.value


ENVIRONMENT = {"TRMM_URL": "https://env.example", "TRMM_API_KEY": "env-key", "TRMM_DIALECT": "gateway"}


BAD_URLS = ["https://[::1", "https://[x]", "https://user:hunter2@host", "https://host:port", "https://a..b"]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_address_is_refused_before_it_is_shown_or_taken_apart(url: str) -> None:
    book = ProfileFile(Path(), default="p", profiles={"p": Profile("p", url=url)})
    for given, environ, read in (
        (GlobalOptions(url=url), {}, BOOK),
        (GlobalOptions(as_others_do=True), {"TRMM_URL": url}, BOOK),
        (GlobalOptions(), {}, book),
    ):
        with pytest.raises(InvalidRequestError, match=r"\Aurl") as caught:
            resolve(given, read, environ)
        assert "hunter2" not in str(caught.value)


class TestPrecedence:
    def test_the_default_profile_where_nothing_else_is_said(self) -> None:
        assert settled(GlobalOptions(), {}) == ("https://main.example", "stock", "main-key")

    def test_the_environment_goes_before_the_file(self) -> None:
        assert settled(GlobalOptions(), ENVIRONMENT) == ("https://env.example", "gateway", "env-key")
        assert settled(GlobalOptions(), {"TRMM_PROFILE": "lab"}) == ("https://lab.example", "auto", "lab-key")
        assert settled(GlobalOptions(), {"TRMM_API_KEY": "env-key"})[2] == "env-key"

    def test_of_a_key_and_an_address_what_an_editor_has_put_around_them_is_passed_over(self) -> None:
        environ = {"TRMM_URL": "\ufeffhttps://env.example\r", "TRMM_API_KEY": "\ufeffenv-key\n"}
        assert settled(GlobalOptions(), environ) == ("https://env.example", "auto", "env-key")

    def test_a_profile_that_is_asked_for_goes_before_the_environment(self) -> None:
        asked = GlobalOptions(profile="main")
        assert settled(asked, ENVIRONMENT) == ("https://main.example", "stock", "main-key")

    def test_options_go_before_all(self) -> None:
        given = GlobalOptions(url="https://lab.example/", profile="lab", dialect="gateway", rate_limit="none")
        assert settled(given, {}) == ("https://lab.example/", "gateway", "lab-key")
        settings = resolve(given, BOOK, {})
        assert (settings.rate_limit, settings.allow_http) == ("none", True)

    def test_a_lone_profile_is_the_default(self) -> None:
        book = ProfileFile(Path("x"), profiles={"lab": LAB})
        assert settled(GlobalOptions(), {}, book)[0] == "https://lab.example"

    def test_without_any_it_says_what_to_do(self) -> None:
        with pytest.raises(InvalidRequestError, match="--url, set TRMM_URL, or write a profile"):
            resolve(GlobalOptions(), ProfileFile(Path("x")), {})

    def test_a_profile_that_is_not_there_lists_those_that_are(self) -> None:
        with pytest.raises(InvalidRequestError, match="there is lab, main"):
            resolve(GlobalOptions(profile="nope"), BOOK, {})

    def test_a_dialect_that_is_none(self) -> None:
        with pytest.raises(InvalidRequestError, match="auto, gateway or stock, not 'french'"):
            resolve(GlobalOptions(dialect="french"), BOOK, {})


class TestAKeyBelongsToItsAddress:
    @pytest.mark.parametrize("environ", [{}, ENVIRONMENT])
    def test_no_other_server_gets_it(self, environ: dict[str, str]) -> None:
        settings = resolve(GlobalOptions(url="https://evil.example"), BOOK, environ)
        assert find_key(settings, BOOK, environ) is None
        assert "no API key for https://evil.example" in str(no_key(settings, BOOK, environ))

    def test_one_that_stands_alone_in_the_environment_is_for_any(self) -> None:
        assert settled(GlobalOptions(url="https://x.example"), {"TRMM_API_KEY": "k"})[2] == "k"


def test_no_repr_shows_a_key() -> None:
    assert "main-key" not in repr(BOOK)
    settings = resolve(GlobalOptions(), BOOK, {})
    assert "main-key" not in repr(settings) + repr(find_key(settings, BOOK, {}))


HTTPS = "https://rmm.example"
OTHERS = {"HTTPS_PROXY": "http://pw:pw@others:1"}
TYPED = GlobalOptions(url=HTTPS, as_others_do=True)
NEAREST = ProfileFile(
    Path("x"), profiles={"main": Profile("main", url=HTTPS, proxy="http://of-file:1", ca="~/ca.pem")}
)

NO_PROFILES = ProfileFile(Path("x"))


def way(given: GlobalOptions, environ: dict[str, str], book: ProfileFile = NO_PROFILES) -> str | None:
    return resolve(given, book, environ).proxy


class TestTheProxy:
    def test_is_that_of_the_nearest(self) -> None:
        ours = {"TRMM_PROXY": "ours:1", **OTHERS}
        assert way(replace(TYPED, proxy="mine:1"), ours, NEAREST) == "mine:1"
        assert way(TYPED, ours, NEAREST) == "ours:1"
        assert way(TYPED, OTHERS, NEAREST) == "http://of-file:1"
        assert way(replace(TYPED, profile="main", url=None), ours, NEAREST) == "http://of-file:1"
        assert way(TYPED, OTHERS) == OTHERS["HTTPS_PROXY"]
        assert way(TYPED, {**OTHERS, "https_proxy": "small:1"}) == "small:1"
        assert way(replace(TYPED, proxy=""), ours, NEAREST) is None
        # The library reads what is ours alone, and what is for https is for https.
        assert way(GlobalOptions(url=HTTPS), OTHERS) is None
        assert way(replace(TYPED, url="http://127.0.0.1"), OTHERS) is None
        assert "pw" not in repr(resolve(TYPED, ProfileFile(Path("x")), OTHERS))

    @pytest.mark.parametrize(
        ("host", "spared", "is_spared"),
        [
            ("rmm.example", "rmm.example", True),
            ("rmm.example", "a.b, .example", True),
            ("rmm.example", "*.EXAMPLE", True),
            ("rmm.example", "rmm.example:443", True),
            ("rmm.example", "*", True),
            ("rmm.example", "m.example,ple", False),
            ("10.1.2.3", "10.0.0.0/8", True),
            ("[fd00::1]", "fd00::/8", True),
            ("11.1.2.3", "10.0.0.0/8", False),
            ("rmm.example", "", False),
        ],
    )
    def test_of_all_programs_spares_some_hosts(self, host: str, spared: str, is_spared: bool) -> None:
        found = way(replace(TYPED, url=f"https://{host}"), {**OTHERS, "NO_PROXY": spared})
        assert (found is None) is is_spared
