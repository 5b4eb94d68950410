"""Options that several commands share, as one parameter: a dataclass whose fields are the options.

Below: nothing of the command line. Above: `selection`, `listing`, `fleet_actions`.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["folding"]

T = TypeVar("T")


def folding(
    parameter: str, kind: Callable[..., Any]
) -> Callable[[Callable[..., Awaitable[T]]], Callable[..., Coroutine[Any, Any, T]]]:
    """Make a decorator of commands with this parameter. It replaces the parameter by its fields, as options.

    Args:
        parameter: its name.
        kind: the dataclass. It raises a `CommandError` if the options contradict each other.
    """
    options = inspect.signature(kind).parameters

    def fold(function: Callable[..., Awaitable[T]]) -> Callable[..., Coroutine[Any, Any, T]]:
        own = inspect.signature(function)

        @functools.wraps(function)
        async def run(**given: Any) -> T:
            value = kind(**{name: given.pop(name) for name in options})
            return await function(**given, **{parameter: value})

        parameters: list[inspect.Parameter] = []
        for name, one in own.parameters.items():
            parameters += options.values() if name == parameter else [one]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        keyword = inspect.Parameter.KEYWORD_ONLY
        signature = own.replace(parameters=[each.replace(kind=keyword) for each in parameters])
        vars(run).update(__signature__=signature)
        return run

    return fold
