"""Names are folded as clush folds them."""

from hypothesis import given
from hypothesis import strategies as st

from trmm_async.cli.text import folded


def test_names_are_folded_as_clush_folds_them() -> None:
    names = ["web-10", "web-08", "JADE-PC", "web-09", "SRV-1", "web-12", "db1a", "db2a"]
    assert folded(names) == "db[1-2]a, JADE-PC, SRV-1, web-[08-10,12]"
    assert folded(["n1", "n01"]) == "n01, n1"
    assert folded([]) == ""


def test_digits_of_another_script_and_numbers_without_end_are_names() -> None:
    assert folded(["pc\u0663", "pc3"]) == "pc3, pc\u0663"
    assert folded(["9" * 5000]) == "9" * 5000


@given(st.sets(st.integers(0, 40), min_size=1))
def test_folding_loses_no_one(numbers: set[int]) -> None:
    text = folded(f"pc{number:02}" for number in numbers)
    found: set[int] = set()
    for part in text.removeprefix("pc").strip("[]").split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == numbers
