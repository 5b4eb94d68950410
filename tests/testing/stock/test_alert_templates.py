"""Alert templates: where they are set, and how they are shown."""

from __future__ import annotations

from typing import Any

from tests.servers import stock


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
