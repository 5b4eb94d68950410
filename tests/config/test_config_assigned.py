"""What is assigned: policies, templates, exclusions, patch policies, values of custom fields, defaults."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.config.folders import applied, changes, write
from tests.servers import stock
from trmm_async import ConfigError, config

BASE = """\
name: Base
excluded_clients: [Ostermann & Söhne GmbH, Hermes Network Inc.]
excluded_agents: [AGENTS]
patch_policy:
  critical: approve
  run_time_frequency: daily
  run_time_days: [5, 0, 3]
tasks:
- name: Weekly
  schedule: {task_type: weekly, at: 2027-03-01T03:00:00, days: [friday, monday]}
  actions:
  - {type: cmd, command: whoami, shell: cmd}
  platforms: [windows, linux, darwin]
"""


async def test_exclusions_and_patch_policies_are_a_policys(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        agents = ", ".join(reversed(server.agent_ids[:3]))
        write(tmp_path, "policies/a.yaml", BASE.replace("AGENTS", agents))
        assert await applied(trmm, tmp_path, kinds=["policies"]) == [
            "+ policy 'Base'",
            "+ patch policy 'Windows updates' of 'Base'",
            "+ task 'Weekly' of 'Base'",
        ]
        (made,) = (one for one in await trmm.policies.list() if one.name == "Base")
        assert len(made.excluded_agents) == 3
        assert made.patch_policy is not None
        assert (made.patch_policy.critical, made.patch_policy.run_time_days) == ("approve", (0, 3, 5))
        # What is a set says the same in any order, in the file and on the server.
        again = await config.pull(trmm, tmp_path, kinds=["policies"])
        assert "policies/a.yaml" in again.unchanged
        write(tmp_path, "policies/a.yaml", BASE.replace("AGENTS", agents).replace("approve", "ignore"))
        plan = await config.plan(trmm, tmp_path, kinds=["policies"])
        assert [(step.title, step.changes) for step in plan.steps] == [
            ("~ patch policy 'Windows updates' of 'Base'", ("critical",))
        ]
        before = changes(server)
        await config.apply(trmm, plan, tmp_path)
        assert changes(server) == before + 1
        # It was made by apply: it goes with its key in the file, if that is asked for.
        write(tmp_path, "policies/a.yaml", "name: Base\n")
        gone = await applied(trmm, tmp_path, kinds=["policies"], delete=True)
        assert gone == [
            "~ policy 'Base'",
            "- task 'Weekly' of 'Base'",
            "- patch policy 'Windows updates' of 'Base'",
        ]
        write(tmp_path, "policies/a.yaml", "name: Base\nexcluded_agents: [nobody]\n")
        with pytest.raises(ConfigError, match="there is no agent 'nobody'"):
            await config.plan(trmm, tmp_path, kinds=["policies"])


async def test_a_second_patch_policy_is_told(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        policy = await trmm.policies.create(name="Two")
        await trmm.policies.patches.create(policy, critical="approve")
        await trmm.request("POST", "/automation/patchpolicy/", json={"policy": policy.id, "low": "ignore"})
        pulled = await config.pull(trmm, tmp_path, kinds=["policies"])
        assert any("the server heeds another of policy" in one for one in pulled.findings)
        assert "critical: approve" in (tmp_path / "policies" / "Two.yaml").read_text()
        assert not await config.plan(trmm, tmp_path, kinds=["policies"])


async def test_a_template_excludes_agents(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        text = f"name: Ops\nexcluded_agents: [{server.agent_ids[2]}, {server.agent_ids[1]}]\n"
        write(
            tmp_path,
            "alert_templates/a.yaml",
            text + "excluded_clients: [Ostermann & Söhne GmbH, Hermes Network Inc.]\n"
            "check_email_alert_severity: [warning, error]\n",
        )
        assert await applied(trmm, tmp_path, kinds=["alert_templates"]) == ["+ alert template 'Ops'"]
        assert "alert_templates/a.yaml" in (await config.pull(trmm, tmp_path)).unchanged
        write(tmp_path, "alert_templates/a.yaml", "name: Ops\naction_type: rest\naction: x\n")
        with pytest.raises(ConfigError, match="action_type: 'rest' needs action_rest"):
            await config.plan(trmm, tmp_path)


async def test_the_servers_defaults(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        await config.pull(trmm, tmp_path)
        write(tmp_path, "policies/all.yaml", "name: For all\n")
        write(tmp_path, "server/defaults.yaml", "workstation_policy: For all\n")
        assert await applied(trmm, tmp_path) == ["+ policy 'For all'", "~ server 'defaults'"]
        (made,) = (one for one in await trmm.policies.list() if one.name == "For all")
        assert (await trmm.core.settings()).workstation_policy == made.id
        (sent,) = (one for one in server.requests if (one.method, one.path) == ("PUT", "/core/settings/"))
        assert json.loads(sent.body) == {"workstation_policy": made.id}
        assert "server/defaults.yaml" in (await config.pull(trmm, tmp_path)).unchanged


async def test_values_of_custom_fields_that_a_file_names(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        for name, model in (("Rack", "client"), ("Token", "client"), ("Rack", "site")):
            await trmm.custom_fields.create(name=name, model=model, type="text")  # type: ignore[arg-type]
        client = await trmm.clients.find("Hermes Network Inc.")
        assert client is not None
        fields = {f"{one.model}.{one.name}": one.id for one in await trmm.custom_fields.list()}
        await trmm.clients.update(client, custom_fields={fields["client.Token"]: "s3cr3t"})
        await config.pull(trmm, tmp_path)
        # Nobody named it, and it may be what nobody wants in a file.
        assert "s3cr3t" not in "".join(one.read_text() for one in tmp_path.rglob("*.yaml"))
        write(tmp_path, "custom_fields/new.yaml", "name: Floor\nmodel: client\ntype: number\n")
        path = tmp_path / "clients" / "Hermes Network Inc..yaml"
        path = path if path.exists() else tmp_path / "clients" / "Hermes Network Inc.yaml"
        text = path.read_text()
        first = client.sites[0].name
        assert f"  {first}: {{}}\n" in text
        named = text.replace(f"  {first}: {{}}\n", f"  {first}:\n    custom_fields: {{Rack: B}}\n")
        path.write_text(f"{named}custom_fields: {{Rack: A7, Floor: 3}}\n")
        assert await applied(trmm, tmp_path) == [
            "+ custom field 'client.Floor'",
            "~ client 'Hermes Network Inc.'",
            f"~ site '{first}' of 'Hermes Network Inc.'",
        ]
        client = await trmm.clients.find("Hermes Network Inc.")
        assert client is not None
        told = {one.field: one.value for one in client.custom_fields}
        fields = {f"{one.model}.{one.name}": one.id for one in await trmm.custom_fields.list()}
        assert {name: told.get(fields[f"client.{name}"]) for name in ("Rack", "Floor", "Token")} == {
            "Rack": "A7",
            "Floor": 3,
            "Token": "s3cr3t",
        }
        assert path.name in str((await config.pull(trmm, tmp_path)).unchanged)
        # Somebody else changes what the file names, and what it does not.
        await trmm.clients.update(
            client, custom_fields={fields["client.Rack"]: "Z", fields["client.Token"]: "other"}
        )
        plan = await config.plan(trmm, tmp_path)
        assert [step.title for step in plan.steps] == ["~ client 'Hermes Network Inc.'"]
        assert "other" not in f"{plan}{plan.to_dict()}"
        path.write_text(path.read_text().replace("Floor:", "Flor:"))
        with pytest.raises(ConfigError, match=r"no custom field 'client.Flor'; did you mean 'client.Floor'"):
            await config.plan(trmm, tmp_path)


async def test_half_done_writes_that_nobody_has_are_told(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        check = {"check_type": "ping", "ip": "10.0.0.1", "name": "x"}
        await trmm.request("POST", "/checks/", json={**check, "policy": 1})
        *_, made = await trmm.policies.checks(1)
        await trmm.request("PUT", f"/checks/{made.id}/", json={"policy": None})
        actions = [{"type": "cmd", "command": "x", "shell": "cmd", "timeout": 5}]
        await trmm.request("POST", "/tasks/", json={"name": "x", "task_type": "manual", "actions": actions})
        # What an agent has is nobody's fault.
        await trmm.request("POST", "/checks/", json={**check, "agent": server.agent_ids[0]})
        await trmm.request(
            "POST", "/alerts/templates/", json={"name": "Half", "action_type": "rest", "action": 1}
        )
        pulled = await config.pull(trmm, tmp_path)
        told = [one for one in pulled.findings if "belongs to no agent and no policy" in one]
        assert [one.split()[0] for one in told] == ["check", "task"]
        assert any(
            "its action_type is 'rest', and it has none: nothing runs" in one for one in pulled.findings
        )


FIELDS: dict[str, tuple[str, list[Any], str]] = {
    "Rack": ("text", [7, "true", "[x]"], "A7"),
    "Floor": ("number", ["x", "'3'", "true", ".nan"], "12345678901234567890123"),
    "Tier": ("single", ["Bronze", "[Gold]"], "Gold"),
    "Tags": ("multiple", ["[a, x]", "a"], "[b, a]"),
    "Vip": ("checkbox", ["no", "'true'", 1], "true"),
    "Until": ("datetime", ["soon", 2030], "2030-01-31T09:00:00Z"),
}
OPTIONS = {"Tier": ["Gold", "Silver"], "Tags": ["a", "b"]}


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("model", ["client", "site"])
async def test_a_value_that_does_not_fit_its_custom_field_is_refused(
    tmp_path: Path, model: str, there: bool
) -> None:
    """Be the field there, or made by the same plan; told by its file and place, before anything is sent."""
    async with stock() as (server, trmm):
        client = await trmm.clients.find("Hermes Network Inc.")
        assert client is not None
        site = client.sites[0].name
        for name, (kind, _, _) in FIELDS.items():
            options = OPTIONS.get(name, [])
            if there:
                await trmm.custom_fields.create(name=name, model=model, type=kind, options=options)  # type: ignore[arg-type]
            else:
                text = f"name: {name}\nmodel: {model}\ntype: {kind}\noptions: {options}\n"
                write(tmp_path, f"custom_fields/{name}.yaml", text)
        kinds = ["clients"] if there else ["custom_fields", "clients"]

        def say(values: str) -> None:
            inner = f"{{custom_fields: {{{values}}}}}"
            told = f"custom_fields: {{{values}}}" if model == "client" else f"sites: {{{site}: {inner}}}"
            write(tmp_path, "clients/a.yaml", f"name: Hermes Network Inc.\n{told}\n")

        place = "clients/a.yaml" + (f"#sites/{site}" if model == "site" else "")
        before = changes(server)
        for number in range(4):
            wrong = {name: values[number] for name, (_, values, _) in FIELDS.items() if values[number:]}
            say(", ".join(f"{name}: {value}" for name, value in wrong.items()))
            with pytest.raises(ConfigError) as caught:
                await config.plan(trmm, tmp_path, kinds=kinds)
            for name in wrong:
                assert f"{place}: custom_fields: {name!r}" in str(caught.value)
        assert changes(server) == before
        say(", ".join(f"{name}: {value}" for name, (_, _, value) in FIELDS.items()))
        await applied(trmm, tmp_path, kinds=kinds)
        # What fitted once, and fits no more, is left as it is: only what differs is sent.
        tier = next(one for one in await trmm.custom_fields.list() if one.name == "Tier")
        await trmm.custom_fields.update(tier, options=["Silver"])
        say(", ".join(f"{name}: {'B' if name == 'Rack' else one[2]}" for name, one in FIELDS.items()))
        assert len(await applied(trmm, tmp_path, kinds=["clients"])) == 1
        sent = json.loads([one for one in server.requests if one.method == "PUT"][-1].body)
        assert [one["string_value"] for one in sent["custom_fields"]] == ["B"]
