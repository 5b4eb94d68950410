"""`trmm.schedules`, over real HTTP."""

from datetime import time

import pytest

from tests.servers import count, served
from trmm_async import (
    InvalidRequestError,
    NotFoundError,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


class TestSchedules:
    async def test_are_made_changed_and_removed(self) -> None:
        async with served("stock", agents=1) as (_, trmm):
            daily = await trmm.schedules.create(name="Nightly", run_time=time(2, 30))
            assert (daily.schedule_type, daily.run_time, daily.weekdays) == ("daily", time(2, 30), ())
            weekly = await trmm.schedules.create(name="Mondays", run_time=time(8), weekdays=[0, 2])
            assert (weekly.schedule_type, weekly.weekdays) == ("weekly", (0, 2))
            monthly = await trmm.schedules.create(
                name="Last Friday", run_time=time(8), months=range(1, 13), weeks=[5], weekdays=[4]
            )
            assert (monthly.schedule_type, monthly.monthly_type, monthly.weeks) == ("monthly", "weeks", (5,))
            await trmm.schedules.update(daily, name="Nightly 2", run_time=time(3, 0, 1))
            listed = {one.id: one for one in await trmm.schedules.list()}
            assert (listed[daily.id].name, listed[daily.id].run_time) == ("Nightly 2", time(3, 0, 1))
            await trmm.schedules.delete(daily)
            with pytest.raises(NotFoundError):
                await trmm.schedules.delete(daily)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"run_time": "02:30"},
            {"weekdays": [7]},
            {"weekdays": "Mon"},
            {"months": [1]},
            {"months": [13], "days": [1]},
            {"months": [1], "days": [1], "weeks": [1], "weekdays": [1]},
            {"days": [1]},
            {"weeks": [1]},
        ],
        ids=str,
    )
    async def test_what_is_wrong_is_said_before(self, wrong: dict[str, object]) -> None:
        async with served("stock", agents=1) as (server, trmm):
            given = {"name": "x", "run_time": time(1), **wrong}
            with pytest.raises(InvalidRequestError):
                await trmm.schedules.create(**given)  # type: ignore[arg-type]
            assert count(server, "POST") == 0
