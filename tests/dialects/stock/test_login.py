"""Logins: recorded answers, read without a server."""

import json
from pathlib import Path
from typing import Any

import pytest

from trmm_async import AuthenticationError
from trmm_async.dialects.stock.login import Token, check_credentials, log_in

RECORDED = Path(__file__).parents[2] / "recordings" / "http"


READ = {
    "checkcreds_ok": "wants a code",
    "checkcreds_no_totp_set": "token",
    "ok": "token",
    "checkcreds_bad": AuthenticationError,
    "bad_password": AuthenticationError,
    "bad_totp": AuthenticationError,
    "blocked_dashboard_user": AuthenticationError,
    "missing_totp": None,
    "throttled": None,
    "ok_with_api_key_header_only": AuthenticationError,
}


def test_a_first_call_has_no_code_and_a_token_that_is_shown_nowhere() -> None:
    first, second = check_credentials("me", "pw"), log_in("me", "pw", "123456")
    for call, sent in ((first, {}), (second, {"twofactor": "123456"})):
        request: Any = call
        assert json.loads(request.body or b"") == {"username": "me", "password": "pw"} | sent
        assert "pw" not in repr(request)
        assert {429, 502} <= request.definite  # each attempt counts against the server's limit
    token = Token("secret-token")
    assert token.query == "access_token=secret-token"
    assert "secret" not in repr(token) + repr(token.query)


@pytest.mark.parametrize("name", READ)
def test_a_recorded_answer_is_read(name: str) -> None:
    recorded = json.loads((RECORDED / f"login_{name}.json").read_text())
    request, response = recorded["request"], recorded["response"]
    said = {"username": "u", "password": "p", **request["body"]}
    call: Any = (
        check_credentials(said["username"], said["password"])
        if request["path"] == "/v2/checkcreds/"
        else log_in(said["username"], said["password"], said.get("twofactor", "1"))
    )
    assert (call.method, call.path) == (request["method"], request["path"])
    body = json.dumps(response["body"]).encode()
    expected = READ[name]
    if expected == "wants a code":
        assert call.decode(body).token is None
    elif expected == "token":
        found = call.decode(body)
        token = found if isinstance(found, Token) else found.token
        assert token.text == "<knox>"
        assert token.expiry is not None
        assert "knox" not in repr(found)
    else:
        assert call.explain(response["status"], body).kind is expected
        assert response["status"] in {400, *call.definite}


def test_every_recorded_login_is_covered() -> None:
    assert {path.stem.removeprefix("login_") for path in RECORDED.glob("login_*.json")} == set(READ)
