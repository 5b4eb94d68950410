"""Recordings that build on each other, told to one simulator in their order: what was made is there after.

Each family is a story. Where the recorded server had other ids than the simulator, `PLACES` of the story say
which are meant, by what the simulator answered until then.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from trmm_async.testing import Script, Simulator

from .replay import AGENTS, DARWIN, HUNG, LINUX, ZOMBIE, differences, furnish, recording, same_words

FULL = "aojZhVVTyksHNbzhFtIPWXcyAtfnqIhQAvFnPJiK"
BARE = "AjpVkOyRkunyBHsrdEtUhtPjXldWDbLEZcugmlwn"
BUSY = "KbOQmXfipEKASvvfxrDhCUipKIIJeJqkVvMjhasR"
MEANT = {FULL: HUNG, BARE: ZOMBIE, BUSY: DARWIN}


@dataclass
class Teller:
    """Sends what was recorded to a simulator, and compares the answers."""

    server: Simulator
    session: aiohttp.ClientSession
    texts: dict[str, str] = field(default_factory=lambda: dict(MEANT))
    """What to put in the place of what in a request, but for its numbers."""
    paths: dict[str, str] = field(default_factory=dict)
    """What to put in the place of what in a path."""
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)
    """(a key of a body, its number) -> ours."""

    async def ask(self, method: str, path: str, body: object = None, *, user: str | None = None) -> Any:
        headers = {"Authorization": f"Token {self.server.new_token(user)}"}
        async with self.session.request(
            method, self.server.url + path, json=body, headers=headers
        ) as response:
            content = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(content) if is_json else content.decode()

    async def tell(self, name: str) -> None:
        it = recording(name)
        path, body = str(it.request["path"]), it.request["body"]
        for text, ours in {**self.texts, **self.paths}.items():
            path = path.replace(text, ours)
        sent = json.loads(self._ours(json.dumps(body)), object_hook=self._numbered)
        user = "limited" if str(it.request["auth"]).endswith(("limited", "manager")) else None
        status, ours = await self.ask(str(it.request["method"]), path, sent, user=user)
        assert status == it.response["status"], (name, ours)
        if isinstance(it.body, str) or status != 200:
            assert same_words(self._ours(str(it.body)), ours), (name, it.body, ours)
            return
        assert type(ours) is type(it.body), name
        assert bool(ours) == bool(it.body), name
        assert list(differences(it.body, ours)) == [], name

    def _ours(self, text: str) -> str:
        for theirs, mine in self.texts.items():
            text = text.replace(theirs, mine)
        return text

    def _numbered(self, found: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self.numbers.get((name, value), value) if isinstance(value, int) else value
            for name, value in found.items()
        }


def _furnish(server: Simulator) -> None:
    furnish(server)
    server.world.scripts[131] = Script(131, "Clear Print Spooler", "cmd", "")
    server.add_user("limited", permissions=[])
    for agent_id in (HUNG, ZOMBIE):
        server.world.checks_of(agent_id).clear()


Story = Callable[[Teller], Awaitable[None]]


async def _checks(it: Teller) -> None:
    for _ in range(2):
        await it.ask("POST", "/automation/policies/", {"name": f"policy {_}", "active": True})
    for name in CHECKS_MADE.split():
        await it.tell(name)
    _, rows = await it.ask("GET", "/checks/")
    agents = {agent_id: number for number, (agent_id, *_) in enumerate(AGENTS, 1)}
    kinds = ("diskspace", "cpuload", "memory", "ping", "script", "winsvc", "eventlog")
    for first, owner in ((110, ("agent", agents[HUNG])), (103, ("policy", 3))):
        for number, kind in enumerate(kinds, first):
            (found,) = [row["id"] for row in rows if (row[owner[0]], row["check_type"]) == (owner[1], kind)]
            it.paths[f"/checks/{number}/"] = f"/checks/{found}/"
    it.numbers["agent", 5] = agents[LINUX]
    for name in CHECKS_AFTER.split():
        await it.tell(name)


CHECKS_MADE = (
    "checks_agent_none check_create_agent_404 check_create_agent_cpuload_full "
    "check_create_agent_diskspace_full check_create_agent_eventlog_full check_create_agent_memory_full "
    "check_create_agent_ping_full check_create_agent_script_full check_create_agent_winsvc_full "
    "check_create_policy_cpuload_full check_create_policy_diskspace_full check_create_policy_eventlog_full "
    "check_create_policy_memory_full check_create_policy_ping_full check_create_policy_script_full "
    "check_create_policy_winsvc_full checks_agent_all_types check_create_bad_severity "
    "check_create_cpuload_minimal check_create_cpuload_dup check_create_cpuload_no_threshold_keys "
    "check_create_diskspace_minimal check_create_diskspace_dup check_create_diskspace_long_disk "
    "check_create_diskspace_no_disk check_create_diskspace_no_thresholds_set "
    "check_create_diskspace_one_threshold check_create_diskspace_over_99 "
    "check_create_diskspace_wrong_order check_create_eventlog_bad_choices check_create_eventlog_minimal "
    "check_create_eventlog_wildcard check_create_limited_403 check_create_list_body "
    "check_create_memory_minimal check_create_memory_dup check_create_memory_wrong_order "
    "check_create_ping_bad_ip check_create_ping_minimal check_create_ping_duplicate_ok "
    "check_create_ping_no_ip check_create_policy_404 check_create_policy_cpuload_no_threshold_keys "
    "check_create_policy_memory_one_threshold check_create_script_bad_codes check_create_script_minimal "
    "check_create_script_unknown check_create_unknown_key check_create_winsvc_minimal "
    "check_create_winsvc_no_display_name check_create_winsvc_no_name checks_agent_minimal "
    "check_create_agent_and_policy "
)
CHECKS_AFTER = (
    "check_get_cpuload check_get_diskspace check_get_eventlog check_get_memory check_get_ping "
    "check_get_script check_get_winsvc check_get_limited_other_client_403 check_update_404 check_update_bad "
    "check_update_cpuload check_update_diskspace check_update_diskspace_wrong_order "
    "check_update_eventlog_to_wildcard check_update_limited_403 check_update_memory check_update_ping "
    "check_update_ping_bad_ip check_update_script check_update_type_ignored_policy check_update_winsvc "
    "check_update_move_to_agent checks_agent_all_types_after check_csbulkrun_agent_target "
    "check_csbulkrun_bad_target check_csbulkrun_client_ok check_csbulkrun_limited_403 "
    "check_csbulkrun_no_agents check_csbulkrun_restricted_other_403 check_csbulkrun_site_ok "
    "check_csbulkrun_unknown_client check_delete_limited_403 check_delete_agent check_delete_404 "
    "check_delete_policy "
)

STORIES: dict[str, tuple[Story, str]] = {"checks": (_checks, CHECKS_MADE + CHECKS_AFTER)}
SPARED: dict[str, str] = {
    "check_get_with_assigned_task": "told with the tasks",
    "checks_agent_block_inheritance": "told with the policies",
    "checks_agent_block_inheritance_stale": "told with the policies",
    "checks_agent_own_policy_blocked": "told with the policies",
    "checks_agent_policy_enforced": "told with the policies",
    "checks_agent_policy_enforced_first_read": "told with the policies",
    "checks_agent_policy_excluded": "told with the policies",
    "checks_agent_policy_inactive": "told with the policies",
    "checks_agent_policy_mixed": "told with the policies",
}
TOLD = {name for _, names in STORIES.values() for name in names.split()} | set(SPARED)
"""All that is told here, or not, for a reason."""


@pytest.mark.parametrize("family", STORIES)
async def test_what_was_recorded_is_answered_in_order(family: str) -> None:
    story, _ = STORIES[family]
    async with (
        Simulator(dialect="stock", agents=10, script_seconds=0.0, offline_hold=0.0) as server,
        aiohttp.ClientSession() as session,
    ):
        _furnish(server)
        await story(Teller(server, session))
