"""The switches of a running simulator that only its stock dialect has: logins, tokens and live sockets.

Below: the modules of `stock/`, each of which does what it is told here. Above: `simulator.py`. As all
switches these are synchronous, take effect at once, and may be used before the simulator is started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .stock.accounts import User, totp_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .gate import Gate
    from .stock.accounts import Accounts
    from .stock.activity_log import ActivityLog
    from .stock.database import StockDatabase
    from .stock.interval import Interval
    from .stock.losses import Frame, FrameLoss, Losses
    from .world import World

__all__ = ["StockSwitches"]


class StockSwitches:
    """What a test can do to a stock server besides the switches that both dialects have."""

    world: World
    _gate: Gate
    _accounts: Accounts
    _database: StockDatabase
    _activity: ActivityLog
    _losses: Losses
    _dashboard_interval: Interval

    # -- logins and tokens -----------------------------------------------------------------------------------

    def user(self, username: str | None = None) -> User:
        """Return the record of a user, or of the one whose key the simulator was started with.

        It has the `password` and the `totp_secret` to log in with; a change shows at once. LookupError for an
        unknown name.
        """
        name = self._gate.username if username is None else username
        if name not in self._accounts.users:
            msg = f"no user {name!r} here; there is {', '.join(self._accounts.users)}"
            raise LookupError(msg)
        return self._accounts.users[name]

    def add_user(
        self,
        username: str,
        password: str = "Passw0rd!x",  # noqa: S107 - a password for tests
        *,
        totp: bool = True,
        blocked: bool = False,
        sso: bool = False,
        permissions: Iterable[str] | None = None,
    ) -> User:
        """Add a user who may log in, and return the record.

        Without `totp` there is no second factor as yet: `checkcreds` then answers with a token of three
        minutes at once. One who is `blocked` from the dashboard, or an `sso` user, gets no token at all.
        `permissions` are what the role allows, such as `"can_send_cmd"`; None makes a superuser. They hold
        for tokens; API keys are the business of `restrict`.
        """
        secret = self._accounts.new_secret() if totp else None
        role = None if permissions is None else frozenset(permissions)
        return self._accounts.add(User(username, password, secret, role, blocked, sso))

    @property
    def password(self) -> str:
        """The password of the user whose key the simulator was started with."""
        return self.user().password

    @property
    def totp_secret(self) -> str | None:
        """That user's TOTP secret in base32, to compute real codes from."""
        return self.user().totp_secret

    @property
    def totp_code(self) -> str | None:
        """A code that is accepted from everybody at any time, besides the real ones; None: none is."""
        return self._accounts.any_code

    @totp_code.setter
    def totp_code(self, code: str | None) -> None:
        self._accounts.any_code = code

    def real_totp_code(self, username: str | None = None) -> str:
        """Return what the user's authenticator shows at this moment of the simulator's clock."""
        secret = self.user(username).totp_secret
        if secret is None:
            msg = f"user {username!r} has no second factor"
            raise LookupError(msg)
        return totp_code(secret, self._accounts.clock())

    @property
    def token_seconds(self) -> float:
        """How long tokens of a login are good, made from now on; five hours unless set."""
        return self._accounts.session_seconds

    @token_seconds.setter
    def token_seconds(self, seconds: float) -> None:
        self._accounts.session_seconds = seconds

    def new_token(self, username: str | None = None) -> str:
        """Return a valid token without a login."""
        return self._accounts.issue(self.user(username)).value

    def expire_tokens(self, username: str | None = None) -> int:
        """End the sessions of a user, or all, and return how many there were; live sockets stay."""
        return self._accounts.expire(username)

    # -- live commands and the dashboard ---------------------------------------------------------------------

    def lose_frames(
        self,
        frames: int | Callable[[Frame], bool] = 1,
        *,
        times: int | None = None,
    ) -> FrameLoss:
        """Have output frames of live commands get lost: the next `frames` of them, or those a function picks.

        A function is called with every frame that would go out, `done` ones included, and may pick `times`
        of them (None: any number). What is returned counts its `hits`, and ends with `remove()` or with the
        block it is used in.
        """
        if isinstance(frames, int):
            return self._losses.add(lambda frame: "output" in frame, frames)
        return self._losses.add(frames, times)

    def omit_done(self, times: int | None = 1) -> FrameLoss:
        """Have the last frame of the next `times` live commands get lost, or of all; see `lose_frames`."""
        return self._losses.add(lambda frame: "done" in frame, times)

    @property
    def dashinfo_seconds(self) -> float:
        """The pause between two counts on `/ws/dashinfo/`; 30 unless set. Setting it has them sent now."""
        return self._dashboard_interval.seconds

    @dashinfo_seconds.setter
    def dashinfo_seconds(self, seconds: float) -> None:
        self._dashboard_interval.seconds = seconds

    # -- what is there ---------------------------------------------------------------------------------------

    def add_community_script(self, name: str, *, shell: str = "powershell", description: str = "") -> int:
        """Add a script of the community's library, which can't be edited or deleted, and return its id."""
        made = self.world.add_script(name, shell=shell, description=description)
        self._database.script(made)["script_type"] = "builtin"
        return made.id

    def add_pending_action(
        self, agent_id: str, kind: str = "chocoinstall", *, status: str = "pending", **details: object
    ) -> int:
        """Add a pending action of an agent and return its id.

        `kind` is one of the server's words; `details` are `name` for `"chocoinstall"`, `time` and `taskname`
        for `"schedreboot"`, `version` for `"agentupdate"`.
        """
        row = self._activity.plan(self.world.agent(agent_id), kind, details, status=status)
        return int(str(row["id"]))

    def add_debug_log(self, message: str, *, level: str = "error", agent_id: str | None = None) -> int:
        """Add a row to the server's debug log and return its id."""
        kind = "system_issues" if agent_id is None else "agent_issues"
        row = self._activity.complain(message, level=level, kind=kind, agent=agent_id)
        return int(str(row["id"]))
