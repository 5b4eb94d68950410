"""The synchronous `TRMM`: a client whose calls block."""

import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from trmm_async.client import TRMM as AsyncTRMM  # noqa: N811 - a class, whatever its name looks like
from trmm_async.errors import InvalidRequestError
from trmm_async.hidden import hide
from trmm_async.sync.facade import Facade, stands_for, taken, without
from trmm_async.sync.portal import Portal

__all__ = ["TRMM"]

_SECRETS: Final = ("api_key", "access_token", "shared_limits", "proxy")


@stands_for(AsyncTRMM)
class TRMM(Facade):
    """The synchronous client of a Tactical RMM server, for scripts and notebooks. Every call blocks.

        with TRMM("https://api.example.com", api_key="…") as trmm:
            for agent in trmm.agents.list():
                print(agent.hostname)

    It has the same methods as `trmm_async.TRMM`. Its event loop runs in a thread of its own, so any thread
    may use the client, even one in which another loop runs. Ctrl-C cancels the call that is in progress. The
    thread ends with `close`, at the end of the `with` block, when the client is garbage-collected, or at the
    end of the program.

    Args:
        url: as in `trmm_async.TRMM`.
        settings: as in `trmm_async.TRMM`, without `session`.

    Raises:
        InvalidRequestError: a setting is wrong.
    """

    def __init__(self, url: str, **settings: Any) -> None:
        settings |= {name: hide(settings[name]) for name in _SECRETS if name in settings}
        self._begin(AsyncTRMM, url, **settings)

    def _begin(self, make: Callable[..., AsyncTRMM], *args: str, **settings: Any) -> None:
        if settings.pop("session", None) is not None:
            raise InvalidRequestError(
                "session is not supported by trmm_async.sync.TRMM, since it belongs to your event loop and "
                "this client has its own: use trmm_async.TRMM with it"
            )
        portal = Portal()
        try:
            given = {name: taken(portal, "__init__", name, value) for name, value in settings.items()}
            self._portal, self._it = portal, portal.call(lambda: make(*args, **given))
        except BaseException:
            portal.close()
            raise
        portal.at_close(self._it.aclose)

    @classmethod
    def from_env(cls, **settings: Any) -> Self:
        """Make a client from environment variables, as `trmm_async.TRMM.from_env` does."""
        made = object.__new__(cls)
        made._begin(AsyncTRMM.from_env, **settings)
        return made

    @classmethod
    def from_profile(cls, name: str, **settings: Any) -> Self:
        """Make a client from a profile of `trmm login`, as `trmm_async.TRMM.from_profile` does."""
        made = object.__new__(cls)
        made._begin(AsyncTRMM.from_profile, name, **settings)
        return made

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. Later calls raise `ClosedError`. May be called twice.

        Calls in progress in other threads end with `ClosedError`, too.

        Raises:
            InvalidRequestError: this client was made by `with_options`; close the original instead.
        """
        if self._it._is_view:  # noqa: SLF001 - the asynchronous client decides what a view is
            self._portal.call(self._it.aclose)
        self._portal.close()


TRMM.__init__.__signature__ = without(  # type: ignore[attr-defined]
    inspect.signature(AsyncTRMM.__init__), "TRMM", "__init__"
)
