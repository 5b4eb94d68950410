import pytest

from tests.servers import count, served
from trmm_async import BadRequestError, InvalidRequestError, NotFoundError, UnsupportedError

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


async def test_are_made_changed_and_removed() -> None:
    async with served("stock", agents=1) as (_, trmm):
        snippets = trmm.scripts.snippets
        made = await snippets.create(name=" greet ", code="echo hello\n", shell="cmd", description="hello")
        assert (made.name, made.code, made.shell, made.description) == (
            "greet",
            "echo hello\n",
            "cmd",
            "hello",
        )
        await snippets.update(made, description="good day", code="echo good day")
        changed = await snippets.get(made)
        assert (changed.description, changed.code) == ("good day", "echo good day")
        assert changed in await snippets.list()
        with pytest.raises(BadRequestError, match="already exists"):
            await snippets.create(name="greet", code="x")
        await snippets.delete(changed, with_code=True)
        with pytest.raises(NotFoundError):
            await snippets.get(made)


async def test_stand_in_a_downloaded_script_unless_it_is_wanted_as_written() -> None:
    async with served("stock", agents=1) as (_, trmm):
        await trmm.scripts.snippets.create(name="greet", code="echo hello")
        script = await trmm.scripts.create(name="Hello", shell="shell", code="{{greet}} {{agent.hostname}}\n")
        file = await trmm.scripts.download(script)
        assert (file.filename, file.code) == ("Hello.sh", "echo hello {{agent.hostname}}\n")
        assert (await trmm.scripts.download(script, snippets=False)).code == script.code


async def test_a_list_of_scripts_with_the_hidden_and_without_the_community_ones() -> None:
    async with served("stock", agents=1) as (_, trmm):
        usual, hidden = await trmm.scripts.list(), await trmm.scripts.list(hidden=True)
        own = await trmm.scripts.list(community=False)
        assert {script.name for script in hidden if script.hidden} == {"Hidden helper"}
        assert not any(script.hidden for script in usual)
        assert {script.script_type for script in usual} == {"builtin", "userdefined"}
        assert {script.script_type for script in own} == {"userdefined"}
        assert len(await trmm.scripts.list(hidden=True, community=False)) == len(own) + 1


async def test_a_gateway_knows_no_flags_of_the_list() -> None:
    async with served("gateway", agents=1) as (_, trmm):
        assert await trmm.scripts.list()
        with pytest.raises(UnsupportedError, match=r"scripts\.list"):
            await trmm.scripts.list(hidden=True)


async def test_what_is_wrong_is_said_before_anything_is_sent() -> None:
    async with served("stock", agents=1) as (server, trmm):
        snippets = trmm.scripts.snippets
        with pytest.raises(InvalidRequestError, match="40 characters"):
            await snippets.create(name="x" * 41, code="x")
        with pytest.raises(InvalidRequestError, match=r"'descripton' \(did you mean 'description'\?\)"):
            await snippets.update(1, descripton="x")  # type: ignore[call-arg]
        with pytest.raises(InvalidRequestError, match="nothing to change"):
            await snippets.update(1)
        with pytest.raises(InvalidRequestError, match="shell"):
            await snippets.update(1, shell="zsh")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError, match="#!"):
            await trmm.scripts.test_on_server(shell="shell", code="echo hi")
        assert server.requests == []


async def test_code_is_tried_on_the_server_itself_once() -> None:
    async with served("stock", agents=1) as (server, trmm):
        result = await trmm.scripts.test_on_server(
            shell="shell", code="#!/bin/sh\necho $1\n", args=["world"], env_vars={"A": "1"}, timeout=20
        )
        assert (result.retcode, result.stdout, result.execution_time) == (0, "world\n", 0.0018)
        assert count(server, "POST", "/core/serverscript/test/") == 1
