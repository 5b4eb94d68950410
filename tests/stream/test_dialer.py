"""What the answer to a handshake means."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectedError,
    TRMMError,
)
from trmm_async.retry import Reply
from trmm_async.stream.dialer import no_link, refusal

NOW = datetime(2026, 4, 21, 10, 0, tzinfo=UTC)


def reply(status: int, body: str = "", **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())


@pytest.mark.parametrize(
    ("status", "kind", "final"),
    [
        (200, DecodeError, True),
        (302, RedirectedError, True),
        (400, BadRequestError, True),
        (401, AuthenticationError, True),
        (403, PermissionDeniedError, True),
        (404, NotFoundError, True),
        (408, ConnectionFailedError, False),
        (410, APIError, True),
        (429, RateLimitedError, False),
        (500, ConnectionFailedError, False),
        (502, ConnectionFailedError, False),
        (503, ConnectionFailedError, False),
    ],
)
def test_each_status_has_its_error_and_only_definite_answers_are_final(
    status: int, kind: type[TRMMError], *, final: bool
) -> None:
    failed = no_link("/trmm/a/", reply(status), NOW)
    assert type(failed.error) is kind
    assert failed.final is final


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "wait"),
    [("7", 7.0), ("Tue, 21 Apr 2026 10:00:30 GMT", 30.0), ("soon", 0.0), ("9" * 400, 3600.0)],
)
def test_the_server_is_given_the_time_it_asks_for_up_to_an_hour(status: int, asked: str, wait: float) -> None:
    assert no_link("/trmm/a/", reply(status, retry_after=asked), NOW).wait == wait


def test_the_errors_hold_what_the_server_said() -> None:
    denied = no_link("/trmm/a/", reply(403, '{"detail": "permission denied"}'), NOW).error
    assert str(denied) == "GET /trmm/a/: 403: permission denied"
    page = no_link("/trmm/a/", reply(404, "<html>not here</html>"), NOW).error
    hint = "a page of HTML: is it the API's address (often api.…), and not the web client's?"
    assert str(page) == f"GET /trmm/a/: 404: <html>not here</html>; {hint}"
    limited = no_link("/trmm/a/", reply(429, '{"detail": "slower"}', retry_after="9"), NOW).error
    assert isinstance(limited, RateLimitedError)
    assert (limited.detail, limited.retry_after) == ("slower", 9.0)
    moved = no_link("/trmm/a/", reply(301, location="https://other.example/x?token=1"), NOW).error
    assert isinstance(moved, RedirectedError)
    assert moved.location == "https://other.example/x"
    assert str(refusal("/trmm/a/", 401, "expired")) == "GET /trmm/a/: 401: expired"


@given(status=st.integers(100, 599), body=st.binary(max_size=50), asked=st.text(max_size=20))
def test_any_answer_has_an_error_under_the_root(status: int, body: bytes, asked: str) -> None:
    failed = no_link("/trmm/a/", Reply(status, {"retry-after": asked, "location": asked}, body), NOW)
    assert isinstance(failed.error, TRMMError)
    assert 0 <= failed.wait <= 3600


def test_a_page_in_place_of_a_socket_says_what_to_look_at() -> None:
    failed = no_link("/trmm/a/", reply(200, "\ufeff <!DOCTYPE html>"), NOW)
    assert "is it the API's address" in str(failed.error)
    assert "is it the API's address" not in str(no_link("/trmm/a/", reply(200, "[]"), NOW).error)
