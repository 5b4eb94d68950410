r"""The registry of Windows agents, as far as it is looked at.

Below: `bus.py` says whether an agent answers. Above: `dialect.py`. Each agent has the five hives and
`HKEY_LOCAL_MACHINE\SOFTWARE`, and what is written into it stays. What an agent says where it refuses, and how
it shows data, is as recorded.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NoReturn

from trmm_async.testing.routing import Route

from .live import OUT_OF_REACH
from .view import Fields, crash, refuse, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["RegistryView"]

HIVES = (
    "HKEY_CLASSES_ROOT",
    "HKEY_CURRENT_USER",
    "HKEY_LOCAL_MACHINE",
    "HKEY_USERS",
    "HKEY_CURRENT_CONFIG",
)
FIRST = ("HKEY_LOCAL_MACHINE\\SOFTWARE", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft")
NEEDS = (2, 10)
SECONDS = 30
NOT_FOUND = "The system cannot find the file specified."
SIZES = {"REG_DWORD": 8, "REG_QWORD": 1}

Values = dict[str, tuple[str, object]]


class RegistryView:
    """`/agents/{agent_id}/registry/…`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._keys: dict[str, dict[str, Values]] = {}

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        one = "/agents/{agent_id:agent}/registry/"
        calls = (
            ("GET", "", self.browse),
            ("POST", "create-key/", self.create_key),
            ("POST", "rename-key/", self.rename_key),
            ("DELETE", "delete-key/", self.delete_key),
            ("POST", "create-value/", self.create_value),
            ("POST", "modify-value/", self.modify_value),
            ("POST", "rename-value/", self.rename_value),
            ("DELETE", "delete-value/", self.delete_value),
        )
        return [Route(method, one + path, handler, "can_use_registry") for method, path, handler in calls]

    # -- keys ------------------------------------------------------------------------------------------------

    async def browse(self, asked: Asked) -> HTTPReply:
        """`GET …/registry/`: `path`, and a page of the keys below it; null for none."""
        query = asked.row.query
        try:
            page, size = int(query.get("page", 1)), int(query.get("page_size", 200))
        except ValueError:
            refuse("page and page_size must be integers")
        path = query.get("path") or "Computer"
        keys = await self._reached(asked)
        values: list[Row] = []
        if path == "Computer":
            below = list(HIVES)
        else:
            values = [
                {"name": name, "type": kind, "data": data}
                for name, (kind, data) in self._key(keys, path, "Browse", "failed to open key {}").items()
            ]
            below = [key[len(path) + 1 :] for key in keys if re.fullmatch(re.escape(path) + r"\\[^\\]+", key)]
        shown = below[(page - 1) * size : page * size]
        subkeys = [{"name": name, "hasSubkeys": self._has_more(keys, path, name)} for name in shown]
        return said(
            {
                "path": path, "subkeys": subkeys or None, "values": values or None,
                "has_more": len(below) > page * size, "page": page, "page_size": size,
            }
        )  # fmt: skip

    @staticmethod
    def _has_more(keys: dict[str, Values], path: str, name: str) -> bool:
        return path == "Computer" or any(key.startswith(f"{path}\\{name}\\") for key in keys)

    async def create_key(self, asked: Asked) -> HTTPReply:
        """`POST …/create-key/`."""
        path = _needed(Fields.of(asked), "path", "Registry path is required")
        keys = await self._reached(asked)
        if path in keys:
            _fail("Create Key", f"registry key '{path}' already exists")
        keys[path] = {}
        return said({"status": "success", "path": path})

    async def rename_key(self, asked: Asked) -> HTTPReply:
        """`POST …/rename-key/`: with all that is below it."""
        body = Fields.of(asked)
        needed = "Both 'old_path' and 'new_path' are required"
        old, new = _needed(body, "old_path", needed), _needed(body, "new_path", needed)
        if old == new:
            refuse("Old and new path cannot be the same")
        keys = await self._reached(asked)
        self._key(keys, old, "Rename Key", "failed to open old key path")
        for key in [key for key in keys if key == old or key.startswith(old + "\\")]:
            keys[new + key[len(old) :]] = keys.pop(key)
        return said({"status": "success", "old_path": old, "new_path": new})

    async def delete_key(self, asked: Asked) -> HTTPReply:
        """`DELETE …/delete-key/`: `path` in the query; with all that is below it."""
        path = _needed(Fields(asked.row.query), "path", "Registry path is required")
        keys = await self._reached(asked)
        if path in HIVES:
            _fail("Delete Key", f"deleting root hive '{path}' is not allowed")
        self._key(keys, path, "Delete Key", "failed to open key '{}'")
        for key in [key for key in keys if key == path or key.startswith(path + "\\")]:
            del keys[key]
        return said({"status": "success", "deleted_path": path})

    # -- values ----------------------------------------------------------------------------------------------

    async def create_value(self, asked: Asked) -> HTTPReply:
        """`POST …/create-value/`: not over one that is there."""
        return await self._write(asked, "Create Value")

    async def modify_value(self, asked: Asked) -> HTTPReply:
        """`POST …/modify-value/`: one that is missing is made."""
        return await self._write(asked, "Modify Value")

    async def _write(self, asked: Asked, what: str) -> HTTPReply:
        body = Fields.of(asked)
        path = _needed(body, "path", "Registry path is required")
        name = _needed(body, "name", "Registry value name is required")
        kind = _needed(body, "type", "Registry value type is required").upper()
        keys = await self._reached(asked)
        data = body.get("data", "")
        if not isinstance(data, str):
            await self._backend.bus.wait(SECONDS)
            refuse(OUT_OF_REACH)
        values = self._key(keys, path, what, "failed to open key for writing '{}'")
        if what == "Create Value" and name in values:
            _fail(what, f"registry value '{name}' already exists under '{path}'")
        values[name] = kind, _shown(kind, data, what)
        return said({"status": "success", "data": {"name": name, "type": kind, "data": values[name][1]}})

    async def rename_value(self, asked: Asked) -> HTTPReply:
        """`POST …/rename-value/`."""
        body = Fields.of(asked)
        path = _needed(body, "path", "Registry path is required")
        old = _needed(body, "old_name", "Old value name is required")
        new = _needed(body, "new_name", "New value name is required")
        if old == new:
            refuse("Old and new value names cannot be the same")
        values = self._key(await self._reached(asked), path, "Rename Value", "failed to open key '{}'")
        if old not in values:
            _fail("Rename Value", f"failed to read old value: {NOT_FOUND}")
        values[new] = values.pop(old)
        return said({"status": "success", "old_name": old, "new_name": new})

    async def delete_value(self, asked: Asked) -> HTTPReply:
        """`DELETE …/delete-value/`: `path` and `name` in the query."""
        query = Fields(asked.row.query)
        path = _needed(query, "path", "Registry path is required")
        name = _needed(query, "name", "Registry value name is required")
        values = self._key(await self._reached(asked), path, "Delete Value", "failed to open key '{}'")
        if name not in values:
            _fail("Delete Value", f"value '{name}' does not exist under {path}")
        del values[name]
        return said({"status": "success", "name": name})

    # -- the agent -------------------------------------------------------------------------------------------

    async def _reached(self, asked: Asked) -> dict[str, Values]:
        agent = self._backend.world.agent(asked.params["agent_id"])
        if tuple(int(part) for part in agent.version.split(".") if part.isdecimal()) < NEEDS:
            refuse("This feature requires agent version 2.10.0 or higher.")
        if await self._backend.bus.silence(agent, SECONDS):
            refuse(OUT_OF_REACH)
        return self._of(agent)

    def _of(self, agent: Agent) -> dict[str, Values]:
        return self._keys.setdefault(agent.agent_id, {path: {} for path in FIRST})

    @staticmethod
    def _key(keys: dict[str, Values], path: str, what: str, opening: str) -> Values:
        hive, _, rest = path.partition("\\")
        if hive not in HIVES:
            _fail(what, "unknown registry hive")
        if not rest:
            _fail(what, "Invalid registry path, Please enter a valid path")
        if path not in keys:
            _fail(what, f"{opening.format(path)}: {NOT_FOUND}")
        return keys[path]


def _fail(what: str, why: str) -> NoReturn:
    refuse(f"Registry {what} failed: {why}")


def _needed(body: Fields, name: str, words: str) -> str:
    value = body.get(name)
    if not value:
        refuse(words)
    return value if isinstance(value, str) else crash()


def _shown(kind: str, data: str, what: str) -> object:
    """How an agent shows what was written."""
    if kind in SIZES:
        try:
            number = int(data, 0)
        except ValueError:
            _fail(what, f"invalid {kind} value '{data}': must be decimal or hex")
        return f"0x{number:0{SIZES[kind]}X} ({number})"
    if kind == "REG_MULTI_SZ":
        return json.loads(data) if data.startswith("[") else data.split(",")
    if kind not in {"REG_SZ", "REG_EXPAND_SZ", "REG_BINARY"}:
        _fail(what, f"unsupported registry value type: {kind}")
    return data
