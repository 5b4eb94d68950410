"""An API key that a function of the user's gives: called when the key is first needed, and after a 401.

Every key that it has ever returned is kept out of errors and logs.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from trmm_async import arguments
from trmm_async.errors import KeySourceError, TRMMError
from trmm_async.hidden import hide
from trmm_async.single_flight import SingleFlight

__all__ = ["AskForKey", "KeySource"]

AskForKey: TypeAlias = Callable[[], str | Awaitable[str]]


class KeySource:
    """Calls a function for the key, once for all calls that wait. Belongs to one event loop.

    Args:
        ask: returns a key, asynchronously or not.
        keep: called with each key, so that no text shows it.

    Attributes:
        ask: the callable.
        key: the latest key; empty until it was asked for.
    """

    def __init__(self, ask: AskForKey, keep: Callable[[str], None]) -> None:
        self.ask: AskForKey = ask
        self._keep = keep
        self._single_flight = SingleFlight()
        self._asked = 0
        self.key: str = ""

    def __repr__(self) -> str:
        return f"<KeySource, asked {self._asked} times>"

    async def ready(self) -> str:
        """The key; calls the function if the key is not known yet.

        Raises:
            InvalidRequestError: the function returned something that can't be a key.
            KeySourceError: the function raised an error, which is the cause.
        """
        if self.key:
            return self.key
        async with self._single_flight.take() as share_failure:
            if not self.key:
                share_failure()
                await self._single_flight.attempt(self._renew())
            return self.key

    async def after(self, refused: str) -> bool:
        """Call the function again, since the server refused this key; whether there is another key now.

        Calls that were refused with the same key share one call of the function, and its error.

        Raises:
            TRMMError: as `ready`.
        """
        async with self._single_flight.take() as share_failure:
            if self.key is refused:  # not `==`: the function may have returned an equal key since
                share_failure()
                await self._single_flight.attempt(self._renew())
            return self.key != refused

    async def _renew(self) -> None:
        self._asked += 1
        try:
            given = self.ask()
            given = hide(await given if inspect.isawaitable(given) else given)
        except TRMMError:
            raise
        except Exception as error:
            raise KeySourceError(
                f"api_key: the callable that gives the key raised {type(error).__name__}; "
                "nothing was sent with another key"
            ) from error
        key = hide(arguments.api_key(given))
        self._keep(key)
        self.key = key
