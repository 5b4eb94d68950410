"""Who may log in, and the tokens that come of it."""

from __future__ import annotations

from random import Random

import pytest

from tests.testing.kit import Clock
from trmm_async.testing.stock.accounts import Accounts, User, first_accounts, totp_code


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2e9, "279037")],
)
def test_codes_are_those_of_rfc_6238(moment: float, code: str) -> None:
    assert totp_code("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", moment) == code


def _accounts(clock: Clock) -> tuple[Accounts, User]:
    accounts = first_accounts(clock, Random(1))
    return accounts, accounts.users["admin"]


@pytest.mark.parametrize(
    ("late", "good"), [(-330, False), (-300, True), (0, True), (300, True), (330, False)]
)
def test_a_code_is_good_for_ten_steps_either_way(late: int, good: bool) -> None:
    clock = Clock()
    accounts, admin = _accounts(clock)
    accounts.any_code = None
    code = totp_code(str(admin.totp_secret), clock.now)
    clock.now += late
    assert accounts.code_ok(admin, code) is good


def test_without_a_second_factor_only_the_code_for_everybody_is_good() -> None:
    accounts, _ = _accounts(Clock())
    user = accounts.add(User("nobody", "pw"))
    assert accounts.code_ok(user, "510199")
    accounts.any_code = None
    assert not accounts.code_ok(user, "510199")


def test_a_token_is_renewed_by_use_if_that_adds_more_than_ten_minutes() -> None:
    clock = Clock()
    accounts, admin = _accounts(clock)
    token = accounts.issue(admin)
    ends = token.expires
    assert ends == clock.now + 5 * 3600
    clock.now += 600
    assert accounts.find(token.value) is token
    assert token.expires == ends
    clock.now += 1
    assert accounts.find(token.value) is token
    assert token.expires == ends + 601
    assert token.issued == clock.now - 601


def test_a_token_that_is_over_is_forgotten_and_one_of_an_inactive_user_is_not() -> None:
    clock = Clock()
    accounts, admin = _accounts(clock)
    short = accounts.issue(admin, 60)
    other = accounts.issue(admin)
    clock.now = short.expires
    assert accounts.find(short.value) is None
    clock.now -= 1
    assert accounts.find(short.value) is None
    admin.active = False
    assert accounts.find(other.value) is None
    admin.active = True
    assert accounts.find(other.value) is other
    accounts.end(other.value)
    assert accounts.find(other.value) is None


def test_sessions_of_one_user_end_or_those_of_all() -> None:
    accounts, admin = _accounts(Clock())
    eve = accounts.add(User("eve", "pw"))
    tokens = [accounts.issue(user) for user in (admin, eve, eve)]
    assert accounts.expire("eve") == 2
    assert list(accounts.tokens) == [tokens[0].value]
    assert (accounts.expire(), accounts.expire()) == (1, 0)


def test_users_have_numbers_and_are_found_by_their_present_name_and_password() -> None:
    accounts, admin = _accounts(Clock())
    eve = accounts.add(User("eve", "pw"))
    assert (admin.pk, eve.pk, eve.email) == (1, 2, "eve@example.com")
    accounts.rename("eve", "ann")
    assert (accounts.check("eve", "pw"), accounts.check("ann", "PW"), eve.pk) == (None, None, 2)
    assert accounts.check("ann", "pw") is eve
    eve.active = False
    assert accounts.check("ann", "pw") is None


def test_what_a_user_may_and_whether_to_log_in() -> None:
    assert User("a", "").may("can_list_agents")
    assert User("a", "", permissions=frozenset({"can_list_agents"})).may("can_list_agents")
    assert not User("a", "", permissions=frozenset()).may("can_list_agents")
    users = [User("a", ""), User("a", "", blocked=True), User("a", "", sso=True), User("a", "", active=False)]
    assert [user.may_log_in for user in users] == [True, False, False, False]
