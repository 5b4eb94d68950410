"""From what came of a call to the error that says so, without the key in any part of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peer import always, peer
from tests.properties import many
from trmm_async import TRMM
from trmm_async.answers import BODY_KEPT, detail_of, error_for, failure
from trmm_async.calls import Call, Replay, ignore_answer
from trmm_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    DecodeError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectedError,
    ServerError,
    ServerFaultError,
    TimeoutError,
    TRMMError,
)
from trmm_async.retry import Meaning, NoReply, Reply, RetryPolicy, Stage, Tries

KEY = "SECRETKEY31337"
CALL = Call(method="POST", path="/api/v3/tasks/", decode=ignore_answer, replay=Replay.NEVER)


def scrub(text: str) -> str:
    return text.replace(KEY, "***")


def reply(status: int, body: bytes = b"", **headers: str) -> Reply:
    return Reply(status, headers, body)


def tries() -> Tries:
    return Tries(Replay.NEVER, RetryPolicy())


def error_of(result: Reply | NoReply, meaning: Meaning = Meaning.ANSWERED) -> TRMMError:
    return failure(CALL, result, meaning, tries(), scrub)


class TestADetail:
    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            (b'{"detail": "validation error"}', "validation error"),
            (b'{"detail": "Invalid token"}', "Invalid token"),
            (b'{"non_field_errors": ["a", "b"]}', "a, b"),
            (b'{"name": ["This field is required."], "script": ["no such script"]}',
             "name: This field is required.; script: no such script"),
            (b'{"site": {"id": ["wrong"]}}', "site: id: wrong"),
            (b'"Script not found"', "Script not found"),
            (b'["one", "two"]', "one, two"),
            (b'{"detail": "x", "code": 5}', "x; code: 5"),
            (b"{}", ""),
            (b"null", ""),
            (b"5", "5"),
            (b"", ""),
            (b" \n ", ""),
            (b"Bad Gateway\nmore", "Bad Gateway"),
            (b"\n\n  upstream   timed out \n", "upstream timed out"),
            (b"<html>\n<head><TITLE lang='en'>502\n  Bad Gateway</TITLE></head>", "502 Bad Gateway"),
            (b"<html><title>never closed", "<html><title>never closed"),
            (b'{"detail": "cut sho', '{"detail": "cut sho'),
            (b"\xff\xfe", "\ufffd\ufffd"),
            ('{"detail": "Schlüssel ungültig"}'.encode(), "Schlüssel ungültig"),
            (b'{"detail": null}', ""),
        ],
    )  # fmt: skip
    def test_is_what_the_body_says(self, body: bytes, detail: str) -> None:
        assert detail_of(body, scrub) == detail

    @pytest.mark.parametrize("body", [json.dumps({"detail": "long " * 999}).encode(), b"long " * 999])
    def test_is_short(self, body: bytes) -> None:
        assert len(detail_of(body, scrub)) <= 300
        assert detail_of(body, scrub).startswith("long long long")

    @pytest.mark.parametrize("depth", [10, 200, 400, 600, 990, 5000])
    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"detail":[', "]}")])
    def test_is_found_however_deep_a_server_nests_it(self, depth: int, opening: str, closing: str) -> None:
        body = f"{opening * depth}1{closing * depth}".encode()
        assert 0 < len(detail_of(body, scrub)) <= 300

    @given(st.binary(max_size=300))
    def test_of_any_bytes_is_text(self, body: bytes) -> None:
        detail = detail_of(body, scrub)
        assert len(detail) <= 300
        detail.encode()

    @settings(max_examples=many(30))
    @given(
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.text()),
            lambda part: st.one_of(st.lists(part), st.dictionaries(st.text(), part)),
        )
    )
    def test_of_any_json_is_text(self, said: Any) -> None:
        assert isinstance(detail_of(json.dumps(said).encode(), scrub), str)


KINDS = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: APIError,
    409: APIError,
    418: APIError,
    429: RateLimitedError,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
    599: ServerError,
    301: RedirectedError,
    302: RedirectedError,
    307: RedirectedError,
    308: RedirectedError,
}


class TestAnAnswer:
    @pytest.mark.parametrize(("status", "kind"), KINDS.items())
    def test_becomes_the_error_of_its_status(self, status: int, kind: type[APIError]) -> None:
        error = error_for(CALL, reply(status, b'{"detail": "words"}'), scrub)
        assert type(error) is kind
        assert (error.status, error.method, error.path) == (status, "POST", "/api/v3/tasks/")
        assert error.body == '{"detail": "words"}'
        assert str(error).startswith(f"POST /api/v3/tasks/: {status}: ")
        if status >= 400:
            assert error.detail == "words"
            assert "words" in str(error)

    def test_keeps_the_beginning_of_its_body(self) -> None:
        error = error_for(CALL, reply(500, b"x" * 5000), scrub)
        assert error.body == "x" * BODY_KEPT

    def test_that_sends_us_elsewhere_says_where_without_what_may_be_secret(self) -> None:
        for behind in ("", "?token=hunter2", "#hunter2", "?a=b#hunter2"):
            error = error_for(CALL, reply(302, location=f"https://there/login/{behind}"), scrub)
            assert isinstance(error, RedirectedError)
            assert error.location == "https://there/login/"
            assert "redirected to https://there/login/; is that the URL to use?" in str(error)
            assert "hunter2" not in str(error)

    def test_that_sends_us_nowhere_is_still_that_error(self) -> None:
        error = error_for(CALL, reply(304), scrub)
        assert isinstance(error, RedirectedError)
        assert error.location == ""

    def test_429_says_how_long_we_waited(self) -> None:
        history = tries()
        history.sent, history.waited, history.asked = 4, 31.4, 60.0
        error = failure(CALL, reply(429, b'{"detail": "rate limited"}'), Meaning.ANSWERED, history, scrub)
        assert isinstance(error, RateLimitedError)
        assert (error.attempts, error.waited, error.retry_after) == (4, 31.4, 60.0)


class TestAFailure:
    @pytest.mark.parametrize("stage", [Stage.NOT_SENT, Stage.LOST])
    def test_that_changed_nothing_is_a_failed_connection(self, stage: Stage) -> None:
        error = error_of(NoReply(stage, "connection refused"), Meaning.FAILED)
        assert type(error) is ConnectionFailedError
        assert str(error) == "POST /api/v3/tasks/: connection refused"

    def test_that_came_late_is_a_timeout(self) -> None:
        assert type(error_of(NoReply(Stage.LATE, "no answer"), Meaning.FAILED)) is TimeoutError

    @pytest.mark.parametrize("stage", Stage)
    def test_that_may_have_taken_effect_says_so(self, stage: Stage) -> None:
        answered = reply(200, b"no JSON") if stage is Stage.UNREADABLE else None
        error = error_of(NoReply(stage, "the line broke", reply=answered), Meaning.UNKNOWN)
        assert type(error) is OutcomeUnknownError
        assert str(error) == "POST /api/v3/tasks/: sent, and it may have taken effect: the line broke"

    def test_that_nobody_can_read_shows_how_it_begins(self) -> None:
        error = error_of(NoReply(Stage.UNREADABLE, "not JSON", reply=reply(200, b"no JSON")), Meaning.FAILED)
        assert type(error) is DecodeError
        assert (error.status, error.body) == (200, "no JSON")
        assert str(error) == "POST /api/v3/tasks/: 200: not JSON; the body begins 'no JSON'"

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_of_the_server_that_may_have_taken_effect_is_both(self, status: int) -> None:
        error = error_of(reply(status, b'{"detail": "server error"}'), Meaning.UNKNOWN)
        assert type(error) is ServerFaultError
        assert (error.status, error.detail) == (status, "server error")

    def test_after_a_lost_answer_is_unknown_even_if_the_last_one_was_a_429(self) -> None:
        history = Tries(Replay.IDEMPOTENT, RetryPolicy())
        history.judge(NoReply(Stage.LOST, "reset"), datetime.now(UTC))
        error = failure(CALL, reply(429), Meaning.UNKNOWN, history, scrub)
        assert type(error) is OutcomeUnknownError
        assert "its answer was lost, and sending it again got 429" in str(error)

    def test_shows_its_cause(self) -> None:
        cause = OSError("reset")
        error = error_of(NoReply(Stage.LOST, "reset", cause), Meaning.FAILED)
        assert error.__cause__ is cause
        assert error_of(NoReply(Stage.LOST, "reset"), Meaning.FAILED).__cause__ is None


def parts_of(error: TRMMError) -> Iterator[str]:
    yield from (str(error), repr(error), repr(error.args))
    yield from map(str, vars(error).values())


class TestTheKey:
    """Whoever quotes our key back at us does not get it into an error, not even a piece of it."""

    PIECE = KEY[:6]

    def results(self, before: str) -> Iterator[tuple[Reply | NoReply, Meaning]]:
        said = f"{before}{KEY}{KEY} is wrong"
        pages = [
            said,
            json.dumps({"detail": said}),
            json.dumps([said]),
            f"<title>{said}</title>",
            f"\n\n{said}",
        ]
        for page in pages:
            for status in (302, 400, 401, 404, 429, 500):
                yield reply(status, page.encode(), location=f"https://there/{KEY}/?{KEY}"), Meaning.ANSWERED
            yield reply(502, page.encode()), Meaning.UNKNOWN
            yield NoReply(Stage.UNREADABLE, page, reply=reply(200, page.encode())), Meaning.FAILED
            yield NoReply(Stage.LOST, page), Meaning.FAILED
            yield NoReply(Stage.LATE, page), Meaning.UNKNOWN

    @pytest.mark.parametrize("around", [0, 200, 300, BODY_KEPT, BODY_KEPT + 300])
    def test_is_in_no_error_wherever_it_stood(self, around: int) -> None:
        for length in range(max(0, around - 40), around + 5):
            for result, meaning in self.results("x" * length):
                for part in parts_of(error_of(result, meaning)):
                    assert self.PIECE not in part

    def test_may_be_quoted_in_any_number(self) -> None:
        for part in parts_of(error_of(reply(400, f"{KEY} ".encode() * 5000))):
            assert self.PIECE not in part

    def test_leaves_a_mark(self) -> None:
        assert str(error_of(reply(401, json.dumps({"detail": f"{KEY} expired"}).encode()))).endswith(
            "401: *** expired"
        )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v3/agents/JADE-PC/", "JADE-PC"),
        ("/agents/web-020.example.com/runscript/", "web-020.example.com"),
        ("/services/SRV1/", "SRV1"),
        ("/agents/" + "aBcDeFgHiJ" * 4 + "/", None),
        ("/api/v3/agents/123e4567-e89b-12d3-a456-426614174000/", None),
        ("/api/v3/agents/deployments/", None),
        ("/agents/notes/77/", None),
        ("/clients/34/", None),
    ],
)
def test_a_404_to_what_looks_like_a_host_name_says_so(path: str, name: str | None) -> None:
    call: Call[Any] = Call(method="GET", path=path, decode=ignore_answer)
    error = error_for(call, Reply(404, {}, b'{"detail": "Not found."}'), str)
    advice = f"Not found.; {name!r} looks like a host name: agents.find({name!r}) finds its agent"
    assert error.detail == (advice if name else "Not found.")
    assert error_for(call, Reply(400, {}, b'{"detail": "x"}'), str).detail == "x"


@pytest.mark.parametrize("where", [b"", b"Location: \r\n", b"Location: ?key=x\r\n"])
async def test_a_redirect_that_names_no_place_says_so(where: bytes) -> None:
    sent = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n" + where + b"\r\n"
    async with (
        peer(always(sent)) as server,
        TRMM(server.url, api_key="key", dialect="gateway", retries=0) as trmm,
    ):
        with pytest.raises(RedirectedError, match="redirected, but not told where to"):
            await trmm.scripts.list()
