"""Options that several commands share."""

from trmm_async.cli.options import examples


def test_examples_stand_on_lines_of_their_own_and_keep_their_brackets() -> None:
    assert examples("trmm agents", "trmm run 3 -- [x]") == "Examples:\n\ntrmm agents\n\ntrmm run 3 -- \\[x]"
