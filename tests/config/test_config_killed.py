"""An apply that ends anywhere, and is run again."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from tests.config.folders import write
from tests.forked import killed_in_the_end
from tests.servers import count, stock, until
from trmm_async import TRMM, ApplyStoppedError, config
from trmm_async.testing import Simulator

PROGRAM = """
import asyncio, sys
from trmm_async import TRMM, config

async def main() -> None:
    url, key, folder = sys.argv[1:]
    async with TRMM(url, api_key=key, dialect="stock", rate_limit=None) as trmm:
        await config.apply(trmm, await config.plan(trmm, folder), folder)
    print("done", flush=True)

asyncio.run(main())
"""
POLICY = """\
name: Killed
patch_policy: {critical: approve}
checks:
- {check_type: script, script: Fix it}
- {check_type: ping, ip: 10.0.0.1}
tasks:
- name: Heal
  schedule: {task_type: checkfailure, check: ping 10.0.0.1}
  actions: [{type: script, script: Fix it}]
"""
WRITES = 8
"""The script, its mark, the policy, its patch policy, two checks, the task, and the client."""


def wanted(folder: Path) -> None:
    write(folder, "scripts/fix.py", "# ---\n# name: Fix it\n# favorite: true\n# ---\n1")
    write(folder, "policies/a.yaml", POLICY)
    write(folder, "clients/a.yaml", "name: Hermes Network Inc.\nserver_policy: Killed\n")


def writes(server: Simulator) -> int:
    return count(server, "POST") + count(server, "PUT")


async def planned(trmm: TRMM, folder: Path) -> config.ConfigPlan:
    return await config.plan(trmm, folder, kinds=["scripts", "policies", "clients"])


async def hold_all_is_there_once(trmm: TRMM, server: Simulator, folder: Path) -> None:
    await config.apply(trmm, await planned(trmm, folder), folder)
    assert not await planned(trmm, folder)
    assert [one.name for one in await trmm.scripts.list(hidden=True)].count("Fix it") == 1
    (policy,) = (one for one in await trmm.policies.list() if one.name == "Killed")
    assert len(await trmm.policies.checks(policy)) == 2
    assert len(await trmm.policies.tasks(policy)) == 1
    assert count(server, "POST", "patchpolicy") == 1
    client = await trmm.clients.find("Hermes Network Inc.")
    assert client is not None
    assert client.server_policy == policy.id


@pytest.mark.parametrize("number", range(WRITES))
async def test_an_apply_that_ends_between_two_writes_is_taken_up(tmp_path: Path, number: int) -> None:
    """Ends where a kill would: the write was done, and nothing more is, neither its record nor a look."""
    wanted(tmp_path)
    async with stock(retries=0) as (server, trmm):
        begun = writes(server)
        plan = await planned(trmm, tmp_path)
        async with TRMM(server.url, api_key=server.api_key, dialect="stock", rate_limit=None) as killed:
            work = asyncio.create_task(config.apply(killed, plan, tmp_path))
            while writes(server) <= begun + number and not work.done():
                await asyncio.sleep(0)
            await killed.aclose()
            with pytest.raises(ApplyStoppedError):
                await work
        await hold_all_is_there_once(trmm, server, tmp_path)


async def test_an_apply_that_is_killed_is_taken_up(tmp_path: Path) -> None:
    wanted(tmp_path)
    async with stock(retries=0) as (server, trmm):
        begun = writes(server)
        held = server.slow("POST", "/checks/", 30)
        async with killed_in_the_end(PROGRAM, [server.url, server.api_key, str(tmp_path)]):
            await until(lambda: writes(server) >= begun + 5)
        assert "Killed" in next((tmp_path / ".trmm").glob("state-*.json")).read_text()
        held.remove()
        await hold_all_is_there_once(trmm, server, tmp_path)


async def test_answers_that_are_lost_make_nothing_twice(tmp_path: Path) -> None:
    wanted(tmp_path)
    async with stock(retries=2) as (server, trmm):
        paths = ("/scripts/", "/automation/policies/", "/patchpolicy/", "/checks/", "/tasks/")
        for path in paths:
            server.cut("POST", path)
        for _ in paths:  # what can't be told by a look stops it
            with suppress(ApplyStoppedError):
                await config.apply(trmm, await planned(trmm, tmp_path), tmp_path)
        await hold_all_is_there_once(trmm, server, tmp_path)
        assert count(server, "POST") == 6
