"""Making something on a server that answers with a sentence: the new object is found by listing.

What is new in the list after the call, and is as it was ordered, is ours, if it is the only one. That also
settles a call whose answer was lost: the object is there, so it was made.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from trmm_async.calls import Call, Steps, plan
from trmm_async.errors import OutcomeUnknownError, PermissionDeniedError, TRMMError, UnidentifiedError

__all__ = ["HasId", "look_up", "make"]


class HasId(Protocol):
    """What has an id, by which it is told apart."""

    @property
    def id(self) -> int: ...


Made = TypeVar("Made", bound=HasId)


def look_up(*calls: Call[Any]) -> Steps[None]:
    """Look for what a call names, where the server would take it whether it is there or not.

    Who may do something need not be one who may see what it is done with: that is then believed.

    Raises (in its steps):
        NotFoundError: it is not there.
    """
    for call in calls:
        with suppress(PermissionDeniedError):
            yield from call


@plan
def make(what: str, listing: Call[list[Made]], send: Call[Any], is_it: Callable[[Made], bool]) -> Steps[Made]:
    """A plan that makes one thing and returns it.

    Raises (in its steps):
        UnidentifiedError: it was made, and can't be told from others that appeared meanwhile, or was not
        seen.
        OutcomeUnknownError: the answer was lost, and nothing new is in the list: it may yet be made.
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
