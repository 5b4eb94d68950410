from __future__ import annotations

from trmm_async.testing.replies import Asked, HTTPReply
from trmm_async.testing.routing import NeedsSlash, Nowhere, Route, RouteMatch, Router, WrongMethod


def nothing(_asked: Asked) -> HTTPReply:
    return HTTPReply(200)


ROUTER = Router(
    [
        Route("GET", "/things/", nothing),
        Route("POST", "/things/", nothing),
        Route("GET", "/things/special/", nothing),
        Route("DELETE", "/things/{name}/", nothing),
        Route("GET", "/numbers/{id:int}/", nothing),
    ]
)


def test_a_route_is_found_by_method_and_path() -> None:
    found = ROUTER.find("POST", "/things/")
    assert isinstance(found, RouteMatch)
    assert found.route.method == "POST"


def test_variable_parts_are_named() -> None:
    found = ROUTER.find("DELETE", "/things/a b/")
    assert isinstance(found, RouteMatch)
    assert found.params == {"name": "a b"}


def test_the_first_pattern_that_fits_decides_before_the_method() -> None:
    assert ROUTER.find("DELETE", "/things/special/") == WrongMethod(("GET",))


def test_a_wrong_method_names_the_right_ones() -> None:
    assert ROUTER.find("PUT", "/things/") == WrongMethod(("GET", "POST"))


def test_a_number_must_be_one() -> None:
    assert isinstance(ROUTER.find("GET", "/numbers/12/"), RouteMatch)
    assert ROUTER.find("GET", "/numbers/x/") == Nowhere()


def test_only_a_path_that_exists_with_a_slash_needs_one() -> None:
    assert ROUTER.find("GET", "/things") == NeedsSlash()
    assert ROUTER.find("POST", "/things/x") == NeedsSlash()
    assert ROUTER.find("GET", "/nothing") == Nowhere()
    assert ROUTER.find("GET", "/things/x/y/") == Nowhere()
