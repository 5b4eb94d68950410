"""Logging in, tokens and what they are good for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trmm_async.testing.stock.accounts import totp_code

if TYPE_CHECKING:
    from tests.testing.kit import Answer, Clock, Http
    from trmm_async.testing import Simulator

HOUR = 3600.0


async def check(http: Http, server: Simulator, **changes: object) -> Answer:
    body = {"username": "admin", "password": server.password} | changes
    return await http("POST", "/v2/checkcreds/", body, key=None)


async def login(http: Http, server: Simulator, **changes: object) -> Answer:
    body = {"username": "admin", "password": server.password, "twofactor": server.totp_code} | changes
    return await http("POST", "/v2/login/", body, key=None)


async def version(http: Http, token: object, **headers: str) -> Answer:
    return await http(
        "GET", "/core/version/", key=None, headers={"Authorization": f"Token {token}", **headers}
    )


async def test_the_two_steps(http: Http, server: Simulator) -> None:
    assert (await check(http, server)).fields == {"totp": True}
    answer = await login(http, server)
    assert answer.status == 200
    assert sorted(answer.fields) == ["expiry", "name", "token", "username"]
    assert (await version(http, answer.fields["token"])).status == 200


async def test_the_real_code_is_good_for_five_minutes_either_way(
    http: Http, server: Simulator, clock: Clock
) -> None:
    server.totp_code = None
    code = server.real_totp_code()
    assert (await login(http, server, twofactor=code)).status == 200
    clock.now += 5 * 60
    assert (await login(http, server, twofactor=code)).status == 200
    clock.now += 60
    answer = await login(http, server, twofactor=code)
    assert (answer.status, answer.json) == (400, "Bad credentials")


async def test_a_secret_is_published(server: Simulator, clock: Clock) -> None:
    assert server.totp_secret is not None
    assert totp_code(server.totp_secret, clock.now) == server.real_totp_code()
    assert server.password == server.user("admin").password
    with pytest.raises(LookupError, match="no user 'nobody'"):
        server.user("nobody")


async def test_another_name_is_that_of_the_login_too(http: Http, server: Simulator) -> None:
    server.username = "eve"
    assert (await check(http, server, username="eve")).status == 200
    assert (await check(http, server)).status == 400


async def test_wrong_credentials_have_other_words_in_each_step(http: Http, server: Simulator) -> None:
    first, second = await check(http, server, password="x"), await login(http, server, password="x")
    assert (first.status, first.json) == (400, "Bad credentials")
    words = "Unable to log in with provided credentials."
    assert (second.status, second.json) == (400, {"non_field_errors": [words]})


async def test_missing_keys_are_a_500_or_a_400(http: Http, server: Simulator) -> None:
    body = {"username": "admin", "password": server.password}
    assert (await http("POST", "/v2/login/", body, key=None)).status == 500
    assert (await http("POST", "/v2/checkcreds/", {}, key=None)).status == 500
    answer = await http("POST", "/v2/login/", {"password": None}, key=None)
    required, null = ["This field is required."], ["This field may not be null."]
    assert (answer.status, answer.json) == (400, {"username": required, "password": null})


async def test_a_user_without_a_second_factor_gets_a_short_token_at_once(
    http: Http, server: Simulator, clock: Clock
) -> None:
    user = server.add_user("nototp", totp=False)
    answer = await check(http, server, username=user.username, password=user.password)
    assert answer.fields["totp"] is False
    assert user.totp_secret is None
    assert (await login(http, server, username=user.username, password=user.password)).status == 500
    clock.now += 181
    assert (await version(http, answer.fields["token"])).status == 401
    with pytest.raises(LookupError, match="no second factor"):
        server.real_totp_code("nototp")


@pytest.mark.parametrize("kind", ["blocked", "sso"])
async def test_some_users_get_no_token(http: Http, server: Simulator, kind: str) -> None:
    user = server.add_user("other", blocked=kind == "blocked", sso=kind == "sso")
    for step in (check, login):
        answer = await step(http, server, username=user.username, password=user.password)
        assert (answer.status, answer.json) == (400, "Bad credentials")


async def test_an_inactive_user_is_unknown_and_so_are_the_tokens(http: Http, server: Simulator) -> None:
    token = server.new_token()
    server.user().active = False
    assert (await check(http, server)).status == 400
    assert (await version(http, token)).status == 401


async def test_ten_logins_a_minute_from_one_address(http: Http, server: Simulator, clock: Clock) -> None:
    for _ in range(10):
        assert (await check(http, server)).status == 200
    clock.now += 5
    answer = await check(http, server)
    assert answer.status == 429
    assert answer.detail == "Request was throttled. Expected available in 55 seconds."
    assert answer.headers["Retry-After"] == "55"
    assert server.throttled == 1
    assert (await login(http, server)).status == 200
    assert (await http("POST", "/v2/checkcreds/", {"username": "x", "password": "y"})).status == 400
    server.limits.logins = None
    assert (await check(http, server)).status == 200
    assert server.limits.logins is None


async def test_a_token_is_good_for_five_hours_and_is_renewed_by_use(
    http: Http, server: Simulator, clock: Clock
) -> None:
    token = server.new_token()
    clock.now += 4.9 * HOUR
    assert (await version(http, token)).status == 200
    clock.now += 4.9 * HOUR
    assert (await version(http, token)).status == 200
    clock.now += 5.1 * HOUR
    answer = await version(http, token)
    assert (answer.status, answer.detail) == (401, "Invalid token.")


async def test_the_lifetime_can_be_set_and_ended(http: Http, server: Simulator, clock: Clock) -> None:
    server.token_seconds = 60
    assert server.token_seconds == 60
    short = server.new_token()
    clock.now += 61
    assert (await version(http, short)).status == 401
    tokens = [server.new_token(), server.new_token(server.add_user("other").username)]
    assert server.expire_tokens("other") == 1
    assert [(await version(http, token)).status for token in tokens] == [200, 401]
    assert server.expire_tokens() == 1
    assert (await version(http, tokens[0])).status == 401


async def test_logging_out_ends_one_session(http: Http, server: Simulator) -> None:
    token, other = server.new_token(), server.new_token()
    header = {"Authorization": f"Token {token}"}
    assert (await http("POST", "/logout/", key=None, headers=header)).status == 204
    assert (await version(http, token)).status == 401
    assert (await version(http, other)).status == 200
    assert (await http("POST", "/logout/")).status == 500


async def test_a_token_goes_before_a_key(http: Http, server: Simulator) -> None:
    key = {"X-API-KEY": server.api_key}
    assert (await version(http, "wrong", **key)).status == 401
    answer = await http("GET", "/core/version/", headers={"Authorization": "Bearer x"})
    assert answer.status == 200


async def test_a_wrong_key_is_an_error_where_none_is_needed(http: Http, server: Simulator) -> None:
    body = {"username": "admin", "password": server.password}
    answer = await http("POST", "/v2/checkcreds/", body, key="WRONG")
    assert (answer.status, answer.detail) == (401, "Invalid token.")


async def test_a_token_allows_what_its_user_may(http: Http, server: Simulator) -> None:
    token = server.new_token(server.add_user("reader", permissions=["can_list_agents"]).username)
    headers = {"Authorization": f"Token {token}"}
    assert (await http("GET", "/agents/", key=None, headers=headers)).status == 200
    answer = await http("GET", "/core/settings/", key=None, headers=headers)
    assert (answer.status, answer.detail) == (403, "You do not have permission to perform this action.")
    with server.restrict("can_list_agents"):
        assert (await http("GET", "/agents/", key=None, headers=headers)).status == 403


async def test_a_run_by_token_is_its_users(http: Http, server: Simulator) -> None:
    token = server.new_token(server.add_user("other").username)
    note = {"agent_id": server.agent_ids[0], "note": "hello"}
    headers = {"Authorization": f"Token {token}"}
    assert (await http("POST", "/agents/notes/", note, key=None, headers=headers)).status == 200
    assert server.world.journal.notes_of(server.agent_ids[0])[0].username == "other"


async def test_logins_stand_in_the_audit_log(http: Http, server: Simulator) -> None:
    await login(http, server)
    await login(http, server, twofactor="000000")
    await check(http, server, username="nobody")
    pages = {"sortBy": "id", "descending": False, "page": 1, "rowsPerPage": 10}
    found = (await http("PATCH", "/logs/audit/", {"pagination": pages})).fields
    rows = found["audit_logs"]
    assert isinstance(rows, list)
    assert [(row["username"], row["action"]) for row in rows] == [
        ("admin", "login"),
        ("admin", "failed_login"),
        ("nobody", "failed_login"),
    ]
