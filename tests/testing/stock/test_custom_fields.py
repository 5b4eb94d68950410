"""Custom fields: how they are shown, edited and filled by scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .orders import run

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


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
