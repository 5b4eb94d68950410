from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.testing.kit import Clock, Http
    from trmm_async.testing import Simulator

DAY = 86_400.0
MIDNIGHT = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""


async def ids(http: Http, query: str = "") -> list[object]:
    return [row["id"] for row in (await http.get(f"/agents/scripthistory/{query}")).items]


@pytest.fixture
def times(server: Simulator) -> list[int]:
    moments = (0.0, 12 * 3600.0, DAY, 2 * DAY, 2 * DAY + 1)
    return [server.add_history(server.agent_ids[0], 1, time=MIDNIGHT + each).id for each in moments]


async def test_script_history_is_newest_first_and_scripts_alone(
    server: Simulator, http: Http, times: list[int]
) -> None:
    server.add_history(server.agent_ids[0], command="hostname")
    assert await ids(http) == times[::-1]
    assert await ids(http, "?limit=2") == times[:2:-1]
    assert await ids(http, "?limit=0") == []
    assert await ids(http, "?limit=") == times[::-1]


async def test_of_one_time_the_higher_id_comes_first(server: Simulator, http: Http) -> None:
    rows = [server.add_history(agent_id, 1).id for agent_id in server.agent_ids]
    assert await ids(http) == rows[::-1]


async def test_start_and_end_act_together_and_a_day_is_added(http: Http, times: list[int]) -> None:
    assert await ids(http, "?start=2026-01-01&end=2026-01-01") == times[2::-1]
    assert await ids(http, "?start=2026-01-01T12:00:00Z&end=2026-01-01T12:00:00Z") == times[2:0:-1]
    assert await ids(http, "?start=2026-01-02&end=2026-01-02") == times[3:1:-1]
    assert await ids(http, "?start=2027-01-01") == times[::-1]
    assert await ids(http, "?end=2020-01-01") == times[::-1]


@pytest.mark.parametrize("query", ["?limit=x", "?limit=-1", "?start=2026-01-01&end=soon", "?start=a&end=b"])
async def test_what_it_cannot_read_is_a_500(query: str, http: Http) -> None:
    assert (await http.get(f"/agents/scripthistory/{query}")).status == 500


async def test_a_script_is_chosen_by_its_whole_name(server: Simulator, http: Http) -> None:
    row = server.add_history(server.agent_ids[0], 2)
    server.add_history(server.agent_ids[0], 1)
    assert await ids(http, "?scriptname=Restart-PrintSpooler") == [row.id]
    assert await ids(http, "?scriptname=Restart") == []


async def test_a_row_of_a_deleted_script_names_none(server: Simulator, http: Http) -> None:
    server.add_history(server.agent_ids[0], 2)
    del server.world.scripts[2]
    server.world.journal.forget_script(2)
    for path in ("/agents/scripthistory/", "/agents/history/"):
        (row,) = (await http.get(path)).items
        assert (row["script"], "script_name" in row) == (None, False)


async def test_foreign_rows_look_like_any(server: Simulator, http: Http, clock: Clock) -> None:
    who = server.agent_ids[1]
    server.add_history(who, 1, username="eve", stdout="x", retcode=4)
    server.add_history(who, command="dir", stdout="files")
    server.add_history(who, 1, reported=False)
    rows = (await http.get(f"/agents/{who}/history/")).items
    done, command, pending = sorted(rows, key=lambda row: int(str(row["id"])))
    assert (done["username"], done["agent"]) == ("eve", 2)
    assert isinstance(done["script_results"], dict)
    assert (done["script_results"]["id"], done["script_results"]["retcode"]) == (done["id"], 4)
    assert (command["username"], command["results"], command["type"]) == ("somebody", "files", "cmd_run")
    assert pending["script_results"] is None
    assert str(done["time"]).startswith("2026-04-21T10:32:15")
    assert clock() == server.world.journal.history[1].time


async def test_only_the_script_history_has_an_order(server: Simulator, http: Http) -> None:
    made = [server.add_history(server.agent_ids[0], 1).id for _ in range(5)]
    for path in ("/agents/history/", f"/agents/{server.agent_ids[0]}/history/"):
        found = [row["id"] for row in (await http.get(path)).items]
        assert found != made
        assert set(found) == set(made)


async def test_the_whole_history_is_everybodys(server: Simulator, http: Http) -> None:
    for agent_id in server.agent_ids:
        server.add_history(agent_id, 1)
    assert len((await http.get("/agents/history/")).items) == 6
    assert len((await http.get(f"/agents/{server.agent_ids[0]}/history/")).items) == 1
