"""`trmm.custom_fields`, over real HTTP."""

from typing import Any

import pytest

from tests.servers import stock
from trmm_async import InvalidRequestError, NotFoundError

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
