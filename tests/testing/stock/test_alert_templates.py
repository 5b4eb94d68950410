"""Alert templates: where they are set, and how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.servers import stock

if TYPE_CHECKING:
    from .asking import Views


async def test_an_agents_alert_template_is_its_nearest_places_and_stands_where_the_server_shows_it() -> None:
    async with stock(agents=3) as (server, trmm):
        agent = server.agents[0]
        kind: Any = agent.monitoring_type
        # As the server takes them: a policy's goes before its place's, but for the default one's.
        names = ("agent", "of site", "site", "of client", "client", "all", "of all")
        templates = {name: await trmm.alert_templates.create(name=name) for name in names}
        await trmm.tasks.create(name="t", agent=agent.agent_id, script=1, schedule="0 3 * * *")
        policies = {
            name: await trmm.policies.create(name=name, active=True, alert_template=templates[template].id)
            for name, template in zip(
                ("a", "s", "c", "d"), ("agent", "of site", "of client", "of all"), strict=True
            )
        }
        site, client = agent.site.id, agent.site.client.id
        await trmm.policies.assign(policies["a"], agent=agent.agent_id)
        await trmm.policies.assign(policies["s"], site=site, monitoring_type=kind)
        await trmm.policies.assign(policies["c"], client=client, monitoring_type=kind)
        await trmm.policies.assign(policies["d"], everywhere=True, monitoring_type=kind)
        await trmm.alert_templates.assign(templates["site"], site=site)
        await trmm.alert_templates.assign(templates["client"], client=client)
        await trmm.alert_templates.assign(templates["all"], everywhere=True)
        assert (await trmm.alert_templates.get(templates["site"])).applied_count == 1

        beside = [
            f"/agents/{agent.agent_id}/",
            f"/agents/{agent.agent_id}/checks/",
            f"/agents/{agent.agent_id}/tasks/",
        ]

        async def has() -> set[str | None]:
            (listed,) = [
                one for one in await trmm.request("GET", "/agents/") if one["agent_id"] == agent.agent_id
            ]
            detail, (check, *_), (task, *_) = [await trmm.request("GET", path) for path in beside]
            return {
                one["alert_template"] and one["alert_template"]["name"]
                for one in (listed, detail, check, task)
            }

        left_out: tuple[dict[str, Any], ...] = (
            {"is_active": False},
            {"excluded_agents": [agent.agent_id]},
            {"excluded_sites": [site]},
            {"excluded_clients": [client]},
            {f"exclude_{kind}s": True},
            {"is_active": False},
            {"is_active": False},
        )
        for name, change in zip(names, left_out, strict=True):
            assert await has() == {name}
            await trmm.alert_templates.update(templates[name], **change)
        assert await has() == {None}


TEMPLATES = "/alerts/templates/"


async def test_a_template_says_which_parts_of_it_say_anything(views: Views) -> None:
    await views("POST", TEMPLATES, {"name": "bare"})
    more = {
        "agent_always_email": True, "check_email_alert_severity": ["error"], "task_periodic_alert_days": 2,
        "email_from": "ops@example.com", "action": 1,
    }  # fmt: skip
    await views("POST", TEMPLATES, {"name": "full", **more})
    bare, full = (await views("GET", TEMPLATES)).items
    parts = [f"{what}_settings" for what in ("agent", "check", "task")]
    assert [bare[part] for part in parts] == [False] * 3
    assert [full[part] for part in parts] == [True] * 3
    assert (bool(bare["core_settings"]), full["core_settings"]) == (False, True)
    assert (bare["action_name"], full["action_name"]) == ("", views.server.world.scripts[1].name)


async def test_a_template_that_is_removed_is_set_nowhere(views: Views) -> None:
    database, world = views.server._database, views.server.world
    for name in ("gone", "kept"):
        await views("POST", TEMPLATES, {"name": name})
    client, site = next(iter(world.clients.values())), next(iter(world.sites.values()))
    policy, other = list(database.policies)[:2]
    client.alert_template = site.alert_template = policy["alert_template"] = 1
    database.settings["alert_template"], other["alert_template"] = 1, 2
    shown = (await views("GET", f"{TEMPLATES}1/")).fields
    assert (shown["applied_count"], shown["default_template"]) == (3, True)
    related = (await views("GET", f"{TEMPLATES}1/related/")).fields
    found = {what: [row["id"] for row in related[what]] for what in ("policies", "clients", "sites")}  # type: ignore[attr-defined]
    assert found == {"policies": [policy["id"]], "clients": [client.id], "sites": [site.id]}
    assert (await views("DELETE", f"{TEMPLATES}1/")).json == "ok"
    assert {client.alert_template, site.alert_template, policy["alert_template"]} == {None}
    assert (database.settings["alert_template"], other["alert_template"]) == (None, 2)
    assert (await views("DELETE", f"{TEMPLATES}1/")).detail == "No AlertTemplate matches the given query."


async def test_a_script_for_the_server_itself_asks_for_the_right_to_run_such(views: Views) -> None:
    views.server.add_user("eve", permissions=["can_manage_alerttemplates"])
    views.server.add_user("ann", permissions=["can_run_server_scripts"])
    for what in ("action_type", "resolved_action_type"):
        body = {"name": "t", what: "server"}
        said = [(await views("POST", TEMPLATES, body, user=name)).status for name in ("eve", "ann", "admin")]
        assert said == [403, 200, 200]
    assert (await views("PUT", f"{TEMPLATES}1/", {"action_type": "server"}, user="eve")).status == 403
    assert (await views("PUT", f"{TEMPLATES}1/", {"action_type": "script"}, user="eve")).status == 200


async def test_its_action_is_called_by_the_name_of_what_it_does(views: Views) -> None:
    body = {"name": "t", "action_type": "rest", "action_rest": 1, "action": 2, "resolved_action": 2}
    await views("POST", TEMPLATES, body)
    shown = (await views("GET", f"{TEMPLATES}1/")).fields
    names = "Lookup IP", views.server.world.scripts[2].name
    assert (shown["action_name"], shown["resolved_action_name"]) == names
    await views("PUT", f"{TEMPLATES}1/", {"action_rest": None})
    assert (await views("GET", f"{TEMPLATES}1/")).fields["action_name"] == ""
