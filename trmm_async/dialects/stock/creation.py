"""Creates an object on a server that answers with a sentence only: the new object is found by listing.

An object that is in the list only after the call, and is as it was ordered, is ours if it is the only one.
This also settles a call whose answer was lost: if the object is there, it was created.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from trmm_async.calls import Call, Steps, plan
from trmm_async.errors import OutcomeUnknownError, PermissionDeniedError, TRMMError, UnidentifiedError

__all__ = ["HasId", "look_up", "make"]


class HasId(Protocol):
    """An object with an id."""

    @property
    def id(self) -> int: ...


Made = TypeVar("Made", bound=HasId)


def look_up(*calls: Call[Any]) -> Steps[None]:
    """Get the objects that a call refers to, if the server would accept references to missing ones.

    An object that the key may not see is assumed to exist.

    Raises (in its steps):
        NotFoundError: an object doesn't exist.
    """
    for call in calls:
        with suppress(PermissionDeniedError):
            yield from call


@plan
def make(what: str, listing: Call[list[Made]], send: Call[Any], is_it: Callable[[Made], bool]) -> Steps[Made]:
    """Create one object and return it.

    Args:
        what: the kind of object, for errors.
        listing: lists the objects; it is sent before and after.
        send: creates the object.
        is_it: whether an object is as it was ordered.

    Raises (in its steps):
        UnidentifiedError: it was created, but is not in the list, or can't be distinguished from others.
        OutcomeUnknownError: the answer was lost, and nothing new is in the list: it may still be created.
    """
    before = {one.id for one in (yield from listing)}
    lost: OutcomeUnknownError | None = None
    try:
        yield from send
    except OutcomeUnknownError as error:
        lost = error
    try:
        after = yield from listing
    except TRMMError as error:
        raise lost or UnidentifiedError(f"the {what} was made, but it can't be listed: {error}") from error
    new = [one for one in after if one.id not in before and is_it(one)]
    if len(new) == 1:
        return new[0]
    if lost is not None and not new:
        raise lost
    raise _unidentified(what, new)


def _unidentified(what: str, new: list[Any]) -> UnidentifiedError:
    seen = f"{len(new)} new ones are like it" if new else "it is not in the list"
    error = UnidentifiedError(f"the {what} was made, but can't be told apart: {seen}")
    error.candidates = tuple(new)
    return error
