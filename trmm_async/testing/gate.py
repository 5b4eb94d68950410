"""Decides which requests are admitted: API keys, rate limits and permissions.

Below: `throttle.py`. Above: `front.py` asks it about every request that is for a route with a key. Pure.
"""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from .throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random
    from types import TracebackType

    from .stock.accounts import Accounts, SessionToken, User
    from .throttle import Rate, ThrottleDecision

__all__ = ["PERMISSIONS", "Denial", "Gate", "Limits", "Restriction", "new_key"]

RIGHTS = """
list_agents use_mesh uninstall_agents update_agents edit_agent manage_procs view_eventlogs send_cmd
reboot_agents install_agents run_scripts run_bulk recover_agents list_agent_history send_wol
use_registry use_terminal list_notes manage_notes view_core_settings edit_core_settings
do_server_maint code_sign run_urlactions view_customfields manage_customfields run_server_scripts
use_webterm view_global_keystore edit_global_keystore view_schedules manage_schedules list_checks
manage_checks run_checks list_clients manage_clients list_sites manage_sites list_deployments
manage_deployments list_automation_policies manage_automation_policies list_autotasks
manage_autotasks run_autotasks view_auditlogs list_pendingactions manage_pendingactions
view_debuglogs list_scripts manage_scripts list_alerts manage_alerts list_alerttemplates
manage_alerttemplates manage_winsvcs list_software manage_software manage_winupdates list_accounts
manage_accounts list_roles manage_roles list_api_keys manage_api_keys view_reports manage_reports
"""
PERMISSIONS = frozenset(f"can_{right}" for right in RIGHTS.split())
"""What an API key may be forbidden, in the words of Tactical RMM's roles. The gateway asks for few."""

LOGIN_LIMIT = (10, 60.0)
TOKEN = "Token "  # noqa: S105 - a mark, no token
"""How a dialect marks the token of a login among keys."""


@dataclass(frozen=True, slots=True)
class Denial:
    """A refusal: 401, 403 or 429; `wait` is what the throttle suggests, in seconds.

    `fault` is what is wrong with a key that is known: `"expired"` or `"inactive"`.
    """

    status: int
    wait: float | None = None
    fault: str | None = None


class Limits:
    """The rate limits in force; both may be changed while the server runs. None means unlimited."""

    def __init__(self, requests: Rate | None, deployments: Rate | None, clock: Callable[[], float]) -> None:
        self._general = Throttle(requests, clock)
        self._lanes = {"deployments": Throttle(deployments, clock)}
        self._logins = {scope: Throttle(LOGIN_LIMIT, clock) for scope in ("login", "checkcreds")}

    def __repr__(self) -> str:
        return f"<Limits requests={self.requests} deployments={self.deployments}>"

    @property
    def requests(self) -> Rate | None:
        """So many requests in so many seconds, per API key."""
        return self._general.rate

    @requests.setter
    def requests(self, rate: Rate | None) -> None:
        self._general.rate = rate

    @property
    def deployments(self) -> Rate | None:
        """The same for the creation of deployments, besides the general limit."""
        return self._lanes["deployments"].rate

    @deployments.setter
    def deployments(self, rate: Rate | None) -> None:
        self._lanes["deployments"].rate = rate

    def admit(self, key: str, lane: str | None) -> Denial | None:
        """Count a request; one that is refused by one limit may still count in the other, as with Django."""
        throttles = [self._general, self._lanes[lane]] if lane else [self._general]
        refusals = [verdict for each in throttles if not (verdict := each.admit(key)).admitted]
        if not refusals:
            return None
        return Denial(
            429, max((verdict.wait for verdict in refusals if verdict.wait is not None), default=None)
        )

    @property
    def logins(self) -> Rate | None:
        """So many logins in so many seconds per address, with the stock dialect: 10 a minute unless set."""
        return self._logins["login"].rate

    @logins.setter
    def logins(self, rate: Rate | None) -> None:
        for throttle in self._logins.values():
            throttle.rate = rate

    def admit_login(self, scope: str, address: str) -> ThrottleDecision:
        """Count a login, or a first step to one: `scope` is `"login"` or `"checkcreds"`."""
        return self._logins[scope].admit(address)

    def used(self, key: str) -> int:
        """Tell how many requests of a key count towards the general limit at this moment."""
        return self._general.used(key)

    def reset(self) -> None:
        """Forget what has been counted."""
        for throttle in (self._general, *self._lanes.values(), *self._logins.values()):
            throttle.reset()


class Gate:
    """Judges requests by their key: first whether it is valid, then the limits, then the permission.

    Every request with a valid key counts, also one that is then denied for lack of a permission.
    """

    def __init__(self, key: str, limits: Limits) -> None:
        self.keys: set[str] = {key}
        self.limits = limits
        self.username = "admin"
        self.users: dict[str, str] = {}
        self.faulty: dict[str, str] = {}
        self.forbidden: Counter[str] = Counter()
        self.accounts: Accounts | None = None

    def knows(self, key: str | None) -> bool:
        """Tell whether a key, or the `Token ...` of a login, is one of this server's."""
        return key in self.keys or self._token(key) is not None

    def _token(self, key: str | None) -> SessionToken | None:
        if key is None or self.accounts is None or not key.startswith(TOKEN):
            return None
        return self.accounts.find(key.removeprefix(TOKEN))

    def judge(self, key: str | None, *, permission: str | None, lane: str | None) -> Denial | None:
        """Return why a request is refused, or None if it is admitted."""
        if token := self._token(key):
            forbidden = permission is not None and (
                self.forbidden[permission] or not token.user.may(permission)
            )
            return Denial(403) if forbidden else None
        if key is None or key not in self.keys:
            return Denial(401)
        owner = self._owner(key)
        fault = self.faulty.get(key) or ("inactive" if owner and not owner.active else None)
        if fault is not None:
            return Denial(401, fault=fault)
        if denial := self.limits.admit(key, lane):
            return denial
        if permission is None:
            return None
        forbidden = self.forbidden[permission] > 0 or (owner is not None and not owner.may(permission))
        return Denial(403) if forbidden else None

    def _owner(self, key: str) -> User | None:
        """The account of who was given a key; None for the server's first, and on a gateway."""
        return self.accounts.users.get(self.users.get(key, "")) if self.accounts is not None else None

    def user(self, key: str | None) -> str:
        """Return the name of the key's user."""
        if token := self._token(key):
            return token.user.username
        return self.users.get(key or "", self.username)


class Restriction:
    """Permissions that every key lacks until `lift()`, or until the end of the block it is used in."""

    def __init__(self, gate: Gate, permissions: Sequence[str]) -> None:
        self.permissions: tuple[str, ...] = tuple(permissions)
        self._forbidden = gate.forbidden
        self._forbidden.update(self.permissions)
        self._lifted = False

    def lift(self) -> None:
        """Give the permissions back; twice is harmless."""
        if not self._lifted:
            self._lifted = True
            self._forbidden.subtract(self.permissions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lift()


def new_key(rng: Random) -> str:
    """Make up an API key of the usual form."""
    return "".join(rng.choices(string.ascii_uppercase + string.digits, k=32))
