"""What the resources of a stock server and their nouns have in common.

Nouns are frozen, cheap to hold and silent about secrets; bad input is refused; a gateway has none of them.
"""

import copy
import pickle
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

import trmm_async
from tests.servers import served, stock
from trmm_async import (
    TRMM,
    ApiKey,
    BadRequestError,
    Check,
    CheckOnAgent,
    Installer,
    InvalidRequestError,
    Process,
    RegistryKey,
    RegistryValue,
    RemoteControl,
    ScriptFile,
    Service,
    Software,
    TaskOnAgent,
    UnsupportedError,
    UrlAction,
    UserSession,
)
from trmm_async.models import Discreet, Extra
from trmm_async.resources.stock.audit_log import AuditEntry, AuditPage
from trmm_async.resources.stock.core import ServerSettings
from trmm_async.resources.stock.key_store import KeyStoreEntry

KINDS: list[type[msgspec.Struct]] = [
    kind
    for kind in [AuditPage, *(getattr(trmm_async, name) for name in trmm_async.__all__)]
    if isinstance(kind, type)
    and issubclass(kind, msgspec.Struct)
    and kind.__module__.startswith("trmm_async.resources")
]


KEYS: dict[type[msgspec.Struct], dict[str, Any]] = {
    CheckOnAgent: {"result_id": 1},
    Installer: {"method": "manual"},
    Process: {"pid": 1},
    RegistryKey: {"path": "HKEY_LOCAL_MACHINE\\SOFTWARE"},
    RegistryValue: {"name": "Version"},
    ScriptFile: {"filename": "disk.ps1"},
    Service: {"name": "Spooler"},
    Software: {"name": "7-Zip"},
    TaskOnAgent: {"result_id": 1},
    UserSession: {"digest": "5f2c"},
}
"""What stands for an id where the server has none."""


def example(kind: type[msgspec.Struct], **fields: Any) -> Any:
    required = {"id": 1, **KEYS.get(kind, {})}
    return kind(**{name: required[name] for name in _required(kind)}, **fields)


def _required(kind: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(kind) if field.required]


@pytest.mark.parametrize("kind", KINDS)
class TestEveryNoun:
    def test_is_frozen_and_no_burden_to_the_collector(self, kind: type[msgspec.Struct]) -> None:
        config = kind.__struct_config__
        assert (config.frozen, config.gc) == (True, False)

    def test_needs_no_more_than_an_id(self, kind: type[msgspec.Struct]) -> None:
        assert example(kind) == example(kind)

    def test_is_copied_pickled_and_shown(self, kind: type[msgspec.Struct]) -> None:
        one = example(kind)
        assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
        assert repr(one).startswith(f"{kind.__name__}(")

    def test_has_a_default_for_all_else(self, kind: type[msgspec.Struct]) -> None:
        key = [*KEYS.get(kind, {"id": 1})]
        assert _required(kind) == [name for name in key if name in kind.__struct_fields__]


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "one",
    [
        KeyStoreEntry(id=1, name="n", value=SECRET),
        ServerSettings(extra=Extra(smtp_host_password=SECRET)),
        AuditEntry(id=1, before=SECRET, after={"value": SECRET}, extra=Extra(a=SECRET)),
        AuditPage(entries=(AuditEntry(id=1, after=SECRET),), total=1),
        ApiKey(id=1, key=SECRET, extra=Extra(a=SECRET)),
        RemoteControl(hostname="PC", control=SECRET, terminal=SECRET, file=SECRET, extra=Extra(a=SECRET)),
        Installer(method="mac", command=SECRET, url=SECRET, content=SECRET.encode(), extra=Extra(a=SECRET)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_secret_is_in_no_repr(one: msgspec.Struct) -> None:
    assert SECRET not in repr(one)
    assert SECRET not in f"{one} {[one]} {one.__rich_repr__()}"


def test_who_keeps_secrets_is_known() -> None:
    assert {kind for kind in KINDS if issubclass(kind, Discreet)} == {
        ApiKey,
        AuditEntry,
        Installer,
        KeyStoreEntry,
        RemoteControl,
        ServerSettings,
        UrlAction,
    }


NOBODY = 999_999


BAD: list[Callable[[TRMM], Coroutine[Any, Any, Any]]] = [
    lambda trmm: trmm.alerts.snooze(1, days=0),
    lambda trmm: trmm.alerts.snooze(1, days=1.5),  # type: ignore[arg-type]
    lambda trmm: trmm.alerts.snooze(1, days=10**9),
    lambda trmm: trmm.alerts.snooze(["x"], days=1),  # type: ignore[list-item]
    lambda trmm: trmm.alerts.resolve("12"),  # type: ignore[arg-type]
    lambda trmm: trmm.alerts.list(severity="critical"),  # type: ignore[arg-type]
    lambda trmm: trmm.alerts.list(severity=[]),
    lambda trmm: trmm.alerts.list(client=[]),
    lambda trmm: trmm.alerts.list(days="7"),  # type: ignore[arg-type]
    lambda trmm: trmm.alerts.list(resolved=0),  # type: ignore[arg-type]
    lambda trmm: trmm.checks.history(Check(id=1, result_id=1), days="1"),  # type: ignore[arg-type]
    lambda trmm: trmm.checks.reset(),  # type: ignore[call-overload]
    lambda trmm: trmm.checks.reset(Check(id=1, result_id=1), agent=AGENT),  # type: ignore[call-overload]
    lambda trmm: trmm.tasks.update(1),
    lambda trmm: trmm.tasks.update(1, name=None),  # type: ignore[arg-type]
    lambda trmm: trmm.tasks.update(1, label="x"),  # type: ignore[call-arg]
    lambda trmm: trmm.tasks.update(1, enabled=1),  # type: ignore[arg-type]
    lambda trmm: trmm.scripts.create(name="", shell="cmd", code="x"),
    lambda trmm: trmm.scripts.create(name="x", shell="perl", code="x"),  # type: ignore[arg-type]
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="\0"),
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="\ud800"),
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code=b"x"),  # type: ignore[arg-type]
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="x", default_timeout=0),
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="x", supported_platforms=["beos"]),  # type: ignore[list-item]
    lambda trmm: trmm.scripts.update(1),
    lambda trmm: trmm.scripts.test("a" * 40, shell="cmd", code="x", timeout=301),
    lambda trmm: trmm.scripts.test("a" * 40, shell="cmd", code=""),
    lambda trmm: trmm.clients.update(1),
    lambda trmm: trmm.clients.update(1, custom_fields={}),
    lambda trmm: trmm.clients.update(1, custom_fields=None),  # type: ignore[arg-type]
    lambda trmm: trmm.clients.update(1, custom_fields={"x": "y"}),  # type: ignore[arg-type]
    lambda trmm: trmm.sites.create(client=1.5, name="y"),  # type: ignore[arg-type]
    lambda trmm: trmm.sites.update(1),
    lambda trmm: trmm.custom_fields.list(model="server"),  # type: ignore[arg-type]
    lambda trmm: trmm.custom_fields.create(name="x", model="agent", type="text", options=["a"]),
    lambda trmm: trmm.custom_fields.create(name="x", model="agent", type="checkbox", default="a"),
    lambda trmm: trmm.custom_fields.create(name="x", model="agent", default=True),
    lambda trmm: trmm.custom_fields.update(1),
    lambda trmm: trmm.key_store.create(name="x" * 26, value="v"),
    lambda trmm: trmm.key_store.create(name="x", value=" "),
    lambda trmm: trmm.key_store.update(1),
    lambda trmm: trmm.agents.event_log.list("a" * 40, days=10**12),
    lambda trmm: trmm.agents.processes.kill("a" * 40, 2**32),
    lambda trmm: trmm.audit_log.list(limit=0),
    lambda trmm: trmm.audit_log.list(agent="a" * 40, client=1),
    lambda trmm: trmm.audit_log.list(agent=[]),
    lambda trmm: trmm.audit_log.list(user=5),  # type: ignore[arg-type]
    lambda trmm: trmm.audit_log.list(days=1.5),  # type: ignore[arg-type]
    lambda trmm: trmm.audit_log.list(username="x"),  # type: ignore[call-arg]
]


async def test_bad_input_is_refused_before_anything_is_sent() -> None:
    async with stock() as (server, trmm):
        for place, bad in enumerate(BAD):
            with pytest.raises(InvalidRequestError) as caught:
                await bad(trmm)
            assert not isinstance(caught.value, BadRequestError), place
        with pytest.raises(InvalidRequestError, match="page_size"):
            trmm.audit_log.iter(page_size=19)
        assert server.requests == []


async def _enter_audit_log(trmm: TRMM) -> None:
    async with trmm.audit_log.iter():
        pass


AGENT = "a" * 40


ONLY_STOCK: dict[str, Callable[[TRMM], Coroutine[Any, Any, Any]]] = {
    "alerts.get": lambda trmm: trmm.alerts.get(1),
    "alerts.list": lambda trmm: trmm.alerts.list(resolved=False),
    "alerts.snooze": lambda trmm: trmm.alerts.snooze(1, days=1),
    "alerts.unsnooze": lambda trmm: trmm.alerts.unsnooze(1),
    "alerts.delete": lambda trmm: trmm.alerts.delete(1, with_history=True),
    "alerts.resolve with several": lambda trmm: trmm.alerts.resolve([1]),
    "alerts.snooze of several": lambda trmm: trmm.alerts.snooze([1], days=1),
    "checks.run": lambda trmm: trmm.checks.run(AGENT),
    "checks.reset": lambda trmm: trmm.checks.reset(Check(id=1, result_id=1)),
    "checks.reset of all": lambda trmm: trmm.checks.reset(agent=AGENT),
    "checks.history": lambda trmm: trmm.checks.history(Check(id=1, result_id=1)),
    "tasks.get": lambda trmm: trmm.tasks.get(1),
    "tasks.run": lambda trmm: trmm.tasks.run(1),
    "tasks.update": lambda trmm: trmm.tasks.update(1, enabled=True),
    "tasks.delete": lambda trmm: trmm.tasks.delete(1),
    "scripts.get": lambda trmm: trmm.scripts.get(1),
    "scripts.create": lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="x"),
    "scripts.update": lambda trmm: trmm.scripts.update(1, favorite=True),
    "scripts.delete": lambda trmm: trmm.scripts.delete(1, with_code=True),
    "scripts.test": lambda trmm: trmm.scripts.test(AGENT, shell="cmd", code="x"),
    "clients.get": lambda trmm: trmm.clients.get(1),
    "clients.update": lambda trmm: trmm.clients.update(1, name="x"),
    "clients.delete": lambda trmm: trmm.clients.delete(1, with_sites=True),
    "sites.list": lambda trmm: trmm.sites.list(),
    "sites.get": lambda trmm: trmm.sites.get(1),
    "sites.create": lambda trmm: trmm.sites.create(client=1, name="x"),
    "sites.update": lambda trmm: trmm.sites.update(1, name="x"),
    "sites.delete": lambda trmm: trmm.sites.delete(1),
    "policies.list": lambda trmm: trmm.policies.list(),
    "policies.get": lambda trmm: trmm.policies.get(1),
    "policies.delete": lambda trmm: trmm.policies.delete(1),
    "policies.related": lambda trmm: trmm.policies.related(1),
    "policies.checks": lambda trmm: trmm.policies.checks(1),
    "policies.tasks": lambda trmm: trmm.policies.tasks(1),
    "custom_fields.list": lambda trmm: trmm.custom_fields.list(),
    "custom_fields.create": lambda trmm: trmm.custom_fields.create(name="x", model="agent"),
    "custom_fields.update": lambda trmm: trmm.custom_fields.update(1, required=True),
    "custom_fields.delete": lambda trmm: trmm.custom_fields.delete(1, with_values=True),
    "key_store.list": lambda trmm: trmm.key_store.list(),
    "key_store.create": lambda trmm: trmm.key_store.create(name="x", value="v"),
    "key_store.update": lambda trmm: trmm.key_store.update(1, value="v"),
    "key_store.delete": lambda trmm: trmm.key_store.delete(1, with_value=True),
    "audit_log.iter": _enter_audit_log,
    "audit_log": lambda trmm: trmm.audit_log.list(),
    "core.version": lambda trmm: trmm.core.version(),
    "core.settings": lambda trmm: trmm.core.settings(),
    "core.dashboard": lambda trmm: trmm.core.dashboard(),
}


@pytest.mark.parametrize("feature", ONLY_STOCK)
async def test_a_gateway_has_none_of_it_and_is_not_asked(feature: str) -> None:
    async with served("gateway", agents=0) as (server, trmm):
        with pytest.raises(UnsupportedError, match=feature.partition(" of ")[0]):
            await ONLY_STOCK[feature](trmm)
        assert server.requests == []
