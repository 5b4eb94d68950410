"""What the errors of a stock server mean, against recordings."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.dialects.stock.carried import STOCK
from tests.recorded import recording
from trmm_async.answers import error_for, failure
from trmm_async.calls import Call, Replay
from trmm_async.errors import (
    AgentLostError,
    AgentUnreachableError,
    APIError,
    BadRequestError,
    NotFoundError,
    OutcomeUnknownError,
    ServerError,
    ServerFaultError,
    TRMMError,
)
from trmm_async.retry import Meaning, Reply, RetryPolicy, Tries


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
