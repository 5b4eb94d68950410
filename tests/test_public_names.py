"""What users may import, and what importing costs."""

import inspect
import re
import subprocess
import sys

import pytest

import trmm_async
from trmm_async import errors

USED = [
    "TRMM",
    "RateLimit",
    "TRMMError",
    "APIError",
    "AuthenticationError",
    "PermissionDeniedError",
    "NotFoundError",
    "InvalidRequestError",
    "RateLimitedError",
    "ServerError",
    "ConnectionFailedError",
    "TimeoutError",
    "OutcomeUnknownError",
    "DecodeError",
    "UnsupportedError",
    "Done",
    "Failed",
    "Unknown",
    "Skipped",
    "AgentOnline",
    "AgentOffline",
    "AlertEvent",
    "Gap",
    "ScriptOutput",
    "UnknownEvent",
]


def test_every_public_name_is_there() -> None:
    names = {*trmm_async.__all__, *USED}
    assert names - {*trmm_async.__all__} == names - {*dir(trmm_async)} == set()
    assert [name for name in names if getattr(trmm_async, name) is None] == []


def test_what_is_lazy_is_what_type_checkers_see() -> None:
    source = inspect.getsource(trmm_async)
    block = source[source.index("if TYPE_CHECKING:") : source.index("_ROOMS")]
    imported = set(re.findall(r"\b([A-Za-z]\w+)\b", re.sub(r"from \S+ import", "", block)))
    assert imported - {"if", "TYPE_CHECKING"} == set(trmm_async.__all__) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = trmm_async.Nonsense


def test_importing_the_package_imports_none_of_its_libraries() -> None:
    program = (
        "import sys, trmm_async; "
        "print([n for n in ('aiohttp', 'websockets', 'msgspec', 'aiolimiter') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


ERRORS = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, BaseException)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_under_the_root(kind: type[BaseException]) -> None:
    assert issubclass(kind, errors.TRMMError)


def test_every_public_error_is_drawn_in_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = set(re.findall(r"[A-Z]\w*Error", errors.__doc__))
    assert drawn >= set(errors.__all__)
    assert set(errors.__all__) <= set(trmm_async.__all__)


def test_the_built_in_kin_of_errors_are_caught_too() -> None:
    assert issubclass(errors.TimeoutError, TimeoutError)
    assert issubclass(errors.InvalidRequestError, ValueError)
    assert issubclass(errors.BadRequestError, errors.APIError)
    assert issubclass(errors.ServerFaultError, errors.ServerError)


def test_texts_say_which_call_which_status_and_what() -> None:
    where = {"method": "GET", "path": "/x/"}
    assert str(errors.APIError(418, "teapot", body="b", **where)) == "GET /x/: 418: teapot"
    assert str(errors.APIError(418, "", body="b" * 300, **where)) == f"GET /x/: 418: {'b' * 200}"
    assert str(errors.DecodeError(200, "no list", body="<html>", **where)).endswith(
        "the body begins '<html>'"
    )
    assert str(errors.DecodeError(200, "no list", **where)).endswith("the body is empty")
    assert str(errors.ConnectionFailedError("refused", **where)) == "GET /x/: refused"
    limited = errors.RateLimitedError(429, "slow down", **where)
    limited.retry_after, limited.attempts, limited.waited = 7.0, 3, 12.4
    assert str(limited) == "GET /x/: 429: slow down (sent 3 times, waited 12 s, asked to wait 7 s more)"
