"""One odd value costs only itself: in every field of every kind of answer, and over real sockets."""

import asyncio
import importlib
import logging
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import example, given, settings
from hypothesis import strategies as st

import trmm_async.dialects
import trmm_async.resources
from tests.each import for_each
from tests.peer import Peer, always, answer, in_turn, peer
from tests.properties import many
from tests.servers import served
from trmm_async import (
    TRMM,
    AgentOnline,
    AlertEvent,
    DecodeError,
    Event,
    EventLogEntry,
    Installer,
    PendingAction,
    RegistryKey,
    RegistryValue,
    ScriptOutput,
    UnknownEvent,
    WindowsUpdate,
    models,
)
from trmm_async.codec import array_decoder, decoder, exact, http_date, shifted, utc
from trmm_async.dialects import gateway
from trmm_async.models import EXTRA

KEY = "SECRET-KEY-31337"
LATE = "2026-04-21T10:32:15"
AWARE = datetime(2026, 4, 21, 10, 32, 15, tzinfo=UTC)
ODD = [
    *("5", "-1", "0.5", "1e5", "1e999", "-0", "18446744073709551616", "9" * 400, "NaN", "-Infinity"),
    *("true", "false", "null", '""', '"x"', '"5"', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"None"'),
    *(
        "[]",
        "[null]",
        "[[]]",
        "[5]",
        '["x"]',
        "[{}]",
        "{}",
        '{"id":"x"}',
        '{"a":{"b":[1e999]}}',
        '[{"id":[]}]',
    ),
    *('"2026-04-21T10:32:15"', '"2026-13-01T00:00:00Z"', '"0000-00-00"', '{"id":5,"name":5,"percent":"x"}'),
]


NOT_READ = {
    gateway._Order,
    EventLogEntry,
    Installer,
    PendingAction,
    RegistryKey,
    RegistryValue,
    WindowsUpdate,
}
"""What is sent, or made of what was read."""


ROOMS = {"models", "dialects", "resources"}


def wire_types() -> Iterator[type[msgspec.Struct]]:
    rooms = [models]
    for folder in (trmm_async.dialects, trmm_async.resources):
        found = pkgutil.walk_packages(folder.__path__, f"{folder.__name__}.")
        rooms += [importlib.import_module(module.name) for module in found]
    seen = {
        kind
        for room in rooms
        for kind in vars(room).values()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and kind.__module__.split(".")[1] in ROOMS
    }
    for kind in sorted(seen, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}"):
        if kind.__struct_config__.tag is None and kind not in NOT_READ:
            yield kind


KINDS = list(wire_types())


def required(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The least that a row of this kind has."""
    made: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.required:
            nested = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
            value: Any = required(field.type) if nested else {int: 7, str: "x"}.get(field.type, [])
            made[field.encode_name] = value
    return made


FIELDS = [
    (kind, field)
    for kind in KINDS
    for field in msgspec.structs.fields(kind)
    if field.encode_name != EXTRA and not field.encode_name.startswith("trmm_async.")
]


def row_with(kind: type[msgspec.Struct], name: str, value: str) -> bytes:
    sent = {key: msgspec.Raw(msgspec.json.encode(each)) for key, each in required(kind).items()}
    return msgspec.json.encode({**sent, name: msgspec.Raw(value.encode())})


def check(kind: Any, field: Any, values: list[str]) -> None:
    good = msgspec.json.encode(required(kind))
    if field.required:
        for value in values:
            body = b"[" + good + b"," + row_with(kind, field.encode_name, value) + b"]"
            error = failure(kind, body)
            assert error is None or f"`$[1].{field.encode_name}" in error or "`$[1]`" in error
        return
    body = (
        b"[" + b",".join([good, *(row_with(kind, field.encode_name, value) for value in values), good]) + b"]"
    )
    first, *rows, last = decoder(list[kind])(body)
    assert first == last == decoder(kind)(good)
    assert len(rows) == len(values)
    for row, value in zip(rows, values, strict=True):
        changed = {field.name: getattr(row, field.name)}
        if "extra" in kind.__struct_fields__:
            changed["extra"] = row.extra
            assert (
                row.extra
                or value == "null"
                or changed[field.name] != getattr(first, field.name)
                or reads(field, value)
            )
        assert msgspec.structs.replace(first, **changed) == row
    array = array_decoder(kind, batch=200)
    streamed = [
        row
        for start in range(0, len(body), 300)
        for some in array.feed(body[start : start + 300])
        for row in some
    ]
    assert streamed + array.finish() == [first, *rows, last]


def failure(kind: Any, body: bytes) -> str | None:
    try:
        decoder(list[kind])(body)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def reads(field: Any, value: str) -> bool:
    try:
        msgspec.json.decode(value, type=field.type)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


@pytest.mark.parametrize(
    "kind",
    dict.fromkeys(kind for kind, _ in FIELDS),
    ids=lambda kind: f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}",
)
def test_no_odd_value_of_any_field_costs_more_than_itself(kind: type[msgspec.Struct]) -> None:
    for_each([field for of, field in FIELDS if of is kind], lambda field: check(kind, field, ODD))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from([LATE]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "percent"]), inner)
    ),
    max_leaves=5,
)


@given(st.sampled_from(FIELDS), JSON)
@settings(max_examples=many(200))
@example(FIELDS[0], {"id": {"id": None}})
def test_nor_does_any_value_at_all(where: tuple[type[msgspec.Struct], Any], value: object) -> None:
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        text = '"\\ud800"'
    check(*where, [text])


# --- what is kept of it


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: models.Moment | None = None
    size: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str = ""
    inner: Inner | None = None
    some: tuple[Inner, ...] = ()
    at: models.Moment | None = None
    extra: dict[str, Any] = models.no_extra()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"id":1,"name":["x"]}', Row(id=1, extra={"name": ["x"]})),
        (b'{"id":1,"inner":{"id":2,"size":"x"}}', Row(id=1, inner=Inner(id=2), extra={"inner.size": "x"})),
        (b'{"id":1,"inner":{"id":"2"}}', Row(id=1, extra={"inner": {"id": "2"}})),
        (
            b'{"id":1,"some":[{"id":2},{"id":3,"at":"soon"}]}',
            Row(id=1, some=(Inner(id=2), Inner(id=3)), extra={"some[1].at": "soon"}),
        ),
        (b'{"id":1,"some":[{"id":2},{}]}', Row(id=1, extra={"some": [{"id": 2}, {}]})),
        (b'{"id":1,"at":"2026-04-21T10:32:15"}', Row(id=1, at=AWARE)),
        (b'{"id":1,"some":[{"id":2,"at":"2026-04-21T10:32:15"}]}', Row(id=1, some=(Inner(id=2, at=AWARE),))),
        (b'{"id":1,"name":1e999}', Row(id=1, extra={"name": "1e999"})),
        (b'{"id":1,"inner":{"id":2,"size":NaN}}', Row(id=1, inner=Inner(id=2), extra={"inner.size": "NaN"})),
        (b'\xef\xbb\xbf{"id":1}', Row(id=1)),
        (b'{"id":1,"name":"a\\ud800b\\ud83d\\ude00\\\\ud800"}', Row(id=1, name="a�b😀\\ud800")),
        (b'{"id":1,"name":"a\xffb\xed\xa0\x80"}', Row(id=1, name="a�b���")),
        (b'{"id":1,"name":"NaN, \\"Infinity","inner":null}', Row(id=1, name='NaN, "Infinity')),
        (b'{"id":1,"trmm_async.extra":5}', Row(id=1)),
        (b'{"id":1,"extra":5}', Row(id=1, extra={"extra": 5})),
        (b'{"id":1,"extra":{"a":1e999}}', Row(id=1, extra={"extra": {"a": "1e999"}})),
        (b'{"id":1,"name":7,"extra":{}}', Row(id=1, extra={"name": 7, "extra": {}})),
        (b'{"id":1,"name":"extra"}', Row(id=1, name="extra")),
    ],
)
def test_the_value_is_kept_beside_the_fields(sent: bytes, expected: Row) -> None:
    assert decoder(Row)(sent) == expected
    assert decoder(list[Row])(b"[" + sent.removeprefix(b"\xef\xbb\xbf") + b"]") == [expected]


def test_one_line_in_the_log_says_how_many_and_where(caplog: pytest.LogCaptureFixture) -> None:
    rows = [b'{"id":1}'] * 50 + [b'{"id":1,"name":5,"at":"secret"}', b'{"id":2,"name":6}']
    array = array_decoder(Row, batch=10_000)
    with caplog.at_level(logging.WARNING, "trmm_async"):
        decoder(list[Row])(b"[" + b",".join(rows) + b"]")
        assert [record.name for record in caplog.records] == ["trmm_async.codec"]
        list(array.feed(b"[" + b",".join(rows[:-1])))
        list(array.feed(b"," + rows[-1] + b"]"))
        array.finish()
    said = "3 odd values in an answer are left out, the first: Expected `str`, got `int` - at `$[50].name`"
    assert caplog.messages == [said, said]


def test_nulls_are_not_odd_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert decoder(Row)(b'{"id":1,"name":null,"some":null,"at":"2026-04-21T10:32:15"}').extra == {}
    assert not caplog.records


def test_what_we_wrote_ourselves_is_not_forgiven() -> None:
    with pytest.raises(msgspec.ValidationError, match="name"):
        exact(Row, '{"id":1,"name":5}')
    with pytest.raises(msgspec.DecodeError):
        exact(Row, '{"id":1,"name":"\ud800"}')


def test_no_type_may_have_times_that_may_lack_a_zone() -> None:
    class Bad(msgspec.Struct):
        at: datetime | None = None

    with pytest.raises(TypeError, match="Moment"):
        decoder(list[Bad])(b"[]")


def test_a_header_s_time_without_a_zone_is_utc() -> None:
    assert http_date("Tue, 21 Apr 2026 10:32:15 -0000") == http_date("Tue, 21 Apr 2026 10:32:15 GMT") == AWARE
    assert http_date("soon") is None
    assert http_date("Tue, 21 Apr 99999 10:32:15 GMT") is None


# --- over a socket

AGENTS = (
    b'[{"agent_id":"a","hostname":"A","total_ram":16.0},'
    b'{"agent_id":"b","hostname":"B","total_ram":"much","last_seen":"2026-04-21T10:32:15","disks":[{"percent":"x"}]},'
    b'{"agent_id":"c","hostname":null,"total_ram":8.0}]'
)


def client_of(server: Peer, **settings: Any) -> TRMM:
    return TRMM(
        server.url,
        api_key=KEY,
        **{"dialect": "gateway", "rate_limit": None, "retries": 0, "timeout": 5.0, **settings},
    )


@pytest.mark.parametrize("dialect", ["gateway", "stock"])
async def test_a_list_with_an_odd_value_is_a_list(dialect: str) -> None:
    clients = [answer(b"[]")] if dialect == "stock" else []
    async with peer(in_turn(*clients, answer(AGENTS), *clients, answer(AGENTS))) as server:
        async with client_of(server, dialect=dialect) as trmm:
            listed = await trmm.agents.list()
            async with trmm.agents.iter() as stream:
                streamed = [agent async for agent in stream]
    assert listed == streamed
    assert [agent.agent_id for agent in listed] == ["a", "b", "c"]
    assert listed[1].last_seen == AWARE
    if dialect == "gateway":
        assert [agent.total_ram for agent in listed] == [16.0, None, 8.0]
        assert listed[1].extra == {"total_ram": "much", "disks[0].percent": "x"}
    assert [agent.extra for agent in (listed[0], listed[2])] == [{}, {}]


async def test_of_a_stock_server_it_is_kept_too() -> None:
    agent = b'{"agent_id":"a","status":7,"disks":"none","wmi_detail":{"x":1},"checks":{"total":"many"}}'
    async with peer(in_turn(answer(b"[]"), answer(b"[" + agent + b"]"), answer(agent))) as server:
        async with client_of(server, dialect="stock") as trmm:
            (listed,) = await trmm.agents.list()
            got = await trmm.agents.get("a" * 40)
    assert (listed.status, listed.checks, dict(listed.extra)) == (
        "unknown",
        models.CheckCounts(),
        {"status": 7, "checks.total": "many"},
    )
    assert dict(got.extra) == {"status": 7, "checks.total": "many", "disks": "none", "wmi_detail": {"x": 1}}


@pytest.mark.parametrize("odd", [b'{"agent_id":5}', b"{}", b"null", b'{"agent_id":["b"],"total_ram":"x"}'])
async def test_a_row_without_an_id_is_an_error_that_names_its_place(odd: bytes) -> None:
    body = b'[{"agent_id":"a"},' + odd + b"]"
    async with peer(always(answer(body))) as server, client_of(server, dialect="gateway") as trmm:
        with pytest.raises(DecodeError, match=r"`\$\[1\]") as caught:
            await trmm.agents.list()
        assert (caught.value.status, caught.value.path) == (200, "/api/v3/agents/")
        with pytest.raises(DecodeError, match=r"`\$\[1\]"):
            async with trmm.agents.iter() as stream:
                _ = [agent async for agent in stream]


@pytest.mark.parametrize(
    ("sent", "stdout"),
    [
        (b'{"retcode":0,"stdout":"a\\ud800b"}', "a�b"),
        (b'\xef\xbb\xbf{"retcode":0,"stdout":"ab"}', "ab"),
        (b'{"retcode":0,"stdout":"a\xffb"}', "a�b"),
        (b'{"retcode":0,"stdout":"ab","execution_time":{}}', "ab"),
        (b'{"retcode":0,"stdout":"ab","execution_time":NaN}', "ab"),
    ],
)
async def test_odd_bytes_in_a_script_s_answer_are_a_result(sent: bytes, stdout: str) -> None:
    async with peer(always(answer(sent))) as server, client_of(server, dialect="gateway") as trmm:
        result = await trmm.agents.run_script("a", script=1)
    assert (result.retcode, result.stdout) == (0, stdout)
    assert len(server.requests) == 1


async def test_a_script_s_odd_return_code_is_none_and_kept() -> None:
    reply = answer(b'{"retcode":"zero","stdout":"ab"}')
    async with peer(always(reply)) as server, client_of(server, dialect="gateway") as trmm:
        result = await trmm.agents.run_script("a", script=1)
    assert (result.retcode, result.ok, dict(result.extra)) == (None, False, {"retcode": "zero"})


FRAMES: list[tuple[str, Event]] = [
    ('{"action":"agent.online","data":{"time":"yesterday"}}', AgentOnline(agent_id="a")),
    (
        '{"action":"agent.online","data":{"agent_id":5,"time":"2026-04-21T10:32:15"}}',
        AgentOnline(agent_id="a", time=AWARE),
    ),
    (
        '{"action":"alert","data":{"id":5,"agent":"a","snoozed":"no","created_at":"2026-04-21T10:32:15"}}',
        AlertEvent(
            agent_id="a",
            alert=models.Alert(id=5, agent_id="a", created_at=AWARE, extra=models.Extra(snoozed="no")),
        ),
    ),
    (
        '{"action":"script.output","data":{"cmd_id":5,"output":"x\\ud800","done":true,"exit_code":"0"}}',
        ScriptOutput(agent_id="a", output="x�", done=True),
    ),
]
TOLD_AS_THEY_CAME = [
    '{"action":"script.output","data":{"cmd_id":"c","output":5}}',
    '{"action":"script.output","data":{"cmd_id":"c","output":"x","done":"yes"}}',
    '{"action":"alert","data":{"id":"five"}}',
    '{"action":"alert","data":[]}',
]


async def test_odd_values_in_frames() -> None:
    async def socket(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        for frame, _ in FRAMES:
            await ws.send_str(frame)
        for frame in TOLD_AS_THEY_CAME:
            await ws.send_str(frame)
        async for _ in ws:
            pass
        return ws

    async def rest(request: web.Request) -> web.Response:
        return web.json_response([] if "alerts" in request.path else {"agent_id": "a"})

    app = web.Application()
    app.router.add_get("/trmm/{agent}/", socket)
    app.router.add_get("/{rest:.*}", rest)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    seen: list[Event] = []
    try:
        async with TRMM(
            f"http://127.0.0.1:{runner.addresses[0][1]}", api_key=KEY, dialect="gateway", rate_limit=None
        ) as trmm:
            async with asyncio.timeout(10), trmm.events("a") as events:
                async for event in events:
                    seen.append(event)
                    if len(seen) == len(FRAMES) + len(TOLD_AS_THEY_CAME):
                        break
    finally:
        await runner.cleanup()
    assert seen[: len(FRAMES)] == [event for _, event in FRAMES]
    assert [event.raw.decode() for event in seen if isinstance(event, UnknownEvent)] == TOLD_AS_THEY_CAME


# What servers usually tell is not odd, and the ends of the calendar are times too.


@pytest.mark.parametrize("dialect", ["gateway", "stock"])
async def test_what_a_server_usually_tells_is_not_odd(dialect: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with served(dialect, agents=2) as (server, trmm):
        agents = await trmm.agents.list()
        agent = await trmm.agents.get(agents[0])
        clients = await trmm.clients.list()
        sites = await trmm.clients.sites(clients[0])
        for noun in (trmm.scripts, trmm.checks, trmm.tasks, trmm.alerts, trmm.deployments):
            await noun.list()
    booted = next(one.boot_time for one in server.agents if one.agent_id == agent.agent_id)
    assert agent.boot_time is not None
    assert abs(agent.boot_time.timestamp() - booted) < 1
    assert list(clients[0].sites) == sites
    assert "client" not in sites[0].extra
    assert [record.message for record in caplog.records if record.name == "trmm_async.codec"] == []


EARLIEST, LATEST = (end.replace(tzinfo=UTC) for end in (datetime.min, datetime.max))  # noqa: DTZ901
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))


@given(moment=st.datetimes(timezones=zones), by=st.timedeltas())
@example(moment=LATEST.replace(tzinfo=timezone(timedelta(hours=-12))), by=timedelta(minutes=1))
@example(moment=EARLIEST.replace(tzinfo=timezone(timedelta(hours=14))), by=timedelta(minutes=-1))
def test_times_are_shifted_up_to_the_ends_of_the_calendar(moment: datetime, by: timedelta) -> None:
    try:
        right = moment + by
    except OverflowError:
        right = min(moment, EARLIEST) if by < timedelta() else max(moment, LATEST)
    assert shifted(moment, by) == right
    assert utc(moment).utcoffset() == timedelta()
    assert utc(moment) == min(max(moment, EARLIEST), LATEST)
