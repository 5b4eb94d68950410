"""Faults, and what is written down about them."""

from __future__ import annotations

import asyncio
import gzip
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import aiohttp
import pytest

from tests.clock import skip
from trmm_async.testing import Run, ScriptReply, Simulator

from .kit import Http, eventually

if TYPE_CHECKING:
    from .kit import Clock

SCRIPTS = "/api/v3/scripts/"
CUTS: tuple[Literal["answer", "body", "reset"], ...] = ("answer", "body", "reset")


def count(server: Simulator) -> int:
    return server.limits.used(server.api_key)


# -- fail ----------------------------------------------------------------------------------------------------


async def test_a_failure_before_has_no_effect_and_does_not_count(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    rule = server.fail("POST", "/runscript/", status=502)
    answer = await http.run(who)
    assert answer.status == 502
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<h1>502 Bad Gateway</h1>" in answer.body
    assert (server.runs, count(server), rule.hits) == ([], 0, 1)
    assert (await http.run(who)).status == 200
    assert [row.status for row in server.requests] == [502, 200]


async def test_a_failure_after_has_had_its_effect_and_counts(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    number = server.raise_alert(who)
    server.fail("POST", "/runscript/", status=502, after=True)
    server.fail("POST", "/resolve/", status=500, after=True)
    assert (await http.run(who)).status == 502
    answer = await http("POST", f"/api/v3/alerts/{number}/resolve/")
    assert (answer.status, answer.json) == (500, {"detail": "server error"})
    assert [run.retcode for run in server.runs_of(who)] == [0]
    assert server.world.alerts[number].resolved
    assert count(server) == 2


async def test_a_refused_call_had_no_effect_so_no_failure_after_it(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    rule = server.fail("POST", "/runscript/", status=502, after=True)
    assert (await http.run("nobody")).status == 404
    assert (await http.run(who, script=99)).status == 404
    assert (await http.run(who, timeout=301)).status == 400
    assert rule.hits == 0
    assert (await http.run(who)).status == 502
    assert (rule.hits, len(server.runs)) == (1, 1)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (400, "validation error"),
        (401, "Invalid token"),
        (403, "permission denied"),
        (404, "Not found"),
        (429, "rate limited"),
        (500, "server error"),
        (418, "I'm a Teapot"),
    ],
)
async def test_a_failure_speaks_as_the_server_does(
    status: int, detail: str, server: Simulator, http: Http
) -> None:
    server.fail("GET", SCRIPTS, status=status)
    answer = await http.get(SCRIPTS)
    assert (answer.status, answer.json) == (status, {"detail": detail})


@pytest.mark.parametrize("status", [502, 503, 504, 520])
async def test_a_proxy_speaks_html(status: int, server: Simulator, http: Http) -> None:
    server.fail("GET", SCRIPTS, status=status, html=True)
    answer = await http.get(SCRIPTS)
    assert answer.status == status
    assert b"<center>nginx</center>" in answer.body
    server.fail("GET", SCRIPTS, status=status, html=False)
    assert "detail" in (await http.get(SCRIPTS)).fields


async def test_django_has_a_page_of_its_own(server: Simulator, http: Http) -> None:
    server.fail("GET", SCRIPTS, html=True)
    assert b"<title>Server Error (500)</title>" in (await http.get(SCRIPTS)).body


@pytest.mark.parametrize(
    ("body", "html", "sent"),
    [
        (b"\xff\x00", False, b"\xff\x00"),
        ("oops", True, b"oops"),
        ({"name": ["bad"]}, None, b'{"name": ["bad"]}'),
    ],
)
async def test_a_failure_can_have_a_body_of_its_own(
    body: bytes | str | dict[str, object], html: bool | None, sent: bytes, server: Simulator, http: Http
) -> None:
    server.fail("GET", SCRIPTS, status=400, body=body, html=html, headers={"X-Extra": "1"})
    answer = await http.get(SCRIPTS)
    assert (answer.status, answer.body, answer.headers["X-Extra"]) == (400, sent, "1")
    assert answer.headers["Content-Type"] == ("text/html; charset=utf-8" if html else "application/json")


@pytest.mark.parametrize(
    ("value", "header"),
    [
        (3, "3"),
        (0.5, "0.5"),
        ("soon", "soon"),
        (datetime(2026, 4, 21, 10, 32, 15, tzinfo=UTC), "Tue, 21 Apr 2026 10:32:15 GMT"),
    ],
)
async def test_retry_after_in_seconds_or_as_a_date(
    value: float | str | datetime, header: str, server: Simulator, http: Http
) -> None:
    server.fail("GET", SCRIPTS, status=503, retry_after=value)
    assert (await http.get(SCRIPTS)).headers["Retry-After"] == header


async def test_rules_queue_up_and_can_be_taken_back(server: Simulator, http: Http) -> None:
    server.fail("GET", SCRIPTS, status=500)
    server.fail("GET", SCRIPTS, status=503, times=2)
    assert [(await http.get(SCRIPTS)).status for _ in range(4)] == [500, 503, 503, 200]
    with server.fail("*", "/api/*/scripts/", times=None) as forever:
        assert [(await http.get(SCRIPTS)).status for _ in range(3)] == [500] * 3
        assert (await http.get("/api/v3/clients/")).status == 200
    assert forever.hits == 3
    assert (await http.get(SCRIPTS)).status == 200
    server.fail("GET", SCRIPTS, times=None)
    server.clear_faults()
    assert (await http.get(SCRIPTS)).status == 200


async def test_answer_sends_any_bytes(server: Simulator, http: Http) -> None:
    server.answer("GET", SCRIPTS, body=b"[{", content_type="application/json")
    server.answer("POST", "/runscript/", status=200, body="<html>", content_type="text/plain", after=True)
    assert (await http.get(SCRIPTS)).body == b"[{"
    answer = await http.run(server.agent_ids[0])
    assert (answer.body, answer.headers["Content-Type"]) == (b"<html>", "text/plain")
    assert len(server.runs) == 1


# -- cut -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", CUTS)
@pytest.mark.parametrize("after", [True, False])
async def test_a_cut_connection_leaves_the_answer_unknown(
    at: Literal["answer", "body", "reset"], after: bool, server: Simulator, http: Http
) -> None:
    server.cut("POST", "/runscript/", at=at, after=after)
    with pytest.raises(aiohttp.ClientError) as error:
        await http.run(server.agent_ids[0])
    kind = {
        "answer": aiohttp.ServerDisconnectedError,
        "body": aiohttp.ClientPayloadError,
        "reset": aiohttp.ClientOSError,
    }
    assert isinstance(error.value, kind[at])
    assert len(server.runs) == count(server) == int(after)
    assert server.requests[-1].status == (200 if at == "body" else None)
    assert (await http.run(server.agent_ids[0])).status == 200


@pytest.mark.parametrize(
    ("path", "words"),
    [(SCRIPTS, "TransferEncodingError"), ("/api/v3/agents/{}/", "ContentLengthError")],
)
async def test_a_body_is_torn_in_chunks_or_against_its_length(
    path: str, words: str, server: Simulator, http: Http
) -> None:
    server.cut("GET", "/api/v3/", at="body")
    with pytest.raises(aiohttp.ClientPayloadError, match=words):
        await http.get(path.format(server.agent_ids[0]))


async def test_an_answer_without_a_body_can_be_torn_too(server: Simulator, http: Http) -> None:
    who = server.agent_ids[0]
    server.cut("DELETE", who, at="body")
    with pytest.raises(aiohttp.ClientPayloadError):
        await http("DELETE", f"/api/v3/agents/{who}/")
    assert who not in server.agent_ids


async def test_a_reset_is_seen_as_one(server: Simulator) -> None:
    server.cut("GET", SCRIPTS, at="reset")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(f"GET {SCRIPTS} HTTP/1.1\r\nHost: x\r\nX-API-KEY: {server.api_key}\r\n\r\n".encode())
    with pytest.raises(ConnectionResetError):
        async with asyncio.timeout(30):
            await reader.read()
    writer.close()


# -- slow and latency ----------------------------------------------------------------------------------------


async def test_a_slow_call_takes_its_effect_first_or_last(server: Simulator, http: Http) -> None:
    for after in (True, False):
        server.reset_ledger()
        server.slow("POST", "/runscript/", 0.2, after=after)
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(http.run(server.agent_ids[0]))
            await eventually(lambda: server.requests and server.in_flight)
            await eventually(lambda: len(server.runs) == int(after))  # noqa: B023 - awaited right here
            assert not call.done()
        assert len(server.runs) == 1


async def test_a_slow_call_can_fail_besides(server: Simulator, http: Http) -> None:
    server.slow("GET", SCRIPTS, 0.1, after=False)
    server.fail("GET", SCRIPTS, status=503)
    started = asyncio.get_running_loop().time()
    assert (await http.get(SCRIPTS)).status == 503
    assert asyncio.get_running_loop().time() - started > 0.09


@pytest.mark.parametrize("latency", [0.1, (0.1, 0.2)])
async def test_half_of_the_latency_passes_before_a_request_counts(
    latency: float | tuple[float, float], session: aiohttp.ClientSession
) -> None:
    async with Simulator(agents=1, latency=latency) as server, asyncio.TaskGroup() as tasks:
        started = asyncio.get_running_loop().time()
        call = tasks.create_task(Http(server, session).get(SCRIPTS))
        await eventually(lambda: server.requests)
        assert count(server) == 0
        await eventually(lambda: count(server))
        assert not call.done()
        await call
        assert asyncio.get_running_loop().time() - started > 0.09


# -- the wire ------------------------------------------------------------------------------------------------


async def test_answers_are_zipped_for_those_who_accept_it(session: aiohttp.ClientSession) -> None:
    async with (
        Simulator(agents=20, compress=True) as server,
        aiohttp.ClientSession(auto_decompress=False) as raw,
    ):
        http = Http(server, raw)
        zipped = await http("GET", SCRIPTS, headers={"Accept-Encoding": "gzip, deflate"})
        assert zipped.headers["Content-Encoding"] == "gzip"
        plain = await http("GET", SCRIPTS, headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert gzip.decompress(zipped.body) == plain.body
        short = await http("GET", "/api/v3/alerts/", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in short.headers
        assert len((await Http(server, session).get(SCRIPTS)).items) == 6


async def test_answers_are_not_zipped_unless_it_is_wanted(server: Simulator) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as raw:
        answer = await Http(server, raw)("GET", SCRIPTS, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("prefix", ["/rmm", "rmm/", "/a/b"])
async def test_it_can_be_mounted_under_a_prefix(
    prefix: str, session: aiohttp.ClientSession, clock: Clock
) -> None:
    async with Simulator(agents=1, prefix=prefix, clock=clock) as server:
        http = Http(server, session)
        assert server.url.endswith(f"/{prefix.strip('/')}")
        assert (await http.get(SCRIPTS)).status == 200
        body = {"client": 34, "site": 41, "expires": "2026-04-22T10:00:00Z", "arch": "amd64"}
        made = await http("POST", "/api/v3/agents/deployments/", body)
        assert str(made.fields["download_url"]).startswith(server.url)
        outside = server.url.removesuffix(f"/{prefix.strip('/')}")
        async with session.get(outside + SCRIPTS, headers={"X-API-KEY": server.api_key}) as response:
            assert response.status == 404
        async with session.get(f"{server.url}x{SCRIPTS}") as response:
            assert response.status == 404


async def test_requests_are_written_down(server: Simulator, http: Http, clock: Clock) -> None:
    await http("POST", "/api/v3/clients/?x=1", {"name": "New"}, headers={"User-Agent": "mine/1.0"})
    (row,) = server.requests
    assert (row.method, row.path, row.query, row.body) == (
        "POST",
        "/api/v3/clients/",
        {"x": "1"},
        b'{"name": "New"}',
    )
    assert (row.status, row.at, row.key_ok, row.refused) == (201, clock.now, True, False)
    assert row.headers["user-agent"] == "mine/1.0"
    assert row.headers["x-api-key"] == "***"
    assert server.api_key not in repr(row)


async def test_a_client_that_went_away_has_no_status_but_its_script_ran(
    server: Simulator, http: Http
) -> None:
    who = server.agent_ids[0]
    server.script(1, seconds=20)
    call = asyncio.ensure_future(http.run(who))
    await eventually(lambda: server.runs)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    # What hung up before this was asked is seen before this is answered.
    await http.get("/api/v3/scripts/")
    skip(20)
    await eventually(lambda: [run.finished for run in server.runs] != [None])
    assert server.runs[0].retcode == 0
    assert server.requests[0].status is None


async def test_a_client_that_goes_away_in_mid_upload_is_no_accident(
    server: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(b"POST /api/v3/clients/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await eventually(lambda: server.requests)
    writer.close()
    assert server.in_flight == 1
    await eventually(lambda: server.in_flight == 0)
    assert server.requests[0].status is None
    assert not caplog.records


async def test_a_body_too_large_is_413(server: Simulator, session: aiohttp.ClientSession) -> None:
    body = io.BytesIO(b"x" * (2**20 + 1))
    async with session.post(f"{server.url}/api/v3/clients/", data=body) as response:
        assert response.status == server.requests[0].status == 413


async def test_a_handler_that_raises_is_a_logged_500(
    server: Simulator, http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_run: Run) -> ScriptReply:
        raise ZeroDivisionError("mine")

    server.script(1, handler=broken)
    answer = await http.run(server.agent_ids[0])
    assert answer.status == 500
    assert b"Server Error (500)" in answer.body
    assert "ZeroDivisionError: mine" in caplog.text
    assert server.runs == []


async def test_requests_in_flight_and_connections_are_counted(server: Simulator, http: Http) -> None:
    server.script(1, seconds=0.05)
    async with asyncio.TaskGroup() as tasks:
        for who in server.agent_ids:
            tasks.create_task(http.run(who))
    assert (server.max_in_flight, server.connections) == (6, 6)
    server.reset_ledger()
    for _ in range(3):
        await http.get(SCRIPTS)
    assert (server.max_in_flight, server.connections) == (1, 0)
    assert len(server.requests) == 3
