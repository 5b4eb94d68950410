"""`trmm.audit_log`, over real HTTP, and its reader by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges import WINDOWS, Case, answer_of
from tests.servers import stock
from trmm_async import (
    TRMM,
    AuditEntry,
    ClosedError,
)
from trmm_async.models import (
    ClientRef,
    SiteRef,
)
from trmm_async.resources.stock import audit_log
from trmm_async.resources.stock.audit_log import AuditPage, Reader
from trmm_async.testing import Simulator

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


def methods(server: Simulator) -> list[str]:
    return [request.method for request in server.requests]


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


PAGES = {"sortBy": "id", "descending": True, "rowsPerPage": 5, "rowsNumber": 0}


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
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
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


class TestAnswers:
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
