"""Runs the script of the shared window on the Redis server, for all limits of one key.

Over `window` and `examination`, below `queue`.
"""

import hashlib
import hmac
from collections.abc import Callable

from trmm_async.engines.redis_link import RedisAwayError, RedisLink, RedisRefusedError
from trmm_async.errors import LimiterUnavailableError
from trmm_async.hidden import HiddenBytes, hide
from trmm_async.shared.examination import examine
from trmm_async.shared.window import WINDOW, Window, WindowReply, WindowRequest, read_reply, script_arguments

__all__ = ["WindowStore"]


class WindowStore:
    """The Redis server in which the windows of one key are kept.

    Args:
        link: the connection to the server.
        server: the normalised address of the Tactical RMM server whose limits these are.
        key: gives the API key that is in use. Only a digest of it is sent.
        timeout: seconds after which a waiting call fails while the Redis server is away.
        lease: seconds for which a slot is held of which nothing is reported.

    Attributes:
        answer_within: seconds that one script may take while the server is away and calls wait for it.
        scripts: how many scripts were run.
    """

    def __init__(
        self, link: RedisLink, server: str, key: Callable[[], str], *, timeout: float, lease: float
    ) -> None:
        self._link = link
        self._server = server
        self._key = key
        self._digest = "", ""
        self._is_examined = False
        self._problem = ""
        self.timeout = timeout
        self.lease = lease
        self.answer_within: float = 2.0
        self.scripts: int = 0

    @property
    def address(self) -> str:
        """The server's address, without the password."""
        return self._link.address.shown

    def key(self, lane: str) -> str:
        """The name of this lane's window on the server, for the key that is in use."""
        key = hide(self._key())
        if self._digest[0] is not key and self._digest[0] != key:
            made = hmac.new(HiddenBytes(key.encode()), self._server.encode(), hashlib.sha256)
            self._digest = key, made.hexdigest()[:32]
        # The braces put both Redis keys of a lane on the same node of a cluster.
        return f"trmm:{{{self._digest[1]}}}:{lane}"

    async def ask(
        self, key: str, window: Window, request: WindowRequest, within: float | None
    ) -> WindowReply:
        """Run the script.

        Raises:
            RedisAwayError: there was no answer; the script may have been run or not.
            LimiterUnavailableError: the server refuses, and will go on to.
        """
        refused = ""
        try:
            if not self._is_examined:
                await self._examine()
            self.scripts += 1
            arguments = script_arguments(window, request)
            return read_reply(
                await self._link.run(WINDOW, (f"{key}:held", f"{key}:meta"), arguments, within=within)
            )
        except RedisAwayError as error:
            # When the server is back, it may be another one, or have other settings.
            self._is_examined = False
            self._problem = str(error)
            raise
        except RedisRefusedError as error:
            self._is_examined = False
            refused = str(error)
        raise LimiterUnavailableError(
            f"the shared limits at {self.address} can't be used: {refused}; nothing was sent"
        )

    async def _examine(self) -> None:
        found = await examine(self._link)
        if found.problem:
            raise RedisRefusedError(found.problem)
        if found.is_replica:
            raise RedisAwayError("it is a replica, which takes no writes: give the URL of the primary")
        self._is_examined = True

    def unavailable(self) -> LimiterUnavailableError:
        """The error for a call that has waited for the server as long as `timeout` allows."""
        return LimiterUnavailableError(
            f"the shared limits at {self.address} could not be asked for {self.timeout:g} s "
            f"({self._problem}): nothing was sent. `trmm doctor` looks why"
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._link.aclose()
