"""The gateway's language: each row of its contract as a call, and each of its shapes as a noun."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trmm_async.calls import Call, Lane, Replay
from trmm_async.dialects import AgentFilter, DeploymentOrder, Gateway, ScriptRun, TaskOrder
from trmm_async.events import AgentOffline, AgentOnline, AlertEvent, ScriptOutput, UnknownEvent
from trmm_async.kinds import Task
from trmm_async.limits import RateLimit
from trmm_async.models import Alert, Check, Client, Deployment, Script, ScriptResult, Site

GATEWAY = Gateway()
AGENT = """{"agent_id": "abc-uuid", "hostname": "JADE-PC",
 "client": {"id": 34, "name": "Hermes Network Inc."}, "site": {"id": 41, "name": "Jakarta Office"},
 "plat": "windows", "operating_system": "Microsoft Windows 11 Pro", "version": "2.5.0",
 "last_seen": "2026-04-21T10:32:15Z", "status": "online", "logged_in_username": "jerem",
 "public_ip": "203.0.113.42", "local_ip": "192.168.1.50", "cpu_model": "Intel(R) Core(TM) i7-12700H",
 "total_ram": 16.0, "disks": [{"device": "C:", "free": "120.5 GB", "total": "476.9 GB", "percent": 75}]}"""
ALERT = """{"id": 5001, "alert_type": "check", "agent": "abc-uuid", "severity": "warning",
 "message": "C: drive 90% used", "created_at": "2026-04-21T08:15:00Z", "snoozed": false, "resolved": false}"""
RUN = ScriptRun(script=1, args=("arg1", "arg2"), timeout=90)
ORDER = DeploymentOrder(client=34, site=41, expires=datetime(2026, 4, 22, 10, tzinfo=UTC), arch="amd64")
TASK = TaskOrder(name="Weekly disk cleanup", agent="abc-uuid", script=3, schedule="0 3 * * 0")

ROWS: list[tuple[Call[object], str, str, Replay]] = [
    (GATEWAY.list_agents(AgentFilter()), "GET", "agents/", Replay.SAFE),
    (GATEWAY.iter_agents(AgentFilter()).call, "GET", "agents/", Replay.SAFE),
    (GATEWAY.get_agent("abc"), "GET", "agents/abc/", Replay.SAFE),
    (GATEWAY.delete_agent("abc"), "DELETE", "agents/abc/", Replay.IDEMPOTENT),
    (GATEWAY.run_script("abc", RUN), "POST", "agents/abc/runscript/", Replay.NEVER),
    (GATEWAY.create_deployment(ORDER), "POST", "agents/deployments/", Replay.NEVER),
    (GATEWAY.list_deployments(), "GET", "agents/deployments/", Replay.SAFE),
    (GATEWAY.delete_deployment(7), "DELETE", "agents/deployments/7/", Replay.IDEMPOTENT),
    (GATEWAY.list_clients(), "GET", "clients/", Replay.SAFE),
    (GATEWAY.create_client("x"), "POST", "clients/", Replay.NEVER),
    (GATEWAY.list_sites(34), "GET", "clients/34/sites/", Replay.SAFE),
    (GATEWAY.list_scripts(), "GET", "scripts/", Replay.SAFE),
    (GATEWAY.list_tasks(), "GET", "tasks/", Replay.SAFE),
    (GATEWAY.create_task(TASK), "POST", "tasks/", Replay.NEVER),
    (GATEWAY.list_alerts(), "GET", "alerts/", Replay.SAFE),
    (GATEWAY.acknowledge_alert(5), "POST", "alerts/5/acknowledge/", Replay.IDEMPOTENT),
    (GATEWAY.resolve_alert(5), "POST", "alerts/5/resolve/", Replay.IDEMPOTENT),
]


@pytest.mark.parametrize(("call", "method", "path", "replay"), ROWS, ids=lambda value: str(value)[:40])
def test_every_row_of_the_contract(call: Call[object], method: str, path: str, replay: Replay) -> None:
    assert (call.method, call.path, call.replay) == (method, f"/api/v3/{path}", replay)
    assert call.lanes == ((Lane.DEPLOYMENTS,) if path == "agents/deployments/" and method == "POST" else ())
    assert call.gone_is_done is (method == "DELETE")


def body(call: Call[object]) -> object:
    return json.loads(call.body or b"null")


def test_bodies_are_the_contracts() -> None:
    assert body(GATEWAY.run_script("abc", RUN)) == {
        "script": 1, "output": "wait", "args": ["arg1", "arg2"], "timeout": 90,
    }  # fmt: skip
    assert body(GATEWAY.create_deployment(ORDER)) == {
        "client": 34, "site": 41, "expires": "2026-04-22T10:00:00Z", "arch": "amd64", "install_flags": "",
    }  # fmt: skip
    assert body(GATEWAY.create_task(TASK)) == {
        "name": "Weekly disk cleanup", "agent": "abc-uuid", "script": 3, "schedule": "0 3 * * 0",
        "enabled": True,
    }  # fmt: skip
    assert body(GATEWAY.create_client("New")) == {"name": "New"}


def test_a_run_that_is_streamed_carries_its_id() -> None:
    assert body(GATEWAY.run_script("a", ScriptRun(script=1, cmd_id="x"))) == {
        "script": 1, "output": "wait", "args": [], "timeout": 90, "cmd_id": "x",
    }  # fmt: skip


def test_only_a_run_that_is_waited_for_has_time_on_top() -> None:
    assert GATEWAY.run_script("a", RUN).answers_within == 90
    forgotten = GATEWAY.run_script("a", ScriptRun(script=1, output="forget"))
    assert forgotten.answers_within is None
    assert forgotten.decode(b"whatever") is None


def test_filters_stand_in_the_query() -> None:
    which = AgentFilter(hostname="A", client=1, site=2, monitoring_type="server")
    expected = {"hostname": "A", "client": "1", "site": "2", "monitoring_type": "server"}
    assert GATEWAY.list_agents(which).query == expected
    assert GATEWAY.list_checks("a b").query == {"agent": "a b"}
    assert GATEWAY.list_agents(AgentFilter()).query == {}


def test_expiry_is_sent_in_utc() -> None:
    there = datetime(2026, 4, 22, 12, 0, 0, 999, tzinfo=timezone(timedelta(hours=2)))
    order = DeploymentOrder(client=1, site=1, expires=there, arch="amd64")
    assert '"expires":"2026-04-22T10:00:00Z"' in (GATEWAY.create_deployment(order).body or b"").decode()


def test_an_agent_reads() -> None:
    agent = GATEWAY.get_agent("abc").decode(AGENT.encode())
    assert (agent.agent_id, agent.client.id, agent.client.name) == ("abc-uuid", 34, "Hermes Network Inc.")
    assert (agent.site.name, agent.total_ram, agent.disks[0].percent) == ("Jakarta Office", 16.0, 75)
    assert agent.last_seen == datetime(2026, 4, 21, 10, 32, 15, tzinfo=UTC)
    assert dict(agent.extra) == {}
    assert GATEWAY.list_agents(AgentFilter()).decode(f"[{AGENT}]".encode()) == [agent]


@given(st.sets(st.sampled_from(sorted(json.loads(AGENT))[1:])), st.booleans())
def test_all_but_the_id_may_be_null_or_absent(names: set[str], absent: bool) -> None:
    sent = json.loads(AGENT)
    for name in names - {"agent_id"}:
        if absent:
            del sent[name]
        else:
            sent[name] = None
    agent = GATEWAY.get_agent("a").decode(
        json.dumps(sent | {"new_field": {"a": 1}, "status": "hibernating"}).encode()
    )
    assert agent.agent_id == "abc-uuid"
    assert agent.status == "hibernating"
    assert isinstance(agent.disks, tuple)
    assert dict(agent.extra) == {"new_field": {"a": 1}}


def test_a_result_reads_its_time_from_text() -> None:
    decode = GATEWAY.run_script("a", RUN).decode
    result = decode(b'{"execution_time": "2.45", "retcode": 0, "stdout": "x\\n", "stderr": ""}')
    assert result is not None
    assert (result.execution_time, result.ok, result.stdout) == (2.45, True, "x\n")
    for odd, seconds in (('"soon"', None), ("null", None), ("3", 3.0)):
        result = decode(f'{{"execution_time": {odd}, "retcode": null, "stdout": null}}'.encode())
        assert result is not None
        assert (result.execution_time, result.retcode, result.ok, result.stdout) == (seconds, None, False, "")


EXAMPLES: dict[str, tuple[Call[Any], str, Any]] = {
    "run": (
        GATEWAY.run_script("a", RUN),
        r"""{"execution_time": "2.45", "retcode": 0, "stdout": "Disk C: 75% used\n", "stderr": ""}""",
        ScriptResult(execution_time=2.45, retcode=0, stdout="Disk C: 75% used\n", stderr=""),
    ),
    "deployment": (
        GATEWAY.create_deployment(ORDER),
        """{"id": 123, "uuid": "abc-uuid", "client": 34, "site": 41, "expiry": "2026-04-22T10:00:00Z",
        "install_flags": "", "download_url": "https://host/api/v3/agents/deployments/abc-uuid/download/"}""",
        Deployment(
            id=123,
            uuid="abc-uuid",
            client=34,
            site=41,
            expiry=datetime(2026, 4, 22, 10, tzinfo=UTC),
            install_flags="",
            download_url="https://host/api/v3/agents/deployments/abc-uuid/download/",
        ),
    ),
    "clients": (
        GATEWAY.list_clients(),
        '[{"id": 34, "name": "Hermes Network Inc.", "sites": [{"id": 41, "name": "Jakarta Office"}]}]',
        [Client(id=34, name="Hermes Network Inc.", sites=(Site(id=41, name="Jakarta Office"),))],
    ),
    "sites": (
        GATEWAY.list_sites(34),
        '[{"id": 41, "name": "Jakarta Office"}]',
        [Site(id=41, name="Jakarta Office")],
    ),
    "scripts": (
        GATEWAY.list_scripts(),
        """[{"id": 1, "name": "Get-DiskInfo", "shell": "powershell",
        "description": "Returns disk usage as JSON"}]""",
        [Script(id=1, name="Get-DiskInfo", shell="powershell", description="Returns disk usage as JSON")],
    ),
    "checks": (
        GATEWAY.list_checks("abc-uuid"),
        """[{"id": 101, "check_type": "diskspace", "name": "C: Drive", "status": "passing",
        "more_info": "C: 75% used", "last_run": "2026-04-21T10:30:00Z"}]""",
        [
            Check(
                id=101,
                check_type="diskspace",
                name="C: Drive",
                status="passing",
                more_info="C: 75% used",
                last_run=datetime(2026, 4, 21, 10, 30, tzinfo=UTC),
                agent_id="abc-uuid",
            )
        ],
    ),
    "tasks": (
        GATEWAY.list_tasks(),
        """[{"id": 9, "name": "Weekly disk cleanup", "agent": "abc-uuid", "script": 3,
        "schedule": "0 3 * * 0", "enabled": true}]""",
        [
            Task(
                id=9,
                name="Weekly disk cleanup",
                agent_id="abc-uuid",
                script=3,
                schedule="0 3 * * 0",
                enabled=True,
            )
        ],
    ),
    "alerts": (
        GATEWAY.list_alerts(),
        f"[{ALERT}]",
        [
            Alert(
                id=5001,
                alert_type="check",
                agent_id="abc-uuid",
                severity="warning",
                message="C: drive 90% used",
                created_at=datetime(2026, 4, 21, 8, 15, tzinfo=UTC),
            )
        ],
    ),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_contract_reads(example: str) -> None:
    call, sent, noun = EXAMPLES[example]
    found = call.decode(sent.encode())
    assert found == noun
    assert repr(found) == repr(noun)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_reads_with_nulls_gaps_and_fields_that_nobody_knows(example: str) -> None:
    call, sent, noun = EXAMPLES[example]
    (full,) = noun if isinstance(noun, list) else (noun,)
    whole = json.loads(sent)
    one = whole[0] if isinstance(whole, list) else whole
    for name in [name for name in one if name != "id"]:
        for spoilt in ({**one, name: None}, {key: one[key] for key in one if key != name}):
            body = json.dumps([spoilt] if isinstance(whole, list) else spoilt | {"unheard of": [1]})
            found = call.decode(body.encode())
            (left,) = found if isinstance(found, list) else (found,)
            assert type(left) is type(full)
            differs = {
                field for field in full.__struct_fields__ if getattr(left, field) != getattr(full, field)
            }
            assert differs <= {"agent_id" if name == "agent" else name}


def test_checks_say_whose_they_are_as_the_server_does_or_as_it_was_asked() -> None:
    found = GATEWAY.list_checks("y").decode(b'[{"id": 1, "agent": "x"}, {"id": 2}]')
    assert [check.agent_id for check in found] == ["x", "y"]


@pytest.mark.parametrize("open_set", ["status", "severity", "shell", "check_type", "alert_type"])
def test_open_sets_take_words_we_never_heard_of(open_set: str) -> None:
    calls = (GATEWAY.list_checks("x"), GATEWAY.list_alerts(), GATEWAY.list_scripts())
    found = [call.decode(f'[{{"id": 1, "{open_set}": "quantum"}}]'.encode())[0] for call in calls]
    assert "quantum" in {getattr(one, open_set, None) for one in found}


def test_the_iterated_list_is_the_list() -> None:
    which = AgentFilter(site=41)
    array = GATEWAY.iter_agents(which)
    assert array.call.query == GATEWAY.list_agents(which).query == {"site": "41"}
    rows, body = array.rows(), f"[{AGENT},\n {AGENT}]".encode()
    found = [
        agent for start in range(len(body)) for batch in rows.feed(body[start : start + 1]) for agent in batch
    ]
    assert found + rows.finish() == GATEWAY.list_agents(which).decode(body)


def test_its_limits_are_the_contracts() -> None:
    assert GATEWAY.name == "gateway"
    assert GATEWAY.rate_limit == RateLimit(100, per=60)
    assert GATEWAY.deployment_rate_limit == RateLimit(20, per=60)


@pytest.mark.parametrize(
    ("agent_id", "segment"),
    [("a b", "a%20b"), ("a/b", "a%2Fb"), ("..%2f", "..%252f"), ("a?b#c", "a%3Fb%23c"), ("ü", "%C3%BC")],
)
def test_an_id_stays_one_segment_of_the_path(agent_id: str, segment: str) -> None:
    assert GATEWAY.get_agent(agent_id).path == f"/api/v3/agents/{segment}/"
    assert GATEWAY.delete_agent(agent_id).path == f"/api/v3/agents/{segment}/"
    assert GATEWAY.run_script(agent_id, RUN).path == f"/api/v3/agents/{segment}/runscript/"
    assert GATEWAY.agent_events(agent_id).path == f"/trmm/{segment}/"


def test_orders_are_sent_as_they_were_given() -> None:
    order = DeploymentOrder(
        client=1, site=2, expires=ORDER.expires, arch="arm64-mac", install_flags="--silent"
    )
    assert body(GATEWAY.create_deployment(order)) == {
        "client": 1, "site": 2, "expires": "2026-04-22T10:00:00Z", "arch": "arm64-mac",
        "install_flags": "--silent",
    }  # fmt: skip
    task = TaskOrder(name="ü", agent="a", script=1, schedule="* * * * *", enabled=False)
    assert body(GATEWAY.create_task(task)) == {
        "name": "ü", "agent": "a", "script": 1, "schedule": "* * * * *", "enabled": False,
    }  # fmt: skip


@pytest.mark.parametrize("output", ["wait", "forget", "collector"])
def test_a_run_says_how_its_output_is_wanted(output: str) -> None:
    call = GATEWAY.run_script("a", ScriptRun(script=1, output=output, timeout=300))
    sent = body(call)
    assert isinstance(sent, dict)
    assert sent["output"] == output
    assert call.replay is Replay.NEVER
    assert call.answers_within == (300 if output == "wait" else None)


@pytest.mark.parametrize(("call", "method", "path", "replay"), ROWS, ids=lambda value: str(value)[:40])
def test_only_what_creates_or_runs_has_a_body(
    call: Call[object], method: str, path: str, replay: Replay
) -> None:
    del path
    assert (call.body is not None) is (method == "POST" and replay is Replay.NEVER)
    assert call.query == {}


def test_the_other_nouns_read() -> None:
    assert GATEWAY.list_alerts().decode(f"[{ALERT}]".encode())[0].agent_id == "abc-uuid"
    (check,) = GATEWAY.list_checks("abc").decode(
        b'[{"id": 101, "check_type": "wmi", "status": "odd", "last_run": "2026-04-21T10:30:00Z"}]'
    )
    assert (check.agent_id, check.check_type, check.status) == ("abc", "wmi", "odd")
    (client,) = GATEWAY.list_clients().decode(
        b'[{"id": 34, "name": "H", "sites": [{"id": 41, "name": "J"}]}]'
    )
    assert [site.name for site in client.sites] == ["J"]
    (script,) = GATEWAY.list_scripts().decode(
        b'[{"id": 1, "name": "G", "shell": "fish", "description": null}]'
    )
    assert (script.shell, script.description) == ("fish", None)
    task = GATEWAY.create_task(TASK).decode(b'{"id": 9, "agent": "a"}')
    assert (task.id, task.agent_id) == (9, "a")
    deployment = GATEWAY.create_deployment(ORDER).decode(
        b'{"id": 1, "client": 34, "expiry": "2026-04-22T10:00:00Z"}'
    )
    assert (deployment.client, deployment.expiry) == (34, datetime(2026, 4, 22, 10, tzinfo=UTC))


@pytest.mark.parametrize("wrong", [b"", b"{}", b"<html>", b'[{"hostname": "no id"}]', b'"ok"'])
def test_an_answer_that_is_none_is_a_decode_error(wrong: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        GATEWAY.list_agents(AgentFilter()).decode(wrong)


def read(frame: str | bytes) -> object:
    return GATEWAY.agent_events("abc-uuid").read(
        "abc-uuid", frame if isinstance(frame, bytes) else frame.encode()
    )


def test_frames_read_as_events() -> None:
    when = datetime(2026, 4, 21, 10, 32, 15, tzinfo=UTC)
    presence = '{"agent_id": "abc-uuid", "time": "2026-04-21T10:32:15Z"}'
    assert read(f'{{"action": "agent.online", "data": {presence}}}') == AgentOnline(
        agent_id="abc-uuid", time=when
    )
    assert read(f'{{"data": {presence}, "action": "agent.offline"}}') == AgentOffline(
        agent_id="abc-uuid", time=when
    )
    chunk = '{"agent_id": "abc-uuid", "cmd_id": "5e1f", "script": 1, "output": "line\\n", "done": false}'
    assert read(f'{{"action": "script.output", "data": {chunk}}}') == ScriptOutput(
        agent_id="abc-uuid", cmd_id="5e1f", script=1, output="line\n"
    )
    last = '{"cmd_id": "5e1f", "output": "", "done": true, "exit_code": 0}'
    assert read(f'{{"action": "script.output", "data": {last}}}') == ScriptOutput(
        agent_id="abc-uuid", cmd_id="5e1f", done=True, exit_code=0
    )
    event = read(f'{{"action": "alert", "data": {ALERT}}}')
    assert isinstance(event, AlertEvent)
    assert (event.agent_id, event.alert.id, event.alert.severity) == ("abc-uuid", 5001, "warning")


@pytest.mark.parametrize("action", ["agent.online", "agent.offline", "script.output", "alert"])
@pytest.mark.parametrize(("sent", "whose"), [('"other"', "other"), ("null", "abc-uuid"), ('""', "abc-uuid")])
def test_a_frame_is_about_the_agent_that_it_names(action: str, sent: str, whose: str) -> None:
    event = read(f'{{"action": "{action}", "data": {{"id": 1, "agent_id": {sent}, "agent": {sent}}}}}')
    assert not isinstance(event, UnknownEvent)
    assert getattr(event, "agent_id", None) == whose


def test_nulls_and_unknown_fields_in_a_frame_are_tolerated() -> None:
    chunk = '{"cmd_id": null, "script": null, "output": null, "done": null, "exit_code": null, "new": {}}'
    assert read(f'{{"id": 7, "action": "script.output", "data": {chunk}}}') == ScriptOutput(
        agent_id="abc-uuid"
    )
    assert read('{"action": "agent.online", "data": {"time": null}}') == AgentOnline(agent_id="abc-uuid")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_raw_frame_is_kept_as_bytes(kind: type[bytes]) -> None:
    event = GATEWAY.agent_events("a").read("a", kind(b"garbage"))
    assert isinstance(event, UnknownEvent)
    assert type(event.raw) is bytes
    assert event.raw == b"garbage"


@pytest.mark.parametrize(
    ("frame", "action"),
    [
        ('{"action": "agent.rebooted", "data": {}}', "agent.rebooted"),
        ('{"action": "alert", "data": {"id": "x"}}', "alert"),
        ('{"action": "alert"}', "alert"),
        ('{"error": "no", "status": 403}', None),
        ('{"action": 5}', None),
        ("[1]", None),
        ("garbage", None),
        (b"\xff\xfe", None),
        ("", None),
    ],
)
def test_any_other_frame_is_still_an_event(frame: str | bytes, action: str | None) -> None:
    raw = frame if isinstance(frame, bytes) else frame.encode()
    assert read(frame) == UnknownEvent(agent_id="abc-uuid", action=action, raw=raw)


@given(st.binary(max_size=200))
def test_no_frame_raises(frame: bytes) -> None:
    assert getattr(read(frame), "agent_id", None) is not None


def test_refusals_and_the_place_of_events() -> None:
    spec = GATEWAY.agent_events("a/b")
    assert spec.path == "/trmm/a%2Fb/"
    assert dict(spec.refusals) == {4401: 401, 4403: 403, 4003: 403, 4404: 404}
