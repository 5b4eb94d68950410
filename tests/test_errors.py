"""The one tree of errors: what is under what, what each says, and that each survives a journey."""

import builtins
import copy
import pickle
import re

import pytest

from trmm_async import errors
from trmm_async.errors import (
    AmbiguousNameError,
    APIError,
    BadRequestError,
    ClosedError,
    ConnectionFailedError,
    DecodeError,
    IncompleteError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitedError,
    RedirectedError,
    ServerError,
    ServerFaultError,
    TimeoutError,
    TRMMError,
    UnknownNameError,
    UnsupportedError,
)

WHERE = {"method": "POST", "path": "/api/v3/x/"}


def drawn() -> dict[str, str | None]:
    """Each class in the drawing, with the one above it."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").split("```")[1].strip().splitlines():
        found = re.match(r"((?:│   |    )*)(?:[├└]── )?(\w+)", line)
        assert found, line
        depth = len(found[1]) // 4 + ("── " in line)
        above[depth:] = [found[2]]
        parents[found[2]] = above[depth - 1] if depth else None
    return parents


TREE = drawn()


def test_all_public_errors_are_drawn_and_nothing_else_is() -> None:
    assert set(TREE) == set(errors.__all__)


@pytest.mark.parametrize(("name", "above"), TREE.items())
def test_each_is_under_what_it_is_drawn_under(name: str, above: str | None) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, TRMMError)
    assert issubclass(kind, getattr(errors, above or "TRMMError"))


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("InvalidRequestError", ValueError),
        ("ClosedError", RuntimeError),
        ("TimeoutError", builtins.TimeoutError),
        ("BadRequestError", APIError),
        ("ServerFaultError", ServerError),
        ("ServerFaultError", APIError),
    ],
)
def test_each_is_also_what_the_drawing_says_besides(name: str, also: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), also)


def test_what_may_have_taken_effect_is_not_caught_as_what_certainly_did_not() -> None:
    for kind in (OutcomeUnknownError, ServerFaultError):
        assert not issubclass(kind, ConnectionFailedError | TimeoutError)


def rate_limited() -> RateLimitedError:
    error = RateLimitedError(429, "slow down", **WHERE)
    error.attempts, error.waited, error.retry_after = 4, 31.4, 60.0
    return error


def redirected() -> RedirectedError:
    error = RedirectedError(301, "redirected to https://there/", **WHERE)
    error.location = "https://there/"
    return error


SAMPLES: dict[str, tuple[TRMMError, str]] = {
    "root": (TRMMError("words"), "words"),
    "invalid": (InvalidRequestError("timeout must be …"), "timeout must be …"),
    "ambiguous": (
        AmbiguousNameError("PC", list("abcdefg")),
        "7 agents are named 'PC', give the id: a, b, c, d, e, f and 1 more",
    ),
    "told apart": (
        AmbiguousNameError("X", [4, 9], "script", ["cmd", "shell"]),
        "2 scripts are named 'X', give the id: 4 (cmd), 9 (shell)",
    ),
    "unknown name": (
        UnknownNameError("Hermes", "client", ["Hermes Inc."]),
        "there is no client 'Hermes'; did you mean 'Hermes Inc.'?",
    ),
    "a number": (
        UnknownNameError("34", "client"),
        "there is no client '34'; a text is a name: for the id, give the number 34",
    ),
    "incomplete": (
        IncompleteError({name: ConnectionFailedError("refused") for name in "abcd"}, ["x"]),
        "4 agents could not be asked: a (refused), b (refused), c (refused) and 1 more",
    ),
    "unsupported": (UnsupportedError("use iter()"), "use iter()"),
    "closed": (ClosedError("this TRMM is closed"), "this TRMM is closed"),
    "failed": (ConnectionFailedError("refused", **WHERE), "POST /api/v3/x/: refused"),
    "failed nowhere": (ConnectionFailedError("refused"), "refused"),
    "timeout": (TimeoutError("no answer in time", **WHERE), "POST /api/v3/x/: no answer in time"),
    "unknown": (OutcomeUnknownError("sent", **WHERE), "POST /api/v3/x/: sent"),
    "fault": (
        ServerFaultError(502, "Bad Gateway", body="<html>", **WHERE),
        "POST /api/v3/x/: 502: Bad Gateway",
    ),
    "fault, mute": (ServerFaultError(502, "", body="oops", **WHERE), "POST /api/v3/x/: 502: oops"),
    "api": (APIError(409, "taken", body="{}", **WHERE), "POST /api/v3/x/: 409: taken"),
    "api nowhere": (APIError(409, "taken"), "409: taken"),
    "api, body only": (APIError(409, "", body="b" * 900, **WHERE), f"POST /api/v3/x/: 409: {'b' * 200}"),
    "api, mute": (APIError(409, "", **WHERE), "POST /api/v3/x/: 409: no details"),
    "bad": (BadRequestError(400, "name: required", **WHERE), "POST /api/v3/x/: 400: name: required"),
    "not found": (NotFoundError(404, "Not found", **WHERE), "POST /api/v3/x/: 404: Not found"),
    "limited": (
        rate_limited(),
        "POST /api/v3/x/: 429: slow down (sent 4 times, waited 31 s, asked to wait 60 s more)",
    ),
    "limited, not asked": (
        RateLimitedError(429, "slow down", **WHERE),
        "POST /api/v3/x/: 429: slow down (sent 1 times, waited 0 s)",
    ),
    "redirected": (redirected(), "POST /api/v3/x/: 301: redirected to https://there/"),
    "unreadable": (
        DecodeError(200, "not JSON", body="<html>" * 99, **WHERE),
        f"POST /api/v3/x/: 200: not JSON; the body begins {('<html>' * 99)[:200]!r}",
    ),
    "empty": (DecodeError(200, "no JSON", **WHERE), "POST /api/v3/x/: 200: no JSON; the body is empty"),
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_text_says_which_call_which_status_and_what_was_said(sample: str) -> None:
    error, text = SAMPLES[sample]
    assert str(error) == text


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(
    "journey", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_all_of_it_survives_a_copy_and_another_process(sample: str, journey: object) -> None:
    error, text = SAMPLES[sample]
    assert callable(journey)
    there = journey(error)
    assert type(there) is type(error)
    assert (str(there), repr(vars(there)), repr(there.args)) == (text, repr(vars(error)), repr(error.args))


def test_facts_are_attributes() -> None:
    fault = SAMPLES["fault"][0]
    assert isinstance(fault, ServerFaultError)
    assert (fault.status, fault.detail, fault.method, fault.path, fault.body) == (
        502,
        "Bad Gateway",
        "POST",
        "/api/v3/x/",
        "<html>",
    )
    assert fault.message == "502: Bad Gateway"
    ambiguous = SAMPLES["ambiguous"][0]
    assert isinstance(ambiguous, AmbiguousNameError)
    assert (ambiguous.name, ambiguous.ids) == ("PC", tuple("abcdefg"))


def test_no_text_of_an_error_does_anything_to_a_terminal() -> None:
    bad = "x\x1b[2J\x9b\u202e\r"
    for error in (
        errors.InvalidRequestError(bad),
        errors.AmbiguousNameError("x", [bad]),
        errors.RecordedError("x", bad),
        errors.OutcomeUnknownError(bad, method="GET", path="/"),
        errors.NotFoundError(404, bad),
        errors.NotFoundError(404, "", body=bad),
        errors.BadRequestError(400, bad),
        errors.ServerFaultError(502, bad),
        errors.DecodeError(200, bad, body=bad),
    ):
        assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(str(error)), repr(error)
