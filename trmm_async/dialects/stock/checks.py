"""How a stock server has checks: one table of columns for seven types, and rules for some of them.

The server checks the rules when a check is created, but accepts any update. Here, both are checked.
"""

import ipaddress
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, get_args

import msgspec

from trmm_async import arguments, codec
from trmm_async.errors import InvalidRequestError
from trmm_async.kinds import (
    CheckKind,
    CpuLoadCheck,
    DiskSpaceCheck,
    EventLogCheck,
    MemoryCheck,
    PingCheck,
    ServiceCheck,
)
from trmm_async.models import Extra, Moment, Noun, no_extra
from trmm_async.words import CheckType, Open

__all__ = [
    "SEVERITIES",
    "CheckDetails",
    "ALL_DETAILS",
    "changes_body",
    "check_body",
    "details_of",
    "env_pairs",
]

SEVERITIES: Final = ("info", "warning", "error")
_DOMAIN: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+", re.ASCII)
_DRIVE: Final = re.compile(r"[A-Za-z]:")


class CheckDetails(Noun, frozen=True, kw_only=True, gc=False):
    """A check as it is set up: `settings` is one of the seven types, None of a type that we don't know.

    It belongs to an agent or to a policy. `tasks` are the ids of those that run when it fails;
    `overridden_by_policy` says that a policy's check of the same kind goes before it.
    """

    id: int
    """The server's number for it."""
    check_type: Open[CheckType] = ""
    """What kind of check it is."""
    name: str = ""
    """What it is called."""
    settings: CheckKind | None = None
    agent_id: str | None = None
    """The agent's id."""
    policy: int | None = None
    """The policy that it is part of, by id; None for none."""
    tasks: tuple[int, ...] = ()
    overridden_by_policy: bool = False
    created_by: str | None = None
    """Who made it, by user name."""
    created_time: Moment | None = None
    """When it was made."""
    modified_by: str | None = None
    """Who changed it last, by user name."""
    modified_time: Moment | None = None
    """When it was changed last."""
    extra: Mapping[str, Any] = no_extra()


class _RunsOnFailure(msgspec.Struct):
    id: int


class _CheckRow(msgspec.Struct):
    """What every check has. For users, `readable_desc` and `assignedtasks` have other names."""

    id: int
    check_type: str = ""
    name: str | None = None
    readable_desc: str | None = None
    agent: int | None = None
    policy: int | None = None
    assignedtasks: tuple[_RunsOnFailure, ...] = ()
    overridden_by_policy: bool = False
    created_by: str | None = None
    created_time: Moment | None = None
    modified_by: str | None = None
    modified_time: Moment | None = None


def env_pairs(values: tuple[str, ...]) -> Mapping[str, str]:
    """Environment variables by their names, from "NAME=value"."""
    pairs = (value.partition("=") for value in values)
    return {name: value for name, _, value in pairs}


def _disk(value: object, what: str) -> str:
    disk = arguments.plain_text(value, what).strip()
    if not _DRIVE.fullmatch(disk):
        raise InvalidRequestError(f'{what} must be a letter and a colon, as "C:"; not {value!r}')
    return disk.upper()


def _address(value: object, what: str) -> str:
    address = arguments.plain_text(value, what).strip()
    try:
        ipaddress.ip_address(address)
    except ValueError:
        if not _DOMAIN.fullmatch(address):
            raise InvalidRequestError(
                f"{what} must be an IP address or a domain name, not {value!r}"
            ) from None
    return address


_INTEGER_MOST: Final = 2**31 - 1
_SMALL_MOST: Final = 2**15 - 1

_per_cent: Final = partial(arguments.integer, minimum=0, maximum=99)
_count: Final = partial(arguments.integer, minimum=0, maximum=_SMALL_MOST)
_positive: Final = partial(arguments.integer, minimum=1, maximum=_SMALL_MOST)
_text: Final = partial(arguments.short_text, most=255)
_severity: Final = partial(arguments.choice, allowed=SEVERITIES)
_codes: Final = arguments.each(partial(arguments.integer, minimum=-(2**31), maximum=_INTEGER_MOST))
_EVENT_TYPES: Final = ("INFO", "WARNING", "ERROR", "AUDIT_SUCCESS", "AUDIT_FAILURE")

_COLUMNS: Final[Mapping[str, tuple[str, arguments.Check]]] = {
    "email_alert": ("email_alert", arguments.boolean),
    "text_alert": ("text_alert", arguments.boolean),
    "dashboard_alert": ("dashboard_alert", arguments.boolean),
    "fails_before_alert": ("fails_b4_alert", _positive),
    "run_interval": ("run_interval", _count),
    "disk": ("disk", _disk),
    "warning_threshold": ("warning_threshold", _per_cent),
    "error_threshold": ("error_threshold", _per_cent),
    "ip": ("ip", _address),
    "name": ("name", _text),
    "severity": ("alert_severity", _severity),
    "service": ("svc_name", _text),
    "display_name": ("svc_display_name", _text),
    "pass_if_start_pending": ("pass_if_start_pending", arguments.boolean),
    "pass_if_missing": ("pass_if_svc_not_exist", arguments.boolean),
    "restart_if_stopped": ("restart_if_stopped", arguments.boolean),
    "policy_mode": (
        "svc_policy_mode",
        arguments.or_none(partial(arguments.choice, allowed=("default", "manual"))),
    ),
    "script": ("script", arguments.reference),
    "args": ("script_args", lambda values, _: list(arguments.script_args(values))),
    "env_vars": ("env_vars", lambda values, _: list(arguments.env_vars(values))),
    "timeout": ("timeout", lambda value, _: arguments.script_timeout(value)),
    "info_return_codes": ("info_return_codes", _codes),
    "warning_return_codes": ("warning_return_codes", _codes),
    "success_return_codes": ("success_return_codes", _codes),
    "log": ("log_name", partial(arguments.choice, allowed=("Application", "System", "Security"))),
    "event_id": (
        "event_id",
        arguments.or_none(partial(arguments.integer, minimum=0, maximum=_INTEGER_MOST)),
    ),
    "event_type": ("event_type", partial(arguments.choice, allowed=_EVENT_TYPES)),
    "source": ("event_source", arguments.or_none(_text)),
    "message": ("event_message", arguments.or_none(arguments.free_text)),
    "fail_when": ("fail_when", partial(arguments.choice, allowed=("contains", "not_contains"))),
    "search_last_days": ("search_last_days", _count),
    "number_of_events": ("number_of_events_b4_alert", _positive),
}
_KINDS: Final[Mapping[str, type[CheckKind]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(CheckKind)
}
_EMPTY: Final[Mapping[str, object]] = {"disk": "", "ip": "", "service": "", "name": "", "script": 0}
"""Values of required fields of ours that the server allows to be missing."""

_COLUMN_NAMES: Final = {column for column, _ in _COLUMNS.values()} | {"event_id_is_wildcard"}


def check_body(method: str, settings: CheckKind) -> dict[str, Any]:
    """The body of a new check; its values are checked by the rules of its type.

    Raises:
        InvalidRequestError: a value is wrong, or the values don't go together.
    """
    given = {name: getattr(settings, name) for name in settings.__struct_fields__}
    if isinstance(settings, PingCheck):
        given["name"] = given["name"] or given["ip"]
    if isinstance(settings, ServiceCheck):
        given["display_name"] = given["display_name"] or given["service"]
        if settings.policy_mode is None:
            del given["policy_mode"]
    body = {"check_type": settings.__struct_config__.tag, **arguments.settings(given, _COLUMNS, method)}
    if isinstance(settings, EventLogCheck):
        # The server asks for the key, and makes 0 of the id.
        body["event_id_is_wildcard"] = settings.event_id is None
        body["event_id"] = "*" if settings.event_id is None else body["event_id"]
    if isinstance(settings, DiskSpaceCheck | CpuLoadCheck | MemoryCheck):
        _hold_thresholds(settings)
    return body


def _hold_thresholds(settings: DiskSpaceCheck | CpuLoadCheck | MemoryCheck) -> None:
    warning, error = settings.warning_threshold, settings.error_threshold
    if not warning and not error:
        raise InvalidRequestError(
            "warning_threshold or error_threshold must be more than 0: one has to be set"
        )
    is_free = isinstance(settings, DiskSpaceCheck)
    if warning and error and (warning < error if is_free else warning > error):
        order = "above error_threshold: free space is measured" if is_free else "below error_threshold"
        raise InvalidRequestError(f"warning_threshold must be {order}; got {warning} and {error}")


def changes_body(
    method: str, changes: Mapping[str, object], known: CheckDetails | None = None
) -> dict[str, Any]:
    """The body of a change of a check. If the check is known, the rules of its type are checked, too.

    Raises:
        InvalidRequestError: a value is wrong, or checks of its type have no such field.
    """
    body = arguments.settings(changes, _COLUMNS, method)
    if "event_id" in changes:
        body["event_id_is_wildcard"] = changes["event_id"] is None
        body["event_id"] = "*" if changes["event_id"] is None else body["event_id"]
    if known is None:
        return body
    if (kind := _KINDS.get(known.check_type)) is None:
        raise InvalidRequestError(
            f"{method}: check {known.id} is of the type {known.check_type!r}, unknown here"
        )
    if strange := [name for name in changes if name not in kind.__struct_fields__]:
        raise InvalidRequestError(
            f"{method}: check {known.id} is a {kind.__name__}, which has no {strange[0]}; "
            f"it has {', '.join(kind.__struct_fields__)}"
        )
    settings = known.settings
    if isinstance(settings, DiskSpaceCheck | CpuLoadCheck | MemoryCheck):
        thresholds = {"warning_threshold", "error_threshold"} & changes.keys()
        if thresholds:
            _hold_thresholds(
                msgspec.structs.replace(settings, **{name: changes[name] for name in thresholds})
            )
    return body


def details_of(body: bytes) -> tuple[CheckDetails, int | None]:
    """The details of a check without its agent's id, and the server's integer for that agent."""
    return _details(codec.decoder(_CheckRow)(body), codec.decoder(dict[str, Any])(body))


def _details(row: _CheckRow, columns: Mapping[str, Any]) -> tuple[CheckDetails, int | None]:
    settings = _settings(row.check_type, columns)
    known = {*_CheckRow.__struct_fields__, "check_result", *(_COLUMN_NAMES if settings else ())}
    details = CheckDetails(
        id=row.id,
        check_type=row.check_type,
        name=row.readable_desc or row.name or "",
        settings=settings,
        policy=row.policy,
        tasks=tuple(task.id for task in row.assignedtasks),
        overridden_by_policy=row.overridden_by_policy,
        created_by=row.created_by,
        created_time=row.created_time,
        modified_by=row.modified_by,
        modified_time=row.modified_time,
        extra=Extra({name: value for name, value in columns.items() if name not in known}),
    )
    return details, row.agent


ALL_DETAILS: Final = codec.PairedDecoder(_CheckRow, _details)
"""Reads a list of these, each with the integer of its agent."""


def _settings(check_type: str, columns: Mapping[str, Any]) -> CheckKind | None:
    kind = _KINDS.get(check_type)
    if kind is None:
        return None
    values: dict[str, Any] = {"check_type": check_type}
    for field in kind.__struct_fields__:
        value = columns.get(_COLUMNS[field][0])
        value = _EMPTY.get(field) if value is None else value
        if field == "env_vars":
            value = env_pairs(tuple(columns.get(field) or ()))
        if value is not None:
            values[field] = value
    if columns.get("event_id_is_wildcard"):
        values.pop("event_id", None)
    try:
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, TypeError, AttributeError):
        return None
