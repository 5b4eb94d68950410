"""What the views of the stock API share: how a body is read, and its refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from trmm_async.testing.ledger import Request
from trmm_async.testing.replies import AnsweredError, Asked, RefusedError
from trmm_async.testing.stock.view import Fields, invalid, refuse, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testing.kit import Http
    from trmm_async.testing import Simulator


async def test_a_body_of_any_other_kind_is_not_read(server: Simulator, http: Http) -> None:
    path = f"/agents/{server.agent_ids[0]}/"
    assert (await http("PUT", path, data=b"{}", headers={"Content-Type": "text/plain"})).status == 415
    assert (await http("PUT", path, [1])).status == 500
    assert (await http("PUT", path, {"custom_fields": 3})).status == 500
    assert (await http("PUT", path, {"custom_fields": [3]})).status == 500


def _asked(body: bytes, kind: str) -> Asked:
    row = Request(method="POST", path="/", query={}, headers={"content-type": kind}, at=0.0, body=body)
    return Asked({}, row, "", None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "kind", "plain"),
    [
        (b"", "", {}),
        (b"", "text/plain", {}),
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b'{"a": 1}', "Application/JSON; charset=utf-8", {"a": 1}),
        (b"a=1&b=", "application/x-www-form-urlencoded", {"a": "1", "b": ""}),
    ],
)
def test_a_body_is_an_object_or_a_form(body: bytes, kind: str, plain: dict[str, object]) -> None:
    assert Fields.of(_asked(body, kind)).plain() == plain


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 500),
    ],
)
def test_any_other_is_refused(body: bytes, kind: str, status: int) -> None:
    with pytest.raises((RefusedError, AnsweredError)) as caught:
        Fields.of(_asked(body, kind))
    told: Any = caught.value
    assert (told.reply if isinstance(told, AnsweredError) else told).status == status


def test_a_key_that_is_not_there_crashes_the_server_where_it_must_be() -> None:
    body = Fields({"a": "5", "inner": {"x": 1}, "rows": [{"y": 2}], "odd": [3]})
    assert (body.whole("a"), body.get("b", 7), "a" in body, "b" in body) == (5, 7, True, False)
    assert (body.inner("inner")["x"], body.rows("rows")[0]["y"], body.rows("none")) == (1, 2, [])
    asks: tuple[Callable[[], object], ...] = (
        lambda: body["b"], lambda: body.whole("b"), lambda: body.whole("inner"), lambda: body.inner("a"),
        lambda: body.rows("a"), lambda: body.rows("odd"), lambda: whole("five"), lambda: whole(None),
    )  # fmt: skip
    for ask in asks:
        with pytest.raises(AnsweredError) as caught:
            ask()
        assert caught.value.reply.status == 500


def test_refusals_are_a_sentence_or_name_the_fields() -> None:
    with pytest.raises(AnsweredError) as caught:
        refuse("no")
    assert (caught.value.reply.status, caught.value.reply.body) == (400, b'"no"')
    with pytest.raises(AnsweredError) as caught:
        invalid(a="bad", b="worse")
    assert caught.value.reply.status == 400
    assert json.loads(caught.value.reply.body) == {"a": ["bad"], "b": ["worse"]}
