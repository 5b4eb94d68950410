"""What stands on a stock server: each call equals the recorded one, and answers become our nouns.

The recordings are not part of the project: without them these tests are skipped.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import NoneType
from typing import Any

import pytest

from tests.asked import NOUNS, Nouns, by_hand, request_of
from tests.recorded import Recording, recording, sent_by
from trmm_async.calls import Call, Lane, Plan, Replay
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    ConnectionFailedError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServerFaultError,
    TimeoutError,
    TRMMError,
    UnidentifiedError,
)
from trmm_async.kinds import Task
from trmm_async.models import (
    Alert,
    Check,
    Client,
    ClientRef,
    CustomFieldValue,
    Script,
    ScriptResult,
    Site,
    SiteRef,
)
from trmm_async.resources.stock import audit_log, policies
from trmm_async.resources.stock.audit_log import AuditPage
from trmm_async.resources.stock.custom_fields import CustomField
from trmm_async.resources.stock.key_store import KeyStoreEntry
from trmm_async.resources.stock.policies import Policy, PolicyUse

WINDOWS = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"
OFFLINE = "RJhyjPzSJxkKIvIKwFQsVFOsCfYlcdgDssPddTey"

Intent = Callable[[Nouns], Any]
"""A method that is called, or the call itself."""


def asked(intent: Intent) -> Any:
    """The first request of a method."""
    made = intent(NOUNS)
    return made if isinstance(made, Call | Plan) else request_of(made)


def told(name: str) -> Recording:
    return recording(name)


def answer_of(name: str) -> bytes:
    return told(name).answer


def assert_is_recorded(call: Call[Any], name: str, but: dict[str, Any] | None = None) -> None:
    """The call is the very request of the recording, but for these keys of its body."""
    real = told(name)
    sent = {**real.sent, **but} if but else real.sent
    assert sent_by(call) == (real.method, real.path, real.query, sent)


class ByHand:
    """Carries a request out with answers given by hand, and notes the calls."""

    def __init__(self, *answers: bytes | TRMMError) -> None:
        self.answers = list(answers)
        self.calls: list[Call[Any]] = []

    def of(self, request: Call[Any] | Plan[Any] | Intent) -> Any:
        if not isinstance(request, Call | Plan):
            found = by_hand(request, self._follow)
        else:
            found = self._follow(request)
        assert self.answers == []
        return found

    def _follow(self, request: Call[Any] | Plan[Any]) -> Any:
        if isinstance(request, Call):
            return self._answer(request)
        steps = request.steps()
        try:
            call = next(steps)
            while True:
                try:
                    answer = self._answer(call)
                except TRMMError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(answer)
        except StopIteration as end:
            return end.value

    def _answer(self, call: Call[Any]) -> Any:
        self.calls.append(call)
        answer = self.answers.pop(0)
        if isinstance(answer, TRMMError):
            raise answer
        return call.decode(answer)


ORDER: dict[str, Any] = {
    "name": "API script",
    "shell": "python",
    "code": "print('hi')\n",
    "description": "d",
    "category": "API",
    "args": ["a"],
    "env_vars": {"X": "1"},
    "default_timeout": 60,
    "supported_platforms": ["linux"],
}
TRIAL: dict[str, Any] = {
    "code": "Write-Host hi",
    "shell": "powershell",
    "args": ["stderr=warn", "rc=2"],
    "timeout": 5,
}
PAGES = {"sortBy": "id", "descending": True, "rowsPerPage": 5, "rowsNumber": 0}


@dataclass(frozen=True)
class Case:
    """One call; `kind` is what its answer becomes, `but` where our body is another than the recorded."""

    name: str
    intent: Intent
    kind: type = NoneType
    replay: Replay = Replay.SAFE
    but: dict[str, Any] | None = None


SAFE, AGAIN, NEVER = Replay.SAFE, Replay.IDEMPOTENT, Replay.NEVER
CALLS = [
    Case("alert_get", lambda it: it.alerts.get(1), Alert),
    Case("alert_get_no_agent", lambda it: it.alerts.get(4), Alert),
    Case("alert_snooze", lambda it: it.alerts.snooze(4, days=3), replay=AGAIN),
    Case("alert_unsnooze", lambda it: it.alerts.unsnooze(4), replay=AGAIN),
    Case("alerts_bulk_resolve", lambda it: it.alerts.resolve([5, 6]), replay=AGAIN),
    Case("alerts_bulk_snooze", lambda it: it.alerts.snooze([8], days=2), replay=AGAIN),
    Case("alerts_filter_resolved_false", lambda it: it.alerts.list(resolved=False), list),
    Case("alerts_filter_snoozed_false", lambda it: it.alerts.list(snoozed=False), list),
    Case(
        "alerts_filter_severity",
        lambda it: it.alerts.list(severity=["warning", "error"]),
        list,
    ),
    Case("alerts_filter_time", lambda it: it.alerts.list(days=1), list),
    Case(
        "alerts_filter_all",
        lambda it: it.alerts.list(days=30, client=1, severity="error", resolved=False, snoozed=False),
        list,
    ),
    Case("check_run", lambda it: it.checks.run(WINDOWS), replay=NEVER),
    Case("check_reset", lambda it: it.checks.reset(Check(id=9, result_id=1)), replay=AGAIN),
    Case("check_resetall", lambda it: it.checks.reset(agent=WINDOWS), replay=AGAIN),
    Case("check_history", lambda it: it.checks.history(Check(id=9, result_id=1), days=1), list),
    Case("check_history_all", lambda it: it.checks.history(Check(id=9, result_id=1)), list),
    Case("task_update", lambda it: it.tasks.update(2, enabled=False), replay=AGAIN),
    Case("task_delete", lambda it: it.tasks.delete(550, in_use=True), replay=AGAIN),
    Case("task_run_policy_on_agent", lambda it: it.tasks.run(1, agent=WINDOWS), replay=NEVER),
    Case("script_get", lambda it: it.scripts.get(1), Script),
    Case("script_delete", lambda it: it.scripts.delete(11, with_code=True, in_use=True), replay=AGAIN),
    Case("client_get", lambda it: it.clients.get(1), Client),
    Case("client_without_sites_get", lambda it: it.clients.get(7), Client),
    Case("client_delete", lambda it: it.clients.delete(6, with_sites=True), replay=AGAIN),
    Case(
        "client_delete_move_to_site",
        lambda it: it.clients.delete(8, with_sites=True, move_to_site=1),
        replay=AGAIN,
    ),
    Case("sites_list", lambda it: it.sites.list(), list),
    Case("client_get", lambda it: it.sites.list(client=1), list),
    Case("site_get", lambda it: it.sites.get(1), Site),
    Case("site_delete", lambda it: it.sites.delete(11), replay=AGAIN),
    Case("automation_policies", lambda it: it.policies.list(), list),
    Case("automation_policy", lambda it: it.policies.get(1), Policy),
    Case("automation_policy_checks", lambda it: it.policies.checks(1), list),
    Case("automation_policy_tasks", lambda it: it.policies.tasks(1), list),
    Case("core_customfields", lambda it: it.custom_fields.list(), list),
    Case("core_customfields_model", lambda it: it.custom_fields.list(model="client"), list),
    Case("core_keystore", lambda it: it.key_store.list(), list),
    Case("core_keystore_update", lambda it: it.key_store.update(3, value="v2"), replay=AGAIN),
    Case("core_keystore_delete", lambda it: it.key_store.delete(3, with_value=True), replay=AGAIN),
    Case(
        "audit_logs",
        lambda _: audit_log.page_of({}, 1, 5),
        AuditPage,
        but={"pagination": {**PAGES, "page": 1}},
    ),
    Case(
        "audit_logs_page_past_end",
        lambda _: audit_log.page_of({}, 9999, 5),
        AuditPage,
        but={"pagination": {**PAGES, "page": 9999}},
    ),
    Case(
        "audit_logs_filters",
        lambda _: audit_log.page_of(
            audit_log.filters("", {"agent": WINDOWS, "action": "execute_command", "days": 30}), 1, 5
        ),
        AuditPage,
        but={"pagination": {**PAGES, "page": 1}},
    ),
    Case("core_dashinfo", lambda it: it.core.version(), str),
    Case("core_dashinfo", lambda it: it.core.dashboard(), object),
    Case("core_settings", lambda it: it.core.settings(), object),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    call = asked(case.intent)
    assert_is_recorded(call, case.name, case.but)
    assert call.replay is case.replay
    assert call.gone_is_done is (call.method == "DELETE")
    decoded = call.decode(answer_of(case.name))
    assert isinstance(decoded, case.kind)
    if isinstance(decoded, list):
        assert decoded


PLANS = [
    ("script_update", lambda it: it.scripts.update(11, description="new")),
    ("script_favorite_community", lambda it: it.scripts.update(9, favorite=True)),
    ("script_test", lambda it: it.scripts.test(WINDOWS, **TRIAL)),
    ("automation_policy_related", lambda it: it.policies.related(1)),
    ("alert_delete", lambda it: it.alerts.delete(8, with_history=True)),
    ("site_update", lambda it: it.sites.update(11, name="Second renamed")),
]


@pytest.mark.parametrize(("name", "intent"), PLANS, ids=[name for name, _ in PLANS])
def test_a_plan_of_one_call_is_as_recorded(name: str, intent: Intent) -> None:
    script = ByHand(answer_of(name))
    script.of(intent)
    (call,) = script.calls
    assert_is_recorded(call, name)


def test_a_client_is_changed_as_recorded() -> None:
    script = ByHand(b'[{"id": 7, "model": "client", "type": "text"}]', answer_of("client_update"))
    script.of(lambda it: it.clients.update(6, name="Renamed Client", custom_fields={7: "C-9"}))
    assert_is_recorded(script.calls[1], "client_update")
    assert script.calls[1].replay is Replay.IDEMPOTENT


MADE = [
    ("script_create", "scripts_list_after", lambda it: it.scripts.create(**ORDER), 11),
    (
        "core_keystore_create",
        "core_keystore_after",
        lambda it: it.key_store.create(name="apikey", value="v"),
        3,
    ),
    ("site_create", "client_get_new", lambda it: it.sites.create(client=6, name="Second"), 11),
]


@pytest.mark.parametrize(("name", "listing", "intent", "found"), MADE, ids=[row[0] for row in MADE])
class TestMaking:
    @staticmethod
    def before(listing: str, found: int) -> bytes:
        """The list as it was before."""
        body = told(listing).body
        if isinstance(body, dict):
            return json.dumps(
                {**body, "sites": [one for one in body["sites"] if one["id"] != found]}
            ).encode()
        return json.dumps([one for one in body if one["id"] != found]).encode()

    def test_the_call_is_as_recorded_and_what_was_made_is_found(
        self, name: str, listing: str, intent: Intent, found: int
    ) -> None:
        script = ByHand(self.before(listing, found), answer_of(name), answer_of(listing))
        assert script.of(intent).id == found
        _, send, _ = script.calls
        assert_is_recorded(send, name)
        assert send.replay is Replay.NEVER

    def test_a_lost_answer_is_settled_by_the_list(
        self, name: str, listing: str, intent: Intent, found: int
    ) -> None:
        lost = OutcomeUnknownError("lost")
        script = ByHand(self.before(listing, found), lost, answer_of(listing))
        assert script.of(intent).id == found
        nothing = self.before(listing, found)
        with pytest.raises(OutcomeUnknownError) as caught:
            ByHand(nothing, lost, nothing).of(intent)
        assert caught.value is lost

    def test_what_is_not_in_the_list_is_said_so(
        self, name: str, listing: str, intent: Intent, found: int
    ) -> None:
        nothing = self.before(listing, found)
        with pytest.raises(UnidentifiedError, match="is not in the list"):
            ByHand(nothing, b'"ok"', nothing).of(intent)


def test_a_site_is_made_as_recorded() -> None:
    script = ByHand(b'{"sites": []}', b'"ok"', b'{"sites": [{"id": 11, "name": "Second", "client": 6}]}')
    made = script.of(lambda it: it.sites.create(client=6, name="Second"))
    assert made == Site(id=11, name="Second", client=ClientRef(id=6))
    assert_is_recorded(script.calls[1], "site_create")


def test_a_custom_field_is_made_as_recorded() -> None:
    script = ByHand(b"[]", b'"ok"', b'[{"id": 12, "name": "API field", "model": "agent", "type": "text"}]')
    assert script.of(request_of(NOUNS.custom_fields.create(name="API field", model="agent"))).id == 12
    assert_is_recorded(script.calls[1], "core_customfield_create")


def test_a_new_script_has_its_code() -> None:
    listed = b'[{"id": 1, "name": "API script", "shell": "python", "args": ["a"], "env_vars": ["X=1"]}]'
    made = ByHand(b"[]", b'"ok"', listed).of(lambda it: it.scripts.create(**ORDER))
    assert made.code == "print('hi')\n"


class TestScripts:
    def test_what_community_scripts_allow_is_sent_apart(self) -> None:
        # With "favorite" in the body, the server drops what else is in it, and says that it was edited.
        script = ByHand(b'""', b'""', b'""')
        script.of(lambda it: it.scripts.update(9, hidden=False, code="x", favorite=True, name="n"))
        bodies = [json.loads(call.body or b"") for call in script.calls]
        assert bodies == [{"script_body": "x", "name": "n"}, {"favorite": True}, {"hidden": False}]
        assert {call.replay for call in script.calls} == {Replay.IDEMPOTENT}

    def test_a_trial_waits_and_holds_a_worker(self) -> None:
        script = ByHand(answer_of("script_test"))
        result = script.of(lambda it: it.scripts.test(WINDOWS, **TRIAL))
        assert isinstance(result, ScriptResult)
        assert (result.retcode, result.stderr) == (2, "warn")
        (call,) = script.calls
        assert call.lanes == (Lane.WORKERS,)
        assert call.answers_within == TRIAL["timeout"]
        assert call.replay is Replay.NEVER

    def test_a_word_in_the_place_of_a_result_is_no_result(self) -> None:
        with pytest.raises(AgentLostError, match="timeout"):
            ByHand(answer_of("script_test_offline")).of(lambda it: it.scripts.test(OFFLINE, **TRIAL))
        with pytest.raises(AgentUnreachableError, match="natsdown") as caught:
            ByHand(b'"natsdown"').of(lambda it: it.scripts.test(OFFLINE, **TRIAL))
        assert not isinstance(caught.value, OutcomeUnknownError)


class TestAlerts:
    def test_what_the_server_cannot_filter_is_filtered_here(self) -> None:
        rows = [
            {"id": number, "resolved": number in {1, 2}, "snoozed": number in {2, 3}} for number in (1, 2, 3)
        ]
        script = ByHand(json.dumps(rows).encode())
        found = script.of(lambda it: it.alerts.list(resolved=True, snoozed=True))
        assert [alert.id for alert in found] == [2]
        assert [call.body for call in script.calls] == [b"{}"]

    def test_one_that_is_not_there_is_not_found_though_the_server_fails(self) -> None:
        fault, missing = ServerFaultError(500, "page"), NotFoundError(404, "No Alert")
        with pytest.raises(NotFoundError):
            ByHand(fault, missing).of(lambda it: it.alerts.delete(8, with_history=True))
        with pytest.raises(ServerFaultError):
            ByHand(fault, b'{"id": 8}').of(lambda it: it.alerts.delete(8, with_history=True))
        with pytest.raises(ServerFaultError):
            ByHand(ServerFaultError(502, "proxy")).of(lambda it: it.alerts.delete(8, with_history=True))

    def test_a_lost_answer_to_a_delete_is_settled(self) -> None:
        lost, missing = OutcomeUnknownError("lost"), NotFoundError(404, "No Alert")
        gone = ByHand(lost, missing)
        gone.of(lambda it: it.alerts.delete(8, with_history=True))
        assert [call.method for call in gone.calls] == ["DELETE", "GET"]
        there = ByHand(lost, b'{"id": 8}', b'"ok"')
        there.of(lambda it: it.alerts.delete(8, with_history=True))
        assert [call.method for call in there.calls] == ["DELETE", "GET", "DELETE"]
        twice = ByHand(lost, b'{"id": 8}', missing)
        twice.of(lambda it: it.alerts.delete(8, with_history=True))

    @pytest.mark.parametrize("lost", [OutcomeUnknownError("lost"), ServerFaultError(500, "page")])
    @pytest.mark.parametrize(
        "error",
        [
            ConnectionFailedError("no connection"),
            TimeoutError("no answer"),
            PermissionDeniedError(403, "no"),
            ServerError(502, "proxy"),
            DecodeError(200, "no JSON"),
        ],
    )
    def test_where_the_look_is_lost_too_it_is_not_known(
        self, lost: OutcomeUnknownError, error: TRMMError
    ) -> None:
        with pytest.raises(OutcomeUnknownError) as caught:
            ByHand(lost, error).of(lambda it: it.alerts.delete(8, with_history=True))
        assert (caught.value, caught.value.__cause__) == (lost, error)

    def test_nor_where_the_second_delete_comes_to_nothing(self) -> None:
        lost = OutcomeUnknownError("lost")
        for error in (ConnectionFailedError("no connection"), RateLimitedError(429, "slow down")):
            with pytest.raises(OutcomeUnknownError) as caught:
                ByHand(lost, b'{"id": 8}', error).of(lambda it: it.alerts.delete(8, with_history=True))
            assert (caught.value, caught.value.__cause__) == (lost, error)


class TestTasks:
    def test_the_task_of_an_agent_has_its_id(self) -> None:
        script = ByHand(answer_of("task_get"), b'[{"id": 1, "agent_id": "a"}]')
        task = script.of(lambda it: it.tasks.get(2))
        assert isinstance(task, Task)
        assert (task.id, task.agent_id, task.script) == (2, "a", 2)

    def test_the_task_of_a_policy_has_none(self) -> None:
        task = ByHand(answer_of("tasks_detail_policy")).of(lambda it: it.tasks.get(1))
        assert (task.policy, task.agent_id) == (1, None)

    def test_an_agents_task_runs_as_recorded(self) -> None:
        script = ByHand(answer_of("task_get"), answer_of("task_run"))
        script.of(lambda it: it.tasks.run(2))
        assert_is_recorded(script.calls[1], "task_run")
        assert script.calls[1].replay is Replay.NEVER

    def test_a_policys_task_is_not_run_on_nobody(self) -> None:
        script = ByHand(answer_of("tasks_detail_policy"))
        with pytest.raises(InvalidRequestError, match="name one, agent="):
            script.of(lambda it: it.tasks.run(1))
        assert [call.method for call in script.calls] == ["GET"]


class TestAnswers:
    def test_running_checks_holds_a_worker(self) -> None:
        call = request_of(NOUNS.checks.run(WINDOWS))
        assert isinstance(call, Call)
        assert (call.lanes, call.answers_within) == ((Lane.WORKERS,), 15)

    def test_where_a_policy_is_set(self) -> None:
        use = ByHand(answer_of("automation_policy_related")).of(policies.use_of(policies.RELATED.call(1)))
        assert use == PolicyUse(server_clients=(ClientRef(id=1, name="Acme Corp"),))
        agents = (
            b'{"pk": 1, "agents": [{"agent_id": "a", "hostname": "h"}], '
            b'"server_sites": [{"id": 3, "name": "s"}]}'
        )
        assert ByHand(agents).of(policies.use_of(policies.RELATED.call(1))) == PolicyUse(
            agents=("a",), server_sites=(SiteRef(id=3, name="s"),)
        )
        with pytest.raises(NotFoundError, match="no policy 999"):
            ByHand(answer_of("automation_related_404")).of(policies.use_of(policies.RELATED.call(999)))

    def test_a_policys_checks_have_no_result(self) -> None:
        call: Any = policies.CHECKS.call(1)
        check = call.decode(answer_of("automation_policy_checks"))[0]
        assert isinstance(check, Check)
        assert (check.status, check.agent_id, check.result_id) == ("unknown", None, None)

    def test_policies(self) -> None:
        listed: Any = policies.LIST.call()
        by_id = {policy.id: policy for policy in listed.decode(answer_of("automation_policies"))}
        one: Any = policies.GET.call(1)
        policy = one.decode(answer_of("automation_policy"))
        assert (policy.name, policy.description, policy.agents_count) == ("Server baseline", "servers", None)
        assert by_id[1].agents_count is not None

    def test_sites_know_their_client(self) -> None:
        call: Any = request_of(NOUNS.sites.get(1))
        assert call.decode(answer_of("site_get")) == Site(
            id=1,
            name="HQ",
            client=ClientRef(id=1, name="Acme Corp"),
            block_policy_inheritance=False,
            custom_fields=(
                CustomFieldValue(field=9, value="1 Main St"),
                CustomFieldValue(field=10, value=["a", "b"]),
            ),
        )

    def test_history_points(self) -> None:
        call: Any = request_of(NOUNS.checks.history(Check(id=9, result_id=1), days=1))
        first, second, *_ = call.decode(answer_of("check_history"))
        assert (first.time, first.value, first.results) == (
            datetime(2026, 11, 23, 19, 20, 42, 826581, UTC),
            16.0,
            None,
        )
        assert first.time > second.time

    def test_custom_fields_have_a_default_by_their_type(self) -> None:
        call: Any = request_of(NOUNS.custom_fields.list())
        fields = call.decode(answer_of("core_customfields"))
        assert fields[0].default == "none"
        kinds = {"checkbox": bool, "multiple": tuple}
        for field in fields:
            assert isinstance(field.default, (kinds.get(field.type, str), type(None)))
        body = b'[{"id": 1, "type": "multiple", "options": ["a", null], "default_values_multiple": null}]'
        assert call.decode(body) == [CustomField(id=1, type="multiple", options=("a",), default=())]

    def test_custom_fields_are_written_by_their_kind(self) -> None:
        default: Any
        types = {"bool": "checkbox", "string": "text", "multiple": "multiple"}
        for default, name in ((True, "bool"), ("x", "string"), (("a", "b"), "multiple")):
            field = CustomField(id=1, type=types[name], options=("a", "b") if name == "multiple" else ())
            call = request_of(NOUNS.custom_fields.update(field, default=default, required=True))
            key = f"default_values_{name}" if name == "multiple" else f"default_value_{name}"
            assert json.loads(call.body) == {"required": True, key: json.loads(json.dumps(default))}

    def test_values_of_custom_fields_are_written_by_the_fields_types(self) -> None:
        fields = [
            {"id": 1, "model": "site", "type": "checkbox"},
            {"id": 2, "model": "site", "type": "number"},
            {"id": 3, "model": "site", "type": "multiple", "options": ["a", "b"]},
            {"id": 4, "model": "client", "type": "text"},
        ]
        listed = json.dumps(fields).encode()
        script = ByHand(listed, b'""')
        script.of(lambda it: it.sites.update(6, custom_fields={1: True, 2: 5, 3: ["a"]}))
        assert json.loads(script.calls[1].body or b"") == {
            "site": {},
            "custom_fields": [
                {"field": 1, "bool_value": True},
                {"field": 2, "string_value": "5"},
                {"field": 3, "multiple_value": ["a"]},
            ],
        }
        wrong: Any
        for wrong in ({1: "yes"}, {2: "five"}, {3: ["c"]}, {4: "x"}, {5: "x"}):
            script = ByHand(listed)
            with pytest.raises(InvalidRequestError, match="custom_fields"):
                script.of(lambda it, wrong=wrong: it.sites.update(6, custom_fields=wrong))  # type: ignore[misc]

    def test_the_audit_log_has_agents_and_sites_where_there_are_some(self) -> None:
        call: Any = audit_log.page_of({}, 1, 5)
        page = call.decode(answer_of("audit_logs"))
        assert page.total > len(page.entries) == 5
        first, second, *_ = page.entries
        assert (first.id, first.action, first.object_type, first.client, first.site) == (
            203,
            "add",
            "apikey",
            None,
            None,
        )
        assert first.extra["method"] == "POST"
        assert second.site == SiteRef(id=1, name="HQ")
        assert second.client == ClientRef(id=1, name="Acme Corp")

    def test_the_version_is_the_servers_not_that_of_its_pages(self) -> None:
        call: Any = request_of(NOUNS.core.version())
        assert call.decode(answer_of("core_dashinfo")) == "1.5.1"
        assert told("core_version").body != "1.5.1"
        dashboard: Any = request_of(NOUNS.core.dashboard())
        shown = dashboard.decode(answer_of("core_dashinfo"))
        assert (shown.version, shown.latest_version, shown.extra["loading_bar_color"]) == (
            "1.5.1",
            None,
            "red",
        )


class TestSecrets:
    def test_are_in_no_repr(self) -> None:
        call: Any = request_of(NOUNS.core.settings())
        settings = call.decode(answer_of("core_settings"))
        assert settings.extra["smtp_host_password"] == "changeme"
        assert settings.default_time_zone == "America/New_York"
        assert settings.server_scripts_enabled is True
        assert "all_timezones" not in settings.extra
        keys: Any = request_of(NOUNS.key_store.list())
        entries = keys.decode(answer_of("core_keystore"))
        assert entries[1] == KeyStoreEntry(id=2, name="token", value="s3cr3t")
        audit: Any = audit_log.page_of({}, 1, 5)
        row = b'{"id": 1, "after_value": {"value": "s3cr3t"}, "debug_info": {"a": "s3cr3t"}}'
        body = b'{"total": 1, "audit_logs": [' + row + b"]}"
        for found in (settings, *entries, audit.decode(body)):
            shown = repr(found) + str(getattr(found, "__rich_repr__", list)())
            assert "changeme" not in shown
            assert "s3cr3t" not in shown
            assert settings.extra["mesh_token"] not in shown
