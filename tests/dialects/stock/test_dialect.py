"""The stock server's language: each request as it was recorded, each recorded answer as a noun."""

import json
from datetime import UTC, datetime

import pytest

from tests.asked import by_hand
from tests.dialects.stock.carried import AGENT, LINUX, STOCK, follow, one
from tests.recorded import asks_as_recorded, recording, sent_by
from trmm_async.calls import Replay
from trmm_async.dialects import AgentFilter, ScriptRun
from trmm_async.dialects.stock.dialect import check_age
from trmm_async.dialects.stock.history import (
    AGENT_HISTORY,
    newest_runs,
    runs_within,
    statuses_of,
    visible_agents,
)
from trmm_async.errors import InvalidRequestError, UnsupportedError


class TestScripts:
    @pytest.mark.parametrize("output", ["wait", "forget"])
    def test_one_is_sent_as_recorded(self, output: str) -> None:
        args = ("stdout=hello world\\n",)
        run = ScriptRun(script=2, output=output, args=args, timeout=10, env_vars=("A=1",))
        made = STOCK.run_script(AGENT, run)
        call = one(made)
        asks_as_recorded(call, "runscript_forget")
        assert call.replay is Replay.NEVER
        assert call.lanes == ()

    def test_many_are_sent_to_as_recorded(self) -> None:
        order = STOCK.run_everywhere((AGENT, LINUX), ScriptRun(script=2, timeout=10))
        assert order is not None
        told = recording("bulk_script_agents")
        method, path, _, body = sent_by(order.send)
        assert (method, path) == (told.method, told.path)
        # What the recorded body has besides is for commands.
        assert body == {key: told.sent[key] for key in body}
        assert told.sent.keys() - body.keys() == {"shell", "cmd", "custom_shell"}
        assert order.send.decode(told.answer) == 2

    @pytest.mark.parametrize(
        ("said", "count"),
        [
            ('"X will now be run on 1 agents. Check"', 1),
            ('"ok"', None),
            ("<html>", None),
            ('{"a": 1}', None),
            (f'"X will now be run on {"9" * 5000} agents."', None),
        ],
    )
    def test_how_many_it_goes_to(self, said: str, count: int | None) -> None:
        order = STOCK.run_everywhere((AGENT,), ScriptRun(script=2))
        assert order is not None
        assert order.send.decode(said.encode()) == count

    def test_the_history_of_all(self) -> None:
        asks_as_recorded(newest_runs(), "scripthistory")
        rows = newest_runs().decode(recording("scripthistory").answer)
        assert [row.id for row in rows] == [579, 577, 576, 575, 573]
        assert rows[0].result is not None
        assert (rows[0].agent_id, rows[0].username, rows[0].result.retcode) == (AGENT, "admin", 0)
        assert rows[1].result is None
        assert rows[4].result is not None
        assert rows[4].result.execution_time == pytest.approx(0.0008)
        since = runs_within(datetime(2026, 11, 1, 12, 0, 0, 250, tzinfo=UTC))
        assert since.query == {"start": "2026-11-01T12:00:00.000250Z", "end": "2100-01-01T00:00:00Z"}
        assert runs_within(None).query == {}
        # The server adds a day to the end.
        moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
        assert runs_within(moment, moment).query == {
            "start": "2026-11-01T12:00:00Z",
            "end": "2026-10-31T12:00:00Z",
        }

    def test_the_history_of_one(self) -> None:
        asks_as_recorded(AGENT_HISTORY.call(AGENT), "history_after_runscript")
        answer = recording("history_after_runscript").answer
        rows = by_hand(lambda nouns: nouns.agents.history(AGENT), lambda call: call.decode(answer))
        assert [row.id for row in rows] == sorted(row.id for row in rows)
        assert {row.agent_id for row in rows} == {AGENT}
        commands = [row for row in rows if row.type == "cmd_run"]
        assert commands[0].command == "ping google.com"
        assert commands[0].output is not None

    @pytest.mark.parametrize(
        "time",
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"],
    )
    def test_a_time_that_can_not_be_held_against_others_is_none(self, time: str) -> None:
        (entry,) = AGENT_HISTORY.call(AGENT).decode(json.dumps([{"id": 1, "time": time}]).encode())
        assert entry.time is None

    def test_statuses_and_known_agents(self) -> None:
        known = visible_agents()
        asks_as_recorded(known, "agents_list_detail_false")
        assert LINUX in known.decode(recording("agents_list_detail_false").answer)
        single = statuses_of(frozenset({AGENT}))
        asks_as_recorded(single, "agent_detail_windows")
        assert single.decode(recording("agent_detail_windows").answer) == {AGENT: "online"}
        several = statuses_of(frozenset({AGENT, LINUX}))
        asks_as_recorded(several, "agents_list_default")
        assert set(several.decode(recording("agents_list_client").answer)) == {AGENT}

    def test_output_is_stored_by_the_call_for_many(self) -> None:
        run = ScriptRun(script=2, output="collector", custom_field=7, save_all_output=True)
        calls, _ = follow(STOCK.run_script(AGENT, run), b'[{"id": 7}]', b'"ok"')
        assert [call.method for call in calls] == ["GET", "POST"]
        body = sent_by(calls[1])[3]
        assert (calls[1].path, body["agents"]) == ("/agents/actions/bulk/", [AGENT])
        assert (body["custom_field"], body["collector_all_output"]) == (7, True)

    @pytest.mark.parametrize("version", ["0.17.5", "0.19.3", "0.9"])
    def test_a_version_is_too_old(self, version: str) -> None:
        with pytest.raises(UnsupportedError, match=rf"a needs .* 0\.19\.4 .*{version}: b"):
            check_age(version, "a", "0.19.4", "b")

    @pytest.mark.parametrize("version", ["0.19.4", "0.20.0", "1.0", "unknown"])
    def test_any_other_is_not(self, version: str) -> None:
        check_age(version, "a", "0.19.4", "b")

    @pytest.mark.parametrize("field", [None, 8])
    def test_output_is_stored_nowhere_without_a_field(self, field: int | None) -> None:
        run = ScriptRun(script=2, output="collector", custom_field=field)
        answers = [] if field is None else [b'[{"id": 7}]']
        with pytest.raises(InvalidRequestError, match="custom_field"):
            follow(STOCK.run_script(AGENT, run), *answers)


@pytest.mark.parametrize(
    "excuse",
    [
        "unknown cpu model",
        "unknown disk",
        "unknown make/model",
        "error getting local ips",
        "error getting make/model",
        "Error getting graphics cards",
        "Graphics info requires agent v1.4.14",
        "",
    ],
)
def test_what_a_server_says_where_it_does_not_know_is_none(excuse: str) -> None:
    told = {"cpu_model": [excuse], "graphics": excuse, "make_model": excuse, "local_ips": excuse}
    row = {"agent_id": "a", "serial_number": excuse, "physical_disks": [excuse], **told}
    agents = follow(STOCK.list_agents(AgentFilter()), b"[]", json.dumps([row]).encode())[1]
    (agent,) = agents
    known = (agent.cpu_model, agent.graphics, agent.make_model, agent.local_ip, agent.serial_number)
    assert (known, agent.physical_disks) == ((None,) * 5, ())
