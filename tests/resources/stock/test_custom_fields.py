"""`trmm.custom_fields`."""

import json
from typing import Any

import pytest

from tests.asked import NOUNS, request_of
from tests.exchanges import ByHand, Case, answer_of, assert_is_recorded
from tests.servers import served, stock
from trmm_async import InvalidRequestError, NotFoundError
from trmm_async.resources.stock.custom_fields import CustomField

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


class TestCustomFields:
    async def test_custom_fields_are_made_changed_and_removed(self) -> None:
        async with stock() as (_, trmm):
            made = await trmm.custom_fields.create(
                name="Tags", model="agent", type="multiple", options=["a", "b"], default=["a"], required=True
            )
            assert (made.options, made.default, made.required) == (("a", "b"), ("a",), True)
            await trmm.custom_fields.update(made, name="Labels", default=["b"], hide_in_ui=True)
            (field,) = await trmm.custom_fields.list(model="agent")
            assert (field.name, field.default, field.hide_in_ui) == ("Labels", ("b",), True)
            assert await trmm.custom_fields.list(model="site") == []
            flag = await trmm.custom_fields.create(name="VIP", model="site", type="checkbox", default=True)
            assert flag.default is True
            await trmm.custom_fields.update(made, default=None)
            await trmm.custom_fields.update(flag.id, default=None)
            tags, flag = await trmm.custom_fields.list()
            assert (tags.default, flag.default) == ((), False)
            with pytest.raises(InvalidRequestError, match=r"field \d+: its values are gone for good"):
                await trmm.custom_fields.delete(made)
            assert await trmm.custom_fields.list(model="agent") == [tags]
            await trmm.custom_fields.delete(made, with_values=True)
            assert await trmm.custom_fields.list() == [flag]
            with pytest.raises(NotFoundError):
                await trmm.custom_fields.delete(made, with_values=True)

    @pytest.mark.parametrize(
        ("kind", "good", "bad"),
        [
            ("single", "a", "z"),
            ("multiple", ["b"], ["b", "z"]),
            ("number", 5, "many"),
            ("datetime", "2030-01-31T09:00:00Z", "soon"),
            ("checkbox", True, "yes"),
        ],
    )
    async def test_what_the_server_takes_for_any_text_fits_its_type(
        self, kind: Any, good: Any, bad: Any
    ) -> None:
        options = ["a", "b"] if kind in {"single", "multiple"} else []
        async with stock() as (server, trmm):
            with pytest.raises(InvalidRequestError, match="default must"):
                await trmm.custom_fields.create(
                    name="F", model="site", type=kind, options=options, default=bad
                )
            made = await trmm.custom_fields.create(
                name="F", model="site", type=kind, options=options, default=good
            )
            for field in (made, made.id):
                with pytest.raises(InvalidRequestError, match="default must"):
                    await trmm.custom_fields.update(field, default=bad)
                await trmm.custom_fields.update(field, default=good)
            site = server.agents[0].site.id
            with pytest.raises(InvalidRequestError, match="custom_fields: 'F'"):
                await trmm.sites.update(site, custom_fields={made: bad})
            await trmm.sites.update(site, custom_fields={made: good})
            told = next(one for one in await trmm.sites.list() if one.id == site).custom_fields
            assert [one.value for one in told] == [tuple(good) if isinstance(good, list) else good]


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("core_customfields", lambda it: it.custom_fields.list(), list),
    Case("core_customfields_model", lambda it: it.custom_fields.list(model="client"), list),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()


def test_a_custom_field_is_made_as_recorded() -> None:
    script = ByHand(b"[]", b'"ok"', b'[{"id": 12, "name": "API field", "model": "agent", "type": "text"}]')
    assert script.of(request_of(NOUNS.custom_fields.create(name="API field", model="agent"))).id == 12
    assert_is_recorded(script.calls[1], "core_customfield_create")


class TestAnswers:
    def test_custom_fields_have_a_default_by_their_type(self) -> None:
        call: Any = request_of(NOUNS.custom_fields.list())
        fields = call.decode(answer_of("core_customfields"))
        assert fields[0].default == "none"
        kinds = {"checkbox": bool, "multiple": tuple}
        for field in fields:
            assert isinstance(field.default, (kinds.get(field.type, str), type(None)))
        body = b'[{"id": 1, "type": "multiple", "options": ["a", null], "default_values_multiple": null}]'
        assert call.decode(body) == [CustomField(id=1, type="multiple", options=("a",), default=())]

    def test_custom_fields_are_written_by_their_kind(self) -> None:
        default: Any
        types = {"bool": "checkbox", "string": "text", "multiple": "multiple"}
        for default, name in ((True, "bool"), ("x", "string"), (("a", "b"), "multiple")):
            field = CustomField(id=1, type=types[name], options=("a", "b") if name == "multiple" else ())
            call = request_of(NOUNS.custom_fields.update(field, default=default, required=True))
            key = f"default_values_{name}" if name == "multiple" else f"default_value_{name}"
            assert json.loads(call.body) == {"required": True, key: json.loads(json.dumps(default))}


async def test_a_custom_field_alone() -> None:
    async with served("stock", agents=1) as (_, trmm):
        made = await trmm.custom_fields.create(
            name="Tier", model="client", type="single", options=["gold", "silver"]
        )
        assert await trmm.custom_fields.get(made) == made
        with pytest.raises(NotFoundError):
            await trmm.custom_fields.get(999)
