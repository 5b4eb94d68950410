"""Live commands: recorded frames and handshakes of a real server, read by themselves."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.resources.recorded_commands import AGENT, RECORDED, order, recording, said
from trmm_async import (
    APIError,
    BadRequestError,
    CommandOutput,
    CommandSettings,
    PermissionDeniedError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.dialects.stock.live_commands import (
    NO_AGENT,
    Refused,
    Taken,
    Unreadable,
    command_stream,
    refused,
)
from trmm_async.dialects.stock.login import BAD_TOKEN, Token
from trmm_async.resources.commands import CommandLog

EXPECTED: dict[str, tuple[str, bool, int | None, bool]] = {
    # what was printed (or how it begins), done, exit code, whether it counts as complete
    "agent_never_done": ("line 1\nline 2\n", False, None, False),
    "big_2000_lines": ("line 1\nline 2\nline 3\n", False, None, False),
    "client_cmd_id": ("hi\n", True, 0, True),
    "echo": ("hello\n", True, 0, True),
    "exit_code_3": ("", True, 3, True),
    "fast_output_lost": ("", False, None, False),
    "offline_agent": ("", False, None, False),
    "ok": ("line 1\nline 2\nline 3\nline 4\nline 5\n", True, 0, True),
    "payload_error_then_ok": ("ok\n", True, 0, True),
    "runs_past_timeout": ("line 1\nline 2\n", False, None, False),
    "sequential": ("one\n", True, 0, True),
    "stderr": ("partial out\noops\n", True, 1, True),
    "two_commands_same_socket": ("line 1\nline 2\nline 3\nline 4\n", True, 0, True),
}


REFUSED: dict[str, type[TRMMError]] = {
    "no_permission": PermissionDeniedError,
    "no_role": PermissionDeniedError,
    "unknown_agent_limited": PermissionDeniedError,
    "old_agent": UnsupportedError,
    "payload_bad_timeout": BadRequestError,
    "payload_list": BadRequestError,
    "payload_no_cmd": BadRequestError,
    "payload_timeout_null": BadRequestError,
}


HANDSHAKES = {
    "api_key_header": 403,
    "bad_token": 403,
    "blocked_user": 403,
    "unknown_agent_superuser": 500,
}


CUT = {"cmd_id_with_space", "payload_binary", "payload_not_json"}


def log_of(recorded: dict[str, Any], settings: CommandSettings | None = None) -> CommandLog:
    """What the reader makes of a recording's first command (after a refused one: of the next)."""
    frames = said(recorded)
    cmd_id = next((data["cmd_id"] for _, data in frames if "cmd_id" in data), "none")
    spec = command_stream(AGENT, order(cmd_id=cmd_id))
    log = CommandLog(settings or CommandSettings())
    for when, data in frames:
        log.note(spec.read(json.dumps(data).encode()), when)
    return log


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_command_reads_as_what_it_was(name: str) -> None:
    printed, done, code, complete = EXPECTED[name]
    log = log_of(recording(name))
    text = "".join(log.pieces)
    assert text == printed or (name == "big_2000_lines" and text.startswith(printed))
    assert (log.taken, log.done, log.exit_code) == (True, done, code)
    assert (log.done and not log.why) is complete


def test_a_recorded_burst_counts_as_one_at_its_own_pace() -> None:
    # The recording keeps the first 59 of 1,561 frames.
    assert log_of(recording("big_2000_lines"), CommandSettings(burst=50)).why
    for name in ("ok", "two_commands_same_socket", "runs_past_timeout"):
        assert not log_of(recording(name), CommandSettings(burst=3)).why


@pytest.mark.parametrize("name", REFUSED)
def test_a_recorded_refusal_has_its_error(name: str) -> None:
    recorded = recording(name)
    log = log_of(recorded)
    assert type(log.refusal) is REFUSED[name]
    assert not log.taken
    code = recorded.get("close", {}).get("code")
    closed = None if code is None else refused("/ws/", code)
    assert (type(closed) is PermissionDeniedError) == (code == 4003)


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_recorded_handshake_that_was_refused(name: str) -> None:
    status = recording(name)["handshake"]["status"]
    assert status == HANDSHAKES[name]
    assert (status in BAD_TOKEN, status in NO_AGENT) == (status == 403, status == 500)


def test_what_cuts_the_connection_is_never_sent() -> None:
    for name in CUT:
        assert recording(name)["close"]["abnormal"]
    spec = command_stream(AGENT, order(command='say "é"\n\t\\', cmd_id="trmm-0"))
    sent = json.loads(spec.opening)
    assert sent == {
        "cmd": 'say "é"\n\t\\',
        "shell": "cmd",
        "timeout": 3,
        "run_as_user": False,
        "cmd_id": "trmm-0",
    }
    assert Token("abc").query == "access_token=abc"
    assert spec.path == f"/ws/agent/{AGENT}/cmd/"


def test_every_recording_is_covered() -> None:
    names = {path.stem.removeprefix("cmd_stream_") for path in RECORDED.glob("cmd_stream_*.json")}
    assert names == {*EXPECTED, *REFUSED, *HANDSHAKES, *CUT}


@given(frame=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_frame_can_be_read(frame: bytes) -> None:
    spec = command_stream(AGENT, order())
    assert spec.read(frame) is None or isinstance(
        spec.read(frame), Taken | Refused | Unreadable | CommandOutput
    )


def test_frames_of_all_kinds() -> None:
    read = command_stream(AGENT, order()).read
    assert read(b'{"cmd_id": "a"}') == Taken()
    assert read(b'{"cmd_id": "b", "output": "x"}') is None
    assert read(b"[]") == Unreadable()
    both = read(b'{"cmd_id": "a", "output": "x\\r\\n", "done": true, "exit_code": "what"}')
    assert both == CommandOutput(agent_id=AGENT, cmd_id="a", output="x\n", done=True)
    only_code = read(b'{"cmd_id": "a", "exit_code": 2}')
    assert only_code == CommandOutput(agent_id=AGENT, cmd_id="a", exit_code=2)
    teapot = read(b'{"error": "no", "status": 418}')
    assert isinstance(teapot, Refused)
    assert type(teapot.error) is APIError
