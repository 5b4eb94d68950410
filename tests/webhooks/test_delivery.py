"""What a posted webhook means."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.deliveries import RECORDINGS, body
from trmm_async.webhooks.delivery import (
    SECRET_HEADER,
    TEMPLATE,
    Delivery,
    may_be_secret,
    refuse_early,
    verdict_on,
)


def test_the_template_is_the_one_that_was_tried_and_the_docs_have_it() -> None:
    tried = json.loads((RECORDINGS / "RECOMMENDED.json").read_text())
    assert json.loads(tried["body"]) == TEMPLATE
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    assert tried["body"] in page
    assert tried["headers"] in page


def test_a_test_of_the_action_is_told_so() -> None:
    raw = json.dumps(body() | {"alert_type": "JADE-PC", "resolved": "JADE-PC"}).encode()
    verdict = verdict_on(raw)
    assert (verdict.status, verdict.delivery) == (200, None)


@pytest.mark.parametrize(
    ("changes", "delivery"),
    [
        ({}, Delivery(5, resolved=False, agent_id=None)),
        ({"agent_id": ""}, Delivery(5, resolved=False, agent_id=None)),
        ({"agent_id": "a", "resolved": "False"}, Delivery(5, resolved=False, agent_id="a")),
        ({"alert_id": "9" * 18, "resolved": "True"}, Delivery(10**18 - 1, resolved=True, agent_id=None)),
    ],
)
def test_what_the_template_says_is_delivered(changes: dict[str, str], delivery: Delivery) -> None:
    verdict = verdict_on(json.dumps(body() | changes).encode())
    assert (verdict.status, verdict.delivery, verdict.genuine) == (204, delivery, True)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"alert_id": "0"}, 400),
        ({"alert_id": "05"}, 400),
        ({"alert_id": "\u0665"}, 400),
        ({"alert_id": "5\n"}, 400),
        ({"alert_id": "9" * 19}, 400),
        ({"resolved": "true"}, 400),
        ({"trmm": "2"}, 400),
        ({"message": "text of a script"}, 400),
        ({"alert_type": "custom"}, 200),
    ],
)
def test_what_it_does_not_say_delivers_nothing(changes: dict[str, str], status: int) -> None:
    verdict = verdict_on(json.dumps(body() | changes).encode())
    assert (verdict.status, verdict.delivery, verdict.genuine) == (status, None, True)
    assert verdict.says


GOOD = {SECRET_HEADER: "new", "content-type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"content-type": "Application/JSON ; charset=utf-8"}, None),
        ({"content-length": "100"}, None),
        ({"content-length": "many"}, None),  # the body is counted while it is read
        ({SECRET_HEADER: "old"}, None),
        ({SECRET_HEADER: "ol"}, 401),
        ({SECRET_HEADER: ""}, 401),
        ({SECRET_HEADER: "None"}, 401),  # what a missing entry of the key store comes to
        ({"content-type": "text/json"}, 415),
        ({"content-length": "101"}, 413),
        ({"content-length": "9" * 5000}, 413),
    ],
)
def test_what_can_be_refused_is_before_its_body_is_read(headers: dict[str, str], status: int | None) -> None:
    verdict = refuse_early("POST", GOOD | headers, [b"new", b"old", b"None", b""], max_body=100)
    assert (None if verdict is None else verdict.status) == status
    # Only who has the secret makes somebody look.
    assert verdict is None or verdict.genuine is (status != 401)


def test_only_a_post_is_none_of_another_method() -> None:
    verdict = refuse_early("GET", GOOD, [b"new"], max_body=100)
    assert verdict is not None
    assert (verdict.status, verdict.genuine) == (405, False)


@pytest.mark.parametrize(
    "text", ["", " ", "None", "{{global.hook}}", "p\u00e4ss", " x", "x ", "a\nb", "a\x7f", None, b"x", 5]
)
def test_a_secret_arrives_as_it_was_sent(text: Any) -> None:
    assert may_be_secret("s3cr3t hook")
    assert not may_be_secret(text)
