"""`trmm.core`."""

from typing import Any

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import (
    Case,
    answer_of,
)
from tests.recorded import recording
from tests.servers import NOBODY, served, stock
from trmm_async import (
    AuthenticationError,
    BadRequestError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
)
from trmm_async.resources.stock import audit_log
from trmm_async.resources.stock.key_store import KeyStoreEntry
from trmm_async.testing.stock.setup_rows import MON_TOKEN

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


async def test_settings_are_changed_and_secrets_are_in_no_error() -> None:
    async with served("stock", agents=1) as (server, trmm):
        await trmm.core.update_settings(
            agent_auto_update=False, server_scripts_enabled=False, smtp_host_password="placeholder"
        )
        settings = await trmm.core.settings()
        assert (settings.agent_auto_update, settings.server_scripts_enabled) == (False, False)
        assert settings.extra["smtp_host_password"] == "placeholder"
        with pytest.raises(BadRequestError, match="disabled"):
            await trmm.scripts.test_on_server(shell="shell", code="#!/bin/sh\n")
        with pytest.raises(BadRequestError, match="server_policy") as caught:
            await trmm.core.update_settings(server_policy=999_999, smtp_host_password="placeholder")
        assert "placeholder" not in str(caught.value) + repr(caught.value) + str(caught.value.body)
        asked = len(server.requests)
        with pytest.raises(InvalidRequestError, match="sso_enabled"):
            await trmm.core.update_settings(sso_enabled=True)  # type: ignore[call-arg]
        with pytest.raises(InvalidRequestError, match="agent_auto_update"):
            await trmm.core.update_settings(agent_autoupdate=True)  # type: ignore[call-arg]
        assert len(server.requests) == asked


async def test_what_is_pruned_is_said_and_gone() -> None:
    async with served("stock", agents=1) as (server, trmm):
        server.raise_alert(server.agent_ids[0])
        with pytest.raises(InvalidRequestError, match="all_alerts"):
            await trmm.core.prune()
        assert await trmm.core.prune(completed_actions=True, check_run_logs=True) == 0
        assert len(await trmm.alerts.list()) == 1
        assert await trmm.core.prune(all_alerts=True) == 1
        assert await trmm.alerts.list() == []
        await trmm.core.reload_nats()
        await trmm.core.remove_orphaned_tasks()


async def test_mail_and_messages_are_tried_in_the_servers_own_words() -> None:
    async with served("stock", agents=1) as (_, trmm):
        with pytest.raises(ServerError, match="at least one email recipient"):
            await trmm.core.test_email()
        await trmm.core.update_settings(email_alert_recipients=["ops@example.com"])
        await trmm.core.test_email()
        with pytest.raises(ServerError, match="All fields are required"):
            await trmm.core.test_sms()


async def test_the_monitoring_endpoint_takes_a_token_of_its_own() -> None:
    async with served("stock", agents=3) as (server, trmm):
        status = await trmm.core.status(MON_TOKEN)
        assert (status.agent_count, status.certificate_expired, status.queue_health) == (3, False, "healthy")
        assert status.services_running["nats"] is True
        with pytest.raises(AuthenticationError, match="Not authenticated") as caught:
            await trmm.core.status("wrong-token")
        assert "wrong-token" not in str(caught.value)
        await trmm.core.web_version()
        assert "x-mon-token" not in server.requests[-1].headers


async def test_the_debug_log_is_filtered() -> None:
    async with served("stock", agents=1) as (server, trmm):
        assert await trmm.core.debug_log(level="critical") == []
        assert isinstance(
            await trmm.core.debug_log(log_type="system_issues", agent=server.agent_ids[0]), list
        )
        with pytest.raises(InvalidRequestError, match="level must be one of"):
            await trmm.core.debug_log(level="debug")  # type: ignore[arg-type]
        with pytest.raises(NotFoundError, match="No Agent"):
            await trmm.core.debug_log(agent=NOBODY)
        with pytest.raises(NotFoundError, match=r"agents\.find"):
            await trmm.core.debug_log(agent="JADE-PC")
        with server.restrict("can_view_debuglogs"), pytest.raises(PermissionDeniedError):
            await trmm.core.debug_log()


class TestCore:
    async def test_the_server_tells_of_itself(self) -> None:
        async with stock() as (_, trmm):
            assert await trmm.core.version() == (await trmm.core.dashboard()).version == "1.5.1"
            settings = await trmm.core.settings()
            assert settings.default_time_zone
            assert "smtp_host_password" in settings.extra


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("core_dashinfo", lambda it: it.core.version(), str),
    Case("core_dashinfo", lambda it: it.core.dashboard(), object),
    Case("core_settings", lambda it: it.core.settings(), object),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


class TestAnswers:
    def test_the_version_is_the_servers_not_that_of_its_pages(self) -> None:
        call: Any = request_of(NOUNS.core.version())
        assert call.decode(answer_of("core_dashinfo")) == "1.5.1"
        assert recording("core_version").body != "1.5.1"
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
