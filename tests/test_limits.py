"""A rate limit is a value, and a wrong one is refused where it is made."""

import math
from itertools import pairwise
from typing import Any

import pytest

from trmm_async import InvalidRequestError, RateLimit


class TestARateLimit:
    @pytest.mark.parametrize("count", [0, -1, 1.5, "100", None, True, math.nan, math.inf])
    def test_needs_a_whole_number_of_calls(self, count: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"count must be a whole number from 1"):
            RateLimit(count, per=60)

    @pytest.mark.parametrize("per", [0, -1, "60", None, True, math.nan, math.inf, -math.inf, 10**400])
    def test_needs_a_finite_number_of_seconds(self, per: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"per must be a number of seconds above 0"):
            RateLimit(100, per=per)

    @pytest.mark.parametrize("burst", [0, -1, 101, 1.0, "1", True])
    def test_needs_a_burst_within_its_count(self, burst: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"burst must be from 1 to 100"):
            RateLimit(100, per=60, burst=burst)

    @pytest.mark.parametrize(
        "limit", [RateLimit(1, per=0.001), RateLimit(1, 5, 1), RateLimit(100, per=60, burst=100)]
    )
    def test_is_a_value(self, limit: RateLimit) -> None:
        assert limit == RateLimit(limit.count, per=limit.per, burst=limit.burst)
        assert len({limit, RateLimit(limit.count, limit.per, limit.burst)}) == 1

    def test_is_sure_of_a_count_after_a_time_that_grows_with_its_window(self) -> None:
        times = [RateLimit(1, per=per).surely_counted for per in (0.1, 1, 10, 60, 3600)]
        assert times[0] == 0.5
        assert all(earlier <= later for earlier, later in pairwise(times))
        assert RateLimit(1, per=60).surely_counted >= 2
