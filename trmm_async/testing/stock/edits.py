"""What a serializer of the server lets through: settings by name, each with its check.

Below: `room.py`, `world.py`. Above: the modules that edit things. Pure. Unknown names are ignored; every
wrong value is named in one 400.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from trmm_async.testing.replies import AnsweredError, json_reply

if TYPE_CHECKING:
    from trmm_async.testing.world import World

    from .room import Fields

__all__ = ["AGENT_FIELDS", "ALERT_FIELDS", "Check", "checked", "choice", "flag", "number", "text"]

Check = Callable[[object, "World"], object]
"""Returns what is stored for a value; ValueError says what is wrong with it."""


def flag(value: object, _world: World) -> object:
    """True or false."""
    if value not in {True, False}:
        raise ValueError("Must be a valid boolean.")
    return bool(value)


def number(value: object, _world: World) -> object:
    """A whole number, not negative; digits will do."""
    try:
        found = int(value) if isinstance(value, int | str) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError("A valid integer is required.")
    if found < 0:
        raise ValueError("Ensure this value is greater than or equal to 0.")
    return found


def text(value: object, _world: World) -> object:
    """Words, or null; numbers are words too."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        raise ValueError("Not a valid string.")
    return value if value is None else str(value)


def choice(*words: str) -> Check:
    """Make a check for one of several words."""

    def check(value: object, _world: World) -> object:
        if value not in words:
            msg = f'"{value}" is not a valid choice.'
            raise ValueError(msg)
        return value

    return check


def key(table: str) -> Check:
    """Make a check for the id of something in the world, which is stored itself."""

    def check(value: object, world: World) -> object:
        found: object = vars(world)[table].get(value) if isinstance(value, int | str) else None
        if found is None:
            msg = f'Invalid pk "{value}" - object does not exist.'
            raise ValueError(msg)
        return found

    return check


def _policy(value: object, _world: World) -> object:
    if value is not None and not isinstance(value, int):
        raise ValueError("Incorrect type. Expected pk value.")
    return value


def _zone(value: object, _world: World) -> object:
    """A time zone by its name, or null for the server's."""
    if value is not None and value not in available_timezones():
        msg = f'"{value}" is not a valid choice.'
        raise ValueError(msg)
    return value


def _agent(value: object, world: World) -> object:
    """An agent's number here, or null."""
    if value is None:
        return None
    if not isinstance(value, int):
        msg = f"Incorrect type. Expected pk value, received {type(value).__name__}."
        raise ValueError(msg)  # noqa: TRY004 - the server's word for it
    if all(agent.pk != value for agent in world.agents.values()):
        msg = f'Invalid pk "{value}" - object does not exist.'
        raise ValueError(msg)
    return value


AGENT_FIELDS: Mapping[str, Check] = {
    "maintenance_mode": flag,
    "policy": _policy,
    "block_policy_inheritance": flag,
    "monitoring_type": choice("server", "workstation"),
    "description": text,
    "overdue_email_alert": flag,
    "overdue_text_alert": flag,
    "overdue_dashboard_alert": flag,
    "offline_time": number,
    "overdue_time": number,
    "check_interval": number,
    "time_zone": _zone,
    "site": key("sites"),
    "default_shell": choice("use_global", "cmd", "powershell", "bash", "custom"),
    "default_shell_custom": text,
}
ALERT_FIELDS: Mapping[str, Check] = {
    "agent": _agent,
    "assigned_check": number,
    "assigned_task": number,
    "alert_type": choice("availability", "check", "task", "custom"),
    "severity": choice("info", "warning", "error"),
    "message": text,
    "snoozed": flag,
    "resolved": flag,
    "hidden": flag,
}


def checked(checks: Mapping[str, Check], body: Fields, world: World) -> dict[str, object]:
    """Return what is to be stored of a body, or say what is wrong with it: all of it, in one 400."""
    kept: dict[str, object] = {}
    errors: dict[str, list[str]] = {}
    for name, check in checks.items():
        if name in body:
            try:
                kept[name] = check(body[name], world)
            except ValueError as error:
                errors[name] = [str(error)]
    if errors:
        raise AnsweredError(json_reply(400, errors))
    return kept
