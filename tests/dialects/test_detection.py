"""Which language a server speaks: the pure part."""

import pytest

from tests.recorded import recording
from trmm_async.answers import error_for
from trmm_async.dialects.detection import PROBE, dialect_of
from trmm_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.retry import Reply

PAGE = "<!doctype html><title>Not Found</title>"


@pytest.mark.parametrize(
    ("error", "language"),
    [
        (None, "gateway"),
        (AuthenticationError(401, "Invalid token", body='{"detail": "Invalid token"}'), "gateway"),
        (PermissionDeniedError(403, "permission denied", body="{}"), "gateway"),
        (NotFoundError(404, "Not Found", body=f"\n{PAGE}"), "stock"),
    ],
)
def test_an_answer_tells(error: TRMMError | None, language: str) -> None:
    assert dialect_of(error) == language


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError(404, "nothing", body='{"detail": "nothing"}'),
        NotFoundError(404, "404 Not Found", body="<html><title>404 Not Found</title><hr>nginx</html>"),
        BadRequestError(
            400, "Bad Request", body="<html>the plain HTTP request was sent to HTTPS port</html>"
        ),
        DecodeError(200, "no JSON", body=PAGE),
    ],
)
def test_an_answer_of_neither_says_what_to_look_at(error: APIError) -> None:
    with pytest.raises(UnsupportedError, match=r"API's address.*dialect=") as caught:
        dialect_of(error)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailedError("refused"),
        ServerError(502, "bad gateway", body=PAGE),
        RateLimitedError(429, "slow down"),
        AuthenticationError(401, "who are you", body=PAGE),
    ],
)
def test_what_tells_nothing_is_raised_as_it_is(error: TRMMError) -> None:
    with pytest.raises(type(error)) as caught:
        dialect_of(error)
    assert caught.value is error


def test_a_stock_server_answers_as_recorded() -> None:
    told = recording("x_api_v3_agents_deployments")
    assert (PROBE.method, PROBE.path) == (told.method, told.path)
    assert dialect_of(error_for(PROBE, Reply(told.status, {}, told.answer), str)) == "stock"


def test_the_question_is_harmless() -> None:
    assert PROBE.method == "GET"
    assert PROBE.body is None
