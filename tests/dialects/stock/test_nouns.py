"""Clients, deployments and the other nouns that both kinds of server have, as a stock server spells them."""

import json
from datetime import UTC, datetime

import pytest

from tests.dialects.stock.carried import AGENT, STOCK, follow, one
from tests.recorded import asks_as_recorded, recording, sent_by
from trmm_async.calls import Lane, Replay
from trmm_async.dialects import DeploymentOrder, Polled
from trmm_async.dialects.stock.nouns import alert_of, script_of
from trmm_async.errors import (
    BadRequestError,
    InvalidRequestError,
    OutcomeUnknownError,
    ServerError,
    UnidentifiedError,
    UnsupportedError,
)


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

    @pytest.mark.parametrize("name", ["tasks_list_all", "tasks_agent"])
    def test_tasks(self, name: str) -> None:
        if name == "tasks_agent":
            call = one(STOCK.list_tasks(AGENT))
            tasks = call.decode(recording(name).answer)
        else:
            short = json.dumps([{"id": 1, "agent_id": AGENT}]).encode()
            (_, call), tasks = follow(STOCK.list_tasks(), short, recording(name).answer)
        asks_as_recorded(call, name)
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
