"""`trmm.key_store`."""

from typing import Any

import pytest

from tests.exchanges import (
    AGAIN,
    Case,
)
from tests.servers import stock
from trmm_async import (
    DecodeError,
)

pytestmark = pytest.mark.usefixtures("nothing_is_odd")


class TestKeyStore:
    async def test_keys_are_made_changed_and_removed(self) -> None:
        async with stock() as (_, trmm):
            made = await trmm.key_store.create(name="token", value="s3cr3t\n")
            assert made.value == "s3cr3t"
            await trmm.key_store.update(made, value="other")
            assert {key.id: key.value for key in await trmm.key_store.list()}[made.id] == "other"
            await trmm.key_store.delete(made, with_value=True)
            assert made.id not in {key.id for key in await trmm.key_store.list()}

    @pytest.mark.parametrize(
        ("path", "ask"),
        [
            ("/core/keystore/", lambda trmm: trmm.key_store.list()),
            ("/core/settings/", lambda trmm: trmm.core.settings()),
        ],
    )
    async def test_no_error_shows_an_answer_that_holds_secrets(self, path: str, ask: Any) -> None:
        async with stock() as (server, trmm):
            server.answer("GET", path, body=b'[{"id": 1, "value": "s3cr3t"}')
            with pytest.raises(DecodeError) as caught:
                await ask(trmm)
            shown = f"{caught.value} {caught.value!r} {caught.value.body}"
            assert ("s3cr3t" in shown, "not shown" in shown) == (False, True)


# -- against recordings, without a server --------------------------------------------------------------------

CALLS = [
    Case("core_keystore", lambda it: it.key_store.list(), list),
    Case("core_keystore_update", lambda it: it.key_store.update(3, value="v2"), replay=AGAIN),
    Case("core_keystore_delete", lambda it: it.key_store.delete(3, with_value=True), replay=AGAIN),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_as_recorded_and_its_answer_is_ours(case: Case) -> None:
    case.holds()
