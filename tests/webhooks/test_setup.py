"""Webhooks set up by a call, and what they hang on: alert templates, URL actions, alerts that are written."""

import json
from typing import Any

import pytest

from tests.servers import count, served
from trmm_async import InvalidRequestError, NotFoundError, ServerError, UnknownNameError, WebhookReceiver
from trmm_async.webhooks.delivery import TEMPLATE

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

URL = "https://hooks.example.com/trmm"
NAME = "trmm_async_hook"


def changes(server: Any) -> list[str]:
    return [request.method for request in server.requests if request.method in {"POST", "PUT", "DELETE"}]


async def test_it_makes_three_things_that_hang_together_and_assigns_them() -> None:
    async with served("stock", agents=2) as (server, trmm):
        receiver = WebhookReceiver(["s3cr3t-new", "s3cr3t-old"])
        client = server.agents[0].site.client
        setup = await receiver.install(trmm, URL, client=client.name, everywhere=True)
        assert len(setup.steps) == 5
        (key,) = [one for one in await trmm.key_store.list() if one.name == f"{NAME}_secret"]
        assert key.value == "s3cr3t-new"
        assert "s3cr3t" not in str(setup)
        (action,) = [one for one in await trmm.url_actions.list() if one.id == setup.url_action]
        assert (action.pattern, action.action_type, action.rest_method) == (URL, "rest", "post")
        assert json.loads(action.rest_body) == TEMPLATE
        assert json.loads(action.rest_headers)["X-TRMM-Secret"] == f"{{{{global.{NAME}_secret}}}}"
        assert setup.alert_template is not None
        template = await trmm.alert_templates.get(setup.alert_template)
        assert template.default_template
        assert {template.action_type, template.resolved_action_type} == {"rest"}
        assert {template.action_rest, template.resolved_action_rest} == {action.id}
        use = await trmm.alert_templates.related(template)
        assert [one.name for one in use.clients] == [client.name]


async def test_a_second_time_changes_only_what_has_changed() -> None:
    async with served("stock", agents=1) as (server, trmm):
        receiver = WebhookReceiver("one")
        first = await receiver.install(trmm, URL)
        assert count(server, "GET", "/core/dashinfo/") == 1
        before = len(changes(server))
        again = await receiver.install(trmm, URL)
        assert (again.steps, again.url_action, again.alert_template) == (
            (), first.url_action, first.alert_template,
        )  # fmt: skip
        assert len(changes(server)) == before
        moved = await WebhookReceiver("two").install(trmm, URL + "/2")
        assert len(moved.steps) == 2
        assert [one.pattern for one in await trmm.url_actions.list() if one.name == NAME] == [URL + "/2"]
        assert [one.value for one in await trmm.key_store.list() if one.name.startswith(NAME)] == ["two"]


async def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    async with served("stock", agents=1) as (server, trmm):
        receiver = WebhookReceiver("s3cr3t")
        told = await receiver.install(trmm, URL, everywhere=True, dry_run=True)
        assert len(told.steps) == 4
        assert "s3cr3t" not in str(told)
        assert (await receiver.uninstall(trmm, dry_run=True)).steps == ()
        assert changes(server) == []
        done = await receiver.install(trmm, URL, everywhere=True)
        assert done.steps == told.steps
        would = await receiver.uninstall(trmm, dry_run=True)
        assert (await receiver.uninstall(trmm)).steps == would.steps
        assert len(would.steps) == 3
        assert [one for one in await trmm.alert_templates.list() if one.name == NAME] == []
        assert [one for one in await trmm.url_actions.list() if one.name == NAME] == []


async def test_a_failure_on_the_way_says_what_is_done_and_a_second_call_goes_on() -> None:
    async with served("stock", agents=1) as (server, trmm):
        receiver = WebhookReceiver("s3cr3t")
        server.fail("POST", "/core/urlaction/", status=502, times=1)
        with pytest.raises(ServerError) as failed:
            await receiver.install(trmm, URL)
        _, note = failed.value.__notes__  # behind the one that names the page of the error
        assert "create the key store entry" in note
        assert "continue" in note
        assert len((await receiver.install(trmm, URL)).steps) == 2
        assert count(server, "POST", "keystore") == 1


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        ("hooks.example.com", {}, "url must be"),
        ("http://hooks.example.com", {}, "plain http would show the webhook's secret"),
        ("http://hooks.example.com", {"allow_http": 1}, "allow_http must be"),
        (URL, {"name": "has a space"}, "name must have"),
        (URL, {"name": "far_too_long_for_a_key_of_the_store"}, "name must have"),
    ],
)
async def test_what_is_wrong_is_refused_before(url: str, more: dict[str, Any], words: str) -> None:
    async with served("stock", agents=1) as (server, trmm):
        with pytest.raises(InvalidRequestError, match=words):
            await WebhookReceiver("s").install(trmm, url, **more)
        assert server.requests == []


async def test_of_two_by_its_name_it_takes_none() -> None:
    async with served("stock", agents=1) as (server, trmm):
        for _ in range(2):
            await trmm.url_actions.create(name=NAME, pattern=f"https://{_}.example.com")
        with pytest.raises(InvalidRequestError, match="2 URL actions called"):
            await WebhookReceiver("s").install(trmm, URL, dry_run=True)
        assert changes(server) == ["POST", "POST"]


async def test_an_alert_is_written() -> None:
    async with served("stock", agents=2) as (server, trmm):
        agent_id = server.agent_ids[1]
        made = await trmm.alerts.create(message=" Backup failed ", severity="error", agent=agent_id)
        assert (made.message, made.severity, made.alert_type, made.agent_id) == (
            "Backup failed", "error", "custom", agent_id,
        )  # fmt: skip
        assert (await trmm.alerts.create(message="nobody's")).agent_id is None
        with pytest.raises(InvalidRequestError, match="no agent"):
            await trmm.alerts.create(message="x", agent="nobody")
        with pytest.raises(InvalidRequestError, match="severity"):
            await trmm.alerts.create(message="x", severity="critical")  # type: ignore[arg-type]


async def test_nothing_is_made_for_a_place_that_is_not_there() -> None:
    async with served("stock", agents=1) as (server, trmm):
        receiver = WebhookReceiver("s3cr3t")
        places: tuple[dict[str, Any], ...] = (
            {"client": "Nobody"},
            {"client": 999},
            {"site": 999},
            {"policy": 999},
        )
        for place in places:
            for dry_run in (False, True):
                with pytest.raises((NotFoundError, UnknownNameError)):
                    await receiver.install(trmm, URL, dry_run=dry_run, **place)
        assert changes(server) == []


async def test_an_installed_template_that_was_switched_off_is_switched_on_again() -> None:
    async with served("stock", agents=1) as (_, trmm):
        receiver = WebhookReceiver("s3cr3t")
        template = (await receiver.install(trmm, URL)).alert_template
        assert template is not None
        await trmm.alert_templates.update(template, is_active=False)
        assert len((await receiver.install(trmm, URL)).steps) == 1
        assert (await trmm.alert_templates.get(template)).is_active
