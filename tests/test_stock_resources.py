"""What stands on a stock server, by the nouns' methods, against the simulator over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async import (
    TRMM,
    AuditEntry,
    BadRequestError,
    Check,
    ClosedError,
    DecodeError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    ServerFaultError,
    UnsupportedError,
)
from trmm_async.errors import AgentLostError, AgentUnreachableError
from trmm_async.resources.stock.audit_log import AuditPage, Reader
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")

NOBODY = 999_999


@asynccontextmanager
async def stock(**world: Any) -> AsyncIterator[tuple[Simulator, TRMM]]:
    async with (
        asyncio.timeout(30),
        Simulator(
            dialect="stock", **{"agents": 4, "script_seconds": 0.0, "offline_hold": 0.01, **world}
        ) as server,
        TRMM(server.url, api_key=server.api_key, dialect="stock", retries=1) as trmm,
    ):
        yield server, trmm


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


class TestAlerts:
    async def test_are_snoozed_and_woken(self) -> None:
        async with stock() as (server, trmm):
            alert_id = server.raise_alert(server.agent_ids[0])
            await trmm.alerts.snooze(alert_id, days=3)
            alert = await trmm.alerts.get(alert_id)
            assert alert.snoozed
            assert alert.snooze_until is not None
            await trmm.alerts.unsnooze(alert)
            assert not (await trmm.alerts.get(alert)).snoozed

    async def test_are_filtered(self) -> None:
        async with stock() as (server, trmm):
            first, second, third = server.agents[:3]
            info = server.raise_alert(first.agent_id, severity="info")
            warning = server.raise_alert(second.agent_id, severity="warning")
            error = server.raise_alert(third.agent_id, severity="error")
            await trmm.alerts.resolve(info)
            await trmm.alerts.snooze(warning, days=1)

            async def ids(**which: Any) -> set[int]:
                return {alert.id for alert in await trmm.alerts.list(**which)}

            assert await ids() == {info, warning, error}
            assert await ids(severity="info") == {info}
            assert await ids(severity=["info", "error"]) == {info, error}
            assert await ids(resolved=False) == {warning, error}
            assert await ids(resolved=True) == {info}
            assert await ids(snoozed=True) == {warning}
            assert await ids(resolved=False, snoozed=False, days=1) == {error}
            client = first.site.client.id
            of_client = {
                alert_id
                for alert_id, agent in ((info, first), (warning, second), (error, third))
                if agent.site.client.id == client
            }
            assert await ids(client=client) == await ids(client=[client]) == of_client

    async def test_many_are_changed_by_one_call(self) -> None:
        async with stock() as (server, trmm):
            ids = [server.raise_alert(server.agent_ids[0]) for _ in range(3)]
            await trmm.alerts.snooze(ids, days=2)
            assert all(alert.snoozed for alert in await trmm.alerts.list())
            await trmm.alerts.resolve([*(await trmm.alerts.list()), NOBODY])
            assert all(alert.resolved for alert in await trmm.alerts.list())
            assert methods(server).count("POST") == 2

    async def test_are_deleted(self) -> None:
        async with stock() as (server, trmm):
            alert_id = server.raise_alert(server.agent_ids[0])
            await trmm.alerts.delete(alert_id)
            assert await trmm.alerts.list() == []
            with pytest.raises(NotFoundError):
                await trmm.alerts.delete(alert_id)

    async def test_a_lost_answer_to_a_delete_costs_nothing(self) -> None:
        async with stock() as (server, trmm):
            for after in (True, False):
                alert_id = server.raise_alert(server.agent_ids[0])
                server.cut("DELETE", "/alerts/", after=after)
                await trmm.alerts.delete(alert_id)
                assert await trmm.alerts.list() == []

    async def test_where_the_look_is_lost_too_it_is_not_known_what_came_of_a_delete(self) -> None:
        async with stock() as (server, trmm):
            for after in (True, False):
                alert_id = server.raise_alert(server.agent_ids[0])
                server.cut("DELETE", "/alerts/", after=after)
                look = server.cut("GET", "/alerts/", times=None, after=False)
                with look, pytest.raises(OutcomeUnknownError):
                    await trmm.alerts.delete(alert_id)


class TestChecks:
    async def test_run_on_an_agent(self) -> None:
        async with stock() as (server, trmm):
            await trmm.checks.run(server.agent_ids[0])
            server.go_offline(server.agent_ids[1])
            with pytest.raises(AgentLostError):
                await trmm.checks.run(server.agent_ids[1])
            assert methods(server) == ["POST", "POST"]

    async def test_are_reset_by_their_result(self) -> None:
        async with stock() as (server, trmm):
            check = (await trmm.checks.list(agent=server.agent_ids[0]))[0]
            await trmm.checks.reset(check)
            await trmm.checks.reset(agent=server.agent_ids[0])
            assert server.requests[1].path == f"/checks/{check.result_id}/reset/"
            with pytest.raises(NotFoundError):
                await trmm.checks.reset(Check(id=check.id, result_id=NOBODY))

    async def test_have_a_history(self) -> None:
        async with stock() as (server, trmm):
            check = (await trmm.checks.list(agent=server.agent_ids[0]))[0]
            everything = await trmm.checks.history(check)
            assert everything
            assert everything[0].time is not None
            assert len(await trmm.checks.history(check, days=1)) <= len(everything)

    @pytest.mark.parametrize("bad", [1, None, "x", Check(id=1)])
    async def test_without_a_result_nothing_is_sent(self, bad: Any) -> None:
        async with stock() as (server, trmm):
            for call in (trmm.checks.reset(bad), trmm.checks.history(bad)):
                with pytest.raises(InvalidRequestError, match="result"):
                    await call
            assert server.requests == []


class TestTasks:
    async def test_are_read_changed_and_removed(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            made = await trmm.tasks.create(name="t", agent=agent_id, script=1, schedule="0 3 * * *")
            assert (await trmm.tasks.get(made)).agent_id == agent_id
            await trmm.tasks.update(made, enabled=False, name=" renamed ")
            task = await trmm.tasks.get(made.id)
            assert (task.enabled, task.name) == (False, "renamed")
            await trmm.tasks.delete(made)
            with pytest.raises(NotFoundError):
                await trmm.tasks.get(made)

    async def test_run(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            made = await trmm.tasks.create(name="t", agent=agent_id, script=1, schedule="0 3 * * *")
            await trmm.tasks.run(made)
            async with asyncio.timeout(30):
                while not server.runs_of(agent_id):
                    await asyncio.sleep(0.01)

    async def test_a_policys_needs_an_agent(self) -> None:
        async with stock() as (server, trmm):
            policy = (await trmm.policies.list())[0]
            task = (await trmm.policies.tasks(policy))[0]
            server.reset_ledger()
            for which in (task, task.id):
                with pytest.raises(InvalidRequestError, match="agent="):
                    await trmm.tasks.run(which)
            assert methods(server) == ["GET"]
            await trmm.tasks.run(task, agent=server.agent_ids[0])
            assert methods(server) == ["GET", "POST"]


class TestScripts:
    async def test_are_made_read_changed_and_removed(self) -> None:
        async with stock() as (_, trmm):
            made = await trmm.scripts.create(
                name=" Hello ",
                shell="python",
                code="print('hi')\n",
                args=["-x", " y"],
                env_vars={"A": "1"},
                default_timeout=60,
                supported_platforms=["linux"],
            )
            assert (made.name, made.code, made.env_vars) == ("Hello", "print('hi')\n", ("A=1",))
            assert (await trmm.scripts.get(made)).code == made.code
            await trmm.scripts.update(made, code="print(2)", favorite=True, hidden=True, env_vars={})
            await trmm.scripts.update(made, category="Greetings")
            await trmm.scripts.update(made, category=None)
            script = await trmm.scripts.get(made.id)
            assert script.category is None
            assert (script.code, script.favorite, script.hidden, script.env_vars) == (
                "print(2)",
                True,
                True,
                (),
            )
            assert made.id not in {listed.id for listed in await trmm.scripts.list()}
            await trmm.scripts.delete(made)
            with pytest.raises(NotFoundError):
                await trmm.scripts.get(made)

    async def test_of_the_community_only_the_marks_can_be_changed(self) -> None:
        async with stock() as (server, trmm):
            script_id = server.add_community_script("Community")
            await trmm.scripts.update(script_id, favorite=True)
            with pytest.raises(BadRequestError, match="Community scripts cannot be edited"):
                await trmm.scripts.update(script_id, description="x", favorite=False)
            assert (await trmm.scripts.get(script_id)).favorite
            with pytest.raises(BadRequestError, match="cannot be deleted"):
                await trmm.scripts.delete(script_id)

    async def test_code_is_tried_out(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            result = await trmm.scripts.test(agent_id, shell="python", code="print(1)", timeout=5, args=["a"])
            assert result.ok
            assert result.execution_time is not None
            server.go_offline(agent_id)
            with pytest.raises(AgentLostError, match="timeout"):
                await trmm.scripts.test(agent_id, shell="python", code="print(1)", timeout=1)
            with server.nats_down(), pytest.raises(AgentUnreachableError) as caught:
                await trmm.scripts.test(agent_id, shell="python", code="print(1)", timeout=1)
            assert not isinstance(caught.value, OutcomeUnknownError)
            assert methods(server) == ["POST"] * 3

    async def test_no_more_tests_wait_at_once_than_may(self) -> None:
        async with stock() as (server, _):
            server.slow("POST", "/scripts/*/test/", 0.05, times=None)
            async with TRMM(server.url, api_key=server.api_key, dialect="stock", max_waiting=2) as trmm:
                async with asyncio.TaskGroup() as group:
                    for _ in range(6):
                        group.create_task(trmm.scripts.test(server.agent_ids[0], shell="cmd", code="x"))
                assert server.max_in_flight == 2

    async def test_a_lost_answer_is_never_sent_again(self) -> None:
        async with stock() as (server, trmm):
            server.cut("POST", "/scripts/*/test/")
            with pytest.raises(OutcomeUnknownError):
                await trmm.scripts.test(server.agent_ids[0], shell="python", code="print(1)", timeout=5)
            assert methods(server) == ["POST"]


Making = Callable[[TRMM], Awaitable[Any]]


async def _site(trmm: TRMM) -> Any:
    return await trmm.sites.create(client=(await trmm.clients.list())[0], name="made")


MAKINGS: list[tuple[str, Making]] = [
    ("/scripts/", lambda trmm: trmm.scripts.create(name="made", shell="cmd", code="x")),
    ("/clients/sites/", _site),
    ("/core/customfields/", lambda trmm: trmm.custom_fields.create(name="made", model="site")),
    ("/core/keystore/", lambda trmm: trmm.key_store.create(name="made", value="v")),
]


@pytest.mark.parametrize(("path", "make"), MAKINGS, ids=[path for path, _ in MAKINGS])
class TestMaking:
    async def test_what_was_made_is_found_though_the_answer_was_lost(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.cut("POST", path)
            assert (await make(trmm)).name == "made"
            assert methods(server).count("POST") == 1

    async def test_what_was_not_made_is_not_made_up(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.fail("POST", path, status=500)
            with pytest.raises(ServerFaultError):
                await make(trmm)
            assert methods(server).count("POST") == 1

    async def test_a_refusal_is_a_refusal(self, path: str, make: Making) -> None:
        async with stock() as (server, trmm):
            server.fail("POST", path, status=400, body='"no"')
            with pytest.raises(BadRequestError, match="no"):
                await make(trmm)


class TestClientsAndSites:
    async def test_are_read_changed_and_removed(self) -> None:
        async with stock() as (server, trmm):
            field = await trmm.custom_fields.create(name="Contract", model="client")
            client = await trmm.clients.create(name="New", site="First")
            with pytest.raises(InvalidRequestError, match="takes a text, not 9"):
                await trmm.clients.update(client, custom_fields={field: 9})
            await trmm.clients.update(client, name=" Renamed ", custom_fields={field: "9"})
            sent = json.loads(server.requests[-1].body or b"{}")
            assert sent["custom_fields"] == [{"field": field.id, "string_value": "9"}]
            read = await trmm.clients.get(client)
            assert (read.name, [site.name for site in read.sites]) == ("Renamed", ["First"])
            site = await trmm.sites.create(client=client, name=" Second ")
            assert (site.name, site.client and site.client.id) == ("Second", client.id)
            await trmm.sites.update(site, name="Third")
            assert (await trmm.sites.get(site)).name == "Third"
            assert {one.name for one in await trmm.sites.list(client=client)} == {"First", "Third"}
            assert site.id in {one.id for one in await trmm.sites.list()}
            await trmm.sites.delete(site)
            with pytest.raises(NotFoundError):
                await trmm.sites.get(site)
            with pytest.raises(BadRequestError, match="at least 1 site"):
                await trmm.sites.delete(read.sites[0])
            await trmm.clients.delete(client)
            with pytest.raises(NotFoundError):
                await trmm.clients.get(client)

    async def test_agents_are_moved_before_what_they_belong_to_goes(self) -> None:
        async with stock() as (server, trmm):
            agent = await trmm.agents.get(server.agent_ids[0])
            refuge = (await trmm.clients.create(name="Refuge", site="Camp")).sites[0]
            assert agent.client.id is not None
            with pytest.raises(BadRequestError, match="site specified"):
                await trmm.clients.delete(agent.client)
            await trmm.clients.delete(agent.client, move_to_site=refuge)
            assert (await trmm.agents.get(agent)).site.name == "Camp"
            other = await trmm.sites.create(client=(await trmm.agents.get(agent)).client, name="Other")
            await trmm.sites.delete(refuge, move_to_site=other)
            assert (await trmm.agents.get(agent)).site.name == "Other"

    async def test_agents_are_not_moved_to_what_goes(self) -> None:
        async with stock() as (server, trmm):
            client = (await trmm.clients.list())[0]
            server.reset_ledger()
            with pytest.raises(InvalidRequestError, match="one of the client"):
                await trmm.clients.delete(client, move_to_site=client.sites[0])
            with pytest.raises(InvalidRequestError, match="is the one that is to go"):
                await trmm.sites.delete(client.sites[0], move_to_site=client.sites[0].id)
            assert server.requests == []


class TestPolicies:
    async def test_are_read(self) -> None:
        async with stock() as (_, trmm):
            policy = (await trmm.policies.list())[0]
            assert policy.agents_count is not None
            assert (await trmm.policies.get(policy)).name == policy.name
            assert (await trmm.policies.related(policy)).agents == ()
            assert all(check.result_id is None for check in await trmm.policies.checks(policy))
            assert all(task.policy == policy.id for task in await trmm.policies.tasks(policy))
            await trmm.policies.delete(policy)
            assert policy.id not in [other.id for other in await trmm.policies.list()]
            for call in (
                trmm.policies.get(NOBODY),
                trmm.policies.related(NOBODY),
                trmm.policies.delete(NOBODY),
            ):
                with pytest.raises(NotFoundError):
                    await call


class TestSettings:
    async def test_custom_fields_are_made_changed_and_removed(self) -> None:
        async with stock() as (_, trmm):
            made = await trmm.custom_fields.create(
                name="Tags", model="agent", type="multiple", options=["a", "b"], default=["a"], required=True
            )
            assert (made.options, made.default, made.required) == (("a", "b"), ("a",), True)
            await trmm.custom_fields.update(made, name="Labels", default=["b"], hide_in_ui=True)
            (field,) = await trmm.custom_fields.list(model="agent")
            assert (field.name, field.default, field.hide_in_ui) == ("Labels", ("b",), True)
            assert await trmm.custom_fields.list(model="site") == []
            flag = await trmm.custom_fields.create(name="VIP", model="site", type="checkbox", default=True)
            assert flag.default is True
            await trmm.custom_fields.update(made, default=None)
            await trmm.custom_fields.update(flag.id, default=None)
            tags, flag = await trmm.custom_fields.list()
            assert (tags.default, flag.default) == ((), False)
            await trmm.custom_fields.delete(made)
            assert await trmm.custom_fields.list() == [flag]
            with pytest.raises(NotFoundError):
                await trmm.custom_fields.delete(made)

    async def test_keys_are_made_changed_and_removed(self) -> None:
        async with stock() as (_, trmm):
            made = await trmm.key_store.create(name="token", value="s3cr3t\n")
            assert made.value == "s3cr3t"
            await trmm.key_store.update(made, value="other")
            assert {key.id: key.value for key in await trmm.key_store.list()}[made.id] == "other"
            await trmm.key_store.delete(made)
            assert made.id not in {key.id for key in await trmm.key_store.list()}

    @pytest.mark.parametrize(
        ("path", "ask"),
        [
            ("/core/keystore/", lambda trmm: trmm.key_store.list()),
            ("/core/settings/", lambda trmm: trmm.core.settings()),
        ],
    )
    async def test_no_error_shows_an_answer_that_holds_secrets(self, path: str, ask: Any) -> None:
        async with stock() as (server, trmm):
            server.answer("GET", path, body=b'[{"id": 1, "value": "s3cr3t"}')
            with pytest.raises(DecodeError) as caught:
                await ask(trmm)
            shown = f"{caught.value} {caught.value!r} {caught.value.body}"
            assert ("s3cr3t" in shown, "not shown" in shown) == (False, True)

    async def test_the_server_tells_of_itself(self) -> None:
        async with stock() as (_, trmm):
            assert await trmm.core.version() == (await trmm.core.dashboard()).version == "1.5.1"
            settings = await trmm.core.settings()
            assert settings.default_time_zone
            assert "smtp_host_password" in settings.extra


async def fill(trmm: TRMM, count: int) -> None:
    """Have the audit log grow."""
    for number in range(count):
        await trmm.request("POST", "/scripts/", json={"name": f"s{number}"})


class TestTheAuditLog:
    async def test_is_read_to_its_end(self) -> None:
        async with stock() as (_, trmm):
            await fill(trmm, 70)
            async with trmm.audit_log.iter(page_size=20) as entries:
                found = [entry async for entry in entries]
            ids = [entry.id for entry in found]
            assert ids == sorted(set(ids), reverse=True)
            assert len(ids) >= 70
            assert found == await trmm.audit_log.list(limit=1000)
            assert found[:4] == await trmm.audit_log.list(limit=4)

    async def test_grows_while_it_is_read(self) -> None:
        async with stock() as (_, trmm):
            await fill(trmm, 70)
            before = [entry.id for entry in await trmm.audit_log.list(limit=1000)]
            seen = []
            async with trmm.audit_log.iter(page_size=20) as entries:
                async for entry in entries:
                    seen.append(entry.id)
                    if len(seen) % 3 == 0:
                        await fill(trmm, 1)
            assert seen == before

    async def test_is_filtered(self) -> None:
        async with stock() as (server, trmm):
            agent_id = server.agent_ids[0]
            await trmm.scripts.test(agent_id, shell="python", code="x", timeout=5)
            await trmm.scripts.create(name="s", shell="cmd", code="x")
            (entry,) = await trmm.audit_log.list(agent=agent_id)
            assert (entry.agent_id, entry.action) == (agent_id, "execute_script")
            assert entry.site is not None
            assert entry.username == server.username
            assert [one.object_type for one in await trmm.audit_log.list(object_type="script")] == ["script"]
            assert await trmm.audit_log.list(user=["nobody", "else"]) == []
            assert len(await trmm.audit_log.list(action=["execute_script", "add"], days=1)) >= 2

    async def test_is_entered_once_before_it_is_read(self) -> None:
        async with stock() as (_, trmm):
            stream = trmm.audit_log.iter()
            with pytest.raises(ClosedError, match="enter the stream first"):
                aiter(stream)
            async with stream:
                pass
            with pytest.raises(ClosedError, match="used already"):
                await stream.__aenter__()

    async def test_may_be_left_at_any_time(self) -> None:
        async with stock() as (server, trmm):
            await fill(trmm, 40)
            server.reset_ledger()
            async with trmm.audit_log.iter(page_size=20) as entries:
                async for _ in entries:
                    break
            assert methods(server) == ["PATCH"]

    @given(
        st.integers(0, 200),
        st.integers(20, 50),
        st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1), st.integers(0, 60)), max_size=15),
    )
    def test_what_stays_comes_once_whatever_comes_and_goes(
        self, count: int, size: int, changes: list[tuple[int, float, int]]
    ) -> None:
        there = list(range(count))
        log, gone, seen, reader, rest = there[::-1], set[int](), list[int](), Reader(size), list(changes)
        for _ in range(300):
            page = min(reader.page, max(1, -(-len(log) // reader.size)))
            rows = tuple(AuditEntry(id=row) for row in log[(page - 1) * reader.size : page * reader.size])
            seen += [entry.id for entry in reader.take(AuditPage(entries=rows, total=len(log)))]
            if reader.done:
                break
            added, where, removed = rest.pop(0) if rest else (0, 0.0, 0)
            start = int(where * len(log))
            gone |= set(log[start : start + removed])
            del log[start : start + removed]
            newest = max([*log, count, 1000])
            log = [newest + number for number in range(added, 0, -1)] + log
        assert reader.done
        assert seen == sorted(set(seen), reverse=True)
        assert set(there) - gone <= set(seen) <= set(there)

    def test_a_page_that_is_empty_after_all_is_no_end(self) -> None:
        # The server counts first and reads then: what is removed in between leaves a page empty.
        reader = Reader(20)
        reader.take(AuditPage(entries=tuple(AuditEntry(id=number) for number in range(40, 20, -1)), total=40))
        assert reader.take(AuditPage(total=40)) == []
        assert not reader.done
        while reader.page > 1:
            assert reader.take(AuditPage(total=40)) == []
        rest = tuple(AuditEntry(id=number) for number in range(20, 0, -1))
        assert reader.take(AuditPage(entries=rest, total=20)) == list(rest)
        assert reader.done

    def test_a_log_that_is_left_alone_is_read_with_little_to_spare(self) -> None:
        total, calls, reader = 20_000, 0, Reader(200)
        while not reader.done:
            first = (reader.page - 1) * reader.size
            ids = range(total - first, max(0, total - first - reader.size), -1)
            reader.take(AuditPage(entries=tuple(AuditEntry(id=number) for number in ids), total=total))
            calls += 1
        assert calls <= 1.1 * total / 200


BAD: list[Callable[[TRMM], Coroutine[Any, Any, Any]]] = [
    lambda trmm: trmm.alerts.snooze(1, days=0),
    lambda trmm: trmm.alerts.snooze(1, days=1.5),  # type: ignore[arg-type]
    lambda trmm: trmm.alerts.snooze(1, days=10**9),
    lambda trmm: trmm.alerts.snooze(["x"], days=1),  # type: ignore[list-item]
    lambda trmm: trmm.alerts.resolve("12"),  # type: ignore[arg-type]
    lambda trmm: trmm.alerts.list(severity="critical"),  # type: ignore[arg-type]
    lambda trmm: trmm.alerts.list(severity=[]),
    lambda trmm: trmm.alerts.list(client=[]),
    lambda trmm: trmm.alerts.list(days="7"),  # type: ignore[arg-type]
    lambda trmm: trmm.alerts.list(resolved=0),  # type: ignore[arg-type]
    lambda trmm: trmm.checks.history(Check(id=1, result_id=1), days="1"),  # type: ignore[arg-type]
    lambda trmm: trmm.checks.reset(),  # type: ignore[call-overload]
    lambda trmm: trmm.checks.reset(Check(id=1, result_id=1), agent=AGENT),  # type: ignore[call-overload]
    lambda trmm: trmm.tasks.update(1),
    lambda trmm: trmm.tasks.update(1, name=None),  # type: ignore[arg-type]
    lambda trmm: trmm.tasks.update(1, label="x"),  # type: ignore[call-arg]
    lambda trmm: trmm.tasks.update(1, enabled=1),  # type: ignore[arg-type]
    lambda trmm: trmm.scripts.create(name="", shell="cmd", code="x"),
    lambda trmm: trmm.scripts.create(name="x", shell="perl", code="x"),  # type: ignore[arg-type]
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="\0"),
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="\ud800"),
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code=b"x"),  # type: ignore[arg-type]
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="x", default_timeout=0),
    lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="x", supported_platforms=["beos"]),  # type: ignore[list-item]
    lambda trmm: trmm.scripts.update(1),
    lambda trmm: trmm.scripts.test("a" * 40, shell="cmd", code="x", timeout=301),
    lambda trmm: trmm.scripts.test("a" * 40, shell="cmd", code=""),
    lambda trmm: trmm.clients.update(1),
    lambda trmm: trmm.clients.update(1, custom_fields={}),
    lambda trmm: trmm.clients.update(1, custom_fields=None),  # type: ignore[arg-type]
    lambda trmm: trmm.clients.update(1, custom_fields={"x": "y"}),  # type: ignore[arg-type]
    lambda trmm: trmm.sites.create(client=1.5, name="y"),  # type: ignore[arg-type]
    lambda trmm: trmm.sites.update(1),
    lambda trmm: trmm.custom_fields.list(model="server"),  # type: ignore[arg-type]
    lambda trmm: trmm.custom_fields.create(name="x", model="agent", type="text", options=["a"]),
    lambda trmm: trmm.custom_fields.create(name="x", model="agent", type="checkbox", default="a"),
    lambda trmm: trmm.custom_fields.create(name="x", model="agent", default=True),
    lambda trmm: trmm.custom_fields.update(1),
    lambda trmm: trmm.key_store.create(name="x" * 26, value="v"),
    lambda trmm: trmm.key_store.create(name="x", value=" "),
    lambda trmm: trmm.key_store.update(1),
    lambda trmm: trmm.agents.event_log.list("a" * 40, days=10**12),
    lambda trmm: trmm.agents.processes.kill("a" * 40, 2**32),
    lambda trmm: trmm.audit_log.list(limit=0),
    lambda trmm: trmm.audit_log.list(agent="a" * 40, client=1),
    lambda trmm: trmm.audit_log.list(agent=[]),
    lambda trmm: trmm.audit_log.list(user=5),  # type: ignore[arg-type]
    lambda trmm: trmm.audit_log.list(days=1.5),  # type: ignore[arg-type]
    lambda trmm: trmm.audit_log.list(username="x"),  # type: ignore[call-arg]
]


async def test_bad_input_is_refused_before_anything_is_sent() -> None:
    async with stock() as (server, trmm):
        for place, bad in enumerate(BAD):
            with pytest.raises(InvalidRequestError) as caught:
                await bad(trmm)
            assert not isinstance(caught.value, BadRequestError), place
        with pytest.raises(InvalidRequestError, match="page_size"):
            trmm.audit_log.iter(page_size=19)
        assert server.requests == []


async def _enter_audit_log(trmm: TRMM) -> None:
    async with trmm.audit_log.iter():
        pass


AGENT = "a" * 40
ONLY_STOCK: dict[str, Callable[[TRMM], Coroutine[Any, Any, Any]]] = {
    "alerts.get": lambda trmm: trmm.alerts.get(1),
    "alerts.list": lambda trmm: trmm.alerts.list(resolved=False),
    "alerts.snooze": lambda trmm: trmm.alerts.snooze(1, days=1),
    "alerts.unsnooze": lambda trmm: trmm.alerts.unsnooze(1),
    "alerts.delete": lambda trmm: trmm.alerts.delete(1),
    "alerts.resolve with several": lambda trmm: trmm.alerts.resolve([1]),
    "alerts.snooze of several": lambda trmm: trmm.alerts.snooze([1], days=1),
    "checks.run": lambda trmm: trmm.checks.run(AGENT),
    "checks.reset": lambda trmm: trmm.checks.reset(Check(id=1, result_id=1)),
    "checks.reset of all": lambda trmm: trmm.checks.reset(agent=AGENT),
    "checks.history": lambda trmm: trmm.checks.history(Check(id=1, result_id=1)),
    "tasks.get": lambda trmm: trmm.tasks.get(1),
    "tasks.run": lambda trmm: trmm.tasks.run(1),
    "tasks.update": lambda trmm: trmm.tasks.update(1, enabled=True),
    "tasks.delete": lambda trmm: trmm.tasks.delete(1),
    "scripts.get": lambda trmm: trmm.scripts.get(1),
    "scripts.create": lambda trmm: trmm.scripts.create(name="x", shell="cmd", code="x"),
    "scripts.update": lambda trmm: trmm.scripts.update(1, favorite=True),
    "scripts.delete": lambda trmm: trmm.scripts.delete(1),
    "scripts.test": lambda trmm: trmm.scripts.test(AGENT, shell="cmd", code="x"),
    "clients.get": lambda trmm: trmm.clients.get(1),
    "clients.update": lambda trmm: trmm.clients.update(1, name="x"),
    "clients.delete": lambda trmm: trmm.clients.delete(1),
    "sites.list": lambda trmm: trmm.sites.list(),
    "sites.get": lambda trmm: trmm.sites.get(1),
    "sites.create": lambda trmm: trmm.sites.create(client=1, name="x"),
    "sites.update": lambda trmm: trmm.sites.update(1, name="x"),
    "sites.delete": lambda trmm: trmm.sites.delete(1),
    "policies.list": lambda trmm: trmm.policies.list(),
    "policies.get": lambda trmm: trmm.policies.get(1),
    "policies.delete": lambda trmm: trmm.policies.delete(1),
    "policies.related": lambda trmm: trmm.policies.related(1),
    "policies.checks": lambda trmm: trmm.policies.checks(1),
    "policies.tasks": lambda trmm: trmm.policies.tasks(1),
    "custom_fields.list": lambda trmm: trmm.custom_fields.list(),
    "custom_fields.create": lambda trmm: trmm.custom_fields.create(name="x", model="agent"),
    "custom_fields.update": lambda trmm: trmm.custom_fields.update(1, required=True),
    "custom_fields.delete": lambda trmm: trmm.custom_fields.delete(1),
    "key_store.list": lambda trmm: trmm.key_store.list(),
    "key_store.create": lambda trmm: trmm.key_store.create(name="x", value="v"),
    "key_store.update": lambda trmm: trmm.key_store.update(1, value="v"),
    "key_store.delete": lambda trmm: trmm.key_store.delete(1),
    "audit_log.iter": _enter_audit_log,
    "audit_log": lambda trmm: trmm.audit_log.list(),
    "core.version": lambda trmm: trmm.core.version(),
    "core.settings": lambda trmm: trmm.core.settings(),
    "core.dashboard": lambda trmm: trmm.core.dashboard(),
}


@pytest.mark.parametrize("feature", ONLY_STOCK)
async def test_a_gateway_has_none_of_it_and_is_not_asked(feature: str) -> None:
    async with Simulator(agents=0) as server, TRMM(server.url, api_key=server.api_key) as trmm:
        with pytest.raises(UnsupportedError, match=feature.partition(" of ")[0]):
            await ONLY_STOCK[feature](trmm)
        assert server.requests == []
