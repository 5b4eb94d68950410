"""What the nouns' methods ask of a stock server, told without one: `request_of(NOUNS.alerts.get(1))`."""

from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from trmm_async.calls import Call, Plan
from trmm_async.dialects import Stock
from trmm_async.resources import (
    Alerts,
    AuditLog,
    Checks,
    Clients,
    Core,
    CustomFields,
    KeyStore,
    Scripts,
    Sites,
    Tasks,
)
from trmm_async.resources.stock.policies import Policies

STOCK = Stock("https://rmm.example.com")


class _Asked(Exception):  # noqa: N818 - not an error, a way out
    def __init__(self, request: Call[Any] | Plan[Any]) -> None:
        super().__init__()
        self.request = request


class _Told:
    """An `Api` that carries nothing out."""

    async def on_stock(self, name: str, request: Call[Any] | Plan[Any]) -> NoReturn:
        assert "." in name
        raise _Asked(request)

    async def send(self, intent: Callable[[Stock], Call[Any] | Plan[Any]]) -> NoReturn:
        raise _Asked(intent(STOCK))

    async def dialect(self) -> Stock:
        return STOCK


class Nouns:
    """The nouns of a client, without a client."""

    def __init__(self) -> None:
        api: Any = _Told()
        self.alerts = Alerts(api)
        self.audit_log = AuditLog(api)
        self.checks = Checks(api)
        self.clients = Clients(api)
        self.core = Core(api)
        self.custom_fields = CustomFields(api)
        self.key_store = KeyStore(api)
        self.policies = Policies(api)
        self.scripts = Scripts(api)
        self.sites = Sites(api)
        self.tasks = Tasks(api)


NOUNS = Nouns()


def request_of(method: Coroutine[Any, Any, Any]) -> Any:
    """The first request of a method."""
    try:
        method.send(None)
    except _Asked as asked:
        return asked.request
    finally:
        method.close()
    raise AssertionError("it asks for nothing")
