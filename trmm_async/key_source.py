"""The API key of a client that a callable gives: asked for when it is needed, and once more after a 401.

Over `single_flight`, below those who send. Each key that was ever given is kept out of errors.
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
    """Asks a callable for the key: once for all who wait. Belongs to one event loop.

    Args:
        ask: gives a key, at once or awaited.
        keep: told each key, so that no text shows it.

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
        """The key, asked for if it is not known yet.

        Raises:
            InvalidRequestError: what came is no key.
            KeySourceError: the callable raised; what it raised is the cause.
        """
        if self.key:
            return self.key
        async with self._single_flight.take() as share_failure:
            if not self.key:
                share_failure()
                await self._single_flight.attempt(self._renew())
            return self.key

    async def after(self, refused: str) -> bool:
        """Ask again, since the server refused that key; whether there is another now.

        Who has a key that others have asked after in the meantime shares what came of it.

        Raises:
            TRMMError: as `ready`.
        """
        async with self._single_flight.take() as share_failure:
            if self.key is refused:  # the very answer: an equal one may have come since
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
