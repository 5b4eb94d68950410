"""What the nouns' methods ask of a stock server, told without one: `request_of(NOUNS.alerts.get(1))`."""

import typing
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, NoReturn

from trmm_async import TRMM
from trmm_async.calls import Call, Plan
from trmm_async.dialects import Stock
from trmm_async.resources.api import Api
from trmm_async.transport import Secrets

STOCK = Stock("https://rmm.example.com")


class _Asked(Exception):  # noqa: N818 - not an error, a way out
    def __init__(self, request: Call[Any] | Plan[Any]) -> None:
        super().__init__()
        self.request = request


class _Api:
    """An `Api` that hands requests to `carry_out`."""

    def __init__(self, carry_out: Callable[[Any], Any]) -> None:
        self._carry_out = carry_out
        self.transport = SimpleNamespace(server=SimpleNamespace(secrets=Secrets()))
        self.resolver = SimpleNamespace(version="1.5.1")

    async def on_stock(self, name: str, request: Call[Any] | Plan[Any]) -> Any:
        assert name
        return self._carry_out(request)

    async def send(self, intent: Callable[[Stock], Call[Any] | Plan[Any]]) -> Any:
        return self._carry_out(intent(STOCK))

    async def dialect(self) -> Stock:
        return STOCK

    require_since = Api.require_since
    read_version = Api.read_version


class Nouns(TRMM):
    """The nouns of a client, without a client: what they are to do is done by `carry_out`."""

    def __init__(self, carry_out: Callable[[Any], Any]) -> None:
        api: Any = _Api(carry_out)
        for name, kind in typing.get_type_hints(TRMM).items():
            setattr(self, name, kind(api))


def _tell(request: Any) -> NoReturn:
    raise _Asked(request)


NOUNS = Nouns(_tell)


def request_of(method: Coroutine[Any, Any, Any]) -> Any:
    """The first request of a method of `NOUNS`."""
    try:
        method.send(None)
    except _Asked as asked:
        return asked.request
    raise AssertionError("it asks for nothing")


def by_hand(method: Callable[[Nouns], Coroutine[Any, Any, Any]], carry_out: Callable[[Any], Any]) -> Any:
    """What a method returns if its requests are carried out so."""
    try:
        method(Nouns(carry_out)).send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the method waits for something else")
