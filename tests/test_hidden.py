"""Secrets as they stand in the frames of an error: they are what they were, and show nothing."""

import copy
import json
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async.hidden import HiddenBytes, HiddenText, hide


@given(st.text(), st.binary())
@settings(max_examples=many(8))
def test_they_are_the_same_and_no_repr_of_what_holds_them_shows_them(text: str, body: bytes) -> None:
    for hidden, value, shown in ((hide(text), text, "'***'"), (HiddenBytes(body), body, "b'***'")):
        assert hidden == value
        assert hash(hidden) == hash(value)
        assert repr(hidden) == f"{hidden!r}" == shown
        assert repr({"key": [hidden]}) == f"{{'key': [{shown}]}}"
    assert str(hide(text)) == text
    assert json.loads(json.dumps(hide(text))) == text


def test_a_copy_is_hidden_too() -> None:
    for value in (HiddenText("Sesame"), HiddenBytes(b"Sesame")):
        for other in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert (other, type(other), repr(other)) == (value, type(value), repr(value))


def test_only_texts_are_hidden() -> None:
    assert isinstance(hide("a"), HiddenText)
    assert hide(None) is None
    assert (hide(5), type(hide(b"a"))) == (5, bytes)
