"""What the nouns have in common: they send endpoints of a stock server, and say so where there is none."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from trmm_async.calls import Request
from trmm_async.dialects.stock.creation import HasId, make
from trmm_async.dialects.stock.endpoint import Endpoint
from trmm_async.resources.api import Api

__all__ = ["Resource"]

T = TypeVar("T")


Made = TypeVar("Made", bound=HasId)


class Resource:
    """A noun's methods. Every method raises `TRMMError`s only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def _send(
        self,
        endpoint: Endpoint[T],
        *places: object,
        body: object = None,
        query: Mapping[str, object] | None = None,
        waits: float | None = None,
    ) -> T:
        """Send one endpoint; what it is given is checked before anything else happens."""
        call = endpoint.call(*places, body=body, query=query, waits=waits)
        return await self._api.on_stock(endpoint.name, call)

    async def _create(
        self,
        endpoint: Endpoint[Any],
        listing: Endpoint[list[Made]],
        *places: object,
        body: object,
        is_it: Callable[[Made], bool],
        query: Mapping[str, object] | None = None,
    ) -> Made:
        """Make one thing, whose id the server does not tell: it is what is new in the list, and is it.

        `places` and `query` are those of the list.
        """
        what = endpoint.name.split(".")[-2].rstrip("s").replace("_", " ")
        plan = make(what, listing.call(*places, query=query), endpoint.call(body=body), is_it)
        return await self._on_stock(endpoint.name, plan)

    async def _on_stock(self, name: str, request: Request[T]) -> T:
        """Carry out what only a stock server has; `name` is the method's."""
        return await self._api.on_stock(name, request)
