"""What a posted webhook means. Pure: a request in, a verdict out.

TRMM's substitution is plain text without escaping: a quote in a message breaks the JSON, text that a script
prints can add or replace a key, and what has no value is the word "None". So the template holds nothing but
ids and words of the server's own, and a body with any other key is refused: it is not that template.
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
"""The body to paste into TRMM's URL action, as an object."""

_TYPES: Final = frozenset({"availability", "check", "task"})
_RESOLVED: Final = {"True": True, "None": False, "False": False}
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_NOTHING: Final = "None"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert was raised, or resolved. What else it says is read from the server, not from here.

    Attributes:
        agent_id: whose; None where the server did not say.
    """

    alert_id: int
    resolved: bool
    agent_id: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a request, and what was delivered by it, if anything was.

    Attributes:
        status: HTTP's.
        says: for the administrator who looks what became of the webhook.
        genuine: it knew the secret.
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
    """Whether it can be one: a missing entry of TRMM's key store arrives as "None", or as its name.

    Nor can one that does not come through a header as it is: beyond ASCII, hosts read it in different ways
    (TRMM sends Latin-1), and spaces around it are lost.
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
    """What can be said without the body; None if it is worth reading.

    Args:
        method: of the request.
        headers: their names in lower case.
        secrets: those that are taken.
        max_body: bytes.
    """
    if method != "POST":
        return Verdict(405, "a webhook is posted: the URL action's method must be POST")
    if not _knows(headers.get(SECRET_HEADER, ""), secrets):
        return Verdict(401, "the secret is missing or wrong")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        return Verdict(415, f"the content type must be {_JSON}", genuine=True)
    length = headers.get("content-length", "0")
    if length.isdecimal() and length.isascii() and (len(length) > 18 or int(length) > max_body):
        return too_large(max_body)
    return None


def too_large(max_body: int) -> Verdict:
    """For a body that is, or says that it is, longer than it may be."""
    return Verdict(
        413, f"the body has more than {max_body} bytes: use the template of the docs", genuine=True
    )


def verdict_on(body: bytes) -> Verdict:
    """What the body of a genuine request says."""
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
    # All of them, always: how long it takes must not say which, or how much of one, was right.
    right = [hmac.compare_digest(text, secret) for secret in secrets]
    return any(right) and may_be_secret(given)
