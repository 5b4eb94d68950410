"""A server's configuration as files, against the simulator and what a real server was recorded to say."""

import json
import os
import re
from pathlib import Path
from typing import Any

import keyring
import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.cli.logins import Drawer
from tests.config.folders import applied, changes, write
from tests.config.recorded_server import COMMUNITY, recorded_server
from tests.properties import many
from tests.servers import served, stock
from trmm_async import (
    ApplyStoppedError,
    ConfigError,
    InvalidRequestError,
    Manual,
    PingCheck,
    ScriptAction,
    UnsupportedError,
    config,
)
from trmm_async.config.documents import _Loader
from trmm_async.config.matching import Want
from trmm_async.config.objects import Row
from trmm_async.config.planning import Wanted, compare
from trmm_async.config.present import Present
from trmm_async.config.specs import ScriptSpec

# -- round trips ---------------------------------------------------------------------------------------------


async def test_what_was_pulled_is_as_the_server_is(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        pulled = await config.pull(trmm, tmp_path)
        assert "policies/Server baseline.yaml" in pulled.written
        assert not any(name.startswith("community_scripts") for name in pulled.written)
        plan = await config.plan(trmm, tmp_path)
        assert not plan
        assert str(plan) == "nothing to do: the server is as the folder says"
        again = await config.pull(trmm, tmp_path)
        assert (again.written, again.unchanged) == ((), pulled.written)
        assert changes(server) == 0


async def test_a_recorded_server_with_its_community_scripts(tmp_path: Path) -> None:
    async with recorded_server() as (trmm, written):
        pulled = await config.pull(trmm, tmp_path)
        plan = await config.plan(trmm, tmp_path)
        assert plan.steps == ()
        assert len(pulled.written) > 40
        assert not (tmp_path / "community_scripts").exists()
        policies = "".join(path.read_text() for path in (tmp_path / "policies").iterdir())
        assert "check_type: eventlog" in policies
        assert "task_type: daily" in policies
        asked = await config.pull(trmm, tmp_path, community=True)
        assert len(asked.written) == COMMUNITY
        assert not await config.plan(trmm, tmp_path, community=True)
        assert written == []


async def test_what_a_recorded_server_has_is_made_on_another(tmp_path: Path) -> None:
    kinds = ["scripts", "snippets", "url_actions", "custom_fields", "alert_templates", "policies"]
    async with recorded_server() as (recorded, _), stock() as (_, trmm):
        await config.pull(recorded, tmp_path, kinds=kinds)
        with pytest.raises(ConfigError, match=r"no agent .*no client 'New Client'.*no site 'Empty Client/"):
            await config.plan(trmm, tmp_path, kinds=kinds)
        for path in (*(tmp_path / "policies").iterdir(), *(tmp_path / "alert_templates").iterdir()):
            text = re.sub(r"(?m)^excluded_(agents|clients|sites):\n([- ] .*\n)+", "", path.read_text())
            path.write_text(text)
        done = await applied(trmm, tmp_path, kinds=kinds)
        assert len(done) > 30
        assert "+ patch policy 'Windows updates' of 'Demo Patch Policy'" in done


HOSTILE = [
    "../../etc/passwd",
    "..",
    "CON",
    "a/b\\c",
    "\x1b[31mred",
    "name: {x}",
    "'\"#- ",
    "Ünï ©",
    "x" * 200,
    "- no",
    "Foo",
    "foo",
]


async def test_names_of_a_server_lead_out_of_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    async with stock() as (_, trmm):
        for name in HOSTILE:
            await trmm.request(
                "POST", "/core/urlaction/", json={"name": name, "pattern": "https://x.example/"}
            )
        await config.pull(trmm, folder, kinds=["url_actions"])
        assert not await config.plan(trmm, folder, kinds=["url_actions"])
        found = {path.name for path in (folder / "url_actions").iterdir()}
        assert len({name.casefold() for name in found}) == len(found) == len(HOSTILE) + 1
        assert os.listdir(tmp_path) == ["in"]


TEXT = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
    .map(str.strip)
    .filter(bool)
)


CODE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=many(5), deadline=None)
@given(
    scripts=st.dictionaries(TEXT, CODE, max_size=3),
    shell=st.sampled_from(["powershell", "cmd", "python", "shell"]),
    args=st.lists(TEXT, max_size=2),
    actions=st.sets(TEXT, max_size=3),
)
async def test_a_server_with_anything_on_it_is_as_it_was_pulled(
    tmp_path_factory: pytest.TempPathFactory,
    scripts: dict[str, str],
    shell: Any,
    args: list[str],
    actions: set[str],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    async with stock() as (_, trmm):
        for name, code in scripts.items():
            if code.strip() and name not in {one.name for one in await trmm.scripts.list(hidden=True)}:
                await trmm.scripts.create(name=name, shell=shell, code=code, args=args)
        for name in actions:
            await trmm.url_actions.create(name=name, pattern=f"https://x.example/{name}")
        await config.pull(trmm, folder, kinds=["scripts", "url_actions"])
        assert not await config.plan(trmm, folder, kinds=["scripts", "url_actions"])


# -- plans and what becomes of them --------------------------------------------------------------------------


async def test_apply_does_what_the_plan_says_in_the_order_of_dependency(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        await config.pull(trmm, tmp_path)
        write(
            tmp_path, "scripts/fix.ps1", "# ---\n# name: Fix it\n# args:\n# - -Deep\n# ---\nWrite-Output 1\n"
        )
        write(
            tmp_path,
            "url_actions/hook.yaml",
            "name: Hook\npattern: https://hook.example/\naction_type: rest\n",
        )
        write(
            tmp_path,
            "alert_templates/ops.yaml",
            "name: Ops\naction_type: rest\naction_rest: Hook\nresolved_action_type: script\n"
            "resolved_action: Fix it\nexcluded_clients: [Northwind Traders]\n",
        )
        write(
            tmp_path,
            "policies/base.yaml",
            "name: Base\nalert_template: Ops\nchecks:\n- check_type: script\n  script: Fix it\n"
            "- check_type: script\n  script: Win_Defender_Status_Report\n"
            "- check_type: ping\n  ip: 10.0.0.1\n",
        )
        client = tmp_path / "clients" / "Northwind Traders.yaml"
        client.write_text(client.read_text() + "server_policy: Base\n")
        done = await applied(trmm, tmp_path)
        assert done == [
            "+ script 'Fix it'",
            "+ URL action 'Hook'",
            "+ alert template 'Ops'",
            "+ policy 'Base'",
            "+ check 'script Fix it' of 'Base'",
            "+ check 'script Win_Defender_Status_Report' of 'Base'",
            "+ check 'ping 10.0.0.1' of 'Base'",
            "~ client 'Northwind Traders'",
        ]
        assert changes(server) == len(done)
        client = next(one for one in await trmm.clients.list() if one.name == "Northwind Traders")  # type: ignore[assignment]
        (policy,) = (one for one in await trmm.policies.list() if one.name == "Base")
        assert client.server_policy == policy.id  # type: ignore[attr-defined]
        assert (await config.pull(trmm, tmp_path)).written == ()


TASKS = """\
name: With tasks
checks:
- check_type: ping
  ip: 10.0.0.1
- check_type: cpuload
  error_threshold: 90
tasks:
- name: Nightly
  schedule:
    task_type: daily
    at: 2027-03-01T03:00:00
    repeat_every: PT30M
    repeat_for: PT4H
  actions:
  - {type: cmd, command: whoami, shell: cmd}
  - {type: script, script: Fix it, args: [-Deep]}
  collector: agent.Collected
  platforms: [windows, linux]
  instance_policy: parallel
- name: Heal
  schedule: {task_type: checkfailure, check: ping 10.0.0.1}
  actions:
  - {type: script, script: Fix it}
"""


async def test_a_policy_has_its_tasks(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        write(tmp_path, "scripts/fix.ps1", "# ---\n# name: Fix it\n# ---\n1")
        write(tmp_path, "custom_fields/c.yaml", "name: Collected\nmodel: agent\n")
        write(tmp_path, "policies/a.yaml", TASKS)
        done = await applied(trmm, tmp_path)
        assert done[-2:] == ["+ task 'Nightly' of 'With tasks'", "+ task 'Heal' of 'With tasks'"]
        (policy,) = (one for one in await trmm.policies.list() if one.name == "With tasks")
        assert [one.name for one in await trmm.policies.tasks(policy)] == ["Nightly", "Heal"]
        assert "policies/a.yaml" in (await config.pull(trmm, tmp_path)).unchanged
        # The check of a task is one of the same policy.
        write(tmp_path, "policies/a.yaml", TASKS.replace("check: ping 10.0.0.1", "check: cpuload"))
        plan = await config.plan(trmm, tmp_path)
        assert [(step.title, step.changes) for step in plan.steps] == [
            ("~ task 'Heal' of 'With tasks'", ("schedule",))
        ]
        await applied(trmm, tmp_path)
        # A task that has another name is the same task: two would run.
        write(
            tmp_path,
            "policies/a.yaml",
            TASKS.replace("check: ping 10.0.0.1", "check: cpuload").replace("Heal", "Mend"),
        )
        assert await applied(trmm, tmp_path) == ["~ task 'Mend' of 'With tasks'"]
        write(tmp_path, "policies/a.yaml", TASKS.replace("check: ping 10.0.0.1", "check: memory"))
        with pytest.raises(ConfigError, match="its file has no check 'memory'"):
            await config.plan(trmm, tmp_path)


async def test_a_change_is_shown_and_sends_only_what_differs(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        await trmm.scripts.create(
            name="Long", shell="python", code="a = 1\nb = 2\nc = 3\n", description="old"
        )
        await config.pull(trmm, tmp_path, kinds=["scripts"])
        path = tmp_path / "scripts" / "Long.py"
        path.write_text(path.read_text().replace("b = 2", "b = 4"))
        plan = await config.plan(trmm, tmp_path, kinds=["scripts"])
        assert [step.changes for step in plan.steps] == [("code",)]
        assert "~ script 'Long'\n    code:\n" in str(plan)
        assert "      -b = 2\n      +b = 4\n" in str(plan)
        await config.apply(trmm, plan, tmp_path)
        sent = [one for one in server.requests if one.method == "PUT"]
        assert [list(json.loads(one.body)) for one in sent] == [["script_body"]]


async def test_a_rename_is_seen_from_either_side(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        script = await trmm.scripts.create(name="Old", shell="python", code="1")
        policy = await trmm.policies.create(name="Uses it")
        write(tmp_path, "x", "")
        await config.pull(trmm, tmp_path)
        write(
            tmp_path, "policies/Uses it.yaml", "name: Uses it\nchecks:\n- {check_type: script, script: Old}\n"
        )
        await applied(trmm, tmp_path)
        path = tmp_path / "scripts" / "Old.py"
        path.write_text(path.read_text().replace("name: Old", "name: New"))
        write(
            tmp_path, "policies/Uses it.yaml", "name: Uses it\nchecks:\n- {check_type: script, script: New}\n"
        )
        assert await applied(trmm, tmp_path) == ["~ script 'New'"]
        assert (await trmm.scripts.get(script)).name == "New"
        # Somebody renames it by hand: the file is about the same one.
        await trmm.scripts.update(script, name="By hand")
        plan = await config.plan(trmm, tmp_path)
        assert [(step.title, step.changes) for step in plan.steps] == [("~ script 'New'", ("name",))]
        await trmm.policies.update(policy, name="Also by hand")
        assert len((await config.plan(trmm, tmp_path)).steps) == 2


async def test_what_apply_did_not_make_is_never_deleted(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        await config.pull(trmm, tmp_path)
        write(
            tmp_path,
            "policies/mine.yaml",
            "name: Mine\nchecks:\n- {check_type: cpuload, error_threshold: 90}\n",
        )
        await applied(trmm, tmp_path)
        (tmp_path / "policies" / "Server baseline.yaml").unlink()
        (tmp_path / "policies" / "mine.yaml").unlink()
        plan = await config.plan(trmm, tmp_path)
        assert not plan
        assert "- policy 'Mine': would delete" in str(plan)
        assert "left alone: 1 policies, 1 checks" in str(plan)
        assert await applied(trmm, tmp_path, delete=True) == ["- policy 'Mine'"]
        assert {one.name for one in await trmm.policies.list()} == {"Server baseline", "Workstation baseline"}


async def test_a_check_that_left_its_file_goes_only_when_asked(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        two = (
            "name: Mine\nchecks:\n- {check_type: cpuload, error_threshold: 90}\n"
            "- {check_type: ping, ip: 10.0.0.1}\n"
        )
        write(tmp_path, "policies/mine.yaml", two)
        await applied(trmm, tmp_path, kinds=["policies"])
        write(tmp_path, "policies/mine.yaml", two.rpartition("- ")[0])
        plan = await config.plan(trmm, tmp_path, kinds=["policies"])
        assert [step.title for step in plan.would_delete] == ["- check 'ping 10.0.0.1' of 'Mine'"]
        assert await applied(trmm, tmp_path, kinds=["policies"], delete=True) == [
            "- check 'ping 10.0.0.1' of 'Mine'"
        ]


async def test_an_object_that_changed_behind_the_plan_stops_it(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        await config.pull(trmm, tmp_path, kinds=["url_actions"])
        write(tmp_path, "url_actions/A.yaml", "name: A\npattern: https://a.example/\n")
        write(tmp_path, "url_actions/Lookup IP.yaml", "name: Lookup IP\npattern: https://b.example/\n")
        plan = await config.plan(trmm, tmp_path, kinds=["url_actions"])
        (found,) = await trmm.url_actions.list()
        await trmm.url_actions.update(found, description="somebody else was here")
        before = changes(server)
        with pytest.raises(
            ApplyStoppedError, match=r"not as the plan saw it \(changed: description\)"
        ) as caught:
            await config.apply(trmm, plan, tmp_path)
        assert [step.name for step in caught.value.done] == ["A"]
        assert caught.value.step is not None
        assert caught.value.step.name == "Lookup IP"
        assert changes(server) == before + 1
        # Planned anew it goes by what is.
        assert await applied(trmm, tmp_path, kinds=["url_actions"]) == ["~ URL action 'Lookup IP'"]


async def test_what_is_there_by_now_is_not_made_twice(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        write(tmp_path, "snippets/a.ps1", "# ---\n# name: A\n# ---\n1")
        plan = await config.plan(trmm, tmp_path, kinds=["snippets"])
        await trmm.scripts.snippets.create(name="A", code="2")
        before = changes(server)
        with pytest.raises(ApplyStoppedError, match="is there by now"):
            await config.apply(trmm, plan, tmp_path)
        assert changes(server) == before


async def test_a_check_that_is_there_by_now_is_not_made_twice(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        policy = await trmm.policies.create(name="P")
        check = "- {check_type: ping, ip: 10.0.0.1}\n"
        write(tmp_path, "policies/p.yaml", f"name: P\nchecks:\n{check}")
        plan = await config.plan(trmm, tmp_path, kinds=["policies"])
        await trmm.checks.create(PingCheck(ip="10.0.0.1"), policy=policy)
        before = changes(server)
        with pytest.raises(ApplyStoppedError, match="is there by now"):
            await config.apply(trmm, plan, tmp_path)
        assert changes(server) == before
        # Several of one name may be wanted: those that the plan saw, and makes, are none of it.
        write(tmp_path, "policies/p.yaml", f"name: P\nchecks:\n{check * 3}")
        assert len(await applied(trmm, tmp_path, kinds=["policies"])) == 2


async def test_half_done_writes_are_found_and_told(tmp_path: Path) -> None:
    async with stock(retries=0) as (server, trmm):
        # A script is made, and marked by a second call.
        write(tmp_path, "scripts/a.py", "# ---\n# name: A\n# favorite: true\n# ---\n1")
        plan = await config.plan(trmm, tmp_path, kinds=["scripts"])
        server.fail("PUT", "/scripts/", status=500, times=1)
        with pytest.raises(
            ApplyStoppedError, match=r"it exists all the same, as \d+, done by halves"
        ) as caught:
            await config.apply(trmm, plan, tmp_path)
        assert caught.value.__cause__ is not None
        assert await applied(trmm, tmp_path, kinds=["scripts"]) == ["~ script 'A'"]
        server.fail("POST", "/scripts/", status=400, times=1)
        write(tmp_path, "scripts/b.py", "# ---\n# name: B\n# ---\n1")
        with pytest.raises(ApplyStoppedError, match="it does not exist; nothing was changed before it"):
            await config.apply(trmm, await config.plan(trmm, tmp_path, kinds=["scripts"]), tmp_path)
        write(tmp_path, "scripts/a.py", "# ---\n# name: A\n# ---\n2")
        (tmp_path / "scripts" / "b.py").unlink()
        for at, found in ((False, "it is as it was"), (True, r"it was done by halves \(changed: code\)")):
            plan = await config.plan(trmm, tmp_path, kinds=["scripts"])
            server.fail("PUT", "/scripts/", status=500, times=1, after=at)
            with pytest.raises(ApplyStoppedError, match=f"Now: {found}"):
                await config.apply(trmm, plan, tmp_path)


async def test_what_the_server_keeps_otherwise_is_told(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        # The server takes spaces around arguments away, and says yes.
        write(tmp_path, "url_actions/a.yaml", "name: A\npattern: 'https://a.example/'\ndescription: ' x '\n")
        plan = await config.plan(trmm, tmp_path, kinds=["url_actions"])
        with pytest.raises(ApplyStoppedError, match="done by halves: the server has another description"):
            await config.apply(trmm, plan, tmp_path)


async def test_what_is_odd_on_a_server_is_told(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        await trmm.request("POST", "/automation/policies/", json={"desc": "half"})
        script = await trmm.scripts.create(name="Gone", shell="python", code="1")
        runs = [ScriptAction(script=script.id)]
        await trmm.tasks.set_up(policy=1, name="Runs it", schedule=Manual(), actions=runs)
        await trmm.scripts.delete(script, with_code=True, in_use=True)
        pulled = await config.pull(trmm, tmp_path)
        assert any("has no name: a half-done write" in finding for finding in pulled.findings)
        assert any(f"refers to script {script.id}, which is not there" in one for one in pulled.findings)
        plan = await config.plan(trmm, tmp_path)
        assert not plan
        assert "\n! " in f"\n{plan}"


# -- refusals ------------------------------------------------------------------------------------------------


async def test_two_objects_of_one_name_are_refused(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        for code in ("1", "2"):
            await trmm.scripts.create(name="Twice", shell="python", code=code)
        pulled = await config.pull(trmm, tmp_path)
        assert any("have one name, 'Twice': they are left alone" in one for one in pulled.findings)
        assert not any("Twice" in name for name in pulled.written)
        assert not await config.plan(trmm, tmp_path)
        write(tmp_path, "scripts/Twice.py", "# ---\n# name: Twice\n# ---\n1")
        with pytest.raises(ConfigError, match="several objects of one name: script 'Twice' is"):
            await config.plan(trmm, tmp_path)
        (tmp_path / "scripts" / "Twice.py").unlink()
        write(tmp_path, "policies/b.yaml", "name: B\nchecks:\n- {check_type: script, script: Twice}\n")
        with pytest.raises(ConfigError, match="there are several of script 'Twice'"):
            await config.plan(trmm, tmp_path)
        write(tmp_path, "policies/b.yaml", "name: Server baseline\n")
        with pytest.raises(ConfigError, match="a name stands once"):
            await config.plan(trmm, tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "policies/x.yaml",
            "name: X\nalert_template: Opps\n",
            "there is no alert template 'Opps'; did you mean 'Ops'",
        ),
        ("clients/x.yaml", "name: Nobody\n", "the server has no client 'Nobody'"),
        ("key_store/x.yaml", "name: k\n", "needs value_from"),
        (
            "key_store/x.yaml",
            "name: k\nvalue_from: env:NOT_SET_ANYWHERE\n",
            "no value in env:NOT_SET_ANYWHERE",
        ),
        ("key_store/x.yaml", "name: k\nvalue: secret\n", "unknown field `value`"),
        ("scripts/sub/x.ps1", "1", "no file"),
        ("policies/x.txt", "name: X", "ends in .yaml"),
    ],
)
async def test_what_can_not_be_done_is_refused_before_anything_is(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    async with stock() as (server, trmm):
        await trmm.alert_templates.create(name="Ops")
        before = changes(server)
        write(tmp_path, name, text)
        with pytest.raises(ConfigError, match=said):
            await config.plan(trmm, tmp_path)
        assert changes(server) == before


async def test_a_field_that_can_not_be_changed_is_refused(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        await trmm.custom_fields.create(name="F", model="agent", type="text")
        await config.pull(trmm, tmp_path, kinds=["custom_fields"])
        path = tmp_path / "custom_fields" / "agent.F.yaml"
        path.write_text(path.read_text().replace("model: agent\n", "model: agent\ntype: number\n"))
        with pytest.raises(
            ConfigError, match="type of custom field 1 is 'text', and can't be changed to 'number'"
        ):
            await config.plan(trmm, tmp_path, kinds=["custom_fields"])


@pytest.mark.parametrize("name", ["scripts", "scripts/x.ps1"])
async def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "in"
    write(outside, "x.ps1", "secret")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(outside if name == "scripts" else outside / "x.ps1")
    async with stock() as (_, trmm):
        for work in (config.plan, config.pull):
            with pytest.raises(ConfigError, match="symbolic link"):
                await work(trmm, folder, kinds=["scripts"])
    assert [path.read_text() for path in outside.iterdir()] == ["secret"]


async def test_a_file_of_somebody_is_not_overwritten_unasked(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        await config.pull(trmm, tmp_path, kinds=["policies"])
        path = tmp_path / "policies" / "Server baseline.yaml"
        path.write_text(f"# mine\n{path.read_text()}")
        assert path.name not in str((await config.pull(trmm, tmp_path, kinds=["policies"])).written)
        assert path.read_text().startswith("# mine\n")
        path.write_text("name: Server baseline\n")
        with pytest.raises(ConfigError, match="1 files say something else"):
            await config.pull(trmm, tmp_path, kinds=["policies"])
        assert path.read_text() == "name: Server baseline\n"
        pulled = await config.pull(trmm, tmp_path, kinds=["policies"], overwrite=True)
        assert pulled.written == ("policies/Server baseline.yaml",)


async def test_values_of_the_key_store_are_in_no_file_and_in_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stock() as (_, trmm):
        await config.pull(trmm, tmp_path)
        write(tmp_path, "key_store/hook.yaml", "name: hook\nvalue_from: env:HOOK_SECRET\n")
        write(tmp_path, "key_store/smtp_host.yaml", "name: smtp_host\nvalue_from: env:SMTP\n")
        monkeypatch.setenv("HOOK_SECRET", "s3cr3t-one")
        monkeypatch.setenv("SMTP", "s3cr3t-two")
        plan = await config.plan(trmm, tmp_path)
        assert [step.title for step in plan.steps] == [
            "+ key store entry 'hook'",
            "~ key store entry 'smtp_host'",
        ]
        shown = f"{plan}{plan!r}{plan.to_dict()}"
        await config.apply(trmm, plan, tmp_path)
        files = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
        for secret in ("s3cr3t", "mail.example.com"):
            assert secret not in shown + files
        assert {one.name: one.value for one in await trmm.key_store.list()} == {
            "hook": "s3cr3t-one",
            "smtp_host": "s3cr3t-two",
        }
        assert not await config.plan(trmm, tmp_path)
        assert (await config.pull(trmm, tmp_path)).written == ()


async def test_values_may_stand_in_a_keyring(tmp_path: Path) -> None:
    before = keyring.get_keyring()
    drawer = Drawer()
    drawer.keys["trmm-keys", "hooks/one"] = "s3cr3t-kept"
    keyring.set_keyring(drawer)
    try:
        async with stock() as (_, trmm):
            write(tmp_path, "key_store/hook.yaml", "name: hook\nvalue_from: keyring:trmm-keys/hooks/one\n")
            assert await applied(trmm, tmp_path, kinds=["key_store"]) == ["+ key store entry 'hook'"]
            assert "s3cr3t-kept" in {one.value for one in await trmm.key_store.list()}
            write(tmp_path, "key_store/hook.yaml", "name: hook\nvalue_from: keyring:trmm-keys/other\n")
            with pytest.raises(ConfigError, match="no value in keyring:trmm-keys/other"):
                await config.plan(trmm, tmp_path, kinds=["key_store"])
    finally:
        keyring.set_keyring(before)


async def test_marks_of_community_scripts_only_when_asked(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        await config.pull(trmm, tmp_path, community=True)
        write(
            tmp_path,
            "community_scripts/Win_Defender_Status_Report.yaml",
            "name: Win_Defender_Status_Report\nhidden: true\n",
        )
        assert not await config.plan(trmm, tmp_path)
        assert await applied(trmm, tmp_path, community=True) == [
            "~ community script 'Win_Defender_Status_Report'"
        ]


async def test_what_is_no_stock_server_and_no_kind(tmp_path: Path) -> None:
    async with served("gateway") as (_, trmm):
        with pytest.raises(UnsupportedError):
            await config.pull(trmm, tmp_path)
        with pytest.raises(InvalidRequestError, match="no kind 'script'; did you mean 'scripts'"):
            await config.plan(trmm, tmp_path, kinds=["script"])
        with pytest.raises(ConfigError, match="there is no folder"):
            await config.plan(trmm, tmp_path / "none")


async def test_each_server_has_its_own_record_in_the_folder(tmp_path: Path) -> None:
    async with stock() as (_, one), stock() as (_, other):
        write(tmp_path, "url_actions/a.yaml", "name: A\npattern: https://a.example/\n")
        await applied(one, tmp_path, kinds=["url_actions"])
        plan = await config.plan(other, tmp_path, kinds=["url_actions"])
        assert [step.action for step in plan.steps] == ["create"]
        with pytest.raises(ConfigError, match="of another server"):
            await config.apply(one, plan, tmp_path)
        assert len(list((tmp_path / ".trmm").glob("state-*.json"))) == 1
        await applied(other, tmp_path, kinds=["url_actions"])
        assert len(list((tmp_path / ".trmm").glob("state-*.json"))) == 2
        # And a damaged one is told, not begun anew: what was made would be forgotten.
        (record,) = [
            path for path in (tmp_path / ".trmm").glob("state-*.json") if str(one.url[-5:]) in path.name
        ]
        record.write_text("{")
        with pytest.raises(ConfigError, match="can't be read"):
            await config.plan(one, tmp_path, kinds=["url_actions"])


# -- for editors and programs --------------------------------------------------------------------------------


async def test_the_schemas_hold_for_what_pull_writes(tmp_path: Path) -> None:
    async with recorded_server() as (trmm, _):
        await config.pull(trmm, tmp_path, community=True)
    checked = 0
    for kind, schema in config.schemas().items():
        Draft202012Validator.check_schema(schema)
        assert json.loads((tmp_path / ".trmm" / "schemas" / f"{kind}.json").read_text()) == json.loads(
            json.dumps(schema)
        )
        for path in (tmp_path / kind).glob("*.yaml"):
            data = yaml.load(path.read_text(), Loader=_Loader)
            Draft202012Validator(schema).validate(data)
            assert not Draft202012Validator(schema).is_valid({**data, "nonsense": 1})
            checked += 1
    assert checked > 40


def test_a_plan_is_pure_and_plain() -> None:
    one = ScriptSpec(name="A", shell="python", code="1")
    wanted = Wanted(
        server="https://x",
        kinds=("scripts",),
        objects=(Want(kind="scripts", handle="scripts/a.py", spec=one),),
    )
    row = Row(kind="scripts", id=7, spec=msgspec.structs.replace(one, code="2"))
    plan = compare(wanted, Present(rows={"scripts": [row]}))
    assert [(step.action, step.id, step.changes) for step in plan.steps] == [("change", 7, ("code",))]
    assert json.loads(json.dumps(plan.to_dict()))["steps"][0]["before"]["code"] == "2"
    assert not compare(wanted, Present(rows={"scripts": [Row(kind="scripts", id=7, spec=one)]}))
