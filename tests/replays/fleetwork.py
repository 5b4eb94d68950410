"""Versions and upgrades of agents, the history and notes of all, wake-on-LAN, hardware, links, recovery."""

from datetime import UTC, datetime
from typing import Any

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import has, never, op, spared
from trmm_async.calls import Request
from trmm_async.resources.stock import actions


def _upgrade(told: Recording) -> Request[None]:
    ids = has(told).get("agent_ids")
    if not ids:  # we don't let it through
        return actions.UPGRADE.call(body=told.sent)
    steps = request_of(NOUNS.agents.upgrade(ids)).steps()
    next(steps)
    made: Request[None] = steps.send(frozenset(ids))  # the ids that the server knows
    return made


def _scripts(told: Recording) -> Request[Any]:
    since = told.query.get("start")
    limit = told.query.get("limit", "5")
    made: Request[Any] = request_of(
        NOUNS.agents.script_history(
            since=since and datetime.fromisoformat(since).replace(tzinfo=UTC),  # type: ignore[arg-type]
            limit=int(limit) if limit.isdecimal() else 5,
        )
    )
    return made


OPERATIONS = [
    op(
        "agents.versions",
        "GET /agents/versions/",
        lambda _: request_of(NOUNS.agents.versions()),
        str,
        "agents_versions agents_versions_ok agents_versions_limited agents_versions_norole_403",
    ),
    op(
        "agents.upgrade",
        "POST /agents/update/",
        _upgrade,
        None,
        "agents_update agents_update_ok agents_update_unknown_id agents_update_limited_403 "
        "agents_update_empty_list agents_update_no_key",
    ),
    op(
        "agents.history",
        "GET /agents/history/",
        lambda _: request_of(NOUNS.agents.history()),
        ("HistoryEntry", int),
        "history_all history_all_mixed history_all_limited history_all_norole_403",
    ),
    op(
        "agents.script_history",
        "GET /agents/scripthistory/",
        _scripts,
        "HistoryEntry",
        "scripthistory scripthistory_bad_limit scripthistory_range",
    ),
    op(
        "agents.notes.list",
        "GET /agents/notes/",
        lambda _: request_of(NOUNS.agents.notes.list()),
        "Note",
        "notes_all notes_all_after notes_limited_403",
    ),
    op(
        "agents.notes.get",
        "GET /agents/notes/<id>/",
        lambda _, number: request_of(NOUNS.agents.notes.get(int(number))),
        "Note",
        "note_get note_get_one note_get_404 note_get_unknown_404 note_get_limited_403",
    ),
    op(
        "agents.wake",
        "POST /agents/<agent>/wol/",
        lambda _, agent: request_of(NOUNS.agents.wake(agent)),
        None,
        "wol wol_404 wol_limited_403 wol_mesh_refused wol_no_mesh wol_ok_imitated_mesh",
    ),
    op(
        "agents.refresh_wmi",
        "POST /agents/<agent>/wmi/",
        lambda _, agent: request_of(NOUNS.agents.refresh_wmi(agent)),
        None,
        "wmi_refresh wmi_refresh_ok wmi_refresh_404 wmi_refresh_limited_403 wmi_refresh_offline",
    ),
    op(
        "agents.remote_control",
        "GET /agents/<agent>/meshcentral/",
        lambda _, agent: request_of(NOUNS.agents.remote_control(agent)),
        "RemoteControl",
        "meshcentral_urls meshcentral_urls_no_mesh meshcentral_urls_offline meshcentral_urls_404 "
        "meshcentral_urls_limited_403",
    ),
    op(
        "agents.recover_all",
        "GET /agents/bulkrecovery/",
        lambda _: request_of(NOUNS.agents.recover_all()),
        None,
        "agents_bulkrecovery agents_bulkrecovery_ok agents_bulkrecovery_limited_403",
    ),
]
DIFFERENT = never("a limit that is no number, which we refuse", "scripthistory_bad_limit")
SPARED = spared({"a method that the path has not": "agents_bulkrecovery_post_405"})
