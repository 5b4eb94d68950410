"""Values of custom fields: written by the types of the fields."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import (
    ByHand,
)
from trmm_async import (
    InvalidRequestError,
)
from trmm_async.calls import Plan

FIELDS = json.dumps(
    [
        {"id": 1, "name": "Tag", "model": "agent", "type": "text"},
        {"id": 2, "name": "Rack", "model": "agent", "type": "number"},
        {"id": 3, "name": "Env", "model": "agent", "type": "single", "options": ["prod", "dev"]},
        {"id": 4, "name": "Roles", "model": "agent", "type": "multiple", "options": ["dc", "sql", "web"]},
        {"id": 5, "name": "Backup", "model": "agent", "type": "checkbox", "options": None},
        {"id": 6, "name": "Warranty", "model": "agent", "type": "datetime"},
        {"id": 7, "name": "Contract", "model": "client", "type": "text"},
        {"id": 8, "name": "Later", "model": "agent", "type": "of a later version"},
    ]
).encode()


def custom_fields(values: dict[int, Any]) -> Any:
    """What is sent for these values of custom fields."""
    plan = request_of(NOUNS.agents.update("a", description="d", custom_fields=values))
    assert isinstance(plan, Plan)
    steps = plan.steps()
    put = steps.send(next(steps).decode(FIELDS))
    sent = json.loads(put.body or b"")
    assert sent.pop("description") == "d"
    return sent["custom_fields"]


class TestCustomFields:
    @pytest.mark.parametrize(
        ("number", "value", "sent"),
        [
            (1, "x", {"string_value": "x"}),
            (1, None, {"string_value": None}),
            (2, 7, {"string_value": "7"}),
            (2, "7.5", {"string_value": "7.5"}),
            (2, None, {"string_value": None}),
            (3, "dev", {"string_value": "dev"}),
            (3, None, {"string_value": None}),
            (4, ["web", "dc"], {"multiple_value": ["web", "dc"]}),
            (4, {"web", "dc"}, {"multiple_value": ["dc", "web"]}),
            (4, None, {"multiple_value": []}),
            (5, True, {"bool_value": True}),
            (
                6,
                datetime(2027, 1, 31, 1, tzinfo=ZoneInfo("Europe/Berlin")),
                {"string_value": "2027-01-31T00:00:00Z"},
            ),
            (6, "2027-01-31T00:00:00Z", {"string_value": "2027-01-31T00:00:00Z"}),
            (8, "x", {"string_value": "x"}),
        ],
    )
    def test_go_under_the_key_of_their_type(self, number: int, value: Any, sent: dict[str, Any]) -> None:
        assert custom_fields({number: value}) == [{"field": number, **sent}]

    @pytest.mark.parametrize(
        ("number", "value", "words"),
        [
            (1, 5, r"'Tag' \(1\) takes a text, not 5"),
            (2, "seven", "takes a number"),
            (2, True, "takes a number"),
            (2, [], "takes a number"),
            (3, "test", "takes one of prod, dev"),
            (4, "dc", "takes a list of texts"),
            (4, ["dc", "mail"], "takes some of dc, sql, web"),
            (5, "yes", "takes True or False"),
            (5, None, "takes True or False"),
            (6, datetime(2027, 1, 31), "says its time zone"),  # noqa: DTZ001 - refused for that
            (6, 5, "takes a datetime, or a text"),
            (7, "x", "agents have no custom field with the id 7"),
        ],
    )
    def test_of_another_type_are_refused(self, number: int, value: Any, words: str) -> None:
        with pytest.raises(InvalidRequestError, match=words):
            custom_fields({number: value})


class TestAnswers:
    def test_values_of_custom_fields_are_written_by_the_fields_types(self) -> None:
        fields = [
            {"id": 1, "model": "site", "type": "checkbox"},
            {"id": 2, "model": "site", "type": "number"},
            {"id": 3, "model": "site", "type": "multiple", "options": ["a", "b"]},
            {"id": 4, "model": "client", "type": "text"},
        ]
        listed = json.dumps(fields).encode()
        script = ByHand(listed, b'""')
        script.of(lambda it: it.sites.update(6, custom_fields={1: True, 2: 5, 3: ["a"]}))
        assert json.loads(script.calls[1].body or b"") == {
            "site": {},
            "custom_fields": [
                {"field": 1, "bool_value": True},
                {"field": 2, "string_value": "5"},
                {"field": 3, "multiple_value": ["a"]},
            ],
        }
        wrong: Any
        for wrong in ({1: "yes"}, {2: "five"}, {3: ["c"]}, {4: "x"}, {5: "x"}):
            script = ByHand(listed)
            with pytest.raises(InvalidRequestError, match="custom_fields"):
                script.of(lambda it, wrong=wrong: it.sites.update(6, custom_fields=wrong))  # type: ignore[misc]
