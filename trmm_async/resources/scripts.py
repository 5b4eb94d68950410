"""`trmm.scripts`."""

from trmm_async.models import Script
from trmm_async.resources.api import Api

__all__ = ["Scripts"]


class Scripts:
    """The server's script library. Every method raises `TRMMError`s only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self) -> list[Script]:
        """All scripts that the key may see."""
        return await self._api.send(lambda dialect: dialect.list_scripts())
