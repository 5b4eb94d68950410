import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers import count, served
from trmm_async import AgentLostError, AgentUnreachableError, BadRequestError, InvalidRequestError
from trmm_async.resources.stock.registry import _body, _data, _path
from trmm_async.testing.stock.registry import _shown

pytestmark = pytest.mark.usefixtures("nothing_is_odd")
KEY = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme"


async def test_keys_are_made_browsed_renamed_and_removed() -> None:
    async with served("stock", agents=1) as (server, trmm):
        (agent,) = server.agent_ids
        registry = trmm.agents.registry
        assert "HKEY_LOCAL_MACHINE" in (await registry.browse(agent)).subkeys
        await registry.create_key(agent, "HKLM\\SOFTWARE\\Acme")
        await registry.create_key(agent, KEY + "\\Sub")
        assert (await registry.browse(agent, KEY)).subkeys == ("Sub",)
        with pytest.raises(InvalidRequestError, match="with_subkeys=True"):
            await registry.delete_key(agent, KEY)
        await registry.rename_key(agent, KEY, KEY + "2")
        with pytest.raises(BadRequestError, match="cannot find the file"):
            await registry.browse(agent, KEY)
        await registry.create_value(agent, KEY + "2\\Sub", "Host", type="REG_SZ", data="a")
        with pytest.raises(InvalidRequestError, match=r"has values, as 'Host'.*say with_values=True"):
            await registry.delete_key(agent, KEY + "2\\Sub")
        assert count(server, "DELETE") == 0
        await registry.delete_key(agent, KEY + "2\\Sub", with_values=True)
        await registry.delete_key(agent, KEY + "2", with_subkeys=True)
        assert count(server, "DELETE") == 2
        below = await registry.browse(agent, "HKLM\\SOFTWARE", page_size=1)
        assert (below.subkeys, below.has_more) == (("Microsoft",), False)


async def test_values_come_back_as_what_they_are() -> None:
    async with served("stock", agents=1) as (server, trmm):
        (agent,) = server.agent_ids
        registry = trmm.agents.registry
        await registry.create_key(agent, KEY)
        await registry.create_value(agent, KEY, "Server", type="REG_SZ", data="update.example.com")
        await registry.create_value(agent, KEY, "Retries", type="REG_DWORD", data=16)
        await registry.create_value(agent, KEY, "Big", type="REG_QWORD", data=2**40)
        await registry.create_value(agent, KEY, "Blob", type="REG_BINARY", data=b"\x0a\xff")
        hosts = await registry.create_value(agent, KEY, "Hosts", type="REG_MULTI_SZ", data=["a", "b,c"])
        assert hosts.data == ("a", "b,c")
        with pytest.raises(BadRequestError, match="already exists"):
            await registry.create_value(agent, KEY, "Hosts", type="REG_SZ", data="x")
        await registry.set_value(agent, KEY, "Retries", type="REG_DWORD", data=5)
        await registry.rename_value(agent, KEY, "Server", "Host")
        await registry.delete_value(agent, KEY, "Big", with_data=True)
        values = {value.name: value.data for value in (await registry.browse(agent, KEY)).values}
        assert values == {
            "Retries": 5, "Blob": b"\x0a\xff", "Hosts": ("a", "b,c"), "Host": "update.example.com",
        }  # fmt: skip


async def test_an_agent_that_does_not_answer_may_have_done_it() -> None:
    async with served("stock", agents=1, offline_hold=0.01) as (server, trmm):
        (agent,) = server.agent_ids
        server.go_offline(agent)
        with pytest.raises(AgentUnreachableError):
            await trmm.agents.registry.browse(agent, KEY)
        with pytest.raises(AgentLostError):
            await trmm.agents.registry.create_key(agent, KEY)


@pytest.mark.parametrize(
    "path", ["", "HKLM", "Computer", "Software\\x", "HKEY_LOCAL_MACHINE\\", None, "HKXX\\a"]
)
def test_a_path_that_can_be_none_is_refused(path: object) -> None:
    with pytest.raises(InvalidRequestError, match="path"):
        _path(path)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("REG_DWORD", "five"),
        ("REG_DWORD", ""),
        ("REG_DWORD", "\u0665"),
        ("REG_DWORD", "0x1_0"),
        ("REG_DWORD", "4294967296"),
        ("REG_DWORD", True),
        ("REG_DWORD", -1),
        ("REG_DWORD", 2**32),
        ("REG_QWORD", 2**64),
        ("REG_BINARY", "0A"),
        ("REG_MULTI_SZ", "a"),
        ("REG_SZ", 5),
        ("REG_FOO", "x"),
    ],
)
def test_data_that_does_not_fit_its_type_is_refused(kind: str, data: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"^(data|type)"):
        _body(KEY, "x", kind, data)


@given(st.integers(0, 2**64 - 1))
def test_a_number_comes_back_as_it_was_written(number: int) -> None:
    kind = "REG_DWORD" if number < 2**32 else "REG_QWORD"
    assert _data(kind, _shown(kind, _body(KEY, "x", kind, number)["data"], "")) == number


@given(st.binary())
def test_bytes_come_back_as_they_were_written(data: bytes) -> None:
    assert _data("REG_BINARY", _shown("REG_BINARY", _body(KEY, "x", "REG_BINARY", data)["data"], "")) == data
