"""What users hand in is checked before anything is sent, and the refusal says what is wrong with what."""

import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import for_each
from trmm_async import InvalidRequestError, arguments
from trmm_async.models import Agent, Alert, Check, Client, ClientRef, Script
from trmm_async.plaintext import is_named

NOW = datetime(2026, 4, 21, 10, tzinfo=UTC)
CONTROLS = [*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029"]
SURROGATES = ["\ud800", "\udcff", "\udfff"]


def refusal(check: Callable[..., object], *args: object, **named: object) -> str:
    """What the refusal says. Anything else than our own error fails."""
    with pytest.raises(InvalidRequestError) as caught:
        check(*args, **named)
    return str(caught.value)


class TestPlainText:
    @pytest.mark.parametrize("good", ["x", "Weekly disk cleanup", " padded ", "Zürich, 東京", "🖥️", "a/b..\\"])
    def test_passes_as_it_is(self, good: str) -> None:
        assert arguments.plain_text(good, "name") is good

    @pytest.mark.parametrize("char", CONTROLS)
    def test_has_no_control_characters(self, char: str) -> None:
        for text in (char, f"a{char}", f"{char}a", f"a{char}b"):
            assert "name must not contain control characters" in refusal(arguments.plain_text, text, "name")

    @pytest.mark.parametrize("char", SURROGATES)
    def test_has_a_form_in_utf_8(self, char: str) -> None:
        assert "name must be text that UTF-8 can carry" in refusal(arguments.plain_text, f"a{char}", "name")

    @pytest.mark.parametrize("blank", ["", " ", "\u3000", "  \xa0"])
    def test_is_not_blank_unless_that_is_allowed(self, blank: str) -> None:
        assert refusal(arguments.plain_text, blank, "name") == "name must not be empty"
        assert arguments.plain_text(blank, "flags", empty=True) == blank

    @pytest.mark.parametrize("other", [None, 5, b"name", ["name"], True])
    def test_is_text(self, other: object) -> None:
        assert "name must be text, not" in refusal(arguments.plain_text, other, "name")


class TestFreeText:
    @pytest.mark.parametrize("good", ["x", "dir\r\ndir\t/s\n", " padded ", "東京 \x1b[0m"])
    def test_has_any_number_of_lines(self, good: str) -> None:
        assert arguments.free_text(good, "command") is good

    @pytest.mark.parametrize("bad", ["a\0", *SURROGATES])
    def test_is_what_a_server_can_store(self, bad: str) -> None:
        assert "command must be text that UTF-8 can carry" in refusal(arguments.free_text, bad, "command")

    @pytest.mark.parametrize("blank", ["", " ", "\n\t\n"])
    def test_is_not_blank(self, blank: str) -> None:
        assert refusal(arguments.free_text, blank, "note") == "note must not be empty"
        assert arguments.free_text(blank, "note", empty=True) is blank

    @pytest.mark.parametrize("other", [None, 5, b"x", ["x"]])
    def test_is_text(self, other: object) -> None:
        assert "note must be text, not" in refusal(arguments.free_text, other, "note")


class TestAWholeNumber:
    @pytest.mark.parametrize("good", [1, 2, 295])
    def test_lies_within_its_span(self, good: int) -> None:
        assert arguments.integer(good, "timeout", minimum=1, maximum=295) == good

    @pytest.mark.parametrize("bad", [0, 296, 1.5, "5", None, True])
    def test_says_the_span(self, bad: object) -> None:
        said = refusal(arguments.integer, bad, "timeout", minimum=1, maximum=295)
        assert said == f"timeout must be a whole number from 1 to 295, not {bad!r}"
        if bad != 296:
            assert "from 1, not" in refusal(arguments.integer, bad, "timeout", minimum=1)


class TestAWholeMinute:
    LATER = NOW + timedelta(hours=1)

    def test_is_the_next_one(self) -> None:
        assert arguments.whole_minute(self.LATER, "at", now=NOW) == self.LATER
        for more in (timedelta(microseconds=1), timedelta(seconds=59.5)):
            assert arguments.whole_minute(self.LATER + more, "at", now=NOW) == self.LATER + timedelta(
                minutes=1
            )

    def test_keeps_its_time_zone_or_has_none(self) -> None:
        zone = timezone(timedelta(hours=2))
        assert arguments.whole_minute(self.LATER.astimezone(zone), "at", now=NOW).tzinfo is zone
        past = datetime(2020, 1, 1, 3)  # noqa: DTZ001 - whose clock it is by is not known here
        assert arguments.whole_minute(past, "at", now=NOW) == past

    @pytest.mark.parametrize("bad", [NOW, NOW - timedelta(seconds=1)])
    def test_lies_in_the_future(self, bad: datetime) -> None:
        assert "at must lie in the future" in refusal(arguments.whole_minute, bad, "at", now=NOW)

    def test_has_to_be_one_that_can_be_told(self) -> None:
        assert "at must be a datetime, not str" in refusal(arguments.whole_minute, "soon", "at")
        last = datetime.max  # noqa: DTZ901 - there is no minute behind it
        assert "before the year 10000" in refusal(arguments.whole_minute, last, "at")


class TestAnAgentId:
    @pytest.mark.parametrize(
        "good", ["abc-uuid", "a b", "a.b", "...", "a..", "ü", "100%", "a?b#c", "%2e%2e", "~"]
    )
    def test_passes_as_it_is(self, good: str) -> None:
        assert arguments.agent_id(good) == good

    def test_is_taken_from_the_object_that_has_it(self) -> None:
        assert arguments.agent_id(Agent(agent_id="abc")) == "abc"
        assert arguments.agent_id(Alert(id=1, agent_id="abc")) == "abc"

    @pytest.mark.parametrize(
        "bad", ["", " ", ".", "..", "/", "a/b", "../a", "a\\b", "\\", " a", "a ", "\xa0a"]
    )
    def test_is_one_segment_of_a_path(self, bad: str) -> None:
        for value in (bad, Agent(agent_id=bad)):
            assert "agent_id must not" in refusal(arguments.agent_id, value)

    @pytest.mark.parametrize("bad", [None, 5, b"abc", ["abc"], Check(id=1), Client(id=1)])
    def test_is_text(self, bad: object) -> None:
        assert "agent_id must be text" in refusal(arguments.agent_id, bad)

    @given(st.text(max_size=20))
    def test_whatever_passes_stays_one_segment_once_quoted(self, text: str) -> None:
        with suppress(InvalidRequestError):
            segment = quote(arguments.agent_id(text), safe="")
            assert segment not in {"", ".", ".."}
            assert not set(segment) - set(string.ascii_letters + string.digits + "-._~%")
            assert unquote(segment) == text


class TestAnObjectId:
    @pytest.mark.parametrize("value", [5, Client(id=5), ClientRef(id=5), Script(id=5), Alert(id=5)])
    def test_is_a_number_or_the_object_that_has_it(self, value: object) -> None:
        assert arguments.object_id(value, "client") == 5

    def test_may_be_0_and_as_large_as_a_database_counts(self) -> None:
        assert arguments.object_id(0, "client") == 0
        assert arguments.object_id(2**63 - 1, "client") == 2**63 - 1

    @pytest.mark.parametrize("value", [True, False, "5", 5.0, None, b"5", [5], Agent(agent_id="5")])
    def test_is_nothing_else(self, value: object) -> None:
        assert "client must be an id or an object that has one" in refusal(
            arguments.object_id, value, "client"
        )

    def test_is_known(self) -> None:
        """A server may name an agent's client without its id."""
        said = refusal(arguments.object_id, ClientRef(name="Hermes"), "client")
        assert "not an object without an id" in said

    @pytest.mark.parametrize("value", [-1, -(10**5000), 2**63, 10**5000], ids=["-1", "low", "2**63", "high"])
    def test_is_in_range(self, value: int) -> None:
        assert refusal(arguments.object_id, value, "script").startswith("script must")


class TestANumber:
    @pytest.mark.parametrize("value", [1, 0.5, 1e300, 10**300])
    def test_passes(self, value: float) -> None:
        assert arguments.number(value, "timeout", above=0) == value

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, True, "1", None])
    def test_is_finite_and_a_number(self, value: object) -> None:
        assert "timeout must be a number, not" in refusal(arguments.number, value, "timeout")

    def test_keeps_to_its_bounds(self) -> None:
        assert arguments.number(0, "patience", minimum=0) == 0
        assert (
            refusal(arguments.number, -0.5, "patience", minimum=0) == "patience must be at least 0, not -0.5"
        )
        assert refusal(arguments.number, 0, "timeout", above=0) == "timeout must be more than 0, not 0"

    @pytest.mark.parametrize("value", [0, 1.0, True, "1", None, -1])
    def test_that_is_whole_is_an_int_from_its_least(self, value: object) -> None:
        assert arguments.integer(1, "width", minimum=1) == 1
        assert "width must be a whole number from 1, not" in refusal(
            arguments.integer, value, "width", minimum=1
        )


class TestAScripts:
    @pytest.mark.parametrize("seconds", [1, 90, 300])
    def test_timeout_passes(self, seconds: int) -> None:
        assert arguments.script_timeout(seconds) == seconds

    @pytest.mark.parametrize("seconds", [0, 301, -1, 1.5, 90.0, True, "90", None])
    def test_timeout_is_whole_seconds_from_1_to_300(self, seconds: object) -> None:
        said = refusal(arguments.script_timeout, seconds)
        assert said == f"timeout must be whole seconds from 1 to 300, not {seconds!r}"

    @pytest.mark.parametrize("args", [[], ("C:",), ["", " ", "two words", "line\nline", "ü", '"']])
    def test_args_pass_as_they_are(self, args: Any) -> None:
        assert arguments.script_args(args) == tuple(args)

    def test_args_may_come_from_a_generator(self) -> None:
        def letters() -> Iterator[str]:
            yield from "ab"

        assert arguments.script_args(letters()) == ("a", "b")

    @pytest.mark.parametrize("args", ["C:", b"C:", ""])
    def test_args_are_not_taken_apart_into_letters(self, args: object) -> None:
        assert "args must be a sequence of texts, not the text" in refusal(arguments.script_args, args)

    @pytest.mark.parametrize("args", [None, 5, object()])
    def test_args_are_a_sequence(self, args: object) -> None:
        assert "args must be a sequence of texts" in refusal(arguments.script_args, args)

    @pytest.mark.parametrize("arg", [5, None, b"C:", ["C:"], *SURROGATES])
    def test_args_are_texts_that_can_be_sent(self, arg: object) -> None:
        assert "args must be texts" in refusal(arguments.script_args, ["C:", arg])


class TestAChoice:
    def test_is_one_of_the_words(self) -> None:
        assert arguments.choice("wait", "output", ("wait", "forget")) == "wait"

    @pytest.mark.parametrize("value", ["", "later", None, 5, ["wait"]])
    def test_is_nothing_else(self, value: object) -> None:
        said = refusal(arguments.choice, value, "output", ("wait", "forget"))
        assert said == f"output must be one of wait, forget; not {value!r}"

    @pytest.mark.parametrize("value", ["Wait", "WAIT"])
    def test_is_in_any_case_the_word_that_is_sent(self, value: str) -> None:
        assert arguments.choice(value, "output", ("wait", "forget")) == "wait"
        assert arguments.choice("reg_sz", "type", ("REG_SZ",)) == "REG_SZ"

    @pytest.mark.parametrize("value", ["waits", "wait ", "wiat"])
    def test_is_no_typo_either_which_is_told_what_was_meant(self, value: str) -> None:
        said = refusal(arguments.choice, value, "output", ("wait", "forget"))
        assert said == f"output must be one of wait, forget; not {value!r} (did you mean 'wait'?)"


class Nowhere(tzinfo):
    """A time zone that does not know where it is."""

    def utcoffset(self, _moment: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


class TestAnExpiry:
    @pytest.mark.parametrize("hours", [-12, 0, 2, 14])
    def test_in_the_future_passes_and_is_in_utc(self, hours: int) -> None:
        soon = (NOW + timedelta(seconds=1)).astimezone(timezone(timedelta(hours=hours)))
        found = arguments.expiry(soon, now=NOW)
        assert found == soon
        assert found.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=1), timedelta(days=900)])
    def test_in_the_past_is_refused(self, late: timedelta) -> None:
        elsewhere = (NOW - late).astimezone(timezone(timedelta(hours=5)))
        assert "expires must lie in the future" in refusal(arguments.expiry, elsewhere, now=NOW)

    def test_is_measured_by_the_real_clock_unless_told_otherwise(self) -> None:
        arguments.expiry(datetime.now(UTC) + timedelta(minutes=1))
        assert "future" in refusal(arguments.expiry, datetime.now(UTC) - timedelta(minutes=1))

    @pytest.mark.parametrize("zone", [None, Nowhere()])
    def test_without_a_time_zone_is_refused(self, zone: tzinfo | None) -> None:
        assert "must say its time zone" in refusal(arguments.expiry, datetime(2999, 1, 1, tzinfo=zone))

    @pytest.mark.parametrize("value", [None, "2026-04-22T10:00:00Z", 5, NOW.date(), timedelta(days=1)])
    def test_is_a_datetime(self, value: object) -> None:
        assert "expires must be a datetime, not" in refusal(arguments.expiry, value)

    def test_that_utc_can_not_say_is_refused(self) -> None:
        last = datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))
        assert "before the year 10000" in refusal(arguments.expiry, last)


class TestAnApiKey:
    @pytest.mark.parametrize("good", ["K", "ABC123", "with inner space", "!#$%&'*+-.^_`|~"])
    def test_passes_as_it_is(self, good: str) -> None:
        assert arguments.api_key(good) is good

    @pytest.mark.parametrize("bad", ["", " ", "\n"])
    def test_is_there(self, bad: str) -> None:
        assert refusal(arguments.api_key, bad) == "api_key must not be empty"

    @pytest.mark.parametrize("bad", [None, 5, b"SECRET", ["SECRET"]])
    def test_is_text(self, bad: object) -> None:
        assert refusal(arguments.api_key, bad) == f"api_key must be text, not {type(bad).__name__}"

    @pytest.mark.parametrize("form", ["{}SECRET", "SEC{}RET", "SECRET{}"])
    def test_can_stand_in_a_header_and_never_in_the_refusal(self, form: str) -> None:
        def check(spoiler: str) -> None:
            said = refusal(arguments.api_key, form.format(spoiler))
            assert "plain ASCII" in said
            assert "SEC" not in said
            assert "RET" not in said

        for_each([*CONTROLS, "ü", "\u2019", "\ud800"], check)

    @pytest.mark.parametrize("padded", [" SECRET", "SECRET ", "\tSECRET", "SECRET\r\n"])
    def test_has_nothing_around_it(self, padded: str) -> None:
        assert "SECRET" not in refusal(arguments.api_key, padded)


class TestSeveral:
    def test_ids_come_once_each_and_one_is_as_good_as_several(self) -> None:
        assert arguments.object_ids([1, Alert(id=2), 1], "alerts") == (1, 2)
        assert arguments.object_ids(Client(id=3), "client") == arguments.object_ids(3, "client") == (3,)
        assert arguments.object_ids(iter([]), "alerts") == ()

    @pytest.mark.parametrize("bad", ["12", b"12", ["1"], [True], None, [None], [-1]])
    def test_ids_are_whole_numbers(self, bad: object) -> None:
        assert "alerts must" in refusal(arguments.object_ids, bad, "alerts")

    def test_names_are_not_letters_of_one(self) -> None:
        assert arguments.names(iter(["a", "b"]), "options") == ("a", "b")
        for bad in ("ab", b"ab", 5, None, [5], [""], ["a\n"]):
            assert "options must" in refusal(arguments.names, bad, "options")

    def test_none_at_all_is_no_filter(self) -> None:
        assert arguments.non_empty((1,), "client") == (1,)
        assert refusal(arguments.non_empty, (), "client") == "client must not be empty; leave it out for any"


class TestExactlyOne:
    @staticmethod
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ({"agent": "A", "site": None, "everywhere": False}, "agent"),
            ({"agent": None, "site": 0, "everywhere": False}, "site"),
            ({"agent": None, "site": None, "everywhere": True}, "everywhere"),
        ],
    )
    def test_is_named(given: dict[str, object], name: str) -> None:
        assert arguments.exactly_one("a.b", **given) == name

    @staticmethod
    @pytest.mark.parametrize(
        "given",
        [
            {"agent": None, "site": None, "everywhere": False},
            {"agent": "A", "site": None, "everywhere": True},
            {"agent": "A", "site": 1, "everywhere": False},
        ],
    )
    def test_must_be_given_and_no_other(given: dict[str, object]) -> None:
        said = refusal(arguments.exactly_one, "a.b", **given)
        assert said.startswith("a.b: give one of agent, site and everywhere=True")


class TestChanges:
    CHECKS: ClassVar[Mapping[str, arguments.Check]] = {
        "name": arguments.name,
        "enabled": arguments.boolean,
        "policy": arguments.or_none(arguments.object_id),
    }

    def made(self, **given: object) -> dict[str, object]:
        return arguments.settings(given, self.CHECKS, "tasks.update")

    def test_are_what_is_given_each_by_its_check(self) -> None:
        assert self.made(name=" x ", enabled=False) == {"name": "x", "enabled": False}

    def test_none_clears_what_can_be_cleared_and_is_never_taken_for_not_given(self) -> None:
        assert self.made(policy=None) == {"policy": None}
        assert refusal(self.made, name=None) == "name must be text, not NoneType"

    def test_are_not_nothing(self) -> None:
        said = refusal(self.made)
        assert said == "tasks.update: nothing to change: give name, enabled, policy, one or more"

    def test_are_none_that_is_not_known(self) -> None:
        head = "tasks.update() got an unexpected keyword "
        assert refusal(self.made, nam="x") == head + "'nam' (did you mean 'name'?)"
        assert refusal(self.made, zzz="x") == head + "'zzz': it takes name, enabled, policy"


class TestValuesOfCustomFields:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            (True, True),
            ("", ""),
            ("a\nb", "a\nb"),
            (5, "5"),
            (1.5, "1.5"),
            (["a", "b"], ("a", "b")),
            ((), ()),
        ],
    )
    def test_keep_their_kind(self, given: object, kept: object) -> None:
        value = arguments.field_value(given, "default")
        assert value == kept
        assert type(value) is type(kept)

    @pytest.mark.parametrize("bad", [None, float("nan"), b"x", object(), [5], "a\0"])
    def test_are_of_some_kind(self, bad: object) -> None:
        assert "default must" in refusal(arguments.field_value, bad, "default")

    def test_are_named_by_fields_or_their_ids(self) -> None:
        assert arguments.field_values({1: "x", Check(id=2): True}) == {1: "x", 2: True}
        for bad in ({}, [1], None, {"x": "y"}):
            assert "custom_fields" in refusal(arguments.field_values, bad)


@pytest.mark.parametrize("name", ["JADE-PC", "jade-pc", "Büro-1", "Bu\u0308ro-1", "STRASSE"])
def test_a_host_name_is_meant_in_any_case_and_form(name: str) -> None:
    wanted = {"j": "Jade-Pc", "b": "BÜRO-1", "s": "straße"}[name[0].lower()]
    assert is_named(name, wanted)
    assert not is_named(f"{name}2", wanted)
