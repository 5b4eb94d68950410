"""The stock server's language: each request as it was recorded, each recorded answer as a noun."""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.asked import by_hand
from tests.recorded import asks_as_recorded, recording, sent_by
from trmm_async.answers import error_for, failure
from trmm_async.calls import ArrayCall, Call, Lane, Plan, Replay, Steps
from trmm_async.cron import cron_expression, cron_values
from trmm_async.dialects import (
    AgentFilter,
    DeploymentOrder,
    HistoryRun,
    Polled,
    ScriptRun,
    Stock,
    TaskOrder,
)
from trmm_async.dialects.stock.history import AGENT_HISTORY
from trmm_async.dialects.stock.nouns import alert_of, script_of
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    APIError,
    BadRequestError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServerError,
    ServerFaultError,
    TRMMError,
    UnidentifiedError,
    UnsupportedError,
)
from trmm_async.models import Agent, ClientRef, SiteRef
from trmm_async.retry import Meaning, Reply, RetryPolicy, Tries

STOCK = Stock("https://rmm.example.com")
AGENT = "WKPFklJfIyyVlbPegBPrUhRZdsvDQucdWrdEWKpm"
LINUX = "pzvqYMtrbuvZwnZuDMjJxyZLLKcgTAOGSfuihvmu"
CLIENTS = json.dumps(
    [{"id": 1, "name": "Acme Corp", "sites": [{"id": 1, "name": "HQ"}, {"id": 2, "name": "Warehouse"}]}]
).encode()


def follow(plan: object, *answers: bytes | TRMMError) -> tuple[list[Call[Any]], Any]:
    """Carry a plan out by hand: the calls that it makes, given these answers, and what it comes to."""
    plan = Plan(partial(in_order, plan)) if isinstance(plan, HistoryRun) else plan
    assert isinstance(plan, Plan)
    steps, calls, rest = plan.steps(), [], list(answers)
    try:
        call = next(steps)
        while True:
            calls.append(call)
            told = rest.pop(0)
            call = steps.throw(told) if isinstance(told, TRMMError) else steps.send(call.decode(told))
    except StopIteration as end:
        assert rest == [], "an answer too many"
        return calls, end.value


def in_order(run: HistoryRun) -> Steps[int | None]:
    """What a script's run asks: whether it may be sent, and the sending."""
    if run.checks is not None:
        yield from run.checks.steps()
    return (yield from run.send)


def one(request: object) -> Call[Any]:
    request = request.send if isinstance(request, HistoryRun) else request
    assert isinstance(request, Call)
    return request


class TestAgents:
    @pytest.mark.parametrize(
        "name", ["agents_list_default", "agents_list_client", "agents_list_site", "gzip_accept"]
    )
    def test_a_list_reads(self, name: str) -> None:
        if "alert_template" not in recording(name).body[0]:
            pytest.skip("the short form")
        _, agents = follow(STOCK.list_agents(AgentFilter()), CLIENTS, recording(name).answer)
        assert len(agents) == len(recording(name).body)
        for agent, sent in zip(agents, recording(name).body, strict=True):
            assert (agent.agent_id, agent.hostname, agent.status) == (
                sent["agent_id"],
                sent["hostname"],
                sent["status"],
            )
            assert (agent.client.name, agent.site.name) == (sent["client_name"], sent["site_name"])
            assert agent.pending_actions_count == sent["pending_actions_count"]
            assert agent.checks.total == sent["checks"]["total"]
            assert len(agent.custom_fields) == len(sent["custom_fields"])
            assert agent.last_seen is None or isinstance(agent.last_seen, datetime)

    def test_ids_are_found_by_the_names(self) -> None:
        _, agents = follow(
            STOCK.list_agents(AgentFilter(client=1)), CLIENTS, recording("agents_list_client").answer
        )
        assert {(agent.client, agent.site) for agent in agents} == {
            (ClientRef(id=1, name="Acme Corp"), SiteRef(id=1, name="HQ")),
            (ClientRef(id=1, name="Acme Corp"), SiteRef(id=2, name="Warehouse")),
        }

    @pytest.mark.parametrize(
        ("which", "name"),
        [
            (AgentFilter(), "agents_list_default"),
            (AgentFilter(client=1), "agents_list_client"),
            (AgentFilter(site=1), "agents_list_site"),
        ],
    )
    def test_the_filters_are_asked_for_as_recorded(self, which: AgentFilter, name: str) -> None:
        calls, _ = follow(STOCK.list_agents(which), CLIENTS, b"[]")
        asks_as_recorded(calls[1], name)
        array, _ = _array(which)
        asks_as_recorded(array.call, name)

    def test_a_key_that_may_not_see_clients_still_sees_agents(self) -> None:
        refused = PermissionDeniedError(403, "no", method="GET", path="/clients/")
        item = {"agent_id": "a" * 40, "client_name": "Acme", "site_name": "HQ"}
        _, agents = follow(STOCK.list_agents(AgentFilter()), refused, json.dumps([item]).encode())
        assert agents[0].client == ClientRef(id=None, name="Acme")

    def test_a_site_does_not_make_the_client_forgotten(self) -> None:
        items = [
            {"agent_id": "a" * 40, "client_name": "Acme Corp", "site_name": "HQ"},
            {"agent_id": "b" * 40, "client_name": "Other", "site_name": "HQ"},
        ]
        both = json.dumps([*json.loads(CLIENTS), {"id": 2, "name": "Other", "sites": []}]).encode()
        _, agents = follow(STOCK.list_agents(AgentFilter(client=1, site=1)), both, json.dumps(items).encode())
        assert [agent.agent_id for agent in agents] == ["a" * 40]

    def test_of_a_client_whose_names_can_not_be_seen_there_is_none_by_site(self) -> None:
        refused = PermissionDeniedError(403, "no", method="GET", path="/clients/")
        items = json.dumps([{"agent_id": "a" * 40, "client_name": "Acme", "site_name": "HQ"}]).encode()
        assert follow(STOCK.list_agents(AgentFilter(client=1, site=1)), refused, items)[1] == []
        assert len(follow(STOCK.list_agents(AgentFilter(client=1)), refused, items)[1]) == 1

    def test_a_host_name_is_found_by_the_short_list_and_the_detail(self) -> None:
        short, detail = recording("agents_list_detail_false"), recording("agent_detail_linux")
        name = next(agent["hostname"] for agent in short.body if agent["agent_id"] == LINUX)
        site = recording("site_get").answer
        calls, agents = follow(
            STOCK.list_agents(AgentFilter(hostname=name)), short.answer, detail.answer, site
        )
        asks_as_recorded(calls[0], "agents_list_detail_false")
        asks_as_recorded(calls[1], "agent_detail_linux")
        assert [agent.hostname for agent in agents] == [name]

    def test_one_that_is_removed_while_it_is_looked_for_is_not_found(self) -> None:
        short = json.dumps([{"id": 1, "agent_id": "a" * 40, "hostname": "X"}]).encode()
        gone = NotFoundError(404, "No Agent matches the given query.", method="GET", path="/")
        assert follow(STOCK.list_agents(AgentFilter(hostname="X")), short, gone)[1] == []

    @pytest.mark.parametrize(
        "name",
        ["agent_detail_windows", "agent_detail_linux", "agent_detail_darwin", "agent_detail_never_seen"],
    )
    def test_one_reads_with_all_that_we_have_no_field_for(self, name: str) -> None:
        told = recording(name)
        agent_id = told.body["agent_id"]
        calls, agent = follow(STOCK.get_agent(agent_id), told.answer, recording("site_get").answer)
        asks_as_recorded(calls[0], name)
        assert sent_by(calls[1])[1] == f"/clients/sites/{told.body['site']}/"
        assert (agent.client.id, agent.client.name) == (1, told.body["client"])
        assert (agent.site.id, agent.site.name) == (told.body["site"], told.body["site_name"])
        assert agent.needs_reboot is told.body["needs_reboot"]
        assert "wmi_detail" in agent.extra
        assert "all_timezones" not in agent.extra
        assert (agent.last_seen is None) == (told.body["last_seen"] is None)

    def test_while_it_downloads(self) -> None:
        array, calls = _array(AgentFilter(client=1))
        assert [call.path for call in calls] == ["/clients/"]
        rows, told = array.rows(), recording("agents_list_client").answer
        agents = [
            *(
                agent
                for start in range(0, len(told), 1000)
                for batch in rows.feed(told[start : start + 1000])
                for agent in batch
            ),
            *rows.finish(),
        ]
        assert agents == follow(STOCK.list_agents(AgentFilter(client=1)), CLIENTS, told)[1]

    def test_deleting(self) -> None:
        call = one(STOCK.delete_agent("ZwfDQbVjkyNIhcsXorTEmmWrgnjJewXHPnmKzKid"))
        asks_as_recorded(call, "agent_delete")
        assert (call.replay, call.gone_is_done) == (Replay.IDEMPOTENT, True)

    @pytest.mark.parametrize(
        ("field", "sent", "read"),
        [
            ("boot_time", 0, None),
            ("boot_time", 1e300, None),
            ("boot_time", 1700000000.5, datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)),
            ("local_ips", "10.0.0.5/24, fe80::1/64", "10.0.0.5"),
            ("local_ips", "", None),
            ("cpu_model", ["A", "A"], "A"),
            ("cpu_model", "A", "A"),
            ("cpu_model", [], None),
            ("logged_username", "None", None),
            ("logged_username", "-", None),
            ("physical_disks", ["x", "y"], ("x", "y")),
            ("physical_disks", None, ()),
        ],
    )
    def test_odd_values(self, field: str, sent: Any, read: Any) -> None:
        ours = {"local_ips": "local_ip", "logged_username": "logged_in_username"}.get(field, field)
        item = json.dumps([{"agent_id": "a" * 40, field: sent}]).encode()
        (agent,) = follow(STOCK.list_agents(AgentFilter()), CLIENTS, item)[1]
        assert getattr(agent, ours) == read


def _array(which: AgentFilter) -> tuple[ArrayCall[Agent], list[Call[Any]]]:
    calls, array = follow(STOCK.iter_agents(which), CLIENTS)
    return array, calls


class TestScripts:
    @pytest.mark.parametrize("output", ["wait", "forget"])
    def test_one_is_sent_as_recorded(self, output: str) -> None:
        args = ("stdout=hello world\\n",)
        run = ScriptRun(script=2, output=output, args=args, timeout=10, env_vars=("A=1",))
        made = STOCK.run_script(AGENT, run)
        call = one(made)
        asks_as_recorded(call, "runscript_forget")
        assert call.replay is Replay.NEVER
        assert call.lanes == ()

    def test_many_are_sent_to_as_recorded(self) -> None:
        order = STOCK.run_everywhere((AGENT, LINUX), ScriptRun(script=2, timeout=10))
        assert order is not None
        told = recording("bulk_script_agents")
        method, path, _, body = sent_by(order.send)
        assert (method, path) == (told.method, told.path)
        # What the recorded body has besides is for commands.
        assert body == {key: told.sent[key] for key in body}
        assert told.sent.keys() - body.keys() == {"shell", "cmd", "custom_shell"}
        assert order.send.decode(told.answer) == 2

    @pytest.mark.parametrize(
        ("said", "count"),
        [
            ('"X will now be run on 1 agents. Check"', 1),
            ('"ok"', None),
            ("<html>", None),
            ('{"a": 1}', None),
            (f'"X will now be run on {"9" * 5000} agents."', None),
        ],
    )
    def test_how_many_it_goes_to(self, said: str, count: int | None) -> None:
        order = STOCK.run_everywhere((AGENT,), ScriptRun(script=2))
        assert order is not None
        assert order.send.decode(said.encode()) == count

    def test_the_history_of_all(self) -> None:
        order = STOCK.run_script(AGENT, ScriptRun(script=2))
        assert isinstance(order, HistoryRun)
        asks_as_recorded(order.history.newest(), "scripthistory")
        rows = order.history.newest().decode(recording("scripthistory").answer)
        assert [row.id for row in rows] == [579, 577, 576, 575, 573]
        assert rows[0].result is not None
        assert (rows[0].agent_id, rows[0].username, rows[0].result.retcode) == (AGENT, "admin", 0)
        assert rows[1].result is None
        assert rows[4].result is not None
        assert rows[4].result.execution_time == pytest.approx(0.0008)
        since = order.history.within(datetime(2026, 11, 1, 12, 0, 0, 250, tzinfo=UTC))
        assert since.query == {"start": "2026-11-01T12:00:00.000250Z", "end": "2100-01-01T00:00:00Z"}
        assert order.history.within(None).query == {}
        # The server adds a day to the end.
        moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
        assert order.history.within(moment, moment).query == {
            "start": "2026-11-01T12:00:00Z",
            "end": "2026-10-31T12:00:00Z",
        }

    def test_the_history_of_one(self) -> None:
        asks_as_recorded(AGENT_HISTORY.call(AGENT), "history_after_runscript")
        answer = recording("history_after_runscript").answer
        rows = by_hand(lambda nouns: nouns.agents.history(AGENT), lambda call: call.decode(answer))
        assert [row.id for row in rows] == sorted(row.id for row in rows)
        assert {row.agent_id for row in rows} == {AGENT}
        commands = [row for row in rows if row.type == "cmd_run"]
        assert commands[0].command == "ping google.com"
        assert commands[0].output is not None

    @pytest.mark.parametrize(
        "time",
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"],
    )
    def test_a_time_that_can_not_be_held_against_others_is_none(self, time: str) -> None:
        (entry,) = AGENT_HISTORY.call(AGENT).decode(json.dumps([{"id": 1, "time": time}]).encode())
        assert entry.time is None

    def test_statuses_and_known_agents(self) -> None:
        order = STOCK.run_script(AGENT, ScriptRun(script=2))
        assert isinstance(order, HistoryRun)
        known = order.history.known()
        asks_as_recorded(known, "agents_list_detail_false")
        assert LINUX in known.decode(recording("agents_list_detail_false").answer)
        single = order.history.statuses(frozenset({AGENT}))
        asks_as_recorded(single, "agent_detail_windows")
        assert single.decode(recording("agent_detail_windows").answer) == {AGENT: "online"}
        several = order.history.statuses(frozenset({AGENT, LINUX}))
        asks_as_recorded(several, "agents_list_default")
        assert set(several.decode(recording("agents_list_client").answer)) == {AGENT}

    def test_output_is_stored_by_the_call_for_many(self) -> None:
        run = ScriptRun(script=2, output="collector", custom_field=7, save_all_output=True)
        version = recording("core_dashinfo").answer
        calls, _ = follow(STOCK.run_script(AGENT, run), version, b'[{"id": 7}]', b'"ok"')
        body = sent_by(calls[2])[3]
        assert (calls[2].path, body["agents"]) == ("/agents/actions/bulk/", [AGENT])
        assert (body["custom_field"], body["collector_all_output"]) == (7, True)

    @pytest.mark.parametrize("version", ["0.17.5", "0.19.3", "0.9"])
    def test_output_is_not_stored_by_a_server_too_old_to_do_it(self, version: str) -> None:
        run = ScriptRun(script=2, output="collector", custom_field=7)
        with pytest.raises(UnsupportedError, match=rf"0\.19\.4.*{version}"):
            follow(STOCK.run_script(AGENT, run), f'{{"trmm_version": "{version}"}}'.encode())

    @pytest.mark.parametrize("version", ["0.19.4", "0.20.0", "1.0", "unknown"])
    def test_output_is_stored_by_any_other(self, version: str) -> None:
        run = ScriptRun(script=2, output="collector", custom_field=7)
        told = f'{{"trmm_version": "{version}"}}'.encode()
        calls, _ = follow(STOCK.run_script(AGENT, run), told, b'[{"id": 7}]', b'"ok"')
        assert [call.method for call in calls] == ["GET", "GET", "POST"]

    @pytest.mark.parametrize("field", [None, 8])
    def test_output_is_stored_nowhere_without_a_field(self, field: int | None) -> None:
        run = ScriptRun(script=2, output="collector", custom_field=field)
        answers = [] if field is None else [recording("core_dashinfo").answer, b'[{"id": 7}]']
        with pytest.raises(InvalidRequestError, match="custom_field"):
            follow(STOCK.run_script(AGENT, run), *answers)


class TestDeployments:
    ORDER = DeploymentOrder(
        client=1, site=1, expires=datetime(2027, 6, 1, 12, 0, 0, 5, tzinfo=UTC), arch="amd64"
    )

    def test_one_is_made_and_found(self) -> None:
        listed = recording("deployments_list")
        calls, made = follow(
            STOCK.create_deployment(self.ORDER),
            b"[]",
            recording("deployment_create").answer,
            json.dumps(listed.body[:1]).encode(),
        )
        asks_as_recorded(calls[0], "deployments_list")
        asks_as_recorded(calls[1], "deployment_create")
        assert calls[1].lanes == (Lane.DEPLOYMENTS,)
        assert (made.id, made.client, made.site, made.install_flags) == (1, 1, 1, "")
        assert made.download_url == f"https://rmm.example.com/clients/{listed.body[0]['uid']}/deploy/"

    def test_of_two_alike_none_is_picked(self) -> None:
        listed = recording("deployments_list").body
        twins = json.dumps([listed[0], listed[0] | {"id": 99}]).encode()
        with pytest.raises(UnidentifiedError, match="2 new ones") as caught:
            follow(STOCK.create_deployment(self.ORDER), b"[]", b'"ok"', twins)
        assert len(caught.value.candidates) == 2

    @pytest.mark.parametrize("arch", ["arm64", "amd64-mac", "arm64-mac"])
    def test_other_systems_have_another_way(self, arch: str) -> None:
        order = DeploymentOrder(client=1, site=1, expires=datetime(2027, 6, 1, tzinfo=UTC), arch=arch)
        with pytest.raises(UnsupportedError, match=r"installers\.create"):
            STOCK.create_deployment(order)

    def test_flags(self) -> None:
        order = DeploymentOrder(
            client=1, site=1, expires=self.ORDER.expires, arch="amd64", install_flags="rdp  ping"
        )
        plan = STOCK.create_deployment(order)
        steps = plan.steps()
        next(steps)
        body = sent_by(steps.send([]))[3]
        assert (body["rdp"], body["ping"], body["power"]) == (1, 1, 0)
        bad = DeploymentOrder(client=1, site=1, expires=order.expires, arch="amd64", install_flags="--silent")
        with pytest.raises(InvalidRequestError, match="--silent"):
            STOCK.create_deployment(bad)

    def test_one_is_revoked(self) -> None:
        asks_as_recorded(one(STOCK.delete_deployment(1)), "deployment_delete")


class TestClients:
    def test_are_listed_with_their_sites(self) -> None:
        call = one(STOCK.list_clients())
        asks_as_recorded(call, "clients_list")
        clients = call.decode(recording("clients_list").answer)
        assert [site.name for site in clients[0].sites] == ["HQ", "Warehouse"]
        sites = one(STOCK.list_sites(1))
        asks_as_recorded(sites, "client_get")
        assert sites.decode(recording("client_get").answer) == list(clients[0].sites)

    def test_one_is_made_with_a_site_and_found(self) -> None:
        after = recording("clients_list_after")
        new = next(client for client in after.body if client["name"] == "New Client")
        calls, made = follow(
            STOCK.create_client("New Client", "First Site"),
            recording("clients_list").answer,
            recording("client_create").answer,
            json.dumps([*recording("clients_list").body, new]).encode(),
        )
        asks_as_recorded(calls[1], "client_create")
        assert (made.name, made.id) == ("New Client", new["id"])

    def test_without_one_it_has_a_default(self) -> None:
        steps = STOCK.create_client("X", None).steps()
        next(steps)
        assert sent_by(steps.send([]))[3] == {"client": {"name": "X"}, "site": {"name": "Default"}}

    def test_a_lost_answer_is_settled_by_the_list(self) -> None:
        lost = OutcomeUnknownError("lost")
        after = b'[{"id": 5, "name": "X"}]'
        assert follow(STOCK.create_client("X"), b"[]", lost, after)[1].id == 5
        with pytest.raises(OutcomeUnknownError) as caught:
            follow(STOCK.create_client("X"), b"[]", lost, b"[]")
        assert caught.value is lost
        with pytest.raises(OutcomeUnknownError) as caught:
            follow(STOCK.create_client("X"), b"[]", lost, ServerError(502, "no"))
        assert caught.value is lost

    def test_one_that_can_not_be_seen_is_said_to_be_made(self) -> None:
        with pytest.raises(UnidentifiedError, match="was made, but it can't be listed"):
            follow(STOCK.create_client("X"), b"[]", b'"ok"', ServerError(502, "no"))
        with pytest.raises(UnidentifiedError, match="not in the list"):
            follow(STOCK.create_client("X"), b"[]", b'"ok"', b"[]")

    def test_a_refusal_is_just_that(self) -> None:
        with pytest.raises(BadRequestError):
            follow(STOCK.create_client("X"), b"[]", BadRequestError(400, "exists"))


class TestTheOthers:
    def test_scripts(self) -> None:
        call = one(STOCK.list_scripts())
        asks_as_recorded(call, "scripts_list")
        scripts = call.decode(recording("scripts_list").answer)
        assert [script.id for script in scripts] == [sent["id"] for sent in recording("scripts_list").body]
        assert scripts[0].supported_platforms == ("linux", "darwin")
        single = script_of(recording("script_get").answer)
        assert single.code is not None
        assert single.env_vars == ("A=1",)

    @pytest.mark.parametrize("name", ["checks_agent", "checks_agent_linux", "checks_agent_after"])
    def test_checks_of_one_agent(self, name: str) -> None:
        told = recording(name)
        agent_id = told.path.split("/")[2]
        call = one(STOCK.list_checks(agent_id))
        asks_as_recorded(call, name)
        for check, sent in zip(call.decode(told.answer), told.body, strict=True):
            result = sent["check_result"]
            assert (check.id, check.agent_id, check.name) == (sent["id"], agent_id, sent["readable_desc"])
            assert (check.status, check.result_id) == (result.get("status", "pending"), result.get("id"))

    @pytest.mark.parametrize(("agent", "name"), [(None, "tasks_list_all"), (AGENT, "tasks_agent")])
    def test_tasks(self, agent: str | None, name: str) -> None:
        short = json.dumps([{"id": 1, "agent_id": AGENT}]).encode()
        calls, tasks = follow(STOCK.list_tasks(agent), short, recording(name).answer)
        asks_as_recorded(calls[1], name)
        for task, sent in zip(tasks, recording(name).body, strict=True):
            assert (task.id, task.name, task.task_type) == (sent["id"], sent["name"], sent["task_type"])
            assert task.agent_id == (AGENT if sent["agent"] == 1 else None)
            assert task.policy == sent["policy"]
            assert (task.status is None) == ("status" not in sent["task_result"])

    def test_alerts(self) -> None:
        call = one(STOCK.list_alerts())
        asks_as_recorded(call, "alerts_patch_nobody")
        assert call.replay is Replay.SAFE
        alerts = call.decode(recording("alerts_patch_nobody").answer)
        for alert, sent in zip(alerts, recording("alerts_patch_nobody").body, strict=True):
            assert (alert.id, alert.agent_id, alert.message) == (
                sent["id"],
                sent.get("agent_id"),
                sent["message"],
            )
            assert isinstance(alert.created_at, datetime)
        assert alert_of(recording("alert_get_no_agent").answer).agent_id is None
        assert alert_of(recording("alert_get_resolved").answer).resolved

    def test_an_alert_is_resolved(self) -> None:
        call = one(STOCK.resolve_alert(1))
        asks_as_recorded(call, "alert_resolve")
        assert call.replay is Replay.IDEMPOTENT

    def test_what_a_stock_server_has_not_says_what_to_use(self) -> None:
        with pytest.raises(UnsupportedError, match=r"alerts\.snooze.*alerts\.resolve"):
            STOCK.acknowledge_alert(1)
        assert isinstance(STOCK.event_source(), Polled)
        assert STOCK.script_output(AGENT) is None


class TestSchedules:
    @staticmethod
    def body(schedule: str) -> dict[str, Any]:
        order = TaskOrder(name="API task", agent=AGENT, script=1, schedule=schedule, today=date(2026, 12, 1))
        steps = STOCK.create_task(order).steps()
        call = next(steps)
        # Its script is looked up, and which tasks there are.
        while call.method == "GET":
            call = steps.send([])
        sent: dict[str, Any] = sent_by(call)[3]
        return sent

    @pytest.mark.parametrize(
        ("schedule", "name"),
        [
            ("0 10 * * *", "task_create_daily"),
            ("0 10 * * 0-6", "task_create_weekly"),
            ("0 10 1 * *", "task_create_monthly"),
        ],
    )
    def test_are_said_as_recorded(self, schedule: str, name: str) -> None:
        told, body = recording(name).sent, self.body(schedule)
        if name == "task_create_weekly":
            # Every day of the week is daily; the recorded one says it in the other way.
            assert body["task_type"] == "daily"
            body = self.body("0 10 * * 0-5")
            told = told | {"run_time_bit_weekdays": 0b0111111}
        times = {"run_time_date": told["run_time_date"].rstrip("Z") + "Z"}
        keys = {
            key for key in told if key.startswith(("task_type", "monthly", "weekly", "daily", "run_time"))
        }
        assert {key: body[key] for key in keys} == {key: (told | times)[key] for key in keys}
        assert body["actions"][0].keys() == told["actions"][0].keys()

    @pytest.mark.parametrize(
        ("schedule", "timing"),
        [
            ("30 6 * * 7", {"task_type": "weekly", "run_time_bit_weekdays": 1}),
            ("30 6 * * MON,FRI", {"task_type": "weekly", "run_time_bit_weekdays": 0b100010}),
            ("30 6 1,31 * *", {"monthly_days_of_month": 1 | 1 << 30, "monthly_months_of_year": 0xFFF}),
            ("30 6 * JAN,DEC *", {"monthly_days_of_month": 0x7FFFFFFF, "monthly_months_of_year": 0x801}),
        ],
    )
    def test_are_masks(self, schedule: str, timing: dict[str, Any]) -> None:
        body = self.body(schedule)
        assert {key: body[key] for key in timing} == timing
        assert body["run_time_date"] == "2026-12-01T06:30:00Z"

    @pytest.mark.parametrize(
        "schedule", ["* 3 * * *", "0 * * * *", "0,30 3 * * *", "*/5 * * * *", "0 3 1 * 1", "0 3 * 1 1"]
    )
    def test_that_it_can_not_say_are_refused(self, schedule: str) -> None:
        with pytest.raises(UnsupportedError, match="several tasks, or"):
            self.body(schedule)

    @given(
        st.integers(0, 59),
        st.integers(0, 23),
        st.one_of(
            st.just("* * *"),
            st.sets(st.integers(0, 6), min_size=1).map(lambda days: f"* * {','.join(map(str, days))}"),
            st.tuples(st.sets(st.integers(1, 31), min_size=1), st.sets(st.integers(1, 12), min_size=1)).map(
                lambda both: f"{','.join(map(str, both[0]))} {','.join(map(str, both[1]))} *"
            ),
        ),
    )
    def test_come_back_as_they_were(self, minute: int, hour: int, days: str) -> None:
        schedule = cron_expression(f"{minute} {hour} {days}")
        sent = self.body(schedule) | {"id": 1, "agent": 1}
        listed = follow(STOCK.list_tasks(None), b"[]", json.dumps([sent]).encode())[1]
        assert _same(listed[0].schedule, schedule)

    @pytest.mark.parametrize(
        "timing",
        [
            {"task_type": "weekly", "weekly_interval": 1, "run_time_bit_weekdays": 128},
            {"task_type": "weekly", "weekly_interval": 1},
            {"task_type": "monthly", "monthly_days_of_month": 1, "monthly_months_of_year": 4096},
            {"task_type": "monthly", "monthly_days_of_month": 0, "monthly_months_of_year": 1},
        ],
    )
    def test_that_name_no_day_are_none(self, timing: dict[str, Any]) -> None:
        sent = {"id": 1, "name": "t", "run_time_date": "2026-12-01T03:00:00Z"} | timing
        (task,) = follow(STOCK.list_tasks(None), b"[]", json.dumps([sent]).encode())[1]
        assert task.schedule is None


def _same(one_: str, other: str) -> bool:
    return list(map(_full, cron_values(one_), RANGES)) == list(map(_full, cron_values(other), RANGES))


RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(7))


def _full(values: Iterable[int] | None, every: range) -> set[int]:
    return set(every if values is None else values)


class TestErrors:
    """What stock's answers mean, by the recordings."""

    @staticmethod
    def error(call: Call[Any], name: str) -> TRMMError:
        told = recording(name)
        reply = Reply(told.status, {}, told.answer)
        tries = Tries(call.replay, RetryPolicy(), definite=call.definite)
        verdict = tries.judge(reply, datetime.now(UTC))
        assert not hasattr(verdict, "delay"), "it would be sent again"
        return failure(call, reply, verdict.meaning, tries, str)

    @staticmethod
    def raw(name: str) -> Call[Any]:
        told = recording(name)
        body = None if told.sent is None else json.dumps(told.sent).encode()
        safe = told.method in {"GET", "HEAD", "OPTIONS"}
        return STOCK.raw(
            Call(
                method=told.method,
                path=told.path,
                decode=bytes,
                query=told.query,
                body=body,
                replay=Replay.SAFE if safe else Replay.NEVER,
            )
        )

    @pytest.mark.parametrize(
        ("name", "missing"),
        [
            ("runscript_missing_args", "args"),
            ("runscript_missing_env_vars", "env_vars"),
            ("runscript_missing_run_as_user", "run_as_user"),
            ("runscript_missing_timeout", "timeout"),
            ("cmd_missing_timeout", "timeout"),
            ("cmd_empty_body", "shell, cmd, timeout, run_as_user"),
            ("bulk_script_missing_args", "args"),
            ("bulk_command_missing_cmd", "cmd"),
            ("bulk_command_missing_osType", "osType"),
            ("client_create_no_site", "site"),
            ("client_create_flat", "client, site"),
            ("deployment_create_missing_rdp", "rdp"),
            ("note_add_no_agent", "agent_id"),
            ("recover_missing", "mode"),
            ("script_test_missing_env", "env_vars"),
            ("login_missing_totp", "twofactor"),
            ("audit_logs_no_pagination", "pagination"),
            ("site_create_flat", "site"),
        ],
    )
    def test_a_500_says_what_the_body_lacks(self, name: str, missing: str) -> None:
        error = self.error(self.raw(name), name)
        assert isinstance(error, ServerFaultError)
        assert f"a body that lacks {missing}" in str(error)

    @pytest.mark.parametrize(
        "name", ["agents_list_client_name", "scripthistory_bad_limit", "alert_delete_404"]
    )
    def test_any_500_says_that_it_may_be_the_request(self, name: str) -> None:
        error = self.error(self.raw(name), name)
        assert isinstance(error, ServerError)
        assert "answers so to a bad request too" in str(error)

    @pytest.mark.parametrize(
        ("name", "said", "fields"),
        [
            ("alert_put_bad_type", "There was an error in the request data", {}),
            ("client_create_dup", "client with this name already exists", {"name"}),
            ("client_create_pipe", "Client name cannot contain the | character", set()),
            ("agent_put_bad_value", "is not a valid choice", {"monitoring_type", "offline_time"}),
            ("err_malformed_json", "JSON parse error", set()),
        ],
    )
    def test_the_four_shapes_of_400_are_one_message(self, name: str, said: str, fields: set[str]) -> None:
        error = self.error(self.raw(name), name)
        assert isinstance(error, BadRequestError)
        assert said in str(error)
        assert set(fields) <= set(error.fields)
        assert not {"detail", "non_field_errors"} & set(error.fields)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("cmd_offline", AgentLostError),
            ("processes_offline", AgentUnreachableError),
            ("reboot_hung", AgentLostError),
        ],
    )
    def test_an_agent_that_can_not_be_reached(self, name: str, kind: type[APIError]) -> None:
        error = self.error(self.raw(name), name)
        assert type(error) is kind
        assert isinstance(error, OutcomeUnknownError) is (kind is AgentLostError)
        assert "Unable to contact the agent" in str(error)

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("err_404_unknown_path", 'dialect="gateway"'),
            ("err_404_short_agent_id", "more than 20 characters"),
            ("x_api_v3_agents", 'dialect="gateway"'),
        ],
    )
    def test_a_404_page_says_that_it_may_be_the_dialect(self, name: str, said: str) -> None:
        assert said in str(self.error(self.raw(name), name))

    def test_a_404_of_a_real_path_does_not(self) -> None:
        error = self.error(self.raw("err_404_agent"), "err_404_agent")
        assert isinstance(error, NotFoundError)
        assert error.detail == "No Agent matches the given query."

    def test_every_recorded_refusal_is_a_typed_error_that_reads(self) -> None:
        from tests.recorded import HTTP

        for path in sorted(HTTP.glob("*.json")):
            told = recording(path.stem)
            if told.status < 400:
                continue
            call = self.raw(path.stem)
            error = error_for(call, Reply(told.status, {}, told.answer), str)
            assert isinstance(error, TRMMError), path.stem
            assert str(told.status) in str(error), path.stem
            assert "<" not in str(error).replace("<knox>", ""), path.stem

    def test_meanings_of_a_500_are_those_of_any_server(self) -> None:
        tries = Tries(Replay.NEVER, RetryPolicy(), definite=frozenset({500}))
        verdict = tries.judge(Reply(500, {}, b""), datetime.now(UTC))
        assert getattr(verdict, "meaning", None) is Meaning.UNKNOWN


@pytest.mark.parametrize(
    "excuse",
    [
        "unknown cpu model",
        "unknown disk",
        "unknown make/model",
        "error getting local ips",
        "error getting make/model",
        "Error getting graphics cards",
        "Graphics info requires agent v1.4.14",
        "",
    ],
)
def test_what_a_server_says_where_it_does_not_know_is_none(excuse: str) -> None:
    told = {"cpu_model": [excuse], "graphics": excuse, "make_model": excuse, "local_ips": excuse}
    row = {"agent_id": "a", "serial_number": excuse, "physical_disks": [excuse], **told}
    agents = follow(STOCK.list_agents(AgentFilter()), b"[]", json.dumps([row]).encode())[1]
    (agent,) = agents
    known = (agent.cpu_model, agent.graphics, agent.make_model, agent.local_ip, agent.serial_number)
    assert (known, agent.physical_disks) == ((None,) * 5, ())
