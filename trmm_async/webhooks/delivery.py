"""Decides what a posted webhook means. Pure: it takes a request and returns a verdict.

TRMM inserts values into the body without escaping them: a quote in a message breaks the JSON, text that a
script prints can add or replace a key, and a missing value becomes the word "None". So the template contains
only ids and fixed words of the server. A body with any other key is refused, since another template made it.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from trmm_async import codec

__all__ = ["SECRET_HEADER", "TEMPLATE", "Delivery", "Verdict", "may_be_secret", "refuse_early", "verdict_on"]

SECRET_HEADER: Final = "x-trmm-secret"  # noqa: S105 - its name, not the secret

TEMPLATE: Final[Mapping[str, str]] = {
    "trmm": "1",
    "alert_id": "{{alert.id}}",
    "resolved": "{{alert.resolved}}",
    "alert_type": "{{alert.alert_type}}",
    "severity": "{{alert.severity}}",
    "alert_time": "{{alert.alert_time}}",
    "resolved_on": "{{alert.resolved_on}}",
    "agent_id": "{{alert.agent.agent_id}}",
    "client_id": "{{alert.client.id}}",
    "site_id": "{{alert.site.id}}",
    "check_id": "{{alert.assigned_check_id}}",
    "task_id": "{{alert.assigned_task_id}}",
}
"""The body of TRMM's URL action, as an object."""

_TYPES: Final = frozenset({"availability", "check", "task"})
_RESOLVED: Final = {"True": True, "None": False, "False": False}
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_NOTHING: Final = "None"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert was raised or resolved. Everything else about the alert is read from the server.

    Attributes:
        alert_id: the alert's id.
        resolved: whether it was resolved.
        agent_id: the alert's agent; None if the webhook does not say.
    """

    alert_id: int
    resolved: bool
    agent_id: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a request, and what it delivered, if anything.

    Attributes:
        status: the HTTP status of the answer.
        says: the body of the answer, for the administrator who looks into a failing webhook.
        delivery: what was delivered; None if nothing was.
        genuine: whether the request had the secret.
    """

    status: int
    says: str = ""
    delivery: Delivery | None = None
    genuine: bool = False


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    trmm: str
    alert_id: str
    resolved: str
    alert_type: str
    severity: str = ""
    alert_time: str = ""
    resolved_on: str = ""
    agent_id: str = ""
    client_id: str = ""
    site_id: str = ""
    check_id: str = ""
    task_id: str = ""


def may_be_secret(text: object) -> bool:
    """Whether a text can be used as a secret.

    If an entry of TRMM's key store is missing, TRMM sends "None" or the placeholder, so neither is a secret.
    A secret must also pass through a header unchanged: servers decode characters beyond ASCII in different
    ways (TRMM sends Latin-1), and leading and trailing spaces are lost.
    """
    return (
        isinstance(text, str)
        and text.isascii()
        and text.isprintable()
        and text.strip() == text
        and text not in {"", _NOTHING}
        and "{{" not in text
    )


def refuse_early(
    method: str, headers: Mapping[str, str], secrets: Sequence[bytes], max_body: int
) -> Verdict | None:
    """Refuse a request before its body is read; None if the body should be read.

    Args:
        method: the HTTP method of the request.
        headers: the headers, their names in lower case.
        secrets: the secrets that are accepted.
        max_body: the size of the largest body, in bytes.
    """
    if method != "POST":
        return Verdict(405, "the URL action's method must be POST")
    if not _knows(headers.get(SECRET_HEADER, ""), secrets):
        return Verdict(401, "the secret is missing or wrong")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        return Verdict(415, f"the content type must be {_JSON}", genuine=True)
    length = headers.get("content-length", "0")
    if length.isdecimal() and length.isascii() and (len(length) > 18 or int(length) > max_body):
        return too_large(max_body)
    return None


def too_large(max_body: int) -> Verdict:
    """The verdict on a body that is too large, or whose Content-Length is."""
    return Verdict(
        413, f"the body has more than {max_body} bytes: use the template of the docs", genuine=True
    )


def verdict_on(body: bytes) -> Verdict:
    """The verdict on the body of a request that had the secret."""
    try:
        told = codec.exact(_Body, body)
    except msgspec.DecodeError as error:
        return Verdict(400, f"not the body of the template of the docs: {error}", genuine=True)
    if told.trmm != TEMPLATE["trmm"]:
        return Verdict(400, "a template of another version", genuine=True)
    if told.alert_type not in _TYPES:
        return Verdict(200, "a test: the secret is right", genuine=True)
    if told.resolved not in _RESOLVED or not _NUMBER.fullmatch(told.alert_id):
        return Verdict(400, "alert_id or resolved is not what a server sends", genuine=True)
    agent_id = told.agent_id if told.agent_id not in {"", _NOTHING} else None
    delivery = Delivery(int(told.alert_id), _RESOLVED[told.resolved], agent_id)
    return Verdict(204, delivery=delivery, genuine=True)


def _knows(given: str, secrets: Sequence[bytes]) -> bool:
    text = given.encode(errors="surrogateescape")
    # All secrets are always compared: the time that this takes must not show which one was right.
    right = [hmac.compare_digest(text, secret) for secret in secrets]
    return any(right) and may_be_secret(given)
