"""Checks of an agent or a policy: created, changed, deleted, made to run."""

from typing import Any

import pytest

from tests.servers import count, served
from trmm_async import (
    CheckKind,
    CommandAction,
    CpuLoadCheck,
    DiskSpaceCheck,
    EventLogCheck,
    MemoryCheck,
    OnFailure,
    PingCheck,
    ScriptCheck,
    ServiceCheck,
)
from trmm_async.errors import BadRequestError, InvalidRequestError, NotFoundError

SEVEN: list[CheckKind] = [
    DiskSpaceCheck(disk="X:", warning_threshold=20, error_threshold=10, run_interval=300),
    CpuLoadCheck(error_threshold=90, email_alert=True),
    MemoryCheck(warning_threshold=70, error_threshold=85),
    PingCheck(ip="gateway.example.com", name="Gateway", severity="error", fails_before_alert=3),
    ServiceCheck(service="Spooler", display_name="Print Spooler", restart_if_stopped=True),
    ScriptCheck(
        script=1,
        args=("-Path", "C:"),
        env_vars={"MODE": "a=b"},
        info_return_codes=(1,),
        warning_return_codes=(2, 3),
    ),
    EventLogCheck(name="Any failure", log="Security", event_type="AUDIT_FAILURE", source="lsass"),
]
of_each_type = pytest.mark.parametrize("settings", SEVEN, ids=lambda kind: type(kind).__name__)


class TestSetUp:
    @of_each_type
    async def test_what_is_created_is_read_back_and_listed(self, settings: CheckKind) -> None:
        async with served("stock", agents=2) as (server, trmm):
            agent_id = server.agent_ids[0]
            server.world.checks_of(agent_id).clear()
            policy = (await trmm.policies.list())[1]
            made = await trmm.checks.create(settings, agent=agent_id)
            details = await trmm.checks.get(made)
            assert (details.settings, details.agent_id) == (settings, agent_id)
            details = await trmm.checks.get(await trmm.checks.create(settings, policy=policy))
            assert (details.settings, details.agent_id) == (settings, None)
            assert [one.id for one in await trmm.policies.checks(policy)] == [details.id]
            assert details.policy == policy.id
            await trmm.checks.update(details, fails_before_alert=7)
            changed = await trmm.checks.get(details.id)
            assert changed.settings is not None
            assert changed.settings.fails_before_alert == 7
            with pytest.raises(InvalidRequestError, match=f"all agents of policy {policy.id}: in_use=True"):
                await trmm.checks.delete(changed)
            await trmm.checks.delete(changed, in_use=True)
            with pytest.raises(NotFoundError):
                await trmm.checks.get(changed.id)

    async def test_one_whose_failure_starts_a_task_is_left_alone(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            check = await trmm.checks.create(PingCheck(ip="10.0.0.1"), agent=server.agent_ids[0])
            task = await trmm.tasks.set_up(
                name="t",
                schedule=OnFailure(check=check),
                actions=[CommandAction(command="x")],
                agent=server.agent_ids[0],
            )
            with pytest.raises(InvalidRequestError, match=f"in use by task {task.id}: in_use=True"):
                await trmm.checks.delete(check)
            await trmm.checks.delete(check, in_use=True)
            assert (await trmm.tasks.get(task)).timing is None

    async def test_it_is_of_an_agent_or_of_a_policy(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            owner: dict[str, Any]
            for owner in ({}, {"agent": server.agent_ids[0], "policy": 1}):
                with pytest.raises(InvalidRequestError, match="give one of agent and policy"):
                    await trmm.checks.create(SEVEN[3], **owner)  # type: ignore[call-overload]
            assert server.requests == []
            with pytest.raises(BadRequestError, match="already exists"):
                for _ in range(2):
                    await trmm.checks.create(SEVEN[2], policy=1)

    async def test_a_change_is_held_against_the_type_which_the_server_does_not(self) -> None:
        async with served("stock", agents=1) as (server, trmm):
            made = await trmm.checks.create(SEVEN[0], policy=1)
            changes: list[tuple[dict[str, Any], str]] = [
                ({"warning_threshold": 5}, "above error_threshold"),
                ({"ip": "10.0.0.1"}, "which has no ip"),
                ({"warning": 5}, "did you mean 'warning_threshold'"),
                ({"disk": None}, "disk"),
                ({}, "nothing to change"),
            ]
            for change, words in changes:
                with pytest.raises(InvalidRequestError, match=words):
                    await trmm.checks.update(made, **change)
            assert count(server, "PUT", "checks") == 0
            named = await trmm.checks.create(ScriptCheck(script="get-diskinfo"), policy=1)
            assert "Get-DiskInfo" in named.name
            log = await trmm.checks.create(EventLogCheck(name="e", log="System", event_id=7), policy=1)
            await trmm.checks.update(log, event_id=None, name="any")
            settings = (await trmm.checks.get(log)).settings
            assert isinstance(settings, EventLogCheck)
            assert (settings.event_id, settings.name) == (None, "any")

    async def test_all_of_a_client_or_of_a_site_run_theirs(self) -> None:
        async with served("stock", agents=8) as (server, trmm):
            site = server.agents[0].site
            at_site = [one for one in server.agents if one.site is site]
            of_client = [one for one in server.agents if one.site.client is site.client]
            assert await trmm.checks.run_many(site=site.id) == len(at_site)
            assert await trmm.checks.run_many(client=site.client.id) == len(of_client)
            wrong: dict[str, Any]
            for wrong in ({}, {"site": 1, "client": 1}):
                with pytest.raises(InvalidRequestError, match="give one"):
                    await trmm.checks.run_many(**wrong)
            with pytest.raises(BadRequestError, match="No agents"):
                await trmm.checks.run_many(site=999_999)
