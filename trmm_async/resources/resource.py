"""What all resources have in common: they send endpoints of a stock server, and refuse to lose data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from trmm_async import arguments
from trmm_async.calls import Request
from trmm_async.dialects.stock.creation import HasId, make
from trmm_async.dialects.stock.endpoint import Endpoint
from trmm_async.errors import InvalidRequestError
from trmm_async.resources.api import Api
from trmm_async.resources.names import NAMED, Names

__all__ = ["LOSSES", "Resource", "refuse_in_use", "refuse_loss"]

T = TypeVar("T")


Made = TypeVar("Made", bound=HasId)


LOSSES: Final[Mapping[str, str]] = {
    "with_access": "what uses the key is shut out, and the server never gives the same one again",
    "with_code": "its code is gone for good",
    "with_contents": "its checks and tasks are gone for good, from all its agents",
    "with_data": "its data is gone for good",
    "with_history": "all that is known of it is gone for good",
    "with_sites": "its sites are gone for good",
    "with_text": "its text is gone for good",
    "with_value": "its value is gone for good",
    "with_values": "its values are gone for good",
}
"""What is lost by a delete and can't be created again, by the argument that must be True for it."""


def refuse_loss(what: str, **said: object) -> None:
    """Refuse to delete what can't be created again, unless the one keyword, of `LOSSES`, is True.

    Raises:
        InvalidRequestError: it is not True.
    """
    ((argument, is_said),) = said.items()
    if not arguments.boolean(is_said, argument):
        raise InvalidRequestError(f"{what}: {LOSSES[argument]}: say {argument}=True if that is meant")


def refuse_in_use(what: str, by: Sequence[str], confirm: str = "in_use") -> None:
    """Refuse to delete what is in use `by` other objects: they would be deleted, or not work any more.

    Raises:
        InvalidRequestError: `by` is not empty; the text says that the argument `confirm` allows it.
    """
    if by:
        more = ", …" if by[5:] else ""
        raise InvalidRequestError(
            f"{what} is in use by {', '.join(by[:5])}{more}: {confirm}=True removes it all the same"
        )


_SECRET_LEAST: Final = 8
"""Characters that a text must have to be removed from errors: shorter ones are parts of common words."""


class Resource:
    """The methods of one resource. All errors are `TRMMError`s."""

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
        """Send one endpoint. Names are looked up; nothing is sent if a placeholder's value is wrong."""
        return await self._api.on_stock(
            endpoint.name,
            endpoint.call(*await self._ids(endpoint, places), body=body, query=query, waits=waits),
        )

    def _names(self, feature: str = "") -> Names:
        """Looks names up for one call; `feature` is the method, if only a stock server has it."""
        return Names(self._api, feature)

    async def _ids(self, endpoint: Endpoint[Any], places: tuple[object, ...]) -> list[object]:
        """The values of an endpoint's placeholders, with ids in the place of names."""
        kinds = endpoint.places
        given = [
            arguments.reference(place, kind) if kind in NAMED else place
            for kind, place in zip(kinds, places, strict=True)
        ]
        named = [kind in NAMED and isinstance(one, str) for kind, one in zip(kinds, given, strict=True)]
        if not any(named):
            return given
        endpoint.call(*[0 if is_named else one for is_named, one in zip(named, given, strict=True)])
        names = self._names(endpoint.name)
        return [
            await names.id_of(kind, one) if is_named else one
            for kind, is_named, one in zip(kinds, named, given, strict=True)
        ]

    def _keep_out(self, *values: object) -> None:
        """Keep these secrets out of errors: servers may quote what they refuse. Short ones stay."""
        for value in values:
            if isinstance(value, str) and len(value) >= _SECRET_LEAST:
                self._api.transport.server.secrets.keep(str(value))

    async def _create(
        self,
        endpoint: Endpoint[Any],
        listing: Endpoint[list[Made]],
        *places: object,
        body: object,
        is_it: Callable[[Made], bool],
        query: Mapping[str, object] | None = None,
    ) -> Made:
        """Create one object. The server doesn't send it, so it is found by listing; see `creation.make`.

        `places` and `query` are those of the list.
        """
        what = endpoint.name.split(".")[-2].rstrip("s").replace("_", " ")
        plan = make(what, listing.call(*places, query=query), endpoint.call(body=body), is_it)
        return await self._on_stock(endpoint.name, plan)

    async def _on_stock(self, name: str, request: Request[T]) -> T:
        """Carry out a request that only a stock server understands; `name` is the method."""
        return await self._api.on_stock(name, request)
