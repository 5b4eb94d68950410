"""Logging in to the stock server: the only way to the tokens that its WebSockets want.

Below: `accounts.py` decides. Above: `StockServer` adds the routes. The two steps are those of the real
dashboard: the credentials are checked first, then given again with the second factor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trmm_async.testing.replies import AnsweredError, HTTPReply, RefusedError, html_reply, iso, json_reply
from trmm_async.testing.routing import Route

from .view import Fields, crash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.replies import Asked

    from .accounts import User

__all__ = ["LoginView"]

BAD = "Bad credentials"
UNABLE = "Unable to log in with provided credentials."


class LoginView:
    """The calls that start and end sessions."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> Sequence[Route]:
        """Return the calls."""
        return (
            Route("POST", "/v2/checkcreds/", self.check, public=True),
            Route("POST", "/v2/login/", self.login, public=True),
            Route("POST", "/logout/", self.logout),
        )

    def check(self, asked: Asked) -> HTTPReply:
        """`POST /v2/checkcreds/`: whether a second factor is needed; without one, a short token."""
        self._admit(asked, "checkcreds")
        fields = Fields.of(asked)
        user = self._known(fields)
        if user is None:
            # The server writes the name into its audit log, and fails where there is none.
            self._backend.activity.failed_login(str(fields["username"]))
            return json_reply(400, BAD)
        if not user.may_log_in:
            return json_reply(400, BAD)
        if user.totp_secret is None:
            token = self._backend.accounts.issue(user, self._backend.accounts.setup_seconds)
            return json_reply(200, {"expiry": iso(token.expires), "token": token.value, "totp": False})
        return json_reply(200, {"totp": True})

    def login(self, asked: Asked) -> HTTPReply:
        """`POST /v2/login/`: a token for five hours.

        A body without `twofactor` is a 500, and so is a user who has none set up.
        """
        self._admit(asked, "login")
        fields = Fields.of(asked)
        if missing := _missing(fields):
            return json_reply(400, missing)
        user = self._known(fields)
        if user is None:
            return json_reply(400, {"non_field_errors": [UNABLE]})
        if not user.may_log_in:
            return json_reply(400, BAD)
        if user.totp_secret is None:
            crash()
        if not self._backend.accounts.code_ok(user, str(fields["twofactor"])):
            self._backend.activity.failed_login(user.username, second_factor=True)
            return json_reply(400, BAD)
        self._backend.activity.login(user.username)
        token = self._backend.accounts.issue(user)
        answer = {"expiry": iso(token.expires), "token": token.value, "username": user.username, "name": None}
        return json_reply(200, answer)

    def logout(self, asked: Asked) -> HTTPReply:
        """`POST /logout/`: ends the session of its token; with an API key it is a 500."""
        token = session_token(asked.raw.headers)
        if token is None:
            return html_reply(500)
        self._backend.accounts.end(token)
        return HTTPReply(204)

    def _known(self, fields: Fields) -> User | None:
        return self._backend.accounts.check(str(fields.get("username")), str(fields.get("password")))

    def _admit(self, asked: Asked, scope: str) -> None:
        """Count a call per address, unless it comes from somebody who is known already.

        A wrong key is an error on every path of the server, also where none is needed.
        """
        if asked.row.key_ok:
            return
        if session_token(asked.raw.headers) or asked.raw.headers.get("X-API-KEY"):
            raise RefusedError(401)
        peer = asked.raw.remote or ""
        verdict = self._backend.gate.limits.admit_login(scope, peer)
        if verdict.admitted:
            return
        self._backend.ledger.refuse(asked.row)
        seconds = math.ceil(verdict.wait or 0.0)
        words = "Request was throttled." + (
            f" Expected available in {seconds} second{'s' * (seconds != 1)}." if verdict.wait else ""
        )
        headers = {"Retry-After": str(seconds)} if verdict.wait else {}
        raise AnsweredError(json_reply(429, {"detail": words}, headers))


def session_token(headers: Mapping[str, str]) -> str | None:
    """Return the token of an `Authorization: Token …` header; any other scheme means nothing."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "token" else None


def _missing(fields: Fields) -> dict[str, list[str]]:
    found = {}
    for name in ("username", "password"):
        if name not in fields:
            found[name] = ["This field is required."]
        elif fields[name] is None:
            found[name] = ["This field may not be null."]
        elif not str(fields[name]).strip():
            found[name] = ["This field may not be blank."]
    return found
