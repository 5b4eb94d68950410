"""Custom fields: how they are shown, edited and filled by scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.kit import Clock
from trmm_async.testing import Simulator
from trmm_async.testing.replies import AnsweredError
from trmm_async.testing.stock.custom_fields import collect, edit
from trmm_async.testing.stock.view import Fields

from .orders import run

if TYPE_CHECKING:
    from tests.testing.kit import Http


async def test_custom_fields_are_written_by_type_and_read_as_value(server: Simulator, http: Http) -> None:
    text = server.add_custom_field("text")
    many = server.add_custom_field("many", type="multiple")
    flag = server.add_custom_field("flag", type="checkbox")
    path = f"/agents/{server.agent_ids[0]}/"
    rows = [
        {"field": text, "string_value": "a"},
        {"field": many, "multiple_value": ["b"]},
        {"field": flag, "bool_value": True},
    ]
    await http("PUT", path, {"custom_fields": rows})
    await http("PUT", path, {"custom_fields": [{"field": text, "value": "ignored"}]})
    shown = (await http.get(path)).fields["custom_fields"]
    assert shown == [
        {"id": 1, "field": text, "agent": 1, "value": "a"},
        {"id": 2, "field": many, "agent": 1, "value": ["b"]},
        {"id": 3, "field": flag, "agent": 1, "value": True},
    ]


async def test_a_collector_keeps_the_last_line_or_all(server: Simulator, http: Http, jade: str) -> None:
    server.script(1, stdout="one\ntwo\n", seconds=0.0)
    tag = server.add_custom_field("tag")
    tags = server.add_custom_field("tags", model="client", type="multiple")
    flag = server.add_custom_field("flag", model="site", type="checkbox")
    await run(http, jade, output="collector", custom_field=tag, save_all_output=False)
    await run(http, jade, output="collector", custom_field=tags, save_all_output=False)
    await run(http, jade, output="collector", custom_field=flag, save_all_output=True)
    agent = server.agents[0]
    assert [value.value for value in agent.custom_fields] == ["two"]
    assert [value.value for value in agent.site.client.custom_fields] == [["two"]]
    assert [value.value for value in agent.site.custom_fields] == [True]


async def test_a_collector_without_a_field_fails_after_the_script_has_run(
    server: Simulator, http: Http, jade: str
) -> None:
    assert (await run(http, jade, output="collector", custom_field=99, save_all_output=True)).status == 500
    assert len(server.runs) == 1


PRINTED = "one\n two,three \n\n"


@pytest.mark.parametrize(
    ("kind", "everything", "kept", "empty"),
    [
        ("text", False, "two,three", ""),
        ("text", True, "one\n two,three", ""),
        ("multiple", False, ["two", "three"], [""]),
        ("multiple", True, ["one\n two", "three"], [""]),
        ("checkbox", False, True, False),
    ],
)
def test_what_is_kept_of_an_output_and_where(
    kind: str, everything: bool, kept: object, empty: object
) -> None:
    server = Simulator(dialect="stock", agents=1)
    agent, number = server.agents[0], 0
    holders: dict[str, Any] = {"agent": agent, "site": agent.site, "client": agent.site.client}
    for place, model in enumerate(holders, 1):
        number = server.add_custom_field("f", model=model, type=kind)
        collect(server.world, agent, number, PRINTED, everything=everything)
        found = [[each.value for each in holder.custom_fields] for holder in holders.values()]
        assert found == [[kept]] * place + [[]] * (3 - place)
    collect(server.world, agent, number, "", everything=everything)
    assert [each.value for each in agent.site.client.custom_fields] == [empty]


@pytest.mark.parametrize("number", [99, "1", None])
def test_a_field_to_collect_in_that_is_none_crashes_the_server(number: object) -> None:
    server = Simulator(dialect="stock", agents=1)
    with pytest.raises(AnsweredError) as caught:
        collect(server.world, server.agents[0], number, "x", everything=True)
    assert caught.value.reply.status == 500


def test_fields_are_written_until_one_is_wrong() -> None:
    server = Simulator(dialect="stock", agents=1, clock=Clock())
    agent = server.agents[0]
    number = server.add_custom_field("f")
    rows: list[dict[str, object]] = [
        {"field": number, "string_value": "kept"},
        {"field": 99},
        {"field": number, "string_value": "not"},
    ]
    with pytest.raises(AnsweredError) as caught:
        edit(server.world, agent, [Fields(row) for row in rows])
    words = 'Invalid pk "99" - object does not exist.'
    assert (caught.value.reply.status, json.loads(caught.value.reply.body)) == (400, {"field": [words]})
    assert [each.value for each in agent.custom_fields] == ["kept"]


def test_without_its_number_a_field_is_refused_and_one_of_an_agent_crashes_the_server() -> None:
    server = Simulator(dialect="stock", agents=1)
    agent = server.agents[0]
    for holder, status in ((agent, 500), (agent.site, 400), (agent.site.client, 400)):
        with pytest.raises(AnsweredError) as caught:
            edit(server.world, holder, [Fields({"string_value": "x"})])
        assert caught.value.reply.status == status
