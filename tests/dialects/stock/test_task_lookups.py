"""What a task refers to is looked up before it is sent."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.servers import count, served
from trmm_async import (
    CommandAction,
    Daily,
    InvalidRequestError,
    Manual,
    Monthly,
    NotFoundError,
    Once,
    OnFailure,
    PingCheck,
    ScriptAction,
    Weekly,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

AT = datetime.fromisoformat("2030-03-01T09:30")
ECHO = CommandAction(command="echo hello")


async def test_a_script_that_is_not_there_is_found_out_before() -> None:
    async with served("stock", agents=1) as (server, trmm):
        agent = server.agent_ids[0]
        made = await trmm.tasks.set_up(name="t", schedule=Manual(), actions=[ECHO], agent=agent)
        lost = [ScriptAction(script=1), ScriptAction(script=999_999)]
        before = count(server, "POST", "/tasks/")
        for act in (
            lambda: trmm.tasks.set_up(name="u", schedule=Manual(), actions=lost, agent=agent),
            lambda: trmm.tasks.create(name="u", agent=agent, script=999_999, schedule="0 3 * * *"),
            lambda: trmm.tasks.update(made, actions=lost),
        ):
            with pytest.raises(NotFoundError, match="/scripts/999999/"):
                await act()
        assert count(server, "POST", "/tasks/") == before
        assert count(server, "PUT", "/tasks/") == 0
        # Who may not see scripts is believed.
        with server.restrict("can_list_scripts"):
            await trmm.tasks.set_up(
                name="u", schedule=Manual(), actions=[ScriptAction(script=1)], agent=agent
            )


async def test_a_task_is_started_by_a_check_of_its_own_agent_or_policy() -> None:
    async with served("stock", agents=2) as (server, trmm):
        one, other = server.agent_ids
        of_one = await trmm.checks.create(PingCheck(ip="10.0.0.1"), agent=one)
        of_policy = await trmm.checks.create(PingCheck(ip="10.0.0.2"), policy=1)
        on = OnFailure(check=of_one), OnFailure(check=of_policy)
        made = [
            await trmm.tasks.set_up(name="t", schedule=on[0], actions=[ECHO], agent=one),
            await trmm.tasks.set_up(name="t", schedule=on[1], actions=[ECHO], policy=1),
        ]
        wrong: list[tuple[OnFailure, dict[str, Any]]] = [
            (on[0], {"agent": other}),
            (on[1], {"agent": one}),
            (on[0], {"policy": 1}),
            (on[1], {"policy": 2}),
        ]
        for when, whose in wrong:
            with pytest.raises(InvalidRequestError, match="a check of its own agent or policy"):
                await trmm.tasks.set_up(name="u", schedule=when, actions=[ECHO], **whose)
        for task, when in zip(made, reversed(on), strict=True):
            with pytest.raises(InvalidRequestError, match="a check of its own agent or policy"):
                await trmm.tasks.update(task, schedule=when)
        for task, when in zip(made, on, strict=True):
            await trmm.tasks.update(task, schedule=when)


WINDOWS_ALONE: dict[str, Any] = {
    "every=2": Daily(at=AT, every=2),
    "random_delay": Weekly(at=AT, days=("monday",), random_delay=timedelta(minutes=5)),
    "repeat_every": Once(at=AT, repeat_every=timedelta(minutes=5), repeat_for=timedelta(hours=1)),
    "run_if_missed": Monthly(at=AT, days=(1,), run_if_missed=True),
    "expires": Daily(at=AT, expires=datetime.fromisoformat("2031-01-01T00:00")),
}


@pytest.mark.parametrize("what", WINDOWS_ALONE)
async def test_what_counts_on_windows_alone_is_refused_elsewhere(what: str) -> None:
    schedule = WINDOWS_ALONE[what]
    async with served("stock", agents=1) as (server, trmm):
        agent = server.agents[0]
        agent.plat = "linux"
        whose: dict[str, Any]
        for whose in ({"agent": agent.agent_id}, {"policy": 1, "platforms": ["darwin", "linux"]}):
            with pytest.raises(InvalidRequestError, match=f"{what} would be passed over on"):
                await trmm.tasks.set_up(name="t", schedule=schedule, actions=[ECHO], **whose)
        made = await trmm.tasks.set_up(name="t", schedule=Daily(at=AT), actions=[ECHO], agent=agent.agent_id)
        with pytest.raises(InvalidRequestError, match=f"{what} would be passed over on linux"):
            await trmm.tasks.update(made, schedule=schedule)
        going = Daily(at=AT, expires=datetime.fromisoformat("2031-01-01T00:00"), remove_when_expired=True)
        await trmm.tasks.update(made, schedule=going)
        agent.plat = "windows"
        await trmm.tasks.update(made, schedule=schedule)
        await trmm.tasks.set_up(name="p", schedule=schedule, actions=[ECHO], policy=1)
