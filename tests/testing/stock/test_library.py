"""The script library, trials and snippets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testing.kit import one, rows

if TYPE_CHECKING:
    from tests.testing.kit import Http
    from trmm_async.testing import Simulator

    from .asking import Views


async def test_a_script_that_was_made_can_be_run(http: Http, server: Simulator) -> None:
    body = {"name": "Mine", "shell": "python", "script_body": "print(1)", "category": "A"}
    assert (await http("POST", "/scripts/", body)).json == "Mine was added!"
    made = (await rows(http, "/scripts/"))[0]
    assert (made["name"], made["script_type"]) == ("Mine", "userdefined")
    run = {"script": made["id"], "output": "wait", "args": ["hello"], "timeout": 5, "run_as_user": False,
           "env_vars": []}  # fmt: skip
    answer = await http("POST", f"/agents/{server.agent_ids[0]}/runscript/", run)
    assert answer.json == "hello\n"
    await http("PUT", f"/scripts/{made['id']}/", {"name": "Ours"})
    assert server.world.scripts[int(str(made["id"]))].name == "Ours"
    file = (await http.get(f"/scripts/{made['id']}/download/")).json
    assert file == {"filename": "Ours.py", "code": "print(1)"}
    assert (await http("DELETE", f"/scripts/{made['id']}/")).json == "Ours was deleted!"
    assert made["id"] not in server.world.scripts


async def test_hidden_and_community_scripts_are_listed_if_wanted(http: Http, server: Simulator) -> None:
    number = server.add_community_script("Community", description="theirs")
    listed = {row["id"] for row in await rows(http, "/scripts/")}
    assert number in listed
    without = {row["id"] for row in await rows(http, "/scripts/?showCommunityScripts=false")}
    assert listed - without >= {number}
    assert len(await rows(http, "/scripts/?showHiddenScripts=true")) == len(listed) + 1
    assert (await http("PUT", f"/scripts/{number}/", {"name": "x", "hidden": True})).status == 200
    assert server.world.scripts[number].name == "Community"
    assert number not in {row["id"] for row in await rows(http, "/scripts/")}


async def test_a_trial_tells_both_outputs_apart(http: Http, server: Simulator) -> None:
    server.command("Write-Host hi", stdout="hi\n", stderr="warn", retcode=2)
    body = {"code": "Write-Host hi", "timeout": 5, "args": ["a"], "shell": "powershell", "run_as_user": False,
            "env_vars": ["A=1"]}  # fmt: skip
    found = (await http("POST", f"/scripts/{server.agent_ids[0]}/test/", body)).fields
    assert (found["stdout"], found["stderr"], found["retcode"], found["id"]) == ("hi\n", "warn", 2, 0)
    assert isinstance(found["execution_time"], float)
    assert server.runs[0].output == "test"


async def test_snippets(http: Http) -> None:
    path = "/scripts/snippets/"
    required = ["This field is required."]
    assert (await http("POST", path, {})).json == {"name": required}
    assert (
        await http("POST", path, {"name": "n", "code": "c"})
    ).json == "Script snippet was saved successfully"
    made = await one(http, path, name="n")
    await http("PUT", f"{path}{made['id']}/", {"code": "d"})
    assert (await http.get(f"{path}{made['id']}/")).fields["code"] == "d"
    assert (await http("DELETE", f"{path}{made['id']}/")).json == "Script snippet was deleted successfully"
    assert (await http.get(f"{path}{made['id']}/")).status == 404


ON_SERVER_TOLD = """
    no_args no_code no_env_vars no_shebang no_shell no_timeout ok env_without_equals timeout timeout_text
"""


async def test_a_script_on_the_server_itself_is_tried_as_recorded(views: Views) -> None:
    for name in ON_SERVER_TOLD.split():
        await views.tell(f"serverscript_test_{name}")
    views.server._database.settings["enable_server_scripts"] = False
    await views.tell("serverscript_test_disabled")
