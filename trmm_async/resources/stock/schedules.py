"""`trmm.schedules`."""

from collections.abc import Iterable, Mapping
from datetime import time
from functools import partial
from typing import Any, Final, Literal, TypedDict, Unpack

from trmm_async import arguments
from trmm_async.dialects.stock.endpoint import Wire, act, delete, put, read, reader
from trmm_async.errors import InvalidRequestError
from trmm_async.models import Noun, no_extra
from trmm_async.resources.resource import Resource

__all__ = ["Schedule", "ScheduleChanges", "Schedules"]


class Schedule(Noun, frozen=True, kw_only=True, gc=False):
    """When reports are made: `schedule_type` "daily", "weekly" or "monthly".

    `weekdays` are 0 (Monday) to 6, `days` 1 to 31 and 32 for the last, `weeks` 1 to 4 and 5 for the last,
    `months` 1 to 12. `monthly_type` says whether a month goes by "days" or by "weeks" and weekdays.
    """

    id: int
    """The server's id of it."""
    name: str = ""
    """The name."""
    schedule_type: str = ""
    run_time: time | None = None
    """The time of day."""
    monthly_type: str = ""
    weekdays: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    created_by: str | None = None
    """Who made it, by user name."""
    modified_by: str | None = None
    """Who changed it last, by user name."""
    extra: Mapping[str, Any] = no_extra()


class ScheduleChanges(TypedDict, total=False):
    """The settings that `schedules.update` can change. What is not given stays unchanged."""

    name: str
    schedule_type: Literal["daily", "weekly", "monthly"]
    run_time: time
    monthly_type: Literal["days", "weeks"]
    weekdays: Iterable[int]
    months: Iterable[int]
    days: Iterable[int]
    weeks: Iterable[int]


def _numbers(least: int, most: int, values: object, what: str) -> tuple[int, ...]:
    if not isinstance(values, Iterable) or isinstance(values, str | bytes):
        raise InvalidRequestError(f"{what} must be numbers, not {values!r}")
    return tuple(arguments.integer(value, what, minimum=least, maximum=most) for value in values)


def _time(value: object, what: str) -> str:
    if not isinstance(value, time) or value.tzinfo is not None:
        raise InvalidRequestError(
            f"{what} must be a datetime.time without a zone, as time(2, 30); not {value!r}"
        )
    return value.isoformat(timespec="minutes" if value.second == 0 else "seconds")


_CHECKS: Final[arguments.Checks] = {
    "name": arguments.plain_text,
    "schedule_type": partial(arguments.choice, allowed=("daily", "weekly", "monthly")),
    "run_time": _time,
    "monthly_type": partial(arguments.choice, allowed=("days", "weeks")),
    "weekdays": ("run_time_weekdays", partial(_numbers, 0, 6)),
    "months": ("monthly_months_of_year", partial(_numbers, 1, 12)),
    "days": ("monthly_days_of_month", partial(_numbers, 1, 32)),
    "weeks": ("monthly_weeks_of_month", partial(_numbers, 1, 5)),
}
_WIRE: Final[Wire] = {
    "weekdays": "run_time_weekdays",
    "months": "monthly_months_of_year",
    "days": "monthly_days_of_month",
    "weeks": "monthly_weeks_of_month",
}
_ONE: Final = "/core/schedules/{schedule:id}/"

LIST = read("schedules.list", "/core/schedules/", list[Schedule], wire=_WIRE, since="1.3.0")
CREATE = act(
    "schedules.create",
    "/core/schedules/",
    decode=reader(Schedule, _WIRE),
    needs="name run_time",
    since="1.3.0",
)
UPDATE = put("schedules.update", _ONE, since="1.3.0")
DELETE = delete("schedules.delete", _ONE, since="1.3.0")


class Schedules(Resource):
    """When a stock server makes reports, which its enterprise edition has. All errors are `TRMMError`s.

    A gateway raises `UnsupportedError`.
    """

    async def create(
        self,
        *,
        name: str,
        run_time: time,
        weekdays: Iterable[int] | None = None,
        months: Iterable[int] | None = None,
        days: Iterable[int] | None = None,
        weeks: Iterable[int] | None = None,
    ) -> Schedule:
        """Create a schedule and return it. Never sent twice.

        Daily by itself; with `weekdays` weekly; with `months` and `days` monthly, or with `months`, `weeks`
        and `weekdays`.

        Args:
            name: need not be the only one of its name.
            run_time: without a zone, by the server's clock.
            weekdays: 0 is Monday, 6 Sunday.
            months: 1 to 12.
            days: of the month, 1 to 31, and 32 for the last.
            weeks: of the month, 1 to 4, and 5 for the last.

        Raises:
            OutcomeUnknownError: it was sent and the answer was lost: it may exist.
        """
        kind = "monthly" if months is not None else "weekly" if weekdays is not None else "daily"
        if kind == "monthly" and (days is None) == (weeks is None or weekdays is None):
            raise InvalidRequestError("months need days, or weeks and weekdays")
        if kind != "monthly" and (days is not None or weeks is not None):
            raise InvalidRequestError("days and weeks are those of months: give months=range(1, 13) for all")
        given = {
            "name": name,
            "schedule_type": kind,
            "run_time": run_time,
            "monthly_type": "days" if weeks is None else "weeks",
            "weekdays": weekdays or (),
            "months": months or (),
            "days": days or (),
            "weeks": weeks or (),
        }
        return await self._send(CREATE, body=arguments.settings(given, _CHECKS, CREATE.name))

    async def update(self, schedule: int | Schedule, **changes: Unpack[ScheduleChanges]) -> None:
        """Change settings of a schedule. Idempotent: sent again if an answer is lost.

        Raises:
            NotFoundError: there is no such schedule.
        """
        await self._send(UPDATE, schedule, body=arguments.settings(changes, _CHECKS, UPDATE.name))

    async def delete(self, schedule: int | Schedule) -> None:
        """Delete a schedule. If it is gone already, that counts as success.

        Raises:
            NotFoundError: there is no such schedule.
        """
        await self._send(DELETE, schedule)

    async def list(self) -> list[Schedule]:
        """List all schedules."""
        return await self._send(LIST)
