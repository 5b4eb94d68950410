"""The nouns and the events: frozen, light on the garbage collector, and easy to hand on."""

import ast
import copy
import gc
import inspect
import itertools
import json
import pickle
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
import pytest

import trmm_async
from tests.each import for_each
from tests.samples import sample
from trmm_async import codec, errors, events, models, outcomes
from trmm_async.models import Agent, Alert, Client, ClientRef, Disk, Extra, Script, ScriptResult, Site

NOUNS: list[Any] = [
    getattr(models, name)
    for name in models.__all__
    if name not in {"Discreet", "Extra", "Noun"} and name[0].isupper()
]
EVENTS: list[Any] = list(get_args(events.Event))
AGENT = Agent(
    agent_id="abc-uuid",
    hostname="JADE-PC",
    client=ClientRef(id=34, name="Hermes Network Inc."),
    last_seen=datetime(2026, 4, 21, 10, 32, 15, tzinfo=UTC),
    disks=(Disk(device="C:", percent=75), Disk(device="D:")),
    extra=Extra(patches_pending=3, wmi_detail={"cpu": [{"cores": 14}]}),
)


def made(kind: Any) -> Any:
    """One with nothing but what it must have."""
    needed = {
        "agent_id": "abc",
        "id": 1,
        "field": 1,
        "pid": 1,
        "result": ScriptResult(),
        "reason": "offline",
        "outcome": outcomes.Skipped("a", "offline"),
        "name": "x",
        "path": "HKLM",
        "alert": Alert(id=1),
        "since": datetime(2026, 4, 21, tzinfo=UTC),
        "time": datetime(2026, 4, 21, tzinfo=UTC),
        **dict.fromkeys(("servers", "servers_offline", "workstations", "workstations_offline"), 1),
        "until": datetime(2026, 4, 22, tzinfo=UTC),
        "action": None,
        "raw": b"{}",
        "error": errors.NotFoundError(404, "Not found", method="GET", path="/trmm/abc/"),
    }
    fields = [field for field in msgspec.structs.fields(kind) if field.required]
    return kind(
        **{
            field.name: needed[field.name]
            if field.name in needed
            else sample(msgspec.inspect.type_info(field.type))
            for field in fields
        }
    )


@pytest.mark.parametrize("kind", [*NOUNS, *EVENTS])
def test_each_is_frozen(kind: Any) -> None:
    one = made(kind)
    name = msgspec.structs.fields(kind)[0].name
    with pytest.raises(AttributeError):
        setattr(one, name, getattr(one, name))


@pytest.mark.parametrize("kind", [*NOUNS, *EVENTS])
def test_each_is_made_by_keyword_only(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind("abc")


@pytest.mark.parametrize("kind", NOUNS)
def test_each_noun_stays_out_of_garbage_collection(kind: Any) -> None:
    assert kind.__struct_config__.gc is False
    assert not gc.is_tracked(made(kind))


@pytest.mark.parametrize("kind", NOUNS)
def test_no_noun_holds_a_list(kind: Any) -> None:
    assert not any(isinstance(getattr(made(kind), name), list | set) for name in kind.__struct_fields__)


@pytest.mark.parametrize("kind", [*NOUNS, *EVENTS])
@pytest.mark.parametrize(
    "journey", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_each_survives_a_copy_and_another_process(kind: Any, journey: Any) -> None:
    one = made(kind)
    there = journey(one)
    assert type(there) is kind
    assert str(there) == str(one)


@pytest.mark.parametrize("kind", NOUNS)
def test_each_noun_can_be_written_as_json_and_read_again(kind: Any) -> None:
    one = made(kind)
    assert msgspec.json.decode(msgspec.json.encode(one), type=kind) == one


PUBLIC: list[Any] = [
    kind
    for kind in (getattr(trmm_async, name) for name in trmm_async.__all__)
    if isinstance(kind, type)
    and issubclass(kind, msgspec.Struct)
    and not {"error", "event"} & {*kind.__struct_fields__}
]


@pytest.mark.parametrize("kind", PUBLIC)
def test_each_is_written_by_our_names(kind: Any) -> None:
    one = made(kind)
    config = kind.__struct_config__
    names = {*kind.__struct_fields__} | ({config.tag_field} if config.tag else set())
    assert msgspec.json.decode(msgspec.json.encode(one)).keys() == names
    assert msgspec.to_builtins(one).keys() == names


@pytest.mark.parametrize("kind", [kind for kind in NOUNS if "extra" in kind.__struct_fields__])
@pytest.mark.parametrize("odd", ['{"of": ["another", 1]}', "[{}]", "1e999"])
def test_a_field_of_our_name_and_another_shape_leaves_an_answer_readable(kind: Any, odd: str) -> None:
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    needed = {name: value for name, value in msgspec.to_builtins(made(kind)).items() if name in required}
    for field in {*kind.__struct_fields__} - required:
        body = f"{json.dumps(needed)[:-1]}{', ' if needed else ''}{json.dumps(field)}: {odd}}}".encode()
        read = codec.decoder(kind)(body)
        kept = read.extra.get(field) if field == "extra" else read.extra.get(field, getattr(read, field))
        assert kept
        assert isinstance(read.extra, Extra)
        assert codec.decoder(list[kind])(b"[" + body + b"]") == [read]


class TestAnAgent:
    def test_is_the_same_after_every_journey(self) -> None:
        for there in (copy.deepcopy(AGENT), pickle.loads(pickle.dumps(AGENT))):
            assert there == AGENT
            assert isinstance(there.extra, Extra)
        assert msgspec.json.decode(msgspec.json.encode(AGENT), type=Agent) == AGENT

    def test_hashes_by_its_id(self) -> None:
        later = msgspec.structs.replace(AGENT, status="online", extra=Extra())
        assert hash(later) == hash(AGENT)
        assert later != AGENT
        assert len({AGENT, later, copy.deepcopy(AGENT)}) == 2

    def test_shares_one_empty_extra_with_all_others(self) -> None:
        """A hundred thousand of them shall not hold a hundred thousand dicts."""
        assert Agent(agent_id="a").extra is Agent(agent_id="b").extra
        assert isinstance(Agent(agent_id="a").extra, Mapping)

    def test_is_matched_by_keyword(self) -> None:
        match AGENT:
            case Agent(hostname=name, client=ClientRef(id=34)):
                assert name == "JADE-PC"
            case _:
                raise AssertionError

    @pytest.mark.parametrize(
        ("how", "args"),
        [
            ("__setitem__", ("a", 1)),
            ("__delitem__", ("patches_pending",)),
            ("__ior__", ({"a": 1},)),
            ("clear", ()),
            ("pop", ("patches_pending",)),
            ("popitem", ()),
            ("setdefault", ("a", 1)),
            ("update", ({"a": 1},)),
        ],
    )
    def test_has_an_extra_that_nobody_changes(self, how: str, args: tuple[object, ...]) -> None:
        with pytest.raises(TypeError, match="can't be changed"):
            getattr(AGENT.extra, how)(*args)
        assert dict(AGENT.extra) == {"patches_pending": 3, "wmi_detail": {"cpu": [{"cores": 14}]}}

    def test_has_an_extra_that_becomes_a_dict_of_your_own(self) -> None:
        mine = {**AGENT.extra, "mine": True}
        assert set(mine) == {"patches_pending", "wmi_detail", "mine"}


@pytest.mark.parametrize("retcode", [0, 1, -1, None])
def test_a_result_is_ok_if_it_returned_0(retcode: int | None) -> None:
    assert ScriptResult(retcode=retcode).ok is (retcode == 0)


def test_values_with_ids_can_stand_in_sets() -> None:
    nouns = {Site(id=1), Site(id=1), Client(id=1), Client(id=1, sites=(Site(id=1),)), Script(id=1)}
    assert len(nouns) == 4


class TestOutcomes:
    ERROR = errors.ConnectionFailedError("refused")
    ALL = (
        outcomes.Done("a", ScriptResult(retcode=1)),
        outcomes.Failed("a", ERROR),
        outcomes.Unknown("a", ERROR),
        outcomes.Skipped("a", "offline"),
    )

    def test_are_these_four(self) -> None:
        kinds = [get_origin(kind) or kind for kind in get_args(outcomes.Outcome)]
        assert kinds == [type(outcome) for outcome in self.ALL]

    @pytest.mark.parametrize("outcome", ALL, ids=lambda outcome: type(outcome).__name__)
    def test_are_frozen_and_say_who(self, outcome: outcomes.Outcome) -> None:
        assert outcome.agent_id == "a"
        with pytest.raises(AttributeError):
            outcome.agent_id = "b"  # type: ignore[misc]

    def test_add_up(self) -> None:
        assert outcomes.Counts().total == 0
        assert outcomes.Counts(done=1, failed=20, unknown=300, skipped=4000, pending=50000).total == 54321


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """`inspect.getsource` of a class would parse its whole module for each."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _explained(kind: type) -> set[str]:
    """The fields that a class says something about: below them, under `Attributes:`, or in its docstring."""
    told: set[str] = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("trmm_async."):
            continue
        node = _classes(base.__module__)[base.__name__]
        for field, below in itertools.pairwise(node.body):
            is_text = isinstance(below, ast.Expr) and isinstance(getattr(below.value, "value", None), str)
            if is_text and isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                told.add(field.target.id)
        doc = base.__doc__ or ""
        told |= {*re.findall(r"`(\w+)`", doc)}
        for names in re.findall(r"^ {4,}([\w, ]+):", doc.partition("Attributes:")[2], re.MULTILINE):
            told |= {name.strip() for name in names.split(",")}
    return told


OUTCOMES = [trmm_async.Done, trmm_async.Failed, trmm_async.Unknown, trmm_async.Skipped]


def test_every_field_says_what_it_is() -> None:
    for_each([*NOUNS, *EVENTS, *PUBLIC, *OUTCOMES], _is_explained)


def _is_explained(kind: Any) -> None:
    assert {*kind.__struct_fields__} - _explained(kind) - {"extra"} == set()
