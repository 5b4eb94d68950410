"""`trmm call` and `trmm api`: every method of the client, by looking at it."""

import json

import pytest

from tests.cli.conftest import Cli
from tests.cli.stage import Backstage
from tests.methods import methods as public
from trmm_async.cli.client_methods import method_named, methods
from trmm_async.cli.exits import CommandError, Exit


def test_every_method_that_is_awaited_can_be_called() -> None:
    every = methods()
    assert {"policies.get", "sites.create", "agents.registry.browse", "agents.services"} <= every.keys()
    assert every.keys() <= public()


def test_what_changes_something_is_told_from_what_reads() -> None:
    every = methods()
    reads = (
        "policies.get",
        "agents.list",
        "users.sessions.list",
        "core.version",
        "agents.software.everywhere",
    )
    acts = ("policies.delete", "core.clear_cache", "agents.recover_all", "agents.reboot", "scripts.test")
    assert [name for name in reads if every[name].changes] == []
    assert [name for name in acts if not every[name].changes] == []


def test_a_method_that_is_none_is_told_what_is_alike() -> None:
    with pytest.raises(CommandError, match=r"did you mean .*policies\.get") as caught:
        method_named("policies.gett")
    assert caught.value.code is Exit.USAGE


def test_all_are_listed_and_explained(cli: Cli, stock: Backstage) -> None:
    listed = cli("call")
    assert listed.code == 0
    assert "policies.get" in listed.out.splitlines()
    told = cli("call", "sites.create", "--help")
    assert told.code == 0
    assert "--client  (needed)" in told.out
    assert "Never sent twice" in told.out


def test_a_thing_is_shown_for_people_and_for_programs(cli: Cli, stock: Backstage) -> None:
    told = cli("call", "policies.get", "1")
    assert told.code == 0, told.error
    assert "name: Server baseline" in told.out
    assert json.loads(cli("call", "policies.get", "--json", "1").out)["name"] == "Server baseline"
    table = cli("call", "policies.list")
    assert "Workstation baseline" in table.out
    assert {one["id"] for one in json.loads(cli("call", "policies.list", "--json").out)} == {1, 2}


def test_names_stand_for_ids(cli: Cli, stock: Backstage) -> None:
    assert json.loads(cli("call", "policies.get", "server baseline", "--json").out)["id"] == 1
    missing = cli("call", "policies.get", "Server baselin")
    assert missing.code == Exit.USAGE
    assert "did you mean 'Server baseline'?" in missing.error
    notes = cli("call", "agents.notes.list", stock.server.agents[0].hostname, "--json")
    assert notes.code == 0, notes.error
    made = cli(
        "call",
        "sites.create",
        "--client",
        stock.server.agents[0].site.client.name,
        "--name",
        "North",
        "--yes",
    )
    assert made.code == 0, made.error
    assert "name: North" in made.out


def test_it_asks_before_something_changes(cli: Cli, stock: Backstage) -> None:
    before = len(stock.server.requests)
    refused = cli("call", "policies.delete", "1")
    assert refused.code == Exit.REFUSED
    assert "--yes" in refused.error
    assert len(stock.server.requests) == before


def test_its_question_says_what_is_lost_and_counts_as_having_said_so(cli: Cli, stock: Backstage) -> None:
    made = cli("call", "key_store.create", "--name", "k", "--value", "v", "--yes", "--json")
    entry = made.data["id"]
    stock.server.reset_ledger()
    asked = cli("call", "key_store.delete", str(entry))
    assert f"{entry} (may change something; its value is gone for good)" in asked.error
    assert asked.code == Exit.REFUSED
    said_no = cli("call", "key_store.delete", str(entry), "--no-with-value", "--yes")
    assert (said_no.code, "say with_value=True" in said_no.error) == (Exit.USAGE, True)
    assert all(request.method == "GET" for request in stock.server.requests)
    done = cli("call", "key_store.delete", str(entry), "--yes")
    assert done.code == 0, done.error
    assert entry not in [one["id"] for one in cli("call", "key_store.list", "--json").data]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["policies.get"], "needs POLICY"),
        (["policies.get", "1", "2"], "takes no '2' more"),
        (["sites.create", "--nme", "x", "--yes"], "did you mean '--name'?"),
        (["sites.create", "--name", "--yes"], "needs a value"),
        (["sites.create", "--name", "x", "--yes"], "needs --client"),
        (["users.update", "1", "--active", "--role", "x", "--yes"], "whole number|no 'x'|an id"),
        (["agents.event_log.list", "JADE-PC", "--log", "Systm"], "one of Application"),
        (["core.prune", "--yes"], "all_alerts"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(cli: Cli, stock: Backstage, words: list[str], told: str) -> None:
    said = cli("call", *words)
    assert said.code in {Exit.USAGE, Exit.REFUSED}, said
    assert any(one in said.error for one in told.split("|")), said.error


def test_flags_lists_times_and_null(cli: Cli, stock: Backstage) -> None:
    words = "--name Nightly --run-time 02:30 --weekdays 0,2 --yes --json"
    made = json.loads(cli("call", "schedules.create", *words.split()).out)
    assert (made["run_time"], made["weekdays"], made["schedule_type"]) == ("02:30:00", [0, 2], "weekly")
    user = json.loads(
        cli("call", "users.create", "--username", "t1", "--password", "pw", "--yes", "--json").out
    )
    changed = cli("call", "users.update", "t1", "--no-active", "--date-format", "null", "--yes")
    assert changed.code == 0, changed.error
    now = json.loads(cli("call", "users.get", str(user["id"]), "--json").out)
    assert (now["active"], now["date_format"]) == (False, None)
    keys = cli("call", "key_store.list")
    assert "mail.example.com" not in keys.out
    assert "smtp_host" in keys.out


def test_a_path_itself_is_asked_for(cli: Cli, either: Backstage) -> None:
    path = "/core/version/" if either.server.dialect == "stock" else "/api/v3/agents/"
    assert json.loads(cli("api", "GET", path).out)
    before = len(either.server.requests)
    assert cli("api", "DELETE", "/alerts/1/").code == Exit.REFUSED
    assert cli("api", "GET", "/core/clearcache/").code == Exit.REFUSED
    assert cli("api", "PUT", "/alerts/1/", "--data", "{", "--yes").code == Exit.USAGE
    assert cli("api", "GET", path, "--query", "x").code == Exit.USAGE
    assert len(either.server.requests) == before


def test_a_body_and_a_query_are_sent(cli: Cli, stock: Backstage) -> None:
    said = cli("api", "PATCH", "/logs/debug/", "--data", '{"logLevelFilter": "critical"}', "--yes")
    assert said.code == 0, said.error
    assert cli("api", "GET", "/accounts/users/", "--query", "search=admin").code == 0
    assert stock.server.requests[-1].query == {"search": "admin"}


def _page(rows: list[int], number: int | None) -> str:
    """One of the pages of a list, as Django REST framework has them."""
    behind = None if number is None else f"http://127.0.0.1:8001/beta/v1/agent/?page={number}&page_size=2"
    return json.dumps({"count": 5, "next": behind, "previous": None, "results": rows})


def test_a_list_in_pages_is_read_to_its_end(cli: Cli, stock: Backstage) -> None:
    path = "/beta/v1/agent/"

    def answers(*pages: str) -> None:
        for body in pages:
            stock.server.answer("GET", path, body=body)

    answers(_page([1, 2], 2), _page([3, 4], 3), _page([5], None))
    told = cli("api", "GET", path, "--query", "page_size=2", "--all-pages")
    assert json.loads(told.out) == [1, 2, 3, 4, 5]
    queries = [dict(one.query) for one in stock.server.requests if one.path == path]
    assert queries == [{"page_size": "2"}, *({"page_size": "2", "page": page} for page in "23")]
    answers(_page([1], 2).replace("http://127.0.0.1:8001", "http://[::1"), _page([2], None))
    assert json.loads(cli("api", "GET", path, "--all-pages").out) == [1, 2]
    answers(_page([1, 2], 2))
    told = cli("api", "GET", path)
    assert json.loads(told.out)["results"] == [1, 2]
    assert "2 of 5: --all-pages asks for the rest" in told.error
    answers(_page([1, 2], 2), _page([3], 2))
    told = cli("api", "GET", path, "--all-pages")
    assert (told.code, told.out) == (Exit.FAILED, "")
    assert "have no end after 2 rows" in told.error
    assert json.loads(cli("api", "GET", "/core/version/", "--all-pages").out)


def test_answers_are_shown_in_every_form(cli: Cli, stock: Backstage) -> None:
    rows = cli("call", "policies.list", "--fields", "id,name", "--sort", "-id", "--json").data
    assert [row["id"] for row in rows] == [2, 1]
    assert cli("call", "policies.list", "-o", "name", "--limit", "1").out == "Server baseline\n"
    assert cli("call", "policies.get", "1", "--jq", ".name").out == "Server baseline\n"
    assert cli("call", "policies.get", "1", "--fields", "name", "--no-headers").out.split()[-1] == "baseline"
    assert cli("api", "GET", "/accounts/users/", "--jq", ".[0].username").out.strip()
    assert cli("api", "GET", "/accounts/users/", "--fields", "username", "-o", "csv").out.startswith(
        "username\n"
    )


def test_an_option_that_the_method_has_is_the_methods(cli: Cli, stock: Backstage) -> None:
    words = ["call", "agents.run_script", "JADE-PC", "--script", "3", "--output", "forget", "--yes"]
    assert cli(*words).error == "agents.run_script: done\n"
    said = cli("call", "audit_log.list", "--limit", "1", "--json")
    assert said.code == 0, said.error
    assert len(said.data) <= 1


def test_a_field_that_is_none_is_told_before_anything_is_changed(cli: Cli, stock: Backstage) -> None:
    before = len(stock.server.requests)
    words = ["call", "sites.create", "--client", "34", "--name", "Far", "--yes"]
    assert "no field 'nme'" in cli(*words, "--fields", "nme").error
    assert "--watch is for what lists" in cli(*words, "--watch").error
    assert len(stock.server.requests) == before


def test_a_secret_that_was_typed_is_in_no_question(cli: Cli, stock: Backstage) -> None:
    for words in (
        ["users.create", "--username", "eve", "--password", "s3cr3t-pw"],
        ["users.set_password", "1", "s3cr3t-pw"],
        ["key_store.create", "--name", "k", "--value=s3cr3t-pw"],
        ["core.update_settings", "--smtp-host-password", "s3cr3t-pw"],
        ["url_actions.create", "--name", "u", "--pattern", "x", "--rest-headers", '{"A": "s3cr3t-pw"}'],
    ):
        said = cli("call", *words)
        assert said.code == Exit.REFUSED
        assert "=…" in said.error
        assert "s3cr3t" not in said.out + said.error


def test_settings_are_json_and_what_they_have_not_is_told(cli: Cli, stock: Backstage) -> None:
    where = ["--agent", stock.server.agents[0].hostname, "--yes", "--json"]
    made = cli("call", "checks.create", '{"check_type": "ping", "ip": "10.0.0.7"}', *where).data
    assert made["name"] == "Ping Check: 10.0.0.7"
    weekly = '{"task_type": "weekly", "at": "2030-01-31T03:00:00", "days": ["monday"]}'
    actions = '[{"type": "cmd", "command": "a, b"}, {"type": "script", "script": 3, "args": ["x,y"]}]'
    words = ["tasks.set_up", "--name", "t", "--schedule", weekly, "--actions", actions]
    set_up = cli("call", *words, *where)
    assert set_up.code == 0, set_up.error
    task = set_up.data
    assert (task["timing"]["days"], task["timing"]["at"]) == (["monday"], "2030-01-31T03:00:00")
    assert [(one.get("command"), one.get("args")) for one in task["actions"]] == [
        ("a, b", None), (None, ["x,y"]),
    ]  # fmt: skip
    before = len(stock.server.requests)
    for settings, told in (
        ('{"check_type": "ping", "ipp": "x"}', "PingCheck has no 'ipp'; did you mean 'ip'?"),
        ('{"check_type": "pong"}', 'JSON with "check_type", which is one of "diskspace"'),
        ("ping", 'JSON with "check_type"'),
        ('{"check_type": "ping", "ip": 5}', "PingCheck: "),
        ('{"check_type": "ping"}', "missing required field `ip`"),
    ):
        said = cli("call", "checks.create", settings, *where)
        assert (said.code, told in said.error) == (Exit.USAGE, True), said.error
    assert all(request.method == "GET" for request in stock.server.requests[before:])


def test_what_may_be_a_text_or_bytes_is_taken_as_its_type_wants_it(cli: Cli, stock: Backstage) -> None:
    agent, key = stock.server.agents[0].hostname, "HKLM\\SOFTWARE\\Typed"
    assert cli("call", "agents.registry.create_key", agent, key, "--yes").code == 0
    for kind, texts, data in (
        ("REG_SZ", ["5,6"], "5,6"),
        ("REG_DWORD", ["0x1F"], 31),
        ("REG_MULTI_SZ", ["a", "b,c"], ["a", "b,c"]),
        ("REG_MULTI_SZ", ['["a"]'], ["a"]),
        ("REG_BINARY", ["hex:00ff"], "hex:00ff"),
    ):
        given = [word for text in texts for word in ("--data", text)]
        words = ["agents.registry.set_value", agent, key, "v", "--type", kind, *given, "--yes", "--json"]
        assert cli("call", *words).data["data"] == data
    wrong = ["agents.registry.set_value", agent, key, "v", "--type", "REG_BINARY", "--data", "hex:0"]
    assert "are no bytes, as hex:00ff" in cli("call", *wrong, "--yes").error


def test_no_spelling_of_a_path_that_acts_goes_without_a_question(cli: Cli, stock: Backstage) -> None:
    before = len(stock.server.requests)
    for path in ("/core/clearcache/", "/core/%63learcache/", "/agents/bulkrecovery/"):
        assert cli("api", "GET", path).code == Exit.REFUSED
    assert "one of GET, POST" in cli("api", "BREW", "/core/version/", "--yes").error
    assert len(stock.server.requests) == before


def test_what_is_missing_is_said_before_it_is_asked(cli: Cli, stock: Backstage) -> None:
    said = cli("call", "sites.create", "--name", "x")
    assert (said.code, "needs --client" in said.error) == (Exit.USAGE, True)
