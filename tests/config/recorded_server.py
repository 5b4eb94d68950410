"""A server that answers as a real one was recorded to: its configuration, with 139 community scripts."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.recorded import recording
from trmm_async import TRMM

COMMUNITY = 139


def scripts() -> list[dict[str, Any]]:
    """The recorded list was cut: its community scripts are filled up by rows of the same shape."""
    listed = recording("scripts_list_all_flags").body
    community = [row for row in listed if row["script_type"] == "builtin"]
    filled = [
        {**community[number % len(community)], "id": 1000 + number, "name": f"Community_{number}"}
        for number in range(COMMUNITY - len(community))
    ]
    own = [
        row for row in recording("scripts_list_user_and_hidden").body if row["script_type"] == "userdefined"
    ]
    return [*community, *filled, *own]


ROUTES = {
    "/scripts/snippets/": "snippets_list",
    "/core/customfields/": "customfields_list_all_types",
    "/core/keystore/": "core_keystore_after",
    "/core/urlaction/": "urlactions_list",
    "/alerts/templates/": "alert_templates_list",
    "/automation/policies/": "policies_list_assigned",
    "/automation/policies/3/checks/": "policy_checks_after",
    "/automation/policies/3/tasks/": "policy_tasks_after",
    "/clients/": "clients_list_after",
    "/checks/": "policy_checks_after",
    "/tasks/": "policy_tasks_after",
    "/agents/": "agents_list_detail_false",
    "/core/settings/": "core_settings",
}


def answer(path: str, query: dict[str, str]) -> Any:
    if path in ROUTES:
        return recording(ROUTES[path]).body
    if path == "/scripts/":
        rows = scripts()
        return [
            row
            for row in rows
            if (row["script_type"] == "userdefined" or query.get("showCommunityScripts") != "false")
            and (query.get("showHiddenScripts") == "true" or not row["hidden"])
        ]
    if found := re.fullmatch(r"/scripts/(\d+)/", path):
        row = next(row for row in scripts() if row["id"] == int(found[1]))
        return {**row, "script_body": recording("script_get").body["script_body"]}
    if found := re.fullmatch(r"/checks/(\d+)/", path):
        return next(row for row in recording("policy_checks_after").body if row["id"] == int(found[1]))
    if re.fullmatch(r"/automation/policies/\d+/(checks|tasks)/", path):
        return []
    raise web.HTTPNotFound


@asynccontextmanager
async def recorded_server() -> AsyncIterator[tuple[TRMM, list[str]]]:
    """A client of it, and what it was asked that is no reading."""
    written: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        if request.method != "GET":
            written.append(f"{request.method} {request.path}")
            raise web.HTTPInternalServerError
        return web.json_response(text=json.dumps(answer(request.path, dict(request.query))))

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with TRMM(f"http://127.0.0.1:{port}", api_key="K" * 32, dialect="stock") as trmm:
            yield trmm, written
    finally:
        await runner.cleanup()
