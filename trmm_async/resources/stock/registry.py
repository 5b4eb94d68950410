"""`trmm.agents.registry`."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from trmm_async import arguments
from trmm_async.calls import Steps, plan
from trmm_async.dialects.stock.endpoint import Sent, Wire, act, read, reader, send
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Agent, Noun, no_extra
from trmm_async.resources.resource import Resource, refuse_loss

__all__ = ["Registry", "RegistryKey", "RegistryValue"]

RegistryType = Literal["REG_SZ", "REG_EXPAND_SZ", "REG_MULTI_SZ", "REG_DWORD", "REG_QWORD", "REG_BINARY"]
RegistryData: TypeAlias = str | int | bytes | Iterable[str]

_TYPES: Final = ("REG_SZ", "REG_EXPAND_SZ", "REG_MULTI_SZ", "REG_DWORD", "REG_QWORD", "REG_BINARY")
_SHORT: Final = {
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKCU": "HKEY_CURRENT_USER",
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKU": "HKEY_USERS",
    "HKCC": "HKEY_CURRENT_CONFIG",
}
_ROOT: Final = "Computer"
_NUMBER: Final = re.compile(r"0x[0-9A-Fa-f]+ \(([0-9]+)\)")
_MOST: Final = {"REG_DWORD": 2**32 - 1, "REG_QWORD": 2**64 - 1}
_ANSWERS: Final = 30
_SINCE: Final = "1.4.0"
_PAGE_MOST: Final = 2**31 - 1


class RegistryValue(Noun, frozen=True, kw_only=True, gc=False):
    """One value of a key. `data` is an int, bytes, or a tuple of texts where `type` is of such; else text."""

    name: str
    """The name."""
    type: str = ""
    data: str | int | bytes | tuple[str, ...] = ""
    extra: Mapping[str, Any] = no_extra()


class RegistryKey(Noun, frozen=True, kw_only=True, gc=False):
    """One key: the names of those below it, a page of them, and its values, all of them."""

    path: str
    """The key's whole path."""
    subkeys: tuple[str, ...] = ()
    """The names of the keys below."""
    values: tuple[RegistryValue, ...] = ()
    """Its values."""
    has_more: bool = False
    """Whether there is a page behind this."""
    page: int = 1
    """Which page of the keys below this is, from 1 on."""
    extra: Mapping[str, Any] = no_extra()


class _Subkey(msgspec.Struct):
    name: str


class _ShownValue(msgspec.Struct):
    name: str
    type: str = ""
    data: Any = ""


class _Written(msgspec.Struct):
    data: _ShownValue


def _data(kind: str, data: Any) -> str | int | bytes | tuple[str, ...]:
    """The data of a value, from the text that the agent shows; if it is not of its type, the text itself."""
    if isinstance(data, list):
        return tuple(map(str, data))
    text = "" if data is None else str(data)
    if kind in _MOST and (shown := _NUMBER.fullmatch(text)):
        return int(shown[1])
    if kind == "REG_BINARY":
        try:
            return bytes.fromhex(text)
        except ValueError:
            return text
    return text


def _value(sent: _ShownValue) -> RegistryValue:
    return RegistryValue(name=sent.name, type=sent.type, data=_data(sent.type, sent.data))


def _subkeys(sent: tuple[_Subkey, ...] | None) -> tuple[str, ...]:
    return tuple(one.name for one in sent or ())


def _values(sent: tuple[_ShownValue, ...] | None) -> tuple[RegistryValue, ...]:
    return tuple(map(_value, sent or ()))


# An agent sends null for an empty list.
_KEY: Final[Wire] = {
    "subkeys": Sent(kind=tuple[_Subkey, ...] | None, fit=_subkeys),
    "values": Sent(kind=tuple[_ShownValue, ...] | None, fit=_values),
}
_written: Final = reader(_Written)
_ALL: Final = "/agents/{agent:agent}/registry/"

BROWSE = read("agents.registry.browse", _ALL, RegistryKey, wire=_KEY, asks=_ANSWERS, since=_SINCE)
CREATE_KEY = send(
    "agents.registry.create_key", _ALL + "create-key/", needs="path", asks=_ANSWERS, since=_SINCE
)
RENAME_KEY = send("agents.registry.rename_key", _ALL + "rename-key/", asks=_ANSWERS, since=_SINCE)
DELETE_KEY = send(
    "agents.registry.delete_key", _ALL + "delete-key/", method="DELETE", asks=_ANSWERS, since=_SINCE
)
CREATE_VALUE = act(
    "agents.registry.create_value",
    _ALL + "create-value/",
    decode=lambda body: _value(_written(body).data),
    asks=_ANSWERS,
    since=_SINCE,
)
SET_VALUE = act(
    "agents.registry.set_value",
    _ALL + "modify-value/",
    decode=lambda body: _value(_written(body).data),
    asks=_ANSWERS,
    since=_SINCE,
)
RENAME_VALUE = send("agents.registry.rename_value", _ALL + "rename-value/", asks=_ANSWERS, since=_SINCE)
DELETE_VALUE = send(
    "agents.registry.delete_value", _ALL + "delete-value/", method="DELETE", asks=_ANSWERS, since=_SINCE
)


class Registry(Resource):
    r"""The registry of a Windows agent of a stock server. All errors are `TRMMError`s.

    A path is `HKEY_LOCAL_MACHINE\SOFTWARE\Acme`, or `HKLM\SOFTWARE\Acme`. The agent is asked each time, for
    30 seconds, and needs version 2.10.0. What changes something is never sent twice. On a gateway they are an
    `UnsupportedError`.
    """

    async def browse(
        self, agent: str | Agent, path: str = _ROOT, *, page: int = 1, page_size: int = 200
    ) -> RegistryKey:
        """Get one key: its values, and the names of its subkeys.

        Args:
            agent: the agent or its id.
            path: the key; "Computer" for the hives. A hive itself can't be browsed.
            page: the page of subkeys, from 1 on, as long as `has_more` is True.
            page_size: the largest number of subkeys on a page.

        Raises:
            BadRequestError: there is no such key, or the agent is too old.
        """
        query = {"path": path if path == _ROOT else _path(path)}
        which = arguments.integer(page, "page", minimum=1, maximum=_PAGE_MOST)
        most = arguments.integer(page_size, "page_size", minimum=1, maximum=_PAGE_MOST)
        if (which, most) != (1, 200):
            query |= {"page": str(which), "page_size": str(most)}
        return await self._send(BROWSE, agent, query=query)

    async def create_key(self, agent: str | Agent, path: str) -> None:
        """Create a key.

        Raises:
            AgentLostError: the agent did not answer in time; it may be made all the same.
            BadRequestError: there is one already.
        """
        await self._send(CREATE_KEY, agent, body={"path": _path(path)})

    async def rename_key(self, agent: str | Agent, path: str, new_path: str) -> None:
        """Move a key, with its values and subkeys, to another path.

        Raises:
            AgentLostError: the agent did not answer in time; it may be renamed all the same.
            BadRequestError: there is no such key.
        """
        body = {"old_path": _path(path), "new_path": _path(new_path, "new_path")}
        _differ(body["old_path"], body["new_path"], "new_path")
        await self._send(RENAME_KEY, agent, body=body)

    async def delete_key(
        self, agent: str | Agent, path: str, *, with_values: bool = False, with_subkeys: bool = False
    ) -> None:
        """Delete a key for good. What it has is looked at first, unless `with_subkeys` says that all may go.

        Args:
            agent: the agent or its id.
            path: the key.
            with_values: with its values; without, one that has such is left alone.
            with_subkeys: with all keys below it, and all their values; without, one that has such is left
                alone.

        Raises:
            InvalidRequestError: it has keys or values, of which it was not said; nothing was deleted.
            AgentLostError: the agent did not answer in time; it may be removed all the same.
            BadRequestError: there is no such key.
        """
        agent_id, key = arguments.agent_id(agent), _path(path)
        values_too = arguments.boolean(with_values, "with_values")
        if arguments.boolean(with_subkeys, "with_subkeys"):
            await self._send(DELETE_KEY, agent_id, query={"path": key})
        else:
            await self._on_stock(DELETE_KEY.name, _delete_alone(agent_id, key, values_too))

    async def create_value(
        self,
        agent: str | Agent,
        path: str,
        name: str,
        *,
        type: RegistryType,  # noqa: A002 - the server's word
        data: RegistryData,
    ) -> RegistryValue:
        """Create a value in a key, and return it as the agent has it.

        Args:
            agent: the agent or its id.
            path: the key.
            name: the value's name.
            type: "REG_SZ", "REG_EXPAND_SZ", "REG_MULTI_SZ", "REG_DWORD", "REG_QWORD" or "REG_BINARY".
            data: text; for "REG_MULTI_SZ" texts, for "REG_DWORD" and "REG_QWORD" an int, or a text of one,
                for "REG_BINARY" bytes.

        Raises:
            AgentLostError: the agent did not answer in time; it may be made all the same.
            BadRequestError: there is such a value already, or no such key.
        """
        return await self._send(CREATE_VALUE, agent, body=_body(path, name, type, data))

    async def set_value(
        self,
        agent: str | Agent,
        path: str,
        name: str,
        *,
        type: RegistryType,  # noqa: A002 - the server's word
        data: RegistryData,
    ) -> RegistryValue:
        """Set a value, and create it if it is missing. Arguments and errors are those of `create_value`."""
        return await self._send(SET_VALUE, agent, body=_body(path, name, type, data))

    async def rename_value(self, agent: str | Agent, path: str, name: str, new_name: str) -> None:
        """Rename a value of a key.

        Raises:
            AgentLostError: the agent did not answer in time; it may be renamed all the same.
            BadRequestError: there is no such value.
        """
        body = {
            "path": _path(path),
            "old_name": arguments.plain_text(name, "name"),
            "new_name": arguments.plain_text(new_name, "new_name"),
        }
        _differ(body["old_name"], body["new_name"], "new_name")
        await self._send(RENAME_VALUE, agent, body=body)

    async def delete_value(
        self, agent: str | Agent, path: str, name: str, *, with_data: bool = False
    ) -> None:
        """Delete a value of a key.

        Args:
            agent: the agent or its id.
            path: the key.
            name: the value's name.
            with_data: True confirms that its data may be lost.

        Raises:
            InvalidRequestError: that was not confirmed; nothing was deleted.
            AgentLostError: the agent did not answer in time; it may be removed all the same.
            BadRequestError: there is no such value.
        """
        query = {"path": _path(path), "name": arguments.plain_text(name, "name")}
        refuse_loss(f"agents.registry.delete_value: {name}", with_data=with_data)
        await self._send(DELETE_VALUE, agent, query=query)


@plan
def _delete_alone(agent_id: str, path: str, values_too: bool) -> Steps[None]:
    key = yield from BROWSE.call(agent_id, query={"path": path, "page": 1, "page_size": 1})
    if key.subkeys:
        raise InvalidRequestError(f"{path} has keys below it, as {key.subkeys[0]!r}: say with_subkeys=True")
    if key.values:
        refuse_loss(f"{path} has values, as {key.values[0].name!r}", with_values=values_too)
    yield from DELETE_KEY.call(agent_id, query={"path": path})


def _path(value: object, what: str = "path") -> str:
    """A key below a hive, with the whole name of the hive, which agents need."""
    text = arguments.plain_text(value, what).removeprefix(_ROOT + "\\").rstrip("\\")
    hive, _, rest = text.partition("\\")
    name = _SHORT.get(hive.upper(), hive.upper())
    if name not in _SHORT.values() or not rest:
        raise InvalidRequestError(
            f"{what} must be a key below a hive, as HKEY_LOCAL_MACHINE\\SOFTWARE; not {value!r}"
        )
    return f"{name}\\{rest}"


def _differ(old: str, new: str, what: str) -> None:
    if old == new:
        raise InvalidRequestError(f"{what} is {new!r} already")


def _body(path: object, name: object, kind: object, data: object) -> dict[str, str]:
    kind = arguments.choice(kind, "type", _TYPES)
    return {
        "path": _path(path),
        "name": arguments.plain_text(name, "name"),
        "type": kind,
        "data": _text_of(kind, data),
    }


def _numbered(text: str) -> int | str:
    """The number in a text, decimal or such as 0x1F; other texts are returned, and then refused."""
    if re.fullmatch(r"[0-9]{1,20}|0[xX][0-9A-Fa-f]{1,16}", text, re.ASCII):
        return int(text, 16 if text[1:2] in {"x", "X"} else 10)
    return text


def _text_of(kind: str, data: object) -> str:
    """The data as text: agents don't answer at all to anything else."""
    if kind in _MOST and isinstance(data, str):
        data = _numbered(data)
    if kind in _MOST:
        return str(arguments.integer(data, f"data of a {kind}", minimum=0, maximum=_MOST[kind]))
    if kind == "REG_BINARY":
        if not isinstance(data, bytes | bytearray):
            raise InvalidRequestError(f"data of a REG_BINARY must be bytes, not {type(data).__name__}")
        return data.hex(" ").upper()
    if kind == "REG_MULTI_SZ":
        return json.dumps(arguments.names(data, f"data of a {kind}"))
    return arguments.free_text(data, f"data of a {kind}", empty=True)
