"""`to_dict()` on every noun, outcome and event: plain types of JSON, our names, and nothing lost."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest

import trmm_async
from tests.samples import made
from trmm_async import (
    AlertEvent,
    Done,
    Event,
    Failed,
    RegistryKey,
    RegistryValue,
    ScriptResult,
    Skipped,
    Unknown,
    UnknownEvent,
)
from trmm_async.models import Alert

PLAIN = (dict, list, str, int, float, bool, type(None))
OURS = {name: getattr(trmm_async, name) for name in trmm_async.__all__}
STRUCTS = {
    name: kind
    for name, kind in OURS.items()
    if isinstance(kind, type)
    and issubclass(kind, msgspec.Struct)
    and not kind.__module__.endswith(("observing", "journal"))
}
EVENTS = [kind for kind in STRUCTS.values() if kind in get_args(Event) or kind.__name__ == "CommandOutput"]
OUTCOMES = [Done, Failed, Unknown, Skipped]
MORE: dict[str, list[Any]] = {"event": EVENTS, "outcome": OUTCOMES}


def is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(name) is str and is_plain(one) for name, one in value.items())
    return all(map(is_plain, value)) if type(value) is list else type(value) in PLAIN


def test_there_is_one_on_everything_that_is_public() -> None:
    assert len(STRUCTS) > 45
    assert {"Agent", "KeyStoreEntry", "Done", "AlertEvent", "Process"} <= STRUCTS.keys()
    assert [name for name, kind in STRUCTS.items() if not hasattr(kind, "to_dict")] == []
    assert set(get_args(Event)) <= set(EVENTS)


@pytest.mark.parametrize("kind", STRUCTS.values(), ids=STRUCTS)
def test_it_is_plain_has_all_fields_and_can_be_read_again(kind: Any) -> None:
    value = made(kind)
    told = value.to_dict()
    assert is_plain(told)
    more = {word: kind.__name__ for word, kinds in MORE.items() if kind in kinds}
    if (config := kind.__struct_config__).tag_field is not None:
        more[config.tag_field] = config.tag
    assert told.keys() == {*kind.__struct_fields__, *more}
    assert more.items() <= told.items()
    again = json.loads(json.dumps(told))
    assert again == told
    if "error" in told:
        assert told["error"] == {"type": "ConnectionFailedError", "text": "GET /x/: refused"}
    elif kind not in {RegistryKey, RegistryValue}:  # msgspec can't tell the types of their data apart
        read_as = Done[ScriptResult] if kind is Done else kind
        assert msgspec.convert(again, read_as).to_dict() == told


def test_what_json_has_no_type_for() -> None:
    assert Done("abc", float("nan")).to_dict()["result"] is None
    assert Done("abc", {1: {"b"}, "at": datetime(2026, 1, 2, tzinfo=UTC)}).to_dict()["result"] == {
        "1": ["b"],
        "at": "2026-01-02T00:00:00Z",
    }
    assert Done("abc", 1j).to_dict()["result"] == "1j"
    assert UnknownEvent(agent_id="a", action=None, raw=b"\xff").to_dict()["raw"] == "/w=="
    event = AlertEvent(agent_id="a", alert=Alert(id=3), change="snoozed")
    assert (event.to_dict()["change"], event.to_dict()["alert"]["id"]) == ("snoozed", 3)


@pytest.mark.parametrize("kind", STRUCTS.values(), ids=STRUCTS)
def test_reprs_are_short(kind: Any) -> None:
    assert len(repr(made(kind))) < 400
