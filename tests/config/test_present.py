"""A server in the form of files: names in place of ids, parts with their owners, and what is odd there."""

from typing import Any

from trmm_async.config import specs
from trmm_async.config.assignments import AssignedSpec
from trmm_async.config.objects import Row
from trmm_async.config.present import Present, describe


def action(number: int, name: str) -> Row:
    return Row(kind="url_actions", id=number, spec=specs.UrlActionSpec(name=name, pattern="https://x"))


def test_objects_that_share_a_name_are_left_out_and_a_finding() -> None:
    described = describe(
        Present(rows={"url_actions": [action(1, "hook"), action(2, "hook"), action(3, "b")]}), ["url_actions"]
    )
    assert [one.id for one in described.things] == [3]
    assert described.findings == ("URL actions 1, 2 have one name, 'hook': they are left alone",)


def test_ids_become_names_and_a_reference_to_nothing_is_a_finding() -> None:
    template: Any = specs.AlertTemplateSpec
    row = Row(kind="alert_templates", id=1, spec=template(name="t", action=7, resolved_action=8))
    present = Present(rows={"alert_templates": [row]}, names={"scripts": {7: "Clear-Temp"}})
    described = describe(present, ["alert_templates"])
    (thing,) = described.things
    assert (thing.spec.action, thing.spec.resolved_action) == ("Clear-Temp", "#8")
    assert described.findings == ("alert template 1 refers to script 8, which is not there",)


def test_parts_are_those_of_the_kind_even_if_another_kind_has_the_same_id() -> None:
    rows = {
        "policies": [Row(kind="policies", id=3, spec=specs.PolicySpec(name="Baseline"))],
        "patch_policies": [],
        "checks": [Row(kind="checks", id=1, owner=3, spec=specs.CheckSpec.__args__[0](disk="C:"))],
        "tasks": [],
        "clients": [Row(kind="clients", id=3, spec=AssignedSpec(name="Acme"))],
        "sites": [Row(kind="sites", id=1, owner=3, spec=AssignedSpec(name="Berlin"))],
    }
    described = describe(Present(rows=rows), [*rows])
    assert {
        one.name: {part: len(those) for part, those in one.parts.items()} for one in described.things
    } == {
        "Baseline": {"patch_policies": 0, "checks": 1, "tasks": 0},
        "Acme": {"sites": 1},
    }
    assert described.findings == ()
