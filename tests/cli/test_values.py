"""What people write for lengths of time, times, and parts of a whole."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from trmm_async.cli.exits import CommandError
from trmm_async.cli.values import batch_size, choice, codes, failures, length, moment, seconds

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), (" 12h", 43_200), ("7d", 604_800), ("2w", 1_209_600)]
)
def test_a_length_of_time(text: str, seconds: int) -> None:
    assert length(text, "--x") == timedelta(seconds=seconds)
    assert moment(text, "--x", NOW) == NOW + timedelta(seconds=seconds)


def test_a_time_is_a_date_as_well() -> None:
    assert moment("2030-01-31T18:00+01:00", "--x", NOW) == datetime(2030, 1, 31, 17, tzinfo=UTC)
    assert moment("2030-01-31", "--x", NOW).tzinfo is not None


def test_an_amount_is_a_number_or_a_share() -> None:
    for amount in (batch_size, failures):
        told = [amount(text, "--x") for text in ("1", "5", "10%", "2.5%", "100%", "100.0%")]
        assert told == [1, 5, 0.1, 0.025, None, None]
    assert [(each, type(each)) for each in (failures("0", "--x"), failures("0%", "--x"))] == [(0, int)] * 2


@pytest.mark.parametrize("text", ["0", "0%", "0.0%"])
def test_a_batch_of_nobody_is_none(text: str) -> None:
    with pytest.raises(CommandError, match="--x is at least 1, or a share above 0%"):
        batch_size(text, "--x")


@pytest.mark.parametrize("amount", [batch_size, failures])
def test_a_share_is_not_above_the_whole(amount: Callable[[str, str], object]) -> None:
    with pytest.raises(CommandError, match="--x is a share of 100% at most, not '101%'"):
        amount("101%", "--x")


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1 h", "1y", "0h"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(CommandError, match="--x is a length of time"):
        length(text, "--x")


@pytest.mark.parametrize("text", ["5201w", "999999w", "36401d"])
def test_a_length_that_is_absurd(text: str) -> None:
    for read in (lambda: length(text, "--x"), lambda: moment(text, "--x", NOW)):
        with pytest.raises(CommandError, match=f"--x is a length of time of 5200w at most, not '{text}'"):
            read()


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_can_not_be_counted(text: str) -> None:
    with pytest.raises(CommandError, match="--x is as 12h"):
        moment(text, "--x", NOW)


def test_one_of_some_words() -> None:
    assert choice(" ONLINE", "--x", ("online", "offline")) == "online"
    with pytest.raises(CommandError, match=r"--x is a, b or c, not 'd'$"):
        choice("d", "--x", ("a", "b", "c"))
    with pytest.raises(CommandError, match=r"not 'onlin'; did you mean 'online'"):
        choice("onlin", "--x", ("online", "offline"))


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_number_of_seconds(number: float) -> None:
    assert seconds(None, "--x") is None
    assert seconds(0.5, "--x") == 0.5
    with pytest.raises(CommandError, match="--x is a number of seconds above 0"):
        seconds(number, "--x")


@pytest.mark.parametrize("text", ["", "%", "-1", "many", "1.5"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(CommandError, match="--x is a number as 5, or a share as 10%"):
        failures(text, "--x")


def test_what_is_no_time() -> None:
    with pytest.raises(CommandError, match="--x is as 12h"):
        moment("soon", "--x", NOW)


def test_return_codes() -> None:
    assert codes("0, 3010,-1", "--x") == {0, 3010, -1}
    with pytest.raises(CommandError, match="--x is return codes as 0,3010"):
        codes("good", "--x")
