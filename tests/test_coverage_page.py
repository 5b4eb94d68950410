"""docs/coverage.md says what is covered, and is up to date: `python -m tools.coverage_page` writes it."""

from tests.methods import methods
from tools.coverage_page import PAGE, operations, page, replayed
from trmm_async.dialects.stock.endpoint import EVERY


def test_the_page_is_what_the_script_writes() -> None:
    assert PAGE.read_text() == page(), "python -m tools.coverage_page writes it"


def test_every_method_that_declares_a_call_is_held_against_recordings() -> None:
    rows = replayed()
    assert {"agents.list", "audit_log.list", "trmm.login"} <= methods() <= rows.keys()
    declared = methods() & EVERY.keys()
    assert [name for name in declared if rows[name] == "nothing of its own"] == []


def test_the_list_of_operations_is_whole() -> None:
    people = operations("people")
    assert (len(people), len(operations("browser")), len(operations("ee"))) == (182, 22, 49)
    assert len({(one.method, one.path) for one in people}) == 182


def test_what_is_declared_is_an_operation_that_the_server_has() -> None:
    every = [one for kind in ("people", "browser", "ee") for one in operations(kind)]
    found = {name for one in every for name in one.ours}
    assert (methods() & EVERY.keys()) - found == set()
    by_path = {f"{one.method} {one.path}": one for one in every}
    assert "agents.get" in by_path["GET /agents/{agent_id}/"].ours
    assert by_path["POST /agents/{agent_id}/shutdown/"].ours["agents.shutdown"] == "0.18.0"
    assert "clients.list" in by_path["GET /clients/"].ours


def test_every_operation_for_people_has_a_method() -> None:
    assert [f"{one.method} {one.path}" for one in operations("people") if not one.ours] == []
    named = {f"{one.method} {one.path}" for one in operations("browser") if one.ours}
    assert named == {"GET /agents/{agent_id}/meshcentral/", "GET /core/v2/status/"}
