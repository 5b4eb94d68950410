"""`trmm.core`."""

from trmm_async.administration import Dashboard, ServerSettings
from trmm_async.resources.api import Api

__all__ = ["Core"]


class Core:
    """The stock server itself: version, settings. Every method raises `TRMMError`s only.

    On a gateway they are an `UnsupportedError`.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def version(self) -> str:
        """Which Tactical RMM it is, as "1.5.1"; not the version of its web pages. As slow as `dashboard`."""
        return await self._api.send(lambda dialect: dialect.beyond("core.version").server_version())

    async def settings(self) -> ServerSettings:
        """The server's settings, its secrets among them: in `extra` alone, and in no repr."""
        return await self._api.send(lambda dialect: dialect.beyond("core.settings").server_settings())

    async def dashboard(self) -> Dashboard:
        """What the dashboard asks first: versions, what is switched on, the looks its user has chosen.

        The server asks the internet for its newest version meanwhile: without a way there, it takes 5 seconds
        (20 with a code signing token) and holds a worker for that long.
        """
        return await self._api.send(lambda dialect: dialect.beyond("core.dashboard").dashboard())
