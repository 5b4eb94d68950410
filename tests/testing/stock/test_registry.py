"""The registry of an agent: what was recorded, told to the simulator in an order that makes sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .asking import Views

ACME = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme"
TOLD = """
    browse_root browse_hive_alone browse_short_hive browse_bad_page browse_unknown_key
    create_key_no_path create_key_path_number create_key create_key_ok create_key_exists
    browse_key browse_page rename_key_no_new rename_key_same rename_key_unknown rename_key_ok
    create_value_no_path create_value_no_name create_value_no_type create_value_data_number
    create_value_sz create_value_exists create_value_expand_sz create_value_multi_sz create_value_dword
    create_value_qword create_value_binary create_value_no_data create_value_bad_dword create_value_bad_type
    browse_after_values modify_value_no_name modify_value_no_type modify_value_unknown_key
    rename_value_no_old rename_value_unknown rename_value_ok rename_value_same
    modify_value_ok delete_value_no_name delete_value_in_body delete_value_ok delete_value_unknown
    delete_key_no_path delete_key_root delete_key_ok delete_key_unknown
"""


async def test_what_was_recorded_is_answered_in_order(views: Views) -> None:
    (agent, *_) = views.server.agent_ids
    at = f"/agents/{agent}/registry/"

    await views("POST", at + "create-key/", {"path": ACME})
    await views("POST", at + "create-key/", {"path": f"{ACME}\\Sub"})
    value = {"path": ACME, "name": "Channel", "type": "REG_SZ", "data": "stable"}
    await views("POST", at + "create-value/", value)
    for name in TOLD.split():
        if name == "delete_key_ok":
            shown = (await views("GET", at, query={"path": f"{ACME}\\Renamed"})).fields
            assert {row["name"]: row["data"] for row in shown["values"]} == {  # type: ignore[attr-defined]
                "Path": "%ProgramFiles%\\Acme", "Hosts": ["a", "b"], "Retries": "0x00000005 (5)",
                "Big": "0x12A05F200 (5000000000)", "Blob": "0A 0B 0C", "Empty": "",
            }  # fmt: skip
        await views.tell(f"registry_{name}", agent=agent)


async def test_pages_and_what_has_more_below_it(views: Views) -> None:
    at = f"/agents/{views.server.agent_ids[0]}/registry/"
    for name in ("a", "b", "b\\c"):
        await views("POST", at + "create-key/", {"path": f"{ACME}\\{name}"})
    await views("POST", at + "create-key/", {"path": ACME})
    pages = [
        (await views("GET", at, query={"path": ACME, "page": page, "page_size": "1"})).fields
        for page in "123"
    ]
    assert [page["subkeys"] for page in pages] == [
        [{"name": "a", "hasSubkeys": False}],
        [{"name": "b", "hasSubkeys": True}],
        None,
    ]
    assert [page["has_more"] for page in pages] == [True, False, False]


async def test_what_is_below_a_key_goes_with_it_and_what_is_called_alike_stays(views: Views) -> None:
    at = f"/agents/{views.server.agent_ids[0]}/registry/"
    for name in ("", "\\x", "2"):
        await views("POST", at + "create-key/", {"path": ACME + name})
    await views("POST", at + "rename-key/", {"old_path": ACME, "new_path": ACME + "3"})

    async def names() -> list[str]:
        found = await views("GET", at, query={"path": "HKEY_LOCAL_MACHINE\\SOFTWARE"})
        return sorted(row["name"] for row in found.fields["subkeys"])  # type: ignore[attr-defined]

    assert await names() == ["Acme2", "Acme3", "Microsoft"]
    assert (await views("GET", at, query={"path": ACME + "3\\x"})).status == 200
    await views("DELETE", at + "delete-key/", query={"path": ACME + "3"})
    assert await names() == ["Acme2", "Microsoft"]
    other = f"/agents/{views.server.agent_ids[1]}/registry/"
    found = await views("GET", other, query={"path": "HKEY_LOCAL_MACHINE\\SOFTWARE"})
    assert found.fields["subkeys"] == [{"name": "Microsoft", "hasSubkeys": False}]


@pytest.mark.parametrize(("version", "status"), [("2.9.9", 400), ("2.10.0", 200), ("2.11.0-dev", 200)])
async def test_an_old_agent_has_none(views: Views, version: str, status: int) -> None:
    agent = views.server.agents[0]
    agent.version = version
    said = await views("GET", f"/agents/{agent.agent_id}/registry/")
    assert said.status == status
    if status == 400:
        assert said.json == "This feature requires agent version 2.10.0 or higher."


async def test_one_that_does_not_answer_is_out_of_reach(views: Views) -> None:
    agent = views.server.agent_ids[0]
    views.server.go_offline(agent)
    said = await views("GET", f"/agents/{agent}/registry/")
    assert (said.status, said.json) == (400, "Unable to contact the agent")
