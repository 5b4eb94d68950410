"""What the nouns of a stock server promise: frozen, cheap to hold, silent about secrets."""

import copy
import pickle
from typing import Any

import msgspec
import pytest

import trmm_async
from trmm_async import (
    ApiKey,
    CheckOnAgent,
    Installer,
    Process,
    RegistryKey,
    RegistryValue,
    RemoteControl,
    ScriptFile,
    Service,
    Software,
    TaskOnAgent,
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
