"""What the nouns of an agent have in common: a gateway has none of them."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, cast

import pytest

from trmm_async import (
    TRMM,
    UnsupportedError,
)
from trmm_async.resources.agents import Agents
from trmm_async.resources.resource import Resource
from trmm_async.testing import Simulator

KEY = "key-for-tests"
KEY_PATH = r"HKEY_LOCAL_MACHINE\SOFTWARE\Acme"


# -- a gateway has none of it --------------------------------------------------------------------------------

WHATEVER: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "run_command": (("a", "ver"), {}),
    "ping": (("a",), {}),
    "reboot": (("a",), {}),
    "reboot at": (("a",), {"at": datetime(2100, 1, 1, tzinfo=UTC)}),
    "shutdown": (("a",), {}),
    "recover": (("a",), {}),
    "update": (("a",), {"description": "d"}),
    "set_maintenance": ((True,), {"agent": "a"}),
    "set_maintenance client": ((True,), {"client": 1}),
    "history": (("a",), {}),
    "script_history": ((), {}),
    "wake": (("a",), {}),
    "recover_all": ((), {}),
    "refresh_wmi": (("a",), {}),
    "remote_control": (("a",), {}),
    "upgrade": ((["a"],), {}),
    "versions": ((), {}),
    "processes.list": (("a",), {}),
    "processes.kill": (("a", 1), {}),
    "services": (("a",), {}),
    "services.get": (("a", "s"), {}),
    "services.control": (("a", "s", "stop"), {}),
    "services.update": (("a", "s"), {"start_type": "auto"}),
    "software.list": (("a",), {}),
    "software.refresh": (("a",), {}),
    "software.install": (("a", "p"), {}),
    "software.uninstall": (("a", "s"), {"command": "u"}),
    "software.packages": ((), {}),
    "software.everywhere": ((), {}),
    "event_log.list": (("a",), {}),
    "windows_updates.list": (("a",), {}),
    "windows_updates.update": ((1, "approve"), {}),
    "windows_updates.scan": (("a",), {}),
    "windows_updates.install": (("a",), {}),
    "notes.list": (("a",), {}),
    "notes.get": ((1,), {}),
    "notes.create": (("a", "n"), {}),
    "notes.update": ((1, "n"), {}),
    "notes.delete": ((1,), {"with_text": True}),
    "registry.browse": (("a",), {}),
    "registry.create_key": (("a", KEY_PATH), {}),
    "registry.rename_key": (("a", KEY_PATH, KEY_PATH + "2"), {}),
    "registry.delete_key": (("a", KEY_PATH), {}),
    "registry.create_value": (("a", KEY_PATH, "v"), {"type": "REG_SZ", "data": "d"}),
    "registry.set_value": (("a", KEY_PATH, "v"), {"type": "REG_SZ", "data": "d"}),
    "registry.rename_value": (("a", KEY_PATH, "v", "w"), {}),
    "registry.delete_value": (("a", KEY_PATH, "v"), {"with_data": True}),
}


def _of_bases() -> Iterator[str]:
    for base in Agents.__bases__:
        yield from (name for name in vars(base) if not name.startswith("_"))
    for noun, methods in vars(Agents(cast("Any", None))).items():
        if isinstance(methods, Resource):
            yield from (f"{noun}.{name}" for name in vars(type(methods)) if not name.startswith("_"))
            if callable(methods):
                yield noun


def test_every_method_is_tried_on_a_gateway() -> None:
    assert {name.partition(" ")[0] for name in WHATEVER} == set(_of_bases())


@pytest.mark.parametrize("name", WHATEVER)
async def test_a_gateway_has_none_of_it(name: str) -> None:
    method, (given, named) = name.partition(" ")[0], WHATEVER[name]
    async with (
        asyncio.timeout(30),
        Simulator(agents=1) as server,
        TRMM(server.url, api_key=server.api_key, dialect="gateway") as trmm,
    ):
        with pytest.raises(UnsupportedError, match=rf"agents\.{re.escape(method)}\b"):
            await attrgetter(method)(trmm.agents)(*given, **named)
        assert server.requests == []
