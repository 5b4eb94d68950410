"""Logging in: tokens are asked for, kept, renewed, shared by all who wait, and shown nowhere."""

import asyncio
import html
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import clock
from tests.peer import Peer, Request, answer, peer
from trmm_async import (
    TRMM,
    AuthenticationError,
    ConnectionFailedError,
    DecodeError,
    InvalidRequestError,
    OutcomeUnknownError,
    RateLimitedError,
    TRMMError,
    UnsupportedError,
)
from trmm_async.calls import Call
from trmm_async.dialects import Dialect, Stock
from trmm_async.dialects.stock.login import Token, check_credentials, log_in
from trmm_async.resources.token_provider import TokenProvider
from trmm_async.testing import Simulator
from trmm_async.transport import Server, Transport

LOGINS = ("/v2/checkcreds/", "/v2/login/")


@asynccontextmanager
async def stock(**settings: Any) -> AsyncIterator[tuple[Simulator, TRMM, str]]:
    async with (
        asyncio.timeout(30),
        Simulator(agents=1, dialect="stock") as server,
        TRMM(server.url, api_key=server.api_key, **{"dialect": "stock", "retries": 3, **settings}) as trmm,
    ):
        yield server, trmm, server.agent_ids[0]


def logins(server: Simulator) -> list[str]:
    return [request.path for request in server.requests if request.path in LOGINS]


async def run(trmm: TRMM, agent: str, command: str = "echo hi") -> str:
    async with trmm.agents.stream_command(agent, command) as output:
        return "".join([piece.output async for piece in output])


# -- who gets in ---------------------------------------------------------------------------------------------


async def test_with_a_code() -> None:
    async with stock() as (server, trmm, agent):
        await trmm.login("admin", server.password, totp=server.real_totp_code())
        assert logins(server) == list(LOGINS)
        assert await run(trmm, agent) == "hi\n"
        assert logins(server) == list(LOGINS)


@pytest.mark.parametrize("awaited", [False, True])
async def test_with_a_callable_that_gives_codes(awaited: bool) -> None:
    async with stock() as (server, trmm, agent):

        async def later() -> str:
            return server.real_totp_code()

        await trmm.login("admin", server.password, totp=later if awaited else server.real_totp_code)
        assert await run(trmm, agent) == "hi\n"


async def test_without_a_second_factor() -> None:
    async with stock() as (server, trmm, agent):
        server.add_user("simple", "pass word", totp=False)
        await trmm.login("simple", "pass word")
        assert logins(server) == ["/v2/checkcreds/"]
        assert await run(trmm, agent) == "hi\n"


async def test_on_a_server_whose_kind_is_found_out() -> None:
    async with stock(dialect="auto") as (server, trmm, agent):
        await trmm.login("admin", server.password, totp=server.real_totp_code)
        assert await run(trmm, agent) == "hi\n"


@pytest.mark.parametrize(
    ("who", "password", "code", "words"),
    [
        ("admin", "wrong", "real", "Bad credentials; is the password right?"),
        ("nobody", "wrong", "real", "Bad credentials"),
        ("admin", None, "000000", "TOTP code"),
        ("blocked", None, "real", "blocked from the dashboard"),
        ("sso", None, "real", "SSO"),
        ("admin", None, None, "call login(…, totp=…)"),
    ],
)
async def test_who_does_not_get_in(who: str, password: str | None, code: str | None, words: str) -> None:
    async with stock() as (server, trmm, agent):
        server.add_user("blocked", server.password, blocked=True)
        server.add_user("sso", server.password, sso=True)
        totp = server.real_totp_code if code == "real" else code
        with pytest.raises(AuthenticationError) as caught:
            await trmm.login(who, password or server.password, totp=totp)
        assert words in str(caught.value)
        assert len(logins(server)) <= 2
        with pytest.raises(AuthenticationError, match=r"await trmm\.login"):
            await run(trmm, agent)


async def test_a_gateway_has_no_logins() -> None:
    async with stock() as (_, _, _), Simulator(agents=1) as gateway:
        async with TRMM(gateway.url, api_key=gateway.api_key, dialect="gateway") as trmm:
            with pytest.raises(UnsupportedError, match="the WebSockets of a gateway take the API key"):
                await trmm.login("admin", "x")
        assert gateway.requests == []
        with pytest.raises(InvalidRequestError, match="the WebSockets of a gateway take the API key"):
            TRMM(gateway.url, api_key="k", dialect="gateway", access_token="abc")


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": ""},
        {"username": 3},
        {"password": ""},
        {"password": None},
        {"password": "\ud800x"},
        {"totp": ""},
        {"totp": 123456},
    ],
)
async def test_wrong_arguments_are_refused_before_anything_is_sent(wrong: dict[str, Any]) -> None:
    async with stock() as (server, trmm, _):
        with pytest.raises(InvalidRequestError):
            await trmm.login(
                **{"username": "admin", "password": server.password, "totp": server.totp_code, **wrong}
            )
        assert server.requests == []


# -- never hammered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LOGINS)
async def test_a_throttled_login_says_for_how_long_and_is_not_repeated(path: str) -> None:
    async with stock() as (server, trmm, _):
        server.fail("POST", path, status=429, retry_after=55)
        with pytest.raises(RateLimitedError) as caught:
            await trmm.login("admin", server.password, totp=server.totp_code)
        assert (caught.value.retry_after, caught.value.attempts) == (55.0, 1)
        assert logins(server).count(path) == 1
        # Nothing else waits for it.
        async with asyncio.timeout(30):
            await trmm.agents.list()


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_login_that_failed_is_not_repeated(status: int) -> None:
    async with stock() as (server, trmm, _):
        server.fail("POST", "/v2/checkcreds/", status=status, retry_after=1)
        with pytest.raises(TRMMError):
            await trmm.login("admin", server.password, totp=server.totp_code)
        assert logins(server) == ["/v2/checkcreds/"]


async def test_a_login_whose_answer_was_lost_is_not_repeated() -> None:
    async with stock() as (server, trmm, _):
        server.cut("POST", "/v2/login/")
        with pytest.raises(OutcomeUnknownError):
            await trmm.login("admin", server.password, totp=server.totp_code)
        assert logins(server) == list(LOGINS)


# -- renewal -------------------------------------------------------------------------------------------------


async def test_a_refused_token_is_renewed_by_a_callable() -> None:
    async with stock() as (server, trmm, agent):
        await trmm.login("admin", server.password, totp=server.real_totp_code)
        server.expire_tokens()
        assert await run(trmm, agent) == "hi\n"
        assert logins(server) == [*LOGINS, *LOGINS]
        assert len(server.runs) == 1


async def test_a_fixed_code_can_not_renew_and_says_so() -> None:
    async with stock() as (server, trmm, agent):
        await trmm.login("admin", server.password, totp=server.real_totp_code())
        server.expire_tokens()
        with pytest.raises(AuthenticationError, match=r"call trmm\.login again"):
            await run(trmm, agent)
        assert logins(server) == list(LOGINS)
        await trmm.login("admin", server.password, totp=server.real_totp_code())
        assert await run(trmm, agent) == "hi\n"


async def test_many_sockets_are_one_login() -> None:
    async with stock() as (server, trmm, agent):
        await trmm.login("admin", server.password, totp=server.real_totp_code)
        server.expire_tokens()
        assert await asyncio.gather(*(run(trmm, agent) for _ in range(20))) == ["hi\n"] * 20
        assert logins(server) == [*LOGINS, *LOGINS]


async def test_many_sockets_share_a_login_that_fails() -> None:
    async with stock() as (server, trmm, agent):
        await trmm.login("admin", server.password, totp=server.real_totp_code)
        server.expire_tokens()
        server.user().password = "changed"
        failed = await asyncio.gather(*(run(trmm, agent) for _ in range(10)), return_exceptions=True)
        assert {type(each) for each in failed} == {AuthenticationError}
        assert logins(server) == [*LOGINS, "/v2/checkcreds/"]


async def test_a_login_that_fails_leaves_the_one_before() -> None:
    async with stock() as (server, trmm, agent):
        await trmm.login("admin", server.password, totp=server.real_totp_code)
        with pytest.raises(AuthenticationError):
            await trmm.login("admin", "wrong", totp=server.real_totp_code)
        assert await run(trmm, agent) == "hi\n"


# -- a token of somebody else's ------------------------------------------------------------------------------


async def test_an_access_token_is_used_and_when_refused_it_says_so() -> None:
    async with Simulator(agents=1, dialect="stock") as server:
        agent, token = server.agent_ids[0], server.new_token()
        async with TRMM(server.url, api_key=server.api_key, dialect="stock", access_token=token) as trmm:
            assert await run(trmm, agent) == "hi\n"
            server.expire_tokens()
            with pytest.raises(AuthenticationError, match="refuses access_token"):
                await run(trmm, agent)
        assert logins(server) == []


@pytest.mark.parametrize("awaited", [False, True])
async def test_a_callable_is_asked_once_and_again_when_refused(awaited: bool) -> None:
    async with Simulator(agents=1, dialect="stock") as server:
        agent, asked = server.agent_ids[0], list[str]()

        def give() -> str:
            asked.append(server.new_token())
            return asked[-1]

        async def give_later() -> str:
            return give()

        source = give_later if awaited else give
        async with TRMM(server.url, api_key=server.api_key, dialect="stock", access_token=source) as trmm:
            assert asked == []
            await run(trmm, agent)
            await run(trmm, agent)
            assert len(asked) == 1
            server.expire_tokens()
            await run(trmm, agent)
            assert len(asked) == 2


async def test_a_callable_that_fails_is_heard_and_asked_again() -> None:
    async with Simulator(agents=1, dialect="stock") as server:
        answers = iter([LookupError("no vault"), "not a token", server.new_token()])

        def give() -> Any:
            given = next(answers)
            if isinstance(given, Exception):
                raise given
            return given

        async with TRMM(server.url, api_key=server.api_key, dialect="stock", access_token=give) as trmm:
            with pytest.raises(LookupError, match="no vault"):
                await run(trmm, server.agent_ids[0])
            with pytest.raises(InvalidRequestError, match="access_token") as caught:
                await run(trmm, server.agent_ids[0])
            assert "not a token" not in str(caught.value)
            assert await run(trmm, server.agent_ids[0]) == "hi\n"


@pytest.mark.parametrize("wrong", ["", "a b", "a&b", "a/b", "ä", 7, b"abc"])
def test_an_access_token_that_is_none_is_refused_without_its_text(wrong: Any) -> None:
    with pytest.raises(InvalidRequestError, match="access_token") as caught:
        TRMM("https://x", api_key="k", dialect="stock", access_token=wrong)
    assert repr(wrong) not in str(caught.value)


# -- when: in virtual time -----------------------------------------------------------------------------------

BEGIN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Desk:
    """A transport that answers logins: with tokens that last so many seconds, or what a test says."""

    def __init__(self, lasts: float | None, takes: float = 1.0, skew: float = 0.0) -> None:
        self.server = Server(base_url="https://x", api_key="key")
        self.lasts, self.takes, self.skew = lasts, takes, skew
        self.logins = 0
        self.failures: list[TRMMError] = []
        self.under_way = 0

    async def send(self, call: Call[Any]) -> Any:
        assert self.under_way == 0, "two logins at a time"
        self.under_way += 1
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.under_way -= 1
        if self.failures:
            raise self.failures.pop(0)
        if call.path == "/v2/checkcreds/":
            return call.decode(b'{"totp": true}')
        self.logins += 1
        sent: dict[str, Any] = {"token": f"token{self.logins}"}
        if self.lasts is not None:
            ends = BEGIN + timedelta(seconds=clock.now() + self.lasts + self.skew)
            sent["expiry"] = ends.isoformat()
        return call.decode(json.dumps(sent).encode())


def access(desk: Desk, source: Callable[[], str] | None = None) -> TokenProvider:
    async def dialect() -> Dialect:
        return Stock()

    def now() -> datetime:
        return BEGIN + timedelta(seconds=clock.now())

    return TokenProvider(cast("Transport", desk), dialect, source, now=now)


def in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main()

    clock.run(whole())


@given(lasts=st.sampled_from([10.0, 180.0, 18_000.0]))
def test_a_token_is_renewed_a_little_before_it_ends(lasts: float) -> None:
    async def main() -> None:
        desk = Desk(lasts, takes=0.125)
        ours = access(desk)
        await ours.login("u", "p", lambda: "1")
        margin = min(60.0, lasts / 10)
        await asyncio.sleep(lasts - margin - 0.5)
        assert (await ours.token()).text == "token1"
        await asyncio.sleep(1.0)
        assert (await ours.token()).text == "token2"
        assert desk.logins == 2

    in_virtual_time(main)


def test_one_that_can_not_be_renewed_is_used_on() -> None:
    async def main() -> None:
        ours = access(Desk(10.0))
        await ours.login("u", "p", "1")
        await asyncio.sleep(1000)
        # Every use makes it last longer at the server's, so that it alone knows.
        assert (await ours.token()).text == "token1"

    in_virtual_time(main)


@pytest.mark.parametrize(("lasts", "skew"), [(None, 0.0), (18_000.0, -86_400.0)])
def test_an_end_that_is_not_known_or_makes_no_sense_is_none(lasts: float | None, skew: float) -> None:
    async def main() -> None:
        desk = Desk(lasts, skew=skew)
        ours = access(desk)
        await ours.login("u", "p", lambda: "1")
        await asyncio.sleep(1_000_000)
        assert (await ours.token()).text == "token1"

    in_virtual_time(main)


def test_who_waits_gets_what_the_one_attempt_brought() -> None:
    async def main() -> None:
        desk = Desk(100.0)
        ours = access(desk)
        await ours.login("u", "p", lambda: "1")
        await asyncio.sleep(200)
        tasks = [asyncio.create_task(ours.token()) for _ in range(5)]
        await asyncio.sleep(1.5)
        tasks += [asyncio.create_task(ours.token()) for _ in range(5)]
        assert {token.text for token in await asyncio.gather(*tasks)} == {"token2"}
        await asyncio.sleep(200)
        desk.failures.append(ConnectionFailedError("down"))
        tasks = [asyncio.create_task(ours.token()) for _ in range(5)]
        await asyncio.sleep(0.5)
        tasks += [asyncio.create_task(ours.token()) for _ in range(5)]
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        assert {str(each) for each in failed} == {"down"}
        # The next to come tries again.
        assert (await ours.token()).text == "token3"

    in_virtual_time(main)


def test_a_cancelled_attempt_is_taken_over_by_who_waits() -> None:
    async def main() -> None:
        desk = Desk(100.0)
        ours = access(desk)
        await ours.login("u", "p", lambda: "1")
        await asyncio.sleep(200)
        first = asyncio.create_task(ours.token())
        await asyncio.sleep(0.5)
        second = asyncio.create_task(ours.token())
        await asyncio.sleep(0.5)
        first.cancel()
        assert (await second).text == "token2"

    in_virtual_time(main)


def test_a_refused_token_is_replaced_once() -> None:
    async def main() -> None:
        desk = Desk(100.0)
        ours = access(desk)
        await ours.login("u", "p", lambda: "1")
        refused = await ours.token()
        again = await asyncio.gather(*(ours.after(refused) for _ in range(5)))
        assert {token.text for token in again} == {"token2"}
        assert desk.logins == 2

    in_virtual_time(main)


def test_nobody_is_logged_in_at_first() -> None:
    async def main() -> None:
        ours = access(Desk(100.0))
        with pytest.raises(AuthenticationError, match=r"await trmm\.login"):
            await ours.token()
        with pytest.raises(AuthenticationError, match=r"await trmm\.login"):
            await ours.after(Token("x"))
        assert repr(ours) == "<TokenProvider not logged in, no token>"

    in_virtual_time(main)


# -- shown nowhere -------------------------------------------------------------------------------------------

PASSWORD = 'p"ss wörd<&>/%'
CODE = "918273"
TOKEN = "0123abc918273def"  # It holds the code, which must not save the rest of it.


def everything_of(error: BaseException | None) -> list[str]:
    """All that anybody prints of an error, its causes and contexts included."""
    shown: list[str] = []
    while error is not None:
        shown += [str(error), repr(error), repr(error.args), repr(vars(error))]
        shown += traceback.format_exception(error)
        error = error.__cause__ or error.__context__
    return shown


def secrets() -> list[str]:
    whole = [PASSWORD, TOKEN]
    forms = [
        form
        for text in whole
        for form in (
            text,
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            html.escape(text),
            quote(text, safe=""),
            quote(text),
            repr(text)[1:-1],
        )
    ]
    return [*forms, CODE, "0123abc", "p\\u0022ss"]


def echo(request: Request) -> str:
    """What a server that shows everything would say."""
    sent = request.body.decode()
    told = json.loads(sent).values() if sent else [request.target]
    return " ".join(
        [sent, request.target, *(f"{each} {html.escape(each)} {quote(each, safe='')}" for each in told)]
    )


def hostile(kind: str) -> Any:
    """A server that tells all it was told, at the step that `kind` names."""

    async def handle(state: Peer, request: Request, writer: asyncio.StreamWriter) -> bool:
        step, _, how = kind.partition(":")
        path = request.target.partition("?")[0]
        said = echo(request)
        reply = {
            "/v2/checkcreds/": answer(b'{"totp": true}'),
            "/v2/login/": answer(json.dumps({"token": TOKEN, "expiry": "2030-01-01T00:00:00Z"}).encode()),
        }.get(path, answer(b"{}"))
        if path.strip("/").endswith(step) or (step == "cmd" and "/ws/" in path):
            reply = {
                "400": answer(json.dumps(said).encode(), "400 Bad Request"),
                "400-fields": answer(json.dumps({"password": [said]}).encode(), "400 Bad Request"),
                "403": answer(said.encode(), "403 Forbidden", Content_Type="text/plain"),
                "404": answer(f"<html><title>{said}</title>".encode(), "404 Not Found"),
                "500": answer(f"<!doctype html><title>{said}</title>".encode(), "500 Oops"),
                "200-unreadable": answer(f'{{"expiry": 5, "token": "{TOKEN}", {said}'.encode()),
                "200-misfit": answer(json.dumps({"token": f"{TOKEN} {TOKEN}", "expiry": 3}).encode()),
                "200-odd": answer(json.dumps({"token": f"{TOKEN} {TOKEN}"}).encode()),
                "302": answer(b"", "302 Found", Location=f"/x/?{TOKEN}/{quote(PASSWORD)}"),
                "302-path": answer(b"", "302 Found", Location=f"/{quote(said, safe='/')}/"),
            }.get(how, b"")
        writer.write(reply)
        await writer.drain()
        return bool(reply)

    return handle


@pytest.mark.parametrize("step", ["checkcreds", "login", "cmd"])
@pytest.mark.parametrize(
    "how",
    [
        "400",
        "400-fields",
        "403",
        "404",
        "500",
        "200-unreadable",
        "200-misfit",
        "200-odd",
        "302",
        "302-path",
        "cut",
    ],
)
@pytest.mark.parametrize("fixed", [True, False])
async def test_password_code_and_token_are_shown_nowhere(
    step: str, how: str, fixed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    caught: BaseException | None = None
    async with asyncio.timeout(20), peer(hostile(f"{step}:{how}")) as state:
        async with TRMM(state.url, api_key="the-key", dialect="stock", retries=0) as trmm:
            try:
                await trmm.login("somebody", PASSWORD, totp=CODE if fixed else lambda: CODE)
                await run(trmm, "a" * 40)
            except TRMMError as error:
                caught = error
            api = trmm._api
            shown = [repr(each) for each in (trmm, api, api.tokens, api.transport, api.transport.server)]
            shown += [repr(vars(api.tokens)), repr(api.transport.server.secrets), repr(api.dialer)]
    asyncio.get_running_loop().set_debug(False)
    assert caught is not None
    shown += everything_of(caught)
    shown += [record.getMessage() for record in caplog.records]
    shown += ["".join(traceback.format_exception(*each.exc_info)) for each in caplog.records if each.exc_info]
    assert state.requests
    assert [(secret, text) for text in shown for secret in secrets() if secret in text] == []


async def test_the_body_of_a_login_is_in_no_repr_of_its_call() -> None:
    first, second = check_credentials("me", PASSWORD), log_in("me", PASSWORD, CODE)
    assert json.loads(second.body or b"") == {"username": "me", "password": PASSWORD, "twofactor": CODE}
    for text in (repr(first), repr(second), str(second)):
        assert not [secret for secret in secrets() if secret in text]


def test_an_answer_that_can_not_be_read_is_an_error_without_it() -> None:
    async def main() -> None:
        desk = Desk(100.0)
        ours = access(desk)

        async def send(call: Call[Any]) -> Any:
            return call.decode(b'{"token": ["secret-token"]}')

        desk.send = send  # type: ignore[method-assign] # a server that has gone mad
        with pytest.raises(DecodeError) as caught:
            await ours.login("u", "p", "1")
        assert not [text for text in everything_of(caught.value) if "secret-token" in text]

    in_virtual_time(main)


# -- what was recorded ---------------------------------------------------------------------------------------
