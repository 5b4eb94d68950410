"""Who may log in to a stock server, and the tokens that come of it.

Below: nothing, this module is pure and its clock is handed in. Above: `login.py` answers the login calls with
it, `front.py` and the sockets ask it whose a token is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

__all__ = ["Accounts", "SessionToken", "User", "first_accounts", "totp_code"]

SESSION_SECONDS = 5 * 3600.0
"""How long a token of a full login is good (`REST_KNOX["TOKEN_TTL"]`)."""

SETUP_SECONDS = 180.0
"""How long the token is good that a user without TOTP gets, to set one up."""

MIN_REFRESH_SECONDS = 600.0
"""A token that is used gets its full lifetime back if that adds more than this (knox's `AUTO_REFRESH`)."""

STEP_SECONDS = 30
VALID_WINDOW = 10


@dataclass(slots=True)
class User:
    """Somebody who may log in.

    Without a `totp_secret` (base32) the user has not set up two-factor authentication. `permissions` of None
    are those of a superuser; else they are what the role allows. `blocked` keeps a user from the dashboard,
    which includes every login and every socket; `sso` users log in elsewhere. A change shows at once. `pk` is
    given by the server, `role` is that of its table of roles.
    """

    username: str
    password: str
    totp_secret: str | None = None
    permissions: frozenset[str] | None = None
    blocked: bool = False
    sso: bool = False
    active: bool = True
    pk: int = 0
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    role: int | None = None
    date_format: str | None = None

    def may(self, permission: str) -> bool:
        """Tell whether the role allows something."""
        return self.permissions is None or permission in self.permissions

    @property
    def may_log_in(self) -> bool:
        """Whether the server gives this user a token at all."""
        return self.active and not self.blocked and not self.sso


@dataclass(slots=True)
class SessionToken:
    """A session of a user; it is good until the clock says `expires`."""

    value: str
    user: User
    expires: float
    issued: float = 0.0


@dataclass(slots=True)
class Accounts:
    """The users of one server and their sessions.

    `session_seconds` is the lifetime of tokens made from now on. `any_code` is accepted for every user in
    place of the real TOTP code; None accepts real codes only.
    """

    clock: Callable[[], float]
    rng: Random
    session_seconds: float = SESSION_SECONDS
    setup_seconds: float = SETUP_SECONDS
    any_code: str | None = "510199"
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, SessionToken] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def add(self, user: User) -> User:
        """Take in a user; one of the same name is replaced."""
        self.users[user.username] = user
        user.pk = user.pk or next(self._numbers)
        user.email = user.email or f"{user.username}@example.com"
        return user

    def rename(self, old: str, new: str) -> None:
        """Give a user another name."""
        user = self.users.pop(old)
        user.username = new
        self.add(user)

    def new_secret(self) -> str:
        """Make up a TOTP secret."""
        return base64.b32encode(self.rng.randbytes(20)).decode()

    def check(self, username: str, password: str) -> User | None:
        """Return the user whose credentials these are."""
        user = self.users.get(username)
        return user if user and user.active and user.password == password else None

    def code_ok(self, user: User, code: str) -> bool:
        """Tell whether a second factor is right; a code may be five minutes early or late."""
        if self.any_code is not None and code == self.any_code:
            return True
        if user.totp_secret is None:
            return False
        now = self.clock()
        steps = range(-VALID_WINDOW, VALID_WINDOW + 1)
        return any(totp_code(user.totp_secret, now + step * STEP_SECONDS) == code for step in steps)

    def issue(self, user: User, seconds: float | None = None) -> SessionToken:
        """Start a session, `session_seconds` long unless told otherwise."""
        now = self.clock()
        length = self.session_seconds if seconds is None else seconds
        token = SessionToken(f"{self.rng.getrandbits(256):064x}", user, now + length, now)
        self.tokens[token.value] = token
        return token

    def find(self, value: str) -> SessionToken | None:
        """Return the session that a token stands for, renewed; None if it is unknown or over.

        An expired token is forgotten, as by knox.
        """
        token = self.tokens.get(value)
        if token is None or not token.user.active:
            return None
        now = self.clock()
        if token.expires <= now:
            del self.tokens[value]
            return None
        if now + self.session_seconds - token.expires > MIN_REFRESH_SECONDS:
            token.expires = now + self.session_seconds
        return token

    def end(self, value: str) -> None:
        """Log out one session."""
        self.tokens.pop(value, None)

    def expire(self, username: str | None = None) -> int:
        """End the sessions of one user, or all, and return how many there were."""
        ended = [each for each in self.tokens.values() if username in {None, each.user.username}]
        for token in ended:
            del self.tokens[token.value]
        return len(ended)


def first_accounts(clock: Callable[[], float], rng: Random) -> Accounts:
    """Make the accounts of a new server: one superuser, who has set up a second factor."""
    accounts = Accounts(clock, rng)
    accounts.add(User("admin", f"pw-{rng.getrandbits(64):016x}", accounts.new_secret()))
    return accounts


def totp_code(secret: str, moment: float) -> str:
    """Return the six digits that an authenticator shows at a moment (RFC 6238)."""
    counter = struct.pack(">Q", max(0, int(moment // STEP_SECONDS)))
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 0xF
    number: int = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
