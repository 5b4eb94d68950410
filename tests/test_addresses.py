"""Addresses are compared in one form, and different doors never look the same."""

from contextlib import suppress
from string import ascii_lowercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import url_checks
from trmm_async.addresses import normal, same_server
from trmm_async.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HTTPS://API.Example.com:443/", "https://api.example.com"),
        ("http://api.example.com:80", "http://api.example.com"),
        ("http://api.example.com:443", "http://api.example.com:443"),
        ("https://api.example.com:08443//", "https://api.example.com:8443"),
        ("https://api.example.com:", "https://api.example.com"),
        ("https://x.example/RMM/", "https://x.example/RMM"),
        ("https://x.example/RMM/API/v3/", "https://x.example/RMM"),
        ("https://[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"),
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
        ("https://XN--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        (" https://x.example\n", "https://x.example"),
    ],
)
def test_one_server_has_one_form(written: str, meant: str) -> None:
    assert normal(written) == meant
    assert same_server(written, meant)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://x.example", "http://x.example"),
        ("https://x.example", "https://x.example:8443"),
        ("https://x.example/rmm", "https://x.example/RMM"),
        ("https://x.example", "https://x.example.evil.example"),
        ("https://x.example", "https://x.example@evil.example"),
        ("https://x.example", "https://me:secret@x.example"),
        ("https://x.example", "https://x.example?a"),
        ("https://x.example", "https://x.exa\nmple"),
        ("https://strasse.example", "https://straße.example"),
        ("https://x.example", "x.example"),
        ("https://x.example", "https://x.example:port"),
        ("https://x.example", ""),
    ],
)
def test_others_are_others(one: str, other: str) -> None:
    assert not same_server(one, other)
    assert not same_server(other, one)
    assert same_server(other, other)


def test_no_error_has_the_password() -> None:
    for url in ("https://me:secret@x.example", "https://me:secret@x.example:port", "secret://x"):
        with pytest.raises(ValueError, match=r"\bits? ") as caught:
            normal(url)
        assert "secret" not in str(caught.value)


labels = st.text(ascii_lowercase + digits, min_size=1, max_size=8)
hosts = st.lists(labels, min_size=1, max_size=3).map(lambda parts: ".".join(["a", *parts, "example"]))
paths = st.lists(st.text(ascii_lowercase + "AZ", min_size=1, max_size=4), max_size=3)
Door = tuple[str, str, int | None, tuple[str, ...]]
doors: st.SearchStrategy[Door] = st.tuples(
    st.sampled_from(["http", "https"]), hosts, st.sampled_from([None, 80, 443, 8443]), paths.map(tuple)
)


def explicit(door: Door) -> Door:
    scheme, host, port, path = door
    return scheme, host, port or {"http": 80, "https": 443}[scheme], path


@st.composite
def spellings(draw: st.DrawFn, door: Door) -> str:
    scheme, host, port, path = door
    own = {"http": 80, "https": 443}[scheme]
    said = port if port not in {None, own} else draw(st.sampled_from([None, own]))
    text = "".join(draw(st.sampled_from([char, char.upper()])) for char in f"{scheme}://{host}")
    text += "" if said is None else f":{said}"
    end = draw(st.sampled_from(["", "/", "//", "/api/v3", "/api/v3/"]))
    return text + "".join(f"/{part}" for part in path) + end


@given(st.data(), doors, doors)
def test_however_it_is_written_it_is_the_same_server_and_no_other(
    data: st.DataObject, door: Door, other: Door
) -> None:
    one, two = data.draw(spellings(door)), data.draw(spellings(door))
    assert same_server(one, two)
    assert normal(normal(one)) == normal(one) == url_checks.base_url(two, allow_http=True)
    assert same_server(one, data.draw(spellings(other))) == (explicit(door) == explicit(other))


@given(st.text(max_size=30))
def test_any_text_is_compared_without_an_error(text: str) -> None:
    assert same_server(text, text)
    same_server("https://" + text, text)
    with suppress(InvalidRequestError):
        url_checks.base_url(text, allow_http=True)
