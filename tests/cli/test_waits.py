"""On a terminal no command waits in silence: why, and until when."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trmm_async as sdk
from tests.cli.stage import Backstage, program, terminal
from trmm_async.cli.waits import Attendant, fitting, limited_seconds

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LIMIT = sdk.RateLimit(100, per=60)
CALL: dict[str, Any] = {"call": 1, "method": "GET", "path": "/agents/"}


@dataclass
class World:
    """What a client would say of itself, and the time."""

    now: float = 1000.0
    stats: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.attendant = Attendant(self.told, lambda: self.now)

    def told(self) -> sdk.Stats:
        nothing: dict[str, Any] = {
            "sent": 0, "refused": 0, "retried": 0, "waiting": 0, "waited_s": 0.0, "in_flight": 0,
            "next_free_in": 0.0, "rate_limit": LIMIT,
        }  # fmt: skip
        return sdk.Stats(**{**nothing, **self.stats})


class TestTheReason:
    def test_is_nothing_where_nothing_is_waited_for(self) -> None:
        assert World().attendant.look() == ""

    def test_is_the_limit_and_when_it_goes_on(self) -> None:
        world = World(stats={"waiting": 1, "next_free_in": 40.2})
        world.attendant.take(sdk.Waiting(**CALL, reason="limit", expected=40.2))
        assert world.attendant.look() == "rate limit: 100 of 100 used, goes on in 41 s"
        world.stats["next_free_in"] = None
        assert world.attendant.look() == "rate limit: 100 of 100 used, goes on when an answer has come"

    def test_is_the_limit_for_handshakes_too_of_which_no_call_tells(self) -> None:
        world = World(stats={"waiting": 104, "next_free_in": 7.0})
        assert world.attendant.look().startswith("rate limit: 100 of 100 used, goes on in 7 s")

    def test_is_the_server_where_it_says_that_the_limit_is_used_up(self) -> None:
        world = World()
        world.attendant.take(sdk.Retry(**CALL, attempt=1, delay=58.0, reason="answered 429"))
        world.now += 17
        assert world.attendant.look() == "rate limit: used up, says the server; goes on in 41 s"
        world.now += 41
        assert world.attendant.look() == ""

    def test_is_another_attempt(self) -> None:
        world = World()
        world.attendant.take(sdk.Retry(**CALL, attempt=1, delay=4.0, reason="answered 503"))
        assert world.attendant.look() == "answered 503: tried again in 4 s"
        ended = sdk.CallEnded(**CALL, attempts=1, waited=0.0, elapsed=1.0, error=None)
        world.attendant.take(ended)
        assert world.attendant.look() == ""

    def test_is_a_server_that_does_not_answer_and_since_when(self) -> None:
        world = World(stats={"in_flight": 1})
        world.attendant.look()
        world.now += 3
        assert world.attendant.look() == "waiting for the server's answer, 3 s so far"
        world.attendant.take(sdk.Attempt(**CALL, number=1, status=200, problem="", elapsed=3.0))
        assert world.attendant.look() == "waiting for the server's answer, 1 s so far"

    def test_tells_how_far_many_calls_are(self) -> None:
        world = World(stats={"in_flight": 10, "waiting": 70, "next_free_in": 5.0})
        for number in range(120):
            one = {**CALL, "call": number}
            world.attendant.take(sdk.Attempt(**one, number=1, status=200, problem="", elapsed=0.1))
        assert world.attendant.look().endswith("(120 answered, 10 in progress, 70 waiting)")

    @pytest.mark.parametrize("reason", ["worker", "connection"])
    def test_is_a_place_that_is_not_free(self, reason: str) -> None:
        world = World(stats={"waiting": 1, "rate_limit": None, "next_free_in": 0.0})
        world.attendant.take(sdk.Waiting(**CALL, reason=reason))
        assert f"waiting for a {reason}" in world.attendant.look()
        world.stats["waiting"] = 0
        world.attendant.take(sdk.Waited(**CALL, reason=reason, seconds=1.0))
        assert world.attendant.look() == ""

    def test_is_told_with_what_the_command_knows(self) -> None:
        world = World(stats={"waiting": 1, "next_free_in": 9.0})
        world.attendant.note = lambda: "connected 100 of 200"
        expected = "connected 100 of 200; rate limit: 100 of 100 used, goes on in 9 s"
        assert world.attendant.look() == expected


class TestANarrowTerminal:
    @pytest.mark.parametrize(
        ("text", "width", "told"),
        [
            (
                "rate limit: 5 of 5 used, goes on in 41 s (5 answered, 0 in progress, 10 waiting)",
                81,
                "rate limit: 5 of 5 used, goes on in 41 s (5 answered, 0 in progress, 10 waiting)",
            ),
            (
                "rate limit: 100 of 100 used, goes on in 41 s (5 answered, 0 in progress, 10 waiting)",
                60,
                "rate limit: 100 of 100 used, goes on in 41 s",
            ),
            ("rate limit: 100 of 100 used, goes on in 41 s", 40, "rate limit: goes on in 41 s"),
            ("rate limit: used up, says the server; goes on in 41 s", 40, "rate limit: goes on in 41 s"),
            ("waiting for the server's answer, 12 s so far", 40, "waiting for an answer, 12 s so far"),
            (
                "connected 100 of 200; rate limit: 100 of 100 used, goes on in 58 s",
                60,
                "connected 100 of 200; rate limit: goes on in 58 s",
            ),
            (
                "connected 100 of 200; rate limit: 100 of 100 used, goes on in 58 s",
                40,
                "connected 100 of 200; goes on in 58 s",
            ),
            ("answered 503: tried again in 4 s", 20, "tried again in 4 s"),
            (
                "the proxy http://p:1 can't be reached: tried again in 4 s",
                40,
                "the proxy http://p…: tried again in 4 s",
            ),
            ("the proxy http://p:1 can't be reached: tried again in 4 s", 12, "tried agai…"),
        ],
    )
    def test_is_told_until_when_before_all_else(self, text: str, width: int, told: str) -> None:
        assert fitting(text, width) == told

    @given(st.text(max_size=60), st.integers(1, 80))
    def test_gets_no_line_that_it_would_break(self, text: str, width: int) -> None:
        assert len(fitting(text, width)) <= max(width - 1, 1)


class TestTheTimeThatIsLeft:
    def test_knows_the_windows_that_are_to_come(self) -> None:
        assert limited_seconds(80, LIMIT, 0, 0.0) == 0
        assert limited_seconds(100, LIMIT, 0, 0.0) == 0
        assert limited_seconds(101, LIMIT, 0, 0.0) == 60
        assert limited_seconds(104, LIMIT, 100, 15.0) == 75
        assert limited_seconds(10, sdk.RateLimit(100, per=60, burst=1), 0, 0.0) == pytest.approx(5.4)

    @given(
        st.integers(0, 10_000),
        st.integers(1, 500),
        st.floats(0.1, 1000),
        st.integers(0, 500),
    )
    def test_is_never_shorter_for_more(self, calls: int, count: int, per: float, used: int) -> None:
        limit = sdk.RateLimit(count, per=per)
        now = limited_seconds(calls, limit, min(used, count), 0.0)
        assert 0 <= now <= limited_seconds(calls + 1, limit, min(used, count), 0.0)
        assert now <= per * (calls / count + 1)

    def test_is_told_of_what_has_not_been_sent(self) -> None:
        world = World(stats={"sent": 100, "next_free_in": 15.0, "in_flight": 4})
        world.attendant.look()
        assert world.attendant.least(108) == 75
        world.stats["rate_limit"] = None
        world.attendant.look()
        assert world.attendant.least(108) is None


class TestOnATerminal:
    def test_a_command_says_why_it_waits_and_takes_it_back(self, gateway: Backstage) -> None:
        words = ["agents", "--client", "34", "--dialect", "gateway", "--rate-limit", "1/3"]
        with terminal(words, gateway.environment) as screen:
            screen.wait_for("rate limit: 1 of 1 used, goes on in ")
            assert screen.finish() == 0, screen.shown
        # The line is erased before the table is written in its place.
        assert "\r\x1b[K\x1b[1mAgent" in screen.raw
        assert "rate limit" not in screen.shown

    def test_what_the_server_says_of_the_limit_is_told(self, gateway: Backstage) -> None:
        gateway.do(lambda server: server.fail("GET", "/clients/", status=429, retry_after=3))
        with terminal(["clients", "--dialect", "gateway"], gateway.environment) as screen:
            screen.wait_for("rate limit: used up, says the server; goes on in ")
            assert screen.finish() == 0, screen.shown

    def test_a_run_tells_what_the_limit_lets_it_take(self, gateway: Backstage) -> None:
        words = ["run", "3", "--hostname", "*1*", "--yes", "--dialect", "gateway", "--rate-limit", "8/2"]
        with terminal(words, gateway.environment, 100) as screen:
            screen.wait_for("rate limit: 8 of 8 used, goes on in ")
            assert screen.finish() == 0, screen.shown
        assert re.search(r"/s 0:00:0[1-9]", ESCAPE.sub("", screen.raw))

    def test_a_dumb_terminal_is_told_once(self, gateway: Backstage) -> None:
        words = ["agents", "--client", "34", "--dialect", "gateway", "--rate-limit", "1/3"]
        with terminal(words, {**gateway.environment, "TERM": "dumb"}) as screen:
            assert screen.finish() == 0, screen.shown
        assert screen.shown.count("rate limit: 1 of 1 used") == 1
        assert "\x1b[K" not in screen.raw

    def test_nothing_is_said_into_a_pipe(self, gateway: Backstage) -> None:
        words = ["agents", "--client", "34", "--dialect", "gateway", "--rate-limit", "1/1.5"]
        said = program(words, gateway.environment)
        assert (said.code, said.error) == (0, "")

    def test_watch_shows_the_first_events_while_others_are_connected(self) -> None:
        with Backstage(agents=20, rate_limit=(12, 100.0), script_seconds=0.0) as stage:
            with terminal(
                ["watch", "--for", "60", "--rate-limit", "12/100"], stage.environment, 120
            ) as screen:
                screen.wait_for(" of 20; rate limit: 12 of 12 used, goes on in ")
                stage.do(lambda server: server.go_offline(server.agent_ids[0]))
                screen.wait_for("went offline")

    def test_watch_counts_its_time_from_the_start(self) -> None:
        with Backstage(agents=20, rate_limit=(1, 100.0), script_seconds=0.0) as stage:
            said = program(["watch", "--for", "0.5", "--json"], stage.environment)
            assert (said.code, said.data) == (0, [])
            assert re.search(
                r"(not answered|none of 20 agents was connected) when the time was over", said.error
            )

    def test_watch_says_who_was_not_connected_when_its_time_was_over(self) -> None:
        with Backstage(agents=20, rate_limit=(12, 100.0), script_seconds=0.0) as stage:
            said = program(["watch", "--for", "1", "--json", "--rate-limit", "12/100"], stage.environment)
        assert (said.code, said.data) == (0, [])
        assert re.search(r"(connected \d+|none) of 20 .*when the time was over", said.error)
