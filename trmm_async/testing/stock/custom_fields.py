"""Custom fields of agents, clients and sites: how they are shown, edited and filled by scripts.

Below: `nouns.py`, `world.py`, `view.py`. Above: the modules of those three things. A value is read as `value`
and written as `string_value`, `bool_value` or `multiple_value`, whichever the field's type asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trmm_async.testing.nouns import Agent, FieldValue

from .view import crash, invalid

if TYPE_CHECKING:
    from trmm_async.testing.nouns import Client, CustomField, Site
    from trmm_async.testing.world import World

    from .view import Fields, Json

    Holder = Agent | Client | Site

__all__ = ["collect", "edit", "shown"]


def shown(values: list[FieldValue], owner: str, pk: int) -> list[Json]:
    """The values of one agent, client or site, called `owner` here."""
    return [{"id": each.id, "field": each.field, owner: pk, "value": each.value} for each in values]


def edit(world: World, holder: Holder, rows: list[Fields]) -> None:
    """Write the `custom_fields` of a request, one after the other until one is wrong."""
    for row in rows:
        if "field" not in row and not isinstance(holder, Agent):  # of an agent it is read by hand
            invalid(field="This field is required.")
        number = row["field"]
        field = world.custom_fields.get(number) if isinstance(number, int) else None
        if field is None:
            invalid(field=f'Invalid pk "{number}" - object does not exist.')
        name = _key(field)
        value = _value_of(world, holder, field)
        if name in row:
            value.value = row[name]


def collect(world: World, agent: Agent, number: object, text: str, *, everything: bool) -> None:
    """Store what a script printed in the field it is collected in: all of it, or its last line.

    The field may be the agent's, its client's or its site's. One that does not exist crashes the server.
    """
    field = world.custom_fields.get(number) if isinstance(number, int) else None
    if field is None:
        crash()
    holders: dict[str, Holder] = {"agent": agent, "site": agent.site, "client": agent.site.client}
    holder = holders[field.model]
    found = text.strip() if everything else text.strip().split("\n")[-1].strip()
    kept: object = found
    if field.type == "multiple":
        kept = found.split(",")
    elif field.type == "checkbox":
        kept = bool(found)
    _value_of(world, holder, field).value = kept


def _key(field: CustomField) -> str:
    return {"multiple": "multiple_value", "checkbox": "bool_value"}.get(field.type, "string_value")


def _value_of(world: World, holder: Holder, field: CustomField) -> FieldValue:
    for value in holder.custom_fields:
        if value.field == field.id:
            return value
    empty: object = {"multiple": [], "checkbox": False}.get(field.type)
    made = FieldValue(world.journal.next_value_id(), field.id, empty)
    holder.custom_fields.append(made)
    return made
