"""`TRMM`, for threads that wait.

At the top of this room, over `facade`.
"""

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
    """A Tactical RMM server, for scripts and notebooks: `trmm_async.TRMM`, and every call waits.

        with TRMM("https://api.example.com", api_key="…") as trmm:
            for agent in trmm.agents.list():
                print(agent.hostname)

    It has an event loop of its own, in a thread of its own, and may be used by any thread, also where another
    loop runs. Ctrl-C cancels the call that waits. `close`, the end of the `with` block, the last reference or
    the end of the program ends the thread.

    Args:
        url: as of `trmm_async.TRMM`.
        settings: as of `trmm_async.TRMM`, without `session`.

    Raises:
        InvalidRequestError: a setting is wrong.
    """

    def __init__(self, url: str, **settings: Any) -> None:
        settings |= {name: hide(settings[name]) for name in _SECRETS if name in settings}
        self._begin(AsyncTRMM, url, **settings)

    def _begin(self, make: Callable[..., AsyncTRMM], *args: str, **settings: Any) -> None:
        if settings.pop("session", None) is not None:
            raise InvalidRequestError(
                "session= belongs to an event loop of yours, and this client has one of its own: use "
                "trmm_async.TRMM there"
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
        """As `trmm_async.TRMM.from_env`."""
        made = object.__new__(cls)
        made._begin(AsyncTRMM.from_env, **settings)
        return made

    @classmethod
    def from_profile(cls, name: str, **settings: Any) -> Self:
        """As `trmm_async.TRMM.from_profile`."""
        made = object.__new__(cls)
        made._begin(AsyncTRMM.from_profile, name, **settings)
        return made

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread; calls from then on raise `ClosedError`.

        Calls that are under way in other threads end in `ClosedError`. Twice is the same as once.

        Raises:
            InvalidRequestError: this is a view (`with_options`).
        """
        if self._it._is_view:  # noqa: SLF001 - what a view is says the client itself
            self._portal.call(self._it.aclose)
        self._portal.close()


TRMM.__init__.__signature__ = without(  # type: ignore[attr-defined]
    inspect.signature(AsyncTRMM.__init__), "TRMM", "__init__"
)
